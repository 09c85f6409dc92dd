// SPDX-License-Identifier: Apache-2.0
/* context: a device, its streams, the cache of nodes, and the threads of the pipeline. One thread at
 * a time submits; it plans. Where there are more host threads, a step then travels through rings:
 *
 *   1 thread    caller: plan, bind, launch
 *   2 threads   caller: plan  --ring-->  bind, launch
 *   3 threads   caller: plan  --ring-->  bind  --ring-->  launch
 */
#pragma once
#include "base/monitor.h"
#include "base/queue.h"
#include "base/thread.h"
#include "baton/dispatch.h"
#include "device/device.h"
#include "graph/nodecache.h"
#include "graph/streams.h"

enum { BT_STAGE_MAX = 2 }; // stages that may have a thread of their own

struct bt_exec;

/* A step on its way from stage to stage: what its executable does on stage thread i. */
typedef struct bt_stage_job {
    void (*run)(struct bt_exec *exec, int32_t slot, int32_t stage);
    struct bt_exec *exec;
    int32_t slot;
} bt_stage_job;

typedef struct bt_stage_thread {
    struct bt_context *context;
    bt_thread thread;
    bt_queue *ring; // of bt_stage_job
    int32_t i;      // 0 or 1
} bt_stage_thread;

struct bt_context {
    bt_device *device;
    bt_context_config config; // defaults filled in
    bt_node_cache *nodes;
    bt_stream *stream[BT_GRAPH_STREAM_MAX]; // [n_stream]
    bt_stage_thread stage[BT_STAGE_MAX];    // [n_host_thread - 1]
    int32_t n_stage;
    bt_monitor monitor; // guards the states of all executables' slots
};

/* Hand a step to stage thread i; BUSY when its ring stays full for timeout_ms. */
BT_CHECKED bt_status bt_context_push(bt_context *context, int32_t i, bt_stage_job job,
                                     int timeout_ms);
