// SPDX-License-Identifier: Apache-2.0
/* alloc: all heap of the library, by purpose.
 *
 * Every block carries a tag, so that live bytes per purpose are known exactly (capacity checks, the
 * metrics) and tests can count allocations or make the nth one fail. Blocks are 64-byte aligned;
 * those of 4 MiB and more are mapped on their own and offered to the kernel for huge pages.
 * Thread-safe. Sizes computed from files or requests must come through bt_alloc_array or bits.h.
 */
#pragma once
#include "base/status.h"

#define BT_MEM_LIST(X)                                                                             \
    X(MISC, misc)                                                                                  \
    X(TEXT, text)                                                                                  \
    X(MODEL, model)                                                                                \
    X(WEIGHTS, weights)                                                                            \
    X(KV, kv)                                                                                      \
    X(WORKSPACE, workspace)                                                                        \
    X(PLAN, plan)                                                                                  \
    X(REQUEST, request)                                                                            \
    X(DEVICE, device)

typedef enum bt_mem {
#define BT_MEM_ENUM(upper, lower) BT_MEM_##upper,
    BT_MEM_LIST(BT_MEM_ENUM)
#undef BT_MEM_ENUM
        BT_MEM_COUNT
} bt_mem;

/* Allocate `size` bytes (0 is allowed and gives a valid pointer); contents unspecified. */
BT_CHECKED bt_status bt_alloc(void **ret_block, size_t size, bt_mem tag);

/* The same, zeroed. */
BT_CHECKED bt_status bt_alloc_zero(void **ret_block, size_t size, bt_mem tag);

/* Allocate a zeroed array; NOMEM when count * size overflows. */
BT_CHECKED bt_status bt_alloc_array(void **ret_block, size_t count, size_t size, bt_mem tag);

/* Resize *block (NULL is an empty one) keeping its contents; *block is untouched on failure. */
BT_CHECKED bt_status bt_resize(void **block, size_t size, bt_mem tag);

/* Free a block; NULL is nothing. */
void bt_free(void *block);

const char *bt_mem_name(bt_mem tag);
size_t bt_mem_live(bt_mem tag); // bytes asked for and not yet freed
uint64_t bt_mem_n_alloc(void);  // allocations ever made, all tags, all threads

/* Tests: make the nth allocation from now (1 is the next) fail, once; 0 switches it off. */
void bt_mem_fail_nth(uint64_t nth);
