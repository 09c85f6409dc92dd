// SPDX-License-Identifier: Apache-2.0
/* nodekey: see nodekey.h. */
#include "graph/nodekey.h"
#include <string.h>

int32_t bt_param_key(const bt_op *op, const void *param, uint8_t *ret_key)
{
    int32_t n = 0;
    for (int32_t i = 0; i < op->n_field; i++) {
        const bt_field *f = &op->field[i];
        if (f->role != BT_FIELD_KEY) continue;
        int64_t bytes = bt_op_field_bytes(f);
        memcpy(ret_key + n, (const char *)param + f->offset, (size_t)bytes);
        n += (int32_t)bytes;
    }
    return n;
}

int32_t bt_desc_key(const bt_desc *desc, uint8_t *ret_key)
{
    size_t n_dim = (size_t)desc->n_dim, n = 8;
    const uint8_t head[8] = {(uint8_t)desc->dtype, (uint8_t)desc->layout, (uint8_t)desc->n_dim,
                             (uint8_t)desc->strided};
    memcpy(ret_key, head, sizeof head);
    memcpy(ret_key + n, desc->dim, n_dim * sizeof *desc->dim);
    n += n_dim * sizeof *desc->dim;
    if (desc->strided) {
        memcpy(ret_key + n, desc->stride, n_dim * sizeof *desc->stride);
        n += n_dim * sizeof *desc->stride;
    }
    return (int32_t)n;
}

int32_t bt_node_key(const bt_op *op, const void *param, const bt_desc *in, uint8_t *ret_key)
{
    int32_t n = sizeof op;
    memcpy(ret_key, &op, sizeof op);
    n += bt_param_key(op, param, ret_key + n);
    for (int32_t i = 0; i < op->n_in; i++) n += bt_desc_key(&in[i], ret_key + n);
    return n;
}
