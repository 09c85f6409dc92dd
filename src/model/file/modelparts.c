// SPDX-License-Identifier: Apache-2.0
/* modelparts: an open model file: filling it, looking things up in it, closing it. */
#include "model/file/modelparts.h"
#include <stdio.h>
#include <string.h>

/* ---- filling ---- */

bt_status bt_parts_new(const char *path, bt_model_use use, bt_model_file **ret_file)
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

void bt_model_file_advise(const bt_model_file *f, const bt_tensor_view *view, bt_file_need need)
{
    const uint8_t *at = view->data;
    for (size_t i = 0; i < f->n_map; i++)
        if (at >= f->map[i].bytes && at + view->n_bytes <= f->map[i].bytes + f->map[i].len)
            bt_file_advise(&f->map[i], at, view->n_bytes, need);
}

/* ---- what a model is known by ---- */

enum { SAMPLE_BYTES = 4096 };

static bt_status add_bytes_hash(bt_buf *facts, const uint8_t *bytes, size_t len)
{
    bt_hash128 h = bt_hash128_of(bytes, len);
    return bt_buf_add(facts, &h, sizeof h);
}

/* A mapping's identity, and its bytes in front of the first tensor: the header. */
static bt_status add_map(const bt_model_file *f, const bt_file *map, bt_buf *facts)
{
    const uint8_t *end = map->bytes + map->len;
    for (size_t i = 0; i < f->n_view; i++) {
        const uint8_t *at = f->view[i].data;
        if (at >= map->bytes && at < end) end = at;
    }
    BT_TRY(bt_buf_add(facts, &map->id, sizeof map->id));
    return add_bytes_hash(facts, map->bytes, (size_t)(end - map->bytes));
}

static size_t sample_bytes(const bt_tensor_view *view)
{
    return view->n_bytes < SAMPLE_BYTES ? view->n_bytes : SAMPLE_BYTES;
}

static bt_status add_view(const bt_model_file *f, const bt_tensor_view *view, bt_buf *facts)
{
    const uint8_t *at = view->data;
    size_t map = 0;
    while (map < f->n_map && !(at >= f->map[map].bytes && at < f->map[map].bytes + f->map[map].len))
        map++;
    uint64_t place = map < f->n_map ? (uint64_t)(at - f->map[map].bytes) : 0;
    BT_TRY(bt_buf_format(facts, "%zu %llu %llu %s %s", map, (unsigned long long)place,
                         (unsigned long long)view->n_bytes, view->type_name, view->name));
    for (int32_t d = 0; d < view->desc.n_dim; d++)
        BT_TRY(bt_buf_format(facts, " %lld", (long long)view->desc.dim[d]));
    return add_bytes_hash(facts, at, sample_bytes(view));
}

/* Ask for all samples at once: one after the other they are a seek each. */
static void fetch_samples(const bt_model_file *f)
{
    for (size_t i = 0; i < f->n_view; i++) {
        bt_tensor_view sample = f->view[i];
        sample.n_bytes = sample_bytes(&sample);
        bt_model_file_advise(f, &sample, BT_FILE_SOON);
    }
}

bt_status bt_model_file_key(const bt_model_file *f, bool *ret_found, bt_hash128 *ret_key)
{
    bt_buf facts = {0};
    bt_status st = BT_OK;
    fetch_samples(f);
    for (size_t i = 0; i < f->n_map && st == BT_OK; i++) st = add_map(f, &f->map[i], &facts);
    for (size_t i = 0; i < f->n_view && st == BT_OK; i++) st = add_view(f, &f->view[i], &facts);
    if (st == BT_OK) {
        *ret_found = f->n_map > 0;
        *ret_key = bt_hash128_of(facts.data ? facts.data : "", facts.len);
    }
    bt_buf_done(&facts);
    return st;
}
