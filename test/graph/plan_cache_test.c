// SPDX-License-Identifier: Apache-2.0
/* The cache of plans of one executable: only shapes and KEY parameters lead to another plan, plans
 * come and go as in a list of the latest used, one that a slot needs stays, and a hash says nothing
 * by itself. Results are compared throughout: a wrong plan would show there. */
#include "graph/toy.h"

/* ---- an operator with a parameter of each role: out = times * x + factor * table ---- */

typedef struct mix_param {
    int32_t times;      // KEY: goes through setup into the launch
    float factor;       // VALUE
    const float *table; // ADDRESS, [LEN_MAX]
} mix_param;

typedef struct mix_args {
    const float *x, *table;
    float *out;
    float times, factor;
} mix_args;

static void mix_kernel(const void *args, int64_t begin, int64_t end)
{
    const mix_args *p = args;
    for (int64_t i = begin; i < end; i++) p->out[i] = p->times * p->x[i] + p->factor * p->table[i];
}

static bt_status mix_infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    (void)param;
    *ret_out = in[0];
    return BT_OK;
}

static bt_status mix_setup(const bt_op_env *env, const void *param, const bt_desc *in,
                           const bt_desc *out, bt_op_setup *ret_setup)
{
    const mix_param *p = param;
    (void)env, (void)in, (void)out;
    *ret_setup = (bt_op_setup){
        .fn = {mix_kernel}, .grain = {16}, .tile = {p->times}, .n_launch = 1, .work_bytes = 64};
    return BT_OK;
}

static const bt_field mix_fields[] = {BT_FIELD(mix_param, times, I32, KEY),
                                      BT_FIELD(mix_param, factor, F32, VALUE),
                                      BT_FIELD(mix_param, table, PTR, ADDRESS)};

static void mix_bind(const bt_op_bind *node, bt_launch *ret_launch);
static const bt_op mix = {.name = "mix",
                          .n_in = 1,
                          .n_in_must = 1,
                          .inplace = -1,
                          .param_bytes = sizeof(mix_param),
                          .field = mix_fields,
                          .n_field = 3,
                          .infer = mix_infer,
                          .setup = mix_setup,
                          .bind = mix_bind};

static void mix_bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    const mix_param *p = node->param;
    bt_op_launch_begin(node, &mix, 0, bt_desc_count(node->out), ret_launch);
    *bt_op_args(ret_launch, mix_args) = (mix_args){.x = node->in_ptr[0],
                                                   .table = p->table,
                                                   .out = node->out_ptr,
                                                   .times = (float)node->setup->tile[0],
                                                   .factor = p->factor};
}

/* ---- a graph of two of them in a row, both values going out, and what it must give ---- */

enum { LEN_MAX = 96, N_TABLE = 3 };
static float table[N_TABLE][LEN_MAX], x[LEN_MAX];

typedef struct world {
    rig k;
    bt_graph *g;
    bt_exec *exec;
    mix_param first, second; // as they are now
} world;

static bt_graph *two_mixes(const world *w)
{
    bt_graph *g;
    bt_value in, mid, out;
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &in));
    assert_ok(bt_graph_apply(g, "first", &mix, &w->first, &in, 1, &mid));
    assert_ok(bt_graph_apply(g, "second", &mix, &w->second, &mid, 1, &out));
    assert_ok(bt_graph_output(g, mid));
    assert_ok(bt_graph_output(g, out));
    assert_ok(bt_graph_freeze(g));
    return g;
}

static world open_world(rig k, bt_exec_config config)
{
    world w = {.k = k,
               .first = {.times = 2, .factor = 0.5f, .table = table[0]},
               .second = {.times = 1, .factor = 2, .table = table[1]}};
    bt_desc largest = bt_desc_1d(BT_F32, LEN_MAX);
    for (int t = 0; t < N_TABLE; t++)
        for (int i = 0; i < LEN_MAX; i++) table[t][i] = (float)(i % 7 + 10 * t);
    for (int i = 0; i < LEN_MAX; i++) x[i] = (float)i;
    w.g = two_mixes(&w);
    config.max_desc = &largest;
    assert_ok(bt_exec_open(w.k.context, w.g, &config, &w.exec));
    return w;
}

static void close_world(world *w)
{
    bt_exec_close(w->exec);
    bt_graph_unref(w->g);
    close_rig(&w->k);
}

static bt_ticket submit(world *w, int64_t n)
{
    bt_ticket step;
    bt_desc desc = bt_desc_1d(BT_F32, n);
    assert_ok(bt_exec_submit(w->exec, &desc, (void *[]){x}, -1, &step));
    return step;
}

/* The outputs of a step over n elements. */
static void expect_outputs(world *w, bt_ticket step, int64_t n)
{
    const float *mid = bt_exec_output(w->exec, step, 0), *out = bt_exec_output(w->exec, step, 1);
    bt_desc desc = bt_exec_output_desc(w->exec, step, 1);
    assert_int_equal(desc.dim[0], n);
    for (int64_t i = 0; i < n; i++) {
        float a = (float)w->first.times * x[i] + w->first.factor * w->first.table[i];
        float b = (float)w->second.times * a + w->second.factor * w->second.table[i];
        if (mid[i] != a || out[i] != b)
            fail_msg("step %d, element %d of %d: %g and %g, wanted %g and %g", (int)step, (int)i,
                     (int)n, (double)mid[i], (double)out[i], (double)a, (double)b);
    }
}

static void run(world *w, int64_t n)
{
    bt_ticket step = submit(w, n);
    assert_ok(bt_exec_wait(w->exec, step, -1));
    expect_outputs(w, step, n);
}

static bt_exec_counters counters(const world *w)
{
    bt_exec_counters c;
    bt_exec_get_counters(w->exec, &c);
    return c;
}

static void set_times(world *w, int32_t first, int32_t second)
{
    w->first.times = first;
    w->second.times = second;
    assert_ok(bt_exec_set_param(w->exec, "first", "times", &first));
    assert_ok(bt_exec_set_param(w->exec, "second", "times", &second));
}

/* ---- parameters ---- */

static void a_key_builds_another_plan_and_back_finds_the_old_one(void **state)
{
    (void)state;
    world w = open_world(open_rig(), (bt_exec_config){0});
    run(&w, 40);
    assert_int_equal(counters(&w).plans_built, 1);
    for (int round = 0; round < 10; round++) {
        set_times(&w, 2, 5);
        run(&w, 40);
        set_times(&w, 5, 2); // the same keys, exchanged: another plan
        run(&w, 40);
        set_times(&w, 2, 1);
        run(&w, 40);
        set_times(&w, 9, 9); // there and back before anything ran
        set_times(&w, 2, 1);
        run(&w, 40);
    }
    bt_exec_counters c = counters(&w);
    assert_int_equal(c.plans_built, 3);
    assert_int_equal(c.plan_hits + c.plans_reused, 41 - 3);
    close_world(&w);
}

static void values_and_addresses_never_build_a_plan(void **state)
{
    (void)state;
    test_rng rng = {3};
    world w = open_world(open_rig(), (bt_exec_config){0});
    for (int round = 0; round < 200; round++) {
        bool first = test_range(&rng, 0, 1);
        mix_param *p = first ? &w.first : &w.second;
        if (test_range(&rng, 0, 1)) {
            p->factor = (float)test_range(&rng, -8, 8);
            assert_ok(bt_exec_set_param(w.exec, first ? "first" : "second", "factor", &p->factor));
        } else {
            p->table = table[test_range(&rng, 0, N_TABLE - 1)];
            assert_ok(bt_exec_set_param(w.exec, first ? "first" : "second", "table", &p->table));
        }
        run(&w, round % 2 ? 40 : 7); // two plans, both to be bound again
        if (test_range(&rng, 0, 1)) run(&w, round % 2 ? 40 : 7); // a replay, perhaps
    }
    assert_int_equal(counters(&w).plans_built, 2);
    assert_int_equal(counters(&w).setups_run + counters(&w).node_hits, 4);
    close_world(&w);
}

static void parameters_change_between_steps_only(void **state)
{
    (void)state;
    world w = open_world(open_rig(), (bt_exec_config){0});
    float factor = 3;
    bt_ticket step = submit(&w, 8);
    assert_fails(bt_exec_set_param(w.exec, "first", "factor", &factor), BT_BUSY, "step 1");
    assert_ok(bt_exec_wait(w.exec, step, -1));
    expect_outputs(&w, step, 8);
    assert_fails(bt_exec_set_param(w.exec, "third", "factor", &factor), BT_NOTFOUND, "'third'");
    assert_fails(bt_exec_set_param(w.exec, "first", "speed", &factor), BT_NOTFOUND, "'speed'");
    close_world(&w);
}

/* ---- room ---- */

static int64_t bytes_of_a_plan(int32_t n_slot)
{
    bt_exec_memory m;
    world w = open_world(open_rig(), (bt_exec_config){.n_slot = n_slot});
    bt_exec_get_memory(w.exec, &m);
    close_world(&w);
    return m.plan_bytes / m.n_plan_max;
}

static void plans_take_their_bytes_and_no_more(void **state)
{
    (void)state;
    bt_exec_memory m;
    for (int32_t n_slot = 1; n_slot <= 3; n_slot++) {
        int64_t each = bytes_of_a_plan(n_slot);
        for (int32_t n = 1; n < 8; n++)
            for (int64_t less = 0; less <= 1; less++) {
                world w = open_world(
                    open_rig(), (bt_exec_config){.n_slot = n_slot, .plan_bytes = n * each - less});
                bt_exec_get_memory(w.exec, &m);
                assert_int_equal(m.n_plan_max, bt_max_i64(n - less, n_slot + 1));
                assert_int_equal(m.plan_bytes, m.n_plan_max * each);
                close_world(&w);
            }
    }
}

/* Plans by shape and key against a list of the latest used. */
static void run_against_a_list(uint32_t unsafe)
{
    enum { N_PLAN = 5 };
    test_rng rng = {8};
    uint64_t n_built = 0, list[N_PLAN] = {0}; // the latest used first
    world w = open_world(open_rig(), (bt_exec_config){.plan_bytes = N_PLAN * bytes_of_a_plan(1)});
    bt_exec_set_unsafe(w.exec, unsafe);
    for (int round = 0; round < 3000; round++) {
        int32_t times = (int32_t)test_range(&rng, 1, 3), n = (int32_t)test_range(&rng, 1, 3);
        uint64_t id = (uint64_t)(times * 100 + n);
        int at = 0;
        set_times(&w, 1, times);
        bt_desc desc = bt_desc_1d(BT_F32, n);
        while (at < N_PLAN && list[at] != id) at++;
        assert_int_equal(bt_exec_is_prepared(w.exec, &desc), at < N_PLAN);
        n_built += at == N_PLAN;
        memmove(list + 1, list, (size_t)(at == N_PLAN ? N_PLAN - 1 : at) * sizeof *list);
        list[0] = id;
        run(&w, n);
        assert_int_equal(counters(&w).plans_built, n_built);
    }
    assert_true(n_built > 500 && n_built < 2500);
    close_world(&w);
}

static void the_least_recently_used_plan_makes_room(void **state)
{
    (void)state;
    run_against_a_list(0);
}

static void plans_of_one_hash_are_told_apart(void **state)
{
    (void)state;
    run_against_a_list(BT_UNSAFE_ONE_HASH);
}

/* ---- slots ---- */

static rig paced_rig(int32_t n_host_thread)
{
    rig k = {0};
    assert_ok(bt_device_open("paced", &(bt_device_config){.kernel_ns = 200000}, &k.device));
    assert_ok(bt_context_open(k.device, &(bt_context_config){.n_host_thread = n_host_thread},
                              &k.context));
    return k;
}

enum { N_SLOT = 3, N_STEP = 120 };

/* What the slots show is of the plans they were given. */
static void expect_plans_of(const world *w, const int64_t *len, int step)
{
    for (int s = step; s > 0 && s > step - N_SLOT; s--) {
        const bt_exec_slot *slot = &w->exec->slot[(s - 1) % N_SLOT];
        assert_true(slot->plan->plan.valid);
        assert_int_equal(slot->plan->plan.in_desc[0].dim[0], len[s]);
    }
}

/* Many more shapes than plans, a slow device, the host as far ahead as it may be. */
static void a_plan_in_flight_is_never_evicted(void **state)
{
    (void)state;
    for (int32_t n_thread = 1; n_thread <= 3; n_thread++) {
        test_rng rng = {(uint64_t)n_thread};
        int64_t len[N_STEP + 1] = {0};
        bt_exec_memory m;
        world w =
            open_world(paced_rig(n_thread), (bt_exec_config){.n_slot = N_SLOT, .plan_bytes = 1});
        bt_exec_get_memory(w.exec, &m);
        assert_int_equal(m.n_plan_max, N_SLOT + 1);
        for (int step = 1; step <= N_STEP; step++) {
            len[step] = test_range(&rng, 1, LEN_MAX);
            assert_int_equal(submit(&w, len[step]), step);
            bt_desc other = bt_desc_1d(BT_F32, test_range(&rng, 1, LEN_MAX));
            if (n_thread == 1) assert_ok(bt_exec_prepare(w.exec, &other));
            expect_plans_of(&w, len, step);
            if (step < N_SLOT) continue;
            int oldest = step - N_SLOT + 1;
            assert_ok(bt_exec_wait(w.exec, (bt_ticket)oldest, -1));
            expect_outputs(&w, (bt_ticket)oldest, len[oldest]);
        }
        assert_true(counters(&w).plans_built > N_STEP / 2);
        close_world(&w);
    }
}

/* A step's outputs can be read until its slot is taken, whatever was planned meanwhile. */
static void outputs_stay_until_their_slot_is_taken(void **state)
{
    (void)state;
    world w = open_world(open_rig(), (bt_exec_config){.n_slot = N_SLOT, .plan_bytes = 1});
    for (bt_ticket step = 1; step <= 30; step++) {
        run(&w, (int64_t)step * 3);
        for (int64_t n = 50; n < 60; n++) {
            bt_desc other = bt_desc_1d(BT_F32, n);
            assert_ok(bt_exec_prepare(w.exec, &other));
        }
        for (bt_ticket old = step; old > 0 && old + N_SLOT > step; old--)
            expect_outputs(&w, old, (int64_t)old * 3);
        if (step > N_SLOT) assert_null(bt_exec_output(w.exec, step - N_SLOT, 0));
    }
    close_world(&w);
}

/* ---- shapes that are none ---- */

static void a_descriptor_that_is_none_is_refused(void **state)
{
    (void)state;
    bt_desc bad[] = {bt_desc_1d(BT_F32, 8), bt_desc_1d(BT_F32, 8),  bt_desc_1d(BT_F32, 8),
                     bt_desc_1d(BT_F32, 8), bt_desc_1d(BT_F32, -8), bt_desc_1d(BT_Q8_0, 8),
                     bt_desc_1d(BT_F32, 8), bt_desc_1d(BT_F32, 8)};
    bad[0].n_dim = BT_DIM_MAX + 1;
    bad[1].n_dim = 0;
    bad[2].dtype = (bt_dtype)256;
    bad[3].layout = (bt_layout)256;
    bad[6].strided = 256;
    bad[7] = bt_desc_2d(BT_F32, INT64_MAX / 2, 3);
    for (int copy = 0; copy <= 1; copy++) {
        bt_ticket step;
        uint64_t hash;
        world w = open_world(open_rig(), (bt_exec_config){.copy = &(bool){copy}});
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            assert_fails(bt_exec_submit(w.exec, &bad[i], (void *[]){x}, -1, &step), BT_INVALID,
                         "input 0");
            assert_fails(bt_exec_prepare(w.exec, &bad[i]), BT_INVALID, "input 0");
            assert_fails(bt_exec_fingerprint(w.exec, &bad[i], &hash), BT_INVALID, "input 0");
            assert_false(bt_exec_is_prepared(w.exec, &bad[i]));
            run(&w, 8);
        }
        close_world(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_builds_another_plan_and_back_finds_the_old_one),
        cmocka_unit_test(values_and_addresses_never_build_a_plan),
        cmocka_unit_test(parameters_change_between_steps_only),
        cmocka_unit_test(plans_take_their_bytes_and_no_more),
        cmocka_unit_test(the_least_recently_used_plan_makes_room),
        cmocka_unit_test(plans_of_one_hash_are_told_apart),
        cmocka_unit_test(a_plan_in_flight_is_never_evicted),
        cmocka_unit_test(outputs_stay_until_their_slot_is_taken),
        cmocka_unit_test(a_descriptor_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
