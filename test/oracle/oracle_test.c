// SPDX-License-Identifier: Apache-2.0
/* The oracle is held to what transformers computes for the golden models, in both file forms;
 * whatever is then held to the oracle stands on that. transformers does norms and angles in f32 and
 * its logits are kept to 7 digits: that, not the oracle, is what the bound allows for. */
#include "oracle/oracle.h"
#include "oracle/compare.h"
#include "oracle/golden.h"
#include "oracle/memory.h"
#include "oracle/tiny.h"
#include "support/support.h"
#include <math.h>
#include <string.h>

enum { N_CTX = 64 };

static void check_file(const golden *g, const char *path)
{
    bt_model_file *file = NULL;
    assert_ok(bt_model_file_open(path, BT_USE_COMPUTE, &file));
    oracle *o = oracle_open(file, N_CTX);
    bt_model_file_close(file);
    assert_int_equal(oracle_n_vocab(o), g->n_vocab);
    double *got = fresh((size_t)g->n_id * (size_t)g->n_vocab, sizeof *got), gap;
    oracle_read(o, g->ids, g->n_id, got);
    assert_near(g->name, got, g->logits, (int64_t)g->n_id * g->n_vocab, 1e-5);
    int32_t *more = fresh((size_t)g->n_greedy, sizeof *more);
    oracle_greedy(o, got + (int64_t)(g->n_id - 1) * g->n_vocab, g->n_greedy, more, &gap);
    assert_memory_equal(more, g->greedy, (size_t)g->n_greedy * sizeof *more);
    assert_true(fabs(gap - g->gap) < 1e-3 * g->gap + 1e-4);
    free(more);
    free(got);
    oracle_free(o);
}

static void oracle_gives_the_logits_of_transformers(void **state)
{
    (void)state;
    for (int i = 0; golden_names[i]; i++) {
        golden g;
        golden_open(&g, golden_names[i]);
        check_file(&g, golden_dir(g.name));
        golden_close(&g);
    }
}

static void oracle_gives_the_same_from_gguf(void **state)
{
    (void)state;
    tiny_dir dir;
    tiny_dir_open(&dir);
    for (int i = 0; golden_names[i]; i++) {
        golden g;
        if (!golden_has_gguf(golden_names[i])) continue;
        golden_open(&g, golden_names[i]);
        assert_ok(bt_model_quantize(golden_dir(g.name), tiny_path(&dir, "model.gguf"), BT_F32, NULL,
                                    NULL));
        check_file(&g, tiny_path(&dir, "model.gguf"));
        golden_close(&g);
    }
    tiny_dir_close(&dir);
}

/* Rounding keys and values must show, and by about what the type's precision says. */
static void rounded_keys_and_values_move_the_logits_a_little(void **state)
{
    (void)state;
    golden g;
    golden_open(&g, "llama");
    bt_model_file *file = NULL;
    assert_ok(bt_model_file_open(golden_dir(g.name), BT_USE_COMPUTE, &file));
    oracle *o = oracle_open(file, N_CTX);
    bt_model_file_close(file);
    int64_t n = (int64_t)g.n_id * g.n_vocab;
    double *got = fresh((size_t)n, sizeof *got);
    oracle_round_kv(o, BT_F16);
    oracle_read(o, g.ids, g.n_id, got);
    double f16 = relative_rms(got, g.logits, n);
    oracle_round_kv(o, BT_BF16);
    oracle_read(o, g.ids, g.n_id, got);
    double bf16 = relative_rms(got, g.logits, n);
    assert_true(f16 > 1e-5 && f16 < 1e-3);
    assert_true(bf16 > 4 * f16 && bf16 < 16 * f16);
    free(got);
    oracle_free(o);
    golden_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oracle_gives_the_logits_of_transformers),
        cmocka_unit_test(oracle_gives_the_same_from_gguf),
        cmocka_unit_test(rounded_keys_and_values_move_the_logits_a_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
