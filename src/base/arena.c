// SPDX-License-Identifier: Apache-2.0
/* arena: bump allocation in blocks that double from 4 KiB to 1 MiB; a large request gets a block of
 * its own size. */
#include "base/arena.h"
#include "base/bits.h"
#include <string.h>

struct arena_block {
    arena_block *next;
    size_t used, size; // bytes after the header
    char pad[8];
    char bytes[]; // 16-byte aligned: the header is 32 bytes
};

enum { BLOCK_MIN = 4 << 10, BLOCK_MAX = 1 << 20 };

void bt_arena_init(bt_arena *arena, bt_mem tag) { *arena = (bt_arena){.tag = tag}; }

void bt_arena_done(bt_arena *arena)
{
    for (arena_block *b = arena->head, *next; b; b = next) {
        next = b->next;
        bt_free(b);
    }
    arena->head = NULL;
}

static bt_status add_block(bt_arena *arena, size_t need)
{
    size_t size =
        arena->head ? (size_t)bt_min_i64((int64_t)arena->head->size * 2, BLOCK_MAX) : BLOCK_MIN;
    if (size < need) size = need;
    arena_block *b;
    BT_TRY(bt_alloc_zero((void **)&b, sizeof *b + size, arena->tag));
    b->size = size;
    b->next = arena->head;
    arena->head = b;
    return BT_OK;
}

bt_status bt_arena_array(bt_arena *arena, size_t count, size_t size, void **ret_block)
{
    size_t bytes;
    if (!bt_mul_fits(count, size, &bytes) || bytes > PTRDIFF_MAX / 2)
        return bt_fail(BT_NOMEM, "out of memory: %zu x %zu bytes", count, size);
    bytes = (bytes + 15) & ~(size_t)15;
    if (!arena->head || arena->head->size - arena->head->used < bytes)
        BT_TRY(add_block(arena, bytes));
    *ret_block = arena->head->bytes + arena->head->used;
    arena->head->used += bytes;
    return BT_OK;
}

bt_status bt_arena_text(bt_arena *arena, const char *text, size_t len, char **ret_copy)
{
    char *copy;
    BT_TRY(bt_arena_array(arena, len + 1, 1, (void **)&copy));
    if (len) memcpy(copy, text, len);
    *ret_copy = copy;
    return BT_OK;
}
