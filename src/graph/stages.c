// SPDX-License-Identifier: Apache-2.0
/* stages: plan, bind and launch of one step. Each can run on a thread of its own: plan touches the
 * cache of plans, bind and launch only what belongs to the slot and its plan, which nobody takes
 * away while the slot is theirs. */
#include "base/alloc.h"
#include "base/hash.h"
#include "device/capture.h"
#include "graph/exec.h"
#include <string.h>

/* ---- time ---- */

static int64_t begin_stage(const bt_exec *e)
{
    return e->clock || bt_trace_of(&e->context->device->trace) ? bt_now_ns() : 0;
}

static void end_stage(bt_exec *e, const bt_exec_slot *slot, bt_lane lane, int64_t begin_ns)
{
    static const char *const names[] = {
        [BT_LANE_PLAN] = "plan", [BT_LANE_BIND] = "bind", [BT_LANE_LAUNCH] = "launch"};
    if (!begin_ns) return;
    int64_t now = bt_now_ns();
    bt_trace *trace = bt_trace_of(&e->context->device->trace);
    e->counters.host_ns[lane - BT_LANE_PLAN] += now - begin_ns; // each stage has its own
    if (trace)
        bt_trace_add(trace, &(bt_span){.begin_ns = begin_ns,
                                       .end_ns = now,
                                       .name = names[lane],
                                       .lane = lane,
                                       .step = (int32_t)slot->ticket});
}

/* ---- plan ---- */

/* Of the shapes and the KEY parameters of the steps to come. */
static uint64_t hash_of(const bt_exec *e, const bt_desc *in_desc)
{
    uint8_t key[8 + 16 * BT_DIM_MAX];
    uint64_t h = e->key_hash;
    for (int32_t i = 0; i < e->graph->n_input; i++) {
        int32_t bytes = bt_desc_key(&in_desc[i], key);
        h = bt_hash64(key, (size_t)bytes, h);
    }
    return e->unsafe & BT_UNSAFE_ONE_HASH ? 0 : h;
}

static bool same_descs(const bt_desc *a, const bt_desc *b, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        if (!bt_desc_equal(&a[i], &b[i])) return false;
    return true;
}

/* Are the KEY parameters that the plan was made for those of the steps to come? */
static bool same_keys(bt_exec *e, bt_exec_plan *p)
{
    if (p->key_version == e->key_version) return true;
    for (int32_t n = 0; n < e->graph->n_node; n++) {
        uint8_t a[BT_OP_PARAM_BYTES], b[BT_OP_PARAM_BYTES];
        size_t at = (size_t)n * (BT_OP_PARAM_BYTES / 8);
        int32_t n_key = bt_param_key(e->graph->node[n].op, p->plan.param + at, a);
        bt_param_key(e->graph->node[n].op, e->param + at, b);
        if (memcmp(a, b, (size_t)n_key)) return false;
    }
    p->key_version = e->key_version;
    return true;
}

static bt_exec_plan *look_up(bt_exec *e, uint64_t hash, const bt_desc *in_desc)
{
    for (int32_t i = 0; i < e->n_plan_used; i++) {
        bt_exec_plan *p = &e->plan[i];
        if (p->plan.valid && p->plan.hash == hash &&
            same_descs(p->plan.in_desc, in_desc, e->graph->n_input) && same_keys(e, p))
            return p;
    }
    return NULL;
}

/* A slot shows its step's outputs until it is taken again, and the plan says where they lie. */
static bool is_shown(const bt_exec *e, const bt_exec_plan *p)
{
    for (int32_t i = 0; i < e->n_slot; i++)
        if (e->slot[i].plan == p) return true;
    return false;
}

/* An unused plan, or the least recently used one that is no slot's: there is one, for there are
 * more plans than slots. */
static bt_exec_plan *take_place(bt_exec *e)
{
    bt_exec_plan *oldest = NULL;
    if (e->n_plan_used < e->n_plan) return &e->plan[e->n_plan_used++];
    for (int32_t i = 0; i < e->n_plan; i++) {
        bt_exec_plan *p = &e->plan[i];
        if (!is_shown(e, p) && (!oldest || p->plan.last_use < oldest->plan.last_use)) oldest = p;
    }
    assert(oldest);
    for (int32_t i = 0; i < e->n_slot; i++) bt_exec_drop_capture(e, &oldest->bound[i]);
    return oldest;
}

static bt_status make(bt_exec *e, uint64_t hash, const bt_desc *in_desc, bt_exec_plan **ret_plan)
{
    bt_plan_counters c = {0};
    bt_exec_plan *p = take_place(e);
    if (e->last == p) e->last = NULL;
    for (int32_t i = 0; i < e->n_slot; i++) p->bound[i].valid = false;
    bt_status st = bt_plan_make(&e->base, in_desc, e->param, &p->plan, &c);
    e->counters.setups_run += c.setups_run;
    e->counters.setups_skipped += c.setups_skipped;
    e->counters.node_hits += c.node_hits;
    e->counters.node_misses += c.node_misses;
    if (st != BT_OK) {
        p->plan.last_use = 0; // the first to go
        return st;
    }
    e->counters.plans_built++;
    p->plan.hash = hash;
    p->key_version = e->key_version;
    *ret_plan = p;
    return BT_OK;
}

bt_status bt_exec_find_plan(bt_exec *e, const bt_desc *in_desc, bt_exec_plan **ret_plan)
{
    bt_exec_plan *p = NULL;
    uint64_t hash = 0;
    BT_TRY(bt_plan_check_inputs(e->graph, in_desc));
    if (!(e->off & BT_NO_PLAN_CACHE)) {
        hash = hash_of(e, in_desc);
        p = look_up(e, hash, in_desc);
    }
    if (p) {
        e->counters.plan_hits++;
        e->counters.setups_skipped += (uint64_t)e->base.n_setup;
    } else {
        BT_TRY(make(e, hash, in_desc, &p));
    }
    p->plan.last_use = ++e->clock_lru;
    *ret_plan = p;
    return BT_OK;
}

bool bt_exec_is_prepared(const bt_exec *exec, const bt_desc *in_desc)
{
    bt_exec *e = (bt_exec *)exec; // looking up notes at most that two sets of parameters are equal
    return !(e->off & BT_NO_PLAN_CACHE) && bt_plan_check_inputs(e->graph, in_desc) == BT_OK &&
           look_up(e, hash_of(e, in_desc), in_desc) != NULL;
}

bt_status bt_stage_plan(bt_exec *e, bt_exec_slot *slot, const bt_desc *in_desc)
{
    int64_t begin_ns = begin_stage(e);
    bt_exec_plan *p = e->off & BT_NO_REUSE ? NULL : e->last;
    slot->plan = NULL; // its earlier step's outputs are gone from here on
    if (p && p->key_version == e->key_version &&
        !memcmp(p->plan.in_desc, in_desc, (size_t)e->graph->n_input * sizeof *in_desc)) {
        e->counters.plans_reused++;
        e->counters.setups_skipped += (uint64_t)e->base.n_setup;
    } else {
        BT_TRY(bt_exec_find_plan(e, in_desc, &p));
    }
    e->last = slot->plan = p;
    end_stage(e, slot, BT_LANE_PLAN, begin_ns);
    return BT_OK;
}

/* ---- bind ---- */

static void *address_of(const bt_exec *e, const bt_exec_slot *slot, bt_value v)
{
    const bt_plan *p = &slot->plan->plan;
    bt_value root = e->base.root[v];
    const bt_graph_value_info *info = &e->graph->value[root];
    char *base;
    switch (bt_plan_place(&e->base, v)) {
    case BT_AT_INPUT:
        base = slot->in_ptr[info->input];
        break;
    case BT_AT_CONST:
        base = (char *)info->data;
        break;
    case BT_AT_OUTPUT:
        base = slot->outputs + p->offset[root];
        break;
    default:
        base = (char *)e->arena + p->offset[root];
    }
    return base + p->view_bytes[v];
}

void *bt_exec_address(const bt_exec *exec, const bt_exec_slot *slot, bt_value v)
{
    return address_of(exec, slot, v);
}

static void bind_node(const bt_exec *e, const bt_exec_slot *slot, int32_t n, bt_launch *ret_launch)
{
    const bt_plan *p = &slot->plan->plan;
    const bt_graph_node_info *node = &e->graph->node[n];
    bt_desc in[BT_OP_IN_MAX];
    void *in_ptr[BT_OP_IN_MAX];
    for (int32_t i = 0; i < BT_OP_IN_MAX; i++) {
        bt_value v = node->in[i];
        in[i] = v == BT_VALUE_NONE ? (bt_desc){0} : p->desc[v];
        in_ptr[i] = v == BT_VALUE_NONE ? NULL : address_of(e, slot, v);
    }
    int64_t work = p->work_offset[n];
    node->op->bind(&(bt_op_bind){.param = e->param + (size_t)n * (BT_OP_PARAM_BYTES / 8),
                                 .in = in,
                                 .in_ptr = in_ptr,
                                 .out = &p->desc[node->out],
                                 .out_ptr = address_of(e, slot, node->out),
                                 .work = work < 0 ? NULL : (char *)e->arena + work,
                                 .setup = &p->setup[n]},
                   ret_launch);
    for (int32_t i = 0; i < p->setup[n].n_launch; i++) ret_launch[i].node = n;
}

/* Plans are captured by one stage and evicted by another. */
static void count_captured(bt_exec *e, int64_t bytes)
{
    bt_monitor_enter(&e->context->monitor);
    e->capture_bytes += bytes;
    bt_monitor_leave(&e->context->monitor);
}

void bt_exec_drop_capture(bt_exec *e, bt_bound *b)
{
    if (b->capture) count_captured(e, -bt_capture_bytes(b->capture));
    bt_capture_unref(b->capture);
    b->capture = NULL;
    b->captured = b->seen = false;
}

static bt_bound *bound_of(const bt_exec *e, const bt_exec_slot *slot)
{
    return &slot->plan->bound[slot - e->slot];
}

void bt_stage_bind(bt_exec *e, bt_exec_slot *slot)
{
    int64_t begin_ns = begin_stage(e);
    bt_bound *b = bound_of(e, slot);
    const bt_plan *p = &slot->plan->plan;
    size_t ptr_bytes = (size_t)e->graph->n_input * sizeof *b->in_ptr;
    if (!b->valid || b->version != e->value_version || memcmp(b->in_ptr, slot->in_ptr, ptr_bytes)) {
        bt_exec_drop_capture(e, b);
        for (int32_t n = 0; n < e->graph->n_node; n++)
            if (p->setup[n].n_launch) bind_node(e, slot, n, b->launch + p->launch_at[n]);
        memcpy(b->in_ptr, slot->in_ptr, ptr_bytes);
        b->version = e->value_version;
        b->valid = true;
        slot->n_bound = p->launch_at[e->graph->n_node];
    }
    end_stage(e, slot, BT_LANE_BIND, begin_ns);
}

/* ---- launch ---- */

static int32_t node_of_launch(const bt_exec *e, const bt_plan *p, int32_t launch)
{
    int32_t n = 0;
    while (n + 1 < e->graph->n_node && p->launch_at[n + 1] <= launch) n++;
    return n;
}

/* Enqueue launches [first, end) of the slot on a stream. */
static bt_status run(bt_exec *e, bt_exec_slot *slot, int32_t stream, int32_t first, int32_t end)
{
    int32_t failed;
    bt_stream *s = e->context->stream[stream];
    bt_status st = bt_stream_submit_at(s, bound_of(e, slot)->launch + first, end - first, &failed);
    if (st != BT_OK)
        bt_fail_note("launching node '%s'",
                     e->graph->node[node_of_launch(e, &slot->plan->plan, first + failed)].name);
    return st;
}

static bt_status order_stream(bt_exec *e, int32_t n)
{
    const bt_streams *s = &e->base.streams;
    for (int32_t w = s->wait_at[n]; w < s->wait_at[n + 1]; w++)
        BT_TRY(
            bt_stream_wait(e->context->stream[s->stream[n]], e->event[s->event[s->wait_node[w]]]));
    return BT_OK;
}

/* Other streams begin after what the first one has done before, and end before it goes on. */
static bt_status fork_streams(bt_exec *e)
{
    BT_TRY(bt_stream_record(e->context->stream[0], e->begin));
    for (int32_t i = 1; i < e->base.streams.n_stream; i++)
        BT_TRY(bt_stream_wait(e->context->stream[i], e->begin));
    return BT_OK;
}

static bt_status join_streams(bt_exec *e)
{
    for (int32_t i = 1; i < e->base.streams.n_stream; i++) {
        BT_TRY(bt_stream_record(e->context->stream[i], e->end[i]));
        BT_TRY(bt_stream_wait(e->context->stream[0], e->end[i]));
    }
    return BT_OK;
}

static bt_status order_failed(bt_exec *e, int32_t n, bt_status st)
{
    if (st != BT_OK) bt_fail_note("ordering the streams for node '%s'", e->graph->node[n].name);
    return st;
}

/* Neighbours on one stream go in one call, up to where somebody waits or is waited for. */
static bt_status run_on_streams(bt_exec *e, bt_exec_slot *slot)
{
    const bt_streams *s = &e->base.streams;
    const bt_plan *p = &slot->plan->plan;
    int32_t first = 0, on = -1;
    for (int32_t n = 0; n < e->graph->n_node; n++) {
        int32_t stream = s->stream[n];
        if (stream < 0) continue;
        if (on >= 0 && (stream != on || s->wait_at[n] != s->wait_at[n + 1])) {
            BT_TRY(run(e, slot, on, first, p->launch_at[n]));
            first = p->launch_at[n];
        }
        on = stream;
        BT_TRY(order_failed(e, n, order_stream(e, n)));
        if (s->event[n] < 0) continue;
        BT_TRY(run(e, slot, on, first, p->launch_at[n + 1]));
        first = p->launch_at[n + 1];
        bt_status st = bt_stream_record(e->context->stream[stream], e->event[s->event[n]]);
        BT_TRY(order_failed(e, n, st));
    }
    return on < 0 ? BT_OK : run(e, slot, on, first, p->launch_at[e->graph->n_node]);
}

static bt_status run_eagerly(bt_exec *e, bt_exec_slot *slot)
{
    if (e->base.streams.n_stream <= 1)
        return run(e, slot, 0, 0, slot->plan->plan.launch_at[e->graph->n_node]);
    BT_TRY(order_failed(e, 0, fork_streams(e)));
    BT_TRY(run_on_streams(e, slot));
    return order_failed(e, e->graph->n_node - 1, join_streams(e));
}

/* Record the step instead of running it. Where streams take turns, the launches as they lie are the
 * recording: in the order of execution, and as long as they are not written anew. */
static bt_status capture(bt_exec *e, bt_exec_slot *slot, bt_bound *b)
{
    if (!e->context->device->takes_turns) {
        bt_stream *s = e->context->stream[0];
        BT_TRY(bt_capture_begin(s));
        bt_status st = run_eagerly(e, slot), end = bt_capture_end(s, &b->capture);
        if (st != BT_OK && end == BT_OK) {
            bt_capture_unref(b->capture);
            b->capture = NULL;
        }
        if (st != BT_OK || end != BT_OK) return st ? st : end;
        count_captured(e, bt_capture_bytes(b->capture));
    }
    b->captured = true;
    slot->captured = true;
    return BT_OK;
}

static bool wants_capture(const bt_exec *e, const bt_bound *b)
{
    return !(e->off & (BT_NO_CAPTURE | BT_NO_PLAN_CACHE)) && b->seen && !b->captured &&
           e->no_capture_node < 0 && e->capture_bytes < e->capture_bytes_max;
}

static bt_status replay(bt_exec *e, bt_exec_slot *slot, bt_bound *b)
{
    bt_stream *s = e->context->stream[0];
    slot->replayed = true;
    if (b->capture) {
        int32_t node;
        bt_status st = bt_capture_replay_at(b->capture, s, &node);
        if (st != BT_OK)
            bt_fail_note("replaying node '%s'", e->graph->node[node < 0 ? 0 : node].name);
        return st;
    }
    s->replaying = true;
    bt_status st = run(e, slot, 0, 0, slot->plan->plan.launch_at[e->graph->n_node]);
    s->replaying = false;
    return st;
}

static const char *name_of_node(const void *graph, int32_t i)
{
    return bt_graph_node_name(graph, i);
}

/* Tell the streams what they work for and, while there is a trace, what nodes are called in it. A
 * trace that is new is given the names first. */
static void mark_streams(bt_exec *e, const bt_exec_slot *slot)
{
    bt_device *d = e->context->device;
    unsigned n_trace = atomic_load(&d->n_trace);
    bt_trace *trace = bt_trace_of(&d->trace);
    if (trace && e->n_trace != n_trace) {
        e->names = bt_trace_add_names(trace, name_of_node, e->graph);
        e->n_trace = n_trace;
    }
    for (int32_t i = 0; i < e->base.streams.n_stream; i++) {
        e->context->stream[i]->step = (int32_t)slot->ticket;
        e->context->stream[i]->names = trace ? e->names : 0;
    }
}

static bt_status launch(bt_exec *e, bt_exec_slot *slot)
{
    bt_bound *b = bound_of(e, slot);
    bool recording = bt_stream_is_capturing(e->context->stream[0]);
    int32_t n_stream = (int32_t)bt_max_i64(1, e->base.streams.n_stream);
    if (recording && e->context->n_stage)
        return bt_fail(BT_UNSUPPORTED,
                       "a context with %d host threads cannot be captured, only one with 1",
                       e->context->config.n_host_thread);
    slot->n_launched = slot->plan->plan.launch_at[e->graph->n_node];
    mark_streams(e, slot);
    if (!recording && wants_capture(e, b) && capture(e, slot, b) != BT_OK)
        b->seen = false; // run it as it is, and try again the time after the next
    BT_TRY(b->captured && !recording ? replay(e, slot, b) : run_eagerly(e, slot));
    b->seen = true;
    if (recording) return BT_OK;
    bt_status st = bt_stream_record(e->context->stream[0], slot->done);
    for (int32_t i = 0; e->context->n_stage && i < n_stream && st == BT_OK; i++)
        st = bt_stream_start(e->context->stream[i]); // nobody waits on this thread
    if (st != BT_OK) bt_fail_note("ending a step");
    return st;
}

bt_status bt_stage_launch(bt_exec *e, bt_exec_slot *slot)
{
    int64_t begin_ns = begin_stage(e);
    bt_status st = launch(e, slot);
    for (int32_t i = 0; i < e->base.streams.n_stream; i++) e->context->stream[i]->names = 0;
    end_stage(e, slot, BT_LANE_LAUNCH, begin_ns);
    if (st == BT_OK) return BT_OK;
    bt_exec_note_failure(slot, st);
    // What was enqueued before it failed must be over before anybody uses the memory again.
    for (int32_t i = 0; i < e->context->config.n_stream; i++) {
        bt_status again = bt_stream_sync(e->context->stream[i]);
        (void)again; // a device that cannot even wait: what failed first is what is told
    }
    return bt_fail(slot->status, "%s", slot->message);
}

void bt_exec_note_failure(bt_exec_slot *slot, bt_status status)
{
    const char *message = bt_error_message();
    size_t n = strlen(message);
    if (n >= sizeof slot->message) n = sizeof slot->message - 1;
    memcpy(slot->message, message, n);
    slot->message[n] = 0;
    slot->status = status;
}

/* ---- the end of the stages ---- */

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

/* ---- on a stage's thread ---- */

void bt_stage_run(bt_exec *e, int32_t slot_number, int32_t stage)
{
    bt_context *c = e->context;
    bt_exec_slot *slot = &e->slot[slot_number];
    bt_stage_job job = {.run = bt_stage_run, .exec = e, .slot = slot_number};
    if (stage == 0) bt_stage_bind(e, slot);
    bt_status st = BT_OK;
    if (stage + 1 < c->n_stage) {
        st = bt_context_push(c, stage + 1, job, -1);
        if (st == BT_OK) return;
        bt_exec_note_failure(slot, st);
    } else {
        st = bt_stage_launch(e, slot);
    }
    bt_exec_staged(e, slot, st);
}
