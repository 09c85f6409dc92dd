// SPDX-License-Identifier: Apache-2.0
/* The engine's laws on a model that is a hash of the prefix: what comes out of a request does not
 * depend on anything but the request. Exact: same tokens, same logprobs, same closing. */
#include "support/fakerunner.h"
#include "support/support.h"
#include "base/alloc.h"
#include <stdlib.h>
#include <string.h>

enum { N_JOB = 16, PROMPT_MAX = 150 };

/* Sixteen requests of all kinds, and what each gives when it is alone. */
typedef struct mix {
    fake_job *job, *alone; // [N_JOB]
    int32_t prompt[N_JOB][PROMPT_MAX];
    bt_logit_bias bias[2];
    int32_t stop_ids[2];
} mix;

static void make_params(mix *m, int32_t i, test_rng *rng)
{
    bt_request_params *p = &m->job[i].params;
    bt_request_defaults(p);
    p->ids = m->prompt[i];
    p->n_id = i == 0 ? 1 : (int32_t)test_range(rng, 1, PROMPT_MAX);
    for (int32_t k = 0; k < p->n_id; k++)
        m->prompt[i][k] = (int32_t)test_range(rng, 0, FAKE_VOCAB - 1);
    p->max_tokens = (int32_t)test_range(rng, 10, 120);
    p->temperature = i % 3 == 0 ? 0 : 0.5f + 0.1f * (float)i;
    p->top_k = i % 4 == 1 ? 20 : 0;
    p->top_p = i % 4 == 2 ? 0.9f : 1;
    p->min_p = i % 5 == 3 ? 0.05f : 0;
    p->typical_p = i % 7 == 4 ? 0.8f : 1;
    p->repetition_penalty = i % 2 ? 1.2f : 1;
    p->penalty_last_n = i % 6 == 5 ? 10 : -1;
    p->presence_penalty = i % 5 == 1 ? 0.5f : 0;
    p->frequency_penalty = i % 5 == 2 ? 0.3f : 0;
    p->seed = i * 77u;
    p->logprobs = true;
    p->n_top_logprobs = i % 6;
    p->min_tokens = i % 3 == 2 ? p->max_tokens / 2 : 0;
    p->ignore_eos = i % 8 == 7;
    p->priority = i % 11 == 3;
    p->logit_bias = m->bias;
    p->n_logit_bias = i % 2 ? 2 : 0;
    p->stop_ids = m->stop_ids;
    p->n_stop_id = i % 4 == 0 ? 2 : 0;
}

static bt_engine *open_or_fail(const bt_engine_config *config, fake_runner *fake)
{
    bt_engine *engine;
    assert_ok(fake_open(config, fake, NULL, 5, &engine));
    return engine;
}

static int set_up(void **state)
{
    mix *m = calloc(1, sizeof *m);
    m->job = calloc(N_JOB, sizeof *m->job);
    m->alone = calloc(N_JOB, sizeof *m->alone);
    m->bias[0] = (bt_logit_bias){3, 1.5f};
    m->bias[1] = (bt_logit_bias){5, -4}; // 5 ends a generation: let these go on longer
    m->stop_ids[0] = 17;
    m->stop_ids[1] = 23;
    test_rng rng = {1};
    fake_runner fake = {0};
    bt_engine *engine = open_or_fail(&(bt_engine_config){.n_ctx = 512}, &fake);
    for (int32_t i = 0; i < N_JOB; i++) {
        make_params(m, i, &rng);
        m->alone[i].params = m->job[i].params;
        fake_run(engine, &m->alone[i], 1);
    }
    bt_engine_close(engine);
    *state = m;
    return fake.closed ? 0 : -1;
}

static int tear_down(void **state)
{
    mix *m = *state;
    free(m->job);
    free(m->alone);
    free(m);
    return 0;
}

static void reset_jobs(mix *m)
{
    for (int32_t i = 0; i < N_JOB; i++) fake_job_reset(&m->job[i]);
}

static void expect_as_alone(const mix *m)
{
    for (int32_t i = 0; i < N_JOB; i++)
        if (!fake_jobs_equal(&m->job[i], &m->alone[i]))
            fail_msg("request %d gave %d tokens (%s), alone %d (%s)", i, m->job[i].n,
                     bt_finish_name(m->job[i].finish), m->alone[i].n,
                     bt_finish_name(m->alone[i].finish));
}

/* Run the mix on an engine of this configuration and compare; returns the statistics. */
static bt_engine_stats compare_with_alone(mix *m, const bt_engine_config *config)
{
    fake_runner fake = {0};
    bt_engine *engine = open_or_fail(config, &fake);
    reset_jobs(m);
    fake_run(engine, m->job, N_JOB);
    expect_as_alone(m);
    bt_engine_stats stats;
    bt_engine_get_stats(engine, &stats);
    bt_engine_close(engine);
    return stats;
}

static void the_mix_is_varied_and_long_enough_to_prove_something(void **state)
{
    mix *m = *state;
    int32_t n_stop = 0, n_length = 0, n_token = 0;
    for (int32_t i = 0; i < N_JOB; i++) {
        n_stop += m->alone[i].finish == BT_FINISH_STOP;
        n_length += m->alone[i].finish == BT_FINISH_LENGTH;
        n_token += m->alone[i].n;
    }
    assert_true(n_stop >= 3 && n_length >= 3 && n_token >= 200);
}

static void a_batch_of_sixteen_gives_what_each_gives_alone(void **state)
{
    bt_engine_stats s = compare_with_alone(*state, &(bt_engine_config){.n_ctx = 512});
    assert_int_equal(s.n_preempted, 0);
    assert_true(s.n_step < 300); // together, not one after the other
}

static void chunks_of_any_size_give_the_same(void **state)
{
    static const int32_t chunk[] = {1, 7, 64, 512};
    for (int i = 0; i < 4; i++)
        compare_with_alone(*state, &(bt_engine_config){.n_ctx = 512, .n_chunk = chunk[i]});
}

static void a_small_step_gives_the_same(void **state)
{
    compare_with_alone(*state, &(bt_engine_config){.n_ctx = 512, .n_tok_step_max = 16});
    compare_with_alone(*state,
                       &(bt_engine_config){.n_ctx = 512, .n_tok_step_max = 3, .n_seq_max = 2});
    compare_with_alone(*state, &(bt_engine_config){.n_ctx = 512, .n_seq_max = 1});
}

static void pages_of_any_length_give_the_same(void **state)
{
    for (int32_t page_len = 16; page_len <= 64; page_len *= 2)
        compare_with_alone(*state, &(bt_engine_config){.n_ctx = 512, .page_len = page_len});
}

static void preemption_gives_the_same(void **state)
{
    uint64_t n_preempted = 0;
    for (int32_t page_len = 16; page_len <= 64; page_len *= 2)
        for (int32_t n_ctx = 280; n_ctx <= 400; n_ctx += 40) {
            bt_engine_config c = {
                .n_ctx = n_ctx, .n_kv_token = n_ctx, .page_len = page_len, .n_chunk = 19};
            n_preempted += compare_with_alone(*state, &c).n_preempted;
        }
    assert_true(n_preempted >= 10);
}

/* Requests come in any order at any step, and half of others beside them are cancelled. */
static void any_arrival_order_and_cancelled_neighbours_give_the_same(void **state)
{
    mix *m = *state;
    test_rng rng = {42};
    for (int round = 0; round < 6; round++) {
        fake_runner fake = {0};
        bt_engine_config c = {
            .n_ctx = 400, .n_kv_token = round % 2 ? 450 : 0, .n_chunk = 1 + round * 13};
        bt_engine *engine = open_or_fail(&c, &fake);
        reset_jobs(m);
        bt_request *noise[64];
        int32_t n_noise = 0, n_left = N_JOB, n_alive = 1;
        while (n_left > 0 || n_alive > 0) {
            int32_t i = (int32_t)test_range(&rng, 0, N_JOB - 1);
            if (!m->job[i].request && m->job[i].finish == BT_FINISH_NONE) {
                assert_ok(bt_engine_submit(engine, &m->job[i].params, &m->job[i].request));
                n_left--;
            }
            if (n_left > 0 && n_noise < 64)
                assert_ok(bt_engine_submit(engine, &m->job[test_range(&rng, 0, 15)].params,
                                           &noise[n_noise++]));
            if (n_noise > 4 && test_range(&rng, 0, 1)) bt_request_free(noise[--n_noise]);
            assert_ok(bt_engine_step(engine, &n_alive));
            assert_true(bt_engine_check(engine));
            for (int32_t k = 0; k < N_JOB; k++)
                if (m->job[k].request) fake_job_read(&m->job[k]);
            if (n_left == 0)
                while (n_noise > 0) bt_request_free(noise[--n_noise]);
        }
        expect_as_alone(m);
        for (int32_t k = 0; k < N_JOB; k++) bt_request_free(m->job[k].request);
        bt_engine_stats s;
        bt_engine_get_stats(engine, &s);
        assert_int_equal(s.n_page_free, s.n_page);
        bt_engine_close(engine);
    }
}

static void a_step_allocates_nothing(void **state)
{
    mix *m = *state;
    fake_runner fake = {0};
    bt_engine *engine = open_or_fail(&(bt_engine_config){.n_ctx = 300, .n_kv_token = 400}, &fake);
    reset_jobs(m);
    for (int32_t i = 0; i < N_JOB; i++)
        assert_ok(bt_engine_submit(engine, &m->job[i].params, &m->job[i].request));
    uint64_t before = bt_mem_n_alloc();
    fake_run(engine, m->job, N_JOB);
    assert_int_equal(bt_mem_n_alloc(), before);
    bt_engine_stats s;
    bt_engine_get_stats(engine, &s);
    assert_true(s.n_preempted > 0); // a step that preempts neither
    bt_engine_close(engine);
}

static void two_engines_at_once_do_not_mix(void **state)
{
    mix *m = *state;
    fake_runner fake[2] = {0};
    bt_engine *engine[2];
    for (int e = 0; e < 2; e++)
        engine[e] =
            open_or_fail(&(bt_engine_config){.n_ctx = 512, .page_len = e ? 16 : 64}, &fake[e]);
    reset_jobs(m);
    for (int32_t i = 0; i < N_JOB; i++)
        assert_ok(bt_engine_submit(engine[i % 2], &m->job[i].params, &m->job[i].request));
    int32_t n_alive[2];
    do {
        for (int e = 0; e < 2; e++) assert_ok(bt_engine_step(engine[e], &n_alive[e]));
        for (int32_t i = 0; i < N_JOB; i++) fake_job_read(&m->job[i]);
    } while (n_alive[0] + n_alive[1] > 0);
    expect_as_alone(m);
    for (int32_t i = 0; i < N_JOB; i++) bt_request_free(m->job[i].request);
    for (int e = 0; e < 2; e++) bt_engine_close(engine[e]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mix_is_varied_and_long_enough_to_prove_something),
        cmocka_unit_test(a_batch_of_sixteen_gives_what_each_gives_alone),
        cmocka_unit_test(chunks_of_any_size_give_the_same),
        cmocka_unit_test(a_small_step_gives_the_same),
        cmocka_unit_test(pages_of_any_length_give_the_same),
        cmocka_unit_test(preemption_gives_the_same),
        cmocka_unit_test(any_arrival_order_and_cancelled_neighbours_give_the_same),
        cmocka_unit_test(a_step_allocates_nothing),
        cmocka_unit_test(two_engines_at_once_do_not_mix),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
