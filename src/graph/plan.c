// SPDX-License-Identifier: Apache-2.0
/* plan: making plans. Nodes are set up one after the other, in the order of execution, each from
 * the cache of nodes where it has been seen before. */
#include "graph/plan.h"
#include "base/hash.h"
#include "tensor/dtype.h"
#include <string.h>

/* ---- what depends on the graph alone ---- */

/* The value whose memory v lies in. */
static bt_value root_of(const bt_graph *g, bt_value v)
{
    while (g->value[v].kind == BT_VALUE_TEMP && g->value[v].node >= 0 &&
           g->node[g->value[v].node].op->view)
        v = g->node[g->value[v].node].in[0];
    return v;
}

static void find_roots(bt_plan_base *b)
{
    const bt_graph *g = b->graph;
    for (bt_value v = 0; v < g->n_value; v++) b->root[v] = root_of(g, v);
    for (int32_t n = 0; n < g->n_node; n++) {
        const bt_graph_node_info *node = &g->node[n];
        if (node->op->view) continue; // a view reads nothing: whoever reads the view does
        b->n_setup++;
        b->last_use[node->out] = n;
        for (int32_t i = 0; i < BT_OP_IN_MAX; i++)
            if (node->in[i] != BT_VALUE_NONE) b->last_use[b->root[node->in[i]]] = n;
    }
    for (int32_t k = 0; k < g->n_output; k++) {
        b->is_out[b->root[g->output[k]]] = true;
        b->last_use[b->root[g->output[k]]] = g->n_node;
    }
}

static bt_status alloc_base(bt_plan_base *b)
{
    size_t n_value = (size_t)b->graph->n_value + 1, n_node = (size_t)b->graph->n_node + 1;
    size_t n_block = n_value + n_node;
    size_t scratch = bt_memplan_scratch_bytes((int32_t)n_block, (int32_t)n_node);
    size_t touch = b->streams.before ? n_block * (size_t)b->streams.n_word : 0;
    struct {
        void *array;
        size_t n, size;
    } rows[] = {
        {&b->root, n_value, sizeof *b->root},
        {&b->last_use, n_value, sizeof *b->last_use},
        {&b->is_out, n_value, sizeof *b->is_out},
        {&b->owner, n_value, sizeof *b->owner},
        {&b->block_of, n_block, sizeof *b->block_of},
        {&b->block, n_block, sizeof *b->block},
        {&b->touch, touch, sizeof *b->touch},
        {&b->scratch, scratch, 1},
        {&b->max_bytes, n_value, sizeof *b->max_bytes},
        {&b->max_work, n_node, sizeof *b->max_work},
        {&b->max_offset, n_value, sizeof *b->max_offset},
        {&b->max_owner, n_value, sizeof *b->max_owner},
        {&b->max_work_offset, n_node, sizeof *b->max_work_offset},
    };
    for (size_t i = 0; i < BT_COUNT_OF(rows); i++)
        BT_TRY(bt_alloc_array(rows[i].array, rows[i].n, rows[i].size, BT_MEM_PLAN));
    return BT_OK;
}

bt_status bt_plan_base_init(bt_plan_base *base, bt_graph *graph, const bt_op_env *env,
                            int32_t n_stream_max)
{
    BT_FAIL_IF(!graph->frozen, INVALID, "the graph is not frozen");
    *base = (bt_plan_base){.graph = graph, .env = *env};
    bt_graph_ref(graph);
    bt_status st = bt_streams_plan(graph, n_stream_max, &base->streams);
    if (st == BT_OK) st = alloc_base(base);
    if (st == BT_OK)
        find_roots(base);
    else
        bt_plan_base_done(base);
    return st;
}

void bt_plan_base_done(bt_plan_base *b)
{
    void *all[] = {b->root,       b->last_use,  b->is_out,         b->owner,     b->block_of,
                   b->block,      b->touch,     b->scratch,        b->max_bytes, b->max_work,
                   b->max_offset, b->max_owner, b->max_work_offset};
    for (size_t i = 0; i < BT_COUNT_OF(all); i++) bt_free(all[i]);
    bt_streams_done(&b->streams);
    bt_graph_unref(b->graph);
    *b = (bt_plan_base){0};
}

bt_place bt_plan_place(const bt_plan_base *b, bt_value v)
{
    bt_value root = b->root[v];
    switch (b->graph->value[root].kind) {
    case BT_VALUE_INPUT:
        return BT_AT_INPUT;
    case BT_VALUE_CONST:
        return BT_AT_CONST;
    default:
        return b->is_out[root] ? BT_AT_OUTPUT : BT_AT_ARENA;
    }
}

/* ---- a plan's arrays ---- */

static void cut(char *base, size_t *at, size_t count, size_t size, void **ret_array)
{
    if (base) *ret_array = base + *at;
    *at += (count * size + 63) & ~(size_t)63;
}

static size_t lay_out(const bt_plan_base *b, char *block, bt_plan *p)
{
    size_t at = 0, n_value = (size_t)b->graph->n_value, n_node = (size_t)b->graph->n_node;
    cut(block, &at, (size_t)b->graph->n_input, sizeof *p->in_desc, (void **)&p->in_desc);
    cut(block, &at, n_value, sizeof *p->desc, (void **)&p->desc);
    cut(block, &at, n_value, sizeof *p->view_bytes, (void **)&p->view_bytes);
    cut(block, &at, n_value, sizeof *p->offset, (void **)&p->offset);
    cut(block, &at, n_node, sizeof *p->work_offset, (void **)&p->work_offset);
    cut(block, &at, n_node, sizeof *p->setup, (void **)&p->setup);
    cut(block, &at, n_node + 1, sizeof *p->launch_at, (void **)&p->launch_at);
    cut(block, &at, n_node, BT_OP_PARAM_BYTES, (void **)&p->param);
    return at;
}

size_t bt_plan_bytes(const bt_plan_base *base) { return lay_out(base, NULL, &(bt_plan){0}); }

void bt_plan_lay_out(const bt_plan_base *base, void *block, bt_plan *ret_plan)
{
    *ret_plan = (bt_plan){0};
    lay_out(base, block, ret_plan);
}

/* ---- setting up nodes ---- */

bt_status bt_plan_check_input(const bt_desc *in_desc, int32_t i)
{
    bt_status st = bt_desc_check(&in_desc[i]);
    if (st != BT_OK) bt_fail_note("input %d", i);
    return st;
}

bt_status bt_plan_check_inputs(const bt_graph *graph, const bt_desc *in_desc)
{
    for (int32_t i = 0; i < graph->n_input; i++) BT_TRY(bt_plan_check_input(in_desc, i));
    return BT_OK;
}

static bt_status check_strided(const bt_graph_node_info *node, const bt_desc *in)
{
    for (int32_t i = 0; i < node->op->n_in; i++)
        BT_FAIL_IF(in[i].strided && !node->op->view && !(node->op->strided_in >> i & 1), INVALID,
                   "%s: input %d is a strided view, must be dense; make it dense with 'copy'",
                   node->op->name, i);
    return BT_OK;
}

/* An operator may come from a library: what it decided is looked at before it is relied on. */
static bt_status check_setup(const bt_op *op, const bt_op_setup *s)
{
    BT_FAIL_IF(s->n_launch < 0 || s->n_launch > BT_OP_LAUNCH_MAX || s->work_bytes < 0, INVALID,
               "%s: setup wants %d launches and %lld bytes of scratch", op->name, s->n_launch,
               (long long)s->work_bytes);
    for (int32_t i = 0; i < s->n_launch; i++)
        BT_FAIL_IF(!s->fn[i] || s->grain[i] < 1, INVALID,
                   "%s: setup gives launch %d %s, grain %lld", op->name, i,
                   s->fn[i] ? "a kernel" : "no kernel", (long long)s->grain[i]);
    return BT_OK;
}

static bt_status set_up(const bt_plan_base *b, const bt_graph_node_info *node, const void *param,
                        const bt_desc *in, bt_desc *ret_out, bt_op_setup *ret_setup)
{
    BT_TRY(check_strided(node, in));
    BT_TRY(node->op->infer(param, in, ret_out));
    bt_status st = bt_desc_check(ret_out);
    if (st != BT_OK) bt_fail_note("%s: the output", node->op->name);
    BT_TRY(st);
    *ret_setup = (bt_op_setup){0};
    if (node->op->view) return BT_OK;
    BT_FAIL_IF(ret_out->strided || ret_out->layout != BT_ROWS, INVALID,
               "%s: the output must be dense, for it is no view", node->op->name);
    BT_TRY(node->op->setup(&b->env, param, in, ret_out, ret_setup));
    return check_setup(node->op, ret_setup);
}

/* The same, from the cache where the node has been seen. */
static bt_status set_up_cached(const bt_plan_base *b, const bt_graph_node_info *node,
                               const void *param, const bt_desc *in, bt_desc *ret_out,
                               bt_op_setup *ret_setup, bt_plan_counters *counters)
{
    uint8_t key[BT_NODE_KEY_MAX];
    int32_t n_key = 0;
    if (b->nodes) {
        n_key = bt_node_key(node->op, param, in, key);
        if (bt_node_cache_find(b->nodes, key, n_key, ret_out, ret_setup)) {
            counters->node_hits++;
            counters->setups_skipped++;
            return BT_OK;
        }
        counters->node_misses++;
    }
    BT_TRY(set_up(b, node, param, in, ret_out, ret_setup));
    counters->setups_run++;
    if (b->nodes) bt_node_cache_add(b->nodes, key, n_key, ret_out, ret_setup);
    return BT_OK;
}

static bt_status set_up_node(const bt_plan_base *b, bt_plan *p, int32_t n,
                             bt_plan_counters *counters)
{
    const bt_graph_node_info *node = &b->graph->node[n];
    const void *param = p->param + (size_t)n * (BT_OP_PARAM_BYTES / 8);
    bt_desc in[BT_OP_IN_MAX], out;
    for (int32_t i = 0; i < BT_OP_IN_MAX; i++)
        in[i] = node->in[i] == BT_VALUE_NONE ? (bt_desc){0} : p->desc[node->in[i]];
    p->view_bytes[node->out] = 0;
    if (node->op->view) {
        BT_TRY(set_up(b, node, param, in, &out, &p->setup[n]));
        p->view_bytes[node->out] = p->view_bytes[node->in[0]] + node->op->view(param, in, &out);
    } else {
        BT_TRY(set_up_cached(b, node, param, in, &out, &p->setup[n], counters));
    }
    p->desc[node->out] = out;
    p->launch_at[n + 1] = p->launch_at[n] + p->setup[n].n_launch;
    return BT_OK;
}

static bt_status set_up_all(const bt_plan_base *b, const bt_desc *in_desc, const uint64_t *param,
                            bt_plan *p, bt_plan_counters *counters)
{
    const bt_graph *g = b->graph;
    memcpy(p->in_desc, in_desc, (size_t)g->n_input * sizeof *in_desc);
    memcpy(p->param, param, (size_t)g->n_node * BT_OP_PARAM_BYTES);
    for (bt_value v = 0; v < g->n_value; v++) {
        const bt_graph_value_info *info = &g->value[v];
        if (info->kind == BT_VALUE_TEMP) continue;
        p->desc[v] = info->kind == BT_VALUE_INPUT ? in_desc[info->input] : info->desc;
        p->view_bytes[v] = 0;
    }
    p->launch_at[0] = 0;
    for (int32_t n = 0; n < g->n_node; n++) {
        bt_status st = set_up_node(b, p, n, counters);
        if (st != BT_OK) {
            bt_fail_note("node '%s'", g->node[n].name);
            return st;
        }
    }
    return BT_OK;
}

/* ---- making plans ---- */

static bt_status check_fits(const bt_plan_base *b, const bt_plan *p)
{
    const bt_graph *g = b->graph;
    for (int32_t n = 0; n < g->n_node; n++) {
        if (g->node[n].op->view) continue;
        BT_FAIL_IF(bt_desc_bytes(&p->desc[g->node[n].out]) > b->max_bytes[g->node[n].out] ||
                       p->setup[n].work_bytes > b->max_work[n],
                   INVALID, "node '%s' needs more memory than was planned for the largest shapes",
                   g->node[n].name);
    }
    BT_FAIL_IF(p->launch_at[g->n_node] > b->n_launch_max, INVALID,
               "the graph wants %d launches, at the largest shapes it wanted %d",
               p->launch_at[g->n_node], b->n_launch_max);
    return BT_OK;
}

/* Lie as the largest shapes do: right, for nothing is larger, where all that is computed in place
 * there may be computed in place here, too. */
static bt_status lie_as_largest(const bt_plan_base *b, bt_plan *p)
{
    const bt_graph *g = b->graph;
    for (int32_t n = 0; n < g->n_node; n++) {
        bt_value out = g->node[n].out;
        if (g->node[n].op->view || b->max_owner[out] == out) continue;
        BT_FAIL_IF(b->owner[out] != b->max_owner[out], INVALID,
                   "node '%s' is computed in place at the largest shapes, cannot be at these, and "
                   "the memory planned for the largest is not enough without",
                   g->node[n].name);
    }
    memcpy(p->offset, b->max_offset, (size_t)b->graph->n_value * sizeof *p->offset);
    memcpy(p->work_offset, b->max_work_offset, (size_t)b->graph->n_node * sizeof *p->work_offset);
    p->arena_bytes = b->arena_bytes;
    p->output_bytes = b->output_bytes;
    p->method = "as the largest shapes";
    return BT_OK;
}

bt_status bt_plan_make(bt_plan_base *base, const bt_desc *in_desc, const uint64_t *param,
                       bt_plan *plan, bt_plan_counters *counters)
{
    bt_memplan_report report;
    plan->valid = false;
    BT_TRY(set_up_all(base, in_desc, param, plan, counters));
    if (base->planned) BT_TRY(check_fits(base, plan));
    BT_TRY(bt_plan_memory(base, plan, &report));
    if (base->planned &&
        (plan->arena_bytes > base->arena_bytes || plan->output_bytes > base->output_bytes))
        BT_TRY(lie_as_largest(base, plan));
    plan->valid = true;
    return BT_OK;
}

bt_status bt_plan_largest(bt_plan_base *b, const bt_desc *in_desc, const uint64_t *param,
                          bt_plan *plan)
{
    const bt_graph *g = b->graph;
    bt_plan_counters counters = {0};
    bt_memplan_report report;
    plan->valid = false;
    BT_TRY(set_up_all(b, in_desc, param, plan, &counters));
    BT_TRY(bt_plan_memory(b, plan, &report));
    for (int32_t n = 0; n < g->n_node; n++) {
        b->max_work[n] = plan->setup[n].work_bytes;
        if (!g->node[n].op->view)
            b->max_bytes[g->node[n].out] = bt_desc_bytes(&plan->desc[g->node[n].out]);
    }
    memcpy(b->max_offset, plan->offset, (size_t)g->n_value * sizeof *plan->offset);
    memcpy(b->max_work_offset, plan->work_offset, (size_t)g->n_node * sizeof *plan->work_offset);
    memcpy(b->max_owner, b->owner, (size_t)g->n_value * sizeof *b->owner);
    b->arena_bytes = plan->arena_bytes;
    b->output_bytes = plan->output_bytes;
    b->bound_bytes = report.bound_bytes;
    b->sum_bytes = report.sum_bytes;
    b->n_launch_max = plan->launch_at[g->n_node];
    b->planned = plan->valid = true;
    return BT_OK;
}

/* ---- the fingerprint ---- */

static uint64_t mix_desc(uint64_t h, const bt_desc *desc)
{
    uint8_t key[8 + 16 * BT_DIM_MAX];
    int32_t n = bt_desc_key(desc, key);
    return bt_hash64(key, (size_t)n, h);
}

uint64_t bt_plan_fingerprint(const bt_plan_base *b, const bt_plan *p)
{
    const bt_graph *g = b->graph;
    uint64_t h = 0;
    for (int32_t n = 0; n < g->n_node; n++) {
        const bt_graph_node_info *node = &g->node[n];
        const bt_op_setup *s = &p->setup[n];
        uint8_t key[BT_OP_PARAM_BYTES];
        int32_t n_key = bt_param_key(node->op, p->param + (size_t)n * (BT_OP_PARAM_BYTES / 8), key);
        h = bt_hash64(node->op->name, strlen(node->op->name), h);
        h = bt_hash64(key, (size_t)n_key, h);
        h = bt_hash64(node->in, sizeof node->in, bt_hash_pair(h, (uint64_t)node->out));
        h = bt_hash64(s->grain, sizeof s->grain, bt_hash_pair(h, (uint64_t)s->n_launch));
        h = bt_hash64(s->tile, sizeof s->tile, bt_hash_pair(h, (uint64_t)s->work_bytes));
        h = bt_hash_pair(h, (uint64_t)p->work_offset[n]);
        h = bt_hash_pair(h, (uint64_t)p->offset[b->root[node->out]]);
        h = bt_hash_pair(h, (uint64_t)p->view_bytes[node->out]);
        h = mix_desc(h, &p->desc[node->out]);
    }
    return h;
}
