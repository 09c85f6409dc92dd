// SPDX-License-Identifier: Apache-2.0
/* hash: XXH3 (libxxhash, inlined), 64 and 128 bits. Header only. Never trust a hash alone: every
 * table compares the full key on a hit. */
#pragma once
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <stddef.h>
#include <stdint.h>

static inline uint64_t bt_hash64(const void *data, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, len, seed);
}

/* Mix two words: for hashing small integer keys. */
static inline uint64_t bt_hash_pair(uint64_t a, uint64_t b)
{
    uint64_t key[2] = {a, b};
    return XXH3_64bits(key, sizeof key);
}

typedef struct bt_hash128 {
    uint64_t word[2];
} bt_hash128;

/* Where a full key cannot be kept: 128 bits of one. */
static inline bt_hash128 bt_hash128_of(const void *data, size_t len)
{
    XXH128_hash_t h = XXH3_128bits(data, len);
    return (bt_hash128){{h.low64, h.high64}};
}
