// SPDX-License-Identifier: Apache-2.0
/* arena: memory with one lifetime. Allocate as you parse, free all at once. Not thread-safe. */
#pragma once
#include "base/alloc.h"

typedef struct arena_block arena_block;

typedef struct bt_arena {
    arena_block *head; // newest block; the list is what done() frees
    bt_mem tag;
} bt_arena;

/* Start an empty arena in the caller's storage; allocates nothing yet. */
void bt_arena_init(bt_arena *arena, bt_mem tag);

/* Free everything; the arena is empty and usable again. */
void bt_arena_done(bt_arena *arena);

/* Allocate `count * size` zeroed bytes, 16-byte aligned, overflow checked. */
BT_CHECKED bt_status bt_arena_array(bt_arena *arena, size_t count, size_t size, void **ret_block);

/* Copy `len` bytes and add a NUL. */
BT_CHECKED bt_status bt_arena_text(bt_arena *arena, const char *text, size_t len, char **ret_copy);
