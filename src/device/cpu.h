// SPDX-License-Identifier: Apache-2.0
/* cpu: the CPU device. What only it can offer: its worker team, for work outside streams (packing).
 */
#pragma once
#include "base/team.h"
#include "device/device.h"

/* The device's team; `device` must be a CPU device. Not while a stream is being synchronised. */
bt_team *bt_device_cpu_team(bt_device *device);
