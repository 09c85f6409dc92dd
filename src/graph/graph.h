// SPDX-License-Identifier: Apache-2.0
/* graph: the inside of a bt_graph, for planning. */
#pragma once
#include "base/arena.h"
#include "base/refs.h"
#include "baton/graph.h"
#include "op/op.h"

typedef enum bt_value_kind { BT_VALUE_INPUT, BT_VALUE_CONST, BT_VALUE_TEMP } bt_value_kind;

typedef struct bt_graph_value_info {
    const char *name;
    bt_value_kind kind;
    int32_t input; // INPUT: its number
    int32_t node;  // TEMP: the node that defines it, -1 while there is none
    bool is_output;
    bt_desc desc;     // CONST
    const void *data; // CONST
} bt_graph_value_info;

typedef struct bt_graph_node_info {
    const char *name;
    const bt_op *op;
    uint64_t param[BT_OP_PARAM_BYTES / 8];
    bt_value in[BT_OP_IN_MAX]; // op->n_in entries; BT_VALUE_NONE where left out
    bt_value out;
    // Who goes first among nodes that are ready: the smaller rank, then the smaller part. A node's
    // rank is its output value; nodes that came from a called graph share the rank of the call's
    // first output, and their parts are the ranks they had there. Frozen: 0, 1, ... and part 0.
    int32_t rank, part;
} bt_graph_node_info;

struct bt_graph {
    bt_refs refs;
    bool frozen;
    bt_arena arena; // names
    // After freezing the nodes are in order of execution, live ones only, and the values are
    // numbered anew: inputs, then constants and what nodes define as the nodes come to them. So
    // graphs that say the same look the same, however they were put together.
    bt_graph_value_info *value;
    bt_graph_node_info *node;
    bt_value *output;
    int32_t n_value, n_node, n_output, n_input;
    int32_t value_max, node_max, output_max; // allocated
    int32_t n_setup;                         // after freezing: nodes that are no views
    int32_t n_launch_max;                    // after freezing: launches of one run at most
};
