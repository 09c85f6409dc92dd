// SPDX-License-Identifier: Apache-2.0
/* What holds for every text: the way back, bytes that are no UTF-8, long words, special tokens,
 * streaming, memory that runs out, several threads. On the small tokenizers of
 * test/golden/tokenizer. */
#include "support/support.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "baton/tokenizer.h"
#include "text/pretok.h"
#include "text/tokenizer.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ID_MAX = 8192 };

static bt_tokenizer *open_golden(const char *name)
{
    char path[100];
    bt_tokenizer *t = NULL;
    snprintf(path, sizeof path, "test/golden/tokenizer/%s", name);
    assert_ok(bt_tokenizer_open(test_path(path), &t));
    return t;
}

static size_t encode(const bt_tokenizer *t, const char *text, size_t len, unsigned flags,
                     int32_t *ids)
{
    size_t n = 0;
    assert_ok(bt_tokenizer_encode(t, text, len, flags, ids, ID_MAX, &n));
    for (size_t i = 0; i < n; i++) assert_in_range(ids[i], 0, bt_tokenizer_n_vocab(t) - 1);
    return n;
}

static void decode(const bt_tokenizer *t, const int32_t *ids, size_t n, bt_buf *out)
{
    bt_detok d;
    const char *text;
    size_t len;
    bt_buf_clear(out);
    bt_detok_init(&d, t, BT_DETOK_SPECIAL | BT_DETOK_CONTINUE);
    for (size_t i = 0; i <= n; i++) {
        if (i < n)
            assert_ok(bt_detok_push(&d, ids[i], &text, &len));
        else
            assert_ok(bt_detok_flush(&d, &text, &len));
        for (size_t k = 0, m; k < len; k += m) // whole code points only
            assert_true((m = bt_utf8_valid_len(text + k, len - k)) > 0);
        assert_ok(bt_buf_add(out, text, len));
    }
}

static size_t random_text(test_rng *rng, char *out)
{
    size_t n = 0;
    for (int64_t i = test_range(rng, 0, 40); i > 0; i--) {
        static const uint32_t top[] = {0x7F, 0x7F, 0x7F, 0x7FF, 0xD7FF, 0x10FFFF};
        uint32_t c = (uint32_t)test_range(rng, 0, top[test_range(rng, 0, 5)]);
        if (c >= 0xD800 && c < 0xE000) c = 0xFFFD;
        n += bt_utf8_encode(c, out + n);
    }
    return n;
}

static void decoding_undoes_encoding_for_byte_level_bpe(void **state)
{
    (void)state;
    static const char *const names[] = {"llama3.json", "o200k.json", "deepseek_v3.json",
                                        "deepseek_coder.json", "behaviours.json"};
    test_rng rng = {1};
    bt_buf out = {0};
    int32_t ids[ID_MAX];
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        bt_tokenizer *t = open_golden(names[k]);
        for (int i = 0; i < 2000; i++) {
            char text[200];
            size_t len = random_text(&rng, text), n = encode(t, text, len, 0, ids);
            decode(t, ids, n, &out);
            assert_int_equal(out.len, len);
            if (len) assert_memory_equal(out.data, text, len);
        }
        bt_tokenizer_free(t);
    }
    bt_buf_done(&out);
}

/* The raw bytes of the pieces are the text, byte for byte, whatever the bytes are. */
static void any_bytes_go_through_byte_level_bpe(void **state)
{
    (void)state;
    bt_tokenizer *t = open_golden("llama3.json");
    test_rng rng = {2};
    int32_t ids[ID_MAX];
    for (int i = 0; i < 3000; i++) {
        char text[64];
        size_t len = (size_t)test_range(&rng, 0, 64), at = 0, n_piece;
        for (size_t k = 0; k < len; k++)
            text[k] = (char)(test_range(&rng, 0, 2) ? test_range(&rng, 0, 255)
                                                    : test_range(&rng, 32, 122));
        size_t n = encode(t, text, len, 0, ids);
        for (size_t k = 0; k < n; k++) {
            const char *piece = bt_tokenizer_piece(t, ids[k], &n_piece);
            assert_true(at + n_piece <= len);
            assert_memory_equal(piece, text + at, n_piece);
            at += n_piece;
        }
        assert_int_equal(at, len);
    }
    bt_tokenizer_free(t);
}

static void malformed_utf8_becomes_replacement_characters_elsewhere(void **state)
{
    (void)state;
    static const char *const names[] = {"llama2.json",   "mistral.json",     "words.json",
                                        "lower.json",    "unigram.json",     "unigram_bytes.json",
                                        "spm_bpe.model", "spm_unused.model", "spm_unigram.model"};
    test_rng rng = {3};
    int32_t ids[ID_MAX], same[ID_MAX];
    bt_buf out = {0};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        bt_tokenizer *t = open_golden(names[k]);
        size_t n = encode(t, "a\xFF z", 4, 0, ids), m = encode(t, "a\xEF\xBF\xBD z", 6, 0, same);
        assert_int_equal(n, m);
        assert_memory_equal(ids, same, n * sizeof *ids);
        for (int i = 0; i < 500; i++) {
            char text[48];
            for (size_t j = 0; j < sizeof text; j++) text[j] = (char)test_u64(&rng);
            n = encode(t, text, (size_t)test_range(&rng, 0, sizeof text),
                       BT_ENCODE_SPECIAL | BT_ENCODE_BOS, ids);
            decode(t, ids, n, &out);
        }
        bt_tokenizer_free(t);
    }
    bt_buf_done(&out);
}

static void user_text_never_becomes_a_special_token(void **state)
{
    (void)state;
    static const char *const names[] = {"llama3.json",      "qwen2.json",   "llama2.json",
                                        "mistral.json",     "unigram.json", "spm_bpe.model",
                                        "spm_unigram.model"};
    int32_t ids[ID_MAX];
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        bt_tokenizer *t = open_golden(names[k]);
        int32_t eot = bt_tokenizer_find(t, "<|eot|>", 7);
        assert_true(eot >= 0 && bt_tokenizer_is_special(t, eot));
        int n_special = 0;
        size_t n = encode(t, "a<|eot|>b<s></s>", 16, 0, ids);
        for (size_t i = 0; i < n; i++)
            if (ids[i] != bt_tokenizer_unk(t)) n_special += bt_tokenizer_is_special(t, ids[i]);
        assert_int_equal(n_special, 0);
        n = encode(t, "a<|eot|>b", 9, BT_ENCODE_SPECIAL, ids);
        for (size_t i = 0; i < n; i++) n_special += ids[i] == eot;
        assert_int_equal(n_special, 1);
        bt_tokenizer_free(t);
    }
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Quadratic time would be minutes. */
static void a_word_of_a_megabyte_takes_no_quadratic_time(void **state)
{
    (void)state;
    static const char *const names[] = {"llama3.json",  "o200k.json",    "deepseek_coder.json",
                                        "llama2.json",  "spm_bpe.model", "spm_raw.model",
                                        "unigram.json", "lower.json"};
    static const char *const units[] = {"a", " ", "\n", "ab", "\xCC\x81", "\xE2\x96\x81"};
    enum { LEN = 1 << 20 };
    char *text = malloc(LEN);
    int32_t *ids = malloc(4 * LEN * sizeof *ids);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        bt_tokenizer *t = open_golden(names[k]);
        for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
            size_t n, len = k < 2 || u == 4 ? LEN : LEN / 8;
            for (size_t i = 0; i < len; i++) text[i] = units[u][i % strlen(units[u])];
            text[len - 1] = 'x';
            double start = cpu_seconds();
            assert_ok(bt_tokenizer_encode(t, text, len, 0, ids, 4 * LEN, &n));
            assert_true(cpu_seconds() - start < 10);
            assert_true(n > 0);
        }
        bt_tokenizer_free(t);
    }
    free(text);
    free(ids);
}

static void too_little_room_says_how_much_is_needed(void **state)
{
    (void)state;
    bt_tokenizer *t = open_golden("llama3.json");
    int32_t all[16], some[2];
    size_t n = 0, m = 0;
    assert_ok(bt_tokenizer_encode(t, "the walk, 12", 12, BT_ENCODE_BOS, all, 16, &n));
    assert_fails(bt_tokenizer_encode(t, "the walk, 12", 12, BT_ENCODE_BOS, some, 2, &m), BT_LIMIT,
                 "room for 2");
    assert_int_equal(m, n);
    assert_memory_equal(some, all, sizeof some);
    m = 0;
    assert_fails(bt_tokenizer_encode(t, "x", 1, 0, NULL, 0, &m), BT_LIMIT, "room for 0");
    assert_int_equal(m, 1);
    assert_fails(bt_tokenizer_encode(t, "x", 1, 64, all, 16, &m), BT_INVALID, "flags");
    bt_tokenizer_free(t);
}

static void a_stream_never_shows_half_a_code_point(void **state)
{
    (void)state;
    bt_tokenizer *t = open_golden("llama3.json");
    bt_detok d;
    const char *text;
    size_t len;
    bt_detok_init(&d, t, 0);
    static const unsigned char bytes[] = {0xF0, 0x9F, 0xA6, 0x99, 'x', 0xE2,
                                          0x82, 'y',  0xFF, 0xE2, 0x82};
    static const char *const want[] = {
        "", "", "", "\xF0\x9F\xA6\x99", "x", "", "", "\xEF\xBF\xBDy", "\xEF\xBF\xBD", "", ""};
    for (size_t i = 0; i < sizeof bytes; i++) {
        int32_t id = bt_tokenizer_find(t, (const char[]){(char)bytes[i]}, 1);
        assert_ok(bt_detok_push(&d, id, &text, &len));
        assert_string_equal(text, want[i]);
        assert_int_equal(len, strlen(want[i]));
    }
    assert_ok(bt_detok_flush(&d, &text, &len));
    assert_string_equal(text, "\xEF\xBF\xBD");
    assert_ok(bt_detok_flush(&d, &text, &len));
    assert_string_equal(text, "");
    assert_fails(bt_detok_push(&d, -1, &text, &len), BT_INVALID, "token -1");
    assert_fails(bt_detok_push(&d, bt_tokenizer_n_vocab(t), &text, &len), BT_INVALID,
                 "must be from 0");
    bt_tokenizer_free(t);
}

static void special_tokens_are_printed_only_on_request(void **state)
{
    (void)state;
    bt_tokenizer *t = open_golden("llama3.json");
    int32_t eot = bt_tokenizer_find(t, "<|eot|>", 7);
    bt_detok d;
    const char *text;
    size_t len;
    bt_detok_init(&d, t, 0);
    assert_ok(bt_detok_push(&d, eot, &text, &len));
    assert_string_equal(text, "");
    bt_detok_init(&d, t, BT_DETOK_SPECIAL);
    assert_ok(bt_detok_push(&d, eot, &text, &len));
    assert_string_equal(text, "<|eot|>");
    assert_true(bt_tokenizer_is_eog(t, eot));
    assert_int_equal(bt_tokenizer_bos(t), bt_tokenizer_find(t, "<s>", 3));
    bt_tokenizer_free(t);
}

static void the_first_space_goes_unless_the_text_goes_on(void **state)
{
    (void)state;
    bt_tokenizer *t = open_golden("spm_bpe.model");
    int32_t ids[8];
    bt_detok d;
    const char *text;
    size_t len, n = encode(t, "the", 3, 0, ids);
    assert_int_equal(n, 1);
    bt_detok_init(&d, t, 0);
    assert_ok(bt_detok_push(&d, ids[0], &text, &len));
    assert_string_equal(text, "the");
    assert_ok(bt_detok_push(&d, ids[0], &text, &len));
    assert_string_equal(text, " the");
    bt_detok_init(&d, t, BT_DETOK_CONTINUE);
    assert_ok(bt_detok_push(&d, ids[0], &text, &len));
    assert_string_equal(text, " the");
    assert_int_equal(bt_tokenizer_find(t, " the", 4), ids[0]);
    assert_int_equal(bt_tokenizer_find(t, "no such piece", 13), -1);
    assert_string_equal(bt_tokenizer_piece(t, -5, &len), "");
    bt_tokenizer_free(t);
}

/* Every allocation of opening and of encoding fails once: a status comes back, nothing leaks
 * (ASan). */
static void running_out_of_memory_is_a_status(void **state)
{
    (void)state;
    static const char *const names[] = {"qwen2.json", "unigram.json", "spm_unused.model",
                                        "behaviours.json"};
    static const char text[] = "The e\xCC\x81 keeper's 12  <|eot|>\xFF walk and and and the walk "
                               "the walk the walk the walk";
    int32_t ids[ID_MAX];
    size_t n;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        bt_tokenizer *t = NULL;
        char path[100];
        bt_status st = BT_NOMEM;
        snprintf(path, sizeof path, "test/golden/tokenizer/%s", names[k]);
        int i = 1;
        for (; st; i++) {
            bt_mem_fail_nth((uint64_t)i);
            st = bt_tokenizer_open(test_path(path), &t);
            bt_mem_fail_nth(0);
            assert_true(st == BT_OK || st == BT_NOMEM);
        }
        assert_true(i > 10);
        for (i = 1, st = BT_NOMEM; st; i++) {
            bt_mem_fail_nth((uint64_t)i);
            st = bt_tokenizer_encode(t, text, sizeof text - 1, 3, ids, ID_MAX, &n);
            bt_mem_fail_nth(0);
            if (st != BT_OK && st != BT_NOMEM) fail_msg("allocation %d: %s", i, bt_error_message());
        }
        assert_true(i > 1);
        bt_tokenizer_free(t);
    }
}

static void *encode_often(void *arg)
{
    const bt_tokenizer *t = arg;
    int32_t first[ID_MAX], ids[ID_MAX];
    static const char text[] = "The keeper's daughter counted 12 ships, naïve café e\xCC\x81!";
    size_t want = 0, n = 0;
    if (bt_tokenizer_encode(t, text, sizeof text - 1, 0, first, ID_MAX, &want)) return NULL;
    for (int i = 0; i < 200; i++)
        if (bt_tokenizer_encode(t, text, sizeof text - 1, 0, ids, ID_MAX, &n) || n != want ||
            memcmp(ids, first, n * sizeof *ids))
            return NULL;
    return arg;
}

static void threads_may_share_a_tokenizer(void **state)
{
    (void)state;
    bt_tokenizer *t = open_golden("qwen2.json");
    pthread_t thread[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, encode_often, t), 0);
    for (int i = 0; i < 4; i++) {
        void *result = NULL;
        pthread_join(thread[i], &result);
        assert_ptr_equal(result, t);
    }
    bt_tokenizer_free(t);
}

/* Single bytes in GPT-2's alphabet, enough for a tokenizer with any pre-tokenizer. */
static void every_named_pre_tokenizer_cuts_text(void **state)
{
    (void)state;
    char text[256][4];
    bt_slice piece[257];
    int32_t n = 0, type[257], ids[ID_MAX];
    for (int b = 0, next = 0x100; b < 256; b++) {
        bool plain = (b > 0x20 && b < 0x7F) || (b > 0xA0 && b != 0xAD);
        piece[n++] = (bt_slice){text[b], bt_utf8_encode((uint32_t)(plain ? b : next++), text[b])};
    }
    piece[n++] = (bt_slice){"<eos>", 5};
    for (int i = 0; i < n; i++) type[i] = i < 256 ? BT_PIECE_NORMAL : BT_PIECE_CONTROL;
    bt_vocab_spec spec = bt_vocab_spec_empty();
    spec.n_piece = n, spec.piece = piece, spec.type = type, spec.merge = piece, spec.eos = 256;
    for (size_t i = 0; bt_prename_at(i); i++) {
        bt_tokenizer *t = NULL;
        spec.pre = bt_prename_at(i)->name;
        assert_ok(bt_tokenizer_new(&spec, &t));
        assert_int_equal(encode(t, "I'LL  go\n\n 1234 \xE6\x98\xA5!?\t", 21, 0, ids), 21);
        assert_int_equal(ids[0], 'I');
        bt_tokenizer_free(t);
    }
    bt_tokenizer *t = NULL;
    spec.pre = "no-such";
    assert_fails(bt_tokenizer_new(&spec, &t), BT_UNSUPPORTED, "'no-such' is not known");
    assert_null(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoding_undoes_encoding_for_byte_level_bpe),
        cmocka_unit_test(any_bytes_go_through_byte_level_bpe),
        cmocka_unit_test(malformed_utf8_becomes_replacement_characters_elsewhere),
        cmocka_unit_test(user_text_never_becomes_a_special_token),
        cmocka_unit_test(a_word_of_a_megabyte_takes_no_quadratic_time),
        cmocka_unit_test(too_little_room_says_how_much_is_needed),
        cmocka_unit_test(a_stream_never_shows_half_a_code_point),
        cmocka_unit_test(special_tokens_are_printed_only_on_request),
        cmocka_unit_test(the_first_space_goes_unless_the_text_goes_on),
        cmocka_unit_test(running_out_of_memory_is_a_status),
        cmocka_unit_test(threads_may_share_a_tokenizer),
        cmocka_unit_test(every_named_pre_tokenizer_cuts_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
