// SPDX-License-Identifier: Apache-2.0
#include "support/support.h"
#include "base/arena.h"
#include "base/buf.h"
#include <string.h>

static void blocks_are_aligned_counted_and_returned(void **state)
{
    (void)state;
    size_t live = bt_mem_live(BT_MEM_KV);
    for (size_t size = 0; size < 9u << 20; size = size * 3 + 1) {
        void *block;
        assert_ok(bt_alloc_zero(&block, size, BT_MEM_KV));
        assert_int_equal((uintptr_t)block % 64, 0);
        assert_int_equal(bt_mem_live(BT_MEM_KV), live + size);
        for (size_t i = 0; i < size; i += 511) assert_int_equal(((char *)block)[i], 0);
        memset(block, 7, size);
        bt_free(block);
        assert_int_equal(bt_mem_live(BT_MEM_KV), live);
    }
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    void *block = (void *)state;
    assert_fails(bt_alloc_array(&block, SIZE_MAX / 2, 3, BT_MEM_MISC), BT_NOMEM, "out of memory");
    assert_fails(bt_alloc(&block, SIZE_MAX - 10, BT_MEM_MISC), BT_NOMEM, "for misc");
    assert_ptr_equal(block, state); // untouched
}

static void the_nth_allocation_fails_once(void **state)
{
    (void)state;
    void *a = NULL, *b = NULL;
    bt_mem_fail_nth(2);
    assert_ok(bt_alloc(&a, 10, BT_MEM_MISC));
    assert_fails(bt_alloc(&b, 10, BT_MEM_MISC), BT_NOMEM, "10 bytes");
    assert_ok(bt_alloc(&b, 10, BT_MEM_MISC));
    bt_free(a);
    bt_free(b);
}

static void resizing_keeps_contents_across_the_large_border(void **state)
{
    (void)state;
    char *p = NULL;
    for (size_t size = 1000; size < 20u << 20; size *= 5) {
        assert_ok(bt_resize((void **)&p, size, BT_MEM_MISC));
        if (size > 1000) assert_int_equal(p[999], 42);
        p[999] = 42;
    }
    bt_free(p);
}

static void an_arena_frees_all_at_once(void **state)
{
    (void)state;
    size_t live = bt_mem_live(BT_MEM_TEXT);
    bt_arena arena;
    bt_arena_init(&arena, BT_MEM_TEXT);
    for (int i = 0; i < 1000; i++) {
        char *text;
        void *zeros;
        assert_ok(bt_arena_text(&arena, "hello", 5, &text));
        assert_string_equal(text, "hello");
        assert_ok(bt_arena_array(&arena, (size_t)i * 13, 3, &zeros));
        assert_int_equal((uintptr_t)zeros % 16, 0);
    }
    assert_fails(bt_arena_array(&arena, SIZE_MAX, 2, (void *[]){NULL}), BT_NOMEM, "out of memory");
    bt_arena_done(&arena);
    assert_int_equal(bt_mem_live(BT_MEM_TEXT), live);
}

static void a_buffer_grows_and_keeps_its_limit(void **state)
{
    (void)state;
    bt_buf buf = {.len_max = 100};
    assert_ok(bt_buf_text(&buf, "abc"));
    assert_ok(bt_buf_format(&buf, "%d-%s", 7, "x"));
    assert_string_equal(buf.data, "abc7-x");
    char long_text[200] = {0};
    assert_fails(bt_buf_add(&buf, long_text, 200), BT_LIMIT, "206 bytes, at most 100");
    assert_string_equal(buf.data, "abc7-x");
    bt_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_counted_and_returned),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(the_nth_allocation_fails_once),
        cmocka_unit_test(resizing_keeps_contents_across_the_large_border),
        cmocka_unit_test(an_arena_frees_all_at_once),
        cmocka_unit_test(a_buffer_grows_and_keeps_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
