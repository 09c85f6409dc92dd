// SPDX-License-Identifier: Apache-2.0
/* buf: a growable byte buffer; always NUL-terminated after the first append, so that it is also a
 * string. Not thread-safe. A failed append leaves the contents as they were. */
#pragma once
#include "base/alloc.h"

typedef struct bt_buf {
    char *data;     // NULL while nothing was appended
    size_t len;     // bytes, without the NUL
    size_t size;    // bytes allocated
    size_t len_max; // 0: unbounded; otherwise an append past it fails with LIMIT
} bt_buf;

void bt_buf_done(bt_buf *buf); // frees; {0} is a valid empty buffer
static inline void bt_buf_clear(bt_buf *buf) { buf->len = 0; }
BT_CHECKED bt_status bt_buf_reserve(bt_buf *buf, size_t more);
BT_CHECKED bt_status bt_buf_add(bt_buf *buf, const void *bytes, size_t len);
BT_CHECKED bt_status bt_buf_text(bt_buf *buf, const char *text);
BT_CHECKED bt_status bt_buf_format(bt_buf *buf, const char *fmt, ...) BT_PRINTF(2, 3);
