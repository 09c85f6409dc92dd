// SPDX-License-Identifier: Apache-2.0
/* pack: weight matrices from file rows into the panels that `linear` reads; see kernel/kernel.h. */
#pragma once
#include "base/team.h"
#include "op/op.h"

/* The descriptor and bytes of a matrix [n_row, n_col] once it is packed. */
bt_desc bt_pack_desc(const bt_desc *rows);
int64_t bt_pack_bytes(const bt_desc *rows);

/* Whether `next` may be packed right behind `first`, so that both are one matrix. */
bool bt_pack_joins(const bt_desc *first, const bt_desc *next);

/* Pack `data` (rows as in the file, any alignment) into `panels` (64-byte aligned) with the team.
 */
void bt_pack_run(bt_team *team, const bt_op_env *env, const bt_desc *rows, const void *data,
                 void *panels);
