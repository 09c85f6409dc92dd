// SPDX-License-Identifier: Apache-2.0
/* subject_engine: one stream of decode through bt_engine, request after request. A step that reads
 * a prompt belongs to no stretch; the checksum is over all ids. The host's time is what the engine
 * says it spent on getting steps under way, which with several host threads is the first one's. */
#include "app/bench/subject.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/hash.h"
#include "baton/engine.h"

enum { TOKENS_MAX = 250 }; // of a request, so that there are several

typedef struct engine_subject {
    bt_engine *engine;
    bt_request *request; // the one that is running; NULL: none
    int32_t n_output_max;
} engine_subject;

static const int32_t prompt[] = {1, 2, 3, 4}; // any will do

/* One step; its token goes into the checksum, and a request that ends is given back. */
static bt_status step(engine_subject *s, bt_bench_stretch *r)
{
    uint64_t n_alloc = bt_mem_n_alloc();
    BT_TRY(bt_engine_step(s->engine, NULL));
    r->n_alloc += bt_mem_n_alloc() - n_alloc;
    for (;;) {
        bt_event event;
        bt_status st = bt_request_next(s->request, &event);
        if (st == BT_BUSY) return BT_OK;
        BT_TRY(st);
        BT_FAIL_IF(event.finish == BT_FINISH_ERROR, DEVICE, "a request ended with an error");
        if (event.id >= 0) r->checksum = bt_hash_pair(r->checksum, (uint64_t)event.id);
        if (event.finish == BT_FINISH_NONE) continue;
        bt_request_free(s->request);
        s->request = NULL;
        return BT_OK;
    }
}

/* Submit a request and read its prompt. */
static bt_status begin_request(engine_subject *s, bt_bench_stretch *r)
{
    bt_request_params params;
    bt_bench_stretch outside = {.checksum = r->checksum};
    bt_request_defaults(&params);
    params.ids = prompt;
    params.n_id = BT_COUNT_OF(prompt);
    params.max_tokens = s->n_output_max;
    params.ignore_eos = true;
    BT_TRY(bt_engine_submit(s->engine, &params, &s->request));
    BT_TRY(step(s, &outside));
    r->checksum = outside.checksum;
    return BT_OK;
}

static bt_status run(void *self, bt_bench_stretch *r)
{
    engine_subject *s = self;
    bt_engine_stats before, after;
    r->n_alloc = 0;
    for (int32_t i = 0; i < r->n_step; i++) {
        while (!s->request) BT_TRY(begin_request(s, r));
        bt_engine_get_stats(s->engine, &before);
        int64_t begin_ns = bt_now_ns();
        BT_TRY(step(s, r));
        r->wall_ns[i] = bt_now_ns() - begin_ns;
        bt_engine_get_stats(s->engine, &after);
        r->host_ns[i] = (int64_t)((after.host_s - before.host_s) * 1e9 + 0.5);
    }
    return BT_OK;
}

static void count(const void *self, bt_bench_counts *ret_counts)
{
    bt_engine_stats stats;
    bt_engine_get_stats(((const engine_subject *)self)->engine, &stats);
    *ret_counts = (bt_bench_counts){.plans_built = stats.plans_built,
                                    .setups_run = stats.setups_run,
                                    .setups_skipped = stats.setups_skipped};
}

static void set_trace(void *self, bt_trace *trace)
{
    bt_engine_set_trace(((engine_subject *)self)->engine, trace);
}

static void close_subject(void *self)
{
    engine_subject *s = self;
    bt_request_free(s->request);
    bt_engine_close(s->engine);
    bt_free(s);
}

static bt_status open_subject(void *ctx, const bt_bench_mode *mode, bt_bench_subject *ret_subject)
{
    const bt_engine_bench *bench = ctx;
    engine_subject *s;
    bt_engine_stats stats;
    bt_engine_config config = {.model = bench->model,
                               .cpu_level = bench->device.cpu_level,
                               .n_thread = bench->device.n_thread,
                               .n_seq_max = 1,
                               .dispatch_off = mode->off,
                               .n_host_thread = mode->n_host_thread};
    BT_TRY(bt_alloc_zero((void **)&s, sizeof *s, BT_MEM_MISC));
    bt_status st = bt_engine_open(&config, &s->engine);
    if (st != BT_OK) {
        close_subject(s);
        return st;
    }
    bt_engine_get_stats(s->engine, &stats);
    s->n_output_max = (int32_t)bt_min_i64(stats.n_ctx - (int32_t)BT_COUNT_OF(prompt), TOKENS_MAX);
    *ret_subject = (bt_bench_subject){
        .self = s, .run = run, .count = count, .set_trace = set_trace, .close = close_subject};
    return BT_OK;
}

bt_bench_graph bt_engine_bench_graph(bt_engine_bench *bench, const char *name)
{
    return (bt_bench_graph){.name = name, .open = open_subject, .ctx = bench};
}
