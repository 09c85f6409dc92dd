# SPDX-License-Identifier: Apache-2.0
"""CTranslate2, which has a format of its own: the GGUF file's weights are written in it once."""
import os
import subprocess
import zlib

import environment
from peer import Peer, PeerError


class CTranslate2(Peer):
    name = "ctranslate2"
    packages = ["ctranslate2==4.8.5", "gguf==0.19.0", "numpy==2.4.6"]
    worker = "ctranslate2_worker.py"
    reads = "q8_0 as int8, f32; bf16 where it calculates in that"

    def prepare(self, python, model):
        script = os.path.join(environment.HERE, "ctranslate2_model.py")
        file = os.stat(model.path)
        key = zlib.crc32(("%s %d %d" % (os.path.abspath(model.path), file.st_size, file.st_mtime_ns)).encode())
        name = os.path.splitext(os.path.basename(model.path))[0]
        out = os.path.join(environment.PLACE, "%s-%08x.ctranslate2" % (name, key))
        done = subprocess.run([python, script, model.path, out], stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise PeerError(done.stderr.strip().split("\n")[-1])
        return out
