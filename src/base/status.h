// SPDX-License-Identifier: Apache-2.0
/* status: how the library says what went wrong.
 *
 * A failure is formatted once, where it happens (bt_fail), into a per-thread record, and prefixed
 * as it climbs (bt_fail_note): "opening 'a.gguf': tensor 'x' has 9 dimensions, at most 4".
 */
#pragma once
#include "baton/base.h"
#include <assert.h>

/* Set the thread's message and evaluate to `status`, so that failing is one expression. A macro,
 * for the compiler then sees that a call which fails never returns BT_OK. */
#define bt_fail(status, ...) (bt_fail_record(__VA_ARGS__), (status))
void bt_fail_record(const char *fmt, ...) BT_PRINTF(1, 2);

/* Prefix the thread's message with "<fmt>: ". Keeps the status; call it on the way up. */
void bt_fail_note(const char *fmt, ...) BT_PRINTF(1, 2);

/* Leave the function with the callee's status when it is not BT_OK. */
#define BT_TRY(call)                                                                               \
    do {                                                                                           \
        bt_status bt_try_status_ = (call);                                                         \
        if (bt_try_status_ != BT_OK) return bt_try_status_;                                        \
    } while (0)

/* Fail with a formatted message when `cond` holds: BT_FAIL_IF(n > 4, FORMAT, "%d dims, at most 4",
 * n) */
#define BT_FAIL_IF(cond, name, ...)                                                                \
    do {                                                                                           \
        if (cond) return bt_fail(BT_##name, __VA_ARGS__);                                          \
    } while (0)
