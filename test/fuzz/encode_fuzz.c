// SPDX-License-Identifier: Apache-2.0
/* Any bytes through small tokenizers of every kind. The first byte picks one; byte-level BPE must
 * give the bytes back. */
#include "text/tokcore.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const names[] = {
    "llama3.json",  "behaviours.json", "deepseek_v3.json", "qwen2.json",       "llama2.json",
    "mistral.json", "lower.json",      "unigram.json",     "spm_unused.model", "spm_unigram.model"};
enum { N_NAME = 10, N_BYTES = 3 }; // the first three lose nothing

static bt_tokenizer *open_one(size_t k)
{
    static bt_tokenizer *kept[N_NAME];
    char path[200];
    if (kept[k]) return kept[k];
    snprintf(path, sizeof path, "test/golden/tokenizer/%s", names[k]);
    if (bt_tokenizer_open(path, &kept[k])) {
        fprintf(stderr, "%s (run from the root of the repository)\n", bt_error_message());
        abort();
    }
    return kept[k];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) return 0;
    size_t k = data[0] % N_NAME, n = 0, at = 0;
    unsigned flags = data[0] & 0x80 ? BT_ENCODE_SPECIAL | BT_ENCODE_BOS : 0;
    const bt_tokenizer *t = open_one(k);
    const char *text = (const char *)data + 1;
    len--;
    int32_t *ids = malloc((4 * len + 16) * sizeof *ids);
    if (bt_tokenizer_encode(t, text, len, flags, ids, 4 * len + 16, &n) != BT_OK) __builtin_trap();
    for (size_t i = 0; i < n && k < N_BYTES && !flags; i++) {
        size_t n_piece;
        const char *piece = bt_tokenizer_piece(t, ids[i], &n_piece);
        if (n_piece > len - at || memcmp(piece, text + at, n_piece)) __builtin_trap();
        at += n_piece;
    }
    if (k < N_BYTES && !flags && at != len) __builtin_trap();
    free(ids);
    return 0;
}
