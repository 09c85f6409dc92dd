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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_prefixed_as_it_climbs),
        cmocka_unit_test(a_message_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
