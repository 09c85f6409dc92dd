// SPDX-License-Identifier: Apache-2.0
/* pages: see pages.h. One block of memory holds the struct and its arrays. The free list is a
 * stack, so a page that was just let go, still warm in the cache, is the next to be used. */
#include "engine/pages.h"
#include "base/alloc.h"
#include "base/bits.h"
#include <string.h>

struct bt_pages {
    bt_pages_config config;
    int32_t n_free;
    int32_t *ref_count;  // [n_page]
    int32_t *free_stack; // [n_page], the first n_free are free page ids
    int32_t *seen;       // [n_page], scratch of bt_pages_check
    int32_t *seq_n_page; // [n_seq_max] pages in the table; -1: no such sequence
    int32_t *table;      // [n_seq_max, n_page_max]
};

static size_t word_count(const bt_pages_config *c)
{
    return 3 * (size_t)c->n_page + (size_t)c->n_seq_max * ((size_t)c->n_page_max + 1);
}

size_t bt_pages_bytes(const bt_pages_config *config)
{
    return sizeof(bt_pages) + word_count(config) * sizeof(int32_t);
}

bt_status bt_pages_open(const bt_pages_config *c, bt_pages **ret_pages)
{
    BT_FAIL_IF(c->n_page < 1 || c->page_len < 1 || c->n_seq_max < 1 || c->n_page_max < 1, INVALID,
               "a pool of %d pages of %d tokens for %d sequences of %d pages", c->n_page,
               c->page_len, c->n_seq_max, c->n_page_max);
    bt_pages *p;
    BT_TRY(bt_alloc_zero((void **)&p, bt_pages_bytes(c), BT_MEM_WORKSPACE));
    p->config = *c;
    p->ref_count = (int32_t *)(p + 1);
    p->free_stack = p->ref_count + c->n_page;
    p->seen = p->free_stack + c->n_page;
    p->seq_n_page = p->seen + c->n_page;
    p->table = p->seq_n_page + c->n_seq_max;
    for (int32_t i = 0; i < c->n_page; i++) p->free_stack[i] = c->n_page - 1 - i;
    p->n_free = c->n_page;
    for (int32_t i = 0; i < c->n_seq_max; i++) p->seq_n_page[i] = -1;
    *ret_pages = p;
    return BT_OK;
}

void bt_pages_close(bt_pages *pages) { bt_free(pages); }

int32_t bt_pages_n_free(const bt_pages *pages) { return pages->n_free; }

int32_t bt_pages_for(const bt_pages *pages, int64_t n_tok)
{
    return (int32_t)bt_div_up(n_tok, pages->config.page_len);
}

static int32_t *row_of(const bt_pages *p, int32_t seq)
{
    return p->table + (int64_t)seq * p->config.n_page_max;
}

static bt_status check_seq(const bt_pages *p, int32_t seq)
{
    BT_FAIL_IF(seq < 0 || seq >= p->config.n_seq_max || p->seq_n_page[seq] < 0, INVALID,
               "there is no sequence %d", seq);
    return BT_OK;
}

static bt_status check_used(const bt_pages *p, int32_t page_id)
{
    BT_FAIL_IF(page_id < 0 || page_id >= p->config.n_page, INVALID,
               "page %d is not in the pool of %d", page_id, p->config.n_page);
    BT_FAIL_IF(p->ref_count[page_id] == 0, INVALID, "page %d is free already", page_id);
    return BT_OK;
}

bt_status bt_pages_ref(bt_pages *p, int32_t page_id)
{
    BT_TRY(check_used(p, page_id));
    p->ref_count[page_id]++;
    return BT_OK;
}

bt_status bt_pages_unref(bt_pages *p, int32_t page_id)
{
    BT_TRY(check_used(p, page_id));
    if (--p->ref_count[page_id] == 0) p->free_stack[p->n_free++] = page_id;
    return BT_OK;
}

bt_status bt_pages_seq_new(bt_pages *p, int32_t *ret_seq)
{
    for (int32_t seq = 0; seq < p->config.n_seq_max; seq++)
        if (p->seq_n_page[seq] < 0) {
            p->seq_n_page[seq] = 0;
            *ret_seq = seq;
            return BT_OK;
        }
    return bt_fail(BT_BUSY, "all %d sequences are in use", p->config.n_seq_max);
}

bt_status bt_pages_seq_free(bt_pages *p, int32_t seq)
{
    BT_TRY(check_seq(p, seq));
    for (int32_t i = p->seq_n_page[seq]; i-- > 0;) BT_TRY(bt_pages_unref(p, row_of(p, seq)[i]));
    p->seq_n_page[seq] = -1;
    return BT_OK;
}

bt_status bt_pages_seq_grow(bt_pages *p, int32_t seq, int64_t n_tok)
{
    BT_TRY(check_seq(p, seq));
    int64_t want = bt_div_up(n_tok, p->config.page_len), more = want - p->seq_n_page[seq];
    BT_FAIL_IF(want > p->config.n_page_max, LIMIT, "%lld pages for one sequence, at most %d",
               (long long)want, p->config.n_page_max);
    BT_FAIL_IF(more > p->n_free, BUSY, "%lld more pages are needed, %d are free", (long long)more,
               p->n_free);
    for (; more > 0; more--) {
        int32_t page_id = p->free_stack[--p->n_free];
        p->ref_count[page_id] = 1;
        row_of(p, seq)[p->seq_n_page[seq]++] = page_id;
    }
    return BT_OK;
}

bt_status bt_pages_seq_append(bt_pages *p, int32_t seq, int32_t page_id)
{
    BT_TRY(check_seq(p, seq));
    BT_FAIL_IF(p->seq_n_page[seq] == p->config.n_page_max, LIMIT, "a sequence has at most %d pages",
               p->config.n_page_max);
    BT_TRY(bt_pages_ref(p, page_id));
    row_of(p, seq)[p->seq_n_page[seq]++] = page_id;
    return BT_OK;
}

const int32_t *bt_pages_seq_table(const bt_pages *p, int32_t seq, int32_t *ret_n_page)
{
    bool known = seq >= 0 && seq < p->config.n_seq_max && p->seq_n_page[seq] >= 0;
    *ret_n_page = known ? p->seq_n_page[seq] : 0;
    return known ? row_of(p, seq) : NULL;
}

bool bt_pages_check(const bt_pages *p, int64_t n_extern)
{
    memset(p->seen, 0, (size_t)p->config.n_page * sizeof *p->seen);
    for (int32_t seq = 0; seq < p->config.n_seq_max; seq++)
        for (int32_t i = 0; i < p->seq_n_page[seq]; i++) p->seen[row_of(p, seq)[i]]++;
    int32_t n_idle = 0;
    for (int32_t id = 0; id < p->config.n_page; id++) {
        if (p->ref_count[id] < p->seen[id]) return false;
        n_extern -= p->ref_count[id] - p->seen[id];
        n_idle += p->ref_count[id] == 0;
    }
    for (int32_t i = 0; i < p->n_free; i++) {
        int32_t id = p->free_stack[i];
        if (p->ref_count[id] != 0 || p->seen[id] < 0) return false;
        p->seen[id] = -1; // a second time in the list is an error
    }
    return n_extern == 0 && n_idle == p->n_free;
}
