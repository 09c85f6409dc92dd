// SPDX-License-Identifier: Apache-2.0
/* model_ops: where the time of a step goes, operator by operator and node by node, from a trace; and
 * how near the products and attention come to their own rooflines. */
#pragma once
#include "app/bench/model_runs.h"

enum { BT_OP_ROW_MAX = 48, BT_OP_DECODE_STEPS = 16 };

/* One kind of node: all layers together, in an average step (decode) or the whole prompt. */
typedef struct bt_op_row {
    char op[32], node[48]; // "linear", "gate_up"; "(idle)": no operator ran
    double seconds, share; // of a step
    int32_t n_launch;      // of all steps
    double bytes, ops;     // of weights, keys and values; 0: not a product nor attention
    bt_peak_type peak;     // what ops count against
} bt_op_row;

typedef struct bt_op_table {
    bool prefill;
    int32_t n_tok, depth; // of a prompt, or held when the decode steps begin
    double seconds;       // of a step, idle time included
    bt_op_row row[BT_OP_ROW_MAX];
    int32_t n_row; // longest first
} bt_op_table;

/* Trace a prompt of n_tok tokens, or some decode steps of one stream that holds n_tok tokens. */
BT_CHECKED bt_status bt_op_table_of(const bt_model_bench *bench, bool prefill, int32_t n_tok,
                                    bt_op_table *ret_table);

BT_CHECKED bt_status bt_op_table_text(const bt_model_bench *bench, const bt_op_table *table,
                                      bt_buf *out);

/* The rows as JSON objects, with commas between them. */
BT_CHECKED bt_status bt_op_table_json(const bt_model_bench *bench, const bt_op_table *table,
                                      bt_buf *out);
