// SPDX-License-Identifier: Apache-2.0
/* Plans of every model's graph: the arena is within a twentieth of the least there can be, no two
 * values that live together lie together (said by this file's own code, on one stream and on
 * several), and a length that is seen for the first time sets up one layer, not all. */
#include "graph/decoderworld.h"
#include "graph/planproof.h"
#include "graph/exec.h"
#include "device/device.h"

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { THOROUGH = 0 };
#else
enum { THOROUGH = 1 };
#endif

static bt_op_env env;

static int open_device(void **state)
{
    assert_ok(bt_device_open("cpu", &(bt_device_config){.n_thread = 1}, (bt_device **)state));
    env.kernels = ((bt_device *)*state)->kernels;
    return 0;
}

static int close_device(void **state)
{
    bt_device_close(*state);
    return 0;
}

/* ---- every model ---- */

typedef struct extremes {
    double arena, reuse; // arena / bound at most, sum / arena at least
    int n;
} extremes;

static void plan_model(const bt_hparams *hp, bt_dtype dtype, int32_t n_stream, extremes *worst)
{
    static const int64_t batch[][2] = {{512, 16}, {1, 1}, {16, 16}, {4096, 16}, {77, 3}};
    decoder_world w = decoder_of(hp, dtype);
    planner k = planner_of(w.graph, &env, n_stream);
    for (size_t i = 0; i < BT_COUNT_OF(batch); i++) {
        plan_alone(&k, decoder_batch(&w, batch[i][0], batch[i][1]));
        expect_sound(&k.base, &k.plan);
        double ratio = (double)k.base.arena_bytes / (double)k.base.bound_bytes,
               reuse = (double)k.base.sum_bytes / (double)k.base.arena_bytes;
        worst->arena = ratio > worst->arena ? ratio : worst->arena;
        if (worst->n++ == 0 || reuse < worst->reuse) worst->reuse = reuse;
    }
    planner_done(&k);
    decoder_done(&w);
}

static bool wants(int32_t shape, bt_family family, bt_dtype dtype, const bt_hparams *own)
{
    if (THOROUGH) return dtype == BT_Q8_0 || family == own->family;
    return dtype == BT_Q8_0 && family == own->family && shape % 3 == 0;
}

/* Every shape with the blocks of every family; the family's own also with the other types. */
static extremes plan_all_models(int32_t n_stream)
{
    static const bt_dtype types[] = {BT_Q8_0, BT_BF16, BT_Q4_K};
    extremes worst = {0};
    for (int32_t i = 0; i < bt_model_shape_count(); i++) {
        bt_hparams own;
        assert_ok(bt_model_shape_hparams(bt_model_shape_name(i), &own));
        for (int f = 0; f < BT_FAMILY_COUNT; f++)
            for (size_t t = 0; t < BT_COUNT_OF(types); t++) {
                bt_hparams hp = own;
                bt_hparams_family(&hp, (bt_family)f);
                if (wants(i, hp.family, types[t], &own))
                    plan_model(&hp, types[t], n_stream, &worst);
            }
    }
    print_message("%d plans on %d streams: arena / bound at most %.4f, reuse at least %.1f\n",
                  worst.n, n_stream, worst.arena, worst.reuse);
    return worst;
}

static void the_arena_is_within_a_twentieth_of_the_bound_on_every_model(void **state)
{
    (void)state;
    extremes w = plan_all_models(1);
    assert_true(w.arena <= 1.05);
    assert_true(w.reuse >= 2);
}

static void plans_on_several_streams_are_sound(void **state)
{
    (void)state;
    for (int32_t n_stream = 2; n_stream <= 4; n_stream += 2) {
        extremes w = plan_all_models(n_stream);
        assert_true(w.arena <= 1.05);
    }
}

/* Smaller shapes lie in the arena of the largest. */
static void smaller_plans_are_sound_under_the_largest(void **state)
{
    (void)state;
    test_rng rng = {4};
    bt_plan_counters c = {0};
    for (int32_t n_stream = 1; n_stream <= 4; n_stream++) {
        bt_hparams hp;
        assert_ok(bt_model_shape_hparams("qwen2.5-0.5b", &hp));
        decoder_world w = decoder_of(&hp, BT_Q8_0);
        planner k = planner_of(w.graph, &env, n_stream);
        plan_alone(&k, decoder_batch(&w, 512, 16));
        uint64_t *param = fresh(1, bt_plan_bytes(&k.base));
        memcpy(param, k.plan.param, (size_t)w.graph->n_node * BT_OP_PARAM_BYTES);
        for (int round = 0; round < (THOROUGH ? 60 : 6); round++) {
            int64_t n_tok = test_range(&rng, 1, 512), n_out = test_range(&rng, 0, 16);
            const bt_desc *desc = decoder_batch(&w, n_tok, bt_min_i64(n_out, n_tok));
            assert_ok(bt_plan_make(&k.base, desc, param, &k.plan, &c));
            expect_sound(&k.base, &k.plan);
        }
        free(param);
        planner_done(&k);
        decoder_done(&w);
    }
}

/* ---- the first sight of a length ---- */

typedef struct sight {
    uint64_t hits, misses;
} sight;

static bt_exec *open_model(bt_context *context, decoder_world *w)
{
    bt_exec *exec;
    bt_exec_config config = {.max_desc = decoder_batch(w, 64, 4)};
    assert_ok(bt_exec_open(context, w->graph, &config, &exec));
    return exec;
}

/* What the node cache did when the executable planned this length. */
static sight see(bt_exec *exec, decoder_world *w, int64_t n_tok)
{
    bt_exec_counters a, b;
    const bt_desc *desc = decoder_batch(w, n_tok, 1);
    assert_false(bt_exec_is_prepared(exec, desc));
    bt_exec_get_counters(exec, &a);
    assert_ok(bt_exec_prepare(exec, desc));
    bt_exec_get_counters(exec, &b);
    assert_true(bt_exec_is_prepared(exec, desc));
    assert_int_equal(b.plans_built, a.plans_built + 1);
    assert_int_equal(b.setups_run - a.setups_run, b.node_misses - a.node_misses);
    return (sight){b.node_hits - a.node_hits, b.node_misses - a.node_misses};
}

/* L layers miss what one layer misses: of the nodes of L layers, (L - 1) / L and more are hits. What
 * comes before and after the layers is there once, and misses. */
static void a_new_length_sets_up_one_layer_of_many(void **state)
{
    for (int32_t i = 0; i < bt_model_shape_count(); i += THOROUGH ? 1 : 4) {
        bt_hparams hp;
        sight seen[2], again;
        int32_t n_setup[2];
        assert_ok(bt_model_shape_hparams(bt_model_shape_name(i), &hp));
        int32_t n_layer = hp.n_layer;
        for (int all = 0; all <= 1; all++) {
            bt_context *context;
            hp.n_layer = all ? n_layer : 1;
            assert_ok(bt_context_open(*state, NULL, &context));
            decoder_world w = decoder_of(&hp, BT_Q8_0), twin = decoder_of(&hp, BT_Q8_0);
            bt_exec *exec = open_model(context, &w), *other = open_model(context, &twin);
            seen[all] = see(exec, &w, 23);
            again = see(other, &twin, 23);
            n_setup[all] = exec->base.n_setup;
            assert_int_equal(again.misses, 0); // another graph of the same context
            assert_int_equal(again.hits, n_setup[all]);
            assert_int_equal(seen[all].hits + seen[all].misses, n_setup[all]);
            bt_exec_close(exec);
            bt_exec_close(other);
            bt_context_close(context);
            decoder_done(&w);
            decoder_done(&twin);
        }
        assert_int_equal(seen[1].misses, seen[0].misses);
        assert_int_equal(seen[1].hits - seen[0].hits, n_setup[1] - n_setup[0]);
        if (n_layer > 30)
            print_message("%s: %d of %d nodes hit (%.4f)\n", bt_model_shape_name(i),
                          (int)seen[1].hits, n_setup[1], (double)seen[1].hits / (double)n_setup[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_arena_is_within_a_twentieth_of_the_bound_on_every_model),
        cmocka_unit_test(plans_on_several_streams_are_sound),
        cmocka_unit_test(smaller_plans_are_sound_under_the_largest),
        cmocka_unit_test(a_new_length_sets_up_one_layer_of_many),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
