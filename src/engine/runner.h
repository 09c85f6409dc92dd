// SPDX-License-Identifier: Apache-2.0
/* runner: what the engine needs of a model: run one batch, give logits. The real one
 * (modelrunner.c) drives the model's graph on a device; tests put a function of the prefix in its
 * place. */
#pragma once
#include "base/status.h"
#include "baton/tensor.h"
#include "baton/trace.h"

/* One step's work as arrays that live as long as the engine; the scheduler fills them in place.
 * Tokens of one sequence are consecutive and in order. All ids and slots are valid by construction.
 */
typedef struct bt_batch {
    int32_t n_tok; // 1..n_tok_max
    int32_t n_seq; // 1..n_seq_max
    int32_t n_out; // 0..n_out_max rows whose logits are wanted
    int32_t *ids;  // [n_tok] token ids
    int32_t *pos;  // [n_tok] positions in their sequence
    int32_t *seq;  // [n_tok] row of `table`
    int64_t *slot; // [n_tok] flat KV slot: page * page_len + offset
    int32_t
        *table; // [n_seq, n_page_max] page ids of each sequence; entries past its length are unread
    int32_t *out_row; // [n_out] index into the tokens, ascending
} bt_batch;

/* The sizes everything is planned for; fixed at open. */
typedef struct bt_batch_limits {
    int32_t n_tok_max, n_seq_max, n_out_max;
    int32_t n_page_max; // pages of one sequence: the table's width
    int32_t n_page;     // pages in the pool
    int32_t page_len;
    bt_dtype kv_dtype;
} bt_batch_limits;

/* What a runner's dispatch has done; see bt_exec_counters. */
typedef struct bt_runner_counters {
    uint64_t plans_built, setups_run, setups_skipped, replays;
    int64_t host_ns; // spent in `begin`
} bt_runner_counters;

typedef struct bt_runner {
    /* Set the batch under way. It may be on the device from here on: its arrays stay as they are
     * until `finish`. Allocates nothing. */
    bt_status (*begin)(void *self, const bt_batch *batch);
    /* May be NULL. Between the two: a batch of this size is likely to be next. */
    void (*prepare)(void *self, int32_t n_tok, int32_t n_out);
    /* Wait for it; *ret_logits is [n_out, n_vocab], valid until the next `begin`. */
    bt_status (*finish)(void *self, const float **ret_logits);
    void (*get_counters)(const void *self, bt_runner_counters *ret_counters); // may be NULL
    void (*set_trace)(void *self, bt_trace *trace);                           // may be NULL
    void (*close)(void *self);
    void *self;
    int32_t n_vocab;
    int32_t n_launch_max; // kernels a batch takes at most; 0: not known
    int64_t weight_bytes, weight_mapped_bytes, weight_read_bytes, kv_bytes, workspace_bytes;
} bt_runner;
