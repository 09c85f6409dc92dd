// SPDX-License-Identifier: Apache-2.0
/* file: thin over POSIX; each failure names the path and the system's own reason. */
#include "base/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { WRITER_BYTES = 1 << 20, WRITERS_MAX = 64 }; // temporaries of one process and path

static const uint8_t nothing[1];

static bt_status fail_errno(const char *what, const char *path)
{
    int code = errno;
    return bt_fail(code == ENOENT || code == ENOTDIR ? BT_NOTFOUND : BT_IO, "%s '%s': %s", what,
                   path, strerror(code));
}

static int64_t ns_of(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

static bt_status open_regular(const char *path, int *ret_fd, bt_file_id *ret_id)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe is refused, not waited for
    if (fd < 0) return fail_errno("cannot open", path);
    struct stat s;
    bt_status st = BT_OK;
    if (fstat(fd, &s))
        st = fail_errno("cannot stat", path);
    else if (!S_ISREG(s.st_mode))
        st = bt_fail(BT_INVALID, "'%s' is %s, not a regular file", path,
                     S_ISDIR(s.st_mode) ? "a directory" : "something else");
    if (st != BT_OK) {
        close(fd);
        return st;
    }
    *ret_fd = fd;
    *ret_id = (bt_file_id){.device = s.st_dev,
                           .inode = s.st_ino,
                           .size = (uint64_t)s.st_size,
                           .mtime_ns = ns_of(s.st_mtim),
                           .ctime_ns = ns_of(s.st_ctim)};
    return BT_OK;
}

bt_status bt_file_map(bt_file *file, const char *path)
{
    int fd;
    bt_file_id id;
    BT_TRY(open_regular(path, &fd, &id));
    size_t len = (size_t)id.size;
    void *bytes = len ? mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0) : (void *)nothing;
    bt_status st = bytes == MAP_FAILED ? fail_errno("cannot map", path) : BT_OK;
    close(fd);
    if (st == BT_OK) *file = (bt_file){.bytes = bytes, .len = len, .id = id};
    return st;
}

void bt_file_advise(const bt_file *file, const void *at, size_t len, bt_file_need need)
{
#ifndef MADV_POPULATE_READ
    enum { MADV_POPULATE_READ = 22 }; // Linux 5.14; older kernels refuse it, and nothing is lost
#endif
    static const int advice[] = {[BT_FILE_SOON] = MADV_WILLNEED,
                                 [BT_FILE_NOW] = MADV_POPULATE_READ,
                                 [BT_FILE_DONE] = MADV_DONTNEED};
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)at, end = first + len;
    assert((const uint8_t *)at >= file->bytes && len <= file->len);
    (void)file;
    first = need == BT_FILE_DONE ? (first + page - 1) / page * page : first / page * page;
    if (need == BT_FILE_DONE) end = end / page * page; // what neighbours share stays
    if (first < end) (void)!madvise((void *)first, end - first, advice[need]);
}

void bt_file_unmap(bt_file *file)
{
    if (file->bytes && file->bytes != nothing) munmap((void *)file->bytes, file->len);
    *file = (bt_file){0};
}

bt_status bt_file_read(const char *path, size_t len_max, bt_buf *ret_bytes)
{
    bt_file file;
    BT_TRY(bt_file_map(&file, path));
    bt_status st = BT_OK;
    if (file.len > len_max)
        st = bt_fail(BT_LIMIT, "'%s' has %zu bytes, at most %zu", path, file.len, len_max);
    else
        st = bt_buf_add(ret_bytes, file.bytes, file.len);
    bt_file_unmap(&file);
    return st;
}

bool bt_file_exists(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

bool bt_file_is_dir(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

bt_status bt_dir_make(const char *path)
{
    if (mkdir(path, 0700) == 0 || (errno == EEXIST && bt_file_is_dir(path))) return BT_OK;
    return fail_errno("cannot make the folder", path);
}

bt_status bt_dir_check_room(const char *dir, uint64_t bytes)
{
    struct statvfs s;
    if (statvfs(dir, &s)) return fail_errno("cannot stat", dir);
    uint64_t free_bytes = (uint64_t)s.f_bavail * s.f_frsize;
    BT_FAIL_IF(bytes > free_bytes, LIMIT, "%.1f MiB are needed in '%s', %.1f MiB are free",
               (double)bytes / 0x1p20, dir, (double)free_bytes / 0x1p20);
    return BT_OK;
}

bt_status bt_path_join(bt_buf *ret_path, const char *dir, const char *name)
{
    size_t n = strlen(dir);
    return bt_buf_format(ret_path, "%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
}

static const char temp_suffix[] = ".part";

/* A temporary that nobody else has: other engines may write the same path, also in a process with
 * our number but in another container. */
static bt_status create_temp(bt_writer *w)
{
    bt_buf temp = {0};
    for (int i = 0; i < WRITERS_MAX; i++) {
        bt_buf_clear(&temp);
        BT_TRY(bt_buf_format(&temp, "%s.%ld-%d%s", w->path, (long)getpid(), i, temp_suffix));
        w->temp = temp.data;
        w->fd = open(w->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (w->fd >= 0) return BT_OK;
        if (errno != EEXIST) break;
    }
    return fail_errno("cannot create", w->path);
}

bt_status bt_writer_open(bt_writer *w, const char *path)
{
    bt_buf name = {0};
    *w = (bt_writer){.fd = -1};
    BT_TRY(bt_buf_text(&name, path));
    w->path = name.data;
    bt_status st = bt_alloc((void **)&w->pending, WRITER_BYTES, BT_MEM_MISC);
    if (st == BT_OK) st = create_temp(w);
    if (st != BT_OK) bt_writer_abort(w);
    return st;
}

/* Past the limit of this process a write raises SIGXFSZ, which would end it. */
static bt_status check_limit(const bt_writer *w)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) || limit.rlim_cur == RLIM_INFINITY) return BT_OK;
    BT_FAIL_IF(w->done + w->n_pending > limit.rlim_cur, IO,
               "cannot write '%s': files of this process may have %llu bytes", w->path,
               (unsigned long long)limit.rlim_cur);
    return BT_OK;
}

static bt_status flush(bt_writer *w)
{
    BT_TRY(check_limit(w));
    for (size_t done = 0; done < w->n_pending;) {
        ssize_t n = write(w->fd, w->pending + done, w->n_pending - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("cannot write", w->path);
        done += (size_t)n;
    }
    w->done += w->n_pending;
    w->n_pending = 0;
    return BT_OK;
}

bt_status bt_writer_add(bt_writer *w, const void *bytes, size_t len)
{
    const uint8_t *from = bytes;
    w->at += len;
    while (len) {
        size_t room = WRITER_BYTES - w->n_pending, n = len < room ? len : room;
        memcpy(w->pending + w->n_pending, from, n);
        w->n_pending += n;
        from += n;
        len -= n;
        if (w->n_pending == WRITER_BYTES) BT_TRY(flush(w));
    }
    return BT_OK;
}

bt_status bt_writer_align(bt_writer *w, size_t unit)
{
    static const uint8_t zero[4096];
    for (size_t gap = (unit - w->at % unit) % unit; gap;) {
        size_t n = gap < sizeof zero ? gap : sizeof zero;
        BT_TRY(bt_writer_add(w, zero, n));
        gap -= n;
    }
    return BT_OK;
}

static void free_writer(bt_writer *w)
{
    if (w->fd >= 0) close(w->fd);
    bt_free(w->path);
    bt_free(w->temp);
    bt_free(w->pending);
    *w = (bt_writer){.fd = -1};
}

bt_status bt_writer_commit(bt_writer *w)
{
    bt_status st = flush(w);
    if (st == BT_OK && fsync(w->fd)) st = fail_errno("cannot sync", w->path);
    if (st == BT_OK && rename(w->temp, w->path)) st = fail_errno("cannot rename to", w->path);
    if (st != BT_OK) {
        bt_writer_abort(w);
        return st;
    }
    free_writer(w);
    return BT_OK;
}

void bt_writer_abort(bt_writer *w)
{
    if (w->fd >= 0) unlink(w->temp);
    free_writer(w);
}

void bt_writer_sweep(const char *path, int64_t idle_s)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n_name = strlen(name), n_suffix = strlen(temp_suffix);
    bt_buf dir = {0};
    if (bt_buf_format(&dir, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".") !=
        BT_OK)
        return;
    DIR *list = opendir(dir.data);
    bt_buf_done(&dir);
    for (struct dirent *e; list && (e = readdir(list));) {
        struct stat s;
        size_t n = strlen(e->d_name);
        bool ours = n > n_name + n_suffix && !memcmp(e->d_name, name, n_name) &&
                    e->d_name[n_name] == '.' && !strcmp(e->d_name + n - n_suffix, temp_suffix);
        if (ours && !fstatat(dirfd(list), e->d_name, &s, AT_SYMLINK_NOFOLLOW) &&
            S_ISREG(s.st_mode) && time(NULL) - s.st_mtime >= idle_s)
            (void)!unlinkat(dirfd(list), e->d_name, 0);
    }
    if (list) closedir(list);
}
