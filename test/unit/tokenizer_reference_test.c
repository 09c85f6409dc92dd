// SPDX-License-Identifier: Apache-2.0
/* Real vocabularies of the reference data: llama.cpp's pairs of inputs and ids, transformers.js's
 * ids and decoded texts, mistral-common's samples. Every id and every decode must be equal. */
#include "support/support.h"
#include "base/file.h"
#include "base/json.h"
#include "baton/model.h"
#include "baton/tokenizer.h"
#include "text/tokenizer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ID_MAX = 1 << 16, N_PAIR = 47 };

static void read_file(const char *path, bt_buf *out)
{
    bt_buf_clear(out);
    assert_ok(bt_file_read(path, 64 << 20, out));
}

static json_t *read_json(const char *path)
{
    bt_buf text = {0};
    json_t *doc = NULL;
    read_file(path, &text);
    assert_ok(bt_json_parse(text.data, text.len, &doc));
    bt_buf_done(&text);
    return doc;
}

static int encode_differs(const bt_tokenizer *t, bt_slice text, unsigned flags, const int32_t *want,
                          size_t n_want)
{
    static int32_t ids[ID_MAX];
    size_t n = 0;
    assert_ok(bt_tokenizer_encode(t, text.text, text.len, flags, ids, ID_MAX, &n));
    if (n == n_want && !memcmp(ids, want, n * sizeof *ids)) return 0;
    print_error("encoding '%.*s'\n  got  ", (int)text.len, text.text);
    for (size_t i = 0; i < n && i < 60; i++) print_error("%d ", ids[i]);
    print_error("\n  want ");
    for (size_t i = 0; i < n_want && i < 60; i++) print_error("%d ", want[i]);
    print_error("\n");
    return 1;
}

static size_t read_ids(const char *line, const char *end, int32_t *ids)
{
    size_t n = 0;
    while (line < end) {
        char *next;
        long id = strtol(line, &next, 10);
        if (next == line) break;
        ids[n++] = (int32_t)id;
        line = next;
    }
    return n;
}

/* llama.cpp's .inp (texts between marks) and .out (a line of ids each). */
static void check_pairs(const bt_tokenizer *t, const char *inp_path, const char *out_path)
{
    static const char mark[] = "\n__ggml_vocab_test__\n";
    static int32_t want[ID_MAX];
    bt_buf inp = {0}, out = {0};
    int n_bad = 0, n_case = 0;
    read_file(inp_path, &inp);
    read_file(out_path, &out);
    const char *text = inp.data, *line = out.data;
    for (const char *end; text; text = end ? end + sizeof mark - 1 : NULL, n_case++) {
        const char *line_end = strchr(line, '\n');
        end = strstr(text, mark);
        bt_slice s = {text, end ? (size_t)(end - text) : (size_t)(inp.data + inp.len - text)};
        if (!line_end) line_end = out.data + out.len;
        n_bad += encode_differs(t, s, 0, want, read_ids(line, line_end, want));
        line = line_end + (*line_end == '\n');
    }
    bt_buf_done(&inp);
    bt_buf_done(&out);
    assert_int_equal(n_case, N_PAIR);
    assert_int_equal(n_bad, 0);
}

/* What transformers.js calls cleaning up: spaces before punctuation and contractions go. */
static void clean_up(const char *in, size_t len, bt_buf *out)
{
    static const char *const endings[] = {" .",  " ?",  " !",   " ,",  " n't",
                                          " 'm", " 's", " 've", " 're"};
    bt_buf_clear(out);
    for (size_t i = 0; i < len; i++) {
        bool drop = false;
        for (size_t k = 0; k < sizeof endings / sizeof *endings; k++)
            drop |=
                len - i >= strlen(endings[k]) && !memcmp(in + i, endings[k], strlen(endings[k]));
        if (!drop) assert_ok(bt_buf_add(out, in + i, 1));
    }
}

static int decode_differs(const bt_tokenizer *t, const int32_t *ids, size_t n, json_t *want)
{
    bt_detok d;
    bt_buf all = {0}, clean = {0};
    const char *text;
    size_t len;
    bt_detok_init(&d, t, BT_DETOK_SPECIAL);
    for (size_t i = 0; i < n; i++) {
        assert_ok(bt_detok_push(&d, ids[i], &text, &len));
        assert_ok(bt_buf_add(&all, text, len));
    }
    assert_ok(bt_detok_flush(&d, &text, &len));
    assert_ok(bt_buf_add(&all, text, len));
    clean_up(all.data, all.len, &clean);
    const char *w = json_string_value(want);
    bool same = !strcmp(all.data, w) || (clean.data && !strcmp(clean.data, w));
    if (!same) print_error("decoding\n  got  '%s'\n  want '%s'\n", all.data, w);
    bt_buf_done(&all);
    bt_buf_done(&clean);
    return !same;
}

/* `except`: a case that this file cannot pass, or NULL. */
static void check_js(const bt_tokenizer *t, const char *path, const char *family,
                     const char *except)
{
    static int32_t want[ID_MAX];
    json_t *doc = read_json(path), *table = json_object_get(doc, family), *c;
    const char *name;
    int n_bad = 0;
    assert_true(json_object_size(table) >= 13);
    json_object_foreach(table, name, c)
    {
        json_t *text = json_object_get(c, "text"), *ids = json_object_get(c, "ids"), *id;
        size_t i;
        if (except && !strcmp(name, except)) continue;
        json_array_foreach(ids, i, id) want[i] = (int32_t)json_integer_value(id);
        bt_slice s = {json_string_value(text), json_string_length(text)};
        n_bad +=
            encode_differs(t, s, BT_ENCODE_BOS | BT_ENCODE_SPECIAL, want, json_array_size(ids));
        n_bad += decode_differs(t, want, json_array_size(ids), json_object_get(c, "decoded"));
    }
    json_decref(doc);
    assert_int_equal(n_bad, 0);
}

static void run_pairs(const bt_tokenizer *t, const char *pair)
{
    char inp[100], out[100];
    snprintf(inp, sizeof inp, "tokenizers/gguf-vocab/ggml-vocab-%s.gguf.inp", pair);
    snprintf(out, sizeof out, "tokenizers/gguf-vocab/ggml-vocab-%s.gguf.out", pair);
    check_pairs(t, test_data(inp), test_data(out));
}

static void llama3_tokenizer_json_equals_the_references(void **state)
{
    (void)state;
    need_data(path, "tokenizers/llama3/tokenizer.json");
    bt_tokenizer *t = NULL;
    assert_ok(bt_tokenizer_open(path, &t));
    assert_int_equal(bt_tokenizer_n_vocab(t), 128256);
    assert_int_equal(bt_tokenizer_bos(t), 128000);
    assert_true(bt_tokenizer_is_eog(t, bt_tokenizer_find(t, "<|eot_id|>", 10)));
    run_pairs(t, "llama-bpe");
    check_js(t, test_data("tokenizers/expected/transformers_js.json"), "llama3", NULL);
    bt_tokenizer_free(t);
}

static void qwen_tokenizer_json_equals_the_references(void **state)
{
    (void)state;
    need_data(path, "tokenizers/qwen/tokenizer.json");
    bt_tokenizer *t = NULL;
    assert_ok(bt_tokenizer_open(path, &t));
    run_pairs(t, "qwen2");
    check_js(t, test_data("tokenizers/expected/transformers_js.json"), "qwen", NULL);
    bt_tokenizer_free(t);
}

static void llama2_directory_equals_the_references(void **state)
{
    (void)state;
    need_data(path, "tokenizers/llama2");
    bt_tokenizer *t = NULL;
    assert_ok(bt_tokenizer_open(path, &t));
    assert_true(bt_tokenizer_adds_bos(t));
    run_pairs(t, "llama-spm");
    /* this copy of the file spells piece 8655 with two plain spaces instead of two U+00A0 */
    check_js(t, test_data("tokenizers/expected/transformers_js.json"), "llama2",
             "TEXT_WITH_ESCAPE_CHARACTERS_2");
    bt_tokenizer_free(t);
}

static void llama2_tokenizer_model_equals_the_references(void **state)
{
    (void)state;
    need_data(path, "tokenizers/llama2/tokenizer.model");
    bt_tokenizer *t = NULL;
    assert_ok(bt_tokenizer_open(path, &t));
    run_pairs(t, "llama-spm");
    check_js(t, test_data("tokenizers/expected/transformers_js.json"), "llama2", NULL);
    bt_tokenizer_free(t);
}

static void check_gguf(const char *path, const char *pair, const char *family)
{
    bt_model_file *file = NULL;
    assert_ok(bt_model_file_open(path, BT_USE_TOKENIZER, &file));
    const bt_tokenizer *t = bt_model_file_tokenizer(file);
    if (pair) run_pairs(t, pair);
    if (family) check_js(t, test_data("tokenizers/expected/transformers_js.json"), family, NULL);
    bt_model_file_close(file);
}

static void vocabularies_in_gguf_equal_the_references(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt-2", "llama-spm", "deepseek-llm"};
    for (int i = 0; i < 3; i++) {
        char relative[100];
        snprintf(relative, sizeof relative, "tokenizers/gguf-vocab/ggml-vocab-%s.gguf", names[i]);
        need_data(path, relative);
        check_gguf(path, names[i], i == 0 ? "gpt2" : NULL);
    }
}

/* vocab.json and merges.txt into a spec, as a container's reader would fill it. */
static void gpt2_from_its_two_files_equals_the_references(void **state)
{
    (void)state;
    need_data(vocab_path, "tokenizers/gpt2/vocab.json");
    json_t *vocab = read_json(vocab_path), *id;
    bt_buf merges = {0};
    size_t n = json_object_size(vocab);
    bt_slice *piece = calloc(n, sizeof *piece), *merge = calloc(60000, sizeof *merge);
    const char *key;
    bt_vocab_spec spec = bt_vocab_spec_empty();
    json_object_foreach(vocab, key, id) piece[json_integer_value(id)] =
        (bt_slice){key, strlen(key)};
    read_file(test_data("tokenizers/gpt2/merges.txt"), &merges);
    for (char *line = merges.data, *end; (end = strchr(line, '\n')); line = end + 1)
        if (line[0] != '#') merge[spec.n_merge++] = (bt_slice){line, (size_t)(end - line)};
    spec.n_piece = (int32_t)n, spec.piece = piece, spec.merge = merge, spec.pre = "gpt-2",
    spec.eos = 50256;
    bt_tokenizer *t = NULL;
    assert_ok(bt_tokenizer_new(&spec, &t));
    run_pairs(t, "gpt-2");
    check_js(t, test_data("tokenizers/expected/transformers_js.json"), "gpt2", NULL);
    bt_tokenizer_free(t);
    json_decref(vocab);
    bt_buf_done(&merges);
    free(piece);
    free(merge);
}

/* The samples show pieces: U+2581 for a space, and one more after a special token, which encoding
 * adds. */
static void make_prompt(const bt_buf *shown, bool instruct, bt_buf *out)
{
    static const char *const specials[] = {"<s>", "</s>", "[INST]", "[/INST]"};
    bt_buf_clear(out);
    for (size_t i = 0; i < shown->len;) {
        size_t n = 0;
        for (int k = 0; k < (instruct ? 4 : 2) && !n; k++)
            if (!strncmp(shown->data + i, specials[k], strlen(specials[k])))
                n = strlen(specials[k]);
        bool mark = !strncmp(shown->data + i, "\xE2\x96\x81", 3);
        assert_ok(mark ? bt_buf_text(out, " ") : bt_buf_add(out, shown->data + i, n ? n : 1));
        i += mark ? 3 : n ? n : 1;
        if (n && !strncmp(shown->data + i, "\xE2\x96\x81", 3)) i += 3;
    }
}

static void mistral_samples_equal_their_ids(void **state)
{
    (void)state;
    static const char *const versions[] = {"v1", "v3"};
    static int32_t want[ID_MAX];
    need_data(any, "tokenizers/mistral/tokenizer.model.v1");
    (void)any;
    for (int v = 0; v < 2; v++) {
        char path[120];
        bt_tokenizer *t = NULL;
        bt_buf shown = {0}, prompt = {0};
        snprintf(path, sizeof path, "tokenizers/mistral/tokenizer.model.%s", versions[v]);
        assert_ok(bt_tokenizer_open(test_data(path), &t));
        snprintf(path, sizeof path, "tokenizers/mistral/samples/no_tools/text_%s.txt", versions[v]);
        read_file(test_data(path), &shown);
        while (shown.len && shown.data[shown.len - 1] == '\n') shown.data[--shown.len] = 0;
        make_prompt(&shown, v == 1, &prompt);
        snprintf(path, sizeof path, "tokenizers/mistral/samples/no_tools/tokens_%s.json",
                 versions[v]);
        json_t *doc = read_json(test_data(path)), *ids = json_object_get(doc, "tokens"), *id;
        size_t i;
        json_array_foreach(ids, i, id) want[i] = (int32_t)json_integer_value(id);
        assert_true(i > 50);
        assert_int_equal(
            encode_differs(t, (bt_slice){prompt.data, prompt.len}, BT_ENCODE_SPECIAL, want, i), 0);
        json_decref(doc);
        bt_buf_done(&shown);
        bt_buf_done(&prompt);
        bt_tokenizer_free(t);
    }
}

static void check_prompts(const bt_tokenizer *t, const char *expected)
{
    int32_t want[256];
    json_t *doc = read_json(expected), *cases = json_object_get(doc, "cases"), *c, *id;
    size_t k, i;
    assert_true(json_array_size(cases) > 0);
    json_array_foreach(cases, k, c)
    {
        json_t *prompt = json_object_get(c, "prompt"), *ids = json_object_get(c, "ids");
        json_array_foreach(ids, i, id) want[i] = (int32_t)json_integer_value(id);
        bt_slice s = {json_string_value(prompt), json_string_length(prompt)};
        assert_int_equal(encode_differs(t, s, BT_ENCODE_BOS, want, json_array_size(ids)), 0);
    }
    json_decref(doc);
}

static void small_models_encode_their_prompts(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"models/llama2xs-tok512/hf", "models/llama2xs-tok512/expected.json"},
        {"models/babyllama-tok105/tokenizer.model", "models/babyllama-tok105/expected.json"}};
    for (int i = 0; i < 2; i++) {
        need_data(path, names[i][0]);
        bt_tokenizer *t = NULL;
        assert_ok(bt_tokenizer_open(path, &t));
        check_prompts(t, test_data(names[i][1]));
        bt_tokenizer_free(t);
    }
}

static double cpu_seconds(void) // of this thread: others may use the machine too
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double encode_mb_s(const bt_tokenizer *t, const char *path, int n_round)
{
    bt_buf text = {0};
    size_t n;
    double best = 1e9;
    read_file(path, &text);
    int32_t *ids = malloc(text.len * sizeof *ids);
    for (int i = 0; i < n_round; i++) {
        double start = cpu_seconds();
        assert_ok(bt_tokenizer_encode(t, text.data, text.len, 0, ids, text.len, &n));
        double s = cpu_seconds() - start;
        if (s < best) best = s;
    }
    double rate = (double)text.len / best * 1e-6;
    free(ids);
    bt_buf_done(&text);
    return rate;
}

/* A measurement; the bound only catches a change of complexity, whatever else the machine does. */
static void encoding_llama3_is_fast(void **state)
{
    (void)state;
    static const char *const texts[] = {"text/tinystories_v1_train_part.txt",
                                        "text/wikitext2_valid.txt"};
    need_data(path, "tokenizers/llama3/tokenizer.json");
    bt_tokenizer *t = NULL;
    double start = cpu_seconds();
    assert_ok(bt_tokenizer_open(path, &t));
    print_message("llama-3 tokenizer.json: loaded in %.3f s of one core\n", cpu_seconds() - start);
    for (int i = 0; i < 2; i++) {
        double rate = encode_mb_s(t, test_data(texts[i]), 3);
        print_message("llama-3 encode %s: %.1f MB/s of one core\n", texts[i], rate);
        assert_true(rate > 0.5);
    }
    bt_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama3_tokenizer_json_equals_the_references),
        cmocka_unit_test(qwen_tokenizer_json_equals_the_references),
        cmocka_unit_test(llama2_directory_equals_the_references),
        cmocka_unit_test(llama2_tokenizer_model_equals_the_references),
        cmocka_unit_test(vocabularies_in_gguf_equal_the_references),
        cmocka_unit_test(gpt2_from_its_two_files_equals_the_references),
        cmocka_unit_test(mistral_samples_equal_their_ids),
        cmocka_unit_test(small_models_encode_their_prompts),
        cmocka_unit_test(encoding_llama3_is_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
