// SPDX-License-Identifier: Apache-2.0
/* packfile: packed matrices in a file, so that a later load maps them instead of packing again.
 *
 * The file is a cache, and nobody vouches for it. What it must hold is known from the model before
 * it is opened, so nothing in it is ever followed: its head is compared with the one that this build
 * would write, and its panels with their sums. Panels themselves are plain numbers: whatever they
 * say, the kernels that read them stay within them.
 *
 *   0         header: magic, versions, keys, counts, a sum over the head
 *             section [n_matrix]: where each matrix lies, its type and sizes
 *             sum u64 [n_sum]: of each MiB of each matrix, in order
 *   4096 i    the panels of matrix 0, at the first such place behind the head
 *   4096 j    the panels of matrix 1, ...
 */
#pragma once
#include "base/file.h"
#include "base/hash.h"
#include "base/team.h"
#include "baton/model.h"
#include "baton/tensor.h"

typedef struct bt_packed {
    bt_desc desc;  // [n_row, n_col] in BT_PANELS
    int64_t bytes; // of its panels, > 0
    void *panels;  // 64-byte aligned; NULL: not there yet
} bt_packed;

/* Everything that decides the bytes of a file. */
typedef struct bt_packfile_spec {
    bt_hash128 model;        // which weights: bt_model_file_key
    uint64_t packing;        // what packing makes of the types in use: bt_pack_digest of each
    uint32_t panel_version;  // BT_PANEL_VERSION
    const bt_packed *matrix; // [n_matrix]
    int64_t n_matrix;
} bt_packfile_spec;

/* Check the bytes of a whole file with the team, head and panels, and give each matrix's panels in
 * `ret_panels` [n_matrix], inside the file. FORMAT: it is no such file, or a damaged one.
 * UNSUPPORTED: of another build.  NOTFOUND: of another model, or of an earlier state of it. */
BT_CHECKED bt_status bt_packfile_open(const bt_file *file, const bt_packfile_spec *spec,
                                      bt_team *team, const bt_progress *progress,
                                      const void **ret_panels);

/* Map a file and open it. NOTFOUND also where there is none; IO. As with a model file, whoever cuts
 * the file short while it is mapped ends the process; bt_packfile_write replaces, and never does. */
BT_CHECKED bt_status bt_packfile_map(const char *path, const bt_packfile_spec *spec, bt_team *team,
                                     const bt_progress *progress, bt_file *ret_file,
                                     const void **ret_panels);

/* Write the file; its matrices have panels. It appears only when it is whole. IO, NOTFOUND. */
BT_CHECKED bt_status bt_packfile_write(const char *path, const bt_packfile_spec *spec,
                                       bt_team *team);

/* Bytes of the whole file. LIMIT when the number overflows. */
BT_CHECKED bt_status bt_packfile_bytes(const bt_packfile_spec *spec, uint64_t *ret_bytes);
