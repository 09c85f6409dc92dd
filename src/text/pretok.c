// SPDX-License-Identifier: Apache-2.0
/* pretok: see pretok.h. Pieces go from step to step by recursion, so that no list of them is kept.
 */
#define _GNU_SOURCE // memmem
#include "text/pretok.h"
#include "base/utf8.h"
#include <string.h>

bt_status bt_pretok_add(bt_pretok *pre, bt_pre_kind kind, bt_pre_step **ret_step)
{
    BT_FAIL_IF(pre->n_step == BT_PRE_STEP_MAX, LIMIT, "more than %d pre-tokenizer steps",
               BT_PRE_STEP_MAX);
    *ret_step = &pre->step[pre->n_step++];
    **ret_step = (bt_pre_step){.kind = kind};
    return BT_OK;
}

bt_status bt_pretok_add_regex(bt_pretok *pre, const char *pattern, bt_split_rule rule, bool invert)
{
    bt_pre_step *step;
    BT_TRY(bt_pretok_add(pre, PRE_SPLIT, &step));
    step->rule = rule;
    step->invert = invert;
    return bt_regex_new(pattern, strlen(pattern), &step->regex);
}

void bt_pretok_done(bt_pretok *pre)
{
    for (int i = 0; i < pre->n_step; i++) bt_regex_free(pre->step[i].regex);
    pre->n_step = 0;
}

typedef struct runner {
    const bt_pretok *pre;
    bt_work *work;
    bt_word_fn *word;
    const void *context;
} runner;

static bt_status run(const runner *r, int k, bt_pre_text in);

static bt_status pass(const runner *r, int k, bt_pre_text in, bt_extent at)
{
    if (at.end <= at.begin) return BT_OK;
    return run(r, k + 1,
               (bt_pre_text){in.text + at.begin, at.end - at.begin, in.at_start && at.begin == 0});
}

static bt_status find_match(const runner *r, const bt_pre_step *step, bt_pre_text in, size_t from,
                            bt_extent *ret_match)
{
    if (step->regex)
        return bt_regex_find(step->regex, r->work->regex, (bt_extent){from, in.len}, in.text,
                             ret_match);
    const char *p = memmem(in.text + from, in.len - from, step->literal.text, step->literal.len);
    size_t begin = p ? (size_t)(p - in.text) : SIZE_MAX;
    *ret_match =
        p ? (bt_extent){begin, begin + step->literal.len} : (bt_extent){SIZE_MAX, SIZE_MAX};
    return BT_OK;
}

/* The piece that is still open while a split walks along: some rules join it with the next one. */
typedef struct open_piece {
    bt_extent at; // empty: none
    bool is_match;
} open_piece;

static bt_status take(const runner *r, int k, bt_pre_text in, open_piece *open, open_piece next)
{
    bool joins = false, some = open->at.end > open->at.begin;
    if (next.at.end <= next.at.begin) return BT_OK;
    switch (r->pre->step[k].rule) {
    case SPLIT_REMOVED:
        return next.is_match ? BT_OK : pass(r, k, in, next.at);
    case SPLIT_ISOLATED:
        return pass(r, k, in, next.at);
    case SPLIT_CONTIGUOUS:
        joins = some && open->is_match == next.is_match;
        break;
    case SPLIT_WITH_PREVIOUS:
        joins = some && next.is_match && !open->is_match;
        break;
    case SPLIT_WITH_NEXT:
        joins = some && open->is_match && !next.is_match;
        break;
    }
    if (joins) {
        open->at.end = next.at.end;
        open->is_match = next.is_match;
        return BT_OK;
    }
    bt_extent done = open->at;
    *open = next;
    return some ? pass(r, k, in, done) : BT_OK;
}

static size_t code_len(bt_pre_text in, size_t at)
{
    size_t n = bt_utf8_valid_len(in.text + at, in.len - at);
    return n ? n : 1;
}

static bt_status split(const runner *r, int k, bt_pre_text in)
{
    const bt_pre_step *step = &r->pre->step[k];
    open_piece open = {{0, 0}, false};
    size_t done = 0;
    for (size_t from = 0; from < in.len;) {
        bt_extent m;
        BT_TRY(find_match(r, step, in, from, &m));
        if (m.begin == SIZE_MAX || m.begin >= in.len) break;
        BT_TRY(take(r, k, in, &open, (open_piece){{done, m.begin}, step->invert}));
        BT_TRY(take(r, k, in, &open, (open_piece){m, !step->invert}));
        done = m.end;
        from = m.end > m.begin ? m.end : m.end + code_len(in, m.end); // an empty match only cuts
    }
    BT_TRY(take(r, k, in, &open, (open_piece){{done, in.len}, step->invert}));
    return pass(r, k, in, open.at);
}

static bt_status prefix_space(const runner *r, int k, bt_pre_text in)
{
    if (in.text[0] == ' ') return run(r, k + 1, in);
    bt_buf *out = &r->work->pre[k];
    bt_buf_clear(out);
    BT_TRY(bt_buf_text(out, " "));
    BT_TRY(bt_buf_add(out, in.text, in.len));
    return run(r, k + 1, (bt_pre_text){out->data, out->len, in.at_start});
}

static bool begins(bt_pre_text in, size_t at, bt_slice mark)
{
    return in.len - at >= mark.len && !memcmp(in.text + at, mark.text, mark.len);
}

/* Each mark begins a word (a mark before a mark is a word of its own). */
static bt_status split_at_marks(const runner *r, int k, bt_pre_text in, bt_slice mark)
{
    size_t begin = 0;
    for (size_t i = 1; i < in.len; i++) {
        if (!begins(in, i, mark)) continue;
        BT_TRY(pass(r, k, in, (bt_extent){begin, i}));
        begin = i;
        i += mark.len - 1;
    }
    return pass(r, k, in, (bt_extent){begin, in.len});
}

static bt_status metaspace(const runner *r, int k, bt_pre_text in)
{
    const bt_pre_step *step = &r->pre->step[k];
    bt_buf *out = &r->work->pre[k];
    bool wanted =
        step->prepend == PREPEND_ALWAYS || (step->prepend == PREPEND_FIRST && in.at_start);
    bt_buf_clear(out);
    if (wanted && in.text[0] != ' ' && !begins(in, 0, step->mark))
        BT_TRY(bt_buf_add(out, step->mark.text, step->mark.len));
    for (size_t i = 0; i < in.len;) {
        const char *space = memchr(in.text + i, ' ', in.len - i);
        size_t end = space ? (size_t)(space - in.text) : in.len;
        BT_TRY(bt_buf_add(out, in.text + i, end - i));
        if (space) BT_TRY(bt_buf_add(out, step->mark.text, step->mark.len));
        i = end + (space != NULL);
    }
    bt_pre_text marked = {out->data, out->len, in.at_start};
    return step->split ? split_at_marks(r, k, marked, step->mark) : run(r, k + 1, marked);
}

static bt_status run(const runner *r, int k, bt_pre_text in)
{
    if (in.len == 0) return BT_OK;
    if (k == r->pre->n_step) {
        r->work->sink.in_unk = false; // runs of unknowns do not reach across words
        return r->word(r->context, r->work, in.text, in.len);
    }
    switch (r->pre->step[k].kind) {
    case PRE_SPLIT:
        return split(r, k, in);
    case PRE_PREFIX_SPACE:
        return prefix_space(r, k, in);
    case PRE_METASPACE:
        return metaspace(r, k, in);
    }
    return BT_OK;
}

bt_status bt_pretok_run(const bt_pretok *pre, bt_work *work, bt_pre_text in, bt_word_fn *word,
                        const void *context)
{
    runner r = {pre, work, word, context};
    if (!work->regex) BT_TRY(bt_regex_work_new(&work->regex));
    return run(&r, 0, in);
}
