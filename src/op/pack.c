// SPDX-License-Identifier: Apache-2.0
/* pack: one launch of the pack kernel over the panels of a matrix. */
#include "op/pack.h"
#include "device/device.h"
#include "tensor/quant.h"

enum { PANELS_PER_CHUNK = 4 };

bt_desc bt_pack_desc(const bt_desc *rows)
{
    bt_desc desc = *rows;
    desc.layout = BT_PANELS;
    return desc;
}

int64_t bt_pack_bytes(const bt_desc *rows)
{
    return bt_panels_bytes(rows->dtype, rows->dim[0], rows->dim[1]);
}

bool bt_pack_joins(const bt_desc *first, const bt_desc *next)
{
    return first->dtype == next->dtype && first->dim[1] == next->dim[1] &&
           first->dim[0] % BT_PANEL_ROWS == 0;
}

static bt_pack_args pack_args(const bt_desc *rows, const void *data, void *panels)
{
    return (bt_pack_args){.rows = data,
                          .panels = panels,
                          .n_row = rows->dim[0],
                          .n_col = rows->dim[1],
                          .row_bytes = bt_row_bytes(rows->dtype, rows->dim[1]),
                          .dtype = rows->dtype};
}

void bt_pack_run(bt_team *team, const bt_op_env *env, const bt_desc *rows, const void *data,
                 void *panels)
{
    bt_pack_args args = pack_args(rows, data, panels);
    bt_team_run_one(team, (bt_step){.fn = env->kernels->fn[BT_SLOT_pack],
                                    .args = &args,
                                    .n_item = bt_div_up(args.n_row, BT_PANEL_ROWS),
                                    .grain = PANELS_PER_CHUNK});
}

static bt_status check_matrix(const bt_desc *rows)
{
    uint64_t bytes;
    BT_FAIL_IF(rows->layout != BT_ROWS || rows->strided || rows->n_dim != 2, INVALID,
               "a weight of %d dimensions%s, must be a matrix of dense rows", rows->n_dim,
               rows->layout != BT_ROWS ? ", packed"
               : rows->strided         ? ", strided"
                                       : "");
    BT_FAIL_IF(!bt_dtype_is_weight(rows->dtype), INVALID, "%s is not a weight type",
               bt_dtype_name(rows->dtype));
    if (bt_desc_check_bytes(rows, &bytes) != BT_OK) {
        bt_fail_note("a weight");
        return BT_INVALID;
    }
    // A panel holds 16 rows whether they are there or not, and has its scales rounded up.
    BT_FAIL_IF(bytes > INT64_MAX / 64, INVALID, "a weight of %llu bytes",
               (unsigned long long)bytes);
    return BT_OK;
}

bt_status bt_weight_pack(bt_device *device, const bt_desc *rows, const void *data,
                         bt_desc *ret_desc, void **ret_panels)
{
    void *panels;
    BT_TRY(check_matrix(rows));
    BT_TRY(bt_device_alloc(device, (size_t)bt_pack_bytes(rows), &panels));
    bt_pack_args args = pack_args(rows, data, panels);
    device->kernels->fn[BT_SLOT_pack](&args, 0, bt_div_up(args.n_row, BT_PANEL_ROWS));
    *ret_desc = bt_pack_desc(rows);
    *ret_panels = panels;
    return BT_OK;
}
