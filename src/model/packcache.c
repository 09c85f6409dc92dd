// SPDX-License-Identifier: Apache-2.0
/* packcache: the file's name, its key, and what becomes of failures. */
#include "model/packcache.h"
#include "base/log.h"
#include "op/pack.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 96, IDLE_S = 600 }; // a writer that lives writes more often than that

static void note(const char *what)
{
    bt_log(BT_LOG_WARN, "pack cache: %s: %s", what, bt_error_message());
}

/* ---- where ---- */

/* NAME is for people who tidy up, and made of plain characters; the number tells models apart that
 * lie in different places. */
static bt_status make_path(const char *dir, const char *model, bt_buf *ret_path)
{
    char name[NAME_MAX_BYTES + 1], real[PATH_MAX];
    if (!realpath(model, real)) snprintf(real, sizeof real, "%s", model);
    const char *slash = strrchr(real, '/'), *last = slash ? slash + 1 : real;
    size_t n = strnlen(last, NAME_MAX_BYTES);
    for (size_t i = 0; i < n; i++) {
        char c = last[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     (i > 0 && (c == '-' || c == '.'));
        name[i] = plain ? c : '_';
    }
    name[n] = 0;
    BT_TRY(bt_path_join(ret_path, dir, name));
    return bt_buf_format(ret_path, "-%016llx.panels",
                         (unsigned long long)bt_hash64(real, strlen(real), 0));
}

/* ---- what ---- */

static bt_status digest_types(const bt_packcache_config *config, uint64_t *ret_packing)
{
    bool used[BT_DTYPE_COUNT] = {false};
    uint64_t packing = 0, digest;
    for (int64_t i = 0; i < config->n_matrix; i++) used[config->matrix[i].desc.dtype] = true;
    for (int dtype = 0; dtype < BT_DTYPE_COUNT; dtype++) {
        if (!used[dtype]) continue;
        BT_TRY(bt_pack_digest(config->env, (bt_dtype)dtype, &digest));
        packing = bt_hash_pair(packing, digest);
    }
    *ret_packing = packing;
    return BT_OK;
}

static bt_status open_cache(bt_packcache *cache, const bt_packcache_config *config)
{
    bool found;
    bt_packfile_spec spec = {
        .panel_version = BT_PANEL_VERSION, .matrix = config->matrix, .n_matrix = config->n_matrix};
    BT_TRY(bt_model_file_key(config->file, &found, &spec.model));
    if (!found) return BT_OK;
    BT_TRY(digest_types(config, &spec.packing));
    BT_TRY(bt_dir_make(config->dir));
    cache->dir = config->dir;
    cache->spec = spec;
    return make_path(config->dir, bt_model_file_path(config->file), &cache->path);
}

void bt_packcache_init(bt_packcache *cache, const bt_packcache_config *config)
{
    *cache = (bt_packcache){0};
    if (!config->dir || open_cache(cache, config) == BT_OK) return;
    note("doing without");
    bt_packcache_done(cache);
}

void bt_packcache_done(bt_packcache *cache)
{
    bt_buf_done(&cache->path);
    *cache = (bt_packcache){0};
}

/* ---- load, save ---- */

bool bt_packcache_load(const bt_packcache *cache, bt_team *team, const bt_progress *progress,
                       bt_file *ret_file, const void **ret_panels)
{
    if (!cache->path.len) return false;
    bt_status st =
        bt_packfile_map(cache->path.data, &cache->spec, team, progress, ret_file, ret_panels);
    if (st == BT_OK) return true;
    if (st != BT_NOTFOUND || bt_file_exists(cache->path.data)) note("packing anew");
    return false;
}

static bt_status save(const bt_packcache *cache, bt_team *team)
{
    uint64_t bytes;
    const char *path = cache->path.data;
    BT_TRY(bt_packfile_bytes(&cache->spec, &bytes));
    bt_writer_sweep(path, IDLE_S);
    BT_TRY(bt_dir_check_room(cache->dir, bytes));
    BT_TRY(bt_packfile_write(path, &cache->spec, team));
    bt_log(BT_LOG_INFO, "pack cache: wrote '%s', %.1f MiB", path, (double)bytes / 0x1p20);
    return BT_OK;
}

void bt_packcache_save(const bt_packcache *cache, bt_team *team)
{
    if (cache->path.len && save(cache, team) != BT_OK) note("nothing is kept");
}
