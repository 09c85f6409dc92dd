// SPDX-License-Identifier: Apache-2.0
/* plan_memory: what blocks of memory a plan needs, for memplan to place. A block is a value with all
 * views of it, or a chain of values that are computed in place, or a node's scratch. Values that
 * leave the graph lie in the step's output block, one behind the other, for they outlive the step.
 */
#include "base/alloc.h"
#include "graph/plan.h"
#include <string.h>

/* Is node r, which reads v, sure to be over before node n begins? */
static bool is_before(const bt_plan_base *b, int32_t r, int32_t n)
{
    const bt_streams *s = &b->streams;
    if (!s->before) return r < n;
    return s->before[(size_t)r * (size_t)s->n_word + (size_t)n / 64] >> n % 64 & 1;
}

/* Does node r read v or a view of it? */
static bool reads(const bt_plan_base *b, int32_t r, bt_value v)
{
    const bt_graph_node_info *node = &b->graph->node[r];
    for (int32_t i = 0; i < BT_OP_IN_MAX; i++)
        if (node->in[i] != BT_VALUE_NONE && !node->op->view && b->root[node->in[i]] == v)
            return true;
    return false;
}

/* With several streams the last reader in order need not be the last in time. */
static bool all_others_are_over(const bt_plan_base *b, bt_value v, int32_t n)
{
    if (!b->streams.before) return true;
    for (int32_t r = b->graph->value[v].node + 1; r < n; r++)
        if (reads(b, r, v) && !is_before(b, r, n)) return false;
    return true;
}

/* The value whose memory node n may write over, or BT_VALUE_NONE: a temporary that dies here, which
 * no other input of the node lies in. */
static bt_value inplace_input(const bt_plan_base *b, const bt_plan *p, int32_t n)
{
    const bt_graph_node_info *node = &b->graph->node[n];
    int32_t i = node->op->inplace;
    if (i < 0 || node->in[i] == BT_VALUE_NONE) return BT_VALUE_NONE;
    bt_value v = node->in[i];
    if (b->root[v] != v || b->graph->value[v].kind != BT_VALUE_TEMP || b->last_use[v] != n)
        return BT_VALUE_NONE;
    for (int32_t j = 0; j < BT_OP_IN_MAX; j++)
        if (j != i && node->in[j] != BT_VALUE_NONE && b->root[node->in[j]] == v)
            return BT_VALUE_NONE;
    if (!bt_desc_equal(&p->desc[v], &p->desc[node->out])) return BT_VALUE_NONE;
    return all_others_are_over(b, v, n) ? v : BT_VALUE_NONE;
}

/* ---- collecting blocks ---- */

typedef struct collector {
    bt_plan_base *b;
    bt_plan *p;
    int32_t n_block;
    int64_t output_bytes;
} collector;

static void touch(collector *c, int32_t block, int32_t node)
{
    const bt_streams *s = &c->b->streams;
    if (s->before && block >= 0 && node < c->b->graph->n_node)
        c->b->touch[(size_t)block * (size_t)s->n_word + (size_t)node / 64] |= 1ull << node % 64;
}

static int32_t add_block(collector *c, int64_t bytes, int32_t first, int32_t last)
{
    const bt_streams *s = &c->b->streams;
    int32_t n_node = c->b->graph->n_node;
    c->b->block[c->n_block] = (bt_memplan_block){
        .bytes = bytes, .first = first, .last = last < n_node ? last : n_node - 1};
    if (s->before)
        memset(c->b->touch + (size_t)c->n_block * (size_t)s->n_word, 0,
               (size_t)s->n_word * sizeof *c->b->touch);
    touch(c, c->n_block, first);
    return c->n_block++;
}

/* Whose block each value lies in. An output is computed where it stays, never in another's place. */
static void find_owners(collector *c)
{
    const bt_graph *g = c->b->graph;
    for (int32_t n = 0; n < g->n_node; n++) {
        bt_value out = g->node[n].out, reused = BT_VALUE_NONE;
        if (g->node[n].op->view) continue;
        if (!c->b->is_out[out]) reused = inplace_input(c->b, c->p, n);
        c->b->owner[out] = reused == BT_VALUE_NONE ? out : c->b->owner[reused];
    }
}

static void add_value(collector *c, int32_t n)
{
    bt_plan_base *b = c->b;
    bt_value out = b->graph->node[n].out, owner = b->owner[out];
    int64_t bytes = bt_desc_bytes(&c->p->desc[out]);
    b->block_of[out] = -1;
    if (b->is_out[out]) {
        c->p->offset[out] = c->output_bytes;
        c->output_bytes += bt_round_up(bytes, BT_MEMPLAN_ALIGN);
        return;
    }
    if (owner == out)
        b->block_of[out] = bytes ? add_block(c, bytes, n, b->last_use[out]) : -1;
    else
        b->block_of[out] = b->block_of[owner];
    int32_t block = b->block_of[out];
    if (block >= 0 && b->block[block].last < b->last_use[out])
        b->block[block].last = b->last_use[out];
    touch(c, block, n);
}

static void collect_blocks(collector *c)
{
    bt_plan_base *b = c->b;
    const bt_graph *g = b->graph;
    for (int32_t n = 0; n < g->n_node; n++) {
        const bt_graph_node_info *node = &g->node[n];
        int32_t *work = &b->block_of[g->n_value + n];
        *work = -1;
        if (node->op->view) continue;
        add_value(c, n);
        for (int32_t i = 0; i < BT_OP_IN_MAX; i++) {
            bt_value root = node->in[i] == BT_VALUE_NONE ? BT_VALUE_NONE : b->root[node->in[i]];
            if (root != BT_VALUE_NONE && g->value[root].kind == BT_VALUE_TEMP)
                touch(c, b->block_of[root], n);
        }
        if (c->p->setup[n].work_bytes) *work = add_block(c, c->p->setup[n].work_bytes, n, n);
    }
}

bt_status bt_plan_memory(bt_plan_base *b, bt_plan *p, bt_memplan_report *ret_report)
{
    const bt_graph *g = b->graph;
    collector c = {.b = b, .p = p};
    find_owners(&c);
    collect_blocks(&c);
    bt_memplan_problem problem = {.block = b->block,
                                  .n_block = c.n_block,
                                  .n_step = g->n_node,
                                  .before = b->streams.before,
                                  .touch = b->streams.before ? b->touch : NULL,
                                  .scratch = b->scratch};
    bt_memplan(&problem, ret_report);
    for (int32_t n = 0; n < g->n_node; n++) {
        bt_value out = g->node[n].out;
        int32_t block = b->block_of[out], work = b->block_of[g->n_value + n];
        if (!g->node[n].op->view && !b->is_out[out])
            p->offset[out] = block >= 0 ? b->block[block].offset : 0;
        p->work_offset[n] = work >= 0 ? b->block[work].offset : -1;
    }
    p->arena_bytes = ret_report->arena_bytes;
    p->output_bytes = c.output_bytes;
    p->method = ret_report->method;
    return b->planned ? BT_OK : bt_memplan_check(&problem, p->arena_bytes);
}
