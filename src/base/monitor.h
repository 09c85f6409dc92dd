// SPDX-License-Identifier: Apache-2.0
/* monitor: a lock with conditions, for state that threads wait on. Header only. Waiting lets go of
 * the lock; whoever changes the state wakes those who wait for such a change, and each looks whether
 * it was what it waited for. Nobody is woken, and no system call is made, while nobody waits. A
 * monitor has one signal; state that different threads wait for in different ways has more. */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

typedef struct bt_signal {
    pthread_cond_t changed;
    int n_waiting; // under the monitor's mutex
} bt_signal;

typedef struct bt_monitor {
    pthread_mutex_t mutex;
    bt_signal signal;
} bt_monitor;

static inline void bt_signal_init(bt_signal *s)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    s->n_waiting = 0;
}

static inline void bt_signal_done(bt_signal *s) { pthread_cond_destroy(&s->changed); }

static inline void bt_monitor_init(bt_monitor *m)
{
    pthread_mutex_init(&m->mutex, NULL);
    bt_signal_init(&m->signal);
}

static inline void bt_monitor_done(bt_monitor *m)
{
    bt_signal_done(&m->signal);
    pthread_mutex_destroy(&m->mutex);
}

static inline void bt_monitor_enter(bt_monitor *m) { pthread_mutex_lock(&m->mutex); }
static inline void bt_monitor_leave(bt_monitor *m) { pthread_mutex_unlock(&m->mutex); }

/* Inside: tell everybody who waits for the signal. */
static inline void bt_signal_wake(bt_signal *s)
{
    if (s->n_waiting) pthread_cond_broadcast(&s->changed);
}

/* Inside: wait for a wake of the signal, at most until `until_ns` of the monotonic clock (-1: for
 * ever). False when the time is over. May return true without cause: look again. */
static inline bool bt_signal_wait(bt_signal *s, bt_monitor *m, int64_t until_ns)
{
    struct timespec t = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    s->n_waiting++;
    int late = until_ns < 0 ? pthread_cond_wait(&s->changed, &m->mutex)
                            : pthread_cond_timedwait(&s->changed, &m->mutex, &t);
    s->n_waiting--;
    return late == 0;
}

/* The same with the monitor's own signal. */
static inline void bt_monitor_wake(bt_monitor *m) { bt_signal_wake(&m->signal); }
static inline bool bt_monitor_wait(bt_monitor *m, int64_t until_ns)
{
    return bt_signal_wait(&m->signal, m, until_ns);
}
