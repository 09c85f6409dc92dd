// SPDX-License-Identifier: Apache-2.0
/* template_exec: statements, scopes, macros and loops.
 *
 * A scope is a short list of variables with a parent; loops, macros and blocks open one, if does
 * not. A name is looked up along the parents, then in the data, then among the builtins. */
#include "text/template/template_call.h"
#include "text/template/template_text.h"
#include <string.h>

// ---- scopes ----
bt_status bt_tscope_new(trun *r, tscope *parent, tscope **ret_scope)
{
    tscope *s;
    BT_TRY(bt_trun_alloc(r, 1, sizeof *s, (void **)&s));
    s->parent = parent;
    *ret_scope = s;
    return BT_OK;
}

bt_status bt_tscope_set(trun *r, tscope *scope, uint32_t symbol, const tval *value)
{
    for (uint32_t i = 0; i < scope->n; i++)
        if (scope->vars[i].symbol == symbol) {
            scope->vars[i].value = *value;
            return BT_OK;
        }
    if (scope->n == scope->size) {
        uint32_t size = scope->size ? scope->size * 2 : 4;
        struct tvar *vars;
        BT_TRY(bt_trun_alloc(r, size, sizeof *vars, (void **)&vars));
        if (scope->n) memcpy(vars, scope->vars, scope->n * sizeof *vars);
        scope->vars = vars;
        scope->size = size;
    }
    scope->vars[scope->n].symbol = symbol;
    scope->vars[scope->n++].value = *value;
    return BT_OK;
}

static bt_status set_attribute(trun *r, const tnode *target, const tval *value)
{
    tnode name = {.type = N_NAME, .symbol = target->symbol, .at = target->at};
    tval ns, key = bt_tval_text(target->text, target->len);
    BT_TRY(bt_teval(r, &name, &ns));
    if (ns.kind != K_NAMESPACE)
        return bt_fail(
            BT_INVALID,
            "cannot assign attribute '%.*s' on a %s: only a namespace has attributes to set",
            target->len > 60 ? 60 : (int)target->len, target->text, bt_tval_type(&ns));
    return bt_tdict_put(r, ns.dict, &key, value);
}

static bt_status assign(trun *r, const tnode *target, const tval *value);

static bt_status unpack(trun *r, const tnode *target, const tval *value)
{
    titer *it;
    tval item;
    bool more;
    size_t n = 0;
    BT_FAIL_IF(!bt_tval_iterable(value), INVALID, "cannot unpack non-iterable %s object",
               bt_tval_type(value));
    BT_TRY(bt_titer_open(r, value, &it));
    tseq items = {0};
    BT_TRY(bt_trun_alloc(r, target->n + 1, sizeof item, (void **)&items.items));
    for (;; n++) {
        BT_TRY(bt_titer_next(r, it, &item, &more));
        if (!more) break;
        BT_FAIL_IF(n == target->n, INVALID, "too many values to unpack (expected %u)", target->n);
        items.items[n] = item;
    }
    BT_FAIL_IF(n < target->n, INVALID, "not enough values to unpack (expected %u, got %zu)",
               target->n, n);
    n = 0;
    for (const tnode *t = target->list; t; t = t->next) BT_TRY(assign(r, t, &items.items[n++]));
    return BT_OK;
}

static bt_status assign(trun *r, const tnode *target, const tval *value)
{
    if (target->type == N_NAME) return bt_tscope_set(r, r->scope, target->symbol, value);
    if (target->type == N_NSREF) return set_attribute(r, target, value);
    BT_TRY(bt_trun_enter(r));
    bt_status st = unpack(r, target, value);
    r->depth--;
    return st;
}

/* Run a body in a scope of its own with its output captured. */
static bt_status capture(trun *r, const tnode *body, tscope *scope, tval *ret_string)
{
    tout o = {.run = r}, *outer = r->out;
    tscope *around = r->scope;
    r->out = &o;
    r->scope = scope;
    bt_status st = bt_texec(r, body);
    r->out = outer;
    r->scope = around;
    if (!st) st = bt_tout_finish(&o, ret_string);
    bt_tout_done(&o);
    return st;
}

// ---- macros ----
tval bt_tmacro_name(const tmacro *m)
{
    if (m->node->type == N_CALLBLOCK) return bt_tval_text("", 0);
    return bt_tval_text(m->node->text, m->node->len);
}

static const tkeyword *find_keyword(const targs *args, const char *name)
{
    for (size_t i = 0; i < args->n_kw; i++)
        if (strlen(name) == args->kw[i].len && memcmp(name, args->kw[i].name, args->kw[i].len) == 0)
            return &args->kw[i];
    return NULL;
}

static bool is_param(trun *r, const tmacro *m, const tkeyword *kw, size_t n_pos)
{
    size_t i = 0;
    for (const tnode *p = m->node->list; p; p = p->next, i++) {
        const char *name = r->tmpl->symbols[p->symbol];
        if (i >= n_pos && strlen(name) == kw->len && memcmp(name, kw->name, kw->len) == 0)
            return true;
    }
    return false;
}

/* Keywords that no parameter takes: collected in kwargs, or an error. */
static bt_status bind_rest(trun *r, const tmacro *m, const targs *args, tscope *scope)
{
    const tnode *n = m->node;
    bool wants_caller = n->op & USES_CALLER;
    tval kwargs, varargs;
    BT_TRY(bt_tdict_new(r, 0, &kwargs));
    for (size_t i = 0; i < args->n_kw; i++) {
        const tkeyword *kw = &args->kw[i];
        tval key = bt_tval_text(kw->name, kw->len);
        bool caller = bt_tval_text_is(&key, "caller");
        if (is_param(r, m, kw, args->n_pos) || (caller && wants_caller)) continue;
        if (!(n->op & USES_KWARGS))
            return bt_fail(BT_INVALID,
                           caller ? "the macro does not use the %.*s it was given"
                                  : "the macro takes no keyword argument '%.*s'",
                           kw->len > 60 ? 60 : (int)kw->len, kw->name);
        BT_TRY(bt_tdict_put(r, kwargs.dict, &key, &kw->value));
    }
    if (n->op & USES_KWARGS) BT_TRY(bt_tscope_set(r, scope, SYM_KWARGS, &kwargs));
    BT_FAIL_IF(args->n_pos > n->n && !(n->op & USES_VARARGS), INVALID,
               "the macro takes at most %u arguments, %zu given", n->n, args->n_pos);
    size_t extra = args->n_pos > n->n ? args->n_pos - n->n : 0;
    BT_TRY(bt_tseq_new(r, K_TUPLE, extra, &varargs));
    for (size_t i = 0; i < extra; i++) varargs.seq->items[i] = args->pos[n->n + i];
    return n->op & USES_VARARGS ? bt_tscope_set(r, scope, SYM_VARARGS, &varargs) : BT_OK;
}

static bt_status bind_params(trun *r, const tmacro *m, const targs *args, tscope *scope)
{
    size_t i = 0;
    const tkeyword *kw = find_keyword(args, "caller");
    if (m->node->op & USES_CALLER) {
        tval caller = kw ? kw->value
                         : (tval){.kind = K_UNDEF, .sub = UNDEF_NAME, .bytes = "caller", .len = 6};
        BT_TRY(bt_tscope_set(r, scope, SYM_CALLER, &caller));
    }
    for (const tnode *p = m->node->list; p; p = p->next, i++) {
        const char *name = r->tmpl->symbols[p->symbol];
        tval value = {.kind = K_UNDEF, .sub = UNDEF_NAME, .bytes = name, .len = strlen(name)};
        if (i < args->n_pos)
            value = args->pos[i];
        else if ((kw = find_keyword(args, name)))
            value = kw->value;
        else if (p->a)
            BT_TRY(bt_teval(r, p->a, &value));
        BT_TRY(bt_tscope_set(r, scope, p->symbol, &value));
    }
    return BT_OK;
}

bt_status bt_tmacro_call(trun *r, const tmacro *m, const targs *args, tval *ret_string)
{
    tscope *scope, *around = r->scope;
    BT_TRY(bt_trun_enter(r));
    bt_status st = bt_tscope_new(r, m->scope, &scope);
    if (!st) st = bind_rest(r, m, args, scope);
    if (!st) {
        r->scope = scope;
        st = bind_params(r, m, args, scope);
        r->scope = around;
    }
    if (!st) st = capture(r, m->node->c, scope, ret_string);
    r->depth--;
    return st;
}

static bt_status make_macro(trun *r, const tnode *n, tval *ret)
{
    tmacro *m;
    BT_TRY(bt_trun_alloc(r, 1, sizeof *m, (void **)&m));
    *m = (tmacro){.node = n, .scope = r->scope};
    *ret = (tval){.kind = K_MACRO, .macro = m};
    return BT_OK;
}

static bt_status exec_callblock(trun *r, const tnode *n)
{
    tval callee, result;
    targs args;
    tkeyword *kw;
    BT_TRY(bt_teval(r, n->a->a, &callee));
    BT_TRY(bt_teval_args(r, n->a->args, &args));
    BT_TRY(bt_trun_alloc(r, args.n_kw + 1, sizeof *kw, (void **)&kw));
    if (args.n_kw) memcpy(kw, args.kw, args.n_kw * sizeof *kw);
    kw[args.n_kw] = (tkeyword){.name = "caller", .len = 6};
    BT_TRY(make_macro(r, n, &kw[args.n_kw++].value));
    args.kw = kw;
    BT_TRY(bt_tval_call(r, &callee, &args, &result));
    return bt_tval_print(r->out, &result);
}

// ---- loops ----
/* for x in xs if cond: pull items until one passes; the condition sees the loop's targets only. */
static bt_status pull_filtered(trun *r, titer *it, tval *ret_item, bool *ret_more)
{
    const tloop *loop = it->state;
    tscope *around = r->scope, *scope;
    bool pass = false;
    tval item, holds;
    BT_TRY(bt_tscope_new(r, loop->scope, &scope));
    while (!pass) {
        BT_TRY(bt_titer_next(r, it->inner, &item, ret_more));
        if (!*ret_more) return BT_OK;
        r->scope = scope;
        bt_status st = assign(r, loop->node->a, &item);
        if (!st) st = bt_teval(r, loop->node->c, &holds);
        r->scope = around;
        if (!st) st = bt_tval_truth(r, &holds, &pass);
        BT_TRY(st);
    }
    *ret_item = item;
    return BT_OK;
}

static bt_status peek(trun *r, tloop *l)
{
    if (l->has_after || l->ended) return BT_OK;
    bool more;
    BT_TRY(bt_titer_next(r, l->iter, &l->after, &more));
    l->has_after = more;
    l->ended = !more;
    return BT_OK;
}

bt_status bt_tloop_len(trun *r, tloop *l, size_t *ret_len)
{
    if (!l->has_len) {
        tval rest, walked;
        size_t passed = l->index0 + 1 + l->has_after;
        BT_TRY(bt_titer_collect(r, l->iter, K_LIST, &rest));
        BT_TRY(bt_titer_value(r, &rest, &walked));
        l->iter = walked.iter;
        l->len = passed + rest.seq->n;
        l->has_len = true;
    }
    *ret_len = l->len;
    return BT_OK;
}

size_t bt_tloop_index(const tloop *loop) { return loop->index0 + 1; }

static bt_status loop_cycle(trun *r, const tcall *c, tval *ret)
{
    (void)r;
    BT_FAIL_IF(!c->rest.n_pos, INVALID, "cycle() needs at least one value");
    *ret = c->rest.pos[c->self->loop->index0 % c->rest.n_pos];
    return BT_OK;
}

static bt_status loop_changed(trun *r, const tcall *c, tval *ret)
{
    tloop *l = c->self->loop;
    tval now;
    bool same = false;
    BT_TRY(bt_tseq_new(r, K_TUPLE, c->rest.n_pos, &now));
    if (c->rest.n_pos) memcpy(now.seq->items, c->rest.pos, c->rest.n_pos * sizeof now);
    if (l->has_changed) BT_TRY(bt_tval_equal(r, &l->changed, &now, &same));
    l->changed = now;
    l->has_changed = true;
    *ret = bt_tval_bool(!same);
    return BT_OK;
}

static const tbuiltin loop_methods[] = {{"cycle", "*", 0, loop_cycle, NULL},
                                        {"changed", "*", 0, loop_changed, NULL}};

static bt_status loop_item(trun *r, tloop *l, bool next, tval *ret)
{
    if (next) BT_TRY(peek(r, l));
    if (next)
        *ret = l->has_after ? l->after : bt_tval_undef("there is no next item");
    else
        *ret = l->index0 ? l->before : bt_tval_undef("there is no previous item");
    return BT_OK;
}

bt_status bt_tloop_attr(trun *r, tloop *l, const char *name, size_t len, tval *ret_value,
                        bool *ret_found)
{
    static const char *const names[] = {"index",    "index0",    "first",    "last",     "length",
                                        "revindex", "revindex0", "previtem", "nextitem", "depth",
                                        "depth0",   "cycle",     "changed"};
    size_t which = 0, n = 0, count = sizeof names / sizeof *names;
    while (which < count && (strlen(names[which]) != len || memcmp(names[which], name, len) != 0))
        which++;
    *ret_found = which < count;
    if (which >= 4 && which <= 6) BT_TRY(bt_tloop_len(r, l, &n));
    switch (which) {
    case 0:
        *ret_value = bt_tval_int((int64_t)l->index0 + 1);
        break;
    case 1:
        *ret_value = bt_tval_int((int64_t)l->index0);
        break;
    case 2:
        *ret_value = bt_tval_bool(l->index0 == 0);
        break;
    case 3:
        BT_TRY(peek(r, l));
        *ret_value = bt_tval_bool(!l->has_after);
        break;
    case 4:
        *ret_value = bt_tval_int((int64_t)n);
        break;
    case 5:
        *ret_value = bt_tval_int((int64_t)n - (int64_t)l->index0);
        break;
    case 6:
        *ret_value = bt_tval_int((int64_t)n - (int64_t)l->index0 - 1);
        break;
    case 7:
    case 8:
        return loop_item(r, l, which == 8, ret_value);
    case 9:
    case 10:
        *ret_value = bt_tval_int((int64_t)l->depth0 + (which == 9));
        break;
    case 11:
    case 12: {
        tval *self;
        BT_TRY(bt_trun_alloc(r, 1, sizeof *self, (void **)&self));
        *self = (tval){.kind = K_LOOP, .loop = l};
        *ret_value = (tval){.kind = K_METHOD, .of = self, .builtin = &loop_methods[which - 11]};
    }
    }
    return BT_OK;
}

static bt_status loop_next(trun *r, tloop *l, bool first, bool *ret_more)
{
    tval item = l->after;
    *ret_more = l->has_after;
    if (!l->has_after) {
        if (l->ended) return BT_OK;
        BT_TRY(bt_titer_next(r, l->iter, &item, ret_more));
    }
    l->has_after = false;
    if (!*ret_more) return BT_OK;
    if (!first) l->index0++;
    l->before = l->current;
    l->current = item;
    return BT_OK;
}

static bt_status run_loop(trun *r, tloop *l)
{
    tscope *around = r->scope;
    tval self = {.kind = K_LOOP, .loop = l};
    bool more, first = true;
    bt_status st = BT_OK;
    for (;; first = false) {
        BT_TRY(loop_next(r, l, first, &more));
        if (!more) break;
        tscope *scope;
        BT_TRY(bt_tscope_new(r, l->scope, &scope));
        r->scope = scope;
        st = bt_tscope_set(r, scope, SYM_LOOP, &self);
        if (!st) st = assign(r, l->node->a, &l->current);
        if (!st) st = bt_texec(r, l->node->list);
        r->scope = around;
        BT_TRY(st);
        bool leave = r->flow == FLOW_BREAK;
        r->flow = FLOW_ON;
        if (leave) return BT_OK;
    }
    if (!first || !l->node->d) return BT_OK;
    tscope *scope;
    BT_TRY(bt_tscope_new(r, l->scope, &scope));
    r->scope = scope;
    st = bt_texec(r, l->node->d);
    r->scope = around;
    return st;
}

static bt_status start_loop(trun *r, const tloop *like, const tval *items)
{
    tloop *l;
    BT_TRY(bt_trun_alloc(r, 1, sizeof *l, (void **)&l));
    *l = *like;
    BT_TRY(bt_titer_open(r, items, &l->iter));
    if (!l->node->c && bt_tval_has_len(items)) {
        BT_TRY(bt_tval_len(r, items, &l->len));
        l->has_len = true;
    }
    if (l->node->c) {
        titer *filtered;
        BT_TRY(bt_trun_alloc(r, 1, sizeof *filtered, (void **)&filtered));
        *filtered = (titer){.inner = l->iter, .pull = pull_filtered, .state = l};
        l->iter = filtered;
    }
    return run_loop(r, l);
}

static bt_status exec_for(trun *r, const tnode *n)
{
    tval items;
    BT_TRY(bt_teval(r, n->b, &items));
    return start_loop(r, &(tloop){.node = n, .scope = r->scope}, &items);
}

bt_status bt_tloop_call(trun *r, const tloop *loop, const targs *args, tval *ret_string)
{
    tout o = {.run = r}, *outer = r->out;
    BT_FAIL_IF(!loop->node->flag, INVALID,
               "the loop must have the 'recursive' marker to be called");
    BT_FAIL_IF(args->n_pos != 1 || args->n_kw, INVALID, "loop() takes exactly one argument");
    BT_TRY(bt_trun_enter(r));
    r->out = &o;
    bt_status st = start_loop(
        r, &(tloop){.node = loop->node, .scope = loop->scope, .depth0 = loop->depth0 + 1},
        &args->pos[0]);
    r->out = outer;
    r->depth--;
    if (!st) st = bt_tout_finish(&o, ret_string);
    bt_tout_done(&o);
    return st;
}

// ---- the other statements ----
static bt_status exec_if(trun *r, const tnode *n)
{
    for (const tnode *arm = n->list; arm; arm = arm->next) {
        bool truth = true;
        if (arm->a) {
            tval v;
            BT_TRY(bt_teval(r, arm->a, &v));
            if (v.kind == K_UNDEF && v.sub == UNDEF_UNSAFE) return bt_tval_fail_undef(&v);
            BT_TRY(bt_tval_truth(r, &v, &truth));
        }
        if (truth) return bt_texec(r, arm->list);
    }
    return BT_OK;
}

static bt_status exec_print(trun *r, const tnode *n)
{
    for (const tnode *e = n->list; e; e = e->next) {
        tval v;
        BT_TRY(bt_teval(r, e, &v));
        BT_TRY(bt_tval_print(r->out, &v));
    }
    return BT_OK;
}

static bt_status exec_set(trun *r, const tnode *n)
{
    tval v;
    tscope *scope;
    if (n->type == N_SET) {
        BT_TRY(bt_teval(r, n->b, &v));
        return assign(r, n->a, &v);
    }
    BT_TRY(bt_tscope_new(r, r->scope, &scope));
    BT_TRY(capture(r, n->c, scope, &v));
    if (r->flow != FLOW_ON) return BT_OK; // a break inside: nothing is assigned
    if (n->b) BT_TRY(bt_tval_apply_filter(r, n->b, &v, &v));
    return assign(r, n->a, &v);
}

static bt_status exec_filterblock(trun *r, const tnode *n)
{
    tval v;
    tscope *scope;
    BT_TRY(bt_tscope_new(r, r->scope, &scope));
    BT_TRY(capture(r, n->c, scope, &v));
    if (r->flow != FLOW_ON) return BT_OK;
    BT_TRY(bt_tval_apply_filter(r, n->b, &v, &v));
    return bt_tval_print(r->out, &v);
}

static bt_status exec_with(trun *r, const tnode *n) // and the generation block, a with of nothing
{
    tscope *scope, *around = r->scope;
    bt_status st = BT_OK;
    BT_TRY(bt_tscope_new(r, around, &scope));
    for (const tnode *p = n->type == N_WITH ? n->list : NULL; p && !st; p = p->next) {
        tval v;
        st = bt_teval(r, p->b, &v); // values see what is around, not each other
        r->scope = scope;
        if (!st) st = assign(r, p->a, &v);
        r->scope = around;
    }
    r->scope = scope;
    if (!st) st = bt_texec(r, n->c);
    r->scope = around;
    return st;
}

static bt_status exec_macro(trun *r, const tnode *n)
{
    tval macro;
    BT_TRY(make_macro(r, n, &macro));
    return bt_tscope_set(r, r->scope, n->symbol, &macro);
}

static bt_status exec(trun *r, const tnode *n)
{
    switch (n->type) {
    case N_TEXT:
        return bt_tout_add(r->out, n->text, n->len, false);
    case N_PRINT:
        return exec_print(r, n);
    case N_IF:
        return exec_if(r, n);
    case N_FOR:
        return exec_for(r, n);
    case N_SET:
    case N_SETBLOCK:
        return exec_set(r, n);
    case N_MACRO:
        return exec_macro(r, n);
    case N_CALLBLOCK:
        return exec_callblock(r, n);
    case N_FILTERBLOCK:
        return exec_filterblock(r, n);
    case N_WITH:
    case N_SCOPE:
        return exec_with(r, n);
    case N_BREAK:
        r->flow = FLOW_BREAK;
        return BT_OK;
    default:
        r->flow = FLOW_CONTINUE;
        return BT_OK;
    }
}

bt_status bt_texec(trun *r, const tnode *body)
{
    BT_TRY(bt_trun_enter(r));
    bt_status st = BT_OK;
    for (const tnode *n = body; n && !st && r->flow == FLOW_ON; n = n->next) {
        st = bt_trun_step(r, 1);
        if (!st) st = exec(r, n);
        if (st && !r->failed) {
            r->failed = true;
            bt_template_note_at(r->tmpl, n->at);
        }
    }
    r->depth--;
    return st;
}
