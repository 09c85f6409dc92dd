// SPDX-License-Identifier: Apache-2.0
/* support: what every C test needs: cmocka, assertions on statuses, where the data lies. */
#pragma once
#include "baton/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Fail the test with the library's own message when a call is not BT_OK. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        bt_status assert_ok_status_ = (call);                                                      \
        if (assert_ok_status_ != BT_OK)                                                            \
            fail_msg("%s: %s: %s", #call, bt_status_name(assert_ok_status_), bt_error_message());  \
    } while (0)

/* The call must fail with `status` and a message that contains `part`. */
#define assert_fails(call, status, part)                                                           \
    test_assert_fails((call), (status), (part), #call, __FILE__, __LINE__)
void test_assert_fails(bt_status got, bt_status want, const char *part, const char *call,
                       const char *file, int line);

/* Path of a file in the repository; in a static ring of buffers, valid for the next 8 calls. */
const char *test_path(const char *relative);

/* Path of a file of the shared reference data, or NULL where it is absent: then skip, saying so. */
const char *test_data(const char *relative);

/* Fetch shared data into `path` or skip the test with a reason. */
#define need_data(path, relative)                                                                  \
    const char *path = test_data(relative);                                                        \
    if (!path) {                                                                                   \
        print_message("SKIP-REASON: reference data '%s' is absent\n", relative);                   \
        skip();                                                                                    \
    }

/* A deterministic stream of test numbers. */
typedef struct test_rng {
    uint64_t state;
} test_rng;
uint64_t test_u64(test_rng *rng);
double test_uniform(test_rng *rng);                                     // [0, 1)
double test_normal(test_rng *rng);                                      // mean 0, variance 1
static inline int64_t test_range(test_rng *rng, int64_t lo, int64_t hi) // lo..hi, both included
{
    return lo + (int64_t)(test_u64(rng) % (uint64_t)(hi - lo + 1));
}
