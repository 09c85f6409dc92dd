// SPDX-License-Identifier: Apache-2.0
/* template_test: what may follow "is". */
#include "text/template/template_call.h"
#include "text/template/template_text.h"
#include <string.h>

static bt_status yes_no(bool b, tval *ret)
{
    *ret = bt_tval_bool(b);
    return BT_OK;
}

/* Tests of the kind alone, told apart by name. */
static bt_status t_kind(trun *r, const tcall *c, tval *ret)
{
    const tval *v = c->self;
    const char *name = c->builtin->name;
    (void)r;
    switch (name[0]) {
    case 'b':
        return yes_no(v->kind == K_BOOL, ret);
    case 'c':
        return yes_no(v->kind >= K_MACRO || v->kind == K_UNDEF,
                      ret); // callable; Undefined has __call__
    case 'd':
        return yes_no(v->kind != K_UNDEF, ret);
    case 'e':
        return yes_no(v->kind == K_STR && v->markup, ret);
    case 'f':
        return yes_no(name[1] == 'l' ? v->kind == K_FLOAT : v->kind == K_BOOL && !v->i, ret);
    case 'i':
        return yes_no(name[1] == 'n' ? v->kind == K_INT : bt_tval_iterable(v), ret);
    case 'm':
        return yes_no(v->kind == K_DICT, ret);
    case 'n':
        return yes_no(name[1] == 'o' ? v->kind == K_NONE : bt_tval_is_number(v), ret);
    case 's':
        if (name[1] == 't') return yes_no(v->kind == K_STR, ret);
        return yes_no((v->kind >= K_STR && v->kind <= K_DICT) || v->kind == K_RANGE ||
                          v->kind == K_UNDEF,
                      ret);
    case 't':
        return yes_no(v->kind == K_BOOL && v->i, ret);
    default:
        return yes_no(v->kind == K_UNDEF, ret); // undefined
    }
}

static bt_status t_remainder(trun *r, const tcall *c, tval *ret)
{
    char first = c->builtin->name[0]; // odd, even, divisibleby
    tval by = first == 'd' ? *c->arg[0] : bt_tval_int(2), rest, want = bt_tval_int(first == 'o');
    bool equal;
    BT_TRY(bt_tval_binary(r, OP_MOD, c->self, &by, &rest));
    BT_TRY(bt_tval_equal(r, &rest, &want, &equal));
    return yes_no(equal, ret);
}

static bt_status t_case(trun *r, const tcall *c, tval *ret)
{
    tval s;
    BT_TRY(bt_tval_str(r, c->self, &s));
    BT_TRY(bt_trun_step(r, bt_trun_cost(s.len)));
    return yes_no(c->builtin->name[0] == 'l' ? bt_tstr_is_lower(&s) : bt_tstr_is_upper(&s), ret);
}

static bt_status compare(trun *r, const tcall *c, top op, tval *ret)
{
    bool holds;
    BT_TRY(bt_tval_compare(r, op, c->self, c->arg[0], &holds));
    return yes_no(holds, ret);
}

static bt_status t_eq(trun *r, const tcall *c, tval *ret) { return compare(r, c, OP_EQ, ret); }
static bt_status t_ne(trun *r, const tcall *c, tval *ret) { return compare(r, c, OP_NE, ret); }
static bt_status t_lt(trun *r, const tcall *c, tval *ret) { return compare(r, c, OP_LT, ret); }
static bt_status t_le(trun *r, const tcall *c, tval *ret) { return compare(r, c, OP_LE, ret); }
static bt_status t_gt(trun *r, const tcall *c, tval *ret) { return compare(r, c, OP_GT, ret); }
static bt_status t_ge(trun *r, const tcall *c, tval *ret) { return compare(r, c, OP_GE, ret); }
static bt_status t_in(trun *r, const tcall *c, tval *ret) { return compare(r, c, OP_IN, ret); }

/* Identity: what Python would have as one object. */
static bt_status t_sameas(trun *r, const tcall *c, tval *ret)
{
    const tval *a = c->self, *b = c->arg[0];
    (void)r;
    if (a->kind != b->kind) return yes_no(false, ret);
    if (a->kind == K_NONE) return yes_no(true, ret);
    if (a->kind == K_BOOL || a->kind == K_INT) return yes_no(a->i == b->i, ret);
    if (a->kind == K_STR)
        return yes_no(a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0, ret);
    return yes_no(a->kind != K_FLOAT && a->kind != K_UNDEF && a->seq == b->seq, ret);
}

static bt_status t_known(trun *r, const tcall *c, tval *ret) // "name" is filter, "name" is test
{
    const tval *v = c->self;
    (void)r;
    if (v->kind != K_STR) return yes_no(false, ret);
    return yes_no(c->builtin->name[0] == 'f' ? bt_tbuiltin_filter(v->bytes, v->len) != NULL
                                             : bt_tbuiltin_test(v->bytes, v->len) != NULL,
                  ret);
}

const tbuiltin bt_template_tests[] = {{"boolean", "", 0, t_kind, NULL},
                                      {"callable", "", 0, t_kind, NULL},
                                      {"defined", "", 0, t_kind, NULL},
                                      {"escaped", "", 0, t_kind, NULL},
                                      {"false", "", 0, t_kind, NULL},
                                      {"float", "", 0, t_kind, NULL},
                                      {"integer", "", 0, t_kind, NULL},
                                      {"iterable", "", 0, t_kind, NULL},
                                      {"mapping", "", 0, t_kind, NULL},
                                      {"none", "", 0, t_kind, NULL},
                                      {"number", "", 0, t_kind, NULL},
                                      {"sequence", "", 0, t_kind, NULL},
                                      {"string", "", 0, t_kind, NULL},
                                      {"true", "", 0, t_kind, NULL},
                                      {"undefined", "", 0, t_kind, NULL},
                                      {"odd", "", 0, t_remainder, NULL},
                                      {"even", "", 0, t_remainder, NULL},
                                      {"divisibleby", "num", 1, t_remainder, NULL},
                                      {"lower", "", 0, t_case, NULL},
                                      {"upper", "", 0, t_case, NULL},
                                      {"eq", "/b", 1, t_eq, NULL},
                                      {"==", "/b", 1, t_eq, NULL},
                                      {"equalto", "/b", 1, t_eq, NULL},
                                      {"ne", "/b", 1, t_ne, NULL},
                                      {"!=", "/b", 1, t_ne, NULL},
                                      {"lt", "/b", 1, t_lt, NULL},
                                      {"<", "/b", 1, t_lt, NULL},
                                      {"lessthan", "/b", 1, t_lt, NULL},
                                      {"le", "/b", 1, t_le, NULL},
                                      {"<=", "/b", 1, t_le, NULL},
                                      {"gt", "/b", 1, t_gt, NULL},
                                      {">", "/b", 1, t_gt, NULL},
                                      {"greaterthan", "/b", 1, t_gt, NULL},
                                      {"ge", "/b", 1, t_ge, NULL},
                                      {">=", "/b", 1, t_ge, NULL},
                                      {"in", "seq", 1, t_in, NULL},
                                      {"sameas", "other", 1, t_sameas, NULL},
                                      {"filter", "", 0, t_known, NULL},
                                      {"test", "", 0, t_known, NULL},
                                      {0}};
