// SPDX-License-Identifier: Apache-2.0
#include "app/args.h"
#include "baton/tensor.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- suggestions ----

enum { WORD_MAX = 40 };

/* Levenshtein's distance of two short words. */
static int word_distance(const char *a, const char *b)
{
    int row[WORD_MAX + 1];
    size_t n = strlen(a), m = strlen(b);
    if (n > WORD_MAX || m > WORD_MAX) return WORD_MAX;
    for (size_t j = 0; j <= m; j++) row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

const char *bt_args_nearest(const char *word, const char *(*name)(const void *ctx, int i),
                            const void *ctx)
{
    const char *best = NULL;
    int best_distance = 3 + (int)strlen(word) / 4;
    for (int i = 0; name(ctx, i); i++)
        if (strlen(word) > 1 && !strncmp(name(ctx, i), word, strlen(word))) return name(ctx, i);
    for (int i = 0; name(ctx, i); i++) {
        int distance = word_distance(word, name(ctx, i));
        if (distance < best_distance && distance < (int)strlen(name(ctx, i))) {
            best_distance = distance;
            best = name(ctx, i);
        }
    }
    return best;
}

/* The i-th long option over all groups; --help is the last. */
static const char *option_name(const void *ctx, int i)
{
    const bt_command *command = ctx;
    for (int g = 0; g < command->n_group; g++) {
        if (i < command->groups[g].n) return command->groups[g].args[i].name;
        i -= command->groups[g].n;
    }
    return i == 0 ? "help" : NULL;
}

// ---- messages ----

/* Text from the command line may hold anything; a message stays one line of printable bytes. */
static void print_line(const char *command, char *text)
{
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = '?';
    fprintf(stderr, "baton: %s: %s\n", command, text);
}

int bt_args_usage(const bt_command *command, const char *fmt, ...)
{
    char text[1024];
    va_list list;
    va_start(list, fmt);
    vsnprintf(text, sizeof text, fmt, list);
    va_end(list);
    print_line(command->name, text);
    return BT_EXIT_USAGE;
}

static int help_width(const bt_arg *arg)
{
    return (int)strlen(arg->name) + (arg->value ? 1 + (int)strlen(arg->value) : 0);
}

static void help_group(const bt_arg_group *group, int width)
{
    printf("\n%s:\n", group->title);
    for (int i = 0; i < group->n; i++) {
        const bt_arg *arg = &group->args[i];
        char letter[4] = "   ";
        if (arg->letter) snprintf(letter, sizeof letter, "-%c,", arg->letter);
        printf("  %s --%s%s%s%*s  %s\n", letter, arg->name, arg->value ? " " : "",
               arg->value ? arg->value : "", width - help_width(arg), "", arg->help);
    }
}

void bt_args_help(const bt_command *command)
{
    bool has_operands = command->operands[0] != 0;
    printf("baton %s: %s\n\nusage: baton %s [OPTION]...%s%s\n", command->name, command->summary,
           command->name, has_operands ? " " : "", command->operands);
    if (command->notes) printf("\n%s\n", command->notes);
    int width = 4;
    for (int g = 0; g < command->n_group; g++)
        for (int i = 0; i < command->groups[g].n; i++)
            if (help_width(&command->groups[g].args[i]) > width)
                width = help_width(&command->groups[g].args[i]);
    for (int g = 0; g < command->n_group; g++) help_group(&command->groups[g], width);
    printf("\n  -h, --help%*s  print this\n", width - 4, "");
}

// ---- values ----

static int take_i32(const bt_command *command, const bt_arg *arg, const char *text,
                    int32_t *ret_value)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || (double)value < arg->lo || (double)value > arg->hi)
        return bt_args_usage(command, "--%s is '%s', must be a whole number from %.0f to %.0f",
                             arg->name, text, arg->lo, arg->hi);
    *ret_value = (int32_t)value;
    return BT_ARGS_GO_ON;
}

static int take_u64(const bt_command *command, const bt_arg *arg, const char *text,
                    uint64_t *ret_value)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end || errno || text[strspn(text, " \t")] == '-')
        return bt_args_usage(command, "--%s is '%s', must be a whole number from 0 to %llu",
                             arg->name, text, (unsigned long long)UINT64_MAX);
    *ret_value = value;
    return BT_ARGS_GO_ON;
}

static int take_f32(const bt_command *command, const bt_arg *arg, const char *text,
                    float *ret_value)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= arg->lo && value <= arg->hi))
        return bt_args_usage(command, "--%s is '%s', must be a number from %g to %g", arg->name,
                             text, arg->lo, arg->hi);
    *ret_value = (float)value;
    return BT_ARGS_GO_ON;
}

/* The types that hold weights come first in BT_DTYPE_LIST. */
static const char *weight_type_name(const void *ctx, int i)
{
    (void)ctx;
    return i < BT_I8 ? bt_dtype_name((bt_dtype)i) : NULL;
}

static int take_dtype(const bt_command *command, const bt_arg *arg, const char *text,
                      bt_dtype *ret_value)
{
    bt_dtype value;
    if (bt_dtype_parse(text, &value) == BT_OK && value < BT_I8) {
        *ret_value = value;
        return BT_ARGS_GO_ON;
    }
    char names[256];
    size_t at = 0;
    for (int i = 0; weight_type_name(NULL, i) && at < sizeof names; i++)
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "",
                               weight_type_name(NULL, i));
    return bt_args_usage(command, "--%s is '%s', must be one of %s", arg->name, text, names);
}

static int take_list(const bt_command *command, const bt_arg *arg, const char *text,
                     bt_arg_list *list)
{
    if (list->n == BT_ARG_LIST_MAX)
        return bt_args_usage(command, "--%s is given more than %d times", arg->name,
                             BT_ARG_LIST_MAX);
    list->item[list->n++] = text;
    return BT_ARGS_GO_ON;
}

static int take_value(const bt_command *command, const bt_arg *arg, const char *text, void *where)
{
    switch (arg->kind) {
    case BT_ARG_FLAG:
        *(bool *)where = true;
        break;
    case BT_ARG_TEXT:
        *(const char **)where = text;
        break;
    case BT_ARG_I32:
        return take_i32(command, arg, text, where);
    case BT_ARG_U64:
        return take_u64(command, arg, text, where);
    case BT_ARG_F32:
        return take_f32(command, arg, text, where);
    case BT_ARG_DTYPE:
        return take_dtype(command, arg, text, where);
    case BT_ARG_LIST:
        return take_list(command, arg, text, where);
    }
    return BT_ARGS_GO_ON;
}

// ---- the walk over argv ----

/* Find an option by its long name (of `len` bytes) or its letter. */
static const bt_arg *find_option(const bt_command *command, const char *name, size_t len,
                                 char letter, size_t *ret_at)
{
    for (int g = 0; g < command->n_group; g++)
        for (int i = 0; i < command->groups[g].n; i++) {
            const bt_arg *arg = &command->groups[g].args[i];
            bool same = name ? strlen(arg->name) == len && !memcmp(arg->name, name, len)
                             : arg->letter == letter;
            if (!same) continue;
            *ret_at = command->groups[g].at + arg->at;
            return arg;
        }
    return NULL;
}

static int unknown_option(const bt_command *command, const char *word)
{
    char name[WORD_MAX + 1];
    const char *start = word + strspn(word, "-");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(start, "="), start);
    const char *near = bt_args_nearest(name, option_name, command);
    if (near)
        return bt_args_usage(command, "unknown option '%s'; did you mean '--%s'?", word, near);
    return bt_args_usage(command, "unknown option '%s'; 'baton %s --help' lists them", word,
                         command->name);
}

/* Take the option at argv[*i], and its value from "=..." or the next word. */
static int take_option(const bt_command *command, char **argv, int argc, int *i, void *values)
{
    const char *word = argv[*i], *equals = NULL;
    const bt_arg *arg = NULL;
    size_t at = 0;
    if (word[1] == '-') {
        equals = strchr(word, '=');
        arg = find_option(command, word + 2,
                          equals ? (size_t)(equals - word - 2) : strlen(word + 2), 0, &at);
    } else if (word[2] == 0) {
        arg = find_option(command, NULL, 0, word[1], &at);
    }
    if (!arg) return unknown_option(command, word);
    if (arg->kind == BT_ARG_FLAG) {
        if (equals) return bt_args_usage(command, "--%s takes no value", arg->name);
        return take_value(command, arg, NULL, (char *)values + at);
    }
    if (!equals && *i + 1 >= argc)
        return bt_args_usage(command, "--%s needs a value: --%s %s", arg->name, arg->name,
                             arg->value);
    return take_value(command, arg, equals ? equals + 1 : argv[++*i], (char *)values + at);
}

int bt_args_parse(const bt_command *command, int argc, char **argv, void *values,
                  const char **operands)
{
    int n_operand = 0;
    bool options_end = false;
    for (int i = 0; i < command->n_operand_max; i++) operands[i] = NULL;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (!options_end && (!strcmp(word, "--help") || !strcmp(word, "-h"))) {
            bt_args_help(command);
            return BT_EXIT_OK;
        }
        if (!options_end && !strcmp(word, "--")) {
            options_end = true;
        } else if (!options_end && word[0] == '-' && word[1]) {
            int status = take_option(command, argv, argc, &i, values);
            if (status != BT_ARGS_GO_ON) return status;
        } else if (n_operand == command->n_operand_max) {
            return bt_args_usage(command,
                                 "'%s' is one word too many; 'baton %s --help' says what it takes",
                                 word, command->name);
        } else {
            operands[n_operand++] = word;
        }
    }
    if (n_operand < command->n_operand_min)
        return bt_args_usage(command, "%s is missing; 'baton %s --help' says what it takes",
                             command->operands, command->name);
    return BT_ARGS_GO_ON;
}
