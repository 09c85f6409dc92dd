# SPDX-License-Identifier: Apache-2.0
"""The bundled model: stories, chat through pipes and on a terminal, what a person may type."""
import json
import math
import os
import pty
import time

import pytest
from conftest import PROGRAM, expect_error, expect_ok, run_baton


def test_a_story_is_told_without_naming_a_model(story):
    args = ["run", "--raw", "-p", "Once upon a time", "-n", "40", "--json", "-q"]
    told = expect_ok(*args).json
    assert len(told["ids"]) > 10 and len(told["text"].split()) > 8
    assert expect_ok(*args, "-m", story).json["ids"] == told["ids"]
    assert expect_ok(*args, env={"BATON_MODEL": story}).json["ids"] == told["ids"]
    expect_error(1, "/no/such/model", *args, env={"BATON_MODEL": "/no/such/model"})


def test_a_request_goes_through_the_chat_template(story):
    plain = expect_ok("run", "--raw", "-p", "Tell me a story about a fox.", "-n", "24", "--json", "-q").json
    asked = expect_ok("run", "-p", "Tell me a story about a fox.", "-n", "24", "--json", "-q").json
    assert asked["ids"] and asked["ids"] != plain["ids"]


def test_a_prompt_may_hold_anything_but_a_message_no_nul(story):
    expect_error(1, "NUL", "run", "-p", "-", "-n", "4", "-q", stdin=b"a\x00b")
    expect_ok("run", "--raw", "-p", "-", "-n", "4", "-q", stdin=b"a\x00b\xff\xfe")
    expect_error(1, "UTF-8", "run", "-p", "-", "-n", "4", "-q", stdin=b"\xff\xfe")


@pytest.mark.parametrize("kv", ["f32", "f16", "bf16", "q8_0", "q4_0"])
def test_every_kind_of_cache_tells_a_story(story, kv):
    assert len(expect_ok("run", "--raw", "-p", "One day", "-n", "16", "--json", "-q", "--kv-type", kv).json["ids"]) > 4


def test_threads_do_not_change_a_story(story):
    args = ["run", "--raw", "-p", "Once upon a time", "-n", "60", "--json", "-q", "--temp", "0.8", "--seed", "3"]
    assert expect_ok(*args, "--threads", "1").json["ids"] == expect_ok(*args, "--threads", "2").json["ids"]


def test_a_conversation_from_a_pipe(story):
    lines = "Tell me a story about a cat.\n\n/seed 4\n/temp 0\nAnd a dog?\n/reset\nAnd a dog?\n/nonsense\n/quit\nunread\n"
    done = expect_ok("chat", "-n", "12", "--temp", "0", stdin=lines)
    assert len(done.out.rstrip("\n").split("\n")) >= 3 and "/nonsense" in done.err and "> " not in done.out
    assert expect_ok("chat", "-n", "12", "--temp", "0", stdin=lines).out == done.out


def test_a_conversation_forgets_when_told(story):
    first = expect_ok("chat", "-n", "12", "--temp", "0", stdin="Tell me a story about a dog.\n").out
    both = expect_ok("chat", "-n", "12", "--temp", "0", stdin="Hello.\n/reset\nTell me a story about a dog.\n").out
    assert both.endswith(first)


def test_a_long_conversation_forgets_its_oldest_turns(story):
    lines = "Tell me a long story about a cat and a dog who went to the sea.\n" * 8
    done = run_baton("chat", "-n", "30", "--ctx", "160", stdin=lines)
    assert done.status == 0 and "forgotten" in done.err


def test_wrong_values_in_a_conversation_are_reported_and_it_goes_on(story):
    done = expect_ok("chat", "-n", "8", stdin="/temp hot\n/seed x\n/help\nHello.\n")
    assert "/temp is 'hot'" in done.err and "/seed is 'x'" in done.err and "/reset" in done.err and done.out.strip()


def test_chat_needs_a_template():
    expect_error(1, "no chat template", "chat", "--synth", "tiny-llama", stdin="hi\n")


def test_likelihood_of_a_story_is_far_better_than_chance(story, tmp_path):
    (tmp_path / "t").write_text("Once upon a time, there was a little girl named Lily. She loved to play outside.")
    score = expect_ok("perplexity", "-f", tmp_path / "t", "--json").json
    assert score["tokens"] > 10 and score["perplexity"] < 60


def test_a_terminal_gets_line_editing(story):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(PROGRAM, [PROGRAM, "chat", "-m", story, "-n", "8"])
    seen, asked, deadline = b"", False, time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            block = os.read(fd, 4096)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        seen += block
        if not asked and b"> " in seen:
            asked = True
            os.write(fd, b"/hepl\n/quit\n")
    _, status = os.waitpid(pid, 0)
    assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, seen
    assert b"did you mean /help" in seen


def test_logits_are_those_of_an_exact_engine_but_for_rounded_activations(story):
    """models/story.expected.json: float64 over the dequantised weights, every fourth logit. Rounding to 8 bits costs 0.6
    to 3.4 % of them here, where a row is one group (what that means for perplexity: model_rounding_test)."""
    with open(os.path.join(os.path.dirname(story), "story.expected.json"), encoding="utf-8") as file:
        cases = json.load(file)["cases"]
    for case in cases:
        ids = expect_ok("tokenize", "-m", story, "--special", "--no-bos", "--json",
                        stdin=json.dumps(case["prompt"]) + "\n").out.split()
        assert [int(i) for i in ids] == case["ids"]
        got = expect_ok("logits", "-m", story, "--ids", ",".join(ids), "--json").json["logits"][::4]
        want = case["logits_every_4th"]
        off = math.sqrt(sum((a - b) ** 2 for a, b in zip(got, want)) / sum(b * b for b in want))
        assert len(got) == len(want) and off < 0.04
