// SPDX-License-Identifier: Apache-2.0
/* pack: one launch of the pack kernel over the panels of a matrix. */
#include "op/pack.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "base/rng.h"
#include "device/device.h"
#include "tensor/quant.h"

enum { PANELS_PER_CHUNK = 4 };

/* The matrix of bt_pack_digest: a last panel that is not full, a last chunk neither. */
enum { DIGEST_ROWS = 2 * BT_PANEL_ROWS + 5, DIGEST_BLOCKS = 7, DIGEST_FLOATS = 99 };

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

static bt_status fill_rows(const bt_desc *rows, uint8_t *out)
{
    float *row;
    int64_t n_col = rows->dim[1];
    BT_TRY(bt_alloc((void **)&row, (size_t)n_col * sizeof *row, BT_MEM_MISC));
    for (int64_t r = 0; r < rows->dim[0]; r++, out += bt_row_bytes(rows->dtype, n_col)) {
        for (int64_t i = 0; i < n_col; i++)
            row[i] = (float)(2 * bt_rng_uniform(bt_rng_at(1, (uint64_t)r, (uint64_t)i)) - 1);
        bt_quant_row(rows->dtype, row, n_col, out);
    }
    bt_free(row);
    return BT_OK;
}

bt_status bt_pack_digest(const bt_op_env *env, bt_dtype dtype, uint64_t *ret_digest)
{
    int64_t block = bt_dtype_block(dtype);
    bt_desc rows =
        bt_desc_2d(dtype, DIGEST_ROWS, block > 1 ? block * DIGEST_BLOCKS : DIGEST_FLOATS);
    size_t bytes = (size_t)bt_pack_bytes(&rows);
    uint8_t *data, *panels;
    BT_TRY(bt_alloc((void **)&data, (size_t)bt_desc_bytes(&rows), BT_MEM_MISC));
    bt_status st = bt_alloc_zero((void **)&panels, bytes, BT_MEM_MISC);
    if (st == BT_OK) {
        st = fill_rows(&rows, data);
        bt_pack_args args = pack_args(&rows, data, panels);
        if (st == BT_OK)
            env->kernels->fn[BT_SLOT_pack](&args, 0, bt_div_up(args.n_row, BT_PANEL_ROWS));
        if (st == BT_OK) *ret_digest = bt_hash64(panels, bytes, bytes);
        bt_free(panels);
    }
    bt_free(data);
    return st;
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
