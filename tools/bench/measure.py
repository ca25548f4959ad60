#!/usr/bin/env python3
"""Measures every program in turn, again and again, and has told what came of it.

Called by tools/bench/run, which builds what is measured.
"""

import argparse
import json
import os
import pathlib
import platform
import resource
import subprocess
import sys
import time

import report
from programs import LOADS, PROMISES, ROUND
from server import CORE, STAGE, measure, system_calls

# Above this share of the core that others take, a measurement is taken again.
NOISE = 0.05


class Progress:
    """One line that says how far it is, and is written over; nothing where nobody looks."""

    def __init__(self, steps):
        self.steps = steps
        self.done = 0
        self.begin = time.monotonic()

    def step(self, what):
        took = time.monotonic() - self.begin
        left = f", {took / self.done * (self.steps - self.done):.0f} s left" if self.done else ""
        line = f"{self.done * 100 // self.steps:3} %{left}: {what}"
        if sys.stderr.isatty():
            print(f"\r{line:79.79}", end="", file=sys.stderr, flush=True)
        elif self.done * 10 // self.steps != (self.done - 1) * 10 // self.steps:
            print(line, file=sys.stderr, flush=True)
        self.done += 1

    def end(self):
        if sys.stderr.isatty():
            print(f"\r{'':79}\r", end="", file=sys.stderr, flush=True)


def machine():
    """What the figures were taken on."""
    cpu = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo")
                if line.startswith("model name")), platform.machine())
    revision = subprocess.run(["git", "describe", "--always", "--dirty"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()
    return {"date": time.strftime("%Y-%m-%d"), "cpu": cpu, "cores": os.cpu_count(),
            "core": CORE, "kernel": platform.release(), "revision": revision,
            "load average": os.getloadavg()[0]}


def read_costs(file):
    """What the tests have counted: lines "figure: WHAT | OF WHAT | VALUE | AT MOST | MET"."""
    costs = []
    for line in file.read_text().splitlines():
        if line.startswith("figure: "):
            what, of, value, at_most, met = line.removeprefix("figure: ").split(" | ")
            costs.append({"what": what, "of": of, "value": float(value),
                          "at most": float(at_most), "met": met == "met"})
    return costs


def quietest(name, kind, seconds):
    """One measurement: the quietest of up to three, the first that is quiet enough."""
    best = None
    for _ in range(3):
        cost, noise = measure(name, kind, seconds)
        if best is None or noise < best["noise"]:
            best = {"cost": cost, "noise": noise}
        if noise <= NOISE:
            break
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--costs", type=pathlib.Path, required=True)
    parser.add_argument("--into", type=pathlib.Path, required=True)
    given = parser.parse_args()

    # Inherited by all that is started.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    plan = [(kind, name) for kind in LOADS for name in ROUND[kind]]
    progress = Progress(len(plan) * (given.repetitions + 1) + 1)
    calls = {kind: {} for kind in LOADS}
    runs = {kind: {name: [] for name in ROUND[kind]} for kind in LOADS}
    for kind, name in plan:
        progress.step(f"counting system calls: {name}, {kind}")
        calls[kind][name] = system_calls(name, kind)
    for repetition in range(given.repetitions):
        for kind, name in plan if repetition % 2 == 0 else reversed(plan):
            progress.step(f"repetition {repetition + 1} of {given.repetitions}: {name}, {kind}")
            runs[kind][name].append(quietest(name, kind, given.seconds))
    progress.step("the pipeline")
    pipeline = min(float(subprocess.run([STAGE / "pipeline"], check=True, stdout=subprocess.PIPE,
                                        text=True).stdout.split()[0]) for _ in range(5))
    progress.end()

    results = {"machine": machine(), "repetitions": given.repetitions, "seconds": given.seconds,
               "noise allowed": NOISE, "runs": runs, "system calls": calls,
               "costs": read_costs(given.costs), "pipeline": pipeline,
               "promises": [promise._asdict() for promise in PROMISES]}
    (given.into / "results.json").write_text(json.dumps(results, indent=1))
    return report.write(results, given.into)


if __name__ == "__main__":
    sys.exit(main())
