// SPDX-License-Identifier: Apache-2.0
/* template_node: what the parser makes of a template's text: tokens, then a tree of nodes.
 *
 * Nodes live in the template's arena and are immutable once parsed. Lists are linked through
 * `next`. Every node keeps the byte it came from, so that an error can name line and column.
 */
#pragma once
#include "base/arena.h"
#include "text/template/template_value.h"

enum {
    TEMPLATE_BYTES_MAX = 256 << 10,
    TEMPLATE_DEPTH_MAX = 200, // nesting of blocks and expressions, chains of operators included
};

typedef enum ttype { // tokens
    T_EOF,
    T_DATA,
    T_VAR_BEGIN,
    T_VAR_END,
    T_BLOCK_BEGIN,
    T_BLOCK_END,
    T_NAME,
    T_STRING,
    T_INT,
    T_FLOAT,
    T_OP
} ttype;

typedef enum top { // operators and punctuation
    OP_NONE,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOORDIV,
    OP_MOD,
    OP_POW,
    OP_TILDE,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOTIN,
    OP_ASSIGN,
    OP_DOT,
    OP_COMMA,
    OP_COLON,
    OP_PIPE,
    OP_SEMI,
    OP_LPAREN,
    OP_RPAREN,
    OP_LBRACKET,
    OP_RBRACKET,
    OP_LBRACE,
    OP_RBRACE
} top;

typedef struct ttoken {
    uint8_t type, op;
    uint32_t at; // byte offset in the source
    uint32_t len;
    const char *text; // data: the text to print; string: its decoded contents
    union {
        int64_t i;
        double f;
    };
} ttoken;

typedef enum ntype {
    // expressions
    N_CONST,
    N_NAME,
    N_LIST,
    N_TUPLE,
    N_DICT,
    N_ATTR,
    N_ITEM,
    N_SLICE,
    N_CALL,
    N_FILTER,
    N_TEST,
    N_COND,
    N_AND,
    N_OR,
    N_NOT,
    N_NEG,
    N_POS,
    N_BINARY,
    N_CONCAT,
    N_COMPARE,
    N_NSREF,
    N_PAIR,
    N_KEYWORD,
    // statements
    N_TEXT,
    N_PRINT,
    N_IF,
    N_FOR,
    N_SET,
    N_SETBLOCK,
    N_MACRO,
    N_CALLBLOCK,
    N_FILTERBLOCK,
    N_WITH,
    N_SCOPE,
    N_BREAK,
    N_CONTINUE
} ntype;

enum { USES_CALLER = 1, USES_KWARGS = 2, USES_VARARGS = 4 };

typedef struct tnode tnode;
struct tnode {
    uint8_t type;
    uint8_t op; // N_BINARY, operands of N_COMPARE: a top; N_MACRO, N_CALLBLOCK: USES_ bits
    bool flag;  // N_FOR: recursive
    uint32_t at;
    uint32_t symbol; // N_NAME, N_NSREF, N_MACRO
    uint32_t n;      // how many nodes `list` links
    tnode *next;
    tnode *a, *b, *c, *d;
    tnode *list;
    const char *text; // attribute, filter, keyword names; N_TEXT
    size_t len;
    const struct tbuiltin *builtin; // N_FILTER, N_TEST: NULL when there is none of the name
    const tval *value;              // N_CONST
    const struct tcallargs *args;
};

typedef struct tcallargs {
    tnode *pos, *kw; // kw: N_KEYWORD with text and a
    uint32_t n_pos, n_kw;
    tnode *dyn_pos, *dyn_kw; // *args, **kwargs; NULL if absent
} tcallargs;

struct bt_template {
    bt_arena arena;
    const char *source; // newlines normalised
    size_t len;
    tnode *body;
    const char **symbols; // name of each symbol
    uint32_t n_symbol;
};

/* Symbols that every template has, in this order. */
enum { SYM_LOOP, SYM_CALLER, SYM_KWARGS, SYM_VARARGS, SYM_BUILTIN_COUNT };

/* Split the source into tokens, in the template's arena. */
BT_CHECKED bt_status bt_template_lex(bt_template *tmpl, ttoken **ret_tokens);

/* Fail with a message at a byte of the source. */
BT_CHECKED bt_status bt_template_fail_at(const bt_template *tmpl, size_t at, const char *fmt, ...)
    BT_PRINTF(3, 4);

/* Prefix the thread's message with the line and column of a byte of the source. */
void bt_template_note_at(const bt_template *tmpl, size_t at);

typedef struct tparser {
    bt_template *tmpl;
    const ttoken *tok; // the current token
    int depth;
    int n_loop;   // loops around this place, within one macro
    uint8_t uses; // USES_ bits seen
    uint32_t symbol_cap;
    tnode *unknown[64]; // filters and tests without a definition, outside conditional code
    int n_unknown;
} tparser;

/* Parse everything (the statements); then expressions, for the statements' use. */
BT_CHECKED bt_status bt_template_parse_body(tparser *p, tnode **ret_body);
BT_CHECKED bt_status bt_tparser_node(tparser *p, ntype type, uint32_t at, tnode **ret_node);
BT_CHECKED bt_status bt_tparser_symbol(tparser *p, const ttoken *name, uint32_t *ret_symbol);
BT_CHECKED bt_status bt_tparser_enter(tparser *p);
BT_CHECKED bt_status bt_tparser_unexpected(const tparser *p, const char *wanted);
BT_CHECKED bt_status bt_tparser_expect(tparser *p, top op, const char *name);
BT_CHECKED bt_status bt_tparser_expr(tparser *p, bool with_cond, tnode **ret_node);
BT_CHECKED bt_status bt_tparser_filters(tparser *p, tnode *input, bool start_inline,
                                        tnode **ret_node);

typedef struct ttuple_rule {
    bool simplified; // names and literals only: the targets of for and set
    bool with_cond, in_parens, with_namespace;
    const char *end_name; // a name that ends it, or NULL
} ttuple_rule;
BT_CHECKED bt_status bt_tparser_tuple(tparser *p, const ttuple_rule *rule, tnode **ret_node);

static inline bool bt_ttoken_is(const ttoken *t, top op) { return t->type == T_OP && t->op == op; }
bool bt_ttoken_named(const ttoken *t, const char *name);
