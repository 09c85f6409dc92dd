// SPDX-License-Identifier: Apache-2.0
/* modelfile: opening a model of any format. What is in a file is the business of gguf_model and
 * hfdir; whether it fits together, of modelcheck; the open file itself is modelparts'. */
#include "model/file/modelfile.h"
#include "model/file/modelparts.h"
#include "model/file/synth.h"
#include <string.h>

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
    bt_status st = bt_parts_new(path, use, &f);
    if (st != BT_OK || (st = load(f, path)) || (st = bt_parts_finish(f))) goto fail;
    *ret_file = f;
    return BT_OK;
fail:
    bt_fail_note("opening '%s'", path);
    bt_model_file_close(f);
    return st;
}
