// SPDX-License-Identifier: Apache-2.0
#include "app/commands.h"
#include <stdio.h>

static int run_version(const bt_command *self, int argc, char **argv)
{
    int status = bt_args_parse(self, argc, argv, NULL, NULL);
    if (status != BT_ARGS_GO_ON) return status;
    printf("baton %s\n", bt_version());
    return BT_EXIT_OK;
}

const bt_command bt_cmd_version = {
    .name = "version",
    .summary = "print the version",
    .operands = "",
    .run = run_version,
};
