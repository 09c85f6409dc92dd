// SPDX-License-Identifier: Apache-2.0
/* Views against their definitions, index by index: descriptors of random chains of views; random
 * graphs of views, copies and in-place operators against naive evaluation; and what is refused. */
#include "graph/viewmodel.h"

/* ---- descriptors ---- */

static bt_desc random_desc(test_rng *rng)
{
    bt_desc d = {.dtype = BT_F32, .n_dim = (int32_t)test_range(rng, 1, BT_DIM_MAX)};
    for (int i = 0; i < d.n_dim; i++) d.dim[i] = test_range(rng, 1, 6);
    return d;
}

/* A tensor as the base elements its own are, by definition, beside what the library says. */
typedef struct chain {
    bt_desc desc;
    int64_t at; // bytes into the base
    int64_t index[VIEW_COUNT_MAX];
} chain;

static void check_chain(const chain *c)
{
    bt_desc again = c->desc;
    int64_t n = bt_desc_count(&c->desc), last = 0, size = bt_dtype_block_bytes(c->desc.dtype);
    assert_int_equal(c->at % size, 0);
    for (int64_t i = 0; i < n; i++) {
        int64_t place = place_of(&c->desc, i);
        assert_int_equal(c->at / size + place, c->index[i]);
        last = bt_max_i64(last, place);
    }
    assert_int_equal(bt_desc_bytes(&c->desc), (last + 1) * size);
    for (int d = 0; d < again.n_dim; d++) again.stride[d] = bt_desc_stride(&c->desc, d);
    bt_desc_normalize(&again);
    assert_memory_equal(&again, &c->desc, sizeof again); // the one spelling, unused entries 0
}

/* Whether strides could say `index` under the dimensions of `desc`. */
static bool has_strides(const bt_desc *desc, const int64_t *index)
{
    int64_t step[BT_DIM_MAX] = {0}, c[BT_DIM_MAX], n = bt_desc_count(desc), unit = 1;
    for (int d = desc->n_dim - 1; d >= 0; unit *= desc->dim[d--])
        if (desc->dim[d] > 1) step[d] = index[unit] - index[0];
    for (int64_t i = 0; i < n; i++) {
        int64_t want = index[0];
        unflatten(desc->dim, desc->n_dim, i, c);
        for (int d = 0; d < desc->n_dim; d++) want += c[d] * step[d];
        if (want != index[i]) return false;
    }
    return true;
}

/* The dimensions a reshape asks for. */
static bt_desc reshaped(const bt_reshape_param *p, int64_t n)
{
    bt_desc d = {.dtype = BT_F32, .n_dim = p->n_dim};
    for (int i = 0; i < p->n_dim; i++)
        if (p->dim[i] > 0) n /= p->dim[i];
    for (int i = 0; i < p->n_dim; i++) d.dim[i] = p->dim[i] < 0 ? n : p->dim[i];
    return d;
}

/* Apply a random view; a reshape that is refused must have been impossible. */
static bool extend(test_rng *rng, chain *c)
{
    static int64_t map[VIEW_COUNT_MAX], index[VIEW_COUNT_MAX];
    view_step s = random_view(rng, &c->desc);
    bt_desc out;
    if (s.op->infer(&s.u, &c->desc, &out) != BT_OK) {
        assert_ptr_equal(s.op, &bt_op_reshape);
        assert_non_null(strstr(bt_error_message(), "make it dense with 'copy'"));
        out = reshaped(&s.u.reshape, bt_desc_count(&c->desc));
        assert_false(has_strides(&out, c->index));
        return false;
    }
    if (bt_desc_count(&out) > 1000) return false;
    map_of(&s, &c->desc, &out, map);
    for (int64_t i = 0; i < bt_desc_count(&out); i++) index[i] = c->index[map[i]];
    memcpy(c->index, index, sizeof index);
    c->at += s.op->view(&s.u, &c->desc, &out);
    c->desc = out;
    check_chain(c);
    return true;
}

static void views_of_views_are_what_they_are_index_by_index(void **state)
{
    (void)state;
    static const bt_dtype types[] = {BT_F32, BT_F16, BT_I64, BT_U8};
    test_rng rng = {31};
    static chain c;
    int n_view = 0, n_strided = 0, n_refused = 0;
    for (int round = 0; round < 20000; round++) {
        c.desc = random_desc(&rng);
        c.desc.dtype = types[round % 4];
        c.at = 0;
        for (int64_t i = 0; i < bt_desc_count(&c.desc); i++) c.index[i] = i;
        for (int depth = 0; depth < 6; depth++) {
            bool done = extend(&rng, &c);
            n_view += done;
            n_refused += !done;
            n_strided += c.desc.strided;
        }
    }
    assert_true(n_view > 80000 && n_strided > 40000 && n_refused > 500);
}

/* ---- random graphs with views, against naive evaluation ---- */

enum { N_NODE = 30, N_IN = 2, N_VALUE = N_IN + N_NODE, T_MAX = 5, COLS = 12, COUNT = 400 };

/* A graph whose first dimension T varies; every node is valid for every T. */
typedef struct recipe {
    struct {
        const bt_op *op;
        int a, b; // values; b of axpy only
        view_step view;
        axpy_param axpy;
    } node[N_NODE];
    bt_desc desc[N_VALUE][T_MAX + 1]; // by T
    bool is_output[N_VALUE];
} recipe;

/* Give value `out` its descriptors; false where one of them is refused or too large. */
static bool describe(recipe *r, int n)
{
    for (int t = 1; t <= T_MAX; t++) {
        bt_desc in[BT_OP_IN_MAX] = {r->desc[r->node[n].a][t]};
        const void *param = &r->node[n].view.u;
        if (r->node[n].op == &axpy) {
            in[1] = r->desc[r->node[n].b][t];
            if (in[0].strided || in[1].strided) return false;
        }
        if (r->node[n].op->infer(param, in, &r->desc[N_IN + n][t]) != BT_OK) return false;
        int64_t count = bt_desc_count(&r->desc[N_IN + n][t]);
        if (count < 1 || count > COUNT) return false;
    }
    return true;
}

static recipe random_recipe(test_rng *rng)
{
    recipe r = {0};
    for (int i = 0; i < N_IN; i++)
        for (int t = 1; t <= T_MAX; t++) r.desc[i][t] = bt_desc_2d(BT_F32, t, COLS);
    for (int n = 0; n < N_NODE; n++) {
        do {
            int64_t kind = test_range(rng, 0, 9), last = N_IN + n - 1;
            r.node[n].a = (int)test_range(rng, bt_max_i64(0, last - 6), last);
            r.node[n].b = (int)test_range(rng, 0, 2) ? (int)test_range(rng, 0, last) : r.node[n].a;
            r.node[n].axpy =
                (axpy_param){(float)test_range(rng, -2, 2) * 0.25f, (int32_t)test_range(rng, 0, 1)};
            r.node[n].view = random_view(rng, &r.desc[r.node[n].a][test_range(rng, 1, T_MAX)]);
            r.node[n].op = kind < 4 ? &axpy : kind < 6 ? &bt_op_copy : r.node[n].view.op;
        } while (!describe(&r, n));
        r.is_output[N_IN + n] = test_range(rng, 0, 9) == 0 || n == N_NODE - 1;
    }
    return r;
}

static void evaluate(const recipe *r, int t, float value[N_VALUE][COUNT])
{
    static int64_t map[VIEW_COUNT_MAX];
    for (int n = 0; n < N_NODE; n++) {
        const bt_desc *in = &r->desc[r->node[n].a][t], *out = &r->desc[N_IN + n][t];
        const float *a = value[r->node[n].a], *b = value[r->node[n].b];
        int64_t count = bt_desc_count(out);
        if (r->node[n].op->view) map_of(&r->node[n].view, in, out, map);
        for (int64_t i = 0; i < count; i++) {
            float *y = &value[N_IN + n][i];
            axpy_param p = r->node[n].axpy;
            *y = a[r->node[n].op->view ? map[i] : i];
            if (r->node[n].op == &axpy) *y += p.factor * b[p.flip ? count - 1 - i : i];
        }
    }
}

static bt_graph *build(const recipe *r, float constant[COUNT], int t_const)
{
    bt_graph *g;
    bt_value value[N_VALUE];
    char name[16];
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &value[0]));
    if (t_const)
        assert_ok(bt_graph_const(g, "c", &r->desc[1][t_const], constant, &value[1]));
    else
        assert_ok(bt_graph_input(g, "y", &value[1]));
    for (int n = 0; n < N_NODE; n++) {
        const void *param =
            r->node[n].op == &axpy ? (const void *)&r->node[n].axpy : &r->node[n].view.u;
        bt_value in[] = {value[r->node[n].a], value[r->node[n].b]};
        snprintf(name, sizeof name, "n%d", n);
        assert_ok(bt_graph_apply(g, name, r->node[n].op, param, in, r->node[n].op->n_in,
                                 &value[N_IN + n]));
    }
    for (int v = N_IN; v < N_VALUE; v++)
        if (r->is_output[v]) assert_ok(bt_graph_output(g, value[v]));
    assert_ok(bt_graph_freeze(g));
    return g;
}

static void check_outputs(const recipe *r, int t, bt_exec *exec, bt_ticket step,
                          float want[N_VALUE][COUNT])
{
    for (int v = N_IN, k = 0; v < N_VALUE; v++) {
        if (!r->is_output[v]) continue;
        bt_desc desc_k = bt_exec_output_desc(exec, step, k), *desc = &desc_k;
        const float *got = bt_exec_output(exec, step, k++);
        assert_true(bt_desc_equal(desc, &r->desc[v][t]));
        for (int64_t i = 0; i < bt_desc_count(desc); i++)
            if (got[place_of(desc, i)] != want[v][i])
                fail_msg("T %d, output %d, element %d is %g, wanted %g", t, k - 1, (int)i,
                         (double)got[place_of(desc, i)], (double)want[v][i]);
    }
}

/* One graph at one T after the other, on the arena planned for the largest. */
static void run_recipe(rig *k, test_rng *rng, const recipe *r, int t_const)
{
    static float want[N_VALUE][COUNT], in[N_IN][COUNT];
    for (int i = 0; i < N_IN; i++)
        for (int j = 0; j < COUNT; j++) in[i][j] = (float)test_range(rng, -8, 8);
    bt_graph *g = build(r, in[1], t_const);
    int t_max = t_const ? t_const : T_MAX;
    bt_desc max[] = {r->desc[0][t_max], r->desc[1][t_max]};
    bt_exec *exec = open_exec(k, g, max);
    for (int run = 0; run < 6; run++) {
        int t = t_const ? t_const : (int)test_range(rng, 1, T_MAX);
        bt_desc desc[] = {r->desc[0][t], r->desc[1][t]};
        bt_ticket step = run_once(exec, desc, (void *[]){in[0], in[1]});
        memcpy(want, in, sizeof in);
        evaluate(r, t, want);
        check_outputs(r, t, exec, step, want);
    }
    bt_exec_close(exec);
    bt_graph_unref(g);
}

static void random_graphs_with_views_give_what_they_say(void **state)
{
    (void)state;
    test_rng rng = {32};
    rig k = open_rig();
    for (int round = 0; round < 1500; round++) {
        recipe r = random_recipe(&rng);
        run_recipe(&k, &rng, &r, round % 4 ? 0 : (int)test_range(&rng, 1, T_MAX));
    }
    close_rig(&k);
}

/* ---- one at a time ---- */

static void a_view_has_no_launch_no_memory_and_no_setup(void **state)
{
    (void)state;
    rig k = open_rig();
    bt_graph *g;
    bt_value x, a, v, w;
    bt_desc desc = bt_desc_2d(BT_F32, 4, 8);
    static float data[32];
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &x));
    assert_ok(bt_graph_apply(g, "a", &axpy, &(axpy_param){1, 0}, (bt_value[]){x, x}, 2, &a));
    assert_ok(bt_graph_apply(g, "v", &bt_op_chunk, &(bt_chunk_param){1, 2, 1}, &a, 1, &v));
    assert_ok(bt_graph_apply(g, "w", &bt_op_slice, &(bt_slice_param){0, -1, INT32_MAX}, &x, 1, &w));
    assert_ok(bt_graph_output(g, v));
    assert_ok(bt_graph_output(g, w));
    assert_ok(bt_graph_freeze(g));
    bt_exec *exec = open_exec(&k, g, &desc);
    bt_exec_memory memory;
    bt_exec_get_memory(exec, &memory);
    assert_int_equal(memory.arena_bytes, 64);   // scratch of `a`
    assert_int_equal(memory.output_bytes, 128); // `a`, which v looks at
    bt_ticket step = run_once(exec, &desc, (void *[]){data});
    bt_exec_counters c;
    bt_exec_get_counters(exec, &c);
    assert_int_equal(c.launches, 1);
    assert_int_equal((uintptr_t)bt_exec_output(exec, step, 0) % 64, 16);
    assert_ptr_equal(bt_exec_output(exec, step, 1), data + 24); // in the caller's own memory
    desc.dim[0] = 3;
    step = run_once(exec, &desc, (void *[]){data});
    assert_ptr_equal(bt_exec_output(exec, step, 1), data + 16);
    bt_exec_get_counters(exec, &c);
    assert_int_equal(c.plans_built, 2);
    assert_int_equal(c.setups_run, 1); // `a`'s; at 4 rows it was set up when opening
    assert_int_equal(c.setups_skipped, 1);
    bt_exec_close(exec);
    bt_graph_unref(g);
    close_rig(&k);
}

static bt_status infer_of(const bt_op *op, const void *param, bt_desc in)
{
    bt_desc out;
    return op->infer(param, &in, &out);
}

#define REFUSED(op, in, part, ...)                                                                 \
    assert_fails(infer_of(&bt_op_##op, &(bt_##op##_param)__VA_ARGS__, in), BT_INVALID, part)

static void a_wrong_view_says_what_was_found_and_what_is_allowed(void **state)
{
    (void)state;
    bt_desc m = bt_desc_2d(BT_F32, 4, 6), row = bt_desc_2d(BT_F32, 1, 6);
    REFUSED(reshape, m, "24 elements do not fill [5, -1]", {2, {5, -1}});
    REFUSED(reshape, m, "24 elements do not fill [5, 5]", {2, {5, 5}});
    REFUSED(reshape, m, "24 elements do not fill [0, -1]", {2, {0, -1}});
    REFUSED(reshape, m, "dimension 1 is -1, must be at least 0, or -1 once", {2, {-1, -1}});
    REFUSED(reshape, m, "dimension 0 is -2", {2, {-2, 3}});
    REFUSED(reshape, m, "5 dimensions, must be 1 to 4", {5, {1, 1, 1, 1}});
    REFUSED(reshape, m, "0 dimensions, must be 1 to 4", {0, {0}});
    REFUSED(reshape, m, "overflows", {4, {INT32_MAX, INT32_MAX, INT32_MAX, 2}});
    REFUSED(slice, m, "slice: [3, 7) of dimension 1, which has 6", {1, 3, 7});
    REFUSED(slice, m, "slice: [3, 2) of dimension 0, which has 4", {0, -1, 2});
    REFUSED(slice, m, "slice: [-1, 2) of dimension 0, which has 4", {0, -5, 2});
    REFUSED(slice, m, "slice: dimension 2 of an input that has 2", {2, 0, 1});
    REFUSED(slice, m, "slice: dimension -3 of an input that has 2", {-3, 0, 1});
    REFUSED(chunk, m, "chunk: dimension 1 is 6, must be a multiple of 4", {1, 4, 0});
    REFUSED(chunk, m, "chunk: part 3 of 3", {1, 3, 3});
    REFUSED(chunk, m, "chunk: part 0 of 0", {1, 0, 0});
    REFUSED(permute, m, "permute: axis 1 is 0, must be each of 0 to 1 once", {{0, 0}});
    REFUSED(permute, m, "permute: axis 0 is 2", {{2, 0}});
    REFUSED(broadcast, m, "broadcast: dimension 0 is 4, cannot become 8", {2, {8, 6}});
    REFUSED(broadcast, row, "broadcast: dimension 0 is 1, cannot become -1", {3, {-1, 2, 6}});
    REFUSED(broadcast, m, "broadcast: 1 dimensions, must be 2 to 4", {1, {6}});
    REFUSED(broadcast, bt_desc_1d(BT_F32, INT32_MAX), "overflows",
            {4, {INT32_MAX, INT32_MAX, INT32_MAX, -1}});
}

static void types_in_blocks_are_viewed_by_whole_blocks(void **state)
{
    (void)state;
    bt_desc q = bt_desc_3d(BT_Q8_0, 4, 6, 64), out;
    bt_slice_param slice = {1, 2, 5}, half = {2, 32, INT32_MAX};
    bt_permute_param swap = {{1, 0, 2}};
    bt_reshape_param rows = {2, {48, 32}};
    assert_ok(bt_op_slice.infer(&slice, &q, &out)); // rows are strided, whole ones
    assert_int_equal(out.stride[0], 6 * 64);
    assert_int_equal(bt_op_slice.view(&slice, &q, &out), 2 * 2 * 34);
    assert_int_equal(bt_desc_bytes(&out), (3 * 6 + 3) * 2 * 34);
    assert_ok(bt_op_slice.infer(&half, &q, &out)); // the second block of each row
    assert_int_equal(bt_op_slice.view(&half, &q, &out), 34);
    assert_int_equal(bt_desc_bytes(&out), (23 * 2 + 1) * 34);
    assert_ok(bt_op_permute.infer(&swap, &q, &out));
    assert_ok(bt_op_reshape.infer(&rows, &q, &out));
    assert_int_equal(out.strided, 0);
    REFUSED(slice, q, "slice: q8_0 is stored in blocks of 32", {2, 16, 48});
    REFUSED(chunk, q, "chunk: q8_0 is stored in blocks of 32", {2, 4, 1});
    REFUSED(reshape, q, "reshape: q8_0 is stored in blocks of 32", {2, {64, 24}});
    REFUSED(permute, q, "permute: q8_0 is stored in blocks of 32", {{0, 2, 1}});
}

static void packed_matrices_are_cut_by_whole_panels(void **state)
{
    (void)state;
    bt_desc p = bt_desc_2d(BT_Q4_0, 100, 64), out;
    bt_slice_param slice = {0, 32, 77};
    p.layout = BT_PANELS;
    assert_ok(bt_op_slice.infer(&slice, &p, &out));
    assert_true(out.layout == BT_PANELS && out.dim[0] == 45 && out.dim[1] == 64);
    assert_int_equal(bt_op_slice.view(&slice, &p, &out), 2 * bt_panel_bytes(BT_Q4_0, 64));
    REFUSED(slice, p,
            "the input is packed; what is taken must be rows, and begin at a multiple of 16",
            {0, 8, 24});
    REFUSED(slice, p, "the input is packed", {1, 0, 32});
    REFUSED(chunk, p, "the input is packed", {0, 4, 1});
    REFUSED(reshape, p, "reshape: the input is packed", {1, {-1}});
    REFUSED(permute, p, "permute: the input is packed", {{0, 1}});
    REFUSED(broadcast, p, "broadcast: the input is packed", {2, {-1, -1}});
}

static void copy_takes_elements_that_stand_alone(void **state)
{
    (void)state;
    bt_desc q = bt_desc_2d(BT_Q8_0, 4, 32), p = bt_desc_2d(BT_F32, 16, 32), out;
    p.layout = BT_PANELS;
    assert_fails(bt_op_copy.infer(NULL, &q, &out), BT_INVALID, "copy: the input is q8_0");
    assert_fails(bt_op_copy.infer(NULL, &p, &out), BT_INVALID, "copy: the input is packed f32");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_of_views_are_what_they_are_index_by_index),
        cmocka_unit_test(random_graphs_with_views_give_what_they_say),
        cmocka_unit_test(a_view_has_no_launch_no_memory_and_no_setup),
        cmocka_unit_test(a_wrong_view_says_what_was_found_and_what_is_allowed),
        cmocka_unit_test(types_in_blocks_are_viewed_by_whole_blocks),
        cmocka_unit_test(packed_matrices_are_cut_by_whole_panels),
        cmocka_unit_test(copy_takes_elements_that_stand_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
