// SPDX-License-Identifier: Apache-2.0
/* model_shape: read from the report that the library gives of an open model, so that it holds for
 * files in every format and for models that are in no file. */
#include "app/bench/model_shape.h"
#include "base/bits.h"
#include "base/json.h"
#include "baton/ops.h"
#include <stdio.h>
#include <string.h>

static const char *const nodes[] = {
#define NODE(name, node) node,
    BT_PRODUCT_LIST(NODE)
#undef NODE
};

const char *bt_product_node(bt_product product) { return nodes[product]; }

// ---- matrices ----

/* Which product a matrix belongs to, by the end of its name. */
static const struct {
    const char *end;
    bt_product product;
} parts[] = {
    {".attn_q.weight", BT_PRODUCT_QKV},       {".attn_k.weight", BT_PRODUCT_QKV},
    {".attn_v.weight", BT_PRODUCT_QKV},       {".attn_output.weight", BT_PRODUCT_ATTN_OUT},
    {".ffn_gate.weight", BT_PRODUCT_GATE_UP}, {".ffn_up.weight", BT_PRODUCT_GATE_UP},
    {".ffn_down.weight", BT_PRODUCT_DOWN},    {"token_embd.weight", BT_PRODUCT_HEAD},
    {"output.weight", BT_PRODUCT_HEAD},
};

static bool find_product(const char *name, bt_product *ret_product)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < BT_COUNT_OF(parts); i++) {
        size_t end = strlen(parts[i].end);
        if (len < end || strcmp(name + len - end, parts[i].end) != 0) continue;
        *ret_product = parts[i].product;
        return true;
    }
    return false;
}

/* What linear reads of the weights: its cost with no tokens. */
static double packed_bytes(bt_dtype type, int64_t n_row, int64_t n_col)
{
    bt_desc in[BT_OP_IN_MAX] = {bt_desc_2d(BT_F32, 0, n_col), bt_desc_2d(type, n_row, n_col)};
    bt_desc out = bt_desc_2d(BT_F32, 0, n_row);
    in[1].layout = BT_PANELS;
    return bt_op_cost_of(bt_op_find("linear"), NULL, in, &out).bytes;
}

static bt_status add_matrix(json_t *tensor, bool tied, bt_model_shape *s)
{
    const char *name, *type_name;
    json_t *dims;
    int64_t dim[2];
    bt_product product;
    bt_dtype type;
    BT_TRY(bt_json_get_text(tensor, "name", &name));
    BT_TRY(bt_json_get_text(tensor, "type", &type_name));
    BT_TRY(bt_json_get(tensor, "shape", JSON_ARRAY, &dims));
    if (json_array_size(dims) != 2) return BT_OK;
    if (!tied && !strcmp(name, "token_embd.weight")) return BT_OK; // rows are looked up
    BT_FAIL_IF(!find_product(name, &product), UNSUPPORTED,
               "tensor '%s' is no matrix that this bench knows", name);
    BT_TRY(bt_dtype_parse(type_name, &type));
    for (size_t i = 0; i < 2; i++) dim[i] = json_integer_value(json_array_get(dims, i));
    bt_product_shape *p = &s->product[product];
    if (p->n_weight == 0) p->type = type;
    p->n_weight += (double)dim[0] * (double)dim[1];
    p->bytes += packed_bytes(type, dim[0], dim[1]);
    return BT_OK;
}

/* The type of most weights: of products, each taken to be of one type. */
static bt_dtype find_type(const bt_model_shape *s)
{
    double most = 0, n[BT_DTYPE_COUNT] = {0};
    bt_dtype type = BT_F32;
    for (int i = 0; i < BT_PRODUCT_COUNT; i++) {
        double *here = &n[s->product[i].type];
        *here += s->product[i].n_weight;
        if (*here <= most) continue;
        most = *here;
        type = s->product[i].type;
    }
    return type;
}

// ---- the report ----

static bt_status get_i32(json_t *object, const char *key, int32_t *ret_value)
{
    int64_t value;
    BT_TRY(bt_json_get_i64(object, key, 0, INT32_MAX, &value));
    *ret_value = (int32_t)value;
    return BT_OK;
}

static bt_status read_report(json_t *report, bt_model_shape *s)
{
    json_t *hp, *tensors;
    const char *name;
    bool tied;
    BT_TRY(bt_json_get_text(report, "name", &name));
    snprintf(s->name, sizeof s->name, "%s", name);
    BT_TRY(bt_json_get_f64(report, "n_parameter", 0, 1e18, &s->n_parameter));
    BT_TRY(bt_json_get_f64(report, "n_bytes", 0, 1e18, &s->file_bytes));
    BT_TRY(bt_json_get(report, "hparams", JSON_OBJECT, &hp));
    BT_TRY(get_i32(hp, "n_layer", &s->n_layer));
    BT_TRY(get_i32(hp, "n_window_layer", &s->n_window_layer));
    BT_TRY(get_i32(hp, "window", &s->window));
    BT_TRY(get_i32(hp, "n_head", &s->n_head));
    BT_TRY(get_i32(hp, "n_kv", &s->n_kv));
    BT_TRY(get_i32(hp, "d_head", &s->d_head));
    BT_TRY(get_i32(hp, "n_vocab", &s->n_vocab));
    BT_TRY(bt_json_get_bool(hp, "tie_embeddings", &tied));
    BT_TRY(bt_json_get(report, "tensors", JSON_ARRAY, &tensors));
    for (size_t i = 0; i < json_array_size(tensors); i++)
        BT_TRY(add_matrix(json_array_get(tensors, i), tied, s));
    return BT_OK;
}

bt_status bt_model_shape_of(const bt_engine *engine, bt_dtype kv_dtype, bt_model_shape *ret_shape)
{
    bt_model_shape s = {.kv_bytes = bt_dtype_block_bytes(kv_dtype)};
    bt_engine_stats stats;
    json_t *report;
    char *text;
    BT_TRY(bt_model_report(bt_engine_model(engine), true, &text));
    bt_status st = bt_json_parse(text, strlen(text), &report);
    bt_model_text_free(text);
    BT_TRY(st);
    st = read_report(report, &s);
    json_decref(report);
    if (st != BT_OK) {
        bt_fail_note("the model's shapes");
        return st;
    }
    bt_engine_get_stats(engine, &stats);
    s.weight_bytes = (double)stats.weight_read_bytes;
    s.type = find_type(&s);
    *ret_shape = s;
    return BT_OK;
}

// ---- costs ----

/* Positions that the token at `pos` sees, over all layers. */
static double seen(const bt_model_shape *s, int32_t pos)
{
    double all = (double)pos + 1, near = s->window < all ? s->window : all;
    return (s->n_layer - s->n_window_layer) * all + s->n_window_layer * near;
}

static void add_attention(const bt_model_shape *s, double n_seen_ops, double n_seen_bytes,
                          bt_model_cost *c)
{
    c->attn_ops += 4.0 * s->n_head * s->d_head * n_seen_ops;
    c->attn_bytes += 2.0 * s->n_kv * s->d_head * (double)s->kv_bytes * n_seen_bytes;
}

static double layer_weights(const bt_model_shape *s)
{
    double n = 0;
    for (int i = 0; i < BT_PRODUCT_HEAD; i++) n += s->product[i].n_weight;
    return n;
}

bt_model_cost bt_model_cost_prefill(const bt_model_shape *s, int32_t n_tok, int32_t n_chunk)
{
    bt_model_cost c = {.n_step = (double)bt_div_up(n_tok, n_chunk)};
    for (int32_t pos = 0; pos < n_tok; pos++) {
        bool ends = (pos + 1) % n_chunk == 0 || pos + 1 == n_tok;
        add_attention(s, seen(s, pos), ends ? seen(s, pos) : 0, &c);
    }
    c.bytes = c.n_step * s->weight_bytes + c.attn_bytes;
    c.ops = 2 * (n_tok * layer_weights(s) + s->product[BT_PRODUCT_HEAD].n_weight) + c.attn_ops;
    return c;
}

bt_model_cost bt_model_cost_decode(const bt_model_shape *s, int32_t n_stream, int32_t depth,
                                   int32_t n_tok)
{
    bt_model_cost c = {.n_step = n_tok};
    for (int32_t i = 0; i < n_tok; i++) {
        double n = n_stream * seen(s, depth + i);
        add_attention(s, n, n, &c);
    }
    double n_weight = layer_weights(s) + s->product[BT_PRODUCT_HEAD].n_weight;
    c.bytes = n_tok * s->weight_bytes + c.attn_bytes;
    c.ops = 2.0 * n_stream * n_tok * n_weight + c.attn_ops;
    return c;
}
