#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make test/golden/models: tiny random models of every family, and what transformers says of them.

Each model is a Hugging Face directory (config.json, F32 safetensors) with an expected.json beside it:

  {"transformers": version, "ids": prompt, "logits": [[...], ...] one row a prompt position,
   "greedy": ids generated greedily after the prompt, "gap": smallest lead of a greedy id}

Weights, biases and norms are random and far from 0 and 1, so that leaving one out shows; for every
feature (window, scaling, bias, q/k norm) the script also runs the model without it and insists that
the logits move by far more than any tolerance. Directories marked `legacy` get the config.json that
transformers 4 wrote (rope_theta, rope_scaling); the others keep what transformers 5 writes
(rope_parameters). Everything is computed in float64 with eager attention; transformers itself does
norms and rotary angles in float32 whatever one asks for, which leaves errors of about 1e-6.

Usage: make_models.py [OUT_DIR]      needs torch, transformers (5.x), safetensors
"""
import copy
import json
import math
import pathlib
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

N_PROMPT, N_GREEDY, GAP_MIN, EFFECT_MIN = 28, 24, 0.02, 0.02
COMMON = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None, hidden_act="silu")


def rope(kind="default", theta=10000.0, **more):
    return dict(rope_type=kind, rope_theta=theta, **more)


# Ways to take a feature away: changes of the config, or functions of the state dict.
def zero(part):
    return lambda sd: {k: torch.zeros_like(v) if part in k else v for k, v in sd.items()}


def one(part):
    return lambda sd: {k: torch.ones_like(v) if part in k else v for k, v in sd.items()}


NORMS = one("norm.weight"), one("layernorm.weight")
PLAIN_ROPE = dict(rope_parameters=rope())


def llama(**over):
    base = dict(hidden_size=36, num_attention_heads=6, num_key_value_heads=2, intermediate_size=76,
                num_hidden_layers=2, vocab_size=101, rms_norm_eps=1e-5, max_position_embeddings=96,
                tie_word_embeddings=False, rope_parameters=rope(), **COMMON)
    return LlamaConfig(**{**base, **over})


def small(**over):
    return llama(**{**dict(hidden_size=32, num_attention_heads=2, num_key_value_heads=1,
                           intermediate_size=64), **over})


def mistral(**over):
    base = dict(hidden_size=32, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
                intermediate_size=72,
                num_hidden_layers=2, vocab_size=103, rms_norm_eps=1e-5, max_position_embeddings=96,
                tie_word_embeddings=False, rope_parameters=rope(), sliding_window=8, **COMMON)
    return MistralConfig(**{**base, **over})


def qwen2(**over):
    base = dict(hidden_size=32, num_attention_heads=4, num_key_value_heads=2, intermediate_size=68,
                num_hidden_layers=2, vocab_size=109, rms_norm_eps=1e-6, max_position_embeddings=96,
                tie_word_embeddings=False, rope_parameters=rope(theta=1e6), use_sliding_window=False,
                **COMMON)
    return Qwen2Config(**{**base, **over})


def qwen3(**over):
    base = dict(hidden_size=32, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
                intermediate_size=72, num_hidden_layers=2, vocab_size=120, rms_norm_eps=1e-6,
                max_position_embeddings=96, tie_word_embeddings=False, rope_parameters=rope(theta=1e6),
                use_sliding_window=False, **COMMON)
    return Qwen3Config(**{**base, **over})


# name -> (config, options)
MODELS = {
    "llama": (llama(), dict(legacy=True)),
    "llama-tied": (small(num_attention_heads=4, num_key_value_heads=1, num_hidden_layers=3, vocab_size=112,
                         tie_word_embeddings=True), {}),
    "llama-head-dim": (small(num_attention_heads=4, num_key_value_heads=2, head_dim=20), {}),
    "llama-bias": (small(num_attention_heads=4, num_key_value_heads=2, attention_bias=True, mlp_bias=True),
                   dict(without=[zero("q_proj.bias"), zero("o_proj.bias"), zero("down_proj.bias"),
                                 zero("gate_proj.bias")])),
    "llama-rope-linear": (small(num_key_value_heads=2, rope_parameters=rope("linear", factor=4.0)),
                          dict(legacy=True, without=[PLAIN_ROPE])),
    # wavelengths 6.3, 20, 63, 199 ...: one is kept, two are blended, the rest are divided
    "llama-rope-llama3": (small(max_position_embeddings=512, rope_parameters=rope(
        "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=64)), dict(legacy=True, without=[PLAIN_ROPE])),
    "llama-rope-yarn": (small(max_position_embeddings=128, rope_parameters=rope(
        "yarn", factor=4.0, original_max_position_embeddings=32)), dict(legacy=True, without=[PLAIN_ROPE])),
    "mistral-window": (mistral(), dict(legacy=True, without=[dict(sliding_window=None)])),
    "qwen2": (qwen2(), dict(legacy=True, shard="40KB", without=[
        zero("q_proj.bias"), zero("k_proj.bias"), zero("v_proj.bias")])),
    "qwen2-tied": (qwen2(num_attention_heads=2, num_key_value_heads=1, tie_word_embeddings=True),
                   dict(without=[zero("q_proj.bias")])),
    # only the last of three layers has the window
    "qwen2-window": (qwen2(num_hidden_layers=3, intermediate_size=64, use_sliding_window=True,
                           sliding_window=8, max_window_layers=2),
                     dict(without=[dict(use_sliding_window=False, layer_types=None)])),
    "qwen3": (qwen3(), dict(legacy=True, without=[one("q_norm"), one("k_norm")])),
    "qwen3-tied-yarn": (qwen3(num_key_value_heads=1, tie_word_embeddings=True,
                              rope_parameters=rope("yarn", theta=10000.0, factor=4.0,
                                                   original_max_position_embeddings=32,
                                                   beta_fast=4.0, beta_slow=1.0),
                              max_position_embeddings=128),
                        dict(without=[one("q_norm"), PLAIN_ROPE])),
}


def randomise(model, seed):
    """Weights with a spread that keeps attention sharp and logits a few units wide."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            r = torch.randn(p.shape, generator=g, dtype=torch.float32)
            if "norm" in name:
                r = 1.0 + 0.4 * r
            elif name.endswith("bias"):
                r = 0.4 * r
            elif "embed_tokens" in name:
                r = 0.8 * r
            elif "q_proj" in name or "k_proj" in name:
                r = 1.4 * r / math.sqrt(p.shape[1])
            else:
                r = 1.1 * r / math.sqrt(p.shape[1])
            p.copy_(r)


def run(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].double()


def make(config):
    config = copy.deepcopy(config)
    config._attn_implementation = "eager"
    return AutoModelForCausalLM.from_config(config)


def fill(config, state):
    model = make(config).double()
    model.load_state_dict(state)
    return model.eval()


def greedy(model, ids):
    """Ids, and the smallest lead of the first over the second."""
    ids, gap = list(ids), math.inf
    for _ in range(N_GREEDY):
        top = run(model, ids)[-1].topk(2)
        gap = min(gap, (top.values[0] - top.values[1]).item())
        ids.append(top.indices[0].item())
    return ids[-N_GREEDY:], gap


def check_effects(name, config, state, ids, logits, without):
    """Each feature, taken away, must show."""
    for change in list(NORMS) + list(without):
        if callable(change):
            other = fill(config, change(state))
        else:
            data = {**config.to_dict(), **change}
            other = fill(type(config)(**data), state)
        effect = (run(other, ids) - logits).abs().max().item()
        if effect < EFFECT_MIN:
            sys.exit(f"{name}: taking a feature away moves the logits by {effect} only")


def legacy_config(path):
    """Rewrite config.json as transformers 4 wrote it."""
    data = json.loads(path.read_text())
    params = data.pop("rope_parameters")
    data["rope_theta"] = params.pop("rope_theta")
    data["rope_scaling"] = None if params["rope_type"] == "default" else params
    data["torch_dtype"] = data.pop("dtype", "float32")
    data.pop("layer_types", None)
    path.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n")


def shorten(x):
    return float(f"{x:.7g}")


def build(out, name, config, opts):
    seed = sum(map(ord, name)) * 1000
    while True:   # until the greedy ids are safe from rounding and not one token over and over
        seed += 1
        model = make(config)
        randomise(model, seed)
        model.eval()
        state = {k: v.double() for k, v in model.state_dict().items()}
        exact = fill(config, state)
        g = torch.Generator().manual_seed(seed)
        ids = torch.randint(0, config.vocab_size, (N_PROMPT,), generator=g).tolist()
        more, gap = greedy(exact, ids)
        if gap >= GAP_MIN and len(set(more)) >= 8:
            break
    logits = run(exact, ids)
    check_effects(name, config, state, ids, logits, opts.get("without", ()))

    d = out / name
    d.mkdir(parents=True, exist_ok=True)
    for old in d.iterdir():
        old.unlink()
    model.save_pretrained(d, max_shard_size=opts.get("shard", "1GB"))
    (d / "generation_config.json").unlink(missing_ok=True)
    if opts.get("legacy"):
        legacy_config(d / "config.json")
    back = AutoModelForCausalLM.from_pretrained(d, dtype=torch.float64, attn_implementation="eager").eval()
    drift = (run(back, ids) - logits).abs().max().item()
    if drift > 1e-9:
        sys.exit(f"{name}: the saved directory gives other logits ({drift})")
    rows = ",\n".join(json.dumps([shorten(x) for x in row], separators=(",", ":")) for row in logits.tolist())
    (d / "expected.json").write_text(
        f'{{"transformers":"{transformers.__version__}","seed":{seed},"gap":{gap:.4g},\n'
        f'"ids":{json.dumps(ids)},\n"greedy":{json.dumps(more)},\n"logits":[\n{rows}]}}\n')
    size = sum(f.stat().st_size for f in d.iterdir())
    print(f"{name}: seed {seed}, gap {gap:.3f}, logits {logits.min():.2f}..{logits.max():.2f}, {size} bytes")


def main():
    here = pathlib.Path(__file__).resolve().parent / "models"
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here
    torch.set_num_threads(1)
    for name, (config, opts) in MODELS.items():
        build(out, name, config, opts)


main()
