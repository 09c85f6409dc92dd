// SPDX-License-Identifier: Apache-2.0
/* pages: who owns which page of the KV pool. Owns page ids, reference counts and block tables; the
 * bytes of the pool belong to the runner.
 *
 *   table  seq 0 | 7 | 2 | 9 | . |      a sequence of n tokens holds ceil(n / page_len) pages
 *          seq 1 | 4 | 2 | . | . |      page 2 is shared: its count is 2
 *   free   8 -> 5 -> 0 -> 1 ...
 *
 * A page is free when its count is 0. Everything is allocated at open. One thread.
 * Source: Kwon et al. 2023, sec. 4.
 */
#pragma once
#include "base/status.h"
#include <stddef.h>

typedef struct bt_pages bt_pages;

typedef struct bt_pages_config {
    int32_t n_page;     // pages in the pool, >= 1
    int32_t page_len;   // tokens a page, >= 1
    int32_t n_seq_max;  // sequences at once, >= 1
    int32_t n_page_max; // pages of one sequence, >= 1
} bt_pages_config;

size_t bt_pages_bytes(const bt_pages_config *config); // what open allocates
BT_CHECKED bt_status bt_pages_open(const bt_pages_config *config, bt_pages **ret_pages);
void bt_pages_close(bt_pages *pages); // NULL is nothing

int32_t bt_pages_n_free(const bt_pages *pages);
int32_t bt_pages_for(const bt_pages *pages, int64_t n_tok); // pages that n_tok tokens need

/* Start an empty sequence. BUSY: n_seq_max are there already. */
BT_CHECKED bt_status bt_pages_seq_new(bt_pages *pages, int32_t *ret_seq);

/* End a sequence and drop its pages. INVALID: there is no such sequence. */
BT_CHECKED bt_status bt_pages_seq_free(bt_pages *pages, int32_t seq);

/* Make room for n_tok tokens in all (never less than there is). All or nothing.
 * Errors  INVALID: no such sequence.  LIMIT: more than n_page_max pages.  BUSY: not enough are
 * free. */
BT_CHECKED bt_status bt_pages_seq_grow(bt_pages *pages, int32_t seq, int64_t n_tok);

/* A sequence's block table; NULL (and 0 pages) when there is no such sequence. */
const int32_t *bt_pages_seq_table(const bt_pages *pages, int32_t seq, int32_t *ret_n_page);

/* Hold a page that is in use once more, or let go of it; at count 0 it is free. For whoever shares
 * pages between sequences. INVALID: the page is free already, or does not exist. */
BT_CHECKED bt_status bt_pages_ref(bt_pages *pages, int32_t page_id);
BT_CHECKED bt_status bt_pages_unref(bt_pages *pages, int32_t page_id);

/* Put a shared page at the end of a sequence's table (takes one reference of its own). */
BT_CHECKED bt_status bt_pages_seq_append(bt_pages *pages, int32_t seq, int32_t page_id);

/* The invariant: each page is either once in the free list with count 0, or counted exactly as
 * often as tables name it plus n_extern references held by others. */
bool bt_pages_check(const bt_pages *pages, int64_t n_extern);
