// SPDX-License-Identifier: Apache-2.0
/* Trained models of the shared reference data, from text to tokens: prompt ids, logits after the
 * prompt, 96 greedy ids and the mean negative log likelihood of a text, from GGUF and from Hugging
 * Face. */
#include "base/file.h"
#include "base/json.h"
#include "oracle/compare.h"
#include "oracle/drive.h"
#include "oracle/memory.h"
#include "oracle/texts.h"
#include "support/support.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static json_t *read_json(const char *path)
{
    bt_buf text = {0};
    json_t *doc = NULL;
    assert_ok(bt_file_read(path, 1 << 24, &text));
    assert_ok(bt_json_parse(text.data, text.len, &doc));
    bt_buf_done(&text);
    return doc;
}

static int32_t *ids_of(json_t *list, int32_t *ret_n)
{
    *ret_n = (int32_t)json_array_size(list);
    assert_true(*ret_n > 0);
    int32_t *ids = fresh((size_t)*ret_n, sizeof *ids);
    for (int32_t i = 0; i < *ret_n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, (size_t)i));
    return ids;
}

static void check_encoding(const bt_engine *e, const char *prompt, const int32_t *ids, int32_t n_id)
{
    int32_t got[256];
    size_t n = 0;
    assert_non_null(prompt);
    assert_ok(bt_tokenizer_encode(bt_engine_tokenizer(e), prompt, strlen(prompt), BT_ENCODE_BOS,
                                  got, 256, &n));
    assert_int_equal(n, n_id);
    assert_memory_equal(got, ids, (size_t)n_id * sizeof *ids);
}

/* `logit_bound` 0: the weights were rounded, only the tokens' ids are compared. */
static void check_case(bt_engine *e, json_t *c, double logit_bound)
{
    const char *prompt = json_string_value(json_object_get(c, "prompt"));
    int32_t n_id, n_more;
    int32_t *ids = ids_of(json_object_get(c, "ids"), &n_id);
    int32_t *more = ids_of(json_object_get(c, "greedy_ids"), &n_more);
    check_encoding(e, prompt, ids, n_id);
    drive d = {.ids = ids, .n_id = n_id, .n_more = n_more};
    drive_run(e, &d);
    if (logit_bound > 0) {
        json_t *list = json_object_get(c, "logits_after_prompt");
        assert_int_equal(json_array_size(list), d.n_vocab);
        double *want = fresh((size_t)d.n_vocab, sizeof *want);
        double *got = widen(d.logits + (int64_t)(n_id - 1) * d.n_vocab, d.n_vocab);
        for (int32_t i = 0; i < d.n_vocab; i++)
            want[i] = json_number_value(json_array_get(list, (size_t)i));
        assert_near(prompt, got, want, d.n_vocab, logit_bound);
        for (int32_t i = 0; i < n_more; i++)
            if (d.token[i].id != more[i])
                fail_msg("'%s': token %d is %d, wanted %d", prompt, i, d.token[i].id, more[i]);
        free(want);
        free(got);
    }
    drive_done(&d);
    free(ids);
    free(more);
}

static void check_model(const char *model, const char *folder, double logit_bound, double nll_bound)
{
    char path[1200];
    int32_t n;
    bt_engine *e = drive_open(
        &(bt_engine_config){.model = model, .n_thread = 1, .n_ctx = 256, .n_seq_max = 1});
    snprintf(path, sizeof path, "%s/expected.json", folder);
    json_t *doc = read_json(path), *cases = json_object_get(doc, "cases"), *c;
    size_t i;
    assert_true(json_array_size(cases) > 0);
    json_array_foreach(cases, i, c) check_case(e, c, logit_bound);
    json_decref(doc);

    snprintf(path, sizeof path, "%s/expected_nll.json", folder);
    doc = read_json(path);
    int32_t *ids = ids_of(json_object_get(doc, "ids"), &n);
    double want = json_number_value(json_object_get(doc, "mean_nll")), got = mean_nll(e, ids, n);
    if (!(fabs(got - want) <= nll_bound))
        fail_msg("%s: mean NLL is %.9g, wanted %.9g", model, got, want);
    free(ids);
    json_decref(doc);
    bt_engine_close(e);
}

static void babyllama_as_gguf(void **state)
{
    (void)state;
    need_data(model, "models/babyllama-tok105/babyllama-tok105.gguf");
    need_data(folder, "models/babyllama-tok105");
    check_model(model, folder, 5e-5, 1e-5);
}

static void llama2xs_as_gguf(void **state)
{
    (void)state;
    need_data(model, "models/llama2xs-tok512/llama2xs-tok512.gguf");
    need_data(folder, "models/llama2xs-tok512");
    check_model(model, folder, 5e-5, 1e-5);
}

static void llama2xs_as_a_hugging_face_directory(void **state)
{
    (void)state;
    need_data(model, "models/llama2xs-tok512/hf");
    need_data(folder, "models/llama2xs-tok512");
    check_model(model, folder, 5e-5, 1e-5);
}

static void llama2xs_as_a_hugging_face_directory_in_bf16(void **state)
{
    (void)state;
    need_data(model, "models/llama2xs-tok512/hf-bf16");
    need_data(folder, "models/llama2xs-tok512");
    check_model(model, folder, 0, 1e-2); // the expectations are of the F32 weights
}

/* Under a sanitizer one text shows that all of it runs, and nothing of what it costs. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { N_STORY = 1 };
static const double LOSS_MAX = 0.1;
#else
enum { N_STORY = 24 };
static const double LOSS_MAX = 0.002;
#endif

/* Perplexity with keys and values in a type over that in f32, less 1. */
static double perplexity_loss(const char *model, bt_dtype kv_dtype, const texts *t)
{
    bt_engine_config c = {.model = model, .n_thread = 1, .n_ctx = 256, .n_seq_max = 1};
    double exact = texts_nll(&c, t);
    c.kv_dtype = kv_dtype;
    return exp(texts_nll(&c, t) - exact) - 1;
}

/* Keys and values in q8_0 cost at most 0.2 % of perplexity; in q4_0 it is told. Models whose heads
 * are not whole blocks say so. */
static void check_kv_loss(const char *model, const texts *t)
{
    bt_engine *e;
    bt_engine_config c = {.model = model, .n_thread = 1, .n_ctx = 256, .kv_dtype = BT_Q8_0};
    if (bt_engine_open(&c, &e) != BT_OK) {
        assert_non_null(strstr(bt_error_message(), "wants heads of a multiple of 32"));
        print_message("%s: %s\n", strrchr(model, '/') + 1, bt_error_message());
        return;
    }
    bt_engine_close(e);
    double q8 = perplexity_loss(model, BT_Q8_0, t), q4 = perplexity_loss(model, BT_Q4_0, t);
    print_message("%s: perplexity of %d x %d tokens, KV in q8_0 %+.3f %%, in q4_0 %+.2f %%\n",
                  strrchr(model, '/') + 1, t->n_text, t->n, q8 * 100, q4 * 100);
    if (!(fabs(q8) <= LOSS_MAX)) fail_msg("%s: KV in q8_0 costs %.3f %%", model, q8 * 100);
}

static void quantised_keys_and_values_cost_little_perplexity(void **state)
{
    (void)state;
    static const char *const names[] = {"babyllama-tok105", "llama2xs-tok512"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char part[128], path[1200];
        texts t = {.n_text = 1};
        snprintf(part, sizeof part, "models/%s", names[i]);
        need_data(folder, part);
        snprintf(path, sizeof path, "%s/expected_nll.json", folder);
        json_t *doc = read_json(path);
        t.ids = ids_of(json_object_get(doc, "ids"), &t.n);
        snprintf(path, sizeof path, "%s/%s.gguf", folder, names[i]);
        check_kv_loss(path, &t);
        free(t.ids);
        json_decref(doc);
    }
}

/* The bundled model over texts of its own: a token's loss is noise of a few percent, which only many
 * tokens even out. */
static void the_bundled_model_keeps_its_perplexity(void **state)
{
    (void)state;
    const char *model = test_path("models/story.gguf");
    texts t = texts_told(model, N_STORY, 240);
    check_kv_loss(model, &t);
    texts_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantised_keys_and_values_cost_little_perplexity),
        cmocka_unit_test(the_bundled_model_keeps_its_perplexity),
        cmocka_unit_test(babyllama_as_gguf),
        cmocka_unit_test(llama2xs_as_gguf),
        cmocka_unit_test(llama2xs_as_a_hugging_face_directory),
        cmocka_unit_test(llama2xs_as_a_hugging_face_directory_in_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
