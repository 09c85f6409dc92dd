// SPDX-License-Identifier: Apache-2.0
/* timeline: puts spans in order, finds the steps and the bubbles, and blames.
 *
 * A gap [a, b) is judged by the span s that ended it, the first that began at b:
 *
 *   a         s.enqueue   s.ready     b = s.begin
 *   |--- the host ---|--- event ---|--- launch ---|
 *     held back:       DEPENDENCY    HOST_LATE
 *       QUEUE_FULL
 *     else at work:
 *       HOST_LATE
 *     else NOTHING
 *
 * One sweep in order of time over spans sorted by begin; sorting is the O(n log n).
 */
#include "base/timeline/timeline.h"
#include "base/bits.h"
#include <stdlib.h>

// ---- order ----

static int compare_i64(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int by_begin(const void *left, const void *right)
{
    const bt_span *a = *(const bt_span *const *)left, *b = *(const bt_span *const *)right;
    int c = compare_i64(a->begin_ns, b->begin_ns);
    if (!c) c = compare_i64(a->lane, b->lane);
    return c ? c : (a > b) - (a < b); // they lie in one array, as recorded
}

static int by_step(const void *left, const void *right)
{
    const bt_step_run *a = left, *b = right;
    return compare_i64(a->step, b->step);
}

static int by_end(const void *left, const void *right)
{
    const bt_step_run *a = left, *b = right;
    int c = compare_i64(a->end_ns, b->end_ns);
    return c ? c : compare_i64(a->step, b->step);
}

/* One run for each span on the device, those of a step folded into one. */
static int32_t find_steps(const bt_span *const *span, int32_t n, bt_step_run *run)
{
    int32_t n_run = 0, n_step = 0;
    for (int32_t i = 0; i < n; i++)
        if (span[i]->lane >= BT_LANE_STREAM && span[i]->step >= 0)
            run[n_run++] = (bt_step_run){span[i]->begin_ns, span[i]->end_ns, span[i]->step, 1};
    qsort(run, (size_t)n_run, sizeof *run, by_step);
    for (int32_t i = 0; i < n_run; i++) {
        if (!n_step || run[n_step - 1].step != run[i].step) {
            run[n_step++] = run[i];
            continue;
        }
        bt_step_run *r = &run[n_step - 1];
        r->begin_ns = bt_min_i64(r->begin_ns, run[i].begin_ns);
        r->end_ns = bt_max_i64(r->end_ns, run[i].end_ns);
        r->n_launch++;
    }
    qsort(run, (size_t)n_step, sizeof *run, by_end);
    return n_step;
}

bt_timeline bt_timeline_of(const bt_trace *trace)
{
    bt_timeline t = {.span = trace->order, .step = trace->run};
    for (int32_t i = 0, n = bt_trace_n_event(trace); i < n; i++) {
        const bt_trace_slot *slot = &trace->slot[i];
        if (!atomic_load_explicit(&slot->is_published, memory_order_acquire)) continue;
        trace->order[t.n++] = &slot->span;
        t.end_ns = t.n == 1 ? slot->span.end_ns : bt_max_i64(t.end_ns, slot->span.end_ns);
    }
    qsort(trace->order, (size_t)t.n, sizeof *trace->order, by_begin);
    t.n_step = find_steps(trace->order, t.n, trace->run);
    if (t.n) t.begin_ns = trace->order[0]->begin_ns;
    return t;
}

// ---- blame ----

/* What spans of some host lanes cover, asked at times that never go back. */
typedef struct cover {
    int32_t lane_min, lane_max;
    int32_t next;  // spans before it have been seen
    int64_t reach; // the last end of those
} cover;

/* Whether time `at` is covered, and up to when the answer surely stays the same. */
static bool is_covered(cover *c, const bt_timeline *t, int64_t at, int64_t *ret_until)
{
    for (; c->next < t->n; c->next++) {
        const bt_span *s = t->span[c->next];
        if (s->lane < c->lane_min || s->lane > c->lane_max) continue;
        if (s->begin_ns > at) break;
        c->reach = bt_max_i64(c->reach, s->end_ns);
    }
    bool covered = c->reach > at;
    *ret_until = covered ? c->reach : c->next < t->n ? t->span[c->next]->begin_ns : INT64_MAX;
    return covered;
}

typedef struct judge {
    const bt_timeline *t;
    cover wait, host;
    bt_idle idle; // grows until the blame changes
    bt_idle_fn fn;
    void *ctx;
} judge;

static void hand_out(judge *j)
{
    if (j->idle.end_ns > j->idle.begin_ns) j->fn(j->ctx, &j->idle);
}

static void blame(judge *j, int32_t k, int64_t begin, int64_t end, bt_blame why)
{
    if (begin >= end) return;
    bt_idle *idle = &j->idle;
    if (idle->end_ns == begin && idle->blame == why && idle->k == k) {
        idle->end_ns = end;
        return;
    }
    hand_out(j);
    *idle = (bt_idle){begin, end, why, k};
}

static void judge_host(judge *j, int32_t k, int64_t begin, int64_t end)
{
    for (int64_t at = begin, until; at < end; at = until) {
        int64_t wait_until, host_until;
        bool held = is_covered(&j->wait, j->t, at, &wait_until);
        bool at_work = is_covered(&j->host, j->t, at, &host_until);
        until = bt_min_i64(end, held ? wait_until : bt_min_i64(wait_until, host_until));
        blame(j, k, at, until,
              held      ? BT_BLAME_QUEUE_FULL
              : at_work ? BT_BLAME_HOST_LATE
                        : BT_BLAME_NOTHING);
    }
}

static int64_t clamp(int64_t x, int64_t lo, int64_t hi)
{
    return bt_max_i64(lo, bt_min_i64(x, hi));
}

static void judge_gap(judge *j, int32_t k, int64_t begin, const bt_span *next)
{
    int64_t end = next->begin_ns;
    int64_t queued = clamp(next->enqueue_ns, begin, end);
    int64_t ready = next->ready_ns > 0 ? clamp(next->ready_ns, queued, end) : queued;
    judge_host(j, k, begin, queued);
    blame(j, k, queued, ready, BT_BLAME_DEPENDENCY);
    blame(j, k, ready, end, BT_BLAME_HOST_LATE);
}

void bt_timeline_each_idle(const bt_timeline *t, bt_idle_fn fn, void *ctx)
{
    if (!t->n_step) return;
    judge j = {.t = t,
               .wait = {BT_LANE_WAIT, BT_LANE_WAIT, 0, INT64_MIN},
               .host = {0, BT_LANE_STREAM - 1, 0, INT64_MIN},
               .fn = fn,
               .ctx = ctx};
    int64_t busy_to = t->step[0].begin_ns;
    for (int32_t i = 0, k = 0; i < t->n && busy_to < t->step[t->n_step - 1].end_ns; i++) {
        const bt_span *s = t->span[i];
        if (s->lane < BT_LANE_STREAM) continue;
        // A step ends where a span does, never inside a gap.
        while (t->step[k].end_ns <= busy_to) k++;
        if (s->begin_ns > busy_to) judge_gap(&j, k, busy_to, s);
        busy_to = bt_max_i64(busy_to, s->end_ns);
    }
    hand_out(&j);
}

// ---- the public questions ----

typedef struct step_list {
    bt_trace_step *step;
    int32_t n;
} step_list;

static void add_to_step(void *ctx, const bt_idle *idle)
{
    step_list *list = ctx;
    if (idle->k >= list->n) return;
    int64_t ns = idle->end_ns - idle->begin_ns;
    list->step[idle->k].blame_ns[idle->blame] += ns;
    list->step[idle->k].busy_ns -= ns;
}

int32_t bt_trace_steps(const bt_trace *trace, bt_trace_step *ret_step, int32_t n_max)
{
    bt_timeline t = bt_timeline_of(trace);
    step_list list = {ret_step, n_max < t.n_step ? n_max : t.n_step};
    for (int32_t k = 0; k < list.n; k++) {
        int64_t begin = bt_timeline_step_begin(&t, k), total = t.step[k].end_ns - begin;
        ret_step[k] = (bt_trace_step){.step = t.step[k].step,
                                      .begin_ns = begin,
                                      .total_ns = total,
                                      .busy_ns = total,
                                      .n_launch = t.step[k].n_launch};
    }
    bt_timeline_each_idle(&t, add_to_step, &list);
    return t.n_step;
}

int32_t bt_trace_spans(const bt_trace *trace, bt_trace_span *ret_span, int32_t n_max)
{
    bt_timeline t = bt_timeline_of(trace);
    for (int32_t i = 0; i < t.n && i < n_max; i++) {
        const bt_span *s = t.span[i];
        bool device = s->lane >= BT_LANE_STREAM;
        ret_span[i] = (bt_trace_span){.begin_ns = s->begin_ns,
                                      .end_ns = s->end_ns,
                                      .step = s->step,
                                      .stream = device ? s->lane - BT_LANE_STREAM : -1,
                                      .name = s->name,
                                      .node = device ? bt_trace_node(trace, s) : NULL};
    }
    return t.n;
}

typedef struct idle_sum {
    int32_t skip;
    int64_t ns[BT_BLAME_COUNT];
} idle_sum;

static void add_to_sum(void *ctx, const bt_idle *idle)
{
    idle_sum *sum = ctx;
    if (idle->k >= sum->skip) sum->ns[idle->blame] += idle->end_ns - idle->begin_ns;
}

double bt_trace_bubble_ratio(const bt_trace *trace, int32_t skip, double ret_blame[BT_BLAME_COUNT])
{
    bt_timeline t = bt_timeline_of(trace);
    idle_sum sum = {.skip = skip > 0 ? skip : 0};
    int64_t total = 0;
    if (sum.skip < t.n_step) {
        bt_timeline_each_idle(&t, add_to_sum, &sum);
        total = t.step[t.n_step - 1].end_ns - bt_timeline_step_begin(&t, sum.skip);
    }
    double ratio = 0;
    for (int i = 0; i < BT_BLAME_COUNT; i++) {
        double share = total > 0 ? (double)sum.ns[i] / (double)total : 0;
        ratio += share;
        if (ret_blame) ret_blame[i] = share;
    }
    return ratio < 1 ? ratio : 1; // the sum may round up
}
