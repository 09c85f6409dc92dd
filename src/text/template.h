// SPDX-License-Identifier: Apache-2.0
/* template: the chat template language, an interpreter for the Jinja that model files carry.
 *
 * A template is parsed once and rendered many times; rendering is a sandbox: the template sees the
 * data it is given, the clock value it is given, and nothing else, and may spend a bounded amount
 * of steps, memory and output. Semantics, printing and errors are those of Jinja 3.1 in its
 * immutable sandbox with trim_blocks, lstrip_blocks, loop controls and the tojson, raise_exception,
 * strftime_now and generation additions that published chat templates expect.
 *
 * Every byte of the output is marked: from the template's own text (and the trusted variables, such
 * as bos_token), or derived from data. A tokenizer must recognise a special token only where none
 * of its bytes is marked as data; then a user's text can never become one.
 */
#pragma once
#include "base/json.h"

typedef struct bt_template bt_template; // immutable once parsed; any thread may render it

/* What one rendering may cost; a field that is 0 takes the default. Passing one is BT_LIMIT. */
typedef struct bt_template_limits {
    int64_t steps_max;        // evaluations, and one per 64 bytes of text moved; default 1,000,000
    int64_t output_bytes_max; // default 8 MiB
    int64_t depth_max; // nesting of calls, loops, expressions and values; default 400, at most 1000
    int64_t memory_bytes_max; // live bytes of values and buffers; default 24 MiB
} bt_template_limits;

typedef struct bt_template_input {
    json_t *data;    // object: messages, tools, add_generation_prompt, ...; borrowed; may be NULL
    json_t *trusted; // object: bos_token, eos_token, ...: counts as the template's own text; may be
                     // NULL
    int64_t now_unix_s; // what strftime_now prints, as UTC
    bt_template_limits limits;
} bt_template_input;

/* A stretch of the output with one origin. */
typedef struct bt_span {
    size_t begin, end; // bytes; spans cover the text in order, neighbours differ in from_data
    bool from_data;    // derived from the data: must not become a special token
} bt_span;

typedef struct bt_rendered {
    bt_buf text;
    bt_span *spans;
    size_t n_span;
} bt_rendered;

/* Parse a template of at most 256 KiB of UTF-8.
 *
 * Errors   FORMAT: a syntax error; the message names line and column.  UNSUPPORTED: include,
 * import, extends, and the few filters that chat templates never use.  LIMIT: too long or too deep.
 */
BT_CHECKED bt_status bt_template_parse(const char *text, size_t len, bt_template **ret_template);

/* Free a template; NULL is nothing. */
void bt_template_free(bt_template *tmpl);

/* Render; names of `data` hide those of `trusted`, which hide the built-in ones.
 *
 * Errors   INVALID: the template raised an exception or used a value as its type does not allow;
 * the message names line and column.  LIMIT: a limit of the input was passed. */
BT_CHECKED bt_status bt_template_render(const bt_template *tmpl, const bt_template_input *input,
                                        bt_rendered *ret_rendered);

/* Free a rendering's text and spans; {0} is a valid empty one. */
void bt_rendered_done(bt_rendered *rendered);
