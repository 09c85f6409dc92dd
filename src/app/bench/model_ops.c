// SPDX-License-Identifier: Apache-2.0
/* model_ops: spans of the device, added up by operator and by what the node is called without its
 * layer. Recording costs a reading of the clock for each launch, so times are a little longer than
 * those of the runs that are timed. */
#include "app/bench/model_ops.h"
#include "base/alloc.h"
#include "baton/trace.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOST_SPANS = 8, WARM_STEPS = 2 };

// ---- recording ----

static bt_status record(const bt_model_bench *b, const bt_streams *streams, bt_trace **ret_trace)
{
    bt_engine_stats stats;
    bt_trace *trace;
    bt_run_time t;
    bt_engine_get_stats(b->engine, &stats);
    int64_t n_step = streams->n_prompt / b->n_chunk + 2 + streams->n_out;
    int64_t n_span = n_step * (stats.n_launch_max + HOST_SPANS), n_span_max = 1 << 22;
    BT_TRY(bt_trace_new((int32_t)(n_span < n_span_max ? n_span : n_span_max), &trace));
    bt_engine_set_trace(b->engine, trace);
    bt_status st = bt_streams_run(b, streams, &t);
    bt_engine_set_trace(b->engine, NULL);
    if (st == BT_OK && bt_trace_n_dropped(trace))
        st = bt_fail(BT_LIMIT, "the trace of %lld spans was too small", (long long)n_span);
    if (st != BT_OK)
        bt_trace_free(trace);
    else
        *ret_trace = trace;
    return st;
}

// ---- adding up ----

/* "blk.7.qkv" -> "qkv" */
static const char *node_kind(const char *node)
{
    if (!node) return "";
    if (strncmp(node, "blk.", 4) != 0) return node;
    const char *dot = strchr(node + 4, '.');
    return dot ? dot + 1 : node;
}

static bt_op_row *find_row(bt_op_table *t, const char *op, const char *node)
{
    for (int32_t i = 0; i < t->n_row; i++)
        if (!strcmp(t->row[i].op, op) && !strcmp(t->row[i].node, node)) return &t->row[i];
    if (t->n_row == BT_OP_ROW_MAX) return &t->row[BT_OP_ROW_MAX - 1];
    bt_op_row *row = &t->row[t->n_row++];
    *row = (bt_op_row){.peak = BT_PEAK_F32};
    snprintf(row->op, sizeof row->op, "%s", op);
    snprintf(row->node, sizeof row->node, "%s", node);
    return row;
}

static void add_spans(const bt_trace_span *span, int32_t n, int64_t first_step, bt_op_table *t)
{
    for (int32_t i = 0; i < n; i++) {
        if (span[i].stream < 0 || span[i].step < first_step) continue;
        bt_op_row *row = find_row(t, span[i].name, node_kind(span[i].node));
        row->seconds += (double)(span[i].end_ns - span[i].begin_ns) * 1e-9;
        row->n_launch++;
    }
}

static int by_time(const void *left, const void *right)
{
    const bt_op_row *a = left, *b = right;
    return (a->seconds < b->seconds) - (a->seconds > b->seconds);
}

/* Steps before the first `skip` are left out; *ret_n_step is how many are not. */
static bt_status add_up(const bt_trace *trace, int32_t skip, bt_op_table *t, int32_t *ret_n_step)
{
    int32_t n_step = bt_trace_steps(trace, NULL, 0), n_span = bt_trace_spans(trace, NULL, 0);
    bt_trace_step *step = NULL;
    bt_trace_span *span = NULL;
    bt_status st;
    double busy_s = 0;
    BT_FAIL_IF(n_step <= skip, LIMIT, "the trace has %d steps, more than %d are needed", n_step,
               skip);
    if ((st = bt_alloc_array((void **)&step, (size_t)n_step, sizeof *step, BT_MEM_MISC)) ||
        (st = bt_alloc_array((void **)&span, (size_t)n_span, sizeof *span, BT_MEM_MISC)))
        goto done;
    bt_trace_steps(trace, step, n_step);
    bt_trace_spans(trace, span, n_span);
    for (int32_t i = skip; i < n_step; i++) {
        t->seconds += (double)step[i].total_ns * 1e-9;
        busy_s += (double)step[i].busy_ns * 1e-9;
    }
    add_spans(span, n_span, step[skip].step, t);
    find_row(t, "(idle)", "")->seconds += t->seconds - busy_s;
    *ret_n_step = n_step - skip;
done:
    bt_free(step);
    bt_free(span);
    return st;
}

// ---- what it took at the least ----

static void add_cost(const bt_model_bench *b, const bt_model_cost *cost, double n_tok,
                     double n_head_tok, bt_op_table *t)
{
    for (int32_t i = 0; i < t->n_row; i++) {
        bt_op_row *row = &t->row[i];
        if (!strcmp(row->op, "attention")) {
            row->bytes = cost->attn_bytes;
            row->ops = cost->attn_ops;
        }
        for (int p = 0; p < BT_PRODUCT_COUNT && !strcmp(row->op, "linear"); p++) {
            const bt_product_shape *shape = &b->shape.product[p];
            bool head = p == BT_PRODUCT_HEAD;
            if (strcmp(row->node, bt_product_node((bt_product)p)) != 0) continue;
            row->bytes = shape->bytes * (head && t->prefill ? 1 : cost->n_step);
            row->ops = 2 * shape->n_weight * (head ? n_head_tok : n_tok);
            row->peak = bt_machine_peak_type(shape->type);
        }
    }
}

/* From sums over n steps to one step. */
static void divide(bt_op_table *t, double n)
{
    t->seconds /= n;
    for (int32_t i = 0; i < t->n_row; i++) {
        bt_op_row *row = &t->row[i];
        row->seconds /= n;
        row->bytes /= n;
        row->ops /= n;
        row->share = t->seconds > 0 ? row->seconds / t->seconds : 0;
    }
    qsort(t->row, (size_t)t->n_row, sizeof *t->row, by_time);
}

bt_status bt_op_table_of(const bt_model_bench *b, bool prefill, int32_t n_tok,
                         bt_op_table *ret_table)
{
    bt_op_table t = {
        .prefill = prefill, .n_tok = prefill ? n_tok : 1, .depth = prefill ? 0 : n_tok};
    int32_t n_step, n_prefill = (n_tok + b->n_chunk - 1) / b->n_chunk;
    int32_t n_out = prefill ? 1 : 1 + WARM_STEPS + BT_OP_DECODE_STEPS;
    bt_trace *trace;
    BT_TRY(record(b, &(bt_streams){.n_stream = 1, .n_prompt = n_tok, .n_out = n_out, .seed = 99},
                  &trace));
    bt_status st = add_up(trace, prefill ? 0 : n_prefill + WARM_STEPS, &t, &n_step);
    bt_trace_free(trace); // rows hold their own names
    BT_TRY(st);
    if (prefill) {
        bt_model_cost cost = bt_model_cost_prefill(&b->shape, n_tok, b->n_chunk);
        add_cost(b, &cost, n_tok, 1, &t);
        divide(&t, 1);
    } else {
        bt_model_cost cost = bt_model_cost_decode(&b->shape, 1, n_tok + WARM_STEPS, n_step);
        add_cost(b, &cost, n_step, n_step, &t);
        divide(&t, n_step);
    }
    *ret_table = t;
    return BT_OK;
}

// ---- how it is shown ----

typedef struct roofline {
    double gb_s, bandwidth_share, gop_s, peak_share, share;
} roofline;

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

static roofline roofline_of(const bt_model_bench *b, const bt_op_row *row)
{
    const bt_machine *m = &b->machine;
    double bytes_s = ratio(row->bytes, row->seconds), ops_s = ratio(row->ops, row->seconds);
    return (roofline){
        .gb_s = bytes_s * 1e-9,
        .bandwidth_share = ratio(bytes_s, m->bytes_s),
        .gop_s = ops_s * 1e-9,
        .peak_share = ratio(ops_s, bt_machine_peak(m, row->peak, NULL)),
        .share = ratio(bt_machine_bound(m, row->peak, row->bytes, row->ops), row->seconds)};
}

bt_status bt_op_table_text(const bt_model_bench *b, const bt_op_table *t, bt_buf *out)
{
    if (t->prefill)
        BT_TRY(bt_buf_format(out, "\nprefill of %d tokens, traced: %.2f ms\n", t->n_tok,
                             t->seconds * 1e3));
    else
        BT_TRY(bt_buf_format(out,
                             "\na decode step of one stream at depth %d, traced: %.1f us, the mean "
                             "of %d\n",
                             t->depth, t->seconds * 1e6, BT_OP_DECODE_STEPS));
    BT_TRY(bt_buf_format(out, "%-12s%-14s%12s%8s%10s%7s%10s%7s%10s\n", "operator", "node", "us",
                         "time", "GB/s", "share", "GOP/s", "share", "roofline"));
    for (int32_t i = 0; i < t->n_row; i++) {
        const bt_op_row *row = &t->row[i];
        roofline r = roofline_of(b, row);
        BT_TRY(bt_buf_format(out, "%-12s%-14s%12.1f%6.1f %%", row->op, row->node,
                             row->seconds * 1e6, 100 * row->share));
        if (row->bytes > 0)
            BT_TRY(bt_buf_format(out, "%10.2f%5.0f %%%10.1f%5.0f %%%8.0f %%", r.gb_s,
                                 100 * r.bandwidth_share, r.gop_s, 100 * r.peak_share,
                                 100 * r.share));
        BT_TRY(bt_buf_text(out, "\n"));
    }
    return BT_OK;
}

bt_status bt_op_table_json(const bt_model_bench *b, const bt_op_table *t, bt_buf *out)
{
    for (int32_t i = 0; i < t->n_row; i++) {
        const bt_op_row *row = &t->row[i];
        roofline r = roofline_of(b, row);
        BT_TRY(bt_buf_format(out, "%s{\"step\": \"%s\", \"tokens\": %d, \"depth\": %d",
                             i ? ",\n" : "", t->prefill ? "prefill" : "decode", t->n_tok,
                             t->depth));
        BT_TRY(bt_buf_format(out, ", \"operator\": \"%s\", \"node\": \"%s\"", row->op, row->node));
        BT_TRY(bt_bench_put(out, "us", row->seconds * 1e6));
        BT_TRY(bt_bench_put(out, "share", row->share));
        if (row->bytes > 0) {
            BT_TRY(bt_bench_put(out, "gb_s", r.gb_s));
            BT_TRY(bt_bench_put(out, "bandwidth_share", r.bandwidth_share));
            BT_TRY(bt_bench_put(out, "gop_s", r.gop_s));
            BT_TRY(bt_bench_put(out, "peak_share", r.peak_share));
            BT_TRY(bt_bench_put(out, "roofline_share", r.share));
        }
        BT_TRY(bt_buf_text(out, "}"));
    }
    return BT_OK;
}
