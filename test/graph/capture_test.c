// SPDX-License-Identifier: Apache-2.0
/* Streams, events and captures of both devices: order, what a capture records, what it refuses, and
 * what it keeps alive. */
#include "base/alloc.h"
#include "graph/tape.h"

static const char *const devices[] = {"cpu", "paced"};

/* ---- launches by hand: out[0] = out[0] * mul + add, so that order shows ---- */

typedef struct step_args {
    int64_t *cell;
    int64_t mul, add;
} step_args;

static void step_kernel(const void *args, int64_t begin, int64_t end)
{
    const step_args *a = args;
    (void)begin, (void)end;
    *a->cell = *a->cell * a->mul + a->add;
}

static bt_launch step(int64_t *cell, int64_t mul, int64_t add)
{
    bt_launch l = {.fn = step_kernel, .n_item = 1, .grain = 1, .name = "step", .node = -1};
    memcpy(l.args, &(step_args){cell, mul, add}, sizeof(step_args));
    return l;
}

typedef struct bench {
    bt_device *device;
    bt_stream *a, *b;
    bt_stream_event *e, *f;
    int64_t *cell; // device memory
} bench;

static bench open_bench(const char *device)
{
    bench k;
    assert_ok(bt_device_open(device, &(bt_device_config){.kernel_ns = 2000}, &k.device));
    assert_ok(bt_stream_new(k.device, &k.a));
    assert_ok(bt_stream_new(k.device, &k.b));
    assert_ok(bt_stream_event_new(k.device, &k.e));
    assert_ok(bt_stream_event_new(k.device, &k.f));
    assert_ok(bt_device_alloc(k.device, 64, (void **)&k.cell));
    return k;
}

static void close_bench(bench *k)
{
    bt_stream_free(k->a);
    bt_stream_free(k->b);
    bt_stream_event_free(k->e);
    bt_stream_event_free(k->f);
    bt_device_free(k->device, k->cell);
    bt_device_close(k->device);
}

static void streams_keep_order_and_events_join_them(void **state)
{
    (void)state;
    for (size_t d = 0; d < BT_COUNT_OF(devices); d++) {
        bench k = open_bench(devices[d]);
        bt_launch add1 = step(k.cell, 1, 1), twice = step(k.cell, 2, 0), add5 = step(k.cell, 1, 5);
        for (int round = 0; round < 50; round++) {
            *k.cell = 0;
            // b waits for a's first launch, a for b's: ((0 + 1) * 2) + 5
            assert_ok(bt_stream_submit(k.a, &add1, 1));
            assert_ok(bt_stream_record(k.a, k.e));
            assert_ok(bt_stream_wait(k.b, k.e));
            assert_ok(bt_stream_submit(k.b, &twice, 1));
            assert_ok(bt_stream_record(k.b, k.f));
            assert_ok(bt_stream_wait(k.a, k.f));
            assert_ok(bt_stream_submit(k.a, &add5, 1));
            if (round % 2) assert_ok(bt_stream_start(k.a)); // b's work is run for it
            assert_ok(bt_stream_sync(k.a));
            assert_int_equal(*k.cell, 7);
        }
        close_bench(&k);
    }
}

static void an_event_that_marks_nothing_holds_nobody(void **state)
{
    (void)state;
    for (size_t d = 0; d < BT_COUNT_OF(devices); d++) {
        bench k = open_bench(devices[d]);
        bt_launch add1 = step(k.cell, 1, 1);
        assert_ok(bt_stream_event_sync(k.e, 0));
        assert_ok(bt_stream_wait(k.a, k.e));
        assert_ok(bt_stream_submit(k.a, &add1, 1));
        assert_ok(bt_stream_record(k.a, k.e));
        assert_ok(bt_stream_event_sync(k.e, -1));
        assert_int_equal(*k.cell, 1);
        close_bench(&k);
    }
}

static void started_work_runs_beside_the_host(void **state)
{
    (void)state;
    bench k = open_bench("cpu");
    bt_launch add1 = step(k.cell, 1, 1);
    assert_ok(bt_stream_submit(k.a, &add1, 1));
    assert_ok(bt_stream_record(k.a, k.e));
    assert_int_equal(bt_stream_event_sync(k.e, 0), BT_BUSY); // nobody has begun
    assert_ok(bt_stream_start(k.a));
    bt_status st = BT_BUSY;
    for (int i = 0; i < 2000 && st == BT_BUSY; i++) { // only looking: the driver runs it
        bt_wait_until(bt_now_ns() + 1000000);
        st = bt_stream_event_sync(k.e, 0);
    }
    assert_int_equal(st, BT_OK);
    assert_int_equal(*k.cell, 1);
    close_bench(&k);
}

static void a_full_stream_answers_busy_and_loses_nothing(void **state)
{
    (void)state;
    bench k = open_bench("cpu");
    bt_launch add1 = step(k.cell, 1, 1);
    int n = 0;
    while (bt_stream_submit(k.a, &add1, 1) == BT_OK) n++;
    assert_true(n >= 64);
    assert_ok(bt_stream_sync(k.a));
    assert_int_equal(*k.cell, n);
    close_bench(&k);
}

/* ---- captures ---- */

static void a_capture_records_runs_nothing_and_replays_what_lies_there(void **state)
{
    (void)state;
    for (size_t d = 0; d < BT_COUNT_OF(devices); d++) {
        bench k = open_bench(devices[d]);
        bt_capture *c;
        bt_launch l[] = {step(k.cell, 3, 0), step(k.cell, 1, 4)};
        *k.cell = 1;
        assert_ok(bt_capture_begin(k.a));
        assert_true(bt_stream_is_capturing(k.a));
        assert_ok(bt_stream_submit(k.a, l, 2));
        memset(l, 0, sizeof l); // argument blocks were copied
        assert_ok(bt_capture_end(k.a, &c));
        assert_int_equal(*k.cell, 1);
        assert_int_equal(bt_capture_n_launch(c), 2);
        for (int i = 0; i < 3; i++) {
            *k.cell = i;
            assert_ok(bt_capture_replay(c, i % 2 ? k.b : k.a));
            assert_ok(bt_stream_sync(i % 2 ? k.b : k.a));
            assert_int_equal(*k.cell, 3 * i + 4);
        }
        bt_capture_unref(c);
        close_bench(&k);
    }
}

static void a_capture_takes_in_the_streams_that_join_it(void **state)
{
    (void)state;
    for (size_t d = 0; d < BT_COUNT_OF(devices); d++) {
        bench k = open_bench(devices[d]);
        bt_capture *c;
        bt_launch add1 = step(k.cell, 1, 1), twice = step(k.cell, 2, 0), add5 = step(k.cell, 1, 5);
        assert_ok(bt_capture_begin(k.a));
        assert_ok(bt_stream_submit(k.a, &add1, 1));
        assert_ok(bt_stream_record(k.a, k.e));
        assert_ok(bt_stream_wait(k.b, k.e));
        assert_ok(bt_stream_submit(k.b, &twice, 1));
        assert_ok(bt_stream_record(k.b, k.f));
        assert_ok(bt_stream_wait(k.a, k.f));
        assert_ok(bt_stream_submit(k.a, &add5, 1));
        assert_ok(bt_capture_end(k.a, &c));
        assert_false(bt_stream_is_capturing(k.b));
        for (int i = 0; i < 20; i++) {
            *k.cell = i;
            assert_ok(bt_capture_replay(c, k.a));
            assert_ok(bt_stream_sync(k.a));
            assert_int_equal(*k.cell, 2 * (i + 1) + 5);
        }
        assert_ok(bt_stream_event_sync(k.e, 0)); // the events are the host's again
        bt_capture_unref(c);
        close_bench(&k);
    }
}

static void what_a_capture_cannot_hold_is_refused(void **state)
{
    (void)state;
    for (size_t d = 0; d < BT_COUNT_OF(devices); d++) {
        bench k = open_bench(devices[d]);
        bt_capture *c;
        bt_launch add1 = step(k.cell, 1, 1);
        assert_fails(bt_capture_end(k.a, &c), BT_INVALID, "not being captured");
        assert_ok(bt_capture_begin(k.a));
        assert_fails(bt_capture_begin(k.a), BT_INVALID, "already");
        assert_fails(bt_stream_sync(k.a), BT_INVALID, "being captured");
        assert_ok(bt_stream_record(k.a, k.e));
        assert_fails(bt_stream_event_sync(k.e, 0), BT_INVALID, "recorded in a capture");
        assert_ok(bt_stream_wait(k.b, k.e));
        assert_ok(bt_stream_submit(k.b, &add1, 1));
        assert_fails(bt_capture_end(k.a, &c), BT_INVALID, "was not waited for");
        // an event from outside
        assert_ok(bt_stream_record(k.b, k.f));
        assert_ok(bt_capture_begin(k.a));
        assert_fails(bt_stream_wait(k.a, k.f), BT_INVALID, "from outside the capture");
        assert_fails(bt_capture_end(k.a, &c), BT_INVALID, "recording failed");
        // a stream that goes while it is captured takes the capture with it; all works on
        assert_ok(bt_capture_begin(k.b));
        bt_stream_free(k.b);
        assert_ok(bt_stream_new(k.device, &k.b));
        assert_ok(bt_stream_submit(k.b, &add1, 1));
        assert_ok(bt_stream_sync(k.b));
        assert_int_equal(*k.cell, 1);
        close_bench(&k);
    }
}

static void a_capture_keeps_its_memory_alive(void **state)
{
    (void)state;
    for (size_t d = 0; d < BT_COUNT_OF(devices); d++) {
        bench k = open_bench(devices[d]);
        bt_capture *c;
        int64_t *block;
        size_t before = bt_mem_live(BT_MEM_WORKSPACE);
        assert_ok(bt_device_alloc(k.device, 4096, (void **)&block));
        bt_launch l = step(block + 100, 1, 1); // into the middle of it
        assert_ok(bt_capture_begin(k.a));
        assert_ok(bt_stream_submit(k.a, &l, 1));
        assert_ok(bt_capture_end(k.a, &c));
        bt_device_free(k.device, block); // the owner lets go; a replay would write into the void
        assert_true(bt_mem_live(BT_MEM_WORKSPACE) > before);
        assert_ok(bt_capture_replay(c, k.a));
        assert_ok(bt_stream_sync(k.a));
        assert_int_equal(block[100], 1);
        bt_capture_unref(c);
        assert_int_equal(bt_mem_live(BT_MEM_WORKSPACE), before);
        close_bench(&k);
    }
}

/* ---- executables in captures ---- */

static bt_op fickle; // tape_op that must not be captured

static void an_operator_that_must_not_be_captured_is_named(void **state)
{
    (void)state;
    bt_device *device;
    bt_context *context;
    bt_exec *exec;
    bt_graph *g;
    bt_value in, a, b;
    tape t;
    bt_ticket ticket;
    bt_capture *c;
    int32_t data[16] = {0};
    bt_desc desc = bt_desc_1d(BT_I32, 16);
    fickle = tape_op;
    fickle.name = "fickle";
    fickle.flags = BT_OP_NO_CAPTURE;
    tape_open(&t, 100);
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "in", &in));
    assert_ok(bt_graph_apply(g, "calm", &tape_op, &(tape_param){&t}, &in, 1, &a));
    assert_ok(bt_graph_apply(g, "draw", &fickle, &(tape_param){&t}, &a, 1, &b));
    assert_ok(bt_graph_output(g, b));
    assert_ok(bt_graph_freeze(g));
    assert_ok(bt_device_open("cpu", NULL, &device));
    assert_ok(bt_context_open(device, NULL, &context));
    assert_ok(bt_exec_open(context, g, &(bt_exec_config){.max_desc = &desc}, &exec));
    assert_fails(bt_exec_can_capture(exec), BT_UNSUPPORTED, "node 'draw' cannot be captured");
    for (int i = 0; i < 5; i++) { // by itself it is run eagerly
        assert_ok(bt_exec_submit(exec, &desc, (void *[]){data}, -1, &ticket));
        assert_ok(bt_exec_wait(exec, ticket, -1));
    }
    bt_exec_counters n;
    bt_exec_get_counters(exec, &n);
    assert_int_equal(n.captures + n.replays, 0);
    assert_ok(bt_capture_begin(bt_context_stream(context)));
    assert_fails(bt_exec_submit(exec, &desc, (void *[]){data}, -1, &ticket), BT_UNSUPPORTED,
                 "operator 'fickle' does something anew each time");
    assert_ok(bt_capture_end(bt_context_stream(context), &c));
    assert_int_equal(bt_capture_n_launch(c), 0);
    bt_capture_unref(c);
    bt_exec_close(exec);
    bt_context_close(context);
    bt_device_close(device);
    bt_graph_unref(g);
    tape_close(&t);
}

/* One step, captured by the user; then only the bytes of its input change. */
static void a_step_captured_by_its_user_follows_its_inputs(void **state)
{
    (void)state;
    for (size_t d = 0; d < BT_COUNT_OF(devices); d++) {
        bt_device *device;
        bt_context *context;
        bt_exec *exec;
        tape t;
        bt_ticket ticket;
        bt_capture *c;
        int32_t data[16] = {0};
        bt_desc desc = bt_desc_1d(BT_I32, 16);
        tape_open(&t, 100);
        bt_graph *g = tape_graph(&t, 3);
        assert_ok(bt_device_open(devices[d], NULL, &device));
        assert_ok(bt_context_open(device, &(bt_context_config){.n_stream = 2}, &context));
        assert_ok(bt_exec_open(
            context, g, &(bt_exec_config){.max_desc = &desc, .copy = (bool[]){true}}, &exec));
        bt_stream *stream = bt_context_stream(context);
        assert_ok(bt_capture_begin(stream));
        assert_ok(bt_exec_submit(exec, &desc, (void *[]){data}, -1, &ticket));
        assert_int_equal(ticket, 0);
        assert_ok(bt_capture_end(stream, &c));
        assert_int_equal(t.n, 0);
        for (int32_t i = 0; i < 10; i++) {
            data[0] = 7 * i;
            assert_ok(bt_capture_replay(c, stream));
            assert_ok(bt_stream_sync(stream));
            assert_int_equal(t.number[i], 7 * i);
            assert_int_equal(*(int32_t *)bt_exec_output(exec, 0, 0), 7 * i + 3);
        }
        assert_ok(bt_exec_submit(exec, &desc, (void *[]){data}, -1, &ticket)); // and as ever
        assert_ok(bt_exec_wait(exec, ticket, -1));
        bt_exec_close(exec);
        assert_ok(bt_capture_replay(c, stream)); // the executable's memory lives on in it
        assert_ok(bt_stream_sync(stream));
        bt_capture_unref(c);
        bt_context_close(context);
        bt_device_close(device);
        bt_graph_unref(g);
        tape_close(&t);
    }
}

static void past_their_byte_bound_steps_run_eagerly(void **state)
{
    (void)state;
    bt_device *device;
    bt_context *context;
    bt_exec *exec;
    tape t;
    bt_ticket ticket;
    bt_exec_counters n;
    bt_exec_memory m;
    int32_t data[64] = {0};
    bt_desc most = bt_desc_1d(BT_I32, 64);
    tape_open(&t, 1000);
    bt_graph *g = tape_graph(&t, 8);
    assert_ok(bt_device_open("paced", NULL, &device));
    assert_ok(bt_context_open(device, NULL, &context));
    assert_ok(bt_exec_open(context, g, &(bt_exec_config){.max_desc = &most, .capture_bytes = 5000},
                           &exec));
    for (int i = 0; i < 60; i++) { // twenty buckets, each three times in a row
        bt_desc desc = bt_desc_1d(BT_I32, 1 + i / 3);
        assert_ok(bt_exec_submit(exec, &desc, (void *[]){data}, -1, &ticket));
        assert_ok(bt_exec_wait(exec, ticket, -1));
    }
    bt_exec_get_counters(exec, &n);
    bt_exec_get_memory(exec, &m);
    assert_true(n.captures >= 1 && n.captures <= 3);
    assert_true(m.capture_bytes <= 5000 + 8 * (int64_t)sizeof(bt_launch) + 512);
    assert_int_equal(t.n, 60);
    bt_exec_close(exec);
    bt_context_close(context);
    bt_device_close(device);
    bt_graph_unref(g);
    tape_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_keep_order_and_events_join_them),
        cmocka_unit_test(an_event_that_marks_nothing_holds_nobody),
        cmocka_unit_test(started_work_runs_beside_the_host),
        cmocka_unit_test(a_full_stream_answers_busy_and_loses_nothing),
        cmocka_unit_test(a_capture_records_runs_nothing_and_replays_what_lies_there),
        cmocka_unit_test(a_capture_takes_in_the_streams_that_join_it),
        cmocka_unit_test(what_a_capture_cannot_hold_is_refused),
        cmocka_unit_test(a_capture_keeps_its_memory_alive),
        cmocka_unit_test(an_operator_that_must_not_be_captured_is_named),
        cmocka_unit_test(a_step_captured_by_its_user_follows_its_inputs),
        cmocka_unit_test(past_their_byte_bound_steps_run_eagerly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
