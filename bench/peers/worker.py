# SPDX-License-Identifier: Apache-2.0
"""The peer's end of the pipe: what a work is, in calls that each engine's worker has.

A worker is a class, opened with the settings, with `about` (versions and types, for the table's title) and

    prefill(tokens)               seconds that a prompt takes, to the logits of its last token
    decode(n_seq, held, tokens)   seconds of `tokens` steps of so many streams, after `held` tokens of each

Only the pipe is written to: whatever a library prints goes to stderr.
"""
import json
import os
import sys

PROMPT = 16  # tokens of each stream of a batch, as in baton's bench
CHUNK = 512  # tokens of a prompt in one step, as in baton's bench


def held_of(name, depth):
    return depth or (PROMPT if name == "batched decode" else 1)


def tokens_held(works):
    """Tokens whose keys and values the largest of the works holds."""
    return max(batch * (tokens + (0 if name == "prefill" else held_of(name, depth) + 1))
               for name, tokens, batch, depth in works)


def tok_s(worker, name, tokens, batch, depth):
    if name == "prefill":
        return tokens / worker.prefill(tokens)
    return tokens * batch / worker.decode(batch, held_of(name, depth), tokens)


def last_line(error):
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return lines[-1] if lines else type(error).__name__


def serve(open_worker):
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(answer):
        print(json.dumps(answer), file=pipe, flush=True)

    try:
        worker = open_worker(json.loads(sys.argv[1]))
        say({"about": worker.about})
        for line in sys.stdin:
            say({"tok_s": tok_s(worker, *json.loads(line))})
    except Exception as error:  # whatever it is, the other end should know
        say({"error": last_line(error)})
