// SPDX-License-Identifier: Apache-2.0
/* monitor: a lock with a condition, for state that threads wait on. Header only. Waiting lets go of
 * the lock; whoever changes the state wakes all, and each looks whether it was what it waited for.
 * Nobody is woken, and no system call is made, while nobody waits. */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

typedef struct bt_monitor {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int n_waiting; // under the mutex
} bt_monitor;

static inline void bt_monitor_init(bt_monitor *m)
{
    pthread_condattr_t attr;
    pthread_mutex_init(&m->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&m->changed, &attr);
    pthread_condattr_destroy(&attr);
    m->n_waiting = 0;
}

static inline void bt_monitor_done(bt_monitor *m)
{
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->mutex);
}

static inline void bt_monitor_enter(bt_monitor *m) { pthread_mutex_lock(&m->mutex); }
static inline void bt_monitor_leave(bt_monitor *m) { pthread_mutex_unlock(&m->mutex); }

/* Inside: tell everybody who waits. */
static inline void bt_monitor_wake(bt_monitor *m)
{
    if (m->n_waiting) pthread_cond_broadcast(&m->changed);
}

/* Inside: wait for a wake, at most until `until_ns` of the monotonic clock (-1: for ever). False
 * when the time is over. May return true without cause: look again. */
static inline bool bt_monitor_wait(bt_monitor *m, int64_t until_ns)
{
    struct timespec t = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    m->n_waiting++;
    int late = until_ns < 0 ? pthread_cond_wait(&m->changed, &m->mutex)
                            : pthread_cond_timedwait(&m->changed, &m->mutex, &t);
    m->n_waiting--;
    return late == 0;
}
