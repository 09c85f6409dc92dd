#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run baton and llama.cpp in turns on one model file, and print how many times faster baton is.

Both read the same GGUF file with the same number of threads. A round runs each work once in each engine, the
one right after the other, so that a neighbour who comes or goes meets both; a ratio is that of one round, and
the median of all rounds is shown with the smallest and the largest. See README.md beside this file.
"""
import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PLACE = os.path.join(ROOT, "build", "peers")
VENV = os.path.join(PLACE, "venv")
PACKAGE = "llama-cpp-python==0.3.36"


# ---- what is needed ----

def repair(folder):
    """gcc 12 takes the tiles' configuration for 8 bytes and leaves the other stores out: the peer would die of an
    illegal instruction where there is AMX. Say that all of it is read."""
    found = glob.glob(os.path.join(folder, "vendor/llama.cpp/ggml/src/ggml-cpu/amx/mmq.cpp"))
    for path in found:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        load = "    _tile_loadconfig(&tc);"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(load, '    __asm__ volatile("" : : "m"(tc));\n' + load))


def install(python):
    with tempfile.TemporaryDirectory() as place:
        subprocess.run([python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "-d", place,
                        PACKAGE], check=True)
        with tarfile.open(glob.glob(os.path.join(place, "*.tar.gz"))[0]) as archive:
            archive.extractall(place)
        folder = [entry.path for entry in os.scandir(place) if entry.is_dir()][0]
        repair(folder)
        env = dict(os.environ, CMAKE_ARGS=os.environ.get("CMAKE_ARGS", "-DGGML_NATIVE=ON"))
        subprocess.run([python, "-m", "pip", "install", "--quiet", folder], env=env, check=True)


def set_up():
    """The private environment with the peer in it; compiled from source for this processor, once."""
    python = os.path.join(VENV, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    probe = subprocess.run([python, "-c", "import llama_cpp"], stderr=subprocess.DEVNULL, check=False)
    if probe.returncode != 0:
        print("compiling %s, which takes a quarter of an hour on two cores" % PACKAGE, file=sys.stderr)
        install(python)
    return python


def model_file(args):
    if args.model:
        return args.model
    path = os.path.join(PLACE, "%s-%s.gguf" % (args.shape, args.type))
    if not os.path.exists(path):
        subprocess.run([args.baton, "synth", "--shape", args.shape, "--type", args.type, "-o", path], check=True)
    return path


# ---- the works ----

def numbers(text):
    return [int(part) for part in text.split(",") if int(part) > 0]


def list_works(args):
    """(name, tokens, batch, depth), as the rows of `baton bench` have them."""
    works = [("prefill", n, 1, 0) for n in numbers(args.prefill)]
    if args.decode:
        works.append(("decode", args.decode, 1, 0))
        works += [("decode at depth", args.decode, 1, depth) for depth in numbers(args.depth)]
        works += [("batched decode", args.decode, batch, 0) for batch in numbers(args.batch)]
    return works


def run_baton(args, path, work):
    """Tokens a second of one run; the warm-up before it is the program's own."""
    name, tokens, batch, depth = work
    pick = {"prefill": ["-p", tokens, "-n", 0], "decode": ["-p", 0, "-n", tokens, "-b", 0],
            "decode at depth": ["-p", 0, "-n", tokens, "-b", 0, "-d", depth],
            "batched decode": ["-p", 0, "-n", tokens, "-b", batch]}[name]
    done = subprocess.run([args.baton, "bench", "-m", path, "--runs", "1", "--json", "-t", str(args.threads),
                           "--kv-type", args.kv_type] + [str(word) for word in pick],
                          stdout=subprocess.PIPE, check=True)
    report = json.loads(done.stdout)
    row = [row for row in report["rows"] if (row["work"], row["batch"], row["depth"]) == (name, batch, depth)]
    return row[0]["tok_s"], report["machine"]


class Peer:
    """llama.cpp in a process of its own, which holds the model; a line in is a work, a line out its time."""

    def __init__(self, python, args, path):
        config = {"threads": args.threads, "kv_type": args.kv_type, "model": path}
        self.process = subprocess.Popen([python, os.path.join(HERE, "llama_worker.py"), json.dumps(config)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.version = self.read()["version"]

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the peer ended with status %s" % self.process.wait())
        return json.loads(line)

    def run(self, work):
        self.process.stdin.write(json.dumps(work) + "\n")
        self.process.stdin.flush()
        return self.read()["tok_s"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# ---- the comparison ----

def compare(args, path, python):
    works = list_works(args)
    peer = Peer(python, args, path)
    results = {work: {"peer": [], "baton": []} for work in works}
    machine = {}
    for work in works:
        peer.run(work)  # warm-up
    for _ in range(args.rounds):
        for work in works:
            results[work]["peer"].append(peer.run(work))
            rate, machine = run_baton(args, path, work)
            results[work]["baton"].append(rate)
    peer.close()
    rows = []
    for work in works:
        ratios = [ours / theirs for ours, theirs in zip(results[work]["baton"], results[work]["peer"])]
        rows.append({"work": work[0], "tokens": work[1], "batch": work[2], "depth": work[3],
                     "peer_tok_s": statistics.median(results[work]["peer"]),
                     "baton_tok_s": statistics.median(results[work]["baton"]),
                     "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios)})
    return {"model": os.path.basename(path), "peer": "llama.cpp (%s %s)" % (PACKAGE.split("=")[0], peer.version),
            "threads": args.threads, "kv_type": args.kv_type, "rounds": args.rounds, "machine": machine, "rows": rows}


def print_table(report):
    print("%s; %s; %d threads, keys and values in %s; %d rounds, medians" %
          (report["model"], report["peer"], report["threads"], report["kv_type"], report["rounds"]))
    print("%-16s%7s%6s%7s%12s%12s%8s  %s" % ("work", "tokens", "batch", "depth", "peer tok/s", "baton tok/s", "ratio",
                                            "smallest..largest"))
    for row in report["rows"]:
        print("%-16s%7d%6d%7d%12.1f%12.1f%7.2fx  %.2f..%.2f" %
              (row["work"], row["tokens"], row["batch"], row["depth"], row["peer_tok_s"], row["baton_tok_s"],
               row["ratio"], row["ratio_min"], row["ratio_max"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--baton", default=os.path.join(ROOT, "build", "baton"), help="the program")
    parser.add_argument("--model", help="a GGUF file, instead of an invented one")
    parser.add_argument("--shape", default="llama-3.2-1b")
    parser.add_argument("--type", default="q4_0")
    parser.add_argument("-p", "--prefill", default="512")
    parser.add_argument("-n", "--decode", type=int, default=64)
    parser.add_argument("-d", "--depth", default="4096")
    parser.add_argument("-b", "--batch", default="8,32")
    parser.add_argument("-t", "--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--kv-type", default="f16", choices=["f16", "bf16", "f32"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    parser.add_argument("--setup", action="store_true", help="only install the peer")
    args = parser.parse_args()
    os.makedirs(PLACE, exist_ok=True)
    python = set_up()
    if args.setup:
        return
    report = compare(args, model_file(args), python)
    print_table(report)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as out:
            json.dump(report, out, indent=1)


if __name__ == "__main__":
    main()
