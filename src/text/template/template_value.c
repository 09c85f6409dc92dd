// SPDX-License-Identifier: Apache-2.0
/* template_value: memory of a run, containers, truth, length, equality, order, membership. */
#include "text/template/template_text.h"
#include "text/template/template_call.h"
#include <inttypes.h>
#include <string.h>

bt_status bt_trun_alloc(trun *r, size_t count, size_t size, void **ret_block)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes) ||
        bytes > (size_t)(r->limits.memory_bytes_max - r->memory))
        return bt_fail(BT_LIMIT, "the template needs more than %" PRId64 " bytes of memory",
                       r->limits.memory_bytes_max);
    BT_TRY(bt_arena_array(&r->arena, count, size, ret_block));
    r->memory += (int64_t)bytes;
    return BT_OK;
}

bt_status bt_trun_step(trun *r, size_t n)
{
    if (n > (size_t)(r->limits.steps_max - r->steps))
        return bt_fail(BT_LIMIT, "the template takes more than %" PRId64 " steps",
                       r->limits.steps_max);
    r->steps += (int64_t)n;
    return BT_OK;
}

bt_status bt_trun_enter(trun *r)
{
    BT_FAIL_IF(r->depth >= r->limits.depth_max, LIMIT,
               "the template nests deeper than %" PRId64 " levels", r->limits.depth_max);
    r->depth++;
    return BT_OK;
}

tval bt_tval_undef(const char *hint)
{
    return (tval){.kind = K_UNDEF, .sub = UNDEF_HINT, .bytes = hint, .len = strlen(hint)};
}

tval bt_tval_json(json_t *js, bool data)
{
    switch (json_typeof(js)) {
    case JSON_OBJECT:
        return (tval){.kind = K_DICT, .json = true, .data = data, .js = js};
    case JSON_ARRAY:
        return (tval){.kind = K_LIST, .json = true, .data = data, .js = js};
    case JSON_STRING:
        return (tval){.kind = K_STR,
                      .data = data,
                      .bytes = json_string_value(js),
                      .len = json_string_length(js)};
    case JSON_INTEGER:
        return (tval){.kind = K_INT, .data = data, .i = json_integer_value(js)};
    case JSON_REAL:
        return (tval){.kind = K_FLOAT, .data = data, .f = json_real_value(js)};
    case JSON_TRUE:
        return (tval){.kind = K_BOOL, .data = data, .i = 1};
    case JSON_FALSE:
        return (tval){.kind = K_BOOL, .data = data};
    default:
        return (tval){.kind = K_NONE, .data = data};
    }
}

const char *bt_tval_type(const tval *v)
{
    static const char *const names[] = {[K_UNDEF] = "Undefined",
                                        [K_NONE] = "NoneType",
                                        [K_BOOL] = "bool",
                                        [K_INT] = "int",
                                        [K_FLOAT] = "float",
                                        [K_STR] = "str",
                                        [K_LIST] = "list",
                                        [K_TUPLE] = "tuple",
                                        [K_DICT] = "dict",
                                        [K_VIEW] = "dict_items",
                                        [K_RANGE] = "range",
                                        [K_ITER] = "generator",
                                        [K_NAMESPACE] = "Namespace",
                                        [K_MACRO] = "Macro",
                                        [K_METHOD] = "builtin_function_or_method",
                                        [K_FUNC] = "function",
                                        [K_LOOP] = "LoopContext"};
    if (v->kind == K_VIEW && v->sub != VIEW_ITEMS)
        return v->sub == VIEW_KEYS ? "dict_keys" : "dict_values";
    if (v->kind == K_STR && v->markup) return "Markup";
    return names[v->kind];
}

bt_status bt_tval_fail_undef(const tval *v)
{
    int n = v->len > 100 ? 100 : (int)v->len;
    switch (v->sub) {
    case UNDEF_NAME:
        return bt_fail(BT_INVALID, "'%.*s' is undefined", n, v->bytes);
    case UNDEF_ATTR:
        return bt_fail(BT_INVALID, "'%s' has no attribute '%.*s'", v->owner, n, v->bytes);
    case UNDEF_UNSAFE:
        return bt_fail(BT_INVALID, "access to attribute '%.*s' of '%s' object is unsafe", n,
                       v->bytes, v->owner);
    default:
        return bt_fail(BT_INVALID, "%.*s", n, v->bytes);
    }
}

// ---- containers ----
bt_status bt_tseq_new(trun *r, tkind kind, size_t n, tval *ret_seq)
{
    tseq *seq;
    BT_TRY(bt_trun_alloc(r, 1, sizeof *seq, (void **)&seq));
    BT_TRY(bt_trun_alloc(r, n, sizeof *seq->items, (void **)&seq->items));
    seq->n = n;
    *ret_seq = (tval){.kind = (uint8_t)kind, .seq = seq};
    return BT_OK;
}

size_t bt_tseq_len(const tval *v) { return v->json ? json_array_size(v->js) : v->seq->n; }

tval bt_tseq_at(const tval *v, size_t i)
{
    return v->json ? bt_tval_json(json_array_get(v->js, i), v->data) : v->seq->items[i];
}

bt_status bt_tdict_new(trun *r, size_t size, tval *ret_dict)
{
    tdict *d;
    BT_TRY(bt_trun_alloc(r, 1, sizeof *d, (void **)&d));
    if (size) BT_TRY(bt_trun_alloc(r, size, 2 * sizeof *d->pairs, (void **)&d->pairs));
    d->size = size;
    *ret_dict = (tval){.kind = K_DICT, .dict = d};
    return BT_OK;
}

size_t bt_tdict_len(const tval *v) { return v->json ? json_object_size(v->js) : v->dict->n; }

bt_status bt_tval_hashable(const tval *v)
{
    if (v->kind == K_LIST || v->kind == K_DICT || v->kind == K_NAMESPACE)
        return bt_fail(BT_INVALID, "unhashable type: '%s'", bt_tval_type(v));
    if (v->kind == K_TUPLE)
        for (size_t i = 0; i < v->seq->n; i++)
            if (v->seq->items[i].kind != K_TUPLE) BT_TRY(bt_tval_hashable(&v->seq->items[i]));
    return BT_OK;
}

/* The entry of a dict made by the template; a linear search, paid for in steps. */
static bt_status find_pair(trun *r, const tdict *d, const tval *key, tval **ret_value)
{
    BT_TRY(bt_tval_hashable(key));
    *ret_value = NULL;
    for (size_t i = 0; i < d->n && !*ret_value; i++) {
        const tval *k = &d->pairs[2 * i];
        bool equal;
        if (i % 8 == 7) BT_TRY(bt_trun_step(r, 1));
        if (k->kind == K_STR && key->kind == K_STR && k->len != key->len) continue;
        BT_TRY(bt_tval_equal(r, k, key, &equal));
        if (equal) *ret_value = &d->pairs[2 * i + 1];
    }
    return BT_OK;
}

bt_status bt_tdict_put(trun *r, tdict *d, const tval *key, const tval *value)
{
    tval *slot;
    BT_TRY(find_pair(r, d, key, &slot));
    if (slot) {
        *slot = *value;
        return BT_OK;
    }
    if (d->n == d->size) {
        size_t size = d->size ? d->size * 2 : 4;
        tval *pairs;
        BT_TRY(bt_trun_alloc(r, size, 2 * sizeof *pairs, (void **)&pairs));
        if (d->n) memcpy(pairs, d->pairs, d->n * 2 * sizeof *pairs);
        d->pairs = pairs;
        d->size = size;
    }
    d->pairs[2 * d->n] = *key;
    d->pairs[2 * d->n + 1] = *value;
    d->n++;
    return BT_OK;
}

bt_status bt_tdict_find(trun *r, const tval *v, const tval *key, tval *ret_value, bool *ret_found)
{
    if (v->json) {
        json_t *js = key->kind == K_STR ? json_object_getn(v->js, key->bytes, key->len) : NULL;
        if (!js) BT_TRY(bt_tval_hashable(key));
        if (js) *ret_value = bt_tval_json(js, v->data);
        *ret_found = js != NULL;
        return BT_OK;
    }
    tval *slot;
    BT_TRY(find_pair(r, v->dict, key, &slot));
    if (slot) *ret_value = *slot;
    *ret_found = slot != NULL;
    return BT_OK;
}

// ---- truth, length ----
bool bt_tval_has_len(const tval *v)
{
    return v->kind == K_UNDEF || (v->kind >= K_STR && v->kind <= K_RANGE) || v->kind == K_LOOP;
}

bt_status bt_tval_len(trun *r, const tval *v, size_t *ret_len)
{
    switch (v->kind) {
    case K_UNDEF:
        *ret_len = 0;
        return BT_OK;
    case K_STR:
        BT_TRY(bt_trun_step(r, bt_trun_cost(v->len)));
        *ret_len = bt_tstr_count(v);
        return BT_OK;
    case K_LIST:
    case K_TUPLE:
        *ret_len = bt_tseq_len(v);
        return BT_OK;
    case K_DICT:
        *ret_len = bt_tdict_len(v);
        return BT_OK;
    case K_VIEW:
        *ret_len = bt_tdict_len(v->of);
        return BT_OK;
    case K_RANGE:
        *ret_len = (size_t)v->range->n;
        return BT_OK;
    case K_LOOP:
        return bt_tloop_len(r, v->loop, ret_len);
    default:
        return bt_fail(BT_INVALID, "object of type '%s' has no len()", bt_tval_type(v));
    }
}

bt_status bt_tval_truth(trun *r, const tval *v, bool *ret_truth)
{
    size_t n = 1;
    switch (v->kind) {
    case K_UNDEF:
    case K_NONE:
        n = 0;
        break;
    case K_BOOL:
    case K_INT:
        n = v->i != 0;
        break;
    case K_FLOAT:
        n = v->f != 0;
        break;
    case K_STR:
        n = v->len;
        break;
    default:
        if (bt_tval_has_len(v)) BT_TRY(bt_tval_len(r, v, &n));
    }
    *ret_truth = n != 0;
    return BT_OK;
}

// ---- equality and order ----
static int compare_numbers(const tval *a, const tval *b) // 2: unordered
{
    if (bt_tval_is_int(a) && bt_tval_is_int(b)) return a->i < b->i ? -1 : a->i > b->i;
    long double x =
        a->kind == K_FLOAT ? (long double)a->f : (long double)a->i; // 64 bits of mantissa: exact
    long double y = b->kind == K_FLOAT ? (long double)b->f : (long double)b->i;
    return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

static int compare_texts(const tval *a, const tval *b) // UTF-8 sorts as its code points do
{
    size_t n = a->len < b->len ? a->len : b->len;
    int c = n ? memcmp(a->bytes, b->bytes, n) : 0;
    return c ? c : a->len < b->len ? -1 : a->len > b->len;
}

static bt_status equal_seqs(trun *r, const tval *a, const tval *b, bool *ret_equal)
{
    size_t n = bt_tseq_len(a);
    bool equal = n == bt_tseq_len(b);
    for (size_t i = 0; equal && i < n; i++) {
        tval x = bt_tseq_at(a, i), y = bt_tseq_at(b, i);
        BT_TRY(bt_tval_equal(r, &x, &y, &equal));
    }
    *ret_equal = equal;
    return BT_OK;
}

static bt_status equal_dicts(trun *r, const tval *a, const tval *b, bool *ret_equal)
{
    titer *it;
    bool more = true, equal = bt_tdict_len(a) == bt_tdict_len(b);
    if (equal) BT_TRY(bt_titer_open(r, a, &it));
    while (equal) {
        tval key, x, y;
        bool found;
        BT_TRY(bt_titer_next(r, it, &key, &more));
        if (!more) break;
        BT_TRY(bt_tdict_find(r, a, &key, &x, &found));
        BT_TRY(bt_tdict_find(r, b, &key, &y, &equal));
        if (equal) BT_TRY(bt_tval_equal(r, &x, &y, &equal));
    }
    *ret_equal = equal;
    return BT_OK;
}

static bt_status equal_views(trun *r, const tval *a, const tval *b, bool *ret_equal)
{
    if (a->sub != b->sub || a->sub == VIEW_VALUES) {
        *ret_equal = a->of == b->of && a->sub == b->sub;
        return BT_OK;
    }
    if (a->sub == VIEW_ITEMS) return equal_dicts(r, a->of, b->of, ret_equal);
    tval x, y; // sets of keys: equal if as many and each is found
    BT_TRY(bt_tval_list(r, a, &x));
    BT_TRY(bt_tval_list(r, b, &y));
    bool equal = x.seq->n == y.seq->n;
    for (size_t i = 0; equal && i < x.seq->n; i++)
        BT_TRY(bt_tval_contains(r, &x.seq->items[i], b->of, &equal));
    *ret_equal = equal;
    return BT_OK;
}

static bt_status equal_inside(trun *r, const tval *a, const tval *b, bool *ret_equal)
{
    switch (a->kind) {
    case K_LIST:
    case K_TUPLE:
        return equal_seqs(r, a, b, ret_equal);
    case K_DICT:
        return equal_dicts(r, a, b, ret_equal);
    case K_VIEW:
        return equal_views(r, a, b, ret_equal);
    case K_RANGE: {
        const trange *x = a->range, *y = b->range;
        *ret_equal = x->n == y->n &&
                     (x->n == 0 || (x->start == y->start && (x->n == 1 || x->step == y->step)));
        return BT_OK;
    }
    case K_METHOD:
        *ret_equal = a->builtin == b->builtin && a->of == b->of;
        return BT_OK;
    case K_FUNC:
        *ret_equal = a->builtin == b->builtin;
        return BT_OK;
    default:
        *ret_equal = a->iter == b->iter;
        return BT_OK; // identity
    }
}

bt_status bt_tval_equal(trun *r, const tval *a, const tval *b, bool *ret_equal)
{
    if (bt_tval_is_number(a) && bt_tval_is_number(b)) {
        *ret_equal = compare_numbers(a, b) == 0;
        return BT_OK;
    }
    if (a->kind != b->kind || a->kind <= K_NONE) {
        *ret_equal = a->kind == b->kind;
        return BT_OK;
    }
    if (a->kind == K_STR) {
        BT_TRY(bt_trun_step(r, a->len == b->len ? bt_trun_cost(a->len) : 0));
        *ret_equal = a->len == b->len && compare_texts(a, b) == 0;
        return BT_OK;
    }
    BT_TRY(bt_trun_step(r, 1));
    BT_TRY(bt_trun_enter(r));
    bt_status st = equal_inside(r, a, b, ret_equal);
    r->depth--;
    return st;
}

bt_status bt_tval_less(trun *r, const tval *a, const tval *b, const char *op, bool *ret_less)
{
    bool seqs = a->kind == b->kind && (a->kind == K_LIST || a->kind == K_TUPLE);
    bool or_equal = op[1] == '=', swap = op[0] == '>';
    if (a->kind == K_UNDEF) return bt_tval_fail_undef(a);
    if (b->kind == K_UNDEF) return bt_tval_fail_undef(b);
    if ((bt_tval_is_number(a) && bt_tval_is_number(b)) || (a->kind == K_STR && b->kind == K_STR)) {
        if (a->kind == K_STR)
            BT_TRY(bt_trun_step(r, bt_trun_cost(a->len < b->len ? a->len : b->len)));
        int c = a->kind == K_STR ? compare_texts(a, b) : compare_numbers(a, b);
        if (swap && c != 2) c = -c;
        *ret_less = c < 0 || (or_equal && c == 0);
        return BT_OK;
    }
    if (!seqs)
        return bt_fail(BT_INVALID, "'%s' not supported between instances of '%s' and '%s'", op,
                       bt_tval_type(a), bt_tval_type(b));
    size_t n = bt_tseq_len(a), m = bt_tseq_len(b);
    for (size_t i = 0; i < n && i < m; i++) {
        tval x = bt_tseq_at(a, i), y = bt_tseq_at(b, i);
        bool equal;
        BT_TRY(bt_tval_equal(r, &x, &y, &equal));
        if (equal) continue;
        BT_TRY(bt_trun_enter(r));
        bt_status st = bt_tval_less(r, &x, &y, op, ret_less);
        r->depth--;
        return st;
    }
    *ret_less = n == m ? or_equal : swap ? n > m : n < m;
    return BT_OK;
}

static bt_status contains_by_walk(trun *r, const tval *item, const tval *in, bool *ret_found)
{
    titer *it;
    bool more, found = false;
    BT_TRY(bt_titer_open(r, in, &it));
    while (!found) {
        tval x;
        BT_TRY(bt_titer_next(r, it, &x, &more));
        if (!more) break;
        BT_TRY(bt_tval_equal(r, &x, item, &found));
    }
    *ret_found = found;
    return BT_OK;
}

bt_status bt_tval_contains(trun *r, const tval *item, const tval *in, bool *ret_found)
{
    tval unused;
    switch (in->kind) {
    case K_STR:
        if (item->kind != K_STR)
            return bt_fail(BT_INVALID, "'in <string>' requires string as left operand, not %s",
                           bt_tval_type(item));
        BT_TRY(bt_trun_step(r, bt_trun_cost(in->len)));
        *ret_found = bt_tstr_find(in, 0, item) != SIZE_MAX;
        return BT_OK;
    case K_DICT:
        return bt_tdict_find(r, in, item, &unused, ret_found);
    case K_VIEW:
        if (in->sub == VIEW_KEYS) return bt_tdict_find(r, in->of, item, &unused, ret_found);
        break;
    case K_RANGE:
        if (bt_tval_is_int(item)) {
            const trange *g = in->range;
            int64_t last = g->n ? g->start + (g->n - 1) * g->step : 0,
                    lo = g->step > 0 ? g->start : last;
            int64_t hi = g->step > 0 ? last : g->start;
            *ret_found = g->n && item->i >= lo && item->i <= hi && (item->i - lo) % g->step == 0;
            return BT_OK;
        }
        break;
    default:
        if (!bt_tval_iterable(in))
            return bt_fail(BT_INVALID, "argument of type '%s' is not iterable", bt_tval_type(in));
    }
    return contains_by_walk(r, item, in, ret_found);
}

bool bt_tval_text_is(const tval *v, const char *text)
{
    return v->kind == K_STR && v->len == strlen(text) && memcmp(v->bytes, text, v->len) == 0;
}
