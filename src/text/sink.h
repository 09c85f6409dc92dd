// SPDX-License-Identifier: Apache-2.0
/* sink: where encoded ids go, and the working memory of one encode call. Header only. */
#pragma once
#include "base/buf.h"
#include "text/regex.h"

typedef struct bt_sink {
    int32_t *ids; // the caller's, id_max entries
    size_t id_max;
    size_t n;    // ids so far, stored or not
    bool in_unk; // the last thing was an unknown piece: a run of them is one id
} bt_sink;

static inline void bt_sink_put(bt_sink *s, int32_t id)
{
    if (s->n < s->id_max) s->ids[s->n] = id;
    s->n++;
    s->in_unk = false;
}

/* A run of unknown text gives one id; without an unknown piece it gives nothing. */
static inline void bt_sink_put_unk(bt_sink *s, int32_t unk, bool fuse)
{
    if (unk < 0 || (fuse && s->in_unk)) return;
    bt_sink_put(s, unk);
    s->in_unk = true;
}

enum { BT_PRE_STEP_MAX = 16 };

typedef struct bt_work {
    bt_sink sink;
    bt_buf clean;                // the text with malformed UTF-8 replaced
    bt_buf norm[2];              // normalizer steps read one and write the other
    bt_buf pre[BT_PRE_STEP_MAX]; // pre-tokenizer steps that change text
    bt_buf block;                // the model's arrays
    bt_regex_work *regex;
} bt_work;
