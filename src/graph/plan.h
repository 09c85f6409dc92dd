// SPDX-License-Identifier: Apache-2.0
/* plan: a graph at one set of shapes: descriptors, setups, places in memory.
 *
 * Whatever can fail or depends on shapes happens when a plan is made. A plan knows no addresses:
 * binding it (stages.c) gives launch records. Its arrays are cut from one block whose size depends
 * on the graph alone, so an executable allocates all its plans when it is opened, and making a plan
 * for another shape overwrites an old one's arrays.
 *
 * What depends on the graph alone, and the scratch of planning, is a plan_base, made once.
 */
#pragma once
#include "graph/memplan.h"
#include "graph/nodecache.h"
#include "graph/streams.h"

/* Where a value lies: in the caller's memory, in the arena that all steps share, or in the output
 * block of the step's slot. */
typedef enum bt_place { BT_AT_INPUT, BT_AT_CONST, BT_AT_ARENA, BT_AT_OUTPUT } bt_place;

typedef struct bt_plan_base {
    bt_graph *graph; // a reference
    bt_op_env env;
    bt_node_cache *nodes; // NULL: none
    bt_streams streams;
    bt_value *root; // [n_value] the value whose memory it lies in: itself, or what it is a view of
    int32_t *last_use; // [n_value] of roots: the last node that reads it or a view of it; n_node
                       // where it is an output
    bool *is_out;      // [n_value] of roots: it or a view of it is an output
    // scratch of one planning at a time
    bt_value *owner;   // [n_value] of roots: whose block it lies in (in-place chains)
    int32_t *block_of; // [n_value + n_node] block of an owner, or of a node's scratch; -1: none
    bt_memplan_block *block; // [n_value + n_node]
    uint64_t *touch;         // [n_value + n_node][n_word], with several streams
    void *scratch;
    // the largest shapes: what all smaller ones must fit in
    int64_t arena_bytes, bound_bytes, sum_bytes, output_bytes;
    int64_t *max_bytes; // [n_value] of roots
    int64_t *max_work;  // [n_node]
    int64_t *max_offset, *max_work_offset;
    bt_value *max_owner;  // [n_value] of roots
    int32_t n_launch_max; // launches at the largest shapes
    int32_t n_setup;      // nodes that compute: views are not set up
    bool planned;         // the largest shapes are known
} bt_plan_base;

typedef struct bt_plan_counters {
    uint64_t setups_run, setups_skipped, node_hits, node_misses;
} bt_plan_counters;

typedef struct bt_plan {
    bt_desc *in_desc;     // [n_input] the shapes it is for
    bt_desc *desc;        // [n_value]
    int64_t *view_bytes;  // [n_value] how far into its root a value begins
    int64_t *offset;      // [n_value] of roots: in the arena or the output block
    int64_t *work_offset; // [n_node] in the arena; -1: no scratch
    bt_op_setup *setup;   // [n_node]
    int32_t *launch_at;   // [n_node + 1] where a node's launches begin
    uint64_t *param;      // [n_node][BT_OP_PARAM_BYTES / 8] as they were when it was made
    int64_t arena_bytes, output_bytes;
    const char *method; // of the memory plan
    uint64_t hash;      // of shapes and KEY parameters: what it is found by
    uint64_t last_use;
    bool valid;
} bt_plan;

/* Everything that depends on the graph alone. Takes a reference to it. */
BT_CHECKED bt_status bt_plan_base_init(bt_plan_base *base, bt_graph *graph, const bt_op_env *env,
                                       int32_t n_stream_max);
void bt_plan_base_done(bt_plan_base *base); // {0} is nothing

/* Bytes of a plan's arrays; lay them out at `block`. */
size_t bt_plan_bytes(const bt_plan_base *base);
void bt_plan_lay_out(const bt_plan_base *base, void *block, bt_plan *ret_plan);

/* INVALID names an input whose descriptor is none. Before anything else is done with them. */
BT_CHECKED bt_status bt_plan_check_inputs(const bt_graph *graph, const bt_desc *in_desc);
BT_CHECKED bt_status bt_plan_check_input(const bt_desc *in_desc, int32_t i); // one of them

/* Plan the largest shapes into `plan`: decides the arena and what smaller shapes must fit in. */
BT_CHECKED bt_status bt_plan_largest(bt_plan_base *base, const bt_desc *in_desc,
                                     const uint64_t *param, bt_plan *plan);

/* Plan these shapes into `plan`; on failure the plan is not valid. Allocates nothing.
 * INVALID: shapes that disagree, or are larger than the largest; names the node. */
BT_CHECKED bt_status bt_plan_make(bt_plan_base *base, const bt_desc *in_desc, const uint64_t *param,
                                  bt_plan *plan, bt_plan_counters *counters);

bt_place bt_plan_place(const bt_plan_base *base, bt_value v);

/* A number for everything the plan decided, in the order of execution: equal for equal plans,
 * whatever order the graph's nodes were added in. */
uint64_t bt_plan_fingerprint(const bt_plan_base *base, const bt_plan *plan);

/* ---- plan_memory.c ---- */

/* Choose offsets for the plan's values and scratch; descriptors and setups are there. */
BT_CHECKED bt_status bt_plan_memory(bt_plan_base *base, bt_plan *plan,
                                    bt_memplan_report *ret_report);
