# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: the program, models to run it on, and how to run it."""
import json
import os
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BATON_BUILD", os.path.join(ROOT, "build"))
PROGRAM = os.path.join(BUILD, "baton")
STORY = os.path.join(ROOT, "models", "story.gguf")
DATA = os.environ.get("BATON_DATA", os.path.join(ROOT, "..", "shared", "data"))
GOLDEN = os.path.join(ROOT, "test", "golden", "models")


class Done:
    """What a run of the program left: exit status, stdout, stderr (text)."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def json(self):
        return json.loads(self.out)


def run_baton(*args, stdin="", timeout=120, env=None):
    data = stdin if isinstance(stdin, bytes) else stdin.encode()
    done = subprocess.run([PROGRAM] + [str(a) for a in args], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout, check=False, cwd=ROOT,
                          env=dict(os.environ, **(env or {})))
    return Done(done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode("utf-8", "replace"))


def expect_ok(*args, **more):
    done = run_baton(*args, **more)
    assert done.status == 0, "%s: status %d\n%s" % (args, done.status, done.err)
    return done


def expect_error(status, part, *args, **more):
    """The run fails with `status` and exactly one line on stderr, "baton: ...", that holds `part`."""
    done = run_baton(*args, **more)
    assert done.status == status, "%s: status %d\n%s" % (args, done.status, done.err)
    assert done.err.startswith("baton: ") and done.err.endswith("\n") and done.err.count("\n") == 1, done.err
    assert part in done.err, done.err
    return done


def need_data(relative):
    """A path in the shared reference data; skips the test where that is absent."""
    path = os.path.join(DATA, relative)
    if not os.path.exists(path):
        pytest.skip("reference data '%s' is absent" % relative)
    return path


@pytest.fixture(scope="session")
def story():
    if not os.path.exists(STORY):
        pytest.skip("the bundled model 'models/story.gguf' is absent")
    return STORY


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A small random model in f32, as a GGUF file."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    expect_ok("synth", "--shape", "tiny-llama", "--type", "f32", "-o", path)
    return str(path)


@pytest.fixture(scope="session")
def prefix(tmp_path_factory):
    """Where everything was installed."""
    if not os.path.exists(os.path.join(BUILD, "libbaton.so")):
        pytest.skip("an instrumented build has no shared library to install")
    where = tmp_path_factory.mktemp("prefix")
    subprocess.run(["cmake", "--install", BUILD, "--prefix", str(where)], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return where


def folder_of(prefix, name):
    return [where for where, _, names in os.walk(prefix) if name in names][0]


def pkg_config(prefix, *args):
    done = subprocess.run(["pkg-config", "--define-variable=prefix=%s" % prefix, *args, "baton"],
                          env=dict(os.environ, PKG_CONFIG_PATH=folder_of(prefix, "baton.pc")),
                          stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.split()


def copy_example(name, where):
    """An example out of the tree, where nothing but what was installed can be found; its folder."""
    return shutil.copytree(os.path.join(ROOT, "examples", name), where / name)


def make(where, prefix, target):
    """Make a target of an example against what was installed, warnings being errors; what was printed."""
    done = subprocess.run(["make", "-C", str(where), target, "CFLAGS=-O3 -fno-trapping-math -Wall -Wextra -Werror"],
                          env=dict(os.environ, PKG_CONFIG_PATH=folder_of(prefix, "baton.pc"),
                                   PKG_CONFIG="pkg-config --define-variable=prefix=%s" % prefix),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout
