// SPDX-License-Identifier: Apache-2.0
/* dispatch_rows: measuring. The machine is noisy, so modes take turns, a round at a time, and
 * medians are kept; recording a trace costs time, so bubbles are looked at afterwards, in steps of
 * their own. */
#include "app/bench/dispatch_rows.h"
#include "base/bits.h"
#include "baton/dispatch.h"
#include <stdlib.h>
#include <string.h>

static const bt_bench_mode modes[BT_MODE_COUNT] = {
    [BT_MODE_NO_CACHES] = {"no caches", BT_NO_CACHES, 1, 1},
    [BT_MODE_NODE_CACHE] = {"node cache", BT_NO_PLAN_CACHE | BT_NO_REUSE | BT_NO_CAPTURE, 1, 1},
    [BT_MODE_PLAN_CACHE] = {"plan cache", BT_NO_REUSE | BT_NO_CAPTURE, 1, 1},
    [BT_MODE_REUSE] = {"setup reuse", BT_NO_CAPTURE, 1, 1},
    [BT_MODE_PIPELINE] = {"pipeline", BT_NO_CAPTURE, 3, 3},
    [BT_MODE_CAPTURED] = {"captured", 0, 1, 1},
};

/* One mode while it is measured. */
typedef struct contender {
    bt_bench_subject subject;
    int64_t *host_ns, *wall_ns;        // [n_step] of all rounds
    double host_us[BT_DISPATCH_ROUND]; // each round's median
    double tok_s[BT_DISPATCH_ROUND];
    uint64_t n_alloc, checksum;
} contender;

typedef struct contest {
    contender mode[BT_MODE_COUNT];
    int64_t *ns, *sorted; // [modes * 2 * n_step], [n_step] scratch
    bt_trace *trace;
    int32_t n_step;
} contest;

/* ---- medians ---- */

static int compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int compare_f64(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The step that a share of the n steps are faster than, in microseconds. */
static double quantile_us(contest *c, const int64_t *ns, int32_t n, double share)
{
    memcpy(c->sorted, ns, (size_t)n * sizeof *ns);
    qsort(c->sorted, (size_t)n, sizeof *ns, compare_i64);
    return (double)c->sorted[(int32_t)(n * share)] * 1e-3;
}

static double median(double *x, int32_t n)
{
    qsort(x, (size_t)n, sizeof *x, compare_f64);
    return n ? x[n / 2] : 0;
}

/* ---- rounds ---- */

static bt_status run_round(contest *c, contender *m, int32_t round)
{
    int64_t n_step = c->n_step;
    int32_t begin = (int32_t)(n_step * round / BT_DISPATCH_ROUND);
    int32_t end = (int32_t)(n_step * (round + 1) / BT_DISPATCH_ROUND);
    bt_bench_stretch s = {.n_step = end - begin,
                          .host_ns = m->host_ns + begin,
                          .wall_ns = m->wall_ns + begin,
                          .checksum = m->checksum};
    BT_TRY(m->subject.run(m->subject.self, &s));
    m->host_us[round] = quantile_us(c, s.host_ns, s.n_step, 0.5);
    m->tok_s[round] = 1e6 / quantile_us(c, s.wall_ns, s.n_step, 0.5);
    if (round) m->n_alloc += s.n_alloc;
    m->checksum = s.checksum;
    return BT_OK;
}

/* What the trace says of a step: the median, for one in which the system took the host off its core
 * says nothing about the dispatcher. The first has no step before it. */
static void read_trace(const bt_trace *trace, bt_dispatch_row *row)
{
    bt_trace_step step[BT_DISPATCH_TRACED];
    double idle[BT_DISPATCH_TRACED];
    int32_t n = bt_trace_steps(trace, step, BT_DISPATCH_TRACED);
    n = (int32_t)bt_min_i64(n, BT_DISPATCH_TRACED);
    for (int32_t i = 1; i < n; i++)
        idle[i - 1] = 1 - (double)step[i].busy_ns / (double)bt_max_i64(step[i].total_ns, 1);
    row->bubble_ratio = median(idle, n > 1 ? n - 1 : 0);
    row->launches = n ? step[n - 1].n_launch : 0;
}

/* Some more steps, recorded. */
static bt_status run_traced(contest *c, contender *m, bt_dispatch_row *row)
{
    int64_t host_ns[BT_DISPATCH_TRACED], wall_ns[BT_DISPATCH_TRACED];
    bt_bench_stretch s = {.n_step = BT_DISPATCH_TRACED,
                          .host_ns = host_ns,
                          .wall_ns = wall_ns,
                          .checksum = m->checksum};
    bt_trace_clear(c->trace);
    m->subject.set_trace(m->subject.self, c->trace);
    bt_status st = m->subject.run(m->subject.self, &s);
    m->subject.set_trace(m->subject.self, NULL);
    BT_TRY(st);
    read_trace(c->trace, row);
    m->checksum = s.checksum;
    return BT_OK;
}

static bt_status fill_row(contest *c, int mode, bt_dispatch_row *row)
{
    contender *m = &c->mode[mode];
    int32_t quarter = c->n_step / 4;
    m->subject.count(m->subject.self, &row->counts); // before more steps are made for the trace
    row->mode = modes[mode].name;
    row->host_us = median(m->host_us, BT_DISPATCH_ROUND);
    row->tok_s = median(m->tok_s, BT_DISPATCH_ROUND);
    row->first_us = quantile_us(c, m->host_ns, quarter, 0.25);
    row->last_us = quantile_us(c, m->host_ns + c->n_step - quarter, quarter, 0.25);
    row->n_alloc = m->n_alloc;
    row->hits = !(modes[mode].off & BT_NO_PLAN_CACHE);
    BT_TRY(run_traced(c, m, row));
    row->checksum = m->checksum;
    return BT_OK;
}

static bt_status compare_bits(const bt_dispatch_row *row)
{
    for (int i = 1; i < BT_MODE_COUNT; i++)
        BT_FAIL_IF(row[i].checksum != row[0].checksum, DEVICE,
                   "%s: the results of '%s' are not those of '%s' (checksums %016llx, %016llx)",
                   row[i].graph, row[i].mode, row[0].mode, (unsigned long long)row[i].checksum,
                   (unsigned long long)row[0].checksum);
    return BT_OK;
}

static bt_status open_contest(contest *c, const bt_bench_graph *graph)
{
    size_t n_step = (size_t)c->n_step;
    BT_TRY(bt_alloc_array((void **)&c->ns, 2 * BT_MODE_COUNT * n_step, sizeof *c->ns, BT_MEM_MISC));
    BT_TRY(bt_alloc_array((void **)&c->sorted, n_step, sizeof *c->sorted, BT_MEM_MISC));
    BT_TRY(bt_trace_new(0, &c->trace));
    for (int i = 0; i < BT_MODE_COUNT; i++) {
        c->mode[i].host_ns = c->ns + 2 * (size_t)i * n_step;
        c->mode[i].wall_ns = c->mode[i].host_ns + n_step;
        BT_TRY(graph->open(graph->ctx, &modes[i], &c->mode[i].subject));
    }
    return BT_OK;
}

static bt_status hold(contest *c, const bt_bench_graph *graph, bt_dispatch_row *row)
{
    BT_TRY(open_contest(c, graph));
    for (int32_t round = 0; round < BT_DISPATCH_ROUND; round++)
        for (int i = 0; i < BT_MODE_COUNT; i++) BT_TRY(run_round(c, &c->mode[i], round));
    for (int i = 0; i < BT_MODE_COUNT; i++) {
        row[i] = (bt_dispatch_row){.graph = graph->name};
        BT_TRY(fill_row(c, i, &row[i]));
    }
    return compare_bits(row);
}

bt_status bt_dispatch_measure(const bt_bench_graph *graph, int32_t n_step,
                              bt_dispatch_row ret_row[BT_MODE_COUNT])
{
    contest c = {.n_step = n_step};
    bt_dispatch_row row[BT_MODE_COUNT];
    bt_status st = hold(&c, graph, row);
    for (int i = 0; i < BT_MODE_COUNT; i++)
        if (c.mode[i].subject.self) c.mode[i].subject.close(c.mode[i].subject.self);
    bt_trace_free(c.trace);
    bt_free(c.ns);
    bt_free(c.sorted);
    if (st == BT_OK) memcpy(ret_row, row, sizeof row);
    return st;
}
