// SPDX-License-Identifier: Apache-2.0
/* log: one global sink, set at start-up. */
#include "base/log.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic(bt_log_sink) the_sink;
static atomic_int the_level;

void bt_log_to(bt_log_sink sink, bt_log_level level)
{
    atomic_store(&the_level, (int)level);
    atomic_store(&the_sink, sink);
}

void bt_log(bt_log_level level, const char *fmt, ...)
{
    bt_log_sink sink = atomic_load_explicit(&the_sink, memory_order_relaxed);
    if (!sink || (int)level < atomic_load_explicit(&the_level, memory_order_relaxed)) return;
    char line[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    sink(level, line);
}
