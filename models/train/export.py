# SPDX-License-Identifier: Apache-2.0
"""Write a trained model as one Q8_0 GGUF file and, if asked, as a Hugging Face directory.

Two things differ between the forms. The GGUF "llama" architecture rotates neighbouring pairs
(2i, 2i+1), Hugging Face the halves (i, i + d_head/2): the rows of attn_q and attn_k are put in the
former order here. And GGUF has matrices in Q8_0 (32 weights and an f16 scale in 34 bytes) with the
norms in F32, the directory has everything in F32.
"""
import argparse
import json
import re
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, processors

from model import Config
from rows import BOS, END, EOS, SPECIALS

NAME = "baton story"
TEMPLATE = (Path(__file__).parent / "chat_template.jinja").read_text("utf-8").rstrip("\n")
LAYER_NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
TOP_NAMES = {"embed_tokens": "token_embd", "norm": "output_norm"}


def gguf_name(name):
    """layers.3.mlp.up_proj.weight -> blk.3.ffn_up.weight"""
    name = name.removesuffix(".weight")
    layer = re.fullmatch(r"layers\.(\d+)\.(.+)", name)
    return (f"blk.{layer[1]}.{LAYER_NAMES[layer[2]]}" if layer else TOP_NAMES[name]) + ".weight"


def interleave(weight, n_head):
    """Rows of each head from the half-split rotary order to neighbouring pairs."""
    d_out, d_in = weight.shape
    return weight.reshape(n_head, 2, d_out // n_head // 2, d_in).swapaxes(1, 2).reshape(d_out, d_in)


def write_gguf(path, cfg, weights, tokenizer):
    writer = gguf.GGUFWriter(path, "llama")
    add_model_keys(writer, cfg, sum(w.numel() for w in weights.values()))
    add_tokenizer_keys(writer, tokenizer)
    for name, weight in weights.items():
        data = weight.float().numpy()
        if "q_proj" in name:
            data = interleave(data, cfg.n_head)
        if "k_proj" in name:
            data = interleave(data, cfg.n_kv)
        kind = gguf.GGMLQuantizationType.Q8_0 if data.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(gguf_name(name), gguf.quants.quantize(np.ascontiguousarray(data), kind),
                          raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_model_keys(writer, cfg, n_param):
    writer.add_type("model")
    writer.add_name(NAME)
    writer.add_description("A small teller of children's stories, trained from scratch.")
    writer.add_license("apache-2.0")
    writer.add_size_label(f"{n_param / 1e6:.1f}M")
    writer.add_languages(["en"])
    writer.add_tags(["text-generation", "stories"])
    writer.add_context_length(cfg.n_ctx)
    writer.add_embedding_length(cfg.d_model)
    writer.add_block_count(cfg.n_layer)
    writer.add_feed_forward_length(cfg.d_ff)
    writer.add_head_count(cfg.n_head)
    writer.add_head_count_kv(cfg.n_kv)
    writer.add_layer_norm_rms_eps(cfg.norm_eps)
    writer.add_rope_dimension_count(cfg.d_head)
    writer.add_rope_freq_base(cfg.rope_base)
    writer.add_vocab_size(cfg.n_vocab)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def add_tokenizer_keys(writer, tokenizer):
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_types([control if t in SPECIALS else normal for t in tokens])
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_bos_token_id(model["vocab"][BOS])
    writer.add_eos_token_id(model["vocab"][EOS])
    writer.add_eot_token_id(model["vocab"][END])
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_chat_template(TEMPLATE)


def write_hf(folder, cfg, weights, tokenizer):
    """A directory that transformers.AutoModelForCausalLM and AutoTokenizer open."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    bos, eos, end = (tokenizer.token_to_id(t) for t in (BOS, EOS, END))
    save_file({f"model.{name}": w.contiguous() for name, w in weights.items()},
              folder / "model.safetensors", metadata={"format": "pt"})
    config = dict(
        architectures=["LlamaForCausalLM"], model_type="llama", torch_dtype="float32",
        vocab_size=cfg.n_vocab, hidden_size=cfg.d_model, intermediate_size=cfg.d_ff,
        num_hidden_layers=cfg.n_layer, num_attention_heads=cfg.n_head, num_key_value_heads=cfg.n_kv,
        head_dim=cfg.d_head, hidden_act="silu", max_position_embeddings=cfg.n_ctx,
        rms_norm_eps=cfg.norm_eps, rope_theta=cfg.rope_base, tie_word_embeddings=True,
        attention_bias=False, mlp_bias=False, bos_token_id=bos, eos_token_id=[eos, end])
    tokenizer_config = dict(tokenizer_class="PreTrainedTokenizerFast", bos_token=BOS, eos_token=EOS,
                            clean_up_tokenization_spaces=False, model_max_length=cfg.n_ctx,
                            chat_template=TEMPLATE)
    for name, content in (("config.json", config), ("tokenizer_config.json", tokenizer_config)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, bos)])
    tokenizer.save(str(folder / "tokenizer.json"))


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--model", default="run/model.pt")
    args.add_argument("--tokenizer", default="tokenizer.json")
    args.add_argument("--gguf", default="../story.gguf")
    args.add_argument("--hf", help="folder to write the Hugging Face form to")
    args = args.parse_args()
    saved = torch.load(args.model, weights_only=True)
    cfg, tokenizer = Config(**saved["config"]), Tokenizer.from_file(args.tokenizer)
    write_gguf(args.gguf, cfg, saved["weights"], tokenizer)
    if args.hf:
        write_hf(args.hf, cfg, saved["weights"], tokenizer)


if __name__ == "__main__":
    main()
