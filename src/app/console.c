// SPDX-License-Identifier: Apache-2.0
#include "app/console.h"
#include "app/args.h"
#include "base/clock.h"
#include "base/file.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Messages may quote file names and the like: keep them one line of printable bytes. */
static void print_note(const char *fmt, va_list list)
{
    char text[2048];
    vsnprintf(text, sizeof text, fmt, list);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = '?';
    fprintf(stderr, "baton: %s\n", text);
}

void bt_console_note(const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    print_note(fmt, list);
    va_end(list);
}

void bt_console_log(bt_log_level level, const char *line)
{
    (void)level;
    if (isatty(STDERR_FILENO)) fputs("\r\x1b[K", stderr); // a bar may stand there
    bt_console_note("%s", line);
}

int bt_console_usage(const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    print_note(fmt, list);
    va_end(list);
    return BT_EXIT_USAGE;
}

int bt_console_fail(void)
{
    bt_console_note("%s", bt_error_message());
    return BT_EXIT_FAILURE;
}

bt_status bt_console_flush(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return BT_OK;
    return bt_fail(BT_IO, "writing to standard output: %s", strerror(errno ? errno : EIO));
}

static bt_status read_stdin(bt_buf *ret_text)
{
    char block[16384];
    size_t n;
    while ((n = fread(block, 1, sizeof block, stdin)) > 0) BT_TRY(bt_buf_add(ret_text, block, n));
    BT_FAIL_IF(ferror(stdin), IO, "reading standard input: %s", strerror(errno));
    return BT_OK;
}

bt_status bt_console_read(const char *path, bt_buf *ret_text)
{
    if (!strcmp(path, "-")) return read_stdin(ret_text);
    return bt_file_read(path, (size_t)1 << 30, ret_text);
}

// ---- the bar ----

enum { BAR_CELLS = 30 };

void bt_bar_draw(void *bar, const char *what, uint64_t done, uint64_t total)
{
    bt_bar *b = bar;
    int64_t now = bt_now_ns();
    if (!isatty(STDERR_FILENO) || now - b->drawn_ns < 50 * 1000000) return;
    int cells = total ? (int)((double)done / (double)total * BAR_CELLS) : 0;
    if (cells > BAR_CELLS) cells = BAR_CELLS;
    fprintf(stderr, "\r%s [%.*s%*s] %3d %%\x1b[K", what, cells, "##############################",
            BAR_CELLS - cells, "", cells * 100 / BAR_CELLS);
    b->drawn_ns = now;
    b->shown = true;
}

void bt_bar_clear(bt_bar *bar)
{
    if (bar->shown) fputs("\r\x1b[K", stderr);
    bar->shown = false;
}

// ---- Ctrl-C ----

/* The one global of the program: a signal handler has nowhere else to write. */
static volatile sig_atomic_t interrupt_flag;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupt_flag = 1;
}

/* Whoever started us may want Ctrl-C ignored (a job in the background): then it stays so. */
static void set_handler(struct sigaction action)
{
    struct sigaction now;
    if (sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler != SIG_IGN)
        sigaction(SIGINT, &action, NULL);
}

void bt_interrupt_begin(void)
{
    interrupt_flag = 0;
    set_handler((struct sigaction){.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND});
}

bool bt_interrupt_seen(void) { return interrupt_flag != 0; }

void bt_interrupt_end(void) { set_handler((struct sigaction){.sa_handler = SIG_DFL}); }
