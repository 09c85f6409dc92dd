// SPDX-License-Identifier: Apache-2.0
/* planproof: plans without an executable, and a proof that one is sound that shares nothing with the
 * planner: what lies where is read off the plan, who touches it off the graph, and two that overlap
 * must follow each other. The order of steps is taken from bt_streams, which streams_test holds to
 * its meaning. */
#pragma once
#include "support/support.h"
#include "base/alloc.h"
#include "graph/plan.h"
#include "oracle/memory.h"
#include <string.h>

/* ---- plans ---- */

typedef struct planner {
    bt_plan_base base;
    bt_plan plan;
    void *block;
} planner;

static inline planner planner_of(bt_graph *g, const bt_op_env *env, int32_t n_stream)
{
    planner k;
    assert_ok(bt_plan_base_init(&k.base, g, env, n_stream));
    assert_ok(bt_alloc_zero(&k.block, bt_plan_bytes(&k.base), BT_MEM_PLAN));
    bt_plan_lay_out(&k.base, k.block, &k.plan);
    return k;
}

/* As the largest: then the arena is this plan's own. */
static inline void plan_alone(planner *k, const bt_desc *in_desc)
{
    uint64_t *param = fresh((size_t)k->base.graph->n_node, BT_OP_PARAM_BYTES);
    for (int32_t n = 0; n < k->base.graph->n_node; n++)
        memcpy(param + n * (BT_OP_PARAM_BYTES / 8), k->base.graph->node[n].param,
               BT_OP_PARAM_BYTES);
    k->base.planned = false;
    assert_ok(bt_plan_largest(&k->base, in_desc, param, &k->plan));
    free(param);
}

static inline void planner_done(planner *k)
{
    bt_plan_base_done(&k->base);
    bt_free(k->block);
}

/* ---- what lies where, and when ---- */

enum { REGION_MAX = 1200, TOUCH_MAX = 600 };

typedef struct region {
    int64_t offset, bytes;
    int32_t maker;  // the node that writes it
    bt_value value; // BT_VALUE_NONE: the node's scratch
    int32_t touch_at, n_touch;
} region;

typedef struct layout {
    const bt_plan_base *b;
    const bt_plan *p;
    region region[REGION_MAX];
    int32_t touch[REGION_MAX * 3]; // nodes, by region
    int32_t n, n_touch;
} layout;

static inline void add_region(layout *l, region r)
{
    const bt_graph *g = l->b->graph;
    assert_true(l->n < REGION_MAX && r.offset % 64 == 0 && r.offset >= 0);
    assert_true(r.offset + r.bytes <= l->b->arena_bytes);
    r.touch_at = l->n_touch;
    l->touch[l->n_touch++] = r.maker;
    for (int32_t n = 0; r.value != BT_VALUE_NONE && n < g->n_node; n++)
        for (int i = 0; i < BT_OP_IN_MAX && !g->node[n].op->view; i++) {
            bt_value v = g->node[n].in[i];
            if (v == BT_VALUE_NONE || l->b->root[v] != r.value) continue;
            assert_true(l->n_touch < REGION_MAX * 3);
            l->touch[l->n_touch++] = n;
        }
    r.n_touch = l->n_touch - r.touch_at;
    l->region[l->n++] = r;
}

static inline void collect(layout *l)
{
    const bt_graph *g = l->b->graph;
    for (int32_t n = 0; n < g->n_node; n++) {
        bt_value v = g->node[n].out;
        if (g->node[n].op->view) continue;
        if (bt_plan_place(l->b, v) == BT_AT_ARENA)
            add_region(l, (region){l->p->offset[v], bt_desc_bytes(&l->p->desc[v]), n, v, 0, 0});
        if (l->p->setup[n].work_bytes)
            add_region(l, (region){l->p->work_offset[n], l->p->setup[n].work_bytes, n,
                                   BT_VALUE_NONE, 0, 0});
    }
}

static inline bool is_before(const bt_streams *s, int32_t a, int32_t b)
{
    if (!s->before) return a < b;
    return s->before[(size_t)a * (size_t)s->n_word + (size_t)b / 64] >> b % 64 & 1;
}

/* Node n may read region a while it writes region b: the operator says so. */
static inline bool in_place(const layout *l, const region *a, const region *b)
{
    const bt_graph_node_info *node = &l->b->graph->node[b->maker];
    return b->value != BT_VALUE_NONE && node->op->inplace >= 0 &&
           node->in[node->op->inplace] == a->value && a->offset == b->offset &&
           bt_desc_equal(&l->p->desc[a->value], &l->p->desc[b->value]);
}

/* All that touch a are over before b is written. */
static inline bool goes_before(const layout *l, const region *a, const region *b)
{
    for (int32_t t = 0; t < a->n_touch; t++) {
        int32_t n = l->touch[a->touch_at + t];
        if (!is_before(&l->b->streams, n, b->maker) && !(n == b->maker && in_place(l, a, b)))
            return false;
    }
    return true;
}

static inline void expect_sound(const bt_plan_base *b, const bt_plan *p)
{
    static layout l;
    l.b = b;
    l.p = p;
    l.n = l.n_touch = 0;
    collect(&l);
    for (int32_t i = 0; i < l.n; i++)
        for (int32_t j = 0; j < i; j++) {
            const region *x = &l.region[i], *y = &l.region[j];
            if (x->offset + x->bytes <= y->offset || y->offset + y->bytes <= x->offset) continue;
            if (!goes_before(&l, x, y) && !goes_before(&l, y, x))
                fail_msg("what nodes '%s' and '%s' write overlaps", b->graph->node[x->maker].name,
                         b->graph->node[y->maker].name);
        }
}
