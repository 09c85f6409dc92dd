# SPDX-License-Identifier: Apache-2.0
"""From documents to rows of token ids.

    plain   <|begin_of_text|> story <|end_of_text|>
    chat    <|begin_of_text|> { <|user|>\\n request <|end|>\\n <|assistant|>\\n reply <|end|>\\n }

A row holds n_ctx + 1 ids and starts at a document's start or, for a text longer than a row, where
the row before left off. Each further document of a row sees only itself (see document_mask). A
document appears in another form and with another request in each pass over the texts.
"""
import random

import torch

from wording import request, small_talk

BOS, EOS, USER, ASSISTANT, END = SPECIALS = (
    "<|begin_of_text|>", "<|end_of_text|>", "<|user|>", "<|assistant|>", "<|end|>")
IGNORE = -100  # target that carries no loss

# How often a document of each source is drawn in one pass: first, for English at large, and later,
# when the model is to become a teller of short stories. And how often it is drawn as chat.
DRAW_FIRST = {"tinystories": 0.5, "fables": 0.5, "picture_books": 0.5, "fairy_tales": 1.0,
              "classics": 1.0}
DRAW_LATER = {"tinystories": 1.0, "fables": 1.0, "picture_books": 0.75, "fairy_tales": 0.35,
              "classics": 0.0}
CHAT = {"tinystories": 0.5, "fables": 0.8, "picture_books": 0.0, "fairy_tales": 0.0,
        "classics": 0.0}
SECOND_STORY = 0.1  # chats that go on to another story
TALK = 0.15  # chats that begin or end with small talk
POOL = 1200  # documents that are laid into rows together
TAIL = 8  # tokens past a row's end that are not worth another row


def chat_text(turns):
    """The chat form of [(request, reply), ...]; the template in export.py renders the same."""
    return BOS + "".join(f"{USER}\n{ask}{END}\n{ASSISTANT}\n{reply}{END}\n" for ask, reply in turns)


def plain_text(story):
    return BOS + story + EOS


def worded(doc, docs, rng):
    """One of the forms that doc can take."""
    if rng.random() >= CHAT[doc.source]:
        return plain_text(doc.story)
    turns = [(request(doc, rng), doc.story)]
    if rng.random() < SECOND_STORY:
        other = rng.choice(docs)
        if CHAT[other.source]:
            turns.append((request(other, rng), other.story))
    if rng.random() < TALK:
        turns.insert(rng.choice((0, len(turns))), small_talk(rng))
    return chat_text(turns)


def endless_texts(docs, draw, rng):
    """Pass after pass over docs, each pass in a new order."""
    while True:
        drawn = [d for d in docs if rng.random() < draw[d.source]]
        rng.shuffle(drawn)
        for doc in drawn:
            yield worded(doc, docs, rng)


def lay_rows(pieces, length):
    """Best fit: each piece goes into the fullest row that still has room for it."""
    room = {n: [] for n in range(length + 1)}
    rows = []
    for piece in sorted(pieces, key=len, reverse=True):
        left = next((n for n in range(len(piece), length + 1) if room[n]), None)
        row = room[left].pop() if left is not None else []
        if left is None:
            rows.append(row)
        row += piece
        room[length - len(row)].append(row)
    return rows


def row_stream(docs, draw, tokenizer, n_ctx, seed):
    """Endless rows of n_ctx + 1 ids, short rows padded with -1."""
    rng = random.Random(seed)
    texts = endless_texts(docs, draw, rng)
    while True:
        batch = tokenizer.encode_batch([next(texts) for _ in range(POOL)])
        pieces = []
        for ids in (e.ids for e in batch):
            pieces += [ids[i:i + n_ctx + 1] for i in range(0, len(ids) - TAIL, n_ctx)]
        rows = lay_rows(pieces, n_ctx + 1)
        rng.shuffle(rows)
        for row in rows:
            yield row + [-1] * (n_ctx + 1 - len(row))


def split_rows(rows, bos):
    """(inputs, targets, mask) of a batch of rows; padding and the next document carry no loss."""
    rows = torch.tensor(rows)
    inputs, targets = rows[:, :-1], rows[:, 1:].clone()
    targets[(targets == -1) | (targets == bos)] = IGNORE
    return inputs.clamp(min=0), targets, document_mask(inputs, bos)


def document_mask(inputs, bos):
    """True where a position may look: not ahead, and not past the start of its own document."""
    doc = (inputs == bos).cumsum(dim=1)
    n_tok = inputs.shape[1]
    causal = torch.ones(n_tok, n_tok, dtype=torch.bool).tril()
    return ((doc[:, :, None] == doc[:, None, :]) & causal)[:, None]
