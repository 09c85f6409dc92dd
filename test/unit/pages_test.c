// SPDX-License-Identifier: Apache-2.0
#include "support/support.h"
#include "base/alloc.h"
#include "engine/pages.h"
#include <string.h>

static bt_pages *open_pool(int32_t n_page, int32_t page_len, int32_t n_seq_max, int32_t n_page_max)
{
    bt_pages *p;
    bt_pages_config c = {
        .n_page = n_page, .page_len = page_len, .n_seq_max = n_seq_max, .n_page_max = n_page_max};
    assert_ok(bt_pages_open(&c, &p));
    return p;
}

static int32_t count_of(const bt_pages *p, int32_t seq)
{
    int32_t n;
    bt_pages_seq_table(p, seq, &n);
    return n;
}

static void a_sequence_holds_exactly_the_pages_its_tokens_need(void **state)
{
    (void)state;
    bt_pages *p = open_pool(32, 16, 2, 32);
    int32_t seq;
    assert_ok(bt_pages_seq_new(p, &seq));
    assert_ok(bt_pages_seq_grow(p, seq, 100));
    assert_int_equal(count_of(p, seq), 7);
    assert_ok(
        bt_pages_seq_grow(p, seq, 150)); // 50 more: the last page's 12 free places are used first
    assert_int_equal(count_of(p, seq), 10);
    for (int32_t n = 150; n <= 160; n++) assert_ok(bt_pages_seq_grow(p, seq, n));
    assert_int_equal(count_of(p, seq), 10);
    assert_ok(bt_pages_seq_grow(p, seq, 161));
    assert_int_equal(count_of(p, seq), 11);
    assert_int_equal(bt_pages_n_free(p), 21);
    assert_true(bt_pages_check(p, 0));
    assert_ok(bt_pages_seq_free(p, seq));
    assert_int_equal(bt_pages_n_free(p), 32);
    bt_pages_close(p);
}

static void growing_is_all_or_nothing(void **state)
{
    (void)state;
    bt_pages *p = open_pool(4, 16, 2, 8);
    int32_t a, b;
    assert_ok(bt_pages_seq_new(p, &a));
    assert_ok(bt_pages_seq_new(p, &b));
    assert_ok(bt_pages_seq_grow(p, a, 40));
    assert_fails(bt_pages_seq_grow(p, b, 33), BT_BUSY, "3 more pages are needed, 1 are free");
    assert_int_equal(count_of(p, b), 0);
    assert_fails(bt_pages_seq_grow(p, b, 129), BT_LIMIT, "9 pages for one sequence, at most 8");
    assert_ok(bt_pages_seq_grow(p, b, 16));
    assert_ok(bt_pages_seq_grow(p, a, 1)); // never shrinks
    assert_int_equal(count_of(p, a), 3);
    assert_true(bt_pages_check(p, 0));
    bt_pages_close(p);
}

static void unknown_sequences_and_second_frees_are_refused(void **state)
{
    (void)state;
    bt_pages *p = open_pool(4, 16, 2, 4);
    int32_t seq, other, third = 99;
    assert_fails(bt_pages_seq_free(p, 0), BT_INVALID, "no sequence 0");
    assert_fails(bt_pages_seq_grow(p, -1, 1), BT_INVALID, "no sequence -1");
    assert_fails(bt_pages_seq_grow(p, 2, 1), BT_INVALID, "no sequence 2");
    assert_ok(bt_pages_seq_new(p, &seq));
    assert_ok(bt_pages_seq_new(p, &other));
    assert_fails(bt_pages_seq_new(p, &third), BT_BUSY, "all 2 sequences");
    assert_int_equal(third, 99);
    assert_ok(bt_pages_seq_grow(p, seq, 20));
    assert_ok(bt_pages_seq_free(p, seq));
    assert_fails(bt_pages_seq_free(p, seq), BT_INVALID, "no sequence");
    assert_null(bt_pages_seq_table(p, seq, &third));
    assert_int_equal(third, 0);
    assert_fails(bt_pages_unref(p, 1), BT_INVALID, "page 1 is free already");
    assert_fails(bt_pages_unref(p, 4), BT_INVALID, "page 4 is not in the pool of 4");
    assert_fails(bt_pages_ref(p, -1), BT_INVALID, "page -1");
    assert_fails(bt_pages_ref(p, 0), BT_INVALID, "free already");
    assert_true(bt_pages_check(p, 0));
    bt_pages_close(p);
}

static void a_shared_page_is_free_only_when_nobody_holds_it(void **state)
{
    (void)state;
    bt_pages *p = open_pool(4, 16, 2, 4);
    int32_t a, b, n;
    assert_ok(bt_pages_seq_new(p, &a));
    assert_ok(bt_pages_seq_new(p, &b));
    assert_ok(bt_pages_seq_grow(p, a, 32));
    int32_t first = bt_pages_seq_table(p, a, &n)[0];
    assert_ok(bt_pages_seq_append(p, b, first));
    assert_int_equal(bt_pages_n_free(p), 2);
    assert_ok(bt_pages_ref(p, first)); // a cache holds it, too
    assert_true(bt_pages_check(p, 1));
    assert_false(bt_pages_check(p, 0));
    assert_ok(bt_pages_seq_free(p, a));
    assert_int_equal(bt_pages_n_free(p), 3);
    assert_ok(bt_pages_seq_free(p, b));
    assert_int_equal(bt_pages_n_free(p), 3);
    assert_ok(bt_pages_unref(p, first));
    assert_int_equal(bt_pages_n_free(p), 4);
    assert_fails(bt_pages_unref(p, first), BT_INVALID, "free already");
    assert_true(bt_pages_check(p, 0));
    bt_pages_close(p);
}

static void random_use_never_loses_a_page(void **state)
{
    (void)state;
    enum { SEQS = 8, PAGES = 40 };
    bt_pages *p = open_pool(PAGES, 16, SEQS, 16);
    test_rng rng = {3};
    int64_t n_tok[SEQS];
    memset(n_tok, -1, sizeof n_tok);
    for (int i = 0; i < 5000; i++) {
        int32_t seq = (int32_t)test_range(&rng, 0, SEQS - 1), fresh;
        if (n_tok[seq] < 0) {
            if (bt_pages_seq_new(p, &fresh) == BT_OK) n_tok[fresh] = 0;
        } else if (test_range(&rng, 0, 9) == 0) {
            assert_ok(bt_pages_seq_free(p, seq));
            n_tok[seq] = -1;
        } else {
            int64_t more = test_range(&rng, 1, 40);
            if (bt_pages_seq_grow(p, seq, n_tok[seq] + more) == BT_OK) n_tok[seq] += more;
        }
        int32_t used = 0;
        for (int k = 0; k < SEQS; k++) used += n_tok[k] > 0 ? bt_pages_for(p, n_tok[k]) : 0;
        assert_int_equal(bt_pages_n_free(p), PAGES - used);
        assert_true(bt_pages_check(p, 0));
    }
    bt_pages_close(p);
}

static void memory_is_what_was_predicted(void **state)
{
    (void)state;
    bt_pages_config c = {.n_page = 1000, .page_len = 32, .n_seq_max = 16, .n_page_max = 256};
    size_t before = bt_mem_live(BT_MEM_WORKSPACE);
    bt_pages *p;
    assert_ok(bt_pages_open(&c, &p));
    assert_int_equal(bt_mem_live(BT_MEM_WORKSPACE) - before, bt_pages_bytes(&c));
    bt_pages_close(p);
    bt_mem_fail_nth(1);
    assert_fails(bt_pages_open(&c, &p), BT_NOMEM, "out of memory");
    c.page_len = 0;
    assert_fails(bt_pages_open(&c, &p), BT_INVALID, "pages of 0 tokens");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sequence_holds_exactly_the_pages_its_tokens_need),
        cmocka_unit_test(growing_is_all_or_nothing),
        cmocka_unit_test(unknown_sequences_and_second_frees_are_refused),
        cmocka_unit_test(a_shared_page_is_free_only_when_nobody_holds_it),
        cmocka_unit_test(random_use_never_loses_a_page),
        cmocka_unit_test(memory_is_what_was_predicted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
