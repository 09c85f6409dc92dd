// SPDX-License-Identifier: Apache-2.0
/* Malformed and unsupported files: each kind is refused with a status and a message of its own. */
#include "support/support.h"
#include "base/buf.h"
#include "base/file.h"
#include "text/tokcore.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bad_json {
    const char *text;
    bt_status status;
    const char *part; // of the message
} bad_json;

#define MODEL                                                                                      \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}"
#define WITH(part) "{" part "," MODEL "}"
#define BPE(rest)  "{\"model\":{\"type\":\"BPE\"," rest "}}"
#define VOCAB      "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2}"

static const bad_json bad[] = {
    {"{", BT_FORMAT, "JSON line 1"},
    {"[]", BT_FORMAT, "not an object"},
    {"{}", BT_NOTFOUND, "'model' is missing"},
    {"{\"model\":3}", BT_FORMAT, "'model' is an integer"},
    {"{\"model\":{}}", BT_NOTFOUND, "'vocab' is missing"},
    {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}}", BT_UNSUPPORTED,
     "the model 'WordPiece'"},
    {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}}}", BT_UNSUPPORTED,
     "the model 'WordLevel'"},
    {BPE("\"vocab\":[]"), BT_FORMAT, "not an object"},
    {BPE("\"vocab\":{}"), BT_FORMAT, "vocabulary is empty"},
    {BPE("\"vocab\":{\"a\":\"0\"}"), BT_FORMAT, "id of piece 'a' is not an integer"},
    {BPE("\"vocab\":{\"a\":-1}"), BT_FORMAT, "id -1 among"},
    {BPE("\"vocab\":{\"a\":90000000}"), BT_FORMAT, "id 90000000 among"},
    {BPE("\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]"), BT_FORMAT,
     "id 0 is given to 'a' and to 'b'"},
    {BPE("\"vocab\":{\"a\":0,\"a\":1}"), BT_FORMAT, "duplicate object key"},
    {BPE(VOCAB), BT_NOTFOUND, "'merges' is missing"},
    {BPE(VOCAB ",\"merges\":[\"ab\"]"), BT_FORMAT, "merge 0 'ab' is not two pieces"},
    {BPE(VOCAB ",\"merges\":[\"a c\"]"), BT_FORMAT, "merge 0 'a c': a piece of it is not"},
    {BPE(VOCAB ",\"merges\":[[\"a\"]]"), BT_FORMAT, "merge 0 is neither"},
    {BPE(VOCAB ",\"merges\":[[\"b\",\"a\"]]"), BT_FORMAT, "merge 0 'b' + 'a'"},
    {BPE(VOCAB ",\"merges\":[],\"dropout\":0.1"), BT_UNSUPPORTED, "'dropout'"},
    {BPE(VOCAB ",\"merges\":[],\"end_of_word_suffix\":\"</w>\""), BT_UNSUPPORTED,
     "'end_of_word_suffix'"},
    {BPE(VOCAB ",\"merges\":[],\"continuing_subword_prefix\":\"##\""), BT_UNSUPPORTED,
     "'continuing_subword_prefix'"},
    {BPE(VOCAB ",\"merges\":[],\"unk_token\":\"u\""), BT_FORMAT,
     "unk_token 'u' is not in the vocabulary"},
    {BPE(VOCAB ",\"merges\":[],\"unk_token\":7"), BT_FORMAT, "'unk_token' is not a string"},
    {BPE(VOCAB ",\"merges\":[],\"byte_fallback\":1"), BT_FORMAT, "'byte_fallback' is an integer"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":{\"a\":0}}}", BT_FORMAT, "not an array"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}", BT_FORMAT,
     "piece 0 is not [text, score]"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",1e300]]}}", BT_FORMAT, "score 1e+300"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]],\"unk_id\":9}}", BT_FORMAT,
     "'unk_id' is 9"},
    {"{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"Unigram\",\"vocab\":[["
     "\"a\",0]]}}",
     BT_UNSUPPORTED, "behind ByteLevel"},
    {WITH("\"added_tokens\":5"), BT_FORMAT, "'added_tokens' is not an array"},
    {WITH("\"added_tokens\":[5]"), BT_FORMAT, "added token 0 is not an object"},
    {WITH("\"added_tokens\":[{\"content\":\"x\"}]"), BT_NOTFOUND, "'id' is missing"},
    {WITH("\"added_tokens\":[{\"id\":3}]"), BT_NOTFOUND, "'content' is missing"},
    {WITH("\"added_tokens\":[{\"id\":3,\"content\":\"\"}]"), BT_FORMAT, "added token 3 is empty"},
    {WITH("\"added_tokens\":[{\"id\":3,\"content\":\"x\"},{\"id\":4,\"content\":\"x\"}]"),
     BT_FORMAT, "the ids 3 and 4"},
    {WITH("\"added_tokens\":[{\"id\":3,\"content\":\"x\",\"special\":\"yes\"}]"), BT_FORMAT,
     "'special' is a string"},
    {WITH("\"normalizer\":[]"), BT_FORMAT, "a normalizer is not an object"},
    {WITH("\"normalizer\":{\"type\":\"BertNormalizer\"}"), BT_UNSUPPORTED,
     "the normalizer 'BertNormalizer'"},
    {WITH("\"normalizer\":{\"type\":\"Prepend\"}"), BT_NOTFOUND, "'prepend' is missing"},
    {WITH("\"normalizer\":{\"type\":\"Replace\",\"content\":\"\"}"), BT_FORMAT,
     "'pattern' is neither"},
    {WITH("\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},\"content\":\"\"}"),
     BT_FORMAT, "'pattern' is empty"},
    {WITH("\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"*\"}"), BT_FORMAT,
     "not base64"},
    {WITH("\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"}"), BT_FORMAT,
     "charsmap has 3 bytes"},
    {WITH("\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/////wAAAAA=\"}"),
     BT_FORMAT, "trie has"},
    {WITH(
         "\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"BAAAAAAAAAABAQE=\"}"),
     BT_FORMAT, "end in NUL"},
    {WITH("\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}"), BT_UNSUPPORTED,
     "'BertPreTokenizer'"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"}}"), BT_FORMAT,
     "pattern '(' at byte 1"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\"}}"), BT_FORMAT,
     "an empty pattern"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a&&b]\"}}"),
     BT_UNSUPPORTED, "class intersection"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[^\\\\S]\"}}"),
     BT_UNSUPPORTED, "a negated class"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?m:a)\"}}"),
     BT_UNSUPPORTED, "a group of a kind"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a)\\\\1\"}}"),
     BT_UNSUPPORTED, "unknown meaning"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a{1,3}+\"}}"),
     BT_UNSUPPORTED, "({..}+)"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a\"}}"), BT_FORMAT,
     "[ without ]"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{Klingon}\"}}"),
     BT_FORMAT, "unknown property"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":\"x\",\"behavior\":\"Sideways\"}"),
     BT_UNSUPPORTED, "'Sideways'"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},{"
          "\"type\":\"Digits\"}]}"),
     BT_UNSUPPORTED, "'Digits' after ByteLevel"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":"
          "\"often\"}"),
     BT_FORMAT, "'often'"},
    {WITH("\"decoder\":{\"type\":\"WordPiece\"}"), BT_UNSUPPORTED, "the decoder 'WordPiece'"},
    {WITH("\"decoder\":{\"type\":\"Strip\",\"content\":\"ab\",\"start\":1}"), BT_FORMAT,
     "not one character"},
    {WITH("\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":"
          "\"ByteLevel\"}]}"),
     BT_UNSUPPORTED, "'ByteLevel' after Fuse"},
    {WITH("\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":"
          "\"Strip\",\"content\":\" \",\"stop\":1}]}"),
     BT_UNSUPPORTED, "Strip after Fuse"},
    {WITH("\"post_processor\":{\"type\":\"Novel\"}"), BT_UNSUPPORTED, "the post-processor 'Novel'"},
    {WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{}]}"), BT_FORMAT,
     "part 0 of 'single'"},
    {WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}"), BT_FORMAT,
     "0 sequences, must be 1"},
    {WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{"
          "\"id\":\"q\"}}],\"special_tokens\":{}}"),
     BT_NOTFOUND, "'q' is missing"},
    {WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{"
          "\"id\":\"q\"}}],\"special_tokens\":{\"q\":{\"ids\":[77]}}}"),
     BT_FORMAT, "token 77, must be from 0 to 2"},
};

static void malformed_tokenizer_json_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bt_tokenizer *t = NULL;
        assert_fails(bt_tokjson_parse(bad[i].text, strlen(bad[i].text), NULL, &t), bad[i].status,
                     bad[i].part);
        assert_null(t);
    }
}

/* ---- SentencePiece models, written field by field ---- */

typedef struct message {
    unsigned char bytes[4096];
    size_t n;
} message;

static void put(message *m, unsigned field, const void *data, size_t len)
{
    m->bytes[m->n++] = (unsigned char)(field << 3 | 2);
    m->bytes[m->n++] = (unsigned char)len; // below 128 in these tests
    memcpy(m->bytes + m->n, data, len);
    m->n += len;
}

static void put_int(message *m, unsigned field, unsigned value)
{
    if (field > 15)
        m->bytes[m->n++] = (unsigned char)(field << 3 | 0x80),
        m->bytes[m->n++] = (unsigned char)(field >> 4);
    else
        m->bytes[m->n++] = (unsigned char)(field << 3);
    for (; value > 127; value >>= 7) m->bytes[m->n++] = (unsigned char)(value | 128);
    m->bytes[m->n++] = (unsigned char)value;
}

static void put_piece(message *m, const char *text, unsigned type)
{
    message piece = {.n = 0};
    put(&piece, 1, text, strlen(text));
    piece.bytes[piece.n++] = 2 << 3 | 5;
    memset(piece.bytes + piece.n, 0, 4);
    piece.n += 4;
    if (type) put_int(&piece, 3, type);
    put(m, 1, piece.bytes, piece.n);
}

static message good_model(void)
{
    message m = {.n = 0};
    put_piece(&m, "<unk>", BT_PIECE_UNKNOWN);
    put_piece(&m, "<s>", BT_PIECE_CONTROL);
    put_piece(&m, "</s>", BT_PIECE_CONTROL);
    put_piece(&m, "\xE2\x96\x81", 0);
    put_piece(&m, "a", 0);
    return m;
}

static void refuse_model(const message *m, bt_status status, const char *part)
{
    bt_tokenizer *t = NULL;
    assert_fails(bt_spmodel_parse(m->bytes, m->n, NULL, &t), status, part);
    assert_null(t);
}

static void refuse_trainer(unsigned field, unsigned value, bt_status status, const char *part)
{
    message m = good_model(), trainer = {.n = 0};
    put_int(&trainer, field, value);
    put(&m, 2, trainer.bytes, trainer.n);
    refuse_model(&m, status, part);
}

static void refuse_bytes(const char *bytes, size_t len, const char *part)
{
    message m = good_model();
    memcpy(m.bytes + m.n, bytes, len);
    m.n += len;
    refuse_model(&m, BT_FORMAT, part);
}

static void malformed_tokenizer_model_is_refused_by_name(void **state)
{
    (void)state;
    message m = good_model(), part = {.n = 0};
    bt_tokenizer *t = NULL;
    assert_ok(bt_spmodel_parse(m.bytes, m.n, NULL, &t));
    bt_tokenizer_free(t);
    refuse_model(&(message){.n = 0}, BT_FORMAT, "there are no pieces");
    for (size_t n = 1; n < m.n; n++) { // every prefix: refused, or one piece fewer
        unsigned char *exact = malloc(n);
        memcpy(exact, m.bytes, n);
        t = NULL;
        if (bt_spmodel_parse(exact, n, NULL, &t) == BT_OK) bt_tokenizer_free(t);
        free(exact);
    }
    refuse_bytes("\x0A", 1, "a number is cut short");
    refuse_bytes("\x0A\x7F"
                 "abc",
                 5, "field 1 has 127 bytes, 3 are left");
    refuse_bytes("\x0D"
                 "abc",
                 4, "a number of 4 bytes is cut short");
    refuse_bytes("\x0B", 1, "wire type 3");
    refuse_bytes("\x02", 1, "a field has the number 0");
    refuse_bytes("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", 10, "more than 64 bits");
    refuse_bytes("\x08\x01", 2, "a part of the model has the wire type 0");
    refuse_bytes("\x0A\x00", 2, "piece 5: there is no text");
    refuse_bytes("\x0A\x02\x08\x01", 4, "the text has the wire type 0");
    refuse_bytes("\x0A\x02\x10\x01", 4, "the score has the wire type 0");
    refuse_bytes("\x0A\x05\x0A\x01z\x18\x09", 7, "the type is 9, must be from 1 to 6");
    refuse_bytes("\x0A\x05\x0A\x01z\x1A\x00", 7, "the type has the wire type 2");
    refuse_bytes("\x0A\x08\x0A\x01z\x15\x00\x00\xC0\x7F", 10, "has the score nan");
    refuse_bytes("\x1A\x02\x10\x01", 4, "precompiled_charsmap has the wire type 0");
    refuse_bytes("\x1A\x06\x12\x04"
                 "abcd",
                 8, "charsmap has 4 bytes");
    m = good_model(), put_piece(&m, "<unk2>", BT_PIECE_UNKNOWN),
    refuse_model(&m, BT_FORMAT, "2 pieces of type unknown");
    m = good_model(), put_piece(&m, "<0x41>", BT_PIECE_BYTE),
    refuse_model(&m, BT_FORMAT, "1 byte pieces");
    refuse_trainer(3, 3, BT_UNSUPPORTED, "model_type is 3");
    refuse_trainer(24, 1, BT_UNSUPPORTED, "treat_whitespace_as_suffix");
    refuse_trainer(35, 1, BT_FORMAT, "byte_fallback without byte pieces");
    refuse_trainer(40, 99, BT_FORMAT, "unk_id is 99");
    refuse_trainer(41, 99, BT_FORMAT, "bos_id is 99");
    refuse_trainer(42, 99, BT_FORMAT, "eos_id is 99");
    refuse_trainer(43, 99, BT_FORMAT, "pad_id is 99");
    m = good_model(), put_int(&part, 5, 0), put(&m, 3, part.bytes, part.n);
    refuse_model(&m, BT_UNSUPPORTED, "escape_whitespaces");
    m = good_model(), part.n = 0, put(&part, 2, "x", 1), put(&m, 5, part.bytes, part.n);
    refuse_model(&m, BT_UNSUPPORTED, "a denormalizer");
}

/* ---- vocabularies of a container ---- */

static void vocabularies_that_do_not_fit_together_are_refused(void **state)
{
    (void)state;
    static const bt_slice piece[] = {{"a", 1}, {"b", 1}, {"ab", 2}};
    static const bt_slice merge[] = {{"a b", 3}, {"ab", 2}, {"b b", 3}};
    static const float score[] = {0, 0, 0};
    static const int32_t type[] = {1, 7, 1}, byte[] = {1, 6, 1}, far[] = {5};
    bt_vocab_spec s = bt_vocab_spec_empty(), good;
    bt_tokenizer *t = NULL;
    s.n_piece = 3, s.piece = piece, s.n_merge = 1, s.merge = merge;
    good = s;
    assert_ok(bt_tokenizer_new(&s, &t));
    bt_tokenizer_free(t);
    t = NULL;
    s.n_piece = 0, assert_fails(bt_tokenizer_new(&s, &t), BT_FORMAT, "has 0 pieces");
    s = good, s.n_merge = -1, assert_fails(bt_tokenizer_new(&s, &t), BT_FORMAT, "-1 merges");
    s = good, s.n_merge = 2,
    assert_fails(bt_tokenizer_new(&s, &t), BT_FORMAT, "merge 1 'ab' is not two pieces");
    s = good, s.n_merge = 3, s.merge = merge + 2;
    s.n_merge = 1,
    assert_fails(bt_tokenizer_new(&s, &t), BT_FORMAT, "merge 0 'b b': a piece of it");
    s = good, s.type = type,
    assert_fails(bt_tokenizer_new(&s, &t), BT_FORMAT, "piece 1 has type 7");
    s = good, s.bos = 9,
    assert_fails(bt_tokenizer_new(&s, &t), BT_FORMAT, "the bos token has id 9");
    s = good, s.eog = far, s.n_eog = 1,
    assert_fails(bt_tokenizer_new(&s, &t), BT_FORMAT, "token has id 5");
    s = good, s.kind = BT_VOCAB_SPM,
    assert_fails(bt_tokenizer_new(&s, &t), BT_FORMAT, "without scores");
    s.score = score, s.type = byte,
    assert_fails(bt_tokenizer_new(&s, &t), BT_FORMAT, "piece 1 is a byte but is spelled 'b'");
    assert_null(t);
}

static void missing_files_are_named(void **state)
{
    (void)state;
    bt_tokenizer *t = NULL;
    assert_fails(bt_tokenizer_open("/no/such/file", &t), BT_NOTFOUND, "/no/such/file");
    assert_fails(bt_tokenizer_open(test_path("test/unit"), &t), BT_NOTFOUND,
                 "neither tokenizer.json nor");
    assert_null(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_tokenizer_json_is_refused_by_name),
        cmocka_unit_test(malformed_tokenizer_model_is_refused_by_name),
        cmocka_unit_test(vocabularies_that_do_not_fit_together_are_refused),
        cmocka_unit_test(missing_files_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
