// SPDX-License-Identifier: Apache-2.0
/* topk: the best of many without sorting them all. A heap over all n candidates costs O(n) to build
 * and O(log n) for each one taken, best first, so taking 40 of 128k is little more than one pass. A
 * share of the weight may be most of the candidates: it is found by sorting them onto shelves, in O(n).
 * No order of the input makes either slow. Better is a larger key; equal keys go by lower id, so every result
 * is unique. */
#pragma once
#include <stdint.h>

typedef struct bt_cand {
    double key;    // what it is compared by; not NaN
    double weight; // unnormalised probability
    int32_t id;
} bt_cand;

void bt_topk_build(bt_cand *cand, int32_t n);

/* Move the best of the heap cand[0..n) to cand[n - 1]; the rest is a heap again. n >= 1. */
void bt_topk_pop(bt_cand *cand, int32_t n);

/* Keep the n_keep that were popped last-to-first from n: move them to the front. */
void bt_topk_keep(bt_cand *cand, int32_t n, int32_t n_keep);

/* Keep the best, as few as have a weight of `enough` together, but at least one of n >= 1 (all of
 * them when they have less). Moves them to the front, in no order, and returns how many they are.
 */
int32_t bt_topk_share(bt_cand *cand, int32_t n, double enough);
