# SPDX-License-Identifier: Apache-2.0
"""What a peer is to peers.py: something to install, a model in its own format, and a process that runs works.

The model and the process live in the peer's private environment; worker.py is the other end of the pipe.
"""
import json
import os
import signal
import subprocess

import environment
from environment import PLACE, PeerError


class Model:
    """A GGUF file; one that `baton synth` wrote has a shape and a type, and may be had in other types too."""

    def __init__(self, baton, path, shape=None, dtype=None):
        self.baton, self.path, self.shape, self.dtype = baton, path, shape, dtype

    @classmethod
    def invent(cls, baton, shape, dtype):
        path = os.path.join(PLACE, "%s-%s.gguf" % (shape, dtype))
        if not os.path.exists(path):
            part = path + ".part"
            environment.run([baton, "synth", "--shape", shape, "--type", dtype, "-o", part])
            os.rename(part, path)
        return cls(baton, path, shape, dtype)


class Peer:
    """The interface; a peer is a subclass with these fields, and with the methods that differ."""

    name = ""      # as --peer has it
    packages = []  # what pip installs, with their versions
    worker = ""    # the script that holds the model, beside this file
    reads = ""     # the types of weights it takes, for --help

    def set_up(self):
        """The Python in whose environment the peer is; installed if it is not there."""
        return environment.private(self.name, self.packages)

    def prepare(self, python, model):
        """The path that the worker loads. PeerError where the peer's format has no such weights."""
        del python
        return model.path


class Process:
    """A peer at work: holds the model; a line in is a work, a line out its tokens a second or what went wrong."""

    def __init__(self, python, worker, settings):
        self.process = subprocess.Popen([python, os.path.join(environment.HERE, worker), json.dumps(settings)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.about = self.read()["about"]
        except PeerError:
            self.close()
            raise

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            raise PeerError("its process ended with status %d" % status if status >= 0 else
                            "its process died of %s" % signal.Signals(-status).name)
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer

    def run(self, work):
        try:
            self.process.stdin.write(json.dumps(work) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: what it said last, or its status, is what read() finds
        return self.read()["tok_s"]

    def close(self):
        self.process.communicate()
