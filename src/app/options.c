// SPDX-License-Identifier: Apache-2.0
#include "app/options.h"
#include "app/console.h"
#include "base/file.h"
#include <stdlib.h>
#include <string.h>

// ---- model ----

#define AT(member) offsetof(bt_model_options, member)
const bt_arg bt_model_args[BT_N_MODEL_ARG] = {
    {"model", 'm', BT_ARG_TEXT, AT(path), 0, 0, "MODEL",
     "GGUF file or Hugging Face directory; default: the bundled one"},
    {"synth", 0, BT_ARG_TEXT, AT(synth), 0, 0, "SHAPE",
     "invent random weights in a real model's shape, in memory"},
    {"type", 0, BT_ARG_DTYPE, AT(type), 0, 0, "TYPE",
     "element type of invented weights; default q8_0"},
};
#undef AT

static const char *shape_name(const void *ctx, int i)
{
    (void)ctx;
    return bt_model_shape_name(i);
}

static int resolve_synth(const bt_command *command, const bt_model_options *options,
                         bt_buf *ret_path)
{
    if (options->path)
        return bt_args_usage(command, "--model and --synth are both given; one of them is enough");
    for (int i = 0; bt_model_shape_name(i); i++) {
        if (strcmp(bt_model_shape_name(i), options->synth) != 0) continue;
        if (bt_buf_format(ret_path, "synth:%s:%s", options->synth, bt_dtype_name(options->type)) !=
            BT_OK)
            return bt_console_fail();
        return BT_ARGS_GO_ON;
    }
    const char *near = bt_args_nearest(options->synth, shape_name, NULL);
    if (near)
        return bt_args_usage(command, "--synth is '%s'; did you mean '%s'?", options->synth, near);
    return bt_args_usage(command, "--synth is '%s'; 'baton synth --list' prints the shapes",
                         options->synth);
}

int bt_model_options_resolve(const bt_command *command, const bt_model_options *options,
                             bt_buf *ret_path)
{
    if (options->synth) return resolve_synth(command, options, ret_path);
    const char *path = options->path, *set = getenv("BATON_MODEL");
    if (!path && set && set[0]) path = set;
    if (!path && bt_file_exists(BATON_STORY_SOURCE)) path = BATON_STORY_SOURCE;
    if (!path && bt_file_exists(BATON_STORY_INSTALLED)) path = BATON_STORY_INSTALLED;
    if (!path) {
        bt_console_note(
            "no model: -m and $BATON_MODEL are not set, and there is neither '%s' nor '%s'",
            BATON_STORY_SOURCE, BATON_STORY_INSTALLED);
        return BT_EXIT_FAILURE;
    }
    return bt_buf_text(ret_path, path) == BT_OK ? BT_ARGS_GO_ON : bt_console_fail();
}

// ---- engine ----

#define AT(member) offsetof(bt_engine_options, config.member)
const bt_arg bt_engine_args[BT_N_ENGINE_ARG] = {
    {"ctx", 0, BT_ARG_I32, AT(n_ctx), 1, 1 << 24, "N",
     "tokens of prompt and output together; default: the model's, <= 8192"},
    {"threads", 0, BT_ARG_I32, AT(n_thread), 1, 256, "N",
     "worker threads; default: one a processor"},
    {"pin", 0, BT_ARG_FLAG, AT(pin_threads), 0, 0, NULL,
     "keep each worker on a processor of its own"},
    {"cpu", 0, BT_ARG_TEXT, AT(cpu_level), 0, 0, "LEVEL",
     "highest kernels: ref, avx2, avx512, ...; default: $BATON_CPU or the best"},
    {"kv-type", 0, BT_ARG_DTYPE, AT(kv_dtype), 0, 0, "TYPE",
     "keys and values in f32 (default), f16, bf16, q8_0 or q4_0"},
    {"pack-cache", 0, BT_ARG_TEXT, AT(pack_cache), 0, 0, "DIR",
     "keep packed weights in DIR, and map them the next time"},
    {"op-lib", 0, BT_ARG_LIST, offsetof(bt_engine_options, op_lib), 0, 0, "FILE",
     "library of operators to use in place of built-in ones; may be given 16 times"},
};
#undef AT

// ---- sampling ----

#define AT(member) offsetof(bt_sampling_options, params.member)
const bt_arg bt_sampling_args[BT_N_SAMPLING_ARG] = {
    {"max-tokens", 'n', BT_ARG_I32, AT(max_tokens), -1, INT32_MAX, "N",
     "tokens to generate at most; -1: until the context is full"},
    {"min-tokens", 0, BT_ARG_I32, AT(min_tokens), 0, INT32_MAX, "N", "tokens to generate at least"},
    {"temp", 0, BT_ARG_F32, AT(temperature), 0, 100, "T",
     "temperature; 0 takes the likeliest token"},
    {"top-k", 0, BT_ARG_I32, AT(top_k), 0, INT32_MAX, "K", "only the K likeliest tokens; 0: all"},
    {"top-p", 0, BT_ARG_F32, AT(top_p), 1e-6, 1, "P",
     "only the likeliest tokens that make up P; 1: all"},
    {"min-p", 0, BT_ARG_F32, AT(min_p), 0, 1, "P",
     "only tokens at least P as likely as the likeliest; 0: all"},
    {"typical", 0, BT_ARG_F32, AT(typical_p), 1e-6, 1, "P", "locally typical sampling; 1: off"},
    {"repeat-penalty", 0, BT_ARG_F32, AT(repetition_penalty), 1e-3, 1000, "X",
     "make seen tokens less likely; 1: off"},
    {"repeat-last", 0, BT_ARG_I32, AT(penalty_last_n), -1, INT32_MAX, "N",
     "tokens that penalty looks back; -1: all"},
    {"presence-penalty", 0, BT_ARG_F32, AT(presence_penalty), -2, 2, "X",
     "less for each token generated before; 0: off"},
    {"frequency-penalty", 0, BT_ARG_F32, AT(frequency_penalty), -2, 2, "X",
     "less for each time it was generated; 0: off"},
    {"seed", 0, BT_ARG_U64, AT(seed), 0, 0, "S", "same seed and prompt, same text; default 0"},
    {"stop", 0, BT_ARG_LIST, offsetof(bt_sampling_options, stop), 0, 0, "TEXT",
     "end before this text; may be given 16 times"},
    {"ignore-eos", 0, BT_ARG_FLAG, AT(ignore_eos), 0, 0, NULL, "do not let the model end"},
};
#undef AT

// ---- prompt ----

#define AT(member) offsetof(bt_prompt_options, member)
const bt_arg bt_prompt_args[BT_N_PROMPT_ARG] = {
    {"prompt", 'p', BT_ARG_TEXT, AT(text), 0, 0, "TEXT",
     "the prompt; '-' reads it from standard input"},
    {"file", 'f', BT_ARG_TEXT, AT(file), 0, 0, "FILE", "read the prompt from a file"},
    {"system", 0, BT_ARG_TEXT, AT(system), 0, 0, "TEXT",
     "system message, for models with a chat template"},
    {"raw", 0, BT_ARG_FLAG, AT(raw), 0, 0, NULL, "the prompt as it is, without the chat template"},
    {"special", 0, BT_ARG_FLAG, AT(special), 0, 0, NULL,
     "special tokens spelled out in a raw prompt count as such"},
};
#undef AT

int bt_prompt_options_read(const bt_command *command, const bt_prompt_options *options,
                           bt_buf *ret_text)
{
    if (options->text && options->file)
        return bt_args_usage(command, "--prompt and --file are both given; one of them is enough");
    if (!options->text && !options->file)
        return bt_args_usage(command, "there is no prompt; give one with -p TEXT, -f FILE or -p -");
    bt_status st;
    if (options->file || !strcmp(options->text, "-"))
        st = bt_console_read(options->file ? options->file : "-", ret_text);
    else
        st = bt_buf_text(ret_text, options->text);
    return st == BT_OK ? BT_ARGS_GO_ON : bt_console_fail();
}
