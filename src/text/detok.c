// SPDX-License-Identifier: Apache-2.0
/* detok: tokens to text, streaming. Bytes of an unfinished code point wait in `held`; everything
 * that goes out is well-formed UTF-8. */
#include "base/utf8.h"
#include "text/tokcore.h"
#include <string.h>

void bt_detok_init(bt_detok *d, const bt_tokenizer *tokenizer, unsigned flags)
{
    d->tokenizer = tokenizer;
    d->flags = flags;
    d->started = flags & BT_DETOK_CONTINUE;
    d->n_held = 0;
    d->text[0] = 0;
}

/* The length of the maximal part at `s` that begins like a code point but is none (Unicode 3.9,
 * U+FFFD substitution of maximal subparts): 1..3. */
static size_t bad_len(const char *s, size_t len)
{
    for (size_t n = len < 3 ? len : 3; n > 1; n--)
        if (bt_utf8_partial_tail(s, n) == n) return n;
    return 1;
}

/* Append `len` bytes of `in` to d->text[*n] as well-formed UTF-8. */
static void put_clean(bt_detok *d, size_t *n, const char *in, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t k = bt_utf8_valid_len(in + i, len - i);
        if (k) {
            memcpy(d->text + *n, in + i, k);
            *n += k;
            i += k;
        } else {
            memcpy(d->text + *n, "\xEF\xBF\xBD", 3);
            *n += 3;
            i += bad_len(in + i, len - i);
        }
    }
}

bt_status bt_detok_push(bt_detok *d, int32_t id, const char **ret_text, size_t *ret_len)
{
    const bt_tokenizer *t = d->tokenizer;
    char raw[BT_PIECE_BYTES_MAX + 8];
    size_t n_raw = d->n_held, len, n = 0;
    BT_FAIL_IF(id < 0 || id >= t->vocab.n, INVALID, "token %d, must be from 0 to %d", id,
               t->vocab.n - 1);
    const char *piece = bt_tokenizer_piece(t, id, &len);
    if (bt_tokenizer_is_special(t, id) && !(d->flags & BT_DETOK_SPECIAL)) len = 0;
    memcpy(raw, d->held, n_raw);
    if (len && d->started && t->join_space) raw[n_raw++] = ' ';
    if (len && !d->started) {
        if (t->strip_first && piece[0] == ' ') {
            piece++;
            len--;
        }
        d->started = true;
    }
    memcpy(raw + n_raw, piece, len);
    n_raw += len;
    size_t hold = bt_utf8_partial_tail(raw, n_raw);
    put_clean(d, &n, raw, n_raw - hold);
    memcpy(d->held, raw + n_raw - hold, hold);
    d->n_held = (uint8_t)hold;
    d->text[n] = 0;
    *ret_text = d->text;
    *ret_len = n;
    return BT_OK;
}

bt_status bt_detok_flush(bt_detok *d, const char **ret_text, size_t *ret_len)
{
    size_t n = 0;
    put_clean(d, &n, d->held, d->n_held);
    d->n_held = 0;
    d->text[n] = 0;
    *ret_text = d->text;
    *ret_len = n;
    return BT_OK;
}
