// SPDX-License-Identifier: Apache-2.0
/* bits: small arithmetic that must not go wrong: checked sizes, rounding, minima. Header only. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BT_COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* a + b and a * b into *ret; false (and *ret unspecified) when the result does not fit. */
#define bt_add_fits(a, b, ret) (!__builtin_add_overflow((a), (b), (ret)))
#define bt_mul_fits(a, b, ret) (!__builtin_mul_overflow((a), (b), (ret)))

static inline int32_t bt_min_i32(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int64_t bt_min_i64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t bt_max_i64(int64_t a, int64_t b) { return a > b ? a : b; }

/* a / b rounded up; a >= 0, b > 0. */
static inline int64_t bt_div_up(int64_t a, int64_t b) { return a / b + (a % b != 0); }

/* The next multiple of `unit` (any positive number); a + unit must fit. */
static inline int64_t bt_round_up(int64_t a, int64_t unit) { return bt_div_up(a, unit) * unit; }

static inline bool bt_is_pow2(uint64_t x) { return x && !(x & (x - 1)); }
