// SPDX-License-Identifier: Apache-2.0
/* device: the interface behind baton/device.h and the registry of those there are. A device is a
 * struct that begins with bt_device and a table of what it can do. */
#pragma once
#include "base/status.h"
#include "baton/device.h"

typedef struct bt_device_ops {
    void (*close)(bt_device *device);
    void (*get_caps)(const bt_device *device, bt_device_caps *ret_caps);
    bt_status (*alloc)(bt_device *device, size_t bytes, void **ret_block);
    void (*free)(bt_device *device, void *block);
    bt_status (*stream_new)(bt_device *device, bt_stream **ret_stream);
    void (*stream_free)(bt_stream *stream);
    bt_status (*submit)(bt_stream *stream, const bt_launch *launch, int32_t n);
    bt_status (*sync)(bt_stream *stream);
} bt_device_ops;

struct bt_kernel_table;

struct bt_device {
    const bt_device_ops *ops;
    const struct bt_kernel_table *kernels; // what operators choose from
};

struct bt_stream {
    bt_device *device;
};

/* The one list of devices: X(name). Each has bt_device_<name>_open. */
#define BT_DEVICE_LIST(X) X(cpu)

#define BT_DEVICE_DECLARE(name)                                                                    \
    BT_CHECKED bt_status bt_device_##name##_open(const bt_device_config *config,                   \
                                                 bt_device **ret_device);
BT_DEVICE_LIST(BT_DEVICE_DECLARE)
#undef BT_DEVICE_DECLARE
