// SPDX-License-Identifier: Apache-2.0
/* A request's life: acceptance and refusal, cancelling, slow readers, failures, and what memory
 * does. */
#include "support/fakerunner.h"
#include "support/support.h"
#include "base/alloc.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int32_t prompt[600] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

static bt_engine *open_or_fail(const bt_engine_config *config, fake_runner *fake)
{
    bt_engine *engine;
    assert_ok(fake_open(config, fake, NULL, -1, &engine));
    return engine;
}

static bt_request_params params_of(int32_t n_id, int32_t max_tokens)
{
    bt_request_params p;
    bt_request_defaults(&p);
    p.ids = prompt;
    p.n_id = n_id;
    p.max_tokens = max_tokens;
    return p;
}

static bt_request *submit(bt_engine *engine, bt_request_params p)
{
    bt_request *r = NULL;
    assert_ok(bt_engine_submit(engine, &p, &r));
    return r;
}

static int32_t step(bt_engine *engine)
{
    int32_t n_alive;
    assert_ok(bt_engine_step(engine, &n_alive));
    assert_true(bt_engine_check(engine));
    return n_alive;
}

/* Read until the closing event; returns why it ended. */
static bt_finish read_out(bt_request *r, int32_t *ret_n_token)
{
    bt_event e;
    for (*ret_n_token = 0;; ++*ret_n_token) {
        assert_ok(bt_request_next(r, &e));
        if (e.finish) return e.finish;
    }
}

static bt_engine_stats stats_of(bt_engine *engine)
{
    bt_engine_stats s;
    bt_engine_get_stats(engine, &s);
    return s;
}

/* ---- refusals ---- */

typedef struct refusal {
    const char *part;
    void (*spoil)(bt_request_params *p);
    bt_status status;
} refusal;

#define SPOIL(name, statement)                                                                     \
    static void spoil_##name(bt_request_params *p) { statement; }

static const int32_t bad_ids[] = {0, FAKE_VOCAB}, negative_ids[] = {-1};
static const bt_logit_bias bias_nan[] = {{1, NAN}}, bias_inf[] = {{1, INFINITY}},
                           bias_id[] = {{61, 0}};
static const char *const stop_ok[] = {"x"};

SPOIL(no_ids, p->ids = NULL)
SPOIL(n_id_0, p->n_id = 0)
SPOIL(n_id_negative, p->n_id = -5)
SPOIL(n_id_large, p->n_id = 513)
SPOIL(id_large, (p->ids = bad_ids, p->n_id = 2))
SPOIL(id_negative, (p->ids = negative_ids, p->n_id = 1))
SPOIL(max_tokens, p->max_tokens = -2)
SPOIL(min_tokens, p->min_tokens = -1)
SPOIL(min_over_max, (p->max_tokens = 3, p->min_tokens = 4))
SPOIL(temperature, p->temperature = -0.1f)
SPOIL(temperature_nan, p->temperature = NAN)
SPOIL(temperature_inf, p->temperature = INFINITY)
SPOIL(top_k, p->top_k = -1)
SPOIL(top_p_0, p->top_p = 0)
SPOIL(top_p_2, p->top_p = 1.01f)
SPOIL(top_p_nan, p->top_p = NAN)
SPOIL(typical_p, p->typical_p = 0)
SPOIL(min_p, p->min_p = -0.5f)
SPOIL(min_p_nan, p->min_p = NAN)
SPOIL(repetition_0, p->repetition_penalty = 0)
SPOIL(repetition_nan, p->repetition_penalty = NAN)
SPOIL(presence, p->presence_penalty = 2.5f)
SPOIL(frequency, p->frequency_penalty = -3)
SPOIL(last_n, p->penalty_last_n = -2)
SPOIL(n_bias, p->n_logit_bias = -1)
SPOIL(n_bias_large, p->n_logit_bias = FAKE_VOCAB + 1)
SPOIL(bias_null, p->n_logit_bias = 1)
SPOIL(bias_nan, (p->logit_bias = bias_nan, p->n_logit_bias = 1))
SPOIL(bias_inf, (p->logit_bias = bias_inf, p->n_logit_bias = 1))
SPOIL(bias_id, (p->logit_bias = bias_id, p->n_logit_bias = 1))
SPOIL(n_stop, p->n_stop = 17)
SPOIL(stop_null, p->n_stop = 1)
SPOIL(stop_text, (p->n_stop = 1, p->stop = stop_ok))
SPOIL(n_stop_id, p->n_stop_id = 65)
SPOIL(stop_id_null, p->n_stop_id = 1)
SPOIL(stop_id, (p->n_stop_id = 1, p->stop_ids = negative_ids))
SPOIL(n_top, (p->logprobs = true, p->n_top_logprobs = 21))
SPOIL(top_alone, p->n_top_logprobs = 2)
SPOIL(logits_all, p->logits_all = true)

static const refusal refusals[] = {
    {"ids is NULL", spoil_no_ids, BT_INVALID},
    {"n_id is 0", spoil_n_id_0, BT_INVALID},
    {"n_id is -5", spoil_n_id_negative, BT_INVALID},
    {"n_id is 513; a request may hold 512", spoil_n_id_large, BT_LIMIT},
    {"ids[1] is 61", spoil_id_large, BT_INVALID},
    {"ids[0] is -1", spoil_id_negative, BT_INVALID},
    {"max_tokens is -2", spoil_max_tokens, BT_INVALID},
    {"min_tokens is -1", spoil_min_tokens, BT_INVALID},
    {"min_tokens is 4, more than max_tokens 3", spoil_min_over_max, BT_INVALID},
    {"temperature is -0.1", spoil_temperature, BT_INVALID},
    {"temperature is", spoil_temperature_nan, BT_INVALID},
    {"temperature is inf", spoil_temperature_inf, BT_INVALID},
    {"top_k is -1", spoil_top_k, BT_INVALID},
    {"top_p is 0", spoil_top_p_0, BT_INVALID},
    {"top_p is 1.01", spoil_top_p_2, BT_INVALID},
    {"top_p is", spoil_top_p_nan, BT_INVALID},
    {"typical_p is 0", spoil_typical_p, BT_INVALID},
    {"min_p is -0.5", spoil_min_p, BT_INVALID},
    {"min_p is", spoil_min_p_nan, BT_INVALID},
    {"repetition_penalty is 0", spoil_repetition_0, BT_INVALID},
    {"repetition_penalty is", spoil_repetition_nan, BT_INVALID},
    {"presence_penalty is 2.5", spoil_presence, BT_INVALID},
    {"frequency_penalty is -3", spoil_frequency, BT_INVALID},
    {"penalty_last_n is -2", spoil_last_n, BT_INVALID},
    {"n_logit_bias is -1", spoil_n_bias, BT_INVALID},
    {"n_logit_bias is 62", spoil_n_bias_large, BT_INVALID},
    {"logit_bias is NULL", spoil_bias_null, BT_INVALID},
    {"logit_bias[0] is", spoil_bias_nan, BT_INVALID},
    {"logit_bias[0] is inf", spoil_bias_inf, BT_INVALID},
    {"logit_bias[0] is 61", spoil_bias_id, BT_INVALID},
    {"n_stop is 17", spoil_n_stop, BT_INVALID},
    {"stop is NULL", spoil_stop_null, BT_INVALID},
    {"stop texts need a model with a tokenizer", spoil_stop_text, BT_INVALID},
    {"n_stop_id is 65", spoil_n_stop_id, BT_INVALID},
    {"stop_ids is NULL", spoil_stop_id_null, BT_INVALID},
    {"stop_ids[0] is -1", spoil_stop_id, BT_INVALID},
    {"n_top_logprobs is 21", spoil_n_top, BT_INVALID},
    {"n_top_logprobs is 2 without logprobs", spoil_top_alone, BT_INVALID},
    {"logits_all without a logits_fn", spoil_logits_all, BT_INVALID},
};

static void every_bad_parameter_is_refused_by_name(void **state)
{
    (void)state;
    fake_runner fake = {0};
    bt_engine *engine = open_or_fail(&(bt_engine_config){.n_ctx = 512}, &fake);
    size_t live = bt_mem_live(BT_MEM_REQUEST);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        bt_request_params p = params_of(10, -1);
        bt_request *r = NULL;
        refusals[i].spoil(&p);
        assert_fails(bt_engine_submit(engine, &p, &r), refusals[i].status, refusals[i].part);
        assert_null(r);
    }
    assert_int_equal(bt_mem_live(BT_MEM_REQUEST), live);
    assert_int_equal(step(engine), 0);
    bt_engine_close(engine);
}

static void every_bad_configuration_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        bt_engine_config c;
        const char *part;
    } bad[] = {
        {{.n_ctx = -1}, "n_ctx is -1"},
        {{.n_ctx = FAKE_CTX + 1}, "n_ctx is 1025; allowed are 1 to 1024"},
        {{.n_thread = 257}, "n_thread is 257"},
        {{.n_seq_max = 1025}, "n_seq_max is 1025"},
        {{.n_seq_max = -3}, "n_seq_max is -3"},
        {{.n_queue_max = -1}, "n_queue_max is -1"},
        {{.n_tok_step_max = -1}, "n_tok_step_max is -1"},
        {{.n_tok_step_max = 8, .n_seq_max = 9}, "n_tok_step_max is 8; at least n_seq_max (9)"},
        {{.n_chunk = -1}, "n_chunk is -1"},
        {{.page_len = 17}, "page_len is 17; allowed are 16, 32 and 64"},
        {{.n_kv_token = -1}, "n_kv_token is -1"},
        {{.n_ctx = 100, .n_kv_token = 99}, "n_kv_token is 99; at least n_ctx (100)"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fake_runner fake = {0};
        bt_engine *engine;
        assert_fails(fake_open(&bad[i].c, &fake, NULL, -1, &engine), BT_INVALID, bad[i].part);
    }
}

/* ---- queueing and cancelling ---- */

static void a_full_queue_answers_busy_and_recovers(void **state)
{
    (void)state;
    fake_runner fake = {0};
    bt_engine *engine =
        open_or_fail(&(bt_engine_config){.n_ctx = 64, .n_seq_max = 2, .n_queue_max = 3}, &fake);
    bt_request *r[5], *sixth = NULL;
    bt_request_params p = params_of(10, 4);
    for (int i = 0; i < 5; i++) r[i] = submit(engine, p);
    assert_fails(bt_engine_submit(engine, &p, &sixth), BT_BUSY, "the queue is full: 5 requests");
    assert_null(sixth);
    assert_int_equal(stats_of(engine).n_waiting, 5);
    step(engine);
    assert_int_equal(stats_of(engine).n_running, 2);
    assert_int_equal(stats_of(engine).n_waiting, 3);
    bt_request_free(r[4]); // still waiting: gone with the next step
    step(engine);
    sixth = submit(engine, p);
    while (step(engine)) continue;
    r[4] = sixth;
    for (int i = 0; i < 5; i++) {
        int32_t n;
        assert_int_equal(read_out(r[i], &n), BT_FINISH_LENGTH);
        assert_int_equal(n, 4);
        bt_event e;
        assert_fails(bt_request_next(r[i], &e), BT_NOTFOUND, "closing event was already taken");
        bt_request_free(r[i]);
    }
    assert_int_equal(stats_of(engine).n_page_free, stats_of(engine).n_page);
    bt_engine_close(engine);
}

static void cancelling_works_at_every_stage_and_only_once(void **state)
{
    (void)state;
    fake_runner fake = {0};
    bt_engine *engine =
        open_or_fail(&(bt_engine_config){.n_ctx = 256, .n_seq_max = 2, .n_chunk = 16}, &fake);
    for (int n_step = 0; n_step < 12; n_step++) { // incoming, in the prompt, generating
        bt_request *a = submit(engine, params_of(100, 50)), *b = submit(engine, params_of(20, 3));
        bt_request *waits = submit(engine, params_of(20, 2));
        for (int i = 0; i < n_step; i++) step(engine);
        bt_request_cancel(a);
        bt_request_cancel(a);
        if (n_step == 1) bt_request_cancel(waits);
        while (step(engine)) continue;
        int32_t n;
        assert_int_equal(read_out(a, &n), BT_FINISH_CANCELLED);
        bt_request_cancel(a); // after the end: nothing
        assert_int_equal(read_out(b, &n), BT_FINISH_LENGTH);
        assert_int_equal(n, 3);
        assert_int_equal(read_out(waits, &n), n_step == 1 ? BT_FINISH_CANCELLED : BT_FINISH_LENGTH);
        bt_request_free(a);
        bt_request_free(b);
        bt_request_free(waits);
        assert_int_equal(stats_of(engine).n_page_free, stats_of(engine).n_page);
    }
    bt_request_free(NULL);
    bt_engine_close(engine);
    bt_engine_close(NULL);
}

static void closing_an_engine_frees_the_requests_in_it(void **state)
{
    (void)state;
    size_t live = bt_mem_live(BT_MEM_REQUEST);
    fake_runner fake = {0};
    bt_engine *engine = open_or_fail(&(bt_engine_config){.n_ctx = 256, .n_seq_max = 2}, &fake);
    for (int i = 0; i < 5; i++) submit(engine, params_of(30, 10));
    step(engine);
    submit(engine, params_of(30, 10));
    bt_engine_close(engine);
    assert_true(fake.closed);
    assert_int_equal(bt_mem_live(BT_MEM_REQUEST), live);
}

/* ---- slow readers ---- */

static void an_unread_request_pauses_and_stalls_nobody(void **state)
{
    (void)state;
    fake_runner fake = {0};
    // A pool of one request's pages and two sequences: the unread ones must give way.
    bt_engine_config c = {.n_ctx = 512, .n_seq_max = 2, .n_kv_token = 512, .page_len = 16};
    bt_engine *engine = open_or_fail(&c, &fake);
    bt_request *slow[3], *quick;
    for (int i = 0; i < 3; i++) slow[i] = submit(engine, params_of(100, 400));
    for (int i = 0; i < 500; i++) step(engine);
    int64_t n_run = fake.n_run;
    assert_int_equal(step(engine), 3);
    assert_int_equal(fake.n_run, n_run); // all rings are full: nothing runs
    quick = submit(engine, params_of(300, 60));
    for (int i = 0; i < 80; i++) step(engine);
    int32_t n;
    assert_int_equal(read_out(quick, &n), BT_FINISH_LENGTH);
    assert_int_equal(n, 60);
    bt_request_free(quick);
    int32_t n_token[3] = {0}, n_open = 3;
    while (n_open > 0) { // now they are read, and go on to their end
        step(engine);
        for (int i = 0; i < 3; i++) {
            bt_event e;
            if (!slow[i] || bt_request_next(slow[i], &e)) continue;
            if (e.finish == BT_FINISH_NONE) {
                assert_int_equal(e.index, n_token[i]++);
                continue;
            }
            assert_int_equal(e.finish, BT_FINISH_LENGTH);
            assert_int_equal(n_token[i], 400);
            bt_request_free(slow[i]);
            slow[i] = NULL;
            n_open--;
        }
    }
    assert_int_equal(stats_of(engine).n_page_free, stats_of(engine).n_page);
    bt_engine_close(engine);
}

static void an_unread_request_can_be_cancelled_and_freed(void **state)
{
    (void)state;
    fake_runner fake = {0};
    bt_engine *engine = open_or_fail(&(bt_engine_config){.n_ctx = 512}, &fake);
    bt_request *a = submit(engine, params_of(10, 400)), *b = submit(engine, params_of(10, 400));
    for (int i = 0; i < 100; i++) step(engine);
    bt_request_cancel(a);
    bt_request_free(b);
    assert_int_equal(step(engine), 0);
    int32_t n;
    assert_int_equal(read_out(a, &n), BT_FINISH_CANCELLED);
    assert_int_equal(n, 63); // a ring of 64 keeps a place for the closing event
    bt_request_free(a);
    bt_engine_close(engine);
}

/* Two that share one place and are read slowly take turns, but not for every token. */
static void slow_readers_take_long_turns(void **state)
{
    (void)state;
    fake_runner fake = {0};
    bt_engine *engine = open_or_fail(&(bt_engine_config){.n_ctx = 512, .n_seq_max = 1}, &fake);
    bt_request *r[2] = {submit(engine, params_of(100, 300)), submit(engine, params_of(100, 300))};
    int32_t n_token[2] = {0}, n_open = 2;
    for (int i = 0; n_open > 0; i++) {
        assert_true(i < 4000);
        step(engine);
        for (int k = 0; i % 3 == 0 && k < 2; k++) {
            bt_event e;
            if (!r[k] || bt_request_next(r[k], &e)) continue;
            n_token[k] += e.id >= 0;
            if (e.finish == BT_FINISH_NONE) continue;
            bt_request_free(r[k]);
            r[k] = NULL;
            n_open--;
        }
    }
    assert_int_equal(n_token[0], 300);
    assert_int_equal(n_token[1], 300);
    uint64_t n_preempted = stats_of(engine).n_preempted;
    assert_true(n_preempted > 2 && n_preempted < 40);
    bt_engine_close(engine);
}

/* ---- order ---- */

static void larger_priority_runs_first_and_equals_as_they_came(void **state)
{
    (void)state;
    static const int32_t priority[] = {0, 0, 5, -1, 5, 0}, want[] = {2, 4, 0, 1, 5, 3};
    fake_runner fake = {0};
    bt_engine *engine = open_or_fail(&(bt_engine_config){.n_ctx = 64, .n_seq_max = 1}, &fake);
    bt_request *r[6];
    for (int i = 0; i < 6; i++) {
        bt_request_params p = params_of(10, 2);
        p.priority = priority[i];
        r[i] = submit(engine, p);
    }
    int64_t at[6];
    while (step(engine)) continue;
    for (int i = 0; i < 6; i++) {
        bt_event e;
        assert_ok(bt_request_next(r[i], &e));
        at[i] = e.time_ns;
        bt_request_free(r[i]);
    }
    for (int i = 1; i < 6; i++) assert_true(at[want[i - 1]] < at[want[i]]);
    bt_engine_close(engine);
}

/* The first in order gets a token (or its prompt a piece) at every step, whatever comes later. */
static void the_oldest_always_progresses(void **state)
{
    (void)state;
    fake_runner fake = {0};
    bt_engine_config c = {.n_ctx = 300, .n_kv_token = 300, .page_len = 16, .n_chunk = 50};
    bt_engine *engine = open_or_fail(&c, &fake);
    bt_request *oldest = submit(engine, params_of(100, 200)), *others[40];
    int32_t n_token = 0;
    for (int i = 0; i < 40; i++) others[i] = submit(engine, params_of(30 + i, 100));
    for (int i = 0; i < 201; i++) {
        bt_event e;
        step(engine);
        if (bt_request_next(oldest, &e) == BT_OK && e.id >= 0) n_token++;
        if (i >= 1) assert_int_equal(n_token, i); // two steps of prompt, then a token each
        for (int k = 0; k < 40; k++)
            while (bt_request_next(others[k], &e) == BT_OK) continue;
    }
    assert_true(stats_of(engine).n_preempted > 0);
    bt_engine_close(engine);
}

/* ---- ends ---- */

static void the_ends_of_a_request_are_told_apart(void **state)
{
    (void)state;
    fake_runner fake = {0};
    bt_engine *engine = open_or_fail(&(bt_engine_config){.n_ctx = 40}, &fake);
    static fake_job job[4];
    job[0].params = params_of(40, -1);      // no room for a token
    job[1].params = params_of(30, -1);      // to n_ctx
    job[2].params = params_of(30, 0);       // only reads
    job[3].params = params_of(30, 1000000); // more than there is room for
    fake_run(engine, job, 4);
    static const int32_t want[] = {0, 10, 0, 10};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(job[i].finish, BT_FINISH_LENGTH);
        assert_int_equal(job[i].n, want[i]);
        assert_int_equal(job[i].n_prompt, job[i].params.n_id);
    }
    assert_string_equal(bt_finish_name(BT_FINISH_LENGTH), "length");
    assert_string_equal(bt_finish_name((bt_finish)99), "unknown");
    bt_engine_close(engine);
}

static void impossible_logits_end_a_request_with_an_error(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        fake_runner fake = {.poison = kind ? NAN : -INFINITY, .poison_at = 3};
        bt_engine *engine = open_or_fail(&(bt_engine_config){.n_ctx = 40}, &fake);
        static fake_job job;
        job.params = params_of(10, 10);
        fake_job_reset(&job);
        fake_run(engine, &job, 1);
        assert_int_equal(job.finish, BT_FINISH_ERROR);
        assert_int_equal(job.n, 2);
        bt_engine_close(engine);
    }
}

static void a_failing_device_ends_what_runs_and_the_engine_goes_on(void **state)
{
    (void)state;
    fake_runner fake = {.fail_at = 3};
    bt_engine *engine = open_or_fail(&(bt_engine_config){.n_ctx = 64, .n_seq_max = 2}, &fake);
    bt_request *r[3];
    for (int i = 0; i < 3; i++) r[i] = submit(engine, params_of(10, 10));
    step(engine);
    step(engine);
    int32_t n_alive = -1, n;
    assert_fails(bt_engine_step(engine, &n_alive), BT_DEVICE, "the fake device fails at run 3");
    assert_int_equal(n_alive, 1);
    while (step(engine)) continue;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read_out(r[i], &n), i < 2 ? BT_FINISH_ERROR : BT_FINISH_LENGTH);
        assert_int_equal(n, i < 2 ? 2 : 10);
        bt_request_free(r[i]);
    }
    assert_int_equal(stats_of(engine).n_page_free, stats_of(engine).n_page);
    bt_engine_close(engine);
}

static void end_tokens_are_obeyed_forbidden_or_put_off(void **state)
{
    (void)state;
    fake_runner fake = {0};
    bt_engine *engine;
    assert_ok(fake_open(&(bt_engine_config){.n_ctx = 256}, &fake, NULL, 7, &engine));
    static const bt_logit_bias likely[] = {{7, 20}, {8, 10}};
    static const int32_t stop_ids[] = {8};
    static fake_job job[4];
    for (int i = 0; i < 4; i++) {
        job[i].params = params_of(10, 20);
        job[i].params.logit_bias = likely;
        job[i].params.n_logit_bias = 2;
    }
    job[1].params.ignore_eos = true;
    job[2].params.min_tokens = 6;
    job[3].params.ignore_eos = true;
    job[3].params.stop_ids = stop_ids;
    job[3].params.n_stop_id = 1;
    job[3].params.min_tokens = 4;
    fake_run(engine, job, 4);
    assert_int_equal(job[0].n, 0); // the end token is no part of the output
    assert_int_equal(job[0].finish, BT_FINISH_STOP);
    assert_int_equal(job[1].n, 20);
    assert_int_equal(job[1].finish, BT_FINISH_LENGTH);
    for (int i = 0; i < 20; i++) assert_int_equal(job[1].ids[i], 8);
    assert_int_equal(job[2].n, 6);
    assert_int_equal(job[2].finish, BT_FINISH_STOP);
    assert_int_equal(job[3].n, 4);
    assert_int_equal(job[3].finish, BT_FINISH_STOP);
    for (int i = 0; i < 4; i++) assert_true(job[3].ids[i] != 8 && job[3].ids[i] != 7);
    bt_engine_close(engine);
}

/* ---- logits of the prompt ---- */

typedef struct watch {
    int32_t n, next;
    float sum[600];
} watch;

static void watch_logits(void *ctx, int32_t pos, const float *logits, int32_t n_vocab)
{
    watch *w = ctx;
    assert_int_equal(pos, w->next++);
    for (int32_t i = 0; i < n_vocab; i++) w->sum[pos] += logits[i] * (float)i;
    w->n++;
}

static void every_prompt_position_is_shown_once_and_in_order(void **state)
{
    (void)state;
    static watch alone, many[6];
    fake_runner fake = {0};
    bt_engine *engine = open_or_fail(&(bt_engine_config){.n_ctx = 512}, &fake);
    static fake_job job[6];
    job[0].params = params_of(250, 0);
    job[0].params.logits_fn = watch_logits;
    job[0].params.logits_all = true;
    job[0].params.logits_ctx = &alone;
    fake_run(engine, job, 1);
    assert_int_equal(alone.n, 250);
    bt_engine_close(engine);
    engine = open_or_fail(
        &(bt_engine_config){.n_ctx = 300, .n_kv_token = 320, .page_len = 16, .n_chunk = 33}, &fake);
    for (int i = 0; i < 6; i++) {
        fake_job_reset(&job[i]);
        job[i].params = params_of(i == 5 ? 100 : 200 + 10 * i, i % 2 ? 40 : 0);
        job[i].params.logits_fn = watch_logits;
        job[i].params.logits_all = i != 5;
        job[i].params.logits_ctx = &many[i];
        if (i == 5) many[i].next = 99; // only the last position
    }
    fake_run(engine, job, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(many[i].n, i == 5 ? 1 : job[i].params.n_id);
        for (int32_t pos = i == 5 ? 99 : 0; pos < job[i].params.n_id; pos++)
            assert_memory_equal(&many[i].sum[pos], &alone.sum[pos], sizeof(float));
    }
    bt_engine_close(engine);
}

static void a_prompt_preempted_half_way_is_shown_once_all_the_same(void **state)
{
    (void)state;
    static watch seen;
    static fake_job job[2];
    fake_runner fake = {0};
    bt_engine_config c = {.n_ctx = 200, .n_kv_token = 208, .page_len = 16, .n_chunk = 2};
    bt_engine *engine = open_or_fail(&c, &fake);
    job[0].params = params_of(40, 120); // grows while the other one's prompt is read in pieces of 2
    job[1].params = params_of(150, 3);
    job[1].params.logits_fn = watch_logits;
    job[1].params.logits_all = true;
    job[1].params.logits_ctx = &seen;
    for (int i = 0; i < 2; i++)
        assert_ok(bt_engine_submit(engine, &job[i].params, &job[i].request));
    int32_t n_shown = 0;
    while (stats_of(engine).n_preempted == 0) {
        step(engine);
        for (int i = 0; i < 2; i++) fake_job_read(&job[i]);
        n_shown = seen.n;
    }
    assert_true(n_shown > 0 && n_shown < 150);
    fake_run(engine, job, 2);
    assert_int_equal(seen.n, 150);
    assert_int_equal(job[1].n, 3);
    bt_engine_close(engine);
}

/* ---- memory ---- */

static void every_failing_allocation_leaves_nothing_behind(void **state)
{
    (void)state;
    uint64_t nth = 0;
    bt_status st;
    size_t live[BT_MEM_COUNT];
    for (int t = 0; t < BT_MEM_COUNT; t++) live[t] = bt_mem_live(t);
    do {
        fake_runner fake = {0};
        bt_engine *engine;
        bt_request *r = NULL;
        bt_request_params p = params_of(10, 3);
        bt_mem_fail_nth(++nth);
        st = fake_open(&(bt_engine_config){.n_ctx = 64}, &fake, NULL, -1, &engine);
        if (st == BT_OK) {
            st = bt_engine_submit(engine, &p, &r);
            while (step(engine)) continue;
            if (st == BT_OK) bt_request_free(r);
            bt_mem_fail_nth(0);
            assert_int_equal(stats_of(engine).n_page_free, stats_of(engine).n_page);
            bt_engine_close(engine);
        }
        assert_true(st == BT_OK || st == BT_NOMEM);
        for (int t = 0; t < BT_MEM_COUNT; t++) assert_int_equal(bt_mem_live(t), live[t]);
    } while (st != BT_OK);
    assert_true(nth > 8);
}

static void memory_taken_is_memory_predicted(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        bt_engine_config c = {
            .n_ctx = 100 + i * 300, .n_seq_max = 1 + i * 9, .page_len = 16 << i % 3};
        bt_capacity_facts facts = fake_facts();
        bt_capacity plan;
        assert_ok(bt_capacity_plan(&c, &facts, &plan));
        size_t workspace = bt_mem_live(BT_MEM_WORKSPACE), request = bt_mem_live(BT_MEM_REQUEST);
        size_t kv = bt_mem_live(BT_MEM_KV);
        fake_runner fake = {0};
        bt_engine *engine = open_or_fail(&c, &fake);
        assert_int_equal(bt_mem_live(BT_MEM_WORKSPACE) - workspace,
                         plan.sched_bytes + plan.sampler_bytes);
        assert_int_equal(bt_mem_live(BT_MEM_REQUEST) - request, plan.slab_bytes);
        assert_int_equal(bt_mem_live(BT_MEM_KV) - kv, plan.kv_bytes);
        assert_int_equal(stats_of(engine).kv_bytes, plan.kv_bytes);
        assert_int_equal(stats_of(engine).n_page, plan.sched.limits.n_page);
        bt_engine_close(engine);
    }
}

static void a_batch_is_filled_with_all_that_decode_and_pieces_of_prompts(void **state)
{
    (void)state;
    fake_runner fake = {0};
    bt_engine_config c = {.n_ctx = 600, .n_tok_step_max = 64, .n_chunk = 40, .n_seq_max = 8};
    bt_engine *engine = open_or_fail(&c, &fake);
    bt_request *r[6];
    for (int i = 0; i < 3; i++) r[i] = submit(engine, params_of(10, 30));
    step(engine);
    assert_int_equal(fake.n_tok_last, 30);
    for (int i = 3; i < 6; i++) r[i] = submit(engine, params_of(100, 5));
    step(engine);
    assert_int_equal(fake.n_seq_last, 5); // 3 tokens, then pieces of 40 and 21
    assert_int_equal(fake.n_tok_last, 64);
    while (step(engine)) continue;
    assert_int_equal(fake.n_tok_most, 64);
    for (int i = 0; i < 6; i++) bt_request_free(r[i]);
    bt_engine_close(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bad_parameter_is_refused_by_name),
        cmocka_unit_test(every_bad_configuration_is_refused_by_name),
        cmocka_unit_test(a_full_queue_answers_busy_and_recovers),
        cmocka_unit_test(cancelling_works_at_every_stage_and_only_once),
        cmocka_unit_test(closing_an_engine_frees_the_requests_in_it),
        cmocka_unit_test(an_unread_request_pauses_and_stalls_nobody),
        cmocka_unit_test(an_unread_request_can_be_cancelled_and_freed),
        cmocka_unit_test(slow_readers_take_long_turns),
        cmocka_unit_test(larger_priority_runs_first_and_equals_as_they_came),
        cmocka_unit_test(the_oldest_always_progresses),
        cmocka_unit_test(the_ends_of_a_request_are_told_apart),
        cmocka_unit_test(impossible_logits_end_a_request_with_an_error),
        cmocka_unit_test(a_failing_device_ends_what_runs_and_the_engine_goes_on),
        cmocka_unit_test(end_tokens_are_obeyed_forbidden_or_put_off),
        cmocka_unit_test(every_prompt_position_is_shown_once_and_in_order),
        cmocka_unit_test(a_prompt_preempted_half_way_is_shown_once_all_the_same),
        cmocka_unit_test(every_failing_allocation_leaves_nothing_behind),
        cmocka_unit_test(memory_taken_is_memory_predicted),
        cmocka_unit_test(a_batch_is_filled_with_all_that_decode_and_pieces_of_prompts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
