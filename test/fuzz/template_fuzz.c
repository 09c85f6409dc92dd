// SPDX-License-Identifier: Apache-2.0
/* template_fuzz: any bytes as a template, over data that has one of everything. The first byte
 * chooses whether the rest is one template, or data and a template with a NUL between. */
#include "text/template.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char sample[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi <|x|>\"}, "
                             "{\"role\": \"assistant\", \"content\": [{\"type\": \"text\","
                             "\"text\": \"\\u00dc\"}], \"tool_calls\": [{\"function\": {\"name\": "
                             "\"f\", \"arguments\": {\"a\": 1}}}]}], \"l\": [3, 1, 2],"
                             "\"d\": {\"b\": 1.5, \"a\": null}, \"n\": 3, \"s\": \"Hello\", \"t\": "
                             "true, \"add_generation_prompt\": true}";

static void check(const bt_rendered *r)
{
    size_t at = 0;
    for (size_t i = 0; i < r->n_span; i++) {
        assert(r->spans[i].begin == at && r->spans[i].end > at);
        at = r->spans[i].end;
    }
    assert(at == r->text.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const char *text = (const char *)bytes, *nul = NULL;
    json_t *data = NULL;
    bt_template *tmpl;
    bt_rendered r = {0};
    if (len && bytes[0] == 1) nul = memchr(text, 0, len);
    bt_status st = bt_json_parse(nul ? text + 1 : sample,
                                 nul ? (size_t)(nul - text) - 1 : sizeof sample - 1, &data);
    if (nul) {
        len -= (size_t)(nul + 1 - text);
        text = nul + 1;
    }
    if (st == BT_OK && json_is_object(data) && bt_template_parse(text, len, &tmpl) == BT_OK) {
        bt_template_input input = {.data = data,
                                   .now_unix_s = 1752148800,
                                   .limits = {.steps_max = 20000, .memory_bytes_max = 4 << 20}};
        if (bt_template_render(tmpl, &input, &r) == BT_OK) check(&r);
        bt_rendered_done(&r);
        bt_template_free(tmpl);
    }
    if (st == BT_OK) json_decref(data);
    return 0;
}
