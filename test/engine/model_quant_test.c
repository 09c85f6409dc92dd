// SPDX-License-Identifier: Apache-2.0
/* Every weight type, through the engine: the law is the oracle on the dequantised weights.
 *
 * F32 and f16 weights: only the order of sums differs. Bf16 weights: the kernels also round
 * activations to bf16; quantised ones: to 8 bits, and the scales
 * of those weights to integers. An oracle that does so too agrees
 * to the last bits of f32, except where a value next to a half falls to its other side: that one
 * step makes others fall, and the text from there on is off by as much as rounding costs at all. So
 * there are many short texts: the median one must agree as closely as floats do, and none may be
 * off by more than rounding costs. */
#include "base/cpuid.h"
#include "oracle/compare.h"
#include "oracle/drive.h"
#include "oracle/memory.h"
#include "oracle/oracle.h"
#include "oracle/tiny.h"
#include "support/support.h"
#include "tensor/quant.h"
#include <math.h>
#include <stdlib.h>

/* A sanitizer finds the same on one level as on all, thirty times as slowly. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { FIRST_LEVEL = BT_CPU_LEVEL_AVX2, LAST_LEVEL = BT_CPU_LEVEL_AVX2 };
#else
enum { FIRST_LEVEL = 0, LAST_LEVEL = BT_CPU_LEVEL_COUNT - 1 };
#endif

enum { N_TEXT = 9, N_PROMPT = 4, N_CTX = 16, N_VOCAB = 96, N_LOGIT = N_PROMPT * N_VOCAB };

/* Bounds on the relative RMS of a text's logits. Measured: floats and median 1e-6, rounding 2e-2.
 */
static const double FLOAT_BOUND = 1e-5, MEDIAN_BOUND = 1e-5, ROUNDING_BOUND = 5e-2;

typedef struct fixture {
    tiny_dir dir;
    int32_t ids[N_TEXT][N_PROMPT];
} fixture;

static void fixture_open(fixture *f, const tiny_config *c)
{
    test_rng rng = {5};
    tiny_dir_open(&f->dir);
    tiny_write(&f->dir, c);
    for (int i = 0; i < N_TEXT; i++)
        for (int j = 0; j < N_PROMPT; j++) f->ids[i][j] = (int32_t)test_range(&rng, 0, N_VOCAB - 1);
}

/* Logits of all texts, with and without rounding of activations. */
typedef struct law {
    double same[N_TEXT][N_LOGIT], without[N_TEXT][N_LOGIT];
} law;

static law *law_open(const fixture *f, const char *path)
{
    bt_model_file *file = NULL;
    assert_ok(bt_model_file_open(path, BT_USE_COMPUTE, &file));
    oracle *o = oracle_open(file, N_CTX);
    bt_model_file_close(file);
    law *l = fresh(1, sizeof *l);
    for (int i = 0; i < N_TEXT; i++) {
        oracle_round_act(o, true);
        oracle_read(o, f->ids[i], N_PROMPT, l->same[i]);
        oracle_round_act(o, false);
        oracle_read(o, f->ids[i], N_PROMPT, l->without[i]);
    }
    oracle_free(o);
    return l;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void check_level(const fixture *f, const char *path, const char *level, bt_dtype dtype,
                        const law *l)
{
    double same[N_TEXT], without[N_TEXT];
    bt_engine *e = drive_open(&(bt_engine_config){
        .model = path, .cpu_level = level, .n_thread = 1, .n_ctx = N_CTX, .n_seq_max = 1});
    for (int i = 0; i < N_TEXT; i++) {
        drive d = {.ids = f->ids[i], .n_id = N_PROMPT, .n_more = 1};
        drive_run(e, &d);
        double *got = widen(d.logits, N_LOGIT);
        same[i] = relative_rms(got, l->same[i], N_LOGIT);
        without[i] = relative_rms(got, l->without[i], N_LOGIT);
        if (isnan(same[i])) fail_msg("%s on %s: text %d has a NaN", bt_dtype_name(dtype), level, i);
        free(got);
        drive_done(&d);
    }
    bt_engine_close(e);
    qsort(same, N_TEXT, sizeof *same, ascending);
    qsort(without, N_TEXT, sizeof *without, ascending);
    bool rounds = dtype == BT_BF16 || bt_dtype_is_quantised(dtype);
    double middle = same[N_TEXT / 2], most = without[N_TEXT - 1];
    if (getenv("BATON_TEST_SHOW"))
        print_message(
            "%-5s %-10s rounded alike: median %.2g, worst %.2g; not rounded: worst %.2g\n",
            bt_dtype_name(dtype), level, middle, same[N_TEXT - 1], most);
    if (!(middle <= MEDIAN_BOUND && most <= (rounds ? ROUNDING_BOUND : FLOAT_BOUND)))
        fail_msg("%s on %s: relative RMS %.3g in the median, %.3g at worst without rounding",
                 bt_dtype_name(dtype), level, middle, most);
}

static void check_type(fixture *f, bt_dtype dtype)
{
    int32_t n_fallback = -1;
    const char *path = tiny_path(&f->dir, "model.gguf");
    assert_ok(bt_model_quantize(f->dir.path, path, dtype, NULL, &n_fallback));
    assert_int_equal(n_fallback, 0);
    law *l = law_open(f, path);
    for (int level = FIRST_LEVEL; level <= LAST_LEVEL; level++)
        if (bt_cpu_has_level((bt_cpu_level)level))
            check_level(f, path, bt_cpu_level_name((bt_cpu_level)level), dtype, l);
    free(l);
}

static void every_weight_type_computes_what_its_dequantised_weights_say(void **state)
{
    (void)state;
    fixture f;
    tiny_config c = tiny_wide(TINY_LLAMA);
    fixture_open(&f, &c);
    for (int dtype = 0; dtype < BT_DTYPE_COUNT; dtype++)
        if (bt_dtype_is_weight((bt_dtype)dtype)) check_type(&f, (bt_dtype)dtype);
    tiny_dir_close(&f.dir);
}

static void biases_and_a_tied_quantised_embedding_are_used_as_they_are(void **state)
{
    (void)state;
    fixture f;
    tiny_config c = tiny_wide(TINY_QWEN2);
    c.tie = true;
    c.n_layer = 1;
    fixture_open(&f, &c);
    check_type(&f, BT_Q8_0);
    check_type(&f, BT_Q4_K);
    tiny_dir_close(&f.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_weight_type_computes_what_its_dequantised_weights_say),
        cmocka_unit_test(biases_and_a_tied_quantised_embedding_are_used_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
