// SPDX-License-Identifier: Apache-2.0
/* pack: weight matrices from file rows into the panels that `linear` reads; see kernel/kernel.h. */
#pragma once
#include "base/team.h"
#include "op/op.h"

/* The layout of panels. Panels are kept in files (model/packfile.h): whoever changes a layout, or
 * what packing puts into it, raises this number. */
enum { BT_PANEL_VERSION = 1 };

/* A digest of what these kernels make of a fixed matrix of the type: where it differs panels do, even
 * if somebody forgot the number above. NOMEM. */
BT_CHECKED bt_status bt_pack_digest(const bt_op_env *env, bt_dtype dtype, uint64_t *ret_digest);

/* The descriptor and bytes of a matrix [n_row, n_col] once it is packed. */
bt_desc bt_pack_desc(const bt_desc *rows);
int64_t bt_pack_bytes(const bt_desc *rows);

/* Whether `next` may be packed right behind `first`, so that both are one matrix. */
bool bt_pack_joins(const bt_desc *first, const bt_desc *next);

/* Pack `data` (rows as in the file, any alignment) into `panels` (64-byte aligned) with the team.
 */
void bt_pack_run(bt_team *team, const bt_op_env *env, const bt_desc *rows, const void *data,
                 void *panels);
