// SPDX-License-Identifier: Apache-2.0
/* baton/base.h: statuses, error messages and the version.
 *
 * Every function of baton that can fail returns a bt_status, and nothing else tells of failure. On
 * failure no output argument has been written, and bt_error_message() of the same thread holds one
 * line that names the offending thing. The library never prints, exits or aborts on bad input.
 */
#ifndef BATON_BASE_H
#define BATON_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BT_API                __attribute__((visibility("default")))
#define BT_CHECKED            __attribute__((warn_unused_result))
#define BT_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define BT_API
#define BT_CHECKED
#define BT_PRINTF(fmt, first)
#endif

/* The one list of statuses: X(NAME, name, "what it means to the caller"). */
#define BT_STATUS_LIST(X)                                                                          \
    X(OK, ok, "success")                                                                           \
    X(INVALID, invalid, "an argument or request is not acceptable")                                \
    X(NOMEM, nomem, "memory could not be had")                                                     \
    X(FORMAT, format, "a file or message is malformed")                                            \
    X(UNSUPPORTED, unsupported, "well-formed, but not something this build can do")                \
    X(LIMIT, limit, "a documented limit would be passed")                                          \
    X(NOTFOUND, notfound, "the named thing does not exist")                                        \
    X(IO, io, "the operating system failed a read or write")                                       \
    X(DEVICE, device, "a device failed")                                                           \
    X(BUSY, busy, "not now: a queue is full or nothing is ready")                                  \
    X(CANCELLED, cancelled, "the caller cancelled it")

typedef enum bt_status {
#define BT_STATUS_ENUM(name, lower, meaning) BT_##name,
    BT_STATUS_LIST(BT_STATUS_ENUM)
#undef BT_STATUS_ENUM
        BT_STATUS_COUNT
} bt_status;

/* Return the status's name in lower case ("invalid"); "unknown" for a value outside the list. */
BT_API const char *bt_status_name(bt_status status);

/* Return the calling thread's last error as one line without a newline; "" if there was none.
 * The text is valid until the thread's next failing call into baton. */
BT_API const char *bt_error_message(void);

/* Set the calling thread's error message and return `status`: how an operator of one's own says what
 * is wrong with its inputs, as in  return bt_error_set(BT_INVALID, "x has %d columns", n);
 * Long messages are cut; newlines and other control characters become '?'. */
BT_API bt_status bt_error_set(bt_status status, const char *fmt, ...) BT_PRINTF(2, 3);

/* Return the library's version, "MAJOR.MINOR.PATCH". */
BT_API const char *bt_version(void);

#ifdef __cplusplus
}
#endif
#endif
