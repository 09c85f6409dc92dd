// SPDX-License-Identifier: Apache-2.0
/* streams: one pass in the order of execution, with a vector clock a stream: known[s][t] nodes of
 * stream t are sure to be over before stream s goes on (Fidge 1988; Mattern 1989). */
#include "graph/streams.h"
#include "base/alloc.h"
#include "base/bits.h"
#include <string.h>

typedef struct clock_vec {
    int32_t n[BT_GRAPH_STREAM_MAX];
} clock_vec;

typedef struct pass {
    const bt_graph *g;
    bt_streams *s;
    int32_t n_stream_max;
    clock_vec known[BT_GRAPH_STREAM_MAX];
    int32_t tail[BT_GRAPH_STREAM_MAX]; // the last node on each stream
    clock_vec *after;                  // [n_node] what is over once the node is
    int32_t *place;                    // [n_node] its number on its stream
} pass;

/* The node that computes what input i of node n is or is a view of; -1: none does. */
static int32_t maker(const bt_graph *g, int32_t n, int32_t i)
{
    for (bt_value v = g->node[n].in[i]; v != BT_VALUE_NONE && g->value[v].kind == BT_VALUE_TEMP;) {
        int32_t m = g->value[v].node;
        if (!g->node[m].op->view) return m;
        v = g->node[m].in[0];
    }
    return -1;
}

/* The makers of a node's inputs, each once, the latest first; returns how many. */
static int32_t makers_of(const bt_graph *g, int32_t n, int32_t ret[BT_OP_IN_MAX])
{
    int32_t n_maker = 0;
    for (int32_t i = 0; i < BT_OP_IN_MAX; i++) {
        int32_t m = maker(g, n, i), at = 0;
        if (m < 0) continue;
        while (at < n_maker && ret[at] > m) at++;
        if (at < n_maker && ret[at] == m) continue;
        memmove(ret + at + 1, ret + at, (size_t)(n_maker++ - at) * sizeof *ret);
        ret[at] = m;
    }
    return n_maker;
}

static bool knows(const clock_vec *k, const pass *p, int32_t node)
{
    return k->n[p->s->stream[node]] > p->place[node];
}

/* What is over once all makers are. */
static clock_vec known_after(const pass *p, const int32_t *made, int32_t n_maker)
{
    clock_vec k = {{0}};
    for (int32_t i = 0; i < n_maker; i++)
        for (int t = 0; t < BT_GRAPH_STREAM_MAX; t++)
            if (k.n[t] < p->after[made[i]].n[t]) k.n[t] = p->after[made[i]].n[t];
    return k;
}

/* Continue the stream of a maker that nothing follows yet; else one whose last node is over by then
 * anyway; else a new one; else the one that has been left alone longest. */
static int32_t choose_stream(const pass *p, const int32_t *made, int32_t n_maker)
{
    const bt_streams *s = p->s;
    for (int32_t i = 0; i < n_maker; i++)
        if (p->tail[s->stream[made[i]]] == made[i]) return s->stream[made[i]];
    clock_vec k = known_after(p, made, n_maker);
    for (int32_t t = 0; t < s->n_stream; t++)
        if (knows(&k, p, p->tail[t])) return t;
    if (s->n_stream < p->n_stream_max) return s->n_stream;
    int32_t oldest = 0;
    for (int32_t t = 1; t < s->n_stream; t++)
        if (p->tail[t] < p->tail[oldest]) oldest = t;
    return oldest;
}

static void wait_for(pass *p, int32_t stream, int32_t node, int32_t *n_wait)
{
    bt_streams *s = p->s;
    if (s->event[node] < 0) s->event[node] = s->n_event++;
    s->wait_node[(*n_wait)++] = node;
    for (int t = 0; t < BT_GRAPH_STREAM_MAX; t++)
        if (p->known[stream].n[t] < p->after[node].n[t])
            p->known[stream].n[t] = p->after[node].n[t];
}

static void place_node(pass *p, int32_t n, int32_t *n_wait)
{
    bt_streams *s = p->s;
    int32_t made[BT_OP_IN_MAX], n_maker = makers_of(p->g, n, made);
    int32_t to = choose_stream(p, made, n_maker);
    if (to == s->n_stream) s->n_stream++;
    s->stream[n] = to;
    for (int32_t i = 0; i < n_maker; i++)
        if (!knows(&p->known[to], p, made[i])) wait_for(p, to, made[i], n_wait);
    p->tail[to] = n;
    p->place[n] = p->known[to].n[to]++;
    p->after[n] = p->known[to];
}

/* Bit b of row a where stream of b knew of a when b began. */
static void fill_before(const pass *p)
{
    bt_streams *s = p->s;
    for (int32_t b = 0; b < p->g->n_node; b++) {
        if (s->stream[b] < 0) continue;
        clock_vec k = p->after[b];
        k.n[s->stream[b]]--; // what was over when b began
        for (int32_t a = 0; a < b; a++)
            if (s->stream[a] >= 0 && knows(&k, p, a))
                s->before[(size_t)a * (size_t)s->n_word + (size_t)b / 64] |= 1ull << b % 64;
    }
}

static bt_status alloc_arrays(bt_streams *s, size_t n_node, bool before)
{
    s->n_word = (int32_t)((n_node + 63) / 64);
    size_t n_bit = before ? n_node * (size_t)s->n_word * 8 : 0, n_int = n_node * 3 + 1;
    n_int += n_node * BT_OP_IN_MAX + 1;
    n_int += n_int % 2;
    BT_TRY(bt_alloc_zero(&s->block, n_bit + n_int * sizeof(int32_t), BT_MEM_PLAN));
    s->before = before ? s->block : NULL;
    s->stream = (int32_t *)((char *)s->block + n_bit);
    s->event = s->stream + n_node;
    s->wait_at = s->event + n_node;
    s->wait_node = s->wait_at + n_node + 1;
    return BT_OK;
}

bt_status bt_streams_plan(const bt_graph *graph, int32_t n_stream_max, bt_streams *ret_streams)
{
    size_t n_node = (size_t)graph->n_node;
    bt_streams s = {0};
    pass p = {.g = graph, .s = &s, .n_stream_max = n_stream_max};
    int32_t n_wait = 0;
    bt_status st = alloc_arrays(&s, n_node, n_stream_max > 1);
    if (st == BT_OK)
        st = bt_alloc_array((void **)&p.after, n_node + 1, sizeof *p.after, BT_MEM_PLAN);
    if (st == BT_OK)
        st = bt_alloc_array((void **)&p.place, n_node + 1, sizeof *p.place, BT_MEM_PLAN);
    for (int32_t n = 0; n < graph->n_node && st == BT_OK; n++) {
        s.stream[n] = s.event[n] = -1;
        s.wait_at[n] = n_wait;
        if (!graph->node[n].op->view) place_node(&p, n, &n_wait);
        s.wait_at[n + 1] = n_wait;
    }
    if (st == BT_OK && s.n_stream > 1)
        fill_before(&p);
    else
        s.before = NULL;
    bt_free(p.after);
    bt_free(p.place);
    if (st != BT_OK)
        bt_streams_done(&s);
    else
        *ret_streams = s;
    return st;
}

void bt_streams_done(bt_streams *streams)
{
    bt_free(streams->block);
    *streams = (bt_streams){0};
}
