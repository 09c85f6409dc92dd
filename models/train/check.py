# SPDX-License-Identifier: Apache-2.0
"""Held-out loss of the trained and of the shipped model, and two checks of the exported forms.

The GGUF is read back by load.py and must score like the weights it came from; transformers' own
Llama, opened from the Hugging Face directory, must give the same logits and the same prompt text.
"""
import argparse
import random

import torch

from load import load
from rows import chat_text
from score import held_out_sets, score
from text import read_fables, read_stories, split_held_out, unseen_fables

LOGIT_TOLERANCE = 2e-4  # f32 sums in another order


def print_scores(path, sets):
    model, tokenizer = load(path)
    for name, texts in sets.items():
        s = score(model, texts, tokenizer)
        print(f"{path}  {name:22} {s['nats_per_token']:.4f} nats/token  "
              f"{s['bits_per_byte']:.4f} bits/byte  ({s['n_tok']} tokens, {s['n_byte']} bytes)")


@torch.no_grad()
def check_hf(path, folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer
    model, tokenizer = load(path)
    other = AutoModelForCausalLM.from_pretrained(folder)
    other_tokenizer = AutoTokenizer.from_pretrained(folder)
    turns = [("Hello!", "Hello! Who is the story about?"), ("A fox.", "One day, a fox ran.")]
    text = chat_text(turns)
    messages = [dict(role=role, content=content) for turn in turns
                for role, content in zip(("user", "assistant"), turn)]
    assert other_tokenizer.apply_chat_template(messages, tokenize=False) == text
    ids = tokenizer.encode(text).ids
    assert other_tokenizer(text, add_special_tokens=False).input_ids == ids
    assert other_tokenizer("One day").input_ids == tokenizer.encode("<|begin_of_text|>One day").ids
    ids = torch.tensor([(ids * 20)[:model.cfg.n_ctx]])
    worst = (model(ids) - other(ids).logits).abs().max().item()
    print(f"{folder}  largest logit difference {worst:.2e}")
    assert worst < LOGIT_TOLERANCE


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--data", required=True, help="folder that holds text/ and chat-data/")
    args.add_argument("--model", default="run/model.pt")
    args.add_argument("--gguf", default="../story.gguf")
    args.add_argument("--hf", help="folder that export.py --hf wrote")
    args = args.parse_args()
    docs = read_stories(args.data) + read_fables(args.data)
    _, held = split_held_out(docs, random.Random(0))
    held["fables, unseen"] = unseen_fables(args.data, docs, random.Random(0))
    sets = held_out_sets(held)
    for path in (args.model, args.gguf):
        print_scores(path, sets)
    if args.hf:
        check_hf(args.model, args.hf)


if __name__ == "__main__":
    main()
