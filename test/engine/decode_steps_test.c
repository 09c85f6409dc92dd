// SPDX-License-Identifier: Apache-2.0
/* A thousand steps of a real model's runner with sequences that grow, join and leave: a plan is
 * built for each number of tokens and rows and never for a length, whatever can be skipped is, and
 * no step allocates. */
#include "support/support.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "engine/modelrunner.h"
#include "model/file/synth.h"
#include <string.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { N_STEP = 150 };
#else
enum { N_STEP = 1000 };
#endif
enum { SEQ_MAX = 4, TOK_MAX = 40, PAGE_LEN = 16, PAGE_MAX = (N_STEP + TOK_MAX) / PAGE_LEN + 1 };

typedef struct world {
    bt_model_file *file;
    bt_runner runner;
    bt_batch batch;
    int32_t ids[TOK_MAX], pos[TOK_MAX], seq[TOK_MAX], table[SEQ_MAX][PAGE_MAX], out_row[SEQ_MAX];
    int64_t slot[TOK_MAX];
    int32_t len[SEQ_MAX];                // tokens of each sequence so far
    bool seen[TOK_MAX + 1][SEQ_MAX + 1]; // shapes run: tokens, rows
    uint64_t n_shape, n_step;
} world;

static void open_world(world *w, int32_t n_host_thread)
{
    *w = (world){0};
    assert_ok(bt_model_file_synth("tiny-llama", BT_Q8_0, &w->file));
    bt_model_runner_config config = {.limits = {.n_tok_max = TOK_MAX,
                                                .n_seq_max = SEQ_MAX,
                                                .n_out_max = SEQ_MAX,
                                                .n_page_max = PAGE_MAX,
                                                .n_page = SEQ_MAX * PAGE_MAX,
                                                .page_len = PAGE_LEN},
                                     .n_thread = 1,
                                     .n_host_thread = n_host_thread};
    assert_ok(bt_model_runner_open(w->file, &config, &w->runner));
    for (int32_t i = 0; i < SEQ_MAX * PAGE_MAX; i++) w->table[i / PAGE_MAX][i % PAGE_MAX] = i;
    w->batch = (bt_batch){.n_seq = SEQ_MAX,
                          .ids = w->ids,
                          .pos = w->pos,
                          .seq = w->seq,
                          .slot = w->slot,
                          .table = &w->table[0][0],
                          .out_row = w->out_row};
}

static void close_world(world *w)
{
    w->runner.close(w->runner.self);
    bt_model_file_close(w->file);
}

/* Give a sequence n more tokens in the batch; its last row is wanted. */
static void add_tokens(world *w, int32_t seq, int32_t n)
{
    bt_batch *b = &w->batch;
    for (int32_t i = 0; i < n; i++) {
        int32_t at = b->n_tok++, pos = w->len[seq]++;
        b->ids[at] = (pos * 7 + seq) % 256;
        b->pos[at] = pos;
        b->seq[at] = seq;
        b->slot[at] = (int64_t)w->table[seq][pos / PAGE_LEN] * PAGE_LEN + pos % PAGE_LEN;
    }
    b->out_row[b->n_out++] = b->n_tok - 1;
}

static void run_batch(world *w)
{
    const float *logits;
    bt_batch *b = &w->batch;
    uint64_t n_alloc = bt_mem_n_alloc();
    assert_ok(w->runner.begin(w->runner.self, b));
    assert_ok(w->runner.finish(w->runner.self, &logits));
    assert_int_equal(bt_mem_n_alloc() - n_alloc, 0);
    w->n_shape += !w->seen[b->n_tok][b->n_out];
    w->seen[b->n_tok][b->n_out] = true;
    w->n_step++;
    b->n_tok = b->n_out = 0;
}

static bt_runner_counters counters_of(const world *w)
{
    bt_runner_counters c;
    w->runner.get_counters(w->runner.self, &c);
    return c;
}

/* Nodes that are set up a step: every one was, or it was skipped. */
static uint64_t expect_all_counted(const world *w)
{
    bt_runner_counters c = counters_of(w);
    assert_int_equal((c.setups_run + c.setups_skipped) % w->n_step, 0);
    return (c.setups_run + c.setups_skipped) / w->n_step;
}

static void one_growing_sequence_takes_one_plan(void **state)
{
    (void)state;
    static world w;
    for (int32_t n_thread = 1; n_thread <= 3; n_thread += 2) {
        open_world(&w, n_thread);
        for (int step = 0; step < N_STEP; step++) {
            add_tokens(&w, 0, 1);
            run_batch(&w);
        }
        bt_runner_counters c = counters_of(&w);
        uint64_t n_setup = expect_all_counted(&w);
        assert_int_equal(w.len[0], N_STEP);
        assert_int_equal(c.plans_built, 1);
        assert_true(c.setups_run <= n_setup);
        assert_true(c.setups_skipped >= (N_STEP - 1) * n_setup);
        assert_true(c.replays >= N_STEP - 2);
        close_world(&w);
    }
}

static void plans_are_as_many_as_shapes(void **state)
{
    (void)state;
    static world w;
    static const int32_t prompts[] = {1, 5, 17, 32};
    test_rng rng = {6};
    open_world(&w, 1);
    int32_t n_running = 1;
    for (int step = 0; step < N_STEP; step++) {
        bool joins = test_range(&rng, 0, 19) == 0;
        if (test_range(&rng, 0, 9) == 0) n_running = (int32_t)test_range(&rng, 1, SEQ_MAX);
        for (int32_t s = 0; s < n_running; s++) {
            if (joins && s == n_running - 1) w.len[s] = 0; // the last one left, another comes
            add_tokens(&w, s, w.len[s] ? 1 : prompts[test_range(&rng, 0, 3)]);
        }
        run_batch(&w);
    }
    bt_runner_counters c = counters_of(&w);
    uint64_t n_setup = expect_all_counted(&w);
    assert_in_range(w.n_shape, 8, 16);
    assert_int_equal(c.plans_built, w.n_shape);
    assert_true(c.setups_run <= w.n_shape * n_setup);
    assert_true(c.setups_skipped >= (N_STEP - w.n_shape) * n_setup);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_growing_sequence_takes_one_plan),
        cmocka_unit_test(plans_are_as_many_as_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
