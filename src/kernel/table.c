// SPDX-License-Identifier: Apache-2.0
/* table: who plays in each slot. Every slot starts with its reference; each instruction set the
 * level allows then takes the slots it has a version for. A faster kernel is one more line here. */
#include "kernel/table.h"
#include "kernel/isa.h"
#include <assert.h>

static const char *const slot_names[] = {
#define SLOT_NAME(slot, args) #slot,
    BT_KERNEL_LIST(SLOT_NAME)
#undef SLOT_NAME
};

#define TAKE(slot, version)                                                                        \
    (table->fn[BT_SLOT_##slot] = bt_##slot##_##version, table->isa[BT_SLOT_##slot] = #version)

#if defined(__x86_64__)
static void climb_gemm(bt_kernel_table *table, unsigned flags)
{
    if (flags & BT_CPU_AVX2) {
        TAKE(gemm_f32, avx2);
        TAKE(gemm_f16, avx2);
        TAKE(gemm_bf16, avx2);
        TAKE(gemm_q8_0, avx2);
        TAKE(gemm_q4_0, avx2);
        TAKE(gemm_q4_1, avx2);
        TAKE(gemm_q5_0, avx2);
        TAKE(gemm_q5_1, avx2);
        TAKE(gemm_q4_k, avx2);
        TAKE(gemm_q5_k, avx2);
        TAKE(gemm_q6_k, avx2);
    }
    if (flags & BT_CPU_AVX512) {
        TAKE(gemm_f32, avx512);
        TAKE(gemm_f16, avx512);
        TAKE(gemm_bf16, avx512);
    }
    if (flags & BT_CPU_BF16) TAKE(gemm_bf16, avx512bf16);
    if (flags & BT_CPU_VNNI) {
        TAKE(gemm_q8_0, avx512vnni);
        TAKE(gemm_q4_0, avx512vnni);
        TAKE(gemm_q4_1, avx512vnni);
        TAKE(gemm_q5_0, avx512vnni);
        TAKE(gemm_q5_1, avx512vnni);
        TAKE(gemm_q4_k, avx512vnni);
        TAKE(gemm_q5_k, avx512vnni);
        TAKE(gemm_q6_k, avx512vnni);
    }
    if (flags & BT_CPU_AMX) {
        TAKE(gemm_bf16, amx);
        TAKE(gemm_q8_0, amx);
        TAKE(gemm_q4_0, amx);
        TAKE(gemm_q4_1, amx);
        TAKE(gemm_q5_0, amx);
        TAKE(gemm_q5_1, amx);
        TAKE(gemm_q4_k, amx);
        TAKE(gemm_q5_k, amx);
        TAKE(gemm_q6_k, amx);
    }
}

static void climb_rows(bt_kernel_table *table, unsigned flags)
{
    if (flags & BT_CPU_AVX2) {
        TAKE(pack, avx2);
        TAKE(act_quant, avx2);
        TAKE(act_bf16, avx2);
        TAKE(rmsnorm, avx2);
        TAKE(swiglu, avx2);
        TAKE(rope_kv, avx2);
        TAKE(attn, avx2);
        TAKE(attn_merge, avx2);
    }
    if (flags & BT_CPU_AVX512) {
        TAKE(act_quant, avx512);
        TAKE(act_bf16, avx512);
        TAKE(rmsnorm, avx512);
        TAKE(swiglu, avx512);
        TAKE(rope_kv, avx512);
        TAKE(attn, avx512);
        TAKE(attn_merge, avx512);
    }
}
#endif

void bt_kernel_table_init(bt_kernel_table *table, bt_cpu_level level)
{
#define TAKE_REF(slot, args) TAKE(slot, ref);
    BT_KERNEL_LIST(TAKE_REF)
#undef TAKE_REF
    table->level = level;
#if defined(__x86_64__)
    unsigned flags = bt_cpu_level_flags(level);
    climb_gemm(table, flags);
    climb_rows(table, flags);
#endif
}

const char *bt_slot_name(bt_slot slot)
{
    return (unsigned)slot < BT_SLOT_COUNT ? slot_names[slot] : "unknown";
}

bt_slot bt_gemm_slot(bt_dtype weight)
{
    assert(weight >= BT_F32 && weight <= BT_Q6_K);
    return (bt_slot)(BT_SLOT_gemm_f32 + (int)weight);
}

bt_act_kind bt_gemm_act(bt_dtype weight)
{
    assert(weight >= BT_F32 && weight <= BT_Q6_K);
    return weight == BT_BF16 ? BT_ACT_BF16 : weight >= BT_Q8_0 ? BT_ACT_Q8 : BT_ACT_F32;
}

/* bt_gemm_slot counts on both lists having the weight types in one order. */
#define SAME_ORDER(lower, upper)                                                                   \
    _Static_assert((int)BT_SLOT_gemm_##lower - (int)BT_SLOT_gemm_f32 ==                            \
                       (int)BT_##upper - (int)BT_F32,                                              \
                   #lower);
SAME_ORDER(f16, F16)
SAME_ORDER(bf16, BF16)
SAME_ORDER(q8_0, Q8_0)
SAME_ORDER(q4_0, Q4_0)
SAME_ORDER(q4_1, Q4_1)
SAME_ORDER(q5_0, Q5_0)
SAME_ORDER(q5_1, Q5_1)
SAME_ORDER(q4_k, Q4_K)
SAME_ORDER(q5_k, Q5_K)
SAME_ORDER(q6_k, Q6_K)
