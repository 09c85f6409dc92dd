// SPDX-License-Identifier: Apache-2.0
/* What becomes of a timeline on disk: the JSON is read back and its events are counted and checked,
 * the picture must be well-formed XML, and a file is there whole or not at all. */
#include "support/support.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/trace.h"
#include "base/utf8.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/baton-trace-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
    (void)state;
    return rmdir(dir); // proves that nothing was left behind
}

static const char *in_dir(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static bt_trace *new_trace(int32_t n)
{
    bt_trace *t;
    assert_ok(bt_trace_new(n, &t));
    return t;
}

static void add(bt_trace *t, int lane, const char *name, int32_t step, int64_t begin, int64_t end,
                int64_t enqueue)
{
    bt_trace_add(t, &(bt_span){begin, end, name, lane, step, enqueue, 0, 0});
}

static const char ugly[] = "a<b> & \"c\" 'd' \\ \x01\n]]> \xC3\xA9 \xFF \xEF\xBF\xBF";

/* Step 1 on two streams, step 2 on one; a bubble of 500 ns before step 2. */
static bt_trace *small_trace(void)
{
    bt_trace *t = new_trace(16);
    add(t, BT_LANE_STREAM + 1, "copy", 1, 6300, 6800, 5200);
    add(t, BT_LANE_STREAM, "gemm_a", 1, 6000, 7000, 5100);
    add(t, BT_LANE_STREAM, ugly, 1, 7000, 8000, 5150);
    add(t, BT_LANE_PLAN, "plan", 1, 4001, 5000, 0);
    add(t, BT_LANE_LAUNCH, "launch", 1, 5000, 5300, 0);
    add(t, BT_LANE_LAUNCH, "launch", 2, 7900, 8500, 0);
    add(t, BT_LANE_STREAM, "gemm_b", 2, 8500, 98765, 8400);
    return t;
}

// ---- JSON ----

static json_t *read_json(const char *path)
{
    bt_buf text = {0};
    json_t *doc;
    assert_ok(bt_file_read(path, 1 << 26, &text));
    assert_ok(bt_json_parse(text.data, text.len, &doc));
    bt_buf_done(&text);
    return doc;
}

static const char *text_of(json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));
    return text ? text : "";
}

static int64_t int_of(json_t *event, const char *key)
{
    return json_integer_value(json_object_get(event, key));
}

/* In nanoseconds. */
static int64_t time_of(json_t *event, const char *key)
{
    return (int64_t)(json_real_value(json_object_get(event, key)) * 1000 + 0.5);
}

/* The nth event of that kind on that thread, or NULL; tid 0: any. */
static json_t *find_event(json_t *doc, const char *ph, int64_t tid, int nth)
{
    size_t i;
    json_t *event;
    json_array_foreach(json_object_get(doc, "traceEvents"), i, event)
    {
        if (strcmp(text_of(event, "ph"), ph) || (tid && int_of(event, "tid") != tid)) continue;
        if (nth-- == 0) return event;
    }
    return NULL;
}

/* The thread of that name; fails where there is none. */
static int64_t tid_of(json_t *doc, const char *name)
{
    json_t *event;
    for (int i = 0; (event = find_event(doc, "M", 0, i)); i++)
        if (!strcmp(text_of(event, "name"), "thread_name") &&
            !strcmp(text_of(json_object_get(event, "args"), "name"), name))
            return int_of(event, "tid");
    fail_msg("no thread '%s'", name);
    return 0;
}

static void assert_event(json_t *event, const char *name, int64_t begin, int64_t end, int64_t step)
{
    assert_non_null(event);
    assert_string_equal(text_of(event, "name"), name);
    assert_int_equal(time_of(event, "ts"), begin - 4001);
    assert_int_equal(time_of(event, "dur"), end - begin);
    assert_int_equal(int_of(event, "pid"), 1);
    assert_int_equal(int_of(json_object_get(event, "args"), "step"), step);
}

static void spans_steps_and_bubbles_are_events(void **state)
{
    (void)state;
    bt_trace *t = small_trace();
    assert_ok(bt_trace_write_json(t, in_dir("a.json")));
    json_t *doc = read_json(in_dir("a.json"));
    int64_t s0 = tid_of(doc, "stream 0"), s1 = tid_of(doc, "stream 1");
    int64_t plan = tid_of(doc, "host: plan"), launch = tid_of(doc, "host: launch");
    int64_t steps = tid_of(doc, "steps"), idle = tid_of(doc, "device: idle");
    assert_event(find_event(doc, "X", s0, 0), "gemm_a", 6000, 7000, 1);
    assert_event(find_event(doc, "X", s0, 1),
                 "a<b> & \"c\" 'd' \\ \x01\n]]> \xC3\xA9 \xEF\xBF\xBD \xEF\xBF\xBF", 7000, 8000, 1);
    assert_event(find_event(doc, "X", s0, 2), "gemm_b", 8500, 98765, 2);
    assert_event(find_event(doc, "X", s1, 0), "copy", 6300, 6800, 1);
    assert_event(find_event(doc, "X", plan, 0), "plan", 4001, 5000, 1);
    assert_event(find_event(doc, "X", launch, 1), "launch", 7900, 8500, 2);
    assert_event(find_event(doc, "X", steps, 0), "step 1", 6000, 8000, 1);
    assert_event(find_event(doc, "X", steps, 1), "step 2", 8000, 98765, 2);
    assert_event(find_event(doc, "X", idle, 0), "host late", 8000, 8500, 2);
    json_t *args = json_object_get(find_event(doc, "X", steps, 1), "args");
    assert_int_equal(time_of(args, "host late us"), 500);
    assert_int_equal(time_of(args, "dependency us"), 0);
    assert_int_equal(time_of(args, "busy_us"), 98765 - 8500);
    assert_null(find_event(doc, "X", 0, 10));
    assert_string_equal(text_of(json_object_get(find_event(doc, "M", 0, 0), "args"), "name"),
                        "baton");
    json_decref(doc);
    bt_trace_free(t);
    unlink(in_dir("a.json"));
}

/* From the launch of each step to the first span of the step on each stream. */
static void arrows_lead_from_launch_to_device(void **state)
{
    (void)state;
    static const struct {
        int64_t from, to;
        const char *stream;
    } want[] = {{5000, 6000, "stream 0"}, {5000, 6300, "stream 1"}, {7900, 8500, "stream 0"}};
    bt_trace *t = small_trace();
    assert_ok(bt_trace_write_json(t, in_dir("b.json")));
    json_t *doc = read_json(in_dir("b.json"));
    for (int i = 0; i < 3; i++) {
        json_t *from = find_event(doc, "s", 0, i), *to = find_event(doc, "f", 0, i);
        assert_int_equal(int_of(from, "id"), i + 1);
        assert_int_equal(int_of(to, "id"), i + 1);
        assert_int_equal(time_of(from, "ts"), want[i].from - 4001);
        assert_int_equal(time_of(to, "ts"), want[i].to - 4001);
        assert_int_equal(int_of(from, "tid"), tid_of(doc, "host: launch"));
        assert_int_equal(int_of(to, "tid"), tid_of(doc, want[i].stream));
        assert_string_equal(text_of(to, "bp"), "e");
        assert_string_equal(text_of(from, "name"), text_of(to, "name"));
        assert_string_equal(text_of(from, "cat"), text_of(to, "cat"));
    }
    assert_null(find_event(doc, "s", 0, 3));
    assert_null(find_event(doc, "f", 0, 3));
    json_decref(doc);
    bt_trace_free(t);
    unlink(in_dir("b.json"));
}

static const char *ugly_name(const void *ctx, int32_t i)
{
    (void)ctx;
    return i ? NULL : ugly;
}

/* Of the node, where the device knew it: in the arguments, and in the picture's tooltips. */
static void spans_say_their_nodes_names(void **state)
{
    (void)state;
    bt_trace *t = new_trace(4);
    bt_buf text = {0};
    int32_t node = bt_trace_add_names(t, ugly_name, NULL);
    bt_trace_add(t, &(bt_span){10, 20, "gemm", BT_LANE_STREAM, 1, 5, 0, node});
    bt_trace_add(t, &(bt_span){20, 30, "attn", BT_LANE_STREAM, 1, 5, 0, 0});
    assert_ok(bt_trace_write_json(t, in_dir("n.json")));
    json_t *doc = read_json(in_dir("n.json"));
    int64_t tid = tid_of(doc, "stream 0");
    json_t *args = json_object_get(find_event(doc, "X", tid, 0), "args");
    assert_string_equal(text_of(args, "node"),
                        "a<b> & \"c\" 'd' \\ \x01\n]]> \xC3\xA9 \xEF\xBF\xBD \xEF\xBF\xBF");
    assert_null(json_object_get(json_object_get(find_event(doc, "X", tid, 1), "args"), "node"));
    json_decref(doc);
    unlink(in_dir("n.json"));
    assert_ok(bt_trace_write_svg(t, in_dir("n.svg")));
    assert_ok(bt_file_read(in_dir("n.svg"), 1 << 20, &text));
    unlink(in_dir("n.svg"));
    assert_non_null(strstr(text.data, "<title>gemm of a&#60;b&#62; &#38; \"c\""));
    assert_non_null(strstr(text.data, "<title>attn\nstream 0"));
    bt_buf_done(&text);
    bt_trace_free(t);
}

// ---- XML ----

/* What a parser would refuse in the XML that we write: tags that do not nest, attributes without
 * quotes, a bare & or <, bytes that are no text. Gives the place of the fault, or NULL. */
typedef struct xml {
    const char *at;
    const char *name[16]; // of open elements
    size_t len[16];
    int depth;
} xml;

static bool text_is_bad(const char *from, const char *to, const char *bare)
{
    for (size_t n; from < to; from += n) {
        n = bt_utf8_valid_len(from, (size_t)(to - from));
        if (!n || (n == 1 && (unsigned char)*from < 0x20 && *from != '\n')) return true;
        if (n == 3 && !memcmp(from, "\xEF\xBF\xBF", 3)) return true;
        if (strchr(bare, *from)) return true;
        if (*from != '&') continue;
        size_t digits = strspn(from + 2, "0123456789");
        if (from[1] != '#' || !digits || from[2 + digits] != ';') return true;
    }
    return false;
}

static bool tag_is_bad(xml *x)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
    bool closes = *++x->at == '/';
    if (closes) x->at++;
    const char *name = x->at;
    size_t len = strspn(name, letters);
    if (!len) return true;
    for (x->at += len; *x->at == ' ';) {
        x->at += 1 + strspn(x->at + 1, letters);
        if (x->at[0] != '=' || x->at[1] != '"') return true;
        const char *end = strchr(x->at + 2, '"');
        if (!end || text_is_bad(x->at + 2, end, "<")) return true;
        x->at = end + 1;
    }
    bool empty = *x->at == '/';
    if (empty) x->at++;
    if (*x->at++ != '>' || (closes && empty)) return true;
    if (empty) return false;
    if (!closes) {
        if (x->depth == 16) return true;
        x->name[x->depth] = name;
        x->len[x->depth++] = len;
        return false;
    }
    return x->depth-- == 0 || x->len[x->depth] != len || memcmp(x->name[x->depth], name, len);
}

static const char *find_fault(const char *text)
{
    static const char head[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    if (strncmp(text, head, strlen(head))) return text;
    xml x = {.at = text + strlen(head)};
    int n_root = 0;
    while (*x.at) {
        const char *from = x.at;
        if (*x.at == '<') {
            n_root += x.depth == 0;
            if (tag_is_bad(&x)) return from;
            continue;
        }
        x.at += strcspn(x.at, "<");
        if (text_is_bad(from, x.at, "") || (x.depth == 0 && strcmp(from, "\n"))) return from;
    }
    return x.depth || n_root != 1 ? x.at : NULL;
}

static void the_checker_sees_faults(void **state)
{
    (void)state;
    static const char *const bad[] = {"<a>",         "<a></b>",       "<a b=c/>",    "<a b=\"<\"/>",
                                      "<a>&</a>",    "<a>\x01</a>",   "<a>\xFF</a>", "x",
                                      "<a/><b/>",    "<a></a></a>",   "<a b=\"/>",   "<a>< b</a>",
                                      "<a>&#x;</a>", "<a><b></a></b>"};
    char text[128];
    for (size_t i = 0; i <= sizeof bad / sizeof *bad; i++) {
        bool good = i == sizeof bad / sizeof *bad;
        snprintf(text, sizeof text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n%s",
                 good ? "<a b=\"c\" d=\"e\">&#38; f<g/></a>\n" : bad[i]);
        if (good != !find_fault(text)) fail_msg("wrong about '%s'", text);
    }
}

/* Draw, check, and give the text; bt_buf_done it. */
static bt_buf draw(const bt_trace *t)
{
    bt_buf text = {0};
    assert_ok(bt_trace_write_svg(t, in_dir("a.svg")));
    assert_ok(bt_file_read(in_dir("a.svg"), 1 << 26, &text));
    unlink(in_dir("a.svg"));
    const char *fault = find_fault(text.data);
    if (fault) fail_msg("not well-formed at '%.60s'", fault);
    return text;
}

static int count(const char *text, const char *part)
{
    int n = 0;
    while ((text = strstr(text, part))) n++, text++;
    return n;
}

static void a_picture_is_well_formed_and_says_what_is_wrong(void **state)
{
    (void)state;
    bt_trace *t = small_trace();
    bt_buf text = draw(t);
    assert_non_null(strstr(text.data, ">Device idle 0.5 %<"));
    assert_non_null(strstr(text.data, "<title>idle: host late, 500 ns, in step 2</title>"));
    assert_non_null(
        strstr(text.data, ">a&#60;b&#62; &#38; \"c\" 'd' \\ \xEF\xBF\xBD\xEF\xBF\xBD]]"));
    assert_non_null(strstr(text.data, ">stream 1<"));
    assert_null(strstr(text.data, "host: bind")); // nothing was there
    assert_null(strstr(text.data, "<script"));
    assert_int_equal(count(text.data, ", step 1\n"), 5);
    assert_int_equal(count(text.data, ", step 2\n"), 2);
    assert_int_equal(count(text.data, "class=\"flow\""), 2);
    bt_buf_done(&text);
    bt_trace_free(t);
}

static void odd_traces_have_pictures_too(void **state)
{
    (void)state;
    bt_trace *t = new_trace(4);
    bt_buf text = draw(t);
    assert_non_null(strstr(text.data, "Nothing was recorded"));
    bt_buf_done(&text);
    add(t, BT_LANE_PLAN, "", -1, 77, 77, 0);
    text = draw(t);
    assert_non_null(strstr(text.data, "No step ran on the device"));
    bt_buf_done(&text);
    add(t, BT_LANE_STREAM, "", 0, 77, 77, 0);
    add(t, BT_LANE_STREAM + 500, "k", 0, INT64_MAX / 2, INT64_MAX / 2 + 1, 5);
    add(t, BT_LANE_STREAM, "k", 0, 0, 0, 0);
    add(t, BT_LANE_STREAM, "k", 0, 0, 0, 0);
    text = draw(t);
    assert_non_null(strstr(text.data, ">Device idle 100.0 %<"));
    assert_non_null(strstr(text.data, "The trace was full: 1 more spans were dropped."));
    bt_buf_done(&text);
    assert_ok(bt_trace_write_json(t, in_dir("c.json")));
    json_decref(read_json(in_dir("c.json")));
    unlink(in_dir("c.json"));
    bt_trace_free(t);
}

/* More families than colours and places, more spans than can be seen. */
static void a_long_trace_is_cut_to_its_last_steps(void **state)
{
    (void)state;
    static char name[100][8];
    bt_trace *t = new_trace(100000);
    for (int i = 0; i < 100; i++)
        snprintf(name[i], sizeof name[i], "f%c%c", 'a' + i / 10, 'a' + i % 10);
    for (int i = 0; i < 30000; i++)
        add(t, BT_LANE_STREAM + i % 2, name[i % 100], i / 150, 100 * i, 100 * i + 90, 100 * i);
    bt_buf text = draw(t);
    assert_non_null(strstr(text.data, "Drawn: the last 26 of 200 steps, 3900 of 30000 spans."));
    assert_int_equal(count(text.data, " long, begun at "), 3900);
    assert_non_null(strstr(text.data, ">others "));
    bt_buf_done(&text);
    bt_trace_clear(t);
    for (int i = 0; i < 9000; i++) add(t, BT_LANE_STREAM, "k", 5, 100 * i, 100 * i + 90, 100 * i);
    text = draw(t);
    assert_non_null(strstr(text.data, "Drawn: the last 4000 of 9000 spans."));
    assert_int_equal(count(text.data, " long, begun at "), 4000);
    bt_buf_done(&text);
    bt_trace_free(t);
}

// ---- failures ----

static void a_file_that_cannot_be_written_is_named(void **state)
{
    (void)state;
    bt_trace *t = small_trace();
    bt_status (*write[])(const bt_trace *, const char *) = {bt_trace_write_json,
                                                            bt_trace_write_svg};
    struct rlimit old, tiny;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    for (int i = 0; i < 2; i++) {
        assert_fails(write[i](t, "/nonexistent/x"), BT_NOTFOUND, "cannot create '/nonexistent/x'");
        assert_int_equal(mkdir(in_dir("d"), 0700), 0);
        assert_fails(write[i](t, in_dir("d")), BT_IO, "/d': ");
        assert_int_equal(rmdir(in_dir("d")), 0);
        tiny = (struct rlimit){100, old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
        bt_status st = write[i](t, in_dir("full"));
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_fails(st, BT_IO, "cannot write '");
        assert_false(bt_file_exists(in_dir("full")));
    }
    bt_trace_free(t); // drop_dir sees that no half file is left
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    bt_trace *t = small_trace();
    bt_status (*write[])(const bt_trace *, const char *) = {bt_trace_write_json,
                                                            bt_trace_write_svg};
    size_t live = bt_mem_live(BT_MEM_MISC);
    for (int i = 0; i < 2; i++) {
        bt_status st = BT_NOMEM;
        uint64_t nth = 0;
        while (st == BT_NOMEM) {
            bt_mem_fail_nth(++nth);
            st = write[i](t, in_dir("x"));
            bt_mem_fail_nth(0);
            assert_int_equal(bt_mem_live(BT_MEM_MISC), live);
            assert_int_equal(bt_file_exists(in_dir("x")), st == BT_OK);
        }
        assert_ok(st);
        assert_true(nth > 3);
        unlink(in_dir("x"));
    }
    bt_trace_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_steps_and_bubbles_are_events),
        cmocka_unit_test(arrows_lead_from_launch_to_device),
        cmocka_unit_test(spans_say_their_nodes_names),
        cmocka_unit_test(the_checker_sees_faults),
        cmocka_unit_test(a_picture_is_well_formed_and_says_what_is_wrong),
        cmocka_unit_test(odd_traces_have_pictures_too),
        cmocka_unit_test(a_long_trace_is_cut_to_its_last_steps),
        cmocka_unit_test(a_file_that_cannot_be_written_is_named),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
