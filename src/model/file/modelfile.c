// SPDX-License-Identifier: Apache-2.0
/* modelfile: opening a model of any format, and looking things up in it. What is in a file is the
 * business of gguf_model and hfdir; whether it fits together, of modelcheck. */
#include "model/file/modelfile.h"
#include "model/file/modelparts.h"
#include "model/file/synth.h"
#include <stdio.h>
#include <string.h>

/* ---- filling (modelparts.h) ---- */

bt_status bt_parts_room(bt_model_file *f, size_t n)
{
    BT_TRY(bt_name_set_init(&f->view_set, n, &f->arena));
    return bt_arena_array(&f->arena, n, sizeof *f->view, (void **)&f->view);
}

bt_status bt_parts_view(bt_model_file *f, const bt_tensor_view *view)
{
    BT_FAIL_IF(!bt_name_set_add(&f->view_set, view->name, strlen(view->name)), FORMAT,
               "tensor '%s' appears twice", view->name);
    f->view[f->n_view++] = *view;
    return BT_OK;
}

void bt_parts_eos(bt_model_file *f, int64_t id)
{
    if (id < 0 || id > INT32_MAX || f->n_eos == BT_EOS_MAX) return;
    for (int32_t i = 0; i < f->n_eos; i++)
        if (f->eos[i] == id) return;
    f->eos[f->n_eos++] = (int32_t)id;
}

bt_status bt_parts_problem(bt_model_file *f, bt_status st, bool essential)
{
    bool about_content = st == BT_FORMAT || st == BT_UNSUPPORTED || st == BT_NOTFOUND ||
                         st == BT_LIMIT || st == BT_INVALID;
    if (st == BT_OK || !about_content || f->use == BT_USE_COMPUTE) return st;
    if (f->use == BT_USE_TOKENIZER) return essential ? st : BT_OK;
    if (f->problem) return BT_OK;
    return bt_arena_text(&f->arena, bt_error_message(), strlen(bt_error_message()), &f->problem);
}

/* ---- opening ---- */

static bt_status new_file(const char *path, bt_model_use use, bt_model_file **ret_file)
{
    bt_model_file *f;
    BT_TRY(bt_alloc_zero((void **)&f, sizeof *f, BT_MEM_MODEL));
    bt_arena_init(&f->arena, BT_MEM_MODEL);
    f->use = use;
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') len--;
    size_t base = len;
    while (base > 0 && path[base - 1] != '/') base--;
    bt_status st = bt_arena_text(&f->arena, path, strlen(path), &f->path);
    if (st == BT_OK) st = bt_arena_text(&f->arena, path + base, len - base, &f->name);
    if (st != BT_OK) {
        bt_model_file_close(f);
        return st;
    }
    *ret_file = f;
    return BT_OK;
}

/* The tokenizer's own list of end tokens joins those the files named. */
static void collect_eos(bt_model_file *f)
{
    if (!f->tokenizer) return;
    bt_parts_eos(f, bt_tokenizer_eos(f->tokenizer));
    bt_parts_eos(f, bt_tokenizer_eot(f->tokenizer));
    for (int32_t i = 0; i < bt_tokenizer_n_vocab(f->tokenizer); i++)
        if (bt_tokenizer_is_eog(f->tokenizer, i)) bt_parts_eos(f, i);
}

static bt_status finish(bt_model_file *f)
{
    collect_eos(f);
    if (f->use == BT_USE_TOKENIZER) {
        BT_FAIL_IF(!f->tokenizer, NOTFOUND, "there is no tokenizer in it");
        return BT_OK;
    }
    if (!f->has_hp) return BT_OK;
    bt_status st = bt_parts_check(f);
    if (st == BT_OK) return BT_OK;
    return bt_parts_problem(f, st, false);
}

/* A bare tokenizer file: nothing but a tokenizer. */
static bt_status open_tokenizer(bt_model_file *f, const char *path)
{
    BT_TRY(bt_arena_text(&f->arena, "tokenizer", 9, &f->format));
    return bt_tokenizer_open(path, &f->tokenizer);
}

static bool has_suffix(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && !strcmp(text + n - m, suffix);
}

static bt_status load(bt_model_file *f, const char *path)
{
    if (bt_file_is_dir(path)) return bt_hfdir_open(f, path);
    if (f->use == BT_USE_TOKENIZER && (has_suffix(path, ".json") || has_suffix(path, ".model")))
        return open_tokenizer(f, path);
    return bt_gguf_model_open(f, path);
}

bt_status bt_model_file_open(const char *path, bt_model_use use, bt_model_file **ret_file)
{
    bt_model_file *f = NULL;
    if (!strncmp(path, "synth:", 6)) return bt_model_file_synth_named(path + 6, use, ret_file);
    bt_status st = new_file(path, use, &f);
    if (st != BT_OK || (st = load(f, path)) || (st = finish(f))) goto fail;
    *ret_file = f;
    return BT_OK;
fail:
    bt_fail_note("opening '%s'", path);
    bt_model_file_close(f);
    return st;
}

bt_status bt_model_file_from_bytes(const uint8_t *bytes, size_t len, void *owned, const char *name,
                                   bt_model_use use, bt_model_file **ret_file)
{
    bt_model_file *f = NULL;
    bt_status st = new_file(name, use, &f);
    if (st != BT_OK || (st = bt_gguf_model_load(f, bytes, len)) || (st = finish(f))) goto fail;
    f->owned = owned;
    *ret_file = f;
    return BT_OK;
fail:
    bt_fail_note("opening '%s'", name);
    bt_model_file_close(f);
    return st;
}

void bt_model_file_close(bt_model_file *file)
{
    if (!file) return;
    bt_tokenizer_free(file->tokenizer);
    for (size_t i = 0; i < file->n_map; i++) bt_file_unmap(&file->map[i]);
    bt_free(file->owned);
    bt_arena_done(&file->arena);
    bt_free(file);
}

/* ---- reading ---- */

const bt_tokenizer *bt_model_file_tokenizer(const bt_model_file *file) { return file->tokenizer; }
const bt_hparams *bt_model_file_hparams(const bt_model_file *file)
{
    return file->has_hp ? &file->hp : NULL;
}
const char *bt_model_file_name(const bt_model_file *file) { return file->name; }
const char *bt_model_file_path(const bt_model_file *file) { return file->path; }
const char *bt_model_file_format(const bt_model_file *file) { return file->format; }
const char *bt_model_file_problem(const bt_model_file *file) { return file->problem; }
int64_t bt_model_file_n_tensor(const bt_model_file *file) { return (int64_t)file->n_view; }

bool bt_model_file_permuted(const bt_model_file *file)
{
    return file->has_hp && file->hp.rope.kind == BT_ROPE_INTERLEAVED;
}

const char *bt_model_file_chat_template(const bt_model_file *file)
{
    return file->tokenizer ? bt_tokenizer_chat_template(file->tokenizer) : NULL;
}

const int32_t *bt_model_file_eos(const bt_model_file *file, int32_t *ret_n)
{
    *ret_n = file->n_eos;
    return file->eos;
}

const bt_tensor_view *bt_model_file_tensor(const bt_model_file *file, int64_t i)
{
    assert(i >= 0 && (size_t)i < file->n_view);
    return &file->view[i];
}

const bt_tensor_view *bt_model_file_find(const bt_model_file *file, const char *name)
{
    int64_t i = bt_name_set_find(&file->view_set, name, strlen(name));
    return i < 0 ? NULL : &file->view[i];
}

const bt_tensor_view *bt_model_file_find_layer(const bt_model_file *file, const char *part,
                                               int32_t layer)
{
    char name[96];
    int n = snprintf(name, sizeof name, "blk.%d.%s", layer, part);
    return n > 0 && (size_t)n < sizeof name ? bt_model_file_find(file, name) : NULL;
}

void bt_model_file_inv_freq(const bt_model_file *file, float *ret_inv_freq)
{
    const bt_tensor_view *view = bt_model_file_find(file, "rope_freqs.weight");
    float factor[2048]; // d_rot <= d_head <= 4096
    if (view) memcpy(factor, view->data, sizeof *factor * (size_t)(file->hp.rope.d_rot / 2));
    bt_rope_inv_freq(&file->hp.rope, view ? factor : NULL, ret_inv_freq);
}
