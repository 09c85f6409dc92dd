// SPDX-License-Identifier: Apache-2.0
/* trace: the recording side of baton/trace.h. Any thread records; a span takes a place in an array
 * that was allocated and touched before by one atomic addition, is copied there and published. */
#pragma once
#include "baton/trace.h"
#include "base/clock.h"
#include "base/status.h"
#include <stdatomic.h>

/* Lanes of the host: X(NAME, "as shown"). Device lanes follow: BT_LANE_STREAM + stream number. */
#define BT_LANE_LIST(X)                                                                            \
    X(ENGINE, "host: engine") /* scheduling, sampling, handing out; recording the trace */         \
    X(PLAN, "host: plan")                                                                          \
    X(BIND, "host: bind")                                                                          \
    X(LAUNCH, "host: launch")                                                                      \
    X(COMPLETE, "host: complete") /* from the end of a step until the host knows of it */          \
    X(WAIT, "host: held back")    /* waiting for a slot or a place in a ring */

typedef enum bt_lane {
#define BT_LANE_ENUM(upper, text) BT_LANE_##upper,
    BT_LANE_LIST(BT_LANE_ENUM)
#undef BT_LANE_ENUM
        BT_LANE_STREAM,
    BT_LANE_MAX = 128 // streams past the last lane share it
} bt_lane;

/* What a lane is called: "host: plan", "stream 0". */
typedef struct bt_lane_label {
    char text[24];
} bt_lane_label;
bt_lane_label bt_lane_name(int32_t lane);

typedef struct bt_span {
    int64_t begin_ns, end_ns; // monotonic clock
    const char *name;         // static, or alive as long as the trace
    int32_t lane;             // a bt_lane, or BT_LANE_STREAM + the stream's number
    int32_t step;             // the step it works for; -1: none
    int64_t enqueue_ns;       // device: when the host had enqueued it
    int64_t ready_ns; // device: when the event it waited for was reached; 0: it waited for none
    int32_t node;     // device: what the node is called, see bt_trace_add_names; 0: not known
} bt_span;

/* The trace that `at` holds, or NULL: the one load that recording costs when it is off. Acquire, for
 * the thread that attached the trace also made it; on x86 that is a plain load. */
static inline bt_trace *bt_trace_of(_Atomic(bt_trace *) const *at)
{
    return atomic_load_explicit(at, memory_order_acquire);
}

/* Record a span; one that ends before it begins becomes empty. Allocates nothing, never waits. */
void bt_trace_add(bt_trace *trace, const bt_span *span);

/* Copy the names of a graph's nodes, which may be gone when the trace is read. name(ctx, i) is that
 * of node i, NULL past the end. Gives what node 0 is called in bt_span.node (node i: so much more), or
 * 0 where there is no room. The same names again are not copied again. Any thread; allocates nothing. */
typedef const char *bt_trace_name_fn(const void *ctx, int32_t i);
int32_t bt_trace_add_names(bt_trace *trace, bt_trace_name_fn *name, const void *ctx);
