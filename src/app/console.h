// SPDX-License-Identifier: Apache-2.0
/* console: what the program shares with the person before it: error lines, progress, Ctrl-C, input.
 */
#pragma once
#include "base/buf.h"
#include "base/log.h"
#include "baton/model.h"

/* Print "baton: <message>" to stderr as one line; the first gives BT_EXIT_USAGE. */
int bt_console_usage(const char *fmt, ...) BT_PRINTF(1, 2);

/* Print the thread's last error as "baton: ..." on stderr and return BT_EXIT_FAILURE. */
int bt_console_fail(void);

/* Print a remark to stderr, as one line. */
void bt_console_note(const char *fmt, ...) BT_PRINTF(1, 2);

/* Print a note of the library's as a remark; a bt_log_sink. */
void bt_console_log(bt_log_level level, const char *line);

/* Push stdout out; IO when that, or an earlier write, failed. */
BT_CHECKED bt_status bt_console_flush(void);

/* Append all of a file, or of stdin where path is "-". */
BT_CHECKED bt_status bt_console_read(const char *path, bt_buf *ret_text);

/* A progress bar on stderr, drawn only where that is a terminal. */
typedef struct bt_bar {
    int64_t drawn_ns; // when it was last drawn
    bool shown;       // something stands on the line
} bt_bar;

void bt_bar_draw(void *bar, const char *what, uint64_t done, uint64_t total); // a bt_progress_fn
void bt_bar_clear(bt_bar *bar);

/* Between begin and end, Ctrl-C sets a flag instead of ending the program; the second one ends it.
 */
void bt_interrupt_begin(void);
bool bt_interrupt_seen(void);
void bt_interrupt_end(void);
