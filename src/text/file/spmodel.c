// SPDX-License-Identifier: Apache-2.0
/* spmodel: SentencePiece's tokenizer.model, a protobuf message. Reads the few fields that matter
 * and steps over the rest by wire type; every length is checked against what is left. The tokens
 * that a directory adds to the model follow its pieces. Source: protobuf "Encoding";
 * sentencepiece_model.proto. */
#include "text/file/spmodel.h"
#include "text/file/hfconfig.h"
#include <string.h>

enum { SP_BYTES_MAX = 512 << 20, GAP_MAX = 65536 };

typedef struct wire {
    const uint8_t *at, *end;
} wire;

typedef struct field {
    uint32_t number, type;
    uint64_t value; // types 0, 1, 5
    wire bytes;     // type 2
} field;

static bt_status read_varint(wire *w, uint64_t *ret)
{
    uint64_t x = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        BT_FAIL_IF(w->at == w->end, FORMAT, "a number is cut short");
        uint8_t byte = *w->at++;
        if (shift == 63 && byte > 1) break;
        x |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *ret = x;
            return BT_OK;
        }
    }
    return bt_fail(BT_FORMAT, "a number of more than 64 bits");
}

static bt_status read_fixed(wire *w, size_t n, uint64_t *ret)
{
    BT_FAIL_IF((size_t)(w->end - w->at) < n, FORMAT, "a number of %zu bytes is cut short", n);
    *ret = 0;
    for (size_t i = 0; i < n; i++) *ret |= (uint64_t)*w->at++ << 8 * i;
    return BT_OK;
}

static bt_status read_field(wire *w, field *f)
{
    uint64_t tag;
    BT_TRY(read_varint(w, &tag));
    f->number = (uint32_t)(tag >> 3);
    f->type = (uint32_t)(tag & 7);
    BT_FAIL_IF(f->number == 0 || tag >> 32, FORMAT, "a field has the number %llu",
               (unsigned long long)(tag >> 3));
    if (f->type == 0) return read_varint(w, &f->value);
    if (f->type == 1) return read_fixed(w, 8, &f->value);
    if (f->type == 5) return read_fixed(w, 4, &f->value);
    BT_FAIL_IF(f->type != 2, FORMAT, "field %u has the wire type %u, must be 0, 1, 2 or 5",
               f->number, f->type);
    BT_TRY(read_varint(w, &f->value));
    BT_FAIL_IF(f->value > (uint64_t)(w->end - w->at), FORMAT,
               "field %u has %llu bytes, %zu are left", f->number, (unsigned long long)f->value,
               (size_t)(w->end - w->at));
    f->bytes = (wire){w->at, w->at + f->value};
    w->at += f->value;
    return BT_OK;
}

static bt_status must_be(const field *f, uint32_t type, const char *name)
{
    BT_FAIL_IF(f->type != type, FORMAT, "%s has the wire type %u, must be %u", name, f->type, type);
    return BT_OK;
}

typedef struct model {
    bt_arena *arena;
    bt_slice *piece; // [n], room for those that the directory adds
    float *score;
    int32_t *type;
    int32_t n;
    bool byte_fallback;
    int64_t model_type;
    bt_vocab_spec spec;
} model;

static float as_float(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float x;
    memcpy(&x, &low, 4);
    return x;
}

static bt_status parse_piece(model *m, wire w)
{
    bool has_text = false;
    m->type[m->n] = BT_PIECE_NORMAL;
    while (w.at < w.end) {
        field f;
        BT_TRY(read_field(&w, &f));
        if (f.number == 1) {
            BT_TRY(must_be(&f, 2, "the text"));
            m->piece[m->n] = (bt_slice){(const char *)f.bytes.at, f.value};
            has_text = true;
        } else if (f.number == 2) {
            BT_TRY(must_be(&f, 5, "the score"));
            m->score[m->n] = as_float(f.value);
        } else if (f.number == 3) {
            BT_TRY(must_be(&f, 0, "the type"));
            BT_FAIL_IF(f.value < 1 || f.value > 6, FORMAT, "the type is %llu, must be from 1 to 6",
                       (unsigned long long)f.value);
            m->type[m->n] = (int32_t)f.value;
        }
    }
    BT_FAIL_IF(!has_text || m->piece[m->n].len == 0, FORMAT, "there is no text");
    bool spaced = memchr(m->piece[m->n].text, ' ',
                         m->piece[m->n].len); // as the library: such a piece never matches,
    if (spaced && m->type[m->n] == BT_PIECE_USER)
        m->type[m->n] = BT_PIECE_NORMAL; // for text has U+2581 by then
    m->n++;
    return BT_OK;
}

static bt_status parse_trainer(model *m, wire w)
{
    while (w.at < w.end) {
        field f;
        BT_TRY(read_field(&w, &f));
        if (f.type != 0) continue;
        if (f.number == 3) m->model_type = (int64_t)f.value;
        if (f.number == 24) BT_FAIL_IF(f.value, UNSUPPORTED, "treat_whitespace_as_suffix");
        if (f.number == 35) m->byte_fallback = f.value;
        if (f.number == 40) m->spec.unk = (int32_t)f.value;
        if (f.number == 41) m->spec.bos = (int32_t)f.value;
        if (f.number == 42) m->spec.eos = (int32_t)f.value;
        if (f.number == 43) m->spec.pad = (int32_t)f.value;
    }
    return BT_OK;
}

static bt_status parse_normalizer(model *m, wire w)
{
    while (w.at < w.end) {
        field f;
        BT_TRY(read_field(&w, &f));
        if (f.number == 2) {
            BT_TRY(must_be(&f, 2, "precompiled_charsmap"));
            m->spec.charsmap = f.bytes.at;
            m->spec.charsmap_len = f.value;
        }
        if (f.type != 0) continue;
        if (f.number == 3) m->spec.add_space_prefix = f.value != 0;
        if (f.number == 4) m->spec.remove_extra_whitespaces = f.value != 0;
        if (f.number == 5) BT_FAIL_IF(!f.value, UNSUPPORTED, "escape_whitespaces is false");
    }
    return BT_OK;
}

static bt_status parse_denormalizer(wire w)
{
    while (w.at < w.end) {
        field f;
        BT_TRY(read_field(&w, &f));
        BT_FAIL_IF(f.number == 2 && f.type == 2 && f.value, UNSUPPORTED, "a denormalizer");
    }
    return BT_OK;
}

static bt_status noted(bt_status st, const char *what)
{
    if (st) bt_fail_note("%s", what);
    return st;
}

static bt_status parse_model(model *m, wire w)
{
    while (w.at < w.end) {
        field f;
        BT_TRY(read_field(&w, &f));
        if (f.number < 1 || f.number > 5) continue;
        BT_TRY(must_be(&f, 2, "a part of the model"));
        bt_status st = BT_OK;
        switch (f.number) {
        case 1:
            st = parse_piece(m, f.bytes);
            if (st) bt_fail_note("piece %d", m->n);
            break;
        case 2:
            st = noted(parse_trainer(m, f.bytes), "trainer_spec");
            break;
        case 3:
            st = noted(parse_normalizer(m, f.bytes), "normalizer_spec");
            break;
        case 5:
            st = noted(parse_denormalizer(f.bytes), "denormalizer_spec");
            break;
        default:
            break; // 4: the file's self-test samples
        }
        BT_TRY(st);
    }
    return BT_OK;
}

/* How many pieces there are: field 1 at the top. */
static bt_status count_pieces(wire w, int32_t *ret_n)
{
    int32_t n = 0;
    while (w.at < w.end) {
        field f;
        BT_TRY(read_field(&w, &f));
        if (f.number == 1) n++;
        BT_FAIL_IF(n > BT_TOK_PIECE_MAX, LIMIT, "more than %d pieces", BT_TOK_PIECE_MAX);
    }
    BT_FAIL_IF(n == 0, FORMAT, "there are no pieces: this is not a SentencePiece model");
    *ret_n = n;
    return BT_OK;
}

/* A role counts only when its piece is a control piece (unk: the unknown piece). */
static bt_status check_role(const model *m, int32_t *id, int32_t type, const char *name)
{
    BT_FAIL_IF(*id < -1 || *id >= m->n, FORMAT, "trainer_spec: %s is %d, must be from -1 to %d",
               name, *id, m->n - 1);
    if (*id >= 0 && m->type[*id] != type) *id = -1;
    return BT_OK;
}

static bt_status check_model(model *m)
{
    int n_unk = 0, n_byte = 0;
    BT_FAIL_IF(m->model_type != 1 && m->model_type != 2, UNSUPPORTED,
               "trainer_spec: model_type is %lld, must be 1 (unigram) or 2 (BPE)",
               (long long)m->model_type);
    for (int32_t i = 0; i < m->n; i++) {
        n_unk += m->type[i] == BT_PIECE_UNKNOWN;
        n_byte += m->type[i] == BT_PIECE_BYTE;
    }
    BT_FAIL_IF(n_unk != 1, FORMAT, "%d pieces of type unknown, must be 1", n_unk);
    BT_FAIL_IF(n_byte && n_byte != 256, FORMAT, "%d byte pieces, must be 256 or none", n_byte);
    BT_FAIL_IF(m->byte_fallback && !n_byte, FORMAT, "byte_fallback without byte pieces");
    BT_TRY(check_role(m, &m->spec.unk, BT_PIECE_UNKNOWN, "unk_id"));
    BT_TRY(check_role(m, &m->spec.bos, BT_PIECE_CONTROL, "bos_id"));
    BT_TRY(check_role(m, &m->spec.eos, BT_PIECE_CONTROL, "eos_id"));
    return check_role(m, &m->spec.pad, BT_PIECE_CONTROL, "pad_id");
}

/* ---- tokens that the directory adds ---- */

/* How many ids there are with the added ones; files leave gaps, but no large ones. */
static bt_status count_ids(int32_t n_piece, const bt_hf_added *added, int32_t *ret_n)
{
    int32_t n = n_piece;
    for (int32_t i = 0; i < added->n; i++) {
        int32_t id = added->token[i].id;
        BT_FAIL_IF(id >= n_piece + added->n + GAP_MAX || id >= BT_TOK_PIECE_MAX, FORMAT,
                   "added token '%.*s' has id %d, but the model has %d pieces",
                   (int)added->token[i].text.len, added->token[i].text.text, id, n_piece);
        if (id >= n) n = id + 1;
    }
    *ret_n = n;
    return BT_OK;
}

/* A token's spelling as a piece: user pieces are matched in text that has U+2581 for a space. */
static bt_status keep_piece(model *m, const bt_added *a, bt_slice *ret)
{
    char *text;
    size_t n = 0;
    BT_TRY(bt_arena_array(m->arena, 3 * a->text.len, 1, (void **)&text));
    for (size_t i = 0; i < a->text.len; i++) {
        bool mark = !a->special && a->text.text[i] == ' ';
        memcpy(text + n, mark ? "\xE2\x96\x81" : &a->text.text[i], mark ? 3 : 1);
        n += mark ? 3 : 1;
    }
    *ret = (bt_slice){text, n};
    return BT_OK;
}

/* Over a piece of the model: one of its own tokens said again, or a placeholder put to use. */
static bt_status put_added(model *m, const bt_added *a)
{
    bt_slice text, *old = &m->piece[a->id];
    int32_t *type = &m->type[a->id];
    BT_FAIL_IF(a->text.len == 0 || a->text.len > BT_PIECE_BYTES_MAX, FORMAT,
               "added token %d has %zu bytes, must be from 1 to %d", a->id, a->text.len,
               BT_PIECE_BYTES_MAX);
    BT_TRY(keep_piece(m, a, &text));
    bool same = old->len == text.len && !memcmp(old->text, text.text, text.len);
    bool fixed = *type == BT_PIECE_UNKNOWN || *type == BT_PIECE_BYTE;
    BT_FAIL_IF(fixed && !same, FORMAT, "added token '%.*s' has id %d, which is the model's '%.*s'",
               (int)a->text.len, a->text.text, a->id, (int)old->len, old->text);
    *old = text;
    if (fixed || (same && *type == BT_PIECE_CONTROL)) return BT_OK;
    *type = a->special ? BT_PIECE_CONTROL : BT_PIECE_USER;
    return BT_OK;
}

/* Ids past the model's that nothing names stay without a text. Their score is below all others. */
static bt_status add_tokens(model *m, const bt_hf_added *added, int32_t n_id)
{
    float lowest = 0;
    for (int32_t i = 0; i < m->n; i++)
        if (m->score[i] < lowest) lowest = m->score[i];
    for (int32_t i = m->n; i < n_id; i++) {
        m->piece[i] = (bt_slice){"", 0};
        m->type[i] = BT_PIECE_UNUSED;
        m->score[i] = lowest - 1;
    }
    m->n = n_id;
    for (int32_t i = 0; i < added->n; i++) {
        bt_status st = put_added(m, &added->token[i]);
        if (st) bt_fail_note("added tokens");
        BT_TRY(st);
    }
    return BT_OK;
}

/* ---- the whole ---- */

static bt_status parse_all(model *m, wire w, const bt_hf_config *config)
{
    bt_hf_added added = {0};
    int32_t n;
    if (config) BT_TRY(bt_hf_config_added(config, m->arena, &added));
    BT_TRY(count_pieces(w, &n));
    BT_TRY(count_ids(n, &added, &n));
    BT_TRY(bt_arena_array(m->arena, (size_t)n, sizeof *m->piece, (void **)&m->piece));
    BT_TRY(bt_arena_array(m->arena, (size_t)n, sizeof *m->score, (void **)&m->score));
    BT_TRY(bt_arena_array(m->arena, (size_t)n, sizeof *m->type, (void **)&m->type));
    BT_TRY(parse_model(m, w));
    BT_TRY(check_model(m));
    BT_TRY(add_tokens(m, &added, n));
    m->spec.kind = m->model_type == 1 ? BT_VOCAB_UNIGRAM : BT_VOCAB_SPM;
    m->spec.n_piece = m->n;
    m->spec.piece = m->piece;
    m->spec.score = m->score;
    m->spec.type = m->type;
    return BT_OK;
}

static bt_status read_spec(const uint8_t *bytes, size_t len, const bt_hf_config *config,
                           bt_arena *arena, bt_vocab_spec *ret)
{
    model m = {.arena = arena, .model_type = 1, .spec = bt_vocab_spec_empty()};
    m.spec.unk = 0, m.spec.bos = 1, m.spec.eos = 2; // the proto's defaults
    m.spec.add_space_prefix = m.spec.remove_extra_whitespaces = 1;
    BT_TRY(parse_all(&m, (wire){bytes, bytes + len}, config));
    *ret = m.spec;
    return BT_OK;
}

bt_status bt_spmodel_parse(const uint8_t *bytes, size_t len, const bt_hf_config *config,
                           bt_tokenizer **ret)
{
    bt_arena arena;
    bt_vocab_spec spec;
    bt_arena_init(&arena, BT_MEM_TEXT);
    bt_status st = read_spec(bytes, len, config, &arena, &spec);
    if (!st) st = bt_tokenizer_new(&spec, ret);
    bt_arena_done(&arena);
    return st;
}

bt_status bt_spmodel_open(bt_spmodel *m, const char *dir)
{
    bt_hf_config config;
    bt_buf path = {0};
    *m = (bt_spmodel){0};
    bt_status st = bt_hf_config_open(&config, dir);
    BT_TRY(st);
    bt_arena_init(&m->arena, BT_MEM_TEXT);
    if (!(st = bt_path_join(&path, dir, "tokenizer.model")) &&
        !(st = bt_file_map(&m->file, path.data)))
        st = m->file.len > SP_BYTES_MAX
                 ? bt_fail(BT_LIMIT, "%zu bytes, at most %d", m->file.len, SP_BYTES_MAX)
                 : read_spec(m->file.bytes, m->file.len, &config, &m->arena, &m->spec);
    bt_buf_done(&path);
    bt_hf_config_close(&config);
    if (st) bt_spmodel_close(m);
    return st;
}

void bt_spmodel_close(bt_spmodel *m)
{
    bt_file_unmap(&m->file);
    bt_arena_done(&m->arena);
    *m = (bt_spmodel){0};
}
