// SPDX-License-Identifier: Apache-2.0
/* chat: baton/template.h: messages -> the template's text -> ids. What is data
 * and what is the template's own, the template's rendering says; that no data
 * becomes a special token, the tokenizer sees to. This file only brings them
 * together. */
#include "base/json.h"
#include "baton/template.h"
#include "text/template.h"
#include "text/tokenizer.h"
#include <string.h>

static bt_status put_message(json_t *list, const bt_chat_message *message, int32_t i)
{
    BT_FAIL_IF(!message->role || !message->content, INVALID, "message %d has no role or no content",
               i);
    json_t *role = json_string(message->role), *content = json_string(message->content);
    json_t *object = json_object();
    bt_status st = BT_OK;
    if (!role || !content)
        st = bt_fail(BT_INVALID, "message %d is not UTF-8", i);
    else if (json_object_set(object, "role", role) || json_object_set(object, "content", content) ||
             json_array_append(list, object))
        st = bt_fail(BT_NOMEM, "message %d of a conversation", i);
    json_decref(role);
    json_decref(content);
    json_decref(object);
    return st;
}

static bt_status make_data(const bt_chat *chat, json_t **ret_data)
{
    json_t *messages = json_array();
    bt_status st = messages ? BT_OK : bt_fail(BT_NOMEM, "a conversation");
    for (int32_t i = 0; st == BT_OK && i < chat->n_message; i++)
        st = put_message(messages, &chat->messages[i], i);
    json_t *data = st == BT_OK
                       ? json_pack("{s:O, s:b}", "messages", messages, "add_generation_prompt",
                                   (int)chat->add_generation_prompt)
                       : NULL;
    json_decref(messages);
    if (st == BT_OK && !data) st = bt_fail(BT_NOMEM, "a conversation");
    if (st == BT_OK) *ret_data = data;
    return st;
}

/* The names by which templates call the tokenizer's own tokens. */
static json_t *make_trusted(const bt_tokenizer *tokenizer)
{
    const struct {
        const char *name;
        int32_t id;
    } roles[] = {
        {"bos_token", bt_tokenizer_bos(tokenizer)},
        {"eos_token", bt_tokenizer_eos(tokenizer)},
        {"unk_token", bt_tokenizer_unk(tokenizer)},
        {"pad_token", bt_tokenizer_pad(tokenizer)},
    };
    json_t *trusted = json_object();
    for (size_t i = 0; trusted && i < sizeof roles / sizeof roles[0]; i++) {
        size_t len;
        if (roles[i].id < 0) continue;
        const char *text = bt_tokenizer_piece(tokenizer, roles[i].id, &len);
        json_object_set_new(trusted, roles[i].name, json_stringn(text, len));
    }
    return trusted;
}

static bt_status render(const bt_tokenizer *tokenizer, const bt_chat *chat,
                        bt_rendered *ret_rendered)
{
    bt_template *template = NULL;
    bt_template_input input = {.now_unix_s = chat->now_unix_s};
    bt_status st = bt_template_parse(chat->chat_template, strlen(chat->chat_template), &template);
    if (st == BT_OK) st = make_data(chat, &input.data);
    if (st == BT_OK) {
        input.trusted = make_trusted(tokenizer);
        st = bt_template_render(template, &input, ret_rendered);
    }
    if (st != BT_OK) bt_fail_note("the chat template");
    json_decref(input.data);
    json_decref(input.trusted);
    bt_template_free(template);
    return st;
}

bt_status bt_chat_encode(const bt_tokenizer *tokenizer, const bt_chat *chat, int32_t *ids,
                         size_t id_max, size_t *ret_n)
{
    BT_FAIL_IF(!chat->chat_template, INVALID, "there is no chat template");
    BT_FAIL_IF(chat->n_message < 1, INVALID, "a conversation of %d messages, must be 1 or more",
               chat->n_message);
    bt_rendered rendered = {0};
    bt_slice *data = NULL;
    size_t n_data = 0;
    BT_TRY(render(tokenizer, chat, &rendered));
    bt_status st = bt_alloc_array((void **)&data, rendered.n_span, sizeof *data, BT_MEM_TEXT);
    for (size_t i = 0; st == BT_OK && i < rendered.n_span; i++) {
        const bt_span *span = &rendered.spans[i];
        if (span->from_data)
            data[n_data++] = (bt_slice){rendered.text.data + span->begin, span->end - span->begin};
    }
    if (st == BT_OK) {
        bt_mixed_text text = {rendered.text.data, rendered.text.len, data, n_data};
        st = bt_tokenizer_encode_mixed(tokenizer, &text, ids, id_max, ret_n);
    }
    bt_free(data);
    bt_rendered_done(&rendered);
    return st;
}
