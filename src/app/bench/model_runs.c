// SPDX-License-Identifier: Apache-2.0
/* model_runs: requests of random ids, stepped here so that each step can be timed by itself: a
 * step counts as decoding when every stream had a token before it and gets one in it. */
#include "app/bench/model_runs.h"
#include "app/console.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"

const char *bt_work_name(bt_work_kind kind)
{
    static const char *const name[] = {
#define NAME(upper, text) text,
        BT_WORK_LIST(NAME)
#undef NAME
    };
    return name[kind];
}

// ---- streams ----

typedef struct stream {
    bt_request *request;
    int32_t n_output;
    bool ended;
} stream;

typedef struct stream_set {
    const bt_streams *plan;
    stream *stream; // [n_stream]
    int32_t *ids;   // [n_prompt] of the one that is submitted
} stream_set;

static bt_status submit(const bt_model_bench *b, stream_set *s, int32_t i)
{
    bt_request_params params;
    bt_request_defaults(&params);
    for (int32_t k = 0; k < s->plan->n_prompt; k++) {
        bt_rng_block r = bt_rng_at(s->plan->seed, (uint64_t)i, (uint64_t)k);
        s->ids[k] = (int32_t)(r.word[0] % (uint32_t)b->shape.n_vocab);
    }
    params.ids = s->ids;
    params.n_id = s->plan->n_prompt;
    params.max_tokens = s->plan->n_out;
    params.ignore_eos = true;
    return bt_engine_submit(b->engine, &params, &s->stream[i].request);
}

/* Take what a stream has got; adds its tokens to *n_token. */
static bt_status drain(stream *s, int64_t *n_token)
{
    while (!s->ended) {
        bt_event event;
        bt_status st = bt_request_next(s->request, &event);
        if (st == BT_BUSY) return BT_OK;
        BT_TRY(st);
        BT_FAIL_IF(event.finish == BT_FINISH_ERROR, DEVICE, "a request ended with an error");
        s->ended = event.finish != BT_FINISH_NONE;
        if (event.id < 0) continue;
        s->n_output++;
        ++*n_token;
    }
    return BT_OK;
}

static bt_status run_steps(const bt_model_bench *b, stream_set *s, bt_run_time *t)
{
    int32_t n_stream = s->plan->n_stream, n_begun = 0, n_ended = 0;
    while (n_ended < n_stream) {
        bool all_decode = n_begun == n_stream && n_ended == 0;
        int64_t n_token = 0, begin_ns = bt_now_ns();
        BT_FAIL_IF(bt_interrupt_seen(), CANCELLED, "interrupted");
        BT_TRY(bt_engine_step(b->engine, NULL));
        double step_s = bt_seconds_since(begin_ns);
        if (n_begun < n_stream) t->prefill_s += step_s;
        n_begun = n_ended = 0;
        for (int32_t i = 0; i < n_stream; i++) {
            BT_TRY(drain(&s->stream[i], &n_token));
            n_begun += s->stream[i].n_output > 0;
            n_ended += s->stream[i].ended;
        }
        if (!all_decode || n_token != n_stream) continue;
        t->decode_s += step_s;
        t->n_decode_step++;
    }
    return BT_OK;
}

bt_status bt_streams_run(const bt_model_bench *b, const bt_streams *streams, bt_run_time *ret_time)
{
    stream_set s = {.plan = streams};
    bt_run_time t = {0};
    size_t n = (size_t)streams->n_stream;
    bt_status st = bt_alloc_array((void **)&s.stream, n, sizeof *s.stream, BT_MEM_MISC);
    if (st == BT_OK)
        st = bt_alloc_array((void **)&s.ids, (size_t)streams->n_prompt, sizeof *s.ids, BT_MEM_MISC);
    for (int32_t i = 0; i < streams->n_stream && st == BT_OK; i++) st = submit(b, &s, i);
    if (st == BT_OK) st = run_steps(b, &s, &t);
    for (size_t i = 0; s.stream && i < n; i++) bt_request_free(s.stream[i].request);
    bt_free(s.stream);
    bt_free(s.ids);
    if (st == BT_OK) *ret_time = t;
    return st;
}

// ---- works ----

/* The prompt's last token is given with the first that is decoded, so the prompt is the depth. */
static bt_streams streams_of(const bt_work *w, uint64_t seed)
{
    if (w->kind == BT_WORK_PREFILL)
        return (bt_streams){.n_stream = 1, .n_prompt = w->n_tok, .n_out = 1, .seed = seed};
    int32_t n_prompt = w->depth ? w->depth : w->kind == BT_WORK_BATCHED ? BT_BENCH_PROMPT : 1;
    return (bt_streams){
        .n_stream = w->n_stream, .n_prompt = n_prompt, .n_out = w->n_tok + 1, .seed = seed};
}

int32_t bt_work_ctx(const bt_work *w)
{
    bt_streams s = streams_of(w, 0);
    return s.n_prompt + s.n_out;
}

static bt_status run_work(bt_model_bench *b, bt_work *w, int32_t run)
{
    bt_streams s = streams_of(w, (uint64_t)run + 1);
    bt_run_time t;
    BT_TRY(bt_streams_run(b, &s, &t));
    if (w->kind == BT_WORK_PREFILL) {
        w->tok_s[run] = t.prefill_s > 0 ? w->n_tok / t.prefill_s : 0;
        return BT_OK;
    }
    BT_FAIL_IF(t.n_decode_step < 1, LIMIT, "%d streams never decoded together", w->n_stream);
    w->tok_s[run] = (double)t.n_decode_step * w->n_stream / t.decode_s;
    return BT_OK;
}

/* Everything that happens once: plans, captures, pages touched for the first time. A prompt that
 * only makes depth need not be read for it. */
static bt_status warm_up(bt_model_bench *b, const bt_work *w)
{
    enum { TOKENS = 4 };
    bt_work small = *w;
    if (w->kind != BT_WORK_PREFILL && w->n_tok > TOKENS) small.n_tok = TOKENS;
    small.depth = 0;
    if (w->kind == BT_WORK_AT_DEPTH) small.kind = BT_WORK_DECODE;
    return run_work(b, &small, 0);
}

static void finish(bt_model_bench *b, bt_work *w)
{
    bt_streams s = streams_of(w, 0);
    w->median = bt_bench_median(w->tok_s, b->n_run, &w->spread);
    if (w->kind == BT_WORK_PREFILL)
        w->cost = bt_model_cost_prefill(&b->shape, w->n_tok, b->n_chunk);
    else
        w->cost = bt_model_cost_decode(&b->shape, w->n_stream, s.n_prompt, w->n_tok);
    w->seconds = w->median > 0 ? (double)w->n_tok * w->n_stream / w->median : 0;
}

bt_status bt_model_bench_run(bt_model_bench *b)
{
    for (int32_t i = 0; i < b->n_work; i++) BT_TRY(warm_up(b, &b->work[i]));
    for (int32_t run = 0; run < b->n_run; run++) {
        BT_TRY(bt_machine_measure(&b->machine));
        for (int32_t i = 0; i < b->n_work; i++) {
            BT_TRY(run_work(b, &b->work[i], run));
            BT_TRY(bt_machine_measure_bandwidth(&b->machine));
        }
    }
    BT_TRY(bt_machine_measure(&b->machine));
    for (int32_t i = 0; i < b->n_work; i++) finish(b, &b->work[i]);
    return BT_OK;
}
