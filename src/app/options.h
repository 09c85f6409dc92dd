// SPDX-License-Identifier: Apache-2.0
/* options: the option groups that commands share, and what follows from them.
 *
 * A command's struct holds one of these structs for each group; the BT_GROUP_ macros make the rows
 * of its group table.
 */
#pragma once
#include "app/args.h"
#include "base/buf.h"
#include "baton/engine.h"

/* ---- which model ---- */

typedef struct bt_model_options {
    const char *path;  // -m
    const char *synth; // --synth
    bt_dtype type;     // --type, of the invented weights
} bt_model_options;

enum { BT_N_MODEL_ARG = 3 };
extern const bt_arg bt_model_args[BT_N_MODEL_ARG];
#define BT_MODEL_DEFAULTS                                                                          \
    {                                                                                              \
        .type = BT_Q8_0                                                                            \
    }
#define BT_GROUP_MODEL(type, member)                                                               \
    {                                                                                              \
        "Model", bt_model_args, BT_N_MODEL_ARG, offsetof(type, member)                             \
    }

/* Append what bt_engine_open and bt_model_file_open take: -m, "synth:SHAPE:TYPE", or the bundled
 * model: $BATON_MODEL, else the source tree's, else the installed one. Gives BT_ARGS_GO_ON, or an
 * exit status after one line on stderr. */
int bt_model_options_resolve(const bt_command *command, const bt_model_options *options,
                             bt_buf *ret_path);

/* ---- how it runs; bt_generate_open opens it ---- */

typedef struct bt_engine_options {
    bt_engine_config config;
    bt_arg_list op_lib; // --op-lib
} bt_engine_options;

enum { BT_N_ENGINE_ARG = 7 };
extern const bt_arg bt_engine_args[BT_N_ENGINE_ARG];
#define BT_GROUP_ENGINE(type, member)                                                              \
    {                                                                                              \
        "Engine", bt_engine_args, BT_N_ENGINE_ARG, offsetof(type, member)                          \
    }

/* ---- how tokens are chosen ---- */

typedef struct bt_sampling_options {
    bt_request_params params;
    bt_arg_list stop;
} bt_sampling_options;

enum { BT_N_SAMPLING_ARG = 14 };
extern const bt_arg bt_sampling_args[BT_N_SAMPLING_ARG];
#define BT_GROUP_SAMPLING(type, member)                                                            \
    {                                                                                              \
        "Sampling", bt_sampling_args, BT_N_SAMPLING_ARG, offsetof(type, member)                    \
    }

/* ---- what it is asked ---- */

typedef struct bt_prompt_options {
    const char *text;   // -p; "-" is stdin
    const char *file;   // -f
    const char *system; // --system
    bool raw;           // --raw: no chat template
    bool special;       // --special: special tokens spelled out in a raw prompt count
} bt_prompt_options;

enum { BT_N_PROMPT_ARG = 5 };
extern const bt_arg bt_prompt_args[BT_N_PROMPT_ARG];
#define BT_GROUP_PROMPT(type, member)                                                              \
    {                                                                                              \
        "Prompt", bt_prompt_args, BT_N_PROMPT_ARG, offsetof(type, member)                          \
    }

/* Append the prompt's text from -p, -f or stdin. Gives BT_ARGS_GO_ON or an exit status, as above.
 */
int bt_prompt_options_read(const bt_command *command, const bt_prompt_options *options,
                           bt_buf *ret_text);
