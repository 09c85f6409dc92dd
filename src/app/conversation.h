// SPDX-License-Identifier: Apache-2.0
/* conversation: messages, and what a model's chat template makes of them. */
#pragma once
#include "app/options.h"
#include "app/prompt.h"
#include "baton/template.h"

enum { BT_MESSAGE_MAX = 1024 };

typedef struct bt_conversation {
    bt_chat_message message[BT_MESSAGE_MAX]; // role and content are owned
    int32_t n;
} bt_conversation;

void bt_conversation_done(bt_conversation *conversation);

/* Copy a message in; len 0 takes the text up to its NUL. INVALID: a NUL inside. LIMIT: BT_MESSAGE_MAX
 * are there. */
BT_CHECKED bt_status bt_conversation_add(bt_conversation *conversation, const char *role,
                                         const char *text, size_t len);

/* Remove the messages from `begin` up to `end`. */
void bt_conversation_remove(bt_conversation *conversation, int32_t begin, int32_t end);

/* Replace `ids` by the conversation as the model's template writes it, ready
 * for an answer. */
BT_CHECKED bt_status bt_conversation_encode(const bt_conversation *conversation,
                                            const bt_model_file *model, bt_ids *ids);

/* Replace `ids` by a prompt as the options say: a user's message in the model's chat template, or the
 * text as it is (--raw, or there is no template). `path` is the model's, for errors. */
BT_CHECKED bt_status bt_prompt_encode(const bt_prompt_options *options, const bt_model_file *model,
                                      const char *path, const bt_buf *text, bt_ids *ids);
