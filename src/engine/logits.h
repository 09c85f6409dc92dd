// SPDX-License-Identifier: Apache-2.0
/* logits: passes over a whole vocabulary, four lanes at a time whatever the processor: every lane
 * does the same operations in the same order on all of them, so results are the same bits. A logit
 * one can compute with: NaN means impossible, which is -inf; +inf is the largest float there is. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* The largest logit; -inf when there is none. */
float bt_logits_largest(const float *x, int32_t n);

/* The first id whose logit is `largest`. */
int32_t bt_logits_find(const float *x, int32_t n, float largest);

/* The next block of 64 ids, from *at on, with a logit above `bound`; false when there is none. The
 * block is [*at, *ret_end). */
bool bt_logits_above(const float *x, int32_t n, float bound, int32_t *at, int32_t *ret_end);

/* Sum of exp(x - largest), by id modulo 4, then the four. */
double bt_logits_exp_sum(const float *x, int32_t n, float largest);

/* out[i] = x[i], as one can compute with it. */
void bt_logits_widen(const float *x, int32_t n, double *out);

/* The same for logits that were changed since. */
double bt_doubles_largest(const double *x, int32_t n);
bool bt_doubles_above(const double *x, int32_t n, double bound, int32_t *at, int32_t *ret_end);

/* x[i] = exp((x[i] - largest) * factor), x[i] <= largest; a relative error of 1e-13, and 0 where it
 * is below 1e-307. The exponential is this file's own: the C library's differ from one to the next. */
void bt_doubles_weigh(double *x, int32_t n, double largest, double factor);
double bt_weight(double x, double largest, double factor); // of one

/* Sum, by id modulo 4, then the four. */
double bt_doubles_sum(const double *x, int32_t n);
