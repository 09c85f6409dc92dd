// SPDX-License-Identifier: Apache-2.0
/* subject_llama: decoding with the graph of llama_graph.h, a token a step, the sequence growing.
 * Tokens are given, not sampled, so that the host may run ahead; the checksum is over all logits.
 * Each subject has pools of its own: what one writes no other reads. */
#include "app/bench/llama_graph.h"
#include "app/bench/subject.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/hash.h"

enum { PAGE_LEN = 32, SLOT_MAX = 8 };

typedef struct bt_llama_bench {
    bt_device *device;
    bt_llama_graph model;
    int32_t n_page; // of a subject
} llama_bench;

typedef struct llama_subject {
    const llama_bench *bench;
    bt_context *context;
    bt_exec *exec;
    char *kv;                       // all pools
    int32_t *table;                 // [1, n_page]
    int32_t n_page, n_slot, t;      // t: position of the next token
    int32_t ids, pos, seq, out_row; // the step's inputs, copied when it is submitted
    int64_t slot;
    bt_desc in_desc[BT_LLAMA_INPUT];
    void *in_ptr[BT_LLAMA_INPUT];
    bt_ticket ticket[SLOT_MAX]; // [n_slot] of the steps in flight
} llama_subject;

/* ---- a step ---- */

static bt_status submit(llama_subject *s, bt_ticket *ret_ticket)
{
    s->ids = (s->t * 37 + 11) % BT_LLAMA_VOCAB;
    s->pos = s->t;
    s->slot = (int64_t)s->table[s->t / PAGE_LEN] * PAGE_LEN + s->t % PAGE_LEN;
    BT_TRY(bt_exec_submit(s->exec, s->in_desc, s->in_ptr, -1, ret_ticket));
    s->t++;
    return BT_OK;
}

static bt_status take(llama_subject *s, bt_ticket ticket, uint64_t *checksum)
{
    BT_TRY(bt_exec_wait(s->exec, ticket, -1));
    bt_desc desc = bt_exec_output_desc(s->exec, ticket, 0);
    *checksum =
        bt_hash64(bt_exec_output(s->exec, ticket, 0), (size_t)bt_desc_bytes(&desc), *checksum);
    return BT_OK;
}

/* With several slots the device begins by itself, and results are taken n_slot - 1 steps later. */
static bt_status run_steps(llama_subject *s, bt_bench_stretch *r)
{
    int32_t behind = s->n_slot - 1;
    int64_t last_ns = bt_now_ns();
    for (int32_t i = 0; i < r->n_step + behind; i++) {
        if (i < r->n_step) {
            int64_t begin_ns = bt_now_ns();
            BT_TRY(submit(s, &s->ticket[i % s->n_slot]));
            r->host_ns[i] = bt_now_ns() - begin_ns;
            if (behind) BT_TRY(bt_exec_start(s->exec));
        }
        if (i < behind) continue;
        BT_TRY(take(s, s->ticket[(i - behind) % s->n_slot], &r->checksum));
        int64_t now = bt_now_ns();
        r->wall_ns[i - behind] = now - last_ns;
        last_ns = now;
    }
    return BT_OK;
}

/* The stage that took longest is what bounds a pipeline; its mean is every step's. */
static void put_slowest_stage(const bt_exec_counters *before, const bt_exec_counters *after,
                              bt_bench_stretch *r)
{
    int64_t most = 0;
    for (int i = 0; i < 3; i++) most = bt_max_i64(most, after->host_ns[i] - before->host_ns[i]);
    for (int32_t i = 0; i < r->n_step; i++) r->host_ns[i] = most / r->n_step;
}

static bt_status run(void *self, bt_bench_stretch *stretch)
{
    llama_subject *s = self;
    bt_exec_counters before, after;
    BT_FAIL_IF(s->t + stretch->n_step > s->n_page * PAGE_LEN, LIMIT,
               "%d steps after %d, there is room for %d", stretch->n_step, s->t,
               s->n_page * PAGE_LEN);
    bt_exec_get_counters(s->exec, &before);
    uint64_t n_alloc = bt_mem_n_alloc();
    BT_TRY(run_steps(s, stretch));
    stretch->n_alloc = bt_mem_n_alloc() - n_alloc;
    bt_exec_get_counters(s->exec, &after);
    if (s->n_slot > 1) put_slowest_stage(&before, &after, stretch);
    return BT_OK;
}

static void count(const void *self, bt_bench_counts *ret_counts)
{
    bt_exec_counters c;
    bt_exec_get_counters(((const llama_subject *)self)->exec, &c);
    *ret_counts = (bt_bench_counts){.plans_built = c.plans_built,
                                    .setups_run = c.setups_run,
                                    .setups_skipped = c.setups_skipped};
}

static void set_trace(void *self, bt_trace *trace)
{
    bt_device_set_trace(((llama_subject *)self)->bench->device, trace);
}

/* ---- opening ---- */

static void close_subject(void *self)
{
    llama_subject *s = self;
    bt_exec_close(s->exec);
    bt_context_close(s->context);
    bt_free(s->kv);
    bt_free(s->table);
    bt_free(s);
}

static void describe_inputs(llama_subject *s)
{
    int64_t n_page = s->n_page;
    for (int i = 0; i < BT_LLAMA_K; i++) s->in_desc[i] = bt_desc_1d(BT_I32, 1);
    s->in_desc[BT_LLAMA_SLOT] = bt_desc_1d(BT_I64, 1);
    s->in_desc[BT_LLAMA_TABLE] = bt_desc_2d(BT_I32, 1, n_page);
    for (int i = BT_LLAMA_K; i < BT_LLAMA_INPUT; i += 2) {
        s->in_desc[i] = bt_desc_4d(BT_F32, n_page, BT_LLAMA_KV_HEAD, BT_LLAMA_D_HEAD, PAGE_LEN);
        s->in_desc[i + 1] = bt_desc_4d(BT_F32, n_page, BT_LLAMA_KV_HEAD, PAGE_LEN, BT_LLAMA_D_HEAD);
    }
}

static void point_inputs(llama_subject *s)
{
    s->in_ptr[BT_LLAMA_IDS] = &s->ids;
    s->in_ptr[BT_LLAMA_POS] = &s->pos;
    s->in_ptr[BT_LLAMA_SEQ] = &s->seq;
    s->in_ptr[BT_LLAMA_SLOT] = &s->slot;
    s->in_ptr[BT_LLAMA_TABLE] = s->table;
    s->in_ptr[BT_LLAMA_OUT_ROW] = &s->out_row;
    int64_t pool_bytes = bt_desc_bytes(&s->in_desc[BT_LLAMA_K]);
    for (int i = BT_LLAMA_K; i < BT_LLAMA_INPUT; i++)
        s->in_ptr[i] = s->kv + (i - BT_LLAMA_K) * pool_bytes;
}

static bt_status open_parts(llama_subject *s, const bt_bench_mode *mode)
{
    static const bool copy[BT_LLAMA_INPUT] = {true, true, true, true, true, true};
    describe_inputs(s);
    size_t pool_bytes = (size_t)bt_desc_bytes(&s->in_desc[BT_LLAMA_K]);
    BT_TRY(bt_alloc_array((void **)&s->kv, 2 * BT_LLAMA_LAYER, pool_bytes, BT_MEM_KV));
    BT_TRY(bt_alloc_array((void **)&s->table, (size_t)s->n_page, sizeof *s->table, BT_MEM_KV));
    for (int32_t i = 0; i < s->n_page; i++) s->table[i] = s->n_page - 1 - i; // any order will do
    point_inputs(s);
    BT_TRY(bt_context_open(
        s->bench->device, &(bt_context_config){.n_host_thread = mode->n_host_thread}, &s->context));
    return bt_exec_open(s->context, s->bench->model.graph,
                        &(bt_exec_config){.max_desc = s->in_desc,
                                          .copy = copy,
                                          .n_slot = mode->n_slot,
                                          .off = mode->off,
                                          .clock = mode->n_slot > 1},
                        &s->exec);
}

static bt_status open_subject(void *ctx, const bt_bench_mode *mode, bt_bench_subject *ret_subject)
{
    llama_subject *s;
    const llama_bench *bench = ctx;
    BT_TRY(bt_alloc_zero((void **)&s, sizeof *s, BT_MEM_MISC));
    s->bench = bench;
    s->n_page = bench->n_page;
    s->n_slot = mode->n_slot;
    bt_status st = open_parts(s, mode);
    if (st != BT_OK) {
        close_subject(s);
        return st;
    }
    *ret_subject = (bt_bench_subject){
        .self = s, .run = run, .count = count, .set_trace = set_trace, .close = close_subject};
    return BT_OK;
}

bt_status bt_llama_bench_open(const bt_device_config *device, int32_t n_step_max,
                              llama_bench **ret_bench, bt_bench_graph *ret_graph)
{
    llama_bench *b;
    BT_TRY(bt_alloc_zero((void **)&b, sizeof *b, BT_MEM_MISC));
    b->n_page = (int32_t)bt_div_up(n_step_max, PAGE_LEN);
    bt_status st = bt_device_open("cpu", device, &b->device);
    if (st == BT_OK) st = bt_llama_graph_init(b->device, &b->model);
    if (st != BT_OK) {
        bt_llama_bench_close(b);
        return st;
    }
    *ret_bench = b;
    *ret_graph = (bt_bench_graph){.name = "llama-32", .open = open_subject, .ctx = b};
    return BT_OK;
}

void bt_llama_bench_caps(const llama_bench *bench, bt_device_caps *ret_caps)
{
    bt_device_get_caps(bench->device, ret_caps);
}

void bt_llama_bench_close(llama_bench *b)
{
    if (!b) return;
    bt_llama_graph_done(&b->model);
    bt_device_close(b->device);
    bt_free(b);
}
