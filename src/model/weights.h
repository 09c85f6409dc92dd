// SPDX-License-Identifier: Apache-2.0
/* weights: a model's tensors in the form the kernels read: matrices packed into panels, once, at
 * load, or mapped as they were packed before (packcache.h); vectors as f32. q, k and v stand side by
 * side in one projection, and so do gate and up; parts whose types agree are packed as one matrix.
 */
#pragma once
#include "base/arena.h"
#include "base/team.h"
#include "model/file/modelfile.h"
#include "op/op.h"

enum { BT_PROJECTION_PARTS = 3 };

/* out = x [T, n_in] * W^T + bias, W in up to three packed parts side by side. */
typedef struct bt_projection {
    int32_t n_part;
    bt_desc desc[BT_PROJECTION_PARTS]; // [n_out of the part, n_in] in BT_PANELS
    void *panels[BT_PROJECTION_PARTS];
    const float *bias; // [n_out of all parts] or NULL
    int64_t n_out;
} bt_projection;

typedef struct bt_layer {
    const float *attn_norm, *ffn_norm; // [d_model]
    const float *q_norm, *k_norm;      // [d_head] or NULL
    bt_projection qkv, attn_out, gate_up, ffn_down;
} bt_layer;

typedef struct bt_weights {
    bt_desc embed_desc;    // [n_vocab, d_model] rows in the file's own type
    const void *embed;     // in the model file's memory
    const float *out_norm; // [d_model]
    const float *inv_freq; // [d_rot / 2]
    bt_projection head;    // [n_vocab, d_model]
    bt_layer *layer;       // [n_layer]
    int32_t n_layer;
    int64_t packed_bytes; // all panels
    bt_file packed;       // where all panels lie; {0}: in memory of their own
    bt_arena arena;       // vectors and the layer array
} bt_weights;

typedef struct bt_weights_config {
    bt_team *team;        // packs
    const bt_op_env *env; // with its kernels
    const bt_progress *progress;
    const char *pack_cache; // folder of packed weights, see packcache.h; NULL: none
} bt_weights_config;

/* Pack all weights of an open model (BT_USE_COMPUTE), or map them as they were packed before. The
 * file must outlive the weights: the embedding stays there. NOMEM. */
BT_CHECKED bt_status bt_weights_load(const bt_model_file *file, const bt_weights_config *config,
                                     bt_weights **ret_weights);
void bt_weights_free(bt_weights *weights); // NULL is nothing
