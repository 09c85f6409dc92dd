// SPDX-License-Identifier: Apache-2.0
/* kernel_test: every slot of the kernel list, in every version this machine can run, against the
 * reference: sizes at and around the tiles, ranges in pieces, rows alone, guard pages, sentinels,
 * NaN in the same places. A slot without a case fails. `kernel_test --bench [part of a name [part
 * of a version]]` times them. */
#include "kernel/check.h"
#include "kernel/cases_gemm.h"
#include "kernel/cases_row.h"
#include "kernel/cases_copy.h"
#include "kernel/cases_attn.h"

typedef struct kernel_case {
    bt_slot slot;
    void (*check)(bt_slot slot);
    void (*bench)(bt_slot slot); // or NULL
} kernel_case;

static const kernel_case cases[] = {
    {BT_SLOT_pack, case_pack, NULL},
    {BT_SLOT_act_quant, case_act_quant, bench_rows},
    {BT_SLOT_act_bf16, case_act_bf16, NULL},
    {BT_SLOT_gemm_f32, case_gemm, bench_gemm},
    {BT_SLOT_gemm_f16, case_gemm, bench_gemm},
    {BT_SLOT_gemm_bf16, case_gemm, bench_gemm},
    {BT_SLOT_gemm_q8_0, case_gemm, bench_gemm},
    {BT_SLOT_gemm_q4_0, case_gemm, bench_gemm},
    {BT_SLOT_gemm_q4_1, case_gemm, bench_gemm},
    {BT_SLOT_gemm_q5_0, case_gemm, bench_gemm},
    {BT_SLOT_gemm_q5_1, case_gemm, bench_gemm},
    {BT_SLOT_gemm_q4_k, case_gemm, bench_gemm},
    {BT_SLOT_gemm_q5_k, case_gemm, bench_gemm},
    {BT_SLOT_gemm_q6_k, case_gemm, bench_gemm},
    {BT_SLOT_embed, case_embed, NULL},
    {BT_SLOT_rmsnorm, case_rmsnorm, bench_rows},
    {BT_SLOT_gather, case_gather, NULL},
    {BT_SLOT_copy, case_copy, NULL},
    {BT_SLOT_swiglu, case_swiglu, bench_rows},
    {BT_SLOT_rope_angles, case_rope_angles, NULL},
    {BT_SLOT_rope_kv, case_rope_kv, NULL},
    {BT_SLOT_attn, case_attn, bench_attn},
    {BT_SLOT_attn_merge, case_attn_merge, NULL},
};

static const kernel_case *find_case(bt_slot slot)
{
    for (size_t i = 0; i < BT_COUNT_OF(cases); i++)
        if (cases[i].slot == slot) return &cases[i];
    return NULL;
}

static void check_slot(bt_slot slot)
{
    now = (check_at){.slot = bt_slot_name(slot), .isa = "ref"};
    const kernel_case *c = find_case(slot);
    if (!c) fail_msg("kernel slot %s has no case", bt_slot_name(slot));
    c->check(slot);
}

#define SLOT_TEST(slot, args)                                                                      \
    static void slot##_agrees_with_the_reference(void **state)                                     \
    {                                                                                              \
        (void)state;                                                                               \
        check_slot(BT_SLOT_##slot);                                                                \
    }
BT_KERNEL_LIST(SLOT_TEST)

static void bench_all(const char *part)
{
    for (int i = 0; i < BT_SLOT_COUNT; i++) {
        const kernel_case *c = find_case((bt_slot)i);
        if (!c || !c->bench || (part && !strstr(bt_slot_name((bt_slot)i), part))) continue;
        now = (check_at){.slot = bt_slot_name((bt_slot)i)};
        c->bench((bt_slot)i);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--bench")) {
        if (argc > 3) bench_isa = argv[3];
        bench_all(argc > 2 ? argv[2] : NULL);
        return 0;
    }
    const struct CMUnitTest tests[] = {
#define SLOT_ROW(slot, args) cmocka_unit_test(slot##_agrees_with_the_reference),
        BT_KERNEL_LIST(SLOT_ROW) cmocka_unit_test(rope_kv_turns_as_described),
        cmocka_unit_test(attn_averages_what_it_sees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
