// SPDX-License-Identifier: Apache-2.0
/* oplib: one small library of operators, compiled once for each way in which it can be wrong (and
 * once or twice right): CASE_x is defined for the module called oplib_x. CMakeLists.txt has the list
 * of them. */
#include "baton/ops.h"
#include <stddef.h>

#define UNUSED __attribute__((unused))

typedef struct double_param {
    int32_t mode;
    float factor;
} double_param;

typedef struct double_args {
    const float *x;
    float *out;
} double_args;

static void kernel(const void *args, int64_t begin, int64_t end)
{
    const double_args *a = args;
    for (int64_t i = begin; i < end; i++) a->out[i] = 2 * a->x[i];
}

static bt_status infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    (void)param;
    if (in[0].dtype != BT_F32)
        return bt_error_set(BT_UNSUPPORTED, "double: input 0 is %s", bt_dtype_name(in[0].dtype));
    *ret_out = in[0];
    return BT_OK;
}

static bt_status setup(const bt_op_env *env, const void *param, const bt_desc *in,
                       const bt_desc *out, bt_op_setup *ret_setup)
{
    (void)env, (void)param, (void)in, (void)out;
    *ret_setup = (bt_op_setup){.fn = {kernel}, .grain = {64}, .n_launch = 1};
    return BT_OK;
}

static const bt_op twice;

static void bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    int64_t n = bt_desc_count(node->out);
    double_args *a = bt_op_launch(node, &twice, 0, n, sizeof *a, ret_launch);
    *a = (double_args){.x = node->in_ptr[0], .out = node->out_ptr};
}

static int64_t view(const void *param, const bt_desc *in, const bt_desc *out)
{
    (void)param, (void)in, (void)out;
    return 0;
}

/* ---- the row, right unless the case says otherwise ---- */

static const bt_field fields[] = {
#if defined CASE_row_field_outside
    {"far", 4, BT_FIELD_I64, BT_FIELD_KEY, 1},
#elif defined CASE_row_field_type
    {"odd", 0, (bt_field_type)9, BT_FIELD_KEY, 1},
#elif defined CASE_row_field_role
    {"idle", 0, BT_FIELD_I32, (bt_field_role)7, 1},
#elif defined CASE_row_field_count
    {"many", 0, BT_FIELD_I32, BT_FIELD_KEY, -1},
#elif defined CASE_row_field_unnamed
    {NULL, 0, BT_FIELD_I32, BT_FIELD_KEY, 1},
#else
    BT_FIELD(double_param, mode, I32, KEY),
    BT_FIELD(double_param, factor, F32, VALUE),
#endif
};

#pragma GCC diagnostic ignored "-Woverride-init" // a case says again what it has otherwise
UNUSED static const bt_op twice = {
    .name = "double",
    .n_in = 1,
    .n_in_must = 1,
    .inplace = 0,
    .param_bytes = sizeof(double_param),
    .field = fields,
    .n_field = (int32_t)(sizeof fields / sizeof *fields),
    .infer = infer,
    .setup = setup,
    .bind = bind,
#if defined CASE_row_no_name
    .name = NULL,
#elif defined CASE_row_empty_name
    .name = "",
#elif defined CASE_row_many_inputs
    .n_in = 9,
#elif defined CASE_row_must_exceeds
    .n_in_must = 2,
#elif defined CASE_row_inplace
    .inplace = 1,
#elif defined CASE_row_no_infer
    .infer = NULL,
#elif defined CASE_row_no_setup
    .setup = NULL,
#elif defined CASE_row_no_bind
    .bind = NULL,
#elif defined CASE_row_view_of_nothing
    .n_in_must = 0,
    .view = view,
#elif defined CASE_row_param_bytes
    .param_bytes = 65,
#elif defined CASE_row_no_fields
    .field = NULL,
#elif defined CASE_row_zero_fields
    .n_field = 0,
#elif defined CASE_as_swiglu || defined CASE_swiglu_params
    .name = "swiglu",
#ifdef CASE_as_swiglu
    .param_bytes = 0,
    .n_field = 0,
#endif
#elif defined CASE_swiglu_inputs
    .name = "swiglu",
    .n_in = 2,
    .param_bytes = 0,
    .n_field = 0,
#elif defined CASE_swiglu_view
    .name = "swiglu",
    .param_bytes = 0,
    .n_field = 0,
    .view = view,
#endif
};

UNUSED static const bt_op other = {
    .name = "other", .n_in = 1, .n_in_must = 1, .inplace = -1, .infer = infer, .view = view};

/* ---- what is exported ---- */

#define EXPORTED __attribute__((visibility("default")))
#define INFO     EXPORTED const bt_op_library_info bt_op_library_info_v
UNUSED static const bt_op *const rows[] = {&twice, &other};
#define RIGHT BT_OP_ABI, sizeof(bt_desc), sizeof(bt_op), sizeof(bt_launch)

#if defined CASE_abi
INFO = {BT_OP_ABI + 41, sizeof(bt_desc), sizeof(bt_op), sizeof(bt_launch), "x", rows, 2};
#elif defined CASE_desc_bytes
INFO = {BT_OP_ABI, 8, sizeof(bt_op), sizeof(bt_launch), "x", rows, 2};
#elif defined CASE_op_bytes
INFO = {BT_OP_ABI, sizeof(bt_desc), 8, sizeof(bt_launch), "x", rows, 2};
#elif defined CASE_launch_bytes
INFO = {BT_OP_ABI, sizeof(bt_desc), sizeof(bt_op), 8, "x", rows, 2};
#elif defined CASE_no_library_name
INFO = {RIGHT, NULL, rows, 2};
#elif defined CASE_no_list
INFO = {RIGHT, "x", NULL, 2};
#elif defined CASE_no_ops
INFO = {RIGHT, "x", rows, 0};
#elif defined CASE_minus_ops
INFO = {RIGHT, "x", rows, INT32_MIN};
#elif defined CASE_too_many_ops
INFO = {RIGHT, "x", rows, INT32_MAX};
#elif defined CASE_null_row
BT_OP_LIBRARY("oplib", &twice, NULL, &other);
#elif defined CASE_duplicate
BT_OP_LIBRARY("oplib", &twice, &other, &twice);
#elif defined CASE_no_symbol
EXPORTED const bt_op *const something_else = &other;
#elif defined CASE_small_symbol
EXPORTED const uint32_t bt_op_library_info_v = BT_OP_ABI;
#elif defined CASE_function_symbol
EXPORTED const void *bt_op_library_info_v(void);
EXPORTED const void *bt_op_library_info_v(void) { return &other; }
#elif defined CASE_unresolved
bt_status bt_no_such_function_anywhere(void);
EXPORTED bt_status calls_it(void);
EXPORTED bt_status calls_it(void) { return bt_no_such_function_anywhere(); }
BT_OP_LIBRARY("oplib", &twice, &other);
#else
BT_OP_LIBRARY("oplib", &twice, &other);
#endif
