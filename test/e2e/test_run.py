# SPDX-License-Identifier: Apache-2.0
"""run, logits and perplexity on small random models: shapes of output, determinism, limits, Ctrl-C."""
import math
import signal
import subprocess

import pytest
from conftest import PROGRAM, expect_error, expect_ok

SYNTH = ["--synth", "tiny-llama"]


def test_run_answers_in_json():
    done = expect_ok("run", *SYNTH, "--raw", "-p", "hello", "-n", "8", "--ignore-eos", "--json")
    answer = done.json
    assert set(answer) == {"text", "ids", "finish_reason", "timings"}
    assert len(answer["ids"]) == 8 and answer["finish_reason"] == "length" and isinstance(answer["text"], str)
    for key in ("load_s", "ttft_s", "prefill_tok_s", "decode_tok_s", "read_bytes_s", "memory_bytes_s"):
        assert answer["timings"][key] > 0, key
    assert done.err == ""


def test_run_streams_text_and_ends_with_figures(tmp_path):
    args = ["run", *SYNTH, "--raw", "-n", "8", "--ignore-eos"]
    done = expect_ok(*args, "-p", "hello")
    assert done.err.count("\n") == 1
    for word in ("load", "TTFT", "prefill", "decode", "tok/s", "GB/s", "%"):
        assert word in done.err
    text = expect_ok(*args, "-p", "hello", "--json").json["text"]
    assert done.out == text + "\n"
    assert expect_ok(*args, "-p", "hello", "-q").err == ""
    assert expect_ok(*args, "-p", "hello", "--echo").out == "hello" + text + "\n"
    (tmp_path / "prompt").write_text("hello")
    assert expect_ok(*args, "-f", tmp_path / "prompt").out == done.out
    assert expect_ok(*args, "-p", "-", stdin="hello").out == done.out


def test_a_seed_decides_the_text():
    args = ["run", *SYNTH, "--raw", "-p", "x", "-n", "16", "--temp", "1", "--ignore-eos", "--json", "-q"]
    first = expect_ok(*args, "--seed", "5").json["ids"]
    assert expect_ok(*args, "--seed", "5").json["ids"] == first
    assert expect_ok(*args, "--seed", "6").json["ids"] != first


@pytest.mark.parametrize("shape", ["tiny-llama", "tiny-qwen2", "tiny-qwen3"])
def test_the_number_of_threads_changes_no_bit(shape):
    prompt = ",".join(str(i % 250) for i in range(100))
    args = ["logits", "--synth", shape, "--ids", prompt, "--json"]
    assert expect_ok(*args, "--threads", "1").out == expect_ok(*args, "--threads", "2").out


def test_stop_texts_and_limits_end_a_run():
    args = ["run", *SYNTH, "--raw", "-p", "x", "--ignore-eos", "--json", "-q"]
    whole = expect_ok(*args, "-n", "24").json
    assert expect_ok(*args, "-n", "0").json["ids"] == []
    stop = next(c for c in whole["text"] if c.isprintable() and c != "\ufffd")
    cut = expect_ok(*args, "-n", "24", "--stop", stop).json
    assert cut["finish_reason"] == "stop" and cut["text"] == whole["text"][:whole["text"].index(stop)]
    full = expect_ok(*args, "-n", "-1", "--ctx", "32").json
    assert full["finish_reason"] == "length" and 24 < len(full["ids"]) <= 32


def test_a_prompt_that_does_not_fit_is_refused():
    expect_error(1, "8", "run", *SYNTH, "--raw", "-p", "a longer prompt than that", "--ctx", "8")


def test_special_tokens_in_a_prompt_count_only_when_asked():
    assert len(expect_ok("logits", *SYNTH, "-p", "<|begin|><|end|>", "--json").json["ids"]) == 1 + len("<|begin|><|end|>")


def test_system_without_a_template_is_refused():
    expect_error(1, "--system", "run", *SYNTH, "-p", "x", "--raw", "--system", "be brief")


def test_ctrl_c_ends_a_generation_cleanly():
    # A shape with a long context, so that it cannot be done before the signal comes.
    command = [PROGRAM, "run", "--synth", "smollm2-135m", "--type", "q4_0", "--raw", "-p", "x", "-n", "-1", "--ignore-eos"]
    # Whoever runs the tests in the background ignores SIGINT, and children inherit that.
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    assert child.stdout.read(1)  # it has begun
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert err.count(b"\n") == 1 and b"tok/s" in err and out.endswith(b"\n")


# ---- logits ----

def test_logits_of_ids_and_of_a_prompt_agree():
    by_text = expect_ok("logits", *SYNTH, "-p", "hello", "--json").json
    assert set(by_text) == {"ids", "logits"} and len(by_text["logits"]) == 512
    ids = ",".join(map(str, by_text["ids"]))
    assert expect_ok("logits", *SYNTH, "--ids", ids, "--json").json == by_text
    plain = expect_ok("logits", *SYNTH, "--ids", ids).out.splitlines()
    assert [float(line.split()[1]) for line in plain] == by_text["logits"]


@pytest.mark.parametrize("ids", ["1,x", "-1", "99999999", "1,2.5", "99999999999999999999999999", ""])
def test_ids_that_are_none_are_refused(ids):
    expect_error(1, "", "logits", *SYNTH, "--ids=" + ids)


# ---- perplexity ----

def test_perplexity_counts_every_token_after_the_first(tmp_path):
    text = "The quick brown fox jumps over the lazy dog. " * 8
    (tmp_path / "text").write_text(text)
    whole = expect_ok("perplexity", *SYNTH, "-f", tmp_path / "text", "--json").json
    n = len(expect_ok("tokenize", *SYNTH, stdin=text + "\n").out.split())
    assert set(whole) == {"nll", "perplexity", "tokens"} and whole["tokens"] == n
    assert abs(whole["perplexity"] / 2.718281828459045 ** whole["nll"] - 1) < 1e-9
    cut = expect_ok("perplexity", *SYNTH, "-f", tmp_path / "text", "--json", "--ctx", "33").json
    assert cut["tokens"] == n and cut["nll"] != whole["nll"]
    assert expect_ok("perplexity", *SYNTH, "-f", "-", "--json", stdin=text).json == whole
    assert "over %d tokens" % n in expect_ok("perplexity", *SYNTH, "-f", tmp_path / "text").out


@pytest.mark.parametrize("shape", ["tiny-llama", "tiny-qwen2"])  # one begins every window with bos, one has none
def test_windows_are_scored_as_documented(shape, tmp_path):
    (tmp_path / "text").write_text("hello, world")
    ids = [int(w) for w in expect_ok("tokenize", "--synth", shape, "--bos", stdin="hello, world\n").out.split()]
    bos = ids[:1] if shape == "tiny-llama" else None
    window, total = 5, 0.0
    for i in range(1, len(ids)):
        start = (i - 1) // (window - 1) * (window - 1)
        seen = (bos or ids[start:start + 1]) + ids[start + 1:i]
        row = expect_ok("logits", "--synth", shape, "--ids", ",".join(map(str, seen)), "--json").json["logits"]
        total += math.log(math.fsum(math.exp(x - max(row)) for x in row)) + max(row) - row[ids[i]]
    got = expect_ok("perplexity", "--synth", shape, "-f", tmp_path / "text", "--json", "--ctx", window).json
    assert got["tokens"] == len(ids) - 1 and abs(got["nll"] - total / (len(ids) - 1)) < 1e-6  # logits are read as floats


def test_perplexity_of_nothing_is_refused(tmp_path):
    (tmp_path / "empty").write_text("")
    expect_error(1, "tokens", "perplexity", *SYNTH, "-f", tmp_path / "empty")
    expect_error(1, "/no/such/file", "perplexity", *SYNTH, "-f", "/no/such/file")
