# SPDX-License-Identifier: Apache-2.0
"""Write a GGUF model as a CTranslate2 directory: ctranslate2_model.py FROM.gguf TO

The same weights, so far as the type allows: rows of 8-bit numbers with one scale where GGUF has one for every 32.
Factors of long contexts (rope_freqs) are left out; angles take the same time without them.
"""
import collections
import os
import sys

import ctranslate2
import gguf
import numpy
from ctranslate2.converters import utils
from ctranslate2.specs import common_spec, transformer_spec

COMPUTES = {"Q8_0": "int8", "BF16": "bfloat16", "F32": "float32"}  # what is comparable, by GGUF's type
FAMILIES = ("llama", "qwen2", "qwen3")


class Source:
    """The file's numbers and tensors, by GGUF's names."""

    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.fields = reader.fields
        self.tensors = {tensor.name: tensor for tensor in reader.tensors}
        self.family = self.fields["general.architecture"].contents()

    def number(self, name, otherwise=None):
        field = self.fields.get("%s.%s" % (self.family, name))
        return field.contents() if field else otherwise

    def array(self, name):
        tensor = self.tensors[name]
        return gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)

    def type(self):
        """That of most of the weights' bytes."""
        n_bytes = collections.Counter()
        for tensor in self.tensors.values():
            n_bytes[tensor.tensor_type.name] += tensor.n_bytes
        return n_bytes.most_common(1)[0][0]


def compute_type(source):
    """CTranslate2's name of the type in which the file's weights would be calculated with."""
    if source.family not in FAMILIES:
        sys.exit("the model is of the family '%s'; written are %s" % (source.family, ", ".join(FAMILIES)))
    dtype, able = source.type(), sorted(ctranslate2.get_supported_compute_types("cpu"))
    if dtype not in COMPUTES:
        sys.exit("CTranslate2 has no type like %s; comparable are %s" % (dtype.lower(), ", ".join(COMPUTES).lower()))
    if COMPUTES[dtype] not in able:
        sys.exit("CTranslate2 %s does not calculate in %s on this processor, only in %s" %
                 (ctranslate2.__version__, COMPUTES[dtype], ", ".join(able)))
    return COMPUTES[dtype]


def set_linear(spec, source, *names):
    """One product of one or several matrices, one below the other."""
    parts = []
    for name in names:
        part = common_spec.LinearSpec()
        part.weight = source.array(name + ".weight")
        if name + ".bias" in source.tensors:
            part.bias = source.array(name + ".bias")
        parts.append(part)
    utils.fuse_linear(spec, parts)


def set_layer(layer, source, prefix):
    attention, ffn = layer.self_attention, layer.ffn
    attention.layer_norm.gamma = source.array(prefix + "attn_norm.weight")
    set_linear(attention.linear[0], source, prefix + "attn_q", prefix + "attn_k", prefix + "attn_v")
    set_linear(attention.linear[1], source, prefix + "attn_output")
    if source.family == "qwen3":
        attention.q_norm.gamma = source.array(prefix + "attn_q_norm.weight")
        attention.k_norm.gamma = source.array(prefix + "attn_k_norm.weight")
    ffn.layer_norm.gamma = source.array(prefix + "ffn_norm.weight")
    set_linear(ffn.linear_0, source, prefix + "ffn_gate")
    set_linear(ffn.linear_0_noact, source, prefix + "ffn_up")
    set_linear(ffn.linear_1, source, prefix + "ffn_down")


def model_spec(source, dtype):
    n_head, n_kv = source.number("attention.head_count"), source.number("attention.head_count_kv")
    d_head = source.number("attention.key_length", source.number("embedding_length") // n_head)
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        source.number("block_count"), n_head, num_heads_kv=n_kv if n_kv != n_head else None, head_dim=d_head,
        activation=common_spec.Activation.SWISH, ffn_glu=True, rms_norm=True, qk_norm=source.family == "qwen3",
        rotary_dim=d_head, rotary_interleave=source.family == "llama",
        rotary_base=source.number("rope.freq_base", 10000.0))
    decoder = spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = source.array("token_embd.weight")
    decoder.layer_norm.gamma = source.array("output_norm.weight")
    for i, layer in enumerate(decoder.layer):
        set_layer(layer, source, "blk.%d." % i)
    if "output.weight" in source.tensors:
        set_linear(decoder.projection, source, "output")
    else:
        decoder.projection.weight = decoder.embeddings.weight
    tokens = [str(i) for i in range(len(decoder.embeddings.weight))]  # a token's text is its id
    spec.register_vocabulary(tokens)
    spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = tokens[0]
    spec.config.add_attribute("compute_type", dtype)  # for the worker
    spec.config.layer_norm_epsilon = source.number("attention.layer_norm_rms_epsilon")
    return spec


def main():
    path, out = sys.argv[1:]
    source = Source(path)
    dtype = compute_type(source)
    if os.path.exists(out):
        return
    spec = model_spec(source, dtype)
    spec.validate()
    spec.optimize(dtype if dtype == "int8" else "float32")  # other types are made of f32 when it is loaded
    os.makedirs(out + ".part", exist_ok=True)
    spec.save(out + ".part")
    os.rename(out + ".part", out)


if __name__ == "__main__":
    main()
