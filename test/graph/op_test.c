// SPDX-License-Identifier: Apache-2.0
/* Operators one at a time: rows that are wrong, costs by hand, strided inputs where they are taken
 * and where they are not, weights packed by hand, shapes that are refused. */
#include "graph/toy.h"
#include "tensor/quant.h"

/* ---- rows ---- */

static bt_op good(void) { return axpy; }

static void a_wrong_row_is_refused_with_its_reason(void **state)
{
    (void)state;
    static const bt_field past = BT_FIELD(bt_rope_kv_param, norm_eps, F32, VALUE),
                          bad_role = {"x", 0, BT_FIELD_F32, (bt_field_role)7, 1},
                          bad_type = {"x", 0, (bt_field_type)9, BT_FIELD_KEY, 1},
                          bad_count = {"x", 0, BT_FIELD_F32, BT_FIELD_KEY, -1},
                          no_name = {NULL, 0, BT_FIELD_F32, BT_FIELD_KEY, 1};
    bt_op op = good();
    assert_ok(bt_op_check(&op));
#define BAD(change, part)                                                                          \
    op = good();                                                                                   \
    change;                                                                                        \
    assert_fails(bt_op_check(&op), BT_INVALID, part)
    BAD(op.name = NULL, "without a name");
    BAD(op.name = "", "without a name");
    BAD(op.n_in = BT_OP_IN_MAX + 1, "'axpy': 2 to 9 inputs, at most 8");
    BAD(op.n_in = 1, "'axpy': 2 to 1 inputs");
    BAD(op.n_in_must = -1, "'axpy': -1 to 2 inputs");
    BAD(op.inplace = 2, "'axpy': inplace is input 2 of 2");
    BAD(op.inplace = -2, "'axpy': inplace is input -2");
    BAD(op.infer = NULL, "'axpy': infer is missing");
    BAD(op.setup = NULL, "'axpy': setup is missing");
    BAD(op.bind = NULL, "'axpy': bind is missing");
    BAD(op.param_bytes = 65, "'axpy': 65 bytes of parameters, at most 64");
    BAD(op.n_field = 0, "'axpy': its parameters have no table");
    BAD(op.field = NULL, "'axpy': its parameters have no table");
    BAD(op.n_field = -1, "'axpy': its parameters have no table");
    BAD(op.field = &past, "'axpy': field 0 does not lie in its 8 bytes");
    BAD(op.field = &bad_type, "'axpy': field 0 does not lie");
    BAD(op.field = &bad_count, "'axpy': field 0 does not lie");
    BAD(op.field = &no_name, "'axpy': field 0 does not lie");
    BAD(op.field = &bad_role, "'axpy': field 'x' has role 7");
    BAD((op.view = bt_op_slice.view, op.n_in_must = 0), "'axpy': a view of no input");
    assert_fails(bt_op_check(NULL), BT_INVALID, "without a name");
}

static void a_node_of_a_wrong_row_is_refused(void **state)
{
    (void)state;
    bt_graph *g;
    bt_value x, a;
    bt_op op = good();
    op.bind = NULL;
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &x));
    assert_ok(bt_graph_value(g, "a", &a));
    assert_fails(bt_graph_node(g, "mine", &op, &(axpy_param){1, 0}, (bt_value[]){x, x}, 2, a),
                 BT_INVALID, "node 'mine': operator 'axpy': bind is missing");
    assert_int_equal(bt_graph_n_node(g), 0);
    bt_graph_unref(g);
}

static void every_built_in_row_is_right(void **state)
{
    (void)state;
#define CHECK(name) assert_ok(bt_op_check(&bt_op_##name));
    BT_OP_LIST(CHECK)
#undef CHECK
}

/* ---- costs, by hand ---- */

static void check_cost(const bt_op *op, const void *param, const bt_desc *in, double bytes,
                       double ops)
{
    bt_desc all[BT_OP_IN_MAX] = {{0}}, out;
    for (int i = 0; i < op->n_in; i++) all[i] = in[i];
    assert_ok(op->infer(param, all, &out));
    bt_op_cost cost = bt_op_cost_of(op, param, all, &out);
    if (cost.bytes != bytes || cost.ops != ops)
        fail_msg("%s costs %g bytes and %g operations, wanted %g and %g", op->name, cost.bytes,
                 cost.ops, bytes, ops);
}

static bt_desc panels(bt_dtype dtype, int64_t n_row, int64_t n_col)
{
    bt_desc d = bt_desc_2d(dtype, n_row, n_col);
    d.layout = BT_PANELS;
    return d;
}

static void costs_are_what_a_hand_counts(void **state)
{
    (void)state;
    const bt_desc none = {0}, ids = bt_desc_1d(BT_I32, 3), x = bt_desc_2d(BT_F32, 3, 64),
                  w = bt_desc_1d(BT_F32, 64), slot = bt_desc_1d(BT_I64, 3);
    /* 3 rows of 2 blocks of 34 bytes, 3 ids, 3 * 64 floats; a product and a sum an element */
    check_cost(&bt_op_embed, NULL, (bt_desc[]){bt_desc_2d(BT_Q8_0, 1000, 64), ids},
               3 * 68 + 12 + 768, 2 * 192);
    check_cost(&bt_op_embed, NULL, (bt_desc[]){bt_desc_2d(BT_F16, 1000, 64), ids},
               3 * 128 + 12 + 768, 0);
    check_cost(&bt_op_gather, NULL, (bt_desc[]){bt_desc_2d(BT_F32, 9, 64), ids}, 768 + 12 + 768, 0);
    check_cost(&bt_op_rmsnorm, &(bt_rmsnorm_param){1e-5f}, (bt_desc[]){x, w}, 768 + 256 + 768,
               4 * 192);
    /* 3 x 64 by [48, 64] q8_0: a panel is a head of 192 and 2 blocks of 512 bytes, and there are 3 */
    check_cost(&bt_op_linear, NULL, (bt_desc[]){x, panels(BT_Q8_0, 48, 64), none, none, none, none},
               768 + 3 * 1216 + 576, 2. * 3 * 64 * 48);
    check_cost(&bt_op_linear, NULL,
               (bt_desc[]){x, panels(BT_F32, 16, 64), bt_desc_1d(BT_F32, 32),
                           bt_desc_2d(BT_F32, 3, 32), panels(BT_BF16, 16, 64), none},
               768 + 4096 + 128 + 384 + 2048 + 384, 2. * 3 * 64 * 32 + 2 * 3 * 32);
    check_cost(&bt_op_swiglu, NULL, (bt_desc[]){x}, 768 + 384, 4 * 96);
    check_cost(&bt_op_rope_angles, &(bt_rope_angles_param){1},
               (bt_desc[]){ids, bt_desc_1d(BT_F32, 4)}, 12 + 16 + 96, 5 * 12);
    /* 4 query heads and 2 KV heads of 8, all 4 pairs turned, keys normed */
    bt_desc k = bt_desc_4d(BT_F16, 5, 2, 8, 16), v = bt_desc_4d(BT_F16, 5, 2, 16, 8);
    check_cost(&bt_op_rope_kv, &(bt_rope_kv_param){4, 0, 1e-5f},
               (bt_desc[]){x, bt_desc_3d(BT_F32, 3, 4, 2), slot, k, v, none, bt_desc_1d(BT_F32, 8)},
               768 + 96 + 24 + 32 + 3 * 32 * 4 + 2 * 3 * 2 * 8 * 2, 6 * 3 * 6 * 4 + 4 * 3 * 2 * 8);
    check_cost(&bt_op_attention, &(bt_attention_param){.n_head = 8, .scale = 1},
               (bt_desc[]){x, ids, ids, bt_desc_2d(BT_I32, 2, 7), k, v}, 768 + 12 + 12 + 56 + 768,
               0);
    check_cost(&bt_op_copy, NULL, (bt_desc[]){bt_desc_2d(BT_F16, 3, 5)}, 60, 0);
    check_cost(&bt_op_slice, &(bt_slice_param){0, 1, 3}, (bt_desc[]){x}, 0, 0);
    check_cost(&axpy, &(axpy_param){1, 0}, (bt_desc[]){x, x}, 3 * 768, 0); // has no cost of its own
}

/* ---- strided inputs ---- */

enum { T = 5, K = 256, N = 48 };

/* What `op` gives for a window of K columns in a wider matrix, as a view and as a copy. */
static void check_strided(rig *k, const bt_op *op, const void *param, const bt_desc *more,
                          void *const *more_data)
{
    static float wide[T * 3 * K];
    test_rng rng = {5};
    for (int i = 0; i < T * 3 * K; i++) wide[i] = (float)test_normal(&rng);
    bt_desc desc = bt_desc_2d(BT_F32, T, 3 * K);
    bt_graph *g;
    bt_value x, v, c, in[2], out[2];
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &x));
    assert_ok(bt_graph_const(g, "w", more, more_data[0], &in[1]));
    assert_ok(bt_graph_apply(g, "view", &bt_op_chunk, &(bt_chunk_param){1, 3, 1}, &x, 1, &v));
    assert_ok(bt_graph_apply(g, "copy", &bt_op_copy, NULL, &v, 1, &c));
    for (int i = 0; i < 2; i++) {
        in[0] = i ? c : v;
        assert_ok(bt_graph_apply(g, "op", op, param, in, 2, &out[i]));
        assert_ok(bt_graph_output(g, out[i]));
    }
    assert_ok(bt_graph_freeze(g));
    bt_exec *exec = open_exec(k, g, &desc);
    bt_ticket step = run_once(exec, &desc, (void *[]){wide});
    bt_desc out_desc = bt_exec_output_desc(exec, step, 0);
    size_t size = (size_t)bt_desc_bytes(&out_desc);
    assert_memory_equal(bt_exec_output(exec, step, 0), bt_exec_output(exec, step, 1), size);
    assert_false(bt_exec_output(exec, step, 0) == bt_exec_output(exec, step, 1));
    bt_exec_close(exec);
    bt_graph_unref(g);
}

static void linear_and_rmsnorm_read_windows_of_wider_rows(void **state)
{
    (void)state;
    static const bt_dtype types[] = {BT_F32, BT_F16, BT_BF16, BT_Q8_0, BT_Q4_K};
    static float weight[N * K], row[K];
    static uint8_t rows[sizeof weight];
    test_rng rng = {6};
    rig k = open_rig();
    bt_desc norm = bt_desc_1d(BT_F32, K);
    for (int i = 0; i < N * K; i++) weight[i] = (float)test_normal(&rng);
    for (int i = 0; i < K; i++) row[i] = (float)test_normal(&rng);
    check_strided(&k, &bt_op_rmsnorm, &(bt_rmsnorm_param){1e-5f}, &norm, (void *[]){row});
    for (size_t i = 0; i < BT_COUNT_OF(types); i++) {
        bt_desc desc = bt_desc_2d(types[i], N, K), packed;
        void *data;
        for (int r = 0; r < N; r++)
            bt_quant_row(types[i], weight + r * K, K, rows + r * bt_row_bytes(types[i], K));
        assert_ok(bt_weight_pack(k.device, &desc, rows, &packed, &data));
        check_strided(&k, &bt_op_linear, NULL, &packed, &data);
        bt_device_free(k.device, data);
    }
    close_rig(&k);
}

/* A frozen graph: y = op(x, x...) with input `bad` of a node a transposed view of x. */
static void refuse_strided(rig *k, const bt_op *op, const void *param, int n_in, int bad,
                           const bt_desc *desc, const char *part)
{
    bt_graph *g;
    bt_value x, in[BT_OP_IN_MAX], out;
    bt_exec *exec;
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &x));
    for (int i = 0; i < n_in; i++) in[i] = x;
    assert_ok(
        bt_graph_apply(g, "turned", &bt_op_permute, &(bt_permute_param){{1, 0}}, &x, 1, &in[bad]));
    assert_ok(bt_graph_apply(g, "reader", op, param, in, n_in, &out));
    assert_ok(bt_graph_output(g, out));
    assert_ok(bt_graph_freeze(g));
    assert_fails(bt_exec_open(k->context, g, &(bt_exec_config){.max_desc = desc}, &exec),
                 BT_INVALID, part);
    bt_graph_unref(g);
}

static void other_strided_inputs_are_refused_by_name(void **state)
{
    (void)state;
    rig k = open_rig();
    bt_desc square = bt_desc_2d(BT_F32, 8, 8), strided = square;
    refuse_strided(&k, &axpy, &(axpy_param){1, 0}, 2, 1, &square,
                   "node 'reader': axpy: input 1 is a strided view, must be dense; make it dense "
                   "with 'copy'");
    refuse_strided(&k, &bt_op_swiglu, NULL, 1, 0, &square,
                   "node 'reader': swiglu: input 0 is a strided view");
    refuse_strided(&k, &bt_op_rmsnorm, &(bt_rmsnorm_param){1e-5f}, 2, 1, &square,
                   "node 'reader': rmsnorm: input 1 is a strided view");
    refuse_strided(&k, &bt_op_linear, NULL, 2, 0, &square,
                   "node 'reader': linear: the innermost elements of input 0 lie 8 apart");
    refuse_strided(&k, &bt_op_reshape, &(bt_reshape_param){1, {-1}}, 1, 0, &square,
                   "node 'reader': reshape: the input is a strided view whose elements");
    strided.strided = 1; // of the caller's own
    strided.stride[0] = 9;
    strided.stride[1] = 1;
    refuse_strided(&k, &bt_op_gather, NULL, 2, 1, &strided,
                   "node 'reader': gather: input 0 is a strided view");
    close_rig(&k);
}

/* An operator that hands its input's strides on as its output's. */
static bt_status sloppy_infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    (void)param;
    *ret_out = in[0];
    return BT_OK;
}

static void an_output_that_is_no_view_must_be_dense(void **state)
{
    (void)state;
    rig k = open_rig();
    bt_op op = good();
    bt_desc square = bt_desc_2d(BT_F32, 8, 8);
    op.infer = sloppy_infer;
    op.strided_in = 3;
    refuse_strided(&k, &op, &(axpy_param){1, 0}, 2, 0, &square,
                   "node 'reader': axpy: the output must be dense");
    close_rig(&k);
}

/* ---- weights ---- */

/* out [T, N] of x times a whole packed matrix, and of x times its rows 16 .. 48. */
static void rows_of_a_packed_matrix_are_columns_of_the_product(void **state)
{
    (void)state;
    static float weight[N * K], x[T * K];
    static uint8_t rows[sizeof weight];
    test_rng rng = {8};
    rig k = open_rig();
    bt_desc desc = bt_desc_2d(BT_Q5_1, N, K), in_desc = bt_desc_2d(BT_F32, T, K), packed;
    void *data;
    for (int i = 0; i < N * K; i++) weight[i] = (float)test_normal(&rng);
    for (int i = 0; i < T * K; i++) x[i] = (float)test_normal(&rng);
    for (int r = 0; r < N; r++)
        bt_quant_row(BT_Q5_1, weight + r * K, K, rows + r * bt_row_bytes(BT_Q5_1, K));
    assert_ok(bt_weight_pack(k.device, &desc, rows, &packed, &data));
    bt_graph *g;
    bt_value in[2], whole, part;
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &in[0]));
    assert_ok(bt_graph_const(g, "w", &packed, data, &in[1]));
    assert_ok(bt_graph_apply(g, "whole", &bt_op_linear, NULL, in, 2, &whole));
    bt_slice_param slice = {0, 16, INT32_MAX};
    assert_ok(bt_graph_apply(g, "rows", &bt_op_slice, &slice, &in[1], 1, &in[1]));
    assert_ok(bt_graph_apply(g, "part", &bt_op_linear, NULL, in, 2, &part));
    assert_ok(bt_graph_output(g, whole));
    assert_ok(bt_graph_output(g, part));
    assert_ok(bt_graph_freeze(g));
    bt_exec *exec = open_exec(&k, g, &in_desc);
    bt_ticket step = run_once(exec, &in_desc, (void *[]){x});
    const float *all = bt_exec_output(exec, step, 0), *some = bt_exec_output(exec, step, 1);
    for (int t = 0; t < T; t++)
        assert_memory_equal(some + t * (N - 16), all + t * N + 16, (N - 16) * sizeof *all);
    bt_exec_close(exec);
    bt_graph_unref(g);
    bt_device_free(k.device, data);
    close_rig(&k);
}

static void a_packed_weight_multiplies_as_its_rows_say(void **state)
{
    (void)state;
    enum { ROWS = 37, COLS = 32 }; // the last panel is not full
    static float weight[ROWS * COLS], x[COLS];
    rig k = open_rig();
    bt_desc desc = bt_desc_2d(BT_F32, ROWS, COLS), in_desc = bt_desc_2d(BT_F32, 1, COLS), packed;
    void *data;
    for (int i = 0; i < ROWS * COLS; i++) weight[i] = (float)(i % 7 - 3);
    for (int i = 0; i < COLS; i++) x[i] = (float)(i % 5 - 2);
    assert_ok(bt_weight_pack(k.device, &desc, weight, &packed, &data));
    assert_true(packed.layout == BT_PANELS && packed.dim[0] == ROWS && packed.dim[1] == COLS);
    assert_int_equal((uintptr_t)data % 64, 0);
    bt_graph *g;
    bt_value in[2], out;
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &in[0]));
    assert_ok(bt_graph_const(g, "w", &packed, data, &in[1]));
    assert_ok(bt_graph_apply(g, "y", &bt_op_linear, NULL, in, 2, &out));
    assert_ok(bt_graph_output(g, out));
    assert_ok(bt_graph_freeze(g));
    bt_exec *exec = open_exec(&k, g, &in_desc);
    const float *y = bt_exec_output(exec, run_once(exec, &in_desc, (void *[]){x}), 0);
    for (int r = 0; r < ROWS; r++) {
        float want = 0; // small integers: exact in any order
        for (int c = 0; c < COLS; c++) want += weight[r * COLS + c] * x[c];
        assert_true(y[r] == want);
    }
    bt_exec_close(exec);
    bt_graph_unref(g);
    bt_device_free(k.device, data);
    close_rig(&k);
}

static void what_is_no_weight_is_not_packed(void **state)
{
    (void)state;
    rig k = open_rig();
    static float data[64];
    bt_desc ret = {.n_dim = 77}, d;
    void *block = data;
#define REFUSED(desc, part)                                                                        \
    d = desc;                                                                                      \
    assert_fails(bt_weight_pack(k.device, &d, data, &ret, &block), BT_INVALID, part)
    REFUSED(bt_desc_1d(BT_F32, 8), "a weight of 1 dimensions, must be a matrix of dense rows");
    REFUSED(panels(BT_F32, 8, 8), "a weight of 2 dimensions, packed");
    REFUSED(bt_desc_2d(BT_I32, 8, 8), "i32 is not a weight type");
    REFUSED(bt_desc_2d(BT_Q8_0, 8, 33), "a weight: rows of 33 elements, must be a multiple of 32");
    REFUSED(bt_desc_2d(BT_F32, 0, 8), "a weight: dimension 0 is 0, must be positive");
    REFUSED(bt_desc_2d(BT_F32, INT64_MAX / 8, 8), "a weight: the number of");
    REFUSED(bt_desc_2d(BT_F32, INT64_MAX / 64, 8), "a weight of ");
    assert_int_equal(ret.n_dim, 77); // nothing was written
    assert_ptr_equal(block, data);
    d = bt_desc_2d(BT_F32, 8, 8);
    bt_mem_fail_nth(1);
    assert_true(bt_weight_pack(k.device, &d, data, &ret, &block) == BT_NOMEM);
    bt_mem_fail_nth(0);
    assert_ptr_equal(block, data);
    close_rig(&k);
}

/* ---- shapes ---- */

static void a_pool_that_is_none_is_refused(void **state)
{
    (void)state;
    bt_desc in[BT_OP_IN_MAX] = {bt_desc_2d(BT_F32, 3, 64),       bt_desc_1d(BT_I32, 3),
                                bt_desc_1d(BT_I32, 3),           bt_desc_2d(BT_I32, 2, 7),
                                bt_desc_4d(BT_F16, 5, 2, 8, 16), bt_desc_4d(BT_F16, 5, 2, 16, 8)},
            out, good_in[BT_OP_IN_MAX];
    bt_attention_param p = {.n_head = 8, .scale = 1};
    memcpy(good_in, in, sizeof in);
    assert_ok(bt_op_attention.infer(&p, in, &out));
#define BAD_POOL(change, part)                                                                     \
    memcpy(in, good_in, sizeof in);                                                                \
    change;                                                                                        \
    assert_fails(bt_op_attention.infer(&p, in, &out), BT_INVALID, part)
    BAD_POOL(in[4].dtype = BT_Q5_0, "attention: the pool at input 4 is q5_0");
    BAD_POOL(in[4].dtype = BT_Q8_0,
             "attention: heads of 8 in a pool of q8_0, must be a multiple of 32");
    BAD_POOL(in[5].dim[3] = 4097, "attention: heads of 4097, must be at most 4096");
    BAD_POOL(in[5].dtype = BT_F32, "attention: input 5 is f32");
    BAD_POOL(in[4].n_dim = 3, "attention: input 4 is f16 with 3 dimensions, must be f16 with 4");
    BAD_POOL(in[5].dim[0] = 6, "attention: dimension 0 of input 5 is 6, must be 5");
    BAD_POOL(in[5].dim[3] = 9, "attention: dimension 2 of input 4 is 8, must be 9");
    BAD_POOL((in[4].dim[3] = in[5].dim[2] = 8), "attention: pages of 8 tokens");
    BAD_POOL((in[4].dim[1] = in[5].dim[1] = 0), "attention: a pool of 0 heads");
    BAD_POOL(in[0].layout = BT_PANELS, "attention: input 0 is packed f32");
    BAD_POOL(in[0].dim[1] = 63, "attention: dimension 1 of input 0 is 63, must be 64");
    in[4] = in[5] = bt_desc_4d(BT_Q8_0, 5, 2, 16, 32); // quantised: both by token
    in[0].dim[1] = 8 * 32;
    assert_ok(bt_op_attention.infer(&p, in, &out));
    in[4] = bt_desc_4d(BT_Q8_0, 5, 2, 32, 16);
    assert_fails(bt_op_attention.infer(&p, in, &out), BT_INVALID, "dimension 2 of input 4 is 32");
}

/* A few heads of a long sequence are taken by chunks, many heads, many tokens or a short table are
 * not; what a batch wants of scratch never shrinks when it grows. */
static void attention_goes_by_chunks_where_items_are_few(void **state)
{
    (void)state;
    static const struct {
        int64_t n_kv, n_page, n_tok, n_chunk;
    } row[] = {{1, 256, 1, 8}, {2, 256, 16, 8}, {2, 256, 17, 0},       {8, 256, 1, 0},
               {1, 16, 1, 0},  {1, 17, 1, 2},   {1, 1 << 17, 1, 4096}, {1, 1 << 17, 2, 0}};
    bt_kernel_table kernels;
    bt_kernel_table_init(&kernels, BT_CPU_LEVEL_REF);
    for (size_t i = 0; i < BT_COUNT_OF(row); i++) {
        bt_attention_param p = {8, 0, 1, 0};
        bt_desc in[BT_OP_IN_MAX] = {
            bt_desc_2d(BT_F32, row[i].n_tok, 8 * 64),
            bt_desc_1d(BT_I32, row[i].n_tok),
            bt_desc_1d(BT_I32, row[i].n_tok),
            bt_desc_2d(BT_I32, 4, row[i].n_page),
            bt_desc_4d(BT_F16, 9, row[i].n_kv, 64, 16 << (i == 4 || i == 5)),
            bt_desc_4d(BT_F16, 9, row[i].n_kv, 16 << (i == 4 || i == 5), 64)};
        bt_op_setup s, more;
        bt_op_env env = {.kernels = &kernels};
        assert_ok(bt_op_attention.setup(&env, &p, in, &in[0], &s));
        assert_int_equal(s.tile[0], row[i].n_chunk);
        assert_int_equal(s.n_launch, 2);
        assert_true(s.work_bytes >= row[i].n_tok * 8 * row[i].n_chunk * (64 + 2) * 4);
        in[0].dim[0] += 100;
        assert_ok(bt_op_attention.setup(&env, &p, in, &in[0], &more));
        assert_true(more.work_bytes >= s.work_bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_row_is_refused_with_its_reason),
        cmocka_unit_test(a_node_of_a_wrong_row_is_refused),
        cmocka_unit_test(every_built_in_row_is_right),
        cmocka_unit_test(costs_are_what_a_hand_counts),
        cmocka_unit_test(linear_and_rmsnorm_read_windows_of_wider_rows),
        cmocka_unit_test(other_strided_inputs_are_refused_by_name),
        cmocka_unit_test(an_output_that_is_no_view_must_be_dense),
        cmocka_unit_test(rows_of_a_packed_matrix_are_columns_of_the_product),
        cmocka_unit_test(a_packed_weight_multiplies_as_its_rows_say),
        cmocka_unit_test(what_is_no_weight_is_not_packed),
        cmocka_unit_test(a_pool_that_is_none_is_refused),
        cmocka_unit_test(attention_goes_by_chunks_where_items_are_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
