// SPDX-License-Identifier: Apache-2.0
/* table: which function stands in each kernel slot on a CPU level. */
#pragma once
#include "base/cpuid.h"
#include "base/team.h"
#include "kernel/kernel.h"

typedef struct bt_kernel_table {
    bt_range_fn fn[BT_SLOT_COUNT];
    const char *isa[BT_SLOT_COUNT]; // "ref", "avx2", ...: whose version it is
    bt_cpu_level level;
} bt_kernel_table;

/* Fill every slot with its reference version, then climb to `level`; the caller has checked that
 * this machine can run it (bt_cpu_has_level). */
void bt_kernel_table_init(bt_kernel_table *table, bt_cpu_level level);

const char *bt_slot_name(bt_slot slot);

/* The matrix product's slot for a weight type; the type must be one bt_dtype_is_weight accepts. */
bt_slot bt_gemm_slot(bt_dtype weight);

/* Which activations the product with a weight type takes. */
typedef enum bt_act_kind {
    BT_ACT_F32,  // bt_gemm_args.a
    BT_ACT_BF16, // bt_gemm_args.a_bf16, made by act_bf16
    BT_ACT_Q8    // bt_gemm_args.act, made by act_quant
} bt_act_kind;
bt_act_kind bt_gemm_act(bt_dtype weight);
