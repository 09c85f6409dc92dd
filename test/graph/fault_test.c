// SPDX-License-Identifier: Apache-2.0
/* Every device call is made to fail once, in a scenario that opens, runs, captures and closes: the
 * failure comes back as its status with the cause and, where a step was under way, the node; nothing
 * leaks; and what stayed open works afterwards. The same for every allocation. */
#include "base/alloc.h"
#include "graph/tape.h"

/* ---- a device whose calls can be made to fail ---- */

static struct {
    const bt_device_ops *real;
    bt_device_ops ops;
    _Atomic int n_call, fail_at;  // counted from 1; 0: none fails
    _Atomic(const char *) failed; // the call that did
} faults;

static bool fails(const char *call)
{
    if (++faults.n_call != faults.fail_at) return false;
    faults.failed = call;
    return true;
}

#define FAULT(call, params, args)                                                                  \
    static bt_status faulty_##call params                                                          \
    {                                                                                              \
        if (fails(#call)) return bt_fail(BT_DEVICE, "the device's %s failed", #call);              \
        return faults.real->call args;                                                             \
    }
FAULT(alloc, (bt_device * d, size_t n, void **ret), (d, n, ret))
FAULT(stream_new, (bt_device * d, bt_stream **ret), (d, ret))
FAULT(start, (bt_stream * s), (s))
FAULT(event_new, (bt_device * d, bt_stream_event **ret), (d, ret))
FAULT(record, (bt_stream * s, bt_stream_event *e), (s, e))
FAULT(wait, (bt_stream * s, bt_stream_event *e), (s, e))
FAULT(event_sync, (bt_stream_event * e, int ms), (e, ms))

static bt_status faulty_submit(bt_stream *s, const bt_launch *l, int32_t n, int32_t *ret_failed)
{
    *ret_failed = n - 1; // the last of them is to blame
    if (fails("submit")) return bt_fail(BT_DEVICE, "the device's submit failed");
    return faults.real->submit(s, l, n, ret_failed);
}

static bt_device *open_faulty(const char *name)
{
    bt_device *d;
    assert_ok(bt_device_open(name, &(bt_device_config){.n_thread = 2}, &d));
    faults.real = d->ops;
    faults.ops = *d->ops;
    faults.ops.alloc = faulty_alloc;
    faults.ops.stream_new = faulty_stream_new;
    faults.ops.start = faulty_start;
    faults.ops.event_new = faulty_event_new;
    faults.ops.record = faulty_record;
    faults.ops.wait = faulty_wait;
    faults.ops.event_sync = faulty_event_sync;
    faults.ops.submit = faulty_submit;
    d->ops = &faults.ops;
    return d;
}

/* ---- the scenario ---- */

/* Two branches that meet, so that two streams have something to tell each other. */
static bt_graph *forked_graph(tape *t)
{
    static tape nowhere;
    bt_graph *g;
    bt_value in, a, b, c;
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "in", &in));
    assert_ok(bt_graph_apply(g, "left", &tape_op, &(tape_param){t}, &in, 1, &a));
    assert_ok(bt_graph_apply(g, "right", &tape_op, &(tape_param){&nowhere}, &in, 1, &b));
    assert_ok(bt_graph_apply(g, "more", &tape_op, &(tape_param){&nowhere}, &a, 1, &c));
    assert_ok(bt_graph_output(g, b));
    assert_ok(bt_graph_output(g, c));
    assert_ok(bt_graph_freeze(g));
    return g;
}

typedef struct scene {
    bt_device *device;
    bt_context *context;
    bt_exec *exec;
    bt_graph *graph;
    tape t;
    int32_t n_step; // steps that were right
} scene;

static bt_status run_step(scene *s, int32_t number)
{
    int32_t in[8] = {number};
    bt_desc desc = bt_desc_1d(BT_I32, number % 2 ? 8 : 4);
    bt_ticket ticket;
    BT_TRY(bt_exec_submit(s->exec, &desc, (void *[]){in}, -1, &ticket));
    BT_TRY(bt_exec_start(s->exec));
    BT_TRY(bt_exec_wait(s->exec, ticket, -1));
    assert_int_equal(*(int32_t *)bt_exec_output(s->exec, ticket, 0), number + 1);
    assert_int_equal(*(int32_t *)bt_exec_output(s->exec, ticket, 1), number + 2);
    s->n_step++;
    return BT_OK;
}

static bt_status open_scene(scene *s, const bt_context_config *config)
{
    bt_desc desc = bt_desc_1d(BT_I32, 8);
    BT_TRY(bt_context_open(s->device, config, &s->context));
    return bt_exec_open(s->context, s->graph,
                        &(bt_exec_config){.max_desc = &desc, .n_slot = 2, .copy = (bool[]){true}},
                        &s->exec);
}

/* Until something fails; ret_opened: how far it came. */
static bt_status play(scene *s, const bt_context_config *config)
{
    BT_TRY(open_scene(s, config));
    for (int32_t i = 0; i < 6; i++) BT_TRY(run_step(s, i / 2));
    return BT_OK;
}

static void end(scene *s)
{
    bt_exec_close(s->exec);
    bt_context_close(s->context);
    s->exec = NULL;
    s->context = NULL;
}

/* Once without a fault: what a device keeps for itself is there then. */
static void warm_up(scene *s, const bt_context_config *config)
{
    faults.fail_at = 0;
    assert_ok(play(s, config));
    end(s);
}

static size_t live(void)
{
    size_t n = 0;
    for (int tag = 0; tag < BT_MEM_COUNT; tag++) n += bt_mem_live((bt_mem)tag);
    return n;
}

static bool is_of_a_step(const char *call)
{
    return !strcmp(call, "submit") || !strcmp(call, "wait");
}

static void check_failure(scene *s, bt_status st)
{
    const char *message = bt_error_message();
    char cause[64];
    snprintf(cause, sizeof cause, "the device's %s failed", faults.failed);
    if (st != BT_DEVICE || !strstr(message, cause))
        fail_msg("call %d (%s): %s: %s", faults.fail_at, faults.failed, bt_status_name(st),
                 message);
    if (is_of_a_step(faults.failed) && !strstr(message, "node '"))
        fail_msg("call %d (%s) names no node: %s", faults.fail_at, faults.failed, message);
    if (s->exec) // it works on, from any step
        for (int32_t i = 0; i < 4; i++) assert_ok(run_step(s, 100 + i));
}

static const bt_context_config kinds[] = {
    {.n_host_thread = 1}, {.n_host_thread = 1, .n_stream = 2}, {.n_host_thread = 3, .n_stream = 2}};

static void every_device_call_may_fail_once(void **state)
{
    (void)state;
    static const char *const devices[] = {"cpu", "paced"};
    int n_failed = 0;
    for (size_t d = 0; d < BT_COUNT_OF(devices); d++)
        for (size_t k = 0; k < BT_COUNT_OF(kinds); k++) {
            scene s = {.device = open_faulty(devices[d])};
            tape_open(&s.t, 100);
            s.graph = forked_graph(&s.t);
            warm_up(&s, &kinds[k]);
            for (int at = 1;; at++) {
                size_t before = live();
                faults.n_call = 0;
                faults.fail_at = at;
                faults.failed = NULL;
                bt_status st = play(&s, &kinds[k]);
                bool failed = faults.failed != NULL;
                // A capture that fails is no failure: the step is run as it is.
                if (failed && st != BT_OK) check_failure(&s, st);
                faults.fail_at = 0;
                end(&s);
                assert_int_equal(live(), before);
                if (!failed) {
                    assert_ok(st);
                    break;
                }
                n_failed++;
            }
            bt_graph_unref(s.graph);
            tape_close(&s.t);
            bt_device_close(s.device);
        }
    assert_true(n_failed > 100);
}

static void every_allocation_may_fail_once(void **state)
{
    (void)state;
    for (size_t k = 0; k < BT_COUNT_OF(kinds); k++) {
        scene s = {0};
        assert_ok(bt_device_open("cpu", &(bt_device_config){.n_thread = 2}, &s.device));
        tape_open(&s.t, 100);
        s.graph = forked_graph(&s.t);
        warm_up(&s, &kinds[k]);
        bt_status st = BT_NOMEM;
        for (uint64_t nth = 1; st != BT_OK; nth++) {
            size_t before = live();
            assert_true(nth < 1000);
            bt_mem_fail_nth(nth);
            st = play(&s, &kinds[k]);
            bt_mem_fail_nth(0);
            assert_true(st == BT_OK || st == BT_NOMEM);
            end(&s);
            assert_int_equal(live(), before);
        }
        bt_graph_unref(s.graph);
        tape_close(&s.t);
        bt_device_close(s.device);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_device_call_may_fail_once),
        cmocka_unit_test(every_allocation_may_fail_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
