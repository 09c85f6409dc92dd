// SPDX-License-Identifier: Apache-2.0
/* quantize: a model file in, a GGUF file out, matrix by matrix. A batch of rows is expanded to f32,
 * squeezed by all threads, and written; the file appears under its name only when it is whole. What
 * is quantised may become floats, but not be quantised again, which would lose twice.
 *
 * GGUF's llama keeps q and k in interleaved order, Hugging Face's in halves, so on that way the
 * rows of each head are dealt out again:   halves 0 1 2 | 3 4 5   ->   interleaved 0 3 1 4 2 5
 */
#include "base/bits.h"
#include "base/cpuid.h"
#include "base/file.h"
#include "base/team.h"
#include "model/file/gguf_write.h"
#include "model/file/hfvocab.h"
#include "model/file/modelparts.h"
#include "tensor/quant.h"
#include <stdio.h>
#include <string.h>

enum { BATCH_ELEMENTS = 4 << 20 };

/* A tensor on its way. */
typedef struct job {
    const bt_tensor_view *view;
    bt_dtype dtype; // as written
    int64_t n_row, n_col;
    int32_t d_head, d_rot; // rows to deal out again; 0: as they are
} job;

typedef struct batch {
    const job *j;
    int64_t first; // row of the tensor that goes to out[0]
    float *wide;   // [n, n_col]
    uint8_t *out;  // [n, row bytes]
} batch;

typedef struct work {
    bt_model_file *in;
    bt_dtype dtype;
    job *job; // [n_job], in the input's arena
    size_t n_job;
    int32_t n_fallback;
    bt_gguf_out out;
    uint64_t n_total; // bytes of the file
    float *wide;
    uint8_t *narrow;
    bt_team *team;
} work;

/* The input's row that becomes row `r`. */
static int64_t source_row(const job *j, int64_t r)
{
    if (!j->d_head) return r;
    int64_t in_head = r % j->d_head;
    if (in_head >= j->d_rot) return r;
    return r - in_head + in_head % 2 * (j->d_rot / 2) + in_head / 2;
}

static void convert_rows(const void *args, int64_t begin, int64_t end)
{
    const batch *b = args;
    const job *j = b->j;
    bt_dtype from = j->view->desc.dtype;
    int64_t in_bytes = bt_row_bytes(from, j->n_col), out_bytes = bt_row_bytes(j->dtype, j->n_col);
    for (int64_t i = begin; i < end; i++) {
        float *wide = b->wide + i * j->n_col;
        const uint8_t *row =
            (const uint8_t *)j->view->data + source_row(j, b->first + i) * in_bytes;
        if (from == j->dtype) {
            memcpy(b->out + i * out_bytes, row, (size_t)in_bytes);
            continue;
        }
        bt_dequant_row(from, row, j->n_col, wide);
        bt_quant_row(j->dtype, wide, j->n_col, b->out + i * out_bytes);
    }
}

/* A permuted bias has one element a row. */
static bool is_rotated(const char *name)
{
    const char *dot = strchr(name, '.');
    const char *part = dot && !strncmp(name, "blk.", 4) ? strchr(dot + 1, '.') : NULL;
    return part && (!strncmp(part, ".attn_q.", 8) || !strncmp(part, ".attn_k.", 8));
}

/* A directory may hold tensors that no family we know has; they stay behind. */
static bool is_canonical(const char *name)
{
    return !strncmp(name, "blk.", 4) || !strncmp(name, "token_embd.", 11) ||
           !strncmp(name, "output", 6) || !strcmp(name, "rope_freqs.weight");
}

static bt_status plan_tensor(work *w, const bt_tensor_view *view)
{
    const bt_hparams *hp = &w->in->hp;
    bt_desc desc = view->desc;
    job *j = &w->job[w->n_job];
    bool permute =
        hp->rope.kind == BT_ROPE_HALF && bt_family_gguf_rope(hp->family) == BT_ROPE_INTERLEAVED;
    if (hp->tie_embeddings && !strcmp(view->name, "output.weight")) return BT_OK;
    if (!w->in->gguf && !is_canonical(view->name)) return BT_OK;
    BT_FAIL_IF(desc.dtype == BT_DTYPE_COUNT, UNSUPPORTED,
               "tensor '%s' has type %s, which cannot be read", view->name, view->type_name);
    BT_FAIL_IF(bt_dtype_is_quantised(desc.dtype) && bt_dtype_is_quantised(w->dtype) &&
                   desc.n_dim > 1,
               INVALID,
               "tensor '%s' is quantised (%s) already, and can only become f32, f16 or bf16; start "
               "from one of these for %s",
               view->name, view->type_name, bt_dtype_name(w->dtype));
    if (bt_dtype_is_weight(desc.dtype)) desc.dtype = bt_stored_dtype(w->dtype, &view->desc);
    *j = (job){.view = view, .dtype = desc.dtype, .n_col = desc.dim[desc.n_dim - 1]};
    j->n_row = bt_desc_count(&desc) / j->n_col;
    if (permute && is_rotated(view->name)) {
        if (desc.n_dim == 1) {
            j->n_row = j->n_col;
            j->n_col = 1;
        }
        j->d_head = hp->d_head;
        j->d_rot = hp->rope.d_rot;
    }
    w->n_fallback += desc.n_dim > 1 && desc.dtype != w->dtype;
    w->n_job++;
    return bt_gguf_put_tensor(&w->out, view->name, &desc, NULL);
}

/* llama3 scaling has no keys in GGUF: its factors travel as a tensor. */
static bt_status plan_rope_factors(work *w)
{
    const bt_rope *rope = &w->in->hp.rope;
    float *factor;
    bt_tensor_view *view;
    if (rope->scaling != BT_ROPE_SCALE_LLAMA3) return BT_OK;
    BT_TRY(
        bt_arena_array(&w->in->arena, (size_t)rope->d_rot / 2, sizeof *factor, (void **)&factor));
    BT_TRY(bt_arena_array(&w->in->arena, 1, sizeof *view, (void **)&view));
    bt_gguf_rope_factors(rope, factor);
    *view = (bt_tensor_view){
        .name = "rope_freqs.weight", .desc = bt_desc_1d(BT_F32, rope->d_rot / 2), .data = factor};
    return plan_tensor(w, view);
}

/* Keys that describe the file itself and not the model. */
static bool is_file_key(bt_name key)
{
    static const char *const ours[] = {"general.alignment", "general.file_type",
                                       "general.quantization_version"};
    for (size_t i = 0; i < BT_COUNT_OF(ours); i++)
        if (key.len == strlen(ours[i]) && !memcmp(key.text, ours[i], key.len)) return true;
    return key.len > 6 && !memcmp(key.text, "split.", 6);
}

static bt_status plan_keys(work *w)
{
    const bt_gguf *g = w->in->gguf;
    if (g) {
        for (size_t i = 0; i < g->n_kv; i++)
            if (!is_file_key(g->kv[i].key)) BT_TRY(bt_gguf_put_copy(&w->out, &g->kv[i]));
    } else {
        BT_TRY(bt_gguf_put_hparams(&w->out, &w->in->hp, w->in->name));
        BT_TRY(bt_hf_vocab_put(&w->out, w->in));
    }
    BT_TRY(bt_gguf_put_u32(&w->out, "general.file_type", bt_gguf_file_type(w->dtype)));
    return bt_gguf_put_u32(&w->out, "general.quantization_version", 2);
}

static bt_status plan(work *w, const char *in)
{
    BT_FAIL_IF(!bt_dtype_is_weight(w->dtype), INVALID, "type '%s' cannot hold weights",
               bt_dtype_name(w->dtype));
    BT_TRY(bt_model_file_open(in, BT_USE_COMPUTE, &w->in));
    BT_TRY(plan_keys(w));
    BT_TRY(bt_arena_array(&w->in->arena, w->in->n_view + 1, sizeof *w->job, (void **)&w->job));
    BT_TRY(plan_rope_factors(w));
    for (size_t i = 0; i < w->in->n_view; i++) BT_TRY(plan_tensor(w, &w->in->view[i]));
    return BT_OK;
}

static bt_status write_job(work *w, const job *j, bt_writer *file, const bt_progress *progress)
{
    int64_t step = bt_max_i64(1, BATCH_ELEMENTS / j->n_col);
    for (int64_t first = 0; first < j->n_row; first += step) {
        int64_t n = bt_min_i64(step, j->n_row - first);
        batch b = {.j = j, .first = first, .wide = w->wide, .out = w->narrow};
        if (bt_dtype_is_weight(j->dtype)) {
            bt_team_run_one(w->team,
                            (bt_step){convert_rows, &b, n, bt_max_i64(1, 4096 / j->n_col)});
            BT_TRY(bt_writer_add(file, w->narrow, (size_t)(n * bt_row_bytes(j->dtype, j->n_col))));
        } else {
            int64_t row = bt_row_bytes(j->dtype, j->n_col);
            BT_TRY(bt_writer_add(file, (const uint8_t *)j->view->data + first * row,
                                 (size_t)(n * row)));
        }
        if (progress && progress->fn) progress->fn(progress->ctx, "writing", file->at, w->n_total);
    }
    return bt_writer_align(file, BT_GGUF_ALIGNMENT);
}

/* Rows longer than a batch are converted one at a time: room for the longest. */
static bt_status alloc_batch(work *w)
{
    int64_t n = BATCH_ELEMENTS;
    for (size_t i = 0; i < w->n_job; i++) n = bt_max_i64(n, w->job[i].n_col);
    BT_TRY(bt_alloc_array((void **)&w->wide, (size_t)n, sizeof *w->wide, BT_MEM_MODEL));
    BT_TRY(bt_alloc_array((void **)&w->narrow, (size_t)n, sizeof(float), BT_MEM_MODEL));
    return bt_team_new((int)bt_min_i64(bt_cpu_count(), 64), &w->team);
}

static bt_status write_file(work *w, const char *out, const bt_progress *progress)
{
    bt_writer file;
    bt_buf head = {0};
    BT_TRY(bt_writer_open(&file, out));
    bt_status st = bt_gguf_out_head(&w->out, &head);
    w->n_total = head.len + w->out.n_data;
    if (st == BT_OK) st = alloc_batch(w);
    if (st == BT_OK) st = bt_writer_add(&file, head.data, head.len);
    for (size_t i = 0; st == BT_OK && i < w->n_job; i++)
        st = write_job(w, &w->job[i], &file, progress);
    bt_buf_done(&head);
    if (st == BT_OK) return bt_writer_commit(&file);
    bt_writer_abort(&file);
    return st;
}

bt_status bt_model_quantize(const char *in, const char *out, bt_dtype dtype,
                            const bt_progress *progress, int32_t *ret_n_fallback)
{
    work w = {.dtype = dtype};
    bt_status st = plan(&w, in);
    if (st == BT_OK && (st = write_file(&w, out, progress))) bt_fail_note("writing '%s'", out);
    if (st == BT_OK && ret_n_fallback) *ret_n_fallback = w.n_fallback;
    bt_team_free(w.team);
    bt_free(w.wide);
    bt_free(w.narrow);
    bt_gguf_out_done(&w.out);
    bt_model_file_close(w.in);
    return st;
}
