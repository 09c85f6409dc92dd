// SPDX-License-Identifier: Apache-2.0
/* safetensors: reading the format from untrusted bytes.
 *
 *   n u64 | n bytes of JSON, {"name": {"dtype": .., "shape": [..], "data_offsets": [begin, end]},
 * ...} | data
 *
 * The ranges must tile the data: no overlap, no gap, nothing left over, each exactly as long as its
 * shape and type say. Parsing copies names only; data points into the bytes. Source:
 * github.com/huggingface/safetensors, README "Format".
 */
#pragma once
#include "model/file/names.h"
#include "tensor/dtype.h"

enum { BT_SAFETENSORS_HEADER_MAX = 32 << 20 };

typedef struct bt_safetensor {
    const char *name;      // NUL-terminated, in the arena
    const char *type_name; // "f32"; static
    bt_desc desc;          // dtype BT_DTYPE_COUNT when it is none of ours; a scalar is [1]
    const uint8_t *data;
    uint64_t n_bytes;
} bt_safetensor;

typedef struct bt_safetensors {
    bt_safetensor *tensor; // [n] in the header's order, in the arena
    size_t n;
    bt_name_set set;
} bt_safetensors;

BT_CHECKED bt_status bt_safetensors_parse(const uint8_t *bytes, size_t len, bt_arena *arena,
                                          bt_safetensors *ret);
