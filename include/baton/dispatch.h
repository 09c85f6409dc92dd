// SPDX-License-Identifier: Apache-2.0
/* baton/dispatch.h: run graphs on a device so that the device never waits for the host.
 *
 * A context is a device with its streams, its cache of kernel choices and its host threads. An
 * executable is a graph prepared to run there, up to the largest shapes that will come: all the
 * memory it will ever need is allocated when it is opened. A step goes through four stages:
 *
 *   plan     shapes -> kernels, tiling, memory        skipped when inputs look as before, else
 *                                                     looked up, else put together from cached nodes
 *   bind     addresses -> launch records (PreLaunch)  skipped when the addresses are as before
 *   launch   enqueue; or replay what was captured
 *   complete a ticket says when
 *
 * With one host thread the caller runs all of them in turn. With two or three, bind and launch have
 * threads of their own, so planning step n + 1 overlaps enqueuing step n, and both overlap the
 * device. Results are the same bits either way.
 *
 * A step's argument slot (its launch records, its copied inputs, its outputs) is reused n_slot
 * steps later, and not before the step's ticket is complete: a host that runs ahead waits there.
 *
 * Only shapes decide a plan. Sequence lengths, positions and page tables are data in memory that
 * kernels read: a growing sequence neither misses a cache nor touches a capture.
 */
#ifndef BATON_DISPATCH_H
#define BATON_DISPATCH_H

#include "baton/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- context ---- */

typedef struct bt_context bt_context;

/* Zero means the default everywhere. */
typedef struct bt_context_config {
    int32_t n_host_thread;    /* 1..3; default 1: everything on the caller's thread */
    int32_t ring_depth;       /* steps that may wait between two stages, 1..64; default 2 */
    int32_t n_stream;         /* streams a graph's branches may use, 1..8; default 1 */
    int64_t node_cache_bytes; /* kernel choices and tilings kept; default 4 MiB */
} bt_context_config;

/* `config` may be NULL. The device must outlive the context. */
BT_API BT_CHECKED bt_status bt_context_open(bt_device *device, const bt_context_config *config,
                                            bt_context **ret_context);
BT_API void
bt_context_close(bt_context *context); /* its executables must be gone; NULL is nothing */

/* The stream that executables of this context begin and end on: what is submitted to it before a
 * step runs before it. For bt_capture_begin. */
BT_API bt_stream *bt_context_stream(bt_context *context);

/* ---- executable ---- */

typedef struct bt_exec bt_exec;

/* What to do without, to measure what it is worth. */
enum {
    BT_NO_PLAN_CACHE = 1, /* plan every step anew, memory included */
    BT_NO_NODE_CACHE = 2, /* set up each node anew when planning */
    BT_NO_REUSE = 4,      /* look up the plan even when inputs look as they did last time */
    BT_NO_CAPTURE = 8,    /* do not capture plans that are run again */
    BT_NO_CACHES = BT_NO_PLAN_CACHE | BT_NO_NODE_CACHE | BT_NO_REUSE | BT_NO_CAPTURE
};

/* Zero means the default everywhere, but for max_desc. */
typedef struct bt_exec_config {
    const bt_desc *max_desc; /* [n_input] the largest shapes that will come */
    const bool *copy;   /* [n_input] inputs whose bytes are copied when a step is submitted, so that
                       * the caller may write the next ones; NULL: none, they must stay as they are
                       * until the step is complete */
    int32_t n_slot;     /* steps in flight, 1..8; default 1 with one host thread, else 3 */
    int64_t plan_bytes; /* bound on cached plans, default 16 MiB; at least n_slot + 1 are kept */
    int64_t capture_bytes; /* bound on captures, default 16 MiB; past it steps run eagerly */
    uint32_t off;          /* BT_NO_... */
    bool clock;            /* fill in host_ns of the counters: two clock readings a stage */
} bt_exec_config;

/* Prepare a frozen graph: plan it at the largest shapes, allocate. Takes a reference to the graph.
 * Errors  INVALID: shapes that disagree, names the node.  NOMEM: says for what. */
BT_API BT_CHECKED bt_status bt_exec_open(bt_context *context, bt_graph *graph,
                                         const bt_exec_config *config, bt_exec **ret_exec);
BT_API void bt_exec_close(bt_exec *exec); /* waits for its steps; NULL is nothing */

typedef uint64_t bt_ticket; /* steps of an executable are numbered from 1 */

/* Run the graph once on inputs of these shapes at these addresses ([n_input] each; a dense input is
 * 64-byte aligned). Returns when the step is under way; one thread at a time a context. Waits at
 * most timeout_ms (-1: for ever) for a free slot. Allocates nothing.
 * On a context whose stream is being captured the step is recorded instead; its ticket is 0.
 * Errors  INVALID: shapes that disagree (names the node) or exceed the largest.  BUSY: no slot in
 *         time.  DEVICE: names the node. After an error there is no step; the executable works on. */
BT_API BT_CHECKED bt_status bt_exec_submit(bt_exec *exec, const bt_desc *in_desc,
                                           void *const *in_ptr, int timeout_ms,
                                           bt_ticket *ret_ticket);

/* Let the device begin; see bt_stream_start. With several host threads every step begins by itself. */
BT_API BT_CHECKED bt_status bt_exec_start(bt_exec *exec);

/* Wait until a step is complete, at most timeout_ms (-1: for ever).
 * Errors  BUSY: not yet.  DEVICE and others: what went wrong in a stage that ran on another thread,
 *         with the node's name.  NOTFOUND: a ticket that was never given out or whose slot has been
 *         taken by a later step. */
BT_API BT_CHECKED bt_status bt_exec_wait(bt_exec *exec, bt_ticket ticket, int timeout_ms);

/* Output k of a completed step, until its slot is taken by ticket + n_slot. */
BT_API void *bt_exec_output(bt_exec *exec, bt_ticket ticket, int32_t k);
BT_API bt_desc bt_exec_output_desc(bt_exec *exec, bt_ticket ticket, int32_t k);

/* Plan for these shapes now, so that a step with them finds its plan; while the device runs other
 * steps. Not on a context with several host threads while steps are being submitted. */
BT_API BT_CHECKED bt_status bt_exec_prepare(bt_exec *exec, const bt_desc *in_desc);
BT_API bool bt_exec_is_prepared(const bt_exec *exec, const bt_desc *in_desc);

/* Change a parameter of a node for the steps submitted from now on; `value` is of the field's type
 * (all elements of an array). A VALUE or ADDRESS field keeps all plans (they are bound again); a
 * KEY field leads to another plan, and back to the old one when it is changed back.
 * Errors  NOTFOUND: no such node or field.  BUSY: steps are in flight. */
BT_API BT_CHECKED bt_status bt_exec_set_param(bt_exec *exec, const char *node, const char *field,
                                              const void *value);

/* UNSUPPORTED names the first node whose operator must not be captured, and why. */
BT_API BT_CHECKED bt_status bt_exec_can_capture(const bt_exec *exec);

/* ---- what happened ---- */

typedef struct bt_exec_counters {
    uint64_t steps;                  /* submitted */
    uint64_t plans_built;            /* shapes planned */
    uint64_t plan_hits;              /* steps that found their plan by looking it up */
    uint64_t plans_reused;           /* steps whose inputs looked as before: not even looked up */
    uint64_t setups_run;             /* nodes set up */
    uint64_t setups_skipped;         /* nodes whose setup came from a cache or with a cached plan */
    uint64_t node_hits, node_misses; /* of the node cache, while plans were built */
    uint64_t binds, bytes_bound;     /* plans whose launches were written, and how much */
    uint64_t captures, replays;      /* plans captured; steps that were replays */
    uint64_t launches;               /* kernels enqueued, replays included */
    uint64_t waits;                  /* steps that had to wait for a slot or a ring */
    int64_t host_ns[3];              /* time spent in plan, bind, launch; waits not counted. Only
                                      * while a trace is on or `clock` was asked for */
} bt_exec_counters;
/* Exact while no step is in flight. */
BT_API void bt_exec_get_counters(const bt_exec *exec, bt_exec_counters *ret_counters);

typedef struct bt_exec_memory {
    int64_t arena_bytes;   /* intermediate values, as planned at the largest shapes */
    int64_t bound_bytes;   /* the most that lives at one time: no plan can do with less */
    int64_t sum_bytes;     /* without sharing; sum_bytes / arena_bytes is the reuse ratio */
    int64_t output_bytes;  /* all slots */
    int64_t input_bytes;   /* copies of inputs, all slots */
    int64_t plan_bytes;    /* room for plans and launch records */
    int64_t capture_bytes; /* captured so far */
    int32_t n_plan_max;
} bt_exec_memory;
BT_API void bt_exec_get_memory(const bt_exec *exec, bt_exec_memory *ret_memory);

#ifdef __cplusplus
}
#endif
#endif
