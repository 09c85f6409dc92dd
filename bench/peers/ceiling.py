#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run baton's products and oneDNN's in turns, and print how many times faster baton's are.

oneDNN multiplies plain matrices whose weights lie as it wants them: what a machine gives where nothing is to be
unpacked or rounded. baton's side is `baton bench kernels --filter "linear TYPE"`, in the same sizes, which rounds its
activations too. A round measures a type in baton and then in oneDNN; the ratio is that of one round, and the median
of all rounds is shown with the smallest and the largest. See README.md beside this file.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

import environment
from environment import PeerError

PACKAGES = ["onednn-devel-cpu-gomp==2023.2.0", "onednn-cpu-gomp==2023.2.0"]
SOURCE = os.path.join(environment.HERE, "ceiling.cc")
N, K = 8192, 2048  # of the weights in `baton bench kernels`
QUANTISED = ["q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k"]
CEILINGS = dict({"f32": "f32", "bf16": "bf16"}, **{dtype: "int8" for dtype in QUANTISED})  # by baton's type


def set_up():
    """The program that times oneDNN, compiled if it is not there or is older than its source."""
    venv = os.path.dirname(os.path.dirname(environment.private("onednn", PACKAGES)))
    program, library = os.path.join(venv, "ceiling"), os.path.join(venv, "lib")
    if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(SOURCE):
        environment.run([os.environ.get("CXX", "c++"), "-std=c++17", "-O2", "-I", os.path.join(venv, "include"), SOURCE,
                         "-o", program, "-L", library, "-ldnnl", "-Wl,-rpath," + library])
    return program


# ---- measuring ----

def lines_of(words, **more):
    try:
        done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, text=True, check=True, **more)
    except FileNotFoundError as error:
        raise PeerError("there is no program '%s'; 'make build' makes baton, --baton says where it is" %
                        words[0]) from error
    except subprocess.CalledProcessError as error:
        raise PeerError("'%s' ended with status %d; what it said is above" %
                        (os.path.basename(words[0]), error.returncode)) from error
    return done.stdout


def run_baton(args, dtype):
    """{M: microseconds}, and baton's word on the machine."""
    report = json.loads(lines_of([args.baton, "bench", "kernels", "--filter", "linear " + dtype, "--json", "--runs",
                                  args.runs, "-t", args.threads]))
    return {row["m"]: row["us"] for row in report["rows"] if row["type"] == dtype}, report["machine"]


def run_onednn(args, program, dtype, rows):
    """{M: a line of the program}, and oneDNN's version."""
    env = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
    lines = [json.loads(line) for line in
             lines_of([program, CEILINGS[dtype], N, K, args.runs] + list(rows), env=env).splitlines()]
    return {line["m"]: line for line in lines[1:]}, lines[0]["version"]


def compare(args, program, dtype):
    """The rows of one type, and what both programs said of themselves."""
    rounds = []
    for _ in range(args.rounds):
        ours, machine = run_baton(args, dtype)
        theirs, version = run_onednn(args, program, dtype, ours)
        rounds.append((ours, theirs))
    rows = []
    for m in rounds[0][0]:
        ratios = [theirs[m]["us"] / ours[m] for ours, theirs in rounds]
        rows.append({"type": dtype, "as": CEILINGS[dtype], "m": m,
                     "onednn_us": statistics.median(theirs[m]["us"] for _, theirs in rounds),
                     "baton_us": statistics.median(ours[m] for ours, _ in rounds),
                     "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios),
                     "kernel": rounds[0][1][m]["kernel"]})
    return rows, machine, version


# ---- the command ----

def print_rows(rows):
    for row in rows:
        print("%-6s%-6s%5d%12.1f%12.1f%7.2fx  %-18s%s" %
              (row["type"], row["as"], row["m"], row["onednn_us"], row["baton_us"], row["ratio"],
               "%.2f..%.2f" % (row["ratio_min"], row["ratio_max"]), row["kernel"]), flush=True)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baton", default=os.path.join(environment.ROOT, "build", "baton"), help="the program")
    parser.add_argument("--type", default="f32,bf16,q8_0,q4_0", metavar="TYPE,...",
                        help="of baton's weights; default %(default)s; one of " + ", ".join(CEILINGS))
    parser.add_argument("-t", "--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default %(default)s")
    parser.add_argument("--runs", type=int, default=9, metavar="N", help="of each M in a round; default %(default)s")
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    parser.add_argument("--setup", action="store_true", help="only install oneDNN and compile the program")
    args = parser.parse_args()
    args.type = [dtype for dtype in args.type.split(",") if dtype]
    for dtype in args.type:
        if dtype not in CEILINGS:
            parser.error("--type is '%s'; oneDNN is asked for %s" % (dtype, ", ".join(CEILINGS)))
    return args


def main():
    args = parse_args()
    os.makedirs(environment.PLACE, exist_ok=True)
    report = {"threads": args.threads, "rounds": args.rounds, "rows": []}
    try:
        program = set_up()
        for dtype in [] if args.setup else args.type:
            rows, report["machine"], report["version"] = compare(args, program, dtype)
            if not report["rows"]:
                print("oneDNN %s; %d x %d weights, %d threads; %d rounds, medians" %
                      (report["version"], N, K, args.threads, args.rounds))
                print("%-6s%-6s%5s%12s%12s%8s  %-18s%s" % ("type", "as", "M", "oneDNN us", "baton us", "ratio",
                                                           "smallest..largest", "oneDNN's kernel"))
            print_rows(rows)
            report["rows"] += rows
    except PeerError as error:
        sys.exit(str(error))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as out:
            json.dump(report, out, indent=1)


if __name__ == "__main__":
    main()
