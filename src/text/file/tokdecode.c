// SPDX-License-Identifier: Apache-2.0
/* tokdecode: the decoder of tokenizer.json, worked out once for every piece, so that decoding is a
 * copy. Steps that look at the whole text are limited to one: a space dropped at its start. */
#include "base/utf8.h"
#include "text/file/tokpipe.h"
#include <string.h>

enum { NEST_MAX = 8 };

static bt_slice text_of(json_t *value)
{
    return (bt_slice){json_string_value(value), json_string_length(value)};
}

static bt_status new_step(bt_decoder *d, bt_dec_kind kind, bt_dec_step **ret)
{
    BT_FAIL_IF(d->n_step == BT_DEC_STEP_MAX, LIMIT, "more than %d decoder steps", BT_DEC_STEP_MAX);
    *ret = &d->step[d->n_step++];
    **ret = (bt_dec_step){.kind = kind};
    return BT_OK;
}

static bt_status add_replace(bt_decoder *d, json_t *node)
{
    bt_dec_step *step;
    json_t *pattern = json_object_get(node, "pattern"), *text = json_object_get(pattern, "String"),
           *content;
    if (json_is_string(pattern)) text = pattern;
    BT_FAIL_IF(!json_is_string(text) || json_string_length(text) == 0, UNSUPPORTED,
               "Replace of anything but a string is not supported");
    BT_TRY(bt_json_get(node, "content", JSON_STRING, &content));
    BT_TRY(new_step(d, DEC_REPLACE, &step));
    step->from = text_of(text);
    step->to = text_of(content);
    return BT_OK;
}

static bt_status add_strip(bt_tokenizer *t, bt_decoder *d, json_t *node)
{
    bt_dec_step step = {.kind = DEC_STRIP}, *put;
    json_t *content;
    BT_TRY(bt_json_get(node, "content", JSON_STRING, &content));
    BT_TRY(bt_json_opt_i64(node, "start", 0, BT_PIECE_BYTES_MAX, 0, &step.start));
    BT_TRY(bt_json_opt_i64(node, "stop", 0, BT_PIECE_BYTES_MAX, 0, &step.stop));
    step.strip = text_of(content);
    BT_FAIL_IF(step.strip.len == 0 ||
                   bt_utf8_valid_len(step.strip.text, step.strip.len) != step.strip.len,
               FORMAT, "'content' is not one character");
    if (d->fused) {
        bool one_space =
            step.strip.len == 1 && step.strip.text[0] == ' ' && step.start <= 1 && step.stop == 0;
        BT_FAIL_IF(!one_space, UNSUPPORTED,
                   "Strip after Fuse of more than one space at the start is not supported");
        if (step.start) t->strip_first = true;
        return BT_OK;
    }
    BT_TRY(new_step(d, DEC_STRIP, &put));
    *put = step;
    return BT_OK;
}

static bt_status add_metaspace(bt_tokenizer *t, bt_decoder *d, json_t *node)
{
    bt_dec_step *step;
    json_t *mark;
    const char *scheme;
    bool prefix;
    BT_TRY(bt_json_get(node, "replacement", JSON_STRING, &mark));
    BT_FAIL_IF(json_string_length(mark) == 0, FORMAT, "'replacement' is empty");
    BT_TRY(bt_json_opt_bool(node, "add_prefix_space", true, &prefix));
    BT_TRY(bt_json_opt_text(node, "prepend_scheme", prefix ? "always" : "never", &scheme));
    BT_TRY(new_step(d, DEC_REPLACE, &step));
    step->from = text_of(mark);
    step->to = (bt_slice){" ", 1};
    if (strcmp(scheme, "never")) t->strip_first = true;
    return BT_OK;
}

static bt_status add(bt_tokenizer *t, bt_decoder *d, json_t *node, int depth)
{
    const char *type;
    bt_dec_step *step;
    json_t *list, *part;
    size_t i;
    BT_FAIL_IF(!json_is_object(node), FORMAT, "a decoder is not an object");
    BT_TRY(bt_json_get_text(node, "type", &type));
    if (!strcmp(type, "Sequence")) {
        BT_FAIL_IF(depth >= NEST_MAX, LIMIT, "sequences nested deeper than %d", NEST_MAX);
        BT_TRY(bt_json_get(node, "decoders", JSON_ARRAY, &list));
        json_array_foreach(list, i, part) BT_TRY(add(t, d, part, depth + 1));
        return BT_OK;
    }
    if (!strcmp(type, "Strip")) return add_strip(t, d, node);
    if (!strcmp(type, "Fuse")) {
        d->fused = true;
        return BT_OK;
    }
    BT_FAIL_IF(d->fused, UNSUPPORTED, "the decoder '%s' after Fuse is not supported", type);
    if (!strcmp(type, "Replace")) return add_replace(d, node);
    if (!strcmp(type, "Metaspace")) return add_metaspace(t, d, node);
    if (!strcmp(type, "ByteFallback")) return new_step(d, DEC_BYTE_FALLBACK, &step);
    if (!strcmp(type, "ByteLevel")) return new_step(d, DEC_BYTE_LEVEL, &step);
    return bt_fail(BT_UNSUPPORTED, "the decoder '%s' is not supported", type);
}

bt_status bt_tokpipe_decoder(bt_tokenizer *t, json_t *node, bt_decoder *ret)
{
    *ret = (bt_decoder){0};
    t->join_space =
        !node || json_is_null(node); // without a decoder the library puts spaces between tokens
    bt_status st = t->join_space ? BT_OK : add(t, ret, node, 0);
    if (st) bt_fail_note("decoder");
    return st;
}

static bt_status replace(const bt_dec_step *step, bt_slice in, bt_buf *out)
{
    for (size_t i = 0; i < in.len;) {
        bool hit =
            in.len - i >= step->from.len && !memcmp(in.text + i, step->from.text, step->from.len);
        BT_TRY(hit ? bt_buf_add(out, step->to.text, step->to.len)
                   : bt_buf_add(out, in.text + i, 1));
        i += hit ? step->from.len : 1;
    }
    return BT_OK;
}

static bt_slice strip(const bt_dec_step *step, bt_slice in)
{
    bt_slice c = step->strip;
    for (int64_t k = 0; k < step->start && in.len >= c.len && !memcmp(in.text, c.text, c.len);
         k++) {
        in.text += c.len;
        in.len -= c.len;
    }
    for (int64_t k = 0;
         k < step->stop && in.len >= c.len && !memcmp(in.text + in.len - c.len, c.text, c.len); k++)
        in.len -= c.len;
    return in;
}

static bt_status apply_step(const bt_dec_step *step, bt_slice in, bt_buf *out)
{
    int byte = step->kind == DEC_BYTE_FALLBACK ? bt_piece_byte(in.text, in.len) : -1;
    size_t n;
    switch (step->kind) {
    case DEC_REPLACE:
        return replace(step, in, out);
    case DEC_BYTE_FALLBACK:
        if (byte >= 0) return bt_buf_add(out, (char[]){(char)byte}, 1);
        break;
    case DEC_BYTE_LEVEL:
        BT_TRY(bt_buf_reserve(out, in.len + 1));
        if (bt_alphabet_decode(in.text, in.len, out->data, &n)) {
            out->len = n;
            return BT_OK;
        }
        break;
    case DEC_STRIP:
        in = strip(step, in);
        break;
    }
    return bt_buf_add(out, in.text, in.len);
}

bt_status bt_decoder_apply(const bt_decoder *d, bt_tokenizer *t, bt_slice piece, bt_slice *ret_out)
{
    bt_buf buf[2] = {{0}, {0}};
    bt_slice now = piece;
    bt_status st = BT_OK;
    char *copy;
    for (int i = 0; i < d->n_step && !st; i++) {
        bt_buf *out = &buf[i % 2];
        bt_buf_clear(out);
        st = apply_step(&d->step[i], now, out);
        now = (bt_slice){out->data, out->len};
    }
    if (!st) st = bt_arena_text(&t->arena, now.text, now.len, &copy);
    if (!st) *ret_out = (bt_slice){copy, now.len};
    bt_buf_done(&buf[0]);
    bt_buf_done(&buf[1]);
    return st;
}
