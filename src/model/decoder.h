// SPDX-License-Identifier: Apache-2.0
/* decoder: the blocks that decoder families are put together from. A family's file (llama.c,
 * qwen3.c,
 * ...) says which blocks follow each other; this one says what nodes a block is.
 *
 *   ids -> embed -> h -> [attention block -> feed-forward block] x n_layer -> wanted rows -> norm
 * -> head
 *
 * `h` is the residual stream: each block reads it, and the last product of the block adds to it.
 */
#pragma once
#include "graph/custom.h"
#include "graph/graph.h"
#include "model/weights.h"

/* Inputs of every decoder graph, in order; then k and v of layer 0, k and v of layer 1, ... */
enum {
    BT_DECODER_IDS,     // [n_tok] i32
    BT_DECODER_POS,     // [n_tok] i32
    BT_DECODER_SEQ,     // [n_tok] i32
    BT_DECODER_SLOT,    // [n_tok] i64
    BT_DECODER_TABLE,   // [n_seq, n_page_max] i32
    BT_DECODER_OUT_ROW, // [n_out] i32
    BT_DECODER_KV       // 2 * n_layer pools: k [n_page, n_kv, d_head, page_len], v [n_page, n_kv,
                        // page_len, d_head]
};

typedef struct bt_decoder {
    bt_graph *graph;
    const bt_hparams *hp;
    const bt_weights *weights;
    const bt_op_set *ops; // NULL: the built-in operators
    bt_value in[BT_DECODER_KV];
    bt_value *kv; // [2 * n_layer]
    bt_value angles;
    bt_value h; // the residual stream so far
} bt_decoder;

/* Build the graph of a model's family: output 0 is the logits [n_out, n_vocab]. Its operators are
 * looked up in `ops` (may be NULL: the built-in ones). Weights and operators must outlive the graph.
 * Returns it frozen, with one reference. */
BT_CHECKED bt_status bt_decoder_build(const bt_hparams *hp, const bt_weights *weights,
                                      const bt_op_set *ops, bt_graph **ret_graph);

/* ---- blocks, for the families' files ---- */
BT_CHECKED bt_status bt_decoder_begin(bt_decoder *d); // embedding and rope angles
BT_CHECKED bt_status bt_decoder_attention(bt_decoder *d,
                                          int32_t layer); // norm, qkv, rope, attention, output
BT_CHECKED bt_status bt_decoder_swiglu(bt_decoder *d,
                                       int32_t layer); // norm, gate and up, swiglu, down
BT_CHECKED bt_status bt_decoder_end(bt_decoder *d);    // wanted rows, norm, head

/* One for each row of BT_FAMILY_LIST. */
#define BT_FAMILY_DECLARE(upper, lower, classes, rope, bias, norm)                                 \
    BT_CHECKED bt_status bt_##lower##_build(bt_decoder *d);
BT_FAMILY_LIST(BT_FAMILY_DECLARE)
#undef BT_FAMILY_DECLARE
