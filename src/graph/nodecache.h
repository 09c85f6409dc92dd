// SPDX-License-Identifier: Apache-2.0
/* nodecache: kernel choice and tiling of nodes seen before (the KernelCache), shared by all layers
 * of a graph and all graphs of a context. Bounded in bytes, all of them allocated at the start; the
 * least recently used entry makes room. Keys are compared in full. Thread-safe. */
#pragma once
#include "graph/nodekey.h"

typedef struct bt_node_cache bt_node_cache;
typedef uint64_t bt_hash_fn(const void *data, size_t len, uint64_t seed);

/* `hash` NULL: XXH3. Tests give worse ones. */
BT_CHECKED bt_status bt_node_cache_new(int64_t bytes_max, bt_hash_fn *hash,
                                       bt_node_cache **ret_cache);
void bt_node_cache_free(bt_node_cache *cache); // NULL is nothing

/* Look a key up; true fills in the output's descriptor and the setup. */
bool bt_node_cache_find(bt_node_cache *cache, const uint8_t *key, int32_t key_bytes,
                        bt_desc *ret_out, bt_op_setup *ret_setup);

/* Remember what a key led to. A key that is there already stays as it is. */
void bt_node_cache_add(bt_node_cache *cache, const uint8_t *key, int32_t key_bytes,
                       const bt_desc *out, const bt_op_setup *setup);

int32_t bt_node_cache_n(bt_node_cache *cache);
