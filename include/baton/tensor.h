// SPDX-License-Identifier: Apache-2.0
/* baton/tensor.h: element types and tensor descriptors.
 *
 * A tensor is plain data plus a description of it. Dimensions are listed outermost first, as NumPy
 * does (GGUF files list them innermost first; the loader turns them round). A tensor is dense (its
 * elements lie one after the other) unless it is a strided view of another one. Quantised types
 * store the innermost dimension in blocks of n_block elements.
 */
#ifndef BATON_TENSOR_H
#define BATON_TENSOR_H

#include "baton/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The one list of element types: X(NAME, name, elements a block, bytes a block, GGUF type id or
 * -1). */
#define BT_DTYPE_LIST(X)                                                                           \
    X(F32, f32, 1, 4, 0)                                                                           \
    X(F16, f16, 1, 2, 1)                                                                           \
    X(BF16, bf16, 1, 2, 30)                                                                        \
    X(Q8_0, q8_0, 32, 34, 8)                                                                       \
    X(Q4_0, q4_0, 32, 18, 2)                                                                       \
    X(Q4_1, q4_1, 32, 20, 3)                                                                       \
    X(Q5_0, q5_0, 32, 22, 6)                                                                       \
    X(Q5_1, q5_1, 32, 24, 7)                                                                       \
    X(Q4_K, q4_k, 256, 144, 12)                                                                    \
    X(Q5_K, q5_k, 256, 176, 13)                                                                    \
    X(Q6_K, q6_k, 256, 210, 14)                                                                    \
    X(I8, i8, 1, 1, 24)                                                                            \
    X(I16, i16, 1, 2, 25)                                                                          \
    X(I32, i32, 1, 4, 26)                                                                          \
    X(I64, i64, 1, 8, 27)                                                                          \
    X(F64, f64, 1, 8, 28)                                                                          \
    X(U8, u8, 1, 1, -1)

typedef enum bt_dtype {
#define BT_DTYPE_ENUM(upper, lower, elements, bytes, gguf) BT_##upper,
    BT_DTYPE_LIST(BT_DTYPE_ENUM)
#undef BT_DTYPE_ENUM
        BT_DTYPE_COUNT
} bt_dtype;

enum { BT_DIM_MAX = 4 };

/* How the bytes of a tensor lie. */
typedef enum bt_layout {
    BT_ROWS,  /* row after row, as in model files */
    BT_PANELS /* a weight matrix packed for the matrix product; see kernel/kernel.h. Opaque outside.
               */
} bt_layout;

/* What a tensor looks like; plain data, compared field by field. Fill unused entries with 0. */
typedef struct bt_desc {
    bt_dtype dtype;
    bt_layout layout;
    int32_t n_dim;              /* 1..BT_DIM_MAX */
    int32_t strided;            /* 0: dense, `stride` is 0; 1: a view, element i of dimension d lies
                                 * i * stride[d] elements further on. Only BT_ROWS */
    int64_t dim[BT_DIM_MAX];    /* outermost first; unused entries are 0 */
    int64_t stride[BT_DIM_MAX]; /* elements; 0 repeats (broadcast), never negative */
} bt_desc;

BT_API const char *bt_dtype_name(bt_dtype dtype); /* "q4_k"; "unknown" outside the list */
BT_API int64_t bt_dtype_block(bt_dtype dtype);    /* elements a block, >= 1 */
BT_API int64_t bt_dtype_block_bytes(bt_dtype dtype);
BT_API bool bt_dtype_is_quantised(bt_dtype dtype); /* more than one element a block */
BT_API BT_CHECKED bt_status bt_dtype_parse(const char *name, bt_dtype *ret_dtype); /* any case */

/* Bytes of one row of n elements; n must be a multiple of the block. */
BT_API int64_t bt_row_bytes(bt_dtype dtype, int64_t n);

/* A descriptor of 1 to 4 dimensions in BT_ROWS. */
BT_API bt_desc bt_desc_1d(bt_dtype dtype, int64_t n);
BT_API bt_desc bt_desc_2d(bt_dtype dtype, int64_t n_row, int64_t n_col);
BT_API bt_desc bt_desc_3d(bt_dtype dtype, int64_t d0, int64_t d1, int64_t d2);
BT_API bt_desc bt_desc_4d(bt_dtype dtype, int64_t d0, int64_t d1, int64_t d2, int64_t d3);

BT_API int64_t bt_desc_count(const bt_desc *desc); /* elements */
/* Bytes from the first element to past the last one; 0 when there is none. BT_ROWS only. */
BT_API int64_t bt_desc_bytes(const bt_desc *desc);
BT_API bool bt_desc_equal(const bt_desc *a, const bt_desc *b);

/* Elements between neighbours along dimension d, dense or not. BT_ROWS only. */
BT_API int64_t bt_desc_stride(const bt_desc *desc, int32_t d);

/* Turn a descriptor whose `stride` is filled in into its one spelling: dense where the strides say
 * no more than the dimensions do. Strides of dimensions of size 1 do not count. */
BT_API void bt_desc_normalize(bt_desc *desc);

#ifdef __cplusplus
}
#endif
#endif
