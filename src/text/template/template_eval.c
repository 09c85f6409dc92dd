// SPDX-License-Identifier: Apache-2.0
/* template_eval: expression trees to values. The first node that fails notes its place. */
#include "text/template/template_call.h"
#include "text/template/template_text.h"
#include <string.h>

static bt_status eval_name(trun *r, const tnode *n, tval *ret)
{
    const char *name = r->tmpl->symbols[n->symbol];
    size_t len = strlen(name);
    json_t *js = NULL;
    for (const tscope *s = r->scope; s; s = s->parent)
        for (uint32_t i = 0; i < s->n; i++)
            if (s->vars[i].symbol == n->symbol) {
                *ret = s->vars[i].value;
                return BT_OK;
            }
    if ((js = json_object_getn(r->data, name, len))) {
        *ret = bt_tval_json(js, true);
        return BT_OK;
    }
    if ((js = json_object_getn(r->trusted, name, len))) {
        *ret = bt_tval_json(js, false);
        return BT_OK;
    }
    const tbuiltin *b = bt_tbuiltin_global(name, len);
    *ret = b ? (tval){.kind = K_FUNC, .builtin = b}
             : (tval){.kind = K_UNDEF, .sub = UNDEF_NAME, .bytes = name, .len = len};
    return BT_OK;
}

static bt_status eval_seq(trun *r, const tnode *n, tkind kind, tval *ret)
{
    tval seq;
    size_t i = 0;
    BT_TRY(bt_tseq_new(r, kind, n->n, &seq));
    for (const tnode *item = n->list; item; item = item->next)
        BT_TRY(bt_teval(r, item, &seq.seq->items[i++]));
    *ret = seq;
    return BT_OK;
}

static bt_status eval_dict(trun *r, const tnode *n, tval *ret)
{
    tval dict, key, value;
    BT_TRY(bt_tdict_new(r, n->n, &dict));
    for (const tnode *pair = n->list; pair; pair = pair->next) {
        BT_TRY(bt_teval(r, pair->a, &key));
        BT_TRY(bt_teval(r, pair->b, &value));
        BT_TRY(bt_tdict_put(r, dict.dict, &key, &value));
    }
    *ret = dict;
    return BT_OK;
}

static bt_status eval_item(trun *r, const tnode *n, tval *ret)
{
    tval object, key;
    BT_TRY(bt_teval(r, n->a, &object));
    if (n->b->type == N_SLICE) {
        const tnode *part[3] = {n->b->a, n->b->b, n->b->c};
        tval bounds[3];
        for (int i = 0; i < 3; i++) {
            bounds[i] = bt_tval_none();
            if (part[i]) BT_TRY(bt_teval(r, part[i], &bounds[i]));
        }
        return bt_tval_slice(r, &object, bounds, ret);
    }
    BT_TRY(bt_teval(r, n->b, &key));
    return bt_tval_item(r, &object, &key, ret);
}

// ---- arguments ----
static bt_status spread_keywords(trun *r, const tnode *dyn, tkeyword **kw, size_t *n_kw)
{
    tval dict, pairs;
    BT_TRY(bt_teval(r, dyn, &dict));
    BT_FAIL_IF(dict.kind != K_DICT, INVALID, "the argument after ** must be a mapping, not %s",
               bt_tval_type(&dict));
    tval view = {.kind = K_VIEW, .sub = VIEW_ITEMS, .of = &dict};
    BT_TRY(bt_tval_list(r, &view, &pairs));
    tkeyword *all;
    size_t n = *n_kw;
    BT_TRY(bt_trun_alloc(r, n + pairs.seq->n, sizeof *all, (void **)&all));
    if (n) memcpy(all, *kw, n * sizeof *all);
    for (size_t i = 0; i < pairs.seq->n; i++) {
        const tval *pair = pairs.seq->items[i].seq->items;
        BT_FAIL_IF(pair[0].kind != K_STR, INVALID, "keywords must be strings, not %s",
                   bt_tval_type(&pair[0]));
        all[n++] = (tkeyword){.name = pair[0].bytes, .len = pair[0].len, .value = pair[1]};
    }
    *kw = all;
    *n_kw = n;
    return BT_OK;
}

bt_status bt_teval_args(trun *r, const tcallargs *a, targs *ret_args)
{
    tval *pos = NULL, more = {0};
    tkeyword *kw = NULL;
    size_t n = 0, n_kw = 0, n_more = 0;
    if (!a) {
        *ret_args = (targs){0};
        return BT_OK;
    }
    if (a->n_pos) BT_TRY(bt_trun_alloc(r, a->n_pos, sizeof *pos, (void **)&pos));
    for (const tnode *p = a->pos; p; p = p->next) BT_TRY(bt_teval(r, p, &pos[n++]));
    if (a->n_kw) BT_TRY(bt_trun_alloc(r, a->n_kw, sizeof *kw, (void **)&kw));
    for (const tnode *p = a->kw; p; p = p->next) {
        kw[n_kw] = (tkeyword){.name = p->text, .len = p->len};
        BT_TRY(bt_teval(r, p->a, &kw[n_kw++].value));
    }
    if (a->dyn_pos) {
        BT_TRY(bt_teval(r, a->dyn_pos, &more));
        BT_TRY(bt_tval_list(r, &more, &more));
        n_more = more.seq->n;
    }
    if (n_more) {
        tval *all;
        BT_TRY(bt_trun_alloc(r, n + n_more, sizeof *all, (void **)&all));
        if (n) memcpy(all, pos, n * sizeof *all);
        memcpy(all + n, more.seq->items, n_more * sizeof *all);
        pos = all;
        n += n_more;
    }
    if (a->dyn_kw) BT_TRY(spread_keywords(r, a->dyn_kw, &kw, &n_kw));
    *ret_args = (targs){.pos = pos, .n_pos = n, .kw = kw, .n_kw = n_kw};
    return BT_OK;
}

static bt_status eval_call(trun *r, const tnode *n, tval *ret)
{
    tval callee;
    targs args;
    BT_TRY(bt_teval(r, n->a, &callee));
    BT_TRY(bt_teval_args(r, n->args, &args));
    return bt_tval_call(r, &callee, &args, ret);
}

bt_status bt_tval_apply_filter(trun *r, const tnode *n, const tval *input, tval *ret_value)
{
    targs args;
    tval first = *input;
    if (n->a)
        BT_TRY(bt_tval_apply_filter(r, n->a, input, &first)); // a chain on a block: innermost first
    if (!n->builtin)
        return bt_fail(BT_INVALID, "there is no filter named '%.*s'", (int)n->len, n->text);
    BT_TRY(bt_teval_args(r, n->args, &args));
    return bt_tbuiltin_call(r, n->builtin, &first, &args, ret_value);
}

static bt_status eval_filter_or_test(trun *r, const tnode *n, tval *ret)
{
    tval input;
    targs args;
    BT_TRY(bt_teval(r, n->a, &input));
    if (!n->builtin)
        return bt_fail(BT_INVALID, "there is no %s named '%.*s'",
                       n->type == N_FILTER ? "filter" : "test", (int)n->len, n->text);
    BT_TRY(bt_teval_args(r, n->args, &args));
    return bt_tbuiltin_call(r, n->builtin, &input, &args, ret);
}

// ---- operators ----
static bt_status eval_truth(trun *r, const tnode *n, bool *ret_truth)
{
    tval v;
    BT_TRY(bt_teval(r, n, &v));
    if (v.kind == K_UNDEF && v.sub == UNDEF_UNSAFE) return bt_tval_fail_undef(&v);
    return bt_tval_truth(r, &v, ret_truth);
}

static bt_status eval_logic(trun *r, const tnode *n, tval *ret)
{
    bool truth;
    tval left;
    if (n->type == N_NOT) {
        BT_TRY(eval_truth(r, n->a, &truth));
        *ret = bt_tval_bool(!truth);
        return BT_OK;
    }
    BT_TRY(bt_teval(r, n->a, &left));
    BT_TRY(bt_tval_truth(r, &left, &truth));
    if (truth == (n->type == N_AND)) return bt_teval(r, n->b, ret);
    *ret = left;
    return BT_OK;
}

static bt_status eval_cond(trun *r, const tnode *n, tval *ret)
{
    bool truth;
    BT_TRY(eval_truth(r, n->c, &truth));
    if (truth) return bt_teval(r, n->a, ret);
    if (n->b) return bt_teval(r, n->b, ret);
    *ret = bt_tval_undef(
        "the inline if-expression evaluated to false and no else section was defined.");
    return BT_OK;
}

static bt_status eval_binary(trun *r, const tnode *n, tval *ret)
{
    tval a, b;
    BT_TRY(bt_teval(r, n->a, &a));
    BT_TRY(bt_teval(r, n->b, &b));
    return bt_tval_binary(r, n->op, &a, &b, ret);
}

static bt_status eval_concat(trun *r, const tnode *n, tval *ret)
{
    tout o = {.run = r};
    bt_status st = BT_OK;
    for (const tnode *part = n->list; part && !st; part = part->next) {
        tval v;
        st = bt_teval(r, part, &v);
        if (!st) st = bt_tval_print(&o, &v);
    }
    if (!st) st = bt_tout_finish(&o, ret);
    bt_tout_done(&o);
    return st;
}

static bt_status eval_compare(trun *r, const tnode *n, tval *ret)
{
    tval left, right;
    bool holds = true;
    BT_TRY(bt_teval(r, n->a, &left));
    for (const tnode *p = n->list; p && holds; p = p->next) {
        BT_TRY(bt_teval(r, p->a, &right));
        BT_TRY(bt_tval_compare(r, p->op, &left, &right, &holds));
        left = right;
    }
    *ret = bt_tval_bool(holds);
    return BT_OK;
}

static bt_status eval_attr(trun *r, const tnode *n, tval *ret)
{
    tval object;
    BT_TRY(bt_teval(r, n->a, &object));
    return bt_tval_attr(r, &object, n->text, n->len, ret);
}

static bt_status eval_sign(trun *r, const tnode *n, tval *ret)
{
    tval v;
    BT_TRY(bt_teval(r, n->a, &v));
    return bt_tval_negate(&v, n->type == N_NEG, ret);
}

static bt_status eval(trun *r, const tnode *n, tval *ret)
{
    switch (n->type) {
    case N_CONST:
        *ret = *n->value;
        return BT_OK;
    case N_NAME:
        return eval_name(r, n, ret);
    case N_LIST:
        return eval_seq(r, n, K_LIST, ret);
    case N_TUPLE:
        return eval_seq(r, n, K_TUPLE, ret);
    case N_DICT:
        return eval_dict(r, n, ret);
    case N_ATTR:
        return eval_attr(r, n, ret);
    case N_ITEM:
        return eval_item(r, n, ret);
    case N_CALL:
        return eval_call(r, n, ret);
    case N_FILTER:
    case N_TEST:
        return eval_filter_or_test(r, n, ret);
    case N_COND:
        return eval_cond(r, n, ret);
    case N_AND:
    case N_OR:
    case N_NOT:
        return eval_logic(r, n, ret);
    case N_NEG:
    case N_POS:
        return eval_sign(r, n, ret);
    case N_BINARY:
        return eval_binary(r, n, ret);
    case N_CONCAT:
        return eval_concat(r, n, ret);
    case N_COMPARE:
        return eval_compare(r, n, ret);
    default:
        return bt_fail(BT_INVALID,
                       "this cannot be used as a value here"); // a slice inside a tuple subscript
    }
}

bt_status bt_teval(trun *r, const tnode *n, tval *ret_value)
{
    bt_status st = bt_trun_enter(r);
    if (!st) {
        st = bt_trun_step(r, 1);
        if (!st) st = eval(r, n, ret_value);
        r->depth--;
    }
    if (st && !r->failed) {
        r->failed = true;
        bt_template_note_at(r->tmpl, n->at);
    }
    return st;
}
