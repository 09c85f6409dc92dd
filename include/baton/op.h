// SPDX-License-Identifier: Apache-2.0
/* baton/op.h: the contract of an operator.
 *
 * An operator is one row of plain data and pure functions. Everything that can fail happens in
 * `infer` and `setup`, which see shapes only and allocate nothing; `bind` fills in launch records
 * once the addresses are known, and cannot fail. So a node whose shapes repeat is set up once, and
 * a step is nothing but its launches.
 *
 *      infer -> setup  (or both from a cached plan)  -> bind -> launch
 */
#ifndef BATON_OP_H
#define BATON_OP_H

#include "baton/device.h"
#include "baton/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BT_OP_IN_MAX = 8, BT_OP_LAUNCH_MAX = 5, BT_OP_TILE_MAX = 4, BT_OP_PARAM_BYTES = 64 };

/* What a parameter field means to a plan's key. Cache keys, comparison and dumps come from the
 * table. */
typedef enum bt_field_role {
    BT_FIELD_KEY,  /* decides kernel, tiling or shape: part of every key */
    BT_FIELD_VALUE /* only copied into launches: a cached plan is bound again when it changes */
} bt_field_role;

typedef enum bt_field_type { BT_FIELD_I32, BT_FIELD_F32 } bt_field_type;

typedef struct bt_field {
    const char *name;
    uint32_t offset; /* in the parameter struct */
    bt_field_type type;
    bt_field_role role;
} bt_field;

struct bt_kernel_table;

/* What setup may look at besides shapes. */
typedef struct bt_op_env {
    const struct bt_kernel_table *kernels; /* the device's; opaque outside the library */
} bt_op_env;

/* What setup decided; plain data, copied into plans. */
typedef struct bt_op_setup {
    bt_kernel_fn fn[BT_OP_LAUNCH_MAX];
    int64_t grain[BT_OP_LAUNCH_MAX];
    int64_t tile[BT_OP_TILE_MAX]; /* the operator's own */
    int64_t work_bytes;           /* scratch for the node's launches, 64-byte aligned */
    int32_t n_launch;
} bt_op_setup;

/* One node as bind sees it. An input that was left out has desc.n_dim 0 and address NULL. */
typedef struct bt_op_bind {
    const void *param;
    const bt_desc *in;
    void *const *in_ptr;
    const bt_desc *out;
    void *out_ptr;
    void *work;
    const bt_op_setup *setup;
} bt_op_bind;

typedef struct bt_op {
    const char *name;
    int32_t n_in; /* inputs, optional ones (which come last) included; <= BT_OP_IN_MAX */
    int32_t n_in_must;
    int32_t inplace;       /* the input whose memory the output may take over when that input dies
                            * here; -1: none */
    uint32_t param_bytes;  /* <= BT_OP_PARAM_BYTES */
    const bt_field *field; /* covers every byte of meaning in the parameters */
    int32_t n_field;

    /* The output's descriptor. INVALID names the input, what was found and what is allowed. */
    bt_status (*infer)(const void *param, const bt_desc *in, bt_desc *ret_out);
    /* Kernels, grains, scratch. UNSUPPORTED: no kernel for the types. */
    bt_status (*setup)(const bt_op_env *env, const void *param, const bt_desc *in,
                       const bt_desc *out, bt_op_setup *ret_setup);
    /* Fill setup->n_launch records completely. */
    void (*bind)(const bt_op_bind *node, bt_launch *ret_launch);
} bt_op;

#ifdef __cplusplus
}
#endif
#endif
