// SPDX-License-Identifier: Apache-2.0
/* trace: the recording side of baton/trace.h. Any thread records; a span takes a place in a ring
 * that was allocated before by one atomic addition, and is written there. */
#pragma once
#include "baton/trace.h"
#include "base/clock.h"
#include "base/status.h"
#include <stdatomic.h>

/* Lanes of the host: X(NAME, "as shown"). Device lanes follow: BT_LANE_STREAM + stream number. */
#define BT_LANE_LIST(X)                                                                            \
    X(ENGINE, "host: engine") /* scheduling, sampling, handing out */                              \
    X(PLAN, "host: plan")                                                                          \
    X(BIND, "host: bind")                                                                          \
    X(LAUNCH, "host: launch")                                                                      \
    X(WAIT, "host: held back") /* waiting for a slot or a place in a ring */

typedef enum bt_lane {
#define BT_LANE_ENUM(upper, text) BT_LANE_##upper,
    BT_LANE_LIST(BT_LANE_ENUM)
#undef BT_LANE_ENUM
        BT_LANE_STREAM
} bt_lane;

typedef struct bt_span {
    int64_t begin_ns, end_ns; // monotonic clock
    const char *name;         // static, or alive as long as the trace
    int32_t lane;             // a bt_lane, or BT_LANE_STREAM + the stream's number
    int32_t step;             // the step it works for; -1: none
    int64_t enqueue_ns;       // device: when the host had enqueued it
    int64_t ready_ns; // device: when the event it waited for was reached; 0: it waited for none
} bt_span;

/* The trace that `at` holds, or NULL: the one relaxed load that recording costs when it is off. */
static inline bt_trace *bt_trace_of(_Atomic(bt_trace *) const *at)
{
    return atomic_load_explicit(at, memory_order_relaxed);
}

void bt_trace_add(bt_trace *trace, const bt_span *span);
