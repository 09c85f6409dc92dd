// SPDX-License-Identifier: Apache-2.0
/* template_call: how filters, tests, methods, functions and macros are called. One row per builtin;
 * the row's parameter names serve positional and keyword arguments and the messages about them. */
#pragma once
#include "text/template/template_node.h"

enum { TCALL_ARGS_MAX = 8 };

typedef struct tkeyword {
    const char *name;
    size_t len;
    tval value;
} tkeyword;

/* Arguments as they were written, after * and ** were spread. */
typedef struct targs {
    const tval *pos;
    size_t n_pos;
    const tkeyword *kw;
    size_t n_kw;
} targs;

/* Arguments as the builtin sees them. */
typedef struct tcall {
    const struct tbuiltin *builtin;
    const tval *self;                // filters, tests: the input; methods: the receiver
    const tval *arg[TCALL_ARGS_MAX]; // by parameter; NULL where absent
    targs rest;                      // what a '*' parameter collects: all arguments
} tcall;

typedef bt_status (*tcall_fn)(trun *r, const tcall *call, tval *ret_value);

typedef struct tbuiltin {
    const char *name;
    const char
        *params; // "width first blank"; "/x" is positional only; "*": takes anything, see rest
    int n_required;
    tcall_fn fn; // NULL: known to Jinja, not to us, or refused by the sandbox: see why
    const char *why;
} tbuiltin;

typedef struct tmacro {
    const tnode *node; // N_MACRO, N_CALLBLOCK
    tscope *scope;     // where it was defined
} tmacro;

typedef struct tloop {
    const tnode *node;
    tscope *scope; // around the loop
    titer *iter;
    size_t index0;
    size_t depth0;
    tval before, current, after, changed;
    bool has_after, ended, has_changed, has_len;
    size_t len;
} tloop;

const tbuiltin *bt_tbuiltin_filter(const char *name, size_t len); // NULL if there is none
const tbuiltin *bt_tbuiltin_test(const char *name, size_t len);
const tbuiltin *bt_tbuiltin_global(const char *name, size_t len);
const tbuiltin *bt_tbuiltin_method(const tval *self, const char *name, size_t len);

/* The filters in two files, each a table that ends with an empty row. */
extern const tbuiltin bt_template_text_filters[], bt_template_seq_filters[], bt_template_tests[],
    bt_template_globals[], bt_template_str_methods[];

/* Bind arguments to parameters and call. `kind` is for messages: "filter", "test", "method",
 * "function". */
BT_CHECKED bt_status bt_tbuiltin_call(trun *r, const tbuiltin *b, const tval *self,
                                      const targs *args, tval *ret_value);
BT_CHECKED bt_status bt_tval_call(trun *r, const tval *callee, const targs *args, tval *ret_value);

/* value.name and value[key], as the sandbox allows. */
BT_CHECKED bt_status bt_tval_attr(trun *r, const tval *v, const char *name, size_t len,
                                  tval *ret_value);
BT_CHECKED bt_status bt_tval_item(trun *r, const tval *v, const tval *key, tval *ret_value);
BT_CHECKED bt_status bt_tval_slice(trun *r, const tval *v, const tval *bounds,
                                   tval *ret_value); // start, stop, step
/* "a.b.0": the attribute path that map, sort, selectattr take; NULL path: the item itself. */
BT_CHECKED bt_status bt_tval_path(trun *r, const tval *v, const tval *path, tval *ret_value);

/* The from_json filter, with the globals because it needs the run to own what it parses. */
BT_CHECKED bt_status bt_template_from_json(trun *r, const tcall *call, tval *ret_value);

// ---- operators ----
BT_CHECKED bt_status bt_tval_binary(trun *r, top op, const tval *a, const tval *b, tval *ret_value);
BT_CHECKED bt_status bt_tval_negate(const tval *v, bool minus, tval *ret_value);
BT_CHECKED bt_status bt_tval_compare(trun *r, top op, const tval *a, const tval *b,
                                     bool *ret_holds);
BT_CHECKED bt_status bt_tstr_percent(trun *r, const tval *format, const tval *values,
                                     tval *ret_string);
BT_CHECKED bt_status bt_tstr_format(trun *r, const tval *format, const targs *args,
                                    tval *ret_string);

// ---- evaluation ----
BT_CHECKED bt_status bt_teval(trun *r, const tnode *n, tval *ret_value);
BT_CHECKED bt_status bt_teval_args(trun *r, const tcallargs *a, targs *ret_args);
BT_CHECKED bt_status bt_tval_apply_filter(trun *r, const tnode *filter, const tval *input,
                                          tval *ret_value);
BT_CHECKED bt_status bt_texec(trun *r, const tnode *body); // a list of statements
BT_CHECKED bt_status bt_tscope_set(trun *r, tscope *scope, uint32_t symbol, const tval *value);
BT_CHECKED bt_status bt_tscope_new(trun *r, tscope *parent, tscope **ret_scope);
BT_CHECKED bt_status bt_tmacro_call(trun *r, const tmacro *m, const targs *args, tval *ret_string);
tval bt_tmacro_name(const tmacro *m);
BT_CHECKED bt_status bt_tloop_len(trun *r, tloop *loop, size_t *ret_len);
size_t bt_tloop_index(const tloop *loop);
BT_CHECKED bt_status bt_tloop_attr(trun *r, tloop *loop, const char *name, size_t len,
                                   tval *ret_value, bool *ret_found);
BT_CHECKED bt_status bt_tloop_call(trun *r, const tloop *loop, const targs *args,
                                   tval *ret_string); // recursive

// ---- arguments ----
BT_CHECKED bt_status bt_tcall_flag(trun *r, const tcall *c, int i, bool def, bool *ret_flag);
BT_CHECKED bt_status bt_tcall_int(const tcall *c, int i, int64_t def, int64_t *ret_int);
BT_CHECKED bt_status bt_tcall_str(const tcall *c, int i,
                                  const tval **ret_str); // NULL: absent; else a string
