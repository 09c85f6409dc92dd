// SPDX-License-Identifier: Apache-2.0
/* Spans on the device say which node they are of: eager, captured, on several streams, from several
 * executables on one device; and they say nothing where nobody knows. */
#include "base/timeline/timeline.h"
#include "graph/toy.h"

enum { N = 64 };

static float input[N] __attribute__((aligned(64)));

/* x -> <prefix>.a, <prefix>.b, which need not wait for each other. */
static bt_graph *two_branches(const char *prefix)
{
    bt_graph *g;
    bt_value x, out;
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &x));
    for (int i = 0; i < 2; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s.%c", prefix, 'a' + i);
        assert_ok(bt_graph_value(g, name, &out));
        assert_ok(add_axpy(g, name, (float)i, x, x, out));
        assert_ok(bt_graph_output(g, out));
    }
    assert_ok(bt_graph_freeze(g));
    return g;
}

static bt_exec *open_branches(rig *k, const char *prefix)
{
    bt_desc desc = bt_desc_1d(BT_F32, N);
    bt_graph *g = two_branches(prefix);
    bt_exec *exec = open_exec(k, g, &desc);
    bt_graph_unref(g);
    return exec;
}

static void run_branches(bt_exec *exec, int n_step)
{
    bt_desc desc = bt_desc_1d(BT_F32, N);
    void *address = input;
    for (int i = 0; i < n_step; i++) run_once(exec, &desc, &address);
}

/* How many spans of that node are on the device, any stream; NULL: of no node. */
static int count(const bt_trace *trace, const char *node)
{
    bt_timeline t = bt_timeline_of(trace);
    int n = 0;
    for (int32_t i = 0; i < t.n; i++) {
        const char *name = bt_trace_node(trace, t.span[i]);
        if (t.span[i]->lane >= BT_LANE_STREAM) n += node ? name && !strcmp(name, node) : !name;
    }
    return n;
}

static void nodes_are_named(void **state)
{
    const char *device = *state;
    rig k;
    bt_trace *trace;
    assert_ok(bt_device_open(device, &(bt_device_config){.n_thread = 2}, &k.device));
    assert_ok(bt_context_open(k.device, &(bt_context_config){.n_stream = 2}, &k.context));
    assert_ok(bt_trace_new(0, &trace));
    bt_exec *x = open_branches(&k, "x"), *y = open_branches(&k, "y");
    run_branches(x, 1);
    bt_device_set_trace(k.device, trace);
    run_branches(x, 5); // a replay from the second step on
    run_branches(y, 3);
    run_branches(x, 1);
    bt_device_set_trace(k.device, NULL);
    run_branches(y, 1);
    bt_device_set_trace(k.device, trace); // again, with the names it has
    run_branches(y, 1);
    bt_device_set_trace(k.device, NULL);
    bt_exec_close(x);
    bt_exec_close(y);
    close_rig(&k); // the graphs are gone, their names are not
    assert_int_equal(count(trace, "x.a"), 6);
    assert_int_equal(count(trace, "x.b"), 6);
    assert_int_equal(count(trace, "y.a"), 4);
    assert_int_equal(count(trace, "y.b"), 4);
    assert_int_equal(count(trace, NULL), 0);
    assert_int_equal(trace->n_name, 1 + 4);
    bt_trace_free(trace);
}

/* A capture of the user's own may be of any graph. */
static void a_users_replay_has_no_names(void **state)
{
    const char *device = *state;
    rig k;
    bt_trace *trace;
    bt_capture *capture;
    bt_ticket step;
    bt_desc desc = bt_desc_1d(BT_F32, N);
    void *address = input;
    assert_ok(bt_device_open(device, &(bt_device_config){.n_thread = 1}, &k.device));
    assert_ok(bt_context_open(k.device, NULL, &k.context));
    assert_ok(bt_trace_new(0, &trace));
    bt_exec *x = open_branches(&k, "x"), *y = open_branches(&k, "y");
    bt_stream *stream = bt_context_stream(k.context);
    bt_device_set_trace(k.device, trace);
    assert_ok(bt_capture_begin(stream));
    assert_ok(bt_exec_submit(x, &desc, &address, -1, &step));
    assert_ok(bt_capture_end(stream, &capture));
    run_branches(y, 1);
    assert_ok(bt_capture_replay(capture, stream));
    assert_ok(bt_stream_sync(stream));
    bt_device_set_trace(k.device, NULL);
    assert_int_equal(count(trace, "y.a") + count(trace, "y.b"), 2);
    assert_int_equal(count(trace, NULL), 2);
    bt_capture_unref(capture);
    bt_exec_close(x);
    bt_exec_close(y);
    close_rig(&k);
    bt_trace_free(trace);
}

/* The host is late from the end of a step until it knows of it, and not before. */
static void completion_is_a_span(void **state)
{
    const char *device = *state;
    rig k;
    bt_trace *trace;
    assert_ok(bt_device_open(device, &(bt_device_config){.n_thread = 1}, &k.device));
    assert_ok(bt_context_open(k.device, NULL, &k.context));
    assert_ok(bt_trace_new(0, &trace));
    bt_exec *x = open_branches(&k, "x");
    bt_device_set_trace(k.device, trace);
    run_branches(x, 20);
    bt_device_set_trace(k.device, NULL);
    bt_timeline t = bt_timeline_of(trace);
    int32_t n = 0;
    for (int32_t i = 0; i < t.n; i++) {
        if (t.span[i]->lane != BT_LANE_COMPLETE) continue;
        assert_int_equal(t.span[i]->step, t.step[n].step);
        assert_true(t.span[i]->begin_ns >= t.step[n].end_ns);
        if (++n < t.n_step) assert_true(t.span[i]->end_ns <= t.step[n].begin_ns);
    }
    assert_int_equal(n, 20);
    assert_int_equal(t.n_step, 20);
    bt_exec_close(x);
    close_rig(&k);
    bt_trace_free(trace);
}

int main(void)
{
    static char cpu[] = "cpu", paced[] = "paced";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(nodes_are_named, cpu),
        cmocka_unit_test_prestate(nodes_are_named, paced),
        cmocka_unit_test_prestate(a_users_replay_has_no_names, cpu),
        cmocka_unit_test_prestate(a_users_replay_has_no_names, paced),
        cmocka_unit_test_prestate(completion_is_a_span, cpu),
        cmocka_unit_test_prestate(completion_is_a_span, paced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
