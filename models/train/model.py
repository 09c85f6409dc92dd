# SPDX-License-Identifier: Apache-2.0
"""The Llama architecture at toy size, in plain PyTorch.

Same arithmetic as the usual Llama implementations: RMSNorm before each block, rotary positions
in the half-split order (pairs are i and i + d_head/2), grouped key/value heads, SwiGLU, no biases,
and an output projection tied to the embedding. Parameter names are the Hugging Face ones without
the "model." prefix, so that the exporter only has to rename them.
"""
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    n_vocab: int = 4096
    d_model: int = 256
    n_layer: int = 5
    n_head: int = 4
    n_kv: int = 2
    d_ff: int = 640
    n_ctx: int = 512  # longest sequence seen in training
    rope_base: float = 10000.0
    norm_eps: float = 1e-5

    @property
    def d_head(self):
        return self.d_model // self.n_head


class RMSNorm(nn.Module):
    def __init__(self, d, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))
        self.eps = eps

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.eps)


def rope_tables(cfg, n_pos):
    """cos and sin of the rotary angles, both [n_pos, d_head], float64."""
    freq = cfg.rope_base ** (-torch.arange(0, cfg.d_head, 2, dtype=torch.float64) / cfg.d_head)
    angle = torch.outer(torch.arange(n_pos, dtype=torch.float64), freq)
    angle = torch.cat((angle, angle), dim=-1)
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    """Turn x [batch, head, pos, d_head] by its position's angles."""
    lo, hi = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-hi, lo), dim=-1) * sin


class Attention(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        d_kv = cfg.n_kv * cfg.d_head
        self.q_proj = nn.Linear(cfg.d_model, cfg.d_model, bias=False)
        self.k_proj = nn.Linear(cfg.d_model, d_kv, bias=False)
        self.v_proj = nn.Linear(cfg.d_model, d_kv, bias=False)
        self.o_proj = nn.Linear(cfg.d_model, cfg.d_model, bias=False)

    def forward(self, x, cos, sin, mask):
        n_seq, n_tok, _ = x.shape
        heads = lambda t, n: t.view(n_seq, n_tok, n, self.cfg.d_head).transpose(1, 2)
        q = rotate(heads(self.q_proj(x), self.cfg.n_head), cos, sin)
        k = rotate(heads(self.k_proj(x), self.cfg.n_kv), cos, sin)
        v = heads(self.v_proj(x), self.cfg.n_kv)
        group = self.cfg.n_head // self.cfg.n_kv
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        # Spelled out as matmul, softmax, matmul, this gets NaN gradients from torch.compile (2.15)
        # on CPUs with AVX-512 and AMX.
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.o_proj(out.transpose(1, 2).reshape(n_seq, n_tok, -1))


class FeedForward(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.gate_proj = nn.Linear(cfg.d_model, cfg.d_ff, bias=False)
        self.up_proj = nn.Linear(cfg.d_model, cfg.d_ff, bias=False)
        self.down_proj = nn.Linear(cfg.d_ff, cfg.d_model, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, cfg, dropout):
        super().__init__()
        self.dropout = dropout
        self.input_layernorm = RMSNorm(cfg.d_model, cfg.norm_eps)
        self.self_attn = Attention(cfg)
        self.post_attention_layernorm = RMSNorm(cfg.d_model, cfg.norm_eps)
        self.mlp = FeedForward(cfg)

    def forward(self, x, cos, sin, mask):
        drop = lambda t: F.dropout(t, self.dropout, self.training)
        x = x + drop(self.self_attn(self.input_layernorm(x), cos, sin, mask))
        return x + drop(self.mlp(self.post_attention_layernorm(x)))


class Llama(nn.Module):
    """dropout, in training only: of the embeddings and of what each block adds to them."""

    def __init__(self, cfg, dropout=0.0):
        super().__init__()
        self.cfg = cfg
        self.dropout = dropout
        self.embed_tokens = nn.Embedding(cfg.n_vocab, cfg.d_model)
        self.layers = nn.ModuleList(Layer(cfg, dropout) for _ in range(cfg.n_layer))
        self.norm = RMSNorm(cfg.d_model, cfg.norm_eps)
        cos, sin = rope_tables(cfg, cfg.n_ctx)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.apply(self._init)

    def _init(self, module):
        """Small normal weights; what writes into the residual stream starts at zero."""
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, Attention):
            nn.init.zeros_(module.o_proj.weight)
        if isinstance(module, FeedForward):
            nn.init.zeros_(module.down_proj.weight)

    def forward(self, ids, mask=None):
        """Logits [n_seq, n_tok, n_vocab]; mask: True where a position may look, None: causal."""
        n_tok = ids.shape[1]
        if mask is None:
            mask = torch.ones(n_tok, n_tok, dtype=torch.bool).tril()
        x = self.embed_tokens(ids)
        if torch.is_autocast_enabled("cpu"):
            x = x.to(torch.bfloat16)
        x = F.dropout(x, self.dropout, self.training)
        cos, sin = self.cos[:n_tok].to(x.dtype), self.sin[:n_tok].to(x.dtype)
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return F.linear(self.norm(x), self.embed_tokens.weight)
