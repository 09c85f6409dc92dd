// SPDX-License-Identifier: Apache-2.0
/* refs: a thread-safe reference count. Header only. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct bt_refs {
    atomic_int n;
} bt_refs;

static inline void bt_refs_init(bt_refs *refs) { atomic_init(&refs->n, 1); }
static inline void bt_refs_take(bt_refs *refs)
{
    atomic_fetch_add_explicit(&refs->n, 1, memory_order_relaxed);
}

/* True when the reference given back was the last one. */
static inline bool bt_refs_drop(bt_refs *refs)
{
    return atomic_fetch_sub_explicit(&refs->n, 1, memory_order_acq_rel) == 1;
}
