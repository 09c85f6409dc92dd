// SPDX-License-Identifier: Apache-2.0
/* A SentencePiece model from anywhere: refused, or it encodes and decodes a fixed text. */
#include "text/tokcore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char text[] =
        "The e\xCC\x81  keeper's 12345 <s><|eot|> \xFF \xE6\x98\xA5\n\tWALK\xE2\x96\x81x";
    bt_tokenizer *t = NULL;
    int32_t ids[256];
    size_t n = 0, n_text;
    const char *out;
    bt_detok d;
    if (bt_spmodel_parse(data, len, NULL, &t)) return 0;
    bt_detok_init(&d, t, BT_DETOK_SPECIAL);
    if (bt_tokenizer_encode(t, text, sizeof text - 1, 3, ids, 256, &n) == BT_OK)
        for (size_t i = 0; i < n; i++)
            if (bt_detok_push(&d, ids[i], &out, &n_text)) __builtin_trap();
    bt_tokenizer_free(t);
    return 0;
}
