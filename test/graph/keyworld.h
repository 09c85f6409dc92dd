// SPDX-License-Identifier: Apache-2.0
/* keyworld: what the tests of keys are made from: operators with a field of every type in every
 * role, random nodes, and the comparison of two nodes field by field, which knows nothing of keys. */
#pragma once
#include "support/support.h"
#include "graph/nodecache.h"
#include <string.h>

/* ---- operators of the test's own: field k of operator r has role (k + r) % 3. There is padding
 * behind i, f and e. ---- */

typedef struct every_param {
    int32_t i;
    int64_t l;
    float f;
    void *p;
    int32_t a[2];
    float e[3];
} every_param;

#define EVERY_FIELDS(r0, r1, r2)                                                                   \
    {                                                                                              \
        BT_FIELD(every_param, i, I32, r0), BT_FIELD(every_param, l, I64, r1),                      \
            BT_FIELD(every_param, f, F32, r2), BT_FIELD(every_param, p, PTR, r0),                  \
            BT_FIELD_ARRAY(every_param, a, I32, r1, 2), BT_FIELD_ARRAY(every_param, e, F32, r2, 3) \
    }

enum { EVERY_OPS = 3 };
static const bt_field every_fields[EVERY_OPS][6] = {EVERY_FIELDS(KEY, ADDRESS, VALUE),
                                                    EVERY_FIELDS(VALUE, KEY, ADDRESS),
                                                    EVERY_FIELDS(ADDRESS, VALUE, KEY)};
#define EVERY_OP(r, n_inputs)                                                                      \
    {                                                                                              \
        .name = "every", .n_in = n_inputs, .param_bytes = sizeof(every_param),                     \
        .field = every_fields[r], .n_field = 6                                                     \
    }
static const bt_op every_op[EVERY_OPS] = {EVERY_OP(0, 1), EVERY_OP(1, 8), EVERY_OP(2, 2)};

static const bt_op *const all_ops[] = {
#define KEYWORLD_ROW(name) &bt_op_##name,
    BT_OP_LIST(KEYWORLD_ROW)
#undef KEYWORLD_ROW
        & every_op[0],
    &every_op[1],
    &every_op[2],
};
enum { N_OPS = sizeof all_ops / sizeof *all_ops };

/* ---- nodes ---- */

typedef struct node {
    const bt_op *op;
    uint64_t param[BT_OP_PARAM_BYTES / 8];
    bt_desc in[BT_OP_IN_MAX];
} node;

/* Any descriptor: whatever its operator would say of it. Unused entries hold rubbish. */
static inline bt_desc random_desc(test_rng *rng)
{
    bt_desc d = {.dtype = (bt_dtype)test_range(rng, 0, BT_DTYPE_COUNT - 1),
                 .layout = (bt_layout)test_range(rng, 0, 1),
                 .n_dim = (int32_t)test_range(rng, 0, BT_DIM_MAX),
                 .strided = (int32_t)test_range(rng, 0, 1)};
    for (int i = 0; i < BT_DIM_MAX; i++) {
        d.dim[i] = (int64_t)(test_u64(rng) >> test_range(rng, 1, 63));
        d.stride[i] = (int64_t)(test_u64(rng) >> test_range(rng, 1, 63));
    }
    return d;
}

static inline node random_node(test_rng *rng)
{
    node n = {.op = all_ops[test_range(rng, 0, N_OPS - 1)]};
    for (int i = 0; i < BT_OP_PARAM_BYTES / 8; i++) n.param[i] = test_u64(rng);
    for (int i = 0; i < BT_OP_IN_MAX; i++) n.in[i] = random_desc(rng);
    return n;
}

/* ---- sameness by definition ---- */

static inline size_t type_bytes(bt_field_type type)
{
    return type == BT_FIELD_I64 || type == BT_FIELD_PTR ? 8 : 4;
}

static inline int32_t elements_of(const bt_field *f) { return f->count ? f->count : 1; }

static inline bool same_desc(const bt_desc *a, const bt_desc *b)
{
    if (a->dtype != b->dtype || a->layout != b->layout || a->n_dim != b->n_dim ||
        a->strided != b->strided)
        return false;
    for (int i = 0; i < a->n_dim; i++)
        if (a->dim[i] != b->dim[i] || (a->strided && a->stride[i] != b->stride[i])) return false;
    return true;
}

/* Whether infer and setup see the same in both. Floats are compared as bits. */
static inline bool same_node(const node *a, const node *b)
{
    if (a->op != b->op) return false;
    for (int32_t i = 0; i < a->op->n_in; i++)
        if (!same_desc(&a->in[i], &b->in[i])) return false;
    for (int32_t i = 0; i < a->op->n_field; i++) {
        const bt_field *f = &a->op->field[i];
        const char *x = (const char *)a->param + f->offset, *y = (const char *)b->param + f->offset;
        size_t each = type_bytes(f->type);
        for (int32_t k = 0; f->role == BT_FIELD_KEY && k < elements_of(f); k++)
            for (size_t byte = 0; byte < each; byte++)
                if (x[(size_t)k * each + byte] != y[(size_t)k * each + byte]) return false;
    }
    return true;
}

/* ---- keys ---- */

typedef struct node_key {
    int32_t n;
    uint8_t byte[BT_NODE_KEY_MAX];
} node_key;

static inline node_key key_of(const node *n)
{
    node_key k;
    k.n = bt_node_key(n->op, n->param, n->in, k.byte);
    assert_in_range(k.n, 1, BT_NODE_KEY_MAX);
    return k;
}

static inline bool same_key(const node_key *a, const node_key *b)
{
    return a->n == b->n && !memcmp(a->byte, b->byte, (size_t)a->n);
}
