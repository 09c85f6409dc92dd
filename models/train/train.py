# SPDX-License-Identifier: Apache-2.0
"""Train the bundled story model on two CPU cores within a given time.

The learning rate follows the clock: it warms up, stays, and falls to zero over the last part of
--minutes, so that a busy machine sees fewer tokens but always ends with a finished model. With
--steps it follows the step count instead, which makes two runs alike. The result is one file,
<out>/model.pt, with weights and configuration; export.py makes the GGUF of it.
"""
import argparse
import math
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from load import load
from model import Config, Llama
from muon import Muon
from rows import BOS, DRAW_FIRST, DRAW_LATER, IGNORE, row_stream, split_rows
from score import held_out_sets, score
from text import read_classics, read_fables, read_stories, split_held_out

WARM = 0.02  # share of the run in which the rate rises
FALL = 0.75  # share at the end in which it falls to zero
CHECK_SHARE = 4  # every how many held-out documents are scored while training


def rate(progress):
    """Factor on the learning rates at progress 0..1."""
    return max(0.0, min(progress / WARM, 1.0, (1 - progress) / FALL))


def make_optimizers(model):
    """Muon for the matrices inside the layers, AdamW for the embedding and the norms."""
    inner = [p for p in model.layers.parameters() if p.ndim == 2]
    norms = [p for p in model.parameters() if p.ndim == 1]
    adam = torch.optim.AdamW(
        [dict(params=[model.embed_tokens.weight], lr=2e-3), dict(params=norms, lr=2e-3)],
        betas=(0.9, 0.95), weight_decay=0.0)
    optimizers = [Muon(inner, lr=0.01, weight_decay=0.2), adam]
    for group in (g for o in optimizers for g in o.param_groups):
        group["lr_full"] = group["lr"]
    return optimizers


def accumulate(results, params, n_target):
    """Add the gradients of several batches into params; returns the mean loss per token."""
    total = 0.0
    for loss, grads in results:
        total += loss / n_target
        for p, grad in zip(params, grads):
            grad /= n_target
            p.grad = grad if p.grad is None else p.grad.add_(grad)
    return total


def update(optimizers, factor):
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["lr_full"] * factor
        optimizer.step()
        optimizer.zero_grad()


class Run:
    """Where a run stands; saved and loaded with the model so that it can be taken up again."""

    def __init__(self, args, model, optimizers):
        self.args, self.model, self.optimizers = args, model, optimizers
        self.path = Path(args.out) / "model.pt"
        self.step = self.n_tok = 0
        self.spent_s = 0.0
        if args.resume and self.path.exists():
            self.load()

    def progress(self):
        if self.args.steps:
            return self.step / self.args.steps
        return self.spent_s / (60 * self.args.minutes)

    def save(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        torch.save(dict(config=asdict(self.model.cfg), weights=self.model.state_dict(),
                        optimizers=[o.state_dict() for o in self.optimizers],
                        step=self.step, n_tok=self.n_tok, spent_s=self.spent_s), part)
        part.replace(self.path)

    def load(self):
        saved = torch.load(self.path, weights_only=True)
        self.model.load_state_dict(saved["weights"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"]):
            optimizer.load_state_dict(state)
        self.step, self.n_tok, self.spent_s = saved["step"], saved["n_tok"], saved["spent_s"]


def compiled_loss(model):
    """Summed loss of a batch as one compiled function."""
    @torch.compile
    def loss_of(inputs, targets, mask):
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(inputs, mask)
        return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(),
                               ignore_index=IGNORE, reduction="sum")
    return loss_of


def two_streams(run, docs, tokenizer):
    """Endless rows: of all texts for the share --books of the run, then of the stories alone."""
    first, later = (row_stream(docs, draw, tokenizer, run.model.cfg.n_ctx, run.args.seed + run.step)
                    for draw in (DRAW_FIRST, DRAW_LATER))
    while True:
        yield next(first if run.progress() < run.args.books else later)


def train(run, rows, bos, on_check):
    """Steps until the run's time or step count is used up; on_check every --check-minutes.

    The batches of a step go to threads that each work alone. Threads that share every operation
    would spend their time waiting for each other when other programs want the cores.
    """
    args, params = run.args, list(run.model.parameters())
    loss_of = compiled_loss(run.model)

    def loss_and_grads(batch):
        loss = loss_of(*batch)
        return loss.item(), torch.autograd.grad(loss, params)

    def next_batch():
        return split_rows(list(islice(rows, args.rows)), bos)

    loss_and_grads(next_batch())  # compiles, which is not safe on several threads
    pool = ThreadPoolExecutor(args.threads)
    smooth, checked_s, start = None, run.spent_s, time.monotonic() - run.spent_s
    while run.progress() < args.until:
        batches = [next_batch() for _ in range(args.parts)]
        n_target = sum((targets != IGNORE).sum().item() for _, targets, _ in batches)
        loss = accumulate(pool.map(loss_and_grads, batches), params, n_target)
        update(run.optimizers, rate(run.progress()))
        if not math.isfinite(loss):
            raise SystemExit(f"loss is {loss} at step {run.step}")
        smooth = loss if smooth is None else 0.98 * smooth + 0.02 * loss
        run.step += 1
        run.n_tok += n_target
        run.spent_s = time.monotonic() - start
        if run.step % 20 == 0:
            print(f"step {run.step} done {run.progress():.3f} tokens {run.n_tok} loss {smooth:.3f} "
                  f"tok/s {run.n_tok / run.spent_s:.0f}", flush=True)
        if run.spent_s - checked_s > 60 * args.check_minutes:
            on_check()
            checked_s = run.spent_s


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--data", required=True, help="folder that holds text/ and chat-data/")
    args.add_argument("--tokenizer", default="tokenizer.json")
    args.add_argument("--out", default="run")
    args.add_argument("--minutes", type=float, default=90)
    args.add_argument("--steps", type=int, default=0, help="follow the step count, not the clock")
    args.add_argument("--init", help="model to begin with, .pt or .gguf; none: random weights")
    args.add_argument("--dropout", type=float, default=0.1)
    args.add_argument("--until", type=float, default=1.0, help="share of the run to stop at")
    args.add_argument("--books", type=float, default=0.25, help="share of the run that reads them")
    args.add_argument("--check-minutes", type=float, default=5, help="between saves")
    args.add_argument("--threads", type=int, default=2)
    args.add_argument("--rows", type=int, default=3, help="rows of n_ctx tokens at a time")
    args.add_argument("--parts", type=int, default=4, help="times --rows per update")
    args.add_argument("--seed", type=int, default=0)
    args.add_argument("--resume", action="store_true")
    args = args.parse_args()

    torch.set_num_threads(1)  # see train()
    torch.manual_seed(args.seed)
    tokenizer = Tokenizer.from_file(args.tokenizer)
    docs = read_stories(args.data) + read_fables(args.data)
    docs, held = split_held_out(docs, random.Random(0))
    docs += read_classics(args.data)
    sets = held_out_sets(held)
    model = Llama(Config(n_vocab=tokenizer.get_vocab_size()), args.dropout)
    if args.init:
        model.load_state_dict(load(args.init, args.tokenizer)[0].state_dict())
    run = Run(args, model, make_optimizers(model))
    n_param = sum(p.numel() for p in model.parameters())
    print(f"{n_param} parameters, {len(docs)} documents", flush=True)

    def check():
        run.save()
        model.eval()
        for name, texts in sets.items():
            loss = score(model, texts[::CHECK_SHARE], tokenizer)["nats_per_token"]
            print(f"held out {name} {loss:.4f}", flush=True)
        model.train()

    train(run, two_streams(run, docs, tokenizer), tokenizer.token_to_id(BOS), check)
    check()


if __name__ == "__main__":
    main()
