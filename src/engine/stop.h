// SPDX-License-Identifier: Apache-2.0
/* stop: texts that end a generation, found in a stream. Owns the bytes that may yet become part of
 * a stop text; lets everything else through.
 *
 *   stop "END":   push "the E" -> "the ", holds "E";   push "N" -> "";   push "ough" -> "ENough"
 *
 * The stream ends at the byte that completes a stop text first, and of those that end there at the
 * longest, so the result does not depend on how the text was cut into tokens. Stop texts and pushed
 * texts are whole code points, therefore so is everything that comes out.
 */
#pragma once
#include "baton/tokenizer.h"
#include <stddef.h>

enum {
    BT_STOP_MAX = 16,                                      // texts of one request
    BT_STOP_BYTES_MAX = 256,                               // bytes of one text
    BT_STOP_PUSH_MAX = 3 * (BT_PIECE_BYTES_MAX + 8),       // bytes of one push
    BT_STOP_OUT_MAX = BT_STOP_BYTES_MAX + BT_STOP_PUSH_MAX // bytes a push can let out
};

/* In the caller's storage; the texts belong to the caller and live as long. */
typedef struct bt_stop {
    int32_t n; // 0..BT_STOP_MAX
    const char *text[BT_STOP_MAX];
    int32_t len[BT_STOP_MAX];   // 1..BT_STOP_BYTES_MAX bytes
    int32_t n_held;             // < BT_STOP_BYTES_MAX between calls
    char held[BT_STOP_OUT_MAX]; // held bytes, then those of the push
    bool ended;                 // a stop text was found; nothing comes out any more
} bt_stop;

/* Feed text (<= BT_STOP_PUSH_MAX bytes). With `may_end` a stop text that it completes ends the
 * stream; otherwise it passes as text. Writes what can no longer be part of a stop text to out
 * [BT_STOP_OUT_MAX] and returns its length. */
size_t bt_stop_push(bt_stop *stop, const char *text, size_t len, bool may_end, char *out);

/* The stream is over: let out what is held (nothing, where a stop text ended it). Returns the
 * length, < BT_STOP_BYTES_MAX. */
size_t bt_stop_flush(bt_stop *stop, char *out);
