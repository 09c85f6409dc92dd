// SPDX-License-Identifier: Apache-2.0
/* viewmodel: views by definition, index by index, and random views. A view of a tensor says for
 * each of its elements, counted in order, which element of its input it is: a map. */
#pragma once
#include "graph/toy.h"

enum { VIEW_COUNT_MAX = 4096 };

/* A view operator with its parameters. */
typedef struct view_step {
    const bt_op *op;
    union {
        bt_reshape_param reshape;
        bt_slice_param slice;
        bt_chunk_param chunk;
        bt_permute_param permute;
        bt_broadcast_param broadcast;
    } u;
} view_step;

/* Element number `at` of dense dimensions as coordinates, and back. */
static inline void unflatten(const int64_t *dim, int n_dim, int64_t at, int64_t *coord)
{
    for (int d = n_dim - 1; d >= 0; at /= dim[d--]) coord[d] = at % dim[d];
}

static inline int64_t flatten(const int64_t *dim, int n_dim, const int64_t *coord)
{
    int64_t at = 0;
    for (int d = 0; d < n_dim; d++) at = at * dim[d] + coord[d];
    return at;
}

static inline int64_t from_end(int64_t x, int64_t n) { return x < 0 ? x + n : x; }

/* Where output element `c` lies in the input, by what ops.h says of the operator. */
static inline void source_of(const view_step *s, const bt_desc *in, const bt_desc *out,
                             const int64_t *c, int64_t *ret_coord)
{
    if (s->op == &bt_op_reshape) {
        unflatten(in->dim, in->n_dim, flatten(out->dim, out->n_dim, c), ret_coord);
        return;
    }
    for (int d = 0; d < in->n_dim; d++) {
        if (s->op == &bt_op_permute)
            ret_coord[s->u.permute.axis[d]] = c[d];
        else if (s->op == &bt_op_broadcast)
            ret_coord[d] = in->dim[d] == 1 ? 0 : c[d + out->n_dim - in->n_dim];
        else
            ret_coord[d] = c[d];
    }
    if (s->op == &bt_op_slice) {
        int64_t d = from_end(s->u.slice.dim, in->n_dim);
        ret_coord[d] += from_end(s->u.slice.begin, in->dim[d]);
    }
    if (s->op == &bt_op_chunk) {
        int64_t d = from_end(s->u.chunk.dim, in->n_dim);
        ret_coord[d] += in->dim[d] / s->u.chunk.n * s->u.chunk.i;
    }
}

/* The map of a view whose dimensions are `out`'s. */
static inline void map_of(const view_step *s, const bt_desc *in, const bt_desc *out, int64_t *map)
{
    int64_t c[BT_DIM_MAX], from[BT_DIM_MAX], n = bt_desc_count(out);
    assert_true(n <= VIEW_COUNT_MAX);
    for (int64_t i = 0; i < n; i++) {
        unflatten(out->dim, out->n_dim, i, c);
        source_of(s, in, out, c, from);
        map[i] = flatten(in->dim, in->n_dim, from);
    }
}

/* Where element number i of a tensor lies, in elements from its first. */
static inline int64_t place_of(const bt_desc *desc, int64_t i)
{
    int64_t c[BT_DIM_MAX], at = 0;
    unflatten(desc->dim, desc->n_dim, i, c);
    for (int d = 0; d < desc->n_dim; d++) at += c[d] * bt_desc_stride(desc, d);
    return at;
}

/* ---- random views ---- */

/* Split n elements into up to 4 dimensions; one of them may be left over. */
static inline bt_reshape_param random_reshape(test_rng *rng, int64_t n)
{
    bt_reshape_param p = {.n_dim = (int32_t)test_range(rng, 1, BT_DIM_MAX)};
    for (int d = 0; d < p.n_dim; d++) {
        int64_t size = n;
        while (d < p.n_dim - 1 && (size = test_range(rng, 1, 6), n % size)) {}
        p.dim[d] = (int32_t)size;
        n /= size;
    }
    if (test_range(rng, 0, 1)) p.dim[test_range(rng, 0, p.n_dim - 1)] = -1;
    return p;
}

static inline bt_slice_param random_slice(test_rng *rng, const bt_desc *in)
{
    int32_t d = (int32_t)test_range(rng, 0, in->n_dim - 1), n = (int32_t)in->dim[d];
    int32_t begin = (int32_t)test_range(rng, 0, n - 1),
            end = (int32_t)test_range(rng, begin + 1, n);
    if (test_range(rng, 0, 2) == 0) begin -= n;
    end = end == n ? INT32_MAX : test_range(rng, 0, 1) ? end - n : end;
    return (bt_slice_param){test_range(rng, 0, 1) ? d : d - in->n_dim, begin, end};
}

static inline bt_chunk_param random_chunk(test_rng *rng, const bt_desc *in)
{
    int32_t d = (int32_t)test_range(rng, 0, in->n_dim - 1), n;
    while (n = (int32_t)test_range(rng, 1, in->dim[d]), in->dim[d] % n) {}
    return (bt_chunk_param){d, n, (int32_t)test_range(rng, 0, n - 1)};
}

static inline bt_permute_param random_permute(test_rng *rng, const bt_desc *in)
{
    bt_permute_param p = {{0, 1, 2, 3}};
    for (int d = in->n_dim - 1; d > 0; d--) {
        int j = (int)test_range(rng, 0, d);
        int32_t t = p.axis[d];
        p.axis[d] = p.axis[j];
        p.axis[j] = t;
    }
    return p;
}

static inline bt_broadcast_param random_broadcast(test_rng *rng, const bt_desc *in)
{
    bt_broadcast_param p = {.n_dim = (int32_t)test_range(rng, in->n_dim, BT_DIM_MAX)};
    for (int d = 0; d < p.n_dim; d++) {
        int i = d - (p.n_dim - in->n_dim);
        bool one = i < 0 || in->dim[i] == 1;
        p.dim[d] = one ? (int32_t)test_range(rng, 1, 3) : -1;
        if (!one && test_range(rng, 0, 1)) p.dim[d] = (int32_t)in->dim[i];
    }
    return p;
}

/* A view with parameters that suit the dimensions; reshape may still be impossible without a copy. */
static inline view_step random_view(test_rng *rng, const bt_desc *in)
{
    static const bt_op *const ops[] = {&bt_op_reshape, &bt_op_slice, &bt_op_chunk, &bt_op_permute,
                                       &bt_op_broadcast};
    view_step s = {.op = ops[test_range(rng, 0, 4)]};
    if (s.op == &bt_op_reshape) s.u.reshape = random_reshape(rng, bt_desc_count(in));
    if (s.op == &bt_op_slice) s.u.slice = random_slice(rng, in);
    if (s.op == &bt_op_chunk) s.u.chunk = random_chunk(rng, in);
    if (s.op == &bt_op_permute) s.u.permute = random_permute(rng, in);
    if (s.op == &bt_op_broadcast) s.u.broadcast = random_broadcast(rng, in);
    return s;
}
