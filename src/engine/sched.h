// SPDX-License-Identifier: Apache-2.0
/* sched: which tokens of which requests the next step computes (continuous batching). Owns the
 * lists of waiting and running requests and the batch; asks pages for room and the policy for
 * order.
 *
 * Each step every running request that generates gets one token, and what is left of the step's
 * budget goes to prompts, first come first, at most n_chunk each. When pages run out, requests at
 * the end of the order lose theirs and wait again; what they had computed is computed again later,
 * bit for bit the same. Requests whose user does not read are the first to go. The first in order
 * is never preempted and, as the pool holds at least one request of n_ctx, always has room.
 */
#pragma once
#include "engine/pages.h"
#include "engine/policy.h"
#include "engine/runner.h"

typedef struct bt_sched_config {
    bt_batch_limits limits;
    int32_t n_chunk;       // prompt tokens of one request in one step, >= 1
    int32_t n_request_max; // waiting and running
    const bt_policy *policy;
} bt_sched_config;

typedef struct bt_sched {
    bt_sched_config config;
    bt_pages *pages;      // owned
    bt_request **waiting; // [n_request_max]
    bt_request **running; // [n_seq_max] in the policy's order while a step is planned
    int32_t n_waiting, n_running;
    int32_t n_decode_left, n_prompt_left, n_extra_out; // budgets of the step being planned
    uint64_t n_step, n_preempted;
    bt_batch batch; // arrays owned
    void *arrays;   // the one block all arrays lie in
} bt_sched;

size_t bt_sched_bytes(const bt_sched_config *config); // what init allocates, pages included
BT_CHECKED bt_status bt_sched_init(bt_sched *sched, const bt_sched_config *config);
void bt_sched_done(bt_sched *sched); // {0} is nothing

/* Add a request to those waiting; there is room for n_request_max. */
void bt_sched_add(bt_sched *sched, bt_request *request);

/* What the step after the planned one is likely to be, if nobody comes, goes or stops early: its
 * tokens and rows of logits. False when there is none. */
bool bt_sched_predict(const bt_sched *sched, int32_t *ret_n_tok, int32_t *ret_n_out);

/* Forget a request, waiting or running; its pages are free again. */
void bt_sched_remove(bt_sched *sched, bt_request *request);

/* Admit, preempt, and fill sched->batch (n_tok 0: nothing can run now). Each running request's
 * n_take, first_out and n_out say what of the batch is its own. */
void bt_sched_plan(bt_sched *sched);
