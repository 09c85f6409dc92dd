// SPDX-License-Identifier: Apache-2.0
/* packfile: bytes as a whole file of packed weights, for a model of three small matrices; panels that
 * pass are touched at both ends. */
#include "model/packfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { N_MATRIX = 3 };

static bt_packed matrix_of(bt_dtype dtype, int64_t n_row, int64_t n_col, int64_t bytes)
{
    bt_packed m = {.desc = bt_desc_2d(dtype, n_row, n_col), .bytes = bytes};
    m.desc.layout = BT_PANELS;
    return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static bt_team *team; // one thread: the caller's
    const bt_packed matrix[N_MATRIX] = {matrix_of(BT_F32, 5, 3, 192),
                                        matrix_of(BT_Q4_0, 16, 32, 320),
                                        matrix_of(BT_BF16, 16, 9, 320)};
    const bt_packfile_spec spec = {.model = {{1, 2}},
                                   .packing = 3,
                                   .panel_version = 4,
                                   .matrix = matrix,
                                   .n_matrix = N_MATRIX};
    const void *panels[N_MATRIX];
    const bt_file file = {.bytes = data, .len = len};
    unsigned sum = 0;
    if (!team && bt_team_new(1, &team) != BT_OK) return 0;
    if (bt_packfile_open(&file, &spec, team, NULL, panels) == BT_OK)
        for (int i = 0; i < N_MATRIX; i++) {
            const volatile uint8_t *bytes = panels[i];
            sum += bytes[0] + bytes[matrix[i].bytes - 1];
        }
    (void)sum;
    return 0;
}
