// SPDX-License-Identifier: Apache-2.0
/* isa: the names of all kernel versions, bt_<slot>_<isa>. Not every slot has every version; table.c
 * says which there are. */
#pragma once
#include "kernel/kernel.h"

#define BT_KERNEL_NAMES(slot, args)                                                                \
    void bt_##slot##_ref(const void *, int64_t begin, int64_t end);                                \
    void bt_##slot##_avx2(const void *, int64_t begin, int64_t end);                               \
    void bt_##slot##_avx512(const void *, int64_t begin, int64_t end);                             \
    void bt_##slot##_avx512vnni(const void *, int64_t begin, int64_t end);                         \
    void bt_##slot##_avx512bf16(const void *, int64_t begin, int64_t end);                         \
    void bt_##slot##_amx(const void *, int64_t begin, int64_t end);
BT_KERNEL_LIST(BT_KERNEL_NAMES)
#undef BT_KERNEL_NAMES
