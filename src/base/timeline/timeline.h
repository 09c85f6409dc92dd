// SPDX-License-Identifier: Apache-2.0
/* timeline: the reading side of baton/trace.h: what a trace holds, in order, and who is to blame for
 * each nanosecond in which no stream ran. Private to trace.c and this folder.
 *
 * The order and the steps lie in scratch that was allocated with the trace, so reading cannot fail;
 * hence one reader at a time, and a timeline is good until the next is made of the same trace.
 */
#pragma once
#include "base/lock.h"
#include "base/trace.h"

enum { BT_TRACE_NAME_MAX = 1 << 13, BT_TRACE_TEXT_MAX = 1 << 18 };

typedef struct bt_trace_slot {
    bt_span span;
    atomic_uint is_published; // stored last, with release
} bt_trace_slot;

typedef struct bt_step_run {
    int64_t begin_ns, end_ns; // of its spans on the device
    int32_t step, n_launch;
} bt_step_run;

struct bt_trace {
    bt_trace_slot *slot;   // [n_max]
    const bt_span **order; // [n_max] scratch of the reader
    bt_step_run *run;      // [n_max] scratch of the reader
    int32_t n_max;
    bt_lock name_lock; // guards the nodes' names
    char *text;        // [BT_TRACE_TEXT_MAX] all of them, each with its NUL
    int32_t *name;     // [BT_TRACE_NAME_MAX] where each begins; 0 is none
    int32_t n_name, n_text;
    _Alignas(64) atomic_uint_fast64_t n_taken; // places asked for; those past n_max were dropped
};

typedef struct bt_timeline {
    const bt_span *const *span; // [n] by begin, then lane, then order of recording
    const bt_step_run *step;    // [n_step] by end
    int32_t n, n_step;
    int64_t begin_ns, end_ns; // the first begin, the last end; 0 when empty
} bt_timeline;

bt_timeline bt_timeline_of(const bt_trace *trace);

/* What a span's node is called; NULL: not known. */
const char *bt_trace_node(const bt_trace *trace, const bt_span *span);

/* Step k goes from here to its end. */
static inline int64_t bt_timeline_step_begin(const bt_timeline *t, int32_t k)
{
    return k ? t->step[k - 1].end_ns : t->step[0].begin_ns;
}

/* A stretch of a step in which the device idled for one reason. */
typedef struct bt_idle {
    int64_t begin_ns, end_ns;
    bt_blame blame;
    int32_t k; // index of the step
} bt_idle;
typedef void (*bt_idle_fn)(void *ctx, const bt_idle *idle);

/* Call `fn` with each such stretch, in order. Together they are all the idle time of all steps. */
void bt_timeline_each_idle(const bt_timeline *t, bt_idle_fn fn, void *ctx);
