# SPDX-License-Identifier: Apache-2.0
"""llama.cpp behind a pipe: holds one model, runs a work for each line it reads, prints its tokens a second.

Runs in the private environment that peers.py makes, through the low-level calls, as llama.cpp's own bench does:
random tokens, batches of 512, logits where a token would be sampled, no sampling.
"""
import ctypes
import json
import random
import sys
import time

import llama_cpp as ll

PROMPT = 16  # tokens of each stream of a batch, as in baton's bench
BATCH = 512
KV_TYPES = {"f32": 0, "f16": 1, "bf16": 30}


@ll.llama_log_callback
def silent(_level, _text, _ctx):
    pass


class Worker:
    def __init__(self, config):
        self.config = config
        ll.llama_log_set(silent, ctypes.c_void_p(0))
        ll.llama_backend_init()
        self.model = ll.llama_model_load_from_file(config["model"].encode(), ll.llama_model_default_params())
        if not self.model:
            sys.exit("llama.cpp cannot load '%s'" % config["model"])
        self.n_vocab = ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(self.model))
        self.batch = ll.llama_batch_init(BATCH, 0, 1)
        self.contexts = {}  # one for each work, of the size it needs: its best case
        self.context = None

    def open_context(self, n_seq, n_tok):
        params = ll.llama_context_default_params()
        params.n_ctx = n_seq * ((n_tok + 255) // 256 * 256)
        params.n_batch = params.n_ubatch = BATCH
        params.n_seq_max = n_seq
        params.n_threads = params.n_threads_batch = self.config["threads"]
        params.type_k = params.type_v = KV_TYPES[self.config["kv_type"]]
        context = ll.llama_init_from_model(self.model, params)
        if not context:
            sys.exit("llama.cpp cannot open a context of %d tokens" % params.n_ctx)
        return context

    def decode(self, entries):
        """One batch of (position, sequence, whether logits are wanted)."""
        for i, (pos, seq, wanted) in enumerate(entries):
            self.batch.token[i] = random.randrange(self.n_vocab)
            self.batch.pos[i] = pos
            self.batch.n_seq_id[i] = 1
            self.batch.seq_id[i][0] = seq
            self.batch.logits[i] = wanted
        self.batch.n_tokens = len(entries)
        status = ll.llama_decode(self.context, self.batch)
        if status != 0:
            sys.exit("llama_decode gives %d" % status)
        ll.llama_synchronize(self.context)

    def prompt(self, n_seq, n_tok):
        entries = [(pos, seq, pos == n_tok - 1) for seq in range(n_seq) for pos in range(n_tok)]
        for at in range(0, len(entries), BATCH):
            self.decode(entries[at:at + BATCH])

    def run(self, name, tokens, batch, depth):
        work = (name, tokens, batch, depth)
        if work not in self.contexts:
            self.contexts[work] = self.open_context(batch, depth + tokens + PROMPT)
        self.context = self.contexts[work]
        ll.llama_memory_clear(ll.llama_get_memory(self.context), False)
        if name == "prefill":
            start = time.monotonic()
            self.prompt(1, tokens)
            return tokens / (time.monotonic() - start)
        held = depth or (PROMPT if name == "batched decode" else 1)
        self.prompt(batch, held)
        start = time.monotonic()
        for i in range(tokens):
            self.decode([(held + i, seq, True) for seq in range(batch)])
        return tokens * batch / (time.monotonic() - start)


def main():
    worker = Worker(json.loads(sys.argv[1]))
    print(json.dumps({"version": ll.__version__}), flush=True)
    for line in sys.stdin:
        print(json.dumps({"tok_s": worker.run(*json.loads(line))}), flush=True)


if __name__ == "__main__":
    main()
