// SPDX-License-Identifier: Apache-2.0
/* support: see support.h. Reference data is looked for in $BATON_DATA, then beside the checkout. */
#include "support/support.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void test_assert_fails(bt_status got, bt_status want, const char *part, const char *call,
                       const char *file, int line)
{
    if (got == want && strstr(bt_error_message(), part)) return;
    print_error("%s\n  status %s, wanted %s\n  message '%s', wanted a part '%s'\n", call,
                bt_status_name(got), bt_status_name(want), got ? bt_error_message() : "", part);
    _fail(file, line);
}

static char *ring_slot(void)
{
    static char ring[8][1024];
    static int next;
    return ring[next++ % 8];
}

const char *test_path(const char *relative)
{
    char *path = ring_slot();
    snprintf(path, 1024, "%s/%s", BATON_ROOT, relative);
    return path;
}

const char *test_data(const char *relative)
{
    const char *root = getenv("BATON_DATA");
    char *path = ring_slot();
    struct stat s;
    if (root)
        snprintf(path, 1024, "%s/%s", root, relative);
    else
        snprintf(path, 1024, "%s/../shared/data/%s", BATON_ROOT, relative);
    return stat(path, &s) ? NULL : path;
}

/* SplitMix64 (Steele et al. 2014). */
uint64_t test_u64(test_rng *rng)
{
    uint64_t z = rng->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

double test_uniform(test_rng *rng) { return (double)(test_u64(rng) >> 11) * 0x1p-53; }

double test_normal(test_rng *rng)
{
    double u = test_uniform(rng) + 0x1p-54, v = test_uniform(rng);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}
