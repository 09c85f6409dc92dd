# SPDX-License-Identifier: Apache-2.0
"""CTranslate2 behind the pipe: a Generator, whose callback tells when each token of each stream is there.

It reads all but the last token of a prompt in one piece and without logits, then takes a step with the last one, and
chooses greedily. Keys and values have the type it calculates in.
"""
import json
import os
import random
import time

import ctranslate2
import worker

IDS = 256  # ids below are ordinary tokens in every model


class Translate:
    def __init__(self, settings):
        with open(os.path.join(settings["model"], "config.json"), encoding="utf-8") as file:
            compute_type = json.load(file)["compute_type"]  # ctranslate2_model.py left it there
        self.generator = ctranslate2.Generator(settings["model"], compute_type=compute_type, inter_threads=1,
                                               intra_threads=settings["threads"])
        compute_type = self.generator.compute_type
        self.about = "ctranslate2 %s; calculates in %s, keys and values %s" % (
            ctranslate2.__version__, compute_type, compute_type.split("_")[-1])

    def step_times(self, n_seq, held, tokens):
        """When each of so many steps was complete: a step is when its last stream has its token."""
        prompts = [[str(random.randrange(IDS)) for _ in range(held)] for _ in range(n_seq)]
        times = [0.0] * tokens

        def heard(result):
            times[result.step] = time.monotonic()
            return False

        self.generator.generate_batch(prompts, max_length=tokens, min_length=tokens, include_prompt_in_result=False,
                                      callback=heard)
        return times

    def prefill(self, tokens):
        start = time.monotonic()
        return self.step_times(1, tokens, 1)[0] - start

    def decode(self, n_seq, held, tokens):
        times = self.step_times(n_seq, held, tokens + 1)
        return times[tokens] - times[0]


if __name__ == "__main__":
    worker.serve(Translate)
