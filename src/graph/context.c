// SPDX-License-Identifier: Apache-2.0
/* context: opening and closing, and the threads of the pipeline. */
#include "graph/context.h"
#include "base/alloc.h"

enum { NODE_CACHE_BYTES = 4 << 20, RING_DEPTH = 2, RING_DEPTH_MAX = 64, WAKE_MS = 1000 };

static void *stage_main(void *arg)
{
    bt_stage_thread *t = arg;
    bt_stage_job job;
    for (;;) {
        bt_status st = bt_queue_pop(t->ring, &job, WAKE_MS);
        if (st == BT_BUSY) continue;
        if (st != BT_OK) return NULL; // the ring was closed
        job.run(job.exec, job.slot, t->i);
    }
}

bt_status bt_context_push(bt_context *context, int32_t i, bt_stage_job job, int timeout_ms)
{
    bt_status st;
    do st = bt_queue_push(context->stage[i].ring, &job, timeout_ms < 0 ? WAKE_MS : timeout_ms);
    while (st == BT_BUSY && timeout_ms < 0);
    return st;
}

static bt_status start_stages(bt_context *c)
{
    for (; c->n_stage < c->config.n_host_thread - 1; c->n_stage++) {
        bt_stage_thread *t = &c->stage[c->n_stage];
        *t = (bt_stage_thread){.context = c, .i = c->n_stage};
        BT_TRY(bt_queue_new(sizeof(bt_stage_job), (size_t)c->config.ring_depth, &t->ring));
        bt_status st = bt_thread_start(&t->thread, stage_main, t);
        if (st != BT_OK) {
            bt_queue_free(t->ring);
            return st;
        }
    }
    return BT_OK;
}

static bt_status fill_config(const bt_context_config *config, bt_context_config *ret)
{
    bt_context_config c = config ? *config : (bt_context_config){0};
    if (!c.n_host_thread) c.n_host_thread = 1;
    if (!c.ring_depth) c.ring_depth = RING_DEPTH;
    if (!c.n_stream) c.n_stream = 1;
    if (!c.node_cache_bytes) c.node_cache_bytes = NODE_CACHE_BYTES;
    BT_FAIL_IF(c.n_host_thread < 1 || c.n_host_thread > 1 + BT_STAGE_MAX, INVALID,
               "%d host threads, must be from 1 to %d", c.n_host_thread, 1 + BT_STAGE_MAX);
    BT_FAIL_IF(c.ring_depth < 1 || c.ring_depth > RING_DEPTH_MAX, INVALID,
               "a ring of %d steps, must be from 1 to %d", c.ring_depth, RING_DEPTH_MAX);
    BT_FAIL_IF(c.n_stream < 1 || c.n_stream > BT_GRAPH_STREAM_MAX, INVALID,
               "%d streams, must be from 1 to %d", c.n_stream, BT_GRAPH_STREAM_MAX);
    *ret = c;
    return BT_OK;
}

bt_status bt_context_open(bt_device *device, const bt_context_config *config,
                          bt_context **ret_context)
{
    bt_context *c;
    bt_context_config filled;
    BT_TRY(fill_config(config, &filled));
    BT_TRY(bt_alloc_zero((void **)&c, sizeof *c, BT_MEM_PLAN));
    c->device = device;
    c->config = filled;
    bt_monitor_init(&c->monitor);
    bt_status st = bt_node_cache_new(filled.node_cache_bytes, NULL, &c->nodes);
    for (int32_t i = 0; i < filled.n_stream && st == BT_OK; i++)
        st = bt_stream_new(device, &c->stream[i]);
    if (st == BT_OK) st = start_stages(c);
    if (st != BT_OK)
        bt_context_close(c);
    else
        *ret_context = c;
    return st;
}

void bt_context_close(bt_context *c)
{
    if (!c) return;
    for (int32_t i = 0; i < c->n_stage; i++) bt_queue_close(c->stage[i].ring);
    for (int32_t i = 0; i < c->n_stage; i++) {
        bt_thread_join(&c->stage[i].thread);
        bt_queue_free(c->stage[i].ring);
    }
    for (int32_t i = 0; i < BT_GRAPH_STREAM_MAX; i++) bt_stream_free(c->stream[i]);
    bt_node_cache_free(c->nodes);
    bt_monitor_done(&c->monitor);
    bt_free(c);
}

bt_stream *bt_context_stream(bt_context *context) { return context->stream[0]; }
