// SPDX-License-Identifier: Apache-2.0
/* Graphs that call graphs: a random graph, cut at random into graphs within graphs, is the flat one
 * node by node, plan by plan and bit for bit; and the order of adding shows nowhere. */
#include "graph/toy.h"

enum { N_NODE = 36, N_IN = 3, LEN = 19, DEPTH_MAX = 3, N_VALUE = N_IN + N_NODE };

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { N_ORDER = 100 };
#else
enum { N_ORDER = 1000 };
#endif

static float data[N_IN][LEN];

/* Value 0..N_IN-1: inputs; N_IN + n: what node n makes. */
typedef struct recipe {
    int a[N_NODE], b[N_NODE];
    float factor[N_NODE];
    bool is_output[N_NODE];
    bool is_const[N_IN]; // the last input may be a constant instead
} recipe;

static recipe random_recipe(test_rng *rng, bool with_const)
{
    recipe r = {.is_const = {[N_IN - 1] = with_const}};
    for (int n = 0; n < N_NODE; n++) {
        r.a[n] = (int)test_range(rng, bt_max_i64(0, n - 9), N_IN + n - 1);
        r.b[n] = (int)test_range(rng, 0, N_IN + n - 1);
        r.factor[n] = (float)test_range(rng, -2, 2) * 0.25f;
        r.is_output[n] = test_range(rng, 0, 9) == 0 || n == N_NODE - 1;
    }
    return r;
}

static void fill_data(test_rng *rng)
{
    for (int i = 0; i < N_IN; i++)
        for (int j = 0; j < LEN; j++) data[i][j] = (float)test_range(rng, -8, 8);
}

/* ---- cutting ---- */

/* How a graph is put together; results must not depend on any of it. */
typedef struct style {
    uint64_t cuts;  // decides where calls are
    test_rng order; // and in which order things are added
    bool flat;      // no calls at all
    bool shuffle;   // add nodes and calls in any order
    bool twins;     // called graphs may have one value as two outputs
    bool consts;    // called graphs may have the constant as their own
} style;

/* A part of the recipe, [lo, hi): one node, or a graph to call. */
typedef struct part {
    int lo, hi;
} part;

typedef struct level {
    const recipe *r;
    style *s;
    bt_graph *g;
    bt_value value[N_VALUE]; // of g
    int depth;
} level;

/* Cuts do not depend on what was built before. */
static test_rng rng_of(const level *l, part p)
{
    return (test_rng){l->s->cuts + (uint64_t)((p.lo * N_NODE + p.hi) * 16 + l->depth)};
}

/* Whether anything outside [lo, hi) needs node n's value. */
static bool leaves(const recipe *r, part p, int n)
{
    if (r->is_output[n]) return true;
    for (int m = p.hi; m < N_NODE; m++)
        if (r->a[m] == N_IN + n || r->b[m] == N_IN + n) return true;
    return false;
}

static bool reads(const recipe *r, part p, int v)
{
    for (int n = p.lo; n < p.hi; n++)
        if (r->a[n] == v || r->b[n] == v) return true;
    return false;
}

/* Ascending values that `p` takes from outside; how many. */
static int inputs_of(const recipe *r, part p, int *ret_input)
{
    int n = 0;
    for (int v = 0; v < N_IN + p.lo; v++)
        if (reads(r, p, v)) ret_input[n++] = v;
    return n;
}

static int outputs_of(const recipe *r, part p, int *ret_output)
{
    int n = 0;
    for (int m = p.lo; m < p.hi; m++)
        if (leaves(r, p, m)) ret_output[n++] = N_IN + m;
    return n;
}

static void name_values(level *l, part p)
{
    char name[16];
    for (int n = p.lo; n < p.hi; n++) {
        snprintf(name, sizeof name, "v%d", n);
        assert_ok(bt_graph_value(l->g, name, &l->value[N_IN + n]));
    }
}

static void add_one(level *l, int n)
{
    char name[16];
    const recipe *r = l->r;
    snprintf(name, sizeof name, "n%d", n);
    assert_ok(add_axpy(l->g, name, r->factor[n], l->value[r->a[n]], l->value[r->b[n]],
                       l->value[N_IN + n]));
}

static void add_parts(level *l, part whole);

/* Inputs of the part as inputs of the graph, but for a constant that it may have itself. Returns
 * how many are left in `input`. */
static int take_inputs(level *l, test_rng *rng, int *input, int n_input)
{
    int n = 0;
    for (int i = 0; i < n_input; i++) {
        int v = input[i];
        bt_desc desc = bt_desc_1d(BT_F32, LEN);
        if (v < N_IN && l->r->is_const[v] && l->s->consts && test_range(rng, 0, 1)) {
            assert_ok(bt_graph_const(l->g, "c", &desc, data[v], &l->value[v]));
            continue;
        }
        assert_ok(bt_graph_input(l->g, "in", &l->value[v]));
        input[n++] = v;
    }
    return n;
}

/* The part as a graph of its own, frozen. `twin` is an output number that comes twice, or -1. */
static bt_graph *sub_graph(level *outer, part p, int *input, int *n_input, int twin)
{
    level l = {.r = outer->r, .s = outer->s, .depth = outer->depth + 1};
    int output[N_NODE], n_output = outputs_of(l.r, p, output);
    test_rng rng = rng_of(&l, p);
    assert_ok(bt_graph_new(&l.g));
    *n_input = take_inputs(&l, &rng, input, *n_input);
    add_parts(&l, p);
    for (int k = 0; k < n_output; k++) assert_ok(bt_graph_output(l.g, l.value[output[k]]));
    if (twin >= 0) assert_ok(bt_graph_output(l.g, l.value[output[twin]]));
    assert_ok(bt_graph_freeze(l.g));
    return l.g;
}

/* Call the part. With a twin, the caller goes on with the second name of that output. */
static void add_call(level *l, part p)
{
    int input[N_VALUE], output[N_NODE], n_input = inputs_of(l->r, p, input),
                                        n_output = outputs_of(l->r, p, output), twin = -1;
    bt_value in[N_VALUE], out[N_NODE + 1];
    char name[32];
    test_rng rng = rng_of(l, p);
    if (l->s->twins && test_range(&rng, 0, 1)) twin = (int)test_range(&rng, 0, n_output - 1);
    bt_graph *sub = sub_graph(l, p, input, &n_input, twin);
    for (int i = 0; i < n_input; i++) in[i] = l->value[input[i]];
    for (int k = 0; k < n_output; k++) out[k] = l->value[output[k]];
    if (twin >= 0) {
        out[n_output] = out[twin];
        assert_ok(bt_graph_value(l->g, "first name", &out[twin]));
    }
    snprintf(name, sizeof name, "g%d_%d", p.lo, p.hi);
    assert_ok(bt_graph_call(l->g, name, sub, in, n_input, out, n_output + (twin >= 0)));
    bt_graph_unref(sub);
}

/* Cut [lo, hi) into single nodes and parts of two and more. */
static int cut(const level *l, part whole, part *ret_part)
{
    int n = 0;
    test_rng rng = rng_of(l, whole);
    for (int at = whole.lo; at < whole.hi;) {
        int left = whole.hi - at, len = 1, output[N_NODE];
        bool may_call = !l->s->flat && l->depth < DEPTH_MAX && left > 1;
        if (may_call && test_range(&rng, 0, 2)) len = (int)test_range(&rng, 2, left);
        part p = {at, at + len};
        if (len == whole.hi - whole.lo && l->depth) p.hi = at + 1; // nothing is gained
        if (!outputs_of(l->r, p, output)) p.hi = at + 1;           // a graph needs an output
        ret_part[n++] = p;
        at = p.hi;
    }
    return n;
}

static void add_parts(level *l, part whole)
{
    part p[N_NODE];
    int n = cut(l, whole, p);
    name_values(l, whole);
    for (int i = n - 1; l->s->shuffle && i > 0; i--) {
        int j = (int)test_range(&l->s->order, 0, i);
        part t = p[i];
        p[i] = p[j];
        p[j] = t;
    }
    for (int i = 0; i < n; i++)
        if (p[i].hi - p[i].lo == 1)
            add_one(l, p[i].lo);
        else
            add_call(l, p[i]);
}

static bt_graph *build(const recipe *r, style s)
{
    level l = {.r = r, .s = &s};
    bt_desc desc = bt_desc_1d(BT_F32, LEN);
    assert_ok(bt_graph_new(&l.g));
    for (int i = 0; i < N_IN; i++)
        if (r->is_const[i])
            assert_ok(bt_graph_const(l.g, "c", &desc, data[i], &l.value[i]));
        else
            assert_ok(bt_graph_input(l.g, "in", &l.value[i]));
    add_parts(&l, (part){0, N_NODE});
    for (int n = 0; n < N_NODE; n++)
        if (r->is_output[n]) assert_ok(bt_graph_output(l.g, l.value[N_IN + n]));
    assert_ok(bt_graph_freeze(l.g));
    return l.g;
}

/* ---- the laws ---- */

static void by_definition(const recipe *r, float want[N_VALUE][LEN])
{
    memcpy(want, data, sizeof data);
    for (int n = 0; n < N_NODE; n++)
        for (int i = 0; i < LEN; i++)
            want[N_IN + n][i] = want[r->a[n]][i] + r->factor[n] * want[r->b[n]][i];
}

static bt_desc shapes[N_IN];

static bt_exec *exec_of(rig *k, bt_graph *g, bt_ticket *ret_step)
{
    void *ptr[N_IN];
    for (int i = 0; i < N_IN; i++) {
        shapes[i] = bt_desc_1d(BT_F32, LEN);
        ptr[i] = data[i];
    }
    bt_exec *exec = open_exec(k, g, shapes);
    *ret_step = run_once(exec, shapes, ptr);
    return exec;
}

static void check_results(const recipe *r, bt_exec *exec, bt_ticket step)
{
    static float want[N_VALUE][LEN];
    by_definition(r, want);
    for (int n = 0, out = 0; n < N_NODE; n++)
        if (r->is_output[n])
            assert_memory_equal(bt_exec_output(exec, step, out++), want[N_IN + n], sizeof want[0]);
}

static void a_nested_graph_is_the_flat_one(void **state)
{
    (void)state;
    test_rng rng = {21};
    rig k = open_rig();
    int n_nested = 0;
    for (int round = 0; round < 300; round++) {
        bool rich = round % 3 == 2; // with twins and constants inside: then only results agree
        recipe r = random_recipe(&rng, rich || round % 2);
        fill_data(&rng);
        bt_ticket flat_step, step;
        bt_graph *flat = build(&r, (style){.flat = true});
        bt_graph *g = build(&r, (style){.cuts = test_u64(&rng),
                                        .order = {test_u64(&rng)},
                                        .shuffle = round % 2,
                                        .twins = rich,
                                        .consts = rich});
        bt_exec *flat_exec = exec_of(&k, flat, &flat_step);
        check_results(&r, flat_exec, flat_step);
        bt_exec *exec = exec_of(&k, g, &step);
        check_results(&r, exec, step);
        if (!rich) {
            assert_same_graph(flat, g, false);
            assert_same_plan(flat_exec, exec, shapes);
        }
        for (int n = 0; n < g->n_node; n++) n_nested += strchr(g->node[n].name, '/') != NULL;
        bt_exec_close(flat_exec);
        bt_exec_close(exec);
        bt_graph_unref(flat);
        bt_graph_unref(g);
    }
    assert_true(n_nested > 300 * N_NODE / 4);
    close_rig(&k);
}

/* 50 graphs, each put together in 20 orders, nodes and calls alike. */
static void the_order_of_adding_shows_nowhere(void **state)
{
    (void)state;
    test_rng rng = {22};
    rig k = open_rig();
    for (int round = 0; round < 50; round++) {
        recipe r = random_recipe(&rng, round % 2);
        style s = {.cuts = test_u64(&rng), .flat = round % 3 == 0};
        bt_ticket step;
        bt_graph *first = build(&r, s);
        bt_exec *first_exec = exec_of(&k, first, &step);
        for (int order = 0; order < 20; order++) {
            s.shuffle = true;
            s.order.state = test_u64(&rng);
            bt_graph *g = build(&r, s);
            bt_exec *exec = exec_of(&k, g, &step);
            assert_same_graph(first, g, true);
            assert_same_plan(first_exec, exec, shapes);
            bt_exec_close(exec);
            bt_graph_unref(g);
        }
        bt_exec_close(first_exec);
        bt_graph_unref(first);
    }
    close_rig(&k);
}

/* One flat and one nested graph, each in a thousand orders: one plan, the same bits. */
static void a_thousand_orders_are_one_plan_and_one_result(void **state)
{
    (void)state;
    test_rng rng = {23};
    rig k = open_rig();
    fill_data(&rng);
    for (int nested = 0; nested <= 1; nested++) {
        recipe r = random_recipe(&rng, true);
        style s = {.cuts = test_u64(&rng), .flat = !nested, .shuffle = true};
        uint64_t first = 0, hash;
        for (int order = 0; order < N_ORDER; order++) {
            bt_ticket step;
            s.order.state = test_u64(&rng);
            bt_graph *g = build(&r, s);
            bt_exec *exec = exec_of(&k, g, &step);
            assert_ok(bt_exec_fingerprint(exec, shapes, &hash));
            if (order == 0) first = hash;
            assert_true(hash == first);
            check_results(&r, exec, step);
            bt_exec_close(exec);
            bt_graph_unref(g);
        }
    }
    close_rig(&k);
}

/* Nodes that are ready at once run in the order in which their values were named. */
static void the_value_named_first_goes_first(void **state)
{
    (void)state;
    bt_graph *g;
    bt_value x, v[4];
    static const int added[] = {2, 0, 3, 1};
    char name[8];
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &x));
    for (int i = 0; i < 4; i++) assert_ok(bt_graph_value(g, "v", &v[i]));
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "n%d", added[i]);
        assert_ok(add_axpy(g, name, 1, added[i] == 1 ? v[3] : x, x, v[added[i]]));
    }
    for (int i = 0; i < 4; i++) assert_ok(bt_graph_output(g, v[i]));
    assert_ok(bt_graph_freeze(g));
    static const char *const want[] = {"n0", "n2", "n3", "n1"}; // n1 waits for n3
    for (int i = 0; i < 4; i++) assert_string_equal(bt_graph_node_name(g, i), want[i]);
    assert_null(bt_graph_node_name(g, 4));
    assert_null(bt_graph_node_name(g, -1));
    assert_int_equal(bt_graph_n_input(g), 1);
    assert_int_equal(bt_graph_n_output(g), 4);
    bt_graph_unref(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nested_graph_is_the_flat_one),
        cmocka_unit_test(the_order_of_adding_shows_nowhere),
        cmocka_unit_test(a_thousand_orders_are_one_plan_and_one_result),
        cmocka_unit_test(the_value_named_first_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
