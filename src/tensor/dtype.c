// SPDX-License-Identifier: Apache-2.0
/* dtype: everything here is expanded from BT_DTYPE_LIST. */
#include "tensor/dtype.h"
#include "base/bits.h"
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    int64_t block, block_bytes;
    int gguf_id;
} rows[] = {
#define ROW(upper, lower, elements, bytes, gguf) {#lower, elements, bytes, gguf},
    BT_DTYPE_LIST(ROW)
#undef ROW
};

const char *bt_dtype_name(bt_dtype dtype)
{
    return (unsigned)dtype < BT_DTYPE_COUNT ? rows[dtype].name : "unknown";
}

int64_t bt_dtype_block(bt_dtype dtype) { return rows[dtype].block; }
int64_t bt_dtype_block_bytes(bt_dtype dtype) { return rows[dtype].block_bytes; }
bool bt_dtype_is_quantised(bt_dtype dtype) { return rows[dtype].block > 1; }
int bt_dtype_gguf_id(bt_dtype dtype) { return rows[dtype].gguf_id; }

bt_status bt_dtype_parse(const char *name, bt_dtype *ret_dtype)
{
    for (int i = 0; i < BT_DTYPE_COUNT; i++)
        if (!strcasecmp(name, rows[i].name)) {
            *ret_dtype = (bt_dtype)i;
            return BT_OK;
        }
    return bt_fail(BT_INVALID,
                   "element type '%s' is unknown; one of f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, "
                   "q5_1, q4_k, q5_k, q6_k",
                   name);
}

bt_status bt_dtype_from_gguf(uint32_t id, bt_dtype *ret_dtype)
{
    for (int i = 0; i < BT_DTYPE_COUNT; i++)
        if (rows[i].gguf_id >= 0 && (uint32_t)rows[i].gguf_id == id) {
            *ret_dtype = (bt_dtype)i;
            return BT_OK;
        }
    return bt_fail(BT_UNSUPPORTED, "GGUF element type %u is not supported", id);
}

int64_t bt_row_bytes(bt_dtype dtype, int64_t n)
{
    assert(n % rows[dtype].block == 0);
    return n / rows[dtype].block * rows[dtype].block_bytes;
}

bt_desc bt_desc_1d(bt_dtype dtype, int64_t n)
{
    return (bt_desc){.dtype = dtype, .n_dim = 1, .dim = {n}};
}

bt_desc bt_desc_2d(bt_dtype dtype, int64_t n_row, int64_t n_col)
{
    return (bt_desc){.dtype = dtype, .n_dim = 2, .dim = {n_row, n_col}};
}

bt_desc bt_desc_3d(bt_dtype dtype, int64_t d0, int64_t d1, int64_t d2)
{
    return (bt_desc){.dtype = dtype, .n_dim = 3, .dim = {d0, d1, d2}};
}

bt_desc bt_desc_4d(bt_dtype dtype, int64_t d0, int64_t d1, int64_t d2, int64_t d3)
{
    return (bt_desc){.dtype = dtype, .n_dim = 4, .dim = {d0, d1, d2, d3}};
}

int64_t bt_desc_count(const bt_desc *desc)
{
    int64_t n = 1;
    for (int i = 0; i < desc->n_dim; i++) n *= desc->dim[i];
    return n;
}

int64_t bt_desc_bytes(const bt_desc *desc)
{
    assert(desc->layout == BT_ROWS && desc->n_dim >= 1);
    int64_t row = desc->dim[desc->n_dim - 1], last = 0;
    if (bt_desc_count(desc) == 0) return 0;
    if (!desc->strided) return bt_desc_count(desc) / row * bt_row_bytes(desc->dtype, row);
    for (int d = 0; d < desc->n_dim; d++) last += (desc->dim[d] - 1) * desc->stride[d];
    return (last + 1) / bt_dtype_block(desc->dtype) * bt_dtype_block_bytes(desc->dtype);
}

int64_t bt_desc_stride(const bt_desc *desc, int32_t d)
{
    int64_t n = 1;
    if (desc->strided) return desc->stride[d];
    for (int i = d + 1; i < desc->n_dim; i++) n *= desc->dim[i];
    return n;
}

void bt_desc_normalize(bt_desc *desc)
{
    int64_t dense = 1;
    desc->strided = 0;
    for (int d = desc->n_dim - 1; d >= 0; d--) {
        if (desc->dim[d] == 1) desc->stride[d] = dense;
        desc->strided |= desc->stride[d] != dense;
        dense *= desc->dim[d];
    }
    for (int d = 0; d < BT_DIM_MAX; d++)
        if (!desc->strided || d >= desc->n_dim) desc->stride[d] = 0;
}

bool bt_desc_equal(const bt_desc *a, const bt_desc *b)
{
    size_t n = sizeof *a->dim * (size_t)a->n_dim;
    return a->dtype == b->dtype && a->layout == b->layout && a->n_dim == b->n_dim &&
           a->strided == b->strided && !memcmp(a->dim, b->dim, n) &&
           (!a->strided || !memcmp(a->stride, b->stride, n));
}

bt_status bt_desc_check_bytes(const bt_desc *desc, uint64_t *ret_bytes)
{
    int64_t block = bt_dtype_block(desc->dtype), last = desc->dim[desc->n_dim - 1];
    uint64_t n = 1;
    for (int i = 0; i < desc->n_dim; i++) {
        BT_FAIL_IF(desc->dim[i] <= 0, FORMAT, "dimension %d is %lld, must be positive", i,
                   (long long)desc->dim[i]);
        BT_FAIL_IF(!bt_mul_fits(n, (uint64_t)desc->dim[i], &n), FORMAT,
                   "the number of elements overflows");
    }
    BT_FAIL_IF(last % block, FORMAT, "rows of %lld elements, must be a multiple of %lld for %s",
               (long long)last, (long long)block, bt_dtype_name(desc->dtype));
    n /= (uint64_t)block;
    BT_FAIL_IF(!bt_mul_fits(n, (uint64_t)bt_dtype_block_bytes(desc->dtype), &n) || n > INT64_MAX,
               FORMAT, "the number of bytes overflows");
    *ret_bytes = n;
    return BT_OK;
}

/* From the first element to past the last one, as counted in elements, fits 63 bits. */
static bool extent_fits(const bt_desc *desc)
{
    int64_t n = bt_dtype_block_bytes(desc->dtype), end = 1, step;
    for (int i = 0; i < desc->n_dim; i++)
        if (!bt_mul_fits(n, bt_max_i64(desc->dim[i], 1), &n)) return false;
    for (int i = 0; desc->strided && i < desc->n_dim; i++)
        if (!bt_mul_fits(bt_max_i64(desc->dim[i], 1), desc->stride[i], &step) ||
            !bt_add_fits(end, step, &end))
            return false;
    return bt_mul_fits(end, bt_dtype_block_bytes(desc->dtype), &end);
}

bt_status bt_desc_check(const bt_desc *desc)
{
    BT_FAIL_IF((unsigned)desc->dtype >= BT_DTYPE_COUNT, INVALID, "type %d, must be below %d",
               (int)desc->dtype, BT_DTYPE_COUNT);
    BT_FAIL_IF((unsigned)desc->layout > BT_PANELS, INVALID, "layout %d, must be 0 or 1",
               (int)desc->layout);
    BT_FAIL_IF(desc->n_dim < 1 || desc->n_dim > BT_DIM_MAX, INVALID,
               "%d dimensions, must be 1 to %d", desc->n_dim, BT_DIM_MAX);
    BT_FAIL_IF(desc->strided != 0 && (desc->strided != 1 || desc->layout != BT_ROWS), INVALID,
               "strided is %d, must be 0, or 1 in rows", desc->strided);
    for (int i = 0; i < desc->n_dim; i++)
        BT_FAIL_IF(desc->dim[i] < 0 || (desc->strided && desc->stride[i] < 0), INVALID,
                   "dimension %d is %lld with stride %lld, must not be negative", i,
                   (long long)desc->dim[i], (long long)desc->stride[i]);
    int64_t last = desc->dim[desc->n_dim - 1], block = bt_dtype_block(desc->dtype);
    BT_FAIL_IF(last % block, INVALID, "rows of %lld elements, must be a multiple of %lld for %s",
               (long long)last, (long long)block, bt_dtype_name(desc->dtype));
    BT_FAIL_IF(!extent_fits(desc), INVALID, "the number of bytes overflows");
    return BT_OK;
}
