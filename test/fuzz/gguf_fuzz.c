// SPDX-License-Identifier: Apache-2.0
/* gguf: bytes as a whole GGUF model: parse, open for each use, and report; all data is read, so
 * that a range past the file is seen. */
#include "model/file/modelparts.h"
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Every view's bytes lie inside the input: touching them proves it. */
static void touch(const bt_model_file *file)
{
    unsigned sum = 0;
    for (int64_t i = 0; i < bt_model_file_n_tensor(file); i++) {
        const bt_tensor_view *view = bt_model_file_tensor(file, i);
        const volatile uint8_t *bytes = view->data;
        if (view->n_bytes) sum += bytes[0] + bytes[view->n_bytes - 1];
    }
    (void)sum;
}

static void open_as(const uint8_t *data, size_t len, bt_model_use use)
{
    bt_model_file *file;
    char *text;
    if (bt_model_file_from_bytes(data, len, NULL, "fuzz", use, &file) != BT_OK) return;
    touch(file);
    for (int json = 0; json < 2; json++)
        if (bt_model_report(file, json, &text) == BT_OK) bt_model_text_free(text);
    if (use == BT_USE_COMPUTE) {
        float inv_freq[2048];
        bt_model_file_inv_freq(file, inv_freq);
    }
    bt_model_file_close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    open_as(data, len, BT_USE_COMPUTE);
    open_as(data, len, BT_USE_TOKENIZER);
    open_as(data, len, BT_USE_INSPECT);
    return 0;
}
