// SPDX-License-Identifier: Apache-2.0
#include "app/commands.h"

static int run_help(const bt_command *self, int argc, char **argv)
{
    const char *name;
    int status = bt_args_parse(self, argc, argv, NULL, &name);
    if (status != BT_ARGS_GO_ON) return status;
    if (!name) {
        bt_command_overview();
        return BT_EXIT_OK;
    }
    const bt_command *command = bt_command_find(name);
    if (!command) return bt_command_unknown(name);
    bt_args_help(command);
    return BT_EXIT_OK;
}

const bt_command bt_cmd_help = {
    .name = "help",
    .summary = "list the commands, or explain one",
    .operands = "[COMMAND]",
    .n_operand_max = 1,
    .run = run_help,
};
