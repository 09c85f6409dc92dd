#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the tokenizers of this folder and what the reference libraries say about them.

Needs the packages tokenizers 0.2x and sentencepiece 0.2.x. Each NAME.json is a tokenizer.json (each
NAME.model a SentencePiece model) trained on the text below; NAME.out holds, for each line of texts.json,
{"ids"} or {"full" (with the special tokens around and inside), "text" (ids decoded), "full_text"}. Run it here:
    python3 make_golden.py
"""
import io
import json
import random
import struct
import base64

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = """The lighthouse keeper's daughter counted 12 ships, 345 gulls and 6789 waves before breakfast.
"It isn't far," she said; "we'll walk, and they've promised they'd wait!" The café was closed (again).
Die Straße war naß; über den Dächern flogen Vögel. L'été dernier, nous étions à la plage, n'est-ce pas?
Мой дядя самых честных правил, когда не в шутку занемог. Привет, мир!
春眠不覚暁、処処聞啼鳥。夜来風雨声、花落知多少。ひらがなとカタカナ。 한국어 문장도 있다.
def walk(steps):\n    total = 0\n    for s in steps:\n        total += s * 2\n    return total  # done
x == y && z != 10; price: $3.50, 20% off... see http://example.org/a_b?c=d
The end of the walk. the walk the walk   the    waves  and and and the keeper keeper's""".split("\n")

TEXTS = [
    "", " ", "  ", "\n", "\t x", "Hello, world!", " leading", "trailing ", "two  spaces   three", "a\n\nb\r\n c\n",
    "The keeper's daughter WE'LL they'Ve I'm 'S 'tis ſ'ſ", "12345678 1 22 333 4444 ½ ² ٣٤٥ Ⅷ",
    "naïve café — “quoted” … ½", "e\u0301\u0327\u0316 A\u030a \u1100\u1161\u11a8 \ufb01 \u212b \u2126 ①", "İstanbul ẞtraße ǅ ΑΣ",
    "Привет, мир", "春眠不覚暁、花。ひらがな カタカナ 한국어", "🙂👩‍👩‍👧 flag 🇨🇭!", "\u00a0nbsp\u3000ideographic\u2003em\u180emvs\u200bzw",
    "<s> <|eot|> </s><|eot|>x <tool>y<tool> z <mask>w", "word<mask> <mask>word  <mask>  end", "a_b _ab <single>x <single> x<single>",
    "!!!??? ... -- ==> (foo) [bar] {baz}", "x==y&&z!=10;", "▁literal ▁ mark▁", "\u0000\u0001\u007f", "\ufffd\ufeffbom",
    "नमस्ते दुनिया ไทย", "𐐀𝟘𝔘 \U0001f9d9", "the walk the walk", "TheKeeperWALKS camelCase HTTPServer iPhone", "a" * 60, "ab" * 40,
    "//\n// comment\n\n\n  indented", "100,000.00", "<0x0A> <unk>", "l'été d'or", "keeper keeper's keepers", "foo bar foo  bar", "\u2028\u0085x",
]


def bpe_trainer(size, **kw):
    return trainers.BpeTrainer(vocab_size=size, show_progress=False, **kw)


def byte_level(pre, size=330, norm=None, post=None, added=(), ignore_merges=False, decoder=None):
    t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if norm:
        t.normalizer = norm
    t.pre_tokenizer = pre
    t.train_from_iterator(CORPUS, bpe_trainer(size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.decoder = decoder or decoders.ByteLevel()
    for token in added:
        (t.add_special_tokens if token.special else t.add_tokens)([token])
    if post:
        t.post_processor = post(t)
    return t


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def seq(*parts):
    return pre_tokenizers.Sequence(list(parts))


BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
V3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
      r"\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIALS = [AddedToken("<s>", special=True, normalized=False), AddedToken("<|eot|>", special=True, normalized=False)]
FLAGS = [AddedToken("<tool>", normalized=False), AddedToken("<mask>", lstrip=True, rstrip=True, normalized=False),
         AddedToken("<single>", single_word=True, normalized=False), AddedToken("keeper", normalized=True)]


def template(t):
    return processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", t.token_to_id("<s>"))])])


def both_ends(t):
    return processors.TemplateProcessing(single="<s> $A <|eot|>", special_tokens=[
        ("<s>", t.token_to_id("<s>")), ("<|eot|>", t.token_to_id("<|eot|>"))])


def char_bpe(pre, norm, decoder, fallback, size=420, fuse=True, ignore=False, post=None, added=()):
    byte_pieces = ["<unk>"] + (["<0x%02X>" % i for i in range(256)] if fallback else [])
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=fuse, byte_fallback=fallback))
    if norm:
        t.normalizer = norm
    if pre:
        t.pre_tokenizer = pre
    t.train_from_iterator(CORPUS, bpe_trainer(size, special_tokens=byte_pieces, limit_alphabet=90))
    doc = json.loads(t.to_str())
    doc["added_tokens"] = [a for a in doc["added_tokens"] if not a["content"].startswith("<0x")]
    doc["model"]["byte_fallback"] = fallback
    doc["model"]["fuse_unk"] = fuse
    t = Tokenizer.from_str(json.dumps(doc))
    if decoder:
        t.decoder = decoder
    for token in added:
        (t.add_special_tokens if token.special else t.add_tokens)([token])
    if post:
        t.post_processor = post(t)
    return t


LLAMA2_DECODER = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                    decoders.Strip(" ", 1, 0)])


def unigram(norm, pre, decoder, fallback=False, post=None, added=()):
    t = Tokenizer(models.Unigram())
    t.normalizer = norm
    t.pre_tokenizer = pre
    special = ["<unk>"] + (["<0x%02X>" % i for i in range(256)] if fallback else [])
    t.train_from_iterator(CORPUS, trainers.UnigramTrainer(vocab_size=420 if fallback else 220, show_progress=False,
                                                          unk_token="<unk>", special_tokens=special))
    doc = json.loads(t.to_str())
    doc["added_tokens"] = [a for a in doc["added_tokens"] if not a["content"].startswith("<0x")]
    doc["model"]["byte_fallback"] = fallback
    t = Tokenizer.from_str(json.dumps(doc))
    t.decoder = decoder
    for token in added:
        (t.add_special_tokens if token.special else t.add_tokens)([token])
    if post:
        t.post_processor = post(t)
    return t


def spm(name, **kw):
    out = io.BytesIO()
    args = dict(vocab_size=200, character_coverage=0.98, hard_vocab_limit=False, minloglevel=2, num_threads=1,
                control_symbols=["<|eot|>"], max_sentence_length=10000)
    args.update(kw)
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(CORPUS), model_writer=out, **args)
    open(name + ".model", "wb").write(out.getvalue())
    return out.getvalue()


def fields(data):
    """(number, type, start, end of payload) of a protobuf message."""
    at = 0

    def varint():
        nonlocal at
        x = shift = 0
        while True:
            b = data[at]
            at += 1
            x |= (b & 127) << shift
            shift += 7
            if b < 128:
                return x
    while at < len(data):
        tag = varint()
        if tag & 7 == 2:
            n = varint()
            yield tag >> 3, 2, at, at + n
            at += n
        elif tag & 7 == 0:
            start = at
            varint()
            yield tag >> 3, 0, start, at
        else:
            yield tag >> 3, tag & 7, at, at + (4 if tag & 7 == 5 else 8)
            at += 4 if tag & 7 == 5 else 8


def charsmap_of(model):
    for number, _, a, b in fields(model):
        if number == 3:
            part = model[a:b]
            return next(part[c:d] for k, _, c, d in fields(part) if k == 2)


def mark_unused(model, every):
    """Give every n-th normal multi-character piece the type UNUSED (5)."""
    out, k = b"", 0
    for number, kind, a, b in fields(model):
        body = model[a:b]
        if number == 1:
            got = {n: body[c:d] for n, _, c, d in fields(body)}
            if 3 not in got and len(got[1].decode()) > 2:
                k += 1
                if k % every == 0:
                    body += b"\x18\x05"
        assert kind == 2
        n, size = len(body), b""
        while True:
            size += bytes([n & 127 | (128 if n > 127 else 0)])
            n >>= 7
            if not n:
                break
        out += bytes([number << 3 | 2]) + size + body
    return out


def save(name, t):
    doc = json.loads(t.to_str())
    json.dump(doc, open(name + ".json", "w"), ensure_ascii=False, separators=(",", ":"))
    t = Tokenizer.from_file(name + ".json")
    ids_of = Tokenizer.from_str(t.to_str())
    rows = []
    for text in TEXTS:
        full = t.encode(text).ids
        if "<0x" in text and t.token_to_id("<0x0A>") is not None and isinstance(t.model, models.Unigram):
            rows.append({})
            continue   # the library lets text spell byte pieces; SentencePiece does not, and neither do we
        rows.append({"full": full, "text": t.decode(full, skip_special_tokens=True),
                     "full_text": t.decode(full, skip_special_tokens=False)})
    put(name, rows)


def put(name, rows):
    with open(name + ".out", "w") as f:
        for row in rows:
            f.write(json.dumps(row, ensure_ascii=True, separators=(",", ":")) + "\n")


def save_spm(name):
    sp = sentencepiece.SentencePieceProcessor(model_file=name + ".model")
    rows = []
    for text in TEXTS:
        ids = sp.encode(text)
        rows.append({"ids": ids, "text": None if sp.unk_id() in ids else sp.decode(ids)})
    put(name, rows)


def main():
    random.seed(1)
    json.dump(TEXTS, open("texts.json", "w"), ensure_ascii=True, indent=0)
    with open("rules.tsv", "w") as f:
        rules = [("ﬁ", "fi"), ("\u212b", "\u00c5"), ("A\u030a", "\u00c5"), ("e\u0301", "\u00e9"), ("①", "1"), ("\t", " "), ("\n", " "), ("\r", " "), ("\u3000", " "),
                 ("\u00a0", " "), ("½", "1/2"), ("…", "..."), ("\u200b", ""), ("“", "\""), ("”", "\"")]
        for a, b in rules:
            f.write(" ".join("%X" % ord(c) for c in a) + "\t" + " ".join("%X" % ord(c) for c in b) + "\n")
    save("gpt2", byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True)))
    save("llama3", byte_level(seq(split(LLAMA3), BYTES), ignore_merges=True, added=SPECIALS, post=template))
    save("qwen2", byte_level(seq(split(LLAMA3.replace("{1,3}", "")), BYTES), norm=normalizers.NFC(), added=SPECIALS + FLAGS))
    save("o200k", byte_level(seq(split(O200K), BYTES), added=SPECIALS, post=both_ends))
    save("deepseek_v3", byte_level(seq(split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(V3), BYTES), added=SPECIALS))
    save("deepseek_coder", byte_level(seq(split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"),
                                          split("[一-龥ࠀ-一가-퟿]+"), pre_tokenizers.Digits(True), BYTES)))
    save("behaviours", byte_level(seq(
        pre_tokenizers.Split(" ", "merged_with_next"), pre_tokenizers.Punctuation("merged_with_previous"),
        split(r"\p{Lu}", "merged_with_next"), split("[aeiou]", "contiguous"), pre_tokenizers.Digits(False),
        split(r"\bwa|lk\b|[\s\u3000]|\W{2}", "isolated"), BYTES)))
    save("removed", byte_level(seq(pre_tokenizers.WhitespaceSplit(), split(r"\p{Han}|\p{Cyrillic}+|\w+", "removed", True),
                                   split("(?=k)", "isolated"), split("e", "removed"), BYTES)))
    save("llama2", char_bpe(None, normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
                            LLAMA2_DECODER, True, added=SPECIALS, post=both_ends))
    save("mistral", char_bpe(pre_tokenizers.Metaspace("▁", "first", split=False), None, LLAMA2_DECODER, True, added=SPECIALS + FLAGS))
    save("words", char_bpe(seq(pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()), normalizers.NFKD(), None, False,
                           size=260, fuse=False))
    save("fused", char_bpe(pre_tokenizers.Metaspace("▁", "never"), normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]), decoders.Metaspace("▁", "never"), False, size=260))
    save("lower", char_bpe(pre_tokenizers.Metaspace("▁", "always", split=True), normalizers.Sequence(
        [normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]), decoders.Metaspace("▁", "always"), False, size=260,
        added=[AddedToken("Keeper", normalized=True)]))
    model = spm("spm_unigram", model_type="unigram", normalization_rule_tsv="rules.tsv", user_defined_symbols=["foo bar", "▁▁"])
    smap = base64.b64encode(charsmap_of(model)).decode()
    pre = normalizers.Precompiled(base64.b64decode(smap))
    save("unigram", unigram(normalizers.Sequence([pre, normalizers.Replace(Regex(" {2,}"), " ")]),
                            pre_tokenizers.Metaspace("▁", "always"), decoders.Metaspace("▁", "always"), added=SPECIALS, post=both_ends))
    save("unigram_bytes", unigram(normalizers.NFKC(), pre_tokenizers.Metaspace("▁", "first"), LLAMA2_DECODER, True))
    save_spm("spm_unigram")
    bpe = spm("spm_bpe", model_type="bpe", vocab_size=450, byte_fallback=True, normalization_rule_name="identity",
              remove_extra_whitespaces=False)
    save_spm("spm_bpe")
    open("spm_unused.model", "wb").write(mark_unused(bpe, 3))
    save_spm("spm_unused")
    spm("spm_raw", model_type="bpe", normalization_rule_tsv="rules.tsv", add_dummy_prefix=False, split_by_whitespace=False,
        user_defined_symbols=["foo bar"])
    save_spm("spm_raw")


main()
