// SPDX-License-Identifier: Apache-2.0
/* Law 2 through the engine: however steps are dispatched, every request gets the same bits: with no
 * cache at all, with each cache, captured, through two and three host threads, in an engine that was
 * opened anew, traced or not; over 200 steps in which requests join and leave. */
#include "baton/dispatch.h"
#include "baton/trace.h"
#include "oracle/drive.h"
#include "oracle/golden.h"
#include "oracle/tiny.h"
#include "support/support.h"
#include <stdio.h>
#include <string.h>

enum { N_REQUEST = 40, N_PROMPT_MAX = 30, N_MORE_MAX = 40, N_CTX = 96 };

typedef struct way {
    const char *name;
    uint32_t off;
    int32_t n_host_thread;
    bool traced;
} way;

static const way eager = {"eager, no caches", BT_NO_CACHES, 1, false};
static const way ways[] = {
    {"node cache", BT_NO_PLAN_CACHE | BT_NO_REUSE | BT_NO_CAPTURE, 1, false},
    {"plan cache", BT_NO_REUSE | BT_NO_CAPTURE, 1, false},
    {"setup reuse", BT_NO_CAPTURE, 1, false},
    {"captured", 0, 1, false},
    {"captured, traced", 0, 1, true},
    {"pipelined by two", BT_NO_CAPTURE, 2, false},
    {"pipelined by three, captured", 0, 3, false},
    {"reloaded", 0, 1, false},
};

typedef struct crowd {
    int32_t ids[N_REQUEST][N_PROMPT_MAX];
    drive d[N_REQUEST];
} crowd;

static void invite(crowd *c, int32_t n_vocab)
{
    test_rng rng = {99};
    for (int i = 0; i < N_REQUEST; i++) {
        c->d[i] = (drive){.ids = c->ids[i],
                          .n_id = (int32_t)test_range(&rng, 1, N_PROMPT_MAX),
                          .n_more = (int32_t)test_range(&rng, 3, N_MORE_MAX),
                          .temperature = i % 2 ? 0.8f : 0,
                          .seed = test_u64(&rng),
                          .no_logits = i % 4 != 0};
        for (int j = 0; j < c->d[i].n_id; j++)
            c->ids[i][j] = (int32_t)test_range(&rng, 0, n_vocab - 1);
    }
}

/* A new request every five steps. */
static void run_crowd(bt_engine *e, crowd *c)
{
    int n_step = 0;
    for (int i = 0; i < N_REQUEST; i++) {
        drive_submit(e, &c->d[i]);
        for (int k = 0; k < 5; k++, n_step++) {
            assert_ok(bt_engine_step(e, NULL));
            for (int j = 0; j <= i; j++) drive_collect(&c->d[j]);
        }
    }
    assert_true(n_step >= 200);
    drive_finish(e, c->d, N_REQUEST);
    for (int i = 0; i < N_REQUEST; i++) {
        bt_request_free(c->d[i].request);
        c->d[i].request = NULL;
    }
}

static void run_way(const char *model, int32_t n_vocab, const way *w, crowd *c,
                    bt_engine_stats *ret_stats)
{
    bt_trace *trace = NULL;
    if (w->traced) assert_ok(bt_trace_new(1 << 18, &trace));
    bt_engine *e = drive_open(&(bt_engine_config){.model = model,
                                                  .n_thread = 2,
                                                  .n_ctx = N_CTX,
                                                  .n_seq_max = 12,
                                                  .n_chunk = 16,
                                                  .n_tok_step_max = 48,
                                                  .page_len = 16,
                                                  .dispatch_off = w->off,
                                                  .n_host_thread = w->n_host_thread,
                                                  .trace = trace});
    invite(c, n_vocab);
    run_crowd(e, c);
    bt_engine_get_stats(e, ret_stats);
    bt_engine_close(e);
    if (trace) {
        assert_true(bt_trace_n_event(trace) > 1000);
        assert_int_equal(bt_trace_n_dropped(trace), 0);
    }
    bt_trace_free(trace);
}

static void check_stats(const way *w, const bt_engine_stats *s)
{
    assert_true(s->n_step >= 200);
    if (w->off & BT_NO_PLAN_CACHE)
        assert_true(s->plans_built >= s->n_step);
    else
        assert_true(s->plans_built < s->n_step / 2 && s->setups_skipped > s->setups_run);
    assert_true(w->off & BT_NO_CAPTURE ? s->replays == 0 : s->replays > 0);
}

static void compare_ways(const char *model, int32_t n_vocab)
{
    static crowd want, got;
    bt_engine_stats stats;
    run_way(model, n_vocab, &eager, &want, &stats);
    check_stats(&eager, &stats);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        run_way(model, n_vocab, &ways[i], &got, &stats);
        check_stats(&ways[i], &stats);
        for (int r = 0; r < N_REQUEST; r++) {
            char what[200];
            snprintf(what, sizeof what, "%.60s, request %d", ways[i].name, r);
            assert_same_bits(what, &got.d[r], &want.d[r]);
            drive_done(&got.d[r]);
        }
    }
    for (int r = 0; r < N_REQUEST; r++) drive_done(&want.d[r]);
}

static void a_request_gets_the_same_bits_however_steps_are_dispatched(void **state)
{
    (void)state;
    compare_ways(golden_dir("qwen3"), 120);
}

static void the_same_with_quantised_weights(void **state)
{
    (void)state;
    tiny_dir dir;
    tiny_config c = tiny_wide(TINY_LLAMA);
    tiny_dir_open(&dir);
    tiny_write(&dir, &c);
    const char *path = tiny_path(&dir, "q4_k.gguf");
    assert_ok(bt_model_quantize(dir.path, path, BT_Q4_K, NULL, NULL));
    compare_ways(path, c.n_vocab);
    tiny_dir_close(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_gets_the_same_bits_however_steps_are_dispatched),
        cmocka_unit_test(the_same_with_quantised_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
