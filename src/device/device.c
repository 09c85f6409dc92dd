// SPDX-License-Identifier: Apache-2.0
/* device: the registry and the public calls. These look up the device's own function; those that
 * submit go to the capture's log while the stream has one. What is below captures is devparts.c. */
#include "device/device.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "device/capture.h"
#include "kernel/table.h"
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

void bt_device_set_trace(bt_device *device, bt_trace *trace)
{
    atomic_store(&device->trace, trace);
    atomic_fetch_add(&device->n_trace, 1);
}

bt_status bt_device_cpu_level(const bt_device_config *config, int *ret_level)
{
    bt_cpu_level level;
    if (!config->cpu_level) {
        BT_TRY(bt_cpu_level_start(&level));
    } else {
        BT_TRY(bt_cpu_level_parse(config->cpu_level, &level));
        BT_FAIL_IF(!bt_cpu_has_level(level), UNSUPPORTED, "this CPU lacks what level '%s' needs",
                   bt_cpu_level_name(level));
    }
    *ret_level = (int)level;
    return BT_OK;
}

/* ---- streams ---- */

void bt_stream_free(bt_stream *stream)
{
    if (!stream) return;
    bt_capture_drop(stream);
    bt_stream_dispose(stream);
}

bt_status bt_stream_submit_at(bt_stream *stream, const bt_launch *launch, int32_t n,
                              int32_t *ret_failed)
{
    *ret_failed = 0;
    if (stream->log) return bt_capture_submit(stream, launch, n);
    return n ? stream->device->ops->submit(stream, launch, n, ret_failed) : BT_OK;
}

bt_status bt_stream_submit(bt_stream *stream, const bt_launch *launch, int32_t n)
{
    int32_t failed;
    bt_status st = bt_stream_submit_at(stream, launch, n, &failed);
    if (st != BT_OK && n) bt_fail_note("launch %d ('%s')", failed, launch[failed].name);
    return st;
}

bt_status bt_stream_start(bt_stream *stream)
{
    return stream->log ? BT_OK : stream->device->ops->start(stream);
}

bt_status bt_stream_sync(bt_stream *stream)
{
    BT_FAIL_IF(stream->log, INVALID, "the stream is being captured: nothing of it runs");
    return stream->device->ops->sync(stream);
}

/* ---- events ---- */

void bt_stream_event_free(bt_stream_event *event)
{
    if (!event) return;
    bt_capture_drop_event(event);
    event->device->ops->event_free(event);
}

bt_status bt_stream_record(bt_stream *stream, bt_stream_event *event)
{
    if (stream->log) return bt_capture_record(stream, event);
    bt_capture_drop_event(event);
    return stream->device->ops->record(stream, event);
}

bt_status bt_stream_wait(bt_stream *stream, bt_stream_event *event)
{
    if (stream->log || event->log) return bt_capture_wait(stream, event);
    return stream->device->ops->wait(stream, event);
}

bt_status bt_stream_event_sync(bt_stream_event *event, int timeout_ms)
{
    BT_FAIL_IF(event->log, INVALID,
               "the event was recorded in a capture: it marks nothing that runs");
    return event->device->ops->event_sync(event, timeout_ms);
}
