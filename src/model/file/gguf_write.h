// SPDX-License-Identifier: Apache-2.0
/* gguf_write: the head of a GGUF v3 file: keys and tensor descriptions, in any order, then the
 * layout. The data is the caller's to put where the head says: tensor after tensor in the order
 * described, each padded with zeros to a multiple of BT_GGUF_ALIGNMENT. */
#pragma once
#include "base/buf.h"
#include "model/arch.h"
#include "model/file/gguf.h"

enum { BT_GGUF_ALIGNMENT = 32 };

typedef struct bt_gguf_out {
    bt_buf kv, info; // encoded so far
    uint64_t n_kv, n_tensor;
    uint64_t n_data; // bytes of data, padded
} bt_gguf_out;

void bt_gguf_out_done(bt_gguf_out *out); // {0} is a valid empty one

BT_CHECKED bt_status bt_gguf_put_u32(bt_gguf_out *out, const char *key, uint32_t value);
BT_CHECKED bt_status bt_gguf_put_f32(bt_gguf_out *out, const char *key, float value);
BT_CHECKED bt_status bt_gguf_put_bool(bt_gguf_out *out, const char *key, bool value);
BT_CHECKED bt_status bt_gguf_put_text(bt_gguf_out *out, const char *key, const char *text,
                                      size_t len);
BT_CHECKED bt_status bt_gguf_put_texts(bt_gguf_out *out, const char *key, const bt_name *text,
                                       size_t n);
BT_CHECKED bt_status bt_gguf_put_array(bt_gguf_out *out, const char *key, bt_gguf_type item,
                                       const void *data, size_t n);
BT_CHECKED bt_status bt_gguf_put_copy(bt_gguf_out *out,
                                      const bt_gguf_kv *kv); // as another file has it

/* Describe the next tensor; *ret_offset (may be NULL) is where its data goes, from the data's
 * begin. */
BT_CHECKED bt_status bt_gguf_put_tensor(bt_gguf_out *out, const char *name, const bt_desc *desc,
                                        uint64_t *ret_offset);

/* Append the whole head, padded: the data follows. */
BT_CHECKED bt_status bt_gguf_out_head(const bt_gguf_out *out, bt_buf *ret_head);

/* general.architecture, general.name and all keys of the hyperparameters. The factors of llama3
 * scaling have no key: write bt_gguf_rope_factors as the tensor rope_freqs.weight. */
BT_CHECKED bt_status bt_gguf_put_hparams(bt_gguf_out *out, const bt_hparams *hp, const char *name);

/* general.file_type's number for a file whose matrices are of this type. */
uint32_t bt_gguf_file_type(bt_dtype dtype);

/* What rope_freqs.weight holds [d_rot / 2]: by how much each frequency is divided. */
void bt_gguf_rope_factors(const bt_rope *rope, float *ret_factor);

/* The type a tensor of this shape is stored in when the matrices are to be `dtype`: 1-D tensors
 * f32; matrices whose rows are no multiple of the block q8_0, and where that does not fit either,
 * f16. */
bt_dtype bt_stored_dtype(bt_dtype dtype, const bt_desc *desc);
