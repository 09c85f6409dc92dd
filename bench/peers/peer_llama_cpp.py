# SPDX-License-Identifier: Apache-2.0
"""llama.cpp, by way of llama-cpp-python, compiled from source for this processor."""
import glob
import os
import sys
import tarfile
import tempfile

import environment
from peer import Peer

PACKAGE = "llama-cpp-python==0.3.36"


def repair(folder):
    """gcc 12 takes the tiles' configuration for 8 bytes and leaves the other stores out: the peer would die of an
    illegal instruction where there is AMX. Say that all of it is read."""
    found = glob.glob(os.path.join(folder, "vendor/llama.cpp/ggml/src/ggml-cpu/amx/mmq.cpp"))
    for path in found:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        load = "    _tile_loadconfig(&tc);"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(load, '    __asm__ volatile("" : : "m"(tc));\n' + load))


def install(python):
    print("compiling it takes a quarter of an hour on two cores", file=sys.stderr)
    with tempfile.TemporaryDirectory() as place:
        environment.run([python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "-d", place,
                         PACKAGE])
        with tarfile.open(glob.glob(os.path.join(place, "*.tar.gz"))[0]) as archive:
            archive.extractall(place)
        folder = [entry.path for entry in os.scandir(place) if entry.is_dir()][0]
        repair(folder)
        env = dict(os.environ, CMAKE_ARGS=os.environ.get("CMAKE_ARGS", "-DGGML_NATIVE=ON"))
        environment.run([python, "-m", "pip", "install", "--quiet", folder], env=env)


class LlamaCpp(Peer):
    name = "llama.cpp"
    packages = [PACKAGE]
    worker = "llama_worker.py"
    reads = "every type"

    def set_up(self):
        return environment.private(self.name, self.packages, install)
