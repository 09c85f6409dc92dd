// SPDX-License-Identifier: Apache-2.0
#include "support/support.h"
#include "base/utf8.h"
#include "engine/stop.h"
#include <stdlib.h>
#include <string.h>

static bt_stop *new_stop(int32_t n, const char *const *text)
{
    bt_stop *s = calloc(1, sizeof *s);
    s->n = n;
    for (int32_t i = 0; i < n; i++) {
        s->text[i] = text[i];
        s->len[i] = (int32_t)strlen(text[i]);
    }
    return s;
}

/* Push a text and compare what comes out. */
static void expect_push(bt_stop *s, const char *text, const char *want)
{
    char out[BT_STOP_OUT_MAX + 1];
    out[bt_stop_push(s, text, strlen(text), true, out)] = 0;
    assert_string_equal(out, want);
}

static void expect_flush(bt_stop *s, const char *want)
{
    char out[BT_STOP_OUT_MAX + 1];
    out[bt_stop_flush(s, out)] = 0;
    assert_string_equal(out, want);
    free(s);
}

static void without_stop_texts_everything_passes(void **state)
{
    (void)state;
    bt_stop *s = new_stop(0, NULL);
    expect_push(s, "any text", "any text");
    assert_false(s->ended);
    expect_flush(s, "");
}

static void what_may_become_a_stop_text_is_held_back(void **state)
{
    (void)state;
    bt_stop *s = new_stop(1, (const char *[]){"END"});
    expect_push(s, "the E", "the ");
    expect_push(s, "N", "");
    expect_push(s, "ough E", "ENough ");
    expect_push(s, "", "");
    expect_flush(s, "E");
}

static void a_stop_text_over_several_pushes_ends_the_stream_before_it(void **state)
{
    (void)state;
    bt_stop *s = new_stop(1, (const char *[]){"END"});
    expect_push(s, "the E", "the ");
    expect_push(s, "N", "");
    expect_push(s, "D of it", "");
    assert_true(s->ended);
    expect_push(s, "more", "");
    free(s);
}

static void overlapping_beginnings_are_kept(void **state)
{
    (void)state;
    bt_stop *s = new_stop(1, (const char *[]){"aab"});
    expect_push(s, "a", "");
    expect_push(s, "a", "");
    expect_push(s, "a", "a"); // "aaa": the first is out, "aa" may still become "aab"
    expect_push(s, "b", "");
    assert_true(s->ended);
    free(s);
    s = new_stop(1, (const char *[]){"abab"});
    expect_push(s, "xaba", "x");
    expect_push(s, "aba", "aba");
    expect_push(s, "bz", "");
    assert_true(s->ended);
    free(s);
}

static void of_several_the_first_to_be_complete_wins_and_of_those_the_longest(void **state)
{
    (void)state;
    bt_stop *s = new_stop(2, (const char *[]){"abcd", "bc"});
    expect_push(s, "xabcd", "xa"); // "bc" is complete before "abcd"
    assert_true(s->ended);
    free(s);
    s = new_stop(2, (const char *[]){"c", "abc"});
    expect_push(s, "xabc", "x"); // both end at the same byte
    assert_true(s->ended);
    free(s);
}

static void code_points_are_never_cut(void **state)
{
    (void)state;
    bt_stop *s = new_stop(1, (const char *[]){"\xe2\x82\xac!"}); // a euro sign and a mark
    expect_push(s, "5 \xe2\x82\xac", "5 ");
    expect_push(s, "?", "\xe2\x82\xac?");
    expect_push(s, "\xe2\x82\xaa", "\xe2\x82\xaa"); // two bytes in common are not a beginning
    expect_push(s, "\xe2\x82\xac", "");
    expect_push(s, "!", "");
    assert_true(s->ended);
    free(s);
}

static void before_the_end_is_allowed_stop_texts_pass(void **state)
{
    (void)state;
    char out[BT_STOP_OUT_MAX + 1];
    bt_stop *s = new_stop(1, (const char *[]){"stop"});
    out[bt_stop_push(s, "a stop s", 8, false, out)] = 0;
    assert_string_equal(out, "a stop ");
    assert_false(s->ended);
    expect_push(s, "top", ""); // begun before, complete after: it counts
    assert_true(s->ended);
    free(s);
}

/* Where the stream ends in a whole text, by the definition; the text's length when it does not. */
static size_t naive_end(const bt_stop *s, const char *text, bool *ret_found)
{
    size_t len = strlen(text);
    for (size_t end = 1; end <= len; end++) {
        size_t longest = 0;
        for (int32_t i = 0; i < s->n; i++) {
            size_t n = (size_t)s->len[i];
            if (n <= end && n > longest && !strncmp(text + end - n, s->text[i], n)) longest = n;
        }
        *ret_found = longest > 0;
        if (longest) return end - longest;
    }
    return len;
}

static void any_cut_of_a_text_gives_what_the_whole_gives(void **state)
{
    (void)state;
    test_rng rng = {7};
    int n_found = 0;
    for (int round = 0; round < 3000; round++) {
        char word[BT_STOP_MAX][8], text[64] = "", got[128];
        const char *texts[BT_STOP_MAX];
        int32_t n = (int32_t)test_range(&rng, 1, 4), len = (int32_t)test_range(&rng, 0, 60);
        for (int32_t i = 0; i < n; i++) {
            int32_t n_char = (int32_t)test_range(&rng, 1, 7);
            for (int32_t k = 0; k < n_char; k++) word[i][k] = (char)('a' + test_range(&rng, 0, 1));
            word[i][n_char] = 0;
            texts[i] = word[i];
        }
        for (int32_t k = 0; k < len; k++) text[k] = (char)('a' + test_range(&rng, 0, 2));
        bt_stop *s = new_stop(n, texts);
        bool found = false;
        size_t want = naive_end(s, text, &found), got_len = 0;
        for (int32_t at = 0; at < len;) {
            int32_t part = (int32_t)test_range(&rng, 0, len - at);
            got_len += bt_stop_push(s, text + at, (size_t)part, true, got + got_len);
            assert_true(got_len <= want); // nothing comes out that would have to be taken back
            at += part;
        }
        assert_int_equal(s->ended, found);
        if (!s->ended) got_len += bt_stop_flush(s, got + got_len);
        assert_int_equal(got_len, want);
        assert_memory_equal(got, text, want);
        n_found += found;
        free(s);
    }
    assert_true(n_found > 1000);
}

static void the_longest_texts_fit(void **state)
{
    (void)state;
    static char stop_text[BT_STOP_BYTES_MAX + 1], text[BT_STOP_PUSH_MAX], out[BT_STOP_OUT_MAX];
    memset(stop_text, 'x', BT_STOP_BYTES_MAX - 1);
    stop_text[BT_STOP_BYTES_MAX - 1] = 'y';
    memset(text, 'x', sizeof text);
    bt_stop *s = new_stop(1, (const char *[]){stop_text});
    for (int i = 0; i < 3; i++) {
        size_t n = bt_stop_push(s, text, sizeof text, true, out);
        assert_int_equal(n, sizeof text - (i ? 0 : BT_STOP_BYTES_MAX - 1));
    }
    expect_push(s, "y", "");
    assert_true(s->ended);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_stop_texts_everything_passes),
        cmocka_unit_test(what_may_become_a_stop_text_is_held_back),
        cmocka_unit_test(a_stop_text_over_several_pushes_ends_the_stream_before_it),
        cmocka_unit_test(overlapping_beginnings_are_kept),
        cmocka_unit_test(of_several_the_first_to_be_complete_wins_and_of_those_the_longest),
        cmocka_unit_test(code_points_are_never_cut),
        cmocka_unit_test(before_the_end_is_allowed_stop_texts_pass),
        cmocka_unit_test(any_cut_of_a_text_gives_what_the_whole_gives),
        cmocka_unit_test(the_longest_texts_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
