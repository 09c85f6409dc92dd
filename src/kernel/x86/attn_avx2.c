// SPDX-License-Identifier: Apache-2.0
/* attn and attn_merge with vectors of 8 floats; see attn_body.h. */
#define ROWS_MAX   2 // 16 registers: 8 sums, 4 keys, the query
#define NAME(slot) bt_##slot##_avx2
#include "kernel/x86/attn_body.h"
