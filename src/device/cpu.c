// SPDX-License-Identifier: Apache-2.0
/* cpu: a worker team, a kernel table of one CPU level, and streams that are short lists of launch
 * arrays. A replayed array and a fresh one look the same: running it is a walk over its records. */
#include "device/cpu.h"
#include "base/alloc.h"
#include "kernel/table.h"

enum { PENDING_MAX = 64 }; // launch arrays a stream holds

typedef struct cpu_device {
    bt_device base;
    bt_team *team;
    bt_kernel_table kernels;
} cpu_device;

typedef struct cpu_stream {
    bt_stream base;
    struct {
        const bt_launch *launch;
        int32_t n;
    } pending[PENDING_MAX];
    int n_pending;
} cpu_stream;

static bt_step step_of_launch(const void *ctx, int i)
{
    const bt_launch *l = (const bt_launch *)ctx + i;
    return (bt_step){.fn = l->fn, .args = l->args, .n_item = l->n_item, .grain = l->grain};
}

static bt_status cpu_submit(bt_stream *stream, const bt_launch *launch, int32_t n)
{
    cpu_stream *s = (cpu_stream *)stream;
    if (s->n_pending == PENDING_MAX)
        return bt_fail(BT_BUSY, "%d launch lists are waiting on the stream, at most %d",
                       s->n_pending, PENDING_MAX);
    s->pending[s->n_pending].launch = launch;
    s->pending[s->n_pending++].n = n;
    return BT_OK;
}

static bt_status cpu_sync(bt_stream *stream)
{
    cpu_stream *s = (cpu_stream *)stream;
    bt_team *team = ((cpu_device *)stream->device)->team;
    for (int i = 0; i < s->n_pending; i++)
        bt_team_run(team, step_of_launch, s->pending[i].launch, s->pending[i].n);
    s->n_pending = 0;
    return BT_OK;
}

static bt_status cpu_stream_new(bt_device *device, bt_stream **ret_stream)
{
    cpu_stream *s;
    BT_TRY(bt_alloc_zero((void **)&s, sizeof *s, BT_MEM_DEVICE));
    s->base.device = device;
    *ret_stream = &s->base;
    return BT_OK;
}

static void cpu_stream_free(bt_stream *stream) { bt_free(stream); }

static bt_status cpu_alloc(bt_device *device, size_t bytes, void **ret_block)
{
    (void)device;
    return bt_alloc_zero(ret_block, bytes, BT_MEM_WORKSPACE);
}

static void cpu_free(bt_device *device, void *block)
{
    (void)device;
    bt_free(block);
}

static void cpu_get_caps(const bt_device *device, bt_device_caps *ret_caps)
{
    const cpu_device *d = (const cpu_device *)device;
    *ret_caps = (bt_device_caps){.name = "cpu",
                                 .level = bt_cpu_level_name(d->kernels.level),
                                 .n_thread = bt_team_size(d->team)};
}

static void cpu_close(bt_device *device)
{
    cpu_device *d = (cpu_device *)device;
    bt_team_free(d->team);
    bt_free(d);
}

static const bt_device_ops cpu_ops = {
    .close = cpu_close,
    .get_caps = cpu_get_caps,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .stream_new = cpu_stream_new,
    .stream_free = cpu_stream_free,
    .submit = cpu_submit,
    .sync = cpu_sync,
};

static bt_status choose_level(const char *cap, bt_cpu_level *ret_level)
{
    if (!cap) return bt_cpu_level_start(ret_level);
    bt_cpu_level level;
    BT_TRY(bt_cpu_level_parse(cap, &level));
    if (!bt_cpu_has_level(level))
        return bt_fail(BT_UNSUPPORTED, "this CPU lacks what level '%s' needs",
                       bt_cpu_level_name(level));
    *ret_level = level;
    return BT_OK;
}

bt_status bt_device_cpu_open(const bt_device_config *config, bt_device **ret_device)
{
    bt_cpu_level level;
    BT_TRY(choose_level(config->cpu_level, &level));
    cpu_device *d;
    BT_TRY(bt_alloc_zero((void **)&d, sizeof *d, BT_MEM_DEVICE));
    bt_status st = bt_team_new(config->n_thread ? config->n_thread : bt_cpu_count(), &d->team);
    if (st != BT_OK) {
        bt_free(d);
        return st;
    }
    bt_kernel_table_init(&d->kernels, level);
    d->base = (bt_device){.ops = &cpu_ops, .kernels = &d->kernels};
    *ret_device = &d->base;
    return BT_OK;
}

bt_team *bt_device_cpu_team(bt_device *device)
{
    assert(device->ops == &cpu_ops);
    return ((cpu_device *)device)->team;
}
