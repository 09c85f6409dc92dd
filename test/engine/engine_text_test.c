// SPDX-License-Identifier: Apache-2.0
/* From tokens to text: a fake model that says a set text, a byte-level tokenizer, and what stop
 * texts, cut code points, special tokens and token limits make of it. */
#include "support/fakerunner.h"
#include "support/support.h"
#include "text/tokenizer.h"
#include <stdlib.h>
#include <string.h>

enum { N_BYTE = 256, ID_EOS = N_BYTE, ID_SPECIAL, ID_HELLO, ID_HE, N_PIECE };

/* GPT-2's printable alphabet: bytes that print stand for themselves, the others for U+0100 and up.
 */
static size_t spell_byte(int byte, char *out)
{
    bool prints = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    int code = byte;
    if (!prints) {
        code = 0x100;
        for (int b = 0; b < byte; b++)
            code += !((b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE);
    }
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    out[0] = (char)(0xC0 | code >> 6);
    out[1] = (char)(0x80 | (code & 0x3F));
    return 2;
}

static bt_tokenizer *make_tokenizer(void)
{
    static char spelling[N_BYTE][2];
    bt_slice piece[N_PIECE];
    int32_t type[N_PIECE];
    for (int i = 0; i < N_BYTE; i++) {
        piece[i] = (bt_slice){spelling[i], spell_byte(i, spelling[i])};
        type[i] = BT_PIECE_NORMAL;
    }
    piece[ID_EOS] = (bt_slice){"<eos>", 5};
    piece[ID_SPECIAL] = (bt_slice){"<tool>", 6};
    piece[ID_HELLO] = (bt_slice){"Hello", 5};
    type[ID_EOS] = type[ID_SPECIAL] = BT_PIECE_CONTROL;
    piece[ID_HE] = (bt_slice){"He", 2}; // what the one merge a vocabulary must have makes
    type[ID_HELLO] = type[ID_HE] = BT_PIECE_NORMAL;
    bt_slice merge = {"H e", 3};
    bt_vocab_spec spec = bt_vocab_spec_empty();
    spec.kind = BT_VOCAB_BPE;
    spec.n_piece = N_PIECE;
    spec.piece = piece;
    spec.type = type;
    spec.merge = &merge;
    spec.n_merge = 1;
    spec.eos = ID_EOS;
    spec.pre = "gpt-2";
    bt_tokenizer *t;
    assert_ok(bt_tokenizer_new(&spec, &t));
    return t;
}

/* What the model says: a byte a token, "\1" for the special token, "\2" for "Hello", then the end.
 */
static int32_t say(void *ctx, const int32_t *ids, int32_t n)
{
    const char *text = ctx;
    (void)ids;
    size_t at = (size_t)n - 1; // every prompt here is one token
    if (at >= strlen(text)) return ID_EOS;
    return text[at] == 1 ? ID_SPECIAL : text[at] == 2 ? ID_HELLO : (unsigned char)text[at];
}

typedef struct scene {
    const char *says;
    bt_request_params params;
    const char *want;
    bt_finish finish;
    int32_t n; // tokens handed out; -1: not looked at
} scene;

static const int32_t prompt[] = {'x'};

static scene scene_of(const char *says, const char *want, bt_finish finish, int32_t n)
{
    scene s = {.says = says, .want = want, .finish = finish, .n = n};
    bt_request_defaults(&s.params);
    s.params.ids = prompt;
    s.params.n_id = 1;
    return s;
}

/* Play a scene; every event's text must be whole code points. */
static void play(const scene *s)
{
    bt_tokenizer *tokenizer = make_tokenizer();
    fake_runner fake = {.n_vocab = N_PIECE + 3, .script = say, .script_ctx = (void *)s->says};
    bt_engine *engine;
    assert_ok(fake_open(&(bt_engine_config){.n_ctx = 200}, &fake, tokenizer, -1, &engine));
    static fake_job job;
    job.params = s->params;
    fake_job_reset(&job);
    fake_run(engine, &job, 1);
    job.text[job.text_len] = 0;
    assert_string_equal(job.text, s->want);
    assert_int_equal(job.finish, s->finish);
    if (s->n >= 0) assert_int_equal(job.n, s->n);
    bt_engine_close(engine);
    bt_tokenizer_free(tokenizer);
}

static void with_stop(scene *s, const char *const *stop, int32_t n)
{
    s->params.stop = stop;
    s->params.n_stop = n;
}

static void a_text_comes_out_as_it_was_said(void **state)
{
    (void)state;
    scene s = scene_of("A red fox.", "A red fox.", BT_FINISH_STOP, 10);
    play(&s);
    s = scene_of("\2, world", "Hello, world", BT_FINISH_STOP, 8);
    play(&s);
    s = scene_of("", "", BT_FINISH_STOP, 0);
    play(&s);
}

static void cut_code_points_come_whole_or_as_a_replacement(void **state)
{
    (void)state;
    scene s = scene_of("5 \xe2\x82\xac \xf0\x9f\xa6\x8a!", "5 \xe2\x82\xac \xf0\x9f\xa6\x8a!",
                       BT_FINISH_STOP, 11);
    play(&s);
    s = scene_of("a\xe2\x82", "a\xef\xbf\xbd", BT_FINISH_STOP, 3); // ends inside one
    play(&s);
    s = scene_of("a\xe2\x82\xac", "a\xef\xbf\xbd", BT_FINISH_LENGTH, 3); // so does the limit
    s.params.max_tokens = 3;
    play(&s);
    s = scene_of("a\xff"
                 "b",
                 "a\xef\xbf\xbd"
                 "b",
                 BT_FINISH_STOP, 3);
    play(&s);
}

static void special_tokens_are_silent_unless_asked_for(void **state)
{
    (void)state;
    scene s = scene_of("a\1b", "ab", BT_FINISH_STOP, 3);
    play(&s);
    s = scene_of("a\1b", "a<tool>b", BT_FINISH_STOP, 3);
    s.params.special_text = true;
    play(&s);
}

static void stop_texts_end_the_text_before_them(void **state)
{
    (void)state;
    scene s = scene_of("one\n\nUser: two", "one", BT_FINISH_STOP, 10);
    with_stop(&s, (const char *[]){"\n\nUser:", "###"}, 2);
    play(&s);
    s = scene_of("one\n\nUse", "one\n\nUse", BT_FINISH_STOP, 8); // held back, let out at the end
    with_stop(&s, (const char *[]){"\n\nUser:"}, 1);
    play(&s);
    s = scene_of("one\n\nUser", "one\n\nUse", BT_FINISH_LENGTH,
                 8); // also when the limit comes first
    with_stop(&s, (const char *[]){"\n\nUser"}, 1);
    s.params.max_tokens = 8;
    play(&s);
    s = scene_of("say \2", "say ", BT_FINISH_STOP, 5); // inside one token
    with_stop(&s, (const char *[]){"Hell"}, 1);
    play(&s);
    s = scene_of("5 \xe2\x82\xac.", "5 ", BT_FINISH_STOP, 5); // of bytes that come one by one
    with_stop(&s, (const char *[]){"\xe2\x82\xac"}, 1);
    play(&s);
    s = scene_of("aaab", "a", BT_FINISH_STOP, 4);
    with_stop(&s, (const char *[]){"aab"}, 1);
    play(&s);
    s = scene_of("a\xe2\x82", "a", BT_FINISH_STOP,
                 3); // the replacement of a cut code point, at the end
    with_stop(&s, (const char *[]){"\xef\xbf\xbd"}, 1);
    play(&s);
}

static void nothing_ends_before_min_tokens(void **state)
{
    (void)state;
    scene s = scene_of("stop stop", "stop ", BT_FINISH_STOP, 9);
    with_stop(&s, (const char *[]){"stop"}, 1);
    s.params.min_tokens = 5;
    play(&s);
    s = scene_of("stop stop", "", BT_FINISH_STOP, 4);
    with_stop(&s, (const char *[]){"stop"}, 1);
    s.params.min_tokens = 4;
    play(&s);
}

static void stop_texts_that_are_no_text_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } bad[] = {{"", "stop[0] has 0 bytes"},
               {"a\xff", "stop[0] is not UTF-8 at byte 1"},
               {NULL, "stop[0] is NULL"}};
    bt_tokenizer *tokenizer = make_tokenizer();
    fake_runner fake = {.n_vocab = N_PIECE};
    bt_engine *engine;
    bt_request *r;
    assert_ok(fake_open(&(bt_engine_config){.n_ctx = 200}, &fake, tokenizer, -1, &engine));
    scene s = scene_of("", "", BT_FINISH_STOP, 0);
    for (int i = 0; i < 3; i++) {
        with_stop(&s, &bad[i].text, 1);
        assert_fails(bt_engine_submit(engine, &s.params, &r), BT_INVALID, bad[i].part);
    }
    char text[300];
    memset(text, 'a', 299);
    text[257] = 0;
    with_stop(&s, (const char *[]){text}, 1);
    assert_fails(bt_engine_submit(engine, &s.params, &r), BT_INVALID,
                 "stop[0] has at least 257 bytes");
    text[256] = 0;
    assert_ok(bt_engine_submit(engine, &s.params, &r));
    bt_request_free(r);
    bt_engine_close(engine);
    bt_tokenizer_free(tokenizer);
}

/* A long text through a ring that is read late: nothing is lost, nothing doubled. */
static void text_survives_a_slow_reader(void **state)
{
    (void)state;
    bt_tokenizer *tokenizer = make_tokenizer();
    char says[181];
    for (int i = 0; i < 180; i++) says[i] = i % 3 ? (char)('a' + i % 26) : 2;
    says[180] = 0;
    fake_runner fake = {.n_vocab = N_PIECE, .script = say, .script_ctx = says};
    bt_engine *engine;
    assert_ok(fake_open(&(bt_engine_config){.n_ctx = 200}, &fake, tokenizer, -1, &engine));
    scene s = scene_of(says, "", BT_FINISH_STOP, 0);
    static fake_job job;
    job.params = s.params;
    fake_job_reset(&job);
    assert_ok(bt_engine_submit(engine, &job.params, &job.request));
    int32_t n_alive = 1;
    for (int i = 1; n_alive > 0; i++) {
        assert_ok(bt_engine_step(engine, &n_alive));
        if (i % 100 == 0) fake_job_read(&job);
    }
    fake_job_read(&job);
    assert_int_equal(job.n, 180);
    size_t at = 0;
    for (int i = 0; i < 180; i++) {
        const char *want = i % 3 ? (const char[]){says[i], 0} : "Hello";
        assert_memory_equal(job.text + at, want, strlen(want));
        at += strlen(want);
    }
    assert_int_equal(job.text_len, at);
    bt_request_free(job.request);
    bt_engine_close(engine);
    bt_tokenizer_free(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_comes_out_as_it_was_said),
        cmocka_unit_test(cut_code_points_come_whole_or_as_a_replacement),
        cmocka_unit_test(special_tokens_are_silent_unless_asked_for),
        cmocka_unit_test(stop_texts_end_the_text_before_them),
        cmocka_unit_test(nothing_ends_before_min_tokens),
        cmocka_unit_test(stop_texts_that_are_no_text_are_refused),
        cmocka_unit_test(text_survives_a_slow_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
