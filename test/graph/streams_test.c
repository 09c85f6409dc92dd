// SPDX-License-Identifier: Apache-2.0
/* Streams of random graphs against what their waits mean: everything a node reads is over before it
 * begins, no wait is for nothing, the relation handed to the memory planner is the one that streams
 * and waits make, and what needs no second stream gets none. */
#include "graph/toy.h"

enum { N_MAX = 60 };

/* Any number of inputs. */
static const bt_op many = {.name = "many",
                           .n_in = BT_OP_IN_MAX,
                           .n_in_must = 1,
                           .inplace = -1,
                           .infer = axpy_infer,
                           .setup = axpy_setup,
                           .bind = axpy_bind};

/* ---- graphs ---- */

typedef struct maker {
    test_rng rng;
    bt_graph *g;
    bt_value value[1 + N_MAX]; // value 0 is the input
    bool is_read[1 + N_MAX];
    int n;     // values
    int reach; // how far back nodes read
} maker;

static void add_node(maker *m)
{
    char name[16];
    bt_value in[BT_OP_IN_MAX];
    bool view = test_range(&m->rng, 0, 4) == 0;
    int32_t n_in = view ? 1 : (int32_t)bt_min_i64(test_range(&m->rng, 1, 12), BT_OP_IN_MAX);
    if (test_range(&m->rng, 0, 2)) n_in = (int32_t)bt_min_i64(n_in, 2);
    for (int32_t i = 0; i < n_in; i++) {
        int from = (int)test_range(&m->rng, bt_max_i64(0, m->n - m->reach), m->n - 1);
        m->is_read[from] = true;
        in[i] = m->value[from];
    }
    snprintf(name, sizeof name, "n%d", m->n);
    const bt_op *op = view ? &bt_op_slice : &many;
    assert_ok(bt_graph_apply(m->g, name, op, &(bt_slice_param){0}, in, n_in, &m->value[m->n++]));
}

static bt_graph *random_graph(uint64_t seed)
{
    maker m = {.rng = {seed}, .n = 1};
    int n = (int)test_range(&m.rng, 1, N_MAX);
    m.reach = (int)test_range(&m.rng, 1, 20);
    assert_ok(bt_graph_new(&m.g));
    assert_ok(bt_graph_input(m.g, "x", &m.value[0]));
    for (int i = 0; i < n; i++) add_node(&m);
    for (int v = 1; v <= n; v++)
        if (!m.is_read[v]) assert_ok(bt_graph_output(m.g, m.value[v]));
    assert_ok(bt_graph_freeze(m.g));
    return m.g;
}

/* Chains of `len` nodes beside each other, from one input to an output each. */
static bt_graph *chains(int n_chain, int len)
{
    bt_graph *g;
    bt_value in, v;
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &in));
    for (int c = 0; c < n_chain; c++) {
        v = in;
        for (int i = 0; i < len; i++) assert_ok(bt_graph_apply(g, "n", &many, NULL, &v, 1, &v));
        assert_ok(bt_graph_output(g, v));
    }
    assert_ok(bt_graph_freeze(g));
    return g;
}

/* ---- what streams and waits mean ---- */

/* Bit a of before[b]: a is over before b begins. Wait number `without` is not counted. */
static void find_before(const bt_graph *g, const bt_streams *s, int32_t without, uint64_t *before)
{
    int32_t tail[BT_GRAPH_STREAM_MAX];
    for (int t = 0; t < BT_GRAPH_STREAM_MAX; t++) tail[t] = -1;
    for (int32_t n = 0; n < g->n_node; n++) {
        before[n] = 0;
        if (s->stream[n] < 0) continue;
        int32_t last = tail[s->stream[n]];
        if (last >= 0) before[n] |= before[last] | 1ull << last;
        for (int32_t w = s->wait_at[n]; w < s->wait_at[n + 1]; w++)
            if (w != without) before[n] |= before[s->wait_node[w]] | 1ull << s->wait_node[w];
        tail[s->stream[n]] = n;
    }
}

/* The nodes that compute what node n reads; a view computes nothing. */
static uint64_t needs(const bt_graph *g, int32_t n)
{
    uint64_t all = 0;
    for (int i = 0; i < BT_OP_IN_MAX; i++) {
        bt_value v = g->node[n].in[i];
        if (v == BT_VALUE_NONE || g->value[v].kind != BT_VALUE_TEMP) continue;
        int32_t m = g->value[v].node;
        all |= g->node[m].op->view ? needs(g, m) : 1ull << m;
    }
    return all;
}

static bool all_covered(const bt_graph *g, const bt_streams *s, const uint64_t *before)
{
    for (int32_t n = 0; n < g->n_node; n++)
        if (s->stream[n] >= 0 && needs(g, n) & ~before[n]) return false;
    return true;
}

/* ---- what holds of every plan ---- */

static void expect_well_formed(const bt_graph *g, const bt_streams *s, int32_t n_max)
{
    int32_t n_event = 0;
    uint64_t seen = 0;
    bool is_used[BT_GRAPH_STREAM_MAX] = {false}, is_awaited[N_MAX] = {false};
    for (int32_t n = 0; n < g->n_node; n++) {
        assert_int_equal(s->stream[n] < 0, g->node[n].op->view != NULL);
        assert_true(s->stream[n] < s->n_stream);
        if (s->stream[n] >= 0) is_used[s->stream[n]] = true;
        for (int32_t w = s->wait_at[n]; w < s->wait_at[n + 1]; w++) {
            int32_t m = s->wait_node[w];
            assert_in_range(m, 0, n - 1);
            assert_true(s->event[m] >= 0 && s->stream[m] != s->stream[n]);
            is_awaited[m] = true;
        }
    }
    assert_in_range(s->n_stream, 0, n_max);
    for (int32_t t = 0; t < s->n_stream; t++) assert_true(is_used[t]);
    for (int32_t n = 0; n < g->n_node; n++) {
        assert_int_equal(s->event[n] >= 0, is_awaited[n]); // an event is recorded for somebody
        if (s->event[n] < 0) continue;
        assert_false(seen >> s->event[n] & 1); // its own
        seen |= 1ull << s->event[n];
        n_event++;
    }
    assert_int_equal(s->n_event, n_event);
    assert_int_equal(seen, (1ull << n_event) - 1);
}

static void expect_relation(const bt_graph *g, const bt_streams *s, const uint64_t *before)
{
    for (int32_t b = 0; s->before && b < g->n_node; b++)
        for (int32_t a = 0; a < g->n_node; a++) {
            uint64_t word = s->before[(size_t)a * (size_t)s->n_word + (size_t)b / 64];
            assert_int_equal(word >> b % 64 & 1, before[b] >> a & 1);
        }
    assert_int_equal(s->before != NULL, s->n_stream > 1);
}

/* Returns the number of waits, each of which is needed. */
static int32_t expect_sound_and_minimal(const bt_graph *g, const bt_streams *s)
{
    uint64_t before[N_MAX];
    int32_t n_wait = s->wait_at[g->n_node];
    find_before(g, s, -1, before);
    assert_true(all_covered(g, s, before));
    expect_relation(g, s, before);
    for (int32_t w = 0; w < n_wait; w++) {
        find_before(g, s, w, before);
        if (all_covered(g, s, before)) fail_msg("wait %d of %d is for nothing", w, n_wait);
    }
    return n_wait;
}

static void random_graphs_wait_for_all_they_need_and_no_more(void **state)
{
    (void)state;
    int n_wait = 0, n_used[BT_GRAPH_STREAM_MAX + 1] = {0};
    for (uint64_t seed = 0; seed < 600; seed++) {
        bt_graph *g = random_graph(seed);
        for (int32_t n_max = 1; n_max <= BT_GRAPH_STREAM_MAX; n_max++) {
            bt_streams s;
            assert_ok(bt_streams_plan(g, n_max, &s));
            expect_well_formed(g, &s, n_max);
            n_wait += expect_sound_and_minimal(g, &s);
            n_used[s.n_stream]++;
            bt_streams_done(&s);
        }
        bt_graph_unref(g);
    }
    assert_true(n_wait > 10000);
    for (int t = 1; t <= BT_GRAPH_STREAM_MAX; t++) assert_true(n_used[t] > 0);
}

static void chains_take_a_stream_each_and_no_event(void **state)
{
    (void)state;
    for (int n_chain = 1; n_chain <= 10; n_chain++) {
        bt_graph *g = chains(n_chain, 5);
        for (int32_t n_max = 1; n_max <= BT_GRAPH_STREAM_MAX; n_max++) {
            bt_streams s;
            assert_ok(bt_streams_plan(g, n_max, &s));
            expect_well_formed(g, &s, n_max);
            assert_int_equal(s.n_stream, bt_min_i64(n_chain, n_max));
            assert_int_equal(s.n_event, 0);
            assert_int_equal(s.wait_at[g->n_node], 0);
            bt_streams_done(&s);
        }
        bt_graph_unref(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_wait_for_all_they_need_and_no_more),
        cmocka_unit_test(chains_take_a_stream_each_and_no_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
