// SPDX-License-Identifier: Apache-2.0
/* file: mapping and reading whole files, writing them so that a reader never sees half of one. */
#pragma once
#include "base/buf.h"

/* Which file, and which state of it: whoever changes its bytes changes one of these. */
typedef struct bt_file_id {
    uint64_t device, inode, size;
    int64_t mtime_ns, ctime_ns; // since the epoch; ctime cannot be set by hand
} bt_file_id;

typedef struct bt_file {
    const uint8_t *bytes; // read-only mapping; non-NULL even for an empty file
    size_t len;
    bt_file_id id; // when it was mapped
} bt_file;

/* Map a regular file read-only. NOTFOUND, IO (message names path and reason). */
BT_CHECKED bt_status bt_file_map(bt_file *file, const char *path);

/* Undo bt_file_map; {0} is nothing. */
void bt_file_unmap(bt_file *file);

/* What will happen to a part of a mapping; the system may do with it what it likes. */
typedef enum bt_file_need {
    BT_FILE_SOON, // it will be read: begin to
    BT_FILE_NOW,  // it is read next, from end to end: map it at once, not page by page
    BT_FILE_DONE  // it will not be read again soon: its pages need not stay in this process
} bt_file_need;
void bt_file_advise(const bt_file *file, const void *at, size_t len, bt_file_need need);

/* Append a whole file to `ret_bytes`; LIMIT when it is larger than len_max. */
BT_CHECKED bt_status bt_file_read(const char *path, size_t len_max, bt_buf *ret_bytes);

bool bt_file_exists(const char *path); // a regular file, readable or not
bool bt_file_is_dir(const char *path);

/* Make a folder that only its owner may use, unless there is one. NOTFOUND: its parent, IO. */
BT_CHECKED bt_status bt_dir_make(const char *path);

/* LIMIT when the file system of `dir` has not got so many bytes left for this process; IO. */
BT_CHECKED bt_status bt_dir_check_room(const char *dir, uint64_t bytes);

/* Append "dir/name" to a fresh buffer's contents. */
BT_CHECKED bt_status bt_path_join(bt_buf *ret_path, const char *dir, const char *name);

/* A file being written: bytes go to a temporary beside `path`, which commit renames into place. */
typedef struct bt_writer {
    int fd;
    char *path, *temp; // owned
    uint8_t *pending;  // owned, WRITER_BYTES
    size_t n_pending;
    uint64_t at;   // bytes added so far: the offset of the next one
    uint64_t done; // bytes of them in the temporary
} bt_writer;

/* Several may write one path at a time: each has a temporary of its own, the last commit wins. */
BT_CHECKED bt_status bt_writer_open(bt_writer *w, const char *path);
BT_CHECKED bt_status bt_writer_add(bt_writer *w, const void *bytes, size_t len);
BT_CHECKED bt_status bt_writer_align(bt_writer *w, size_t unit); // zeros up to a multiple of unit
BT_CHECKED bt_status bt_writer_commit(bt_writer *w);             // flush, sync, rename; w is done
void bt_writer_abort(bt_writer *w); // remove the temporary; harmless when done

/* Remove the temporaries of `path` that nobody has written to for so long: whoever began them was
 * killed. Best effort. */
void bt_writer_sweep(const char *path, int64_t idle_s);
