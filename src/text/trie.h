// SPDX-License-Identifier: Apache-2.0
/* trie: strings to ids, walked a byte at a time. Edges live in one hash table keyed by (node,
 * byte), so that a node costs the same whatever its fan-out. Node 0 is the root. */
#pragma once
#include "base/alloc.h"
#include <stdbool.h>

typedef struct trie_edge {
    uint32_t key;   // node << 8 | byte
    uint32_t child; // 0: empty slot (the root is nobody's child)
} trie_edge;

typedef struct bt_trie {
    trie_edge *edge; // [mask + 1], at most half full
    int32_t *id;     // [n_node], -1: no string ends here
    uint32_t mask, n_node, node_max;
    bool first[256]; // some string starts with this byte
} bt_trie;

/* Room for strings of `n_byte` bytes in total. LIMIT past 2^24. */
BT_CHECKED bt_status bt_trie_init(bt_trie *t, size_t n_byte);
void bt_trie_done(bt_trie *t);

/* Add a string (len >= 1) within the promised total; a repeated string keeps its first id. */
void bt_trie_put(bt_trie *t, const char *text, size_t len, int32_t id);

/* The child of `node` along `byte`, 0 when there is none. */
uint32_t bt_trie_step(const bt_trie *t, uint32_t node, uint8_t byte);

/* The longest string that `text` begins with: its id, or -1. */
int32_t bt_trie_longest(const bt_trie *t, const char *text, size_t len, size_t *ret_len);
