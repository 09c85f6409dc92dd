# SPDX-License-Identifier: Apache-2.0
"""OpenVINO GenAI, which reads GGUF files and makes its own graph and weights of them."""
from peer import Model, Peer


class OpenVino(Peer):
    name = "openvino"
    packages = ["openvino-genai==2026.4.1.0", "openvino==2026.4.1", "openvino-tokenizers==2026.4.1.0", "numpy==2.4.6"]
    worker = "openvino_worker.py"
    reads = "q4_0, q4_1, q4_k, q6_k, q8_0, f16; for bf16 the same shape in f16"

    def prepare(self, python, model):
        """Its reader knows no bf16. It reads f16 and calculates in bf16 where the processor can: as many bytes."""
        if model.shape and model.dtype == "bf16":
            return Model.invent(model.baton, model.shape, "f16").path
        return model.path
