// SPDX-License-Identifier: Apache-2.0
/* sched: see sched.h. A plan has three passes, each over the policy's order:
 *
 *   admit     waiting requests for which there are a sequence and pages for all they hold
 *   reserve   how many tokens each running request takes, and the pages for them; may preempt
 *   fill      the batch, from what was reserved
 */
#include "engine/sched.h"
#include "base/alloc.h"
#include "base/bits.h"
#include <assert.h>
#include <string.h>

/* ---- memory ---- */

static bt_pages_config pages_config(const bt_sched_config *c)
{
    return (bt_pages_config){.n_page = c->limits.n_page,
                             .page_len = c->limits.page_len,
                             .n_seq_max = c->limits.n_seq_max,
                             .n_page_max = c->limits.n_page_max};
}

/* Lay the arrays out from `at`; with at = NULL the result is their size. */
static size_t place_arrays(bt_sched *s, const bt_sched_config *c, char *at)
{
    const bt_batch_limits *l = &c->limits;
    size_t n = 0;
#define PLACE(pointer, count)                                                                      \
    do {                                                                                           \
        if (at) (pointer) = (void *)(at + n);                                                      \
        n += (size_t)(count) * sizeof *(pointer);                                                  \
    } while (0)
    PLACE(s->waiting, c->n_request_max);
    PLACE(s->running, l->n_seq_max);
    PLACE(s->batch.slot, l->n_tok_max);
    PLACE(s->batch.ids, l->n_tok_max);
    PLACE(s->batch.pos, l->n_tok_max);
    PLACE(s->batch.seq, l->n_tok_max);
    PLACE(s->batch.table, (size_t)l->n_seq_max * (size_t)l->n_page_max);
    PLACE(s->batch.out_row, l->n_out_max);
#undef PLACE
    return n;
}

size_t bt_sched_bytes(const bt_sched_config *config)
{
    bt_sched unplaced;
    bt_pages_config pages = pages_config(config);
    return place_arrays(&unplaced, config, NULL) + bt_pages_bytes(&pages);
}

bt_status bt_sched_init(bt_sched *s, const bt_sched_config *config)
{
    bt_pages_config pages = pages_config(config);
    *s = (bt_sched){.config = *config};
    BT_TRY(bt_alloc_zero(&s->arrays, place_arrays(s, config, NULL), BT_MEM_WORKSPACE));
    place_arrays(s, config, s->arrays);
    bt_status st = bt_pages_open(&pages, &s->pages);
    if (st) bt_sched_done(s);
    return st;
}

void bt_sched_done(bt_sched *s)
{
    bt_pages_close(s->pages);
    bt_free(s->arrays);
    *s = (bt_sched){0};
}

/* ---- the lists ---- */

static bool goes_before(const bt_sched *s, const bt_request *a, const bt_request *b)
{
    return s->config.policy->before(a, b, s->n_step);
}

/* Insertion sort: the lists are nearly in order from the step before. */
static void sort_requests(const bt_sched *s, bt_request **list, int32_t n)
{
    for (int32_t i = 1; i < n; i++) {
        bt_request *r = list[i];
        int32_t at = i;
        for (; at > 0 && goes_before(s, r, list[at - 1]); at--) list[at] = list[at - 1];
        list[at] = r;
    }
}

static void drop(bt_request **list, int32_t *n, bt_request *r)
{
    int32_t at = 0;
    while (at < *n && list[at] != r) at++;
    assert(at < *n);
    (*n)--;
    memmove(list + at, list + at + 1, (size_t)(*n - at) * sizeof *list);
}

static void release_pages(bt_sched *s, bt_request *r)
{
    bt_status st = bt_pages_seq_free(s->pages, r->seq);
    assert(st == BT_OK);
    (void)st;
    r->seq = -1;
}

void bt_sched_add(bt_sched *s, bt_request *r)
{
    assert(s->n_waiting + s->n_running < s->config.n_request_max);
    r->state = BT_REQUEST_WAITING;
    s->waiting[s->n_waiting++] = r;
}

void bt_sched_remove(bt_sched *s, bt_request *r)
{
    if (r->state == BT_REQUEST_RUNNING) {
        release_pages(s, r);
        drop(s->running, &s->n_running, r);
    } else {
        drop(s->waiting, &s->n_waiting, r);
    }
}

/* Take everything a running request holds; it waits again and will compute its tokens anew. */
static void preempt(bt_sched *s, bt_request *r)
{
    release_pages(s, r);
    drop(s->running, &s->n_running, r);
    r->n_done = r->n_take = 0;
    r->must_drain = r->paused;
    s->n_preempted++;
    bt_sched_add(s, r);
}

/* ---- admit ---- */

/* Pages a request needs to compute all it holds and one token more. */
static int32_t pages_wanted(const bt_sched *s, const bt_request *r)
{
    int64_t n_tok_max = (int64_t)r->n_prompt + r->n_output_max;
    return bt_pages_for(s->pages, bt_min_i64(r->n_id + 1, n_tok_max));
}

/* Free pages that running requests do not need for what they hold. */
static int32_t pages_to_spare(const bt_sched *s)
{
    int32_t spare = bt_pages_n_free(s->pages);
    for (int32_t i = 0; i < s->n_running; i++) {
        int32_t n_held;
        bt_pages_seq_table(s->pages, s->running[i]->seq, &n_held);
        spare -= (int32_t)bt_max_i64(pages_wanted(s, s->running[i]) - n_held, 0);
    }
    return spare;
}

/* The running request, last in order, whose user does not read; NULL when there is none. */
static bt_request *find_paused(const bt_sched *s)
{
    for (int32_t i = s->n_running; i-- > 0;)
        if (s->running[i]->paused) return s->running[i];
    return NULL;
}

/* Can the request start now? Requests that do nothing for want of a reader make way for it. */
static bool make_way(bt_sched *s, const bt_request *r)
{
    for (;;) {
        bool has_seq = s->n_running < s->config.limits.n_seq_max;
        if (has_seq && pages_wanted(s, r) <= pages_to_spare(s)) return true;
        bt_request *idle = find_paused(s);
        if (!idle) return false;
        preempt(s, idle);
    }
}

/* Admit strictly in order: nobody overtakes a large request that waits for pages. */
static void admit(bt_sched *s)
{
    sort_requests(s, s->waiting, s->n_waiting);
    for (int32_t i = 0; i < s->n_waiting;) {
        bt_request *r = s->waiting[i];
        if (r->paused) {
            i++;
            continue;
        }
        if (!make_way(s, r)) return;
        bt_status st = bt_pages_seq_new(s->pages, &r->seq);
        assert(st == BT_OK);
        (void)st;
        drop(s->waiting, &s->n_waiting, r);
        r->state = BT_REQUEST_RUNNING;
        r->must_drain = false;
        s->running[s->n_running++] = r;
    }
}

/* ---- reserve ---- */

static bool is_decoding(const bt_request *r)
{
    return r->n_id - r->n_done == 1 && r->n_id > r->n_prompt;
}

/* Tokens the request would like to take, as far as the step's budgets go. */
static int32_t tokens_wanted(const bt_sched *s, const bt_request *r)
{
    if (r->paused) return 0;
    if (is_decoding(r)) return 1;
    int64_t n = bt_min_i64(r->n_id - r->n_done, s->config.n_chunk);
    if (r->params.logits_all && r->n_read < r->n_prompt) {
        // Rows of logits are scarce: positions already shown are free, further ones are counted.
        int64_t free_rows = bt_max_i64(r->n_read - r->n_done, 0);
        n = bt_min_i64(n, free_rows + 1 + s->n_extra_out);
    }
    return (int32_t)bt_min_i64(n, s->n_prompt_left);
}

/* Whose pages go next in favour of `r`: somebody nobody reads, else the last in order after r. */
static bt_request *pick_victim(const bt_sched *s, const bt_request *r)
{
    bt_request *idle = find_paused(s);
    if (idle) return idle;
    bt_request *last = s->running[s->n_running - 1];
    return last == r ? NULL : last;
}

/* Get pages for up to n tokens more, preempting while there is not even room for one. */
static int32_t reserve_pages(bt_sched *s, bt_request *r, int32_t n)
{
    for (;;) {
        int32_t n_held;
        bt_pages_seq_table(s->pages, r->seq, &n_held);
        int64_t room = ((int64_t)n_held + bt_pages_n_free(s->pages)) * s->config.limits.page_len;
        int32_t n_take = (int32_t)bt_min_i64(n, room - r->n_done);
        if (n_take > 0) {
            bt_status st = bt_pages_seq_grow(s->pages, r->seq, (int64_t)r->n_done + n_take);
            assert(st == BT_OK);
            (void)st;
            return n_take;
        }
        bt_request *victim = pick_victim(s, r);
        if (!victim) return 0; // the last in order: it keeps what it has and waits for the others
        preempt(s, victim);
    }
}

/* Rows of logits the taken tokens need: the last one's when it is the newest token, and those of
 * prompt positions the user asked to see. */
static int32_t rows_needed(const bt_request *r)
{
    int32_t end = r->n_done + r->n_take;
    if (!r->params.logits_all || r->n_read >= r->n_prompt) return end == r->n_id;
    int32_t first = r->n_read > r->n_done ? r->n_read : r->n_done;
    int32_t n = end > first ? end - first : 0; // n_id == n_prompt: nothing was generated yet
    return n;
}

static void reserve(bt_sched *s)
{
    sort_requests(s, s->running, s->n_running);
    s->n_prompt_left = s->config.limits.n_tok_max;
    s->n_extra_out = s->config.limits.n_out_max - s->config.limits.n_seq_max;
    for (int32_t i = 0; i < s->n_running; i++) {
        s->running[i]->n_take = s->running[i]->n_out = 0;
        s->n_prompt_left -= is_decoding(s->running[i]) && !s->running[i]->paused;
    }
    for (int32_t i = 0; i < s->n_running; i++) {
        bt_request *r = s->running[i];
        int32_t want = tokens_wanted(s, r);
        if (want == 0) continue;
        bool decodes = is_decoding(r);
        r->n_take = reserve_pages(s, r, want);
        r->n_out = rows_needed(r);
        if (!decodes) s->n_prompt_left -= r->n_take;
        if (r->n_out > 1) s->n_extra_out -= r->n_out - 1;
        while (s->running[i] != r) i--; // preempting a paused one may have moved it forward
    }
}

/* ---- fill ---- */

static void fill_sequence(bt_sched *s, bt_request *r)
{
    bt_batch *b = &s->batch;
    const bt_batch_limits *l = &s->config.limits;
    int32_t n_page;
    const int32_t *table = bt_pages_seq_table(s->pages, r->seq, &n_page);
    memcpy(b->table + (int64_t)b->n_seq * l->n_page_max, table, (size_t)n_page * sizeof *table);
    r->first_out = b->n_out;
    for (int32_t i = 0; i < r->n_take; i++) {
        int32_t pos = r->n_done + i, at = b->n_tok++;
        b->ids[at] = r->ids[pos];
        b->pos[at] = pos;
        b->seq[at] = b->n_seq;
        b->slot[at] = (int64_t)table[pos / l->page_len] * l->page_len + pos % l->page_len;
        if (i >= r->n_take - r->n_out) b->out_row[b->n_out++] = at;
    }
    b->n_seq++;
}

/* Tokens that a running request will want once the planned step is over; *ret_prompt: of its prompt. */
static int32_t wanted_after(const bt_sched *s, const bt_request *r, bool *ret_prompt)
{
    int32_t n_done = r->n_done + r->n_take;
    *ret_prompt = n_done < r->n_id;
    if (r->paused || r->n_take == 0) return 0;
    if (*ret_prompt) return (int32_t)bt_min_i64(r->n_id - n_done, s->config.n_chunk);
    return r->n_id + 1 < r->n_prompt + r->n_output_max; // not when the token that comes is the last
}

bool bt_sched_predict(const bt_sched *s, int32_t *ret_n_tok, int32_t *ret_n_out)
{
    int32_t n_decode = 0, n_prompt = 0, n_out = 0;
    bool prompt;
    for (int32_t i = 0; i < s->n_running; i++)
        n_decode += wanted_after(s, s->running[i], &prompt) && !prompt;
    for (int32_t i = 0; i < s->n_running; i++) {
        const bt_request *r = s->running[i];
        int32_t want = wanted_after(s, r, &prompt);
        if (!prompt || !want) continue;
        want = (int32_t)bt_min_i64(want, s->config.limits.n_tok_max - n_decode - n_prompt);
        n_prompt += want;
        n_out += r->n_done + r->n_take + want == r->n_id;
    }
    *ret_n_tok = n_decode + n_prompt;
    *ret_n_out = n_decode + n_out;
    return *ret_n_tok > 0;
}

void bt_sched_plan(bt_sched *s)
{
    s->n_step++;
    s->batch.n_tok = s->batch.n_seq = s->batch.n_out = 0;
    admit(s);
    reserve(s);
    for (int32_t i = 0; i < s->n_running; i++)
        if (s->running[i]->n_take > 0) fill_sequence(s, s->running[i]);
    assert(s->batch.n_tok <= s->config.limits.n_tok_max &&
           s->batch.n_out <= s->config.limits.n_out_max);
}
