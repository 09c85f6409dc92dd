// SPDX-License-Identifier: Apache-2.0
/* logits: passes over a whole vocabulary, in blocks of 64 ids. There is a version for each kind of
 * vector that a processor may have; in all of them a lane does the same operations in the same order,
 * so results are the same bits. NaN means impossible, which is -inf. */
#pragma once
#include <stdint.h>

enum { BT_LOGITS_BLOCK = 64 };

typedef struct bt_logits_passes {
    const char *isa;

    /* peak[b] = the largest logit of block b, -inf when there is none; returns that of all. */
    float (*peaks)(const float *x, int32_t n, float *peak);

    /* weight[i] = exp((x[i] - largest) * factor), 0 past the end: one block, 0 <= n <= 64. A logit is
     * at most `largest`. A relative error of 2e-13, and 0 where it is below 2^-1022. The exponential
     * is this file's own: the C library's differ from one to the next. */
    void (*weigh)(const float *x, int32_t n, double largest, double factor, double *weight);

    /* sum[b] = the weights of block b: by id modulo 8, then these eight by halves. */
    void (*sums)(const float *x, int32_t n, double largest, double factor, double *sum);
} bt_logits_passes;

/* The fastest version for a processor with these flags of base/cpuid.h. */
const bt_logits_passes *bt_logits_passes_for(unsigned cpu_flags);
