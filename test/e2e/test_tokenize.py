# SPDX-License-Identifier: Apache-2.0
"""tokenize through pipes: lines, JSON strings, decoding, real vocabularies."""
import json

import pytest
from conftest import expect_error, expect_ok, need_data

SYNTH = ["--synth", "tiny-llama"]
VOCABULARIES = ["ggml-vocab-gpt-2", "ggml-vocab-llama-spm", "ggml-vocab-deepseek-llm"]
SEPARATOR = "\n__ggml_vocab_test__\n"


def read_pairs(name):
    """The tokenizer's path and [(text, ids)] of its .inp and .out."""
    base = need_data("tokenizers/gguf-vocab/%s.gguf" % name)
    with open(base + ".inp", encoding="utf-8", newline="") as file:
        texts = file.read().split(SEPARATOR)
    with open(base + ".out", encoding="utf-8") as file:
        rows = [[int(w) for w in line.split()] for line in file.read().split("\n")]
    return base, list(zip(texts, rows))


def encode_json(texts, *args):
    lines = "".join(json.dumps(t) + "\n" for t in texts)
    out = expect_ok("tokenize", "--json", *args, stdin=lines).out
    return [[int(w) for w in line.split()] for line in out.split("\n")[:-1]]


def decode_json(rows, *args):
    lines = "".join(" ".join(map(str, r)) + "\n" for r in rows)
    out = expect_ok("tokenize", "--decode", "--json", *args, stdin=lines).out
    return [json.loads(line) for line in out.split("\n")[:-1]]


def test_a_line_in_a_line_out_and_back():
    text = "hello world\n\n  two  blanks\nlast without newline"
    ids = expect_ok("tokenize", *SYNTH, stdin=text).out
    lines = ids.split("\n")
    assert len(lines) == 5 and lines[1] == "" and lines[4] == ""
    assert all(w.isdigit() for w in lines[0].split())
    assert expect_ok("tokenize", *SYNTH, "--decode", stdin=ids).out == text + "\n"


def test_newlines_survive_as_json():
    texts = ["a\nb", "", "\u00e9\u4e2d\U0001f600\t\"quoted\"", "c\x00nul"]
    assert decode_json(encode_json(texts, *SYNTH), *SYNTH) == texts


def test_bos_comes_only_when_asked():
    plain = expect_ok("tokenize", *SYNTH, stdin="ab\n").out.split()
    assert expect_ok("tokenize", *SYNTH, "--no-bos", stdin="ab\n").out.split() == plain
    with_bos = expect_ok("tokenize", *SYNTH, "--bos", stdin="ab\n").out.split()
    assert with_bos == ["256"] + plain
    assert expect_ok("tokenize", *SYNTH, "--special", stdin="ab\n").out.split() == with_bos
    assert expect_ok("tokenize", *SYNTH, "--special", "--no-bos", stdin="ab\n").out.split() == plain


@pytest.mark.parametrize("args,line,part", [
    (["--decode"], "1 x 2", "'x' is no token id"), (["--decode"], "1 99999999", "no token id"),
    (["--decode"], "-1", "no token id"), (["--json"], "not json", "line 2"), (["--json"], "[1]", "not a JSON string")])
def test_a_bad_line_is_named(args, line, part):
    good = "1\n" if "--decode" in args else '"a"\n'
    done = expect_error(1, part, "tokenize", *SYNTH, *args, stdin=good + line + "\n")
    assert "line 2" in done.err


def test_bytes_that_are_no_text_pass():
    raw = bytes(range(11, 20)) + b"\xff\xfe\xc3("
    ids = expect_ok("tokenize", *SYNTH, stdin=raw + b"\n").out.split()
    assert len(ids) == len(raw)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_real_vocabularies_in_gguf_without_tensors(name):
    base, pairs = read_pairs(name)
    got = encode_json([t for t, _ in pairs], "-m", base)
    for (text, want), ids in zip(pairs, got):
        assert ids == want, repr(text)


@pytest.mark.parametrize("kind,path", [("llama2", "llama2/tokenizer.json"), ("llama2", "llama2"),
                                       ("llama3", "llama3/tokenizer.json"), ("qwen", "qwen/tokenizer.json")])
def test_hugging_face_expectations(kind, path):
    with open(need_data("tokenizers/expected/transformers_js.json"), encoding="utf-8") as file:
        cases = json.load(file)[kind]
    model = need_data("tokenizers/" + path)
    if kind == "llama2":  # this copy of the file spells piece 8655 with two plain spaces, not with two U+00A0
        del cases["TEXT_WITH_ESCAPE_CHARACTERS_2"]
    got = encode_json([c["text"] for c in cases.values()], "-m", model, "--special")
    for (name, case), ids in zip(cases.items(), got):
        assert ids == case["ids"], name


def test_a_bare_sentencepiece_model_is_taken():
    path = need_data("tokenizers/llama2/tokenizer.model")
    assert expect_ok("tokenize", "-m", path, stdin="Hello world\n").out == "15043 3186\n"
    assert expect_ok("tokenize", "-m", path, "--decode", stdin="15043 3186\n").out == "Hello world\n"


@pytest.mark.parametrize("name,text", [("tokenizer.json", "{}"), ("tokenizer.model", "junk"), ("x.gguf", "GGUF")])
def test_a_file_that_is_no_tokenizer_is_named(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    expect_error(1, name, "tokenize", "-m", tmp_path / name)
