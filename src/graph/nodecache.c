// SPDX-License-Identifier: Apache-2.0
/* nodecache: a hash table with chains, and a list from the most to the least recently used entry.
 * Everything is numbers of entries in one array; -1 is none. */
#include "graph/nodecache.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/hash.h"
#include "base/lock.h"
#include <string.h>

typedef struct entry {
    uint64_t hash;
    int32_t next;         // in the chain
    int32_t newer, older; // in the list of use
    int32_t key_bytes;
    bt_desc out;
    bt_op_setup setup;
    uint8_t key[BT_NODE_KEY_MAX];
} entry;

struct bt_node_cache {
    bt_lock lock; // guards everything below
    bt_hash_fn *hash;
    entry *entry;  // [n_max]
    int32_t *head; // [n_head] chains
    int32_t n, n_max, n_head;
    int32_t newest, oldest;
};

bt_status bt_node_cache_new(int64_t bytes_max, bt_hash_fn *hash, bt_node_cache **ret_cache)
{
    bt_node_cache *c;
    int64_t n_max =
        (bytes_max - (int64_t)sizeof *c) / (int64_t)(sizeof(entry) + 2 * sizeof *c->head);
    BT_FAIL_IF(n_max < 1 || n_max > 1 << 24, INVALID, "a node cache of %lld bytes",
               (long long)bytes_max);
    BT_TRY(bt_alloc_zero((void **)&c, sizeof *c, BT_MEM_PLAN));
    bt_lock_init(&c->lock);
    c->hash = hash ? hash : bt_hash64;
    c->n_max = (int32_t)n_max;
    for (c->n_head = 1; c->n_head < c->n_max;) c->n_head *= 2;
    c->newest = c->oldest = -1;
    bt_status st = bt_alloc_array((void **)&c->entry, (size_t)n_max, sizeof *c->entry, BT_MEM_PLAN);
    if (st == BT_OK)
        st = bt_alloc_array((void **)&c->head, (size_t)c->n_head, sizeof *c->head, BT_MEM_PLAN);
    if (st != BT_OK) {
        bt_node_cache_free(c);
        return st;
    }
    for (int32_t i = 0; i < c->n_head; i++) c->head[i] = -1;
    *ret_cache = c;
    return BT_OK;
}

void bt_node_cache_free(bt_node_cache *cache)
{
    if (!cache) return;
    bt_lock_done(&cache->lock);
    bt_free(cache->entry);
    bt_free(cache->head);
    bt_free(cache);
}

static int32_t *chain_of(bt_node_cache *c, uint64_t hash)
{
    return &c->head[hash & (uint64_t)(c->n_head - 1)];
}

static int32_t find(bt_node_cache *c, uint64_t hash, const uint8_t *key, int32_t key_bytes)
{
    int32_t i = *chain_of(c, hash);
    for (; i >= 0; i = c->entry[i].next) {
        const entry *e = &c->entry[i];
        if (e->hash == hash && e->key_bytes == key_bytes && !memcmp(e->key, key, (size_t)key_bytes))
            break;
    }
    return i;
}

/* ---- the list of use ---- */

static void leave_list(bt_node_cache *c, int32_t i)
{
    entry *e = &c->entry[i];
    *(e->newer >= 0 ? &c->entry[e->newer].older : &c->newest) = e->older;
    *(e->older >= 0 ? &c->entry[e->older].newer : &c->oldest) = e->newer;
}

static void enter_list(bt_node_cache *c, int32_t i)
{
    entry *e = &c->entry[i];
    e->newer = -1;
    e->older = c->newest;
    *(c->newest >= 0 ? &c->entry[c->newest].newer : &c->oldest) = i;
    c->newest = i;
}

/* A place for a new entry: an unused one, or that of the least recently used. */
static int32_t take_place(bt_node_cache *c)
{
    if (c->n < c->n_max) return c->n++;
    int32_t i = c->oldest;
    int32_t *link = chain_of(c, c->entry[i].hash);
    while (*link != i) link = &c->entry[*link].next;
    *link = c->entry[i].next;
    leave_list(c, i);
    return i;
}

/* ---- use ---- */

bool bt_node_cache_find(bt_node_cache *c, const uint8_t *key, int32_t key_bytes, bt_desc *ret_out,
                        bt_op_setup *ret_setup)
{
    uint64_t hash = c->hash(key, (size_t)key_bytes, 0);
    bt_lock_take(&c->lock);
    int32_t i = find(c, hash, key, key_bytes);
    if (i >= 0) {
        leave_list(c, i);
        enter_list(c, i);
        *ret_out = c->entry[i].out;
        *ret_setup = c->entry[i].setup;
    }
    bt_lock_give(&c->lock);
    return i >= 0;
}

void bt_node_cache_add(bt_node_cache *c, const uint8_t *key, int32_t key_bytes, const bt_desc *out,
                       const bt_op_setup *setup)
{
    uint64_t hash = c->hash(key, (size_t)key_bytes, 0);
    bt_lock_take(&c->lock);
    if (find(c, hash, key, key_bytes) < 0) {
        int32_t i = take_place(c), *chain = chain_of(c, hash);
        entry *e = &c->entry[i];
        e->hash = hash;
        e->key_bytes = key_bytes;
        e->out = *out;
        e->setup = *setup;
        memcpy(e->key, key, (size_t)key_bytes);
        e->next = *chain;
        *chain = i;
        enter_list(c, i);
    }
    bt_lock_give(&c->lock);
}

int32_t bt_node_cache_n(bt_node_cache *c)
{
    bt_lock_take(&c->lock);
    int32_t n = c->n;
    bt_lock_give(&c->lock);
    return n;
}
