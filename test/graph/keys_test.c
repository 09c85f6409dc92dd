// SPDX-License-Identifier: Apache-2.0
/* Keys of nodes against the tables of fields that they are generated from: what infer and setup may
 * look at is in the key bit by bit, and nothing else is; for every built-in operator and for ones
 * with a field of every type in every role. Each change is tried on a node cache, too. */
#include "graph/keyworld.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "device/device.h"

/* ---- one change at a time ---- */

/* A cache that knows one node. */
typedef struct known {
    bt_node_cache *cache;
    node base;
    node_key key;
    bt_desc out;
    bt_op_setup setup;
    int n_hit, n_miss;
} known;

static known know(const node *base)
{
    known k = {.base = *base, .key = key_of(base), .out = bt_desc_1d(BT_F32, 77)};
    k.setup = (bt_op_setup){.tile = {5}, .work_bytes = 64, .n_launch = 3};
    assert_ok(bt_node_cache_new(16 << 10, NULL, &k.cache));
    bt_node_cache_add(k.cache, k.key.byte, k.key.n, &k.out, &k.setup);
    return k;
}

static bool finds(known *k, const node *n)
{
    node_key key = key_of(n);
    bt_desc out;
    bt_op_setup setup;
    bool hit = bt_node_cache_find(k->cache, key.byte, key.n, &out, &setup);
    assert_int_equal(hit, same_key(&key, &k->key));
    if (!hit) return false;
    assert_memory_equal(&out, &k->out, sizeof out);
    assert_memory_equal(&setup, &k->setup, sizeof setup);
    return true;
}

/* The node must be found, or must not. */
static void expect(known *k, const node *changed, bool hit, const char *what, int at)
{
    if (finds(k, changed) != hit)
        fail_msg("%s: %s, change %d: a %s", k->base.op->name, what, at, hit ? "miss" : "hit");
    k->n_hit += hit;
    k->n_miss += !hit;
}

static void flip(void *bytes, size_t bit)
{
    ((uint8_t *)bytes)[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

/* Every bit of every element of every field. */
static void flip_fields(known *k)
{
    const bt_op *op = k->base.op;
    for (int32_t i = 0; i < op->n_field; i++) {
        const bt_field *f = &op->field[i];
        size_t n_bit = 8 * type_bytes(f->type) * (size_t)elements_of(f);
        for (size_t bit = 0; bit < n_bit; bit++) {
            node n = k->base;
            flip((char *)n.param + f->offset, bit);
            expect(k, &n, f->role != BT_FIELD_KEY, f->name, (int)bit);
        }
    }
}

/* Bytes of the parameters that are no field's, and inputs that the operator does not have. */
static void flip_padding(known *k)
{
    const bt_op *op = k->base.op;
    bool is_field[BT_OP_PARAM_BYTES] = {false};
    for (int32_t i = 0; i < op->n_field; i++)
        memset(is_field + op->field[i].offset, 1,
               type_bytes(op->field[i].type) * (size_t)elements_of(&op->field[i]));
    for (int byte = 0; byte < BT_OP_PARAM_BYTES; byte++) {
        node n = k->base;
        ((uint8_t *)n.param)[byte] ^= 0x81;
        if (!is_field[byte]) expect(k, &n, true, "padding", byte);
    }
    for (int32_t i = op->n_in; i < BT_OP_IN_MAX; i++) {
        node n = k->base;
        n.in[i].dim[0] ^= 1;
        expect(k, &n, true, "an input that is none", i);
    }
}

/* Every other type, layout, number of dimensions. */
static void change_heads(known *k, int32_t i)
{
    node n = k->base;
    for (int t = 0; t < BT_DTYPE_COUNT; t++) {
        n.in[i].dtype = (bt_dtype)t;
        if (n.in[i].dtype != k->base.in[i].dtype) expect(k, &n, false, "dtype", t);
    }
    n = k->base;
    n.in[i].layout = k->base.in[i].layout == BT_ROWS ? BT_PANELS : BT_ROWS;
    expect(k, &n, false, "layout", n.in[i].layout);
    n = k->base;
    n.in[i].strided ^= 1;
    expect(k, &n, false, "strided", n.in[i].strided);
    for (int d = 0; d <= BT_DIM_MAX; d++) {
        n = k->base;
        n.in[i].n_dim = d;
        if (d != k->base.in[i].n_dim) expect(k, &n, false, "n_dim", d);
    }
}

static void flip_dims(known *k, int32_t i)
{
    const bt_desc *base = &k->base.in[i];
    for (int d = 0; d < BT_DIM_MAX; d++)
        for (int bit = 0; bit < 64; bit++) {
            node n = k->base;
            n.in[i].dim[d] ^= (int64_t)(1ull << bit);
            expect(k, &n, d >= base->n_dim, "dim", d * 64 + bit);
            n = k->base;
            n.in[i].stride[d] ^= (int64_t)(1ull << bit);
            expect(k, &n, d >= base->n_dim || !base->strided, "stride", d * 64 + bit);
        }
}

static void a_flipped_key_bit_misses_and_any_other_hits(void **state)
{
    (void)state;
    test_rng rng = {11};
    for (int o = 0; o < N_OPS; o++)
        for (int round = 0; round < 5; round++) {
            node base = random_node(&rng);
            base.op = all_ops[o];
            known k = know(&base);
            flip_fields(&k);
            flip_padding(&k);
            for (int32_t i = 0; i < base.op->n_in; i++) {
                change_heads(&k, i);
                flip_dims(&k, i);
            }
            assert_true(k.n_miss >= 22 * base.op->n_in && k.n_hit > 0);
            bt_node_cache_free(k.cache);
        }
}

static void another_operator_with_the_same_fields_misses(void **state)
{
    (void)state;
    test_rng rng = {12};
    for (int o = 0; o < N_OPS; o++) {
        node base = random_node(&rng);
        base.op = all_ops[o];
        bt_op twin_row = *base.op;
        known k = know(&base);
        for (int other = 0; other < N_OPS; other++) {
            node n = base;
            n.op = all_ops[other];
            expect(&k, &n, other == o, "operator", other);
        }
        node twin = base;
        twin.op = &twin_row;
        expect(&k, &twin, false, "the same row elsewhere", o);
        bt_node_cache_free(k.cache);
    }
}

/* Zero of either sign, and NaN of any payload, are bits like others. */
static void floats_are_bits(void **state)
{
    (void)state;
    static const uint32_t bits[] = {0, 0x80000000u, 0x7fc00000u, 0x7fc00001u, 0xffc00000u, 1};
    node n[6] = {{.op = &every_op[2]}}; // f and e are keys
    for (int i = 0; i < 6; i++) {
        n[i] = n[0];
        memcpy((char *)n[i].param + offsetof(every_param, f), &bits[i], 4);
    }
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++) {
            node_key a = key_of(&n[i]), b = key_of(&n[j]);
            assert_int_equal(same_key(&a, &b), i == j);
        }
}

/* ---- random pairs ---- */

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { N_PAIR = 100000 };
#else
enum { N_PAIR = 1000000 };
#endif

/* A bit anywhere in the parameters, or something of a descriptor, which may be an unused part. */
static void disturb(node *n, test_rng *rng)
{
    bt_desc *d = &n->in[test_range(rng, 0, bt_max_i64(n->op->n_in, 1) - 1)];
    switch (test_range(rng, 0, 8)) {
    case 0:
        d->dtype = (bt_dtype)test_range(rng, 0, BT_DTYPE_COUNT - 1);
        break;
    case 1:
        d->n_dim = (int32_t)test_range(rng, 0, BT_DIM_MAX);
        break;
    case 2:
        d->strided ^= 1;
        break;
    case 3:
        flip(d->dim, (size_t)test_range(rng, 0, 8 * (int64_t)sizeof d->dim - 1));
        break;
    case 4:
        flip(d->stride, (size_t)test_range(rng, 0, 8 * (int64_t)sizeof d->stride - 1));
        break;
    case 5:
        n->op = all_ops[test_range(rng, 0, N_OPS - 1)];
        break;
    default:
        flip(n->param, (size_t)test_range(rng, 0, 8 * BT_OP_PARAM_BYTES - 1));
    }
}

static void keys_are_equal_exactly_when_the_fields_are(void **state)
{
    (void)state;
    test_rng rng = {13};
    int n_equal = 0;
    for (int pair = 0; pair < N_PAIR; pair++) {
        static node a; // a few pairs with each
        if (pair % 8 == 0) a = random_node(&rng);
        node b = a;
        for (int64_t i = test_range(&rng, 0, 2); i > 0; i--) disturb(&b, &rng);
        node_key x = key_of(&a), y = key_of(&b);
        bool same = same_node(&a, &b);
        if (same_key(&x, &y) != same)
            fail_msg("pair %d: %s and %s have %s keys", pair, a.op->name, b.op->name,
                     same ? "different" : "equal");
        n_equal += same;
    }
    print_message("%d of %d pairs are equal\n", n_equal, N_PAIR);
    assert_in_range(n_equal, N_PAIR / 4, N_PAIR * 3 / 4); // both happen
}

/* ---- what the roles promise ---- */

/* A node that every operator accepts. The inputs of the operators, as baton/ops.h lists them. */
static node valid_node(const bt_op *op)
{
    const bt_desc x = bt_desc_2d(BT_F32, 4, 64), w = bt_desc_1d(BT_F32, 64),
                  ids = bt_desc_1d(BT_I32, 4), slot = bt_desc_1d(BT_I64, 4),
                  k = bt_desc_4d(BT_F16, 3, 2, 16, 32), v = bt_desc_4d(BT_F16, 3, 2, 32, 16);
    bt_desc panels = bt_desc_2d(BT_Q8_0, 32, 64);
    panels.layout = BT_PANELS;
    const struct {
        const bt_op *op;
        bt_desc in[BT_OP_IN_MAX];
        int32_t key[5]; // of the parameters' first fields, which are all KEY where there are any
    } row[] = {
        {&bt_op_embed, {x, ids}, {0}},
        {&bt_op_gather, {x, ids}, {0}},
        {&bt_op_rmsnorm, {x, w}, {0}},
        {&bt_op_linear, {x, panels}, {0}},
        {&bt_op_swiglu, {x}, {0}},
        {&bt_op_rope_angles, {ids, bt_desc_1d(BT_F32, 8)}, {0}},
        {&bt_op_rope_kv,
         {bt_desc_2d(BT_F32, 4, 8 * 16), bt_desc_3d(BT_F32, 4, 8, 2), slot, k, v},
         {4}},
        {&bt_op_attention, {x, ids, ids, bt_desc_2d(BT_I32, 2, 3), k, v}, {4}},
        {&bt_op_copy, {x}, {0}},
        {&bt_op_reshape, {x}, {2, 8, 32}},
        {&bt_op_slice, {x}, {0, 1, 3}},
        {&bt_op_chunk, {x}, {1, 2, 1}},
        {&bt_op_permute, {x}, {1, 0}},
        {&bt_op_broadcast, {bt_desc_2d(BT_F32, 1, 64)}, {2, 4, 64}},
    };
    for (size_t i = 0; i < BT_COUNT_OF(row); i++) {
        if (row[i].op != op) continue;
        node n = {.op = op};
        memcpy(n.param, row[i].key, sizeof row[i].key);
        memcpy(n.in, row[i].in, sizeof row[i].in);
        return n;
    }
    fail_msg("operator '%s' has no valid node in this test: add one", op->name);
    return (node){0};
}

typedef struct decided {
    bt_desc out;
    bt_op_setup setup;
    int64_t begin;
} decided;

static decided decide(const bt_op_env *env, const node *n)
{
    decided d = {0};
    assert_ok(n->op->infer(n->param, n->in, &d.out));
    if (n->op->view)
        d.begin = n->op->view(n->param, n->in, &d.out);
    else
        assert_ok(n->op->setup(env, n->param, n->in, &d.out, &d.setup));
    return d;
}

/* Only bind may read ADDRESS and VALUE fields: a cached node must be what a fresh one would be. */
static void no_operator_decides_by_an_address_or_a_value(void **state)
{
    (void)state;
    bt_device *device;
    assert_ok(bt_device_open("cpu", &(bt_device_config){.n_thread = 1}, &device));
    bt_op_env env = {.kernels = device->kernels};
    for (int o = 0; o < N_OPS - EVERY_OPS; o++) {
        node base = valid_node(all_ops[o]);
        decided want = decide(&env, &base);
        for (int32_t i = 0; i < base.op->n_field; i++) {
            const bt_field *f = &base.op->field[i];
            size_t n_bit = 8 * type_bytes(f->type) * (size_t)elements_of(f);
            for (size_t bit = 0; f->role != BT_FIELD_KEY && bit < n_bit; bit++) {
                node n = base;
                flip((char *)n.param + f->offset, bit);
                decided got = decide(&env, &n);
                assert_memory_equal(&got, &want, sizeof got);
            }
        }
    }
    bt_device_close(device);
}

static void overlapping_fields_are_refused(void **state)
{
    (void)state;
    bt_op op = bt_op_attention;
    bt_field field[4];
    memcpy(field, op.field, sizeof field);
    op.field = field;
    assert_ok(bt_op_check(&op));
    field[2].offset = field[1].offset;
    assert_fails(bt_op_check(&op), BT_INVALID, "'scale' overlaps another");
    field[2].offset = field[1].offset + 2;
    assert_fails(bt_op_check(&op), BT_INVALID, "'scale' overlaps another");
    bt_field whole = BT_FIELD_ARRAY(every_param, i, I32, KEY, BT_OP_PARAM_BYTES / 4);
    op.field = &whole;
    op.n_field = 1;
    op.param_bytes = BT_OP_PARAM_BYTES;
    assert_ok(bt_op_check(&op));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_key_bit_misses_and_any_other_hits),
        cmocka_unit_test(another_operator_with_the_same_fields_misses),
        cmocka_unit_test(floats_are_bits),
        cmocka_unit_test(keys_are_equal_exactly_when_the_fields_are),
        cmocka_unit_test(no_operator_decides_by_an_address_or_a_value),
        cmocka_unit_test(overlapping_fields_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
