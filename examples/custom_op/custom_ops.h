// SPDX-License-Identifier: Apache-2.0
/* custom_ops: the parameters of this library's operators, for those who build graphs with them. */
#ifndef CUSTOM_OPS_H
#define CUSTOM_OPS_H

#include <stdint.h>

/* scaled_tanh: out = scale * tanh(x / scale), element by element; x f32 of any shape. It bends large
 * values down to +-scale and leaves small ones alone ("soft-capping" of scores and logits). */
typedef struct scaled_tanh_param {
    int32_t exact; /* KEY: 1: the C library's tanh; 0: a fraction that the compiler vectorises */
    float scale;   /* VALUE: > 0; may change from step to step without planning anew */
} scaled_tanh_param;

#endif
