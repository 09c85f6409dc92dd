// SPDX-License-Identifier: Apache-2.0
/* Hosts that run ahead of a slow device: nothing a step was given may change before the device has
 * read it. Each test is run a second time with what protects it taken away, and must then fail: that
 * shows that it can. */
#include "graph/tape.h"
#include <pthread.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { N_STEP = 5000, N_CHECK = 200 };
#else
enum { N_STEP = 100000, N_CHECK = 2000 };
#endif

typedef struct host {
    tape t;
    bt_device *device;
    bt_context *context;
    bt_exec *exec;
    bt_graph *graph;
} host;

static void open_host(host *h, int32_t n_step, int64_t kernel_ns, const bt_context_config *context,
                      int32_t n_slot)
{
    bt_desc desc = bt_desc_1d(BT_I32, 16);
    tape_open(&h->t, n_step);
    h->graph = tape_graph(&h->t, 1);
    assert_ok(bt_device_open("paced", &(bt_device_config){.kernel_ns = kernel_ns}, &h->device));
    assert_ok(bt_context_open(h->device, context, &h->context));
    assert_ok(bt_exec_open(
        h->context, h->graph,
        &(bt_exec_config){.max_desc = &desc, .n_slot = n_slot, .copy = (bool[]){true}}, &h->exec));
}

static void close_host(host *h)
{
    bt_exec_close(h->exec);
    bt_context_close(h->context);
    bt_device_close(h->device);
    bt_graph_unref(h->graph);
    tape_close(&h->t);
}

/* Submit n steps with the numbers 0, 1, ..., all from one array that is overwritten at once. Without
 * a fence nothing holds the host back but the stream's own ring. */
static void run_ahead(host *h, int32_t n)
{
    int32_t in[16] = {0};
    bt_desc desc = bt_desc_1d(BT_I32, 16);
    bt_ticket ticket = 0;
    for (int32_t i = 0; i < n;) {
        in[0] = i;
        bt_status st = bt_exec_submit(h->exec, &desc, (void *[]){in}, -1, &ticket);
        if (st == BT_OK)
            i++;
        else
            assert_int_equal(st, BT_BUSY);
        in[0] = -1;
    }
    assert_ok(bt_stream_sync(bt_context_stream(h->context)));
    assert_ok(bt_exec_wait(h->exec, ticket, -1));
}

static int32_t n_wrong(const host *h, int32_t n)
{
    int32_t wrong = h->t.n != n;
    for (int32_t i = 0; i < h->t.n; i++) wrong += h->t.number[i] != i;
    return wrong;
}

static void a_hundred_thousand_steps_on_a_slow_device_arrive_whole(void **state)
{
    (void)state;
    for (int n_thread = 1; n_thread <= 3; n_thread++) {
        host h;
        bt_exec_counters c;
        int32_t n = n_thread == 1 ? N_STEP : N_STEP / 5;
        open_host(&h, n, 3000, &(bt_context_config){.n_host_thread = n_thread, .ring_depth = 2}, 2);
        run_ahead(&h, n);
        bt_exec_get_counters(h.exec, &c);
        assert_int_equal(n_wrong(&h, n), 0);
        assert_int_equal(c.steps, n);
        assert_true(c.waits > 0); // the device was slower, and the host was held back
        close_host(&h);
    }
}

static bool without_protection = true;

static void the_same_without_fences_does_not(void **state)
{
    (void)state;
    host h;
    if (!without_protection) return;
    open_host(&h, N_CHECK, 3000, &(bt_context_config){.ring_depth = 2}, 2);
    bt_exec_set_unsafe(h.exec, BT_UNSAFE_NO_FENCE);
    run_ahead(&h, N_CHECK);
    assert_true(n_wrong(&h, N_CHECK) > 0);
    close_host(&h);
}

static void a_host_three_steps_ahead_leaves_arguments_intact(void **state)
{
    (void)state;
    for (int one_buffer = 0; one_buffer < (without_protection ? 2 : 1); one_buffer++) {
        host h;
        open_host(&h, 100, 200000, &(bt_context_config){.n_host_thread = 1}, 4);
        if (one_buffer) bt_exec_set_unsafe(h.exec, BT_UNSAFE_ONE_BUFFER);
        run_ahead(&h, 100);
        if (one_buffer) // all steps in flight read the newest one's input
            assert_true(n_wrong(&h, 100) > 0);
        else
            assert_int_equal(n_wrong(&h, 100), 0);
        close_host(&h);
    }
}

/* ---- outputs ---- */

static void an_output_stays_until_its_slot_is_taken(void **state)
{
    (void)state;
    host h;
    bt_desc desc = bt_desc_1d(BT_I32, 16);
    bt_ticket ticket[6];
    open_host(&h, 100, 50000, &(bt_context_config){.n_host_thread = 1}, 3);
    for (int32_t i = 0; i < 6; i++) {
        int32_t in[16] = {10 * i};
        assert_ok(bt_exec_submit(h.exec, &desc, (void *[]){in}, -1, &ticket[i]));
    }
    assert_fails(bt_exec_wait(h.exec, ticket[2], -1), BT_NOTFOUND, "ticket 3");
    assert_null(bt_exec_output(h.exec, ticket[2], 0));
    for (int32_t i = 3; i < 6; i++) {
        assert_ok(bt_exec_wait(h.exec, ticket[i], -1));
        assert_ok(bt_exec_wait(h.exec, ticket[i], 0)); // and again
        assert_int_equal(*(int32_t *)bt_exec_output(h.exec, ticket[i], 0), 10 * i + 1);
    }
    assert_fails(bt_exec_wait(h.exec, 7, -1), BT_NOTFOUND, "ticket 7");
    close_host(&h);
}

static void waits_end_when_their_time_is_over(void **state)
{
    (void)state;
    for (int n_thread = 1; n_thread <= 3; n_thread++) {
        host h;
        int32_t in[16] = {0};
        bt_desc desc = bt_desc_1d(BT_I32, 16);
        bt_ticket ticket, late;
        open_host(&h, 100, 80000000, &(bt_context_config){.n_host_thread = n_thread}, 1);
        assert_ok(bt_exec_submit(h.exec, &desc, (void *[]){in}, -1, &ticket));
        assert_int_equal(bt_exec_submit(h.exec, &desc, (void *[]){in}, 2, &late), BT_BUSY);
        assert_int_equal(bt_exec_wait(h.exec, ticket, 2), BT_BUSY);
        assert_ok(bt_exec_wait(h.exec, ticket, -1));
        assert_ok(bt_exec_submit(h.exec, &desc, (void *[]){in}, 0, &late));
        close_host(&h);
    }
}

/* ---- two contexts on two threads ---- */

static void *live_alone(void *arg)
{
    host h;
    int32_t n = N_CHECK / 2;
    bt_context_config config = {.n_host_thread = *(int *)arg, .n_stream = 2};
    open_host(&h, n, 1000, &config, 3);
    run_ahead(&h, n);
    assert_int_equal(n_wrong(&h, n), 0);
    close_host(&h);
    return NULL;
}

static void two_contexts_on_two_threads_do_not_meet(void **state)
{
    (void)state;
    pthread_t other;
    int one = 1, three = 3;
    assert_int_equal(pthread_create(&other, NULL, live_alone, &three), 0);
    live_alone(&one);
    pthread_join(other, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_thousand_steps_on_a_slow_device_arrive_whole),
        cmocka_unit_test(the_same_without_fences_does_not),
        cmocka_unit_test(a_host_three_steps_ahead_leaves_arguments_intact),
        cmocka_unit_test(an_output_stays_until_its_slot_is_taken),
        cmocka_unit_test(waits_end_when_their_time_is_over),
        cmocka_unit_test(two_contexts_on_two_threads_do_not_meet),
    };
#if defined(__SANITIZE_THREAD__)
    without_protection = false; // it would be reported, and rightly
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
