// SPDX-License-Identifier: Apache-2.0
/* gguf_write: encoding of keys and tensor descriptions; see gguf.h for the format. */
#include "model/file/gguf_write.h"
#include "base/bits.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

void bt_gguf_out_done(bt_gguf_out *out)
{
    bt_buf_done(&out->kv);
    bt_buf_done(&out->info);
    *out = (bt_gguf_out){0};
}

static bt_status add_u32(bt_buf *buf, uint32_t x) { return bt_buf_add(buf, &x, sizeof x); }
static bt_status add_u64(bt_buf *buf, uint64_t x) { return bt_buf_add(buf, &x, sizeof x); }

static bt_status add_text(bt_buf *buf, const char *text, size_t len)
{
    BT_TRY(add_u64(buf, len));
    return bt_buf_add(buf, text, len);
}

static bt_status begin(bt_gguf_out *out, const char *key, bt_gguf_type type)
{
    BT_TRY(add_text(&out->kv, key, strlen(key)));
    out->n_kv++;
    return add_u32(&out->kv, type);
}

bt_status bt_gguf_put_u32(bt_gguf_out *out, const char *key, uint32_t value)
{
    BT_TRY(begin(out, key, BT_GGUF_U32));
    return add_u32(&out->kv, value);
}

bt_status bt_gguf_put_f32(bt_gguf_out *out, const char *key, float value)
{
    BT_TRY(begin(out, key, BT_GGUF_F32));
    return bt_buf_add(&out->kv, &value, sizeof value);
}

bt_status bt_gguf_put_bool(bt_gguf_out *out, const char *key, bool value)
{
    uint8_t byte = value;
    BT_TRY(begin(out, key, BT_GGUF_BOOL));
    return bt_buf_add(&out->kv, &byte, 1);
}

bt_status bt_gguf_put_text(bt_gguf_out *out, const char *key, const char *text, size_t len)
{
    BT_TRY(begin(out, key, BT_GGUF_TEXT));
    return add_text(&out->kv, text, len);
}

static bt_status begin_array(bt_gguf_out *out, const char *key, bt_gguf_type item, size_t n)
{
    BT_TRY(begin(out, key, BT_GGUF_ARRAY));
    BT_TRY(add_u32(&out->kv, item));
    return add_u64(&out->kv, n);
}

bt_status bt_gguf_put_texts(bt_gguf_out *out, const char *key, const bt_name *text, size_t n)
{
    BT_TRY(begin_array(out, key, BT_GGUF_TEXT, n));
    for (size_t i = 0; i < n; i++) BT_TRY(add_text(&out->kv, text[i].text, text[i].len));
    return BT_OK;
}

bt_status bt_gguf_put_array(bt_gguf_out *out, const char *key, bt_gguf_type item, const void *data,
                            size_t n)
{
    static const uint8_t bytes[] = {
#define BYTES(upper, lower, n) n,
        BT_GGUF_TYPE_LIST(BYTES)
#undef BYTES
    };
    assert(bytes[item]);
    BT_TRY(begin_array(out, key, item, n));
    return bt_buf_add(&out->kv, data, n * bytes[item]);
}

bt_status bt_gguf_put_copy(bt_gguf_out *out, const bt_gguf_kv *kv)
{
    BT_TRY(add_text(&out->kv, kv->key.text, kv->key.len));
    out->n_kv++;
    return bt_buf_add(&out->kv, kv->raw, kv->n_raw);
}

bt_status bt_gguf_put_tensor(bt_gguf_out *out, const char *name, const bt_desc *desc,
                             uint64_t *ret_offset)
{
    uint64_t n_bytes, end;
    int id = bt_dtype_gguf_id(desc->dtype);
    BT_FAIL_IF(id < 0, UNSUPPORTED, "tensor '%s' has type %s, which GGUF lacks", name,
               bt_dtype_name(desc->dtype));
    BT_TRY(bt_desc_check_bytes(desc, &n_bytes));
    BT_FAIL_IF(!bt_add_fits(out->n_data, n_bytes + BT_GGUF_ALIGNMENT, &end), LIMIT,
               "the file's size overflows");
    BT_TRY(add_text(&out->info, name, strlen(name)));
    BT_TRY(add_u32(&out->info, (uint32_t)desc->n_dim));
    for (int i = desc->n_dim - 1; i >= 0; i--) BT_TRY(add_u64(&out->info, (uint64_t)desc->dim[i]));
    BT_TRY(add_u32(&out->info, (uint32_t)id));
    BT_TRY(add_u64(&out->info, out->n_data));
    if (ret_offset) *ret_offset = out->n_data;
    out->n_data = (uint64_t)bt_round_up((int64_t)(out->n_data + n_bytes), BT_GGUF_ALIGNMENT);
    out->n_tensor++;
    return BT_OK;
}

bt_status bt_gguf_out_head(const bt_gguf_out *out, bt_buf *ret_head)
{
    static const uint8_t zero[BT_GGUF_ALIGNMENT];
    size_t start = ret_head->len;
    BT_TRY(bt_buf_add(ret_head, "GGUF", 4));
    BT_TRY(add_u32(ret_head, 3));
    BT_TRY(add_u64(ret_head, out->n_tensor));
    BT_TRY(add_u64(ret_head, out->n_kv));
    BT_TRY(bt_buf_add(ret_head, out->kv.data, out->kv.len));
    BT_TRY(bt_buf_add(ret_head, out->info.data, out->info.len));
    return bt_buf_add(ret_head, zero,
                      (BT_GGUF_ALIGNMENT - (ret_head->len - start) % BT_GGUF_ALIGNMENT) %
                          BT_GGUF_ALIGNMENT);
}

/* ---- hyperparameters ---- */

static const char *arch_key(const bt_hparams *hp, const char *part, char out[96])
{
    snprintf(out, 96, "%s.%s", bt_family_name(hp->family), part);
    return out;
}

static bt_status put_arch_u32(bt_gguf_out *out, const bt_hparams *hp, const char *part,
                              int64_t value)
{
    char key[96];
    return bt_gguf_put_u32(out, arch_key(hp, part, key), (uint32_t)value);
}

static bt_status put_arch_f32(bt_gguf_out *out, const bt_hparams *hp, const char *part,
                              double value)
{
    char key[96];
    return bt_gguf_put_f32(out, arch_key(hp, part, key), (float)value);
}

static bt_status put_scaling(bt_gguf_out *out, const bt_hparams *hp)
{
    const bt_rope *rope = &hp->rope;
    char key[96];
    if (rope->scaling == BT_ROPE_SCALE_NONE || rope->scaling == BT_ROPE_SCALE_LLAMA3) return BT_OK;
    const char *type = bt_rope_scaling_name(rope->scaling);
    BT_TRY(bt_gguf_put_text(out, arch_key(hp, "rope.scaling.type", key), type, strlen(type)));
    BT_TRY(put_arch_f32(out, hp, "rope.scaling.factor", rope->factor));
    if (rope->scaling == BT_ROPE_SCALE_LINEAR) return BT_OK;
    double paper = rope->factor > 1 ? 0.1 * log(rope->factor) + 1 : 1; // readers multiply by it
    BT_TRY(put_arch_u32(out, hp, "rope.scaling.original_context_length", rope->n_ctx_orig));
    BT_TRY(put_arch_f32(out, hp, "rope.scaling.attn_factor", rope->attn_factor / paper));
    BT_TRY(put_arch_f32(out, hp, "rope.scaling.yarn_beta_fast", rope->beta_fast));
    return put_arch_f32(out, hp, "rope.scaling.yarn_beta_slow", rope->beta_slow);
}

/* GGUF's window is for all layers or for none. */
static bt_status put_window(bt_gguf_out *out, const bt_hparams *hp)
{
    if (!hp->window) return BT_OK;
    for (int32_t i = 0; i < hp->n_layer; i++)
        BT_FAIL_IF(!bt_hparams_window(hp, i), UNSUPPORTED,
                   "layer %d has no sliding window but others do; GGUF cannot say that", i);
    return put_arch_u32(out, hp, "attention.sliding_window", hp->window);
}

bt_status bt_gguf_put_hparams(bt_gguf_out *out, const bt_hparams *hp, const char *name)
{
    const char *arch = bt_family_name(hp->family);
    BT_TRY(bt_gguf_put_text(out, "general.architecture", arch, strlen(arch)));
    BT_TRY(bt_gguf_put_text(out, "general.name", name, strlen(name)));
    BT_TRY(put_arch_u32(out, hp, "block_count", hp->n_layer));
    BT_TRY(put_arch_u32(out, hp, "context_length", hp->n_ctx_train));
    BT_TRY(put_arch_u32(out, hp, "embedding_length", hp->d_model));
    BT_TRY(put_arch_u32(out, hp, "feed_forward_length", hp->d_ff));
    BT_TRY(put_arch_u32(out, hp, "vocab_size", hp->n_vocab));
    BT_TRY(put_arch_u32(out, hp, "attention.head_count", hp->n_head));
    BT_TRY(put_arch_u32(out, hp, "attention.head_count_kv", hp->n_kv));
    BT_TRY(put_arch_u32(out, hp, "attention.key_length", hp->d_head));
    BT_TRY(put_arch_u32(out, hp, "attention.value_length", hp->d_head));
    BT_TRY(put_arch_f32(out, hp, "attention.layer_norm_rms_epsilon", (double)hp->rms_eps));
    BT_TRY(put_arch_u32(out, hp, "rope.dimension_count", hp->rope.d_rot));
    BT_TRY(put_arch_f32(out, hp, "rope.freq_base", hp->rope.base));
    BT_TRY(put_window(out, hp));
    return put_scaling(out, hp);
}

/* The numbers of llama.cpp's enum llama_ftype. */
uint32_t bt_gguf_file_type(bt_dtype dtype)
{
    switch (dtype) {
    case BT_F32:
        return 0;
    case BT_F16:
        return 1;
    case BT_Q4_0:
        return 2;
    case BT_Q4_1:
        return 3;
    case BT_Q8_0:
        return 7;
    case BT_Q5_0:
        return 8;
    case BT_Q5_1:
        return 9;
    case BT_Q4_K:
        return 14; // "small": uniform
    case BT_Q5_K:
        return 16;
    case BT_Q6_K:
        return 18;
    case BT_BF16:
        return 32;
    default:
        return 1024; // "guessed"
    }
}

void bt_gguf_rope_factors(const bt_rope *rope, float *ret_factor)
{
    bt_rope plain = *rope;
    float base[2048], scaled[2048]; // d_rot <= d_head <= 4096
    plain.scaling = BT_ROPE_SCALE_NONE;
    bt_rope_inv_freq(&plain, NULL, base);
    bt_rope_inv_freq(rope, NULL, scaled);
    for (int32_t i = 0; i < rope->d_rot / 2; i++) ret_factor[i] = base[i] / scaled[i];
}

bt_dtype bt_stored_dtype(bt_dtype dtype, const bt_desc *desc)
{
    int64_t n_col = desc->dim[desc->n_dim - 1];
    if (desc->n_dim < 2) return BT_F32;
    if (n_col % bt_dtype_block(dtype) == 0) return dtype;
    return n_col % bt_dtype_block(BT_Q8_0) == 0 ? BT_Q8_0 : BT_F16;
}
