# SPDX-License-Identifier: Apache-2.0
"""Golden vectors of the quantised block formats, made with the `gguf` Python package (0.17 or later).

For each type: TYPE.bin (blocks) and TYPE.f32 (the package's dequantisation). Types the package can
quantise get blocks from normals, the K types random valid blocks. normals.f32 is an input for
quantisation, error.txt the package's root mean square error on it.   python3 make.py
"""
import os
import numpy as np
import gguf
from gguf.quants import quantize, dequantize

HERE = os.path.dirname(os.path.abspath(__file__))
KIND = gguf.GGMLQuantizationType
rng = np.random.default_rng(20240517)


def halves(shape, top):
    return (rng.uniform(-1, 1, shape) * top).astype(np.float16).view(np.uint8)


def random_blocks(kind, n):
    """n blocks with every bit random but finite f16 scales."""
    size = gguf.GGML_QUANT_SIZES[kind][1]
    b = rng.integers(0, 256, (n, size), dtype=np.uint8)
    at = {"Q6_K": [208], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q4_1": [0, 2], "Q5_1": [0, 2]}.get(kind.name, [0])
    for a in at:
        b[:, a:a + 2] = halves((n, 1), 3.0)
    b[0, at[0]:at[0] + 2] = np.array([3], dtype=np.uint16).view(np.uint8)  # a subnormal scale
    return b


def save(name, array):
    array.tofile(os.path.join(HERE, name))


normals = rng.standard_normal(4096).astype(np.float32)
save("normals.f32", normals)
lines = []
for name in "F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q4_K Q5_K Q6_K".split():
    kind = KIND[name]
    block = gguf.GGML_QUANT_SIZES[kind][0]
    if not name.endswith("_K"):
        q = quantize(normals.reshape(1, -1), kind)
        back = dequantize(q, kind)
        lines.append("%s %.9g\n" % (name.lower(), np.sqrt(np.mean((back - normals).astype(np.float64) ** 2))))
    if block > 1:
        blocks = random_blocks(kind, 3 if block == 256 else 16)
    else:
        blocks = np.ascontiguousarray(quantize(normals[:256].reshape(1, -1), kind)).view(np.uint8)
    save(name.lower() + ".bin", blocks)
    save(name.lower() + ".f32", dequantize(blocks.reshape(1, -1), kind).astype(np.float32))
with open(os.path.join(HERE, "error.txt"), "w") as f:
    f.writelines(lines)
