// SPDX-License-Identifier: Apache-2.0
/* custom: operators from outside. A library is baton/op.h's; a set is several of them, in front of
 * the built-in operators: an operator of a library that has a built-in one's name takes its place
 * wherever the name is looked up. */
#pragma once
#include "op/op.h"

typedef struct bt_op_set {
    bt_op_library **library; // [n] owned, in the order given
    int32_t n;
} bt_op_set; // {0} is the built-in operators alone

/* Open libraries, all or none. Errors of bt_op_library_open, and
 * INVALID: an operator that takes a built-in one's place has other inputs or parameters; names both
 * and their numbers. */
BT_CHECKED bt_status bt_op_set_open(const char *const *path, int32_t n, bt_op_set *ret_set);
void bt_op_set_close(bt_op_set *set); // {0} is nothing

/* What stands in the place of a built-in operator: the last library's that has one of its name, or
 * itself. The set may be NULL. */
const bt_op *bt_op_set_get(const bt_op_set *set, const bt_op *builtin);
