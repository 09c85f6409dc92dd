// SPDX-License-Identifier: Apache-2.0
/* half: f16 and bf16 <-> f32, bit-exact scalar conversions (round to nearest even). Header only.
 * Source: IEEE 754-2008 sec. 3.6 (binary16). NaN stays NaN (quiet), infinities stay. */
#pragma once
#include <stdint.h>
#include <string.h>

static inline float bt_bits_f32(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t bt_f32_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float bt_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 0x1F, mantissa = h & 0x3FF;
    if (exponent == 0x1F)
        return bt_bits_f32(sign | 0x7F800000u | (mantissa ? mantissa << 13 | 0x400000u : 0));
    if (exponent) return bt_bits_f32(sign | (exponent + 112) << 23 | mantissa << 13);
    float subnormal = (float)mantissa * 0x1p-24f;
    return bt_bits_f32(sign | bt_f32_bits(subnormal));
}

static inline uint16_t bt_f32_to_f16(float f)
{
    uint32_t bits = bt_f32_bits(f), magnitude = bits & 0x7FFFFFFF;
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    if (magnitude > 0x7F800000) return (uint16_t)(sign | 0x7E00 | (magnitude >> 13 & 0x3FF));
    if (magnitude >= 0x477FF000) return (uint16_t)(sign | 0x7C00); // rounds past the largest finite
    if (magnitude < 0x38800000) {                                  // below the smallest normal
        float scaled = bt_bits_f32(magnitude) + 0.5f; // ulp of 0.5 is 2^-24: rounds to nearest even
        return (uint16_t)(sign | (bt_f32_bits(scaled) - 0x3F000000u));
    }
    uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
    return (uint16_t)(sign | (rounded - 0x38000000u) >> 13);
}

static inline float bt_bf16_to_f32(uint16_t h) { return bt_bits_f32((uint32_t)h << 16); }

static inline uint16_t bt_f32_to_bf16(float f)
{
    uint32_t bits = bt_f32_bits(f);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
