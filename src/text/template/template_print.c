// SPDX-License-Identifier: Apache-2.0
/* template_print: values as text, in Python's own words: str() and repr(). */
#include "text/template/template_call.h"
#include "text/template/template_text.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Python's repr of a float: the shortest digits that read back, an exponent outside 1e-4 .. 1e16.
 */
size_t bt_float_repr(double f, char out[32])
{
    char e[32];
    if (isnan(f)) return (size_t)snprintf(out, 32, "nan");
    if (isinf(f)) return (size_t)snprintf(out, 32, f < 0 ? "-inf" : "inf");
    int digits = 1;
    for (; digits <= 17; digits++) {
        snprintf(e, sizeof e, "%.*e", digits - 1, f);
        if (strtod(e, NULL) == f) break;
    }
    int exp = atoi(strchr(e, 'e') + 1);
    if (exp >= -4 && exp < 16) {
        int places = digits - 1 - exp;
        return (size_t)snprintf(out, 32, "%.*f", places > 1 ? places : 1, f);
    }
    char mantissa[24];
    snprintf(mantissa, sizeof mantissa, "%.*s", (int)(strchr(e, 'e') - e), e);
    return (size_t)snprintf(out, 32, "%se%c%02d", mantissa, exp < 0 ? '-' : '+', abs(exp));
}

static bt_status put(tout *o, const char *text, bool data)
{
    return bt_tout_add(o, text, strlen(text), data);
}

static bt_status put_escape(tout *o, uint32_t c, bool data)
{
    char text[16];
    if (c == '\n' || c == '\r' || c == '\t')
        snprintf(text, sizeof text, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
    else if (c < 0x100)
        snprintf(text, sizeof text, "\\x%02x", c);
    else
        snprintf(text, sizeof text, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    return put(o, text, data);
}

static bt_status repr_str(tout *o, const tval *s)
{
    bool data = bt_tstr_any_data(s);
    bool dq = s->len && memchr(s->bytes, '\'', s->len) && !memchr(s->bytes, '"', s->len);
    char quote = dq ? '"' : '\'';
    if (s->markup) BT_TRY(put(o, "Markup(", data));
    BT_TRY(bt_tout_add(o, &quote, 1, data));
    size_t from = 0;
    for (size_t i = 0, n; i < s->len; i += n) {
        uint32_t c = bt_tcode_at(s->bytes + i, s->len - i, &n);
        bool backslash = c == '\\' || c == (uint32_t)quote;
        if (!backslash && bt_tcode_is_printable(c)) continue;
        BT_TRY(bt_tout_part(o, s, from, i - from));
        if (backslash) BT_TRY(put(o, "\\", bt_tstr_mark(s, i)));
        if (!backslash) BT_TRY(put_escape(o, c, bt_tstr_mark(s, i)));
        from = backslash ? i : i + n;
    }
    BT_TRY(bt_tout_part(o, s, from, s->len - from));
    BT_TRY(bt_tout_add(o, &quote, 1, data));
    return s->markup ? put(o, ")", data) : BT_OK;
}

static bt_status repr_seq(tout *o, const tval *v)
{
    size_t n = bt_tseq_len(v);
    bool tuple = v->kind == K_TUPLE;
    BT_TRY(put(o, tuple ? "(" : "[", v->data));
    for (size_t i = 0; i < n; i++) {
        tval item = bt_tseq_at(v, i);
        if (i) BT_TRY(put(o, ", ", v->data));
        BT_TRY(bt_tval_repr(o, &item));
    }
    return put(o, !tuple ? "]" : n == 1 ? ",)" : ")", v->data);
}

static bt_status repr_dict(tout *o, const tval *v)
{
    trun *r = o->run;
    tval view = {.kind = K_VIEW, .sub = VIEW_ITEMS, .of = v}, pair;
    titer *it;
    bool more, first = true;
    BT_TRY(bt_titer_open(r, &view, &it));
    BT_TRY(put(o, "{", v->data));
    for (;; first = false) {
        BT_TRY(bt_titer_next(r, it, &pair, &more));
        if (!more) return put(o, "}", v->data);
        if (!first) BT_TRY(put(o, ", ", v->data));
        BT_TRY(bt_tval_repr(o, &pair.seq->items[0]));
        BT_TRY(put(o, ": ", v->data));
        BT_TRY(bt_tval_repr(o, &pair.seq->items[1]));
    }
}

static bt_status repr_view(tout *o, const tval *v)
{
    tval list;
    BT_TRY(bt_tval_list(o->run, v, &list));
    BT_TRY(put(o, bt_tval_type(v), v->data));
    BT_TRY(put(o, "(", v->data));
    list.data = v->data;
    BT_TRY(repr_seq(o, &list));
    return put(o, ")", v->data);
}

static bt_status repr_other(tout *o, const tval *v)
{
    char text[160];
    switch (v->kind) {
    case K_RANGE: {
        const trange *g = v->range;
        int n = snprintf(text, sizeof text, "range(%" PRId64 ", %" PRId64, g->start, g->stop);
        if (g->step != 1) n += snprintf(text + n, sizeof text - (size_t)n, ", %" PRId64, g->step);
        snprintf(text + n, sizeof text - (size_t)n, ")");
        return put(o, text, v->data);
    }
    case K_NAMESPACE: {
        tval dict = {.kind = K_DICT, .dict = v->dict};
        BT_TRY(put(o, "<Namespace ", false));
        BT_TRY(repr_dict(o, &dict));
        return put(o, ">", false);
    }
    case K_LOOP: {
        size_t n;
        BT_TRY(bt_tloop_len(o->run, v->loop, &n));
        snprintf(text, sizeof text, "<LoopContext %zu/%zu>", bt_tloop_index(v->loop), n);
        return put(o, text, false);
    }
    case K_MACRO: {
        tval name = bt_tmacro_name(v->macro);
        if (!name.len) return put(o, "<Macro anonymous>", false);
        BT_TRY(put(o, "<Macro ", false));
        BT_TRY(repr_str(o, &name));
        return put(o, ">", false);
    }
    default: // Python prints an address; there is none to tell
        snprintf(text, sizeof text, "<%s object>", bt_tval_type(v));
        return put(o, text, false);
    }
}

static bt_status repr_scalar(tout *o, const tval *v)
{
    char text[32];
    switch (v->kind) {
    case K_UNDEF:
        return put(o, "Undefined", false);
    case K_NONE:
        return put(o, "None", v->data);
    case K_BOOL:
        return put(o, v->i ? "True" : "False", v->data);
    case K_INT:
        snprintf(text, sizeof text, "%" PRId64, v->i);
        return put(o, text, v->data);
    default:
        bt_float_repr(v->f, text);
        return put(o, text, v->data);
    }
}

static bt_status repr_container(tout *o, const tval *v)
{
    switch (v->kind) {
    case K_LIST:
    case K_TUPLE:
        return repr_seq(o, v);
    case K_DICT:
        return repr_dict(o, v);
    case K_VIEW:
        return repr_view(o, v);
    default:
        return repr_other(o, v);
    }
}

bt_status bt_tval_repr(tout *o, const tval *v)
{
    BT_TRY(bt_trun_step(o->run, 1));
    if (v->kind == K_STR) return repr_str(o, v);
    if (v->kind <= K_FLOAT) return repr_scalar(o, v);
    BT_TRY(bt_trun_enter(o->run));
    bt_status st = repr_container(o, v);
    o->run->depth--;
    return st;
}

bt_status bt_tval_print(tout *o, const tval *v)
{
    if (v->kind == K_STR) return bt_tout_str(o, v);
    if (v->kind == K_UNDEF) return v->sub == UNDEF_UNSAFE ? bt_tval_fail_undef(v) : BT_OK;
    return bt_tval_repr(o, v);
}

bt_status bt_tval_str(trun *r, const tval *v, tval *ret_string)
{
    tout o = {.run = r};
    if (v->kind == K_STR) {
        *ret_string = *v;
        return BT_OK;
    }
    bt_status st = bt_tval_print(&o, v);
    if (!st) st = bt_tout_finish(&o, ret_string);
    bt_tout_done(&o);
    return st;
}
