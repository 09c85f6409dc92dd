// SPDX-License-Identifier: Apache-2.0
/* device: the registry, and the public calls, which only look up the device's own. */
#include "device/device.h"
#include "base/bits.h"
#include <string.h>

static const struct {
    const char *name;
    bt_status (*open)(const bt_device_config *config, bt_device **ret_device);
} devices[] = {
#define ROW(name) {#name, bt_device_##name##_open},
    BT_DEVICE_LIST(ROW)
#undef ROW
};

bt_status bt_device_open(const char *name, const bt_device_config *config, bt_device **ret_device)
{
    static const bt_device_config defaults;
    for (size_t i = 0; i < BT_COUNT_OF(devices); i++)
        if (!strcmp(name, devices[i].name))
            return devices[i].open(config ? config : &defaults, ret_device);
#define NAME(each) " " #each
    return bt_fail(BT_NOTFOUND, "there is no device '%s'; there are:" BT_DEVICE_LIST(NAME), name);
#undef NAME
}

void bt_device_close(bt_device *device)
{
    if (device) device->ops->close(device);
}

void bt_device_get_caps(const bt_device *device, bt_device_caps *ret_caps)
{
    device->ops->get_caps(device, ret_caps);
}

bt_status bt_device_alloc(bt_device *device, size_t bytes, void **ret_block)
{
    return device->ops->alloc(device, bytes, ret_block);
}

void bt_device_free(bt_device *device, void *block) { device->ops->free(device, block); }

bt_status bt_stream_new(bt_device *device, bt_stream **ret_stream)
{
    return device->ops->stream_new(device, ret_stream);
}

void bt_stream_free(bt_stream *stream)
{
    if (stream) stream->device->ops->stream_free(stream);
}

bt_status bt_stream_submit(bt_stream *stream, const bt_launch *launch, int32_t n)
{
    return stream->device->ops->submit(stream, launch, n);
}

bt_status bt_stream_sync(bt_stream *stream) { return stream->device->ops->sync(stream); }
