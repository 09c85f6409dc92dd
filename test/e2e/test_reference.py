# SPDX-License-Identifier: Apache-2.0
"""Reference models through the program: prompt ids, logits, greedy text, likelihood."""
import json
import os

import pytest
from conftest import GOLDEN, expect_ok, need_data

MODELS = [("babyllama-tok105", "babyllama-tok105.gguf"), ("llama2xs-tok512", "llama2xs-tok512.gguf"),
          ("llama2xs-tok512", "hf"), ("llama2xs-tok512", "hf-bf16")]

# BF16 keeps 8 bits of each weight and of each activation it meets, and the expectations were made from the
# F32 weights: the logits differ by what these roundings do (0.29 at worst here), and near ties may fall the
# other way. Ids of the prompt do not.
BF16_LOGIT_TOLERANCE = 0.4
BF16_NLL_TOLERANCE = 0.02


def load(model, name):
    with open(need_data("models/%s/%s" % (model, name)), encoding="utf-8") as file:
        return json.load(file)


@pytest.mark.parametrize("model,form", MODELS)
def test_prompt_ids_logits_and_greedy_ids(model, form):
    path = need_data("models/%s/%s" % (model, form))
    exact = form != "hf-bf16"
    for case in load(model, "expected.json")["cases"]:
        got = expect_ok("logits", "-m", path, "-p", case["prompt"], "--json").json
        assert got["ids"] == case["ids"], case["prompt"]
        assert len(got["logits"]) == len(case["logits_after_prompt"])
        worst = max(abs(a - b) for a, b in zip(got["logits"], case["logits_after_prompt"]))
        assert worst <= (1e-4 if exact else BF16_LOGIT_TOLERANCE), (case["prompt"], worst)
        if not exact:
            continue
        n = len(case["greedy_ids"])
        run = expect_ok("run", "-m", path, "--raw", "-p", case["prompt"], "-n", n, "--json", "-q").json
        assert run["ids"] == case["greedy_ids"], case["prompt"]
        assert (case["prompt"] + run["text"]).strip() == case["greedy_text"].strip()


@pytest.mark.parametrize("model,form", MODELS)
def test_likelihood_of_a_text(model, form, tmp_path):
    want = load(model, "expected_nll.json")
    path = need_data("models/%s/%s" % (model, form))
    # The expectation is for the text's first 221 tokens: find the part that they are.
    with open(need_data("models/%s/nll_text.txt" % model), encoding="utf-8") as file:
        text = file.read()
    lines = "".join(json.dumps(text[:n]) + "\n" for n in range(1, len(text) + 1))
    rows = expect_ok("tokenize", "-m", path, "--json", "--bos", stdin=lines).out.split("\n")
    start = text[:1 + rows.index(" ".join(map(str, want["ids"])))]
    (tmp_path / "text").write_text(start)
    got = expect_ok("perplexity", "-m", path, "-f", tmp_path / "text", "--json").json
    assert got["tokens"] == want["tokens"]
    assert abs(got["nll"] - want["mean_nll"]) <= (1e-4 if form != "hf-bf16" else BF16_NLL_TOLERANCE)


def test_a_model_with_a_real_vocabulary_runs():
    path = need_data("models/llama-2-tiny-random/llama-2-tiny-random.gguf")
    args = ["run", "-m", path, "--raw", "-p", "Hello world", "-n", "8", "--json", "-q", "--ignore-eos"]
    one, two = (expect_ok(*args, "--threads", n).json["ids"] for n in (1, 2))
    assert one == two and len(one) == 8


@pytest.mark.parametrize("name", sorted(os.listdir(GOLDEN)))
def test_a_tiny_model_of_each_family_as_transformers_runs_it(name):
    with open(os.path.join(GOLDEN, name, "expected.json"), encoding="utf-8") as file:
        want = json.load(file)
    n = len(want["ids"])
    ids = ",".join(map(str, want["ids"]))
    got = expect_ok("logits", "-m", os.path.join(GOLDEN, name), "--ids", ids, "--json").json
    row = want["logits"][n - 1]
    assert max(abs(a - b) for a, b in zip(got["logits"], row)) <= 1e-4 * max(1.0, max(map(abs, row)))
