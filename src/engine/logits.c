// SPDX-License-Identifier: Apache-2.0
/* logits: see logits.h. Vectors are the compiler's own: on any processor they become what it has. The
 * passes are written once, as bodies, and compiled twice: for any x86-64 and for AVX2, which has all
 * four lanes in one register; without fused products, so both give the same bits. */
#include "engine/logits.h"
#include "base/cpuid.h"
#include <float.h>
#include <math.h>
#include <string.h>

enum { LANES = 4, BLOCK = 64 };

#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wpsabi" // how vectors are passed does not matter: all is inlined
#endif
#define BODY static inline __attribute__((always_inline))

typedef double f64x4 __attribute__((vector_size(32)));
typedef int64_t i64x4 __attribute__((vector_size(32)));
typedef float f32x4 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));

BODY double clean(float logit)
{
    if (isnan(logit)) return -INFINITY;
    return logit > FLT_MAX ? FLT_MAX : logit;
}

BODY f64x4 all(double x) { return (f64x4){x, x, x, x}; }

/* Lanes of a where the mask is set, of b elsewhere. */
BODY f64x4 pick(i64x4 mask, f64x4 a, f64x4 b)
{
    return (f64x4)((mask & (i64x4)a) | (~mask & (i64x4)b));
}

/* ---- the largest ---- */

/* NaN is not larger than anything. */
BODY f32x4 larger(f32x4 m, const float *x)
{
    f32x4 v;
    memcpy(&v, x, sizeof v);
    i32x4 mask = v > m;
    return (f32x4)((mask & (i32x4)v) | (~mask & (i32x4)m));
}

BODY float logits_largest(const float *x, int32_t n)
{
    f32x4 m[4];
    int32_t i = 0;
    for (int j = 0; j < 4; j++) m[j] = (f32x4){-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 4; j++) m[j] = larger(m[j], x + i + 4 * j);
    float most = -INFINITY;
    for (int j = 0; j < 16; j++) most = m[j / 4][j % 4] > most ? m[j / 4][j % 4] : most;
    for (; i < n; i++) most = x[i] > most ? x[i] : most;
    return most > FLT_MAX ? FLT_MAX : most;
}

BODY bool logits_above(const float *x, int32_t n, float bound, int32_t *at, int32_t *ret_end)
{
    for (; *at + BLOCK <= n; *at += BLOCK) {
        f32x4 m[4];
        for (int j = 0; j < 4; j++) m[j] = (f32x4){bound, bound, bound, bound};
        for (int i = 0; i < BLOCK; i += 16)
            for (int j = 0; j < 4; j++) m[j] = larger(m[j], x + *at + i + 4 * j);
        i32x4 any = (m[0] > bound) | (m[1] > bound) | (m[2] > bound) | (m[3] > bound);
        *ret_end = *at + BLOCK;
        if (any[0] | any[1] | any[2] | any[3]) return true;
    }
    *ret_end = n;
    return *at < n;
}

BODY double doubles_largest(const double *x, int32_t n)
{
    f64x4 m[2] = {all(-INFINITY), all(-INFINITY)};
    int32_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES)
        for (int j = 0; j < 2; j++) {
            f64x4 v;
            memcpy(&v, x + i + LANES * j, sizeof v);
            m[j] = pick(v > m[j], v, m[j]);
        }
    double most = -INFINITY;
    for (int j = 0; j < 2 * LANES; j++)
        most = m[j / LANES][j % LANES] > most ? m[j / LANES][j % LANES] : most;
    for (; i < n; i++) most = x[i] > most ? x[i] : most;
    return most;
}

BODY bool doubles_above(const double *x, int32_t n, double bound, int32_t *at, int32_t *ret_end)
{
    for (; *at + BLOCK <= n; *at += BLOCK) {
        i64x4 any = {0};
        for (int i = 0; i < BLOCK; i += LANES) {
            f64x4 v;
            memcpy(&v, x + *at + i, sizeof v);
            any |= v > bound;
        }
        *ret_end = *at + BLOCK;
        if (any[0] | any[1] | any[2] | any[3]) return true;
    }
    *ret_end = n;
    return *at < n;
}

BODY void logits_widen(const float *x, int32_t n, double *out)
{
    int32_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        f32x4 v;
        memcpy(&v, x + i, sizeof v);
        f64x4 wide = __builtin_convertvector(v, f64x4);
        wide = pick(wide == wide, wide, all(-INFINITY));
        wide = pick(wide > (double)FLT_MAX, all(FLT_MAX), wide);
        memcpy(out + i, &wide, sizeof wide);
    }
    for (; i < n; i++) out[i] = clean(x[i]);
}

/* ---- exponentials ---- */

/* exp(x) for x <= 0: x = k ln 2 + r, a polynomial in r of |r| <= ln 2 / 2 (interpolated at Chebyshev
 * nodes), and k put into the exponent by an integer sum. */
BODY f64x4 exp_below(f64x4 x)
{
    const double magic = 0x1.8p52, inverse = 1.4426950408889634, high = 0x1.62e42feep-1,
                 low = 0x1.a39ef35793c76p-33;
    static const double c[] = {0.49999999999954925,   0.1666666666666257,    0.041666666786625194,
                               0.008333333344235647,  0.0013888839010858958, 0.0001984122450904205,
                               2.486793656219774e-05, 2.7617625110379297e-06};
    i64x4 seen = x >= -706.0;
    x = pick(seen, x, all(0));
    f64x4 shifted = x * inverse + magic, k = shifted - magic;
    f64x4 r = (x - k * high) - k * low, r2 = r * r, r4 = r2 * r2;
    f64x4 p = ((c[0] + c[1] * r) + (c[2] + c[3] * r) * r2) +
              ((c[4] + c[5] * r) + (c[6] + c[7] * r) * r2) * r4;
    p = (p * r2 + r) + 1;
    f64x4 scaled = (f64x4)((i64x4)p + ((i64x4)shifted << 52));
    return (f64x4)((i64x4)scaled & seen);
}

BODY double logits_exp_sum(const float *x, int32_t n, float largest)
{
    f64x4 sum = all(0);
    for (int32_t i = 0; i < n; i += LANES) {
        float part[LANES] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
        double wide[LANES];
        f64x4 v;
        bool whole = i + LANES <= n;
        if (!whole) memcpy(part, x + i, (size_t)(n - i) * sizeof *x);
        logits_widen(whole ? x + i : part, LANES, wide);
        memcpy(&v, wide, sizeof v);
        sum += exp_below(v - (double)largest);
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

BODY double weight(double x, double largest, double factor)
{
    return exp_below(all((x - largest) * factor))[0];
}

BODY void doubles_weigh(double *x, int32_t n, double largest, double factor)
{
    f64x4 v;
    int32_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        memcpy(&v, x + i, sizeof v);
        v = exp_below((v - largest) * factor);
        memcpy(x + i, &v, sizeof v);
    }
    for (; i < n; i++) x[i] = weight(x[i], largest, factor);
}

BODY double doubles_sum(const double *x, int32_t n)
{
    f64x4 sum = all(0), v;
    int32_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        memcpy(&v, x + i, sizeof v);
        sum += v;
    }
    double rest = 0;
    for (; i < n; i++) rest += x[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]) + rest;
}

/* ---- by processor ---- */

#if defined(__x86_64__)
#define PASS(type, name, params, args)                                                             \
    __attribute__((target("avx2"))) static type name##_avx2 params { return name args; }           \
    type bt_##name params { return bt_cpu_flags() & BT_CPU_AVX2 ? name##_avx2 args : name args; }
#else
#define PASS(type, name, params, args)                                                             \
    type bt_##name params { return name args; }
#endif

PASS(float, logits_largest, (const float *x, int32_t n), (x, n))
PASS(bool, logits_above, (const float *x, int32_t n, float bound, int32_t *at, int32_t *ret_end),
     (x, n, bound, at, ret_end))
PASS(double, logits_exp_sum, (const float *x, int32_t n, float largest), (x, n, largest))
PASS(void, logits_widen, (const float *x, int32_t n, double *out), (x, n, out))
PASS(double, doubles_largest, (const double *x, int32_t n), (x, n))
PASS(bool, doubles_above, (const double *x, int32_t n, double bound, int32_t *at, int32_t *ret_end),
     (x, n, bound, at, ret_end))
PASS(void, doubles_weigh, (double *x, int32_t n, double largest, double factor),
     (x, n, largest, factor))
PASS(double, weight, (double x, double largest, double factor), (x, largest, factor))
PASS(double, doubles_sum, (const double *x, int32_t n), (x, n))

int32_t bt_logits_find(const float *x, int32_t n, float largest)
{
    for (int32_t at = 0, end = 0; bt_logits_above(x, n, nextafterf(largest, -INFINITY), &at, &end);
         at = end)
        for (int32_t i = at; i < end; i++)
            if (clean(x[i]) == (double)largest) return i;
    return -1;
}
