// SPDX-License-Identifier: Apache-2.0
/* vocab: see vocab.h. Open addressing with linear probing; a slot keeps half of the hash so that a
 * probe touches the key only when it is almost surely the right one. */
#include "text/vocab.h"
#include "base/bits.h"
#include "base/hash.h"
#include "base/utf8.h"
#include <string.h>

bt_status bt_vocab_init(bt_vocab *v, int32_t n)
{
    uint32_t n_slot = 16;
    *v = (bt_vocab){.n = n};
    memset(v->byte_id, 0xFF, sizeof v->byte_id);
    while (n_slot < 2 * (uint32_t)n) n_slot *= 2;
    v->mask = n_slot - 1;
    BT_TRY(bt_alloc_array((void **)&v->key, (size_t)n, sizeof *v->key, BT_MEM_TEXT));
    BT_TRY(bt_alloc_array((void **)&v->out, (size_t)n, sizeof *v->out, BT_MEM_TEXT));
    BT_TRY(bt_alloc_array((void **)&v->type, (size_t)n, 1, BT_MEM_TEXT));
    BT_TRY(bt_alloc_array((void **)&v->whole, (size_t)n, 1, BT_MEM_TEXT));
    BT_TRY(bt_alloc_array((void **)&v->score, (size_t)n, sizeof *v->score, BT_MEM_TEXT));
    BT_TRY(bt_alloc_array((void **)&v->slot, n_slot, sizeof *v->slot, BT_MEM_TEXT));
    for (uint32_t i = 0; i < n_slot; i++) v->slot[i].id = -1;
    memset(v->type, BT_PIECE_NORMAL, (size_t)n);
    return BT_OK;
}

void bt_vocab_done(bt_vocab *v)
{
    bt_free(v->key);
    bt_free(v->out);
    bt_free(v->type);
    bt_free(v->whole);
    bt_free(v->score);
    bt_free(v->slot);
    *v = (bt_vocab){0};
}

/* The slot that holds the key, or the empty one where it would go. */
static uint32_t probe(const bt_vocab *v, const char *key, size_t len, uint32_t *ret_tag)
{
    uint64_t hash = bt_hash64(key, len, 0);
    uint32_t tag = (uint32_t)(hash >> 32), i = (uint32_t)hash & v->mask;
    *ret_tag = tag;
    for (;; i = (i + 1) & v->mask) {
        const vocab_slot *s = &v->slot[i];
        if (s->id < 0) return i;
        if (s->tag == tag && v->key[s->id].len == len && !memcmp(v->key[s->id].text, key, len))
            return i;
    }
}

bt_status bt_vocab_put(bt_vocab *v, int32_t id, bt_slice key)
{
    uint32_t tag;
    BT_FAIL_IF(v->key[id].text, FORMAT, "id %d is given to '%.*s' and to '%.*s'", id,
               (int)v->key[id].len, v->key[id].text, (int)key.len, key.text);
    BT_FAIL_IF(key.len > BT_PIECE_BYTES_MAX, LIMIT, "piece %d has %zu bytes, at most %d", id,
               key.len, BT_PIECE_BYTES_MAX);
    v->key[id] = key;
    uint32_t i = probe(v, key.text, key.len, &tag);
    v->slot[i] = (vocab_slot){tag, id};
    return BT_OK;
}

int32_t bt_vocab_find(const bt_vocab *v, const char *key, size_t len)
{
    uint32_t tag;
    return v->slot[probe(v, key, len, &tag)].id;
}

int32_t bt_vocab_find_text(const bt_vocab *v, const char *key, size_t len)
{
    int32_t id = bt_vocab_find(v, key, len);
    if (id < 0) return -1;
    int type = v->type[id];
    return type == BT_PIECE_NORMAL || type == BT_PIECE_USER || type == BT_PIECE_UNUSED ? id : -1;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

int bt_piece_byte(const char *piece, size_t len)
{
    if (len != 6 || memcmp(piece, "<0x", 3) || piece[5] != '>') return -1;
    int hi = hex_digit(piece[3]), lo = hex_digit(piece[4]);
    return hi < 0 || lo < 0 ? -1 : hi * 16 + lo;
}

/* Printable Latin-1 stands for itself; the other 68 bytes, in order, are U+0100 .. U+0143. */
static int alphabet_byte(uint32_t code)
{
    if ((code >= 0x21 && code <= 0x7E) || (code >= 0xA1 && code <= 0xAC) ||
        (code >= 0xAE && code <= 0xFF))
        return (int)code;
    if (code < 0x100 || code > 0x143) return -1;
    int k = (int)code - 0x100;
    if (k <= 0x20) return k;                      // 00..20
    if (k <= 0x20 + 0x22) return 0x7F + k - 0x21; // 7F..A0
    return 0xAD;
}

bool bt_alphabet_decode(const char *text, size_t len, char *out, size_t *ret_len)
{
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        size_t k = bt_utf8_valid_len(text + i, len - i);
        int byte = k ? alphabet_byte(bt_utf8_decode(text + i, k)) : -1;
        if (byte < 0) return false;
        out[n++] = (char)byte;
        i += k;
    }
    *ret_len = n;
    return true;
}
