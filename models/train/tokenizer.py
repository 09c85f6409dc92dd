# SPDX-License-Identifier: Apache-2.0
"""Train the tokenizer: byte-level BPE of 4096 pieces with the Llama-3 pre-tokenizer pattern.

Every byte has a piece, so there is no unknown token. The five control tokens come first (ids 0-4).
"""
import argparse
import random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from rows import SPECIALS
from text import read_fables, read_stories, split_held_out
from wording import request

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def train_tokenizer(texts, n_vocab):
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))  # as the readers of "llama-bpe" do
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab, special_tokens=list(SPECIALS), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--data", required=True, help="folder that holds text/ and chat-data/")
    args.add_argument("--out", default="tokenizer.json")
    args.add_argument("--vocab", type=int, default=4096)
    args = args.parse_args()
    rng = random.Random(0)
    docs, _ = split_held_out(read_stories(args.data) + read_fables(args.data), rng)
    texts = [d.story for d in docs] + [request(d, rng) for d in docs if d.facts]
    train_tokenizer(texts, args.vocab).save(args.out)


if __name__ == "__main__":
    main()
