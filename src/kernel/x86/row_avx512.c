// SPDX-License-Identifier: Apache-2.0
/* act_quant, rmsnorm, swiglu with vectors of 16 floats; see row_body.h. */
#define NAME(slot) bt_##slot##_avx512
#include "kernel/x86/row_body.h"
