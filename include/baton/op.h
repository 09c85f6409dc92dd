// SPDX-License-Identifier: Apache-2.0
/* baton/op.h: the contract of an operator, and libraries of them.
 *
 * An operator is one row of plain data and pure functions. Everything that can fail happens in
 * `infer` and `setup`, which see shapes only and allocate nothing; `bind` fills in launch records
 * once the addresses are known, and cannot fail. So a node whose shapes repeat is set up once, and
 * a step is nothing but its launches.
 *
 *      infer -> setup  (or both from a cache)  -> bind -> launch
 *
 * This header is enough to write operators and kernels of one's own as a shared library, outside
 * the tree: see the end of it, and examples/custom_op.
 */
#ifndef BATON_OP_H
#define BATON_OP_H

#include "baton/device.h"
#include "baton/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BT_OP_IN_MAX = 8, BT_OP_LAUNCH_MAX = 5, BT_OP_TILE_MAX = 4, BT_OP_PARAM_BYTES = 64 };

/* What a parameter field means to the caches. Their keys, comparison and dumps come from the table
 * of fields; nobody writes a key by hand.
 *
 *   KEY      may decide kernel, tiling or shape: infer and setup may read it; part of every key
 *   ADDRESS  where data lies: only bind reads it; never part of a key
 *   VALUE    a number that is only copied into launches: only bind reads it; never part of a key */
typedef enum bt_field_role { BT_FIELD_KEY, BT_FIELD_ADDRESS, BT_FIELD_VALUE } bt_field_role;

typedef enum bt_field_type { BT_FIELD_I32, BT_FIELD_F32, BT_FIELD_I64, BT_FIELD_PTR } bt_field_type;

typedef struct bt_field {
    const char *name;
    uint32_t offset; /* in the parameter struct */
    bt_field_type type;
    bt_field_role role;
    int32_t count; /* an array of so many; 0 means 1 */
} bt_field;

/* A row of the table: BT_FIELD(my_param, scale, F32, VALUE). */
#define BT_FIELD(params, member, type, role) BT_FIELD_ARRAY(params, member, type, role, 1)
#define BT_FIELD_ARRAY(params, member, type, role, count)                                          \
    {                                                                                              \
#member, (uint32_t)offsetof(params, member), BT_FIELD_##type, BT_FIELD_##role, count       \
    }

struct bt_kernel_table;

/* What setup may look at besides shapes. */
typedef struct bt_op_env {
    const struct bt_kernel_table *kernels; /* the device's; opaque outside the library */
} bt_op_env;

/* What setup decided; plain data, copied into plans and caches. */
typedef struct bt_op_setup {
    bt_kernel_fn fn[BT_OP_LAUNCH_MAX];
    int64_t grain[BT_OP_LAUNCH_MAX];
    int64_t tile[BT_OP_TILE_MAX]; /* the operator's own */
    int64_t work_bytes;           /* scratch for the node's launches, 64-byte aligned */
    int32_t n_launch;             /* may depend on types and KEY parameters, not on sizes */
    int32_t reserved;             /* 0 */
} bt_op_setup;

/* One node as bind sees it. An input that was left out has desc.n_dim 0 and address NULL. */
typedef struct bt_op_bind {
    const void *param;
    const bt_desc *in;
    void *const *in_ptr;
    const bt_desc *out;
    void *out_ptr;
    void *work;
    const bt_op_setup *setup;
} bt_op_bind;

/* What running a node moves and computes at the least: each input read once, each output written
 * once; a multiply-add counts as two operations. For rooflines and timelines, never for results. */
typedef struct bt_op_cost {
    double bytes, ops;
} bt_op_cost;

/* Operator flags. */
enum {
    BT_OP_NO_CAPTURE = 1 /* its launches must not be recorded and replayed: they do something anew
                          * each time that their arguments do not say */
};

typedef struct bt_op {
    const char *name;
    int32_t n_in; /* inputs, optional ones (which come last) included; <= BT_OP_IN_MAX */
    int32_t n_in_must;
    int32_t inplace;       /* the input whose memory the output may take over when that input dies
                            * here; -1: none */
    uint32_t strided_in;   /* bit i: input i may be a strided view; others are refused */
    uint32_t flags;        /* BT_OP_NO_CAPTURE */
    uint32_t param_bytes;  /* <= BT_OP_PARAM_BYTES */
    const bt_field *field; /* covers every byte of meaning in the parameters */
    int32_t n_field;

    /* The output's descriptor. INVALID names the input, what was found and what is allowed. */
    bt_status (*infer)(const void *param, const bt_desc *in, bt_desc *ret_out);
    /* Kernels, grains, scratch. UNSUPPORTED: no kernel for the types. NULL for a view. */
    bt_status (*setup)(const bt_op_env *env, const void *param, const bt_desc *in,
                       const bt_desc *out, bt_op_setup *ret_setup);
    /* Fill setup->n_launch records completely. NULL for a view. */
    void (*bind)(const bt_op_bind *node, bt_launch *ret_launch);
    /* Views only, else NULL: the output is a window onto input 0; how many bytes into it the
     * output begins. A view costs no launch, no memory and no time. */
    int64_t (*view)(const void *param, const bt_desc *in, const bt_desc *out);
    /* May be NULL: then inputs and outputs are counted as they are described, and no operations. */
    void (*cost)(const void *param, const bt_desc *in, const bt_desc *out, bt_op_cost *ret_cost);
} bt_op;

/* A built-in operator by name; NULL when there is none. baton/ops.h has their list. */
BT_API const bt_op *bt_op_find(const char *name);

/* INVALID says what is wrong with an operator's row: a missing function, a field outside the
 * parameters, a bad count. Adding a node with a wrong row fails with the same words. */
BT_API BT_CHECKED bt_status bt_op_check(const bt_op *op);

/* Cost of a node, by the operator's own function or by its descriptors. */
BT_API bt_op_cost bt_op_cost_of(const bt_op *op, const void *param, const bt_desc *in,
                                const bt_desc *out);

/* ---- for those who write operators ---- */

/* INVALID unless input `i` is of this type and number of dimensions. */
BT_API BT_CHECKED bt_status bt_op_want(const bt_op *op, const bt_desc *in, int i, bt_dtype dtype,
                                       int n_dim);

/* INVALID unless dimension `d` of input `i` is `want`. */
BT_API BT_CHECKED bt_status bt_op_want_dim(const bt_op *op, const bt_desc *in, int i, int d,
                                           int64_t want);

/* Fill record `i` of a node: kernel and grain from its setup, `n_item` items, and an argument block
 * of `bytes` (at most BT_LAUNCH_ARG_BYTES), zeroed. Returns the block. */
BT_API void *bt_op_launch(const bt_op_bind *node, const bt_op *op, int i, int64_t n_item,
                          size_t bytes, bt_launch *ret_launch);

/* ---- operator libraries ----
 *
 * A library is a shared object that exports BT_OP_LIBRARY(name, operators...), built against these
 * headers alone (pkg-config baton). Its operators are used like built-in ones: cached, captured,
 * traced. bt_op_library_open checks that it was built for this ABI, and every row of it.
 *
 * A library is code and runs with all rights of the program, from its constructors on, which run
 * before anything can be checked. Load only what you would run. */
enum { BT_OP_ABI = 1, BT_OP_LIBRARY_OP_MAX = 1024 };

typedef struct bt_op_library_info {
    uint32_t abi, desc_bytes, op_bytes, launch_bytes; /* as the library was compiled */
    const char *name;
    const bt_op *const *op; /* [n_op] */
    int32_t n_op;
} bt_op_library_info;

#define BT_OP_LIBRARY_SYMBOL "bt_op_library_info_v"
#if defined(__GNUC__)
#define BT_OP_LIBRARY(library_name, ...)                                                           \
    static const bt_op *const bt_op_library_rows_[] = {__VA_ARGS__};                               \
    __attribute__((visibility("default"))) const bt_op_library_info bt_op_library_info_v = {       \
        BT_OP_ABI,                                                                                 \
        sizeof(bt_desc),                                                                           \
        sizeof(bt_op),                                                                             \
        sizeof(bt_launch),                                                                         \
        library_name,                                                                              \
        bt_op_library_rows_,                                                                       \
        (int32_t)(sizeof bt_op_library_rows_ / sizeof *bt_op_library_rows_)}
#endif

typedef struct bt_op_library bt_op_library;

/* Load a library of operators from a file; a path without a slash is one in the current directory.
 * It must stay open while a graph uses its operators, a context that ran them is open (it remembers
 * their kernels), or a trace that names them is read.
 * Errors  NOTFOUND: no such file.  IO: not a whole shared object of this machine, or the loader's
 *         words.  UNSUPPORTED: another ABI; says which.  INVALID: not a library of operators, an
 *         operator's row is wrong, or two have one name; names it. */
BT_API BT_CHECKED bt_status bt_op_library_open(const char *path, bt_op_library **ret_library);
BT_API void bt_op_library_close(bt_op_library *library); /* NULL is nothing */
BT_API const bt_op *bt_op_library_find(const bt_op_library *library,
                                       const char *name); /* NULL: none of that name */
BT_API const char *bt_op_library_name(const bt_op_library *library);
BT_API int32_t bt_op_library_count(const bt_op_library *library);
BT_API const bt_op *bt_op_library_at(const bt_op_library *library,
                                     int32_t i); /* NULL: no such row */

#ifdef __cplusplus
}
#endif
#endif
