# SPDX-License-Identifier: Apache-2.0
"""trace: the timeline's JSON is what a viewer wants, the figures add up, wrong uses are named."""
import collections
import json
import os
import xml.etree.ElementTree as ElementTree

import pytest
from conftest import expect_error, expect_ok

SYNTH = ["--synth", "tiny-llama"]
CAUSES = {"host late", "dependency", "queue full", "nothing to do"}
HOST = {"host: engine", "host: plan", "host: bind", "host: launch", "host: complete"}
N_PROMPT, N_DECODE = 400, 5  # two chunks of a prompt, then decode steps


class Timeline:
    """A trace read back: its events by lane, as a viewer sees them."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.doc = json.load(file, parse_constant=lambda word: pytest.fail("%s is no JSON" % word))
        self.events = self.doc["traceEvents"]
        self.lane_of = {e["tid"]: e["args"]["name"] for e in self.events if e["name"] == "thread_name"}
        self.lanes = collections.defaultdict(list)
        for e in self.events:
            if e["ph"] == "X":
                self.lanes[self.lane_of[e["tid"]]].append(e)

    def flows(self, phase):
        return {e["id"]: e for e in self.events if e["ph"] == phase}


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """A run on an invented model: the timeline, the picture's path, the figures."""
    where = tmp_path_factory.mktemp("trace")
    done = expect_ok("trace", *SYNTH, "--raw", "-p", "x" * (N_PROMPT - 1), "-n", N_DECODE, "--json",
                     "-o", where / "t.json", "--svg", where / "t.svg")
    assert sorted(os.listdir(where)) == ["t.json", "t.svg"] and done.err == ""
    return Timeline(where / "t.json"), where / "t.svg", done.json


def near(a, b, slack=0.0015):
    return abs(a - b) <= slack  # times are printed to the nanosecond, in microseconds


# ---- the timeline ----

def test_every_event_is_whole(traced):
    timeline, _, _ = traced
    assert timeline.doc["otherData"]["dropped"] == 0
    for e in timeline.events:
        assert e["ph"] in "MXsf" and e["pid"] == 1 and isinstance(e["name"], str)
        if e["ph"] == "X":
            assert e["ts"] >= 0 and e["dur"] >= 0 and e["cat"] in ("host", "device", "step", "idle")
    assert timeline.doc["otherData"]["spans"] == sum(e.get("cat") in ("host", "device") for e in timeline.events)


def test_lanes_are_named_sorted_and_never_cross(traced):
    timeline, _, _ = traced
    assert set(timeline.lanes) == HOST | {"stream 0", "steps", "device: idle"}
    for name, events in timeline.lanes.items():
        assert [e["ts"] for e in events] == sorted(e["ts"] for e in events), name
        for a, b in zip(events, events[1:]):
            assert a["ts"] + a["dur"] <= b["ts"] + 0.0015, (name, a, b)
    order = {e["tid"]: e["args"]["sort_index"] for e in timeline.events if e["name"] == "thread_sort_index"}
    names = [timeline.lane_of[tid] for tid in sorted(order, key=order.get)]
    assert names[0] == "host: engine" and names[-3:] == ["steps", "device: idle", "stream 0"]


def test_each_step_has_one_arrow_from_host_to_device(traced):
    timeline, _, figures = traced
    begin, end = timeline.flows("s"), timeline.flows("f")
    assert set(begin) == set(end) and len(begin) == len(figures["steps"])
    for i, e in begin.items():
        assert timeline.lane_of[e["tid"]] == "host: launch" and timeline.lane_of[end[i]["tid"]] == "stream 0"
        assert e["ts"] <= end[i]["ts"] and (e["cat"], e["name"]) == (end[i]["cat"], end[i]["name"])
        for at in (e, end[i]):  # an arrow is tied to the span that begins there
            assert any(s["tid"] == at["tid"] and s["ts"] == at["ts"] for s in timeline.events if s["ph"] == "X")


def test_steps_are_the_prompts_chunks_and_one_a_token(traced):
    timeline, _, figures = traced
    steps = figures["steps"]
    assert [(s["kind"], s["tokens"]) for s in steps] == \
        [("prefill", 256), ("prefill", 144)] + [("decode", 1)] * N_DECODE
    assert [s["step"] for s in steps] == list(range(1, len(steps) + 1))
    for stage in ("plan", "bind", "launch", "complete"):
        assert [e["args"]["step"] for e in timeline.lanes["host: " + stage]] == [s["step"] for s in steps], stage


def test_kernels_say_their_operator_and_node(traced):
    timeline, _, figures = traced
    kernels = timeline.lanes["stream 0"]
    for step in figures["steps"]:
        mine = [e for e in kernels if e["args"]["step"] == step["step"]]
        assert len(mine) == step["launches"]
        nodes = {e["args"]["node"]: e["name"] for e in mine}
        assert nodes["embed"] == "embed" and nodes["blk.1.attention"] == "attention" and nodes["blk.0.qkv"] == "linear"
        assert all("node" in e["args"] and e["args"]["queued_us"] >= 0 for e in mine)


# ---- the figures ----

def test_blame_adds_up(traced):
    timeline, _, figures = traced
    shown = {e["args"]["step"]: e for e in timeline.lanes["steps"]}
    for s in figures["steps"]:
        assert set(s["blame"]) == CAUSES and all(0 <= x <= 1 for x in s["blame"].values())
        assert abs(sum(s["blame"].values()) - s["bubble_ratio"]) < 1e-9
        assert abs(s["total_us"] * (1 - s["bubble_ratio"]) - s["busy_us"]) < 1e-6 * s["total_us"]
        assert near(shown[s["step"]]["dur"], s["total_us"]) and near(shown[s["step"]]["args"]["busy_us"], s["busy_us"])
        busy = sum(e["dur"] for e in timeline.lanes["stream 0"] if e["args"]["step"] == s["step"])
        assert near(busy, s["busy_us"], 0.001 * s["launches"] + 0.0015)  # one stream: kernels are all that is busy


def test_the_summary_leaves_out_prefill_and_the_first_two_decode_steps(traced):
    _, _, figures = traced
    warm = [s for s in figures["steps"] if s["kind"] == "decode"][2:]
    assert figures["warm_steps"] == len(warm) == N_DECODE - 2 and figures["dropped"] == 0
    assert figures["median_us"] == sorted(s["total_us"] for s in warm)[1]
    total = sum(s["total_us"] for s in warm)
    for cause in CAUSES:
        assert abs(figures["blame"][cause] - sum(s["blame"][cause] * s["total_us"] for s in warm) / total) < 1e-6
    assert abs(sum(figures["blame"].values()) - figures["bubble_ratio"]) < 1e-9


def test_the_table_is_for_people(tmp_path):
    lines = expect_ok("trace", *SYNTH, "--raw", "-p", "hello", "-n", "3", "-o", tmp_path / "t").out.splitlines()
    assert lines[0].split() == ["step", "tokens", "total", "us", "busy", "us", "idle", "blame"]
    assert [line.split()[:3] for line in lines[1:5]] == [["1", "6", "prefill"]] + [[str(i), "1", "decode"] for i in (2, 3, 4)]
    assert lines[5].startswith("decode after 2 to warm up: 1 step, median ") and len(lines) == 6
    few = expect_ok("trace", *SYNTH, "--raw", "-p", "hello", "-n", "2", "-o", tmp_path / "t").out
    assert few.endswith("no summary: it takes more than 2 decode steps\n")
    none = expect_ok("trace", *SYNTH, "-n", "0", "--json", "-o", tmp_path / "t").json
    assert len(none["steps"]) == 1 and none["bubble_ratio"] is None and none["blame"] is None and none["warm_steps"] == 0


def test_the_bundled_model_is_the_default(story, tmp_path):
    figures = expect_ok("trace", "-n", "4", "--json", "-o", tmp_path / "t").json
    assert [s["kind"] for s in figures["steps"]] == ["prefill"] + ["decode"] * 4
    for e in Timeline(tmp_path / "t").lanes["stream 0"]:
        assert e["args"]["node"]


def test_a_trace_that_is_too_small_says_so(tmp_path):
    args = ["trace", *SYNTH, "-p", "hello", "-n", "9", "--spans", "60", "-o", tmp_path / "t"]
    figures = expect_ok(*args, "--json").json
    assert figures["dropped"] > 0 and 0 < len(figures["steps"]) < 10
    other = Timeline(tmp_path / "t").doc["otherData"]
    assert (other["spans"], other["dropped"]) == (60, figures["dropped"])
    assert "the trace was full: %d spans were dropped" % figures["dropped"] in expect_ok(*args).out


def test_a_context_that_is_too_small_ends_the_run(tmp_path):
    done = expect_ok("trace", *SYNTH, "--raw", "-p", "hello", "-n", "50", "--ctx", "16", "--json", "-o", tmp_path / "t")
    assert done.err == "baton: the context of 16 tokens has room for 9 of 50 decode steps\n"
    assert len(done.json["steps"]) == 10


# ---- the picture ----

def test_the_picture_is_xml_and_names_the_nodes(traced):
    _, path, _ = traced
    root = ElementTree.parse(path).getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == space + "svg"
    texts = ["".join(e.itertext()) for e in root.iter(space + "text")]
    assert any(t.startswith("Device idle ") for t in texts) and HOST | {"stream 0"} <= set(texts)
    titles = ["".join(e.itertext()) for e in root.iter(space + "title")]
    assert any(t.startswith("attention of blk.1.attention\nstream 0, step 1\n") for t in titles)


# ---- wrong uses ----

def test_files_that_cannot_be_written_are_named_before_the_model_is_loaded(tmp_path):
    missing = tmp_path / "no" / "such" / "t.json"
    expect_error(1, "cannot create '%s'" % missing, "trace", "-m", "/no/such/model", "-o", missing)
    expect_error(1, "cannot create '%s'" % missing, "trace", *SYNTH, "-o", tmp_path / "t", "--svg", missing)
    expect_error(1, "'%s': it is a folder" % tmp_path, "trace", *SYNTH, "-o", tmp_path)
    assert os.listdir(tmp_path) == []


def test_wrong_uses_leave_no_file(tmp_path):
    out = tmp_path / "t.json"
    expect_error(1, "/no/such/model", "trace", "-m", "/no/such/model", "-o", out)
    expect_error(2, "-o FILE", "trace", *SYNTH)
    expect_error(2, "--output and --svg are both", "trace", *SYNTH, "-o", out, "--svg", out)
    expect_error(2, "--steps is '-1'", "trace", *SYNTH, "-o", out, "-n", "-1")
    expect_error(2, "--spans is '0'", "trace", *SYNTH, "-o", out, "--spans", "0")
    expect_error(1, "system", "trace", *SYNTH, "-o", out, "--raw", "--system", "x")
    expect_error(1, "8", "trace", *SYNTH, "-o", out, "--raw", "-p", "longer than that", "--ctx", "8")
    assert os.listdir(tmp_path) == []
