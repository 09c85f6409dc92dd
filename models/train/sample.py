# SPDX-License-Identifier: Apache-2.0
"""Print a story that the model tells.

    python sample.py --model ../story.gguf --text "Once upon a time"
    python sample.py --model ../story.gguf --ask "Tell me a story about a cat." --seed 2
"""
import argparse

import torch

from load import load
from rows import ASSISTANT, BOS, END, EOS, USER


@torch.no_grad()
def sample(model, tokenizer, prompt, temperature=0.7, top_p=0.9, seed=0, n_max=400):
    """Continue prompt until an end token; temperature 0 takes the likeliest token."""
    rng = torch.Generator().manual_seed(seed)
    stop = {tokenizer.token_to_id(t) for t in (EOS, END)}
    ids = tokenizer.encode(prompt).ids
    n_prompt = len(ids)
    while len(ids) < min(n_prompt + n_max, model.cfg.n_ctx):
        logits = model(torch.tensor([ids]))[0, -1].float()
        token = pick(logits, temperature, top_p, rng)
        if token in stop:
            break
        ids.append(token)
    return tokenizer.decode(ids[n_prompt:])


def pick(logits, temperature, top_p, rng):
    if temperature == 0:
        return logits.argmax().item()
    prob, order = (logits / temperature).softmax(0).sort(descending=True)
    prob[prob.cumsum(0) - prob > top_p] = 0
    return order[torch.multinomial(prob, 1, generator=rng)].item()


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--model", default="../story.gguf")
    form = args.add_mutually_exclusive_group()
    form.add_argument("--text", default="", help="how the story begins")
    form.add_argument("--ask", help="a request, in the chat form")
    args.add_argument("--temperature", type=float, default=0.7)
    args.add_argument("--top-p", type=float, default=0.9)
    args.add_argument("--seed", type=int, default=0)
    args = args.parse_args()
    model, tokenizer = load(args.model)
    prompt = f"{BOS}{USER}\n{args.ask}{END}\n{ASSISTANT}\n" if args.ask else BOS + args.text
    reply = sample(model, tokenizer, prompt, args.temperature, args.top_p, args.seed)
    print(reply if args.ask else args.text + reply)


if __name__ == "__main__":
    main()
