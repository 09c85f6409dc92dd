// SPDX-License-Identifier: Apache-2.0
/* golden: see golden.h. */
#include "oracle/golden.h"
#include "base/file.h"
#include "base/json.h"
#include "oracle/memory.h"
#include "support/support.h"
#include <stdio.h>
#include <string.h>

const char *const golden_names[] = {
    "llama",
    "llama-tied",
    "llama-head-dim",
    "llama-bias",
    "llama-rope-linear",
    "llama-rope-llama3",
    "llama-rope-yarn",
    "qwen2",
    "qwen2-tied",
    "qwen2-window",
    "qwen3",
    "qwen3-tied-yarn",
    "mistral-window",
    NULL,
};

bool golden_has_gguf(const char *name) { return strcmp(name, "qwen2-window") != 0; }

const char *golden_dir(const char *name)
{
    char relative[128];
    snprintf(relative, sizeof relative, "test/golden/models/%s", name);
    return test_path(relative);
}

static int32_t *ids_of(json_t *doc, const char *key, int32_t *ret_n)
{
    json_t *list = json_object_get(doc, key);
    assert_true(json_is_array(list) && json_array_size(list) > 0);
    *ret_n = (int32_t)json_array_size(list);
    int32_t *ids = fresh((size_t)*ret_n, sizeof *ids);
    for (int32_t i = 0; i < *ret_n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, (size_t)i));
    return ids;
}

static void read_logits(golden *g, json_t *rows)
{
    assert_int_equal(json_array_size(rows), g->n_id);
    g->n_vocab = (int32_t)json_array_size(json_array_get(rows, 0));
    g->logits = fresh((size_t)g->n_id * (size_t)g->n_vocab, sizeof *g->logits);
    for (int32_t i = 0; i < g->n_id; i++) {
        json_t *row = json_array_get(rows, (size_t)i);
        assert_int_equal(json_array_size(row), g->n_vocab);
        for (int32_t j = 0; j < g->n_vocab; j++)
            g->logits[(int64_t)i * g->n_vocab + j] =
                json_number_value(json_array_get(row, (size_t)j));
    }
}

void golden_open(golden *g, const char *name)
{
    bt_buf text = {0};
    json_t *doc = NULL;
    char path[1200];
    snprintf(path, sizeof path, "%s/expected.json", golden_dir(name));
    assert_ok(bt_file_read(path, 1 << 20, &text));
    assert_ok(bt_json_parse(text.data, text.len, &doc));
    bt_buf_done(&text);
    g->name = name;
    g->ids = ids_of(doc, "ids", &g->n_id);
    g->greedy = ids_of(doc, "greedy", &g->n_greedy);
    g->gap = json_number_value(json_object_get(doc, "gap"));
    read_logits(g, json_object_get(doc, "logits"));
    json_decref(doc);
}

void golden_close(golden *g)
{
    free(g->ids);
    free(g->greedy);
    free(g->logits);
}
