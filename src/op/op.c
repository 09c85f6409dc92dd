// SPDX-License-Identifier: Apache-2.0
/* op: the table of operators and the checks and records that all of them share. */
#include "op/op.h"
#include <string.h>

static const bt_op *const ops[] = {
#define ROW(name) &bt_op_##name,
    BT_OP_LIST(ROW)
#undef ROW
};

const bt_op *bt_op_find(const char *name)
{
    for (size_t i = 0; i < BT_COUNT_OF(ops); i++)
        if (!strcmp(ops[i]->name, name)) return ops[i];
    return NULL;
}

bt_status bt_op_want(const bt_op *op, const bt_desc *in, int i, bt_dtype dtype, int n_dim)
{
    bool packed = in[i].layout != BT_ROWS;
    BT_FAIL_IF(in[i].dtype != dtype || in[i].n_dim != n_dim || packed, INVALID,
               "%s: input %d is %s%s with %d dimensions, must be %s with %d", op->name, i,
               packed ? "packed " : "", bt_dtype_name(in[i].dtype), in[i].n_dim,
               bt_dtype_name(dtype), n_dim);
    return BT_OK;
}

bt_status bt_op_want_near(const bt_op *op, const bt_desc *in, int i)
{
    int64_t stride = bt_desc_stride(&in[i], in[i].n_dim - 1);
    BT_FAIL_IF(stride != 1, INVALID,
               "%s: the innermost elements of input %d lie %lld apart, must be neighbours; make it "
               "dense with 'copy'",
               op->name, i, (long long)stride);
    return BT_OK;
}

bt_status bt_op_want_dim(const bt_op *op, const bt_desc *in, int i, int d, int64_t want)
{
    BT_FAIL_IF(in[i].dim[d] != want, INVALID, "%s: dimension %d of input %d is %lld, must be %lld",
               op->name, d, i, (long long)in[i].dim[d], (long long)want);
    return BT_OK;
}

/* A pool's type, and what it wants of the width of heads. */
static bt_status want_pool_type(const bt_op *op, const bt_desc *in, int k)
{
    bt_dtype t = in[k].dtype;
    bool is_quantised = t == BT_Q8_0 || t == BT_Q4_0;
    BT_FAIL_IF(t != BT_F32 && t != BT_F16 && t != BT_BF16 && !is_quantised, INVALID,
               "%s: the pool at input %d is %s, must be f32, f16, bf16, q8_0 or q4_0", op->name, k,
               bt_dtype_name(t));
    BT_FAIL_IF(in[k + 1].dim[3] > BT_KV_WIDTH_MAX, INVALID, "%s: heads of %lld, must be at most %d",
               op->name, (long long)in[k + 1].dim[3], BT_KV_WIDTH_MAX);
    BT_FAIL_IF(is_quantised && in[k + 1].dim[3] % BT_KV_BLOCK, INVALID,
               "%s: heads of %lld in a pool of %s, must be a multiple of %d", op->name,
               (long long)in[k + 1].dim[3], bt_dtype_name(t), BT_KV_BLOCK);
    return BT_OK;
}

bt_status bt_op_want_pool(const bt_op *op, const bt_desc *in, int k)
{
    int64_t page_len = in[k + 1].dim[2], d_head = in[k + 1].dim[3];
    BT_TRY(want_pool_type(op, in, k));
    for (int i = k; i <= k + 1; i++) {
        BT_TRY(bt_op_want(op, in, i, in[k].dtype, 4));
        BT_TRY(bt_op_want_dim(op, in, i, 0, in[k].dim[0]));
        BT_TRY(bt_op_want_dim(op, in, i, 1, in[k].dim[1]));
    }
    bool transposed = !bt_dtype_is_quantised(in[k].dtype);
    BT_TRY(bt_op_want_dim(op, in, k, 2, transposed ? d_head : page_len));
    BT_TRY(bt_op_want_dim(op, in, k, 3, transposed ? page_len : d_head));
    BT_FAIL_IF(page_len != 16 && page_len != 32 && page_len != 64, INVALID,
               "%s: pages of %lld tokens, must be 16, 32 or 64", op->name, (long long)page_len);
    BT_FAIL_IF(in[k].dim[1] < 1 || d_head < 1, INVALID,
               "%s: a pool of %lld heads of width %lld, must be at least 1", op->name,
               (long long)in[k].dim[1], (long long)d_head);
    return BT_OK;
}

bt_kv_pool bt_op_pool(const bt_op_bind *node, int k)
{
    const bt_desc *v = &node->in[k + 1];
    return (bt_kv_pool){.k = node->in_ptr[k],
                        .v = node->in_ptr[k + 1],
                        .dtype = v->dtype,
                        .page_len = (int32_t)v->dim[2],
                        .n_kv = (int32_t)v->dim[1],
                        .d_head = (int32_t)v->dim[3]};
}

#define FITS(slot, args)                                                                           \
    static_assert(sizeof(args) <= BT_LAUNCH_ARG_BYTES, #slot " fits a launch record");
BT_KERNEL_LIST(FITS)
#undef FITS

void *bt_op_args_begin(bt_launch *launch, size_t bytes)
{
    assert(bytes <= sizeof launch->args);
    memset(launch->args, 0, bytes);
    return launch->args;
}

void bt_op_launch_begin(const bt_op_bind *node, const bt_op *op, int i, int64_t n_item,
                        bt_launch *ret_launch)
{
    ret_launch->fn = node->setup->fn[i];
    ret_launch->grain = node->setup->grain[i];
    ret_launch->n_item = n_item;
    ret_launch->name = op->name;
    ret_launch->node = -1;
    ret_launch->reserved = 0;
}

void *bt_op_launch(const bt_op_bind *node, const bt_op *op, int i, int64_t n_item, size_t bytes,
                   bt_launch *ret_launch)
{
    bt_op_launch_begin(node, op, i, n_item, ret_launch);
    return bt_op_args_begin(ret_launch, bytes);
}

/* ---- the row itself ---- */

static int64_t field_bytes(const bt_field *f)
{
    static const int64_t each[] = {[BT_FIELD_I32] = 4,
                                   [BT_FIELD_F32] = 4,
                                   [BT_FIELD_I64] = 8,
                                   [BT_FIELD_PTR] = sizeof(void *)};
    if ((unsigned)f->type >= BT_COUNT_OF(each) || f->count < 0) return -1;
    return each[f->type] * bt_max_i64(f->count, 1);
}

int64_t bt_op_field_bytes(const bt_field *field) { return field_bytes(field); }

static bt_status check_fields(const bt_op *op)
{
    uint64_t taken = 0; // a bit a byte of the parameters
    static_assert(BT_OP_PARAM_BYTES <= 64, "a word has a bit for each byte of the parameters");
    BT_FAIL_IF(op->param_bytes > BT_OP_PARAM_BYTES, INVALID,
               "operator '%s': %u bytes of parameters, at most %d", op->name, op->param_bytes,
               BT_OP_PARAM_BYTES);
    BT_FAIL_IF(op->n_field < 0 || (op->n_field && !op->field) || (op->param_bytes && !op->n_field),
               INVALID, "operator '%s': its parameters have no table of fields", op->name);
    for (int32_t i = 0; i < op->n_field; i++) {
        const bt_field *f = &op->field[i];
        int64_t n = field_bytes(f);
        BT_FAIL_IF(!f->name || n < 0 || f->offset + n > op->param_bytes, INVALID,
                   "operator '%s': field %d does not lie in its %u bytes of parameters", op->name,
                   i, op->param_bytes);
        BT_FAIL_IF((unsigned)f->role > BT_FIELD_VALUE, INVALID,
                   "operator '%s': field '%s' has role %d, which is none", op->name, f->name,
                   (int)f->role);
        uint64_t bytes = (n < 64 ? (1ull << n) - 1 : UINT64_MAX) << f->offset;
        BT_FAIL_IF(bytes & taken, INVALID, "operator '%s': field '%s' overlaps another", op->name,
                   f->name);
        taken |= bytes;
    }
    return BT_OK;
}

bt_status bt_op_check(const bt_op *op)
{
    BT_FAIL_IF(!op || !op->name || !*op->name, INVALID, "an operator without a name");
    BT_FAIL_IF(op->n_in_must < 0 || op->n_in < op->n_in_must || op->n_in > BT_OP_IN_MAX, INVALID,
               "operator '%s': %d to %d inputs, at most %d", op->name, op->n_in_must, op->n_in,
               BT_OP_IN_MAX);
    BT_FAIL_IF(op->inplace < -1 || op->inplace >= op->n_in, INVALID,
               "operator '%s': inplace is input %d of %d", op->name, op->inplace, op->n_in);
    BT_FAIL_IF(!op->infer, INVALID, "operator '%s': infer is missing", op->name);
    BT_FAIL_IF(op->view && op->n_in_must < 1, INVALID, "operator '%s': a view of no input",
               op->name);
    BT_FAIL_IF(!op->view && (!op->setup || !op->bind), INVALID, "operator '%s': %s is missing",
               op->name, op->setup ? "bind" : "setup");
    return check_fields(op);
}

double bt_op_desc_bytes(const bt_desc *d)
{
    if (d->n_dim == 0) return 0;
    if (d->layout == BT_PANELS) return (double)bt_panels_bytes(d->dtype, d->dim[0], d->dim[1]);
    double n = (double)bt_desc_count(d);
    return n / (double)bt_dtype_block(d->dtype) * (double)bt_dtype_block_bytes(d->dtype);
}

bt_op_cost bt_op_cost_of(const bt_op *op, const void *param, const bt_desc *in, const bt_desc *out)
{
    bt_op_cost cost = {0};
    if (op->view) return cost;
    if (op->cost) {
        op->cost(param, in, out, &cost);
        return cost;
    }
    for (int32_t i = 0; i < op->n_in; i++) cost.bytes += bt_op_desc_bytes(&in[i]);
    cost.bytes += bt_op_desc_bytes(out);
    return cost;
}
