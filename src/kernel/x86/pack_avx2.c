// SPDX-License-Identifier: Apache-2.0
/* pack for AVX2: file rows to panels without opening codes one by one. A quad of a panel is four
 * columns of 16 rows, which is one 32-bit word of each row: so packing is turning words,
 *
 *   row 0   w0 w1 w2 ... w7                vector 0   w0 of rows 0..15
 *   row 1   w0 w1 w2 ... w7        ->      vector 1   w1 of rows 0..15
 *   ...                                    ...
 *
 * eight words of eight rows at a time, and moving nibbles where the file keeps others together than
 * the panel does. Panels that are not full and the types not here go the reference's way
 * (panel.c), whose bytes these are. */
#include <immintrin.h>
#include <string.h>
#include "base/bits.h"
#include "kernel/isa.h"
#include "kernel/panel.h"

#define PACK_INLINE static inline __attribute__((always_inline))

enum { ROWS = BT_PANEL_ROWS };

/* Turn an 8 x 8 square of words. */
PACK_INLINE void turn(__m256i r[8])
{
    __m256i a[8], b[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        b[4 * i] = _mm256_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 1] = _mm256_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm256_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = _mm256_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
        r[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
    }
}

/* Vectors first..first + 7 of 16 rows, from 8 words of each row (`words` gives row r's). */
#define TURN_ROWS(vector, words)                                                                   \
    for (int half_ = 0; half_ < 2; half_++) {                                                      \
        __m256i turned_[8];                                                                        \
        for (int i_ = 0; i_ < 8; i_++) {                                                           \
            int r = half_ * 8 + i_;                                                                \
            turned_[i_] = (words);                                                                 \
        }                                                                                          \
        turn(turned_);                                                                             \
        for (int i_ = 0; i_ < 8; i_++)                                                             \
            _mm256_store_si256((__m256i *)((vector) + i_ * 64 + half_ * 32), turned_[i_]);         \
    }

PACK_INLINE __m256i load256(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
PACK_INLINE __m128i load128(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)p); }
PACK_INLINE __m256i join(__m128i lo, __m128i hi)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1);
}

PACK_INLINE uint32_t word_at(const uint8_t *p)
{
    uint32_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

/* ---- words as they are: f32, and the pairs of bf16 ---- */

static void pack_words(const uint8_t *rows, int64_t row_bytes, int64_t n_word, uint8_t *panel)
{
    int64_t w = 0;
    for (; w + 8 <= n_word; w += 8) TURN_ROWS(panel + w * 64, load256(rows + r * row_bytes + w * 4))
    for (; w < n_word; w++)
        for (int r = 0; r < ROWS; r++)
            memcpy(panel + w * 64 + r * 4, rows + r * row_bytes + w * 4, 4);
}

/* ---- blocks of 32, whose scales become integers a group at a time ---- */

PACK_INLINE uint16_t half_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return h;
}

/* The scales of a group of n blocks, each of which begins with its own. */
static void put_small_scales(bt_dtype t, const uint8_t *block, int64_t block_bytes,
                             int64_t row_bytes, int n, uint8_t *head)
{
    memset(head, 0, (size_t)bt_panel_shape_of(t).head); // for a last group with fewer
    for (int r = 0; r < ROWS; r++) {
        uint16_t d[BT_GROUP_BLOCKS];
        for (int b = 0; b < n; b++) d[b] = half_at(block + r * row_bytes + b * block_bytes);
        bt_panel_put_scales(t, d, d, n, r, head);
    }
}

static bool any_negative(const uint8_t *rows, int64_t row_bytes, int64_t block_bytes,
                         int64_t n_block)
{
    unsigned all = 0;
    for (int r = 0; r < ROWS; r++)
        for (int64_t b = 0; b < n_block; b++)
            all |= half_at(rows + r * row_bytes + b * block_bytes);
    return all >> 15;
}

/* q8_0: block = d, 32 bytes. The codes become unsigned. */
static bool pack_q8_0(const uint8_t *rows, int64_t row_bytes, int64_t n_block, uint8_t *panel)
{
    const bt_panel_shape s = bt_panel_shape_of(BT_Q8_0);
    const __m256i sign = _mm256_set1_epi8(-128);
    if (any_negative(rows, row_bytes, 34, n_block)) return false; // codes to negate
    for (int64_t b = 0; b < n_block; b++) {
        int64_t at = b % BT_GROUP_BLOCKS;
        uint8_t *head = panel + b / BT_GROUP_BLOCKS * s.group;
        const uint8_t *block = rows + b * 34;
        TURN_ROWS(head + s.head + at * s.block,
                  _mm256_xor_si256(load256(block + r * row_bytes + 2), sign))
        if (!at)
            put_small_scales(BT_Q8_0, block, 34, row_bytes,
                             (int)bt_min_i64(BT_GROUP_BLOCKS, n_block - b), head);
    }
    return true;
}

/* q4_0: block = d, 16 bytes of nibbles: column i low, column i + 16 high, as in the panel. Two
 * blocks have eight words. */
static void pack_q4_0(const uint8_t *rows, int64_t row_bytes, int64_t n_block, uint8_t *panel)
{
    const bt_panel_shape s = bt_panel_shape_of(BT_Q4_0);
    for (int64_t b = 0; b < n_block; b += 2) {
        uint8_t *head = panel + b / BT_GROUP_BLOCKS * s.group,
                *at = head + s.head + b % BT_GROUP_BLOCKS * s.block;
        const uint8_t *block = rows + b * 18, *next = b + 1 < n_block ? block + 18 : NULL;
        uint8_t last[512] __attribute__((aligned(64)));
        TURN_ROWS(next ? at : last,
                  join(load128(block + r * row_bytes + 2),
                       next ? load128(next + r * row_bytes + 2) : _mm_setzero_si128()))
        if (!next) memcpy(at, last, 256);
        if (b % BT_GROUP_BLOCKS == 0)
            put_small_scales(BT_Q4_0, block, 18, row_bytes,
                             (int)bt_min_i64(BT_GROUP_BLOCKS, n_block - b), head);
    }
}

/* ---- blocks of 256: eight groups of 32 columns ---- */

/* 12 bytes of 6-bit scales and mins, drawn in tensor/blocks.c. */
PACK_INLINE void put_scales(const uint8_t *b, uint8_t *head, int row)
{
    for (int g = 0; g < 8; g++) {
        int i = g % 4;
        head[bt_panel_r_at(BT_Q4_K, g, 0) + row] =
            g < 4 ? b[i] & 63 : (uint8_t)((b[i + 8] & 15) | b[i] >> 6 << 4);
        head[bt_panel_min_at(BT_Q4_K, g / 2) + row * 2 + g % 2] =
            g < 4 ? b[i + 4] & 63 : (uint8_t)(b[i + 8] >> 4 | b[i + 4] >> 6 << 4);
    }
}

PACK_INLINE void put_half(uint8_t *at, int row, const uint8_t *from)
{
    memcpy(at + 2 * row, from, 2);
}

/* q4_k: block = d, dmin, scales, 128 bytes: of 32, an even group is low, the next one high. Two
 * groups give eight words. */
static void pack_q4_k(const uint8_t *rows, int64_t row_bytes, int64_t n_super, uint8_t *panel)
{
    const __m128i low = _mm_set1_epi8(15);
    for (int64_t s = 0; s < n_super; s++, panel += 320 + 8 * 256) {
        const uint8_t *block = rows + s * 144;
        for (int j = 0; j < 4; j++) {
            uint8_t *at = panel + 320 + j * 512;
            const uint8_t *q = block + 16 + j * 32;
#define LOW(x)  _mm_and_si128((x), low)
#define HIGH(x) LOW(_mm_srli_epi16((x), 4))
#define A       load128(q + r * row_bytes)
#define B       load128(q + r * row_bytes + 16)
            TURN_ROWS(at, join(_mm_or_si128(LOW(A), _mm_slli_epi16(LOW(B), 4)),
                               _mm_or_si128(HIGH(A), _mm_slli_epi16(HIGH(B), 4))))
#undef A
#undef B
#undef HIGH
#undef LOW
        }
        for (int r = 0; r < ROWS; r++) {
            const uint8_t *b = block + r * row_bytes;
            put_half(panel, r, b);
            put_half(panel + 32, r, b + 2);
            put_scales(b + 4, panel, r);
        }
    }
}

/* One row's words of one group of q6_k: T[0], T[1], then four of nibbles; see panel.h. */
PACK_INLINE void q6_k_words(const uint8_t *b, int group, uint8_t *at, int row)
{
    int half = group / 4, g = group % 4;
    const uint8_t *low = b + half * 64 + g % 2 * 32, *top = b + 128 + half * 32;
    uint32_t t[2] = {0, 0};
    for (int j = 0; j < 8; j++)
        t[j / 4] |= (word_at(top + 4 * j) >> 2 * g & 0x03030303u) << j % 4 * 2;
    memcpy(at + row * 4, &t[0], 4);
    memcpy(at + 64 + row * 4, &t[1], 4);
    for (int v = 0; v < 4; v++) {
        uint32_t w = (word_at(low + 4 * v) >> g / 2 * 4 & 0x0F0F0F0Fu) |
                     (word_at(low + 16 + 4 * v) >> g / 2 * 4 & 0x0F0F0F0Fu) << 4;
        memcpy(at + 128 + v * 64 + row * 4, &w, 4);
    }
}

static void pack_q6_k(const uint8_t *rows, int64_t row_bytes, int64_t n_super, uint8_t *panel)
{
    for (int64_t s = 0; s < n_super; s++, panel += 320 + 8 * 384) {
        memset(panel + 32, 0, 32);
        for (int r = 0; r < ROWS; r++) {
            const uint8_t *b = rows + r * row_bytes + s * 210;
            put_half(panel, r, b + 208);
            for (int g = 0; g < 8; g++) {
                panel[bt_panel_r_at(BT_Q6_K, g, 0) + r] = b[192 + 2 * g];
                panel[bt_panel_r_at(BT_Q6_K, g, 1) + r] = b[192 + 2 * g + 1];
                q6_k_words(b, g, panel + 320 + g * 384, r);
            }
        }
    }
}

/* ---- the slot ---- */

/* False where the type is not here, or not so. */
static bool pack_full(const bt_pack_args *a, const uint8_t *rows, uint8_t *panel)
{
    int64_t n = a->n_col;
    switch (a->dtype) {
    case BT_F32:
        pack_words(rows, a->row_bytes, n, panel);
        return true;
    case BT_BF16:
        if (n % 2) return false;
        pack_words(rows, a->row_bytes, n / 2, panel);
        return true;
    case BT_Q8_0:
        return pack_q8_0(rows, a->row_bytes, n / 32, panel);
    case BT_Q4_0:
        pack_q4_0(rows, a->row_bytes, n / 32, panel);
        return true;
    case BT_Q4_K:
        pack_q4_k(rows, a->row_bytes, n / 256, panel);
        return true;
    case BT_Q6_K:
        pack_q6_k(rows, a->row_bytes, n / 256, panel);
        return true;
    default:
        return false;
    }
}

void bt_pack_avx2(const void *args, int64_t begin, int64_t end)
{
    const bt_pack_args *a = args;
    int64_t bytes = bt_panel_bytes(a->dtype, a->n_col);
    for (int64_t p = begin; p < end; p++) {
        const uint8_t *rows = (const uint8_t *)a->rows + p * ROWS * a->row_bytes;
        uint8_t *panel = (uint8_t *)a->panels + p * bytes;
        int64_t n = bt_min_i64(ROWS, a->n_row - p * ROWS);
        if (n < ROWS || !pack_full(a, rows, panel))
            bt_panel_pack(a->dtype, rows, a->row_bytes, (int)n, a->n_col, panel);
    }
}
