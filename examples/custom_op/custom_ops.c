// SPDX-License-Identifier: Apache-2.0
/* custom_ops: a library of two operators, built against the installed headers alone.
 *
 *   scaled_tanh   new: parameters, two kernels and a choice between them
 *   swiglu        takes the place of the built-in operator of that name, and computes the same
 *
 * An operator is a row of functions: infer and setup look at shapes and may fail, bind fills in what
 * is to be launched and may not, a kernel computes items [begin, end) and knows nothing else.
 */
#include "custom_ops.h"
#include <baton/op.h>
#include <math.h>

/* Items a worker takes at a time: rows of about so many elements together. Depends on the width
 * alone, like everything that decides how an element is computed: then a row gives the same bits
 * whatever rows are computed beside it. */
static int64_t rows_at_a_time(int64_t n_element, int64_t width)
{
    return width < n_element ? n_element / width : 1;
}

/* ---- scaled_tanh ---- */

enum { VECTOR_WIDTH_MIN = 16 }; /* narrower rows gain nothing */

typedef struct scaled_tanh_args {
    const float *x; /* [n_row, width] */
    float *out;
    int64_t width;
    float scale;
} scaled_tanh_args;

/* The definition. Item: a row. */
static void scaled_tanh_exact(const void *args, int64_t begin, int64_t end)
{
    const scaled_tanh_args *a = args;
    for (int64_t i = begin * a->width; i < end * a->width; i++)
        a->out[i] = (float)(a->scale * tanh((double)a->x[i] / a->scale));
}

/* tanh by Lambert's continued fraction, cut after eight terms, for |x| <= 6.1: within 6e-6, and
 * without a branch or a call, so that -O3 turns the loop into vectors. */
static void scaled_tanh_fast(const void *args, int64_t begin, int64_t end)
{
    const scaled_tanh_args *a = args;
    const float scale = a->scale, limit = 6.1f, *x = a->x + begin * a->width;
    float *out = a->out + begin * a->width;
    int64_t n = (end - begin) * a->width;
#pragma GCC ivdep /* out is x itself (see inplace below) or apart from it */
    for (int64_t i = 0; i < n; i++) {
        float v = x[i] / scale;
        v = v < -limit ? -limit : v;
        v = v > limit ? limit : v; /* NaN stays NaN */
        float y = v * v;
        float above = 34459425 + y * (4729725 + y * (135135 + y * (990 + y)));
        float below = 34459425 + y * (16216200 + y * (945945 + y * (13860 + y * 45)));
        out[i] = scale * v * above / below;
    }
}

static int64_t width_of(const bt_desc *desc) { return desc->dim[desc->n_dim - 1]; }

static bt_status scaled_tanh_infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    const scaled_tanh_param *p = param;
    if (in[0].dtype != BT_F32)
        return bt_error_set(BT_UNSUPPORTED, "scaled_tanh: input 0 is %s, must be f32",
                            bt_dtype_name(in[0].dtype));
    if (p->exact != 0 && p->exact != 1)
        return bt_error_set(BT_INVALID, "scaled_tanh: exact is %d, must be 0 or 1", p->exact);
    *ret_out = in[0];
    return BT_OK;
}

static bt_status scaled_tanh_setup(const bt_op_env *env, const void *param, const bt_desc *in,
                                   const bt_desc *out, bt_op_setup *ret_setup)
{
    const scaled_tanh_param *p = param;
    bt_kernel_fn fn = p->exact || width_of(out) < VECTOR_WIDTH_MIN ? scaled_tanh_exact //
                                                                   : scaled_tanh_fast;
    (void)env, (void)in;
    *ret_setup =
        (bt_op_setup){.fn = {fn}, .grain = {rows_at_a_time(16384, width_of(out))}, .n_launch = 1};
    return BT_OK;
}

static const bt_op scaled_tanh;

static void scaled_tanh_bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    const scaled_tanh_param *p = node->param;
    int64_t width = width_of(node->out), n_row = width ? bt_desc_count(node->out) / width : 0;
    scaled_tanh_args *a = bt_op_launch(node, &scaled_tanh, 0, n_row, sizeof *a, ret_launch);
    *a = (scaled_tanh_args){
        .x = node->in_ptr[0], .out = node->out_ptr, .width = width, .scale = p->scale};
}

static void scaled_tanh_cost(const void *param, const bt_desc *in, const bt_desc *out,
                             bt_op_cost *ret_cost)
{
    double n = (double)bt_desc_count(out);
    (void)param, (void)in;
    ret_cost->bytes = 2 * n * sizeof(float);
    ret_cost->ops = 20 * n; /* of the fraction */
}

static const bt_field scaled_tanh_fields[] = {
    BT_FIELD(scaled_tanh_param, exact, I32, KEY),
    BT_FIELD(scaled_tanh_param, scale, F32, VALUE),
};

static const bt_op scaled_tanh = {
    .name = "scaled_tanh",
    .n_in = 1,
    .n_in_must = 1,
    .inplace = 0, /* each element is read before it is written */
    .param_bytes = sizeof(scaled_tanh_param),
    .field = scaled_tanh_fields,
    .n_field = sizeof scaled_tanh_fields / sizeof *scaled_tanh_fields,
    .infer = scaled_tanh_infer,
    .setup = scaled_tanh_setup,
    .bind = scaled_tanh_bind,
    .cost = scaled_tanh_cost,
};

/* ---- swiglu: inputs and parameters are those of the built-in one (baton/ops.h) ---- */

typedef struct swiglu_args {
    const float *gate_up; /* [n_row, 2 * d]: gate, then up */
    float *out;           /* [n_row, d] */
    int64_t d;
} swiglu_args;

/* out = gate * sigmoid(gate) * up, in doubles. Item: a row. */
static void swiglu_kernel(const void *args, int64_t begin, int64_t end)
{
    const swiglu_args *a = args;
    for (int64_t row = begin; row < end; row++) {
        const float *gate = a->gate_up + row * 2 * a->d, *up = gate + a->d;
        float *out = a->out + row * a->d;
        for (int64_t j = 0; j < a->d; j++)
            out[j] = (float)(gate[j] / (1 + exp(-(double)gate[j])) * up[j]);
    }
}

static const bt_op swiglu;

static bt_status swiglu_infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    (void)param;
    bt_status st = bt_op_want(&swiglu, in, 0, BT_F32, 2);
    if (st != BT_OK) return st;
    if (in[0].dim[1] % 2 != 0)
        return bt_error_set(BT_INVALID, "swiglu: %lld columns, must be even",
                            (long long)in[0].dim[1]);
    *ret_out = bt_desc_2d(BT_F32, in[0].dim[0], in[0].dim[1] / 2);
    return BT_OK;
}

static bt_status swiglu_setup(const bt_op_env *env, const void *param, const bt_desc *in,
                              const bt_desc *out, bt_op_setup *ret_setup)
{
    (void)env, (void)param, (void)in;
    *ret_setup = (bt_op_setup){
        .fn = {swiglu_kernel}, .grain = {rows_at_a_time(1024, out->dim[1])}, .n_launch = 1};
    return BT_OK;
}

static void swiglu_bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    swiglu_args *a = bt_op_launch(node, &swiglu, 0, node->out->dim[0], sizeof *a, ret_launch);
    *a = (swiglu_args){.gate_up = node->in_ptr[0], .out = node->out_ptr, .d = node->out->dim[1]};
}

static const bt_op swiglu = {
    .name = "swiglu",
    .n_in = 1,
    .n_in_must = 1,
    .inplace = -1, /* the output is half as wide: it cannot take the input's place */
    .infer = swiglu_infer,
    .setup = swiglu_setup,
    .bind = swiglu_bind,
};

BT_OP_LIBRARY("custom_ops", &scaled_tanh, &swiglu);
