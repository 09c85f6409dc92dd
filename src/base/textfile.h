// SPDX-License-Identifier: Apache-2.0
/* textfile: formatted text into a file that appears only when it is whole. The first failure sticks
 * and makes all later calls do nothing, so that only closing need be checked. Header only. */
#pragma once
#include "base/file.h"

typedef struct bt_textfile {
    bt_writer writer;
    bt_buf line; // what was put and not yet handed to the writer
    bt_status st;
} bt_textfile;

BT_CHECKED static inline bt_status bt_textfile_open(bt_textfile *f, const char *path)
{
    *f = (bt_textfile){0};
    return bt_writer_open(&f->writer, path);
}

static inline void bt_textfile_flush(bt_textfile *f)
{
    if (f->st == BT_OK && f->line.len) f->st = bt_writer_add(&f->writer, f->line.data, f->line.len);
    bt_buf_clear(&f->line);
}

/* Put what `append` (an expression that appends to &f->line) gives. */
#define bt_textfile_do(f, append)                                                                  \
    do {                                                                                           \
        if ((f)->st == BT_OK) (f)->st = (append);                                                  \
        if ((f)->line.len >= 4096) bt_textfile_flush(f);                                           \
    } while (0)
#define bt_textfile_put(f, ...) bt_textfile_do(f, bt_buf_format(&(f)->line, __VA_ARGS__))

/* Commit, or give the first failure and leave nothing behind. */
BT_CHECKED static inline bt_status bt_textfile_close(bt_textfile *f)
{
    bt_textfile_flush(f);
    bt_buf_done(&f->line);
    if (f->st == BT_OK) return bt_writer_commit(&f->writer);
    bt_writer_abort(&f->writer);
    return f->st;
}
