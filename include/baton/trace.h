// SPDX-License-Identifier: Apache-2.0
/* baton/trace.h: who let the device idle.
 *
 * A trace is a timeline of spans on lanes: what each stage of the host did, what ran on each stream
 * of the device, step by step. Recording costs two clock readings a span and allocates nothing; off,
 * it costs one load. Attach a trace with bt_device_set_trace or bt_engine_config.trace, run
 * some steps, detach it, then write it or ask it.
 *
 *   host: plan    |=1=|=2=|        |=3=|
 *   host: launch      |=1=|=2=|         |=3=|
 *   stream 0            |###1###|###2###|    |###3###|
 *                                        ^^^^ a bubble; step 3 came late: the host is to blame
 */
#ifndef BATON_TRACE_H
#define BATON_TRACE_H

#include "baton/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bt_trace bt_trace;

/* A trace with room for n_event spans (1..2^24; default 2^16 for 0), 64 bytes each and 32 more once
 * it is read; what does not fit is dropped and counted. Off until it is attached.
 * Errors  INVALID: n_event out of range.  NOMEM. */
BT_API BT_CHECKED bt_status bt_trace_new(int32_t n_event, bt_trace **ret_trace);
BT_API void bt_trace_free(bt_trace *trace);  /* detach it first; NULL is nothing */
BT_API void bt_trace_clear(bt_trace *trace); /* forget all spans; not while recording */
BT_API int32_t bt_trace_n_event(const bt_trace *trace);
BT_API uint64_t bt_trace_n_dropped(const bt_trace *trace);

/* Why the device idled: X(NAME, "in words"). */
#define BT_BLAME_LIST(X)                                                                           \
    X(HOST_LATE, "host late")   /* the host was preparing what runs next */                        \
    X(DEPENDENCY, "dependency") /* it was enqueued, but waited for another stream */               \
    X(QUEUE_FULL, "queue full") /* the host was held back: no slot or ring place was free */       \
    X(NOTHING, "nothing to do") /* nobody asked for anything */

typedef enum bt_blame {
#define BT_BLAME_ENUM(upper, text) BT_BLAME_##upper,
    BT_BLAME_LIST(BT_BLAME_ENUM)
#undef BT_BLAME_ENUM
        BT_BLAME_COUNT
} bt_blame;
BT_API const char *bt_blame_name(bt_blame blame);

/* One step on the device: from the end of the step before (the first: from its own begin) to its
 * own end. Streams are taken together: the device is idle while none of them runs. */
typedef struct bt_trace_step {
    int64_t step;     /* number of the step */
    int64_t begin_ns; /* monotonic clock */
    int64_t total_ns; /* busy + idle */
    int64_t busy_ns;
    int64_t blame_ns[BT_BLAME_COUNT]; /* adds up to total_ns - busy_ns */
    int32_t n_launch;
} bt_trace_step;

/* Steps in order of their end, at most n_max of them; returns how many there are. Not while
 * recording, and one thread at a time reads a trace; the same for all that follows. */
BT_API int32_t bt_trace_steps(const bt_trace *trace, bt_trace_step *ret_step, int32_t n_max);

/* One span: something that the host did, or that ran on the device. */
typedef struct bt_trace_span {
    int64_t begin_ns, end_ns; /* monotonic clock */
    int64_t step;             /* number of the step it worked for; -1: none */
    int32_t stream;           /* of the device; -1: the host's */
    const char *name;         /* what the host did, or the operator */
    const char *node;         /* device: what the node is called; NULL: not known */
} bt_trace_span;

/* Spans in order of their begin, at most n_max of them; returns how many there are. Names live as
 * long as the trace does. */
BT_API int32_t bt_trace_spans(const bt_trace *trace, bt_trace_span *ret_span, int32_t n_max);

/* The share of idle time in [0, 1] over all steps after the first `skip` ones; 0 when there are
 * none. ret_blame (may be NULL) gets each cause's share; they add up to the result. */
BT_API double bt_trace_bubble_ratio(const bt_trace *trace, int32_t skip,
                                    double ret_blame[BT_BLAME_COUNT]);

/* Write the timeline for chrome://tracing or Perfetto (JSON, "traceEvents": lanes as threads, flow
 * arrows from the launch on the host to the run on the device, steps and bubbles as lanes of their
 * own, names of nodes as arguments), or as a picture (SVG; the last steps when there are more than
 * 4000 spans). The file appears only when it is whole.
 * Errors  IO, NOTFOUND (no such folder): names the file.  NOMEM. */
BT_API BT_CHECKED bt_status bt_trace_write_json(const bt_trace *trace, const char *path);
BT_API BT_CHECKED bt_status bt_trace_write_svg(const bt_trace *trace, const char *path);

#ifdef __cplusplus
}
#endif
#endif
