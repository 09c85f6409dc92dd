// SPDX-License-Identifier: Apache-2.0
/* model_shape: what work on a model must at least read and compute, from its exact shapes.
 *
 * A step reads every matrix once, whatever its batch, and the keys and values that its tokens see. A
 * token takes two operations for each weight it is multiplied with, the head's only where logits are
 * wanted, and 4 x heads x width for each position it sees. */
#pragma once
#include "baton/engine.h"

/* The products of a step: X(NAME, "the node as the graph calls it") */
#define BT_PRODUCT_LIST(X)                                                                         \
    X(QKV, "qkv")                                                                                  \
    X(ATTN_OUT, "attn_out")                                                                        \
    X(GATE_UP, "gate_up")                                                                          \
    X(DOWN, "ffn_down")                                                                            \
    X(HEAD, "head")

typedef enum bt_product {
#define BT_PRODUCT_ENUM(name, node) BT_PRODUCT_##name,
    BT_PRODUCT_LIST(BT_PRODUCT_ENUM)
#undef BT_PRODUCT_ENUM
        BT_PRODUCT_COUNT
} bt_product;

/* All matrices of one product, over all layers. */
typedef struct bt_product_shape {
    double n_weight; // elements
    double bytes;    // packed
    bt_dtype type;   // of the first
} bt_product_shape;

typedef struct bt_model_shape {
    char name[96];
    int32_t n_layer, n_window_layer, window; // layers that see `window` tokens only
    int32_t n_head, n_kv, d_head, n_vocab;
    double n_parameter, file_bytes;
    double weight_bytes; // a step reads, by the engine's word
    int64_t kv_bytes;    // of one element of a key or value
    bt_dtype type;       // that most weights have
    bt_product_shape product[BT_PRODUCT_COUNT];
} bt_model_shape;

/* Of an open engine. UNSUPPORTED: its model has tensors of which this knows no product. */
BT_CHECKED bt_status bt_model_shape_of(const bt_engine *engine, bt_dtype kv_dtype,
                                       bt_model_shape *ret_shape);

const char *bt_product_node(bt_product product); // "gate_up"

typedef struct bt_model_cost {
    double bytes, ops;
    double attn_bytes, attn_ops; // of these, what attention takes
    double n_step;
} bt_model_cost;

/* Reading a prompt in pieces of `n_chunk`, and the logits of its last token. */
bt_model_cost bt_model_cost_prefill(const bt_model_shape *shape, int32_t n_tok, int32_t n_chunk);

/* n_tok steps of n_stream streams, each of which holds `depth` tokens when the first begins. */
bt_model_cost bt_model_cost_decode(const bt_model_shape *shape, int32_t n_stream, int32_t depth,
                                   int32_t n_tok);
