// SPDX-License-Identifier: Apache-2.0
/* packcache: which file of a folder holds a model's packed weights (packfile.h says what is in it),
 * and one rule: the cache may fail, loading may not. Whatever is wrong with it is a note for the
 * operator; then the weights are packed as if there were no cache, and the file is written anew.
 *
 * A model has one file, named after its path. So a model that has changed, or a build that packs
 * otherwise, replaces the file, and the folder does not grow. */
#pragma once
#include "base/buf.h"
#include "model/file/modelfile.h"
#include "model/packfile.h"
#include "op/op.h"

typedef struct bt_packcache_config {
    const char *dir; // made if it is not there; NULL: no cache
    const bt_model_file *file;
    const bt_op_env *env;    // what packs
    const bt_packed *matrix; // [n_matrix], borrowed; need no panels before bt_packcache_save
    int64_t n_matrix;
} bt_packcache_config;

typedef struct bt_packcache {
    bt_buf path; // dir/NAME-0123456789abcdef.panels; empty: there is no cache
    const char *dir;
    bt_packfile_spec spec;
} bt_packcache;

/* Find the place of a model's panels. There is no cache where the configuration names none, where
 * the model is no file, and where something failed, which is noted. */
void bt_packcache_init(bt_packcache *cache, const bt_packcache_config *config);
void bt_packcache_done(bt_packcache *cache);

/* Map the panels of all matrices, [n_matrix]; false when they cannot be had, and a note unless there
 * is just no file. They live as long as the mapping. */
bool bt_packcache_load(const bt_packcache *cache, bt_team *team, const bt_progress *progress,
                       bt_file *ret_file, const void **ret_panels);

/* Write the matrices' panels, or note why that failed; nothing where there is no cache. */
void bt_packcache_save(const bt_packcache *cache, bt_team *team);
