// SPDX-License-Identifier: Apache-2.0
/* Every family, normalizer, pre-tokenizer and decoder against what the reference libraries say
 * about the same small tokenizers: test/golden/tokenizer/make_golden.py. */
#include "support/support.h"
#include "base/file.h"
#include "base/json.h"
#include "baton/tokenizer.h"
#include <stdio.h>
#include <string.h>

enum { ID_MAX = 4096 };

static json_t *read_json(const char *path)
{
    bt_buf text = {0};
    json_t *doc = NULL;
    assert_ok(bt_file_read(path, 1 << 24, &text));
    assert_ok(bt_json_parse(text.data, text.len, &doc));
    bt_buf_done(&text);
    return doc;
}

static void decode(const bt_tokenizer *t, json_t *ids, unsigned flags, bt_buf *out)
{
    bt_detok d;
    const char *text;
    size_t i, len;
    json_t *id;
    bt_buf_clear(out);
    assert_ok(bt_buf_add(out, "", 0));
    bt_detok_init(&d, t, flags);
    json_array_foreach(ids, i, id)
    {
        assert_ok(bt_detok_push(&d, (int32_t)json_integer_value(id), &text, &len));
        assert_ok(bt_buf_add(out, text, len));
    }
    assert_ok(bt_detok_flush(&d, &text, &len));
    assert_ok(bt_buf_add(out, text, len));
}

static int same_text(const char *name, json_t *text, json_t *want, const bt_buf *got)
{
    if (!want || json_is_null(want)) return 0;
    if (json_string_length(want) == got->len &&
        !memcmp(json_string_value(want), got->data, got->len))
        return 0;
    char *shown = json_dumps(text, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    char *wanted = json_dumps(want, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    print_error("%s: decoding %s\n  got  '%.*s'\n  want %s\n", name, shown, (int)got->len,
                got->data, wanted);
    free(shown);
    free(wanted);
    return 1;
}

static int same_ids(const char *name, const bt_tokenizer *t, json_t *text, json_t *want,
                    unsigned flags)
{
    int32_t ids[ID_MAX];
    size_t n = 0;
    assert_ok(bt_tokenizer_encode(t, json_string_value(text), json_string_length(text), flags, ids,
                                  ID_MAX, &n));
    bool same = n == json_array_size(want);
    for (size_t i = 0; same && i < n; i++)
        same = ids[i] == json_integer_value(json_array_get(want, i));
    if (same) return 0;
    char *shown = json_dumps(text, JSON_ENCODE_ANY | JSON_ENSURE_ASCII),
         *wanted = json_dumps(want, JSON_COMPACT);
    print_error("%s: encoding %s\n  got  ", name, shown);
    for (size_t i = 0; i < n; i++) print_error("%d,", ids[i]);
    print_error("\n  want %s\n", wanted);
    free(shown);
    free(wanted);
    return 1;
}

static void check(const char *name, const char *suffix)
{
    char path[200];
    bt_tokenizer *t = NULL;
    bt_buf rows = {0}, out = {0};
    json_t *texts = read_json(test_path("test/golden/tokenizer/texts.json")), *row = NULL;
    int n_bad = 0;
    size_t i = 0;
    snprintf(path, sizeof path, "test/golden/tokenizer/%s.%s", name, suffix);
    assert_ok(bt_tokenizer_open(test_path(path), &t));
    snprintf(path, sizeof path, "test/golden/tokenizer/%s.out", name);
    assert_ok(bt_file_read(test_path(path), 1 << 24, &rows));
    for (char *line = rows.data, *end; (end = strchr(line, '\n')); line = end + 1, i++) {
        json_t *text = json_array_get(texts, i);
        assert_ok(bt_json_parse(line, (size_t)(end - line), &row));
        json_t *full = json_object_get(row, "full"), *ids = json_object_get(row, "ids");
        if (json_object_size(row) == 0) { // the script says why
            json_decref(row);
            continue;
        }
        n_bad += full ? same_ids(name, t, text, full, BT_ENCODE_BOS | BT_ENCODE_SPECIAL)
                      : same_ids(name, t, text, ids, 0);
        decode(t, full ? full : ids, 0, &out);
        n_bad += same_text(name, text, json_object_get(row, "text"), &out);
        decode(t, full ? full : ids, BT_DETOK_SPECIAL, &out);
        n_bad += same_text(name, text, json_object_get(row, "full_text"), &out);
        json_decref(row);
    }
    assert_int_equal(i, json_array_size(texts));
    bt_tokenizer_free(t);
    bt_buf_done(&rows);
    bt_buf_done(&out);
    json_decref(texts);
    assert_int_equal(n_bad, 0);
}

#define JSON_CASE(name)                                                                            \
    static void name##_equals_the_reference(void **state) { (void)state, check(#name, "json"); }
#define MODEL_CASE(name)                                                                           \
    static void name##_equals_the_reference(void **state) { (void)state, check(#name, "model"); }

JSON_CASE(gpt2)
JSON_CASE(llama3)
JSON_CASE(qwen2)
JSON_CASE(o200k)
JSON_CASE(deepseek_v3)
JSON_CASE(deepseek_coder)
JSON_CASE(behaviours)
JSON_CASE(removed)
JSON_CASE(llama2)
JSON_CASE(mistral)
JSON_CASE(words)
JSON_CASE(fused)
JSON_CASE(lower)
JSON_CASE(unigram)
JSON_CASE(unigram_bytes)
MODEL_CASE(spm_unigram)
MODEL_CASE(spm_bpe)
MODEL_CASE(spm_unused)
MODEL_CASE(spm_raw)

#define ROW(name) cmocka_unit_test(name##_equals_the_reference)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(gpt2),           ROW(llama3),     ROW(qwen2),      ROW(o200k),   ROW(deepseek_v3),
        ROW(deepseek_coder), ROW(behaviours), ROW(removed),    ROW(llama2),  ROW(mistral),
        ROW(words),          ROW(fused),      ROW(lower),      ROW(unigram), ROW(unigram_bytes),
        ROW(spm_unigram),    ROW(spm_bpe),    ROW(spm_unused), ROW(spm_raw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
