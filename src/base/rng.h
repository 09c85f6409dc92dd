// SPDX-License-Identifier: Apache-2.0
/* rng: Philox4x32-10, a counter-based generator (Salmon et al. 2011, "Parallel random numbers: as
 * easy as 1, 2, 3", sec. 3.3). Number i of a stream is a pure function of (seed, stream, i): a
 * request draws the same numbers whatever runs beside it and may resume anywhere. Header only. */
#pragma once
#include <stdint.h>

typedef struct bt_rng_block {
    uint32_t word[4];
} bt_rng_block;

/* Return the four words at `counter` of the stream. */
static inline bt_rng_block bt_rng_at(uint64_t seed, uint64_t stream, uint64_t counter)
{
    uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)c0 * 0xD2511F53u, p1 = (uint64_t)c2 * 0xCD9E8D57u;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (bt_rng_block){{c0, c1, c2, c3}};
}

/* Uniform in [0, 1) with 53 bits, from the first two words of a block. */
static inline double bt_rng_uniform(bt_rng_block b)
{
    uint64_t bits = ((uint64_t)b.word[0] << 32 | b.word[1]) >> 11;
    return (double)bits * 0x1p-53;
}
