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

static void check_outputs(const recipe *r, bt_exec *exec, bt_ticket step,
                          float want[N_NODE][LEN_MAX], int len)
{
    for (int n = 0, k = 0; n < N_NODE; n++)
        if (r->is_output[n])
            assert_memory_equal(bt_exec_output(exec, step, k++), want[n],
                                (size_t)len * sizeof(float));
}

/* Everywhere a graph may run: on both devices, with branches on several streams, with stages on
 * threads of their own. */
static const struct {
    const char *device;
    bt_context_config context;
} places[] = {
    {"cpu", {.n_host_thread = 1}},
    {"cpu", {.n_host_thread = 1, .n_stream = 3}},
    {"paced", {.n_host_thread = 1, .n_stream = 4}},
    {"cpu", {.n_host_thread = 2, .ring_depth = 1}},
    {"paced", {.n_host_thread = 3, .n_stream = 2}},
};

typedef struct scene {
    recipe r;
    float in[N_IN][LEN_MAX], want[N_NODE][LEN_MAX];
    bt_exec *exec;
} scene;

/* Twelve steps at random lengths; each is checked when it is done. */
static void run_steps(scene *c, test_rng *rng)
{
    bt_desc desc[N_IN];
    void *ptr[N_IN];
    for (int run = 0; run < 12; run++) {
        int len = (int)test_range(rng, 1, LEN_MAX);
        for (int i = 0; i < N_IN; i++) {
            desc[i] = bt_desc_1d(BT_F32, len);
            ptr[i] = c->in[i];
        }
        by_definition(&c->r, c->in, len, c->want);
        bt_ticket step = run_once(c->exec, desc, ptr);
        check_outputs(&c->r, c->exec, step, c->want, len);
    }
}

static void random_graphs_in_any_order_and_place_give_what_they_say(void **state)
{
    (void)state;
    static scene c;
    bt_desc max[N_IN];
    for (int i = 0; i < N_IN; i++) max[i] = bt_desc_1d(BT_F32, LEN_MAX);
    for (size_t place = 0; place < BT_COUNT_OF(places); place++) {
        test_rng rng = {11};
        rig k = {0};
        assert_ok(bt_device_open(places[place].device, NULL, &k.device));
        assert_ok(bt_context_open(k.device, &places[place].context, &k.context));
        for (int round = 0; round < 40; round++) {
            int perm[N_NODE];
            c.r = random_recipe(&rng);
            shuffle(&rng, perm);
            bt_graph *g = build(&c.r, perm);
            for (int i = 0; i < N_IN; i++)
                for (int j = 0; j < LEN_MAX; j++) c.in[i][j] = (float)test_range(&rng, -8, 8);
            c.exec = open_exec(&k, g, max);
            uint64_t n_alloc = bt_mem_n_alloc();
            run_steps(&c, &rng);
            if (k.device->takes_turns) // planning a new shape allocates nothing
                assert_int_equal(bt_mem_n_alloc(), n_alloc);
            bt_exec_close(c.exec);
            bt_graph_unref(g);
        }
        close_rig(&k);
    }
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
    bt_desc desc[2][N_IN];
    static float in[N_IN][LEN_MAX];
    void *ptr[] = {in[0], in[1], in[2]};
    bt_ticket step;
    bt_exec_counters c;
    for (int i = 0; i < N_IN; i++) {
        desc[0][i] = bt_desc_1d(BT_F32, 9);
        desc[1][i] = bt_desc_1d(BT_F32, 7);
    }
    bt_exec *exec = open_exec(&k, g, desc[0]);
    bt_graph_unref(g);                                                // the executable keeps it
    for (int i = 0; i < 6; i++) run_once(exec, desc[i / 2 % 2], ptr); // 9 9 7 7 9 9
    bt_exec_get_counters(exec, &c);
    assert_int_equal(c.plans_built, 2);
    assert_int_equal(c.plans_reused, 3);
    assert_int_equal(c.plan_hits, 1);
    assert_int_equal(c.binds, 2);
    assert_int_equal(c.replays, 4); // the second and later runs of a plan at the same addresses
    desc[0][0].dim[0] = 8;          // now the inputs disagree
    assert_fails(bt_exec_submit(exec, desc[0], ptr, -1, &step), BT_INVALID, "axpy: shapes differ");
    for (int i = 0; i < N_IN; i++) desc[0][i] = bt_desc_1d(BT_F32, 10);
    assert_fails(bt_exec_submit(exec, desc[0], ptr, -1, &step), BT_INVALID,
                 "more memory than was planned");
    run_once(exec, desc[1], ptr); // and it works on
    bt_exec_close(exec);
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
        cmocka_unit_test(random_graphs_in_any_order_and_place_give_what_they_say),
        cmocka_unit_test(a_shape_seen_before_is_a_hit),
        cmocka_unit_test(faults_in_a_graph_name_the_nodes),
        cmocka_unit_test(nodes_that_no_output_needs_are_dropped),
        cmocka_unit_test(every_operator_is_found_by_name_and_fits_its_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
