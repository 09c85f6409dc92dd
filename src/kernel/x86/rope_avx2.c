// SPDX-License-Identifier: Apache-2.0
/* rope_kv with vectors of 8 floats; see rope_body.h. */
#define NAME(slot) bt_##slot##_avx2
#include "kernel/x86/rope_body.h"
