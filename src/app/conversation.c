// SPDX-License-Identifier: Apache-2.0
#include "app/conversation.h"
#include <string.h>
#include <time.h>

static bt_status copy_text(const char *text, size_t len, char **ret_copy)
{
    char *copy;
    BT_TRY(bt_alloc((void **)&copy, len + 1, BT_MEM_TEXT));
    memcpy(copy, text, len);
    copy[len] = 0;
    *ret_copy = copy;
    return BT_OK;
}

bt_status bt_conversation_add(bt_conversation *conversation, const char *role, const char *text,
                              size_t len)
{
    BT_FAIL_IF(conversation->n == BT_MESSAGE_MAX, LIMIT, "a conversation holds at most %d messages",
               BT_MESSAGE_MAX);
    BT_FAIL_IF(len && memchr(text, 0, len), INVALID,
               "a message holds a NUL byte, which no template can take");
    char *role_copy, *text_copy;
    BT_TRY(copy_text(role, strlen(role), &role_copy));
    bt_status st = copy_text(text, len ? len : strlen(text), &text_copy);
    if (st != BT_OK) {
        bt_free(role_copy);
        return st;
    }
    conversation->message[conversation->n++] = (bt_chat_message){role_copy, text_copy};
    return BT_OK;
}

void bt_conversation_remove(bt_conversation *conversation, int32_t begin, int32_t end)
{
    bt_chat_message *m = conversation->message;
    for (int32_t i = begin; i < end; i++) {
        bt_free((void *)(uintptr_t)m[i].role);
        bt_free((void *)(uintptr_t)m[i].content);
    }
    memmove(m + begin, m + end, (size_t)(conversation->n - end) * sizeof *m);
    conversation->n -= end - begin;
}

void bt_conversation_done(bt_conversation *conversation)
{
    bt_conversation_remove(conversation, 0, conversation->n);
}

bt_status bt_conversation_encode(const bt_conversation *conversation, const bt_model_file *model,
                                 bt_ids *ids)
{
    bt_chat chat = {.chat_template = bt_model_file_chat_template(model),
                    .messages = conversation->message,
                    .n_message = conversation->n,
                    .add_generation_prompt = true,
                    .now_unix_s = (int64_t)time(NULL)};
    const bt_tokenizer *tokenizer = bt_model_file_tokenizer(model);
    BT_FAIL_IF(!chat.chat_template || !tokenizer, UNSUPPORTED, "the model has no %s",
               tokenizer ? "chat template" : "tokenizer");
    size_t n = 0;
    bt_status st = bt_chat_encode(tokenizer, &chat, ids->id, ids->n_max, &n);
    if (st == BT_LIMIT && n > ids->n_max) {
        BT_TRY(bt_ids_reserve(ids, n));
        st = bt_chat_encode(tokenizer, &chat, ids->id, ids->n_max, &n);
    }
    if (st == BT_OK) ids->n = n;
    return st;
}

bt_status bt_prompt_encode(const bt_prompt_options *options, const bt_model_file *model,
                           const char *path, const bt_buf *text, bt_ids *ids)
{
    const bt_tokenizer *tokenizer;
    const char *data = text->data ? text->data : "";
    BT_TRY(bt_prompt_tokenizer(model, path, &tokenizer));
    if (options->raw || !bt_model_file_chat_template(model)) {
        BT_FAIL_IF(options->system, INVALID, "--system needs a chat template: %s",
                   options->raw ? "--raw goes without one" : "this model has none");
        unsigned flags = BT_ENCODE_BOS | (options->special ? BT_ENCODE_SPECIAL : 0);
        return bt_ids_encode(ids, tokenizer, data, text->len, flags);
    }
    bt_conversation conversation = {0};
    bt_status st = BT_OK;
    if (options->system) st = bt_conversation_add(&conversation, "system", options->system, 0);
    if (st == BT_OK) st = bt_conversation_add(&conversation, "user", data, text->len);
    if (st == BT_OK) st = bt_conversation_encode(&conversation, model, ids);
    bt_conversation_done(&conversation);
    return st;
}
