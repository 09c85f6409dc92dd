#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run baton and its peers in turns on one model, and print how many times faster baton is.

Peers are other engines: llama.cpp, CTranslate2 and OpenVINO GenAI. Each is compared by itself, with the same number
of threads. A round runs each work once in the peer and once in baton, the one right after the other, so that a
neighbour who comes or goes meets both; a ratio is that of one round, and the median of all rounds is shown with the
smallest and the largest. A peer that cannot be installed, or has no such weights, is left out, and the table says
why. See README.md beside this file.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

import environment
from environment import PeerError
from peer import Model, Process
from peer_ctranslate2 import CTranslate2
from peer_llama_cpp import LlamaCpp
from peer_openvino import OpenVino

PEERS = [LlamaCpp(), CTranslate2(), OpenVino()]


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
                          stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit("baton's bench ended with status %d; what it said is above" % done.returncode)
    report = json.loads(done.stdout)
    row = [row for row in report["rows"] if (row["work"], row["batch"], row["depth"]) == (name, batch, depth)]
    return row[0]["tok_s"], report["machine"]


# ---- the comparison ----

def take_turns(args, model, works, process):
    """{work: the peer's and baton's tokens a second, round by round}, and baton's word on the machine."""
    rates = {work: {"peer": [], "baton": []} for work in works}
    machine = {}
    for work in works:
        process.run(work)  # warm-up
    for _ in range(args.rounds):
        for work in works:
            rates[work]["peer"].append(process.run(work))
            rate, machine = run_baton(args, model.path, work)
            rates[work]["baton"].append(rate)
    return rates, machine


def row_of(work, rates):
    name, tokens, batch, depth = work
    ratios = [ours / theirs for ours, theirs in zip(rates["baton"], rates["peer"])]
    return {"work": name, "tokens": tokens, "batch": batch, "depth": depth,
            "peer_tok_s": statistics.median(rates["peer"]), "baton_tok_s": statistics.median(rates["baton"]),
            "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios)}


def compare(args, model, peer):
    """What the table says of a peer; {"skipped": reason} where it cannot be compared."""
    works = list_works(args)
    try:
        python = peer.set_up()
        path = peer.prepare(python, model)
        process = Process(python, peer.worker, {"threads": args.threads, "kv_type": args.kv_type, "works": works,
                                                "model": path})
        try:
            rates, machine = take_turns(args, model, works, process)
        finally:
            process.close()
    except PeerError as error:
        return {"peer": peer.name, "skipped": str(error)}
    about = process.about + ("" if path == model.path else "; reads " + os.path.basename(path))
    return {"peer": peer.name, "about": about, "machine": machine,
            "rows": [row_of(work, rates[work]) for work in works]}


def print_table(result):
    print()
    if "skipped" in result:
        print("%s: skipped, %s" % (result["peer"], result["skipped"]))
        return
    print("%s (%s)" % (result["peer"], result["about"]))
    print("%-16s%7s%6s%7s%12s%12s%8s  %s" % ("work", "tokens", "batch", "depth", "peer tok/s", "baton tok/s", "ratio",
                                            "smallest..largest"))
    for row in result["rows"]:
        print("%-16s%7d%6d%7d%12.1f%12.1f%7.2fx  %.2f..%.2f" %
              (row["work"], row["tokens"], row["batch"], row["depth"], row["peer_tok_s"], row["baton_tok_s"],
               row["ratio"], row["ratio_min"], row["ratio_max"]))


# ---- the command ----

def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="peers, and the types of weights that they read:\n" +
               "\n".join("  %-13s%s" % (peer.name, peer.reads) for peer in PEERS))
    parser.add_argument("--peer", action="append", choices=[peer.name for peer in PEERS],
                        help="compare with this one; may be given again; default: all")
    parser.add_argument("--baton", default=os.path.join(environment.ROOT, "build", "baton"), help="the program")
    parser.add_argument("--model", metavar="FILE", help="a GGUF file, instead of an invented one")
    parser.add_argument("--shape", default="llama-3.2-1b", help="of the invented one; default %(default)s")
    parser.add_argument("--type", default="q4_0", help="of its weights; default %(default)s")
    parser.add_argument("-p", "--prefill", default="512", metavar="N,...", help="read prompts of so many tokens")
    parser.add_argument("-n", "--decode", type=int, default=64, metavar="N", help="decode so many; 0: nothing")
    parser.add_argument("-d", "--depth", default="4096", metavar="N,...", help="also behind prompts of so many tokens")
    parser.add_argument("-b", "--batch", default="8,32", metavar="N,...", help="also so many streams together")
    parser.add_argument("-t", "--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--kv-type", default="f16", choices=["f16", "bf16", "f32"], help="of keys and values")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default %(default)s")
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    parser.add_argument("--setup", action="store_true", help="only install the peers")
    return parser.parse_args()


def set_up_all(peers):
    failed = 0
    for peer in peers:
        try:
            peer.set_up()
        except PeerError as error:
            failed += 1
            print("%s: %s" % (peer.name, error), file=sys.stderr)
    sys.exit(1 if failed else 0)


def find_model(args):
    if not os.path.exists(args.baton):
        sys.exit("there is no program '%s'; 'make build' makes it, --baton says where it is" % args.baton)
    if args.model:
        if not os.path.exists(args.model):
            sys.exit("there is no file '%s'" % args.model)
        return Model(args.baton, args.model)
    try:
        return Model.invent(args.baton, args.shape, args.type)
    except PeerError as error:
        sys.exit(str(error))


def main():
    args = parse_args()
    peers = [peer for peer in PEERS if not args.peer or peer.name in args.peer]
    os.makedirs(environment.PLACE, exist_ok=True)
    if args.setup:
        set_up_all(peers)
    model = find_model(args)
    if not list_works(args):
        sys.exit("nothing is to be measured: -p and -n are both 0")
    print("%s; %d threads, baton's keys and values in %s; %d rounds, medians" %
          (os.path.basename(model.path), args.threads, args.kv_type, args.rounds))
    results = []
    for peer in peers:
        results.append(compare(args, model, peer))
        print_table(results[-1])
    if args.json:
        with open(args.json, "w", encoding="utf-8") as out:
            json.dump({"model": os.path.basename(model.path), "threads": args.threads, "kv_type": args.kv_type,
                       "rounds": args.rounds, "peers": results}, out, indent=1)
    if all("skipped" in result for result in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
