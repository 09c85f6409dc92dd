// SPDX-License-Identifier: Apache-2.0
/* capacity: how large everything is, before anything is allocated. The one function from what the
 * user asked for, what the model is and what memory there is, to counts and bytes; the allocators
 * are handed its numbers, so what it predicts is what they take. */
#pragma once
#include "engine/sched.h"
#include "model/arch.h"

/* What the plan must know besides the configuration. */
typedef struct bt_capacity_facts {
    int32_t n_ctx_model; // longest context the model was made for
    int32_t n_vocab;
    int64_t kv_token_bytes; // K and V of one token over all layers; see bt_kv_token_bytes
    int64_t free_bytes;     // memory that may be taken, weights already set aside
    int32_t n_cpu;          // processors this process may use
} bt_capacity_facts;

typedef struct bt_capacity {
    int32_t n_ctx, n_thread, n_request_max;
    bt_sched_config sched; // limits, chunk, policy
    int64_t kv_bytes;      // the pool: n_page * page_len * kv_token_bytes
    int64_t sched_bytes;   // batch arrays, lists, page tables
    int64_t sampler_bytes;
    int64_t slab_bytes; // request slots, without what each request brings
} bt_capacity;

/* INVALID: a type that keys and values cannot have, or not in heads of this model's width. */
BT_CHECKED bt_status bt_kv_dtype_check(const bt_hparams *hparams, bt_dtype kv_dtype);

/* Bytes of K and V that one token needs: only the n_kv heads are kept, not all n_head. */
int64_t bt_kv_token_bytes(const bt_hparams *hparams, bt_dtype kv_dtype); // a checked type

/* Decide all sizes. Pure.
 * Errors  INVALID: a field of `config` out of range, named.
 *         NOMEM: not even one request of n_ctx fits; the message says what it takes. */
BT_CHECKED bt_status bt_capacity_plan(const bt_engine_config *config,
                                      const bt_capacity_facts *facts, bt_capacity *ret_capacity);
