#!/usr/bin/env python3
# Copyright (c) the socketserver authors
# Distributed under the Boost Software License, Version 1.0.
# (See LICENSE or https://www.boost.org/LICENSE_1_0.txt)
"""Puts a probe through scenarios and compares what was seen with what is expected.

A probe is a server program that keeps to the contract in README.md beside this file.  A scenario
starts one or more, talks to them as a client and by the commands of the contract, and returns what
it saw; it judges nothing.  The last line of the output is MATCH and how many scenarios saw what the
file of --expect says; the exit status is 0 if all did, and there was one.
"""
import argparse
import concurrent.futures
import importlib
import json
import os
import pathlib
import shlex
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True  # the folder of the sources stays as it is

import rig  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
for file in sorted(pathlib.Path(HERE, "scenarios").glob("*.py")):
    importlib.import_module("scenarios." + file.stem)
rig.scenarios.sort(key=lambda f: f.__name__)


def matches(want, got):
    """Compare; want may contain {"$le": n}, {"$ge": n}, {"$prefix": text} and {"$any": true}."""
    if isinstance(want, dict) and len(want) == 1 and next(iter(want)).startswith("$"):
        operator, value = next(iter(want.items()))
        if operator == "$any":
            return True
        if operator == "$prefix":
            return isinstance(got, str) and got.startswith(value)
        if not isinstance(got, (int, float)):
            return False
        return got <= value if operator == "$le" else got >= value
    if isinstance(want, dict):
        return (
            isinstance(got, dict)
            and want.keys() == got.keys()
            and all(matches(want[k], got[k]) for k in want)
        )
    if isinstance(want, list):
        return isinstance(got, list) and len(want) == len(got) and all(map(matches, want, got))
    return want == got


def with_strategy(strategy, f, wanted):
    """Return what a scenario is to see with another strategy."""
    return merged(wanted, f.others.get(strategy) or wanted)


def merged(wanted, instead):
    """Replace those keys of a dict, and of the dicts in it, that there is something else for."""
    if not isinstance(instead, dict) or not isinstance(wanted, dict):
        return instead
    return {**wanted, **{k: merged(wanted.get(k), v) for k, v in instead.items()}}


def without_return(seen):
    """Leave out when process_request returned: at any time, where others run the request."""
    if isinstance(seen, dict):
        return {k: without_return(v) for k, v in seen.items()}
    if isinstance(seen, list):
        return [without_return(v) for v in seen if v != "process_request_return"]
    return seen


def play(f, strategy=None):
    """Return what a scenario saw, in the form in which it is compared."""
    rig.playing.strategy = strategy
    try:
        return json.loads(json.dumps(f()))
    except Exception as e:
        return {"exception": f"{type(e).__name__}: {e}"}


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", help="the probe's command line; by default Python's own")
    parser.add_argument("--expect", help="what is to be seen: target.json or python.json")
    parser.add_argument("--json", help="where to write what was seen")
    parser.add_argument("--only", nargs="+", help="the scenarios whose names begin so")
    parser.add_argument("--skip", nargs="+", default=[], help="not those whose names begin so")
    parser.add_argument(
        "--transports",
        nargs="+",
        choices=sorted({f.transport for f in rig.scenarios}),
        help="the scenarios of these transports; by default all",
    )
    parser.add_argument(
        "--also",
        nargs="+",
        choices=rig.STRATEGIES,
        default=[],
        help="once more with these strategies, where that means something",
    )
    parser.add_argument("--jobs", type=int, default=1, help="scenarios to play at once")
    return parser.parse_args()


def is_chosen(f, options):
    return (
        not options.only or f.__name__.startswith(tuple(options.only))
    ) and not f.__name__.startswith(tuple(options.skip))


def main():
    options = arguments()
    reference = shlex.join([sys.executable, os.path.join(HERE, "reference_probe.py")])
    rig.command = shlex.split(options.server or reference)

    # What is played, by name: a scenario with its own strategies, or with another.
    plays = {}
    left_out = []
    for strategy in (None, *options.also):
        for f in rig.scenarios:
            name = f.__name__ + (f" ({strategy})" if strategy else "")
            if not is_chosen(f, options):
                continue
            if options.transports and f.transport not in options.transports:
                left_out.append(f"{name}: {f.transport}")
            elif f.transport.endswith("6") and not rig.has_ipv6():
                left_out.append(f"{name}: this system has no IPv6")
            elif isinstance(f.others.get(strategy), str):
                left_out.append(f"{name}: {f.others[strategy]}")
            else:
                plays[name] = f, strategy
    rig.folder = tempfile.mkdtemp(prefix="parity-")
    seen = {}
    try:
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            playing_now = {name: pool.submit(play, *what) for name, what in plays.items()}
            for name, result in playing_now.items():
                seen[name] = result.result()
                print(name, json.dumps(seen[name]), flush=True)
    finally:
        shutil.rmtree(rig.folder, ignore_errors=True)
    if options.json:
        with open(options.json, "w") as out:
            json.dump(seen, out, indent=1, sort_keys=True)
            out.write("\n")
    for name in left_out:
        print("LEFT OUT", name)
    if not options.expect:
        return 0

    with open(options.expect) as expectations:
        expected = json.load(expectations)
    # An expectation that no scenario meets is one that somebody forgot.
    names = {f.__name__ for f in rig.scenarios}
    unmet = [name for name in expected if name not in names]
    for name in unmet:
        print("DIFF", name, "\n  expected, but there is no such scenario")
    matched = 0
    for name, got in seen.items():
        f, strategy = plays[name]
        wanted = expected.get(f.__name__, "nothing: it is not in the file")
        if strategy:
            wanted = with_strategy(strategy, f, wanted)
        if strategy in ("pool", "coroutine"):
            wanted, got = without_return(wanted), without_return(got)
        if f.__name__ in expected and matches(wanted, got):
            matched += 1
            continue
        print("DIFF", name)
        print("  expected", json.dumps(wanted))
        print("  seen    ", json.dumps(got))
    print(f"MATCH {matched}/{len(plays) + len(unmet)}")
    return 0 if plays and matched == len(plays) + len(unmet) else 1


if __name__ == "__main__":
    sys.exit(main())
