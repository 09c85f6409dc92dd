// SPDX-License-Identifier: Apache-2.0
/* view: operators that only look at their input in another way: reshape, slice, chunk, permute,
 * broadcast. Their output is the input's memory under another descriptor, so they cost nothing.
 *
 * A view of a view is a view of the first one's input: strides compose, and every descriptor comes
 * out in its one spelling (dense where it can be), so that what is equal looks equal. Types in
 * blocks can be viewed as long as rows stay whole blocks; of packed matrices rows can be taken in
 * whole panels, and nothing else, for only the matrix product knows their order.
 */
#include "op/op.h"
#include <stdio.h>

static int64_t element_bytes(bt_dtype dtype, int64_t n)
{
    return n / bt_dtype_block(dtype) * bt_dtype_block_bytes(dtype);
}

static bt_status want_rows(const bt_op *op, const bt_desc *in)
{
    BT_FAIL_IF(in->layout != BT_ROWS, INVALID, "%s: the input is packed, must lie in rows",
               op->name);
    return BT_OK;
}

/* A descriptor with its strides spelled out. */
static bt_desc spelled(const bt_desc *in)
{
    bt_desc d = *in;
    for (int32_t i = 0; i < in->n_dim; i++) d.stride[i] = bt_desc_stride(in, i);
    d.strided = 1;
    return d;
}

static void print_dims(const int64_t *dim, int32_t n, char *text, size_t size)
{
    size_t at = 0;
    for (int32_t d = 0; d < n && at < size; d++)
        at += (size_t)snprintf(text + at, size - at, "%s%lld", d ? ", " : "", (long long)dim[d]);
}

/* Every view ends here: `out` begins `at` elements into its input and has its strides filled in. */
static bt_status finish(const bt_op *op, int64_t at, bt_desc out, bt_desc *ret_out)
{
    int64_t n = 1, block = bt_dtype_block(out.dtype);
    for (int32_t d = 0; d < out.n_dim; d++)
        BT_FAIL_IF(!bt_mul_fits(n, bt_max_i64(out.dim[d], 1), &n), INVALID,
                   "%s: the number of elements overflows", op->name);
    bt_desc_normalize(&out);
    int32_t last = out.n_dim - 1;
    bool whole = at % block == 0 && out.dim[last] % block == 0;
    whole = whole && (block == 1 || bt_desc_stride(&out, last) == 1);
    for (int32_t d = 0; d < last; d++) whole = whole && bt_desc_stride(&out, d) % block == 0;
    BT_FAIL_IF(!whole, INVALID, "%s: %s is stored in blocks of %lld, which the view would break",
               op->name, bt_dtype_name(out.dtype), (long long)block);
    *ret_out = out;
    return BT_OK;
}

static int64_t at_begin(const void *param, const bt_desc *in, const bt_desc *out)
{
    (void)param, (void)in, (void)out;
    return 0;
}

/* ---- reshape ---- */

/* Put the number for -1 into `out`; INVALID unless the elements are as many as before. */
static bt_status reshape_dims(const bt_reshape_param *p, const bt_desc *in, bt_desc *out)
{
    int64_t n_in = bt_desc_count(in), n = 1;
    int32_t left_over = -1;
    char text[96] = "";
    for (int32_t d = 0; d < p->n_dim; d++) {
        out->dim[d] = p->dim[d];
        BT_FAIL_IF(p->dim[d] < -1 || (p->dim[d] == -1 && left_over >= 0), INVALID,
                   "reshape: dimension %d is %d, must be at least 0, or -1 once", d, p->dim[d]);
        if (p->dim[d] == -1)
            left_over = d;
        else
            BT_FAIL_IF(!bt_mul_fits(n, (int64_t)p->dim[d], &n), INVALID,
                       "reshape: the number of elements overflows");
    }
    print_dims(out->dim, p->n_dim, text, sizeof text);
    bool fits = left_over >= 0 ? n > 0 && n_in % n == 0 : n == n_in;
    BT_FAIL_IF(!fits, INVALID, "reshape: the input's %lld elements do not fill [%s]",
               (long long)n_in, text);
    if (left_over >= 0) out->dim[left_over] = n_in / n;
    return BT_OK;
}

/* Give the new dimensions strides that walk the old ones in the same order; false where only a copy
 * could. Runs of old and of new dimensions that hold equally many elements are matched from the
 * outermost on; inside a run the old ones must follow each other evenly:
 *
 *   old  [4, 6 | 5]   needs stride[0] == 6 * stride[1]; 5 may lie at any distance
 *   new  [8, 3 | 5]   stride[1] = old stride[1], stride[0] = 3 * that  */
static bool restride(const bt_desc *in, bt_desc *out)
{
    int64_t dim[BT_DIM_MAX], stride[BT_DIM_MAX];
    int32_t n = 0, i = 0, j = 0;
    for (int32_t d = 0; d < in->n_dim; d++)
        if (in->dim[d] != 1) {
            dim[n] = in->dim[d];
            stride[n++] = bt_desc_stride(in, d);
        }
    while (i < n) {
        int32_t i_end = i + 1, j_end = j + 1;
        int64_t n_old = dim[i], n_new = out->dim[j];
        while (n_old != n_new)
            if (n_old < n_new)
                n_old *= dim[i_end++];
            else
                n_new *= out->dim[j_end++];
        for (int32_t k = i; k + 1 < i_end; k++)
            if (stride[k] != dim[k + 1] * stride[k + 1]) return false;
        int64_t step = stride[i_end - 1];
        for (int32_t k = j_end - 1; k >= j; step *= out->dim[k--]) out->stride[k] = step;
        i = i_end;
        j = j_end;
    }
    for (; j < out->n_dim; j++) out->stride[j] = 1; // of size 1
    return true;
}

static bt_status reshape_infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    const bt_reshape_param *p = param;
    BT_TRY(want_rows(&bt_op_reshape, in));
    BT_FAIL_IF(p->n_dim < 1 || p->n_dim > BT_DIM_MAX, INVALID,
               "reshape: %d dimensions, must be 1 to %d", p->n_dim, BT_DIM_MAX);
    bt_desc out = {.dtype = in->dtype, .n_dim = p->n_dim};
    BT_TRY(reshape_dims(p, in, &out));
    if (bt_desc_count(in) == 0 || !in->strided)
        out = spelled(&out);
    else
        BT_FAIL_IF(!restride(in, &out), INVALID,
                   "reshape: the input is a strided view whose elements do not lie evenly; make it "
                   "dense with 'copy'");
    return finish(&bt_op_reshape, 0, out, ret_out);
}

/* ---- slice and chunk: part of one dimension ---- */

typedef struct window {
    int32_t dim;
    int64_t begin, end;
} window;

static int32_t dim_of(const bt_desc *in, int32_t dim) { return dim < 0 ? dim + in->n_dim : dim; }

static bt_status want_dim_exists(const bt_op *op, const bt_desc *in, int32_t dim)
{
    BT_FAIL_IF(dim_of(in, dim) < 0 || dim_of(in, dim) >= in->n_dim, INVALID,
               "%s: dimension %d of an input that has %d", op->name, dim, in->n_dim);
    return BT_OK;
}

static bt_status cut(const bt_op *op, const bt_desc *in, window w, bt_desc *ret_out)
{
    if (in->layout == BT_ROWS) {
        bt_desc out = spelled(in);
        out.dim[w.dim] = w.end - w.begin;
        return finish(op, w.begin * out.stride[w.dim], out, ret_out);
    }
    BT_FAIL_IF(in->n_dim != 2 || w.dim != 0 || w.begin % BT_PANEL_ROWS, INVALID,
               "%s: the input is packed; what is taken must be rows, and begin at a multiple of %d",
               op->name, BT_PANEL_ROWS);
    bt_desc out = *in;
    out.dim[0] = w.end - w.begin;
    *ret_out = out;
    return BT_OK;
}

static int64_t cut_at(const bt_desc *in, window w)
{
    if (in->layout == BT_PANELS)
        return w.begin / BT_PANEL_ROWS * bt_panel_bytes(in->dtype, in->dim[1]);
    return element_bytes(in->dtype, w.begin * bt_desc_stride(in, w.dim));
}

static window slice_window(const bt_slice_param *p, const bt_desc *in)
{
    int32_t dim = dim_of(in, p->dim);
    int64_t n = in->dim[dim];
    return (window){.dim = dim,
                    .begin = p->begin < 0 ? p->begin + n : p->begin,
                    .end = p->end == INT32_MAX ? n
                           : p->end < 0        ? p->end + n
                                               : p->end};
}

static bt_status slice_infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    const bt_slice_param *p = param;
    BT_TRY(want_dim_exists(&bt_op_slice, in, p->dim));
    window w = slice_window(p, in);
    BT_FAIL_IF(w.begin < 0 || w.begin > w.end || w.end > in->dim[w.dim], INVALID,
               "slice: [%lld, %lld) of dimension %d, which has %lld", (long long)w.begin,
               (long long)w.end, w.dim, (long long)in->dim[w.dim]);
    return cut(&bt_op_slice, in, w, ret_out);
}

static int64_t slice_at(const void *param, const bt_desc *in, const bt_desc *out)
{
    (void)out;
    return cut_at(in, slice_window(param, in));
}

static window chunk_window(const bt_chunk_param *p, const bt_desc *in)
{
    int32_t dim = dim_of(in, p->dim);
    int64_t part = in->dim[dim] / p->n;
    return (window){.dim = dim, .begin = part * p->i, .end = part * (p->i + 1)};
}

static bt_status chunk_infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    const bt_chunk_param *p = param;
    BT_TRY(want_dim_exists(&bt_op_chunk, in, p->dim));
    BT_FAIL_IF(p->n < 1 || p->i < 0 || p->i >= p->n, INVALID,
               "chunk: part %d of %d, must be one of 0 to n - 1", p->i, p->n);
    window w = chunk_window(p, in);
    BT_FAIL_IF(in->dim[w.dim] % p->n, INVALID,
               "chunk: dimension %d is %lld, must be a multiple of %d", w.dim,
               (long long)in->dim[w.dim], p->n);
    return cut(&bt_op_chunk, in, w, ret_out);
}

static int64_t chunk_at(const void *param, const bt_desc *in, const bt_desc *out)
{
    (void)out;
    return cut_at(in, chunk_window(param, in));
}

/* ---- permute and broadcast ---- */

static bt_status permute_infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    const bt_permute_param *p = param;
    bt_desc from = spelled(in), out = from;
    unsigned seen = 0;
    BT_TRY(want_rows(&bt_op_permute, in));
    for (int32_t d = 0; d < in->n_dim; d++) {
        int32_t a = p->axis[d];
        BT_FAIL_IF(a < 0 || a >= in->n_dim || seen >> a & 1, INVALID,
                   "permute: axis %d is %d, must be each of 0 to %d once", d, a, in->n_dim - 1);
        seen |= 1u << a;
        out.dim[d] = from.dim[a];
        out.stride[d] = from.stride[a];
    }
    return finish(&bt_op_permute, 0, out, ret_out);
}

static bt_status broadcast_infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    const bt_broadcast_param *p = param;
    bt_desc from = spelled(in), out = {.dtype = in->dtype, .n_dim = p->n_dim};
    BT_TRY(want_rows(&bt_op_broadcast, in));
    BT_FAIL_IF(p->n_dim < in->n_dim || p->n_dim > BT_DIM_MAX, INVALID,
               "broadcast: %d dimensions, must be %d to %d", p->n_dim, in->n_dim, BT_DIM_MAX);
    for (int32_t d = p->n_dim - 1, i = in->n_dim - 1; d >= 0; d--, i--) {
        int64_t have = i >= 0 ? in->dim[i] : 1, want = p->dim[d];
        if (want == -1 && i >= 0) want = have;
        BT_FAIL_IF(want < 0 || (have != 1 && have != want), INVALID,
                   "broadcast: dimension %d is %lld, cannot become %d", d, (long long)have,
                   p->dim[d]);
        out.dim[d] = want;
        out.stride[d] = i >= 0 && have == want ? from.stride[i] : 0;
    }
    return finish(&bt_op_broadcast, 0, out, ret_out);
}

/* ---- the rows ---- */

static const bt_field reshape_fields[] = {
    BT_FIELD(bt_reshape_param, n_dim, I32, KEY),
    BT_FIELD_ARRAY(bt_reshape_param, dim, I32, KEY, BT_DIM_MAX),
};
static const bt_field slice_fields[] = {
    BT_FIELD(bt_slice_param, dim, I32, KEY),
    BT_FIELD(bt_slice_param, begin, I32, KEY),
    BT_FIELD(bt_slice_param, end, I32, KEY),
};
static const bt_field chunk_fields[] = {
    BT_FIELD(bt_chunk_param, dim, I32, KEY),
    BT_FIELD(bt_chunk_param, n, I32, KEY),
    BT_FIELD(bt_chunk_param, i, I32, KEY),
};
static const bt_field permute_fields[] = {
    BT_FIELD_ARRAY(bt_permute_param, axis, I32, KEY, BT_DIM_MAX),
};
static const bt_field broadcast_fields[] = {
    BT_FIELD(bt_broadcast_param, n_dim, I32, KEY),
    BT_FIELD_ARRAY(bt_broadcast_param, dim, I32, KEY, BT_DIM_MAX),
};

#define VIEW(op_name, at)                                                                          \
    const bt_op bt_op_##op_name = {.name = #op_name,                                               \
                                   .n_in = 1,                                                      \
                                   .n_in_must = 1,                                                 \
                                   .inplace = -1,                                                  \
                                   .strided_in = 1,                                                \
                                   .param_bytes = sizeof(bt_##op_name##_param),                    \
                                   .field = op_name##_fields,                                      \
                                   .n_field = BT_COUNT_OF(op_name##_fields),                       \
                                   .infer = op_name##_infer,                                       \
                                   .view = at}
VIEW(reshape, at_begin);
VIEW(slice, slice_at);
VIEW(chunk, chunk_at);
VIEW(permute, at_begin);
VIEW(broadcast, at_begin);
