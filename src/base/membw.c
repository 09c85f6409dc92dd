// SPDX-License-Identifier: Apache-2.0
#include "base/membw.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/meminfo.h"
#include "base/team.h"
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20, PASS_MIN = 3, PASS_MAX = 64 };
static const int64_t BYTES_MAX = 1 << 30;
static const double PASSES_S = 0.06; // start no pass after so long

typedef struct read_job {
    uint64_t *words; // [n_chunk * CHUNK_BYTES / 8]
    uint64_t *sums;  // [n_chunk], so that the reads cannot be left out
    int64_t n_chunk;
} read_job;

int64_t bt_membw_beyond_caches(void)
{
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    int64_t free_bytes = bt_mem_available() / 8, bytes = cache > 0 ? 2 * (int64_t)cache : 0;
    bytes = bt_min_i64(bytes, bt_min_i64(free_bytes, BYTES_MAX));
    return bt_max_i64(bytes, BT_MEMBW_QUICK);
}

static void fill_chunks(const void *args, int64_t begin, int64_t end)
{
    const read_job *job = args;
    int64_t n = CHUNK_BYTES / 8;
    for (int64_t i = begin * n; i < end * n; i++) job->words[i] = (uint64_t)i;
}

/* One word of each line, of four streams that are asked for ahead: one plain stream leaves a fifth to a
 * third of the bandwidth unused, and would flatter whoever is held against it. */
static void sum_chunks(const void *args, int64_t begin, int64_t end)
{
    enum { N_STREAM = 4, LINE = 8, AHEAD = 256 }; // words
    const read_job *job = args;
    int64_t n = CHUNK_BYTES / 8, part = n / N_STREAM;
    for (int64_t c = begin; c < end; c++) {
        const uint64_t *w = job->words + c * n;
        uint64_t sum[N_STREAM] = {0};
        for (int64_t i = 0; i < part; i += LINE)
            for (int k = 0; k < N_STREAM; k++) {
                __builtin_prefetch(w + k * part + i + AHEAD);
                sum[k] += w[k * part + i];
            }
        job->sums[c] = sum[0] + sum[1] + sum[2] + sum[3];
    }
}

static double best_pass(bt_team *team, const read_job *job)
{
    bt_team_run_one(team,
                    (bt_step){.fn = fill_chunks, .args = job, .n_item = job->n_chunk, .grain = 1});
    double best = 0;
    int64_t start = bt_now_ns();
    for (int pass = 0; pass < PASS_MAX && (pass < PASS_MIN || bt_seconds_since(start) < PASSES_S);
         pass++) {
        int64_t begin = bt_now_ns();
        bt_team_run_one(
            team, (bt_step){.fn = sum_chunks, .args = job, .n_item = job->n_chunk, .grain = 1});
        double rate = (double)(job->n_chunk * CHUNK_BYTES) / (bt_seconds_since(begin) + 1e-9);
        if (rate > best) best = rate;
    }
    return best;
}

bt_status bt_membw_measure(int n_thread, int64_t bytes, double *ret_bytes_per_s)
{
    read_job job = {.n_chunk = bytes / CHUNK_BYTES};
    bt_team *team = NULL;
    bt_status st;
    if ((st = bt_alloc((void **)&job.words, (size_t)(job.n_chunk * CHUNK_BYTES), BT_MEM_MISC)) ||
        (st = bt_alloc_array((void **)&job.sums, (size_t)job.n_chunk, sizeof *job.sums,
                             BT_MEM_MISC)) ||
        (st = bt_team_new(n_thread, &team))) {
        bt_fail_note("measuring the memory's bandwidth");
        goto done;
    }
    *ret_bytes_per_s = best_pass(team, &job);
done:
    bt_team_free(team);
    bt_free(job.sums);
    bt_free(job.words);
    return st;
}
