// SPDX-License-Identifier: Apache-2.0
/* trie: see trie.h. */
#include "text/trie.h"
#include "base/hash.h"

bt_status bt_trie_init(bt_trie *t, size_t n_byte)
{
    *t = (bt_trie){.n_node = 1};
    BT_FAIL_IF(n_byte >= 1u << 24, LIMIT, "the pieces have %zu bytes in all, at most %u", n_byte,
               (1u << 24) - 1);
    uint32_t n_slot = 16;
    while (n_slot < 2 * (n_byte + 1)) n_slot *= 2;
    t->mask = n_slot - 1;
    t->node_max = (uint32_t)n_byte + 1;
    BT_TRY(bt_alloc_array((void **)&t->edge, n_slot, sizeof *t->edge, BT_MEM_TEXT));
    BT_TRY(bt_alloc_array((void **)&t->id, t->node_max, sizeof *t->id, BT_MEM_TEXT));
    t->id[0] = -1;
    return BT_OK;
}

void bt_trie_done(bt_trie *t)
{
    bt_free(t->edge);
    bt_free(t->id);
    *t = (bt_trie){0};
}

static uint32_t slot_of(const bt_trie *t, uint32_t key)
{
    uint32_t i = (uint32_t)bt_hash_pair(key, 0) & t->mask;
    while (t->edge[i].child && t->edge[i].key != key) i = (i + 1) & t->mask;
    return i;
}

uint32_t bt_trie_step(const bt_trie *t, uint32_t node, uint8_t byte)
{
    return t->edge[slot_of(t, node << 8 | byte)].child;
}

void bt_trie_put(bt_trie *t, const char *text, size_t len, int32_t id)
{
    uint32_t node = 0;
    t->first[(uint8_t)text[0]] = true;
    for (size_t i = 0; i < len; i++) {
        uint32_t key = node << 8 | (uint8_t)text[i], s = slot_of(t, key);
        if (!t->edge[s].child) {
            assert(t->n_node < t->node_max);
            t->id[t->n_node] = -1;
            t->edge[s] = (trie_edge){key, t->n_node++};
        }
        node = t->edge[s].child;
    }
    if (t->id[node] < 0) t->id[node] = id;
}

int32_t bt_trie_longest(const bt_trie *t, const char *text, size_t len, size_t *ret_len)
{
    int32_t best = -1;
    uint32_t node = 0;
    for (size_t i = 0; i < len; i++) {
        node = bt_trie_step(t, node, (uint8_t)text[i]);
        if (!node) break;
        if (t->id[node] >= 0) {
            best = t->id[node];
            *ret_len = i + 1;
        }
    }
    return best;
}
