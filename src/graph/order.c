// SPDX-License-Identifier: Apache-2.0
/* order: a depth-first walk back from the outputs marks the live nodes and finds cycles; sorting
 * takes the ready node of the smallest rank each time; values are then numbered as they come. */
#include "graph/order.h"
#include <stdlib.h>
#include <string.h>

enum { NEW, OPEN, DONE };

typedef struct ranked {
    int32_t rank, part, node;
} ranked;

typedef struct walk {
    bt_graph *g;
    uint8_t *mark;    // [n_node]
    int32_t *stack;   // [n_node] nodes being visited
    int32_t *next_in; // [n_node] the input to look at next
    int32_t *n_wait;  // [n_node] inputs not yet computed
    int32_t *heap;    // [n_node] ranks of ready nodes, smallest first
    ranked *by_rank;  // [n_live] ascending
    int32_t *rank;    // [n_node] where a live node stands in by_rank
    bt_graph_node_info *sorted;
    bt_graph_value_info *value; // [n_value] as numbered anew
    bt_value *map;              // [n_value] old number -> new one, BT_VALUE_NONE: dropped
    int32_t n_heap, n_live;
} walk;

/* The node that defines input i of node n, or -1. */
static int32_t maker(const bt_graph *g, int32_t n, int32_t i)
{
    bt_value v = g->node[n].in[i];
    return v == BT_VALUE_NONE || g->value[v].kind != BT_VALUE_TEMP ? -1 : g->value[v].node;
}

static bt_status check_defined(const bt_graph *g, int32_t n, int32_t i)
{
    bt_value v = g->node[n].in[i];
    if (v == BT_VALUE_NONE || g->value[v].kind != BT_VALUE_TEMP || g->value[v].node >= 0)
        return BT_OK;
    return bt_fail(BT_INVALID, "node '%s': value '%s' is defined by no node", g->node[n].name,
                   g->value[v].name);
}

/* Visit everything `root` needs, with a stack of our own: graphs may be deep. */
static bt_status mark_from(walk *w, int32_t root)
{
    int32_t depth = 0;
    if (w->mark[root] == DONE) return BT_OK;
    w->mark[root] = OPEN;
    w->stack[depth++] = root;
    while (depth) {
        int32_t n = w->stack[depth - 1];
        if (w->next_in[n] == BT_OP_IN_MAX) {
            w->mark[n] = DONE;
            w->n_live++;
            depth--;
            continue;
        }
        int32_t i = w->next_in[n]++;
        BT_TRY(check_defined(w->g, n, i));
        int32_t m = maker(w->g, n, i);
        if (m < 0 || w->mark[m] == DONE) continue;
        BT_FAIL_IF(w->mark[m] == OPEN, INVALID, "nodes '%s' and '%s' are on a cycle",
                   w->g->node[m].name, w->g->node[n].name);
        w->mark[m] = OPEN;
        w->stack[depth++] = m;
    }
    return BT_OK;
}

static int compare_ranked(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    return (x->part > y->part) - (x->part < y->part);
}

/* Line the live nodes up by rank and part; no two are equal, for no two define one value. */
static void rank_live(walk *w)
{
    int32_t k = 0;
    for (int32_t n = 0; n < w->g->n_node; n++)
        if (w->mark[n] == DONE)
            w->by_rank[k++] = (ranked){w->g->node[n].rank, w->g->node[n].part, n};
    qsort(w->by_rank, (size_t)k, sizeof *w->by_rank, compare_ranked);
    for (int32_t r = 0; r < k; r++) w->rank[w->by_rank[r].node] = r;
}

static void heap_push(walk *w, int32_t n)
{
    int32_t i = w->n_heap++, rank = w->rank[n];
    for (; i && w->heap[(i - 1) / 2] > rank; i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = rank;
}

static int32_t heap_pop(walk *w)
{
    int32_t top = w->heap[0], last = w->heap[--w->n_heap], i = 0;
    for (;;) {
        int32_t child = 2 * i + 1;
        if (child >= w->n_heap) break;
        if (child + 1 < w->n_heap && w->heap[child + 1] < w->heap[child]) child++;
        if (w->heap[child] >= last) break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return w->by_rank[top].node;
}

/* Readers of each node as lists in two flat arrays: first[n] .. first[n + 1] of `reader`. */
static bt_status collect_readers(const walk *w, int32_t **ret_first, int32_t **ret_reader)
{
    const bt_graph *g = w->g;
    int32_t *first, *reader;
    size_t n_edge_max = (size_t)g->n_node * BT_OP_IN_MAX;
    BT_TRY(bt_alloc_array((void **)&first, (size_t)g->n_node + 2, sizeof *first, BT_MEM_PLAN));
    bt_status st = bt_alloc_array((void **)&reader, n_edge_max + 1, sizeof *reader, BT_MEM_PLAN);
    if (st != BT_OK) {
        bt_free(first);
        return st;
    }
    for (int pass = 0; pass < 2; pass++) { // count, then place
        for (int32_t n = 0; n < g->n_node; n++)
            for (int32_t i = 0; w->mark[n] == DONE && i < BT_OP_IN_MAX; i++) {
                int32_t m = maker(g, n, i);
                if (m < 0) continue;
                if (pass == 0)
                    first[m + 2]++;
                else
                    reader[first[m + 1]++] = n;
            }
        if (pass == 0)
            for (int32_t n = 0; n < g->n_node; n++) first[n + 2] += first[n + 1];
    }
    *ret_first = first;
    *ret_reader = reader;
    return BT_OK;
}

static bt_status sort_live(walk *w)
{
    bt_graph *g = w->g;
    int32_t *first, *reader, n_sorted = 0;
    BT_TRY(collect_readers(w, &first, &reader));
    for (int32_t n = 0; n < g->n_node; n++)
        for (int32_t r = first[n]; r < first[n + 1]; r++) w->n_wait[reader[r]]++;
    for (int32_t n = 0; n < g->n_node; n++)
        if (w->mark[n] == DONE && !w->n_wait[n]) heap_push(w, n);
    while (w->n_heap) {
        int32_t n = heap_pop(w);
        w->sorted[n_sorted] = g->node[n];
        w->sorted[n_sorted].rank = w->rank[n];
        w->sorted[n_sorted++].part = 0;
        for (int32_t r = first[n]; r < first[n + 1]; r++)
            if (--w->n_wait[reader[r]] == 0) heap_push(w, reader[r]);
    }
    assert(n_sorted == w->n_live); // mark_from found no cycle
    bt_free(first);
    bt_free(reader);
    return BT_OK;
}

static bt_status walk_alloc(walk *w)
{
    size_t n = (size_t)w->g->n_node + 1;
    BT_TRY(bt_alloc_array((void **)&w->mark, n, 1, BT_MEM_PLAN));
    BT_TRY(bt_alloc_array((void **)&w->stack, n, sizeof *w->stack, BT_MEM_PLAN));
    BT_TRY(bt_alloc_array((void **)&w->next_in, n, sizeof *w->next_in, BT_MEM_PLAN));
    BT_TRY(bt_alloc_array((void **)&w->n_wait, n, sizeof *w->n_wait, BT_MEM_PLAN));
    BT_TRY(bt_alloc_array((void **)&w->heap, n, sizeof *w->heap, BT_MEM_PLAN));
    BT_TRY(bt_alloc_array((void **)&w->by_rank, n, sizeof *w->by_rank, BT_MEM_PLAN));
    BT_TRY(bt_alloc_array((void **)&w->rank, n, sizeof *w->rank, BT_MEM_PLAN));
    BT_TRY(bt_alloc_array((void **)&w->sorted, n, sizeof *w->sorted, BT_MEM_PLAN));
    n = (size_t)w->g->n_value + 1;
    BT_TRY(bt_alloc_array((void **)&w->map, n, sizeof *w->map, BT_MEM_PLAN));
    return bt_alloc_array((void **)&w->value, n, sizeof *w->value, BT_MEM_PLAN);
}

static void walk_free(walk *w)
{
    bt_free(w->mark);
    bt_free(w->stack);
    bt_free(w->next_in);
    bt_free(w->n_wait);
    bt_free(w->heap);
    bt_free(w->by_rank);
    bt_free(w->rank);
    bt_free(w->sorted);
    bt_free(w->map);
    bt_free(w->value);
}

/* Give each value a new number the first time it is asked for. */
static bt_value renumber(walk *w, bt_value old, int32_t *n_value)
{
    if (old == BT_VALUE_NONE) return old;
    if (w->map[old] == BT_VALUE_NONE) {
        w->map[old] = *n_value;
        w->value[(*n_value)++] = w->g->value[old];
    }
    return w->map[old];
}

/* Nothing can fail from here on. */
static void take_sorted(walk *w)
{
    bt_graph *g = w->g;
    bt_graph_value_info *old = g->value;
    int32_t n_value = 0;
    for (bt_value v = 0; v < g->n_value; v++) w->map[v] = BT_VALUE_NONE;
    for (bt_value v = 0; v < g->n_value; v++)
        if (old[v].kind == BT_VALUE_INPUT) renumber(w, v, &n_value);
    for (int32_t n = 0; n < w->n_live; n++) {
        bt_graph_node_info *node = &w->sorted[n];
        for (int32_t i = 0; i < BT_OP_IN_MAX; i++) node->in[i] = renumber(w, node->in[i], &n_value);
        node->out = renumber(w, node->out, &n_value);
        w->value[node->out].node = n;
    }
    for (int32_t k = 0; k < g->n_output; k++) g->output[k] = w->map[g->output[k]];
    memcpy(g->node, w->sorted, sizeof *g->node * (size_t)w->n_live);
    g->n_node = w->n_live;
    g->n_value = n_value;
    g->value = w->value;
    w->value = old; // walk_free's
}

bt_status bt_graph_order(bt_graph *graph)
{
    walk w = {.g = graph};
    bt_status st = walk_alloc(&w);
    for (int32_t k = 0; k < graph->n_output && st == BT_OK; k++) {
        const bt_graph_value_info *out = &graph->value[graph->output[k]];
        st = out->node < 0 ? bt_fail(BT_INVALID, "output '%s' is defined by no node", out->name)
                           : mark_from(&w, out->node);
    }
    if (st == BT_OK) {
        rank_live(&w);
        st = sort_live(&w);
    }
    if (st == BT_OK) take_sorted(&w);
    walk_free(&w);
    return st;
}
