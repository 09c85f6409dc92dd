#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measure what docs/performance.md says of whole models, and write it there.

    python3 bench/tables.py                  measure everything, then fill the tables: about 20 minutes
    python3 bench/tables.py --fill           only fill them from what was measured last
    python3 bench/tables.py --only q4_0      measure these runs only, fill with all that there is
    python3 bench/tables.py --peers q4_0     also run bench/peers/peers.py for these types
    python3 bench/tables.py --ceiling        also run bench/peers/ceiling.py
    python3 bench/tables.py --only kernels   measure the products by themselves only, and draw their roofline

Each run is one `baton bench --json`, kept in build/bench. A table stands between two comments in the document,
`<!-- table NAME -->` and `<!-- end NAME -->`; what is between them is replaced, the rest stays.
"""
import argparse
import json
import os
import re
import subprocess
import sys

import roofline

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PLACE = os.path.join(ROOT, "build", "bench")
DOCUMENT = os.path.join(ROOT, "docs", "performance.md")
PICTURE = os.path.join(ROOT, "docs", "roofline.svg")

COMMON = ["-p", "512,2048", "-n", "64", "-b", "2,4,8,16,32", "--kv-type", "f16"]
RUNS = {  # name: (shape, type, depths)
    "llama-q4_0": ("llama-3.2-1b", "q4_0", "4096,16384"),
    "llama-q8_0": ("llama-3.2-1b", "q8_0", "4096"),
    "llama-q4_k": ("llama-3.2-1b", "q4_k", "4096"),
    "llama-bf16": ("llama-3.2-1b", "bf16", "4096"),
    "qwen-q4_0": ("qwen3-0.6b", "q4_0", "4096"),
    "qwen-q8_0": ("qwen3-0.6b", "q8_0", "4096"),
    "qwen-q4_k": ("qwen3-0.6b", "q4_k", "4096"),
    "qwen-bf16": ("qwen3-0.6b", "bf16", "4096"),
}
SHAPES = {"llama": "Llama-3.2-1B", "qwen": "Qwen3-0.6B"}
TYPES = ["q4_0", "q8_0", "q4_k", "bf16"]
INT8_LIKE_THE_TARGETS = "vpdpbusd"  # of the machine on which they were set
QUICK = ["-p", "512", "-n", "16", "-b", "8,32", "--kv-type", "f16", "--runs", "1"]


# ---- measuring ----

def command_of(name, quick):
    shape, dtype, depths = RUNS[name]
    words = ["bench", "--synth", shape, "--type", dtype, "-d", "1024" if quick else depths]
    return words + (QUICK if quick else COMMON)


def measure(name, program, quick):
    words = command_of(name, quick)
    load = os.getloadavg()[0]
    print("baton " + " ".join(words), file=sys.stderr)
    done = subprocess.run([program] + words + ["--json", "--ops"], stdout=subprocess.PIPE, check=True)
    report = dict(json.loads(done.stdout), command="build/baton " + " ".join(words), load=load)
    save(name, report)


def measure_kernels(program):
    words = ["bench", "kernels", "--filter", "linear"]
    print("baton " + " ".join(words), file=sys.stderr)
    load = os.getloadavg()[0]
    done = subprocess.run([program] + words + ["--json"], stdout=subprocess.PIPE, check=True)
    save("kernels", dict(json.loads(done.stdout), command="build/baton " + " ".join(words), load=load))


def measure_peers(dtype, program):
    out = os.path.join(PLACE, "peers-%s.json" % dtype)
    subprocess.run([sys.executable, os.path.join(ROOT, "bench", "peers", "peers.py"), "--baton", program, "--type",
                    dtype, "--json", out], check=True)


def measure_ceiling(program):
    subprocess.run([sys.executable, os.path.join(ROOT, "bench", "peers", "ceiling.py"), "--baton", program, "--json",
                    os.path.join(PLACE, "ceiling.json")], check=True)


def save(name, report):
    os.makedirs(PLACE, exist_ok=True)
    with open(os.path.join(PLACE, name + ".json"), "w", encoding="utf-8") as out:
        json.dump(report, out, indent=1)


def load_reports():
    reports = {}
    for name in list(RUNS) + ["peers-" + dtype for dtype in TYPES] + ["ceiling", "kernels"]:
        path = os.path.join(PLACE, name + ".json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                reports[name] = json.load(file)
    return reports


# ---- tables ----

def percent(share):
    return "%.0f %%" % (100 * share)


def rate(tok_s):
    return "%.0f" % tok_s if tok_s >= 100 else "%.1f" % tok_s


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def work_name(row):
    name = {"prefill": "prefill %(tokens)d", "decode": "decode, 1 stream", "decode at depth": "decode at depth %(depth)d",
            "batched decode": "decode, %(batch)d streams"}[row["work"]]
    return name % row


def peak_of(machine, by):
    return ([peak["gop_s"] for peak in machine["peaks"] if peak["by"] == by] or [0])[0]


def whole_table(reports, model):
    """A row a work, a column a type: tokens a second and the share of the bound."""
    runs = [(dtype, reports["%s-%s" % (model, dtype)]) for dtype in TYPES if "%s-%s" % (model, dtype) in reports]
    if not runs:
        return "Not measured."
    cells, order = {}, []
    for dtype, report in runs:
        for row in report["rows"]:
            key = work_name(row)
            if key not in order:
                order.append(key)
            share = percent(row["bound_share"])
            cells[key, dtype] = "%s (%s, ±%.0f %%)" % (rate(row["tok_s"]), share, 50 * row["spread"])
    rows = [[key] + [cells.get((key, dtype), "") for dtype, _ in runs] for key in order]
    lines = [table(["tok/s (share of the bound, spread)"] + [dtype for dtype, _ in runs], rows), ""]
    for dtype, report in runs:
        machine, model_of = report["machine"], report["model"]
        lines.append("- %s: `%s`; %d runs; beside it %.1f GB/s and %.0f GOP/s (%s); %.0f MB of weights a step; "
                     "load before it %.1f" % (dtype, report["command"], report["runs"], machine["bandwidth_gb_s"],
                                              peak_of(machine, model_of["peak_by"]), model_of["peak_by"],
                                              model_of["weight_read_bytes"] * 1e-6, report["load"]))
    return "\n".join(lines)


def target_of(row, dtype):
    """(the least share that will do, what it is a share of), None where there is no target."""
    if row["work"] == "prefill":
        return (0.75, "peak") if dtype == "bf16" else (0.60, "peak")
    if row["work"] == "decode":
        return 0.93, "bandwidth"
    if row["work"] == "decode at depth":
        return (0.88, "bandwidth") if row["depth"] >= 4096 else None
    share = {2: 0.85, 4: 0.80, 8: 0.70, 16: 0.60, 32: 0.60}.get(row["batch"])
    return (share, "bound") if share else None


def shares_of(row, report, by):
    """Shares of bandwidth, peak and bound, where the peak is that of one instruction."""
    peak = peak_of(report["machine"], by)
    of_peak = row["gop_s"] / peak if peak else 0
    return {"bandwidth": row["bandwidth_share"], "peak": of_peak, "bound": max(row["bandwidth_share"], of_peak)}


def target_table(reports):
    rows = []
    for name, report in reports.items():
        if name not in RUNS:
            continue
        model, dtype = name.split("-", 1)
        peaks = [report["model"]["peak_by"]]
        if dtype != "bf16" and peaks[0] != INT8_LIKE_THE_TARGETS:
            peaks.insert(0, INT8_LIKE_THE_TARGETS)
        for row in report["rows"]:
            target = target_of(row, dtype)
            if not target:
                continue
            least, of = target
            for by in peaks if of != "bandwidth" else peaks[-1:]:
                share = shares_of(row, report, by)[of]
                what = of if of == "bandwidth" else "%s (%s)" % (of, by)
                rows.append([SHAPES[model], dtype, work_name(row), what, percent(least), percent(share),
                             "met" if share >= least else "**missed** by %.0f points" % (100 * (least - share))])
    return table(["shape", "type", "work", "share of", "at least", "measured", ""], rows) if rows else "Not measured."


def ratio_of(row):
    return "%.2f (%.2f to %.2f)" % (row["ratio"], row["ratio_min"], row["ratio_max"])


def peer_table(reports):
    """A row a work, type and peer; below it what each peer says of itself, or why it was left out."""
    rows, notes = [], []
    for dtype in TYPES:
        for result in reports.get("peers-" + dtype, {"peers": []})["peers"]:
            notes.append("- %s, %s: %s" % (dtype, result["peer"], result.get("about") or "left out: " + result["skipped"]))
            rows += [[dtype, work_name(row), result["peer"], rate(row["peer_tok_s"]), rate(row["baton_tok_s"]),
                      ratio_of(row)] for row in result.get("rows", [])]
    if not notes:
        return "Not measured."
    head = ["type", "work", "peer", "peer tok/s", "baton tok/s", "ratio (smallest to largest)"]
    return "\n".join([table(head, rows), ""] + notes)


def ceiling_table(reports):
    report = reports.get("ceiling")
    if not report:
        return "Not measured."
    rows = [[row["type"], row["as"], "%d" % row["m"], "%.0f" % row["onednn_us"], "%.0f" % row["baton_us"],
             ratio_of(row), row["kernel"]] for row in report["rows"]]
    head = ["type", "oneDNN in", "M", "oneDNN us", "baton us", "ratio (smallest to largest)", "oneDNN's kernel"]
    return "\n".join([table(head, rows), "", "oneDNN %s, %d threads, %d rounds." %
                      (report["version"], report["threads"], report["rounds"])])


def kernel_table(reports):
    """A row a type, a column an M: GOP/s and the share of the bound."""
    report = reports.get("kernels")
    if not report:
        return "Not measured."
    types, ms, cells = [], [], {}
    for row in report["rows"]:
        types += [row["type"]] if row["type"] not in types else []
        ms += [row["m"]] if row["m"] not in ms else []
        cells[row["type"], row["m"]] = "%.0f (%s)" % (row["gop_s"], percent(row["bound_share"]))
    rows = [[dtype] + [cells.get((dtype, m), "") for m in ms] for dtype in types]
    machine = report["machine"]
    peaks = ", ".join("%s %.0f" % (peak["by"], peak["gop_s"]) for peak in machine["peaks"])
    return "\n".join([table(["GOP/s (share of the bound)"] + ["M %d" % m for m in ms], rows), "",
                      "`%s`; beside it %.1f GB/s; peaks in GOP/s: %s; load before it %.1f." %
                      (report["command"], machine["bandwidth_gb_s"], peaks, report["load"])])


def ops_table(reports, name="llama-q4_0"):
    report = reports.get(name)
    if not report or "ops" not in report:
        return "Not measured."
    rows = []
    for row in report["ops"]:
        if row["share"] < 0.005:
            continue
        figures = ["%.1f" % row["gb_s"], "%.0f" % row["gop_s"], percent(row["roofline_share"])] \
            if "roofline_share" in row else ["", "", ""]
        step = "prefill %d" % row["tokens"] if row["step"] == "prefill" else "decode at depth %d" % row["depth"]
        rows.append([step, row["operator"], row["node"], "%.0f" % row["us"], percent(row["share"])] + figures)
    return table(["step", "operator", "node", "us", "of the step", "GB/s", "GOP/s", "of its roofline"], rows)


def fill(reports):
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    tables = {"llama": whole_table(reports, "llama"), "qwen": whole_table(reports, "qwen"),
              "targets": target_table(reports), "peers": peer_table(reports), "ceiling": ceiling_table(reports),
              "ops": ops_table(reports), "kernels": kernel_table(reports)}
    for name, body in tables.items():
        text, n = re.subn(r"(<!-- table %s -->\n).*?(<!-- end %s -->)" % (name, name),
                          lambda m, body=body: m.group(1) + "\n" + body + "\n\n" + m.group(2), text, flags=re.S)
        if n != 1:
            sys.exit("%s: %d places for table '%s', one is wanted" % (DOCUMENT, n, name))
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(text)
    if "kernels" in reports:
        with open(PICTURE, "w", encoding="utf-8") as file:
            file.write(roofline.draw(reports["kernels"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--baton", default=os.path.join(ROOT, "build", "baton"), help="the program")
    parser.add_argument("--fill", action="store_true", help="measure nothing")
    parser.add_argument("--quick", action="store_true", help="short runs, to see that everything works")
    parser.add_argument("--only", default="", help="runs in whose name this is")
    parser.add_argument("--peers", default="", help="types to compare with peers, with commas between them")
    parser.add_argument("--ceiling", action="store_true", help="compare products with oneDNN's")
    args = parser.parse_args()
    if not args.fill:
        for name in RUNS:
            if args.only in name:
                measure(name, args.baton, args.quick)
        if args.only in "kernels":
            measure_kernels(args.baton)
        for dtype in [dtype for dtype in args.peers.split(",") if dtype]:
            measure_peers(dtype, args.baton)
        if args.ceiling:
            measure_ceiling(args.baton)
    fill(load_reports())


if __name__ == "__main__":
    main()
