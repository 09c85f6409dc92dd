// SPDX-License-Identifier: Apache-2.0
/* request: see request.h. */
#include "engine/request.h"
#include "base/alloc.h"
#include "base/bits.h"
#include <assert.h>
#include <string.h>

size_t bt_slab_bytes(int32_t n_slot)
{
    return sizeof(bt_slab) + (size_t)n_slot * sizeof(bt_request);
}

bt_status bt_slab_open(int32_t n_slot, bt_slab **ret_slab)
{
    bt_slab *s;
    BT_TRY(bt_alloc_zero((void **)&s, bt_slab_bytes(n_slot), BT_MEM_REQUEST));
    s->n_slot = n_slot;
    for (int32_t i = n_slot; i-- > 0;) {
        s->slot[i].slab = s;
        s->slot[i].next = s->free_head;
        s->free_head = &s->slot[i];
    }
    bt_lock_init(&s->lock);
    *ret_slab = s;
    return BT_OK;
}

void bt_slab_close(bt_slab *slab)
{
    if (!slab) return;
    for (int32_t i = 0; i < slab->n_slot; i++) bt_free(slab->slot[i].block);
    bt_lock_done(&slab->lock);
    bt_free(slab);
}

static bt_request *take_slot(bt_slab *slab)
{
    bt_lock_take(&slab->lock);
    bt_request *r = slab->free_head;
    if (r) slab->free_head = r->next;
    bt_lock_give(&slab->lock);
    return r;
}

/* The slot is nobody's any more: free its memory, then offer it again. */
static void give_slot(bt_request *r)
{
    bt_slab *slab = r->slab;
    bt_free(r->block);
    *r = (bt_request){.slab = slab};
    bt_lock_take(&slab->lock);
    r->next = slab->free_head;
    slab->free_head = r;
    bt_lock_give(&slab->lock);
}

/* Where the parts of a request's block lie: offsets in bytes, the largest alignment first. */
typedef struct block_plan {
    size_t ring, detok, stop, bias, ids, stop_ids, text, bytes;
} block_plan;

static size_t text_bytes(const bt_request_params *p)
{
    size_t bytes = 0;
    for (int32_t i = 0; i < p->n_stop; i++) bytes += strlen(p->stop[i]) + 1;
    return bytes;
}

/* Cannot overflow: every count was checked, the largest are < 2^28 tokens of 4 bytes. */
static block_plan plan_block(const bt_request_params *p, int32_t n_output_max, bool has_text)
{
    block_plan b = {0};
    b.detok = b.ring + sizeof(bt_ring);
    b.stop = b.detok + (has_text ? sizeof(bt_detok) : 0);
    b.bias = (b.stop + (has_text ? sizeof(bt_stop) : 0) + 7) / 8 * 8;
    b.ids = b.bias + (size_t)p->n_logit_bias * sizeof(bt_logit_bias);
    b.stop_ids = b.ids + ((size_t)p->n_id + (size_t)n_output_max) * sizeof(int32_t);
    b.text = b.stop_ids + (size_t)p->n_stop_id * sizeof(int32_t);
    b.bytes = b.text + text_bytes(p);
    return b;
}

static void copy_stop_texts(bt_request *r, char *to)
{
    for (int32_t i = 0; i < r->params.n_stop; i++) {
        size_t len = strlen(r->params.stop[i]);
        memcpy(to, r->params.stop[i], len + 1);
        r->stop->text[i] = to;
        r->stop->len[i] = (int32_t)len;
        to += len + 1;
    }
    r->stop->n = r->params.n_stop;
    r->params.stop = r->stop->text;
}

/* Copy `n` items to `to`; the copy, or NULL where there are none. */
static void *copy_items(void *to, const void *from, int32_t n, size_t size)
{
    return n ? memcpy(to, from, (size_t)n * size) : NULL;
}

static bt_status fill(bt_request *r, const bt_request_params *p, int32_t n_output_max,
                      const bt_tokenizer *tokenizer)
{
    block_plan b = plan_block(p, n_output_max, tokenizer != NULL);
    BT_TRY(bt_alloc(&r->block, b.bytes, BT_MEM_REQUEST));
    char *at = r->block;
    r->ring = (bt_ring *)(at + b.ring);
    r->ring->head = r->ring->n = r->ring->text_head = r->ring->n_text = 0;
    r->params = *p;
    r->params.logit_bias =
        copy_items(at + b.bias, p->logit_bias, p->n_logit_bias, sizeof *p->logit_bias);
    r->params.ids = r->ids = copy_items(at + b.ids, p->ids, p->n_id, sizeof *p->ids);
    r->params.stop_ids =
        copy_items(at + b.stop_ids, p->stop_ids, p->n_stop_id, sizeof *p->stop_ids);
    r->n_prompt = r->n_id = p->n_id;
    r->n_output_max = n_output_max;
    r->seq = -1;
    r->state = BT_REQUEST_WAITING;
    if (tokenizer) {
        r->detok = (bt_detok *)(at + b.detok);
        bt_detok_init(r->detok, tokenizer,
                      BT_DETOK_CONTINUE | (p->special_text ? BT_DETOK_SPECIAL : 0));
        r->stop = (bt_stop *)(at + b.stop);
        r->stop->n_held = 0;
        r->stop->ended = false;
        copy_stop_texts(r, at + b.text);
    }
    return BT_OK;
}

bt_status bt_slab_submit(bt_slab *slab, const bt_request_params *params, int32_t n_output_max,
                         const bt_tokenizer *tokenizer, bt_request **ret_request)
{
    bt_request *r = take_slot(slab);
    BT_FAIL_IF(!r, BUSY, "the queue is full: %d requests are there already", slab->n_slot);
    bt_status st = fill(r, params, n_output_max, tokenizer);
    if (st) {
        give_slot(r);
        return st;
    }
    bt_lock_take(&slab->lock);
    r->arrival = slab->n_arrived++;
    r->next = NULL;
    if (slab->incoming_tail)
        slab->incoming_tail->next = r;
    else
        slab->incoming_head = r;
    slab->incoming_tail = r;
    slab->n_incoming++;
    bt_lock_give(&slab->lock);
    *ret_request = r;
    return BT_OK;
}

/* Room for a token's event and the closing one after it. */
static bool ring_has_room(const bt_ring *ring)
{
    return ring->n + 2 <= BT_RING_EVENTS && ring->n_text + 2 * BT_STOP_OUT_MAX <= BT_RING_TEXT;
}

/* Room for many tokens: worth computing everything anew. Coming back for each event that a slow
 * user takes would cost a whole prompt a token. */
static bool ring_is_drained(const bt_ring *ring)
{
    return ring->n <= BT_RING_EVENTS / 2 && ring->n_text <= BT_RING_TEXT / 2;
}

static void note_wishes(bt_request *r)
{
    r->paused = !ring_has_room(r->ring) || (r->must_drain && !ring_is_drained(r->ring));
    r->doomed = r->cancel_asked;
}

int32_t bt_slab_intake(bt_slab *slab, bt_request *const *alive, int32_t n_alive,
                       bt_request **ret_fresh, int32_t n_max)
{
    int32_t n = 0;
    bt_lock_take(&slab->lock);
    while (n < n_max && slab->incoming_head) {
        bt_request *r = slab->incoming_head;
        slab->incoming_head = r->next;
        if (!r->next) slab->incoming_tail = NULL;
        note_wishes(ret_fresh[n++] = r);
    }
    slab->n_incoming -= n;
    for (int32_t i = 0; i < n_alive; i++) note_wishes(alive[i]);
    bt_lock_give(&slab->lock);
    return n;
}

int32_t bt_slab_n_incoming(bt_slab *slab)
{
    bt_lock_take(&slab->lock);
    int32_t n = slab->n_incoming;
    bt_lock_give(&slab->lock);
    return n;
}

static void ring_put(bt_ring *ring, const bt_event *e)
{
    assert(ring->n < BT_RING_EVENTS && (int64_t)e->text_len <= BT_RING_TEXT - ring->n_text);
    ring->event[(ring->head + ring->n++) % BT_RING_EVENTS] = *e;
    int32_t at = (ring->text_head + ring->n_text) % BT_RING_TEXT;
    size_t first = (size_t)bt_min_i64((int64_t)e->text_len, BT_RING_TEXT - at);
    if (e->text_len) {
        memcpy(ring->text + at, e->text, first);
        memcpy(ring->text, e->text + first, e->text_len - first);
    }
    ring->n_text += (int32_t)e->text_len;
}

static void ring_take(bt_ring *ring, bt_event *ret_event)
{
    *ret_event = ring->event[ring->head];
    ring->head = (ring->head + 1) % BT_RING_EVENTS;
    ring->n--;
    size_t len = ret_event->text_len;
    size_t first = (size_t)bt_min_i64((int64_t)len, BT_RING_TEXT - ring->text_head);
    memcpy(ring->given, ring->text + ring->text_head, first);
    memcpy(ring->given + first, ring->text, len - first);
    ring->text_head = (int32_t)(((size_t)ring->text_head + len) % BT_RING_TEXT);
    ring->n_text -= (int32_t)len;
    ret_event->text = ring->given;
}

void bt_request_emit(bt_request *r, const bt_event *event)
{
    bt_lock_take(&r->slab->lock);
    ring_put(r->ring, event);
    bt_lock_give(&r->slab->lock);
}

void bt_request_end(bt_request *r, const bt_event *closing)
{
    bt_lock_take(&r->slab->lock);
    ring_put(r->ring, closing);
    r->ended = true;
    bool nobodys = r->freed;
    bt_lock_give(&r->slab->lock);
    if (nobodys) give_slot(r);
}

bt_status bt_request_next(bt_request *r, bt_event *ret_event)
{
    bt_status st = BT_OK;
    bt_lock_take(&r->slab->lock);
    if (r->ring->n > 0) {
        ring_take(r->ring, ret_event);
        r->closed = ret_event->finish != BT_FINISH_NONE;
    } else {
        st = r->closed ? BT_NOTFOUND : BT_BUSY;
    }
    bt_lock_give(&r->slab->lock);
    BT_FAIL_IF(st == BT_NOTFOUND, NOTFOUND, "the closing event was already taken");
    BT_FAIL_IF(st == BT_BUSY, BUSY, "no event yet");
    return BT_OK;
}

void bt_request_cancel(bt_request *r)
{
    bt_lock_take(&r->slab->lock);
    r->cancel_asked = true;
    bt_lock_give(&r->slab->lock);
}

void bt_request_free(bt_request *r)
{
    if (!r) return;
    bt_lock_take(&r->slab->lock);
    assert(!r->freed);
    r->freed = r->cancel_asked = true;
    bool nobodys = r->ended;
    bt_lock_give(&r->slab->lock);
    if (nobodys) give_slot(r);
}
