// SPDX-License-Identifier: Apache-2.0
/* synth: a plan (head and tensor places) and a filler that makes any range of any tensor by itself.
 *
 * Numbers come from a 64-bit mix of (tensor, index), so a range depends on nothing before it and
 * all threads fill at once. Quantised blocks are made directly: random bytes, then scales that give
 * the values the standard deviation we want (1 / sqrt(row length), so that activations keep their
 * size). Source: SplitMix64's finaliser (Steele et al. 2014).
 */
#include "model/file/synth.h"
#include "base/bits.h"
#include "base/cpuid.h"
#include "base/file.h"
#include "base/team.h"
#include "base/utf8.h"
#include "model/file/gguf_write.h"
#include "model/file/modelparts.h"
#include "tensor/half.h"
#include "tensor/quant.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The one table of shapes. rope: base, then the llama3 factor (0: none). */
static const struct shape {
    const char *name;
    bt_family family;
    int32_t n_layer, n_head, n_kv, d_model, d_head, d_ff, n_vocab, n_ctx;
    double base, llama3;
    bool tie;
} shapes[] = {
    {"tiny-llama", BT_FAMILY_LLAMA, 2, 4, 2, 128, 32, 256, 512, 512, 10000, 0, false},
    {"tiny-qwen2", BT_FAMILY_QWEN2, 2, 4, 2, 64, 16, 128, 384, 512, 1000000, 0, true},
    {"tiny-qwen3", BT_FAMILY_QWEN3, 2, 4, 2, 64, 32, 256, 384, 512, 1000000, 0, true},
    {"smollm2-135m", BT_FAMILY_LLAMA, 30, 9, 3, 576, 64, 1536, 49152, 8192, 100000, 0, true},
    {"qwen2.5-0.5b", BT_FAMILY_QWEN2, 24, 14, 2, 896, 64, 4864, 151936, 32768, 1000000, 0, true},
    {"qwen3-0.6b", BT_FAMILY_QWEN3, 28, 16, 8, 1024, 128, 3072, 151936, 40960, 1000000, 0, true},
    {"tinyllama-1.1b", BT_FAMILY_LLAMA, 22, 32, 4, 2048, 64, 5632, 32000, 2048, 10000, 0, false},
    {"llama-3.2-1b", BT_FAMILY_LLAMA, 16, 32, 8, 2048, 64, 8192, 128256, 131072, 500000, 32, true},
    {"qwen3-1.7b", BT_FAMILY_QWEN3, 28, 16, 8, 2048, 128, 6144, 151936, 40960, 1000000, 0, true},
    {"llama-3.2-3b", BT_FAMILY_LLAMA, 28, 24, 8, 3072, 128, 8192, 128256, 131072, 500000, 32, true},
    {"llama-2-7b", BT_FAMILY_LLAMA, 32, 32, 32, 4096, 128, 11008, 32000, 4096, 10000, 0, false},
    {"mistral-7b", BT_FAMILY_LLAMA, 32, 32, 8, 4096, 128, 14336, 32768, 32768, 1000000, 0, false},
    {"qwen2.5-7b", BT_FAMILY_QWEN2, 28, 28, 4, 3584, 128, 18944, 152064, 131072, 1000000, 0, false},
    {"llama-3-8b", BT_FAMILY_LLAMA, 32, 32, 8, 4096, 128, 14336, 128256, 8192, 500000, 0, false},
    {"qwen3-8b", BT_FAMILY_QWEN3, 36, 32, 8, 4096, 128, 12288, 151936, 40960, 1000000, 0, false},
};

int32_t bt_model_shape_count(void) { return BT_COUNT_OF(shapes); }

const char *bt_model_shape_name(int32_t i)
{
    return i >= 0 && (size_t)i < BT_COUNT_OF(shapes) ? shapes[i].name : NULL;
}

static bt_status find_shape(const char *name, const struct shape **ret_shape)
{
    char list[512] = "";
    for (size_t i = 0; i < BT_COUNT_OF(shapes); i++) {
        if (!strcmp(name, shapes[i].name)) {
            *ret_shape = &shapes[i];
            return BT_OK;
        }
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "",
                 shapes[i].name);
    }
    return bt_fail(BT_NOTFOUND, "no shape '%.64s'; the shapes are %s", name, list);
}

static bt_hparams shape_hparams(const struct shape *s)
{
    bt_hparams hp = {0};
    bt_hparams_family(&hp, s->family);
    hp.n_layer = s->n_layer;
    hp.n_head = s->n_head;
    hp.n_kv = s->n_kv;
    hp.d_model = s->d_model;
    hp.d_head = s->d_head;
    hp.d_ff = s->d_ff;
    hp.n_vocab = s->n_vocab;
    hp.n_ctx_train = s->n_ctx;
    hp.rms_eps = s->family == BT_FAMILY_LLAMA ? 1e-5f : 1e-6f;
    hp.tie_embeddings = s->tie;
    hp.rope = (bt_rope){.kind = bt_family_gguf_rope(s->family),
                        .d_rot = s->d_head,
                        .base = s->base,
                        .factor = 1,
                        .attn_factor = 1,
                        .n_ctx_orig = 8192};
    if (s->llama3 > 0) {
        hp.rope.scaling = BT_ROPE_SCALE_LLAMA3;
        hp.rope.factor = s->llama3;
        hp.rope.low_freq_factor = 1;
        hp.rope.high_freq_factor = 4;
    }
    return hp;
}

bt_status bt_model_shape_hparams(const char *shape, bt_hparams *ret_hparams)
{
    const struct shape *s;
    BT_TRY(find_shape(shape, &s));
    *ret_hparams = shape_hparams(s);
    return BT_OK;
}

/* ---- random blocks ---- */

static inline uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

enum fill { FILL_ONE, FILL_ROPE, FILL_RANDOM };

/* One tensor of the plan. */
typedef struct item {
    char name[48];
    bt_desc desc;
    enum fill fill;
    uint64_t seed, offset, n_bytes; // offset from the data's begin
    float std;                      // of the values
    int64_t n_unit; // what the filler counts: blocks, or 8 random bytes' worth of floats
    int64_t unit_bytes;
    const bt_rope *rope; // FILL_ROPE
} item;

/* A range of one tensor being filled: unit `first` goes to `out`. */
typedef struct fill_args {
    const item *it;
    int64_t first;
    uint8_t *out;
} fill_args;

static void put_half(uint8_t *at, float x)
{
    uint16_t h = bt_f32_to_f16(x);
    memcpy(at, &h, sizeof h);
}

/* How the blocks of a quantised type get their scales. Bytes are uniform, so a value's standard
 * deviation in units of d is a constant of the type; `mean` is what the second scale takes away so
 * that values centre on 0 (types without one flip d's sign at random instead). X(TYPE, byte of d,
 * byte of the second scale or -1, deviation, mean) */
#define SCALE_LIST(X)                                                                              \
    X(Q8_0, 0, -1, 73.90, 0)                                                                       \
    X(Q4_0, 0, -1, 4.637, 0)                                                                       \
    X(Q4_1, 0, 2, 4.610, -7.5)                                                                     \
    X(Q5_0, 0, -1, 9.247, 0)                                                                       \
    X(Q5_1, 0, 2, 9.233, -15.5)                                                                    \
    X(Q4_K, 0, 2, 258.3, 7.5)                                                                      \
    X(Q5_K, 0, 2, 526.9, 15.5)                                                                     \
    X(Q6_K, 208, -1, 1365.7, 0)

static void set_scales(bt_dtype dtype, uint8_t *block, uint64_t r, float std)
{
    float d_at = 0, second = -1, deviation = 1, mean = 0;
    switch (dtype) {
#define SCALE(type, d_byte, second_byte, dev, m)                                                   \
    case BT_##type:                                                                                \
        d_at = d_byte, second = second_byte, deviation = (float)(dev), mean = (float)(m);          \
        break;
        SCALE_LIST(SCALE)
#undef SCALE
    default:
        assert(0);
    }
    float d =
        std / deviation * (0.75f + 0.5f * (float)(r & 0xffff) / 65536); // blocks differ a little
    if (second >= 0)
        put_half(block + (int)second, d * mean);
    else if (r >> 16 & 1)
        d = -d;
    put_half(block + (int)d_at, d);
}

static void fill_quantised(const item *it, int64_t unit, uint8_t *out)
{
    uint64_t at = it->seed + (uint64_t)unit * 64 * 0x9E3779B97F4A7C15u; // up to 64 words a block
    int64_t n = it->unit_bytes;
    for (int64_t i = 0; i < n; i += 8) {
        uint64_t r = mix(at += 0x9E3779B97F4A7C15u);
        memcpy(out + i, &r, (size_t)bt_min_i64(8, n - i));
    }
    set_scales(it->desc.dtype, out, mix(at + 0x9E3779B97F4A7C15u), it->std);
}

static void fill_floats(const item *it, int64_t unit, uint8_t *out)
{
    uint64_t r = mix(it->seed + (uint64_t)unit * 0x9E3779B97F4A7C15u);
    float scale = it->std * 1.7320508f; // uniform in [-scale, scale)
    if (it->desc.dtype == BT_F32) {
        float x[2] = {(float)(int32_t)r * (scale * 0x1p-31f),
                      (float)(int32_t)(r >> 32) * (scale * 0x1p-31f)};
        memcpy(out, x, sizeof x);
        return;
    }
    uint16_t h[4];
    for (int i = 0; i < 4; i++) {
        float x = (float)(int16_t)(r >> 16 * i) * (scale * 0x1p-15f);
        h[i] = it->desc.dtype == BT_F16 ? bt_f32_to_f16(x) : bt_f32_to_bf16(x);
    }
    memcpy(out, h, sizeof h);
}

static void fill_range(const void *args, int64_t begin, int64_t end)
{
    const fill_args *a = args;
    const item *it = a->it;
    bool quantised = bt_dtype_is_quantised(it->desc.dtype);
    for (int64_t i = begin; i < end; i++) {
        uint8_t *out = a->out + i * it->unit_bytes;
        if (quantised)
            fill_quantised(it, a->first + i, out);
        else
            fill_floats(it, a->first + i, out);
    }
}

/* Fill units [first, first + n) of a tensor. */
static void fill(bt_team *team, const item *it, int64_t first, int64_t n, uint8_t *out)
{
    if (it->fill == FILL_RANDOM) {
        fill_args args = {.it = it, .first = first, .out = out};
        bt_team_run_one(
            team, (bt_step){fill_range, &args, n, bt_max_i64(1, (64 << 10) / it->unit_bytes)});
        return;
    }
    float value[2048];
    if (it->fill == FILL_ROPE) bt_gguf_rope_factors(it->rope, value);
    for (int64_t i = 0; i < n * 2; i++) {
        float x = it->fill == FILL_ROPE ? value[first * 2 + i] : 1.0f;
        memcpy(out + i * 4, &x, 4);
    }
}

/* ---- the plan ---- */

typedef struct plan {
    bt_arena arena;
    bt_hparams hp;
    bt_dtype dtype;
    item *item;
    size_t n, n_max;
    bt_gguf_out out;
    bt_buf head;
} plan;

static void plan_done(plan *p)
{
    bt_gguf_out_done(&p->out);
    bt_buf_done(&p->head);
    bt_arena_done(&p->arena);
}

static bt_status add(plan *p, const char *name, bt_desc desc, enum fill how)
{
    assert(p->n < p->n_max);
    item *it = &p->item[p->n];
    snprintf(it->name, sizeof it->name, "%s", name);
    desc.dtype = bt_stored_dtype(p->dtype, &desc);
    it->desc = desc;
    it->fill = how;
    it->seed = mix(p->n++ + 1);
    it->std = desc.n_dim == 1 ? 0.02f : 1 / sqrtf((float)desc.dim[1]);
    it->rope = &p->hp.rope;
    it->n_bytes = (uint64_t)bt_desc_bytes(&desc);
    it->unit_bytes = bt_dtype_is_quantised(desc.dtype) ? bt_dtype_block_bytes(desc.dtype) : 8;
    assert(it->n_bytes % (uint64_t)it->unit_bytes == 0);
    it->n_unit = (int64_t)it->n_bytes / it->unit_bytes;
    return bt_gguf_put_tensor(&p->out, it->name, &desc, &it->offset);
}

static bt_status add_layer(plan *p, int32_t layer)
{
    const bt_hparams *hp = &p->hp;
    int64_t d = hp->d_model, q = (int64_t)hp->n_head * hp->d_head,
            kv = (int64_t)hp->n_kv * hp->d_head, ff = hp->d_ff;
    const struct {
        const char *part;
        int64_t rows, cols;
        enum fill how;
        bool have;
    } parts[] = {
        {"attn_norm.weight", 0, d, FILL_ONE, true},
        {"attn_q.weight", q, d, FILL_RANDOM, true},
        {"attn_k.weight", kv, d, FILL_RANDOM, true},
        {"attn_v.weight", kv, d, FILL_RANDOM, true},
        {"attn_q.bias", 0, q, FILL_RANDOM, hp->qkv_bias},
        {"attn_k.bias", 0, kv, FILL_RANDOM, hp->qkv_bias},
        {"attn_v.bias", 0, kv, FILL_RANDOM, hp->qkv_bias},
        {"attn_q_norm.weight", 0, hp->d_head, FILL_ONE, hp->qk_norm},
        {"attn_k_norm.weight", 0, hp->d_head, FILL_ONE, hp->qk_norm},
        {"attn_output.weight", d, q, FILL_RANDOM, true},
        {"ffn_norm.weight", 0, d, FILL_ONE, true},
        {"ffn_gate.weight", ff, d, FILL_RANDOM, true},
        {"ffn_up.weight", ff, d, FILL_RANDOM, true},
        {"ffn_down.weight", d, ff, FILL_RANDOM, true},
    };
    for (size_t i = 0; i < BT_COUNT_OF(parts); i++) {
        char name[48];
        if (!parts[i].have) continue;
        snprintf(name, sizeof name, "blk.%d.%s", layer, parts[i].part);
        bt_desc desc = parts[i].rows ? bt_desc_2d(BT_F32, parts[i].rows, parts[i].cols)
                                     : bt_desc_1d(BT_F32, parts[i].cols);
        BT_TRY(add(p, name, desc, parts[i].how));
    }
    return BT_OK;
}

static bt_status add_tensors(plan *p)
{
    const bt_hparams *hp = &p->hp;
    p->n_max = (size_t)hp->n_layer * 14 + 4;
    BT_TRY(bt_arena_array(&p->arena, p->n_max, sizeof *p->item, (void **)&p->item));
    BT_TRY(add(p, "token_embd.weight", bt_desc_2d(BT_F32, hp->n_vocab, hp->d_model), FILL_RANDOM));
    for (int32_t i = 0; i < hp->n_layer; i++) BT_TRY(add_layer(p, i));
    BT_TRY(add(p, "output_norm.weight", bt_desc_1d(BT_F32, hp->d_model), FILL_ONE));
    if (hp->rope.scaling == BT_ROPE_SCALE_LLAMA3)
        BT_TRY(add(p, "rope_freqs.weight", bt_desc_1d(BT_F32, hp->rope.d_rot / 2), FILL_ROPE));
    if (hp->tie_embeddings) return BT_OK;
    return add(p, "output.weight", bt_desc_2d(BT_F32, hp->n_vocab, hp->d_model), FILL_RANDOM);
}

/* A byte as GPT-2's alphabet prints it: itself where that is a visible character of Latin-1,
 * otherwise the next of U+0100.. in order of the bytes. */
static size_t byte_piece(int byte, char out[4])
{
    uint32_t code = (uint32_t)byte, hidden = 0;
    for (int b = 0; b <= byte; b++) {
        bool visible = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        if (b == byte && !visible) code = 256 + hidden;
        hidden += !visible;
    }
    return bt_utf8_encode(code, out);
}

/* A piece's spelling: 256 bytes, begin, end, two spaces (a byte-level vocabulary must have one
 * merge); every other id prints as its number: "<300>". */
static size_t piece_text(int32_t id, char out[24])
{
    static const char *const named[] = {"<|begin|>", "<|end|>", "\u0120\u0120"};
    if (id < 256) return byte_piece(id, out);
    if (id < 259) return (size_t)snprintf(out, 24, "%s", named[id - 256]);
    return (size_t)snprintf(out, 24, "<%d>", id);
}

static bt_status put_tokenizer(plan *p)
{
    static const bt_name merge = {"\u0120 \u0120", 5};
    int32_t n = p->hp.n_vocab;
    bt_name *piece;
    int32_t *type;
    BT_TRY(bt_arena_array(&p->arena, (size_t)n, sizeof *piece, (void **)&piece));
    BT_TRY(bt_arena_array(&p->arena, (size_t)n, sizeof *type, (void **)&type));
    for (int32_t i = 0; i < n; i++) {
        char text[24], *copy;
        size_t len = piece_text(i, text);
        BT_TRY(bt_arena_text(&p->arena, text, len, &copy));
        piece[i] = (bt_name){copy, len};
        type[i] = i == 256 || i == 257 ? BT_PIECE_CONTROL : BT_PIECE_NORMAL;
    }
    BT_TRY(bt_gguf_put_text(&p->out, "tokenizer.ggml.model", "gpt2", 4));
    BT_TRY(bt_gguf_put_text(&p->out, "tokenizer.ggml.pre", "gpt-2", 5));
    BT_TRY(bt_gguf_put_texts(&p->out, "tokenizer.ggml.tokens", piece, (size_t)n));
    BT_TRY(bt_gguf_put_array(&p->out, "tokenizer.ggml.token_type", BT_GGUF_I32, type, (size_t)n));
    BT_TRY(bt_gguf_put_texts(&p->out, "tokenizer.ggml.merges", &merge, 1));
    BT_TRY(bt_gguf_put_u32(&p->out, "tokenizer.ggml.bos_token_id", 256));
    BT_TRY(bt_gguf_put_u32(&p->out, "tokenizer.ggml.eos_token_id", 257));
    return bt_gguf_put_bool(&p->out, "tokenizer.ggml.add_bos_token",
                            p->hp.family == BT_FAMILY_LLAMA);
}

static bt_status make_plan(const char *shape, bt_dtype dtype, plan *p)
{
    char name[64];
    bt_arena_init(&p->arena, BT_MEM_MODEL);
    BT_TRY(bt_model_shape_hparams(shape, &p->hp));
    BT_FAIL_IF(!bt_dtype_is_weight(dtype), INVALID, "type '%s' cannot hold weights",
               bt_dtype_name(dtype));
    p->dtype = dtype;
    snprintf(name, sizeof name, "%s (random weights)", shape);
    BT_TRY(bt_gguf_put_hparams(&p->out, &p->hp, name));
    BT_TRY(bt_gguf_put_u32(&p->out, "general.file_type", bt_gguf_file_type(dtype)));
    BT_TRY(bt_gguf_put_u32(&p->out, "general.quantization_version", 2));
    BT_TRY(put_tokenizer(p));
    BT_TRY(add_tensors(p));
    return bt_gguf_out_head(&p->out, &p->head);
}

/* ---- in memory, and to a file ---- */

static bt_status new_team(bt_team **ret_team)
{
    return bt_team_new((int)bt_min_i64(bt_cpu_count(), 64), ret_team);
}

static bt_status make_image(const plan *p, uint8_t **ret_image, size_t *ret_len)
{
    bt_team *team;
    uint8_t *image;
    uint64_t len;
    BT_FAIL_IF(!bt_add_fits(p->head.len, p->out.n_data, &len), LIMIT, "the model's size overflows");
    BT_TRY(new_team(&team));
    bt_status st = bt_alloc_zero((void **)&image, (size_t)len, BT_MEM_WEIGHTS);
    if (st == BT_OK) {
        memcpy(image, p->head.data, p->head.len);
        for (size_t i = 0; i < p->n; i++)
            fill(team, &p->item[i], 0, p->item[i].n_unit, image + p->head.len + p->item[i].offset);
        *ret_image = image;
        *ret_len = (size_t)len;
    }
    bt_team_free(team);
    return st;
}

static bt_status synth(const char *shape, bt_dtype dtype, bt_model_use use,
                       bt_model_file **ret_file)
{
    plan p = {0};
    uint8_t *image = NULL;
    size_t len = 0;
    char name[96];
    bt_status st = make_plan(shape, dtype, &p);
    if (st == BT_OK) st = make_image(&p, &image, &len);
    plan_done(&p);
    if (st != BT_OK) return st;
    snprintf(name, sizeof name, "synth:%s:%s", shape, bt_dtype_name(dtype));
    st = bt_model_file_from_bytes(image, len, image, name, use, ret_file);
    if (st != BT_OK) bt_free(image);
    return st;
}

bt_status bt_model_file_synth(const char *shape, bt_dtype dtype, bt_model_file **ret_file)
{
    return synth(shape, dtype, BT_USE_COMPUTE, ret_file);
}

bt_status bt_model_file_synth_named(const char *text, bt_model_use use, bt_model_file **ret_file)
{
    char shape[64];
    bt_dtype dtype = BT_Q8_0;
    const char *colon = strchr(text, ':');
    snprintf(shape, sizeof shape, "%.*s",
             (int)bt_min_i64(colon ? colon - text : (int64_t)strlen(text), 63), text);
    if (colon) BT_TRY(bt_dtype_parse(colon + 1, &dtype));
    return synth(shape, dtype, use, ret_file);
}

enum { CHUNK_BYTES = 16 << 20 };

static bt_status write_item(bt_writer *w, bt_team *team, const item *it, uint8_t *chunk)
{
    int64_t step = CHUNK_BYTES / it->unit_bytes;
    for (int64_t first = 0; first < it->n_unit; first += step) {
        int64_t n = bt_min_i64(step, it->n_unit - first);
        fill(team, it, first, n, chunk);
        BT_TRY(bt_writer_add(w, chunk, (size_t)(n * it->unit_bytes)));
    }
    return bt_writer_align(w, BT_GGUF_ALIGNMENT);
}

static bt_status write_plan(const plan *p, const char *out, const bt_progress *progress)
{
    bt_writer w;
    bt_team *team = NULL;
    uint8_t *chunk = NULL;
    BT_TRY(bt_writer_open(&w, out));
    bt_status st = bt_alloc((void **)&chunk, CHUNK_BYTES, BT_MEM_MODEL);
    if (st == BT_OK) st = new_team(&team);
    if (st == BT_OK) st = bt_writer_add(&w, p->head.data, p->head.len);
    for (size_t i = 0; st == BT_OK && i < p->n; i++) {
        st = write_item(&w, team, &p->item[i], chunk);
        if (progress && progress->fn)
            progress->fn(progress->ctx, "writing", w.at, p->head.len + p->out.n_data);
    }
    bt_team_free(team);
    bt_free(chunk);
    if (st == BT_OK) return bt_writer_commit(&w);
    bt_writer_abort(&w);
    return st;
}

bt_status bt_model_synth(const char *shape, bt_dtype dtype, const char *out,
                         const bt_progress *progress)
{
    plan p = {0};
    bt_status st = make_plan(shape, dtype, &p);
    if (st == BT_OK && (st = write_plan(&p, out, progress))) bt_fail_note("writing '%s'", out);
    plan_done(&p);
    return st;
}
