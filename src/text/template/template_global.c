// SPDX-License-Identifier: Apache-2.0
/* template_global: the functions a template may call by name, and from_json. */
#include "text/template/template_call.h"
#include "text/template/template_text.h"
#include <string.h>
#include <time.h>

enum { RANGE_MAX = 100000, FROM_JSON_BYTES_MAX = 1 << 20 };

static bt_status g_range(trun *r, const tcall *c, tval *ret)
{
    int64_t v[3] = {0, 0, 1};
    int n = 0;
    for (int i = 0; i < 3 && c->arg[i]; i++, n++) BT_TRY(bt_tcall_int(c, i, 0, &v[i]));
    if (n == 1) {
        v[1] = v[0];
        v[0] = 0;
    }
    BT_FAIL_IF(v[2] == 0, INVALID, "range() arg 3 must not be zero");
    __int128 span = v[2] > 0 ? (__int128)v[1] - v[0] : (__int128)v[0] - v[1];
    __int128 step = v[2] > 0 ? v[2] : -(__int128)v[2],
             count = span > 0 ? (span + step - 1) / step : 0;
    BT_FAIL_IF(count > RANGE_MAX, LIMIT, "range too big: at most %d items", RANGE_MAX);
    trange *g;
    BT_TRY(bt_trun_alloc(r, 1, sizeof *g, (void **)&g));
    *g = (trange){.start = v[0], .stop = v[1], .step = v[2], .n = (int64_t)count};
    bool data = false;
    for (int i = 0; i < n; i++) data |= c->arg[i]->data;
    *ret = (tval){.kind = K_RANGE, .data = data, .range = g};
    return BT_OK;
}

/* dict(mapping or pairs, key=value, ...): a new dict. */
static bt_status g_dict(trun *r, const tcall *c, tval *ret)
{
    tval dict, item, view, pair;
    titer *it;
    bool more;
    BT_FAIL_IF(c->rest.n_pos > 1, INVALID, "dict expected at most 1 argument, got %zu",
               c->rest.n_pos);
    BT_TRY(bt_tdict_new(r, c->rest.n_kw, &dict));
    if (c->rest.n_pos) {
        const tval *from = &c->rest.pos[0];
        view = from->kind == K_DICT ? (tval){.kind = K_VIEW, .sub = VIEW_ITEMS, .of = from} : *from;
        BT_TRY(bt_titer_open(r, &view, &it));
        for (;;) {
            BT_TRY(bt_titer_next(r, it, &item, &more));
            if (!more) break;
            BT_TRY(bt_tval_list(r, &item, &pair));
            BT_FAIL_IF(pair.seq->n != 2, INVALID,
                       "dict update sequence element has length %zu; 2 is required", pair.seq->n);
            BT_TRY(bt_tdict_put(r, dict.dict, &pair.seq->items[0], &pair.seq->items[1]));
        }
    }
    for (size_t i = 0; i < c->rest.n_kw; i++) {
        tval key = bt_tval_text(c->rest.kw[i].name, c->rest.kw[i].len);
        BT_TRY(bt_tdict_put(r, dict.dict, &key, &c->rest.kw[i].value));
    }
    *ret = dict;
    return BT_OK;
}

static bt_status g_namespace(trun *r, const tcall *c, tval *ret)
{
    BT_TRY(g_dict(r, c, ret));
    ret->kind = K_NAMESPACE;
    return BT_OK;
}

static bt_status g_raise(trun *r, const tcall *c, tval *ret)
{
    tval s;
    (void)ret;
    BT_TRY(bt_tval_str(r, c->arg[0], &s));
    return bt_fail(BT_INVALID, "%.*s", s.len > 300 ? 300 : (int)s.len, s.bytes);
}

static bt_status g_strftime(trun *r, const tcall *c, tval *ret)
{
    const tval *format;
    char text[256], out[1024];
    time_t now = (time_t)r->now_unix_s;
    struct tm tm;
    tout o = {.run = r};
    BT_TRY(bt_tcall_str(c, 0, &format));
    BT_FAIL_IF(format->len >= sizeof text || memchr(format->bytes, 0, format->len), INVALID,
               "strftime_now: a format has at most %zu bytes and no NUL", sizeof text - 1);
    memcpy(text, format->bytes, format->len);
    text[format->len] = 0;
    BT_FAIL_IF(!gmtime_r(&now, &tm), INVALID, "strftime_now: the time is out of range");
    size_t n = strftime(out, sizeof out, text, &tm);
    BT_FAIL_IF(!n && format->len && !strchr("pZz", text[format->len - 1]), INVALID,
               "strftime_now: the result is too long");
    bt_status st = bt_tout_add(&o, out, n, bt_tstr_any_data(format));
    if (!st) st = bt_tout_finish(&o, ret);
    bt_tout_done(&o);
    return st;
}

// ---- from_json ----
static bt_status convert(trun *r, json_t *js, bool data, tval *ret);

static bt_status convert_object(trun *r, json_t *js, bool data, tval *ret)
{
    BT_TRY(bt_tdict_new(r, json_object_size(js), ret));
    tdict *d = ret->dict;
    for (void *it = json_object_iter(js); it; it = json_object_iter_next(js, it)) {
        char *copy;
        size_t len = json_object_iter_key_len(it);
        BT_TRY(bt_trun_alloc(r, len + 1, 1, (void **)&copy));
        memcpy(copy, json_object_iter_key(it), len);
        tval *pair = &d->pairs[2 * d->n++]; // keys of an object are distinct
        pair[0] = (tval){.kind = K_STR, .data = data, .bytes = copy, .len = len};
        BT_TRY(convert(r, json_object_iter_value(it), data, &pair[1]));
    }
    return BT_OK;
}

static bt_status convert_inside(trun *r, json_t *js, bool data, tval *ret)
{
    if (json_is_object(js)) return convert_object(r, js, data, ret);
    BT_TRY(bt_tseq_new(r, K_LIST, json_array_size(js), ret));
    for (size_t i = 0; i < ret->seq->n; i++)
        BT_TRY(convert(r, json_array_get(js, i), data, &ret->seq->items[i]));
    return BT_OK;
}

/* Copy parsed JSON into the run, so that the document can go. */
static bt_status convert(trun *r, json_t *js, bool data, tval *ret)
{
    tval v = bt_tval_json(js, data);
    BT_TRY(bt_trun_step(r, 1));
    if (v.kind == K_STR) {
        char *copy;
        BT_TRY(bt_trun_alloc(r, v.len + 1, 1, (void **)&copy));
        memcpy(copy, v.bytes, v.len);
        v.bytes = copy;
    } else if (v.json) {
        BT_TRY(bt_trun_enter(r));
        bt_status st = convert_inside(r, js, data, &v);
        r->depth--;
        BT_TRY(st);
        v.data = data;
    }
    *ret = v;
    return BT_OK;
}

bt_status bt_template_from_json(trun *r, const tcall *c, tval *ret)
{
    const tval *s = c->self;
    json_t *doc;
    if (s->kind == K_UNDEF) return bt_tval_fail_undef(s);
    BT_FAIL_IF(s->kind != K_STR, INVALID, "from_json needs a str, not a %s", bt_tval_type(s));
    BT_FAIL_IF(s->len > FROM_JSON_BYTES_MAX, LIMIT, "from_json: %zu bytes, at most %d", s->len,
               FROM_JSON_BYTES_MAX);
    BT_TRY(bt_trun_step(r, s->len / 8));
    bt_status st = bt_json_parse(s->bytes, s->len, &doc);
    if (st) {
        bt_fail_note("from_json");
        return st == BT_FORMAT ? BT_INVALID : st;
    }
    st = convert(r, doc, bt_tstr_any_data(s), ret);
    json_decref(doc);
    return st;
}

const tbuiltin bt_template_globals[] = {{"range", "/start /stop /step", 1, g_range, NULL},
                                        {"dict", "*", 0, g_dict, NULL},
                                        {"namespace", "*", 0, g_namespace, NULL},
                                        {"raise_exception", "message", 1, g_raise, NULL},
                                        {"strftime_now", "format", 1, g_strftime, NULL},
                                        {"lipsum", "*", 0, NULL, NULL},
                                        {"cycler", "*", 0, NULL, NULL},
                                        {"joiner", "*", 0, NULL, NULL},
                                        {0}};
