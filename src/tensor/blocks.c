// SPDX-License-Identifier: Apache-2.0
/* blocks: see blocks.h. One open and one close for each type; nothing else knows the bit layouts.
 * Blocks lie unaligned in files, so all access is by byte. */
#include "tensor/blocks.h"
#include <string.h>

static uint16_t get_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static void put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

/* q8_0: d, 32 signed bytes. */
static void open_q8_0(const uint8_t *b, bt_codes *out)
{
    out->d = get_u16(b);
    for (int i = 0; i < 32; i++) out->q[i] = b[2 + i] ^ 0x80;
}

static void close_q8_0(const bt_codes *in, uint8_t *b)
{
    put_u16(b, in->d);
    for (int i = 0; i < 32; i++) b[2 + i] = in->q[i] ^ 0x80;
}

/* 16 bytes hold 32 nibbles: column i low, column i + 16 high. */
static void open_nibbles(const uint8_t *b, uint8_t *q)
{
    for (int i = 0; i < 16; i++) {
        q[i] = b[i] & 15;
        q[i + 16] = b[i] >> 4;
    }
}

static void close_nibbles(const uint8_t *q, uint8_t *b)
{
    for (int i = 0; i < 16; i++) b[i] = (uint8_t)((q[i] & 15) | (q[i + 16] & 15) << 4);
}

/* 4 bytes hold the fifth bit of 32 columns, column i in bit i. */
static void open_fifth(const uint8_t *b, uint8_t *q)
{
    for (int i = 0; i < 32; i++) q[i] |= (uint8_t)((b[i / 8] >> i % 8 & 1) << 4);
}

static void close_fifth(const uint8_t *q, uint8_t *b)
{
    memset(b, 0, 4);
    for (int i = 0; i < 32; i++) b[i / 8] |= (uint8_t)((q[i] >> 4 & 1) << i % 8);
}

/* q4_0, q4_1, q5_0, q5_1: d, [m], [fifth bits], nibbles. */
static void open_small(const uint8_t *b, bool has_min, bool has_fifth, bt_codes *out)
{
    out->d = get_u16(b);
    b += 2;
    if (has_min) {
        out->m = get_u16(b);
        b += 2;
    }
    open_nibbles(has_fifth ? b + 4 : b, out->q);
    if (has_fifth) open_fifth(b, out->q);
}

static void close_small(const bt_codes *in, bool has_min, bool has_fifth, uint8_t *b)
{
    put_u16(b, in->d);
    b += 2;
    if (has_min) {
        put_u16(b, in->m);
        b += 2;
    }
    if (has_fifth) {
        close_fifth(in->q, b);
        b += 4;
    }
    close_nibbles(in->q, b);
}

/* 12 bytes hold 8 scales and 8 mins of 6 bits: bytes 0..3 the first four scales, 4..7 the first
 * four mins, 8..11 the low nibbles of the rest, whose top two bits fill bits 6 and 7 of bytes 0..7.
 */
static void open_scales(const uint8_t *b, bt_codes *out)
{
    for (int i = 0; i < 4; i++) {
        out->scale[i] = b[i] & 63;
        out->min[i] = b[i + 4] & 63;
        out->scale[i + 4] = (int8_t)((b[i + 8] & 15) | (b[i] >> 6) << 4);
        out->min[i + 4] = (uint8_t)(b[i + 8] >> 4 | (b[i + 4] >> 6) << 4);
    }
}

static void close_scales(const bt_codes *in, uint8_t *b)
{
    for (int i = 0; i < 4; i++) {
        unsigned scale = (unsigned)in->scale[i + 4], min = in->min[i + 4];
        b[i] = (uint8_t)((unsigned)in->scale[i] | (scale >> 4) << 6);
        b[i + 4] = (uint8_t)(in->min[i] | (min >> 4) << 6);
        b[i + 8] = (uint8_t)((scale & 15) | (min & 15) << 4);
    }
}

/* q4_k and q5_k: d, dmin, scales, [fifth bits: 32 bytes, group g in bit g], nibbles: 32 bytes for
 * two groups of 32 columns, the even group low. */
static void open_k(const uint8_t *b, bool has_fifth, bt_codes *out)
{
    out->d = get_u16(b);
    out->m = get_u16(b + 2);
    open_scales(b + 4, out);
    const uint8_t *fifth = b + 16, *low = has_fifth ? b + 48 : b + 16;
    for (int g = 0; g < 8; g++)
        for (int i = 0; i < 32; i++) {
            unsigned q = low[g / 2 * 32 + i] >> g % 2 * 4 & 15;
            if (has_fifth) q |= (fifth[i] >> g & 1u) << 4;
            out->q[g * 32 + i] = (uint8_t)q;
        }
}

static void close_k(const bt_codes *in, bool has_fifth, uint8_t *b)
{
    put_u16(b, in->d);
    put_u16(b + 2, in->m);
    close_scales(in, b + 4);
    uint8_t *fifth = b + 16, *low = has_fifth ? b + 48 : b + 16;
    memset(b + 16, 0, has_fifth ? 160 : 128);
    for (int g = 0; g < 8; g++)
        for (int i = 0; i < 32; i++) {
            unsigned q = in->q[g * 32 + i];
            low[g / 2 * 32 + i] |= (uint8_t)((q & 15) << g % 2 * 4);
            if (has_fifth) fifth[i] |= (uint8_t)((q >> 4 & 1) << g);
        }
}

/* q6_k: 128 bytes of low nibbles, 64 of top bit pairs, 16 scales, d. In each half of 128 columns,
 * group g of 32: nibble in byte (g % 2) * 32 + i, low for g < 2; pair 2g of byte i. */
static void open_q6_k(const uint8_t *b, bt_codes *out)
{
    for (int c = 0; c < 256; c++) {
        int half = c / 128, g = c / 32 % 4, i = c % 32;
        unsigned low = b[half * 64 + g % 2 * 32 + i] >> g / 2 * 4 & 15;
        unsigned high = b[128 + half * 32 + i] >> g * 2 & 3u;
        out->q[c] = (uint8_t)(low | high << 4);
    }
    memcpy(out->scale, b + 192, 16);
    out->d = get_u16(b + 208);
}

static void close_q6_k(const bt_codes *in, uint8_t *b)
{
    memset(b, 0, 192);
    for (int c = 0; c < 256; c++) {
        int half = c / 128, g = c / 32 % 4, i = c % 32;
        b[half * 64 + g % 2 * 32 + i] |= (uint8_t)((in->q[c] & 15) << g / 2 * 4);
        b[128 + half * 32 + i] |= (uint8_t)((in->q[c] >> 4 & 3) << g * 2);
    }
    memcpy(b + 192, in->scale, 16);
    put_u16(b + 208, in->d);
}

void bt_block_open(bt_dtype dtype, const void *block, bt_codes *out)
{
    switch (dtype) {
    case BT_Q8_0:
        open_q8_0(block, out);
        break;
    case BT_Q4_0:
        open_small(block, false, false, out);
        break;
    case BT_Q4_1:
        open_small(block, true, false, out);
        break;
    case BT_Q5_0:
        open_small(block, false, true, out);
        break;
    case BT_Q5_1:
        open_small(block, true, true, out);
        break;
    case BT_Q4_K:
        open_k(block, false, out);
        break;
    case BT_Q5_K:
        open_k(block, true, out);
        break;
    case BT_Q6_K:
        open_q6_k(block, out);
        break;
    default:
        assert(!"a quantised type");
    }
}

void bt_block_close(bt_dtype dtype, const bt_codes *codes, void *block)
{
    switch (dtype) {
    case BT_Q8_0:
        close_q8_0(codes, block);
        break;
    case BT_Q4_0:
        close_small(codes, false, false, block);
        break;
    case BT_Q4_1:
        close_small(codes, true, false, block);
        break;
    case BT_Q5_0:
        close_small(codes, false, true, block);
        break;
    case BT_Q5_1:
        close_small(codes, true, true, block);
        break;
    case BT_Q4_K:
        close_k(codes, false, block);
        break;
    case BT_Q5_K:
        close_k(codes, true, block);
        break;
    case BT_Q6_K:
        close_q6_k(codes, block);
        break;
    default:
        assert(!"a quantised type");
    }
}
