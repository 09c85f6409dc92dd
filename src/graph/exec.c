// SPDX-License-Identifier: Apache-2.0
/* exec: opening an executable, handing out slots, waiting for tickets. The stages are stages.c. */
#include "graph/exec.h"
#include "base/alloc.h"
#include "base/hash.h"
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

static void hash_keys(bt_exec *e)
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
    hash_keys(e);
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
        bt_exec_close(e);
    else
        *ret_exec = e;
    return st;
}

/* Wait for everything that is under way; what fails has failed already. */
static void drain(bt_exec *e)
{
    for (int32_t i = 0; i < e->n_slot; i++)
        if (e->slot[i].done && e->slot[i].ticket && bt_exec_wait(e, e->slot[i].ticket, -1) != BT_OK)
            e->slot[i].state = BT_SLOT_FREE;
}

void bt_exec_close(bt_exec *e)
{
    if (!e) return;
    drain(e);
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

/* ---- slots ---- */

static int64_t until(int timeout_ms)
{
    return timeout_ms < 0 ? -1 : bt_now_ns() + (int64_t)timeout_ms * 1000000;
}

/* Wait until the stages are through with a slot; false when the time is over. */
static bool await_stages(bt_exec *e, bt_exec_slot *slot, int64_t until_ns)
{
    bool in_time = true;
    if (!e->context->n_stage) return true;
    bt_monitor_enter(&e->context->monitor);
    while (slot->state == BT_SLOT_STAGED && in_time)
        in_time = bt_monitor_wait(&e->context->monitor, until_ns);
    in_time = slot->state != BT_SLOT_STAGED;
    bt_monitor_leave(&e->context->monitor);
    return in_time;
}

static bt_slot_state state_of(bt_exec *e, bt_exec_slot *slot)
{
    if (!e->context->n_stage) return slot->state;
    bt_monitor_enter(&e->context->monitor);
    bt_slot_state state = slot->state;
    bt_monitor_leave(&e->context->monitor);
    return state;
}

static void set_state(bt_exec *e, bt_exec_slot *slot, bt_slot_state state)
{
    bt_monitor_enter(&e->context->monitor);
    slot->state = state;
    bt_monitor_wake(&e->context->monitor);
    bt_monitor_leave(&e->context->monitor);
}

/* The last stage is through: its counts become everybody's. */
void bt_exec_staged(bt_exec *e, bt_exec_slot *slot, bt_status status)
{
    bt_exec_counters *c = &e->counters;
    bt_monitor_enter(&e->context->monitor);
    if (slot->n_bound) {
        c->binds++;
        c->bytes_bound += (uint64_t)slot->n_bound * sizeof(bt_launch);
    }
    c->captures += slot->captured;
    c->replays += slot->replayed;
    c->launches += (uint64_t)slot->n_launched;
    slot->state = status == BT_OK ? BT_SLOT_LAUNCHED : BT_SLOT_FAILED;
    bt_monitor_wake(&e->context->monitor);
    bt_monitor_leave(&e->context->monitor);
}

static void note_wait(bt_exec *e, int64_t begin_ns)
{
    bt_trace *trace = bt_trace_of(&e->context->device->trace);
    e->counters.waits++;
    if (trace)
        bt_trace_add(trace, &(bt_span){.begin_ns = begin_ns,
                                       .end_ns = bt_now_ns(),
                                       .name = "held back",
                                       .lane = BT_LANE_WAIT,
                                       .step = (int32_t)e->n_ticket + 1});
}

/* The fence: the slot's earlier step is complete before anything of it is written again. */
static bt_status await_slot(bt_exec *e, bt_exec_slot *slot, int timeout_ms)
{
    int64_t begin_ns = bt_now_ns(), until_ns = until(timeout_ms);
    bool waits = state_of(e, slot) == BT_SLOT_STAGED;
    BT_FAIL_IF(!await_stages(e, slot, until_ns), BUSY, "no slot became free in %d ms", timeout_ms);
    if (state_of(e, slot) == BT_SLOT_LAUNCHED && !(e->unsafe & BT_UNSAFE_NO_FENCE)) {
        waits |= bt_stream_event_sync(slot->done, 0) == BT_BUSY;
        bt_status st = bt_stream_event_sync(slot->done, timeout_ms);
        if (st != BT_OK) bt_fail_note("waiting for the step before");
        BT_TRY(st);
    }
    if (waits) note_wait(e, begin_ns);
    return BT_OK;
}

static bt_exec_slot *next_slot(bt_exec *e) { return &e->slot[e->n_ticket % (uint64_t)e->n_slot]; }

static bt_status check_inputs(const bt_exec *e, const bt_desc *in_desc, void *const *in_ptr)
{
    for (int32_t i = 0; i < e->graph->n_input; i++) {
        BT_FAIL_IF(!in_ptr[i], INVALID, "the address of input %d is NULL", i);
        if (e->copy_offset[i] < 0) continue;
        BT_TRY(bt_plan_check_input(in_desc, i));
        BT_FAIL_IF(in_desc[i].layout != BT_ROWS, INVALID,
                   "input %d is packed, and cannot be copied", i);
        int64_t bytes = bt_desc_bytes(&in_desc[i]);
        BT_FAIL_IF(bytes > e->copy_max[i], INVALID,
                   "input %d has %lld bytes, at the largest shapes it had %lld", i,
                   (long long)bytes, (long long)e->copy_max[i]);
    }
    return BT_OK;
}

/* Take this step's addresses, and the bytes of those inputs that are copied. */
static void take_inputs(bt_exec *e, bt_exec_slot *slot, const bt_desc *in_desc, void *const *in_ptr,
                        bool recording)
{
    char *copies = e->unsafe & BT_UNSAFE_ONE_BUFFER ? e->copies : slot->copies;
    memcpy(slot->in_ptr, in_ptr, (size_t)e->graph->n_input * sizeof *in_ptr);
    for (int32_t i = 0; i < e->graph->n_input && !recording; i++) {
        if (e->copy_offset[i] < 0) continue;
        slot->in_ptr[i] = copies + e->copy_offset[i];
        memcpy(slot->in_ptr[i], in_ptr[i], (size_t)bt_desc_bytes(&in_desc[i]));
    }
}

/* ---- a step ---- */

static bt_status pass_on(bt_exec *e, bt_exec_slot *slot, int timeout_ms)
{
    bt_stage_job job = {.exec = e, .slot = (int32_t)(slot - e->slot)};
    int64_t begin_ns = bt_now_ns();
    set_state(e, slot, BT_SLOT_STAGED);
    bt_status st = bt_context_push(e->context, 0, job, 0);
    if (st == BT_BUSY && timeout_ms != 0) {
        st = bt_context_push(e->context, 0, job, timeout_ms);
        note_wait(e, begin_ns);
    }
    if (st != BT_OK) set_state(e, slot, BT_SLOT_FREE);
    return st;
}

static bt_status run_stages(bt_exec *e, bt_exec_slot *slot)
{
    bt_stage_bind(e, slot);
    bt_status st = bt_stage_launch(e, slot);
    bt_exec_staged(e, slot, st);
    if (st != BT_OK || bt_stream_is_capturing(e->context->stream[0])) slot->state = BT_SLOT_FREE;
    return st;
}

bt_status bt_exec_submit(bt_exec *e, const bt_desc *in_desc, void *const *in_ptr, int timeout_ms,
                         bt_ticket *ret_ticket)
{
    bt_exec_slot *slot = next_slot(e);
    bool recording = !e->context->n_stage && bt_stream_is_capturing(e->context->stream[0]);
    if (recording) BT_TRY(bt_exec_can_capture(e));
    BT_TRY(check_inputs(e, in_desc, in_ptr));
    BT_TRY(await_slot(e, slot, timeout_ms));
    slot->state = BT_SLOT_FREE; // nobody else looks at it now
    slot->ticket = recording ? 0 : e->n_ticket + 1;
    slot->n_bound = slot->n_launched = 0;
    slot->captured = slot->replayed = false;
    bt_status st = bt_stage_plan(e, slot, in_desc);
    if (st == BT_OK) {
        take_inputs(e, slot, in_desc, in_ptr, recording);
        st = e->context->n_stage ? pass_on(e, slot, timeout_ms) : run_stages(e, slot);
    }
    if (st != BT_OK) {
        slot->ticket = 0;
        return st;
    }
    e->counters.steps++;
    if (recording) e->recorded = slot;
    if (!recording) e->n_ticket++;
    *ret_ticket = slot->ticket;
    return BT_OK;
}

bt_status bt_exec_start(bt_exec *e)
{
    for (int32_t i = 0; i < e->context->config.n_stream; i++)
        BT_TRY(bt_stream_start(e->context->stream[i]));
    return BT_OK;
}

static bt_exec_slot *slot_of(bt_exec *e, bt_ticket ticket)
{
    if (ticket == 0) return e->recorded && e->recorded->plan ? e->recorded : NULL;
    bt_exec_slot *slot = &e->slot[(ticket - 1) % (uint64_t)e->n_slot];
    return slot->ticket == ticket ? slot : NULL;
}

bt_status bt_exec_wait(bt_exec *e, bt_ticket ticket, int timeout_ms)
{
    bt_exec_slot *slot = ticket ? slot_of(e, ticket) : NULL;
    BT_FAIL_IF(!slot, NOTFOUND,
               "ticket %llu is not of a step that is in flight or was the last in "
               "its slot",
               (unsigned long long)ticket);
    BT_FAIL_IF(!await_stages(e, slot, until(timeout_ms)), BUSY,
               "step %llu was not launched in %d ms", (unsigned long long)ticket, timeout_ms);
    bt_slot_state state = state_of(e, slot);
    if (state == BT_SLOT_FAILED) {
        set_state(e, slot, BT_SLOT_FREE);
        slot->ticket = 0;
        return bt_fail(slot->status, "%s", slot->message);
    }
    if (state == BT_SLOT_FREE) return BT_OK; // waited for before
    BT_TRY(bt_stream_event_sync(slot->done, timeout_ms));
    set_state(e, slot, BT_SLOT_FREE);
    return BT_OK;
}

void *bt_exec_output(bt_exec *e, bt_ticket ticket, int32_t k)
{
    bt_exec_slot *slot = slot_of(e, ticket);
    if (!slot || k < 0 || k >= e->graph->n_output) return NULL;
    return bt_exec_address(e, slot, e->graph->output[k]);
}

bt_desc bt_exec_output_desc(bt_exec *e, bt_ticket ticket, int32_t k)
{
    bt_exec_slot *slot = slot_of(e, ticket);
    if (!slot || k < 0 || k >= e->graph->n_output) return (bt_desc){0};
    return slot->plan->plan.desc[e->graph->output[k]];
}

/* ---- beside the steps ---- */

bt_status bt_exec_prepare(bt_exec *e, const bt_desc *in_desc)
{
    bt_exec_plan *plan;
    if (e->off & BT_NO_PLAN_CACHE || bt_exec_is_prepared(e, in_desc)) return BT_OK;
    return bt_exec_find_plan(e, in_desc, &plan);
}

static const bt_field *find_field(const bt_op *op, const char *name)
{
    for (int32_t i = 0; i < op->n_field; i++)
        if (!strcmp(op->field[i].name, name)) return &op->field[i];
    return NULL;
}

bt_status bt_exec_set_param(bt_exec *e, const char *node, const char *field, const void *value)
{
    int32_t n = 0;
    while (n < e->graph->n_node && strcmp(e->graph->node[n].name, node)) n++;
    BT_FAIL_IF(n == e->graph->n_node, NOTFOUND, "there is no node '%s'", node);
    const bt_op *op = e->graph->node[n].op;
    const bt_field *f = find_field(op, field);
    BT_FAIL_IF(!f, NOTFOUND, "node '%s': operator '%s' has no parameter '%s'", node, op->name,
               field);
    for (int32_t i = 0; i < e->n_slot; i++)
        BT_FAIL_IF(state_of(e, &e->slot[i]) != BT_SLOT_FREE, BUSY,
                   "step %llu is in flight: parameters change between steps",
                   (unsigned long long)e->slot[i].ticket);
    char *at = (char *)(e->param + (size_t)n * (BT_OP_PARAM_BYTES / 8)) + f->offset;
    size_t bytes = (size_t)bt_op_field_bytes(f);
    if (!memcmp(at, value, bytes)) return BT_OK;
    memcpy(at, value, bytes);
    if (f->role == BT_FIELD_KEY) {
        e->key_version++;
        hash_keys(e);
    } else {
        e->value_version++;
    }
    return BT_OK;
}

bt_status bt_exec_can_capture(const bt_exec *e)
{
    if (e->no_capture_node < 0) return BT_OK;
    const bt_graph_node_info *n = &e->graph->node[e->no_capture_node];
    return bt_fail(BT_UNSUPPORTED,
                   "node '%s' cannot be captured: operator '%s' does something anew each time",
                   n->name, n->op->name);
}

void bt_exec_get_counters(const bt_exec *exec, bt_exec_counters *ret_counters)
{
    bt_context *c = exec->context;
    bt_monitor_enter(&c->monitor);
    *ret_counters = exec->counters;
    bt_monitor_leave(&c->monitor);
}

void bt_exec_get_memory(const bt_exec *e, bt_exec_memory *ret_memory)
{
    *ret_memory = (bt_exec_memory){.arena_bytes = e->base.arena_bytes,
                                   .bound_bytes = e->base.bound_bytes,
                                   .sum_bytes = e->base.sum_bytes,
                                   .output_bytes = e->n_slot * e->base.output_bytes,
                                   .input_bytes = e->n_slot * e->copy_bytes,
                                   .plan_bytes = e->plan_bytes,
                                   .capture_bytes = e->capture_bytes,
                                   .n_plan_max = e->n_plan};
}

void bt_exec_set_unsafe(bt_exec *exec, uint32_t unsafe) { exec->unsafe = unsafe; }

bt_status bt_exec_fingerprint(bt_exec *e, const bt_desc *in_desc, uint64_t *ret)
{
    bt_exec_plan *p;
    BT_TRY(bt_exec_find_plan(e, in_desc, &p));
    *ret = bt_plan_fingerprint(&e->base, &p->plan);
    return BT_OK;
}
