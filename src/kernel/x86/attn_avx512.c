// SPDX-License-Identifier: Apache-2.0
/* attn and attn_merge with vectors of 16 floats; see attn_body.h. */
#define ROWS_MAX   6 // 32 registers: 24 sums, 4 keys, the query
#define NAME(slot) bt_##slot##_avx512
#include "kernel/x86/attn_body.h"
