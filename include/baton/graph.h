// SPDX-License-Identifier: Apache-2.0
/* baton/graph.h: graphs of operators.
 *
 * A graph is values and the nodes that compute them. Name the values first, then say in any order
 * which operator (or which other graph) makes which; freezing sorts the nodes, drops those that no
 * output needs, and makes the graph immutable. A graph knows no sizes: those come with the input
 * descriptors when it is planned. baton/dispatch.h runs graphs.
 *
 *   input --+                      const: a weight, with its address
 *           +--> node --> value --> ... --> output
 *   const --+
 *
 * Among nodes that are ready the one whose value was named first goes first: the order in which
 * nodes were added shows nowhere, neither in plans nor in results.
 */
#ifndef BATON_GRAPH_H
#define BATON_GRAPH_H

#include "baton/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bt_graph bt_graph;
typedef int32_t bt_value;    /* a value of one graph */
enum { BT_VALUE_NONE = -1 }; /* an optional input that is left out */

/* An empty graph with one reference. */
BT_API BT_CHECKED bt_status bt_graph_new(bt_graph **ret_graph);
BT_API void bt_graph_ref(bt_graph *graph);
BT_API void bt_graph_unref(bt_graph *graph); /* the last one frees it; NULL is nothing */

/* The k-th call adds input number k: its descriptor is given when planning, its address when
 * binding. */
BT_API BT_CHECKED bt_status bt_graph_input(bt_graph *graph, const char *name, bt_value *ret_value);

/* A tensor whose address is known now and that outlives the graph. */
BT_API BT_CHECKED bt_status bt_graph_const(bt_graph *graph, const char *name, const bt_desc *desc,
                                           const void *data, bt_value *ret_value);

/* A value that a node will define. */
BT_API BT_CHECKED bt_status bt_graph_value(bt_graph *graph, const char *name, bt_value *ret_value);

/* out = op(in...). `param` (op->param_bytes) is copied, `op` must outlive the graph. INVALID: too
 * few or too many inputs, a value of no such number, `out` already defined; names the node. */
BT_API BT_CHECKED bt_status bt_graph_node(bt_graph *graph, const char *name, const bt_op *op,
                                          const void *param, const bt_value *in, int32_t n_in,
                                          bt_value out);

/* bt_graph_value and bt_graph_node in one. */
BT_API BT_CHECKED bt_status bt_graph_apply(bt_graph *graph, const char *name, const bt_op *op,
                                           const void *param, const bt_value *in, int32_t n_in,
                                           bt_value *ret_out);

/* out... = sub(in...): a graph as an operator. `sub` is frozen; its nodes become nodes of `graph`
 * called "name/node", so a nested graph plans and computes exactly as a flat one in which they are
 * named where out[0] is. One value of `out` for each output of `sub`, named with bt_graph_value
 * before. An input may be BT_VALUE_NONE where `sub` has it for optional inputs only. `sub` may go
 * once this returns; a failed call adds nothing.
 * INVALID: not frozen, wrong counts, an `out` already defined; names the node. */
BT_API BT_CHECKED bt_status bt_graph_call(bt_graph *graph, const char *name, const bt_graph *sub,
                                          const bt_value *in, int32_t n_in, const bt_value *out,
                                          int32_t n_out);

/* The k-th call makes `value` output number k. */
BT_API BT_CHECKED bt_status bt_graph_output(bt_graph *graph, bt_value value);

/* Sort, drop dead nodes and what only they read, make immutable; numbers of values mean nothing from
 * now on. INVALID: a cycle, a value that nothing defines, no output. */
BT_API BT_CHECKED bt_status bt_graph_freeze(bt_graph *graph);

BT_API int32_t bt_graph_n_node(const bt_graph *graph); /* after freezing: those that are left */
BT_API int32_t bt_graph_n_input(const bt_graph *graph);
BT_API int32_t bt_graph_n_output(const bt_graph *graph);
BT_API const char *bt_graph_node_name(const bt_graph *graph, int32_t i); /* NULL past the end */

#ifdef __cplusplus
}
#endif
#endif
