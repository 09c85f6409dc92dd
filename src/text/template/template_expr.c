// SPDX-License-Identifier: Apache-2.0
/* template_expr: tokens to expression trees, by recursive descent in Jinja's order of precedence:
 * if-else, or, and, not, comparisons, + -, ~, * / // %, **, unary, then postfix and filters. */
#include "text/template/template_call.h"
#include <string.h>

bool bt_ttoken_named(const ttoken *t, const char *name)
{
    return t->type == T_NAME && strlen(name) == t->len && memcmp(name, t->text, t->len) == 0;
}

bt_status bt_tparser_node(tparser *p, ntype type, uint32_t at, tnode **ret_node)
{
    tnode *n;
    BT_TRY(bt_arena_array(&p->tmpl->arena, 1, sizeof *n, (void **)&n));
    n->type = (uint8_t)type;
    n->at = at;
    *ret_node = n;
    return BT_OK;
}

static bt_status new_binary(tparser *p, ntype type, uint32_t at, tnode *a, tnode *b, tnode **ret)
{
    tnode *n;
    BT_TRY(bt_tparser_node(p, type, at, &n));
    n->a = a;
    n->b = b;
    *ret = n;
    return BT_OK;
}

static bt_status new_const(tparser *p, uint32_t at, const tval *value, tnode **ret)
{
    tnode *n;
    tval *copy;
    BT_TRY(bt_tparser_node(p, N_CONST, at, &n));
    BT_TRY(bt_arena_array(&p->tmpl->arena, 1, sizeof *copy, (void **)&copy));
    *copy = *value;
    n->value = copy;
    *ret = n;
    return BT_OK;
}

bt_status bt_tparser_symbol(tparser *p, const ttoken *name, uint32_t *ret_symbol)
{
    bt_template *t = p->tmpl;
    for (uint32_t i = 0; i < t->n_symbol; i++)
        if (strlen(t->symbols[i]) == name->len &&
            memcmp(t->symbols[i], name->text, name->len) == 0) {
            *ret_symbol = i;
            return BT_OK;
        }
    BT_FAIL_IF(t->n_symbol >= 4096, LIMIT, "the template has more than %u variables", t->n_symbol);
    if (t->n_symbol == p->symbol_cap) {
        const char **grown;
        BT_TRY(bt_arena_array(&t->arena, p->symbol_cap * 2u, sizeof *grown, (void **)&grown));
        memcpy(grown, t->symbols, t->n_symbol * sizeof *grown);
        t->symbols = grown;
        p->symbol_cap *= 2;
    }
    BT_TRY(bt_arena_text(&t->arena, name->text, name->len, (char **)&t->symbols[t->n_symbol]));
    *ret_symbol = t->n_symbol++;
    return BT_OK;
}

bt_status bt_tparser_enter(tparser *p)
{
    if (p->depth < TEMPLATE_DEPTH_MAX) {
        p->depth++;
        return BT_OK;
    }
    bt_status st =
        bt_fail(BT_LIMIT, "the template nests deeper than %d levels", TEMPLATE_DEPTH_MAX);
    bt_template_note_at(p->tmpl, p->tok->at);
    return st;
}

bt_status bt_tparser_unexpected(const tparser *p, const char *wanted)
{
    const ttoken *t = p->tok;
    int n = t->len > 40 ? 40 : (int)t->len;
    if (t->type == T_EOF)
        return bt_template_fail_at(p->tmpl, t->at, "unexpected end of the template, expected %s",
                                   wanted);
    if (t->type == T_BLOCK_END || t->type == T_VAR_END)
        return bt_template_fail_at(p->tmpl, t->at, "unexpected end of the tag, expected %s",
                                   wanted);
    return bt_template_fail_at(p->tmpl, t->at, "unexpected '%.*s', expected %s", n,
                               t->type == T_STRING ? p->tmpl->source + t->at : t->text, wanted);
}

bt_status bt_tparser_expect(tparser *p, top op, const char *name)
{
    if (!bt_ttoken_is(p->tok, op)) return bt_tparser_unexpected(p, name);
    p->tok++;
    return BT_OK;
}

static bool skip(tparser *p, top op)
{
    bool is = bt_ttoken_is(p->tok, op);
    p->tok += is;
    return is;
}

static void append(tnode *owner, tnode ***tail, tnode *n)
{
    **tail = n;
    *tail = &n->next;
    owner->n++;
}

// ---- primaries ----
static bt_status parse_string(tparser *p, tnode **ret)
{
    const ttoken *first = p->tok, *t;
    size_t len = 0;
    char *text;
    for (t = first; t->type == T_STRING; t++) len += t->len; // adjacent strings are one
    BT_TRY(bt_arena_array(&p->tmpl->arena, len + 1, 1, (void **)&text));
    len = 0;
    for (t = first; t->type == T_STRING; t++) {
        memcpy(text + len, t->text, t->len);
        len += t->len;
    }
    p->tok = t;
    tval value = bt_tval_text(text, len);
    return new_const(p, first->at, &value, ret);
}

static bt_status parse_name(tparser *p, bool with_namespace, tnode **ret)
{
    const ttoken *t = p->tok++;
    bool yes = bt_ttoken_named(t, "true") || bt_ttoken_named(t, "True");
    tval value = bt_tval_bool(yes);
    tnode *n;
    if (yes || bt_ttoken_named(t, "false") || bt_ttoken_named(t, "False"))
        return new_const(p, t->at, &value, ret);
    value = bt_tval_none();
    if (bt_ttoken_named(t, "none") || bt_ttoken_named(t, "None"))
        return new_const(p, t->at, &value, ret);
    BT_TRY(bt_tparser_node(p, N_NAME, t->at, &n));
    BT_TRY(bt_tparser_symbol(p, t, &n->symbol));
    if (n->symbol == SYM_CALLER) p->uses |= USES_CALLER;
    if (n->symbol == SYM_KWARGS) p->uses |= USES_KWARGS;
    if (n->symbol == SYM_VARARGS) p->uses |= USES_VARARGS;
    if (with_namespace && skip(p, OP_DOT)) {
        if (p->tok->type != T_NAME) return bt_tparser_unexpected(p, "the name of an attribute");
        n->type = N_NSREF;
        n->text = p->tok->text;
        n->len = p->tok->len;
        p->tok++;
    }
    *ret = n;
    return BT_OK;
}

static bt_status parse_list(tparser *p, tnode **ret)
{
    tnode *n, **tail, *item;
    BT_TRY(bt_tparser_node(p, N_LIST, p->tok->at, &n));
    tail = &n->list;
    p->tok++;
    while (!bt_ttoken_is(p->tok, OP_RBRACKET)) {
        if (n->n) BT_TRY(bt_tparser_expect(p, OP_COMMA, "',' or ']'"));
        if (bt_ttoken_is(p->tok, OP_RBRACKET)) break;
        BT_TRY(bt_tparser_expr(p, true, &item));
        append(n, &tail, item);
    }
    p->tok++;
    *ret = n;
    return BT_OK;
}

static bt_status parse_dict(tparser *p, tnode **ret)
{
    tnode *n, **tail, *pair, *key, *value;
    BT_TRY(bt_tparser_node(p, N_DICT, p->tok->at, &n));
    tail = &n->list;
    p->tok++;
    while (!bt_ttoken_is(p->tok, OP_RBRACE)) {
        if (n->n) BT_TRY(bt_tparser_expect(p, OP_COMMA, "',' or '}'"));
        if (bt_ttoken_is(p->tok, OP_RBRACE)) break;
        BT_TRY(bt_tparser_expr(p, true, &key));
        BT_TRY(bt_tparser_expect(p, OP_COLON, "':'"));
        BT_TRY(bt_tparser_expr(p, true, &value));
        BT_TRY(new_binary(p, N_PAIR, key->at, key, value, &pair));
        append(n, &tail, pair);
    }
    p->tok++;
    *ret = n;
    return BT_OK;
}

static bt_status parse_primary(tparser *p, bool with_namespace, tnode **ret)
{
    const ttoken *t = p->tok;
    tval value;
    switch (t->type) {
    case T_NAME:
        return parse_name(p, with_namespace, ret);
    case T_STRING:
        return parse_string(p, ret);
    case T_INT:
    case T_FLOAT:
        value = t->type == T_INT ? bt_tval_int(t->i) : bt_tval_float(t->f);
        p->tok++;
        return new_const(p, t->at, &value, ret);
    default:
        break;
    }
    if (bt_ttoken_is(t, OP_LBRACKET)) return parse_list(p, ret);
    if (bt_ttoken_is(t, OP_LBRACE)) return parse_dict(p, ret);
    if (!skip(p, OP_LPAREN)) return bt_tparser_unexpected(p, "an expression");
    BT_TRY(bt_tparser_tuple(
        p, &(ttuple_rule){.with_cond = true, .in_parens = true, .with_namespace = with_namespace},
        ret));
    return bt_tparser_expect(p, OP_RPAREN, "')'");
}

static bool tuple_ends(const tparser *p, const ttuple_rule *rule)
{
    return p->tok->type == T_VAR_END || p->tok->type == T_BLOCK_END ||
           bt_ttoken_is(p->tok, OP_RPAREN) ||
           (rule->end_name && bt_ttoken_named(p->tok, rule->end_name));
}

bt_status bt_tparser_tuple(tparser *p, const ttuple_rule *rule, tnode **ret_node)
{
    tnode *tuple, **tail, *item = NULL;
    bool is_tuple = false;
    BT_TRY(bt_tparser_node(p, N_TUPLE, p->tok->at, &tuple));
    tail = &tuple->list;
    for (;;) {
        if (tuple->n) BT_TRY(bt_tparser_expect(p, OP_COMMA, "','"));
        if (tuple_ends(p, rule)) break;
        if (rule->simplified)
            BT_TRY(parse_primary(p, rule->with_namespace, &item));
        else
            BT_TRY(bt_tparser_expr(p, rule->with_cond, &item));
        append(tuple, &tail, item);
        if (!bt_ttoken_is(p->tok, OP_COMMA)) break;
        is_tuple = true;
    }
    if (!is_tuple && !tuple->n && !rule->in_parens)
        return bt_tparser_unexpected(p, "an expression");
    *ret_node = is_tuple || !tuple->n ? tuple : item;
    return BT_OK;
}

// ---- calls, subscripts, filters, tests ----
static bt_status parse_argument(tparser *p, tcallargs *a, tnode ***pos_tail, tnode ***kw_tail)
{
    const ttoken *t = p->tok;
    tnode *n;
    bool star = bt_ttoken_is(t, OP_MUL), stars = bt_ttoken_is(t, OP_POW);
    bool keyword = t->type == T_NAME && bt_ttoken_is(t + 1, OP_ASSIGN);
    bool plain = !star && !stars && !keyword;
    if (a->dyn_kw || ((star || plain) && a->dyn_pos) || (plain && a->n_kw))
        return bt_template_fail_at(p->tmpl, t->at, "this argument may not follow those before it");
    p->tok += keyword ? 2 : star || stars;
    BT_TRY(bt_tparser_expr(p, true, &n));
    if (star) a->dyn_pos = n;
    if (stars) a->dyn_kw = n;
    if (plain) {
        **pos_tail = n;
        *pos_tail = &n->next;
        a->n_pos++;
    }
    if (!keyword) return BT_OK;
    tnode *kw;
    BT_TRY(bt_tparser_node(p, N_KEYWORD, t->at, &kw));
    kw->text = t->text;
    kw->len = t->len;
    kw->a = n;
    **kw_tail = kw;
    *kw_tail = &kw->next;
    a->n_kw++;
    return BT_OK;
}

static bt_status parse_args(tparser *p, const tcallargs **ret)
{
    tcallargs *a;
    bool comma = false;
    BT_TRY(bt_arena_array(&p->tmpl->arena, 1, sizeof *a, (void **)&a));
    tnode **pos_tail = &a->pos, **kw_tail = &a->kw;
    BT_TRY(bt_tparser_expect(p, OP_LPAREN, "'('"));
    while (!bt_ttoken_is(p->tok, OP_RPAREN)) {
        if (comma) BT_TRY(bt_tparser_expect(p, OP_COMMA, "',' or ')'"));
        if (comma && bt_ttoken_is(p->tok, OP_RPAREN)) break;
        BT_TRY(parse_argument(p, a, &pos_tail, &kw_tail));
        comma = true;
    }
    p->tok++;
    *ret = a;
    return BT_OK;
}

static bt_status parse_slice(tparser *p, tnode **ret)
{
    uint32_t at = p->tok->at;
    tnode *part[3] = {NULL, NULL, NULL}, *n;
    int i = 0;
    if (!bt_ttoken_is(p->tok, OP_COLON)) {
        BT_TRY(bt_tparser_expr(p, true, &part[0]));
        if (!bt_ttoken_is(p->tok, OP_COLON)) {
            *ret = part[0];
            return BT_OK;
        }
    }
    while (i < 2 && skip(p, OP_COLON)) {
        i++;
        if (!bt_ttoken_is(p->tok, OP_COLON) && !bt_ttoken_is(p->tok, OP_RBRACKET) &&
            !bt_ttoken_is(p->tok, OP_COMMA))
            BT_TRY(bt_tparser_expr(p, true, &part[i]));
    }
    BT_TRY(new_binary(p, N_SLICE, at, part[0], part[1], &n));
    n->c = part[2];
    *ret = n;
    return BT_OK;
}

static bt_status parse_subscript(tparser *p, tnode *object, tnode **ret)
{
    uint32_t at = p->tok->at;
    tnode *n, *key, *tuple = NULL, **tail = NULL;
    p->tok++;
    BT_TRY(bt_tparser_node(p, N_TUPLE, at, &tuple));
    tail = &tuple->list;
    while (!bt_ttoken_is(p->tok, OP_RBRACKET)) {
        if (tuple->n) BT_TRY(bt_tparser_expect(p, OP_COMMA, "']'"));
        BT_TRY(parse_slice(p, &key));
        append(tuple, &tail, key);
    }
    p->tok++;
    BT_TRY(new_binary(p, N_ITEM, at, object, tuple->n == 1 ? tuple->list : tuple, &n));
    *ret = n;
    return BT_OK;
}

static bt_status parse_dot(tparser *p, tnode *object, tnode **ret)
{
    const ttoken *t = ++p->tok;
    tnode *key;
    if (t->type == T_INT) {
        tval index = bt_tval_int(t->i);
        p->tok++;
        BT_TRY(new_const(p, t->at, &index, &key));
        return new_binary(p, N_ITEM, t->at, object, key, ret);
    }
    if (t->type != T_NAME) return bt_tparser_unexpected(p, "a name or a number after '.'");
    p->tok++;
    BT_TRY(new_binary(p, N_ATTR, t->at, object, NULL, ret));
    (*ret)->text = t->text;
    (*ret)->len = t->len;
    return BT_OK;
}

static bt_status parse_call(tparser *p, tnode *callee, tnode **ret)
{
    BT_TRY(new_binary(p, N_CALL, p->tok->at, callee, NULL, ret));
    return parse_args(p, &(*ret)->args);
}

static bt_status parse_postfix(tparser *p, tnode **node)
{
    for (;;) {
        if (bt_ttoken_is(p->tok, OP_DOT))
            BT_TRY(parse_dot(p, *node, node));
        else if (bt_ttoken_is(p->tok, OP_LBRACKET))
            BT_TRY(parse_subscript(p, *node, node));
        else if (bt_ttoken_is(p->tok, OP_LPAREN))
            BT_TRY(parse_call(p, *node, node));
        else
            return BT_OK;
        BT_TRY(bt_tparser_enter(p)); // a chain is as deep as it is long
    }
}

/* A name nobody knows is an error, unless the code around it is conditional: then when it is
 * reached. */
static bt_status note_unknown(tparser *p, tnode *n)
{
    if (p->n_unknown == (int)(sizeof p->unknown / sizeof *p->unknown))
        return bt_template_fail_at(p->tmpl, n->at, "there is no filter or test named '%.*s'",
                                   (int)n->len, n->text);
    p->unknown[p->n_unknown++] = n;
    return BT_OK;
}

static bt_status parse_dotted(tparser *p, tnode *n)
{
    if (p->tok->type != T_NAME) return bt_tparser_unexpected(p, "the name of a filter or test");
    n->text = p->tok->text;
    n->len = p->tok->len < 100 ? p->tok->len : 100;
    for (p->tok++; skip(p, OP_DOT);) {
        if (p->tok->type != T_NAME) return bt_tparser_unexpected(p, "a name after '.'");
        p->tok++;
        n->len = 0; // no builtin has a dot in its name
    }
    return BT_OK;
}

bt_status bt_tparser_filters(tparser *p, tnode *input, bool start_inline, tnode **ret_node)
{
    tnode *n = input;
    while (start_inline || bt_ttoken_is(p->tok, OP_PIPE)) {
        if (!start_inline) p->tok++;
        start_inline = false;
        BT_TRY(new_binary(p, N_FILTER, p->tok->at, n, NULL, &n));
        BT_TRY(parse_dotted(p, n));
        if (bt_ttoken_is(p->tok, OP_LPAREN)) BT_TRY(parse_args(p, &n->args));
        n->builtin = bt_tbuiltin_filter(n->text, n->len);
        if (!n->builtin) BT_TRY(note_unknown(p, n));
        BT_TRY(bt_tparser_enter(p));
    }
    *ret_node = n;
    return BT_OK;
}

static bool begins_operand(const ttoken *t)
{
    if (t->type == T_NAME)
        return !bt_ttoken_named(t, "else") && !bt_ttoken_named(t, "or") &&
               !bt_ttoken_named(t, "and");
    return t->type == T_STRING || t->type == T_INT || t->type == T_FLOAT ||
           bt_ttoken_is(t, OP_LBRACKET) || bt_ttoken_is(t, OP_LBRACE);
}

static bt_status parse_test(tparser *p, tnode *input, tnode **ret)
{
    const ttoken *is = p->tok++;
    tnode *n;
    bool negated = bt_ttoken_named(p->tok, "not");
    p->tok += negated;
    BT_TRY(new_binary(p, N_TEST, is->at, input, NULL, &n));
    BT_TRY(parse_dotted(p, n));
    if (bt_ttoken_is(p->tok, OP_LPAREN)) {
        BT_TRY(parse_args(p, &n->args));
    } else if (begins_operand(p->tok)) {
        tcallargs *a;
        if (bt_ttoken_named(p->tok, "is"))
            return bt_template_fail_at(p->tmpl, p->tok->at, "tests with 'is' cannot be chained");
        BT_TRY(bt_arena_array(&p->tmpl->arena, 1, sizeof *a, (void **)&a));
        BT_TRY(parse_primary(p, false, &a->pos));
        BT_TRY(parse_postfix(p, &a->pos));
        a->n_pos = 1;
        n->args = a;
    }
    n->builtin = bt_tbuiltin_test(n->text, n->len);
    if (!n->builtin) BT_TRY(note_unknown(p, n));
    if (negated) BT_TRY(new_binary(p, N_NOT, is->at, n, NULL, &n));
    *ret = n;
    return BT_OK;
}

static bt_status parse_filters_and_tests(tparser *p, tnode **node)
{
    for (;;) {
        if (bt_ttoken_is(p->tok, OP_PIPE))
            BT_TRY(bt_tparser_filters(p, *node, false, node));
        else if (bt_ttoken_named(p->tok, "is"))
            BT_TRY(parse_test(p, *node, node));
        else if (bt_ttoken_is(p->tok, OP_LPAREN))
            BT_TRY(parse_call(p, *node, node));
        else
            return BT_OK;
        BT_TRY(bt_tparser_enter(p));
    }
}

// ---- operators ----
static bt_status parse_unary(tparser *p, bool with_filter, tnode **ret)
{
    const ttoken *t = p->tok;
    bool minus = bt_ttoken_is(t, OP_SUB), plus = bt_ttoken_is(t, OP_ADD);
    tnode *n;
    BT_TRY(bt_tparser_enter(p));
    if (minus || plus) {
        p->tok++;
        BT_TRY(parse_unary(p, false, &n));
        BT_TRY(new_binary(p, minus ? N_NEG : N_POS, t->at, n, NULL, &n));
    } else {
        BT_TRY(parse_primary(p, false, &n));
    }
    BT_TRY(parse_postfix(p, &n));
    if (with_filter) BT_TRY(parse_filters_and_tests(p, &n));
    *ret = n;
    return BT_OK;
}

/* The left-associative binary levels, loosest first; level 1 (~) makes one node of the whole chain.
 */
enum { LEVEL_SUM, LEVEL_CONCAT, LEVEL_PRODUCT, LEVEL_POWER };

static bool at_level(const ttoken *t, int level)
{
    if (t->type != T_OP) return false;
    switch (level) {
    case LEVEL_SUM:
        return t->op == OP_ADD || t->op == OP_SUB;
    case LEVEL_CONCAT:
        return t->op == OP_TILDE;
    case LEVEL_PRODUCT:
        return t->op == OP_MUL || t->op == OP_DIV || t->op == OP_FLOORDIV || t->op == OP_MOD;
    default:
        return t->op == OP_POW;
    }
}

static bt_status parse_level(tparser *p, int level, tnode **ret);

static bt_status parse_operand(tparser *p, int level, tnode **ret)
{
    return level == LEVEL_POWER ? parse_unary(p, true, ret) : parse_level(p, level + 1, ret);
}

static bt_status parse_concat(tparser *p, tnode **node)
{
    tnode *n, **tail, *part;
    BT_TRY(bt_tparser_node(p, N_CONCAT, p->tok->at, &n));
    tail = &n->list;
    append(n, &tail, *node);
    while (skip(p, OP_TILDE)) {
        BT_TRY(parse_operand(p, LEVEL_CONCAT, &part));
        append(n, &tail, part);
    }
    *node = n;
    return BT_OK;
}

static bt_status parse_level(tparser *p, int level, tnode **ret)
{
    tnode *n, *right;
    int depth = p->depth;
    BT_TRY(parse_operand(p, level, &n));
    p->depth = depth;
    if (level == LEVEL_CONCAT && at_level(p->tok, level)) BT_TRY(parse_concat(p, &n));
    while (level != LEVEL_CONCAT && at_level(p->tok, level)) {
        const ttoken *t = p->tok++;
        int chain = p->depth;
        BT_TRY(parse_operand(p, level, &right));
        p->depth = chain;
        BT_TRY(new_binary(p, N_BINARY, t->at, n, right, &n));
        n->op = t->op;
        BT_TRY(bt_tparser_enter(p));
    }
    p->depth = depth;
    *ret = n;
    return BT_OK;
}

static top comparison(const tparser *p, int *ret_tokens)
{
    const ttoken *t = p->tok;
    *ret_tokens = 1;
    if (t->type == T_OP && t->op >= OP_EQ && t->op <= OP_GE) return t->op;
    if (bt_ttoken_named(t, "in")) return OP_IN;
    *ret_tokens = 2;
    return bt_ttoken_named(t, "not") && bt_ttoken_named(t + 1, "in") ? OP_NOTIN : OP_NONE;
}

static bt_status parse_compare(tparser *p, tnode **ret)
{
    tnode *n, *operand, *chain = NULL, **tail = NULL;
    int tokens;
    BT_TRY(parse_level(p, LEVEL_SUM, &n));
    for (top op; (op = comparison(p, &tokens)) != OP_NONE;) {
        uint32_t at = p->tok->at;
        if (!chain) {
            BT_TRY(new_binary(p, N_COMPARE, at, n, NULL, &chain));
            tail = &chain->list;
        }
        p->tok += tokens;
        BT_TRY(parse_level(p, LEVEL_SUM, &operand));
        BT_TRY(new_binary(p, N_PAIR, at, operand, NULL, &operand));
        operand->op = (uint8_t)op;
        append(chain, &tail, operand);
    }
    *ret = chain ? chain : n;
    return BT_OK;
}

static bt_status parse_not(tparser *p, tnode **ret)
{
    const ttoken *t = p->tok;
    tnode *n;
    if (!bt_ttoken_named(t, "not")) return parse_compare(p, ret);
    BT_TRY(bt_tparser_enter(p));
    p->tok++;
    BT_TRY(parse_not(p, &n));
    p->depth--;
    return new_binary(p, N_NOT, t->at, n, NULL, ret);
}

static bt_status parse_logic(tparser *p, bool is_or, tnode **ret)
{
    tnode *n, *right;
    int depth = p->depth;
    BT_TRY(is_or ? parse_logic(p, false, &n) : parse_not(p, &n));
    while (bt_ttoken_named(p->tok, is_or ? "or" : "and")) {
        const ttoken *t = p->tok++;
        BT_TRY(is_or ? parse_logic(p, false, &right) : parse_not(p, &right));
        BT_TRY(new_binary(p, is_or ? N_OR : N_AND, t->at, n, right, &n));
        BT_TRY(bt_tparser_enter(p));
    }
    p->depth = depth;
    *ret = n;
    return BT_OK;
}

bt_status bt_tparser_expr(tparser *p, bool with_cond, tnode **ret_node)
{
    tnode *n, *test, *other;
    int depth = p->depth, unknown = p->n_unknown;
    BT_TRY(bt_tparser_enter(p));
    BT_TRY(parse_logic(p, true, &n));
    while (with_cond && bt_ttoken_named(p->tok, "if")) {
        uint32_t at = p->tok++->at;
        other = NULL;
        BT_TRY(parse_logic(p, true, &test));
        if (bt_ttoken_named(p->tok, "else")) {
            p->tok++;
            BT_TRY(bt_tparser_expr(p, true, &other));
        }
        BT_TRY(new_binary(p, N_COND, at, n, other, &n));
        n->c = test;
        p->n_unknown = unknown;
        BT_TRY(bt_tparser_enter(p));
    }
    p->depth = depth;
    *ret_node = n;
    return BT_OK;
}
