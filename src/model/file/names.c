// SPDX-License-Identifier: Apache-2.0
/* names: open addressing with linear probing at a load of at most one half. */
#include "model/file/names.h"
#include "base/hash.h"
#include <string.h>

bt_status bt_name_set_init(bt_name_set *set, size_t n_max, bt_arena *arena)
{
    size_t n_slot = 16;
    BT_FAIL_IF(n_max > (size_t)1 << 30, LIMIT, "%zu names, at most %zu", n_max, (size_t)1 << 30);
    while (n_slot < n_max * 2) n_slot *= 2;
    *set = (bt_name_set){.n_max = n_max, .n_slot = n_slot};
    BT_TRY(bt_arena_array(arena, n_max, sizeof *set->name, (void **)&set->name));
    return bt_arena_array(arena, n_slot, sizeof *set->slot, (void **)&set->slot);
}

/* The slot that holds the name, or the free one where it belongs. */
static uint32_t *probe(const bt_name_set *set, const char *text, size_t len)
{
    for (size_t i = bt_hash64(text, len, 0);; i++) {
        uint32_t *slot = &set->slot[i & (set->n_slot - 1)];
        if (*slot == 0) return slot;
        const bt_name *name = &set->name[*slot - 1];
        if (name->len == len && !memcmp(name->text, text, len)) return slot;
    }
}

bool bt_name_set_add(bt_name_set *set, const char *text, size_t len)
{
    assert(set->n < set->n_max);
    uint32_t *slot = probe(set, text, len);
    if (*slot) return false;
    set->name[set->n++] = (bt_name){text, len};
    *slot = (uint32_t)set->n;
    return true;
}

int64_t bt_name_set_find(const bt_name_set *set, const char *text, size_t len)
{
    return set->n_slot ? (int64_t)*probe(set, text, len) - 1 : -1;
}
