// SPDX-License-Identifier: Apache-2.0
/* tokenize: lines of text to lines of ids, and back. */
#include "app/commands.h"
#include "app/console.h"
#include "app/options.h"
#include "app/prompt.h"
#include "base/file.h"
#include "base/json.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct tokenize_options {
    bt_model_options model;
    bool decode, special, json, bos, no_bos;
} tokenize_options;

#define AT(member) offsetof(tokenize_options, member)
static const bt_arg args[] = {
    {"decode", 0, BT_ARG_FLAG, AT(decode), 0, 0, NULL, "ids to text instead of text to ids"},
    {"special", 0, BT_ARG_FLAG, AT(special), 0, 0, NULL,
     "special tokens take part: recognised in text, printed when decoding"},
    {"json", 0, BT_ARG_FLAG, AT(json), 0, 0, NULL,
     "text lines are JSON strings, so that newlines survive"},
    {"bos", 0, BT_ARG_FLAG, AT(bos), 0, 0, NULL,
     "add what the tokenizer puts around a text (bos, eos); implied by --special"},
    {"no-bos", 0, BT_ARG_FLAG, AT(no_bos), 0, 0, NULL, "never add it"},
};
#undef AT

static const bt_arg_group groups[] = {
    {"Tokenizing", args, sizeof args / sizeof args[0], 0},
    BT_GROUP_MODEL(tokenize_options, model),
};

/* What a run works with. */
typedef struct tokenize_job {
    const tokenize_options *options;
    const bt_tokenizer *tokenizer;
    bt_ids ids;
    bt_buf out; // one line of output
} tokenize_job;

static bt_status encode_line(tokenize_job *job, const char *line, size_t len)
{
    const tokenize_options *o = job->options;
    unsigned flags = o->special ? BT_ENCODE_SPECIAL : 0;
    if ((o->bos || o->special) && !o->no_bos) flags |= BT_ENCODE_BOS;
    json_t *text = NULL;
    if (o->json) {
        BT_TRY(bt_json_parse(line, len, &text));
        if (!json_is_string(text)) {
            json_decref(text);
            return bt_fail(BT_FORMAT, "not a JSON string");
        }
        line = json_string_value(text);
        len = json_string_length(text);
    }
    bt_status st = bt_ids_encode(&job->ids, job->tokenizer, line, len, flags);
    for (size_t i = 0; st == BT_OK && i < job->ids.n; i++)
        st = bt_buf_format(&job->out, i ? " %d" : "%d", job->ids.id[i]);
    json_decref(text);
    return st;
}

static bt_status decode_line(tokenize_job *job, const char *line, size_t len)
{
    bt_detok detok;
    const char *piece;
    size_t n;
    bt_buf text = {0};
    bt_status st = bt_ids_parse(&job->ids, line, len, bt_tokenizer_n_vocab(job->tokenizer));
    bt_detok_init(&detok, job->tokenizer, job->options->special ? BT_DETOK_SPECIAL : 0);
    for (size_t i = 0; st == BT_OK && i < job->ids.n; i++)
        if ((st = bt_detok_push(&detok, job->ids.id[i], &piece, &n)) == BT_OK)
            st = bt_buf_add(&text, piece, n);
    if (st == BT_OK && (st = bt_detok_flush(&detok, &piece, &n)) == BT_OK)
        st = bt_buf_add(&text, piece, n);
    if (st == BT_OK)
        st = job->options->json ? bt_json_put_text(&job->out, text.len ? text.data : "", text.len)
                                : bt_buf_add(&job->out, text.len ? text.data : "", text.len);
    bt_buf_done(&text);
    return st;
}

static bt_status tokenize_lines(tokenize_job *job)
{
    char *line = NULL;
    size_t line_size = 0;
    ssize_t len;
    bt_status st = BT_OK;
    for (long long n = 1; st == BT_OK && (len = getline(&line, &line_size, stdin)) >= 0; n++) {
        if (len > 0 && line[len - 1] == '\n') len--;
        bt_buf_clear(&job->out);
        st = job->options->decode ? decode_line(job, line, (size_t)len)
                                  : encode_line(job, line, (size_t)len);
        if (st == BT_OK && (st = bt_buf_text(&job->out, "\n")) == BT_OK &&
            fwrite(job->out.data, 1, job->out.len, stdout) != job->out.len)
            st = bt_console_flush();
        if (st != BT_OK) bt_fail_note("line %lld", n);
    }
    free(line);
    if (st == BT_OK && ferror(stdin))
        st = bt_fail(BT_IO, "reading standard input: %s", strerror(errno));
    return st;
}

/* A GGUF file carries its tokenizer inside; everything else is a tokenizer file or a folder with
 * one. */
static bool is_model(const char *path)
{
    char magic[4] = {0};
    if (!strncmp(path, "synth:", 6)) return true;
    FILE *file = fopen(path, "rb");
    bool yes = file && fread(magic, 1, 4, file) == 4 && !memcmp(magic, "GGUF", 4);
    if (file) fclose(file);
    return yes;
}

static bt_status tokenize_with(const tokenize_options *options, const char *path)
{
    bt_model_file *model = NULL;
    bt_tokenizer *own = NULL;
    tokenize_job job = {.options = options};
    bt_status st;
    if (!is_model(path)) {
        st = bt_tokenizer_open(path, &own);
        job.tokenizer = own;
    } else if ((st = bt_model_file_open(path, BT_USE_TOKENIZER, &model)) == BT_OK) {
        st = bt_prompt_tokenizer(model, path, &job.tokenizer);
    }
    if (st == BT_OK) st = tokenize_lines(&job);
    bt_buf_done(&job.out);
    bt_ids_done(&job.ids);
    bt_tokenizer_free(own);
    bt_model_file_close(model);
    return st;
}

static int run_tokenize(const bt_command *self, int argc, char **argv)
{
    tokenize_options options = {.model = BT_MODEL_DEFAULTS};
    int status = bt_args_parse(self, argc, argv, &options, NULL);
    if (status != BT_ARGS_GO_ON) return status;
    bt_buf path = {0};
    status = bt_model_options_resolve(self, &options.model, &path);
    if (status == BT_ARGS_GO_ON)
        status = tokenize_with(&options, path.data) == BT_OK ? BT_EXIT_OK : bt_console_fail();
    bt_buf_done(&path);
    return status;
}

const bt_command bt_cmd_tokenize = {
    .name = "tokenize",
    .summary = "turn text into token ids, or back",
    .operands = "",
    .notes = "Reads standard input, one text a line, and prints its ids on one line, separated by "
             "blanks; with\n"
             "--decode the other way round. MODEL may also be a GGUF file without tensors, a "
             "tokenizer.json or a\n"
             "tokenizer.model. Plain text gives plain tokens only; --special is the tokenizer's "
             "full treatment.",
    .groups = groups,
    .n_group = sizeof groups / sizeof groups[0],
    .run = run_tokenize,
};
