# SPDX-License-Identifier: Apache-2.0
"""Read a model back: from the trainer's file, or from a GGUF file and nothing else.

The latter takes shapes, weights and tokenizer from the GGUF alone and undoes what export.py did, so
that a mistake there shows as a loss or logits that differ.
"""
from pathlib import Path

import gguf
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from export import gguf_name
from model import Config, Llama
from tokenizer import LLAMA3


def load(path, tokenizer_path="tokenizer.json"):
    """(model in evaluation mode, tokenizer) of a .pt or .gguf file."""
    if Path(path).suffix == ".gguf":
        model, tokenizer = load_gguf(path)
    else:
        saved = torch.load(path, weights_only=True)
        model, tokenizer = Llama(Config(**saved["config"])), Tokenizer.from_file(tokenizer_path)
        model.load_state_dict(saved["weights"])
    return model.eval(), tokenizer


def load_gguf(path):
    reader = gguf.GGUFReader(path)
    key = lambda name: reader.get_field(name).contents()
    arch = lambda name: key(f"llama.{name}")
    cfg = Config(n_vocab=arch("vocab_size"), d_model=arch("embedding_length"),
                 n_layer=arch("block_count"), n_head=arch("attention.head_count"),
                 n_kv=arch("attention.head_count_kv"), d_ff=arch("feed_forward_length"),
                 n_ctx=arch("context_length"), rope_base=arch("rope.freq_base"),
                 norm_eps=arch("attention.layer_norm_rms_epsilon"))
    stored = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in reader.tensors}
    model = Llama(cfg)
    weights = {}
    for name in model.state_dict():
        data = stored.pop(gguf_name(name))
        if "q_proj" in name:
            data = halves(data, cfg.n_head)
        if "k_proj" in name:
            data = halves(data, cfg.n_kv)
        weights[name] = torch.tensor(data)
    if stored:
        raise ValueError(f"tensors without a place: {sorted(stored)}")
    model.load_state_dict(weights)
    return model, tokenizer_of(key)


def halves(weight, n_head):
    """Rows of each head from neighbouring rotary pairs to the half-split order."""
    d_out, d_in = weight.shape
    return weight.reshape(n_head, d_out // n_head // 2, 2, d_in).swapaxes(1, 2).reshape(d_out, d_in)


def tokenizer_of(key):
    tokens, types = key("tokenizer.ggml.tokens"), key("tokenizer.ggml.token_type")
    merges = [tuple(m.split(" ")) for m in key("tokenizer.ggml.merges")]
    vocab = {t: i for i, t in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab, merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    control = [t for t, kind in zip(tokens, types) if kind == gguf.TokenType.CONTROL]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in control])
    return tokenizer
