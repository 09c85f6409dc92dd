// SPDX-License-Identifier: Apache-2.0
/* dispatch_report: the rows as a table with its targets, and as JSON. */
#include "app/bench/dispatch_rows.h"
#include "base/bits.h"
#include "base/json.h"

/* ---- targets ---- */

/* A figure and the bound on it. */
typedef struct target {
    const char *graph, *what;
    double value, limit;
    bool at_least; // the limit is the least that will do; else the most
} target;

enum { TARGET_MAX = 8 };

static double times(double a, double b) { return b > 0 ? a / b : 0; }

/* What only one of the graphs has: a sequence that grows from the first step to the last is not an
 * engine's, whose requests come and go; the bound on tok/s is for the bundled model. */
static int list_targets(const bt_dispatch_row *row, bool is_engine, target ret[TARGET_MAX])
{
    const bt_dispatch_row *none = &row[BT_MODE_NO_CACHES], *plan = &row[BT_MODE_PLAN_CACHE],
                          *captured = &row[BT_MODE_CAPTURED];
    const target host[] = {
        {row->graph, "host time, no caches over plan cache", times(none->host_us, plan->host_us),
         10, true},
        {row->graph, "host time, no caches over captured", times(none->host_us, captured->host_us),
         20, true},
    };
    const target llama[] = {
        {row->graph, "host time, plan cache, last over first steps",
         times(plan->last_us, plan->first_us), 1.5, false},
        {row->graph, "host time, captured, last over first steps",
         times(captured->last_us, captured->first_us), 1.5, false},
    };
    const target engine[] = {
        {row->graph, "tok/s, captured over no caches", times(captured->tok_s, none->tok_s), 1.5,
         true},
    };
    int n = 0;
    for (size_t i = 0; i < BT_COUNT_OF(host); i++) ret[n++] = host[i];
    for (size_t i = 0; !is_engine && i < BT_COUNT_OF(llama); i++) ret[n++] = llama[i];
    for (size_t i = 0; is_engine && i < BT_COUNT_OF(engine); i++) ret[n++] = engine[i];
    return n;
}

static bool is_met(const target *t)
{
    return t->at_least ? t->value >= t->limit : t->value <= t->limit;
}

/* ---- the table ---- */

static bt_status put_heading(const bt_dispatch_report *r, bt_buf *out)
{
    BT_TRY(bt_buf_format(out,
                         "%d decode steps in each mode on %s (%s, %d threads), in %d rounds; "
                         "medians.\n",
                         r->n_step, r->device.name, r->device.level, r->device.n_thread,
                         BT_DISPATCH_ROUND));
    BT_TRY(bt_buf_text(
        out,
        "host us: the host's time a step, plan + bind + launch; less: how many times less than "
        "without\ncaches; plans built, node setups run and skipped in all steps; idle: of the "
        "device, traced apart.\n\n"));
    return bt_buf_format(out, "%-10s%-13s%9s%8s%9s%7s%9s%9s%10s%7s\n", "graph", "mode", "host us",
                         "less", "tok/s", "plans", "run", "skipped", "launches", "idle");
}

static bt_status put_row(const bt_dispatch_row *row, const bt_dispatch_row *none, bt_buf *out)
{
    const bt_bench_counts *c = &row->counts;
    return bt_buf_format(out, "%-10s%-13s%9.2f%7.1fx%9.0f%7llu%9llu%9llu%10d%5.1f %%\n", row->graph,
                         row->mode, row->host_us, times(none->host_us, row->host_us), row->tok_s,
                         (unsigned long long)c->plans_built, (unsigned long long)c->setups_run,
                         (unsigned long long)c->setups_skipped, row->launches,
                         row->bubble_ratio * 100);
}

static bt_status put_targets(const bt_dispatch_row *row, bool is_engine, bt_buf *out)
{
    target t[TARGET_MAX];
    int n = list_targets(row, is_engine, t);
    for (int i = 0; i < n; i++)
        BT_TRY(bt_buf_format(out, "%-10s%-45s%7.2fx, target %s %g: %s\n", t[i].graph, t[i].what,
                             t[i].value, t[i].at_least ? ">=" : "<=", t[i].limit,
                             is_met(&t[i]) ? "met" : "MISSED"));
    return BT_OK;
}

bt_status bt_dispatch_table(const bt_dispatch_report *r, bt_buf *out)
{
    uint64_t n_alloc = 0;
    BT_TRY(put_heading(r, out));
    for (int32_t i = 0; i < r->n_graph * BT_MODE_COUNT; i++) {
        BT_TRY(put_row(&r->row[i], &r->row[i / BT_MODE_COUNT * BT_MODE_COUNT], out));
        if (r->row[i].hits) n_alloc += r->row[i].n_alloc;
        if (i % BT_MODE_COUNT == BT_MODE_COUNT - 1) BT_TRY(bt_buf_text(out, "\n"));
    }
    for (int32_t g = 0; g < r->n_graph; g++)
        BT_TRY(put_targets(&r->row[g * BT_MODE_COUNT], g > 0, out));
    return bt_buf_format(out,
                         "%-10s%-45s%7llu, target 0: %s\nresults   the same bits in all modes\n",
                         "all", "allocations in steps that found their plan",
                         (unsigned long long)n_alloc, n_alloc ? "MISSED" : "met");
}

/* ---- JSON ---- */

static bt_status put_number(bt_buf *out, const char *name, double value)
{
    BT_TRY(bt_buf_format(out, ", \"%s\": ", name));
    return bt_json_put_f64(out, value);
}

static bt_status put_row_json(const bt_dispatch_row *row, bt_buf *out)
{
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"host_us_per_step", row->host_us},
        {"tok_s", row->tok_s},
        {"plans_built", (double)row->counts.plans_built},
        {"setups_run", (double)row->counts.setups_run},
        {"setups_skipped", (double)row->counts.setups_skipped},
        {"bubble_ratio", row->bubble_ratio},
        {"launches_per_step", row->launches},
        {"host_us_first_quarter", row->first_us},
        {"host_us_last_quarter", row->last_us},
    };
    BT_TRY(bt_buf_format(out, "{\"graph\": \"%s\", \"mode\": \"%s\"", row->graph, row->mode));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        BT_TRY(put_number(out, numbers[i].name, numbers[i].value));
    if (row->hits) BT_TRY(put_number(out, "allocations_on_hits", (double)row->n_alloc));
    return bt_buf_format(out, ", \"checksum\": \"%016llx\"}", (unsigned long long)row->checksum);
}

static bt_status put_target_json(const target *t, bt_buf *out)
{
    BT_TRY(bt_buf_format(out, "{\"graph\": \"%s\", \"what\": \"%s\"", t->graph, t->what));
    BT_TRY(put_number(out, "value", t->value));
    BT_TRY(put_number(out, t->at_least ? "at_least" : "at_most", t->limit));
    return bt_buf_format(out, ", \"met\": %s}", is_met(t) ? "true" : "false");
}

bt_status bt_dispatch_json(const bt_dispatch_report *r, bt_buf *out)
{
    BT_TRY(bt_buf_format(out,
                         "{\"device\": {\"name\": \"%s\", \"level\": \"%s\", \"n_thread\": %d}, "
                         "\"steps\": %d, \"rows\": [\n",
                         r->device.name, r->device.level, r->device.n_thread, r->n_step));
    for (int32_t i = 0; i < r->n_graph * BT_MODE_COUNT; i++) {
        if (i) BT_TRY(bt_buf_text(out, ",\n"));
        BT_TRY(put_row_json(&r->row[i], out));
    }
    BT_TRY(bt_buf_text(out, "],\n\"targets\": [\n"));
    for (int32_t g = 0; g < r->n_graph; g++) {
        target t[TARGET_MAX];
        int n = list_targets(&r->row[g * BT_MODE_COUNT], g > 0, t);
        for (int i = 0; i < n; i++) {
            if (g || i) BT_TRY(bt_buf_text(out, ",\n"));
            BT_TRY(put_target_json(&t[i], out));
        }
    }
    return bt_buf_text(out, "]}\n");
}
