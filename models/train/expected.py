# SPDX-License-Identifier: Apache-2.0
"""Write story.expected.json: what an exact engine computes from the shipped file.

Float64 arithmetic over the dequantised Q8_0 weights, activations never rounded. Of the logits after
each prompt every fourth is listed, with the log of the sum of exponentials over all of them.
"""
import argparse
import json

import torch

from load import load_gguf

N_GREEDY = 64
STRIDE = 4
PROMPTS = (
    "<|begin_of_text|>Once upon a time",
    "<|begin_of_text|><|user|>\nTell me a story about a girl named Lily and a boat.<|end|>\n"
    "<|assistant|>\n",
    "<|begin_of_text|><|user|>\nHello!<|end|>\n"
    "<|assistant|>\nHello! What kind of story would you like to hear?<|end|>\n"
    "<|user|>\nWrite a fable about a proud crow in a snowy forest.<|end|>\n<|assistant|>\n",
)


@torch.no_grad()
def case(model, tokenizer, prompt):
    ids = tokenizer.encode(prompt).ids
    first, greedy, gap = None, [], float("inf")
    for _ in range(N_GREEDY):
        logits = model(torch.tensor([ids + greedy]))[0, -1]
        first = logits if first is None else first
        best = logits.topk(2)
        gap = min(gap, (best.values[0] - best.values[1]).item())
        greedy.append(best.indices[0].item())
    return {
        "prompt": prompt,
        "ids": ids,
        "logits_every_4th": [round(x, 6) for x in first[::STRIDE].tolist()],
        "log_sum_exp": round(first.logsumexp(0).item(), 6),
        "greedy_ids": greedy,
        "greedy_text": tokenizer.decode(greedy, skip_special_tokens=False),
        "smallest_top2_gap": round(gap, 6),
    }


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--gguf", default="../story.gguf")
    args.add_argument("--out", default="../story.expected.json")
    args = args.parse_args()
    model, tokenizer = load_gguf(args.gguf)
    model.double()
    cases = [case(model, tokenizer, prompt) for prompt in PROMPTS]
    with open(args.out, "w", encoding="utf-8") as out:
        json.dump({"model": "story.gguf", "arithmetic": "float64 over the dequantised Q8_0 weights",
                   "cases": cases}, out, separators=(",", ":"), ensure_ascii=False)
        out.write("\n")


if __name__ == "__main__":
    main()
