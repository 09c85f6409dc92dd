// SPDX-License-Identifier: Apache-2.0
/* args: a command's options as a table, from which parsing, checking and --help all come.
 *
 * A command has groups of options; a group is a table of rows plus the offset of the struct its
 * values go to, so that several commands share one table (options.h) inside structs of their own.
 * Values start as the caller set them; the last of several wins, except in a list, which collects.
 */
#pragma once
#include "baton/base.h"

typedef enum bt_arg_kind {
    BT_ARG_FLAG,  // bool, becomes true
    BT_ARG_TEXT,  // const char *, pointing into argv
    BT_ARG_I32,   // int32_t in lo..hi
    BT_ARG_U64,   // uint64_t
    BT_ARG_F32,   // float in lo..hi
    BT_ARG_DTYPE, // bt_dtype that can hold weights
    BT_ARG_LIST,  // bt_arg_list: may be given several times
} bt_arg_kind;

enum { BT_ARG_LIST_MAX = 16 };

typedef struct bt_arg_list {
    const char *item[BT_ARG_LIST_MAX];
    int32_t n;
} bt_arg_list;

typedef struct bt_arg {
    const char *name; // without its dashes: "top-k"
    char letter;      // 'p' for -p, or 0
    bt_arg_kind kind;
    size_t at;         // offset of the value in the group's struct
    double lo, hi;     // I32, F32: both included
    const char *value; // what --help calls the value: "N"; NULL for a flag
    const char *help;  // one line
} bt_arg;

typedef struct bt_arg_group {
    const char *title;  // "Sampling"
    const bt_arg *args; // [n]
    int n;
    size_t at; // offset of the group's struct in the command's
} bt_arg_group;

typedef struct bt_command {
    const char *name;
    const char *summary;  // one line
    const char *operands; // "IN OUT"; "" for none
    int n_operand_min, n_operand_max;
    const char *notes;          // paragraphs for --help, NULL for none
    const bt_arg_group *groups; // [n_group]
    int n_group;
    int (*run)(const struct bt_command *self, int argc, char **argv); // the exit status
} bt_command;

enum { BT_EXIT_OK = 0, BT_EXIT_FAILURE = 1, BT_EXIT_USAGE = 2, BT_EXIT_INTERRUPTED = 130 };
enum { BT_ARGS_GO_ON = -1 };

/* Read argv[1..] into `values` and `operands` (the caller's array of n_operand_max, unset ones
 * NULL). Returns BT_ARGS_GO_ON, or the exit status: 0 after --help, 2 after one line on stderr. */
int bt_args_parse(const bt_command *command, int argc, char **argv, void *values,
                  const char **operands);

/* Print a command's help to stdout. */
void bt_args_help(const bt_command *command);

/* Print "baton: NAME: <message>" to stderr, one line, and return BT_EXIT_USAGE. */
int bt_args_usage(const bt_command *command, const char *fmt, ...) BT_PRINTF(2, 3);

/* The candidate that `word` may have been meant to be, NULL when none is near; `name(ctx, i)` gives
 * the candidates and NULL at their end. */
const char *bt_args_nearest(const char *word, const char *(*name)(const void *ctx, int i),
                            const void *ctx);
