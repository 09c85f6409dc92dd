// SPDX-License-Identifier: Apache-2.0
/* act_quant, rmsnorm, swiglu with vectors of 8 floats; see row_body.h. */
#define NAME(slot) bt_##slot##_avx2
#include "kernel/x86/row_body.h"
