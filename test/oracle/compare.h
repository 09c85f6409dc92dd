// SPDX-License-Identifier: Apache-2.0
/* compare: numbers against numbers. NaN is never near anything. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Every |got - want| <= bound * (1 + |want|), or the test fails and names the worst index. */
void assert_near(const char *what, const double *got, const double *want, int64_t n, double bound);

/* sqrt(sum (got - want)^2 / sum want^2); NaN where anything is. */
double relative_rms(const double *got, const double *want, int64_t n);

/* f32 to double, into fresh memory. */
double *widen(const float *x, int64_t n);
