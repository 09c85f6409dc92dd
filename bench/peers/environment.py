# SPDX-License-Identifier: Apache-2.0
"""Where what peers need is kept, build/peers, and the private Python environments there.

An environment is made once; a file in it says what was installed, so that another version here is another install.
"""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PLACE = os.path.join(ROOT, "build", "peers")


class PeerError(Exception):
    """Why a peer cannot be compared; the others still can."""


def run(words, **more):
    """A program of the set-up; all it says goes to the terminal, not among the figures."""
    try:
        subprocess.run(words, stdout=sys.stderr, check=True, **more)
    except FileNotFoundError as error:
        raise PeerError("there is no program '%s'; install it" % words[0]) from error
    except subprocess.CalledProcessError as error:
        raise PeerError("'%s' ended with status %d; what it said is above" %
                        (" ".join(words), error.returncode)) from error


def private(name, packages, install=None):
    """The Python of the environment `name` with these packages; `install` stands in for pip's ordinary install."""
    folder = os.path.join(PLACE, "venv-" + name)
    python, stamp = os.path.join(folder, "bin", "python"), os.path.join(folder, "installed.txt")
    wanted = "\n".join(packages) + "\n"
    if os.path.exists(stamp):
        with open(stamp, encoding="utf-8") as file:
            if file.read() == wanted:
                return python
    print("installing %s into %s" % (", ".join(packages), os.path.relpath(folder)), file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    run([sys.executable, "-m", "venv", folder])
    if install:
        install(python)
    else:
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"] + packages)
    with open(stamp, "w", encoding="utf-8") as file:
        file.write(wanted)
    return python
