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

static inline double bt_seconds_since(int64_t start_ns)
{
    return (double)(bt_now_ns() - start_ns) * 1e-9;
}
