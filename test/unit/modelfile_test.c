// SPDX-License-Identifier: Apache-2.0
/* modelfile: real models in every form give the same tensors; files whose parts do not fit together
 * are refused by name; splits; every failing allocation on the way. */
#include "base/bits.h"
#include "base/file.h"
#include "base/json.h"
#include "model/file/gguf_write.h"
#include "model/file/modelparts.h"
#include "model/file/synth.h"
#include "oracle/tiny.h"
#include "support/support.h"
#include "tensor/quant.h"
#include <stdlib.h>
#include <string.h>

/* ---- a GGUF file with something changed ---- */

typedef struct edit {
    const char *drop_key;          // and its whole array
    void (*put)(bt_gguf_out *out); // adds keys
    const char *drop_tensor;
    const char *tensor, *rename; // `tensor` gets another name,
    int64_t dim[2];              // other dimensions ([0] is 0: as they are),
    uint32_t type;               // or another GGUF type (0: as it is)
} edit;

/* The bytes of a small synthetic model. */
static void read_synth(const char *shape, bt_dtype dtype, bt_buf *ret_bytes)
{
    tiny_dir dir;
    tiny_dir_open(&dir);
    assert_ok(bt_model_synth(shape, dtype, tiny_path(&dir, "m.gguf"), NULL));
    assert_ok(bt_file_read(tiny_path(&dir, "m.gguf"), 1 << 26, ret_bytes));
    tiny_dir_close(&dir);
}

static bool same(bt_name name, const char *text)
{
    return text && name.len == strlen(text) && !memcmp(name.text, text, name.len);
}

/* Write the model again with the edit made; tensors keep their data where it still fits. */
static void rebuild(const bt_buf *in, const edit *e, bt_buf *out)
{
    bt_gguf g;
    bt_arena arena;
    bt_gguf_out head = {0};
    bt_arena_init(&arena, BT_MEM_MODEL);
    assert_ok(bt_gguf_parse((uint8_t *)in->data, in->len, &arena, &g));
    for (size_t i = 0; i < g.n_kv; i++)
        if (!same(g.kv[i].key, e->drop_key)) assert_ok(bt_gguf_put_copy(&head, &g.kv[i]));
    if (e->put) e->put(&head);
    for (size_t i = 0; i < g.n_tensor; i++) {
        bt_gguf_tensor *t = &g.tensor[i];
        bool edited = e->tensor && !strcmp(t->name, e->tensor);
        if (e->drop_tensor && !strcmp(t->name, e->drop_tensor)) continue;
        if (edited && e->dim[0]) t->desc = bt_desc_2d(t->desc.dtype, e->dim[0], e->dim[1]);
        assert_ok(
            bt_gguf_put_tensor(&head, edited && e->rename ? e->rename : t->name, &t->desc, NULL));
        if (edited && e->type) memcpy(head.info.data + head.info.len - 12, &e->type, 4);
    }
    assert_ok(bt_gguf_out_head(&head, out));
    assert_ok(bt_buf_reserve(out, head.n_data));
    memset(out->data + out->len, 0x3c, head.n_data); // any floats will do
    out->len += head.n_data;
    bt_gguf_out_done(&head);
    bt_arena_done(&arena);
}

static bt_status open_bytes(const bt_buf *bytes, bt_model_use use, bt_model_file **ret_file)
{
    return bt_model_file_from_bytes((uint8_t *)bytes->data, bytes->len, NULL, "test", use,
                                    ret_file);
}

#define PUT_U32(name, key, value)                                                                  \
    static void name(bt_gguf_out *out) { assert_ok(bt_gguf_put_u32(out, key, value)); }
#define PUT_F32(name, key, value)                                                                  \
    static void name(bt_gguf_out *out) { assert_ok(bt_gguf_put_f32(out, key, value)); }
#define PUT_TEXT(name, key, text)                                                                  \
    static void name(bt_gguf_out *out)                                                             \
    {                                                                                              \
        assert_ok(bt_gguf_put_text(out, key, text, strlen(text)));                                 \
    }

PUT_U32(heads_0, "llama.attention.head_count", 0)
PUT_U32(heads_huge, "llama.attention.head_count", 4000000000u)
PUT_U32(kv_0, "llama.attention.head_count_kv", 0)
PUT_U32(kv_3, "llama.attention.head_count_kv", 3)
PUT_U32(layers_0, "llama.block_count", 0)
PUT_U32(layers_1, "llama.block_count", 1)
PUT_U32(layers_3, "llama.block_count", 3)
PUT_U32(layers_million, "llama.block_count", 1000000)
PUT_U32(width_96, "llama.embedding_length", 96)
PUT_U32(ff_100, "llama.feed_forward_length", 100)
PUT_U32(vocab_500, "llama.vocab_size", 500)
PUT_U32(rot_odd, "llama.rope.dimension_count", 7)
PUT_U32(rot_wide, "llama.rope.dimension_count", 64)
PUT_U32(value_16, "llama.attention.value_length", 16)
PUT_U32(experts, "llama.expert_count", 8)
PUT_F32(eps_negative, "llama.attention.layer_norm_rms_epsilon", -1)
PUT_F32(base_0, "llama.rope.freq_base", 0)
PUT_F32(eps_two, "llama.attention.layer_norm_rms_epsilon", 2)
PUT_TEXT(arch_gemma, "general.architecture", "gemma")
PUT_TEXT(layers_text, "llama.block_count", "two")
PUT_TEXT(scaling_longrope, "llama.rope.scaling.type", "longrope")
PUT_U32(eos_600, "tokenizer.ggml.eos_token_id", 600)
PUT_TEXT(model_wordpiece, "tokenizer.ggml.model", "bert")
PUT_U32(split_two, "split.count", 2)

static void arch_nul(bt_gguf_out *out)
{
    assert_ok(bt_gguf_put_text(out, "general.architecture", "lla\0ma", 6));
}

static void kv_varies(bt_gguf_out *out)
{
    static const int32_t n[] = {2, 4};
    assert_ok(bt_gguf_put_array(out, "llama.attention.head_count_kv", BT_GGUF_I32, n, 2));
}

static void tokens_short(bt_gguf_out *out)
{
    static const bt_name token[] = {{"a", 1}, {"b", 1}};
    assert_ok(bt_gguf_put_texts(out, "tokenizer.ggml.tokens", token, 2));
}

static void types_short(bt_gguf_out *out)
{
    static const int32_t n[] = {1, 1};
    assert_ok(bt_gguf_put_array(out, "tokenizer.ggml.token_type", BT_GGUF_I32, n, 2));
}

static void types_wild(bt_gguf_out *out)
{
    static int32_t n[512];
    n[9] = 77;
    assert_ok(bt_gguf_put_array(out, "tokenizer.ggml.token_type", BT_GGUF_I32, n, 512));
}

static const struct misfit {
    edit edit;
    bt_status status;
    const char *message;
} misfits[] = {
    {{.drop_key = "general.architecture"}, BT_FORMAT, "key 'general.architecture' is missing"},
    {{.drop_key = "general.architecture", .put = arch_gemma},
     BT_UNSUPPORTED,
     "'gemma' is not supported"},
    {{.drop_key = "general.architecture", .put = arch_nul}, BT_FORMAT, "has a NUL byte"},
    {{.drop_key = "llama.block_count"}, BT_FORMAT, "key 'llama.block_count' is missing"},
    {{.drop_key = "llama.block_count", .put = layers_text},
     BT_FORMAT,
     "is text, must be an integer"},
    {{.drop_key = "llama.block_count", .put = layers_0}, BT_FORMAT, "'llama.block_count' is 0"},
    {{.drop_key = "llama.block_count", .put = layers_million},
     BT_FORMAT,
     "is 1000000, must be from 1 to 512"},
    {{.drop_key = "llama.block_count", .put = layers_1},
     BT_FORMAT,
     "tensor 'blk.1.attn_norm.weight' belongs"},
    {{.drop_key = "llama.block_count", .put = layers_3},
     BT_NOTFOUND,
     "no tensor 'blk.2.attn_norm.weight'"},
    {{.drop_key = "llama.attention.head_count", .put = heads_0},
     BT_FORMAT,
     "head_count' is 0, must be from 1"},
    {{.drop_key = "llama.attention.head_count", .put = heads_huge},
     BT_FORMAT,
     "head_count' is 4000000000"},
    {{.drop_key = "llama.attention.head_count_kv", .put = kv_0}, BT_FORMAT, "key-value heads is 0"},
    {{.drop_key = "llama.attention.head_count_kv", .put = kv_3},
     BT_FORMAT,
     "4 heads cannot share 3"},
    {{.drop_key = "llama.attention.head_count_kv", .put = kv_varies},
     BT_UNSUPPORTED,
     "differs between layers"},
    {{.drop_key = "llama.embedding_length", .put = width_96},
     BT_FORMAT,
     "tensor 'token_embd.weight' is [512, 128], must be [512, 96]"},
    {{.drop_key = "llama.feed_forward_length", .put = ff_100},
     BT_FORMAT,
     "tensor 'blk.0.ffn_gate.weight' is [256, 128], must be [100, 128]"},
    {{.drop_key = "llama.vocab_size", .put = vocab_500},
     BT_FORMAT,
     "is 500, but the embedding has 512 rows"},
    {{.drop_key = "llama.rope.dimension_count", .put = rot_odd},
     BT_FORMAT,
     "rotary dimension is 7, must be even"},
    {{.drop_key = "llama.rope.dimension_count", .put = rot_wide},
     BT_FORMAT,
     "rotary dimension is 64, must be"},
    {{.drop_key = "llama.rope.freq_base", .put = base_0}, BT_FORMAT, "'llama.rope.freq_base' is 0"},
    {{.put = scaling_longrope}, BT_UNSUPPORTED, "rotary scaling 'longrope' is not supported"},
    {{.drop_key = "llama.attention.layer_norm_rms_epsilon", .put = eps_negative},
     BT_FORMAT,
     "epsilon' is -1"},
    {{.drop_key = "llama.attention.layer_norm_rms_epsilon", .put = eps_two},
     BT_FORMAT,
     "epsilon' is 2"},
    {{.drop_key = "llama.attention.value_length", .put = value_16},
     BT_UNSUPPORTED,
     "32 and values 16 elements"},
    {{.put = experts}, BT_UNSUPPORTED, "8 experts"},
    {{.put = split_two}, BT_INVALID, "one of 2 split files"},
    {{.drop_key = "tokenizer.ggml.tokens", .put = tokens_short},
     BT_FORMAT,
     "the vocabulary has 2 tokens, but the embedding 512 rows"},
    {{.drop_key = "tokenizer.ggml.tokens"}, BT_FORMAT, "key 'tokenizer.ggml.tokens' is missing"},
    {{.drop_key = "tokenizer.ggml.model"}, BT_FORMAT, "key 'tokenizer.ggml.model' is missing"},
    {{.drop_key = "tokenizer.ggml.model", .put = model_wordpiece},
     BT_UNSUPPORTED,
     "tokenizer 'bert'"},
    {{.drop_key = "tokenizer.ggml.token_type", .put = types_short},
     BT_FORMAT,
     "has 2 entries, but there are 512"},
    {{.drop_key = "tokenizer.ggml.token_type", .put = types_wild},
     BT_FORMAT,
     "token 9 has type 77"},
    {{.drop_key = "tokenizer.ggml.eos_token_id", .put = eos_600},
     BT_FORMAT,
     "is 600, but there are 512 tokens"},
    {{.drop_tensor = "token_embd.weight"}, BT_NOTFOUND, "no tensor 'token_embd.weight'"},
    {{.drop_tensor = "output_norm.weight"}, BT_NOTFOUND, "no tensor 'output_norm.weight'"},
    {{.drop_tensor = "blk.1.ffn_up.weight"}, BT_NOTFOUND, "no tensor 'blk.1.ffn_up.weight'"},
    {{.tensor = "output.weight", .dim = {128, 512}},
     BT_FORMAT,
     "'output.weight' is [128, 512], must be [512, 128]"},
    {{.tensor = "token_embd.weight", .dim = {256, 256}},
     BT_FORMAT,
     "but the embedding has 256 rows"},
    {{.tensor = "blk.0.attn_norm.weight", .dim = {1, 128}},
     BT_FORMAT,
     "is [1, 128], must be [128]"},
    {{.tensor = "output.weight", .rename = "blk.0.ffn_gate_exps.weight"},
     BT_UNSUPPORTED,
     "is not part of a llama"},
    {{.tensor = "output.weight", .rename = "blk.0.attn_q_norm.weight"},
     BT_UNSUPPORTED,
     "is not part of a llama"},
    {{.tensor = "output.weight", .rename = "blk.00.attn_q.weight"},
     BT_UNSUPPORTED,
     "is not part of a llama"},
    {{.tensor = "output.weight", .rename = "blk.99999999999999999999.x"},
     BT_FORMAT,
     "belongs to no layer"},
    {{.tensor = "output.weight", .rename = "blk.0.attn_q.bias"},
     BT_FORMAT,
     "'blk.0.attn_q.bias' is [512, 128]"},
    {{.tensor = "output.weight", .rename = "rope_freqs.weight"},
     BT_FORMAT,
     "'rope_freqs.weight' is [512, 128]"},
    {{.tensor = "blk.0.ffn_down.weight", .type = 16},
     BT_UNSUPPORTED,
     "tensor 'blk.0.ffn_down.weight' has type iq2_xxs, which this build cannot compute with"},
    {{.tensor = "blk.1.attn_q.weight", .type = 26}, BT_UNSUPPORTED, "has type i32"},
};

static void parts_that_do_not_fit_are_refused_by_name(void **state)
{
    (void)state;
    bt_buf good = {0};
    bt_model_file *file;
    read_synth("tiny-llama", BT_F32, &good);
    for (size_t i = 0; i < BT_COUNT_OF(misfits); i++) {
        bt_buf bad = {0};
        rebuild(&good, &misfits[i].edit, &bad);
        assert_fails(open_bytes(&bad, BT_USE_COMPUTE, &file), misfits[i].status,
                     misfits[i].message);
        bt_buf_done(&bad);
    }
    bt_buf_done(&good);
}

static void inspect_shows_what_cannot_be_run(void **state)
{
    (void)state;
    bt_buf good = {0}, bad = {0};
    bt_model_file *file;
    char *text;
    const edit e = {.tensor = "blk.0.ffn_down.weight", .type = 16};
    read_synth("tiny-llama", BT_F32, &good);
    rebuild(&good, &e, &bad);
    assert_ok(open_bytes(&bad, BT_USE_INSPECT, &file));
    assert_non_null(strstr(bt_model_file_problem(file), "iq2_xxs"));
    const bt_tensor_view *view = bt_model_file_find_layer(file, "ffn_down.weight", 0);
    assert_int_equal(view->desc.dtype, BT_DTYPE_COUNT);
    assert_int_equal(view->n_bytes, 128 * 66);
    assert_ok(bt_model_report(file, false, &text));
    assert_non_null(strstr(text, "iq2_xxs"));
    bt_model_text_free(text);
    bt_model_file_close(file);
    assert_ok(open_bytes(&bad, BT_USE_TOKENIZER, &file)); // the tokenizer does not mind
    bt_model_file_close(file);
    bt_buf_done(&good);
    bt_buf_done(&bad);
}

static void an_unchanged_copy_opens(void **state)
{
    (void)state;
    static const edit none;
    static const char *const shapes[] = {"tiny-llama", "tiny-qwen2", "tiny-qwen3"};
    for (size_t i = 0; i < BT_COUNT_OF(shapes); i++) {
        bt_buf good = {0}, copy = {0};
        bt_model_file *file;
        read_synth(shapes[i], BT_F32, &good);
        rebuild(&good, &none, &copy);
        assert_ok(open_bytes(&copy, BT_USE_COMPUTE, &file));
        assert_null(bt_model_file_problem(file));
        bt_model_file_close(file);
        bt_buf_done(&good);
        bt_buf_done(&copy);
    }
}

/* ---- real models ---- */

/* One element of a tensor, whatever its type. */
static float element(const bt_tensor_view *view, int64_t row, int64_t col)
{
    static float wide[4096];
    int64_t n = view->desc.dim[view->desc.n_dim - 1];
    bt_dequant_row(view->desc.dtype,
                   (const uint8_t *)view->data + row * bt_row_bytes(view->desc.dtype, n), n, wide);
    return wide[col];
}

/* Which row of Hugging Face's q or k is row r of GGUF's. */
static int64_t halves_row(int64_t r, int64_t d_head)
{
    return r / d_head * d_head + r % d_head % 2 * (d_head / 2) + r % d_head / 2;
}

static void compare_models(const bt_model_file *gguf, const bt_model_file *hf, bool rounded)
{
    int32_t d_head = bt_model_file_hparams(gguf)->d_head;
    for (int64_t i = 0; i < bt_model_file_n_tensor(hf); i++) {
        const bt_tensor_view *b = bt_model_file_tensor(hf, i),
                             *a = bt_model_file_find(gguf, b->name);
        assert_non_null(a);
        bool rotated = strstr(b->name, "attn_q.") || strstr(b->name, "attn_k.");
        int64_t n_row = b->desc.n_dim == 2 ? b->desc.dim[0] : 1,
                n_col = b->desc.dim[b->desc.n_dim - 1];
        for (int64_t r = 0; r < n_row; r++)
            for (int64_t c = 0; c < n_col; c += 7) {
                float x = element(a, r, c), y = element(b, rotated ? halves_row(r, d_head) : r, c);
                if (rounded)
                    assert_true(x - y <= 0.004f * (x < 0 ? -x : x) &&
                                y - x <= 0.004f * (x < 0 ? -x : x));
                else
                    assert_true(x == y);
            }
    }
}

static void one_model_is_the_same_in_all_three_forms(void **state)
{
    (void)state;
    need_data(gguf_path, "models/llama2xs-tok512/llama2xs-tok512.gguf");
    need_data(hf_path, "models/llama2xs-tok512/hf");
    need_data(bf16_path, "models/llama2xs-tok512/hf-bf16");
    bt_model_file *gguf, *hf, *bf16;
    assert_ok(bt_model_file_open(gguf_path, BT_USE_COMPUTE, &gguf));
    assert_ok(bt_model_file_open(hf_path, BT_USE_COMPUTE, &hf));
    assert_ok(bt_model_file_open(bf16_path, BT_USE_COMPUTE, &bf16));
    assert_true(bt_model_file_permuted(gguf) && !bt_model_file_permuted(hf));
    assert_int_equal(bt_model_file_n_tensor(hf), 47);
    assert_int_equal(bt_model_file_n_tensor(bf16), 47);
    compare_models(gguf, hf, false);
    compare_models(gguf, bf16, true);
    int32_t n;
    const int32_t *eos = bt_model_file_eos(hf, &n);
    assert_int_equal(n, 1);
    assert_int_equal(eos[0], 2);
    assert_int_equal(bt_tokenizer_n_vocab(bt_model_file_tokenizer(bf16)), 512);
    bt_model_file_close(gguf);
    bt_model_file_close(hf);
    bt_model_file_close(bf16);
}

static void other_real_files_open_as_they_should(void **state)
{
    (void)state;
    need_data(baby, "models/babyllama-tok105/babyllama-tok105.gguf");
    need_data(tiny, "models/llama-2-tiny-random/llama-2-tiny-random.gguf");
    need_data(gpt2, "tokenizers/gguf-vocab/ggml-vocab-gpt-2.gguf");
    need_data(spm, "tokenizers/gguf-vocab/ggml-vocab-llama-spm.gguf");
    need_data(deepseek, "tokenizers/gguf-vocab/ggml-vocab-deepseek-llm.gguf");
    need_data(bare, "models/babyllama-tok105/tokenizer.model");
    bt_model_file *file;
    assert_ok(bt_model_file_open(baby, BT_USE_COMPUTE, &file));
    assert_int_equal(bt_model_file_hparams(file)->n_vocab, 105);
    bt_model_file_close(file);
    assert_ok(bt_model_file_open(tiny, BT_USE_COMPUTE, &file));
    assert_string_equal(bt_model_file_name(file), "LLaMA v2");
    bt_model_file_close(file);
    const char *vocab[] = {gpt2, spm, deepseek, bare};
    static const int32_t n[] = {50257, 32000, 102400, 105};
    for (int i = 0; i < 4; i++) {
        assert_ok(bt_model_file_open(vocab[i], BT_USE_TOKENIZER, &file));
        assert_int_equal(bt_tokenizer_n_vocab(bt_model_file_tokenizer(file)), n[i]);
        bt_model_file_close(file);
    }
    assert_fails(bt_model_file_open(gpt2, BT_USE_COMPUTE, &file), BT_UNSUPPORTED,
                 "'gpt2' is not supported");
    assert_fails(bt_model_file_open(spm, BT_USE_COMPUTE, &file), BT_NOTFOUND, "token_embd.weight");
}

static void paths_that_are_no_model_are_named(void **state)
{
    (void)state;
    bt_model_file *file;
    assert_fails(bt_model_file_open("/nonexistent/x.gguf", BT_USE_COMPUTE, &file), BT_NOTFOUND,
                 "/nonexistent/x.gguf");
    assert_fails(bt_model_file_open(test_path("LICENSE"), BT_USE_COMPUTE, &file), BT_FORMAT,
                 "LICENSE': the file begins");
    assert_fails(bt_model_file_open(test_path("src"), BT_USE_COMPUTE, &file), BT_NOTFOUND,
                 "model.safetensors");
    assert_fails(bt_model_file_open("synth:none", BT_USE_COMPUTE, &file), BT_NOTFOUND,
                 "the shapes are tiny-llama");
    assert_fails(bt_model_file_open("synth:tiny-llama:iq9", BT_USE_COMPUTE, &file), BT_INVALID,
                 "'iq9'");
}

/* ---- splits ---- */

/* Write part `no` of two: the first has the keys, the second every other tensor. */
static void write_part(const bt_buf *whole, const char *path, int32_t no, int32_t claim,
                       uint32_t n_tensor)
{
    bt_gguf g;
    bt_arena arena;
    bt_gguf_out head = {0};
    bt_writer w;
    bt_buf bytes = {0};
    bt_arena_init(&arena, BT_MEM_MODEL);
    assert_ok(bt_gguf_parse((uint8_t *)whole->data, whole->len, &arena, &g));
    for (size_t i = 0; i < g.n_kv && no == 0; i++) assert_ok(bt_gguf_put_copy(&head, &g.kv[i]));
    assert_ok(bt_gguf_put_u32(&head, "split.no", (uint32_t)claim));
    assert_ok(bt_gguf_put_u32(&head, "split.count", 2));
    assert_ok(bt_gguf_put_u32(&head, "split.tensors.count", n_tensor));
    for (size_t i = 0; i < g.n_tensor; i++)
        if ((int32_t)(i % 2) == no)
            assert_ok(bt_gguf_put_tensor(&head, g.tensor[i].name, &g.tensor[i].desc, NULL));
    assert_ok(bt_gguf_out_head(&head, &bytes));
    assert_ok(bt_writer_open(&w, path));
    assert_ok(bt_writer_add(&w, bytes.data, bytes.len));
    for (size_t i = 0; i < g.n_tensor; i++) {
        if ((int32_t)(i % 2) != no) continue;
        assert_ok(bt_writer_add(&w, g.bytes + g.tensor[i].offset, g.tensor[i].n_bytes));
        assert_ok(bt_writer_align(&w, 32));
    }
    assert_ok(bt_writer_commit(&w));
    bt_buf_done(&bytes);
    bt_gguf_out_done(&head);
    bt_arena_done(&arena);
}

static void a_split_model_is_one_model(void **state)
{
    (void)state;
    tiny_dir dir;
    bt_buf whole = {0};
    bt_model_file *split, *plain;
    read_synth("tiny-qwen2", BT_F16, &whole);
    tiny_dir_open(&dir);
    const char *first = tiny_path(&dir, "m-00001-of-00002.gguf"),
               *second = tiny_path(&dir, "m-00002-of-00002.gguf");
    write_part(&whole, first, 0, 0, 26);
    assert_fails(bt_model_file_open(first, BT_USE_COMPUTE, &split), BT_NOTFOUND,
                 "m-00002-of-00002.gguf");
    write_part(&whole, second, 1, 1, 26);
    assert_ok(bt_model_file_open(first, BT_USE_COMPUTE, &split));
    assert_ok(open_bytes(&whole, BT_USE_COMPUTE, &plain));
    assert_int_equal(bt_model_file_n_tensor(split), bt_model_file_n_tensor(plain));
    for (int64_t i = 0; i < bt_model_file_n_tensor(plain); i++) {
        const bt_tensor_view *a = bt_model_file_tensor(plain, i),
                             *b = bt_model_file_find(split, a->name);
        assert_true(bt_desc_equal(&a->desc, &b->desc));
        assert_memory_equal(a->data, b->data, a->n_bytes);
    }
    bt_model_file_close(split);
    bt_model_file_close(plain);
    assert_fails(bt_model_file_open(second, BT_USE_COMPUTE, &split), BT_INVALID, "open the first");
    write_part(&whole, second, 1, 0, 26);
    assert_fails(bt_model_file_open(first, BT_USE_COMPUTE, &split), BT_FORMAT,
                 "says it is number 0 of the split, must be 1");
    write_part(&whole, second, 0, 1, 26);
    assert_fails(bt_model_file_open(first, BT_USE_COMPUTE, &split), BT_FORMAT, "appears twice");
    write_part(&whole, first, 0, 0, 27);
    write_part(&whole, second, 1, 1, 27);
    assert_fails(bt_model_file_open(first, BT_USE_COMPUTE, &split), BT_FORMAT,
                 "claims 27 tensors, but its files have 26");
    tiny_dir_close(&dir);
    bt_buf_done(&whole);
}

/* ---- failures on the way ---- */

static void open_with_every_allocation_failing_once(const char *path, bt_model_use use)
{
    for (uint64_t n = 1;; n++) {
        bt_model_file *file = NULL;
        bt_mem_fail_nth(n);
        bt_status st = bt_model_file_open(path, use, &file);
        bt_mem_fail_nth(0);
        if (st == BT_OK) {
            bt_model_file_close(file);
            assert_true(n > 5);
            break;
        }
        assert_int_equal(st, BT_NOMEM);
        assert_null(file);
    }
    assert_int_equal(
        bt_mem_live(BT_MEM_MODEL) + bt_mem_live(BT_MEM_TEXT) + bt_mem_live(BT_MEM_WEIGHTS), 0);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    tiny_dir dir;
    tiny_config config = tiny_wide(TINY_QWEN3);
    tiny_dir_open(&dir);
    tiny_write(&dir, &config);
    assert_ok(bt_model_synth("tiny-llama", BT_Q8_0, tiny_path(&dir, "m.gguf"), NULL));
    open_with_every_allocation_failing_once(dir.path, BT_USE_COMPUTE);
    open_with_every_allocation_failing_once(tiny_path(&dir, "m.gguf"), BT_USE_COMPUTE);
    open_with_every_allocation_failing_once(tiny_path(&dir, "m.gguf"), BT_USE_INSPECT);
    open_with_every_allocation_failing_once("synth:tiny-qwen2:q4_0", BT_USE_COMPUTE);
    tiny_dir_close(&dir);
}

/* ---- the report ---- */

static void the_report_is_json_with_the_facts(void **state)
{
    (void)state;
    bt_model_file *file;
    char *text;
    json_t *doc, *hp, *memory;
    int64_t n;
    assert_ok(bt_model_file_open("synth:tiny-llama:q8_0", BT_USE_INSPECT, &file));
    assert_ok(bt_model_report(file, true, &text));
    assert_ok(bt_json_parse(text, strlen(text), &doc));
    assert_ok(bt_json_get(doc, "hparams", JSON_OBJECT, &hp));
    assert_ok(bt_json_get_i64(hp, "n_layer", 2, 2, &n));
    assert_ok(bt_json_get_i64(doc, "n_tensor", 21, 21, &n));
    assert_ok(bt_json_get(doc, "memory", JSON_OBJECT, &memory));
    assert_ok(bt_json_get(memory, "kv_bytes_per_token", JSON_OBJECT, &memory));
    assert_ok(
        bt_json_get_i64(memory, "f16", 512, 512, &n)); // 2 x 2 layers x 2 heads x 32 x 2 bytes
    assert_int_equal(json_array_size(json_object_get(doc, "tensors")), 21);
    assert_true(json_is_null(json_object_get(doc, "problem")));
    json_decref(doc);
    bt_model_text_free(text);
    assert_ok(bt_model_report(file, false, &text));
    assert_non_null(strstr(text, "blk.1.ffn_down.weight"));
    bt_model_text_free(text);
    bt_model_file_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_that_do_not_fit_are_refused_by_name),
        cmocka_unit_test(inspect_shows_what_cannot_be_run),
        cmocka_unit_test(an_unchanged_copy_opens),
        cmocka_unit_test(one_model_is_the_same_in_all_three_forms),
        cmocka_unit_test(other_real_files_open_as_they_should),
        cmocka_unit_test(paths_that_are_no_model_are_named),
        cmocka_unit_test(a_split_model_is_one_model),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(the_report_is_json_with_the_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
