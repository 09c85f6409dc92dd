// SPDX-License-Identifier: Apache-2.0
/* exec: handing out slots, waiting for tickets, and what may be asked beside the steps. Opening is
 * exec_open.c, the stages are stages.c. */
#include "graph/exec.h"
#include <string.h>

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
    bt_stage_job job = {.run = bt_stage_run, .exec = e, .slot = (int32_t)(slot - e->slot)};
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
    if (e->context->n_stage) return BT_OK; // the launch stage does, step by step
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

/* The device may have been waited for from before the step's end on: the host is late from there. */
static void note_completion(bt_exec *e, const bt_exec_slot *slot, int64_t begin_ns)
{
    bt_trace *trace = bt_trace_of(&e->context->device->trace);
    if (trace && begin_ns && slot->done->reached_ns)
        bt_trace_add(trace, &(bt_span){.begin_ns = bt_max_i64(begin_ns, slot->done->reached_ns),
                                       .end_ns = bt_now_ns(),
                                       .name = "complete",
                                       .lane = BT_LANE_COMPLETE,
                                       .step = (int32_t)slot->ticket});
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
    int64_t begin_ns = bt_trace_of(&e->context->device->trace) ? bt_now_ns() : 0;
    BT_TRY(bt_stream_event_sync(slot->done, timeout_ms));
    note_completion(e, slot, begin_ns);
    set_state(e, slot, BT_SLOT_FREE);
    return BT_OK;
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
    bt_exec_free(e);
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
        bt_exec_hash_keys(e);
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
