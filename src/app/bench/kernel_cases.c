// SPDX-License-Identifier: Apache-2.0
/* kernel_cases: sizes are those of a Llama of 1B: width 2048, FFN 8192, 32 heads and 8 KV heads of 64,
 * attention over 1024 tokens. Everything a node reads is a constant of the graph, in device memory,
 * filled with bytes that are ordinary numbers in every type. */
#include "app/bench/kernel_cases.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/membw.h"
#include "base/rng.h"
#include <string.h>

enum {
    D = 2048,
    FFN = 8192,
    N_HEAD = 32,
    N_KV = 8,
    D_HEAD = 64,
    PAGE_LEN = 32,
    DEPTH = 1024, // tokens that attention sees
    N_TABLE = 4096,
    N_STREAM_MOST = 64, // more tokens than that are of one prompt
    REPEAT = 8,
    COLD_BYTES = BT_MEMBW_QUICK,
};

// ---- the list ----

static const char *const small_ops[] = {"rmsnorm", "swiglu", "rope_angles", "gather", "copy"};
static const bt_dtype kv_types[] = {BT_F32, BT_F16, BT_BF16};
enum { N_WEIGHT_TYPE = BT_I8, N_SMALL = BT_COUNT_OF(small_ops), N_KV_TYPE = BT_COUNT_OF(kv_types) };

bool bt_kernel_case_at(int32_t i, bt_kernel_case *ret_case)
{
    static const char *const by_weight[] = {"linear", "embed"};
    static const char *const by_kv[] = {"attention", "rope_kv"};
    if (i < 2 * N_WEIGHT_TYPE) {
        *ret_case = (bt_kernel_case){by_weight[i / N_WEIGHT_TYPE], (bt_dtype)(i % N_WEIGHT_TYPE)};
        return true;
    }
    i -= 2 * N_WEIGHT_TYPE;
    if (i < 2 * N_KV_TYPE) {
        *ret_case = (bt_kernel_case){by_kv[i / N_KV_TYPE], kv_types[i % N_KV_TYPE]};
        return true;
    }
    i -= 2 * N_KV_TYPE;
    if (i >= N_SMALL) return false;
    *ret_case = (bt_kernel_case){small_ops[i], BT_F32};
    return true;
}

// ---- what nodes read ----

/* 0x3C..0x3F: between 0.01 and 2 as f32, f16 and bf16, and as the scale of every block. */
static void fill(void *block, size_t bytes)
{
    uint8_t *b = block;
    uint8_t pattern[4096];
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(0x3C + (bt_rng_at(1, 0, i).word[0] & 3));
    for (size_t at = 0; at < bytes; at += sizeof pattern)
        memcpy(b + at, pattern, bytes - at < sizeof pattern ? bytes - at : sizeof pattern);
}

/* A constant, filled; *ret_data (may be NULL) is where it lies. */
static bt_status add_const(bt_kernel_run *r, bt_desc desc, void **ret_data, bt_value *ret_value)
{
    void *data;
    size_t bytes = (size_t)bt_desc_bytes(&desc);
    assert(r->n_block < (int32_t)BT_COUNT_OF(r->block));
    BT_TRY(bt_device_alloc(r->device, bytes, &data));
    r->block[r->n_block++] = data;
    fill(data, bytes);
    if (ret_data) *ret_data = data;
    return bt_graph_const(r->graph, "in", &desc, data, ret_value);
}

/* n numbers: first, first + step, ... and again from the first one after `period`. */
static bt_status add_numbers(bt_kernel_run *r, bt_dtype type, int64_t n, const int64_t rule[3],
                             bt_value *ret_value)
{
    void *data;
    BT_TRY(add_const(r, bt_desc_1d(type, n), &data, ret_value));
    for (int64_t i = 0; i < n; i++) {
        int64_t value = rule[0] + rule[1] * (i % rule[2]);
        if (type == BT_I64)
            ((int64_t *)data)[i] = value;
        else
            ((int32_t *)data)[i] = (int32_t)value;
    }
    return BT_OK;
}
#define RULE(first, step, period)                                                                  \
    (const int64_t[]) { first, step, period }

// ---- nodes ----

static bt_status add_node(bt_kernel_run *r, const char *op, const void *param, const bt_value *in,
                          int32_t n_in)
{
    bt_value out;
    BT_TRY(bt_graph_apply(r->graph, op, bt_op_find(op), param, in, n_in, &out));
    r->n_node++;
    return bt_graph_output(r->graph, out);
}

static bt_status repeat_node(bt_kernel_run *r, const char *op, const void *param,
                             const bt_value *in, int32_t n_in)
{
    for (int i = 0; i < REPEAT; i++) BT_TRY(add_node(r, op, param, in, n_in));
    return BT_OK;
}

/* Nodes that share x and have weights of their own. */
static bt_status add_linear(bt_kernel_run *r, bt_dtype type, int32_t m)
{
    bt_desc rows = bt_desc_2d(type, FFN, D), desc;
    bt_desc x = bt_desc_2d(BT_F32, m, D), out = bt_desc_2d(BT_F32, m, FFN);
    int64_t n_copy =
        m > 32 ? 1
               : bt_min_i64(bt_div_up(COLD_BYTES, bt_desc_bytes(&rows)), BT_COUNT_OF(r->block) - 2);
    bt_value in[2];
    void *data;
    BT_TRY(add_const(r, x, NULL, &in[0]));
    BT_TRY(bt_alloc(&data, (size_t)bt_desc_bytes(&rows), BT_MEM_WEIGHTS));
    fill(data, (size_t)bt_desc_bytes(&rows));
    bt_status st = BT_OK;
    for (int64_t i = 0; i < n_copy && st == BT_OK; i++) {
        void *panels;
        if ((st = bt_weight_pack(r->device, &rows, data, &desc, &panels))) break;
        r->block[r->n_block++] = panels;
        if ((st = bt_graph_const(r->graph, "weight", &desc, panels, &in[1])) == BT_OK)
            st = add_node(r, "linear", NULL, in, 2);
    }
    bt_free(data);
    BT_TRY(st);
    r->cost = bt_op_cost_of(bt_op_find("linear"), NULL, (bt_desc[BT_OP_IN_MAX]){x, desc}, &out);
    r->peak = bt_machine_peak_type(type);
    return BT_OK;
}

static bt_status add_embed(bt_kernel_run *r, bt_dtype type, int32_t m)
{
    bt_desc table = bt_desc_2d(type, N_TABLE, D), ids = bt_desc_1d(BT_I32, m);
    bt_desc out = bt_desc_2d(BT_F32, m, D);
    bt_value in[2];
    BT_TRY(add_const(r, table, NULL, &in[0]));
    BT_TRY(add_numbers(r, BT_I32, m, RULE(3, 7, N_TABLE / 7 - 1), &in[1]));
    r->cost = bt_op_cost_of(bt_op_find("embed"), NULL, (bt_desc[BT_OP_IN_MAX]){table, ids}, &out);
    return repeat_node(r, "embed", NULL, in, 2);
}

static bt_status add_pools(bt_kernel_run *r, bt_dtype type, int64_t n_page, bt_value ret_kv[2])
{
    BT_TRY(add_const(r, bt_desc_4d(type, n_page, N_KV, D_HEAD, PAGE_LEN), NULL, &ret_kv[0]));
    return add_const(r, bt_desc_4d(type, n_page, N_KV, PAGE_LEN, D_HEAD), NULL, &ret_kv[1]);
}

/* Up to N_STREAM_MOST tokens: each of a sequence of its own; more: the end of one prompt. What no
 * descriptor tells is counted here: each sequence's keys and values once, a token's sight twice. */
static bt_status add_attention(bt_kernel_run *r, bt_dtype type, int32_t m)
{
    bt_attention_param param = {.n_head = N_HEAD, .scale = 0.125f};
    bool streams = m <= N_STREAM_MOST;
    int64_t n_seq = streams ? m : 1, n_page = n_seq * DEPTH / PAGE_LEN;
    bt_value in[6];
    bt_desc table = bt_desc_2d(BT_I32, n_seq, DEPTH / PAGE_LEN);
    void *page;
    BT_TRY(add_const(r, bt_desc_2d(BT_F32, m, N_HEAD * D_HEAD), NULL, &in[0]));
    BT_TRY(
        add_numbers(r, BT_I32, m, streams ? RULE(DEPTH - 1, 0, 1) : RULE(DEPTH - m, 1, m), &in[1]));
    BT_TRY(add_numbers(r, BT_I32, m, streams ? RULE(0, 1, m) : RULE(0, 0, 1), &in[2]));
    BT_TRY(add_const(r, table, &page, &in[3]));
    for (int64_t i = 0; i < n_page; i++) ((int32_t *)page)[i] = (int32_t)(n_page - 1 - i);
    BT_TRY(add_pools(r, type, n_page, &in[4]));
    double n_seen = streams ? (double)m * DEPTH : m * (DEPTH - (m - 1) / 2.0);
    r->cost.bytes =
        2.0 * (double)n_seq * DEPTH * N_KV * D_HEAD * (double)bt_dtype_block_bytes(type) +
        2.0 * m * N_HEAD * D_HEAD * 4;
    r->cost.ops = 4.0 * N_HEAD * D_HEAD * n_seen;
    return repeat_node(r, "attention", &param, in, 6);
}

static bt_status add_rope_kv(bt_kernel_run *r, bt_dtype type, int32_t m)
{
    bt_rope_kv_param param = {.n_head = N_HEAD, .interleaved = 1};
    bt_desc qkv = bt_desc_2d(BT_F32, m, (N_HEAD + 2 * N_KV) * D_HEAD);
    bt_desc angles = bt_desc_3d(BT_F32, m, D_HEAD / 2, 2);
    bt_value in[5];
    BT_TRY(add_const(r, qkv, NULL, &in[0]));
    BT_TRY(add_const(r, angles, NULL, &in[1]));
    BT_TRY(add_numbers(r, BT_I64, m, RULE(0, 1, m), &in[2]));
    BT_TRY(add_pools(r, type, bt_div_up(m, PAGE_LEN), &in[3]));
    r->cost.bytes =
        (double)bt_desc_bytes(&qkv) + (double)bt_desc_bytes(&angles) +
        (double)m * D_HEAD * (N_HEAD * 4.0 + 2.0 * N_KV * (double)bt_dtype_block_bytes(type));
    r->cost.ops = 3.0 * m * (N_HEAD + N_KV) * D_HEAD;
    return repeat_node(r, "rope_kv", &param, in, 5);
}

/* Operators on rows of f32; inputs after the first by name. */
static bt_status add_small(bt_kernel_run *r, const char *name, int32_t m)
{
    const bt_op *op = bt_op_find(name);
    bool angles = !strcmp(name, "rope_angles"), gather = !strcmp(name, "gather"),
         norm = !strcmp(name, "rmsnorm");
    bt_rmsnorm_param rms = {.eps = 1e-5f};
    bt_rope_angles_param rope = {.magnitude = 1};
    const void *param = norm ? (const void *)&rms : angles ? (const void *)&rope : NULL;
    bt_desc in[BT_OP_IN_MAX] = {bt_desc_2d(BT_F32, m, !strcmp(name, "swiglu") ? 2 * FFN : D)}, out;
    bt_value value[2];
    int32_t n_in = 1;
    if (angles) in[0] = bt_desc_1d(BT_I32, m);
    if (angles || norm) in[n_in++] = bt_desc_1d(BT_F32, norm ? D : D_HEAD / 2);
    if (gather) in[n_in++] = bt_desc_1d(BT_I32, m);
    for (int32_t i = 0; i < n_in; i++)
        BT_TRY(in[i].dtype == BT_I32 ? add_numbers(r, BT_I32, m, RULE(0, 1, m), &value[i])
                                     : add_const(r, in[i], NULL, &value[i]));
    BT_TRY(op->infer(param, in, &out));
    r->cost = bt_op_cost_of(op, param, in, &out);
    return repeat_node(r, name, param, value, n_in);
}

// ---- a run ----

static bt_status open_run(bt_kernel_run *r, const bt_kernel_case *which, int32_t m)
{
    BT_TRY(bt_context_open(r->device, NULL, &r->context));
    BT_TRY(bt_graph_new(&r->graph));
    if (!strcmp(which->op, "linear"))
        BT_TRY(add_linear(r, which->type, m));
    else if (!strcmp(which->op, "embed"))
        BT_TRY(add_embed(r, which->type, m));
    else if (!strcmp(which->op, "attention"))
        BT_TRY(add_attention(r, which->type, m));
    else if (!strcmp(which->op, "rope_kv"))
        BT_TRY(add_rope_kv(r, which->type, m));
    else
        BT_TRY(add_small(r, which->op, m));
    BT_TRY(bt_graph_freeze(r->graph));
    bt_desc none[1] = {0}; // the graph has no inputs
    return bt_exec_open(r->context, r->graph, &(bt_exec_config){.max_desc = none, .n_slot = 1},
                        &r->exec);
}

bt_status bt_kernel_run_open(bt_device *device, const bt_kernel_case *which, int32_t m,
                             bt_kernel_run *ret_run)
{
    bt_kernel_run r = {.device = device, .peak = BT_PEAK_F32};
    bt_status st = open_run(&r, which, m);
    if (st != BT_OK) {
        bt_fail_note("%s %s of %d tokens", which->op, bt_dtype_name(which->type), m);
        bt_kernel_run_close(&r);
        return st;
    }
    *ret_run = r;
    return BT_OK;
}

bt_status bt_kernel_run_step(const bt_kernel_run *r)
{
    bt_ticket ticket;
    bt_desc no_desc[1] = {0};
    void *no_ptr[1] = {NULL};
    BT_TRY(bt_exec_submit(r->exec, no_desc, no_ptr, -1, &ticket));
    return bt_exec_wait(r->exec, ticket, -1);
}

void bt_kernel_run_close(bt_kernel_run *r)
{
    bt_exec_close(r->exec);
    bt_graph_unref(r->graph);
    bt_context_close(r->context);
    for (int32_t i = 0; i < r->n_block; i++) bt_device_free(r->device, r->block[i]);
    *r = (bt_kernel_run){0};
}
