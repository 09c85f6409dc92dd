// SPDX-License-Identifier: Apache-2.0
/* attn with vectors of 16 floats; see attn_body.h. */
#define ROWS_MAX   8 // 32 registers: 16 sums, the key, the query
#define NAME(slot) bt_##slot##_avx512
#include "kernel/x86/attn_body.h"
