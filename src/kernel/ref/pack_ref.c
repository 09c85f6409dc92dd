// SPDX-License-Identifier: Apache-2.0
/* pack, reference: see panel.c. */
#include "kernel/isa.h"
#include "kernel/panel.h"
#include "base/bits.h"

void bt_pack_ref(const void *args, int64_t begin, int64_t end)
{
    const bt_pack_args *a = args;
    int64_t bytes = bt_panel_bytes(a->dtype, a->n_col);
    for (int64_t p = begin; p < end; p++) {
        int64_t row = p * BT_PANEL_ROWS, n = bt_min_i64(BT_PANEL_ROWS, a->n_row - row);
        bt_panel_pack(a->dtype, (const uint8_t *)a->rows + row * a->row_bytes, a->row_bytes, (int)n,
                      a->n_col, (uint8_t *)a->panels + p * bytes);
    }
}
