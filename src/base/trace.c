// SPDX-License-Identifier: Apache-2.0
/* trace: recording. A place is taken by adding to a counter, so recorders never meet; each span is
 * published by its own flag, so that a reader sees whole spans even if a recorder is late. */
#include "base/timeline/timeline.h"
#include "base/alloc.h"
#include "base/bits.h"
#include <stdio.h>
#include <string.h>

enum { N_EVENT_DEFAULT = 1 << 16, N_EVENT_MAX = 1 << 24 };

bt_status bt_trace_new(int32_t n_event, bt_trace **ret_trace)
{
    bt_trace *t;
    bt_status st;
    BT_FAIL_IF(n_event < 0 || n_event > N_EVENT_MAX, INVALID, "n_event is %d, not in 1..%d",
               n_event, N_EVENT_MAX);
    BT_TRY(bt_alloc_zero((void **)&t, sizeof *t, BT_MEM_MISC));
    t->n_max = n_event ? n_event : N_EVENT_DEFAULT;
    bt_lock_init(&t->name_lock);
    size_t n = (size_t)t->n_max;
    if ((st = bt_alloc((void **)&t->slot, n * sizeof *t->slot, BT_MEM_MISC)) ||
        (st = bt_alloc((void **)&t->order, n * sizeof *t->order, BT_MEM_MISC)) ||
        (st = bt_alloc((void **)&t->run, n * sizeof *t->run, BT_MEM_MISC)) ||
        (st = bt_alloc((void **)&t->text, BT_TRACE_TEXT_MAX, BT_MEM_MISC)) ||
        (st = bt_alloc((void **)&t->name, BT_TRACE_NAME_MAX * sizeof *t->name, BT_MEM_MISC)))
        goto fail;
    t->n_name = 1;
    // Touches every page, so that recording meets no page fault.
    for (size_t i = 0; i < n; i++) atomic_init(&t->slot[i].is_published, 0);
    *ret_trace = t;
    return BT_OK;
fail:
    bt_fail_note("a trace of %d spans", t->n_max);
    bt_trace_free(t);
    return st;
}

void bt_trace_free(bt_trace *trace)
{
    if (!trace) return;
    bt_free(trace->slot);
    bt_free(trace->order);
    bt_free(trace->run);
    bt_free(trace->text);
    bt_free(trace->name);
    bt_lock_done(&trace->name_lock);
    bt_free(trace);
}

void bt_trace_clear(bt_trace *trace)
{
    for (int32_t i = bt_trace_n_event(trace); i-- > 0;)
        atomic_store_explicit(&trace->slot[i].is_published, 0, memory_order_relaxed);
    atomic_store(&trace->n_taken, 0);
}

void bt_trace_add(bt_trace *trace, const bt_span *span)
{
    assert(span->lane >= 0 && span->name);
    uint64_t place = atomic_fetch_add_explicit(&trace->n_taken, 1, memory_order_relaxed);
    if (place >= (uint64_t)trace->n_max) return;
    bt_trace_slot *slot = &trace->slot[place];
    slot->span = *span;
    slot->span.end_ns = bt_max_i64(span->begin_ns, span->end_ns);
    if (span->lane >= BT_LANE_MAX) slot->span.lane = BT_LANE_MAX - 1;
    atomic_store_explicit(&slot->is_published, 1, memory_order_release);
}

// ---- names of nodes ----

static bool has_names(const bt_trace *t, int32_t at, bt_trace_name_fn *name, const void *ctx,
                      int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        if (strcmp(t->text + t->name[at + i], name(ctx, i))) return false;
    return true;
}

static int32_t append_names(bt_trace *t, bt_trace_name_fn *name, const void *ctx, int32_t n)
{
    size_t at = (size_t)t->n_text, len = 0;
    for (int32_t i = 0; i < n; i++) len += strlen(name(ctx, i)) + 1;
    if (n > BT_TRACE_NAME_MAX - t->n_name || len > BT_TRACE_TEXT_MAX - at) return 0;
    for (int32_t i = 0; i < n; i++) {
        len = strlen(name(ctx, i)) + 1;
        memcpy(t->text + at, name(ctx, i), len);
        t->name[t->n_name + i] = (int32_t)at;
        at += len;
    }
    t->n_text = (int32_t)at;
    t->n_name += n;
    return t->n_name - n;
}

int32_t bt_trace_add_names(bt_trace *trace, bt_trace_name_fn *name, const void *ctx)
{
    int32_t n = 0, at = 1;
    while (name(ctx, n)) n++;
    bt_lock_take(&trace->name_lock);
    while (n <= trace->n_name - at && !has_names(trace, at, name, ctx, n)) at++;
    if (n > trace->n_name - at) at = append_names(trace, name, ctx, n);
    bt_lock_give(&trace->name_lock);
    return at;
}

const char *bt_trace_node(const bt_trace *trace, const bt_span *span)
{
    bool known = span->node > 0 && span->node < trace->n_name;
    return known ? trace->text + trace->name[span->node] : NULL;
}

// ---- questions ----

static uint64_t n_taken(const bt_trace *trace)
{
    return atomic_load_explicit(&trace->n_taken, memory_order_relaxed);
}

int32_t bt_trace_n_event(const bt_trace *trace)
{
    return (int32_t)bt_min_i64((int64_t)n_taken(trace), trace->n_max);
}

uint64_t bt_trace_n_dropped(const bt_trace *trace)
{
    return n_taken(trace) - (uint64_t)bt_trace_n_event(trace);
}

const char *bt_blame_name(bt_blame blame)
{
    static const char *const name[] = {
#define NAME(upper, text) text,
        BT_BLAME_LIST(NAME)
#undef NAME
    };
    return (unsigned)blame < BT_BLAME_COUNT ? name[blame] : "unknown";
}

bt_lane_label bt_lane_name(int32_t lane)
{
    static const char *const host[] = {
#define NAME(upper, text) text,
        BT_LANE_LIST(NAME)
#undef NAME
    };
    bt_lane_label label;
    if (lane < BT_LANE_STREAM)
        snprintf(label.text, sizeof label.text, "%s", host[lane]);
    else
        snprintf(label.text, sizeof label.text, "stream %d%s", lane - BT_LANE_STREAM,
                 lane == BT_LANE_MAX - 1 ? "+" : "");
    return label;
}
