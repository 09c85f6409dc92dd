// SPDX-License-Identifier: Apache-2.0
/* membw: how fast this machine reads memory, so that a figure in GB/s can be held against it.
 *
 * A decode step reads every weight once; the share of this bandwidth that it reaches says how good
 * the kernels are on a machine one knows nothing about. The best pass counts: a lower figure would
 * flatter us.
 */
#pragma once
#include "base/status.h"
#include <stdint.h>

/* Bytes to read: enough for most caches, quickly done; or, twice what this machine's last cache
 * holds (1 GiB at most, and no more than an eighth of the memory that is free). */
enum { BT_MEMBW_QUICK = 128 << 20 };
int64_t bt_membw_beyond_caches(void);

/* Measure with n_thread (1..256) threads that read `bytes` (BT_MEMBW_QUICK or more) again and again;
 * bytes per second. Takes that much memory and 0.1 s, or 1 s for 1 GiB. NOMEM: neither could be had.
 */
BT_CHECKED bt_status bt_membw_measure(int n_thread, int64_t bytes, double *ret_bytes_per_s);
