// SPDX-License-Identifier: Apache-2.0
/* compare: see compare.h. */
#include "oracle/compare.h"
#include "oracle/memory.h"
#include "support/support.h"
#include <math.h>

void assert_near(const char *what, const double *got, const double *want, int64_t n, double bound)
{
    int64_t worst = -1;
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        double off = fabs(got[i] - want[i]) / (1 + fabs(want[i]));
        if (off <= most) continue; // false for NaN
        most = off;
        worst = i;
        if (isnan(off)) break;
    }
    if (worst < 0 || most <= bound) return;
    fail_msg("%s: value %lld of %lld is %.9g, wanted %.9g: off by %.3g, at most %.3g", what,
             (long long)worst, (long long)n, got[worst], want[worst], most, bound);
}

double relative_rms(const double *got, const double *want, int64_t n)
{
    double off = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        off += (got[i] - want[i]) * (got[i] - want[i]);
        size += want[i] * want[i];
    }
    return sqrt(off / size);
}

double *widen(const float *x, int64_t n)
{
    double *out = fresh((size_t)n, sizeof *out);
    for (int64_t i = 0; i < n; i++) out[i] = x[i];
    return out;
}
