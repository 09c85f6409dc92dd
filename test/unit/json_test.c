// SPDX-License-Identifier: Apache-2.0
#include "support/support.h"
#include "base/json.h"
#include "base/utf8.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *parsed(const char *text)
{
    json_t *doc;
    assert_ok(bt_json_parse(text, strlen(text), &doc));
    return doc;
}

static void bad_documents_are_refused_with_their_place(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "{", "{\"a\":1,\"a\":2}", "[1,]", "\"\xff\"", "NaN", "1e400", "[1] x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *doc;
        assert_fails(bt_json_parse(bad[i], strlen(bad[i]), &doc), BT_FORMAT, "JSON line");
    }
}

static void getters_name_the_key_and_the_fault(void **state)
{
    (void)state;
    json_t *o = parsed("{\"n\":5,\"x\":1.5,\"t\":\"hi\",\"b\":true,\"z\":null}");
    int64_t n;
    double x;
    const char *t;
    bool b;
    assert_ok(bt_json_get_i64(o, "n", 0, 9, &n));
    assert_int_equal(n, 5);
    assert_ok(bt_json_get_f64(o, "n", 0, 9, &x)); // an integer is a number
    assert_true(x == 5);
    assert_ok(bt_json_get_text(o, "t", &t));
    assert_string_equal(t, "hi");
    assert_ok(bt_json_get_bool(o, "b", &b));
    assert_true(b);
    assert_ok(bt_json_opt_i64(o, "z", 0, 9, 3, &n)); // null counts as absent
    assert_int_equal(n, 3);
    assert_fails(bt_json_get_i64(o, "n", 6, 9, &n), BT_FORMAT, "'n' is 5, must be from 6 to 9");
    assert_fails(bt_json_get_i64(o, "x", 0, 9, &n), BT_FORMAT,
                 "'x' is a number, must be an integer");
    assert_fails(bt_json_get_text(o, "q", &t), BT_NOTFOUND, "'q' is missing");
    assert_fails(bt_json_opt_bool(o, "t", true, &b), BT_FORMAT, "'t' is a string");
    json_decref(o);
}

static void numbers_read_back_as_they_were(void **state)
{
    (void)state;
    test_rng rng = {1};
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = test_u64(&rng);
        double d;
        float f;
        memcpy(&d, &bits, sizeof d);
        memcpy(&f, &bits, sizeof f);
        bt_buf out = {0};
        assert_ok(bt_json_put_f64(&out, d));
        if (isfinite(d)) assert_true(strtod(out.data, NULL) == d);
        bt_buf_clear(&out);
        assert_ok(bt_json_put_f32(&out, f));
        if (isfinite(f)) assert_true(strtof(out.data, NULL) == f);
        bt_buf_done(&out);
    }
}

static void text_is_escaped_and_always_utf8(void **state)
{
    (void)state;
    bt_buf out = {0};
    assert_ok(bt_json_put_text(&out, "a\"\\\n\x01\xff\xc3\xa9", 8));
    assert_string_equal(out.data, "\"a\\\"\\\\\\n\\u0001\xEF\xBF\xBD\xc3\xa9\"");
    json_t *doc = parsed(out.data);
    assert_int_equal(json_string_length(doc), 10);
    json_decref(doc);
    bt_buf_done(&out);
}

static void utf8_accepts_exactly_the_scalar_values(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        char text[4];
        size_t n = bt_utf8_encode(c, text);
        bool scalar = c < 0xD800 || c > 0xDFFF;
        assert_int_equal(bt_utf8_valid_len(text, n), scalar ? n : 0);
        if (!scalar) continue;
        assert_int_equal(bt_utf8_decode(text, n), c);
        for (size_t cut = 1; cut < n; cut++) { // every prefix is held back whole, the rest never
            assert_int_equal(bt_utf8_valid_len(text, cut), 0);
            assert_int_equal(bt_utf8_partial_tail(text, cut), cut);
        }
        assert_int_equal(bt_utf8_partial_tail(text, n), 0);
    }
    assert_int_equal(bt_utf8_valid_len("\xC0\x80", 2), 0); // overlong
    assert_int_equal(bt_utf8_partial_tail("\xE0\x80", 2), 0);
    assert_int_equal(bt_utf8_partial_tail("\x80\x80\x80\x80", 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_documents_are_refused_with_their_place),
        cmocka_unit_test(getters_name_the_key_and_the_fault),
        cmocka_unit_test(numbers_read_back_as_they_were),
        cmocka_unit_test(text_is_escaped_and_always_utf8),
        cmocka_unit_test(utf8_accepts_exactly_the_scalar_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
