// SPDX-License-Identifier: Apache-2.0
/* template_value: the values a template computes with, and the run that owns them.
 *
 * Values are small structs passed by pointer; what they point to lives in the run's arena or, for
 * the request's data, in the caller's JSON, which is never copied. All values are immutable but
 * namespaces and iterators. Strings are UTF-8 views into a store. A store may carry one mark per
 * byte; without marks the value's `data` flag holds for the whole string:
 *
 *     value   bytes --+  len 6                        data = false: nothing is from the data
 *     store   "<|im_start|>user ..."                  mark: 000000000000 1111 ...
 */
#pragma once
#include "base/arena.h"
#include "base/json.h"
#include "text/template.h"

typedef enum tkind {
    K_UNDEF,
    K_NONE,
    K_BOOL,
    K_INT,
    K_FLOAT,
    K_STR,
    K_LIST,
    K_TUPLE,
    K_DICT,
    K_VIEW,
    K_RANGE,
    K_ITER,
    K_NAMESPACE,
    K_MACRO,
    K_METHOD,
    K_FUNC,
    K_LOOP
} tkind;

enum { UNDEF_NAME, UNDEF_HINT, UNDEF_ATTR, UNDEF_UNSAFE }; // tval.sub of K_UNDEF
enum { VIEW_KEYS, VIEW_VALUES, VIEW_ITEMS };               // tval.sub of K_VIEW

typedef struct tval tval;
typedef struct trun trun;
typedef struct tstore {
    char *bytes;
    uint8_t *mark;     // [size], 1 = from the data; NULL: uniform, see tval.data
    size_t used, size; // bytes in use by some value; a string that ends at `used` may grow in place
} tstore;

struct tval {
    uint8_t kind;
    uint8_t sub;
    bool data;       // derived from the request's data
    bool markup : 1; // K_STR: made by safe or escape
    bool json : 1;   // K_LIST, K_DICT: lives in the caller's JSON
    union {
        int64_t i; // K_INT, K_BOOL
        double f;
        size_t len; // K_STR, K_UNDEF (its name): bytes
    };
    union {
        const char *bytes;  // K_STR, K_UNDEF
        struct tseq *seq;   // K_LIST, K_TUPLE
        struct tdict *dict; // K_DICT, K_NAMESPACE
        json_t *js;
        const tval *of; // K_VIEW: the dict; K_METHOD: the receiver
        struct trange *range;
        struct titer *iter;
        struct tmacro *macro;
        struct tloop *loop;
    };
    union {
        tstore *store;                  // K_STR, NULL: no marks
        const char *owner;              // K_UNDEF/ATTR: type of the object, "dict object"
        const struct tbuiltin *builtin; // K_METHOD, K_FUNC
    };
};

typedef struct tseq {
    size_t n;
    tval *items;
} tseq;

typedef struct tdict {
    size_t n, size;
    tval *pairs; // key, value, key, value
} tdict;

typedef struct trange {
    int64_t start, stop, step, n;
} trange;

/* A thing being iterated: a position in a value, or a lazy filter over another iterator. */
typedef struct titer titer;
struct titer {
    tval source;   // what is walked; K_NONE for a lazy filter
    size_t at;     // items (K_STR: bytes) passed
    void *json_at; // K_DICT of JSON: the next entry
    titer *inner;  // lazy filter: where items come from
    bt_status (*pull)(trun *r, titer *it, tval *ret_item, bool *ret_more);
    void *state; // pull's own
};

typedef struct tscope {
    struct tscope *parent;
    struct tvar {
        uint32_t symbol;
        tval value;
    } * vars;
    uint32_t n, size;
} tscope;

/* Text under construction, with marks. */
typedef struct tout {
    trun *run;
    bt_buf text, mark; // mark is empty while all of the text is of one origin
    bool data;         // the origin, while it is one
    size_t bytes_max;  // 0: only the run's memory bounds it
} tout;

struct trun {
    const bt_template *tmpl;
    bt_arena arena;
    bt_template_limits limits;
    json_t *data, *trusted;
    int64_t now_unix_s;
    int64_t steps, memory, depth;
    bool failed; // the place of the failure has been noted
    tscope *scope, *root;
    tout *out;
    enum { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } flow;
};

// ---- memory and effort ----
BT_CHECKED bt_status bt_trun_alloc(trun *r, size_t count, size_t size, void **ret_block);
BT_CHECKED bt_status bt_trun_step(trun *r, size_t n);
BT_CHECKED bt_status bt_trun_enter(trun *r); // one level deeper; the caller does r->depth--
static inline size_t bt_trun_cost(size_t bytes) { return bytes / 64; }

// ---- plain values ----
static inline tval bt_tval_none(void) { return (tval){.kind = K_NONE}; }
static inline tval bt_tval_bool(bool b) { return (tval){.kind = K_BOOL, .i = b}; }
static inline tval bt_tval_int(int64_t i) { return (tval){.kind = K_INT, .i = i}; }
static inline tval bt_tval_float(double f) { return (tval){.kind = K_FLOAT, .f = f}; }
static inline tval bt_tval_text(const char *bytes,
                                size_t len) // template's own, bytes outlive the run
{
    return (tval){.kind = K_STR, .len = len, .bytes = bytes};
}
tval bt_tval_undef(const char *hint);
tval bt_tval_json(json_t *js, bool data);
static inline bool bt_tval_is_int(const tval *v) { return v->kind == K_INT || v->kind == K_BOOL; }
static inline bool bt_tval_is_number(const tval *v)
{
    return bt_tval_is_int(v) || v->kind == K_FLOAT;
}
static inline double bt_tval_as_double(const tval *v)
{
    return v->kind == K_FLOAT ? v->f : (double)v->i;
}
const char *bt_tval_type(const tval *v); // Python's name of the type
BT_CHECKED bt_status bt_tval_fail_undef(const tval *v);
BT_CHECKED bt_status bt_tval_truth(trun *r, const tval *v, bool *ret_truth);
BT_CHECKED bt_status bt_tval_len(trun *r, const tval *v,
                                 size_t *ret_len); // INVALID: it has no length
bool bt_tval_has_len(const tval *v);
BT_CHECKED bt_status bt_tval_equal(trun *r, const tval *a, const tval *b, bool *ret_equal);
BT_CHECKED bt_status bt_tval_less(trun *r, const tval *a, const tval *b, const char *op,
                                  bool *ret_less);
BT_CHECKED bt_status bt_tval_contains(trun *r, const tval *item, const tval *in, bool *ret_found);
BT_CHECKED bt_status bt_tval_hashable(const tval *v);
bool bt_tval_text_is(const tval *v, const char *text);

// ---- containers ----
BT_CHECKED bt_status bt_tseq_new(trun *r, tkind kind, size_t n, tval *ret_seq);
size_t bt_tseq_len(const tval *v); // K_LIST, K_TUPLE
tval bt_tseq_at(const tval *v, size_t i);
BT_CHECKED bt_status bt_tdict_new(trun *r, size_t size, tval *ret_dict);
BT_CHECKED bt_status bt_tdict_put(trun *r, tdict *d, const tval *key, const tval *value);
size_t bt_tdict_len(const tval *v);
BT_CHECKED bt_status bt_tdict_find(trun *r, const tval *v, const tval *key, tval *ret_value,
                                   bool *ret_found);

// ---- iteration ----
bool bt_tval_iterable(const tval *v);
BT_CHECKED bt_status bt_titer_open(trun *r, const tval *v, titer **ret_iter);
BT_CHECKED bt_status bt_titer_next(trun *r, titer *it, tval *ret_item, bool *ret_more);
BT_CHECKED bt_status bt_titer_collect(trun *r, titer *it, tkind kind,
                                      tval *ret_seq);                            // the rest of it
BT_CHECKED bt_status bt_tval_list(trun *r, const tval *v, tval *ret_list);       // list(v)
BT_CHECKED bt_status bt_titer_value(trun *r, const tval *list, tval *ret_value); // iter(list)
