// SPDX-License-Identifier: Apache-2.0
/* buf: doubling growth; the NUL after the contents is kept by every append. */
#include "base/buf.h"
#include "base/bits.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void bt_buf_done(bt_buf *buf)
{
    bt_free(buf->data);
    *buf = (bt_buf){.len_max = buf->len_max};
}

bt_status bt_buf_reserve(bt_buf *buf, size_t more)
{
    size_t need;
    if (!bt_add_fits(buf->len, more, &need) || need > PTRDIFF_MAX / 4)
        return bt_fail(BT_NOMEM, "out of memory: a buffer of %zu + %zu bytes", buf->len, more);
    if (buf->len_max && need > buf->len_max)
        return bt_fail(BT_LIMIT, "%zu bytes, at most %zu", need, buf->len_max);
    if (need + 1 <= buf->size) return BT_OK;
    size_t size = need + 1 > 2 * buf->size ? need + 1 : 2 * buf->size;
    if (size < 64) size = 64;
    BT_TRY(bt_resize((void **)&buf->data, size, BT_MEM_MISC));
    buf->size = size;
    return BT_OK;
}

bt_status bt_buf_add(bt_buf *buf, const void *bytes, size_t len)
{
    BT_TRY(bt_buf_reserve(buf, len));
    if (len) memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
    buf->data[buf->len] = 0;
    return BT_OK;
}

bt_status bt_buf_text(bt_buf *buf, const char *text) { return bt_buf_add(buf, text, strlen(text)); }

bt_status bt_buf_format(bt_buf *buf, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    bt_status st = n < 0 ? bt_fail(BT_INVALID, "a format that cannot be printed")
                         : bt_buf_reserve(buf, (size_t)n);
    if (st == BT_OK) {
        vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, again);
        buf->len += (size_t)n;
    }
    va_end(again);
    return st;
}
