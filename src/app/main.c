// SPDX-License-Identifier: Apache-2.0
/* main: find the command and run it. Exit statuses: 0 done, 1 failure, 2 usage, 130 interrupted. */
#include "app/commands.h"
#include "app/console.h"
#include "base/log.h"
#include <stdio.h>
#include <string.h>

static const bt_command *const COMMANDS[] = {
#define COMMAND_ROW(name) &bt_cmd_##name,
    BT_COMMAND_LIST(COMMAND_ROW)
#undef COMMAND_ROW
};

const bt_command *bt_command_at(int i)
{
    return i < (int)(sizeof COMMANDS / sizeof COMMANDS[0]) ? COMMANDS[i] : NULL;
}

const bt_command *bt_command_find(const char *name)
{
    for (int i = 0; bt_command_at(i); i++)
        if (!strcmp(bt_command_at(i)->name, name)) return bt_command_at(i);
    return NULL;
}

static const char *command_name(const void *ctx, int i)
{
    (void)ctx;
    const bt_command *command = bt_command_at(i);
    return command ? command->name : NULL;
}

int bt_command_unknown(const char *name)
{
    const char *near = bt_args_nearest(name, command_name, NULL);
    if (near) return bt_console_usage("'%s' is no command; did you mean '%s'?", name, near);
    return bt_console_usage("'%s' is no command; 'baton help' lists them", name);
}

void bt_command_overview(void)
{
    printf("baton %s: language models on this machine\n\nusage: baton COMMAND [OPTION]...\n\n",
           bt_version());
    for (int i = 0; bt_command_at(i); i++)
        printf("  %-11s %s\n", bt_command_at(i)->name, bt_command_at(i)->summary);
    printf("\n'baton COMMAND --help' says what a command takes. Exit status: 0 done, 1 failure "
           "(one line on\n"
           "standard error), 2 wrong usage, 130 interrupted.\n");
}

static int run_command(int argc, char **argv)
{
    if (argc < 2) return bt_console_usage("no command; 'baton help' lists them");
    const char *word = argv[1];
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) word = "help";
    if (!strcmp(word, "--version")) word = "version";
    const bt_command *command = bt_command_find(word);
    return command ? command->run(command, argc - 1, argv + 1) : bt_command_unknown(word);
}

int main(int argc, char **argv)
{
    bt_log_to(bt_console_log, BT_LOG_WARN);
    int status = run_command(argc, argv);
    if (bt_console_flush() != BT_OK && status == BT_EXIT_OK) status = bt_console_fail();
    return status;
}
