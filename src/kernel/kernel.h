// SPDX-License-Identifier: Apache-2.0
/* kernel: the argument blocks and the one list of kernels.
 *
 * A kernel is a pure function void f(const void *args, int64_t begin, int64_t end) over items
 * [begin, end): it allocates nothing, cannot fail, starts no thread and keeps no state. What an
 * item is stands at each block below. Every output element belongs to one item and is computed by
 * one fixed sequence of operations that depends neither on the range nor on how many rows (tokens)
 * the block holds: that is how the same request gets the same bits whatever runs beside it.
 *
 * Names: bt_<slot>_<isa>. At start each slot holds its _ref version (scalar, double sums); the
 * table then climbs with the CPU (table.c). f32 unless said otherwise. Pointers may be unaligned
 * unless a line says aligned. Strides are in elements of the array they belong to.
 */
#pragma once
#include "baton/tensor.h"

/* ---- weight panels -------------------------------------------------------------------------
 *
 * A weight matrix W [n_row, n_col] (n_row outputs, n_col inputs) is packed once, at load, into
 * panels of 16 rows, so that the 16 lanes of a vector are 16 outputs and nothing is ever summed
 * across lanes. One layout serves every M and every instruction set, in one order of K. Rows past
 * n_row are zero padding.
 *
 *   f32 f16        panel: [n_col][16] elements
 *   bf16           panel: [n_col/2 rounded up][16][2] elements, the odd column's pad 0
 *   quantised      panel: groups of 256 columns, scales and 8 blocks of 32, drawn in panel.h
 *
 * Every panel starts at a multiple of 64 bytes.
 */
enum { BT_PANEL_ROWS = 16, BT_BLOCK = 32, BT_GROUP = 256, BT_GROUP_BLOCKS = BT_GROUP / BT_BLOCK };
enum { BT_GROUP_HALVES = 2 * BT_GROUP_BLOCKS, BT_GROUP_SUMS = 3 * BT_GROUP_BLOCKS };

int64_t bt_panel_bytes(bt_dtype dtype, int64_t n_col); // one panel, a multiple of 64
int64_t bt_panels_bytes(bt_dtype dtype, int64_t n_row, int64_t n_col); // the whole matrix

/* pack: item = one panel. Reads rows in their file format, writes panels. */
typedef struct bt_pack_args {
    const void *rows;     // [n_row] rows of row_bytes each, dtype's file format, unaligned
    void *panels;         // bt_panels_bytes; 64-byte aligned
    int64_t n_row, n_col; // n_col a multiple of the dtype's block
    int64_t row_bytes;
    bt_dtype dtype;
} bt_pack_args;

/* ---- activations quantised for integer products ----------------------------------------------
 * Each row of n_col values is cut into groups of 256 (the last one padded with zeros):
 *   scale = max|x| / 127,  q = round_to_nearest_even(x / scale) within -127..127,
 *   sum = the sums of each 16 q, then those of each 32 (a block's): words that vpmaddwd and vpdpwssd
 *         read two by two.
 * A group whose scale is 0 has q 0; a group that holds NaN or an infinity has scale NaN and q 0, so
 * that the product is NaN as it is for float weights. All in f32: every version gives the same bits.
 * Group by group, so that the rows of one lie side by side for a tile. */
typedef struct bt_act {
    int8_t *q;    // [n_group, n_row, 256]; 64-byte aligned
    float *scale; // [n_group, n_row]
    int16_t *sum; // [n_group, n_row, 24]; 16-byte aligned
} bt_act;

/* act_quant: item = one row. */
typedef struct bt_act_quant_args {
    const float *x; // [n_row, n_col], row stride x_stride
    bt_act out;
    int64_t n_row, n_col;
    int64_t x_stride;
} bt_act_quant_args;

/* ---- activations rounded to bf16, for products with bf16 weights -------------------------------
 * act_bf16: item = one row. To nearest even; NaN stays NaN. In integers: every version gives the
 * same bits. */
typedef struct bt_act_bf16_args {
    const float *x;        // [n_row, n_col], row stride x_stride
    uint16_t *out;         // [n_row, 2 * n_pair]; the odd column's pad is 0
    int64_t n_col, n_pair; // n_pair = ceil(n_col / 2)
    int64_t x_stride;
} bt_act_bf16_args;

/* ---- gemm_<weight type>: out[m][n] = residual[m][n] + bias[n] + sum_k a[m][k] * w[n][k] --------
 * item = one panel (16 outputs) for all rows m. The sum over k runs in ascending order in one f32
 * accumulator an output:
 *
 *   f32, f16   acc = fma(a, w, acc)
 *   bf16       the same; or pair by pair (vdpbf16ps); or 32 columns at a time, the even and the odd
 *              ones summed apart and then added (AMX); the last two take a subnormal for 0
 *   quantised  inside a group of 256 columns all is integer, and exact: sum = sum_k a * r * (code -
 *              offset), r the weight's block scale (panel.h), within 32 bits; then acc = fma(f32 of
 *              sum, d * act scale, acc), d the group's; types with minimums: then acc = fma(f32 of
 *              sum_k a * min, m * act scale, acc)
 *
 * bias and residual are added once, at the end: (acc + bias) + residual. Ranges of a multiple of 6
 * panels (12 where rows are many; float weights: 4) run fastest. */
typedef struct bt_gemm_args {
    const float *a;         // [n_m, n_col], row stride a_stride; f32 and f16 weights
    const uint16_t *a_bf16; // [n_m, 2 * ceil(n_col / 2)]; bf16 weights
    bt_act act;             // quantised weights
    const void *panels;     // packed weights
    const float *bias;      // [n_row] or NULL
    const float *residual;  // [n_m, n_row], row stride out_stride, or NULL; may be `out`
    float *out;             // [n_m, n_row], row stride out_stride
    int64_t n_m, n_row, n_col;
    int64_t a_stride, out_stride;
} bt_gemm_args;

/* ---- embed: out[t] = row ids[t] of the table; item = one token --------------------------------
 */
typedef struct bt_embed_args {
    const void *table;  // [n_vocab] rows in file format (BT_ROWS)
    const int32_t *ids; // [n_tok]; 0 <= id < n_vocab is the caller's duty; outside gives a row of 0
    float *out;         // [n_tok, d]
    int64_t n_vocab, d;
    int64_t row_bytes;
    bt_dtype dtype;
} bt_embed_args;

/* ---- rmsnorm: out[t] = x[t] / sqrt(mean(x[t]^2) + eps) * weight; item = one row ---------------
 */
typedef struct bt_rmsnorm_args {
    const float *x;      // [n_row, d], row stride x_stride
    const float *weight; // [d]
    float *out;          // [n_row, d], row stride out_stride; may be x
    int64_t d, x_stride, out_stride;
    float eps;
} bt_rmsnorm_args;

/* ---- gather: out[i] = x[rows[i]]; item = one output row ----------------------------------------
 */
typedef struct bt_gather_args {
    const float *x;      // [n_tok, d]
    const int32_t *rows; // [n_out], 0 <= row < n_tok
    float *out;          // [n_out, d]
    int64_t d;
} bt_gather_args;

/* ---- copy: a strided view made dense; item = one innermost row ---------------------------------
 * Items count the outer dimensions row by row: item = (i0 * dim[1] + i1) * dim[2] + i2. */
typedef struct bt_copy_args {
    const void *x;         // element (i0, i1, i2, i3) at the sum of i[d] * stride[d] elements
    void *out;             // [dim[0], dim[1], dim[2], dim[3]] dense; may not overlap x
    int64_t dim[4];        // outermost first; missing ones are 1
    int64_t stride[4];     // elements, >= 0
    int64_t element_bytes; // 1, 2, 4 or 8
} bt_copy_args;

/* ---- swiglu: out[t][j] = silu(gate[t][j]) * up[t][j]; item = 64 columns of one row -------------
 * Items count row by row: item = t * ceil(d / 64) + j / 64. silu(x) = x / (1 + exp(-x));
 * Below -85 it may be 0. */
typedef struct bt_swiglu_args {
    const float *gate_up; // [n_tok, 2 * d]: gate in [0, d), up in [d, 2d)
    float *out;           // [n_tok, d]
    int64_t n_tok, d;
} bt_swiglu_args;

/* ---- rope_angles: cos and sin of pos * freq for each token; item = one token --------------------
 * Computed once a step and shared by all layers. In double, rounded once to f32; multiplied by
 * `magnitude` (YaRN's attention scaling; 1 otherwise). */
typedef struct bt_rope_angles_args {
    const int32_t *pos; // [n_tok]
    const float *freq;  // [n_pair] radians a position
    float *out;         // [n_tok, n_pair, 2]: cos, sin
    int64_t n_pair;
    float magnitude;
} bt_rope_angles_args;

/* ---- the paged KV pool of one layer ------------------------------------------------------------
 * A page holds page_len tokens for every KV head. Keys lie transposed, so that the lanes of a vector
 * are tokens and scores need no sum across lanes; values lie token by token. What one head has in
 * one page is an area, and areas lie by [n_page, n_kv]:
 *
 *               keys                                 values
 *   floats      [d_head][page_len]                   [page_len][d_head]
 *   q8_0        [d_head][page_len] int8              [page_len][d_head] int8
 *               [d_head / 32][page_len] f16          [page_len][d_head / 32] f16
 *   q4_0        [d_head / 32][16][page_len] bytes    [page_len][d_head / 32][16] bytes
 *               [d_head / 32][page_len] f16          [page_len][d_head / 32] f16
 *
 * A quantised head is cut into blocks of 32 elements with a scale each; all codes of an area come
 * first, then all scales. Byte i of a q4_0 block holds element i in its low half and element i + 16
 * in its high half, both plus 8. An element is code * scale, exact in f32. From x, all in f32, ties
 * to even:
 *
 *   q8_0   scale = f16(max|x| / 127),  code = round(x / scale) within -127..127
 *   q4_0   scale = f16(m / -8), m the x of largest magnitude, the negative one of equals;
 *          code = round(x / scale) within -8..7
 *
 * A scale of 0 has codes 0; a block with a NaN or an infinity has scale NaN and codes 0.
 *
 * A flat slot number is page_id * page_len + offset in the page. page_len is 16, 32 or 64. */
enum { BT_KV_BLOCK = 32, BT_KV_WIDTH_MAX = 4096 };
typedef struct bt_kv_pool {
    void *k, *v;    // 64-byte aligned
    bt_dtype dtype; // f32, f16, bf16; q8_0 and q4_0 where d_head is a multiple of 32
    int32_t page_len;
    int32_t n_kv, d_head; // d_head at most BT_KV_WIDTH_MAX
} bt_kv_pool;

/* ---- rope_kv: rotate q and k, write k and v to the pool; item = one token -----------------------
 * Optional per-head RMSNorm of q and k before the rotation (Qwen3). The first 2 * n_pair elements
 * of a head are rotated; the rest pass. Interleaved pairs are (2i, 2i+1), half pairs (i, i +
 * n_pair). */
typedef struct bt_rope_kv_args {
    const float *qkv;    // [n_tok, (n_head + 2 * n_kv) * d_head]: q heads, k heads, v heads
    const float *angles; // [n_tok, n_pair, 2]
    const int64_t *slot; // [n_tok] flat slot numbers
    const float *q_norm; // [d_head] or NULL
    const float *k_norm; // [d_head] or NULL
    float *q;            // [n_tok, n_head * d_head]
    bt_kv_pool pool;
    int32_t n_head, n_pair;
    float norm_eps;
    int32_t interleaved; // 1: pairs (2i, 2i+1); 0: pairs (i, i + n_pair)
} bt_rope_kv_args;

/* ---- attn: out[t] = softmax(scale * q[t] K^T) V over the pages of t's sequence ------------------
 * item = one KV head for one group of BT_ATTN_GROUP consecutive tokens of the batch: item = (t /
 * BT_ATTN_GROUP) * n_kv + head. A group may span sequences; rows never mix. Token t sees positions
 * max(0, pos - window + 1) .. pos of its sequence (window 0: all of them), and beside these those of
 * its first n_sink that are not past pos (Xiao et al. 2023: attention sinks).
 *
 * Positions are walked in chunks of BT_ATTN_CHUNK, aligned to multiples of it, ascending. Inside a
 * chunk an online softmax (Dao 2022, sec. 3.1) goes over blocks of 64 positions, aligned too; then
 * the chunk's largest score, sum of weights and sum of values are folded into those of the chunks
 * before. So the arithmetic of a row depends on its positions alone: not on the group, not on who
 * else runs. Entries of the table for positions that no token sees are not read; slots of such
 * positions may hold anything, NaN included, and do not matter.
 *
 * With `part`, chunks are items of their own, item = ((t / BT_ATTN_GROUP) * n_chunk + chunk) * n_kv
 * + head, and attn leaves what they sum there instead of in `out`: for those who have fewer KV heads
 * than processors. attn_merge then folds them, item = t * n_head + query head: the same bits. (The
 * reference, which takes two passes over all positions, leaves all it found in the first chunk.) */
enum { BT_ATTN_GROUP = 16, BT_ATTN_CHUNK = 512 };
typedef struct bt_attn_args {
    const float *q;       // [n_tok, n_head * d_head]
    float *out;           // [n_tok, n_head * d_head]; may not alias q
    const int32_t *pos;   // [n_tok] position of each token in its sequence
    const int32_t *seq;   // [n_tok] row of `table`
    const int32_t *table; // [n_seq, n_page_max] page ids
    float *part;          // [n_tok, n_head, n_chunk, d_head] sums of values, or NULL
    float *part_top;      // [n_tok, n_head, n_chunk, 2]: largest score / ln 2, sum of weights
    bt_kv_pool pool;
    int64_t n_tok;
    int64_t n_page_max;
    int64_t n_chunk; // with part: of a full table
    int32_t n_head;  // a multiple of pool.n_kv
    int32_t window;  // tokens, 0: none
    int32_t n_sink;  // positions, 0: none
    float scale;
} bt_attn_args;

/* The one list of kernels: X(slot, argument block). */
#define BT_KERNEL_LIST(X)                                                                          \
    X(pack, bt_pack_args)                                                                          \
    X(act_quant, bt_act_quant_args)                                                                \
    X(act_bf16, bt_act_bf16_args)                                                                  \
    X(gemm_f32, bt_gemm_args)                                                                      \
    X(gemm_f16, bt_gemm_args)                                                                      \
    X(gemm_bf16, bt_gemm_args)                                                                     \
    X(gemm_q8_0, bt_gemm_args)                                                                     \
    X(gemm_q4_0, bt_gemm_args)                                                                     \
    X(gemm_q4_1, bt_gemm_args)                                                                     \
    X(gemm_q5_0, bt_gemm_args)                                                                     \
    X(gemm_q5_1, bt_gemm_args)                                                                     \
    X(gemm_q4_k, bt_gemm_args)                                                                     \
    X(gemm_q5_k, bt_gemm_args)                                                                     \
    X(gemm_q6_k, bt_gemm_args)                                                                     \
    X(embed, bt_embed_args)                                                                        \
    X(rmsnorm, bt_rmsnorm_args)                                                                    \
    X(gather, bt_gather_args)                                                                      \
    X(copy, bt_copy_args)                                                                          \
    X(swiglu, bt_swiglu_args)                                                                      \
    X(rope_angles, bt_rope_angles_args)                                                            \
    X(rope_kv, bt_rope_kv_args)                                                                    \
    X(attn, bt_attn_args)                                                                          \
    X(attn_merge, bt_attn_args)

typedef enum bt_slot {
#define BT_SLOT_ENUM(slot, args) BT_SLOT_##slot,
    BT_KERNEL_LIST(BT_SLOT_ENUM)
#undef BT_SLOT_ENUM
        BT_SLOT_COUNT
} bt_slot;

/* A launch record holds an argument block in 192 bytes. */
#define BT_SLOT_FITS(slot, args)                                                                   \
    _Static_assert(sizeof(args) <= 192, #args " is too large to launch");
BT_KERNEL_LIST(BT_SLOT_FITS)
#undef BT_SLOT_FITS
