// SPDX-License-Identifier: Apache-2.0
/* alloc: tagged heap over malloc and, for large blocks, mmap. A 64-byte header before each block
 * remembers what it is, so that freeing needs no size and the counters stay exact.
 *
 *   small:  [header 64][block ...]                      one aligned_alloc
 *   large:  [unused][header 64][block at 2 MiB ...]     one mmap, madvised for huge pages
 */
#include "base/alloc.h"
#include "base/bits.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HEADER_BYTES = 64, LARGE_BYTES = 4 << 20, HUGE_PAGE = 2 << 20 };

typedef struct header {
    size_t size;    // bytes asked for
    void *map_base; // NULL for a small block
    size_t map_bytes;
    bt_mem tag;
    uint32_t magic; // catches a stray or second free
} header;

static_assert(sizeof(header) <= HEADER_BYTES, "the header fits its slot");
#define LIVE_MAGIC 0xb5e7a110u

static atomic_size_t live_bytes[BT_MEM_COUNT];
static atomic_uint_fast64_t n_alloc;
static atomic_uint_fast64_t fail_countdown;

static header *header_of(void *block) { return (header *)((char *)block - HEADER_BYTES); }

/* True once, when a test's countdown reaches this allocation. */
static bool told_to_fail(void)
{
    uint64_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    while (left)
        if (atomic_compare_exchange_weak(&fail_countdown, &left, left - 1)) return left == 1;
    return false;
}

static void *map_large(size_t size)
{
    size_t bytes = size + HEADER_BYTES + HUGE_PAGE;
    char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return NULL;
    uintptr_t block =
        ((uintptr_t)base + HEADER_BYTES + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
    madvise((void *)block, size, MADV_HUGEPAGE); // advice only: small pages are correct too
    *header_of((void *)block) = (header){.map_base = base, .map_bytes = bytes};
    return (void *)block;
}

static void *allocate_small(size_t size)
{
    char *base = aligned_alloc(64, (size_t)bt_round_up((int64_t)(size + HEADER_BYTES), 64));
    if (!base) return NULL;
    *(header *)base = (header){0};
    return base + HEADER_BYTES;
}

bt_status bt_alloc(void **ret_block, size_t size, bt_mem tag)
{
    atomic_fetch_add_explicit(&n_alloc, 1, memory_order_relaxed);
    void *block = NULL;
    if (size <= PTRDIFF_MAX / 2 && !told_to_fail())
        block = size >= LARGE_BYTES ? map_large(size) : allocate_small(size);
    if (!block) return bt_fail(BT_NOMEM, "out of memory: %zu bytes for %s", size, bt_mem_name(tag));
    header *h = header_of(block);
    h->size = size;
    h->tag = tag;
    h->magic = LIVE_MAGIC;
    atomic_fetch_add_explicit(&live_bytes[tag], size, memory_order_relaxed);
    *ret_block = block;
    return BT_OK;
}

bt_status bt_alloc_zero(void **ret_block, size_t size, bt_mem tag)
{
    void *block;
    BT_TRY(bt_alloc(&block, size, tag));
    if (!header_of(block)->map_base) memset(block, 0, size); // a fresh mapping is zero already
    *ret_block = block;
    return BT_OK;
}

bt_status bt_alloc_array(void **ret_block, size_t count, size_t size, bt_mem tag)
{
    size_t bytes;
    if (!bt_mul_fits(count, size, &bytes))
        return bt_fail(BT_NOMEM, "out of memory: %zu x %zu bytes for %s", count, size,
                       bt_mem_name(tag));
    return bt_alloc_zero(ret_block, bytes, tag);
}

bt_status bt_resize(void **block, size_t size, bt_mem tag)
{
    void *fresh;
    BT_TRY(bt_alloc(&fresh, size, tag));
    if (*block) {
        size_t old = header_of(*block)->size;
        memcpy(fresh, *block, old < size ? old : size);
        bt_free(*block);
    }
    *block = fresh;
    return BT_OK;
}

void bt_free(void *block)
{
    if (!block) return;
    header h = *header_of(block);
    assert(h.magic == LIVE_MAGIC);
    header_of(block)->magic = 0;
    atomic_fetch_sub_explicit(&live_bytes[h.tag], h.size, memory_order_relaxed);
    if (h.map_base)
        munmap(h.map_base, h.map_bytes);
    else
        free(header_of(block));
}

const char *bt_mem_name(bt_mem tag)
{
    static const char *const name[] = {
#define NAME(upper, lower) #lower,
        BT_MEM_LIST(NAME)
#undef NAME
    };
    return (unsigned)tag < BT_MEM_COUNT ? name[tag] : "unknown";
}

size_t bt_mem_live(bt_mem tag) { return atomic_load(&live_bytes[tag]); }
uint64_t bt_mem_n_alloc(void) { return atomic_load(&n_alloc); }
void bt_mem_fail_nth(uint64_t nth) { atomic_store(&fail_countdown, nth); }
