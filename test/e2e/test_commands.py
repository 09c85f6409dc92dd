# SPDX-License-Identifier: Apache-2.0
"""The program's manners: help, versions, wrong usage, failures, what it writes."""
import os
import pty
import re
import subprocess

import pytest
from conftest import PROGRAM, expect_error, expect_ok

COMMANDS = ["run", "chat", "inspect", "tokenize", "perplexity", "logits", "quantize", "synth", "bench", "version",
            "help"]
TYPES = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k"]
SYNTH = ["--synth", "tiny-llama"]


# ---- help and usage ----

def test_help_lists_every_command():
    done = expect_ok("help")
    for name in COMMANDS:
        assert re.search(r"^  %s +\S" % name, done.out, re.M), name
    assert expect_ok("--help").out == done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(name):
    done = expect_ok(name, "--help")
    assert "usage: baton " + name in done.out and done.err == ""
    assert expect_ok("help", name).out == done.out
    assert max(len(line) for line in done.out.splitlines()) <= 110


def test_version_is_a_version():
    assert re.fullmatch(r"baton \d+\.\d+\.\d+\n", expect_ok("version").out)
    assert expect_ok("--version").out == expect_ok("version").out


@pytest.mark.parametrize("args,part", [
    ([], "no command"),
    (["rnu"], "did you mean 'run'"),
    (["xyzzy"], "'baton help' lists"),
    (["help", "rnu"], "did you mean 'run'"),
    (["run", "--tempp", "1"], "did you mean '--temp'"),
    (["run", "-Z"], "unknown option '-Z'"),
    (["run", "-p"], "needs a value"),
    (["run"], "there is no prompt"),
    (["run", "-p", "x", "-f", "y"], "both given"),
    (["run", "-p", "x", "--temp", "-1"], "from 0 to 100"),
    (["run", "-p", "x", "--temp", "nan"], "from 0 to 100"),
    (["run", "-p", "x", "--top-k", "1.5"], "whole number"),
    (["run", "-p", "x", "--top-p", "0"], "--top-p is '0'"),
    (["run", "-p", "x", "--seed", "-1"], "whole number"),
    (["run", "-p", "x", "--threads", "0"], "from 1 to 256"),
    (["run", "-p", "x", "--json=yes"], "takes no value"),
    (["run", "-p", "x", "word"], "one word too many"),
    (["run", "-p", "x", "-m", "a", "--synth", "tiny-llama"], "both given"),
    (["run", "-p", "x", "--synth", "tiny-lama"], "did you mean 'tiny-llama'"),
    (["run", "-p", "x", "--synth", "tiny-llama", "--type", "q9"], "one of f32, f16"),
    (["logits"], "--prompt and --ids"),
    (["perplexity"], "there is no text"),
    (["perplexity", "-f", "x", "--ctx", "1"], "2 or more"),
    (["quantize", "a"], "missing"),
    (["quantize", "a", "b"], "--type"),
    (["synth", "-o", "x"], "--shape"),
    (["synth", "--shape", "tiny-llama"], "-o FILE"),
    (["synth", "--shape", "zzzzzzzzzz", "-o", "x"], "--list"),
    (["inspect", "a", "b"], "one word too many"),
    (["inspect", "a", "-m", "b"], "given twice"),
])
def test_wrong_usage_is_status_2_and_one_line(args, part):
    expect_error(2, part, *args)


@pytest.mark.parametrize("command", [["run", "-p", "x"], ["chat"], ["inspect"], ["tokenize"], ["logits", "-p", "x"],
                                     ["perplexity", "-f", "Makefile"]])
def test_a_missing_model_is_status_1_and_named(command):
    expect_error(1, "/no/such/model.gguf", *command, "-m", "/no/such/model.gguf")


@pytest.mark.parametrize("command", [["run", "-p", "x"], ["inspect"], ["tokenize"], ["logits", "-p", "x"]])
def test_a_malformed_model_is_status_1_and_named(command, tmp_path):
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF\x03\x00\x00\x00" + b"\xff" * 40)
    expect_error(1, "bad.gguf", *command, "-m", bad)


def test_a_message_stays_one_line_whatever_a_file_is_called(tmp_path):
    expect_error(1, "a?b", "inspect", str(tmp_path / "a\nb.gguf"))
    expect_error(2, "a?b", "run", "-p", "x", "--a\nb")


# ---- output ----

def test_a_full_disk_is_a_failure():
    with open("/dev/full", "wb") as full:
        for args in (["help"], ["run", "-p", "x", "-n", "4", "-q"] + SYNTH):
            done = subprocess.run([PROGRAM] + args, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
            assert done.returncode == 1 and b"standard output: No space left" in done.stderr


def test_a_closed_pipe_ends_a_run_quietly():
    run = "%s run %s --raw -p x -n 500 --ignore-eos -q" % (PROGRAM, " ".join(SYNTH))
    done = subprocess.run(["bash", "-c", run + " | head -c 1 >/dev/null; echo ${PIPESTATUS[0]}"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.stderr == b"" and done.stdout == b"141\n"  # 128 + SIGPIPE, as for any filter


def test_files_that_cannot_be_written_are_named(tiny, tmp_path):
    expect_error(1, "/no/such/folder/x.gguf", "synth", "--shape", "tiny-llama", "-o", "/no/such/folder/x.gguf")
    expect_error(1, "/no/such/folder/x.gguf", "quantize", tiny, "/no/such/folder/x.gguf", "--type", "q8_0")
    expect_error(1, "/no/such/in", "quantize", "/no/such/in", tmp_path / "x.gguf", "--type", "q8_0")
    assert not os.path.exists(tmp_path / "x.gguf")


def test_no_progress_bar_off_a_terminal(tiny, tmp_path):
    done = expect_ok("quantize", tiny, tmp_path / "x.gguf", "--type", "q8_0")
    assert "\r" not in done.err and "\x1b" not in done.err


def read_to_the_end(terminal):
    """All that was written; a read may bring a part, and fails (EIO) once the other side is closed."""
    shown = b""
    try:
        while part := os.read(terminal, 65536):
            shown += part
    except OSError:
        pass
    return shown


def test_a_terminal_sees_progress_and_then_a_clean_line(tiny, tmp_path):
    ours, theirs = pty.openpty()
    done = subprocess.run([PROGRAM, "quantize", tiny, str(tmp_path / "x.gguf"), "--type", "q8_0"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=theirs, timeout=60, check=False)
    os.close(theirs)
    shown = read_to_the_end(ours)
    os.close(ours)
    assert done.returncode == 0 and b" %" in shown and shown.endswith(b"\r\x1b[K"), shown


# ---- synth, quantize, inspect ----

def test_synth_writes_the_same_file_twice(tmp_path):
    for name in ("a", "b"):
        expect_ok("synth", "--shape", "tiny-qwen3", "--type", "q4_k", "-o", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_synth_lists_the_shapes_that_it_takes():
    shapes = expect_ok("synth", "--list").out.split()
    assert {"llama-3.2-1b", "llama-3-8b", "qwen3-0.6b", "qwen2.5-7b", "tiny-llama"} <= set(shapes)


@pytest.mark.parametrize("shape", ["tiny-llama", "tiny-qwen2", "tiny-qwen3"])
def test_a_synthetic_file_and_the_model_in_memory_are_one(shape, tmp_path):
    expect_ok("synth", "--shape", shape, "--type", "q8_0", "-o", tmp_path / "m.gguf")
    args = ["logits", "--ids", "5,7,11", "--json"]
    assert expect_ok(*args, "-m", tmp_path / "m.gguf").out == expect_ok(*args, "--synth", shape, "--type", "q8_0").out


@pytest.mark.parametrize("kind", TYPES)
def test_quantize_to_every_type_and_run(kind, tiny, tmp_path):
    out = tmp_path / "out.gguf"
    expect_ok("quantize", tiny, out, "--type", kind)
    done = expect_ok("run", "-m", out, "--raw", "-p", "hello", "-n", "4", "--json", "--ignore-eos", "-q")
    assert len(done.json["ids"]) == 4
    exact = expect_ok("logits", "-m", tiny, "--ids", "1,2,3", "--json").json["logits"]
    close = expect_ok("logits", "-m", out, "--ids", "1,2,3", "--json").json["logits"]
    error = sum((a - b) ** 2 for a, b in zip(exact, close)) / sum(a * a for a in exact)
    # The share of the logits' energy that is error; a random model has nothing to average it away.
    assert error <= {"f32": 1e-9, "f16": 1e-4, "bf16": 1e-3, "q8_0": 1e-3}.get(kind, 0.1), error


def test_quantize_refuses_what_is_quantised(tiny, tmp_path):
    expect_ok("quantize", tiny, tmp_path / "q8.gguf", "--type", "q8_0")
    expect_error(1, "q8.gguf", "quantize", tmp_path / "q8.gguf", tmp_path / "q4.gguf", "--type", "q4_0")
    expect_error(1, "can only become f32", "quantize", tmp_path / "q8.gguf", tmp_path / "q8b.gguf", "--type", "q8_0")
    assert sorted(os.listdir(tmp_path)) == ["q8.gguf"]


@pytest.mark.parametrize("kind", ["f32", "f16", "bf16"])
def test_quantize_expands_what_is_quantised(kind, tiny, tmp_path):
    expect_ok("quantize", tiny, tmp_path / "q4.gguf", "--type", "q4_0")
    expect_ok("quantize", tmp_path / "q4.gguf", tmp_path / "wide.gguf", "--type", kind)
    assert "q4_0" not in expect_ok("inspect", tmp_path / "wide.gguf").out
    args = ["logits", "--ids", "1,2,3", "--json"]
    narrow = expect_ok(*args, "-m", tmp_path / "q4.gguf").json["logits"]
    wide = expect_ok(*args, "-m", tmp_path / "wide.gguf").json["logits"]
    # The share of the logits' energy that the rounding of activations to 8 bits makes.
    assert sum((a - b) ** 2 for a, b in zip(wide, narrow)) <= 1e-3 * sum(a * a for a in wide)


def test_inspect_tells_shape_and_size(tiny):
    facts = expect_ok("inspect", tiny, "--json").json
    assert isinstance(facts, dict) and facts
    text = expect_ok("inspect", "-m", tiny).out
    assert "token_embd.weight" in text and "llama" in text
    assert "llama" in expect_ok("inspect", "--synth", "tiny-llama").out
