# SPDX-License-Identifier: Apache-2.0
"""The `gguf` package's quantisation error on real weights: real_error.txt, a line a type.

The error is the root mean square over all matrices of a model, taken as one long row each; the test
does the same with ours.   python3 make_real.py MODEL.gguf   (reference data's babyllama-tok105, F32)
"""
import os
import sys

import gguf
import numpy as np
from gguf.quants import dequantize, quantize

HERE = os.path.dirname(os.path.abspath(__file__))
matrices = [np.array(t.data, dtype=np.float32).reshape(1, -1)
            for t in gguf.GGUFReader(sys.argv[1]).tensors if len(t.shape) == 2]
matrices = [m for m in matrices if m.size % 32 == 0]
with open(os.path.join(HERE, "real_error.txt"), "w", encoding="utf-8") as out:
    for name in "Q8_0 Q4_0 Q4_1 Q5_0 Q5_1".split():
        kind = gguf.GGMLQuantizationType[name]
        square = sum(((dequantize(quantize(m, kind), kind) - m).astype(np.float64) ** 2).sum() for m in matrices)
        out.write("%s %.9g\n" % (name.lower(), np.sqrt(square / sum(m.size for m in matrices))))
