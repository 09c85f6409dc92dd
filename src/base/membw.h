// SPDX-License-Identifier: Apache-2.0
/* membw: how fast this machine reads memory, so that a figure in GB/s can be held against it.
 *
 * A decode step reads every weight once; the share of this bandwidth that it reaches says how good
 * the kernels are on a machine one knows nothing about. The buffer is larger than the last-level
 * caches of most machines, and the best pass counts: a lower figure would flatter us.
 */
#pragma once
#include "base/status.h"

/* Measure with n_thread (1..256) threads; bytes per second. Takes about 0.1 s and 128 MiB for that
 * time. NOMEM: neither could be had. */
BT_CHECKED bt_status bt_membw_measure(int n_thread, double *ret_bytes_per_s);
