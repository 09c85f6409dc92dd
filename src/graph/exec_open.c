// SPDX-License-Identifier: Apache-2.0
/* exec_open: everything an executable will ever need is made here: the largest plan, room for the
 * others with their launch records, the arena, the slots; and freed here. */
#include "base/alloc.h"
#include "base/hash.h"
#include "graph/exec.h"
#include <string.h>

enum { PLAN_BYTES = 16 << 20, CAPTURE_BYTES = 16 << 20, PLAN_MAX = 64, SLOTS_PIPELINED = 3 };

/* ---- opening ---- */

static bt_status check_config(const bt_exec_config *c)
{
    BT_FAIL_IF(!c || !c->max_desc, INVALID, "the largest shapes (max_desc) are not given");
    BT_FAIL_IF(c->n_slot < 0 || c->n_slot > BT_SLOT_IN_FLIGHT_MAX, INVALID,
               "%d steps in flight, must be from 1 to %d", c->n_slot, BT_SLOT_IN_FLIGHT_MAX);
    BT_FAIL_IF(c->plan_bytes < 0 || c->capture_bytes < 0, INVALID, "a negative bound on bytes");
    return BT_OK;
}

/* The parameters as the graph has them; the caller may change them later. */
static bt_status copy_params(bt_exec *e)
{
    const bt_graph *g = e->graph;
    BT_TRY(
        bt_alloc_array((void **)&e->param, (size_t)g->n_node + 1, BT_OP_PARAM_BYTES, BT_MEM_PLAN));
    e->no_capture_node = -1;
    for (int32_t n = g->n_node; n-- > 0;) {
        memcpy(e->param + (size_t)n * (BT_OP_PARAM_BYTES / 8), g->node[n].param, BT_OP_PARAM_BYTES);
        if (g->node[n].op->flags & BT_OP_NO_CAPTURE) e->no_capture_node = n;
    }
    return BT_OK;
}

void bt_exec_hash_keys(bt_exec *e)
{
    uint8_t key[BT_OP_PARAM_BYTES];
    e->key_hash = 0;
    for (int32_t n = 0; n < e->graph->n_node; n++) {
        int32_t bytes =
            bt_param_key(e->graph->node[n].op, e->param + (size_t)n * (BT_OP_PARAM_BYTES / 8), key);
        if (bytes)
            e->key_hash = bt_hash64(key, (size_t)bytes, bt_hash_pair(e->key_hash, (uint64_t)n));
    }
}

static bt_status plan_largest(bt_exec *e, const bt_desc *max_desc)
{
    void *block;
    bt_plan plan;
    BT_TRY(bt_alloc_zero(&block, bt_plan_bytes(&e->base), BT_MEM_PLAN));
    bt_plan_lay_out(&e->base, block, &plan);
    bt_status st = bt_plan_largest(&e->base, max_desc, e->param, &plan);
    bt_free(block);
    return st;
}

static size_t round64(size_t n) { return (n + 63) & ~(size_t)63; }

/* All plans with their launch records, in one block. */
static bt_status alloc_plans(bt_exec *e, int64_t bytes_max)
{
    size_t n_input = (size_t)e->graph->n_input, n_slot = (size_t)e->n_slot;
    size_t plan = round64(bt_plan_bytes(&e->base));
    size_t launch = round64((size_t)e->base.n_launch_max * sizeof(bt_launch));
    size_t ptr = round64(n_input * sizeof(void *)), each = plan + n_slot * (launch + ptr);
    int64_t n = bt_min_i64(bytes_max / (int64_t)each, PLAN_MAX);
    e->n_plan = (int32_t)bt_max_i64(n, e->n_slot + 1);
    e->plan_bytes = (int64_t)each * e->n_plan;
    BT_TRY(bt_alloc_array((void **)&e->plan, (size_t)e->n_plan, sizeof *e->plan, BT_MEM_PLAN));
    BT_TRY(bt_alloc_array(&e->plan_block, (size_t)e->n_plan, each, BT_MEM_PLAN));
    char *at = e->plan_block;
    for (int32_t i = 0; i < e->n_plan; i++) {
        bt_plan_lay_out(&e->base, at, &e->plan[i].plan);
        at += plan;
        for (int32_t k = 0; k < e->n_slot; k++, at += launch + ptr) {
            e->plan[i].bound[k].launch = (bt_launch *)at;
            e->plan[i].bound[k].in_ptr = (void **)(at + launch);
        }
    }
    return BT_OK;
}

/* Where copied inputs lie in a slot's copies. */
static bt_status lay_out_copies(bt_exec *e, const bt_exec_config *c)
{
    BT_TRY(bt_alloc_array((void **)&e->copy_offset, (size_t)e->graph->n_input + 1,
                          sizeof *e->copy_offset, BT_MEM_PLAN));
    BT_TRY(bt_alloc_array((void **)&e->copy_max, (size_t)e->graph->n_input + 1, sizeof *e->copy_max,
                          BT_MEM_PLAN));
    for (int32_t i = 0; i < e->graph->n_input; i++) {
        e->copy_offset[i] = -1;
        if (!c->copy || !c->copy[i]) continue;
        BT_FAIL_IF(c->max_desc[i].layout != BT_ROWS, INVALID,
                   "input %d is packed, and cannot be copied", i);
        e->copy_offset[i] = e->copy_bytes;
        e->copy_max[i] = bt_desc_bytes(&c->max_desc[i]);
        e->copy_bytes += bt_round_up(e->copy_max[i], 64);
    }
    return BT_OK;
}

static bt_status alloc_slots(bt_exec *e)
{
    bt_device *d = e->context->device;
    size_t n_input = (size_t)e->graph->n_input + 1, n_slot = (size_t)e->n_slot;
    BT_TRY(bt_device_alloc(d, (size_t)e->base.arena_bytes, &e->arena));
    BT_TRY(bt_device_alloc(d, n_slot * (size_t)e->base.output_bytes, (void **)&e->outputs));
    BT_TRY(bt_device_alloc(d, n_slot * (size_t)e->copy_bytes, (void **)&e->copies));
    BT_TRY(bt_alloc_array(&e->block, n_slot * n_input, sizeof(void *), BT_MEM_PLAN));
    for (int32_t i = 0; i < e->n_slot; i++) {
        bt_exec_slot *s = &e->slot[i];
        s->in_ptr = (void **)e->block + (size_t)i * n_input;
        s->outputs = e->outputs + i * e->base.output_bytes;
        s->copies = e->copies + i * e->copy_bytes;
        BT_TRY(bt_stream_event_new(d, &s->done));
    }
    return BT_OK;
}

static bt_status make_events(bt_exec *e)
{
    const bt_streams *s = &e->base.streams;
    bt_device *d = e->context->device;
    if (s->n_stream <= 1) return BT_OK;
    BT_TRY(bt_stream_event_new(d, &e->begin));
    for (int32_t i = 1; i < s->n_stream; i++) BT_TRY(bt_stream_event_new(d, &e->end[i]));
    BT_TRY(
        bt_alloc_array((void **)&e->event, (size_t)s->n_event + 1, sizeof *e->event, BT_MEM_PLAN));
    for (int32_t i = 0; i < s->n_event; i++) BT_TRY(bt_stream_event_new(d, &e->event[i]));
    return BT_OK;
}

static bt_status open_parts(bt_exec *e, bt_graph *graph, const bt_exec_config *config)
{
    bt_op_env env = {.kernels = e->context->device->kernels};
    int64_t plan_bytes = config->plan_bytes ? config->plan_bytes : PLAN_BYTES;
    BT_TRY(bt_plan_base_init(&e->base, graph, &env, e->context->config.n_stream));
    e->graph = e->base.graph;
    if (!(e->off & BT_NO_NODE_CACHE)) e->base.nodes = e->context->nodes;
    BT_TRY(copy_params(e));
    bt_exec_hash_keys(e);
    BT_TRY(bt_plan_check_inputs(graph, config->max_desc));
    BT_TRY(plan_largest(e, config->max_desc));
    BT_TRY(alloc_plans(e, plan_bytes));
    BT_TRY(lay_out_copies(e, config));
    BT_TRY(alloc_slots(e));
    return make_events(e);
}

bt_status bt_exec_open(bt_context *context, bt_graph *graph, const bt_exec_config *config,
                       bt_exec **ret_exec)
{
    bt_exec *e;
    BT_TRY(check_config(config));
    BT_TRY(bt_alloc_zero((void **)&e, sizeof *e, BT_MEM_PLAN));
    e->context = context;
    e->off = config->off;
    e->clock = config->clock;
    e->key_version = e->value_version = 1;
    e->capture_bytes_max = config->capture_bytes ? config->capture_bytes : CAPTURE_BYTES;
    e->n_slot = config->n_slot                      ? config->n_slot
                : context->config.n_host_thread > 1 ? SLOTS_PIPELINED
                                                    : 1;
    bt_status st = open_parts(e, graph, config);
    if (st != BT_OK)
        bt_exec_free(e);
    else
        *ret_exec = e;
    return st;
}

void bt_exec_free(bt_exec *e)
{
    for (int32_t i = 0; i < e->n_plan_used; i++)
        for (int32_t k = 0; k < e->n_slot; k++) bt_exec_drop_capture(e, &e->plan[i].bound[k]);
    for (int32_t i = 0; i < e->n_slot; i++) bt_stream_event_free(e->slot[i].done);
    for (int32_t i = 0; e->event && i < e->base.streams.n_event; i++)
        bt_stream_event_free(e->event[i]);
    for (int32_t i = 0; i < BT_GRAPH_STREAM_MAX; i++) bt_stream_event_free(e->end[i]);
    bt_stream_event_free(e->begin);
    bt_device_free(e->context->device, e->arena);
    bt_device_free(e->context->device, e->outputs);
    bt_device_free(e->context->device, e->copies);
    bt_plan_base_done(&e->base);
    bt_free(e->event);
    bt_free(e->plan);
    bt_free(e->plan_block);
    bt_free(e->copy_offset);
    bt_free(e->copy_max);
    bt_free(e->block);
    bt_free(e->param);
    bt_free(e);
}
