// SPDX-License-Identifier: Apache-2.0
/* quant: see quant.h. Dequantisation is blocks.h's formulas; quantisation is a search.
 *
 * A fit tries some scales around the one that maps the largest value to the end of the code range,
 * improves each by least squares with the codes held, and keeps what gives the smallest squared
 * error after the scale has been rounded as it will be stored. The plain choice is always among
 * those tried, so no block is worse than it.
 */
#include "tensor/quant.h"
#include "base/bits.h"
#include "tensor/blocks.h"
#include "tensor/half.h"
#include <math.h>

/* ---- dequantisation ---- */

static void expand(bt_dtype dtype, const bt_codes *c, float *out)
{
    float d = bt_f16_to_f32(c->d), m = bt_f16_to_f32(c->m);
    int offset = dtype == BT_Q8_0 ? 128 : dtype == BT_Q4_0 ? 8 : 16;
    switch (dtype) {
    case BT_Q8_0:
    case BT_Q4_0:
    case BT_Q5_0:
        for (int i = 0; i < 32; i++) out[i] = d * (float)(c->q[i] - offset);
        break;
    case BT_Q4_1:
    case BT_Q5_1:
        for (int i = 0; i < 32; i++) out[i] = d * (float)c->q[i] + m;
        break;
    case BT_Q4_K:
    case BT_Q5_K:
        for (int i = 0; i < 256; i++) {
            float scale = d * (float)c->scale[i / 32], min = m * (float)c->min[i / 32];
            out[i] = scale * (float)c->q[i] - min;
        }
        break;
    default:
        for (int i = 0; i < 256; i++) out[i] = d * (float)c->scale[i / 16] * (float)(c->q[i] - 32);
    }
}

void bt_dequant_row(bt_dtype dtype, const void *row, int64_t n, float *out)
{
    assert(bt_dtype_is_weight(dtype));
    const uint8_t *p = row;
    if (bt_dtype_is_quantised(dtype)) {
        int64_t block = bt_dtype_block(dtype), bytes = bt_dtype_block_bytes(dtype);
        bt_codes codes = {.m = 0};
        for (int64_t i = 0; i < n; i += block, p += bytes) {
            bt_block_open(dtype, p, &codes);
            expand(dtype, &codes, out + i);
        }
        return;
    }
    if (dtype == BT_F32) memcpy(out, row, (size_t)n * sizeof *out);
    for (int64_t i = 0; i < n && dtype != BT_F32; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, sizeof h);
        out[i] = dtype == BT_F16 ? bt_f16_to_f32(h) : bt_bf16_to_f32(h);
    }
}

/* ---- fitting ---- */

typedef struct fit {
    float d, m;  // x ~ d * q + m
    float error; // sum of squares
} fit;

typedef struct fit_range {
    int n;             // values
    int lo, hi;        // codes
    bool half;         // d and m are stored as f16: round them before they are judged
    bool min_negative; // m <= 0 is all that can be stored
} fit_range;

static float round_half(float x)
{
    x = x > 65504 ? 65504 : x < -65504 ? -65504 : x;
    return bt_f16_to_f32(bt_f32_to_f16(x));
}

/* Nearest integer to x, ties to even, within lo..hi. */
static int nearest(float x, int lo, int hi)
{
    x = x < (float)lo ? (float)lo : x > (float)hi ? (float)hi : x;
    return (int)(bt_f32_bits(x + 12582912.0f) - bt_f32_bits(12582912.0f));
}

static float inverse(float d) { return d != 0 ? 1 / d : 0; }

/* The codes' best d and m for x, given d and m: one step of alternating least squares. */
typedef struct sums {
    float q, qq, x, xq, error;
} sums;

static sums try_scale(const float *x, const fit_range *r, float d, float m)
{
    sums s = {0};
    float id = inverse(d);
    for (int i = 0; i < r->n; i++) {
        float q = (float)nearest((x[i] - m) * id, r->lo, r->hi), e = x[i] - m - d * q;
        s.q += q;
        s.qq += q * q;
        s.x += x[i];
        s.xq += x[i] * q;
        s.error += e * e;
    }
    return s;
}

static void consider(const float *x, const fit_range *r, bool affine, fit *now, fit *best)
{
    for (int pass = 0; pass < 2; pass++) {
        if (r->half) {
            now->d = round_half(now->d);
            now->m = round_half(now->m);
        }
        sums s = try_scale(x, r, now->d, now->m);
        now->error = s.error;
        if (!(best->error <= now->error)) *best = *now;
        float n = (float)r->n, det = n * s.qq - s.q * s.q;
        if (affine && det > 0) {
            now->d = (n * s.xq - s.q * s.x) / det;
            now->m = (s.x - now->d * s.q) / n;
        }
        if (!affine || !(det > 0) || (r->min_negative && now->m > 0)) {
            if (!(s.qq > 0)) return;
            now->m = affine && !r->min_negative ? now->m : 0;
            now->d = (s.xq - now->m * s.q) / s.qq;
        }
    }
}

/* x ~ d * q, codes lo..hi around 0. */
static fit fit_symmetric(const float *x, const fit_range *r)
{
    fit best = {.error = INFINITY};
    float extreme = 0;
    for (int i = 0; i < r->n; i++) extreme = fabsf(x[i]) > fabsf(extreme) ? x[i] : extreme;
    if (fabsf(extreme) < 1e-30f) return (fit){0};
    const float lo = (float)r->lo, hi = (float)r->hi;
    const float ends[] = {lo, lo - 0.6f, lo + 0.5f, lo + 1, hi, hi + 0.5f, lo - 1.2f};
    for (size_t i = 0; i < BT_COUNT_OF(ends); i++) {
        fit now = {.d = extreme / ends[i]};
        consider(x, r, false, &now, &best);
    }
    return best;
}

/* x ~ d * q + m, codes 0..hi. */
static fit fit_affine(const float *x, const fit_range *r)
{
    float lo = x[0], hi = x[0];
    for (int i = 1; i < r->n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    if (r->min_negative && lo > 0) lo = 0;
    fit best = {.error = INFINITY};
    static const float less[] = {0, 0.5f, 1, 1.6f, 2.2f, 3, -0.5f};
    for (size_t i = 0; i < BT_COUNT_OF(less); i++) {
        fit now = {.d = (hi - lo) / ((float)r->hi - less[i]), .m = lo};
        if (now.d < 1e-30f) now.d = 0;
        consider(x, r, true, &now, &best);
    }
    return best;
}

/* ---- blocks ---- */

static void emit_codes(const float *x, const fit_range *r, fit f, uint8_t *q)
{
    float id = inverse(f.d);
    for (int i = 0; i < r->n; i++)
        q[i] = (uint8_t)(nearest((x[i] - f.m) * id, r->lo, r->hi) - r->lo);
}

static void squeeze_q8_0(const float *x, bt_codes *c)
{
    float top = 0;
    for (int i = 0; i < 32; i++) top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
    fit f = {.d = round_half(top / 127)};
    fit_range r = {.n = 32, .lo = -128, .hi = 127};
    c->d = bt_f32_to_f16(f.d);
    emit_codes(x, &r, f, c->q);
}

static void squeeze_small(bt_dtype dtype, const float *x, bt_codes *c)
{
    bool affine = dtype == BT_Q4_1 || dtype == BT_Q5_1;
    int levels = dtype == BT_Q4_0 || dtype == BT_Q4_1 ? 16 : 32;
    fit_range r = {.n = 32, .lo = affine ? 0 : -levels / 2, .half = true};
    r.hi = r.lo + levels - 1;
    fit f = affine ? fit_affine(x, &r) : fit_symmetric(x, &r);
    c->d = bt_f32_to_f16(f.d);
    c->m = bt_f32_to_f16(f.m);
    emit_codes(x, &r, f, c->q);
}

/* Stored scales are coarse: of the neighbours of the rounded pair, take the one with the least
 * error. */
static void settle_group(const float *x, const fit_range *r, fit unit, int8_t *scale, uint8_t *min)
{
    int s0 = *scale, m0 = min ? *min : 0, lo = min ? 0 : -128, hi = min ? 63 : 127;
    float best = INFINITY;
    for (int s = s0 - 1; s <= s0 + 1; s++)
        for (int m = m0 - 1; m <= m0 + 1; m++) {
            if (s < lo || s > hi || m < 0 || m > 63 || (!min && m)) continue;
            float error = try_scale(x, r, unit.d * (float)s, -(unit.m * (float)m)).error;
            if (error >= best) continue;
            best = error;
            *scale = (int8_t)s;
            if (min) *min = (uint8_t)m;
        }
}

static void squeeze_k(bt_dtype dtype, const float *x, bt_codes *c)
{
    fit_range r = {.n = 32, .hi = dtype == BT_Q4_K ? 15 : 31, .min_negative = true};
    fit group[8], unit = {0};
    for (int g = 0; g < 8; g++) {
        group[g] = fit_affine(x + g * 32, &r);
        group[g].d = group[g].d > 0 ? group[g].d : 0;
        unit.d = group[g].d > unit.d ? group[g].d : unit.d;
        unit.m = -group[g].m > unit.m ? -group[g].m : unit.m;
    }
    unit.d = round_half(unit.d / 63);
    unit.m = round_half(unit.m / 63);
    c->d = bt_f32_to_f16(unit.d);
    c->m = bt_f32_to_f16(unit.m);
    for (int g = 0; g < 8; g++) {
        c->scale[g] = (int8_t)nearest(group[g].d * inverse(unit.d), 0, 63);
        c->min[g] = (uint8_t)nearest(-group[g].m * inverse(unit.m), 0, 63);
        settle_group(x + g * 32, &r, unit, &c->scale[g], &c->min[g]);
        fit f = {.d = unit.d * (float)c->scale[g], .m = -(unit.m * (float)c->min[g])};
        emit_codes(x + g * 32, &r, f, c->q + g * 32);
    }
}

static void squeeze_q6_k(const float *x, bt_codes *c)
{
    fit_range r = {.n = 16, .lo = -32, .hi = 31};
    fit group[16];
    float extreme = 0;
    for (int g = 0; g < 16; g++) {
        group[g] = fit_symmetric(x + g * 16, &r);
        extreme = fabsf(group[g].d) > fabsf(extreme) ? group[g].d : extreme;
    }
    fit unit = {.d = round_half(extreme / -128)};
    c->d = bt_f32_to_f16(unit.d);
    for (int g = 0; g < 16; g++) {
        c->scale[g] = (int8_t)nearest(group[g].d * inverse(unit.d), -128, 127);
        settle_group(x + g * 16, &r, unit, &c->scale[g], NULL);
        emit_codes(x + g * 16, &r, (fit){.d = unit.d * (float)c->scale[g]}, c->q + g * 16);
    }
}

/* ---- rows ---- */

/* A value quantised types can work with: finite, and small enough that its square is too. */
static float tame(float x)
{
    const float top = 1e15f; // far beyond the largest f16 scale times the largest code
    if (!isfinite(x)) return 0;
    return x > top ? top : x < -top ? -top : x;
}

static void quant_blocks(bt_dtype dtype, const float *row, int64_t n, uint8_t *out)
{
    int64_t block = bt_dtype_block(dtype), bytes = bt_dtype_block_bytes(dtype);
    for (int64_t i = 0; i < n; i += block, out += bytes) {
        float x[BT_CODES_MAX];
        bt_codes codes = {.m = 0};
        for (int64_t j = 0; j < block; j++) x[j] = tame(row[i + j]);
        if (dtype == BT_Q8_0)
            squeeze_q8_0(x, &codes);
        else if (dtype == BT_Q6_K)
            squeeze_q6_k(x, &codes);
        else if (block == 256)
            squeeze_k(dtype, x, &codes);
        else
            squeeze_small(dtype, x, &codes);
        bt_block_close(dtype, &codes, out);
    }
}

void bt_quant_row(bt_dtype dtype, const float *row, int64_t n, void *out)
{
    assert(bt_dtype_is_weight(dtype));
    if (bt_dtype_is_quantised(dtype)) {
        quant_blocks(dtype, row, n, out);
        return;
    }
    if (dtype == BT_F32) memcpy(out, row, (size_t)n * sizeof *row);
    for (int64_t i = 0; i < n && dtype != BT_F32; i++) {
        uint16_t h = dtype == BT_F16 ? bt_f32_to_f16(row[i]) : bt_f32_to_bf16(row[i]);
        memcpy((uint8_t *)out + 2 * i, &h, sizeof h);
    }
}

bool bt_dtype_is_weight(bt_dtype dtype) { return dtype >= BT_F32 && dtype <= BT_Q6_K; }
