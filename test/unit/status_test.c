// SPDX-License-Identifier: Apache-2.0
#include "support/support.h"
#include "base/status.h"

static void a_message_is_prefixed_as_it_climbs(void **state)
{
    (void)state;
    assert_int_equal(bt_fail(BT_FORMAT, "%d dims, at most %d", 9, 4), BT_FORMAT);
    bt_fail_note("opening '%s'", "a.gguf");
    assert_string_equal(bt_error_message(), "opening 'a.gguf': 9 dims, at most 4");
}

static void a_message_is_one_line(void **state)
{
    (void)state;
    (void)bt_fail(BT_IO, "a\nb\x1b[31m");
    assert_string_equal(bt_error_message(), "a?b?[31m");
}

static void a_caller_of_the_library_can_fail_as_it_does(void **state)
{
    (void)state;
    assert_int_equal(bt_error_set(BT_UNSUPPORTED, "%s of\n%d", "x", 7), BT_UNSUPPORTED);
    assert_string_equal(bt_error_message(), "x of?7");
    assert_int_equal(bt_error_set(BT_INVALID, "again: %s", bt_error_message()), BT_INVALID);
    assert_string_equal(bt_error_message(), "again: x of?7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_prefixed_as_it_climbs),
        cmocka_unit_test(a_message_is_one_line),
        cmocka_unit_test(a_caller_of_the_library_can_fail_as_it_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
