// SPDX-License-Identifier: Apache-2.0
/* The passes of logits.h with vectors of LANES doubles, 2, 4 or 8, or twice as many floats. logits.c
 * includes this once for each, with NAME() to tell them apart. Vectors are the compiler's own. */
#ifdef LANES

#define f64      NAME(f64)
#define u64      NAME(u64)
#define f32      NAME(f32)
#define i32      NAME(i32)
#define f32_half NAME(f32_half)
typedef double f64 __attribute__((vector_size(8 * LANES)));
typedef uint64_t u64 __attribute__((vector_size(8 * LANES)));
typedef float f32 __attribute__((vector_size(8 * LANES)));
typedef int32_t i32 __attribute__((vector_size(8 * LANES)));
typedef float f32_half __attribute__((vector_size(4 * LANES)));

BODY float NAME(peak_of)(const float *x)
{
    enum { W = 2 * LANES, N = 16 / W };
    f32 m[N], v;
    for (int j = 0; j < N; j++) m[j] = (f32){0} - INFINITY;
    for (int i = 0; i < BT_LOGITS_BLOCK; i += 16)
        for (int j = 0; j < N; j++) {
            memcpy(&v, x + i + W * j, sizeof v);
            m[j] = LARGER(f32, i32, m[j], v);
        }
    return largest_of_16(m);
}

BODY float NAME(peaks)(const float *x, int32_t n, float *peak)
{
    float most = -INFINITY, end[BT_LOGITS_BLOCK];
    for (int32_t at = 0; at < n; at += BT_LOGITS_BLOCK) {
        float here = NAME(peak_of)(whole_block(x + at, n - at, end));
        peak[at / BT_LOGITS_BLOCK] = here;
        most = here > most ? here : most;
    }
    return most;
}

/* 2^at in place, at <= 0: at = k + r, a polynomial in r ln 2 of |r| <= 1/2 (interpolated at Chebyshev
 * nodes), and k put into the exponent by an integer sum. NaN becomes 0, as -inf does. */
BODY void NAME(exp2_below)(f64 *at)
{
    const double magic = 0x1.8p52, ln2 = 0x1.62e42fefa39efp-1;
    static const double c[] = {0.49999999999954925,   0.1666666666666257,    0.041666666786625194,
                               0.008333333344235647,  0.0013888839010858958, 0.0001984122450904205,
                               2.486793656219774e-05, 2.7617625110379297e-06};
    f64 x = *at, shifted = x + magic, r = (x - (shifted - magic)) * ln2, r2 = r * r, r4 = r2 * r2;
    f64 p = ((c[0] + c[1] * r) + (c[2] + c[3] * r) * r2) +
            ((c[4] + c[5] * r) + (c[6] + c[7] * r) * r2) * r4;
    p = (p * r2 + r) + 1;
    *at = (f64)(((u64)p + ((u64)shifted << 52)) & (u64)(x >= -1022.0));
}

/* One whole block; `weight` may be NULL. */
BODY double NAME(weigh_block)(const float *x, double largest, double scale, double *weight)
{
    enum { N = 8 / LANES };
    f64 sum[N] = {0};
    double s[8];
    for (int i = 0; i < BT_LOGITS_BLOCK; i += 8)
        for (int j = 0; j < N; j++) {
            f32_half v;
            memcpy(&v, x + i + LANES * j, sizeof v);
            f64 w = (__builtin_convertvector(v, f64) - largest) * scale;
            NAME(exp2_below)(&w);
            if (weight) memcpy(weight + i + LANES * j, &w, sizeof w);
            sum[j] += w;
        }
    memcpy(s, sum, sizeof s);
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

BODY void NAME(weigh)(const float *x, int32_t n, double largest, double factor, double *weight)
{
    float end[BT_LOGITS_BLOCK];
    NAME(weigh_block)(whole_block(x, n, end), largest, factor * LOG2_E, weight);
}

BODY void NAME(sums)(const float *x, int32_t n, double largest, double factor, double *sum)
{
    float end[BT_LOGITS_BLOCK];
    for (int32_t at = 0; at < n; at += BT_LOGITS_BLOCK)
        sum[at / BT_LOGITS_BLOCK] =
            NAME(weigh_block)(whole_block(x + at, n - at, end), largest, factor * LOG2_E, NULL);
}

#undef f64
#undef u64
#undef f32
#undef i32
#undef f32_half
#endif
