// SPDX-License-Identifier: Apache-2.0
/* plan: making, caching and binding plans. Every plan of a cache is one block of the same size, cut
 * into its arrays once; making a plan for another shape overwrites them. */
#include "graph/plan.h"
#include "base/hash.h"
#include "graph/memplan.h"
#include <string.h>

struct bt_plan_cache {
    bt_graph *graph;
    bt_op_env env;
    bt_desc *max_desc;  // [n_input]
    int64_t *max_bytes; // [n_value] of the temporaries at the largest shapes, by block
    int64_t *max_work;  // [n_node]
    int64_t arena_bytes, bound_bytes;
    bt_plan *plan; // [n_plan]
    int32_t n_plan, n_used;
    uint64_t clock;
    bt_plan_counters counters;
    char *block; // all plans' arrays
};

/* ---- one plan ---- */

static size_t cut(char *base, size_t *at, size_t count, size_t size, void **ret_array)
{
    if (base) *ret_array = base + *at;
    *at += (count * size + 63) & ~(size_t)63;
    return *at;
}

/* Lay the arrays of a plan out from `base`; with NULL only measure. Returns the bytes. */
static size_t lay_out(bt_plan *p, const bt_graph *g, char *base)
{
    size_t at = 0, n_value = (size_t)g->n_value, n_node = (size_t)g->n_node;
    cut(base, &at, (size_t)g->n_input, sizeof *p->in_desc, (void **)&p->in_desc);
    cut(base, &at, n_value, sizeof *p->desc, (void **)&p->desc);
    cut(base, &at, n_value, sizeof *p->offset, (void **)&p->offset);
    cut(base, &at, n_node, sizeof *p->work_offset, (void **)&p->work_offset);
    cut(base, &at, n_node, sizeof *p->setup, (void **)&p->setup);
    cut(base, &at, (size_t)g->n_launch_max, sizeof *p->launch, (void **)&p->launch);
    cut(base, &at, n_value, sizeof *p->ptr, (void **)&p->ptr);
    return at;
}

static void node_descs(const bt_plan *p, const bt_graph_node_info *node, bt_desc *ret_in)
{
    for (int32_t i = 0; i < BT_OP_IN_MAX; i++)
        ret_in[i] = node->in[i] == BT_VALUE_NONE ? (bt_desc){0} : p->desc[node->in[i]];
}

/* Descriptor and setup of one node; a view has nothing to set up. */
static bt_status set_up_node(const bt_op_env *env, const bt_graph_node_info *node,
                             const bt_desc *in, bt_desc *ret_out, bt_op_setup *ret_setup)
{
    const bt_op *op = node->op;
    for (int32_t i = 0; i < BT_OP_IN_MAX; i++)
        BT_FAIL_IF(in[i].strided && !(op->strided_in >> i & 1), INVALID,
                   "%s: input %d is a strided view, must be dense; make it dense with 'copy'",
                   op->name, i);
    BT_TRY(op->infer(node->param, in, ret_out));
    *ret_setup = (bt_op_setup){0};
    if (op->view) return BT_OK;
    BT_FAIL_IF(ret_out->strided || ret_out->layout != BT_ROWS, INVALID,
               "%s: the output must be dense, for it is no view", op->name);
    return op->setup(env, node->param, in, ret_out, ret_setup);
}

/* Shapes and setups of all nodes, in order. */
static bt_status infer_and_setup(bt_plan *p, const bt_op_env *env)
{
    const bt_graph *g = p->graph;
    for (bt_value v = 0; v < g->n_value; v++) {
        const bt_graph_value_info *info = &g->value[v];
        if (info->kind == BT_VALUE_INPUT) p->desc[v] = p->in_desc[info->input];
        if (info->kind == BT_VALUE_CONST) p->desc[v] = info->desc;
    }
    p->n_launch = 0;
    for (int32_t n = 0; n < g->n_node; n++) {
        const bt_graph_node_info *node = &g->node[n];
        bt_desc in[BT_OP_IN_MAX], out;
        node_descs(p, node, in);
        bt_status st = set_up_node(env, node, in, &out, &p->setup[n]);
        if (st != BT_OK) {
            bt_fail_note("node '%s'", node->name);
            return st;
        }
        assert(p->setup[n].n_launch <= BT_OP_LAUNCH_MAX);
        p->desc[node->out] = out;
        p->n_launch += p->setup[n].n_launch;
    }
    return BT_OK;
}

/* A view's address follows from its input's; any other node writes its launches. */
static void bind_node(bt_plan *p, int32_t n, char *arena, bt_launch *ret_launch)
{
    const bt_graph_node_info *node = &p->graph->node[n];
    bt_desc in[BT_OP_IN_MAX];
    void *in_ptr[BT_OP_IN_MAX];
    node_descs(p, node, in);
    for (int32_t i = 0; i < BT_OP_IN_MAX; i++)
        in_ptr[i] = node->in[i] == BT_VALUE_NONE ? NULL : p->ptr[node->in[i]];
    if (node->op->view) {
        p->ptr[node->out] =
            (char *)in_ptr[0] + node->op->view(node->param, in, &p->desc[node->out]);
        return;
    }
    node->op->bind(&(bt_op_bind){.param = node->param,
                                 .in = in,
                                 .in_ptr = in_ptr,
                                 .out = &p->desc[node->out],
                                 .out_ptr = p->ptr[node->out],
                                 .work = p->work_offset[n] < 0 ? NULL : arena + p->work_offset[n],
                                 .setup = &p->setup[n]},
                   ret_launch);
}

void *bt_plan_output(const bt_plan *plan, int32_t k)
{
    assert(plan->bound && k < plan->graph->n_output);
    return plan->ptr[plan->graph->output[k]];
}

/* ---- the arena: one block of memory per temporary, or per chain of in-place ones ---- */

typedef struct arena_plan {
    bt_memplan_block *block; // [n_value + n_node]: values' blocks, then the nodes' scratch
    int32_t *owner;          // [n_value] whose memory the value lies in
    int32_t *last_use;       // [n_value] step of the last reader, of it or of a view of it
    int32_t *scratch;
} arena_plan;

static void find_last_uses(const bt_graph *g, int32_t *last_use)
{
    for (int32_t n = 0; n < g->n_node; n++) {
        last_use[g->node[n].out] = n;
        for (int32_t i = 0; i < BT_OP_IN_MAX; i++)
            if (g->node[n].in[i] != BT_VALUE_NONE) last_use[g->node[n].in[i]] = n;
    }
    for (int32_t k = 0; k < g->n_output; k++) last_use[g->output[k]] = g->n_node;
    for (int32_t n = g->n_node - 1; n >= 0; n--) { // views of views come after what they look at
        const bt_graph_node_info *node = &g->node[n];
        if (node->op->view && last_use[node->in[0]] < last_use[node->out])
            last_use[node->in[0]] = last_use[node->out];
    }
}

static bool is_view(const bt_graph *g, bt_value v)
{
    return g->value[v].kind == BT_VALUE_TEMP && g->node[g->value[v].node].op->view;
}

/* The value whose memory node n may write over, or BT_VALUE_NONE: a temporary that dies here, with
 * all views of it, and whose memory no other input of the node looks at. Not a view: where in its
 * block that lies may depend on the shapes. */
static bt_value inplace_input(const bt_plan *p, const arena_plan *a, int32_t n)
{
    const bt_graph_node_info *node = &p->graph->node[n];
    int32_t i = node->op->inplace;
    if (i < 0 || node->in[i] == BT_VALUE_NONE) return BT_VALUE_NONE;
    bt_value v = node->in[i];
    if (p->graph->value[v].kind != BT_VALUE_TEMP || a->last_use[v] != n) return BT_VALUE_NONE;
    if (is_view(p->graph, v)) return BT_VALUE_NONE;
    for (int32_t j = 0; j < BT_OP_IN_MAX; j++)
        if (j != i && node->in[j] != BT_VALUE_NONE && a->owner[node->in[j]] == a->owner[v])
            return BT_VALUE_NONE;
    return bt_desc_equal(&p->desc[v], &p->desc[node->out]) ? v : BT_VALUE_NONE;
}

static void collect_blocks(const bt_plan *p, arena_plan *a)
{
    const bt_graph *g = p->graph;
    find_last_uses(g, a->last_use);
    for (bt_value v = 0; v < g->n_value; v++) a->owner[v] = v;
    for (int32_t n = 0; n < g->n_node; n++) {
        bt_value out = g->node[n].out, reused = inplace_input(p, a, n);
        if (g->node[n].op->view) {
            a->owner[out] = a->owner[g->node[n].in[0]];
            continue;
        }
        a->owner[out] = reused == BT_VALUE_NONE ? out : a->owner[reused];
        bt_memplan_block *b = &a->block[a->owner[out]];
        if (reused == BT_VALUE_NONE)
            *b = (bt_memplan_block){.bytes = bt_desc_bytes(&p->desc[out]), .first = n};
        b->last = a->last_use[out];
        a->block[g->n_value + n] =
            (bt_memplan_block){.bytes = p->setup[n].work_bytes, .first = n, .last = n};
    }
}

/* Plan the arena for a plan at the largest shapes and remember what each block may hold. */
static void plan_arena(bt_plan_cache *c, bt_plan *p, arena_plan *a)
{
    const bt_graph *g = c->graph;
    int32_t n_block = g->n_value + g->n_node;
    collect_blocks(p, a);
    c->arena_bytes = bt_memplan(a->block, n_block, a->scratch);
    c->bound_bytes = bt_memplan_bound(a->block, n_block);
    for (bt_value v = 0; v < g->n_value; v++) {
        bool in_arena = g->value[v].kind == BT_VALUE_TEMP && !is_view(g, v);
        p->offset[v] = in_arena ? a->block[a->owner[v]].offset : -1;
        c->max_bytes[v] = in_arena ? bt_desc_bytes(&p->desc[v]) : 0;
    }
    for (int32_t n = 0; n < g->n_node; n++) {
        const bt_memplan_block *b = &a->block[g->n_value + n];
        p->work_offset[n] = b->bytes ? b->offset : -1;
        c->max_work[n] = b->bytes;
    }
}

/* A plan for smaller shapes lies where the largest one does; nothing in it may be larger. */
static bt_status check_fits(const bt_plan_cache *c, const bt_plan *p)
{
    const bt_graph *g = c->graph;
    for (int32_t n = 0; n < g->n_node; n++) {
        bt_value out = g->node[n].out;
        if (g->node[n].op->view) continue;
        BT_FAIL_IF(bt_desc_bytes(&p->desc[out]) > c->max_bytes[out] ||
                       p->setup[n].work_bytes > c->max_work[n],
                   INVALID, "node '%s' needs more memory than was planned for the largest shapes",
                   g->node[n].name);
    }
    return BT_OK;
}

/* ---- the cache ---- */

static bt_status plan_largest(bt_plan_cache *c)
{
    const bt_graph *g = c->graph;
    size_t n_value = (size_t)g->n_value, n_node = (size_t)g->n_node;
    arena_plan a = {0};
    bt_plan *p = &c->plan[0];
    bt_status st;
    if ((st = bt_alloc_array((void **)&a.block, n_value + n_node, sizeof *a.block, BT_MEM_PLAN)) ||
        (st = bt_alloc_array((void **)&a.owner, n_value, sizeof *a.owner, BT_MEM_PLAN)) ||
        (st = bt_alloc_array((void **)&a.last_use, n_value, sizeof *a.last_use, BT_MEM_PLAN)) ||
        (st = bt_alloc_array((void **)&a.scratch, n_value + n_node + 1, sizeof *a.scratch,
                             BT_MEM_PLAN)))
        goto done;
    memcpy(p->in_desc, c->max_desc, sizeof *c->max_desc * (size_t)g->n_input);
    if ((st = infer_and_setup(p, &c->env))) goto done;
    plan_arena(c, p, &a);
    st = bt_memplan_check(a.block, g->n_value + g->n_node, c->arena_bytes);
    for (int32_t i = 1; i < c->n_plan; i++) {
        memcpy(c->plan[i].offset, p->offset, sizeof *p->offset * n_value);
        memcpy(c->plan[i].work_offset, p->work_offset, sizeof *p->work_offset * n_node);
    }
done:
    bt_free(a.block);
    bt_free(a.owner);
    bt_free(a.last_use);
    bt_free(a.scratch);
    return st;
}

static bt_status alloc_cache(bt_plan_cache *c)
{
    const bt_graph *g = c->graph;
    size_t bytes = lay_out(&(bt_plan){0}, g, NULL);
    BT_TRY(bt_alloc_array((void **)&c->max_desc, (size_t)g->n_input + 1, sizeof *c->max_desc,
                          BT_MEM_PLAN));
    BT_TRY(bt_alloc_array((void **)&c->max_bytes, (size_t)g->n_value, sizeof *c->max_bytes,
                          BT_MEM_PLAN));
    BT_TRY(
        bt_alloc_array((void **)&c->max_work, (size_t)g->n_node, sizeof *c->max_work, BT_MEM_PLAN));
    BT_TRY(bt_alloc_array((void **)&c->plan, (size_t)c->n_plan, sizeof *c->plan, BT_MEM_PLAN));
    BT_TRY(bt_alloc_array((void **)&c->block, (size_t)c->n_plan, bytes, BT_MEM_PLAN));
    for (int32_t i = 0; i < c->n_plan; i++) {
        c->plan[i].graph = g;
        lay_out(&c->plan[i], g, c->block + (size_t)i * bytes);
    }
    return BT_OK;
}

bt_status bt_plan_cache_new(bt_graph *graph, const bt_op_env *env, const bt_desc *max_desc,
                            int32_t n_plan, bt_plan_cache **ret_cache)
{
    BT_FAIL_IF(!graph->frozen, INVALID, "the graph is not frozen");
    BT_FAIL_IF(n_plan < 1, INVALID, "a cache of %d plans, must be at least 1", n_plan);
    bt_plan_cache *c;
    bt_status st;
    BT_TRY(bt_alloc_zero((void **)&c, sizeof *c, BT_MEM_PLAN));
    bt_graph_ref(graph);
    c->graph = graph;
    c->env = *env;
    c->n_plan = n_plan;
    if ((st = alloc_cache(c))) goto fail;
    memcpy(c->max_desc, max_desc, sizeof *max_desc * (size_t)graph->n_input);
    if ((st = plan_largest(c))) goto fail;
    *ret_cache = c;
    return BT_OK;
fail:
    bt_plan_cache_free(c);
    return st;
}

void bt_plan_cache_free(bt_plan_cache *cache)
{
    if (!cache) return;
    bt_free(cache->max_desc);
    bt_free(cache->max_bytes);
    bt_free(cache->max_work);
    bt_free(cache->plan);
    bt_free(cache->block);
    bt_graph_unref(cache->graph);
    bt_free(cache);
}

static uint64_t hash_descs(const bt_desc *desc, int32_t n)
{
    uint64_t h = 0;
    for (int32_t i = 0; i < n; i++) {
        h = bt_hash_pair(h, (uint64_t)desc[i].dtype << 32 | (uint64_t)desc[i].n_dim);
        for (int32_t d = 0; d < desc[i].n_dim; d++) h = bt_hash_pair(h, (uint64_t)desc[i].dim[d]);
    }
    return h;
}

static bool same_descs(const bt_desc *a, const bt_desc *b, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        if (!bt_desc_equal(&a[i], &b[i])) return false;
    return true;
}

static bt_plan *find_plan(bt_plan_cache *c, uint64_t hash, const bt_desc *in_desc)
{
    for (int32_t i = 0; i < c->n_used; i++)
        if (c->plan[i].hash == hash && same_descs(c->plan[i].in_desc, in_desc, c->graph->n_input))
            return &c->plan[i];
    return NULL;
}

/* An unused plan, or the least recently used one. */
static bt_plan *take_place(bt_plan_cache *c)
{
    if (c->n_used < c->n_plan) return &c->plan[c->n_used++];
    bt_plan *oldest = &c->plan[0];
    for (int32_t i = 1; i < c->n_used; i++)
        if (c->plan[i].last_use < oldest->last_use) oldest = &c->plan[i];
    return oldest;
}

bt_status bt_plan_cache_get(bt_plan_cache *cache, const bt_desc *in_desc, bt_plan **ret_plan)
{
    bt_plan_cache *c = cache;
    uint64_t hash = hash_descs(in_desc, c->graph->n_input);
    bt_plan *p = find_plan(c, hash, in_desc);
    if (p) {
        c->counters.n_hit++;
    } else {
        p = take_place(c);
        p->bound = false;
        memcpy(p->in_desc, in_desc, sizeof *in_desc * (size_t)c->graph->n_input);
        bt_status st = infer_and_setup(p, &c->env);
        if (st == BT_OK) st = check_fits(c, p);
        if (st != BT_OK) {
            p->in_desc[0].n_dim = -1; // a half-made plan matches nothing
            return st;
        }
        p->hash = hash;
        c->counters.n_built++;
        c->counters.n_setup += (uint64_t)c->graph->n_setup;
    }
    p->last_use = ++c->clock;
    *ret_plan = p;
    return BT_OK;
}

void bt_plan_cache_bind(bt_plan_cache *cache, bt_plan *plan, void *const *in_ptr, void *arena)
{
    const bt_graph *g = plan->graph;
    if (plan->bound) return;
    for (bt_value v = 0; v < g->n_value; v++) {
        const bt_graph_value_info *info = &g->value[v];
        plan->ptr[v] = info->kind == BT_VALUE_INPUT   ? in_ptr[info->input]
                       : info->kind == BT_VALUE_CONST ? (void *)info->data
                       : plan->offset[v] >= 0         ? (char *)arena + plan->offset[v]
                                                      : NULL;
    }
    for (int32_t n = 0, at = 0; n < g->n_node; at += plan->setup[n++].n_launch)
        bind_node(plan, n, arena, plan->launch + at);
    plan->bound = true;
    cache->counters.n_bound++;
}

int64_t bt_plan_cache_arena_bytes(const bt_plan_cache *cache) { return cache->arena_bytes; }
int64_t bt_plan_cache_bound_bytes(const bt_plan_cache *cache) { return cache->bound_bytes; }
bt_plan_counters bt_plan_cache_counters(const bt_plan_cache *cache) { return cache->counters; }
