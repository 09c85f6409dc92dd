// SPDX-License-Identifier: Apache-2.0
/* memory: zeroed heap for test helpers, outside the library's counters; running out ends the test.
 */
#pragma once
#include <stdlib.h>

static inline void *fresh(size_t n, size_t size)
{
    void *block = calloc(n ? n : 1, size);
    if (!block) abort();
    return block;
}
