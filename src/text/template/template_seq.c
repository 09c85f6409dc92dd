// SPDX-License-Identifier: Apache-2.0
/* template_seq: filters over sequences. map, select and their kin are lazy: they return an iterator
 * that works as it is pulled and can be walked once, as in Python. */
#include "text/template/template_call.h"
#include "text/template/template_text.h"
#include <string.h>

// ---- map, select, reject ----
typedef struct lazy {
    const tbuiltin *builtin; // filter or test to apply; NULL: truth (select) or the attribute (map)
    targs args;
    const tval *path, *def;
    bool keep; // select keeps what holds, reject what does not
    bool is_map;
} lazy;

static bt_status apply(trun *r, const lazy *z, const tval *item, tval *ret)
{
    tval at = *item;
    if (z->path) BT_TRY(bt_tval_path(r, item, z->path, &at));
    if (z->def && z->def->kind != K_NONE && at.kind == K_UNDEF) at = *z->def;
    if (z->builtin) return bt_tbuiltin_call(r, z->builtin, &at, &z->args, ret);
    *ret = at;
    return BT_OK;
}

static bt_status pull_lazy(trun *r, titer *it, tval *ret_item, bool *ret_more)
{
    const lazy *z = it->state;
    for (;;) {
        tval item, result;
        bool truth;
        BT_TRY(bt_titer_next(r, it->inner, &item, ret_more));
        if (!*ret_more) return BT_OK;
        BT_TRY(apply(r, z, &item, &result));
        if (!z->is_map) BT_TRY(bt_tval_truth(r, &result, &truth));
        if (!z->is_map && truth != z->keep) continue;
        *ret_item = z->is_map ? result : item;
        return BT_OK;
    }
}

static bt_status make_lazy(trun *r, const tval *source, const lazy *z, tval *ret)
{
    titer *it;
    lazy *copy;
    BT_TRY(bt_trun_alloc(r, 1, sizeof *it, (void **)&it));
    BT_TRY(bt_trun_alloc(r, 1, sizeof *copy, (void **)&copy));
    *copy = *z;
    *it = (titer){.pull = pull_lazy, .state = copy};
    bool truth;
    tval none, input = *source;
    BT_TRY(bt_tval_truth(r, source, &truth)); // Jinja looks at nothing when the input is false
    if (!truth) {
        BT_TRY(bt_tseq_new(r, K_LIST, 0, &none));
        input = none;
    }
    BT_TRY(bt_titer_open(r, &input, &it->inner));
    *ret = (tval){.kind = K_ITER, .iter = it};
    return BT_OK;
}

static bt_status named(const tval *name, bool is_test, const tbuiltin **ret)
{
    bool text = name->kind == K_STR;
    *ret = !text     ? NULL
           : is_test ? bt_tbuiltin_test(name->bytes, name->len)
                     : bt_tbuiltin_filter(name->bytes, name->len);
    if (*ret) return BT_OK;
    return bt_fail(BT_INVALID, "there is no %s named '%.*s'", is_test ? "test" : "filter",
                   text ? (name->len > 60 ? 60 : (int)name->len) : 0, text ? name->bytes : "");
}

static bt_status f_select(trun *r, const tcall *c,
                          tval *ret) // select, reject, selectattr, rejectattr
{
    const char *name = c->builtin->name;
    bool attr = strlen(name) > 6;
    lazy z = {.keep = name[0] == 's', .args = c->rest};
    bool truth;
    BT_TRY(bt_tval_truth(r, c->self, &truth));
    BT_FAIL_IF(truth && attr && !z.args.n_pos, INVALID, "%s() misses the name of the attribute",
               name);
    if (attr && z.args.n_pos) {
        z.path = z.args.pos++;
        z.args.n_pos--;
    }
    if (z.args.n_pos) {
        BT_TRY(named(z.args.pos++, true, &z.builtin));
        z.args.n_pos--;
    }
    return make_lazy(r, c->self, &z, ret);
}

static bt_status f_map(trun *r, const tcall *c, tval *ret)
{
    lazy z = {.is_map = true, .args = c->rest};
    for (size_t i = 0; !c->rest.n_pos && i < c->rest.n_kw; i++) {
        tval key = bt_tval_text(c->rest.kw[i].name, c->rest.kw[i].len);
        if (bt_tval_text_is(&key, "attribute"))
            z.path = &c->rest.kw[i].value;
        else if (bt_tval_text_is(&key, "default"))
            z.def = &c->rest.kw[i].value;
        else
            return bt_fail(BT_INVALID, "map() got an unexpected keyword argument '%.*s'",
                           (int)key.len, key.bytes);
    }
    bool truth;
    BT_TRY(bt_tval_truth(r, c->self, &truth));
    BT_FAIL_IF(truth && !z.path && !z.args.n_pos, INVALID, "map() needs a filter or an attribute");
    if (z.args.n_pos) {
        BT_TRY(named(z.args.pos++, false, &z.builtin));
        z.args.n_pos--;
    }
    return make_lazy(r, c->self, &z, ret);
}

// ---- order ----
typedef struct keyed {
    tval item, key;
} keyed;

/* The sort key: the attribute, letters' case dropped unless it matters. */
static bt_status key_of(trun *r, const tval *item, const tval *path, bool case_sensitive, tval *ret)
{
    BT_TRY(bt_tval_path(r, item, path, ret));
    return ret->kind == K_STR && !case_sensitive ? bt_tstr_case(r, ret, CASE_LOWER, ret) : BT_OK;
}

/* The key of the sort filter: a list, as Jinja has it, of one attribute or of several ("a,b"). */
static bt_status multi_key(trun *r, const tval *item, const tval *path, bool case_sensitive,
                           tval *ret)
{
    bool text = path && path->kind == K_STR;
    size_t n = 1, k = 0, at = 0;
    tval list, part;
    for (size_t i = 0; text && i < path->len; i++) n += path->bytes[i] == ',';
    BT_TRY(bt_tseq_new(r, K_LIST, n, &list));
    if (!text) BT_TRY(key_of(r, item, path, case_sensitive, &list.seq->items[0]));
    for (size_t i = 0; text && i <= path->len; i++) {
        if (i < path->len && path->bytes[i] != ',') continue;
        part = bt_tstr_sub(path, at, i - at);
        BT_TRY(key_of(r, item, &part, case_sensitive, &list.seq->items[k++]));
        at = i + 1;
    }
    *ret = list;
    return BT_OK;
}

/* Stable merge sort; equal items keep their order, reversed or not, as Python's do. */
static bt_status merge(trun *r, keyed *v, keyed *tmp, size_t n, bool reverse)
{
    if (n < 2) return BT_OK;
    size_t half = n / 2, i = 0, j = half, k = 0;
    BT_TRY(merge(r, v, tmp, half, reverse));
    BT_TRY(merge(r, v + half, tmp, n - half, reverse));
    while (i < half && j < n) {
        bool right;
        BT_TRY(bt_trun_step(r, 1));
        BT_TRY(reverse ? bt_tval_less(r, &v[i].key, &v[j].key, "<", &right)
                       : bt_tval_less(r, &v[j].key, &v[i].key, "<", &right));
        tmp[k++] = right ? v[j++] : v[i++];
    }
    while (i < half) tmp[k++] = v[i++];
    memcpy(v, tmp, k * sizeof *v);
    return BT_OK;
}

typedef struct sort_how {
    const tval *path;
    bool case_sensitive, reverse;
    bool listed; // keys are lists, so that equal items need no order
} sort_how;

static bt_status sorted(trun *r, const tval *list, const sort_how *how, tval *ret)
{
    size_t n = list->seq->n;
    keyed *v, *tmp;
    BT_TRY(bt_trun_alloc(r, n, sizeof *v, (void **)&v));
    BT_TRY(bt_trun_alloc(r, n, sizeof *v, (void **)&tmp));
    for (size_t i = 0; i < n; i++) {
        v[i].item = list->seq->items[i];
        BT_TRY(bt_trun_step(r, 1));
        BT_TRY(how->listed ? multi_key(r, &v[i].item, how->path, how->case_sensitive, &v[i].key)
                           : key_of(r, &v[i].item, how->path, how->case_sensitive, &v[i].key));
    }
    BT_TRY(merge(r, v, tmp, n, how->reverse));
    BT_TRY(bt_tseq_new(r, K_LIST, n, ret));
    for (size_t i = 0; i < n; i++) ret->seq->items[i] = v[i].item;
    ret->data = list->data;
    return BT_OK;
}

static bt_status f_sort(trun *r, const tcall *c, tval *ret)
{
    sort_how how = {.path = c->arg[2], .listed = true};
    tval list;
    BT_TRY(bt_tcall_flag(r, c, 0, false, &how.reverse));
    BT_TRY(bt_tcall_flag(r, c, 1, false, &how.case_sensitive));
    BT_TRY(bt_tval_list(r, c->self, &list));
    return sorted(r, &list, &how, ret);
}

static bt_status f_dictsort(trun *r, const tcall *c, tval *ret)
{
    sort_how how = {0};
    const tval *by;
    tval index, list, view = {.kind = K_VIEW, .sub = VIEW_ITEMS, .of = c->self};
    BT_TRY(bt_tcall_flag(r, c, 0, false, &how.case_sensitive));
    BT_TRY(bt_tcall_str(c, 1, &by));
    BT_TRY(bt_tcall_flag(r, c, 2, false, &how.reverse));
    bool value = by && bt_tval_text_is(by, "value");
    BT_FAIL_IF(by && !value && !bt_tval_text_is(by, "key"), INVALID,
               "dictsort: by must be 'key' or 'value'");
    if (c->self->kind == K_UNDEF) return bt_tval_fail_undef(c->self);
    BT_FAIL_IF(c->self->kind != K_DICT, INVALID, "dictsort needs a mapping, not a %s",
               bt_tval_type(c->self));
    index = bt_tval_int(value);
    how.path = &index;
    BT_TRY(bt_tval_list(r, &view, &list));
    return sorted(r, &list, &how, ret);
}

static bt_status f_unique(trun *r, const tcall *c, tval *ret)
{
    bool sensitive;
    tval list, seen, item, key;
    size_t n = 0;
    BT_TRY(bt_tcall_flag(r, c, 0, false, &sensitive));
    BT_TRY(bt_tval_list(r, c->self, &list));
    BT_TRY(bt_tdict_new(r, list.seq->n, &seen));
    for (size_t i = 0; i < list.seq->n; i++) {
        item = list.seq->items[i];
        BT_TRY(key_of(r, &item, c->arg[1], sensitive, &key));
        BT_TRY(bt_tdict_put(r, seen.dict, &key, &item));
        if (seen.dict->n > n) list.seq->items[n++] = item;
    }
    list.seq->n = n;
    return bt_titer_value(r, &list, ret);
}

static bt_status f_extreme(trun *r, const tcall *c, tval *ret) // min, max
{
    bool sensitive, max = c->builtin->name[1] == 'a', better = true;
    tval list, key, best = {0};
    BT_TRY(bt_tcall_flag(r, c, 0, false, &sensitive));
    BT_TRY(bt_tval_list(r, c->self, &list));
    *ret = bt_tval_undef("No aggregated item, sequence was empty.");
    for (size_t i = 0; i < list.seq->n; i++) {
        BT_TRY(key_of(r, &list.seq->items[i], c->arg[1], sensitive, &key));
        if (i) BT_TRY(bt_tval_less(r, &key, &best, max ? ">" : "<", &better));
        if (!better) continue;
        best = key;
        *ret = list.seq->items[i];
    }
    return BT_OK;
}

static bt_status f_groupby(trun *r, const tcall *c, tval *ret)
{
    bool sensitive, equal;
    tval list, out, key, group_key = {0}, group, item;
    size_t begin = 0, k = 0;
    BT_FAIL_IF(c->arg[1], UNSUPPORTED, "groupby: the argument 'default' is not supported");
    BT_TRY(bt_tcall_flag(r, c, 2, false, &sensitive));
    BT_TRY(bt_tval_list(r, c->self, &list));
    BT_TRY(sorted(r, &list, &(sort_how){.path = c->arg[0], .case_sensitive = sensitive}, &list));
    size_t n = list.seq->n;
    BT_TRY(bt_tseq_new(r, K_LIST, n, &out));
    for (size_t i = 0; i <= n; i++) {
        equal = false;
        if (i < n) BT_TRY(key_of(r, &list.seq->items[i], c->arg[0], sensitive, &key));
        if (i < n && i > begin) BT_TRY(bt_tval_equal(r, &key, &group_key, &equal));
        if (i > begin && !equal) {
            BT_TRY(bt_tseq_new(r, K_LIST, i - begin, &group));
            memcpy(group.seq->items, list.seq->items + begin, (i - begin) * sizeof group);
            BT_TRY(bt_tseq_new(r, K_TUPLE, 2, &item));
            BT_TRY(bt_tval_path(r, &list.seq->items[begin], c->arg[0], &item.seq->items[0]));
            item.seq->items[1] = group;
            out.seq->items[k++] = item;
            begin = i;
        }
        group_key = key;
    }
    out.seq->n = k;
    *ret = out;
    return BT_OK;
}

// ---- parts ----
static bt_status f_first(trun *r, const tcall *c, tval *ret)
{
    titer *it;
    bool more;
    tval item;
    BT_TRY(bt_titer_open(r, c->self, &it));
    BT_TRY(bt_titer_next(r, it, &item, &more));
    *ret = more ? item : bt_tval_undef("No first item, sequence was empty.");
    return BT_OK;
}

static bt_status check_reversible(const tval *v)
{
    if (v->kind == K_UNDEF) return bt_tval_fail_undef(v);
    BT_FAIL_IF(v->kind < K_STR || v->kind == K_ITER || !bt_tval_iterable(v), INVALID,
               "'%s' object is not reversible", bt_tval_type(v));
    return BT_OK;
}

static bt_status f_last(trun *r, const tcall *c, tval *ret)
{
    tval list;
    if (c->self->kind != K_UNDEF) BT_TRY(check_reversible(c->self));
    BT_TRY(bt_tval_list(r, c->self, &list));
    *ret = list.seq->n ? list.seq->items[list.seq->n - 1]
                       : bt_tval_undef("No last item, sequence was empty.");
    return BT_OK;
}

static bt_status f_reverse(trun *r, const tcall *c, tval *ret)
{
    tval list, bounds[3] = {bt_tval_none(), bt_tval_none(), bt_tval_int(-1)};
    if (c->self->kind == K_STR) return bt_tval_slice(r, c->self, bounds, ret);
    if (c->self->kind != K_ITER && c->self->kind != K_UNDEF) BT_TRY(check_reversible(c->self));
    BT_TRY(bt_tval_list(r, c->self, &list)); // Jinja makes a list of what is not reversible
    BT_TRY(bt_tval_slice(r, &list, bounds, &list));
    if (c->self->kind == K_ITER) *ret = list;
    return c->self->kind == K_ITER ? BT_OK : bt_titer_value(r, &list, ret);
}

static bt_status f_list(trun *r, const tcall *c, tval *ret)
{
    return bt_tval_list(r, c->self, ret);
}

static bt_status f_items(trun *r, const tcall *c, tval *ret)
{
    tval list, view = {.kind = K_VIEW, .sub = VIEW_ITEMS, .of = c->self};
    if (c->self->kind == K_UNDEF)
        view = *c->self;
    else
        BT_FAIL_IF(c->self->kind != K_DICT, INVALID, "can only get item pairs from a mapping");
    BT_TRY(bt_tval_list(r, &view, &list));
    return bt_titer_value(r, &list, ret);
}

static bt_status f_length(trun *r, const tcall *c, tval *ret)
{
    size_t n;
    BT_TRY(bt_tval_len(r, c->self, &n));
    *ret = bt_tval_int((int64_t)n);
    ret->data = c->self->data;
    return BT_OK;
}

static bt_status f_sum(trun *r, const tcall *c, tval *ret)
{
    tval list, item, total = c->arg[1] ? *c->arg[1] : bt_tval_int(0);
    BT_FAIL_IF(total.kind == K_STR, INVALID, "sum() can't sum strings");
    BT_TRY(bt_tval_list(r, c->self, &list));
    for (size_t i = 0; i < list.seq->n; i++) {
        const tval *path = c->arg[0] && c->arg[0]->kind != K_NONE ? c->arg[0] : NULL;
        BT_TRY(bt_tval_path(r, &list.seq->items[i], path, &item));
        BT_TRY(bt_trun_step(r, 1));
        BT_TRY(bt_tval_binary(r, OP_ADD, &total, &item, &total));
    }
    *ret = total;
    return BT_OK;
}

static bt_status f_join(trun *r, const tcall *c, tval *ret)
{
    tout o = {.run = r};
    titer *it;
    tval item, sep = bt_tval_text("", 0);
    const tval *path = c->arg[1] && c->arg[1]->kind != K_NONE ? c->arg[1] : NULL;
    bool more = true, first = true;
    if (c->arg[0]) BT_TRY(bt_tval_str(r, c->arg[0], &sep));
    bt_status st = bt_titer_open(r, c->self, &it);
    for (; !st; first = false) {
        if ((st = bt_titer_next(r, it, &item, &more)) || !more) break;
        if (!first) st = bt_tout_str(&o, &sep);
        if (!st) st = bt_tval_path(r, &item, path, &item);
        if (!st) st = bt_tval_print(&o, &item);
    }
    if (!st) st = bt_tout_finish(&o, ret);
    bt_tout_done(&o);
    return st;
}

static bt_status f_batch(trun *r, const tcall *c, tval *ret)
{
    int64_t width;
    tval list, out, row;
    BT_TRY(bt_tcall_int(c, 0, 0, &width));
    BT_TRY(bt_tval_list(r, c->self, &list));
    BT_FAIL_IF(width <= 0, INVALID, "batch: linecount is %lld, at least 1", (long long)width);
    size_t n = list.seq->n, w = (size_t)width;
    size_t rows = n / w + (n % w != 0);
    BT_TRY(bt_tseq_new(r, K_LIST, rows, &out));
    for (size_t i = 0; i < rows; i++) {
        size_t have = n - i * w < w ? n - i * w : w;
        bool fill = have < w && c->arg[1] && c->arg[1]->kind != K_NONE;
        BT_TRY(bt_trun_step(r, fill ? w / 8 : 1));
        BT_TRY(bt_tseq_new(r, K_LIST, fill ? w : have, &row));
        for (size_t k = 0; k < row.seq->n; k++)
            row.seq->items[k] = k < have ? list.seq->items[i * w + k] : *c->arg[1];
        out.seq->items[i] = row;
    }
    return bt_titer_value(r, &out, ret);
}

static bt_status f_slice(trun *r, const tcall *c, tval *ret)
{
    int64_t slices;
    tval list, out, row;
    BT_TRY(bt_tcall_int(c, 0, 0, &slices));
    BT_TRY(bt_tval_list(r, c->self, &list));
    BT_FAIL_IF(slices <= 0 || slices > 100000, INVALID, "slice: slices is %lld, 1 to 100000",
               (long long)slices);
    size_t count = (size_t)slices, per = list.seq->n / count, extra = list.seq->n % count, at = 0;
    BT_TRY(bt_trun_step(r, count));
    BT_TRY(bt_tseq_new(r, K_LIST, count, &out));
    for (size_t i = 0; i < count; i++) {
        size_t have = per + (i < extra);
        bool fill = c->arg[1] && c->arg[1]->kind != K_NONE && i >= extra;
        BT_TRY(bt_tseq_new(r, K_LIST, have + fill, &row));
        if (have) memcpy(row.seq->items, list.seq->items + at, have * sizeof row);
        if (fill) row.seq->items[have] = *c->arg[1];
        at += have;
        out.seq->items[i] = row;
    }
    return bt_titer_value(r, &out, ret);
}

const tbuiltin bt_template_seq_filters[] = {
    {"map", "*", 0, f_map, NULL},
    {"select", "*", 0, f_select, NULL},
    {"reject", "*", 0, f_select, NULL},
    {"selectattr", "*", 0, f_select, NULL},
    {"rejectattr", "*", 0, f_select, NULL},
    {"sort", "reverse case_sensitive attribute", 0, f_sort, NULL},
    {"dictsort", "case_sensitive by reverse", 0, f_dictsort, NULL},
    {"unique", "case_sensitive attribute", 0, f_unique, NULL},
    {"min", "case_sensitive attribute", 0, f_extreme, NULL},
    {"max", "case_sensitive attribute", 0, f_extreme, NULL},
    {"groupby", "attribute default case_sensitive", 1, f_groupby, NULL},
    {"first", "", 0, f_first, NULL},
    {"last", "", 0, f_last, NULL},
    {"reverse", "", 0, f_reverse, NULL},
    {"list", "", 0, f_list, NULL},
    {"items", "", 0, f_items, NULL},
    {"length", "", 0, f_length, NULL},
    {"count", "", 0, f_length, NULL},
    {"sum", "attribute start", 0, f_sum, NULL},
    {"join", "d attribute", 0, f_join, NULL},
    {"batch", "linecount fill_with", 1, f_batch, NULL},
    {"slice", "slices fill_with", 1, f_slice, NULL},
    {0}};
