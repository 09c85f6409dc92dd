// SPDX-License-Identifier: Apache-2.0
/* device: the registry, the public calls, and the table of memory blocks. The calls look up the
 * device's own function; those that submit go to the capture's log while the stream has one. */
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

void bt_device_init(bt_device *device, const bt_device_ops *ops,
                    const struct bt_kernel_table *kernels)
{
    device->ops = ops;
    device->kernels = kernels;
    bt_lock_init(&device->block_lock);
}

void bt_device_done(bt_device *device)
{
    bt_lock_done(&device->block_lock);
    bt_free(device->block);
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

/* ---- memory ---- */

/* Index of the last block that begins at or before `address`, or -1. */
static int32_t block_before(const bt_device *d, const void *address)
{
    int32_t lo = 0, hi = d->n_block;
    while (lo < hi) {
        int32_t mid = (lo + hi) / 2;
        if (d->block[mid].at <= (const char *)address)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo - 1;
}

static bt_status make_room(bt_device *d)
{
    if (d->n_block < d->block_max) return BT_OK;
    int32_t more = d->block_max ? 2 * d->block_max : 16;
    BT_TRY(bt_resize((void **)&d->block, (size_t)more * sizeof *d->block, BT_MEM_DEVICE));
    d->block_max = more;
    return BT_OK;
}

static bt_status note_block(bt_device *d, void *at, size_t bytes)
{
    bt_lock_take(&d->block_lock);
    bt_status st = make_room(d);
    if (st == BT_OK) {
        int32_t i = block_before(d, at) + 1;
        memmove(d->block + i + 1, d->block + i, (size_t)(d->n_block - i) * sizeof *d->block);
        d->block[i] = (bt_device_block){.at = at, .bytes = bytes, .n_ref = 1};
        d->n_block++;
    }
    bt_lock_give(&d->block_lock);
    return st;
}

bt_status bt_device_alloc(bt_device *device, size_t bytes, void **ret_block)
{
    void *block;
    BT_TRY(device->ops->alloc(device, bytes, &block));
    bt_status st = note_block(device, block, bytes);
    if (st != BT_OK)
        device->ops->free(device, block);
    else
        *ret_block = block;
    return st;
}

void bt_device_free(bt_device *device, void *block)
{
    if (!block) return;
    bt_lock_take(&device->block_lock);
    int32_t i = block_before(device, block);
    assert(i >= 0 && device->block[i].at == block);
    bool last = --device->block[i].n_ref == 0;
    if (last)
        memmove(device->block + i, device->block + i + 1,
                (size_t)(--device->n_block - i) * sizeof *device->block);
    bt_lock_give(&device->block_lock);
    if (last) device->ops->free(device, block);
}

void *bt_device_block_ref(bt_device *device, const void *address)
{
    void *block = NULL;
    bt_lock_take(&device->block_lock);
    int32_t i = block_before(device, address);
    if (i >= 0 && (const char *)address - device->block[i].at < (int64_t)device->block[i].bytes) {
        device->block[i].n_ref++;
        block = device->block[i].at;
    }
    bt_lock_give(&device->block_lock);
    return block;
}

/* ---- streams ---- */

/* Streams are made and freed by the threads that use a device, so the numbers have the lock too. */
static int32_t take_number(bt_device *d)
{
    bt_lock_take(&d->block_lock);
    int32_t n = ~d->stream_numbers ? __builtin_ctzll(~d->stream_numbers) : 63;
    d->stream_numbers |= 1ull << n;
    bt_lock_give(&d->block_lock);
    return n;
}

bt_status bt_stream_new(bt_device *device, bt_stream **ret_stream)
{
    bt_stream *s;
    BT_TRY(device->ops->stream_new(device, &s));
    s->number = take_number(device);
    s->step = -1;
    *ret_stream = s;
    return BT_OK;
}

void bt_stream_free(bt_stream *stream)
{
    if (!stream) return;
    bt_device *d = stream->device;
    bt_capture_drop(stream);
    bt_lock_take(&d->block_lock);
    d->stream_numbers &= ~(1ull << stream->number);
    bt_lock_give(&d->block_lock);
    d->ops->stream_free(stream);
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

bt_status bt_stream_event_new(bt_device *device, bt_stream_event **ret_event)
{
    bt_stream_event *e;
    BT_TRY(device->ops->event_new(device, &e));
    e->device = device;
    *ret_event = e;
    return BT_OK;
}

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
