// SPDX-License-Identifier: Apache-2.0
/* hfvocab: a directory's tokenizer, written into GGUF and read back, gives the ids and the texts
 * that it gave before; what GGUF cannot say is refused by name, and so is what is malformed. */
#define _GNU_SOURCE // memmem
#include "base/bits.h"
#include "base/file.h"
#include "base/json.h"
#include "model/file/gguf_write.h"
#include "model/file/modelparts.h"
#include "oracle/tiny.h"
#include "support/support.h"
#include <string.h>

#define GOLDEN "test/golden/tokenizer/"

enum { ID_MAX = 16384 };

/* ---- a directory, and the file made of it ---- */

typedef struct pair {
    tiny_dir dir;
    bt_model_file *hf, *gguf;
} pair;

static void write_text(tiny_dir *dir, const char *name, const char *text, size_t len)
{
    bt_writer w;
    assert_ok(bt_writer_open(&w, tiny_path(dir, name)));
    assert_ok(bt_writer_add(&w, text, len));
    assert_ok(bt_writer_commit(&w));
}

/* A small model with `tokenizer` under `name` beside it, and `more` rows than that has ids. */
static void make_dir(tiny_dir *dir, const char *tokenizer, const char *name, int32_t more)
{
    tiny_config config = tiny_wide(TINY_LLAMA);
    bt_tokenizer *t;
    bt_buf bytes = {0};
    assert_ok(bt_tokenizer_open(tokenizer, &t));
    config.n_layer = 1;
    config.d_model = config.d_ff = 8;
    config.n_head = config.n_kv = 1;
    config.d_head = 8;
    config.tie = true;
    config.n_vocab = bt_tokenizer_n_vocab(t) + more;
    bt_tokenizer_free(t);
    tiny_dir_open(dir);
    tiny_write(dir, &config);
    assert_ok(bt_file_read(tokenizer, 1 << 26, &bytes));
    write_text(dir, name, bytes.data, bytes.len);
    bt_buf_done(&bytes);
}

static void add_file(tiny_dir *dir, const char *name, const char *text)
{
    write_text(dir, name, text, strlen(text));
}

static bt_status quantize(tiny_dir *dir)
{
    return bt_model_quantize(dir->path, tiny_path(dir, "m.gguf"), BT_F16, NULL, NULL);
}

static void open_pair(pair *p)
{
    assert_ok(quantize(&p->dir));
    assert_ok(bt_model_file_open(p->dir.path, BT_USE_COMPUTE, &p->hf));
    assert_ok(bt_model_file_open(tiny_path(&p->dir, "m.gguf"), BT_USE_COMPUTE, &p->gguf));
}

static void close_pair(pair *p)
{
    bt_model_file_close(p->hf);
    bt_model_file_close(p->gguf);
    tiny_dir_close(&p->dir);
}

/* ---- the same ids, the same texts ---- */

static const char *const texts[] = {
    "",
    " ",
    "   ",
    "\n",
    "\t \n",
    "Hello",
    " Hello",
    "  two  spaces ",
    "trailing   ",
    "The keeper's 12345 lamps, don't they?",
    "a\nb\tc\r\nd\n\n  e",
    "na\xC3\xAFve caf\xC3\xA9 e\xCC\x81 A\xCC\x8A o\xCC\xA3\xCC\x82 \xEF\xAC\x81n "
    "\xE2\x91\xA0\xC2\xBD",
    "\xE6\xBC\xA2\xE5\xAD\x97\xE3\x81\x8B\xE3\x81\xAA\xE3\x80\x80\xED\x95\x9C\xEA\xB5\xAD\xEC\x96"
    "\xB4",
    "\xF0\x9F\x98\x80 \xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9 "
    "\xF0\x9F\x87\xAF\xF0\x9F\x87\xB5",
    "<s>",
    "</s> <unk> <pad> [INST] hi [/INST]",
    "<s>x</s>y <|eot|> <|im_start|>user\n<0x0A>",
    "foo bar foo  bar xfoo bar",
    "\xE2\x96\x81 \xE2\x96\x81\xE2\x96\x81"
    "a\xE2\x96\x81",
    "[PAD181] [PAD201] [PAD451]",
    "bad \xFF\xC3 bytes \xE2\x96",
    "<tool> <tool>x <big deal><big  deal> y<big deal>",
    "aaaaaaaaaaaaaaaa abababababababab thethethethe ......",
    "\xC2\xA0nbsp \xE2\x80\x8Bzero",
};

static void decode(const bt_tokenizer *t, const int32_t *ids, size_t n, unsigned flags, bt_buf *out)
{
    bt_detok d;
    const char *text;
    size_t len;
    bt_buf_clear(out);
    bt_detok_init(&d, t, flags);
    for (size_t i = 0; i < n; i++) {
        assert_ok(bt_detok_push(&d, ids[i], &text, &len));
        assert_ok(bt_buf_add(out, text, len));
    }
    assert_ok(bt_detok_flush(&d, &text, &len));
    assert_ok(bt_buf_add(out, text, len + 1));
}

static void same_text(const bt_tokenizer *a, const bt_tokenizer *b, const char *text, size_t len)
{
    static int32_t x[ID_MAX], y[ID_MAX];
    size_t n, m;
    bt_buf one = {0}, two = {0};
    for (unsigned flags = 0; flags < 4; flags++) {
        assert_ok(bt_tokenizer_encode(a, text, len, flags, x, ID_MAX, &n));
        assert_ok(bt_tokenizer_encode(b, text, len, flags, y, ID_MAX, &m));
        bool same = n == m && !memcmp(x, y, n * sizeof *x);
        for (size_t i = 0; !same && (i < n || i < m); i++)
            print_error("  %d %d\n", i < n ? x[i] : -1, i < m ? y[i] : -1);
        if (!same) fail_msg("'%.*s', flags %u: %zu ids, then %zu", (int)len, text, flags, n, m);
        decode(a, x, n, flags & BT_ENCODE_SPECIAL ? BT_DETOK_SPECIAL : 0, &one);
        decode(b, x, n, flags & BT_ENCODE_SPECIAL ? BT_DETOK_SPECIAL : 0, &two);
        assert_string_equal(one.data, two.data);
    }
    bt_buf_done(&one);
    bt_buf_done(&two);
}

static void same_roles(const bt_tokenizer *a, const bt_tokenizer *b)
{
    assert_int_equal(bt_tokenizer_bos(a), bt_tokenizer_bos(b));
    assert_int_equal(bt_tokenizer_eos(a), bt_tokenizer_eos(b));
    assert_int_equal(bt_tokenizer_eot(a), bt_tokenizer_eot(b));
    assert_int_equal(bt_tokenizer_unk(a), bt_tokenizer_unk(b));
    assert_int_equal(bt_tokenizer_pad(a), bt_tokenizer_pad(b));
    assert_int_equal(bt_tokenizer_adds_bos(a), bt_tokenizer_adds_bos(b));
    assert_int_equal(bt_tokenizer_adds_eos(a), bt_tokenizer_adds_eos(b));
    for (int32_t i = 0; i < bt_tokenizer_n_vocab(a); i++) {
        size_t n, m;
        const char *x = bt_tokenizer_piece(a, i, &n), *y = bt_tokenizer_piece(b, i, &m);
        assert_int_equal(bt_tokenizer_is_special(a, i), bt_tokenizer_is_special(b, i));
        assert_int_equal(bt_tokenizer_is_eog(a, i), bt_tokenizer_is_eog(b, i));
        if (n) assert_int_equal(n, m);
        assert_memory_equal(x, y, n);
    }
}

static void same_tokens(const pair *p)
{
    const bt_tokenizer *a = bt_model_file_tokenizer(p->hf), *b = bt_model_file_tokenizer(p->gguf);
    bt_buf golden = {0};
    json_t *doc, *text;
    size_t i;
    same_roles(a, b);
    for (i = 0; i < BT_COUNT_OF(texts); i++) same_text(a, b, texts[i], strlen(texts[i]));
    assert_ok(bt_file_read(test_path(GOLDEN "texts.json"), 1 << 24, &golden));
    assert_ok(bt_json_parse(golden.data, golden.len, &doc));
    json_array_foreach(doc, i, text)
        same_text(a, b, json_string_value(text), json_string_length(text));
    json_decref(doc);
    bt_buf_done(&golden);
}

/* ---- what the file says ---- */

static const bt_gguf_kv *key(const pair *p, const char *name)
{
    return bt_gguf_find(p->gguf->gguf, name);
}

static void has_text(const pair *p, const char *name, const char *want)
{
    bt_name got = {0};
    assert_ok(bt_gguf_opt_text(p->gguf->gguf, name, &got));
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.text, want, got.len);
}

static void has_flag(const pair *p, const char *name, bool want)
{
    bool got = !want;
    assert_ok(bt_gguf_opt_bool(p->gguf->gguf, name, &got));
    assert_int_equal(got, want);
}

/* How many tokens have each type, 1 to 6. */
static void has_types(const pair *p, const int want[6])
{
    const bt_gguf_kv *types = key(p, "tokenizer.ggml.token_type");
    int got[7] = {0};
    for (uint64_t i = 0; i < types->n; i++) got[bt_gguf_i64_at(types, i)]++;
    assert_memory_equal(got + 1, want, 6 * sizeof *got);
    assert_int_equal(types->n, p->hf->hp.n_vocab);
    assert_int_equal(key(p, "tokenizer.ggml.scores")->n, types->n);
}

static void has_charsmap(const pair *p, bool want)
{
    const bt_gguf_kv *map = key(p, "tokenizer.ggml.precompiled_charsmap");
    assert_int_equal(map != NULL, want);
    if (map) assert_true(map->type == BT_GGUF_ARRAY && map->item == BT_GGUF_U8 && map->n > 8);
}

/* ---- tokenizer.model ---- */

static const struct model_case {
    const char *file, *kind;
    bool prefix, squeeze, charsmap;
    int n_type[6]; // [type - 1]; 3 unused ones are rows without a piece
} models[] = {
    {GOLDEN "spm_bpe.model", "llama", true, false, false, {190, 1, 3, 0, 3, 256}},
    {GOLDEN "spm_unused.model", "llama", true, false, false, {184, 1, 3, 0, 9, 256}},
    {GOLDEN "spm_raw.model", "llama", false, true, true, {196, 1, 3, 0, 3, 0}},
    {GOLDEN "spm_unigram.model", "t5", true, true, true, {175, 1, 3, 1, 3, 0}},
};

static void sentencepiece_models_come_along(void **state)
{
    (void)state;
    for (size_t i = 0; i < BT_COUNT_OF(models); i++) {
        const struct model_case *c = &models[i];
        pair p;
        make_dir(&p.dir, test_path(c->file), "tokenizer.model", 3);
        open_pair(&p);
        has_text(&p, "tokenizer.ggml.model", c->kind);
        has_text(&p, "tokenizer.ggml.pre", "default");
        has_flag(&p, "tokenizer.ggml.add_space_prefix", c->prefix);
        has_flag(&p, "tokenizer.ggml.remove_extra_whitespaces", c->squeeze);
        has_charsmap(&p, c->charsmap);
        has_types(&p, c->n_type);
        assert_null(key(&p, "tokenizer.huggingface.json"));
        same_tokens(&p);
        close_pair(&p);
    }
}

static void what_the_directory_says_of_roles_counts(void **state)
{
    (void)state;
    static const char *const configs[] = {
        "{\"add_bos_token\":false,\"add_eos_token\":false}",
        "{\"add_bos_token\":true,\"add_eos_token\":true,\"pad_token\":\"<unk>\"}",
        "{\"add_bos_token\":true,\"add_eos_token\":true,\"bos_token\":\"</"
        "s>\",\"eos_token\":{\"content\":\"<s>\"},"
        "\"unk_token\":\"<s>\",\"chat_template\":\"{{ messages }}\"}",
    };
    for (size_t i = 0; i < 2 * BT_COUNT_OF(configs); i++) {
        pair p;
        make_dir(&p.dir, test_path(i % 2 ? GOLDEN "spm_bpe.model" : GOLDEN "spm_unigram.model"),
                 "tokenizer.model", 0);
        add_file(&p.dir, "tokenizer_config.json", configs[i / 2]);
        open_pair(&p);
        const bt_tokenizer *t = bt_model_file_tokenizer(p.hf);
        assert_int_equal(bt_tokenizer_adds_bos(t), i / 2 > 0);
        if (i / 2 < 2) {
            same_tokens(&p);
        } else { // unk is what unknown text becomes, whatever the configuration calls so
            const bt_tokenizer *b = bt_model_file_tokenizer(p.gguf);
            for (size_t k = 0; k < BT_COUNT_OF(texts); k++)
                same_text(t, b, texts[k], strlen(texts[k]));
            assert_int_equal(bt_tokenizer_bos(b), bt_tokenizer_bos(t));
            assert_string_equal(bt_tokenizer_chat_template(b), "{{ messages }}");
        }
        close_pair(&p);
    }
}

/* The id of the one token that a text becomes. */
static int32_t one_id(const bt_model_file *file, const char *text, unsigned flags)
{
    int32_t ids[64];
    size_t n;
    assert_ok(
        bt_tokenizer_encode(bt_model_file_tokenizer(file), text, strlen(text), flags, ids, 64, &n));
    return n == 1 ? ids[0] : -1;
}

static void tokens_that_the_directory_adds_come_along(void **state)
{
    (void)state;
    static const struct {
        const char *name, *format;
    } added[] = {
        {"tokenizer_config.json",
         "{\"added_tokens_decoder\":{\"1\":{\"content\":\"<s>\",\"special\":true},"
         "\"%d\":{\"content\":\"<|im_start|>\",\"special\":true},"
         "\"%d\":{\"content\":\"<big deal>\",\"special\":false}}}"},
        {"added_tokens.json", "{\"<|im_start|>\":%d,\"<big deal>\":%d}"},
    };
    for (size_t i = 0; i < 4; i++) {
        pair p;
        char text[512];
        make_dir(&p.dir, test_path(i / 2 ? GOLDEN "spm_bpe.model" : GOLDEN "spm_unigram.model"),
                 "tokenizer.model", 6);
        bt_tokenizer *t;
        assert_ok(bt_tokenizer_open(tiny_path(&p.dir, "tokenizer.model"), &t));
        int32_t n = bt_tokenizer_n_vocab(t);
        bt_tokenizer_free(t);
        snprintf(text, sizeof text, added[i % 2].format, n, n + 3);
        add_file(&p.dir, added[i % 2].name, text);
        if (i % 2)
            add_file(&p.dir, "special_tokens_map.json",
                     "{\"additional_special_tokens\":[{\"content\":\"<|im_start|>\"}]}");
        open_pair(&p);
        assert_int_equal(bt_tokenizer_n_vocab(bt_model_file_tokenizer(p.hf)), n + 4);
        assert_int_equal(one_id(p.hf, "<|im_start|>", BT_ENCODE_SPECIAL), n);
        assert_int_equal(one_id(p.hf, "<|im_start|>", 0), -1);
        assert_int_equal(bt_tokenizer_find(bt_model_file_tokenizer(p.gguf), "<big deal>", 10),
                         n + 3);
        same_tokens(&p);
        close_pair(&p);
    }
}

static void malformed_added_tokens_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *part;
    } bad[] = {
        {"added_tokens.json", "[]", "the document is not an object"},
        {"added_tokens.json", "{\"a\":", "JSON line 1"},
        {"added_tokens.json", "{\"a\":\"7\"}", "the id of 'a' is not from 0"},
        {"added_tokens.json", "{\"a\":-7}", "the id of 'a' is not from 0"},
        {"added_tokens.json", "{\"\":7}", "added token 7 has 0 bytes"},
        {"added_tokens.json", "{\"a\":9999999}", "has id 9999999, but the model has"},
        {"added_tokens.json", "{\"a\":0}", "has id 0, which is the model's '<unk>'"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\":{\"x\":{}}}", "'x' is no id"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\":{\"7\":{}}}", "'content' is missing"},
    };
    for (size_t i = 0; i < BT_COUNT_OF(bad); i++) {
        tiny_dir dir;
        bt_tokenizer *t = NULL;
        make_dir(&dir, test_path(GOLDEN "spm_bpe.model"), "tokenizer.model", 0);
        add_file(&dir, bad[i].name, bad[i].text);
        bt_status st = bt_tokenizer_open(dir.path, &t);
        assert_fails(st, st == BT_NOTFOUND ? BT_NOTFOUND : BT_FORMAT, bad[i].part);
        st = quantize(&dir);
        assert_fails(st, st == BT_NOTFOUND ? BT_NOTFOUND : BT_FORMAT, bad[i].part);
        tiny_dir_close(&dir);
    }
}

/* ---- tokenizer.json ---- */

#define EOT_IS_EOS "{\"eos_token\":\"<|eot|>\"}"

static void a_unigram_document_comes_along(void **state)
{
    (void)state;
    pair p;
    make_dir(&p.dir, test_path(GOLDEN "unigram.json"), "tokenizer.json", 3);
    add_file(&p.dir, "tokenizer_config.json",
             "{\"eos_token\":\"<|eot|>\",\"added_tokens_decoder\":{\"199\":{\"content\":\"<tool>\","
             "\"special\":false,\"lstrip\":true}}}");
    open_pair(&p);
    has_text(&p, "tokenizer.ggml.model", "t5");
    has_flag(&p, "tokenizer.ggml.add_space_prefix", true);
    has_flag(&p, "tokenizer.ggml.remove_extra_whitespaces", true);
    has_charsmap(&p, true);
    has_types(&p, (int[]){194, 1, 2, 1, 2, 0});
    assert_int_equal(one_id(p.hf, "<tool>", 0), 199);
    same_tokens(&p);
    close_pair(&p);
}

static void bpe_documents_over_marks_come_along(void **state)
{
    (void)state;
    static const char *const files[] = {GOLDEN "llama2.json", GOLDEN "mistral.json"};
    for (size_t i = 0; i < BT_COUNT_OF(files); i++) {
        pair p;
        make_dir(&p.dir, test_path(files[i]), "tokenizer.json", 3);
        add_file(&p.dir, "tokenizer_config.json", EOT_IS_EOS);
        open_pair(&p);
        has_text(&p, "tokenizer.ggml.model", "llama");
        assert_int_equal(key(&p, "tokenizer.huggingface.json") != NULL, i == 1);
        same_tokens(&p);
        close_pair(&p);
    }
}

/* What readers without the document do: the same but for white space. */
static void the_keys_alone_say_nearly_all(void **state)
{
    (void)state;
    pair p;
    bt_buf bytes = {0};
    bt_model_file *alone;
    make_dir(&p.dir, test_path(GOLDEN "unigram.json"), "tokenizer.json", 0);
    add_file(&p.dir, "tokenizer_config.json", EOT_IS_EOS);
    open_pair(&p);
    assert_ok(bt_file_read(tiny_path(&p.dir, "m.gguf"), 1 << 26, &bytes));
    char *at = memmem(bytes.data, bytes.len, "tokenizer.huggingface.json", 26);
    assert_non_null(at);
    memcpy(at, "nobody", 6);
    assert_ok(bt_model_file_from_bytes((const uint8_t *)bytes.data, bytes.len, NULL, "alone",
                                       BT_USE_COMPUTE, &alone));
    const char *plain =
        "The keeper's 12345 lamps, na\xC3\xAFve caf\xC3\xA9 e\xCC\x81  <x> \xEF\xAC\x81";
    same_text(bt_model_file_tokenizer(p.hf), bt_model_file_tokenizer(alone), plain, strlen(plain));
    bt_model_file_close(alone);
    bt_buf_done(&bytes);
    close_pair(&p);
}

/* One part of unigram.json or of a BPE document put differently, and what the refusal says. */
static const struct refusal {
    const char *file, *key, *value, *part;
} refusals[] = {
    {"unigram", "normalizer", "{\"type\":\"NFKC\"}", "GGUF cannot say the normalizer 'NFKC'"},
    {"unigram", "normalizer",
     "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Sequence\",\"normalizers\":[{\"type\":"
     "\"Lowercase\"}]}]}",
     "GGUF cannot say the normalizer 'Lowercase'"},
    {"unigram", "normalizer",
     "{\"type\":\"Replace\",\"pattern\":{\"String\":\"``\"},\"content\":\"x\"}",
     "GGUF cannot say the normalizer 'Replace' of '``'"},
    {"unigram", "normalizer", "{\"type\":\"Prepend\",\"prepend\":\"x\"}",
     "GGUF cannot say the normalizer 'Prepend'"},
    {"unigram", "normalizer", "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":false}",
     "GGUF cannot say the normalizer 'Strip'"},
    {"unigram", "pre_tokenizer", "{\"type\":\"Digits\",\"individual_digits\":true}",
     "GGUF cannot say the pre-tokenizer 'Digits'"},
    {"unigram", "pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"_\"}",
     "GGUF cannot say a 'Metaspace' with the mark '_'"},
    {"mistral", "normalizer", "{\"type\":\"NFC\"}", "GGUF cannot say the normalizer 'NFC'"},
    {"mistral", "normalizer", "{\"type\":\"Strip\"}", "GGUF cannot say that BPE drops spaces"},
};

static void what_gguf_cannot_say_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < BT_COUNT_OF(refusals); i++) {
        const struct refusal *r = &refusals[i];
        char name[64];
        bt_buf text = {0};
        json_t *doc, *part;
        tiny_dir dir;
        snprintf(name, sizeof name, GOLDEN "%s.json", r->file);
        make_dir(&dir, test_path(name), "tokenizer.json", 0);
        assert_ok(bt_file_read(test_path(name), 1 << 24, &text));
        assert_ok(bt_json_parse(text.data, text.len, &doc));
        assert_ok(bt_json_parse(r->value, strlen(r->value), &part));
        json_object_set_new(doc, r->key, part);
        assert_int_equal(json_dump_file(doc, tiny_path(&dir, "tokenizer.json"), 0), 0);
        assert_fails(quantize(&dir), BT_UNSUPPORTED, r->part);
        assert_false(bt_file_exists(tiny_path(&dir, "m.gguf")));
        json_decref(doc);
        bt_buf_done(&text);
        tiny_dir_close(&dir);
    }
}

static void tokens_around_a_text_that_gguf_cannot_put_are_named(void **state)
{
    (void)state;
    tiny_dir dir;
    make_dir(&dir, test_path(GOLDEN "unigram.json"), "tokenizer.json", 0);
    assert_fails(quantize(&dir), BT_UNSUPPORTED,
                 "1 tokens, the first of them 196, go after a text; GGUF can put eos (-1) there");
    add_file(&dir, "tokenizer_config.json", "{\"eos_token\":\"<|eot|>\",\"bos_token\":\"<unk>\"}");
    assert_fails(quantize(&dir), BT_UNSUPPORTED, "go before a text; GGUF can put bos (0) there");
    tiny_dir_close(&dir);
}

/* ---- files made wrong ---- */

static const struct damage {
    const char *from, *to; // of equal length; the first place in the file
    bt_status status;
    const char *part;
} damages[] = {
    {"\"type\":\"Unigram\"", "\"type\":\"Unigrax\"", BT_UNSUPPORTED,
     "the model 'Unigrax' is not supported"},
    {"[\"d\",-3.5", "[\"z\",-3.5", BT_FORMAT, "piece 2 is 'z', but 'd' in the list of tokens"},
    {"{\"version\"", "[\"version\"", BT_FORMAT, "JSON line 1"},
    {"\"id\":196", "\"id\":999", BT_FORMAT, "it has 1000 ids, but there are 197 tokens"},
    {"\"id\":196", "\"id\":-96", BT_FORMAT, "'id' is -96"},
    {"\"unk_id\":0", "\"unk_id\":x", BT_FORMAT, "JSON line 1"},
};

static void a_damaged_document_is_refused(void **state)
{
    (void)state;
    pair p;
    bt_buf bytes = {0};
    make_dir(&p.dir, test_path(GOLDEN "unigram.json"), "tokenizer.json", 0);
    add_file(&p.dir, "tokenizer_config.json", EOT_IS_EOS);
    open_pair(&p);
    assert_ok(bt_file_read(tiny_path(&p.dir, "m.gguf"), 1 << 26, &bytes));
    for (size_t i = 0; i < BT_COUNT_OF(damages); i++) {
        const struct damage *d = &damages[i];
        bt_model_file *f;
        size_t n = strlen(d->from);
        char *at = memmem(bytes.data, bytes.len, d->from, n);
        assert_non_null(at);
        memcpy(at, d->to, n);
        assert_fails(bt_model_file_from_bytes((const uint8_t *)bytes.data, bytes.len, NULL, "bad",
                                              BT_USE_COMPUTE, &f),
                     d->status, d->part);
        memcpy(at, d->from, n);
    }
    bt_buf_done(&bytes);
    close_pair(&p);
}

static void a_model_cut_short_is_refused(void **state)
{
    (void)state;
    bt_buf bytes = {0};
    tiny_dir dir;
    make_dir(&dir, test_path(GOLDEN "spm_unigram.model"), "tokenizer.model", 0);
    assert_ok(bt_file_read(test_path(GOLDEN "spm_unigram.model"), 1 << 24, &bytes));
    for (size_t n = 1; n < bytes.len; n += 97) {
        write_text(&dir, "tokenizer.model", bytes.data, n);
        bt_status st = quantize(&dir);
        assert_true(st == BT_FORMAT || st == BT_OK); // whole pieces without the specs that follow
    }
    bt_buf_done(&bytes);
    tiny_dir_close(&dir);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    static const char *const files[][2] = {{GOLDEN "spm_unigram.model", "tokenizer.model"},
                                           {GOLDEN "unigram.json", "tokenizer.json"}};
    for (size_t i = 0; i < BT_COUNT_OF(files); i++) {
        tiny_dir dir;
        make_dir(&dir, test_path(files[i][0]), files[i][1], 9);
        if (i)
            add_file(&dir, "tokenizer_config.json", EOT_IS_EOS);
        else
            add_file(&dir, "added_tokens.json", "{\"<tool>\":185}");
        for (uint64_t n = 1;; n++) {
            bt_mem_fail_nth(n);
            bt_status st = quantize(&dir);
            bt_mem_fail_nth(0);
            if (st == BT_OK) break;
            if (st != BT_NOMEM) fail_msg("allocation %d: %s", (int)n, bt_error_message());
            assert_false(bt_file_exists(tiny_path(&dir, "m.gguf")));
        }
        tiny_dir_close(&dir);
    }
    assert_int_equal(bt_mem_live(BT_MEM_MODEL) + bt_mem_live(BT_MEM_TEXT), 0);
}

/* ---- real vocabularies ---- */

static void check_real(const char *tokenizer, const char *config)
{
    pair p;
    bt_buf text = {0};
    make_dir(&p.dir, tokenizer, "tokenizer.model", 64);
    if (config) {
        assert_ok(bt_file_read(config, 1 << 24, &text));
        write_text(&p.dir, "tokenizer_config.json", text.data, text.len);
    }
    bt_buf_clear(&text);
    open_pair(&p);
    has_text(&p, "tokenizer.ggml.model", "llama");
    same_tokens(&p);
    assert_ok(bt_file_read(test_path("docs/formats.md"), 1 << 20, &text));
    same_text(bt_model_file_tokenizer(p.hf), bt_model_file_tokenizer(p.gguf), text.data, text.len);
    bt_buf_done(&text);
    close_pair(&p);
}

static void llama2s_vocabulary_comes_along(void **state)
{
    (void)state;
    need_data(model, "tokenizers/llama2/tokenizer.model");
    need_data(config, "tokenizers/llama2/tokenizer_config.json");
    check_real(model, NULL);
    check_real(model, config);
}

static void mistrals_vocabularies_come_along(void **state)
{
    (void)state;
    need_data(v1, "tokenizers/mistral/tokenizer.model.v1");
    need_data(v3, "tokenizers/mistral/tokenizer.model.v3");
    check_real(v1, NULL);
    check_real(v3, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentencepiece_models_come_along),
        cmocka_unit_test(what_the_directory_says_of_roles_counts),
        cmocka_unit_test(tokens_that_the_directory_adds_come_along),
        cmocka_unit_test(malformed_added_tokens_are_refused_by_name),
        cmocka_unit_test(a_unigram_document_comes_along),
        cmocka_unit_test(bpe_documents_over_marks_come_along),
        cmocka_unit_test(the_keys_alone_say_nearly_all),
        cmocka_unit_test(what_gguf_cannot_say_is_named),
        cmocka_unit_test(tokens_around_a_text_that_gguf_cannot_put_are_named),
        cmocka_unit_test(a_damaged_document_is_refused),
        cmocka_unit_test(a_model_cut_short_is_refused),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(llama2s_vocabulary_comes_along),
        cmocka_unit_test(mistrals_vocabularies_come_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
