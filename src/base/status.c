// SPDX-License-Identifier: Apache-2.0
/* status: the per-thread error record. It owns one fixed buffer a thread, so that failing never
 * allocates; a message that does not fit is cut at the end, where the detail is finest. */
#include "base/status.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 1024 };

static _Thread_local char message[MESSAGE_BYTES];

/* Control characters of file contents must not break the one-line promise or drive a terminal. */
static void make_one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = '?';
}

static void record(const char *fmt, va_list args)
{
    char fresh[MESSAGE_BYTES]; // an argument may point into the old message
    vsnprintf(fresh, sizeof fresh, fmt, args);
    make_one_line(fresh);
    memcpy(message, fresh, sizeof message);
}

void bt_fail_record(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    record(fmt, args);
    va_end(args);
}

bt_status bt_error_set(bt_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    record(fmt, args);
    va_end(args);
    return status;
}

void bt_fail_note(const char *fmt, ...)
{
    char fresh[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(fresh, sizeof fresh, fmt, args);
    va_end(args);
    if (n < 0) return;
    size_t at = (size_t)n < sizeof fresh ? (size_t)n : sizeof fresh - 1;
    snprintf(fresh + at, sizeof fresh - at, ": %s", message);
    make_one_line(fresh);
    memcpy(message, fresh, sizeof message);
}

const char *bt_error_message(void) { return message; }

const char *bt_status_name(bt_status status)
{
    static const char *const name[] = {
#define NAME(upper, lower, meaning) #lower,
        BT_STATUS_LIST(NAME)
#undef NAME
    };
    return (unsigned)status < BT_STATUS_COUNT ? name[status] : "unknown";
}

const char *bt_version(void) { return BATON_VERSION; }
