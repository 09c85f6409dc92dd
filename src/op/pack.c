// SPDX-License-Identifier: Apache-2.0
/* pack: one launch of the pack kernel over the panels of a matrix. */
#include "op/pack.h"

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

void bt_pack_run(bt_team *team, const bt_op_env *env, const bt_desc *rows, const void *data,
                 void *panels)
{
    bt_pack_args args = {.rows = data,
                         .panels = panels,
                         .n_row = rows->dim[0],
                         .n_col = rows->dim[1],
                         .row_bytes = bt_row_bytes(rows->dtype, rows->dim[1]),
                         .dtype = rows->dtype};
    bt_team_run_one(team, (bt_step){.fn = env->kernels->fn[BT_SLOT_pack],
                                    .args = &args,
                                    .n_item = bt_div_up(args.n_row, BT_PANEL_ROWS),
                                    .grain = PANELS_PER_CHUNK});
}
