// SPDX-License-Identifier: Apache-2.0
/* meminfo: how much memory this process may still take. */
#pragma once
#include <stdint.h>

/* Bytes that can be had without swapping: the kernel's MemAvailable, or what the control group
 * (cgroup v2) leaves if that is less. INT64_MAX when neither is known. */
int64_t bt_mem_available(void);
