// SPDX-License-Identifier: Apache-2.0
/* stop: see stop.h. At most 16 texts of at most 256 bytes: plain comparison is quick enough. */
#include "engine/stop.h"
#include <assert.h>
#include <string.h>

/* The longest stop text that ends with the last of `held[0..n)`; 0 when none does. */
static int32_t match_len(const bt_stop *s, int32_t n)
{
    int32_t longest = 0;
    for (int32_t i = 0; i < s->n; i++) {
        int32_t len = s->len[i];
        if (len > longest && len <= n && !memcmp(s->held + n - len, s->text[i], (size_t)len))
            longest = len;
    }
    return longest;
}

/* The longest end of `held[0..n)` that is the beginning of a stop text, short of all of it. */
static int32_t tail_to_hold(const bt_stop *s, int32_t n)
{
    int32_t longest = 0;
    for (int32_t i = 0; i < s->n; i++)
        for (int32_t len = s->len[i] - 1; len > longest; len--)
            if (len <= n && !memcmp(s->held + n - len, s->text[i], (size_t)len)) longest = len;
    return longest;
}

/* Move the first n_out of the n held bytes to `out`. */
static size_t let_out(bt_stop *s, int32_t n_out, int32_t n, char *out)
{
    memcpy(out, s->held, (size_t)n_out);
    memmove(s->held, s->held + n_out, (size_t)(n - n_out));
    s->n_held = n - n_out;
    return (size_t)n_out;
}

size_t bt_stop_push(bt_stop *s, const char *text, size_t len, bool may_end, char *out)
{
    assert(len <= BT_STOP_PUSH_MAX);
    if (s->ended) return 0;
    memcpy(s->held + s->n_held, text, len);
    int32_t n = s->n_held + (int32_t)len;
    for (int32_t i = s->n_held + 1; may_end && i <= n; i++) {
        int32_t matched = match_len(s, i);
        if (!matched) continue;
        s->ended = true;
        return let_out(s, i - matched, i - matched, out);
    }
    return let_out(s, n - tail_to_hold(s, n), n, out);
}

size_t bt_stop_flush(bt_stop *s, char *out) { return let_out(s, s->n_held, s->n_held, out); }
