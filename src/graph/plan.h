// SPDX-License-Identifier: Apache-2.0
/* plan: a graph at one set of shapes: descriptors, setups, memory, and ready launch records.
 *
 * Whatever can fail or depends on shapes happens when a plan is made; binding only writes addresses
 * into its launches, and running it is submitting those. A plan cache holds all memory its plans
 * will ever need from the start, so that a new shape allocates nothing: the arena is planned once,
 * at the largest shapes, and every smaller plan uses the same offsets (each of its values is no
 * larger).
 */
#pragma once
#include "graph/graph.h"

typedef struct bt_plan {
    const bt_graph *graph;
    bt_desc *in_desc; // [n_input] the signature
    bt_desc *desc;    // [n_value]
    int64_t *offset;  // [n_value] in the arena; -1: not there, or a view of what is. Values that
                      // share a block share it
    int64_t *work_offset; // [n_node]
    bt_op_setup *setup;   // [n_node]
    bt_launch *launch;    // [n_launch]
    void **ptr;           // [n_value] addresses, once bound
    int32_t n_launch;
    bool bound;
    uint64_t hash, last_use; // the cache's
} bt_plan;

typedef struct bt_plan_counters {
    uint64_t n_built, n_hit, n_setup, n_bound;
} bt_plan_counters;

typedef struct bt_plan_cache bt_plan_cache;

/* A cache of at most n_plan plans for a frozen graph on one device. `max_desc` [n_input] are the
 * largest shapes that will come: they decide the arena. Takes a reference to the graph. */
BT_CHECKED bt_status bt_plan_cache_new(bt_graph *graph, const bt_op_env *env,
                                       const bt_desc *max_desc, int32_t n_plan,
                                       bt_plan_cache **ret_cache);
void bt_plan_cache_free(bt_plan_cache *cache); // NULL is nothing

/* The plan for these input shapes, found or made in the place of the least recently used one.
 * INVALID: shapes that disagree (names the node), or exceed the largest. Allocates nothing. */
BT_CHECKED bt_status bt_plan_cache_get(bt_plan_cache *cache, const bt_desc *in_desc,
                                       bt_plan **ret_plan);

/* Write addresses into the plan's launches: inputs in order, and an arena of
 * bt_plan_cache_arena_bytes, 64-byte aligned. The addresses must be the same at every call for one
 * cache: bound plans stay bound. */
void bt_plan_cache_bind(bt_plan_cache *cache, bt_plan *plan, void *const *in_ptr, void *arena);

/* Where output k of a bound plan lies. */
void *bt_plan_output(const bt_plan *plan, int32_t k);

int64_t bt_plan_cache_arena_bytes(const bt_plan_cache *cache);
int64_t bt_plan_cache_bound_bytes(const bt_plan_cache *cache); // the lower bound on those
bt_plan_counters bt_plan_cache_counters(const bt_plan_cache *cache);
