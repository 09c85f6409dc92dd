// SPDX-License-Identifier: Apache-2.0
/* commands: the one list of what the program can be told to do; each is cmd_NAME.c. */
#pragma once
#include "app/args.h"

#define BT_COMMAND_LIST(X)                                                                         \
    X(run)                                                                                         \
    X(chat)                                                                                        \
    X(inspect)                                                                                     \
    X(tokenize)                                                                                    \
    X(perplexity)                                                                                  \
    X(logits)                                                                                      \
    X(quantize)                                                                                    \
    X(synth)                                                                                       \
    X(bench)                                                                                       \
    X(trace)                                                                                       \
    X(version)                                                                                     \
    X(help)

#define BT_COMMAND_DECLARE(name) extern const bt_command bt_cmd_##name;
BT_COMMAND_LIST(BT_COMMAND_DECLARE)
#undef BT_COMMAND_DECLARE

/* The i-th command, NULL past the end (main.c). */
const bt_command *bt_command_at(int i);

/* The command of that name, NULL if there is none. */
const bt_command *bt_command_find(const char *name);

/* Say on stderr that there is no such command, and which one may have been meant; BT_EXIT_USAGE. */
int bt_command_unknown(const char *name);

/* Print what the program is and its commands, to stdout. */
void bt_command_overview(void);
