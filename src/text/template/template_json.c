// SPDX-License-Identifier: Apache-2.0
/* template_json: the tojson filter: Python's json.dumps, byte for byte. */
#include "text/template/template_text.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct dump {
    tout *o;
    const tjson_style *style;
    int level;
} dump;

static bt_status dump_value(dump *d, const tval *v);

static bt_status put(const dump *d, const char *text, bool data)
{
    return bt_tout_add(d->o, text, strlen(text), data);
}

static bt_status put_escape(const dump *d, uint32_t c, bool data)
{
    char text[16];
    const char *at = c && c < 0x80 ? strchr("\"\\\nn\rr\tt\ff\bb", (int)c) : NULL;
    if (c == '"' || c == '\\')
        snprintf(text, sizeof text, "\\%c", (int)c);
    else if (at && c < 0x20)
        snprintf(text, sizeof text, "\\%c", at[1]);
    else if (c < 0x10000)
        snprintf(text, sizeof text, "\\u%04x", c);
    else
        snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xD7C0 + (c >> 10), 0xDC00 + (c & 0x3FF));
    return put(d, text, data);
}

static bt_status dump_str(const dump *d, const tval *s)
{
    bool data = bt_tstr_any_data(s);
    size_t from = 0;
    BT_TRY(put(d, "\"", data));
    for (size_t i = 0, n; i < s->len; i += n) {
        uint32_t c = bt_tcode_at(s->bytes + i, s->len - i, &n);
        if (c >= 0x20 && c != '"' && c != '\\' && !(d->style->ascii && c >= 0x7F)) continue;
        BT_TRY(bt_tout_part(d->o, s, from, i - from));
        BT_TRY(put_escape(d, c, bt_tstr_mark(s, i)));
        from = i + n;
    }
    BT_TRY(bt_tout_part(d->o, s, from, s->len - from));
    return put(d, "\"", data);
}

static bt_status dump_scalar(const dump *d, const tval *v)
{
    char text[32];
    switch (v->kind) {
    case K_NONE:
        return put(d, "null", v->data);
    case K_BOOL:
        return put(d, v->i ? "true" : "false", v->data);
    case K_INT:
        snprintf(text, sizeof text, "%" PRId64, v->i);
        return put(d, text, v->data);
    default:
        if (isnan(v->f)) return put(d, "NaN", v->data);
        if (isinf(v->f)) return put(d, v->f < 0 ? "-Infinity" : "Infinity", v->data);
        bt_float_repr(v->f, text);
        return put(d, text, v->data);
    }
}

static bt_status new_line(const dump *d, bool data)
{
    const tval *indent = d->style->indent;
    if (!indent) return BT_OK;
    BT_TRY(put(d, "\n", data));
    for (int i = 0; i < d->level; i++) {
        BT_TRY(bt_trun_step(d->o->run, 1));
        BT_TRY(bt_tout_add(d->o, indent->bytes, indent->len, data || bt_tstr_any_data(indent)));
    }
    return BT_OK;
}

static bt_status separator(const dump *d, const tval *s, bool data)
{
    return bt_tout_add(d->o, s->bytes, s->len, data || bt_tstr_any_data(s));
}

static bt_status dump_list(dump *d, const tval *v)
{
    size_t n = bt_tseq_len(v);
    if (!n) return put(d, "[]", v->data);
    BT_TRY(put(d, "[", v->data));
    d->level++;
    for (size_t i = 0; i < n; i++) {
        tval item = bt_tseq_at(v, i);
        if (i) BT_TRY(separator(d, &d->style->item_separator, v->data));
        BT_TRY(new_line(d, v->data));
        BT_TRY(dump_value(d, &item));
    }
    d->level--;
    BT_TRY(new_line(d, v->data));
    return put(d, "]", v->data);
}

static bt_status dump_key(const dump *d, const tval *key)
{
    if (key->kind == K_STR) return dump_str(d, key);
    if (key->kind == K_UNDEF || key->kind > K_FLOAT)
        return bt_fail(BT_INVALID, "tojson: keys must be str, int, float, bool or None, not %s",
                       bt_tval_type(key));
    BT_TRY(put(d, "\"", key->data));
    BT_TRY(dump_scalar(d, key));
    return put(d, "\"", key->data);
}

/* Sort entries by key (insertion into a merge would be overkill: dicts of data are small; the cost
 * is charged). */
static bt_status sort_pairs(trun *r, const tseq *pairs)
{
    for (size_t i = 1; i < pairs->n; i++) {
        tval moving = pairs->items[i];
        size_t k = i;
        for (; k > 0; k--) {
            bool less;
            BT_TRY(bt_trun_step(r, 1));
            BT_TRY(bt_tval_less(r, &moving.seq->items[0], &pairs->items[k - 1].seq->items[0], "<",
                                &less));
            if (!less) break;
            pairs->items[k] = pairs->items[k - 1];
        }
        pairs->items[k] = moving;
    }
    return BT_OK;
}

static bt_status dump_dict(dump *d, const tval *v)
{
    tval view = {.kind = K_VIEW, .sub = VIEW_ITEMS, .of = v}, pairs;
    if (!bt_tdict_len(v)) return put(d, "{}", v->data);
    BT_TRY(bt_tval_list(d->o->run, &view, &pairs));
    if (d->style->sort_keys) BT_TRY(sort_pairs(d->o->run, pairs.seq));
    BT_TRY(put(d, "{", v->data));
    d->level++;
    for (size_t i = 0; i < pairs.seq->n; i++) {
        const tval *pair = pairs.seq->items[i].seq->items;
        if (i) BT_TRY(separator(d, &d->style->item_separator, v->data));
        BT_TRY(new_line(d, v->data));
        BT_TRY(dump_key(d, &pair[0]));
        BT_TRY(separator(d, &d->style->key_separator, v->data));
        BT_TRY(dump_value(d, &pair[1]));
    }
    d->level--;
    BT_TRY(new_line(d, v->data));
    return put(d, "}", v->data);
}

static bt_status dump_value(dump *d, const tval *v)
{
    trun *r = d->o->run;
    BT_TRY(bt_trun_step(r, 1));
    switch (v->kind) {
    case K_STR:
        return dump_str(d, v);
    case K_NONE:
    case K_BOOL:
    case K_INT:
    case K_FLOAT:
        return dump_scalar(d, v);
    case K_LIST:
    case K_TUPLE:
    case K_DICT:
        break;
    default:
        return bt_fail(BT_INVALID, "Object of type %s is not JSON serializable", bt_tval_type(v));
    }
    BT_TRY(bt_trun_enter(r));
    bt_status st = v->kind == K_DICT ? dump_dict(d, v) : dump_list(d, v);
    r->depth--;
    return st;
}

bt_status bt_tval_to_json(tout *o, const tval *v, const tjson_style *style)
{
    dump d = {.o = o, .style = style};
    return dump_value(&d, v);
}
