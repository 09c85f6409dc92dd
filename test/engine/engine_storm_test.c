// SPDX-License-Identifier: Apache-2.0
/* Threads that submit, read, cancel and free while another steps. What is read to its end must be
 * what the same request gives alone; nothing may leak or race (run this under TSan, too). */
#include "support/fakerunner.h"
#include "support/support.h"
#include "base/alloc.h"
#include "base/clock.h"
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { N_CLIENT = 4, N_ROUND = 40, N_KIND = 6 };

typedef struct storm {
    bt_engine *engine;
    pthread_mutex_t lock; // guards n_client_left
    int n_client_left;
    int32_t prompt[120];
    fake_job alone[N_KIND];
} storm;

typedef struct client {
    storm *s;
    test_rng rng;
    int n_done, n_cancelled, n_busy, n_wrong;
} client;

static bool clients_left(storm *s)
{
    pthread_mutex_lock(&s->lock);
    bool left = s->n_client_left > 0;
    pthread_mutex_unlock(&s->lock);
    return left;
}

static void *step_until_quiet(void *ctx)
{
    storm *s = ctx;
    int32_t n_alive = 0;
    for (bool last = false; !last || n_alive > 0;) {
        last = !clients_left(s); // asked before the step: it sees what the last client left
        if (bt_engine_step(s->engine, &n_alive) || !bt_engine_check(s->engine)) abort();
        if (n_alive == 0) sched_yield();
    }
    return NULL;
}

/* Read to the end and compare, or stop somewhere and give the request back. */
static void read_some(client *c, bt_request *r, const fake_job *want)
{
    int32_t n = 0, n_max = (int32_t)test_range(&c->rng, 0, 60);
    bool leaves = test_range(&c->rng, 0, 2) == 0, cancelled = false;
    int64_t start = bt_now_ns();
    for (;;) {
        bt_event e;
        if (bt_request_next(r, &e)) {
            if (bt_seconds_since(start) > 60) abort();
            sched_yield();
            continue;
        }
        if (e.finish) {
            c->n_done += e.finish == want->finish && n == want->n;
            c->n_cancelled += e.finish == BT_FINISH_CANCELLED;
            c->n_wrong +=
                e.finish != want->finish && !(cancelled && e.finish == BT_FINISH_CANCELLED);
            break;
        }
        c->n_wrong += n >= want->n || e.id != want->ids[n] || e.logprob != want->logprob[n];
        if (++n < n_max || !leaves || cancelled) continue;
        if (n % 2) break; // goes away without a word
        bt_request_cancel(r);
        cancelled = true;
    }
    bt_request_free(r);
}

static void *be_a_client(void *ctx)
{
    client *c = ctx;
    for (int round = 0; round < N_ROUND; round++) {
        const fake_job *want = &c->s->alone[test_range(&c->rng, 0, N_KIND - 1)];
        bt_request *r;
        bt_engine_stats stats;
        bt_engine_get_stats(c->s->engine, &stats);
        bt_status st = bt_engine_submit(c->s->engine, &want->params, &r);
        if (st == BT_BUSY) {
            c->n_busy++;
            round--; // try again
            sched_yield();
        } else if (st) {
            abort();
        } else if (test_range(&c->rng, 0, 5) == 0) {
            bt_request_free(r);
        } else {
            read_some(c, r, want);
        }
    }
    pthread_mutex_lock(&c->s->lock);
    c->s->n_client_left--;
    pthread_mutex_unlock(&c->s->lock);
    return NULL;
}

static void run_storm(const bt_engine_config *config)
{
    storm *s = calloc(1, sizeof *s);
    client c[N_CLIENT];
    pthread_t thread[N_CLIENT + 1];
    fake_runner fake = {0};
    test_rng rng = {9};
    pthread_mutex_init(&s->lock, NULL);
    assert_ok(fake_open(config, &fake, NULL, 5, &s->engine));
    for (int i = 0; i < 120; i++) s->prompt[i] = (int32_t)test_range(&rng, 0, FAKE_VOCAB - 1);
    for (int i = 0; i < N_KIND; i++) {
        bt_request_params *p = &s->alone[i].params;
        bt_request_defaults(p);
        p->ids = s->prompt;
        p->n_id = 20 * i + 1;
        p->max_tokens = 100;
        p->ignore_eos = i % 2;
        p->temperature = 1;
        p->seed = (uint64_t)i;
        p->logprobs = true;
        fake_run(s->engine, &s->alone[i], 1);
    }
    s->n_client_left = N_CLIENT;
    assert_int_equal(pthread_create(&thread[N_CLIENT], NULL, step_until_quiet, s), 0);
    for (int i = 0; i < N_CLIENT; i++) {
        c[i] = (client){.s = s, .rng = {(uint64_t)i + 100}};
        assert_int_equal(pthread_create(&thread[i], NULL, be_a_client, &c[i]), 0);
    }
    for (int i = 0; i <= N_CLIENT; i++) pthread_join(thread[i], NULL);
    int n_done = 0, n_cancelled = 0;
    for (int i = 0; i < N_CLIENT; i++) {
        assert_int_equal(c[i].n_wrong, 0);
        n_done += c[i].n_done;
        n_cancelled += c[i].n_cancelled;
    }
    assert_true(n_done >= N_CLIENT * N_ROUND / 5);
    assert_true(n_cancelled > 0);
    bt_engine_stats stats;
    bt_engine_get_stats(s->engine, &stats);
    assert_int_equal(stats.n_page_free, stats.n_page);
    assert_int_equal(stats.n_running + stats.n_waiting, 0);
    bt_engine_close(s->engine);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void a_storm_of_clients_gets_what_each_would_get_alone(void **state)
{
    (void)state;
    size_t live = bt_mem_live(BT_MEM_REQUEST);
    run_storm(&(bt_engine_config){.n_ctx = 256});
    assert_int_equal(bt_mem_live(BT_MEM_REQUEST), live);
}

static void a_storm_over_a_tiny_pool_and_queue_too(void **state)
{
    (void)state;
    size_t live = bt_mem_live(BT_MEM_REQUEST);
    run_storm(&(bt_engine_config){.n_ctx = 224,
                                  .n_kv_token = 224,
                                  .page_len = 16,
                                  .n_seq_max = 3,
                                  .n_queue_max = 1,
                                  .n_chunk = 11});
    assert_int_equal(bt_mem_live(BT_MEM_REQUEST), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_storm_of_clients_gets_what_each_would_get_alone),
        cmocka_unit_test(a_storm_over_a_tiny_pool_and_queue_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
