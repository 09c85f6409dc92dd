// SPDX-License-Identifier: Apache-2.0
/* model_report: the works of the model bench as a table, as CSV and as JSON, each figure beside its
 * share of what the machine can do. */
#include "app/bench/model_runs.h"
#include "base/json.h"
#include <string.h>

/* A row's figures, derived. */
typedef struct figures {
    double gb_s, bandwidth_share;
    double gop_s, peak_share;
    double bound_share;
} figures;

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

static figures figures_of(const bt_model_bench *b, const bt_work *w)
{
    bt_peak_type type = bt_machine_peak_type(b->shape.type);
    double bytes_s = ratio(w->cost.bytes, w->seconds), ops_s = ratio(w->cost.ops, w->seconds);
    return (figures){
        .gb_s = bytes_s * 1e-9,
        .bandwidth_share = ratio(bytes_s, b->machine.bytes_s),
        .gop_s = ops_s * 1e-9,
        .peak_share = ratio(ops_s, bt_machine_peak(&b->machine, type, NULL)),
        .bound_share =
            ratio(bt_machine_bound(&b->machine, type, w->cost.bytes, w->cost.ops), w->seconds),
    };
}

// ---- the table ----

static bt_status put_heading(const bt_model_bench *b, bt_buf *out)
{
    const bt_model_shape *s = &b->shape;
    bt_peak_type type = bt_machine_peak_type(s->type);
    const char *peak;
    bt_machine_peak(&b->machine, type, &peak);
    BT_TRY(bt_buf_format(out,
                         "model     %s, %s: %.0f M parameters, a step reads %.0f MB of weights, a "
                         "token of context %.0f KB\n",
                         s->name, bt_dtype_name(s->type), s->n_parameter * 1e-6,
                         s->weight_bytes * 1e-6,
                         2e-3 * s->n_layer * s->n_kv * s->d_head * (double)s->kv_bytes));
    BT_TRY(bt_machine_text(&b->machine, out));
    BT_TRY(bt_buf_format(out,
                         "shares    of that bandwidth; of the %s peak (%s); of the bound, the "
                         "larger of both times\nruns      %d of each, in turns; medians; spread: "
                         "(largest - smallest) / median\n\n",
                         bt_peak_type_name(type), peak, b->n_run));
    return bt_buf_format(out, "%-16s%7s%6s%7s%10s%8s%9s%7s%10s%7s%8s\n", "work", "tokens", "batch",
                         "depth", "tok/s", "spread", "GB/s", "share", "GOP/s", "share", "bound");
}

bt_status bt_model_bench_table(const bt_model_bench *b, bt_buf *out)
{
    BT_TRY(put_heading(b, out));
    for (int32_t i = 0; i < b->n_work; i++) {
        const bt_work *w = &b->work[i];
        figures f = figures_of(b, w);
        BT_TRY(bt_buf_format(
            out, "%-16s%7d%6d%7d%10.1f%6.1f %%%9.2f%5.0f %%%10.1f%5.0f %%%6.0f %%\n",
            bt_work_name(w->kind), w->n_tok, w->n_stream, w->depth, w->median, 100 * w->spread,
            f.gb_s, 100 * f.bandwidth_share, f.gop_s, 100 * f.peak_share, 100 * f.bound_share));
    }
    return BT_OK;
}

// ---- CSV ----

bt_status bt_model_bench_csv(const bt_model_bench *b, bt_buf *out)
{
    BT_TRY(bt_buf_text(out, "work,tokens,batch,depth,tok_s,spread,gb_s,bandwidth_share,gop_s,"
                            "peak_share,bound_share\n"));
    for (int32_t i = 0; i < b->n_work; i++) {
        const bt_work *w = &b->work[i];
        figures f = figures_of(b, w);
        BT_TRY(bt_buf_format(out, "%s,%d,%d,%d,%.6g,%.4g,%.6g,%.4g,%.6g,%.4g,%.4g\n",
                             bt_work_name(w->kind), w->n_tok, w->n_stream, w->depth, w->median,
                             w->spread, f.gb_s, f.bandwidth_share, f.gop_s, f.peak_share,
                             f.bound_share));
    }
    return BT_OK;
}

// ---- JSON ----

static bt_status put_model(const bt_model_bench *b, bt_buf *out)
{
    const bt_model_shape *s = &b->shape;
    bt_peak_type type = bt_machine_peak_type(s->type);
    const char *by;
    double ops = 0;
    bt_machine_peak(&b->machine, type, &by);
    for (int i = 0; i < BT_PRODUCT_COUNT; i++) ops += 2 * s->product[i].n_weight;
    BT_TRY(bt_buf_text(out, "{\"name\": "));
    BT_TRY(bt_json_put_text(out, s->name, strlen(s->name)));
    BT_TRY(bt_buf_format(out, ", \"type\": \"%s\", \"peak\": \"%s\", \"peak_by\": \"%s\"",
                         bt_dtype_name(s->type), bt_peak_type_name(type), by));
    BT_TRY(bt_bench_put(out, "n_parameter", s->n_parameter));
    BT_TRY(bt_bench_put(out, "file_bytes", s->file_bytes));
    BT_TRY(bt_bench_put(out, "weight_read_bytes", s->weight_bytes));
    BT_TRY(bt_bench_put(out, "kv_token_bytes",
                        2.0 * s->n_layer * s->n_kv * s->d_head * (double)s->kv_bytes));
    BT_TRY(bt_bench_put(out, "ops_per_token", ops));
    return bt_buf_format(out, ", \"chunk\": %d}", b->n_chunk);
}

static bt_status put_row(const bt_model_bench *b, const bt_work *w, bt_buf *out)
{
    figures f = figures_of(b, w);
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"tok_s", w->median},
        {"spread", w->spread},
        {"gb_s", f.gb_s},
        {"bandwidth_share", f.bandwidth_share},
        {"gop_s", f.gop_s},
        {"peak_share", f.peak_share},
        {"bound_share", f.bound_share},
        {"bytes_per_token", ratio(w->cost.bytes, (double)w->n_tok * w->n_stream)},
        {"ops_per_token", ratio(w->cost.ops, (double)w->n_tok * w->n_stream)},
    };
    BT_TRY(bt_buf_format(out, "{\"work\": \"%s\", \"tokens\": %d, \"batch\": %d, \"depth\": %d",
                         bt_work_name(w->kind), w->n_tok, w->n_stream, w->depth));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        BT_TRY(bt_bench_put(out, numbers[i].name, numbers[i].value));
    return bt_buf_text(out, "}");
}

bt_status bt_model_bench_json(const bt_model_bench *b, bt_buf *out)
{
    BT_TRY(bt_buf_text(out, "{\"machine\": "));
    BT_TRY(bt_machine_json(&b->machine, out));
    BT_TRY(bt_buf_text(out, ",\n\"model\": "));
    BT_TRY(put_model(b, out));
    BT_TRY(bt_buf_format(out, ",\n\"runs\": %d, \"rows\": [", b->n_run));
    for (int32_t i = 0; i < b->n_work; i++) {
        BT_TRY(bt_buf_text(out, i ? ",\n" : "\n"));
        BT_TRY(put_row(b, &b->work[i], out));
    }
    return bt_buf_text(out, "]");
}
