// SPDX-License-Identifier: Apache-2.0
/* exec: an executable graph: its plans, its slots, and the three stages of a step.
 *
 *   slot    one step in flight: its ticket, copied inputs, outputs, plan, and what became of it
 *   bound   one plan in one slot: launch records for that slot's addresses, and their capture
 *
 * Whoever submits takes a slot whose earlier step is complete (the fence), plans, and passes it on;
 * until the launch stage is through, the slot is the stages'; then it waits for its event.
 */
#pragma once
#include "graph/context.h"
#include "graph/plan.h"

enum { BT_SLOT_IN_FLIGHT_MAX = 8, BT_EXEC_MESSAGE = 240 };

typedef enum bt_slot_state {
    BT_SLOT_FREE,
    BT_SLOT_STAGED,
    BT_SLOT_LAUNCHED,
    BT_SLOT_FAILED
} bt_slot_state;

/* One plan bound to one slot. */
typedef struct bt_bound {
    bt_launch *launch; // [n_launch_max]
    void **in_ptr;     // [n_input] the addresses the launches were written for
    uint64_t version;  // of the VALUE and ADDRESS parameters they were written for
    bool valid;
    bool seen;           // was launched since it was written: the next launch may be captured
    bool captured;       // launching it is a replay
    bt_capture *capture; // of what; NULL: of the launches as they lie
} bt_bound;

typedef struct bt_exec_plan {
    bt_plan plan;
    uint64_t key_version;                  // of the KEY parameters
    bt_bound bound[BT_SLOT_IN_FLIGHT_MAX]; // [n_slot]
} bt_exec_plan;

typedef struct bt_exec_slot {
    bt_slot_state state; // under the context's monitor while there are stage threads
    bt_ticket ticket;
    bt_exec_plan *plan; // stays where it is until the slot is taken again; NULL: no step yet
    void **in_ptr;      // [n_input] this step's addresses
    char *copies;       // the copied inputs
    char *outputs;      // the output block
    bt_stream_event *done;
    int32_t n_bound, n_launched; // launch records written, kernels enqueued: this step's
    bool captured, replayed;     // this step was
    bt_status status;            // FAILED: why
    char message[BT_EXEC_MESSAGE];
} bt_exec_slot;

struct bt_exec {
    bt_context *context;
    bt_graph *graph; // the base's
    bt_plan_base base;
    uint32_t off;
    bool clock; // fill in host_ns
    int32_t n_slot;
    bt_exec_slot slot[BT_SLOT_IN_FLIGHT_MAX];
    bt_exec_plan *plan; // [n_plan]
    int32_t n_plan, n_plan_used;
    bt_exec_plan *last; // the plan of the last step; NULL: none
    bt_ticket n_ticket; // tickets given out
    uint64_t clock_lru;
    bt_exec_slot *recorded; // of the last step that went into the user's capture
    int64_t *copy_offset;   // [n_input] in the copies; -1: not copied
    int64_t *copy_max;      // [n_input] bytes
    int64_t copy_bytes;
    void *arena;
    char *outputs, *copies;                    // all slots
    bt_stream_event *begin;                    // where other streams may begin
    bt_stream_event **event;                   // [streams.n_event]
    bt_stream_event *end[BT_GRAPH_STREAM_MAX]; // the ends of the other streams
    uint64_t *param;                           // [n_node][8] the parameters of the steps to come
    uint64_t key_version, value_version, key_hash;
    int64_t capture_bytes, capture_bytes_max, plan_bytes;
    int32_t no_capture_node; // the first that must not be captured; -1: none
    int32_t names;    // of the nodes in the trace; 0: none. The launch stage's, as is the next:
    unsigned n_trace; // the device's count when they were put there
    bt_exec_counters counters;
    void *block, *plan_block; // arrays
    uint32_t unsafe;
};

/* ---- exec_open.c ---- */

/* Free an executable, whole or half made, none of whose steps is under way. */
void bt_exec_free(bt_exec *exec);

/* The KEY parameters have changed: what plans are found by has, too. */
void bt_exec_hash_keys(bt_exec *exec);

/* ---- stages.c ---- */

/* Find or make the plan for these shapes and put it into the slot. */
BT_CHECKED bt_status bt_stage_plan(bt_exec *exec, bt_exec_slot *slot, const bt_desc *in_desc);
void bt_stage_bind(bt_exec *exec, bt_exec_slot *slot);
BT_CHECKED bt_status bt_stage_launch(bt_exec *exec, bt_exec_slot *slot);

/* Forget a plan's capture in a slot. */
void bt_exec_drop_capture(bt_exec *exec, bt_bound *bound);

/* Where value v lies for this slot's step. */
void *bt_exec_address(const bt_exec *exec, const bt_exec_slot *slot, bt_value v);

/* Keep the thread's error for the one who waits for the step. */
void bt_exec_note_failure(bt_exec_slot *slot, bt_status status);

/* The last stage is through with the slot. */
void bt_exec_staged(bt_exec *exec, bt_exec_slot *slot, bt_status status);

/* Bind, launch, or both, on a stage's thread; ends with the slot launched or failed. */
void bt_stage_run(bt_exec *exec, int32_t slot_number, int32_t stage);

/* The plan for these shapes, found or made; *ret_made (may be NULL) tells which. */
BT_CHECKED bt_status bt_exec_find_plan(bt_exec *exec, const bt_desc *in_desc,
                                       bt_exec_plan **ret_plan);

/* ---- tests only: take safety away, to see that it is needed or that there is more of it ---- */
enum {
    BT_UNSAFE_NO_FENCE = 1,   // a slot is taken although its earlier step is not complete
    BT_UNSAFE_ONE_BUFFER = 2, // all slots copy their inputs to one place
    BT_UNSAFE_ONE_HASH = 4 // all plans have one hash: what tells them apart is the full comparison
};
void bt_exec_set_unsafe(bt_exec *exec, uint32_t unsafe);

/* The fingerprint of the plan for these shapes, which is made when it is not there. */
BT_CHECKED bt_status bt_exec_fingerprint(bt_exec *exec, const bt_desc *in_desc, uint64_t *ret);
