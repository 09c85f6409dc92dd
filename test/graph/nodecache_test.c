// SPDX-License-Identifier: Apache-2.0
/* The cache of nodes against a list that does the same by definition: the same hits and the same
 * evictions whatever the hash, within its bytes, and under four threads at once. */
#include "support/support.h"
#include "base/alloc.h"
#include "base/thread.h"
#include "graph/nodecache.h"
#include <string.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { N_STEP = 1500, N_ROUND = 3000 };
#else
enum { N_STEP = 8000, N_ROUND = 100000 };
#endif

static uint64_t one_hash(const void *data, size_t len, uint64_t seed)
{
    (void)data, (void)len, (void)seed;
    return 42;
}

/* Few chains, the low bits alike. */
static uint64_t poor_hash(const void *data, size_t len, uint64_t seed)
{
    (void)len, (void)seed;
    return (uint64_t)(((const uint8_t *)data)[0] % 3) << 40;
}

static bt_hash_fn *const hashes[] = {NULL, one_hash, poor_hash};

/* Key number i, and what it leads to: all bytes depend on i. Every fifth is a prefix of the next. */
static int32_t make_key(int i, uint8_t key[BT_NODE_KEY_MAX])
{
    int32_t n = i % 5 == 4 ? 12 : 40 + i % 7 * 16;
    int seed = i % 5 == 4 ? i + 1 : i;
    for (int32_t b = 0; b < n; b++) key[b] = (uint8_t)(seed * 7 + b * (seed % 3));
    memcpy(key, &seed, sizeof seed);
    return n;
}

static bt_desc out_of(int i) { return bt_desc_2d(BT_F32, i + 1, 3 * i); }

static bt_op_setup setup_of(int i)
{
    bt_op_setup s = {.work_bytes = 64 * i, .n_launch = i % 5};
    for (int k = 0; k < BT_OP_TILE_MAX; k++) s.tile[k] = i * 10 + k;
    for (int k = 0; k < BT_OP_LAUNCH_MAX; k++) s.grain[k] = i + k;
    return s;
}

static void add(bt_node_cache *c, int i)
{
    uint8_t key[BT_NODE_KEY_MAX];
    int32_t n = make_key(i, key);
    bt_desc out = out_of(i);
    bt_op_setup setup = setup_of(i);
    bt_node_cache_add(c, key, n, &out, &setup);
}

/* Whether key i is there; what comes with it is what was put in, or `wrong` is set. */
static bool find(bt_node_cache *c, int i, bool *wrong)
{
    uint8_t key[BT_NODE_KEY_MAX];
    int32_t n = make_key(i, key);
    bt_desc out, want_out = out_of(i);
    bt_op_setup setup, want = setup_of(i);
    if (!bt_node_cache_find(c, key, n, &out, &setup)) return false;
    *wrong |= memcmp(&out, &want_out, sizeof out) || memcmp(&setup, &want, sizeof setup);
    return true;
}

static void expect_found(bt_node_cache *c, int i, bool found)
{
    bool wrong = false;
    if (find(c, i, &wrong) != found) fail_msg("key %d: a %s", i, found ? "miss" : "hit");
    assert_false(wrong);
}

/* A cache of exactly n entries: the fewest bytes that hold them. */
static bt_node_cache *cache_of(int32_t n_max, bt_hash_fn *hash)
{
    for (int64_t bytes = n_max * 256;; bytes += 8) {
        bt_node_cache *c;
        if (bt_node_cache_new(bytes, hash, &c) != BT_OK) continue;
        for (int i = 0; i <= n_max; i++) add(c, i);
        int32_t n = bt_node_cache_n(c);
        bt_node_cache_free(c);
        assert_true(n <= n_max);
        if (n < n_max) continue;
        assert_ok(bt_node_cache_new(bytes, hash, &c));
        return c;
    }
}

/* ---- the list by definition ---- */

enum { LIST_MAX = 16 };
typedef struct list {
    int key[LIST_MAX], n, n_max; // the latest used first
} list;

static bool list_find(list *l, int key)
{
    int at = 0;
    while (at < l->n && l->key[at] != key) at++;
    if (at == l->n) return false;
    memmove(l->key + 1, l->key, (size_t)at * sizeof *l->key);
    l->key[0] = key;
    return true;
}

static void list_add(list *l, int key)
{
    for (int i = 0; i < l->n; i++)
        if (l->key[i] == key) return; // stays as it is
    if (l->n < l->n_max) l->n++;
    memmove(l->key + 1, l->key, (size_t)(l->n - 1) * sizeof *l->key);
    l->key[0] = key;
}

static void hits_and_evictions_are_a_lists(void **state)
{
    (void)state;
    test_rng rng = {5};
    for (size_t h = 0; h < sizeof hashes / sizeof *hashes; h++)
        for (int n_max = 1; n_max <= 13; n_max += 4) {
            list l = {.n_max = n_max};
            bt_node_cache *c = cache_of(n_max, hashes[h]);
            for (int step = 0; step < N_STEP; step++) {
                int key = (int)test_range(&rng, 0, n_max + n_max / 2 + 1);
                if (test_range(&rng, 0, 2)) {
                    expect_found(c, key, list_find(&l, key));
                } else {
                    list_add(&l, key);
                    add(c, key);
                }
                assert_int_equal(bt_node_cache_n(c), l.n);
            }
            for (int i = 0; i < l.n; i++) expect_found(c, l.key[l.n - 1 - i], true);
            bt_node_cache_free(c);
        }
}

static void one_hash_for_all_keys_finds_each_as_a_good_hash_does(void **state)
{
    (void)state;
    for (size_t h = 0; h < sizeof hashes / sizeof *hashes; h++) {
        bt_node_cache *c;
        assert_ok(bt_node_cache_new(1 << 20, hashes[h], &c));
        for (int i = 0; i < 400; i += 2) add(c, i);
        for (int i = 0; i < 400; i++) expect_found(c, i, i % 2 == 0);
        bt_node_cache_free(c);
    }
}

static void a_cache_takes_its_bytes_and_no_more(void **state)
{
    (void)state;
    bt_node_cache *c;
    assert_fails(bt_node_cache_new(0, NULL, &c), BT_INVALID, "0 bytes");
    assert_fails(bt_node_cache_new(INT64_MAX, NULL, &c), BT_INVALID, "a node cache of");
    for (int64_t bytes = 1; bytes < 1 << 20; bytes += bytes < 16 << 10 ? 8 : bytes / 7) {
        size_t before = bt_mem_live(BT_MEM_PLAN);
        if (bt_node_cache_new(bytes, NULL, &c) != BT_OK) continue;
        size_t taken = bt_mem_live(BT_MEM_PLAN) - before;
        if (taken > (size_t)bytes || taken + 1500 + (size_t)bytes / 128 < (size_t)bytes)
            fail_msg("%lld bytes asked, %zu taken", (long long)bytes, taken);
        uint64_t n_alloc = bt_mem_n_alloc();
        for (int i = 0; i < 300; i++) add(c, i);
        assert_int_equal(bt_mem_n_alloc(), n_alloc);
        bt_node_cache_free(c);
        assert_int_equal(bt_mem_live(BT_MEM_PLAN), before);
    }
}

/* ---- threads ---- */

enum { N_THREAD = 4, N_KEY = 40, N_HELD = 24 };

typedef struct hammer {
    bt_node_cache *cache;
    test_rng rng;
    int n_hit, n_miss;
    bool wrong;
} hammer;

/* What planning does: look up, and put in what is not there. */
static void *hammer_main(void *arg)
{
    hammer *h = arg;
    for (int round = 0; round < N_ROUND; round++) {
        int key = (int)test_range(&h->rng, 0, N_KEY - 1);
        bool hit = find(h->cache, key, &h->wrong);
        h->n_hit += hit;
        h->n_miss += !hit;
        if (!hit) add(h->cache, key);
        h->wrong |= bt_node_cache_n(h->cache) > N_HELD;
    }
    return NULL;
}

static void four_threads_share_one_cache(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof hashes / sizeof *hashes; f++) {
        bt_thread thread[N_THREAD] = {{0}};
        hammer h[N_THREAD];
        bt_node_cache *c = cache_of(N_HELD, hashes[f]);
        for (int i = 0; i < N_THREAD; i++) {
            h[i] = (hammer){.cache = c, .rng = {(uint64_t)i + f * 100}};
            assert_ok(bt_thread_start(&thread[i], hammer_main, &h[i]));
        }
        for (int i = 0; i < N_THREAD; i++) bt_thread_join(&thread[i]);
        for (int i = 0; i < N_THREAD; i++) {
            assert_false(h[i].wrong);
            assert_true(h[i].n_hit > N_ROUND / 3 && h[i].n_miss > N_ROUND / 10);
        }
        int n_found = 0;
        bool wrong = false;
        for (int i = 0; i < N_KEY; i++) n_found += find(c, i, &wrong);
        assert_int_equal(n_found, N_HELD);
        assert_false(wrong);
        bt_node_cache_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hits_and_evictions_are_a_lists),
        cmocka_unit_test(one_hash_for_all_keys_finds_each_as_a_good_hash_does),
        cmocka_unit_test(a_cache_takes_its_bytes_and_no_more),
        cmocka_unit_test(four_threads_share_one_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
