// SPDX-License-Identifier: Apache-2.0
/* Random configurations of every family, random engine settings: the engine against the oracle. The
 * golden models say that the oracle is right; this says that nothing hangs on their shapes. */
#include "oracle/compare.h"
#include "oracle/drive.h"
#include "oracle/memory.h"
#include "oracle/oracle.h"
#include "oracle/tiny.h"
#include "support/support.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { N_MODEL = 24, N_PROMPT_MAX = 90, N_MORE = 6, N_CTX = 96 };

static bt_engine_config random_settings(test_rng *rng)
{
    static const int32_t page_len[] = {16, 32, 64};
    return (bt_engine_config){
        .n_thread = (int32_t)test_range(rng, 1, 3),
        .n_ctx = N_CTX,
        .n_seq_max = (int32_t)test_range(rng, 1, 4),
        .n_chunk = (int32_t)test_range(rng, 1, 100),
        .n_tok_step_max = (int32_t)test_range(rng, 4, 120),
        .page_len = page_len[test_range(rng, 0, 2)],
    };
}

/* A greedy token that the oracle puts within rounding of its best is as good as the best. */
static void check_tokens(const char *what, const drive *d, oracle *o, double *row)
{
    for (int32_t i = 0; i < d->n_out; i++) {
        double top = -INFINITY;
        for (int32_t j = 0; j < d->n_vocab; j++) top = fmax(top, row[j]);
        if (!(row[d->token[i].id] >= top - 1e-3 * (1 + fabs(top))))
            fail_msg("%s: token %d is %d, whose logit is %.9g; the best has %.9g", what, i,
                     d->token[i].id, row[d->token[i].id], top);
        oracle_push(o, d->token[i].id, row);
    }
}

static void check_file(const char *what, const char *path, const drive *ask,
                       bt_engine_config config)
{
    bt_model_file *file = NULL;
    assert_ok(bt_model_file_open(path, BT_USE_COMPUTE, &file));
    oracle *o = oracle_open(file, N_CTX);
    bt_model_file_close(file);
    int64_t n = (int64_t)ask->n_id * oracle_n_vocab(o);
    double *want = fresh((size_t)n, sizeof *want);
    oracle_read(o, ask->ids, ask->n_id, want);

    config.model = path;
    bt_engine *e = drive_open(&config);
    drive d = *ask;
    drive_run(e, &d);
    double *got = widen(d.logits, n);
    assert_near(what, got, want, n, 1e-4);
    check_tokens(what, &d, o, want + n - oracle_n_vocab(o));
    free(got);
    free(want);
    drive_done(&d);
    bt_engine_close(e);
    oracle_free(o);
}

static void random_configurations_agree_with_the_oracle_in_both_file_forms(void **state)
{
    (void)state;
    const char *seed = getenv("BATON_TEST_SEED");
    test_rng rng = {seed ? strtoull(seed, NULL, 10) : 2026};
    for (int i = 0; i < N_MODEL; i++) {
        tiny_dir dir;
        int32_t ids[N_PROMPT_MAX];
        char what[320];
        tiny_config c = tiny_random(&rng);
        drive ask = {
            .ids = ids, .n_id = (int32_t)test_range(&rng, 1, N_PROMPT_MAX), .n_more = N_MORE};
        for (int32_t j = 0; j < ask.n_id; j++) ids[j] = (int32_t)test_range(&rng, 0, c.n_vocab - 1);
        snprintf(what, sizeof what, "model %d: %s", i, tiny_name(&c));
        tiny_dir_open(&dir);
        tiny_write(&dir, &c);
        check_file(what, dir.path, &ask, random_settings(&rng));
        const char *path = tiny_path(&dir, "model.gguf");
        assert_ok(bt_model_quantize(dir.path, path, BT_F32, NULL, NULL));
        check_file(what, path, &ask, random_settings(&rng));
        tiny_dir_close(&dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_configurations_agree_with_the_oracle_in_both_file_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
