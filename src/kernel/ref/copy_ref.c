// SPDX-License-Identifier: Apache-2.0
/* copy, reference: rows whose elements are neighbours in one piece, others element by element. */
#include "kernel/isa.h"
#include <string.h>

/* Element by element, of one size; the pointers may be unaligned. */
#define COPY_ROW(bits)                                                                             \
    static void copy_row_##bits(const uint8_t *x, int64_t stride, uint8_t *out, int64_t n)         \
    {                                                                                              \
        uint##bits##_t e;                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                          \
            memcpy(&e, x + i * stride * (int64_t)sizeof e, sizeof e);                              \
            memcpy(out + i * (int64_t)sizeof e, &e, sizeof e);                                     \
        }                                                                                          \
    }
COPY_ROW(8)
COPY_ROW(16)
COPY_ROW(32)
COPY_ROW(64)

static void copy_row(const bt_copy_args *a, const uint8_t *x, uint8_t *out)
{
    int64_t n = a->dim[3], stride = a->stride[3];
    if (stride == 1)
        memcpy(out, x, (size_t)(n * a->element_bytes));
    else if (a->element_bytes == 1)
        copy_row_8(x, stride, out, n);
    else if (a->element_bytes == 2)
        copy_row_16(x, stride, out, n);
    else if (a->element_bytes == 4)
        copy_row_32(x, stride, out, n);
    else
        copy_row_64(x, stride, out, n);
}

void bt_copy_ref(const void *args, int64_t begin, int64_t end)
{
    const bt_copy_args *a = args;
    for (int64_t item = begin; item < end; item++) {
        int64_t i2 = item % a->dim[2], i1 = item / a->dim[2] % a->dim[1],
                i0 = item / a->dim[2] / a->dim[1];
        int64_t at = i0 * a->stride[0] + i1 * a->stride[1] + i2 * a->stride[2];
        copy_row(a, (const uint8_t *)a->x + at * a->element_bytes,
                 (uint8_t *)a->out + item * a->dim[3] * a->element_bytes);
    }
}
