// SPDX-License-Identifier: Apache-2.0
/* graph: building and freezing. Sorting is order.c's. Calling a graph copies its nodes: there is
 * nothing nested once a graph is built, so nothing later has to know. */
#include "graph/graph.h"
#include "graph/order.h"
#include "tensor/dtype.h"
#include <stdio.h>
#include <string.h>

enum { VALUE_MAX = 1 << 20 };

bt_status bt_graph_new(bt_graph **ret_graph)
{
    bt_graph *g;
    BT_TRY(bt_alloc_zero((void **)&g, sizeof *g, BT_MEM_PLAN));
    bt_arena_init(&g->arena, BT_MEM_PLAN);
    bt_refs_init(&g->refs);
    *ret_graph = g;
    return BT_OK;
}

void bt_graph_ref(bt_graph *graph) { bt_refs_take(&graph->refs); }

void bt_graph_unref(bt_graph *graph)
{
    if (!graph || !bt_refs_drop(&graph->refs)) return;
    bt_arena_done(&graph->arena);
    bt_free(graph->value);
    bt_free(graph->node);
    bt_free(graph->output);
    bt_free(graph);
}

/* Make room for one more element. */
static bt_status grow(void **array, int32_t n, int32_t *n_max, size_t size)
{
    if (n < *n_max) return BT_OK;
    BT_FAIL_IF(n >= VALUE_MAX, LIMIT, "a graph of more than %d values or nodes", VALUE_MAX);
    int32_t more = n ? 2 * n : 64;
    BT_TRY(bt_resize(array, (size_t)more * size, BT_MEM_PLAN));
    *n_max = more;
    return BT_OK;
}

/* Copy "prefix/name", or `name` where there is no prefix. */
static bt_status copy_name(bt_graph *g, const char *prefix, const char *name, const char **ret_name)
{
    char *copy;
    size_t n_prefix = prefix ? strlen(prefix) + 1 : 0, n = strlen(name);
    BT_TRY(bt_arena_array(&g->arena, n_prefix + n + 1, 1, (void **)&copy));
    if (prefix) {
        memcpy(copy, prefix, n_prefix - 1);
        copy[n_prefix - 1] = '/';
    }
    memcpy(copy + n_prefix, name, n);
    *ret_name = copy;
    return BT_OK;
}

/* Add a value whose name is info.name behind `prefix`. */
static bt_status add_value(bt_graph *g, const char *prefix, bt_graph_value_info info,
                           bt_value *ret_value)
{
    BT_FAIL_IF(g->frozen, INVALID, "value '%s': the graph is frozen", info.name);
    BT_TRY(grow((void **)&g->value, g->n_value, &g->value_max, sizeof *g->value));
    BT_TRY(copy_name(g, prefix, info.name, &info.name));
    g->value[g->n_value] = info;
    *ret_value = g->n_value++;
    return BT_OK;
}

bt_status bt_graph_input(bt_graph *graph, const char *name, bt_value *ret_value)
{
    bt_graph_value_info info = {
        .name = name, .kind = BT_VALUE_INPUT, .input = graph->n_input, .node = -1};
    BT_TRY(add_value(graph, NULL, info, ret_value));
    graph->n_input++;
    return BT_OK;
}

bt_status bt_graph_const(bt_graph *graph, const char *name, const bt_desc *desc, const void *data,
                         bt_value *ret_value)
{
    bt_status st = bt_desc_check(desc);
    if (st != BT_OK) bt_fail_note("constant '%s'", name);
    BT_TRY(st);
    bt_graph_value_info info = {
        .name = name, .kind = BT_VALUE_CONST, .node = -1, .desc = *desc, .data = data};
    return add_value(graph, NULL, info, ret_value);
}

bt_status bt_graph_value(bt_graph *graph, const char *name, bt_value *ret_value)
{
    bt_graph_value_info info = {.name = name, .kind = BT_VALUE_TEMP, .node = -1};
    return add_value(graph, NULL, info, ret_value);
}

static bt_status check_inputs(const bt_graph *g, const char *name, const bt_op *op,
                              const bt_value *in, int32_t n_in)
{
    BT_FAIL_IF(n_in < op->n_in_must || n_in > op->n_in, INVALID,
               "node '%s': %s takes %d to %d inputs, not %d", name, op->name, op->n_in_must,
               op->n_in, n_in);
    for (int32_t i = 0; i < n_in; i++) {
        bool optional = in[i] == BT_VALUE_NONE && i >= op->n_in_must;
        BT_FAIL_IF(!optional && (in[i] < 0 || in[i] >= g->n_value), INVALID,
                   "node '%s': input %d is value %d, which does not exist", name, i, in[i]);
    }
    return BT_OK;
}

/* INVALID unless a node called `name` may define `out`. */
static bt_status check_out(const bt_graph *g, const char *name, bt_value out)
{
    BT_FAIL_IF(out < 0 || out >= g->n_value || g->value[out].kind != BT_VALUE_TEMP, INVALID,
               "node '%s': its output is no value that a node may define", name);
    BT_FAIL_IF(g->value[out].node >= 0, INVALID,
               "node '%s': value '%s' is already defined by node '%s'", name, g->value[out].name,
               g->node[g->value[out].node].name);
    return BT_OK;
}

/* Add a checked node whose name is node.name behind `prefix`. */
static bt_status add_node(bt_graph *g, const char *prefix, bt_graph_node_info node)
{
    BT_TRY(grow((void **)&g->node, g->n_node, &g->node_max, sizeof *g->node));
    BT_TRY(copy_name(g, prefix, node.name, &node.name));
    g->value[node.out].node = g->n_node;
    g->node[g->n_node++] = node;
    return BT_OK;
}

bt_status bt_graph_node(bt_graph *graph, const char *name, const bt_op *op, const void *param,
                        const bt_value *in, int32_t n_in, bt_value out)
{
    bt_status st;
    BT_FAIL_IF(graph->frozen, INVALID, "node '%s': the graph is frozen", name);
    if ((st = bt_op_check(op))) {
        bt_fail_note("node '%s'", name);
        return st;
    }
    BT_TRY(check_inputs(graph, name, op, in, n_in));
    BT_TRY(check_out(graph, name, out));
    bt_graph_node_info node = {.name = name, .op = op, .out = out, .rank = out};
    if (op->param_bytes) memcpy(node.param, param, op->param_bytes);
    for (int32_t i = 0; i < BT_OP_IN_MAX; i++) node.in[i] = i < n_in ? in[i] : BT_VALUE_NONE;
    return add_node(graph, NULL, node);
}

bt_status bt_graph_apply(bt_graph *graph, const char *name, const bt_op *op, const void *param,
                         const bt_value *in, int32_t n_in, bt_value *ret_out)
{
    bt_value out;
    BT_TRY(bt_graph_value(graph, name, &out));
    BT_TRY(bt_graph_node(graph, name, op, param, in, n_in, out));
    *ret_out = out;
    return BT_OK;
}

/* ---- calling a graph ---- */

typedef struct call {
    bt_graph *g;
    const char *name;
    const bt_graph *sub;
    const bt_value *in, *out; // [sub->n_input], [sub->n_output]
    bt_value *map;            // [sub->n_value] -> g's
} call;

static bt_status check_call(const call *c, int32_t n_in, int32_t n_out)
{
    const bt_graph *g = c->g;
    BT_FAIL_IF(g->frozen, INVALID, "node '%s': the graph is frozen", c->name);
    BT_FAIL_IF(!c->sub->frozen, INVALID, "node '%s': the graph it calls is not frozen", c->name);
    BT_FAIL_IF(n_in != c->sub->n_input || n_out != c->sub->n_output, INVALID,
               "node '%s': the graph it calls has %d inputs and %d outputs, not %d and %d", c->name,
               c->sub->n_input, c->sub->n_output, n_in, n_out);
    for (int32_t i = 0; i < n_in; i++)
        BT_FAIL_IF(c->in[i] != BT_VALUE_NONE && (c->in[i] < 0 || c->in[i] >= g->n_value), INVALID,
                   "node '%s': input %d is value %d, which does not exist", c->name, i, c->in[i]);
    for (int32_t k = 0; k < n_out; k++) {
        BT_TRY(check_out(g, c->name, c->out[k]));
        for (int32_t j = 0; j < k; j++)
            BT_FAIL_IF(c->out[j] == c->out[k], INVALID,
                       "node '%s': outputs %d and %d are one value, '%s'", c->name, j, k,
                       g->value[c->out[k]].name);
    }
    return BT_OK;
}

/* What each value of the called graph is in the caller: an input what is given for it, an output
 * the name it gets (the first of them where it has several), anything else a new value. */
static bt_status map_values(const call *c)
{
    const bt_graph *sub = c->sub;
    for (bt_value v = 0; v < sub->n_value; v++)
        c->map[v] =
            sub->value[v].kind == BT_VALUE_INPUT ? c->in[sub->value[v].input] : BT_VALUE_NONE;
    for (int32_t k = sub->n_output - 1; k >= 0; k--) c->map[sub->output[k]] = c->out[k];
    for (bt_value v = 0; v < sub->n_value; v++) {
        bt_graph_value_info info = sub->value[v];
        if (info.kind == BT_VALUE_INPUT || info.is_output) continue;
        info.node = -1;
        BT_TRY(add_value(c->g, c->name, info, &c->map[v]));
    }
    return BT_OK;
}

static bt_status copy_nodes(const call *c)
{
    for (int32_t n = 0; n < c->sub->n_node; n++) {
        bt_graph_node_info node = c->sub->node[n];
        for (int32_t i = 0; i < BT_OP_IN_MAX; i++) {
            if (node.in[i] != BT_VALUE_NONE) node.in[i] = c->map[node.in[i]];
            BT_FAIL_IF(i < node.op->n_in_must && node.in[i] == BT_VALUE_NONE, INVALID,
                       "node '%s/%s': input %d is left out, but %s needs it", c->name, node.name, i,
                       node.op->name);
        }
        node.out = c->map[node.out];
        node.part = node.rank;
        node.rank = c->out[0];
        BT_TRY(add_node(c->g, c->name, node));
    }
    return BT_OK;
}

/* One value of the called graph that is several of its outputs: the later ones are views of it,
 * slices that leave nothing out. */
static bt_status add_twins(const call *c)
{
    static const bt_slice_param whole = {.dim = 0, .begin = 0, .end = INT32_MAX};
    for (int32_t k = 0; k < c->sub->n_output; k++) {
        char name[32];
        bt_value first = c->map[c->sub->output[k]];
        if (first == c->out[k]) continue;
        snprintf(name, sizeof name, "output_%d", k);
        bt_graph_node_info node = {.name = name,
                                   .op = &bt_op_slice,
                                   .out = c->out[k],
                                   .rank = c->out[0],
                                   .part = c->sub->n_node + k};
        memcpy(node.param, &whole, sizeof whole);
        for (int32_t i = 0; i < BT_OP_IN_MAX; i++) node.in[i] = i ? BT_VALUE_NONE : first;
        BT_TRY(add_node(c->g, c->name, node));
    }
    return BT_OK;
}

/* A call that fails leaves nothing behind. */
static void take_back(bt_graph *g, int32_t n_value, int32_t n_node)
{
    for (int32_t n = n_node; n < g->n_node; n++) g->value[g->node[n].out].node = -1;
    g->n_value = n_value;
    g->n_node = n_node;
}

bt_status bt_graph_call(bt_graph *graph, const char *name, const bt_graph *sub, const bt_value *in,
                        int32_t n_in, const bt_value *out, int32_t n_out)
{
    call c = {.g = graph, .name = name, .sub = sub, .in = in, .out = out};
    int32_t n_value = graph->n_value, n_node = graph->n_node;
    bt_status st;
    BT_TRY(check_call(&c, n_in, n_out));
    BT_TRY(bt_alloc_array((void **)&c.map, (size_t)sub->n_value, sizeof *c.map, BT_MEM_PLAN));
    if ((st = map_values(&c)) || (st = copy_nodes(&c)) || (st = add_twins(&c)))
        take_back(graph, n_value, n_node);
    bt_free(c.map);
    return st;
}

/* ---- the end of building ---- */

bt_status bt_graph_output(bt_graph *graph, bt_value value)
{
    bt_graph *g = graph;
    BT_FAIL_IF(g->frozen, INVALID, "the graph is frozen");
    BT_FAIL_IF(value < 0 || value >= g->n_value, INVALID,
               "output %d is value %d, which does not exist", g->n_output, value);
    BT_FAIL_IF(g->value[value].kind != BT_VALUE_TEMP, INVALID,
               "output '%s' is not computed by the graph", g->value[value].name);
    BT_TRY(grow((void **)&g->output, g->n_output, &g->output_max, sizeof *g->output));
    g->output[g->n_output++] = value;
    g->value[value].is_output = true;
    return BT_OK;
}

bt_status bt_graph_freeze(bt_graph *graph)
{
    bt_graph *g = graph;
    BT_FAIL_IF(g->frozen, INVALID, "the graph is frozen already");
    BT_FAIL_IF(!g->n_output, INVALID, "the graph has no output");
    BT_TRY(bt_graph_order(g));
    for (int32_t i = 0; i < g->n_node; i++) g->n_setup += !g->node[i].op->view;
    g->n_launch_max = g->n_setup * BT_OP_LAUNCH_MAX;
    g->frozen = true;
    return BT_OK;
}

int32_t bt_graph_n_node(const bt_graph *graph) { return graph->n_node; }
int32_t bt_graph_n_input(const bt_graph *graph) { return graph->n_input; }
int32_t bt_graph_n_output(const bt_graph *graph) { return graph->n_output; }

const char *bt_graph_node_name(const bt_graph *graph, int32_t i)
{
    return i < 0 || i >= graph->n_node ? NULL : graph->node[i].name;
}
