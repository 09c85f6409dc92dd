// SPDX-License-Identifier: Apache-2.0
/* template: parse once, render many times; where in the source an error lies; what bytes came from.
 */
#include "text/template.h"
#include "base/utf8.h"
#include "text/template/template_call.h"
#include "text/template/template_text.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 1000 };

// ---- places ----
static void place(const bt_template *tmpl, size_t at, char out[64])
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at && i < tmpl->len; i++) {
        if (tmpl->source[i] == '\n') {
            line++;
            column = 1;
        } else {
            column += (tmpl->source[i] & 0xC0) != 0x80;
        }
    }
    snprintf(out, 64, "template line %zu, column %zu", line, column);
}

bt_status bt_template_fail_at(const bt_template *tmpl, size_t at, const char *fmt, ...)
{
    char where[64], what[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    place(tmpl, at, where);
    return bt_fail(BT_FORMAT, "%s: %s", where, what);
}

void bt_template_note_at(const bt_template *tmpl, size_t at)
{
    char where[64];
    place(tmpl, at, where);
    bt_fail_note("%s", where);
}

// ---- parsing ----
/* Copy the text with \r\n and \r as \n and, as Jinja does, without one newline at the end. */
static bt_status copy_source(bt_template *tmpl, const char *text, size_t len)
{
    char *copy;
    size_t n = 0;
    BT_TRY(bt_arena_array(&tmpl->arena, len + 1, 1, (void **)&copy));
    for (size_t i = 0; i < len; i++) {
        bool cr = text[i] == '\r';
        copy[n++] = cr ? '\n' : text[i];
        if (cr && i + 1 < len && text[i + 1] == '\n') i++;
    }
    if (n && copy[n - 1] == '\n') n--;
    copy[n] = 0;
    tmpl->source = copy;
    tmpl->len = n;
    for (size_t i = 0, k; i < n; i += k) {
        k = bt_utf8_valid_len(copy + i, n - i);
        if (!k)
            return bt_template_fail_at(tmpl, i, "byte 0x%02x is not UTF-8", (unsigned char)copy[i]);
    }
    return BT_OK;
}

static bt_status parse(bt_template *tmpl, const char *text, size_t len)
{
    static const char *const names[SYM_BUILTIN_COUNT] = {"loop", "caller", "kwargs", "varargs"};
    tparser p = {.tmpl = tmpl, .symbol_cap = 32};
    ttoken *tokens;
    BT_TRY(copy_source(tmpl, text, len));
    BT_TRY(
        bt_arena_array(&tmpl->arena, p.symbol_cap, sizeof *tmpl->symbols, (void **)&tmpl->symbols));
    memcpy(tmpl->symbols, names, sizeof names);
    tmpl->n_symbol = SYM_BUILTIN_COUNT;
    BT_TRY(bt_template_lex(tmpl, &tokens));
    p.tok = tokens;
    bt_status st = bt_template_parse_body(&p, &tmpl->body);
    bt_free(tokens);
    return st;
}

bt_status bt_template_parse(const char *text, size_t len, bt_template **ret_template)
{
    bt_template *tmpl;
    BT_FAIL_IF(len > TEMPLATE_BYTES_MAX, LIMIT, "the template has %zu bytes, at most %d", len,
               TEMPLATE_BYTES_MAX);
    BT_TRY(bt_alloc_zero((void **)&tmpl, sizeof *tmpl, BT_MEM_TEXT));
    bt_arena_init(&tmpl->arena, BT_MEM_TEXT);
    bt_status st = parse(tmpl, text, len);
    if (st) {
        bt_template_free(tmpl);
        return st;
    }
    *ret_template = tmpl;
    return BT_OK;
}

void bt_template_free(bt_template *tmpl)
{
    if (!tmpl) return;
    bt_arena_done(&tmpl->arena);
    bt_free(tmpl);
}

// ---- rendering ----
static bt_status check_limits(const bt_template_limits *in, bt_template_limits *ret)
{
    BT_FAIL_IF(in->steps_max < 0 || in->output_bytes_max < 0 || in->memory_bytes_max < 0 ||
                   in->depth_max < 0,
               INVALID, "a template limit is negative");
    BT_FAIL_IF(in->depth_max > DEPTH_MAX, INVALID, "depth_max is %" PRId64 ", at most %d",
               in->depth_max, DEPTH_MAX);
    *ret = (bt_template_limits){
        .steps_max = in->steps_max ? in->steps_max : 1000000,
        .output_bytes_max = in->output_bytes_max ? in->output_bytes_max : 8 << 20,
        .depth_max = in->depth_max ? in->depth_max : 400,
        .memory_bytes_max = in->memory_bytes_max ? in->memory_bytes_max : 24 << 20};
    return BT_OK;
}

static size_t count_spans(const tout *o)
{
    size_t n = o->text.len != 0;
    for (size_t i = 1; i < o->mark.len; i++) n += o->mark.data[i] != o->mark.data[i - 1];
    return n;
}

static bt_status make_spans(const tout *o, bt_rendered *out)
{
    size_t n = count_spans(o), k = 0;
    BT_FAIL_IF(
        n > (size_t)(o->run->limits.memory_bytes_max - o->run->memory) / sizeof *out->spans, LIMIT,
        "the output changes its origin %zu times, more than the memory limit lets be noted", n);
    BT_TRY(bt_alloc_array((void **)&out->spans, n, sizeof *out->spans, BT_MEM_TEXT));
    for (size_t i = 0; i < o->text.len; i++) {
        bool data = bt_tout_mark(o, i);
        if (i == 0 || data != out->spans[k - 1].from_data)
            out->spans[k++] = (bt_span){.begin = i, .from_data = data};
        out->spans[k - 1].end = i + 1;
    }
    out->n_span = n;
    return BT_OK;
}

static bt_status render(trun *r, tout *o, bt_rendered *out)
{
    BT_TRY(bt_tscope_new(r, NULL, &r->scope));
    BT_TRY(bt_texec(r, r->tmpl->body));
    BT_TRY(make_spans(o, out));
    BT_TRY(bt_buf_reserve(&o->text, 1)); // an empty rendering still is a string
    o->text.data[o->text.len] = 0;
    return BT_OK;
}

bt_status bt_template_render(const bt_template *tmpl, const bt_template_input *input,
                             bt_rendered *ret_rendered)
{
    bt_template_limits limits;
    BT_FAIL_IF(input->data && !json_is_object(input->data), INVALID,
               "the data of a template must be an object");
    BT_FAIL_IF(input->trusted && !json_is_object(input->trusted), INVALID,
               "trusted variables must be an object");
    BT_TRY(check_limits(&input->limits, &limits));
    trun r = {.tmpl = tmpl,
              .limits = limits,
              .data = input->data,
              .trusted = input->trusted,
              .now_unix_s = input->now_unix_s};
    tout o = {.run = &r, .bytes_max = (size_t)limits.output_bytes_max};
    bt_rendered out = {0};
    r.out = &o;
    bt_arena_init(&r.arena, BT_MEM_TEXT);
    bt_status st = render(&r, &o, &out);
    if (!st) {
        out.text = o.text;
        o.text = (bt_buf){0};
        *ret_rendered = out;
    }
    bt_tout_done(&o);
    bt_arena_done(&r.arena);
    return st;
}

void bt_rendered_done(bt_rendered *rendered)
{
    bt_buf_done(&rendered->text);
    bt_free(rendered->spans);
    *rendered = (bt_rendered){0};
}
