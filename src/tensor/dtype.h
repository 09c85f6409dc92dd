// SPDX-License-Identifier: Apache-2.0
/* dtype: the element types of baton/tensor.h, and their ids in GGUF files. */
#pragma once
#include "base/status.h"
#include "baton/tensor.h"

/* The type with this GGUF id; UNSUPPORTED when it is not one of ours. */
BT_CHECKED bt_status bt_dtype_from_gguf(uint32_t id, bt_dtype *ret_dtype);

/* The id in GGUF files, or -1 when the type has none. */
int bt_dtype_gguf_id(bt_dtype dtype);

/* Bytes of a tensor of these dimensions into *ret_bytes, every multiplication checked.
 * FORMAT: a dimension is not positive, the innermost is no multiple of the block, the size
 * overflows. */
BT_CHECKED bt_status bt_desc_check_bytes(const bt_desc *desc, uint64_t *ret_bytes);

/* INVALID unless a descriptor is what baton/tensor.h says: a type and a layout that there are, 1 to
 * BT_DIM_MAX dimensions of whole blocks, strides where `strided`; its bytes fit 63 bits. */
BT_CHECKED bt_status bt_desc_check(const bt_desc *desc);
