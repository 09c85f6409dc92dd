// SPDX-License-Identifier: Apache-2.0
/* names: a set of names that finds the position of one and refuses a second of the same: keys and
 * tensors of model files. Names are borrowed slices; the full name is compared on every hit. */
#pragma once
#include "base/arena.h"

typedef struct bt_name {
    const char *text;
    size_t len;
} bt_name;

typedef struct bt_name_set {
    bt_name *name;  // [n_max], in the order of adding
    uint32_t *slot; // [n_slot], open addressing; 0: free, otherwise position + 1
    size_t n, n_max, n_slot;
} bt_name_set;

/* Room for n_max names (at most 2^30), all memory from the arena. */
BT_CHECKED bt_status bt_name_set_init(bt_name_set *set, size_t n_max, bt_arena *arena);

/* Add a name at position set->n; false when it is there already. n < n_max. */
bool bt_name_set_add(bt_name_set *set, const char *text, size_t len);

/* Position of a name, or -1. */
int64_t bt_name_set_find(const bt_name_set *set, const char *text, size_t len);
