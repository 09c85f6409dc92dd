// SPDX-License-Identifier: Apache-2.0
/* modelfile: one view of a model, whatever format it came in (baton/model.h has open and close).
 *
 * Tensors go by GGUF's names: token_embd.weight, output_norm.weight, output.weight,
 * rope_freqs.weight,
 * blk.N.{attn_norm,attn_q,attn_k,attn_v,attn_output,attn_q_norm,attn_k_norm,ffn_norm,ffn_gate,ffn_up,
 * ffn_down}.{weight,bias}. Dimensions are outermost first: a projection is [n_out, n_in]. Data
 * points into the file's mapping. A file opened with BT_USE_COMPUTE has every tensor its family
 * needs, in the right shape and a type that bt_dequant_row takes; HF llama weights keep their
 * half-split rope order (hparams.rope.kind says so).
 */
#pragma once
#include "base/file.h"
#include "base/hash.h"
#include "baton/model.h"
#include "model/arch.h"

typedef struct bt_tensor_view {
    const char *name;      // canonical
    bt_desc desc;          // dtype is BT_DTYPE_COUNT when it is none of ours: then only listed
    const void *data;      // n_bytes, any alignment, read-only
    uint64_t n_bytes;      // 0 when the type's size is unknown
    const char *type_name; // "q4_k", "iq2_xxs"
} bt_tensor_view;

/* What the weights of an open model are known by, as far as that can be told without reading them:
 * identity and times of its files, everything in front of the first tensor in each, all names,
 * types, sizes and places of tensors, and the first 4 KiB of each one. False where it is no file. */
BT_CHECKED bt_status bt_model_file_key(const bt_model_file *file, bool *ret_found,
                                       bt_hash128 *ret_key);

/* Say what will happen to a tensor's bytes; nothing where they are no part of a mapped file. */
void bt_model_file_advise(const bt_model_file *file, const bt_tensor_view *view, bt_file_need need);

/* Hyperparameters; NULL only where INSPECT or TOKENIZER found no supported family. */
const bt_hparams *bt_model_file_hparams(const bt_model_file *file);
const char *bt_model_file_name(const bt_model_file *file); // general.name, or the path's last part
const char *bt_model_file_path(const bt_model_file *file);
const char *
bt_model_file_format(const bt_model_file *file);        // "GGUF v3", "HF safetensors", "synthetic"
bool bt_model_file_permuted(const bt_model_file *file); // q/k in GGUF llama's interleaved order

/* All tensors, in file order. */
int64_t bt_model_file_n_tensor(const bt_model_file *file);
const bt_tensor_view *bt_model_file_tensor(const bt_model_file *file, int64_t i);

/* A tensor by canonical name; find: NULL when absent; get: NOTFOUND names file and tensor. */
const bt_tensor_view *bt_model_file_find(const bt_model_file *file, const char *name);

/* The same for a layer's tensor: ("attn_q.weight", 3) is blk.3.attn_q.weight. */
const bt_tensor_view *bt_model_file_find_layer(const bt_model_file *file, const char *part,
                                               int32_t layer);

/* A tensor that must be [n_row, n_col], or [n_col] where n_row is 0. FORMAT: other dimensions.
 * UNSUPPORTED: a type this build cannot compute with. */
BT_CHECKED bt_status bt_model_file_get(const bt_model_file *file, const char *name, int64_t n_row,
                                       int64_t n_col, const bt_tensor_view **ret_view);

/* Inverse frequencies [d_rot / 2] with all of the file's scalings in them; see bt_rope_inv_freq. */
void bt_model_file_inv_freq(const bt_model_file *file, float *ret_inv_freq);
