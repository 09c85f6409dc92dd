// SPDX-License-Identifier: Apache-2.0
/* chat: a conversation, a line a message. On a terminal lines are edited with
 * libedit; from a pipe each line is a message just the same, so a conversation
 * can be scripted. */
#include "app/commands.h"
#include "app/console.h"
#include "app/conversation.h"
#include "app/generate.h"
#include "app/options.h"
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct chat_options {
    bt_model_options model;
    bt_engine_options engine;
    bt_sampling_options sampling;
    const char *system;
} chat_options;

static const bt_arg args[] = {
    {"system", 0, BT_ARG_TEXT, offsetof(chat_options, system), 0, 0, "TEXT", "system message"},
};

static const bt_arg_group groups[] = {
    {"Conversation", args, 1, 0},
    BT_GROUP_SAMPLING(chat_options, sampling),
    BT_GROUP_MODEL(chat_options, model),
    BT_GROUP_ENGINE(chat_options, engine),
};

typedef struct chat {
    bt_engine *engine;
    bt_request_params params; // its seed is that of the next turn
    bt_conversation conversation;
    bt_ids ids; // the prompt of this turn
    bool quit;
} chat;

// ---- lines ----

typedef struct line_source {
    EditLine *edit; // NULL: stdin is no terminal
    History *history;
    char *line; // owned, where edit is NULL
    size_t size;
} line_source;

static char *show_prompt(EditLine *edit)
{
    static char prompt[] = "> "; // libedit wants a char *; nobody writes to it
    (void)edit;
    return prompt;
}

static void open_lines(line_source *s)
{
    HistEvent event;
    *s = (line_source){0};
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) return;
    setlocale(LC_CTYPE, ""); // so that libedit knows UTF-8
    s->edit = el_init("baton", stdin, stdout, stderr);
    s->history = history_init();
    if (!s->edit || !s->history) return;
    history(s->history, &event, H_SETSIZE, 500);
    el_set(s->edit, EL_PROMPT, show_prompt);
    el_set(s->edit, EL_EDITOR, "emacs");
    el_set(s->edit, EL_SIGNAL,
           1); // restores the terminal before Ctrl-C ends the program
    el_set(s->edit, EL_HIST, history, s->history);
}

static void close_lines(line_source *s)
{
    if (s->edit) el_end(s->edit);
    if (s->history) history_end(s->history);
    free(s->line);
}

/* The next line without its newline, valid until the next call; NULL at the end
 * of input. */
static const char *next_line(line_source *s)
{
    HistEvent event;
    int n = 0;
    char *line;
    if (s->edit) {
        const char *edited = el_gets(s->edit, &n);
        if (!edited || n <= 0) return NULL;
        free(s->line);
        if (!(s->line = strndup(edited, (size_t)n))) return NULL;
        if (s->history && n > 1) history(s->history, &event, H_ENTER, s->line);
    } else if (getline(&s->line, &s->size, stdin) < 0) {
        return NULL;
    }
    line = s->line;
    line[strcspn(line, "\r\n")] = 0;
    return line;
}

// ---- slash commands ----

static bt_status do_reset(chat *c, const char *text)
{
    (void)text;
    bool has_system = c->conversation.n && !strcmp(c->conversation.message[0].role, "system");
    bt_conversation_remove(&c->conversation, has_system, c->conversation.n);
    return BT_OK;
}

/* A new system message begins a new conversation; an empty one takes it away.
 */
static bt_status do_system(chat *c, const char *text)
{
    bt_conversation_remove(&c->conversation, 0, c->conversation.n);
    return text[0] ? bt_conversation_add(&c->conversation, "system", text, 0) : BT_OK;
}

static bt_status do_seed(chat *c, const char *text)
{
    char *end;
    unsigned long long seed = strtoull(text, &end, 10);
    if (end == text || *end || text[0] == '-')
        bt_console_note("/seed is '%s', must be a whole number", text);
    else
        c->params.seed = seed;
    return BT_OK;
}

static bt_status do_temp(chat *c, const char *text)
{
    char *end;
    double temperature = strtod(text, &end);
    if (end == text || *end || !(temperature >= 0 && temperature <= 100))
        bt_console_note("/temp is '%s', must be a number from 0 to 100", text);
    else
        c->params.temperature = (float)temperature;
    return BT_OK;
}

static bt_status do_quit(chat *c, const char *text)
{
    (void)text;
    c->quit = true;
    return BT_OK;
}

static bt_status do_help(chat *c, const char *text);

static const struct {
    const char *name, *value, *help;
    bt_status (*run)(chat *c, const char *text);
} commands[] = {
    {"/help", "", "this list", do_help},
    {"/reset", "", "forget the conversation, keep the system message", do_reset},
    {"/system", "TEXT", "forget all, and set the system message", do_system},
    {"/seed", "N", "seed of the next answer", do_seed},
    {"/temp", "T", "temperature; 0 takes the likeliest token", do_temp},
    {"/quit", "", "leave (so does Ctrl-D); Ctrl-C ends an answer", do_quit},
};
enum { N_COMMAND = sizeof commands / sizeof commands[0] };

static bt_status do_help(chat *c, const char *text)
{
    (void)c, (void)text;
    for (int i = 0; i < N_COMMAND; i++)
        fprintf(stderr, "  %-8s %-5s %s\n", commands[i].name, commands[i].value, commands[i].help);
    return BT_OK;
}

static const char *command_name(const void *ctx, int i)
{
    (void)ctx;
    return i < N_COMMAND ? commands[i].name : NULL;
}

static bt_status do_command(chat *c, const char *line)
{
    char name[16];
    size_t len = strcspn(line, " ");
    snprintf(name, sizeof name, "%.*s", (int)len, line);
    for (int i = 0; i < N_COMMAND; i++)
        if (!strcmp(commands[i].name, name))
            return commands[i].run(c, line + len + strspn(line + len, " "));
    const char *near = bt_args_nearest(name, command_name, NULL);
    bt_console_note("'%s' is no command; %s%s", name, near ? "did you mean " : "/help lists them",
                    near ? near : "");
    return BT_OK;
}

// ---- a turn ----

static bt_status print_text(void *ctx, const char *text, size_t len)
{
    (void)ctx;
    fwrite(text, 1, len, stdout);
    return bt_console_flush();
}

/* Encode the conversation; forget its oldest turns while it leaves no room for
 * an answer. */
static bt_status fit_conversation(chat *c)
{
    bt_engine_stats stats;
    bt_engine_get_stats(c->engine, &stats);
    int32_t first = c->conversation.n && !strcmp(c->conversation.message[0].role, "system");
    for (;;) {
        BT_TRY(bt_conversation_encode(&c->conversation, bt_engine_model(c->engine), &c->ids));
        if (c->ids.n < (size_t)stats.n_ctx || c->conversation.n < first + 3) return BT_OK;
        bt_conversation_remove(&c->conversation, first, first + 2);
        bt_console_note("the conversation outgrew %d tokens; its oldest turn is forgotten",
                        stats.n_ctx);
    }
}

static bt_status answer(chat *c, const char *message)
{
    bt_generation g = {0};
    BT_TRY(bt_conversation_add(&c->conversation, "user", message, 0));
    bt_status st = fit_conversation(c);
    if (st == BT_OK) {
        c->params.ids = c->ids.id;
        c->params.n_id = (int32_t)c->ids.n;
        st = bt_generate(c->engine, &c->params, print_text, NULL, &g);
    }
    if (st == BT_OK) st = print_text(NULL, "\n", 1);
    if (st == BT_OK)
        st = bt_conversation_add(&c->conversation, "assistant", g.text.data ? g.text.data : "",
                                 g.text.len);
    c->params.seed++;
    bt_generation_done(&g);
    return st;
}

/* A message that cannot be answered is reported and taken back; the
 * conversation goes on. */
static bt_status take_line(chat *c, const char *line)
{
    if (line[0] == '/') return do_command(c, line);
    if (!line[strspn(line, " \t")]) return BT_OK;
    int32_t n = c->conversation.n;
    bt_status st = answer(c, line);
    if (st == BT_OK || st == BT_IO) return st;
    if (c->conversation.n > n) bt_conversation_remove(&c->conversation, n, c->conversation.n);
    bt_console_fail();
    return BT_OK;
}

static bt_status converse(chat *c)
{
    line_source lines;
    const char *line;
    bt_status st = BT_OK;
    open_lines(&lines);
    if (lines.edit) fprintf(stderr, "/help lists the commands\n");
    while (st == BT_OK && !c->quit && (line = next_line(&lines))) st = take_line(c, line);
    if (lines.edit) fputc('\n', stdout);
    if (st == BT_OK && !lines.edit && ferror(stdin))
        st = bt_fail(BT_IO, "reading standard input: %s", strerror(errno));
    close_lines(&lines);
    return st;
}

static bt_status open_and_converse(chat_options *o)
{
    chat c = {.params = o->sampling.params};
    c.params.stop = o->sampling.stop.item;
    c.params.n_stop = o->sampling.stop.n;
    bt_status st = bt_generate_open(&o->engine, &c.engine);
    if (st == BT_OK && !bt_model_file_chat_template(bt_engine_model(c.engine)))
        st = bt_fail(BT_UNSUPPORTED,
                     "'%s' has no chat template; 'baton run' continues texts with it",
                     o->engine.config.model);
    if (st == BT_OK && o->system) st = do_system(&c, o->system);
    if (st == BT_OK) st = converse(&c);
    bt_conversation_done(&c.conversation);
    bt_ids_done(&c.ids);
    bt_engine_close(c.engine);
    return st;
}

static int run_chat(const bt_command *self, int argc, char **argv)
{
    chat_options o = {.model = BT_MODEL_DEFAULTS};
    bt_request_defaults(&o.sampling.params);
    o.sampling.params.temperature = 0.7f;
    int status = bt_args_parse(self, argc, argv, &o, NULL);
    if (status != BT_ARGS_GO_ON) return status;
    bt_buf path = {0};
    if ((status = bt_model_options_resolve(self, &o.model, &path)) == BT_ARGS_GO_ON) {
        o.engine.config.model = path.data;
        status = open_and_converse(&o) == BT_OK ? BT_EXIT_OK : bt_console_fail();
    }
    bt_buf_done(&path);
    return status;
}

const bt_command bt_cmd_chat = {
    .name = "chat",
    .summary = "talk with a model",
    .operands = "",
    .notes = "A line is a message; /help lists the commands. Answers end by "
             "themselves, when the context is full,\n"
             "or with Ctrl-C. Temperature 0.7 unless told otherwise. From a "
             "pipe, each line is a message too.",
    .groups = groups,
    .n_group = sizeof groups / sizeof groups[0],
    .run = run_chat,
};
