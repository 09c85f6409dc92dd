// SPDX-License-Identifier: Apache-2.0
/* Computing in place: by a proof of its own on random graphs and streams, where other readers of
 * what is written over may be on other streams; and where only some shapes allow it: an operator
 * whose output may be larger than the input it would write over. Memory is planned once, for the
 * largest shapes; at smaller ones a step gives right results or is refused. */
#include "graph/planproof.h"
#include "graph/toy.h"

enum { LEN = 64 };

/* ---- an operator of the test's own: out[i] = a[i mod n of a] + b[i] ---- */

typedef struct spread_args {
    const float *a, *b;
    float *out;
    int64_t n_a;
} spread_args;

static void spread_kernel(const void *args, int64_t begin, int64_t end)
{
    const spread_args *p = args;
    for (int64_t i = begin; i < end; i++) p->out[i] = p->a[i % p->n_a] + p->b[i];
}

static bt_status spread_infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    (void)param;
    *ret_out = in[1];
    return BT_OK;
}

static bt_status spread_setup(const bt_op_env *env, const void *param, const bt_desc *in,
                              const bt_desc *out, bt_op_setup *ret_setup)
{
    (void)env, (void)param, (void)in, (void)out;
    *ret_setup = (bt_op_setup){.fn = {spread_kernel}, .grain = {LEN}, .n_launch = 1};
    return BT_OK;
}

static void spread_bind(const bt_op_bind *node, bt_launch *ret_launch);
static const bt_op spread = {.name = "spread",
                             .n_in = 2,
                             .n_in_must = 2,
                             .inplace = 0,
                             .infer = spread_infer,
                             .setup = spread_setup,
                             .bind = spread_bind};

static void spread_bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    bt_op_launch_begin(node, &spread, 0, bt_desc_count(node->out), ret_launch);
    *bt_op_args(ret_launch, spread_args) = (spread_args){.a = node->in_ptr[0],
                                                         .b = node->in_ptr[1],
                                                         .out = node->out_ptr,
                                                         .n_a = node->in[0].dim[0]};
}

/* ---- x and y of their own lengths: a = x + x, s = spread a over y, out = s + s ---- */

static bt_graph *make_graph(void)
{
    bt_graph *g;
    bt_value in[2], a, s, out;
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &in[0]));
    assert_ok(bt_graph_input(g, "y", &in[1]));
    assert_ok(bt_graph_apply(g, "a", &spread, NULL, (bt_value[]){in[0], in[0]}, 2, &a));
    assert_ok(bt_graph_apply(g, "s", &spread, NULL, (bt_value[]){a, in[1]}, 2, &s));
    assert_ok(bt_graph_apply(g, "out", &spread, NULL, (bt_value[]){s, s}, 2, &out));
    assert_ok(bt_graph_output(g, out));
    assert_ok(bt_graph_freeze(g));
    return g;
}

static void smaller_shapes_are_right_or_refused(void **state)
{
    (void)state;
    float x[LEN], y[LEN];
    int n_right = 0, n_refused = 0;
    rig k = open_rig();
    bt_graph *g = make_graph();
    bt_desc desc[] = {bt_desc_1d(BT_F32, LEN), bt_desc_1d(BT_F32, LEN)};
    bt_exec *exec = open_exec(&k, g, desc);
    for (int i = 0; i < LEN; i++) {
        x[i] = (float)(i + 1);
        y[i] = (float)(100 * i);
    }
    for (int64_t n_x = 1; n_x <= LEN; n_x++)
        for (int64_t n_y = 1; n_y <= LEN; n_y++) {
            bt_ticket step;
            desc[0].dim[0] = n_x;
            desc[1].dim[0] = n_y;
            if (bt_exec_submit(exec, desc, (void *[]){x, y}, -1, &step) != BT_OK) {
                assert_non_null(strstr(bt_error_message(), "node 's' is computed in place"));
                n_refused++;
                continue;
            }
            assert_ok(bt_exec_wait(exec, step, -1));
            const float *out = bt_exec_output(exec, step, 0);
            for (int64_t i = 0; i < n_y; i++)
                if (out[i] != 2 * (2 * x[i % n_x] + y[i]))
                    fail_msg("%d over %d, element %d is %g", (int)n_x, (int)n_y, (int)i,
                             (double)out[i]);
            n_right++;
        }
    assert_true(n_refused > 0 && n_right > LEN * LEN / 4);
    bt_exec_close(exec);
    bt_graph_unref(g);
    close_rig(&k);
}

/* ---- random graphs ---- */

enum { N_NODE = 40 };

/* axpy takes its input's memory over wherever it may; node scratch and outputs lie in between. */
static bt_graph *random_graph(test_rng *rng)
{
    bt_graph *g;
    bt_value v[N_NODE + 1];
    int64_t reach = test_range(rng, 1, 8);
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &v[0]));
    for (int n = 1; n <= N_NODE; n++) {
        bt_value in[2];
        char name[16];
        for (int i = 0; i < 2; i++) in[i] = v[test_range(rng, bt_max_i64(0, n - reach), n - 1)];
        snprintf(name, sizeof name, "n%d", n);
        assert_ok(bt_graph_apply(g, name, &axpy, &(axpy_param){.factor = 1}, in, 2, &v[n]));
    }
    for (int n = N_NODE; n > 0; n -= (int)test_range(rng, 1, 20))
        assert_ok(bt_graph_output(g, v[n]));
    assert_ok(bt_graph_freeze(g));
    return g;
}

static int n_in_place(const bt_plan_base *b)
{
    int n_in = 0;
    for (int32_t n = 0; n < b->graph->n_node; n++)
        n_in += b->owner[b->graph->node[n].out] != b->graph->node[n].out;
    return n_in;
}

static void random_graphs_are_sound_on_all_streams(void **state)
{
    (void)state;
    test_rng rng = {9};
    int n_in = 0;
    bt_desc desc = bt_desc_1d(BT_F32, 300);
    bt_op_env env = {0};
    for (int round = 0; round < 300; round++) {
        bt_graph *g = random_graph(&rng);
        for (int32_t n_stream = 1; n_stream <= BT_GRAPH_STREAM_MAX; n_stream++) {
            planner k = planner_of(g, &env, n_stream);
            plan_alone(&k, &desc);
            expect_sound(&k.base, &k.plan);
            n_in += n_in_place(&k.base);
            planner_done(&k);
        }
        bt_graph_unref(g);
    }
    assert_true(n_in > 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_are_sound_on_all_streams),
        cmocka_unit_test(smaller_shapes_are_right_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
