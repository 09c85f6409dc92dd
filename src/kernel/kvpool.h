// SPDX-License-Identifier: Apache-2.0
/* kvpool: where things lie in bt_kv_pool, in elements; and one element in and out. Header only. */
#pragma once
#include "kernel/kernel.h"
#include "tensor/half.h"

/* Element 0 of the key of a flat slot; element i lies i * page_len further. */
static inline int64_t bt_k_at(const bt_kv_pool *p, int64_t slot, int64_t kv)
{
    return (slot / p->page_len * p->n_kv + kv) * p->d_head * p->page_len + slot % p->page_len;
}

/* Element 0 of the value of a flat slot; the others follow. */
static inline int64_t bt_v_at(const bt_kv_pool *p, int64_t slot, int64_t kv)
{
    return ((slot / p->page_len * p->n_kv + kv) * p->page_len + slot % p->page_len) * p->d_head;
}

static inline float bt_kv_get(const void *base, bt_dtype dtype, int64_t at)
{
    if (dtype == BT_F32) return ((const float *)base)[at];
    uint16_t h = ((const uint16_t *)base)[at];
    return dtype == BT_F16 ? bt_f16_to_f32(h) : bt_bf16_to_f32(h);
}

static inline void bt_kv_put(void *base, bt_dtype dtype, int64_t at, float x)
{
    if (dtype == BT_F32)
        ((float *)base)[at] = x;
    else
        ((uint16_t *)base)[at] = dtype == BT_F16 ? bt_f32_to_f16(x) : bt_f32_to_bf16(x);
}
