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
    BT_FAIL_IF(in[i].dtype != dtype || in[i].n_dim != n_dim, INVALID,
               "%s: input %d is %s with %d dimensions, must be %s with %d", op->name, i,
               bt_dtype_name(in[i].dtype), in[i].n_dim, bt_dtype_name(dtype), n_dim);
    return BT_OK;
}

bt_status bt_op_want_dim(const bt_op *op, const bt_desc *in, int i, int d, int64_t want)
{
    BT_FAIL_IF(in[i].dim[d] != want, INVALID, "%s: dimension %d of input %d is %lld, must be %lld",
               op->name, d, i, (long long)in[i].dim[d], (long long)want);
    return BT_OK;
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
}
