// SPDX-License-Identifier: Apache-2.0
/* template_call: binding arguments to the parameters of builtins; attributes and items of values.
 *
 * The sandbox is here: an attribute is an entry of the data, or a row of a method table; rows of
 * methods that would change a value exist only to be refused by name. */
#include "text/template/template_call.h"
#include "text/template/template_text.h"
#include <inttypes.h>
#include <string.h>

static const tbuiltin *find_row(const tbuiltin *table, const char *name, size_t len)
{
    for (; table->name; table++)
        if (strlen(table->name) == len && memcmp(table->name, name, len) == 0) return table;
    return NULL;
}

const tbuiltin *bt_tbuiltin_filter(const char *name, size_t len)
{
    const tbuiltin *b = find_row(bt_template_text_filters, name, len);
    return b ? b : find_row(bt_template_seq_filters, name, len);
}

const tbuiltin *bt_tbuiltin_test(const char *name, size_t len)
{
    return find_row(bt_template_tests, name, len);
}
const tbuiltin *bt_tbuiltin_global(const char *name, size_t len)
{
    return find_row(bt_template_globals, name, len);
}

// ---- binding ----
static int find_param(const char *params, const tkeyword *kw, int *ret_count)
{
    int i = 0, found = -1;
    for (const char *p = params; *p; i++) {
        size_t n = strcspn(p, " ");
        if (n == kw->len && memcmp(p, kw->name, n) == 0) found = i;
        p += n;
        while (*p == ' ') p++;
    }
    *ret_count = i;
    return found;
}

static bt_status bind_args(const tbuiltin *b, const targs *args, tcall *call)
{
    int count;
    find_param(b->params, &(tkeyword){.name = ""}, &count);
    if (args->n_pos > (size_t)count)
        return bt_fail(BT_INVALID, "%s() takes at most %d arguments, %zu given", b->name, count,
                       args->n_pos);
    for (size_t i = 0; i < args->n_pos; i++) call->arg[i] = &args->pos[i];
    for (size_t i = 0; i < args->n_kw; i++) {
        const tkeyword *kw = &args->kw[i];
        int at = find_param(b->params, kw, &count), n = kw->len > 60 ? 60 : (int)kw->len;
        if (at < 0)
            return bt_fail(BT_INVALID, "%s() got an unexpected keyword argument '%.*s'", b->name, n,
                           kw->name);
        if (call->arg[at])
            return bt_fail(BT_INVALID, "%s() got multiple values for argument '%.*s'", b->name, n,
                           kw->name);
        call->arg[at] = &kw->value;
    }
    for (int i = 0; i < b->n_required; i++)
        if (!call->arg[i])
            return bt_fail(BT_INVALID, "%s() misses its argument %d of %d", b->name, i + 1, count);
    return BT_OK;
}

bt_status bt_tbuiltin_call(trun *r, const tbuiltin *b, const tval *self, const targs *args,
                           tval *ret_value)
{
    tcall call = {.builtin = b, .self = self, .rest = *args};
    if (!b->fn)
        return bt_fail(BT_UNSUPPORTED, "'%s' %s", b->name, b->why ? b->why : "is not supported");
    if (b->params[0] != '*') BT_TRY(bind_args(b, args, &call));
    BT_TRY(bt_trun_enter(r));
    bt_status st = b->fn(r, &call, ret_value);
    r->depth--;
    return st;
}

bt_status bt_tval_call(trun *r, const tval *callee, const targs *args, tval *ret_value)
{
    switch (callee->kind) {
    case K_METHOD:
        return bt_tbuiltin_call(r, callee->builtin, callee->of, args, ret_value);
    case K_FUNC:
        return bt_tbuiltin_call(r, callee->builtin, NULL, args, ret_value);
    case K_MACRO:
        return bt_tmacro_call(r, callee->macro, args, ret_value);
    case K_LOOP:
        return bt_tloop_call(r, callee->loop, args, ret_value);
    case K_UNDEF:
        return bt_tval_fail_undef(callee);
    default:
        return bt_fail(BT_INVALID, "'%s' object is not callable", bt_tval_type(callee));
    }
}

bt_status bt_tcall_flag(trun *r, const tcall *c, int i, bool def, bool *ret_flag)
{
    *ret_flag = def;
    return c->arg[i] ? bt_tval_truth(r, c->arg[i], ret_flag) : BT_OK;
}

bt_status bt_tcall_int(const tcall *c, int i, int64_t def, int64_t *ret_int)
{
    const tval *v = c->arg[i];
    *ret_int = def;
    if (!v) return BT_OK;
    if (v->kind == K_UNDEF) return bt_tval_fail_undef(v);
    if (!bt_tval_is_int(v))
        return bt_fail(BT_INVALID, "%s: argument %d is a %s, not an integer", c->builtin->name,
                       i + 1, bt_tval_type(v));
    *ret_int = v->i;
    return BT_OK;
}

bt_status bt_tcall_str(const tcall *c, int i, const tval **ret_str)
{
    const tval *v = c->arg[i];
    if (v && v->kind == K_UNDEF) return bt_tval_fail_undef(v);
    if (v && v->kind != K_STR)
        return bt_fail(BT_INVALID, "%s: argument %d is a %s, not a str", c->builtin->name, i + 1,
                       bt_tval_type(v));
    *ret_str = v;
    return BT_OK;
}

// ---- methods of containers ----
static bt_status keep(trun *r, const tval *v,
                      const tval **ret_kept) // views and methods outlive the caller's copy
{
    tval *copy;
    BT_TRY(bt_trun_alloc(r, 1, sizeof *copy, (void **)&copy));
    *copy = *v;
    *ret_kept = copy;
    return BT_OK;
}

static bt_status make_view(trun *r, const tval *self, int what, tval *ret)
{
    tval view = {.kind = K_VIEW, .sub = (uint8_t)what, .data = self->data};
    BT_TRY(keep(r, self, &view.of));
    *ret = view;
    return BT_OK;
}

static bt_status m_items(trun *r, const tcall *c, tval *ret)
{
    return make_view(r, c->self, VIEW_ITEMS, ret);
}
static bt_status m_keys(trun *r, const tcall *c, tval *ret)
{
    return make_view(r, c->self, VIEW_KEYS, ret);
}
static bt_status m_values(trun *r, const tcall *c, tval *ret)
{
    return make_view(r, c->self, VIEW_VALUES, ret);
}

static bt_status m_get(trun *r, const tcall *c, tval *ret)
{
    bool found;
    tval value = c->arg[1] ? *c->arg[1] : bt_tval_none();
    BT_TRY(bt_tdict_find(r, c->self, c->arg[0], &value, &found));
    *ret = value;
    return BT_OK;
}

static bt_status m_copy(trun *r, const tcall *c,
                        tval *ret) // values do not change: any copy is as good
{
    (void)r;
    *ret = *c->self;
    return BT_OK;
}

static bt_status m_index_or_count(trun *r, const tcall *c, tval *ret)
{
    int64_t n = 0;
    bool index = c->builtin->name[0] == 'i';
    for (size_t i = 0; i < bt_tseq_len(c->self); i++) {
        tval item = bt_tseq_at(c->self, i);
        bool equal;
        BT_TRY(bt_trun_step(r, 1));
        BT_TRY(bt_tval_equal(r, &item, c->arg[0], &equal));
        n += equal;
        if (!equal || !index) continue;
        *ret = bt_tval_int((int64_t)i);
        return BT_OK;
    }
    BT_FAIL_IF(index, INVALID, "index(): the value is not in the list");
    *ret = bt_tval_int(n);
    return BT_OK;
}

static const char refused[] = "would change a value, which the sandbox does not allow";
#define REFUSED(name)                                                                              \
    {                                                                                              \
        name, "*", 0, NULL, refused                                                                \
    }

static const tbuiltin dict_methods[] = {{"get", "/key /default", 1, m_get, NULL},
                                        {"items", "", 0, m_items, NULL},
                                        {"keys", "", 0, m_keys, NULL},
                                        {"values", "", 0, m_values, NULL},
                                        {"copy", "", 0, m_copy, NULL},
                                        {"fromkeys", "*", 0, NULL, NULL},
                                        REFUSED("clear"),
                                        REFUSED("pop"),
                                        REFUSED("popitem"),
                                        REFUSED("setdefault"),
                                        REFUSED("update"),
                                        {0}};

static const tbuiltin list_methods[] = {{"index", "/value", 1, m_index_or_count, NULL},
                                        {"count", "/value", 1, m_index_or_count, NULL},
                                        {"copy", "", 0, m_copy, NULL},
                                        REFUSED("append"),
                                        REFUSED("clear"),
                                        REFUSED("pop"),
                                        REFUSED("reverse"),
                                        REFUSED("insert"),
                                        REFUSED("sort"),
                                        REFUSED("extend"),
                                        REFUSED("remove"),
                                        {0}};

static const tbuiltin tuple_methods[] = {{"index", "/value", 1, m_index_or_count, NULL},
                                         {"count", "/value", 1, m_index_or_count, NULL},
                                         {0}};

const tbuiltin *bt_tbuiltin_method(const tval *self, const char *name, size_t len)
{
    switch (self->kind) {
    case K_STR:
        return find_row(bt_template_str_methods, name, len);
    case K_DICT:
        return find_row(dict_methods, name, len);
    case K_LIST:
        return find_row(list_methods, name, len);
    case K_TUPLE:
        return find_row(tuple_methods, name, len);
    default:
        return NULL;
    }
}

// ---- attributes ----
static const char *owner_name(const tval *v)
{
    static const char *const names[] = {[K_UNDEF] = "Undefined object",
                                        [K_NONE] = "None",
                                        [K_BOOL] = "bool object",
                                        [K_INT] = "int object",
                                        [K_FLOAT] = "float object",
                                        [K_STR] = "str object",
                                        [K_LIST] = "list object",
                                        [K_TUPLE] = "tuple object",
                                        [K_DICT] = "dict object",
                                        [K_VIEW] = "dict view object",
                                        [K_RANGE] = "range object",
                                        [K_ITER] = "generator object",
                                        [K_NAMESPACE] = "namespace object",
                                        [K_MACRO] = "macro object",
                                        [K_METHOD] = "method object",
                                        [K_FUNC] = "function object",
                                        [K_LOOP] = "loop object"};
    return names[v->kind];
}

static tval undef_attr(const tval *v, const char *name, size_t len)
{
    return (tval){
        .kind = K_UNDEF, .sub = UNDEF_ATTR, .bytes = name, .len = len, .owner = owner_name(v)};
}

/* What getattr() finds: methods, loop variables, namespace entries. */
static bt_status own_attr(trun *r, const tval *v, const char *name, size_t len, tval *ret,
                          bool *ret_found)
{
    tval key = bt_tval_text(name, len), value = {.kind = K_METHOD};
    bool dunder = len > 4 && name[0] == '_' && name[1] == '_';
    *ret_found = true;
    if (v->kind == K_LOOP) return bt_tloop_attr(r, v->loop, name, len, ret, ret_found);
    if (v->kind == K_NAMESPACE && !dunder) {
        tval dict = {.kind = K_DICT, .dict = v->dict};
        return bt_tdict_find(r, &dict, &key, ret, ret_found);
    }
    if (v->kind == K_MACRO && len == 4 && memcmp(name, "name", 4) == 0) {
        *ret = bt_tmacro_name(v->macro);
        return BT_OK;
    }
    value.builtin = bt_tbuiltin_method(v, name, len);
    if ((value.builtin && value.builtin->why == refused) ||
        (dunder && name[len - 1] == '_' && v->kind != K_DICT)) {
        *ret = (tval){.kind = K_UNDEF,
                      .sub = UNDEF_UNSAFE,
                      .bytes = name,
                      .len = len,
                      .owner = owner_name(v)};
        return BT_OK;
    }
    *ret_found = value.builtin != NULL;
    if (!value.builtin) return BT_OK;
    BT_TRY(keep(r, v, &value.of));
    *ret = value;
    return BT_OK;
}

bt_status bt_tval_attr(trun *r, const tval *v, const char *name, size_t len, tval *ret_value)
{
    bool found;
    tval value, key = bt_tval_text(name, len);
    if (v->kind == K_UNDEF) return bt_tval_fail_undef(v);
    BT_TRY(own_attr(r, v, name, len, &value, &found));
    if (!found && v->kind == K_DICT) BT_TRY(bt_tdict_find(r, v, &key, &value, &found));
    *ret_value = found ? value : undef_attr(v, name, len);
    return BT_OK;
}

static bt_status index_seq(trun *r, const tval *v, int64_t i, tval *ret, bool *ret_found)
{
    size_t n;
    BT_TRY(bt_tval_len(r, v, &n));
    if (i < 0) i += (int64_t)n;
    *ret_found = i >= 0 && i < (int64_t)n;
    if (!*ret_found) return BT_OK;
    if (v->kind == K_RANGE)
        *ret = bt_tval_int(v->range->start + i * v->range->step);
    else if (v->kind != K_STR)
        *ret = bt_tseq_at(v, (size_t)i);
    else {
        size_t at = bt_tstr_offset(v, (size_t)i), k;
        bt_tcode_at(v->bytes + at, v->len - at, &k);
        *ret = bt_tstr_sub(v, at, k);
    }
    return BT_OK;
}

bt_status bt_tval_item(trun *r, const tval *v, const tval *key, tval *ret_value)
{
    bool found = false,
         seq = v->kind == K_LIST || v->kind == K_TUPLE || v->kind == K_STR || v->kind == K_RANGE;
    tval value;
    if (v->kind == K_UNDEF) return bt_tval_fail_undef(v);
    if (seq && bt_tval_is_int(key)) BT_TRY(index_seq(r, v, key->i, &value, &found));
    if (v->kind == K_DICT && key->kind != K_LIST && key->kind != K_DICT)
        BT_TRY(bt_tdict_find(r, v, key, &value, &found));
    if (!found && key->kind == K_STR) BT_TRY(own_attr(r, v, key->bytes, key->len, &value, &found));
    if (found)
        *ret_value = value;
    else
        *ret_value = key->kind == K_STR ? undef_attr(v, key->bytes, key->len)
                                        : bt_tval_undef("there is no such element");
    return BT_OK;
}

bt_status bt_tval_path(trun *r, const tval *v, const tval *path, tval *ret_value)
{
    tval at = *v;
    if (path && path->kind != K_STR && path->kind != K_NONE)
        return bt_tval_item(r, v, path, ret_value);
    for (size_t i = 0; path && path->kind == K_STR && i <= path->len;) {
        const char *dot = i < path->len ? memchr(path->bytes + i, '.', path->len - i) : NULL;
        size_t end = dot ? (size_t)(dot - path->bytes) : path->len, digits = 0;
        tval key = bt_tstr_sub(path, i, end - i);
        while (digits < key.len && key.bytes[digits] >= '0' && key.bytes[digits] <= '9') digits++;
        if (digits == key.len && digits > 0 && digits < 18) {
            int64_t n = 0;
            for (size_t k = 0; k < digits; k++) n = n * 10 + (key.bytes[k] - '0');
            key = bt_tval_int(n);
        }
        BT_TRY(bt_trun_step(r, 1));
        BT_TRY(bt_tval_item(r, &at, &key, &at));
        i = end + 1;
    }
    *ret_value = at;
    return BT_OK;
}

// ---- slices ----
/* Python's PySlice_AdjustIndices: clamp a bound into the sequence. */
static int64_t clamp(int64_t i, int64_t n, bool down)
{
    if (i < 0)
        i = i < -n ? -1 : i + n;
    else if (i >= n)
        return down ? n - 1 : n;
    else
        return i;
    return i < 0 ? (down ? -1 : 0) : i;
}

static bt_status slice_str(trun *r, const tval *v, const int64_t *at,
                           tval *ret) // at: first, step, count
{
    tout o = {.run = r};
    bt_status st = BT_OK;
    size_t *offsets = NULL, n = bt_tstr_count(v), k = 0;
    if (at[1] == 1) {
        size_t begin = bt_tstr_offset(v, (size_t)at[0]);
        tval tail = bt_tstr_sub(v, begin, v->len - begin);
        *ret = bt_tstr_sub(&tail, 0, bt_tstr_offset(&tail, (size_t)at[2]));
        return BT_OK;
    }
    BT_TRY(bt_trun_alloc(r, n + 1, sizeof *offsets, (void **)&offsets));
    for (size_t i = 0; i < v->len; i++)
        if ((v->bytes[i] & 0xC0) != 0x80) offsets[k++] = i;
    offsets[k] = v->len;
    for (int64_t i = 0, j = at[0]; i < at[2] && !st; i++, j += at[1]) {
        st = bt_trun_step(r, 1);
        if (!st) st = bt_tout_part(&o, v, offsets[j], offsets[j + 1] - offsets[j]);
    }
    if (!st) st = bt_tout_finish(&o, ret);
    bt_tout_done(&o);
    if (!st) ret->markup = v->markup;
    return st;
}

static bt_status slice_bounds(const tval *bounds, int64_t n, int64_t *ret_at)
{
    int64_t b[3] = {0, 0, 1};
    for (int i = 0; i < 3; i++) {
        if (bounds[i].kind == K_UNDEF) return bt_tval_fail_undef(&bounds[i]);
        if (bounds[i].kind == K_NONE) continue;
        if (!bt_tval_is_int(&bounds[i]))
            return bt_fail(BT_INVALID, "slice indices must be integers or None, not %s",
                           bt_tval_type(&bounds[i]));
        b[i] = bounds[i].i;
    }
    BT_FAIL_IF(b[2] == 0, INVALID, "slice step cannot be zero");
    bool down = b[2] < 0;
    if (b[2] < -INT32_MAX) b[2] = -INT32_MAX; // a step past any length is as good as any other
    if (b[2] > INT32_MAX) b[2] = INT32_MAX;
    int64_t start = bounds[0].kind == K_NONE ? (down ? n - 1 : 0) : clamp(b[0], n, down);
    int64_t stop = bounds[1].kind == K_NONE ? (down ? -1 : n) : clamp(b[1], n, down);
    int64_t span = down ? start - stop : stop - start, step = down ? -b[2] : b[2];
    ret_at[0] = start;
    ret_at[1] = b[2];
    ret_at[2] = span > 0 ? (span + step - 1) / step : 0;
    ret_at[3] = stop;
    return BT_OK;
}

bt_status bt_tval_slice(trun *r, const tval *v, const tval *bounds, tval *ret_value)
{
    size_t n;
    int64_t at[4] = {0}; // first, step, count, stop
    tval seq;
    if (v->kind == K_UNDEF) return bt_tval_fail_undef(v);
    BT_FAIL_IF(v->kind != K_STR && v->kind != K_LIST && v->kind != K_TUPLE && v->kind != K_RANGE,
               INVALID, "'%s' object cannot be sliced", bt_tval_type(v));
    BT_TRY(bt_tval_len(r, v, &n));
    BT_TRY(slice_bounds(bounds, (int64_t)n, at));
    if (v->kind == K_STR) return slice_str(r, v, at, ret_value);
    if (v->kind == K_RANGE) {
        const trange *g = v->range;
        trange *sub;
        BT_TRY(bt_trun_alloc(r, 1, sizeof *sub, (void **)&sub));
        *sub = (trange){.start = g->start + at[0] * g->step, .step = g->step * at[1], .n = at[2]};
        sub->stop = g->start + at[3] * g->step;
        *ret_value = (tval){.kind = K_RANGE, .data = v->data, .range = sub};
        return BT_OK;
    }
    BT_TRY(bt_trun_step(r, (size_t)at[2] / 8));
    BT_TRY(bt_tseq_new(r, v->kind, (size_t)at[2], &seq));
    for (int64_t i = 0; i < at[2]; i++)
        seq.seq->items[i] = bt_tseq_at(v, (size_t)(at[0] + i * at[1]));
    seq.data = v->data;
    *ret_value = seq;
    return BT_OK;
}
