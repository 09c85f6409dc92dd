// SPDX-License-Identifier: Apache-2.0
/* log: notes for the operator, to whoever asked for them. The library itself never prints: with no
 * sink set (the default) a note costs one relaxed load. Thread-safe. */
#pragma once
#include "baton/base.h"

typedef enum bt_log_level { BT_LOG_DEBUG, BT_LOG_INFO, BT_LOG_WARN } bt_log_level;
typedef void (*bt_log_sink)(bt_log_level level, const char *line);

/* Send notes of at least `level` to `sink` (called on the thread that notes); NULL for none. */
void bt_log_to(bt_log_sink sink, bt_log_level level);
void bt_log(bt_log_level level, const char *fmt, ...) BT_PRINTF(2, 3);
