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
