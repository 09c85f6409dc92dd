// SPDX-License-Identifier: Apache-2.0
/* Encoding a text of two origins: what data spells stays plain. */
#include "support/support.h"
#include "text/tokenizer.h"
#include <string.h>

/* The 256 bytes as GPT-2 spells the printable ones, and three special tokens. */
static bt_tokenizer *make_tokenizer(void)
{
    static const char *const SPECIAL[] = {"<|a|>", "<|b|>", "<t>"};
    static char byte[94][2];
    static bt_slice piece[97];
    static int32_t type[97];
    for (int i = 0; i < 94; i++) {
        byte[i][0] = (char)('!' + i);
        piece[i] = (bt_slice){byte[i], 1};
        type[i] = BT_PIECE_NORMAL;
    }
    for (int i = 0; i < 3; i++) {
        piece[94 + i] = (bt_slice){SPECIAL[i], strlen(SPECIAL[i])};
        type[94 + i] = i < 2 ? BT_PIECE_CONTROL : BT_PIECE_USER;
    }
    bt_vocab_spec spec = bt_vocab_spec_empty();
    spec.kind = BT_VOCAB_BPE;
    spec.n_piece = 97;
    spec.piece = piece;
    spec.type = type;
    spec.pre = "gpt-2";
    bt_tokenizer *t;
    assert_ok(bt_tokenizer_new(&spec, &t));
    return t;
}

/* Encode `text`, in which [ and ] (not part of it) enclose data, and compare with `want`: the ids
 * of special tokens as A, B, T and every other token as a dot. */
static void check(const bt_tokenizer *t, const char *marked, const char *want)
{
    char text[128], got[128];
    bt_slice data[8];
    size_t len = 0, n_data = 0, n_id = 0;
    int32_t ids[128];
    for (const char *c = marked; *c; c++) {
        if (*c == '[')
            data[n_data].text = text + len;
        else if (*c == ']')
            data[n_data].len = (size_t)(text + len - data[n_data].text), n_data++;
        else
            text[len++] = *c;
    }
    bt_mixed_text mixed = {text, len, data, n_data};
    assert_ok(bt_tokenizer_encode_mixed(t, &mixed, ids, 128, &n_id));
    for (size_t i = 0; i < n_id; i++) got[i] = ids[i] < 94 ? '.' : "ABT"[ids[i] - 94];
    got[n_id] = 0;
    assert_string_equal(got, want);
}

static void the_templates_own_text_may_become_special_tokens(void **state)
{
    (void)state;
    bt_tokenizer *t = make_tokenizer();
    check(t, "<|a|>x<|b|>", "A.B");
    check(t, "<|a|>[xy]<|b|>[z]", "A..B.");
    check(t, "<|a|>[]<|b|>", "AB");
    bt_tokenizer_free(t);
}

static void data_never_becomes_a_special_token(void **state)
{
    (void)state;
    bt_tokenizer *t = make_tokenizer();
    check(t, "[<|a|>]", ".....");
    check(t, "<|a|>[<|a|>]<|b|>", "A.....B");
    check(t, "<|[a]|>", ".....");
    check(t, "<|a|[>]", ".....");
    check(t, "[<]|a|><|b|>", ".....B");
    check(t, "[x][<|b|>]<|b|>", "......B");
    bt_tokenizer_free(t);
}

static void words_of_the_vocabulary_stay_what_they_are_in_data(void **state)
{
    (void)state;
    bt_tokenizer *t = make_tokenizer();
    check(t, "<t>[<t>]<|a|>", "TTA");
    bt_tokenizer_free(t);
}

static void text_that_is_not_utf8_is_refused(void **state)
{
    (void)state;
    bt_tokenizer *t = make_tokenizer();
    bt_mixed_text mixed = {"ab\xff", 3, NULL, 0};
    int32_t ids[8];
    size_t n = 0;
    assert_fails(bt_tokenizer_encode_mixed(t, &mixed, ids, 8, &n), BT_FORMAT, "byte 2");
    mixed = (bt_mixed_text){"abc", 3, NULL, 0};
    assert_fails(bt_tokenizer_encode_mixed(t, &mixed, ids, 2, &n), BT_LIMIT, "3 tokens");
    assert_int_equal(n, 3);
    bt_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_templates_own_text_may_become_special_tokens),
        cmocka_unit_test(data_never_becomes_a_special_token),
        cmocka_unit_test(words_of_the_vocabulary_stay_what_they_are_in_data),
        cmocka_unit_test(text_that_is_not_utf8_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
