// SPDX-License-Identifier: Apache-2.0
/* bt_graph_call by itself: one block called for many layers, and what a call refuses. That calling
 * changes nothing is nest_test's. */
#include "graph/toy.h"

enum { LEN = 19 };

/* ---- one block, many layers ---- */

enum { N_LAYER = 32 };

/* block(x, w) = (x + 0.5 w) + 0.25 x */
static bt_graph *block_graph(void)
{
    bt_graph *g;
    bt_value x, w, a, b;
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &x));
    assert_ok(bt_graph_input(g, "w", &w));
    assert_ok(bt_graph_value(g, "a", &a));
    assert_ok(bt_graph_value(g, "b", &b));
    assert_ok(add_axpy(g, "first", 0.5f, x, w, a));
    assert_ok(add_axpy(g, "second", 0.25f, a, x, b));
    assert_ok(bt_graph_output(g, b));
    assert_ok(bt_graph_freeze(g));
    return g;
}

static void one_block_is_called_for_every_layer(void **state)
{
    (void)state;
    static float weight[N_LAYER][LEN], want[LEN], start[LEN];
    rig k = open_rig();
    bt_graph *block = block_graph(), *g;
    bt_value in[2], out;
    bt_desc desc = bt_desc_1d(BT_F32, LEN);
    char name[32];
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &in[0]));
    for (int i = 0; i < LEN; i++) want[i] = start[i] = (float)i;
    for (int layer = 0; layer < N_LAYER; layer++) {
        for (int i = 0; i < LEN; i++) {
            weight[layer][i] = (float)(layer - i);
            float a = want[i] + 0.5f * weight[layer][i];
            want[i] = a + 0.25f * want[i];
        }
        snprintf(name, sizeof name, "layer%d", layer);
        assert_ok(bt_graph_const(g, "w", &desc, weight[layer], &in[1]));
        assert_ok(bt_graph_value(g, name, &out));
        assert_ok(bt_graph_call(g, name, block, in, 2, &out, 1));
        in[0] = out;
    }
    bt_graph_unref(block);
    assert_ok(bt_graph_output(g, out));
    assert_ok(bt_graph_freeze(g));
    assert_int_equal(bt_graph_n_node(g), 2 * N_LAYER);
    assert_string_equal(bt_graph_node_name(g, 14), "layer7/first");
    bt_exec *exec = open_exec(&k, g, &desc);
    bt_ticket step = run_once(exec, &desc, (void *[]){start});
    assert_memory_equal(bt_exec_output(exec, step, 0), want, sizeof want);
    bt_exec_close(exec);
    bt_graph_unref(g);
    close_rig(&k);
}

/* ---- what a call refuses ---- */

typedef struct caller {
    bt_graph *g, *block;
    bt_value x, out, done;
} caller;

static caller new_caller(void)
{
    caller c = {.block = block_graph()};
    assert_ok(bt_graph_new(&c.g));
    assert_ok(bt_graph_input(c.g, "x", &c.x));
    assert_ok(bt_graph_value(c.g, "out", &c.out));
    assert_ok(bt_graph_value(c.g, "done", &c.done));
    assert_ok(add_axpy(c.g, "before", 1, c.x, c.x, c.done));
    return c;
}

static void a_wrong_call_names_the_node_and_adds_nothing(void **state)
{
    (void)state;
    caller c = new_caller();
    bt_value xx[] = {c.x, c.x}, none[] = {c.x, BT_VALUE_NONE}, far[] = {c.x, 77};
    bt_graph *open;
    int32_t n_value = c.g->n_value;
    assert_ok(bt_graph_new(&open));
    assert_fails(bt_graph_call(c.g, "me", open, xx, 2, &c.out, 1), BT_INVALID,
                 "node 'me': the graph it calls is not frozen");
    assert_fails(bt_graph_call(c.g, "me", c.block, xx, 1, &c.out, 1), BT_INVALID,
                 "node 'me': the graph it calls has 2 inputs and 1 outputs, not 1 and 1");
    assert_fails(bt_graph_call(c.g, "me", c.block, far, 2, &c.out, 1), BT_INVALID,
                 "node 'me': input 1 is value 77");
    assert_fails(bt_graph_call(c.g, "me", c.block, xx, 2, &c.done, 1), BT_INVALID,
                 "node 'me': value 'done' is already defined by node 'before'");
    assert_fails(bt_graph_call(c.g, "me", c.block, xx, 2, &c.x, 1), BT_INVALID,
                 "node 'me': its output is no value that a node may define");
    assert_fails(bt_graph_call(c.g, "me", c.block, none, 2, &c.out, 1), BT_INVALID,
                 "node 'me/first': input 1 is left out, but axpy needs it");
    assert_fails(bt_graph_call(c.block, "me", c.block, xx, 2, &c.out, 1), BT_INVALID, "frozen");
    assert_int_equal(c.g->n_value, n_value);
    assert_int_equal(c.g->n_node, 1);
    assert_ok(bt_graph_call(c.g, "me", c.block, xx, 2, &c.out, 1)); // nothing is in its way
    bt_graph_unref(open);
    bt_graph_unref(c.block);
    bt_graph_unref(c.g);
}

static void two_outputs_of_a_call_are_two_values(void **state)
{
    (void)state;
    caller c = new_caller();
    bt_graph *two;
    bt_value x, a;
    assert_ok(bt_graph_new(&two));
    assert_ok(bt_graph_input(two, "x", &x));
    assert_ok(bt_graph_value(two, "a", &a));
    assert_ok(add_axpy(two, "n", 1, x, x, a));
    assert_ok(bt_graph_output(two, a));
    assert_ok(bt_graph_output(two, a));
    assert_ok(bt_graph_freeze(two));
    assert_fails(bt_graph_call(c.g, "me", two, &c.x, 1, (bt_value[]){c.out, c.out}, 2), BT_INVALID,
                 "node 'me': outputs 0 and 1 are one value, 'out'");
    bt_graph_unref(two);
    bt_graph_unref(c.block);
    bt_graph_unref(c.g);
}

/* A call that calls itself through its own result is a cycle like any other. */
static void a_cycle_through_a_call_is_found(void **state)
{
    (void)state;
    caller c = new_caller();
    assert_ok(bt_graph_call(c.g, "me", c.block, (bt_value[]){c.x, c.out}, 2, &c.out, 1));
    assert_ok(bt_graph_output(c.g, c.out));
    assert_fails(bt_graph_freeze(c.g), BT_INVALID, "'me/second' and 'me/first' are on a cycle");
    bt_graph_unref(c.block);
    bt_graph_unref(c.g);
}

/* Whichever allocation fails, the call fails, adds nothing, and can be made again. */
static void a_call_without_memory_adds_nothing(void **state)
{
    (void)state;
    bool done = false;
    for (uint64_t nth = 1; !done; nth++) {
        caller c = new_caller();
        bt_value xx[] = {c.x, c.x};
        int32_t n_value = c.g->n_value;
        bt_mem_fail_nth(nth);
        done = bt_graph_call(c.g, "me", c.block, xx, 2, &c.out, 1) == BT_OK;
        bt_mem_fail_nth(0);
        if (!done) {
            assert_int_equal(c.g->n_value, n_value);
            assert_int_equal(c.g->n_node, 1);
            assert_ok(bt_graph_call(c.g, "me", c.block, xx, 2, &c.out, 1));
        }
        assert_ok(bt_graph_output(c.g, c.out));
        assert_ok(bt_graph_freeze(c.g));
        assert_int_equal(bt_graph_n_node(c.g), 2);
        bt_graph_unref(c.block);
        bt_graph_unref(c.g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_block_is_called_for_every_layer),
        cmocka_unit_test(a_wrong_call_names_the_node_and_adds_nothing),
        cmocka_unit_test(two_outputs_of_a_call_are_two_values),
        cmocka_unit_test(a_cycle_through_a_call_is_found),
        cmocka_unit_test(a_call_without_memory_adds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
