// SPDX-License-Identifier: Apache-2.0
/* cases_copy: copy, against the place of each element by its definition. */
#pragma once
#include "kernel/cases_gemm.h"

/* Elements from the first to past the last one that the strides reach. */
static int64_t copy_reach(const bt_copy_args *a)
{
    int64_t last = 0;
    for (int d = 0; d < 4; d++) last += (a->dim[d] - 1) * a->stride[d];
    return last + 1;
}

static void check_copied(const bt_copy_args *a, const uint8_t *out)
{
    int64_t size = a->element_bytes, i = 0;
    for (int64_t i0 = 0; i0 < a->dim[0]; i0++)
        for (int64_t i1 = 0; i1 < a->dim[1]; i1++)
            for (int64_t i2 = 0; i2 < a->dim[2]; i2++)
                for (int64_t i3 = 0; i3 < a->dim[3]; i3++, i++) {
                    int64_t at = i0 * a->stride[0] + i1 * a->stride[1] + i2 * a->stride[2] +
                                 i3 * a->stride[3];
                    if (memcmp(out + i * size, (const uint8_t *)a->x + at * size, (size_t)size))
                        check_fail("element %ld is not the one at %ld", (long)i, (long)at);
                }
}

/* Dense, with gaps, transposed and repeated dimensions; the innermost a run or not. */
static bt_copy_args random_copy(test_rng *rng, int64_t element_bytes)
{
    static const int64_t widths[] = {1, 2, 3, 7, 16, 33, 257};
    bt_copy_args a = {.element_bytes = element_bytes};
    int order[] = {3, 2, 1, 0};
    int64_t stride = 1;
    for (int d = 0; d < 4; d++) a.dim[d] = test_range(rng, 1, 4);
    a.dim[3] = widths[test_range(rng, 0, (int64_t)BT_COUNT_OF(widths) - 1)];
    for (int i = 0; i < 3; i++) {
        int j = (int)test_range(rng, i, 3), t = order[i];
        if (test_range(rng, 0, 1)) continue;
        order[i] = order[j];
        order[j] = t;
    }
    for (int i = 0; i < 4; i++) {
        bool repeats = test_range(rng, 0, 7) == 0;
        a.stride[order[i]] = repeats ? 0 : stride;
        if (!repeats) stride = stride * a.dim[order[i]] + test_range(rng, 0, 1) * 3;
    }
    return a;
}

static void case_copy(bt_slot slot)
{
    test_rng rng = {now.seed = 12};
    for (int round = 0; round < 400; round++) {
        bt_copy_args a = random_copy(&rng, (int64_t)1 << round % 4);
        int64_t n_item = a.dim[0] * a.dim[1] * a.dim[2], off = round % 3;
        guarded x = guarded_new((size_t)(copy_reach(&a) * a.element_bytes + off));
        guarded out = guarded_new((size_t)(n_item * a.dim[3] * a.element_bytes + off));
        for (size_t i = 0; i < x.size; i++) x.data[i] = (uint8_t)test_u64(&rng);
        snprintf(now.shape, sizeof now.shape,
                 "dim %ld %ld %ld %ld stride %ld %ld %ld %ld bytes %ld", (long)a.dim[0],
                 (long)a.dim[1], (long)a.dim[2], (long)a.dim[3], (long)a.stride[0],
                 (long)a.stride[1], (long)a.stride[2], (long)a.stride[3], (long)a.element_bytes);
        a.x = x.data + off; // unaligned, and up to the guard page
        a.out = out.data + off;
        FOR_VERSIONS(slot, fn)
        {
            memset(out.data, SENTINEL, out.size);
            run_pieces(&rng, fn, &a, n_item);
            check_copied(&a, a.out);
            run_empty(fn, &a);
            check_front(&out, "out");
        }
        guarded_free(&x);
        guarded_free(&out);
    }
}
