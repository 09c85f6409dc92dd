// SPDX-License-Identifier: Apache-2.0
/* template_parse: tokens to statements. */
#include "text/template/template_call.h"
#include <string.h>

static bt_status parse_until(tparser *p, const char *const *ends, tnode **ret_body);

static bool name_is(const tparser *p, const char *name) { return bt_ttoken_named(p->tok, name); }

static bt_status block_end(tparser *p)
{
    if (p->tok->type != T_BLOCK_END) return bt_tparser_unexpected(p, "the end of the tag");
    p->tok++;
    return BT_OK;
}

/* The rest of a tag, the statements after it, and the tag that ends them, up to and including its
 * name. */
static bt_status parse_body(tparser *p, const char *const *ends, tnode **ret_body)
{
    if (bt_ttoken_is(p->tok, OP_COLON)) p->tok++;
    BT_TRY(block_end(p));
    return parse_until(p, ends, ret_body);
}

#define ENDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static bt_status check_target(tparser *p, const tnode *target)
{
    if (target->type == N_NAME || target->type == N_NSREF) return BT_OK;
    if (target->type != N_TUPLE)
        return bt_template_fail_at(p->tmpl, target->at, "this cannot be assigned to");
    for (const tnode *n = target->list; n; n = n->next) {
        BT_TRY(bt_tparser_enter(p));
        BT_TRY(check_target(p, n));
        p->depth--;
    }
    return BT_OK;
}

static bt_status parse_target(tparser *p, bool with_namespace, const char *end_name, tnode **ret)
{
    ttuple_rule rule = {.simplified = true, .with_namespace = with_namespace, .end_name = end_name};
    uint8_t uses = p->uses; // a target is no use
    BT_TRY(bt_tparser_tuple(p, &rule, ret));
    p->uses = uses;
    return check_target(p, *ret);
}

static bt_status parse_name_target(tparser *p, tnode **ret)
{
    if (p->tok->type != T_NAME) return bt_tparser_unexpected(p, "a name");
    const ttoken *t = p->tok++;
    static const char *const constants[] = {"true", "false", "True", "False", "none", "None"};
    for (size_t i = 0; i < 6; i++)
        if (bt_ttoken_named(t, constants[i]))
            return bt_template_fail_at(p->tmpl, t->at, "this cannot be assigned to");
    BT_TRY(bt_tparser_node(p, N_NAME, t->at, ret));
    return bt_tparser_symbol(p, t, &(*ret)->symbol);
}

static bt_status parse_set(tparser *p, tnode *n)
{
    BT_TRY(parse_target(p, true, NULL, &n->a));
    if (bt_ttoken_is(p->tok, OP_ASSIGN)) {
        p->tok++;
        n->type = N_SET;
        return bt_tparser_tuple(p, &(ttuple_rule){.with_cond = true}, &n->b);
    }
    n->type = N_SETBLOCK;
    BT_TRY(bt_tparser_filters(p, NULL, false, &n->b));
    BT_TRY(parse_body(p, ENDS("endset"), &n->c));
    p->tok++;
    return BT_OK;
}

static bt_status parse_for(tparser *p, tnode *n)
{
    n->type = N_FOR;
    BT_TRY(parse_target(p, false, "in", &n->a));
    if (!name_is(p, "in")) return bt_tparser_unexpected(p, "'in'");
    p->tok++;
    BT_TRY(bt_tparser_tuple(p, &(ttuple_rule){.end_name = "recursive"}, &n->b));
    if (name_is(p, "if")) {
        p->tok++;
        BT_TRY(bt_tparser_expr(p, true, &n->c));
    }
    n->flag = name_is(p, "recursive");
    p->tok += n->flag;
    p->n_loop++;
    BT_TRY(parse_body(p, ENDS("endfor", "else"), &n->list));
    p->n_loop--;
    if (name_is(p, "else")) {
        p->tok++;
        BT_TRY(parse_body(p, ENDS("endfor"), &n->d));
    }
    p->tok++;
    return BT_OK;
}

/* An if is a list of arms: a = condition (NULL: else), list = body. */
static bt_status parse_if(tparser *p, tnode *n)
{
    int unknown = p->n_unknown;
    tnode **tail = &n->list;
    bool more = true, last = false;
    n->type = N_IF;
    while (more) {
        tnode *arm;
        BT_TRY(bt_tparser_node(p, N_IF, p->tok->at, &arm));
        *tail = arm;
        tail = &arm->next;
        if (!last) BT_TRY(bt_tparser_tuple(p, &(ttuple_rule){0}, &arm->a));
        if (last)
            BT_TRY(parse_body(p, ENDS("endif"), &arm->list));
        else
            BT_TRY(parse_body(p, ENDS("elif", "else", "endif"), &arm->list));
        more = !name_is(p, "endif");
        last = name_is(p, "else");
        p->tok++;
    }
    p->n_unknown = unknown;
    return BT_OK;
}

static bt_status parse_signature(tparser *p, tnode *n)
{
    tnode **tail = &n->list;
    bool has_default = false;
    BT_TRY(bt_tparser_expect(p, OP_LPAREN, "'('"));
    while (!bt_ttoken_is(p->tok, OP_RPAREN)) {
        tnode *param;
        if (n->n) BT_TRY(bt_tparser_expect(p, OP_COMMA, "',' or ')'"));
        uint32_t at = p->tok->at;
        BT_TRY(parse_name_target(p, &param));
        if (bt_ttoken_is(p->tok, OP_ASSIGN)) {
            p->tok++;
            BT_TRY(bt_tparser_expr(p, true, &param->a));
            has_default = true;
        } else if (has_default) {
            return bt_template_fail_at(p->tmpl, at,
                                       "a parameter without a default follows one with a default");
        }
        *tail = param;
        tail = &param->next;
        n->n++;
    }
    p->tok++;
    return BT_OK;
}

/* The body of a macro or call: loops around it do not reach inside; what it uses is noted. */
static bt_status parse_macro_body(tparser *p, tnode *n, const char *end)
{
    int n_loop = p->n_loop;
    uint8_t uses = p->uses;
    p->n_loop = 0;
    p->uses = 0;
    BT_TRY(parse_body(p, ENDS(end), &n->c));
    n->op = p->uses;
    for (const tnode *param = n->list; param; param = param->next) {
        if (param->symbol == SYM_KWARGS) n->op &= (uint8_t)~USES_KWARGS;
        if (param->symbol == SYM_VARARGS) n->op &= (uint8_t)~USES_VARARGS;
        if (param->symbol == SYM_CALLER && n->op & USES_CALLER && !param->a)
            return bt_template_fail_at(p->tmpl, param->at,
                                       "a parameter named 'caller' needs a default");
    }
    p->n_loop = n_loop;
    p->uses = uses | n->op;
    p->tok++;
    return BT_OK;
}

static bt_status parse_macro(tparser *p, tnode *n)
{
    tnode *name;
    n->type = N_MACRO;
    BT_TRY(parse_name_target(p, &name));
    n->symbol = name->symbol;
    n->text = p->tmpl->symbols[name->symbol];
    n->len = strlen(n->text);
    BT_TRY(parse_signature(p, n));
    return parse_macro_body(p, n, "endmacro");
}

static bt_status parse_callblock(tparser *p, tnode *n)
{
    n->type = N_CALLBLOCK;
    if (bt_ttoken_is(p->tok, OP_LPAREN)) BT_TRY(parse_signature(p, n));
    BT_TRY(bt_tparser_expr(p, true, &n->a));
    if (n->a->type != N_CALL)
        return bt_template_fail_at(p->tmpl, n->a->at, "'call' needs a call of a macro");
    return parse_macro_body(p, n, "endcall");
}

static bt_status parse_filterblock(tparser *p, tnode *n)
{
    n->type = N_FILTERBLOCK;
    BT_TRY(bt_tparser_filters(p, NULL, true, &n->b));
    BT_TRY(parse_body(p, ENDS("endfilter"), &n->c));
    p->tok++;
    return BT_OK;
}

static bt_status parse_with(tparser *p, tnode *n)
{
    tnode **tail = &n->list;
    n->type = N_WITH;
    while (p->tok->type != T_BLOCK_END) {
        tnode *pair;
        if (n->n++) BT_TRY(bt_tparser_expect(p, OP_COMMA, "','"));
        BT_TRY(bt_tparser_node(p, N_PAIR, p->tok->at, &pair));
        BT_TRY(parse_target(p, false, NULL, &pair->a));
        BT_TRY(bt_tparser_expect(p, OP_ASSIGN, "'='"));
        BT_TRY(bt_tparser_expr(p, true, &pair->b));
        *tail = pair;
        tail = &pair->next;
    }
    BT_TRY(parse_body(p, ENDS("endwith"), &n->c));
    p->tok++;
    return BT_OK;
}

static bt_status parse_print(tparser *p, tnode *n)
{
    tnode **tail = &n->list;
    n->type = N_PRINT;
    while (p->tok->type != T_BLOCK_END) {
        if (n->n++) BT_TRY(bt_tparser_expect(p, OP_COMMA, "','"));
        BT_TRY(bt_tparser_expr(p, true, tail));
        tail = &(*tail)->next;
    }
    return BT_OK;
}

static bt_status parse_generation(tparser *p, tnode *n)
{
    int n_loop = p->n_loop;
    n->type = N_SCOPE;
    p->n_loop = 0;
    BT_TRY(parse_body(p, ENDS("endgeneration"), &n->c));
    p->n_loop = n_loop;
    p->tok++;
    return BT_OK;
}

static bt_status parse_jump(tparser *p, tnode *n)
{
    n->type = bt_ttoken_named(p->tok - 1, "break") ? N_BREAK : N_CONTINUE;
    if (!p->n_loop)
        return bt_template_fail_at(p->tmpl, n->at, "'%.*s' outside a loop", (int)p->tok[-1].len,
                                   p->tok[-1].text);
    return BT_OK;
}

static const struct {
    const char *name;
    bt_status (*parse)(tparser *p, tnode *n);
} statements[] = {
    {"if", parse_if},       {"for", parse_for},        {"set", parse_set},
    {"macro", parse_macro}, {"call", parse_callblock}, {"filter", parse_filterblock},
    {"with", parse_with},   {"print", parse_print},    {"generation", parse_generation},
    {"break", parse_jump},  {"continue", parse_jump}};

static bt_status parse_statement(tparser *p, tnode **ret)
{
    static const char *const refused[] = {"block",  "extends", "include",
                                          "import", "from",    "autoescape"};
    const ttoken *t = p->tok;
    if (t->type != T_NAME) return bt_tparser_unexpected(p, "the name of a tag");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (bt_ttoken_named(t, refused[i])) {
            bt_status st =
                bt_fail(BT_UNSUPPORTED, "the tag '%s' is not part of chat templates", refused[i]);
            bt_template_note_at(p->tmpl, t->at);
            return st;
        }
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!bt_ttoken_named(t, statements[i].name)) continue;
        tnode *n;
        BT_TRY(bt_tparser_enter(p));
        BT_TRY(bt_tparser_node(p, N_PRINT, t->at, &n));
        p->tok++;
        BT_TRY(statements[i].parse(p, n));
        p->depth--;
        *ret = n;
        return BT_OK;
    }
    return bt_template_fail_at(p->tmpl, t->at, "unknown tag '%.*s'", t->len > 40 ? 40 : (int)t->len,
                               t->text);
}

static bool at_end(const tparser *p, const char *const *ends)
{
    for (; ends && *ends; ends++)
        if (name_is(p, *ends)) return true;
    return false;
}

/* Statements up to a tag named in `ends` (the current token then), or to the end of the template.
 */
static bt_status parse_until(tparser *p, const char *const *ends, tnode **ret_body)
{
    tnode *body = NULL, **tail = &body, *n;
    uint32_t opened = ends ? p->tok[-1].at : 0;
    for (; p->tok->type != T_EOF; tail = &n->next) {
        const ttoken *t = p->tok;
        if (t->type == T_BLOCK_BEGIN) {
            p->tok++;
            if (at_end(p, ends)) {
                *ret_body = body;
                return BT_OK;
            }
            BT_TRY(parse_statement(p, &n));
            BT_TRY(block_end(p));
        } else if (t->type == T_DATA) {
            BT_TRY(bt_tparser_node(p, N_TEXT, t->at, &n));
            n->text = t->text;
            n->len = t->len;
            p->tok++;
        } else {
            BT_TRY(bt_tparser_node(p, N_PRINT, t->at, &n));
            p->tok++;
            BT_TRY(bt_tparser_tuple(p, &(ttuple_rule){.with_cond = true}, &n->list));
            if (p->tok->type != T_VAR_END) return bt_tparser_unexpected(p, "'}}'");
            p->tok++;
        }
        *tail = n;
    }
    if (ends) return bt_template_fail_at(p->tmpl, opened, "this block has no '%s'", ends[0]);
    *ret_body = body;
    return BT_OK;
}

bt_status bt_template_parse_body(tparser *p, tnode **ret_body)
{
    BT_TRY(parse_until(p, NULL, ret_body));
    if (!p->n_unknown) return BT_OK;
    const tnode *n = p->unknown[0];
    return bt_template_fail_at(p->tmpl, n->at, "there is no %s named '%.*s'",
                               n->type == N_FILTER ? "filter" : "test", (int)n->len, n->text);
}
