# SPDX-License-Identifier: Apache-2.0
"""llama.cpp behind the pipe, through its low-level calls, as llama.cpp's own bench does: random tokens, batches of
512, logits where a token would be sampled, no sampling."""
import ctypes
import random
import time

import llama_cpp as ll
import worker

KV_TYPES = {"f32": 0, "f16": 1, "bf16": 30}


@ll.llama_log_callback
def silent(_level, _text, _ctx):
    pass


class Llama:
    def __init__(self, settings):
        self.settings = settings
        ll.llama_log_set(silent, ctypes.c_void_p(0))
        ll.llama_backend_init()
        self.model = ll.llama_model_load_from_file(settings["model"].encode(), ll.llama_model_default_params())
        if not self.model:
            raise RuntimeError("llama.cpp cannot load '%s'" % settings["model"])
        self.n_vocab = ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(self.model))
        self.batch = ll.llama_batch_init(worker.CHUNK, 0, 1)
        self.contexts = {}  # one for each work, of the size it needs: its best case
        self.context = None
        self.about = "llama-cpp-python %s; keys and values %s" % (ll.__version__, settings["kv_type"])

    def open_context(self, n_seq, n_tok):
        params = ll.llama_context_default_params()
        params.n_ctx = n_seq * ((n_tok + 255) // 256 * 256)
        params.n_batch = params.n_ubatch = worker.CHUNK
        params.n_seq_max = n_seq
        params.n_threads = params.n_threads_batch = self.settings["threads"]
        params.type_k = params.type_v = KV_TYPES[self.settings["kv_type"]]
        context = ll.llama_init_from_model(self.model, params)
        if not context:
            raise RuntimeError("llama.cpp cannot open a context of %d tokens" % params.n_ctx)
        return context

    def use_context(self, n_seq, n_tok):
        """An empty one for so many tokens of each sequence."""
        if (n_seq, n_tok) not in self.contexts:
            self.contexts[n_seq, n_tok] = self.open_context(n_seq, n_tok)
        self.context = self.contexts[n_seq, n_tok]
        ll.llama_memory_clear(ll.llama_get_memory(self.context), False)

    def step(self, entries):
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
            raise RuntimeError("llama_decode gives %d" % status)
        ll.llama_synchronize(self.context)

    def prompt(self, n_seq, n_tok):
        entries = [(pos, seq, pos == n_tok - 1) for seq in range(n_seq) for pos in range(n_tok)]
        for at in range(0, len(entries), worker.CHUNK):
            self.step(entries[at:at + worker.CHUNK])

    def prefill(self, tokens):
        self.use_context(1, tokens)
        start = time.monotonic()
        self.prompt(1, tokens)
        return time.monotonic() - start

    def decode(self, n_seq, held, tokens):
        self.use_context(n_seq, held + tokens)
        self.prompt(n_seq, held)
        start = time.monotonic()
        for i in range(tokens):
            self.step([(held + i, seq, True) for seq in range(n_seq)])
        return time.monotonic() - start


if __name__ == "__main__":
    worker.serve(Llama)
