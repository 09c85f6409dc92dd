// SPDX-License-Identifier: Apache-2.0
/* Building, ordering, planning and running graphs, on an operator made for the test whose results
 * are exact. */
#include "graph/toy.h"

/* ---- a random graph, with an evaluation by definition beside it ---- */

enum { N_NODE = 40, N_IN = 3, LEN_MAX = 37 };

typedef struct recipe {
    int a[N_NODE], b[N_NODE]; // 0..N_IN-1: inputs; N_IN + n: node n
    float factor[N_NODE];
    bool is_output[N_NODE];
} recipe;

static recipe random_recipe(test_rng *rng)
{
    recipe r = {0};
    for (int n = 0; n < N_NODE; n++) {
        r.a[n] = (int)test_range(rng, 0, N_IN + n - 1);
        r.b[n] = (int)test_range(rng, 0, N_IN + n - 1);
        r.factor[n] = (float)test_range(rng, -2, 2) * 0.25f;
        r.is_output[n] = test_range(rng, 0, 9) == 0 || n == N_NODE - 1;
    }
    return r;
}

/* Build it with the nodes added in the order of `perm`. */
static bt_graph *build(const recipe *r, const int *perm)
{
    bt_graph *g;
    bt_value value[N_IN + N_NODE];
    char name[16];
    assert_ok(bt_graph_new(&g));
    for (int i = 0; i < N_IN; i++) assert_ok(bt_graph_input(g, "in", &value[i]));
    for (int n = 0; n < N_NODE; n++) {
        snprintf(name, sizeof name, "v%d", n);
        assert_ok(bt_graph_value(g, name, &value[N_IN + n]));
    }
    for (int k = 0; k < N_NODE; k++) {
        int n = perm[k];
        snprintf(name, sizeof name, "n%d", n);
        assert_ok(add_axpy(g, name, r->factor[n], value[r->a[n]], value[r->b[n]], value[N_IN + n]));
    }
    for (int n = 0; n < N_NODE; n++)
        if (r->is_output[n]) assert_ok(bt_graph_output(g, value[N_IN + n]));
    assert_ok(bt_graph_freeze(g));
    return g;
}

static void shuffle(test_rng *rng, int *perm)
{
    for (int i = 0; i < N_NODE; i++) perm[i] = i;
    for (int i = N_NODE - 1; i > 0; i--) {
        int j = (int)test_range(rng, 0, i), t = perm[i];
        perm[i] = perm[j];
        perm[j] = t;
    }
}

static void by_definition(const recipe *r, float in[N_IN][LEN_MAX], int len,
                          float out[N_NODE][LEN_MAX])
{
    for (int n = 0; n < N_NODE; n++) {
        const float *a = r->a[n] < N_IN ? in[r->a[n]] : out[r->a[n] - N_IN];
        const float *b = r->b[n] < N_IN ? in[r->b[n]] : out[r->b[n] - N_IN];
        for (int i = 0; i < len; i++) out[n][i] = a[i] + r->factor[n] * b[i];
    }
}

static void check_outputs(const recipe *r, const bt_plan *plan, float want[N_NODE][LEN_MAX],
                          int len)
{
    for (int n = 0, k = 0; n < N_NODE; n++)
        if (r->is_output[n])
            assert_memory_equal(bt_plan_output(plan, k++), want[n], (size_t)len * sizeof(float));
}

static void random_graphs_in_any_order_give_what_they_say(void **state)
{
    (void)state;
    test_rng rng = {11};
    rig k = open_rig();
    static float in[N_IN][LEN_MAX], want[N_NODE][LEN_MAX];
    for (int round = 0; round < 60; round++) {
        recipe r = random_recipe(&rng);
        int perm[N_NODE];
        bt_desc max[N_IN], desc[N_IN];
        void *ptr[N_IN];
        bt_plan_cache *cache;
        shuffle(&rng, perm);
        bt_graph *g = build(&r, perm);
        for (int i = 0; i < N_IN; i++) {
            max[i] = bt_desc_1d(BT_F32, LEN_MAX);
            ptr[i] = in[i];
            for (int j = 0; j < LEN_MAX; j++) in[i][j] = (float)test_range(&rng, -8, 8);
        }
        assert_ok(bt_plan_cache_new(g, &k.env, max, 3, &cache));
        assert_ok(bt_device_alloc(k.device, (size_t)bt_plan_cache_arena_bytes(cache), &k.arena));
        uint64_t n_alloc = bt_mem_n_alloc();
        for (int run = 0; run < 12; run++) {
            int len = (int)test_range(&rng, 1, LEN_MAX);
            bt_plan *plan;
            for (int i = 0; i < N_IN; i++) desc[i] = bt_desc_1d(BT_F32, len);
            assert_ok(bt_plan_cache_get(cache, desc, &plan));
            bt_plan_cache_bind(cache, plan, ptr, k.arena);
            assert_ok(bt_stream_submit(k.stream, plan->launch, plan->n_launch));
            assert_ok(bt_stream_sync(k.stream));
            by_definition(&r, in, len, want);
            check_outputs(&r, plan, want, len);
        }
        assert_int_equal(bt_mem_n_alloc(), n_alloc); // planning a new shape allocates nothing
        bt_plan_cache_free(cache);
        bt_graph_unref(g);
        bt_device_free(k.device, k.arena);
        k.arena = NULL;
    }
    close_rig(&k);
}

static void a_shape_seen_before_is_a_hit(void **state)
{
    (void)state;
    rig k = open_rig();
    test_rng rng = {3};
    recipe r = random_recipe(&rng);
    int perm[N_NODE];
    shuffle(&rng, perm);
    bt_graph *g = build(&r, perm);
    bt_desc desc[N_IN];
    bt_plan_cache *cache;
    bt_plan *plan;
    for (int i = 0; i < N_IN; i++) desc[i] = bt_desc_1d(BT_F32, 9);
    assert_ok(bt_plan_cache_new(g, &k.env, desc, 2, &cache));
    bt_graph_unref(g); // the cache keeps it
    for (int i = 0; i < 5; i++) assert_ok(bt_plan_cache_get(cache, desc, &plan));
    bt_plan_counters c = bt_plan_cache_counters(cache);
    assert_int_equal(c.n_built, 1);
    assert_int_equal(c.n_hit, 4);
    desc[0].dim[0] = 8; // now the inputs disagree
    assert_fails(bt_plan_cache_get(cache, desc, &plan), BT_INVALID, "axpy: shapes differ");
    for (int i = 0; i < N_IN; i++) desc[i] = bt_desc_1d(BT_F32, 10);
    assert_fails(bt_plan_cache_get(cache, desc, &plan), BT_INVALID, "more memory than was planned");
    bt_plan_cache_free(cache);
    close_rig(&k);
}

static void faults_in_a_graph_name_the_nodes(void **state)
{
    (void)state;
    bt_graph *g;
    bt_value x, a, b, c;
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &x));
    assert_ok(bt_graph_value(g, "a", &a));
    assert_ok(bt_graph_value(g, "b", &b));
    assert_ok(bt_graph_value(g, "c", &c));
    assert_fails(bt_graph_freeze(g), BT_INVALID, "no output");
    assert_fails(bt_graph_output(g, x), BT_INVALID, "'x' is not computed");
    assert_ok(add_axpy(g, "first", 1, x, b, a));
    assert_ok(add_axpy(g, "second", 1, a, x, b));
    assert_fails(add_axpy(g, "third", 1, x, x, a), BT_INVALID,
                 "value 'a' is already defined by node 'first'");
    assert_fails(add_axpy(g, "third", 1, x, 99, c), BT_INVALID,
                 "node 'third': input 1 is value 99");
    assert_fails(add_axpy(g, "third", 1, x, x, x), BT_INVALID, "no value that a node may define");
    assert_fails(bt_graph_node(g, "third", &axpy, &(axpy_param){1, 0}, &x, 1, c), BT_INVALID,
                 "takes 2 to 2 inputs, not 1");
    assert_ok(bt_graph_output(g, b));
    assert_fails(bt_graph_freeze(g), BT_INVALID, "are on a cycle");
    assert_ok(bt_graph_output(g, c));
    bt_graph_unref(g);
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &x));
    assert_ok(bt_graph_value(g, "a", &a));
    assert_ok(bt_graph_value(g, "b", &b));
    assert_ok(add_axpy(g, "only", 1, x, b, a));
    assert_ok(bt_graph_output(g, a));
    assert_fails(bt_graph_freeze(g), BT_INVALID, "node 'only': value 'b' is defined by no node");
    bt_graph_unref(g);
}

static void nodes_that_no_output_needs_are_dropped(void **state)
{
    (void)state;
    bt_graph *g;
    bt_value x, a, b;
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &x));
    assert_ok(bt_graph_value(g, "a", &a));
    assert_ok(bt_graph_value(g, "b", &b));
    assert_ok(add_axpy(g, "dead", 1, a, a, b));
    assert_ok(add_axpy(g, "live", 1, x, x, a));
    assert_ok(bt_graph_output(g, a));
    assert_ok(bt_graph_freeze(g));
    assert_int_equal(bt_graph_n_node(g), 1);
    assert_fails(bt_graph_value(g, "late", &b), BT_INVALID, "frozen");
    bt_graph_unref(g);
}

static void every_operator_is_found_by_name_and_fits_its_records(void **state)
{
    (void)state;
#define CHECK(op)                                                                                  \
    assert_ptr_equal(bt_op_find(#op), &bt_op_##op);                                                \
    assert_true(bt_op_##op.n_in <= BT_OP_IN_MAX && bt_op_##op.param_bytes <= BT_OP_PARAM_BYTES);
    BT_OP_LIST(CHECK)
#undef CHECK
    assert_null(bt_op_find("nothing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_in_any_order_give_what_they_say),
        cmocka_unit_test(a_shape_seen_before_is_a_hit),
        cmocka_unit_test(faults_in_a_graph_name_the_nodes),
        cmocka_unit_test(nodes_that_no_output_needs_are_dropped),
        cmocka_unit_test(every_operator_is_found_by_name_and_fits_its_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
