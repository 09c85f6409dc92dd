# SPDX-License-Identifier: Apache-2.0
"""Held-out loss: nats per token and bits per byte of the text that is to be predicted.

Plain sets score the story and its end mark, chat sets score only the reply and its end mark, given
the request. A text that exceeds the context is scored up to there.
"""
import math
import random

import torch
import torch.nn.functional as F

from rows import ASSISTANT, BOS, END, EOS, IGNORE, USER
from wording import request


def held_out_sets(held):
    """{name: [(given, predicted), ...]}, control tokens spelled out."""
    rng = random.Random(1)
    ask = lambda doc: (f"{BOS}{USER}\n{request(doc, rng)}{END}\n{ASSISTANT}\n", doc.story + END)
    sets = {"tinystories": [(BOS, doc.story + EOS) for doc in held["tinystories"]]}
    for source, docs in held.items():
        sets[f"{source}, chat"] = [ask(doc) for doc in docs]
    return sets


@torch.no_grad()
def score(model, texts, tokenizer, n_batch=8):
    """Mean loss over texts [(given, predicted), ...], each from its own start."""
    rows = []
    for given, predicted in texts:
        prompt = tokenizer.encode(given).ids
        reply = tokenizer.encode(predicted).ids[:model.cfg.n_ctx + 1 - len(prompt)]
        rows.append((prompt, reply))
    rows.sort(key=lambda row: len(row[0]) + len(row[1]))
    nats = n_tok = n_byte = 0
    for i in range(0, len(rows), n_batch):
        batch = rows[i:i + n_batch]
        width = max(len(p) + len(r) for p, r in batch)
        ids = torch.zeros(len(batch), width, dtype=torch.long)
        targets = torch.full_like(ids, IGNORE)
        for k, (prompt, reply) in enumerate(batch):
            end = len(prompt) + len(reply)
            ids[k, :end] = torch.tensor(prompt + reply)
            targets[k, len(prompt):end] = torch.tensor(reply)
            n_byte += len(tokenizer.decode(reply).encode())
        logits = model(ids[:, :-1]).float()
        nats += F.cross_entropy(logits.flatten(0, 1), targets[:, 1:].flatten(),
                                ignore_index=IGNORE, reduction="sum").item()
        n_tok += (targets != IGNORE).sum().item()
    return dict(nats_per_token=nats / n_tok, bits_per_byte=nats / n_byte / math.log(2),
                n_tok=n_tok, n_byte=n_byte)
