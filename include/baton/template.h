// SPDX-License-Identifier: Apache-2.0
/* baton/template.h: a conversation as the model's own chat template writes it, in token ids.
 *
 * The template (Jinja, from the model's files) runs in a sandbox over the messages. In its output
 * only the template's own text may become special tokens: a message that spells "<|eot_id|>" stays
 * a row of ordinary tokens. Nothing is added around it: a template writes its own beginning of
 * text.
 */
#ifndef BATON_TEMPLATE_H
#define BATON_TEMPLATE_H

#include "baton/base.h"
#include "baton/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bt_chat_message {
    const char *role;    /* "system", "user", "assistant" */
    const char *content; /* UTF-8 */
} bt_chat_message;

typedef struct bt_chat {
    const char *chat_template;       /* Jinja text, as bt_model_file_chat_template gives it */
    const bt_chat_message *messages; /* [n_message], oldest first */
    int32_t n_message;               /* >= 1 */
    bool add_generation_prompt;      /* end where the assistant is to go on */
    int64_t now_unix_s;              /* the date that templates may print, UTC */
} bt_chat;

/* Write and encode a conversation; ids, id_max and ret_n as in bt_tokenizer_encode.
 *
 * Errors   INVALID: the template refused the messages (its own words), or a message is not UTF-8;
 *          FORMAT, UNSUPPORTED: the template itself; LIMIT: it costs too much, or id_max is too
 * small: then *ret_n is set and larger. */
BT_API BT_CHECKED bt_status bt_chat_encode(const bt_tokenizer *tokenizer, const bt_chat *chat,
                                           int32_t *ids, size_t id_max, size_t *ret_n);

#ifdef __cplusplus
}
#endif
#endif
