// SPDX-License-Identifier: Apache-2.0
#include "app/prompt.h"
#include <stdlib.h>
#include <string.h>

void bt_ids_done(bt_ids *ids)
{
    bt_free(ids->id);
    *ids = (bt_ids){0};
}

bt_status bt_ids_reserve(bt_ids *ids, size_t n)
{
    if (n <= ids->n_max) return BT_OK;
    size_t n_max = n + n / 2 + 64;
    BT_TRY(bt_resize((void **)&ids->id, n_max * sizeof *ids->id, BT_MEM_TEXT));
    ids->n_max = n_max;
    return BT_OK;
}

bt_status bt_ids_add(bt_ids *ids, int32_t id)
{
    BT_TRY(bt_ids_reserve(ids, ids->n + 1));
    ids->id[ids->n++] = id;
    return BT_OK;
}

bt_status bt_ids_encode(bt_ids *ids, const bt_tokenizer *tokenizer, const char *text, size_t len,
                        unsigned flags)
{
    size_t n = 0;
    BT_TRY(bt_ids_reserve(ids, len / 3 + 16)); // rarely too few: then the second try knows
    bt_status st = bt_tokenizer_encode(tokenizer, text, len, flags, ids->id, ids->n_max, &n);
    if (st == BT_LIMIT && n > ids->n_max) {
        BT_TRY(bt_ids_reserve(ids, n));
        st = bt_tokenizer_encode(tokenizer, text, len, flags, ids->id, ids->n_max, &n);
    }
    if (st == BT_OK) ids->n = n;
    return st;
}

bt_status bt_ids_parse(bt_ids *ids, const char *text, size_t len, int32_t n_vocab)
{
    ids->n = 0;
    for (size_t i = 0; i < len;) {
        if (strchr(" \t\r,[]", text[i])) {
            i++;
            continue;
        }
        size_t begin = i;
        while (i < len && !strchr(" \t\r,[]", text[i])) i++;
        char word[24], *end = word;
        long long id = -1;
        if (i - begin < sizeof word) {
            memcpy(word, text + begin, i - begin);
            word[i - begin] = 0;
            id = strtoll(word, &end, 10);
        }
        BT_FAIL_IF(end == word || *end || id < 0 || id >= n_vocab, INVALID,
                   "'%.*s' is no token id, must be 0 to %d", (int)(i - begin < 60 ? i - begin : 60),
                   text + begin, n_vocab - 1);
        BT_TRY(bt_ids_add(ids, (int32_t)id));
    }
    return BT_OK;
}

bt_status bt_prompt_tokenizer(const bt_model_file *model, const char *path,
                              const bt_tokenizer **ret)
{
    const bt_tokenizer *tokenizer = bt_model_file_tokenizer(model);
    BT_FAIL_IF(!tokenizer, UNSUPPORTED, "'%s' has no tokenizer, so only token ids can be given",
               path);
    *ret = tokenizer;
    return BT_OK;
}
