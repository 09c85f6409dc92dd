// SPDX-License-Identifier: Apache-2.0
/* request: a request's life between its user and the engine, and the slab all requests come from.
 *
 *   free -> taken -> incoming -> (waiting <-> running) -> ended -> free
 *        submit's thread       |      the step's thread          |  once the user has freed it, too
 *
 * One lock, the slab's, guards what both sides touch: the lists of free and incoming requests, the
 * event rings and the user's wishes. It is held for copies only. Everything else in a request
 * belongs to one thread at a time: to submit until it is incoming, to the step from then on.
 *
 * A ring always keeps room for the closing event, so ending a request never waits. A request runs
 * only while its ring has room for one more token.
 */
#pragma once
#include "base/lock.h"
#include "baton/engine.h"
#include "engine/stop.h"

enum {
    BT_RING_EVENTS = 64,
    BT_RING_TEXT = 4 * BT_STOP_OUT_MAX, // bytes of text in a ring
};

typedef struct bt_slab bt_slab;

/* Events on their way to the user; guarded by the slab's lock, except `given`, which is the user's.
 */
typedef struct bt_ring {
    int32_t head, n;                // events
    int32_t text_head, n_text;      // bytes
    bt_event event[BT_RING_EVENTS]; // text_len set, text not
    char text[BT_RING_TEXT];        // of all events in order; wraps
    char given[BT_STOP_OUT_MAX];    // text of the event handed out last
} bt_ring;

typedef enum bt_request_state {
    BT_REQUEST_FREE,
    BT_REQUEST_WAITING,
    BT_REQUEST_RUNNING
} bt_request_state;

struct bt_request {
    bt_slab *slab;
    bt_request *next; // free or incoming list; under the lock
    void *block;      // owned: all that follows by pointer, allocated at submit

    // the step's; set up by submit
    bt_request_params params; // pointers lead into the block
    uint64_t arrival;         // order of submission
    bt_request_state state;
    int32_t *ids; // [n_prompt + n_output_max] prompt, then output
    int32_t n_prompt, n_id, n_output_max;
    int32_t n_done;           // tokens whose KV is in the pool; < n_id while it runs
    int32_t n_read;           // prompt positions whose logits the user has seen
    int32_t seq;              // of bt_pages; -1 while it waits
    int32_t n_take;           // tokens in this step's batch
    int32_t first_out, n_out; // rows of this step's logits
    bool paused;              // as of the step's beginning: its user has to read first
    bool doomed;              // as of the step's beginning: cancelled
    bool must_drain;          // lost its pages unread: stays paused until half the ring is read
    bt_detok *detok;          // NULL without a tokenizer
    bt_stop *stop;            // NULL without a tokenizer

    // under the lock
    bt_ring *ring;
    bool cancel_asked, freed, ended, closed; // closed: the closing event was taken
};

struct bt_slab {
    bt_lock lock;
    int32_t n_slot, n_incoming;
    uint64_t n_arrived;
    bt_request *free_head;
    bt_request *incoming_head, *incoming_tail;
    bt_request slot[]; // [n_slot]
};

size_t bt_slab_bytes(int32_t n_slot); // what open allocates
BT_CHECKED bt_status bt_slab_open(int32_t n_slot, bt_slab **ret_slab);
void bt_slab_close(bt_slab *slab); // and all requests with it; NULL is nothing

/* Make a request of checked params and put it into the incoming list. Any thread.
 * Errors  BUSY: no slot is free.  NOMEM. */
BT_CHECKED bt_status bt_slab_submit(bt_slab *slab, const bt_request_params *params,
                                    int32_t n_output_max, const bt_tokenizer *tokenizer,
                                    bt_request **ret_request);

/* The step's beginning: move incoming requests (at most n_max, oldest first) to ret_fresh and note
 * in those and in `alive` what the users wish (paused, doomed). Returns how many are fresh. */
int32_t bt_slab_intake(bt_slab *slab, bt_request *const *alive, int32_t n_alive,
                       bt_request **ret_fresh, int32_t n_max);
int32_t bt_slab_n_incoming(bt_slab *slab);

/* Put an event into the ring; its text is copied. There must be room. */
void bt_request_emit(bt_request *request, const bt_event *event);

/* Put the closing event into the ring and let go of the request: the user may free it from now on.
 */
void bt_request_end(bt_request *request, const bt_event *closing);
