# SPDX-License-Identifier: Apache-2.0
"""--pack-cache DIR: the same answers, a file that the second run maps, and no failure whatever is wrong with it."""
import os
import shutil
import signal
import subprocess
import time

import pytest
from conftest import PROGRAM, ROOT, expect_ok

ARGS = ["--raw", "-p", "hello", "-n", "8", "--ignore-eos", "--json", "-q"]


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.gguf"
    expect_ok("synth", "--shape", "tiny-llama", "--type", "q4_0", "-o", path)
    return path


def answer(model, *more):
    """The ids of a run, and what it noted."""
    done = expect_ok("run", "-m", model, *ARGS, *more)
    assert all(line.startswith("baton: pack cache: ") for line in done.err.splitlines()), done.err
    return done.json["ids"], done.err


def the_file(folder):
    names = os.listdir(folder)
    assert len(names) == 1 and names[0].startswith("model.gguf-") and names[0].endswith(".panels"), names
    return folder / names[0]


def test_the_second_run_reads_what_the_first_one_kept(model, tmp_path):
    folder = tmp_path / "cache"
    plain, note = answer(model)
    assert note == "" and not folder.exists()
    assert answer(model, "--pack-cache", folder) == (plain, "")
    assert folder.stat().st_mode & 0o777 == 0o700
    before = the_file(folder).stat()
    assert answer(model, "--pack-cache", folder) == (plain, "")
    after = the_file(folder).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    bytes_ = bytearray(the_file(folder).read_bytes())
    bytes_[len(bytes_) // 2] ^= 1
    the_file(folder).write_bytes(bytes_)
    ids, note = answer(model, "--pack-cache", folder)
    assert ids == plain and note.count("\n") == 1 and "are damaged" in note
    assert answer(model, "--pack-cache", folder) == (plain, "")


def test_every_command_with_an_engine_takes_it(model, tmp_path):
    folder = tmp_path / "cache"
    logits = ["logits", "-m", model, "--ids", "1,2,3", "--json"]
    plain = expect_ok(*logits).out
    assert expect_ok(*logits, "--pack-cache", folder).out == plain
    written = the_file(folder).stat().st_mtime_ns
    assert expect_ok(*logits, "--pack-cache", folder).out == plain
    text = tmp_path / "text"
    text.write_text("to be read")
    score = ["perplexity", "-m", model, "-f", text, "--json"]
    assert expect_ok(*score, "--pack-cache", folder).json["nll"] == expect_ok(*score).json["nll"]
    assert the_file(folder).stat().st_mtime_ns == written
    for name in ("run", "chat", "logits", "perplexity", "trace"):
        assert "--pack-cache DIR" in expect_ok(name, "--help").out, name


def test_another_model_in_the_same_place_replaces_the_file(model, tmp_path):
    folder = tmp_path / "cache"
    answer(model, "--pack-cache", folder)
    expect_ok("synth", "--shape", "tiny-qwen3", "--type", "q8_0", "-o", model)
    plain, _ = answer(model)
    ids, note = answer(model, "--pack-cache", folder)
    assert ids == plain and note.count("\n") == 1 and "the model has changed since" in note
    assert answer(model, "--pack-cache", folder) == (plain, "")


def test_a_folder_that_cannot_be_used_is_no_failure(model, tmp_path):
    plain, _ = answer(model)
    for folder in (tmp_path / "no" / "parent", model, "/proc/self", "/dev/null/x", ""):
        ids, note = answer(model, "--pack-cache", folder)
        assert ids == plain and note.count("\n") == 1, folder


def test_a_full_disk_is_no_failure(model, tmp_path):
    """A file system of its own, too small for the panels."""
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare to mount a small file system with")
    folder = tmp_path / "small"
    folder.mkdir()
    script = 'mount -t tmpfs -o size=64k tmpfs "$1" || exit 99; shift; "$@" && ls -A "$FOLDER"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", str(folder), PROGRAM, "run", "-m", str(model), *ARGS,
               "--pack-cache", str(folder)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                          env=dict(os.environ, FOLDER=str(folder)))
    if done.returncode not in (0, 1):
        pytest.skip("a small file system cannot be mounted here")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("baton: pack cache: nothing is kept: ") and "are free" in done.stderr
    assert done.stdout.splitlines()[1:] == []


def test_a_killed_writer_leaves_no_cache(tmp_path):
    """Killed as soon as its temporary is there; then what it left is neither read nor in the way, and goes."""
    model, folder = tmp_path / "model.gguf", tmp_path / "cache"
    expect_ok("synth", "--shape", "smollm2-135m", "--type", "q8_0", "-o", model)
    child = subprocess.Popen([PROGRAM, "run", "-m", str(model), *ARGS, "--pack-cache", str(folder)],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    end = time.monotonic() + 60
    while child.poll() is None and time.monotonic() < end and not (folder.exists() and os.listdir(folder)):
        pass
    child.send_signal(signal.SIGKILL)
    child.wait()
    left = os.listdir(folder)
    if not left or not left[0].endswith(".part"):
        pytest.skip("the writer was done before it could be killed")
    plain, _ = answer(model)
    os.utime(folder / left[0], (0, 0))
    assert answer(model, "--pack-cache", folder) == (plain, "")
    the_file(folder)
    assert answer(model, "--pack-cache", folder) == (plain, "")


def test_runs_at_the_same_time_do_not_meet(model, tmp_path):
    folder = tmp_path / "cache"
    plain, _ = answer(model)
    command = [PROGRAM, "run", "-m", str(model), *ARGS, "--pack-cache", str(folder)]
    runs = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT) for _ in range(4)]
    for run in runs:
        assert run.communicate()[1] == b"" and run.returncode == 0
    the_file(folder)
    assert answer(model, "--pack-cache", folder) == (plain, "")
