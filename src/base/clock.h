// SPDX-License-Identifier: Apache-2.0
/* clock: monotonic time. Header only. */
#pragma once
#include <stdint.h>
#include <time.h>

/* Nanoseconds of CLOCK_MONOTONIC. */
static inline int64_t bt_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Return at `ns` of the monotonic clock, to within a few microseconds: sleeps first, and spends the
 * last stretch, which no sleep hits that well, looking at the clock. */
static inline void bt_wait_until(int64_t ns)
{
    enum { STRETCH_NS = 120000 };
    int64_t sleep_ns = ns - STRETCH_NS;
    if (sleep_ns > bt_now_ns()) {
        struct timespec t = {.tv_sec = sleep_ns / 1000000000, .tv_nsec = sleep_ns % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    }
    while (bt_now_ns() < ns) {}
}

static inline double bt_seconds_since(int64_t start_ns)
{
    return (double)(bt_now_ns() - start_ns) * 1e-9;
}
