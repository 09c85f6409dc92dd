// SPDX-License-Identifier: Apache-2.0
/* The scheduler by itself: requests made by hand, plans looked at, tokens "computed" by counting.
 */
#include "support/support.h"
#include "engine/sched.h"
#include <string.h>

enum { PAGE = 16, IDS = 1000 };

static int32_t ids[IDS];

static bt_sched_config config_of(int32_t n_page, int32_t n_seq_max, int32_t n_tok_max,
                                 int32_t n_chunk)
{
    return (bt_sched_config){.limits = {.n_tok_max = n_tok_max,
                                        .n_seq_max = n_seq_max,
                                        .n_out_max = n_seq_max,
                                        .n_page_max = n_page,
                                        .n_page = n_page,
                                        .page_len = PAGE},
                             .n_chunk = n_chunk,
                             .n_request_max = 32,
                             .policy = &bt_policy_fcfs};
}

static void add(bt_sched *s, bt_request *r, int32_t arrival, int32_t n_prompt, int32_t n_output)
{
    *r = (bt_request){.ids = ids,
                      .n_prompt = n_prompt,
                      .n_id = n_prompt,
                      .n_output_max = n_output,
                      .seq = -1,
                      .arrival = (uint64_t)arrival};
    bt_request_defaults(&r->params);
    bt_sched_add(s, r);
}

/* Plan a step and pretend that it ran: what is complete gets another token. */
static void step(bt_sched *s)
{
    bt_sched_plan(s);
    assert_true(bt_pages_check(s->pages, 0));
    for (int32_t i = 0; i < s->n_running; i++) {
        bt_request *r = s->running[i];
        r->n_done += r->n_take;
        r->n_id += r->n_take > 0 && r->n_done == r->n_id;
    }
}

static void decoding_comes_first_and_prompts_share_the_rest(void **state)
{
    (void)state;
    bt_sched s;
    bt_sched_config c = config_of(40, 4, 50, 32);
    bt_request r[4];
    assert_ok(bt_sched_init(&s, &c));
    add(&s, &r[0], 0, 10, 50);
    add(&s, &r[1], 1, 10, 50);
    step(&s);
    assert_int_equal(s.batch.n_tok, 20);
    assert_int_equal(s.batch.n_out, 2);
    add(&s, &r[2], 2, 100, 50);
    add(&s, &r[3], 3, 100, 50);
    step(&s);
    assert_int_equal(r[0].n_take, 1);
    assert_int_equal(r[1].n_take, 1);
    assert_int_equal(r[2].n_take, 32); // a whole piece
    assert_int_equal(r[3].n_take, 16); // what is left of 50
    assert_int_equal(s.batch.n_out, 2);
    for (int i = 0; i < 3; i++) step(&s);
    assert_int_equal(r[2].n_take, 4); // the rest of the prompt: its last row is wanted
    assert_int_equal(r[2].n_out, 1);
    bt_sched_done(&s);
}

static void the_batch_names_slots_pages_and_rows(void **state)
{
    (void)state;
    bt_sched s;
    bt_sched_config c = config_of(8, 2, 64, 64);
    bt_request r[2];
    assert_ok(bt_sched_init(&s, &c));
    for (int i = 0; i < 40; i++) ids[i] = 500 + i;
    add(&s, &r[0], 0, 20, 5);
    add(&s, &r[1], 1, 18, 5);
    bt_sched_plan(&s);
    assert_int_equal(s.batch.n_tok, 38);
    assert_int_equal(s.batch.n_seq, 2);
    assert_int_equal(s.batch.out_row[0], 19);
    assert_int_equal(s.batch.out_row[1], 37);
    for (int32_t i = 0; i < 38; i++) {
        int32_t pos = i < 20 ? i : i - 20, seq = i >= 20, n_page;
        const int32_t *table = bt_pages_seq_table(s.pages, r[seq].seq, &n_page);
        assert_int_equal(n_page, 2);
        assert_int_equal(s.batch.pos[i], pos);
        assert_int_equal(s.batch.seq[i], seq);
        assert_int_equal(s.batch.ids[i], 500 + pos);
        assert_int_equal(s.batch.slot[i], table[pos / PAGE] * PAGE + pos % PAGE);
        assert_int_equal(s.batch.table[seq * c.limits.n_page_max + pos / PAGE], table[pos / PAGE]);
    }
    bt_sched_done(&s);
}

static void without_pages_the_youngest_gives_way(void **state)
{
    (void)state;
    bt_sched s;
    bt_sched_config c = config_of(6, 4, 200, 100);
    bt_request r[3];
    assert_ok(bt_sched_init(&s, &c));
    for (int i = 0; i < 3; i++) add(&s, &r[i], i, 30, 60);
    step(&s); // 30 tokens each: 2 pages each, all 6
    assert_int_equal(s.n_running, 3);
    step(&s);
    step(&s); // 32 tokens each
    assert_int_equal(s.n_preempted, 0);
    step(&s); // the 33rd: two of them need a third page
    assert_int_equal(s.n_preempted, 1);
    assert_int_equal(r[2].state, BT_REQUEST_WAITING);
    assert_int_equal(r[2].n_done, 0);
    assert_int_equal(r[2].n_id, 33); // what it generated stays
    assert_int_equal(r[0].n_take, 1);
    assert_int_equal(r[1].n_take, 1);
    for (int i = 0; i < 16; i++) step(&s); // the 49th: only the oldest goes on
    assert_int_equal(r[1].state, BT_REQUEST_WAITING);
    assert_int_equal(r[0].state, BT_REQUEST_RUNNING);
    bt_sched_remove(&s, &r[0]);
    step(&s);
    assert_int_equal(r[1].state, BT_REQUEST_RUNNING); // in their old order
    assert_int_equal(r[1].n_take, r[1].n_id - 1);
    bt_sched_done(&s);
}

static void a_lower_priority_gives_way_before_a_younger_one(void **state)
{
    (void)state;
    bt_sched s;
    bt_sched_config c = config_of(4, 4, 200, 100);
    bt_request r[2];
    assert_ok(bt_sched_init(&s, &c));
    for (int i = 0; i < 2; i++) add(&s, &r[i], i, 30, 30);
    r[1].params.priority = 1;
    for (int i = 0; i < 4; i++) step(&s);
    assert_int_equal(s.n_preempted, 1);
    assert_int_equal(r[0].state, BT_REQUEST_WAITING);
    assert_int_equal(r[1].state, BT_REQUEST_RUNNING);
    bt_sched_done(&s);
}

static void whoever_is_not_read_gives_way_before_all_others(void **state)
{
    (void)state;
    bt_sched s;
    bt_sched_config c = config_of(6, 4, 200, 100);
    bt_request r[3];
    assert_ok(bt_sched_init(&s, &c));
    for (int i = 0; i < 3; i++) add(&s, &r[i], i, 30, 60);
    step(&s);
    r[0].paused = true;
    for (int i = 0; i < 3; i++) step(&s);
    assert_int_equal(r[0].state, BT_REQUEST_WAITING);
    assert_int_equal(r[1].n_take, 1);
    assert_int_equal(r[2].n_take, 1);
    for (int i = 0; i < 5; i++) step(&s);
    assert_int_equal(r[0].state, BT_REQUEST_WAITING); // and does not come back while nobody reads
    bt_sched_done(&s);
}

static void nobody_overtakes_a_large_request_that_waits_for_pages(void **state)
{
    (void)state;
    bt_sched s;
    bt_sched_config c = config_of(10, 4, 200, 100);
    bt_request r[3];
    assert_ok(bt_sched_init(&s, &c));
    add(&s, &r[0], 0, 60, 20);
    step(&s);
    add(&s, &r[1], 1, 120, 10); // 8 pages, 6 are free
    add(&s, &r[2], 2, 10, 10);  // 1 page
    step(&s);
    assert_int_equal(s.n_running, 1);
    bt_sched_remove(&s, &r[0]);
    step(&s);
    assert_int_equal(r[1].n_take, 100);
    assert_int_equal(r[2].state, BT_REQUEST_RUNNING);
    bt_sched_done(&s);
}

static void a_prompt_takes_what_room_there_is_before_anyone_is_preempted(void **state)
{
    (void)state;
    bt_sched s;
    bt_sched_config c = config_of(10, 4, 400, 400);
    bt_request r[2];
    assert_ok(bt_sched_init(&s, &c));
    add(&s, &r[0], 0, 40, 100); // 3 pages
    step(&s);
    add(&s, &r[1], 1, 100, 10); // 7 pages are left
    step(&s);
    assert_int_equal(r[1].n_take, 100);
    assert_int_equal(s.n_preempted, 0);
    assert_int_equal(bt_pages_n_free(s.pages), 0);
    bt_sched_done(&s);
}

static void rows_of_logits_are_shared_and_everyone_gets_one(void **state)
{
    (void)state;
    bt_sched s;
    bt_sched_config c = config_of(20, 4, 200, 40);
    c.limits.n_out_max = 4 + 10;
    bt_request r[4];
    assert_ok(bt_sched_init(&s, &c));
    for (int i = 0; i < 4; i++) {
        add(&s, &r[i], i, 50, 5);
        r[i].params.logits_all = i < 3;
    }
    step(&s);
    assert_int_equal(r[0].n_take, 11); // its own row and the ten to spare
    assert_int_equal(r[1].n_take, 1);
    assert_int_equal(r[2].n_take, 1);
    assert_int_equal(r[3].n_take, 40); // wants no rows yet
    assert_int_equal(s.batch.n_out, 13);
    r[0].n_read = 11;
    r[0].n_done = 0; // as after a preemption: what was shown needs no rows again
    step(&s);
    assert_int_equal(r[0].n_take, 22);
    assert_int_equal(r[0].n_out, 11);
    assert_int_equal(r[3].n_out, 1);
    bt_sched_done(&s);
}

static void nothing_to_do_is_an_empty_batch(void **state)
{
    (void)state;
    bt_sched s;
    bt_sched_config c = config_of(4, 2, 8, 8);
    bt_request r;
    assert_ok(bt_sched_init(&s, &c));
    bt_sched_plan(&s);
    assert_int_equal(s.batch.n_tok, 0);
    add(&s, &r, 0, 5, 5);
    r.paused = true;
    bt_sched_plan(&s);
    assert_int_equal(s.batch.n_tok, 0);
    bt_sched_remove(&s, &r);
    assert_int_equal(s.n_waiting + s.n_running, 0);
    bt_sched_done(&s);
    bt_sched_done(&s); // twice is nothing
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoding_comes_first_and_prompts_share_the_rest),
        cmocka_unit_test(the_batch_names_slots_pages_and_rows),
        cmocka_unit_test(without_pages_the_youngest_gives_way),
        cmocka_unit_test(a_lower_priority_gives_way_before_a_younger_one),
        cmocka_unit_test(whoever_is_not_read_gives_way_before_all_others),
        cmocka_unit_test(nobody_overtakes_a_large_request_that_waits_for_pages),
        cmocka_unit_test(a_prompt_takes_what_room_there_is_before_anyone_is_preempted),
        cmocka_unit_test(rows_of_logits_are_shared_and_everyone_gets_one),
        cmocka_unit_test(nothing_to_do_is_an_empty_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
