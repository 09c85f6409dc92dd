# SPDX-License-Identifier: Apache-2.0
"""OpenVINO GenAI behind the pipe: its continuous batching pipeline, one step at a time.

A step reads at most 512 tokens of prompts and gives each running request one token, chosen greedily. Nothing is
set but threads and the type of keys and values: the type it calculates in and how it rounds activations are its own.
"""
import random
import time

import numpy
import openvino
import openvino_genai as genai
import worker

BLOCK = 32  # tokens of a block of keys and values on CPUs
IDS = 256   # ids below are ordinary tokens in every model


def drain(request):
    """The number of tokens that it has and nobody read."""
    n = 0
    while request.can_read():
        request.read()
        n += 1
    return n


class OpenVino:
    def __init__(self, settings):
        scheduler = genai.SchedulerConfig()
        scheduler.max_num_batched_tokens = worker.CHUNK
        scheduler.max_num_seqs = max([batch for _, _, batch, _ in settings["works"]])
        scheduler.num_kv_blocks = worker.tokens_held(settings["works"]) // BLOCK + scheduler.max_num_seqs + 8
        scheduler.enable_prefix_caching = False
        options = {"INFERENCE_NUM_THREADS": settings["threads"], "KV_CACHE_PRECISION": settings["kv_type"]}
        self.pipeline = genai.ContinuousBatchingPipeline(settings["model"], scheduler, "CPU", options)
        precision = openvino.Core().get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()
        self.about = "openvino-genai %s; calculates in %s, keys and values %s" % (
            genai.get_version().split("-")[0], precision, settings["kv_type"])

    def add(self, request_id, n_tok):
        ids = numpy.array([[random.randrange(IDS) for _ in range(n_tok)]], dtype=numpy.int64)
        config = genai.GenerationConfig(max_new_tokens=1 << 20, ignore_eos=True, apply_chat_template=False)
        return self.pipeline.add_request(request_id, openvino.Tensor(ids), config)

    def read_prompts(self, requests):
        """Steps until each of them has its first token."""
        waiting = requests
        while waiting:
            self.pipeline.step()
            waiting = [request for request in waiting if not request.can_read()]

    def end(self, requests):
        for request in requests:
            request.cancel()
        while self.pipeline.has_non_finished_requests():
            self.pipeline.step()

    def prefill(self, tokens):
        request = self.add(0, tokens)
        start = time.monotonic()
        self.read_prompts([request])
        seconds = time.monotonic() - start
        self.end([request])
        return seconds

    def decode(self, n_seq, held, tokens):
        requests = [self.add(seq, held) for seq in range(n_seq)]
        self.read_prompts(requests)
        for request in requests:
            drain(request)
        start = time.monotonic()
        for _ in range(tokens):
            self.pipeline.step()
        seconds = time.monotonic() - start
        if any(drain(request) != tokens for request in requests):
            raise RuntimeError("%d steps did not give each of %d streams %d tokens" % (tokens, n_seq, tokens))
        self.end(requests)
        return seconds


if __name__ == "__main__":
    worker.serve(OpenVino)
