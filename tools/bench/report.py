#!/usr/bin/env python3
"""usage: report.py [FOLDER]

Writes the tables and the plots of what tools/bench/run has measured, from FOLDER/results.json into
FOLDER (.build/bench).  The exit status is that of tools/bench/run.
"""

import csv
import json
import pathlib
import re
import statistics
import subprocess
import sys

MET, MISSED, UNKNOWN = 0, 1, 3


def median_and_range(values, digits):
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def ratios(results, promise):
    """How often the other's processor time holds ours, repetition by repetition."""
    runs = results["runs"][promise["load"]]
    return [peer["cost"] / ours["cost"]
            for ours, peer in zip(runs[promise["ours"]], runs[promise["peer"]])]


def is_too_noisy(results, promise, values):
    """Whether others had so much of the core, or the repetitions differ so much, that the
    measurement could have come out on the other side of the threshold."""
    runs = results["runs"][promise["load"]]
    noise = statistics.median(max(ours["noise"], peer["noise"]) for ours, peer in
                              zip(runs[promise["ours"]], runs[promise["peer"]]))
    if noise <= results["noise allowed"] and len(values) >= 7:
        return False
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low < promise["at_least"] < high


def verdict(results, promise, values):
    middle = statistics.median(values)
    if is_too_noisy(results, promise, values):
        return UNKNOWN, "too noisy to tell"
    if middle < promise["at_least"]:
        return MISSED, "MISSED"
    return MET, "aim met" if middle >= promise["aim"] else "met"


def table_of_ratios(results):
    head = ["server", "load", "compared with", "times cheaper", "at least", "aim", ""]
    rows = []
    outcomes = set()
    for promise in results["promises"]:
        values = ratios(results, promise)
        outcome, words = verdict(results, promise, values)
        outcomes.add(outcome)
        rows.append([promise["ours"], promise["load"], promise["peer"],
                     median_and_range(values, 2), f"{promise['at_least']:g}",
                     f"{promise['aim']:g}", words])
    return outcomes, head, rows


def table_of_costs(results):
    head = ["server", "load", "µs an operation", "system calls"]
    rows = []
    for load, programs in results["runs"].items():
        for name, runs in sorted(programs.items(),
                                 key=lambda p: statistics.median(r["cost"] for r in p[1])):
            calls = results["system calls"][load][name]
            rows.append([name, load, median_and_range([r["cost"] for r in runs], 1),
                         "-" if calls is None else f"{calls:.2f}"])
    return head, rows


def table_of_counts(results):
    """A row for each strategy, a column for each thing that is counted, with what is promised."""
    cells = {}
    whats = []
    outcomes = set()
    for cost in results["costs"]:
        # How many of something it may have was said for the load's sake; not so threads of coroutines.
        strategy = re.sub(r"(?<!coroutine):\d+", "", cost["of"])
        digits = 0 if cost["value"] >= 100 else 2
        promised = f" (at most {cost['at most']:g})" if cost["at most"] < 100000 else ""
        # As the difference of two loads it may come out at a little less than nothing.
        value = max(cost["value"], 0)
        cells.setdefault(strategy, {})[cost["what"]] = f"{value:.{digits}f}{promised}"
        if cost["what"] not in whats:
            whats.append(cost["what"])
        outcomes.add(MET if cost["met"] else MISSED)
    rows = [[strategy, *(of.get(what, "") for what in whats)] for strategy, of in cells.items()]
    return outcomes, ["server", *whats], rows


def verdict_of_pipeline(results):
    at_most = 100
    met = results["pipeline"] <= at_most
    return MET if met else MISSED, (
        f"The hooks of the pipeline and of a mixin around it: {results['pipeline']:.0f} ns "
        f"a connection (at most {at_most}){'.' if met else ': MISSED.'}\n")


def noise_in_words(results):
    shares = [run["noise"] for programs in results["runs"].values()
              for runs in programs.values() for run in runs]
    middle = statistics.median(shares)
    quiet = middle <= results["noise allowed"]
    return (f"{'Quiet' if quiet else 'NOISY'}: other programs had {middle:.0%} of the core "
            f"(median; at most {max(shares):.0%}), load average "
            f"{results['machine']['load average']:.1f}.")


def in_text(head, rows):
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return "".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() + "\n"
                   for row in [head, *rows])


def in_asciidoc(head, rows):
    lines = ["[%header%autowidth]", "|==="]
    lines += ["".join(f"|{cell} " for cell in row).rstrip() for row in [head, *rows]]
    return "\n".join(lines + ["|===", ""])


def plot(folder, name, title, rows, extra=""):
    """Medians with their ranges: rows of a label, the median, the least and the most."""
    data = "".join(f'"{label}" {len(rows) - i} {middle} {low} {high}\n'
                   for i, (label, middle, low, high) in enumerate(rows))
    script = f"""
        set terminal svg size 760,{90 + 26 * len(rows)} font "sans,12" background "white"
        set output "{folder}/{name}.svg"
        set title "{title}"
        set yrange [0.4:{len(rows) + 0.6}]
        set xrange [0:*]
        set grid x
        set border 1
        set tics nomirror scale 0
        set boxwidth 0.6
        unset key
        $data << END\n{data}END
        {extra}
        set style fill solid 0.5
        plot $data using (0):2:(0):3:($2-0.3):($2+0.3):ytic(1) with boxxyerror lc "#4477aa", \\
             $data using 3:2:4:5 with xerrorbars pt 7 ps 0.5 lc "#222222"
    """
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def draw(results, folder):
    rows = []
    for promise in results["promises"]:
        values = ratios(results, promise)
        label = f"{promise['ours']} vs {promise['peer']}, {promise['load'].split()[-1]}"
        rows.append((label, statistics.median(values), min(values), max(values)))
    plot(folder, "ratios", "times cheaper than the other (1: the same)", rows,
         'set arrow from 1, graph 0 to 1, graph 1 nohead lc "#aa3333" dt 2')
    for load, programs in results["runs"].items():
        rows = [(name, statistics.median(costs), min(costs), max(costs))
                for name, costs in ((n, [r["cost"] for r in runs]) for n, runs in programs.items())]
        # A child for each client takes so long that nothing could be told of the others.
        rows = [row for row in sorted(rows, key=lambda row: row[1]) if "fork" not in row[0]
                or "pre" in row[0]]
        plot(folder, load.replace(" ", "-"), f"{load}: µs of processor time each", rows)


def write(results, folder):
    m = results["machine"]
    met, *compared = table_of_ratios(results)
    met_counts, *counts = table_of_counts(results)
    met_pipeline, pipeline = verdict_of_pipeline(results)
    met |= met_counts | {met_pipeline}
    status = max(met & {MET, UNKNOWN}, default=MET) if MISSED not in met else MISSED
    tables = {
        "compared": ("Processor time, compared: median (least-most)", compared),
        "counted": ("What is counted", counts),
        "times": ("Processor time of the server: median (least-most)", table_of_costs(results)),
    }
    where = (f"Measured {m['date']}, revision {m['revision']}, {results['repetitions']} "
             f"repetitions of {results['seconds']:g} s, on core {m['core']} of {m['cores']} "
             f"({m['cpu']}, Linux {m['kernel']}).\n{noise_in_words(results)}\n")
    words = {MET: "Every threshold is met.", MISSED: "A threshold is missed.",
             UNKNOWN: "Too noisy to tell whether every threshold is met."}[status]

    summary = where
    adoc = f"// tag::where[]\n{where}// end::where[]\n"
    for tag, (title, table) in tables.items():
        summary += f"\n{title}\n\n{in_text(*table)}"
        adoc += f"\n// tag::{tag}[]\n.{title}\n{in_asciidoc(*table)}// end::{tag}[]\n"
    (folder / "summary.txt").write_text(f"{summary}\n{pipeline}{words}\n")
    (folder / "tables.adoc").write_text(f"{adoc}\n// tag::pipeline[]\n{pipeline}// end::pipeline[]\n")
    with open(folder / "results.csv", "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["ours", "load", "peer", "repetition", "ratio"])
        for promise in results["promises"]:
            for i, value in enumerate(ratios(results, promise), 1):
                out.writerow([promise["ours"], promise["load"], promise["peer"], i, f"{value:.4f}"])
    draw(results, folder)
    print((folder / "summary.txt").read_text(), end="")
    return status


def main():
    if len(sys.argv) > 2 or sys.argv[1:] and sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1] if sys.argv[1:] else ".build/bench")
    return write(json.loads((folder / "results.json").read_text()), folder)


if __name__ == "__main__":
    sys.exit(main())
