// SPDX-License-Identifier: Apache-2.0
/* graph: building and freezing. Sorting is order.c's. */
#include "graph/graph.h"
#include "graph/order.h"
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

static bt_status add_value(bt_graph *g, const char *name, bt_graph_value_info info,
                           bt_value *ret_value)
{
    char *copy;
    BT_FAIL_IF(g->frozen, INVALID, "value '%s': the graph is frozen", name);
    BT_TRY(grow((void **)&g->value, g->n_value, &g->value_max, sizeof *g->value));
    BT_TRY(bt_arena_text(&g->arena, name, strlen(name), &copy));
    info.name = copy;
    g->value[g->n_value] = info;
    *ret_value = g->n_value++;
    return BT_OK;
}

bt_status bt_graph_input(bt_graph *graph, const char *name, bt_value *ret_value)
{
    BT_TRY(add_value(
        graph, name,
        (bt_graph_value_info){.kind = BT_VALUE_INPUT, .input = graph->n_input, .node = -1},
        ret_value));
    graph->n_input++;
    return BT_OK;
}

bt_status bt_graph_const(bt_graph *graph, const char *name, const bt_desc *desc, const void *data,
                         bt_value *ret_value)
{
    return add_value(
        graph, name,
        (bt_graph_value_info){.kind = BT_VALUE_CONST, .node = -1, .desc = *desc, .data = data},
        ret_value);
}

bt_status bt_graph_value(bt_graph *graph, const char *name, bt_value *ret_value)
{
    return add_value(graph, name, (bt_graph_value_info){.kind = BT_VALUE_TEMP, .node = -1},
                     ret_value);
}

static bt_status check_node(const bt_graph *g, const char *name, const bt_op *op,
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

bt_status bt_graph_node(bt_graph *graph, const char *name, const bt_op *op, const void *param,
                        const bt_value *in, int32_t n_in, bt_value out)
{
    bt_graph *g = graph;
    char *copy;
    BT_FAIL_IF(g->frozen, INVALID, "node '%s': the graph is frozen", name);
    BT_TRY(check_node(g, name, op, in, n_in));
    BT_FAIL_IF(out < 0 || out >= g->n_value || g->value[out].kind != BT_VALUE_TEMP, INVALID,
               "node '%s': its output is no value that a node may define", name);
    BT_FAIL_IF(g->value[out].node >= 0, INVALID,
               "node '%s': value '%s' is already defined by node '%s'", name, g->value[out].name,
               g->node[g->value[out].node].name);
    BT_TRY(grow((void **)&g->node, g->n_node, &g->node_max, sizeof *g->node));
    BT_TRY(bt_arena_text(&g->arena, name, strlen(name), &copy));
    bt_graph_node_info node = {.name = copy, .op = op, .out = out};
    if (op->param_bytes) memcpy(node.param, param, op->param_bytes);
    for (int32_t i = 0; i < BT_OP_IN_MAX; i++) node.in[i] = i < n_in ? in[i] : BT_VALUE_NONE;
    g->value[out].node = g->n_node;
    g->node[g->n_node++] = node;
    return BT_OK;
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
    for (int32_t i = 0; i < g->n_node; i++) g->n_launch_max += BT_OP_LAUNCH_MAX;
    g->frozen = true;
    return BT_OK;
}

int32_t bt_graph_n_node(const bt_graph *graph) { return graph->n_node; }
