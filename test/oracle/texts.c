// SPDX-License-Identifier: Apache-2.0
/* texts: see texts.h. */
#include "oracle/texts.h"
#include "base/file.h"
#include "oracle/drive.h"
#include "oracle/memory.h"
#include "support/support.h"
#include <math.h>
#include <string.h>

static bt_engine *open_for(const char *model, int32_t n)
{
    return drive_open(
        &(bt_engine_config){.model = model, .n_thread = 1, .n_ctx = n + 1, .n_seq_max = 1});
}

texts texts_told(const char *model, int32_t n_text, int32_t n)
{
    texts t = {fresh((size_t)n_text * (size_t)n, sizeof *t.ids), n_text, n};
    bt_engine *e = open_for(model, n);
    size_t n_begin = 0;
    for (int32_t k = 0; k < n_text; k++) {
        int32_t *ids = t.ids + k * n;
        assert_ok(bt_tokenizer_encode(bt_engine_tokenizer(e), "Once upon a time", 16, BT_ENCODE_BOS,
                                      ids, (size_t)n, &n_begin));
        int32_t n_id = (int32_t)n_begin;
        drive d = {.ids = ids,
                   .n_id = n_id,
                   .n_more = n - n_id,
                   .temperature = 1,
                   .seed = (uint64_t)k,
                   .no_logits = true};
        drive_run(e, &d);
        for (int32_t i = 0; i < d.n_out; i++) ids[n_id + i] = d.token[i].id;
        drive_done(&d);
    }
    bt_engine_close(e);
    return t;
}

texts texts_read(const char *model, const char *path, int32_t n_text, int32_t n)
{
    enum { BYTES_MAX = 1 << 18, IDS_MAX = BYTES_MAX + 2 };
    static int32_t all[IDS_MAX];
    texts t = {fresh((size_t)n_text * (size_t)n, sizeof *t.ids), n_text, n};
    bt_engine *e = open_for(model, n);
    bt_buf text = {0};
    size_t n_all = 0;
    assert_ok(bt_file_read(path, 1 << 24, &text));
    assert_true(text.len >= BYTES_MAX);
    assert_ok(bt_tokenizer_encode(bt_engine_tokenizer(e), text.data, BYTES_MAX, BT_ENCODE_BOS, all,
                                  IDS_MAX, &n_all));
    assert_true(n_all > (size_t)n_text * (size_t)(n - 1));
    for (int32_t k = 0; k < n_text; k++) {
        t.ids[k * n] = all[0];
        memcpy(t.ids + k * n + 1, all + 1 + k * (n - 1), (size_t)(n - 1) * sizeof *all);
    }
    bt_buf_done(&text);
    bt_engine_close(e);
    return t;
}

void texts_done(texts *t)
{
    free(t->ids);
    *t = (texts){0};
}

double mean_nll(bt_engine *e, const int32_t *ids, int32_t n)
{
    drive d = {.ids = ids, .n_id = n, .n_more = 1};
    double total = 0;
    drive_run(e, &d);
    for (int32_t i = 0; i + 1 < n; i++) {
        const float *row = d.logits + (int64_t)i * d.n_vocab;
        double top = -INFINITY, sum = 0;
        for (int32_t j = 0; j < d.n_vocab; j++) top = fmax(top, (double)row[j]);
        for (int32_t j = 0; j < d.n_vocab; j++) sum += exp((double)row[j] - top);
        total += top + log(sum) - (double)row[ids[i + 1]];
    }
    drive_done(&d);
    return total / (n - 1);
}

double texts_nll(const bt_engine_config *config, const texts *t)
{
    bt_engine *e = drive_open(config);
    double sum = 0;
    for (int32_t k = 0; k < t->n_text; k++) sum += mean_nll(e, t->ids + k * t->n, t->n);
    bt_engine_close(e);
    return sum / t->n_text;
}
