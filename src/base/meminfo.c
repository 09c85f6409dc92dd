// SPDX-License-Identifier: Apache-2.0
/* meminfo: reads /proc/meminfo and the root of the cgroup v2 tree, which is what a container sees
 * as its own group. Files of /proc have no length, so they are read by line and not mapped. */
#include "base/meminfo.h"
#include "base/bits.h"
#include <inttypes.h>
#include <stdio.h>

/* The number of kB on the line that begins with MemAvailable, in bytes; INT64_MAX when absent. */
static int64_t machine_available(void)
{
    FILE *f = fopen("/proc/meminfo", "re");
    int64_t kb = INT64_MAX, bytes;
    char line[256];
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %" SCNd64, &kb) == 1) break;
    if (f) fclose(f);
    return kb >= 0 && bt_mul_fits(kb, (int64_t)1024, &bytes) ? bytes : INT64_MAX;
}

/* The one number in a file; INT64_MAX when there is none ("max", no such file). */
static int64_t number_in(const char *path)
{
    FILE *f = fopen(path, "re");
    int64_t value = INT64_MAX;
    if (f && fscanf(f, "%" SCNd64, &value) != 1) value = INT64_MAX;
    if (f) fclose(f);
    return value;
}

int64_t bt_mem_available(void)
{
    int64_t machine = machine_available();
    int64_t limit = number_in("/sys/fs/cgroup/memory.max");
    int64_t used = number_in("/sys/fs/cgroup/memory.current");
    if (limit == INT64_MAX || used == INT64_MAX) return machine;
    return bt_min_i64(machine, bt_max_i64(limit - used, 0));
}
