// SPDX-License-Identifier: Apache-2.0
/* oracle: what a model says, computed as plainly as can be: one token at a time, everything in
 * double, keys and values in one contiguous array. It is the law for models and configurations that
 * have no vectors from outside, and is itself held to those that have (oracle_test.c).
 *
 * It shares no code with the engine: of the library it uses a model file's hyperparameters, its
 * tensor views and bt_dequant_row. Frequencies, rotation, norms, attention and products are its
 * own. Heap comes from malloc, so that the library's counters do not see it; running out of it ends
 * the test.
 */
#pragma once
#include "model/file/modelfile.h"

typedef struct oracle oracle;

/* Expand the weights of `file` (opened for COMPUTE) for sequences of up to n_ctx tokens. The file
 * may be closed afterwards. */
oracle *oracle_open(const bt_model_file *file, int32_t n_ctx);
void oracle_free(oracle *o);
int32_t oracle_n_vocab(const oracle *o);

/* Keys (after rotation) and values are rounded to this type (F32: kept in double), as kernel.h says
 * of the pool: q8_0 and q4_0 in blocks of 32. */
void oracle_round_kv(oracle *o, bt_dtype dtype);

/* Inputs of products are rounded as the kernels' contract says (kernel.h): for bf16 weights to bf16
 * (act_bf16), for quantised ones groups of 256 to whole multiples of max|x| / 127 (act_quant), and
 * these weights' scales as panel.h says. What is left between an engine and this is the order of sums, and values that fall to the other side of a half. */
void oracle_round_act(oracle *o, bool on);

/* Start a new sequence. */
void oracle_reset(oracle *o);

/* Append a token; logits[n_vocab] are those after it. NULL when they are not wanted. */
void oracle_push(oracle *o, int32_t id, double *logits);

/* A new sequence of n tokens; logits[n][n_vocab] are those after each. */
void oracle_read(oracle *o, const int32_t *ids, int32_t n, double *logits);

/* Go on greedily for n tokens from `logits` (those after the last token); *ret_gap is the smallest
 * lead of a chosen token over the next best. The last chosen token is not pushed. */
void oracle_greedy(oracle *o, const double *logits, int32_t n, int32_t *ret_ids, double *ret_gap);
