// SPDX-License-Identifier: Apache-2.0
/* rope_kv with vectors of 16 floats; see rope_body.h. */
#define NAME(slot) bt_##slot##_avx512
#include "kernel/x86/rope_body.h"
