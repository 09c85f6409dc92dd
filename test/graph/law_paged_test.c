// SPDX-License-Identifier: Apache-2.0
/* Law 3, paged = contiguous, preempted and resumed = undisturbed, batched = alone; and law 5, a
 * step allocates nothing. The pool is made so small that the scheduler must take pages back from
 * running requests and read them again later. */
#include "base/alloc.h"
#include "oracle/compare.h"
#include "oracle/drive.h"
#include "oracle/golden.h"
#include "oracle/memory.h"
#include "oracle/oracle.h"
#include "oracle/tiny.h"
#include "support/support.h"
#include <stdio.h>
#include <string.h>

enum { N_REQUEST = 6, N_PROMPT_MAX = 30, N_MORE = 30, N_CTX = 64, N_VOCAB = 101 };

typedef struct crowd {
    int32_t ids[N_REQUEST][N_PROMPT_MAX];
    drive d[N_REQUEST];
} crowd;

static void crowd_init(crowd *c, bool no_logits)
{
    test_rng rng = {31};
    for (int i = 0; i < N_REQUEST; i++) {
        c->d[i] = (drive){.ids = c->ids[i],
                          .n_id = (int32_t)test_range(&rng, 2, N_PROMPT_MAX),
                          .n_more = N_MORE,
                          .temperature = i % 2 ? 1 : 0,
                          .seed = (uint64_t)i,
                          .no_logits = no_logits};
        for (int j = 0; j < c->d[i].n_id; j++)
            c->ids[i][j] = (int32_t)test_range(&rng, 0, N_VOCAB - 1);
    }
}

static void crowd_done(crowd *c)
{
    for (int i = 0; i < N_REQUEST; i++) drive_done(&c->d[i]);
}

/* A golden model by name, or one that has been written, by its path. */
static bt_engine_config config_of(const char *name)
{
    return (bt_engine_config){.model = name[0] == '/' ? name : golden_dir(name),
                              .n_thread = 1,
                              .n_ctx = N_CTX,
                              .page_len = 16,
                              .n_seq_max = N_REQUEST};
}

/* Each request alone, in an engine with room. */
static void run_alone(const char *name, bt_dtype kv_dtype, crowd *c)
{
    bt_engine_config config = config_of(name);
    config.kv_dtype = kv_dtype;
    bt_engine *e = drive_open(&config);
    crowd_init(c, false);
    for (int i = 0; i < N_REQUEST; i++) drive_run(e, &c->d[i]);
    for (int i = 0; i < N_REQUEST; i++) {
        bt_request_free(c->d[i].request);
        c->d[i].request = NULL;
    }
    bt_engine_close(e);
}

static void check_preempted(const char *name, bt_engine_config config)
{
    crowd alone, together;
    bt_engine_stats stats;
    run_alone(name, config.kv_dtype, &alone);
    bt_engine *e = drive_open(&config);
    crowd_init(&together, false);
    for (int i = 0; i < N_REQUEST; i++) drive_submit(e, &together.d[i]);
    drive_finish(e, together.d, N_REQUEST);
    bt_engine_get_stats(e, &stats);
    assert_true(stats.n_preempted > 0); // else this shows nothing
    for (int i = 0; i < N_REQUEST; i++) {
        char what[64];
        snprintf(what, sizeof what, "%s, request %d", name, i);
        assert_same_bits(what, &together.d[i], &alone.d[i]);
    }
    crowd_done(&alone);
    crowd_done(&together);
    bt_engine_get_stats(e, &stats);
    assert_int_equal(stats.n_page_free, stats.n_page);
    bt_engine_close(e);
}

static void preempted_and_resumed_is_undisturbed(void **state)
{
    (void)state;
    static const char *const names[] = {"llama", "mistral-window", "qwen3"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bt_engine_config config = config_of(names[i]);
        config.n_kv_token = 128; // eight pages; each request comes to need two to four
        check_preempted(names[i], config);
        config = config_of(names[i]);
        config.n_kv_token = 64; // the least: room for one full request
        config.n_chunk = 5;
        config.n_thread = 2;
        check_preempted(names[i], config);
    }
}

static void preempted_with_quantised_keys_and_values_is_undisturbed(void **state)
{
    (void)state;
    tiny_dir dir;
    tiny_config c = tiny_wide(TINY_MISTRAL);
    c.n_vocab = N_VOCAB;
    tiny_dir_open(&dir);
    tiny_write(&dir, &c);
    for (int i = 0; i < 2; i++) {
        bt_engine_config config = config_of(dir.path);
        config.n_kv_token = 96;
        config.n_chunk = 7;
        config.kv_dtype = i ? BT_Q4_0 : BT_Q8_0;
        check_preempted(dir.path, config);
    }
    tiny_dir_close(&dir);
}

/* The oracle keeps keys and values in one contiguous array and recomputes nothing. */
static void paged_and_preempted_is_what_the_contiguous_oracle_says(void **state)
{
    (void)state;
    bt_model_file *file = NULL;
    crowd c;
    assert_ok(bt_model_file_open(golden_dir("mistral-window"), BT_USE_COMPUTE, &file));
    oracle *o = oracle_open(file, N_CTX);
    bt_model_file_close(file);
    bt_engine_config config = config_of("mistral-window");
    config.n_kv_token = 96;
    bt_engine *e = drive_open(&config);
    crowd_init(&c, false);
    for (int i = 0; i < N_REQUEST; i++) drive_submit(e, &c.d[i]);
    drive_finish(e, c.d, N_REQUEST);
    for (int i = 0; i < N_REQUEST; i++) {
        const drive *d = &c.d[i];
        int64_t n = (int64_t)d->n_id * d->n_vocab;
        double *want = fresh((size_t)n, sizeof *want), *got = widen(d->logits, n);
        oracle_read(o, d->ids, d->n_id, want);
        assert_near("a request in a crowd", got, want, n, 2e-5);
        free(want);
        free(got);
    }
    crowd_done(&c);
    bt_engine_close(e);
    oracle_free(o);
}

/* Count over every step there is, the first included: prompts, mixed batches, preemption, the end.
 */
static void check_steps(const char *name, int64_t n_kv_token, bool no_logits)
{
    crowd c;
    bt_engine_stats stats;
    bt_engine_config config = config_of(name);
    config.n_kv_token = n_kv_token;
    config.n_thread = 2;
    bt_engine *e = drive_open(&config);
    crowd_init(&c, no_logits);
    for (int i = 0; i < N_REQUEST; i++) drive_submit(e, &c.d[i]);
    uint64_t before = bt_mem_n_alloc();
    drive_finish(e, c.d, N_REQUEST);
    uint64_t after = bt_mem_n_alloc();
    bt_engine_get_stats(e, &stats);
    if (after != before)
        fail_msg("%s: %llu allocations in %llu steps", name, (unsigned long long)(after - before),
                 (unsigned long long)stats.n_step);
    assert_true(stats.n_step >= N_MORE);
    crowd_done(&c);
    bt_engine_close(e);
}

static void a_step_allocates_nothing(void **state)
{
    (void)state;
    for (int i = 0; golden_names[i]; i++) check_steps(golden_names[i], 0, i % 2);
    check_steps("llama", 96, false); // with preemption
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preempted_and_resumed_is_undisturbed),
        cmocka_unit_test(preempted_with_quantised_keys_and_values_is_undisturbed),
        cmocka_unit_test(paged_and_preempted_is_what_the_contiguous_oracle_says),
        cmocka_unit_test(a_step_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
