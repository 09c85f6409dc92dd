// SPDX-License-Identifier: Apache-2.0
/* llama_graph: a Llama-like decoder of 32 layers built by hand through the public headers, narrow,
 * so that its kernels are short and the host shows. One graph of a layer is called 32 times, each
 * time with weights of its own, random: 4.7 MB, so that a step leaves the host as little of the
 * inner caches as a real model's does. */
#pragma once
#include "baton/dispatch.h"

enum {
    BT_LLAMA_LAYER = 32,
    BT_LLAMA_VOCAB = 256,
    BT_LLAMA_KV_HEAD = 1,
    BT_LLAMA_D_HEAD = 32,
    BT_LLAMA_MATRIX = 4 * BT_LLAMA_LAYER + 1
};

/* Inputs; from K on the pools of layer 0, 1, ...: k, v, k, v, ... */
enum {
    BT_LLAMA_IDS,
    BT_LLAMA_POS,
    BT_LLAMA_SEQ,
    BT_LLAMA_SLOT,
    BT_LLAMA_TABLE,
    BT_LLAMA_OUT_ROW,
    BT_LLAMA_K,
    BT_LLAMA_INPUT = BT_LLAMA_K + 2 * BT_LLAMA_LAYER
};

typedef struct bt_llama_graph {
    bt_device *device;             // of the packed matrices
    bt_desc desc[BT_LLAMA_MATRIX]; // of what lies in `panels`
    void *panels[BT_LLAMA_MATRIX]; // q8_0: four of layer 0, four of layer 1, ..., the head's
    float *vectors;                // owned: norms [2 d], table [vocab, d], frequencies [d_head / 2]
    bt_graph *graph;               // frozen; one output: logits [wanted rows, vocab]
} bt_llama_graph;

BT_CHECKED bt_status bt_llama_graph_init(bt_device *device, bt_llama_graph *ret);
void bt_llama_graph_done(bt_llama_graph *m); // {0} is nothing
