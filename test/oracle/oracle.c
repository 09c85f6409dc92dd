// SPDX-License-Identifier: Apache-2.0
/* oracle: see oracle.h. Written to be read beside the papers and checked by eye; nothing here is
 * fast. */
#include "oracle/oracle.h"
#include "oracle/memory.h"
#include "tensor/half.h"
#include "tensor/quant.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct linear {
    double *w;      // [n_row, n_col]
    double *packed; // the same with scales rounded: see in_panels
    double *bias;   // [n_row] or NULL
    int64_t n_row, n_col;
    bt_dtype dtype; // of the weights: decides how inputs are rounded
} linear;

typedef struct layer {
    linear q, k, v, out, gate, up, down;
    double *attn_norm, *ffn_norm; // [d_model]
    double *q_norm, *k_norm;      // [d_head] or NULL
    double *keys, *values;        // [n_ctx, n_kv * d_head]
} layer;

struct oracle {
    bt_hparams hp;
    int32_t n_ctx, n_past;
    bt_dtype kv_dtype;
    bool round_act;
    double *embed, *final_norm; // [n_vocab, d_model], [d_model]
    linear head;
    layer *layers;
    double *freq; // [d_rot / 2] radians a position
};

/* ---- weights ---- */

static double *expand(const bt_tensor_view *view)
{
    if (!view) return NULL;
    const bt_desc *d = &view->desc;
    int64_t n_col = d->dim[d->n_dim - 1], n_row = d->n_dim == 1 ? 1 : d->dim[0];
    assert(d->n_dim <= 2);
    double *out = fresh((size_t)(n_row * n_col), sizeof *out);
    float *row = fresh((size_t)n_col, sizeof *row);
    for (int64_t r = 0; r < n_row; r++) {
        bt_dequant_row(d->dtype, (const char *)view->data + r * bt_row_bytes(d->dtype, n_col),
                       n_col, row);
        for (int64_t c = 0; c < n_col; c++) out[r * n_col + c] = row[c];
    }
    free(row);
    return out;
}

static double half_at(const char *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return bt_f16_to_f32(h);
}

/* Integer multiples, `limit` at most, of the largest magnitude / limit. */
static void to_steps(double *v, int64_t n, int limit)
{
    double top = 0;
    for (int64_t i = 0; i < n; i++) top = fmax(top, fabs(v[i]));
    float step = (float)top / (float)limit;
    for (int64_t i = 0; i < n && step > 0; i++) v[i] = rint((float)v[i] / step) * (double)step;
}

/* The weights as panels hold them: f16 scales of blocks of 32 become integers of a group of 8. */
static double *in_panels(const bt_tensor_view *view, const double *w)
{
    bt_dtype t = view->desc.dtype;
    int64_t n_row = view->desc.dim[0], n_col = view->desc.dim[1], n_block = n_col / 32;
    bool min = t == BT_Q4_1 || t == BT_Q5_1;
    double *out = fresh((size_t)(n_row * n_col), sizeof *out);
    memcpy(out, w, (size_t)(n_row * n_col) * sizeof *out);
    if (!bt_dtype_is_quantised(t) || bt_dtype_block(t) != 32) return out;
    for (int64_t r = 0; r < n_row; r++)
        for (int64_t b = 0; b < n_block; b += 8) {
            const char *block =
                (const char *)view->data + r * bt_row_bytes(t, n_col) + b * bt_dtype_block_bytes(t);
            int64_t n = n_block - b < 8 ? n_block - b : 8;
            double d[8], old[8], m[8] = {0}, old_m[8] = {0};
            for (int64_t i = 0; i < n; i++, block += bt_dtype_block_bytes(t)) {
                old[i] = d[i] = half_at(block);
                if (min) old_m[i] = m[i] = half_at(block + 2);
            }
            to_steps(d, n, t == BT_Q8_0 ? 255 : 127);
            to_steps(m, n, 32767);
            for (int64_t i = 0; i < n * 32; i++) {
                double *x = &out[r * n_col + b * 32 + i], is = old[i / 32];
                *x = (is != 0 ? (*x - old_m[i / 32]) * (d[i / 32] / is) : 0) + m[i / 32];
            }
        }
    return out;
}

static double *vector_of(const bt_model_file *file, const char *part, int32_t i)
{
    return expand(bt_model_file_find_layer(file, part, i));
}

static linear linear_of(const bt_model_file *file, const char *stem, int32_t i)
{
    char name[64];
    snprintf(name, sizeof name, "%s.weight", stem);
    const bt_tensor_view *view = bt_model_file_find_layer(file, name, i);
    assert(view && view->desc.n_dim == 2);
    double *w = expand(view);
    linear l = {.w = w,
                .packed = in_panels(view, w),
                .n_row = view->desc.dim[0],
                .n_col = view->desc.dim[1],
                .dtype = view->desc.dtype};
    snprintf(name, sizeof name, "%s.bias", stem);
    l.bias = vector_of(file, name, i);
    return l;
}

static void layer_open(layer *l, const bt_model_file *file, int32_t i, size_t n_kv_value)
{
    l->q = linear_of(file, "attn_q", i);
    l->k = linear_of(file, "attn_k", i);
    l->v = linear_of(file, "attn_v", i);
    l->out = linear_of(file, "attn_output", i);
    l->gate = linear_of(file, "ffn_gate", i);
    l->up = linear_of(file, "ffn_up", i);
    l->down = linear_of(file, "ffn_down", i);
    l->attn_norm = vector_of(file, "attn_norm.weight", i);
    l->ffn_norm = vector_of(file, "ffn_norm.weight", i);
    l->q_norm = vector_of(file, "attn_q_norm.weight", i);
    l->k_norm = vector_of(file, "attn_k_norm.weight", i);
    l->keys = fresh(n_kv_value, sizeof *l->keys);
    l->values = fresh(n_kv_value, sizeof *l->values);
}

/* ---- rotary frequencies ---- */

/* YaRN (Peng et al. 2023, sec. 3.2): the pair that turns `turns` times in the original context. */
static double yarn_pair(const bt_rope *r, double turns)
{
    return r->d_rot * log(r->n_ctx_orig / (turns * 2 * M_PI)) / (2 * log(r->base));
}

static double scaled_freq(const bt_rope *r, int32_t i)
{
    double freq = pow(r->base, -2.0 * i / r->d_rot), wavelength = 2 * M_PI / freq;
    if (r->scaling == BT_ROPE_SCALE_LINEAR) return freq / r->factor;
    if (r->scaling ==
        BT_ROPE_SCALE_LLAMA3) { // Llama 3.1: long waves divided, short kept, a ramp between
        if (wavelength > r->n_ctx_orig / r->low_freq_factor) return freq / r->factor;
        if (wavelength < r->n_ctx_orig / r->high_freq_factor) return freq;
        double keep = (r->n_ctx_orig / wavelength - r->low_freq_factor) /
                      (r->high_freq_factor - r->low_freq_factor);
        return (1 - keep) * freq / r->factor + keep * freq;
    }
    if (r->scaling == BT_ROPE_SCALE_YARN) {
        double low = fmax(floor(yarn_pair(r, r->beta_fast)), 0);
        double high = fmin(ceil(yarn_pair(r, r->beta_slow)), r->d_rot - 1);
        if (low == high) high += 0.001;
        double divide = fmin(fmax((i - low) / (high - low), 0), 1);
        return (1 - divide) * freq + divide * freq / r->factor;
    }
    return freq;
}

static double *frequencies(const bt_model_file *file, const bt_rope *r)
{
    double *factor = expand(bt_model_file_find(file, "rope_freqs.weight"));
    double *freq = fresh((size_t)r->d_rot / 2, sizeof *freq);
    for (int32_t i = 0; i < r->d_rot / 2; i++)
        freq[i] = scaled_freq(r, i) / (factor ? factor[i] : 1);
    free(factor);
    return freq;
}

oracle *oracle_open(const bt_model_file *file, int32_t n_ctx)
{
    oracle *o = fresh(1, sizeof *o);
    o->hp = *bt_model_file_hparams(file);
    o->n_ctx = n_ctx;
    const bt_tensor_view *embed = bt_model_file_find(file, "token_embd.weight");
    const bt_tensor_view *head = bt_model_file_find(file, "output.weight");
    o->embed = expand(embed);
    o->final_norm = expand(bt_model_file_find(file, "output_norm.weight"));
    if (!head) head = embed; // tied
    double *head_w = expand(head);
    o->head = (linear){.w = head_w,
                       .packed = in_panels(head, head_w),
                       .n_row = o->hp.n_vocab,
                       .n_col = o->hp.d_model,
                       .dtype = head->desc.dtype};
    o->freq = frequencies(file, &o->hp.rope);
    o->layers = fresh((size_t)o->hp.n_layer, sizeof *o->layers);
    for (int32_t i = 0; i < o->hp.n_layer; i++)
        layer_open(&o->layers[i], file, i, (size_t)n_ctx * (size_t)(o->hp.n_kv * o->hp.d_head));
    return o;
}

static void linear_free(linear *l)
{
    free(l->w);
    free(l->packed);
    free(l->bias);
}

void oracle_free(oracle *o)
{
    if (!o) return;
    for (int32_t i = 0; i < o->hp.n_layer; i++) {
        layer *l = &o->layers[i];
        linear *all[] = {&l->q, &l->k, &l->v, &l->out, &l->gate, &l->up, &l->down};
        for (size_t j = 0; j < sizeof all / sizeof *all; j++) linear_free(all[j]);
        double *vectors[] = {l->attn_norm, l->ffn_norm, l->q_norm, l->k_norm, l->keys, l->values};
        for (size_t j = 0; j < sizeof vectors / sizeof *vectors; j++) free(vectors[j]);
    }
    free(o->layers);
    linear_free(&o->head);
    free(o->embed);
    free(o->final_norm);
    free(o->freq);
    free(o);
}

int32_t oracle_n_vocab(const oracle *o) { return o->hp.n_vocab; }
void oracle_round_kv(oracle *o, bt_dtype dtype) { o->kv_dtype = dtype; }
void oracle_round_act(oracle *o, bool on) { o->round_act = on; }
void oracle_reset(oracle *o) { o->n_past = 0; }

/* ---- one token ---- */

/* To 8 bits of mantissa, ties to even. */
static double to_bf16(double x)
{
    int exponent;
    double mantissa = frexp(x, &exponent);
    return ldexp(rint(ldexp(mantissa, 8)), exponent - 8);
}

static double *rounded_act(const double *x, int64_t n, bt_dtype weight)
{
    double *out = fresh((size_t)n, sizeof *out);
    for (int64_t i = 0; weight == BT_BF16 && i < n; i++) out[i] = to_bf16(x[i]);
    if (weight == BT_BF16) return out;
    for (int64_t from = 0; from < n; from += 256) {
        int64_t to = from + 256 < n ? from + 256 : n;
        double top = 0;
        for (int64_t i = from; i < to; i++) top = fmax(top, fabs(x[i]));
        for (int64_t i = from; i < to; i++)
            out[i] = top > 0 ? rint(x[i] / (top / 127)) * (top / 127) : 0;
    }
    return out;
}

static double *apply(const oracle *o, const linear *l, const double *x)
{
    double *y = fresh((size_t)l->n_row, sizeof *y);
    bool rounds = o->round_act && (l->dtype == BT_BF16 || bt_dtype_is_quantised(l->dtype));
    double *rounded = rounds ? rounded_act(x, l->n_col, l->dtype) : NULL;
    const double *w = rounds ? l->packed : l->w;
    if (rounded) x = rounded;
    for (int64_t r = 0; r < l->n_row; r++) {
        double sum = 0;
        for (int64_t c = 0; c < l->n_col; c++) sum += w[r * l->n_col + c] * x[c];
        y[r] = sum + (l->bias ? l->bias[r] : 0);
    }
    free(rounded);
    return y;
}

static void normalise(const double *x, const double *weight, int32_t n, double eps, double *out)
{
    double squares = 0;
    for (int32_t i = 0; i < n; i++) squares += x[i] * x[i];
    double scale = 1 / sqrt(squares / n + eps);
    for (int32_t i = 0; i < n; i++) out[i] = x[i] * scale * weight[i];
}

/* Turn one head of the token at `pos`. */
static void rotate(const oracle *o, double *head, int32_t pos)
{
    const bt_rope *r = &o->hp.rope;
    for (int32_t i = 0; i < r->d_rot / 2; i++) {
        int32_t a = r->kind == BT_ROPE_INTERLEAVED ? 2 * i : i;
        int32_t b = r->kind == BT_ROPE_INTERLEAVED ? 2 * i + 1 : i + r->d_rot / 2;
        double c = cos(pos * o->freq[i]) * r->attn_factor,
               s = sin(pos * o->freq[i]) * r->attn_factor;
        double x = head[a], y = head[b];
        head[a] = x * c - y * s;
        head[b] = x * s + y * c;
    }
}

/* Round to a float with `n_bit` bits of significand and a least exponent, to nearest even. */
static double round_to(double x, int n_bit, int exponent_min)
{
    if (x == 0) return x;
    double unit = ldexp(1, (int)fmax(ilogb(x), exponent_min) - n_bit + 1);
    return rint(x / unit) * unit;
}

/* A block of 32 as whole multiples of a scale, which is rounded to f16: for q8_0 of max|x| / 127, for
 * q4_0 of an eighth of the x of largest magnitude, which becomes -8. */
static void keep_block(bt_dtype dtype, const double *from, double *to)
{
    double most = 0, least = 0;
    for (int i = 0; i < 32; i++) {
        most = fmax(most, from[i]);
        least = fmin(least, from[i]);
    }
    bool is_q8 = dtype == BT_Q8_0;
    double m = -least >= most ? least : most,
           scale = round_to(is_q8 ? fabs(m) / 127 : m / -8, 11, -14);
    for (int i = 0; i < 32; i++) {
        double code = scale != 0 ? rint(from[i] / scale) : 0;
        to[i] = scale * fmin(fmax(code, is_q8 ? -127 : -8), is_q8 ? 127 : 7);
    }
}

static void keep(const oracle *o, const double *from, double *to)
{
    int32_t n = o->hp.n_kv * o->hp.d_head;
    bool in_blocks = o->kv_dtype == BT_Q8_0 || o->kv_dtype == BT_Q4_0;
    for (int32_t i = 0; in_blocks && i < n; i += 32) keep_block(o->kv_dtype, from + i, to + i);
    for (int32_t i = 0; !in_blocks && i < n; i++)
        to[i] = o->kv_dtype == BT_F16    ? round_to(from[i], 11, -14)
                : o->kv_dtype == BT_BF16 ? round_to(from[i], 8, -126)
                                         : from[i];
}

/* One query head at `pos` over positions first..pos of its KV head. */
static void attend(const oracle *o, const layer *l, const double *q, int32_t kv, int32_t first,
                   int32_t pos, double *out)
{
    int32_t d = o->hp.d_head, width = o->hp.n_kv * d;
    double *score = fresh((size_t)pos + 1, sizeof *score), top = -INFINITY, total = 0;
    for (int32_t t = first; t <= pos; t++) {
        for (int32_t i = 0; i < d; i++) score[t] += q[i] * l->keys[t * width + kv * d + i];
        score[t] /= sqrt(d);
        top = fmax(top, score[t]);
    }
    for (int32_t t = first; t <= pos; t++) total += score[t] = exp(score[t] - top);
    for (int32_t i = 0; i < d; i++) {
        out[i] = 0;
        for (int32_t t = first; t <= pos; t++)
            out[i] += score[t] / total * l->values[t * width + kv * d + i];
    }
    free(score);
}

static void attention(const oracle *o, const layer *l, int32_t index, double *x)
{
    const bt_hparams *hp = &o->hp;
    int32_t d = hp->d_head, pos = o->n_past, group = hp->n_head / hp->n_kv;
    int32_t window = bt_hparams_window(hp, index),
            first = window && pos >= window ? pos - window + 1 : 0;
    double *h = fresh((size_t)hp->d_model, sizeof *h);
    double *mixed = fresh((size_t)(hp->n_head * d), sizeof *mixed);
    normalise(x, l->attn_norm, hp->d_model, hp->rms_eps, h);
    double *q = apply(o, &l->q, h), *k = apply(o, &l->k, h), *v = apply(o, &l->v, h);
    for (int32_t i = 0; i < hp->n_head; i++) {
        if (l->q_norm) normalise(q + i * d, l->q_norm, d, hp->rms_eps, q + i * d);
        rotate(o, q + i * d, pos);
    }
    for (int32_t i = 0; i < hp->n_kv; i++) {
        if (l->k_norm) normalise(k + i * d, l->k_norm, d, hp->rms_eps, k + i * d);
        rotate(o, k + i * d, pos);
    }
    keep(o, k, l->keys + pos * hp->n_kv * d);
    keep(o, v, l->values + pos * hp->n_kv * d);
    for (int32_t i = 0; i < hp->n_head; i++)
        attend(o, l, q + i * d, i / group, first, pos, mixed + i * d);
    double *y = apply(o, &l->out, mixed);
    for (int32_t i = 0; i < hp->d_model; i++) x[i] += y[i];
    double *all[] = {h, mixed, q, k, v, y};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void feed_forward(const oracle *o, const layer *l, double *x)
{
    const bt_hparams *hp = &o->hp;
    double *h = fresh((size_t)hp->d_model, sizeof *h);
    normalise(x, l->ffn_norm, hp->d_model, hp->rms_eps, h);
    double *gate = apply(o, &l->gate, h), *up = apply(o, &l->up, h);
    for (int32_t i = 0; i < hp->d_ff; i++) gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
    double *y = apply(o, &l->down, gate);
    for (int32_t i = 0; i < hp->d_model; i++) x[i] += y[i];
    free(h);
    free(gate);
    free(up);
    free(y);
}

void oracle_push(oracle *o, int32_t id, double *logits)
{
    int32_t d = o->hp.d_model;
    assert(id >= 0 && id < o->hp.n_vocab && o->n_past < o->n_ctx);
    double *x = fresh((size_t)d, sizeof *x);
    memcpy(x, o->embed + (int64_t)id * d, (size_t)d * sizeof *x);
    for (int32_t i = 0; i < o->hp.n_layer; i++) {
        attention(o, &o->layers[i], i, x);
        feed_forward(o, &o->layers[i], x);
    }
    o->n_past++;
    if (logits) {
        normalise(x, o->final_norm, d, o->hp.rms_eps, x);
        double *y = apply(o, &o->head, x);
        memcpy(logits, y, (size_t)o->hp.n_vocab * sizeof *y);
        free(y);
    }
    free(x);
}

void oracle_read(oracle *o, const int32_t *ids, int32_t n, double *logits)
{
    oracle_reset(o);
    for (int32_t i = 0; i < n; i++) oracle_push(o, ids[i], logits + (int64_t)i * o->hp.n_vocab);
}

void oracle_greedy(oracle *o, const double *logits, int32_t n, int32_t *ret_ids, double *ret_gap)
{
    double *row = fresh((size_t)o->hp.n_vocab, sizeof *row), gap = INFINITY;
    memcpy(row, logits, (size_t)o->hp.n_vocab * sizeof *row);
    for (int32_t i = 0; i < n; i++) {
        int32_t best = 0;
        double second = -INFINITY;
        for (int32_t j = 1; j < o->hp.n_vocab; j++) {
            if (row[j] > row[best]) {
                second = row[best];
                best = j;
            } else {
                second = fmax(second, row[j]);
            }
        }
        gap = fmin(gap, row[best] - second);
        ret_ids[i] = best;
        if (i + 1 < n) oracle_push(o, best, row);
    }
    free(row);
    *ret_gap = gap;
}
