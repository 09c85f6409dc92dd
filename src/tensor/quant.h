// SPDX-License-Identifier: Apache-2.0
/* quant: rows of every element type to and from f32, scalar and exact: the definition that all
 * packed layouts and kernels are compared with.
 *
 * Source: the block formats of the GGUF specification (ggml). Dequantisation is bit-exact with it;
 * quantisation has an error no worse than the reference implementation's. */
#pragma once
#include "tensor/dtype.h"

/* Expand one row of `n` elements (a multiple of the block) to f32. Any float or quantised type. */
void bt_dequant_row(bt_dtype dtype, const void *row, int64_t n, float *out);

/* Squeeze one row of `n` f32 (a multiple of the block) into `dtype`. NaN and infinities become 0 in
 * quantised types, so that no block is poisoned; float types keep them. */
void bt_quant_row(bt_dtype dtype, const float *row, int64_t n, void *out);

/* True for the types both functions take: the floats and the quantised ones. */
bool bt_dtype_is_weight(bt_dtype dtype);
