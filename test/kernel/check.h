// SPDX-License-Identifier: Apache-2.0
/* check: what the kernel cases share: memory that ends at a guard page, sentinels, comparison with
 * the reference, and the machine's own bandwidth and peaks for the bench. */
#pragma once
#define _GNU_SOURCE
#include "support/support.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/peak.h"
#include "kernel/panel.h"
#include "kernel/table.h"
#include "tensor/blocks.h"
#include "tensor/half.h"
#include "tensor/quant.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { SENTINEL = 0xA5, FRONT = 256 };

/* What is being checked, for messages. */
typedef struct check_at {
    const char *slot, *isa;
    uint64_t seed;
    char shape[160];
} check_at;
static check_at now;

#define check_fail(...)                                                                            \
    do {                                                                                           \
        char text_[256];                                                                           \
        snprintf(text_, sizeof text_, __VA_ARGS__);                                                \
        fail_msg("%s %s, %s, seed %llu: %s", now.slot, now.isa, now.shape,                         \
                 (unsigned long long)now.seed, text_);                                             \
    } while (0)

/* ---- memory ---- */

/* `size` bytes that end where a page begins which nobody may touch, with a sentinel in front. */
typedef struct guarded {
    uint8_t *map, *data;
    size_t map_size, size;
} guarded;

static guarded guarded_new(size_t size)
{
    const size_t page = 4096;
    guarded g = {.size = size, .map_size = (size + FRONT + page - 1) / page * page + page};
    g.map = mmap(NULL, g.map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect(g.map + g.map_size - page, page, PROT_NONE), 0);
    g.data = g.map + g.map_size - page - size;
    memset(g.map, SENTINEL, g.map_size - page);
    return g;
}

static void guarded_free(guarded *g) { munmap(g->map, g->map_size); }

static void check_front(const guarded *g, const char *what)
{
    for (int i = 1; i <= FRONT; i++)
        if (g->data[-i] != SENTINEL) check_fail("%s: wrote %d bytes before its start", what, i);
}

/* ---- numbers ---- */

static void fill_normal(test_rng *rng, float *x, int64_t n, double size)
{
    for (int64_t i = 0; i < n; i++) x[i] = (float)(test_normal(rng) * size);
}

/* |got - want| <= limit where both are finite; NaN and infinities in the same places. */
static void check_close(const char *what, int64_t i, float got, double want, double limit)
{
    if (isnan(got) || isnan(want)) {
        if (!isnan(got) || !isnan(want))
            check_fail("%s[%ld] is %g, wanted %g", what, (long)i, got, want);
    } else if (isinf(got) || isinf(want)) {
        if (got != want) check_fail("%s[%ld] is %g, wanted %g", what, (long)i, got, want);
    } else if (!(fabs(got - want) <= limit)) {
        check_fail("%s[%ld] is %.9g, wanted %.9g within %.3g (off by %.3g)", what, (long)i, got,
                   want, limit, fabs(got - want));
    }
}

static void check_bits(const char *what, const void *got, const void *want, size_t size)
{
    const uint8_t *g = got, *w = want;
    for (size_t i = 0; i < size; i++)
        if (g[i] != w[i]) check_fail("%s: byte %zu is 0x%02x, wanted 0x%02x", what, i, g[i], w[i]);
}

/* ---- items in pieces ---- */

/* Run [0, n_item) in pieces of random size, the last piece first. */
static void run_pieces(test_rng *rng, bt_range_fn fn, const void *args, int64_t n_item)
{
    for (int64_t end = n_item, begin; end > 0; end = begin) {
        begin = end - test_range(rng, 1, bt_min_i64(end, 14));
        fn(args, begin, end);
    }
}

/* Empty ranges touch nothing: there is nothing they could be given. */
static void run_empty(bt_range_fn fn, const void *args) { fn(args, 0, 0); }

/* ---- the machine, measured beside what is timed ---- */

typedef struct machine {
    double gb_s;    // reads from memory, one core
    double gop_s;   // 8-bit multiply-adds count as two
    double gflop_s; // f32
    double bf16_gflop_s;
    double tile_gop_s, tile_gflop_s; // AMX: int8, bf16
} machine;

static volatile double bench_sink;
static const char *bench_isa; // time versions whose name contains this, or all

/* This thread's processor time: on a shared machine the turns of others do not count. */
static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double cpu_seconds_since(int64_t start) { return (double)(cpu_ns() - start) * 1e-9; }

/* Operations a second of this thread; 0 where the machine has no such instruction. */
static double spin_rate(bt_peak peak)
{
    if (!bt_peak_has(peak, BT_CPU_LEVEL_COUNT - 1)) return 0;
    double ops = 0;
    int64_t start = cpu_ns();
    for (int i = 0; i < 20; i++) ops += bt_peak_spin(peak);
    return ops / cpu_seconds_since(start);
}

static double read_bandwidth(void)
{
    enum { N = 1 << 24 };
    static uint64_t *big;
    if (!big) {
        assert_ok(
            bt_alloc((void **)&big, N * sizeof *big, BT_MEM_MISC)); // huge pages, as weights have
        memset(big, 1, N * sizeof *big);
    }
    int64_t start = cpu_ns();
    uint64_t sum = 0;
    for (int64_t i = 0; i < N / 4;
         i += 8) // one word of each line, of four streams, asked for ahead
        for (int64_t at = i; at < N; at += N / 4) {
            __builtin_prefetch(big + at + 256);
            sum += big[at];
        }
    double seconds = cpu_seconds_since(start);
    bench_sink += (double)sum;
    return N * 8.0 / seconds * 1e-9;
}

static machine machine_now(void)
{
    return (machine){.gb_s = read_bandwidth(),
                     .gop_s = spin_rate(BT_PEAK_INT8_VNNI) * 1e-9,
                     .gflop_s = spin_rate(BT_PEAK_F32_AVX512) * 1e-9,
                     .bf16_gflop_s = spin_rate(BT_PEAK_BF16_DP) * 1e-9,
                     .tile_gop_s = spin_rate(BT_PEAK_INT8_AMX) * 1e-9,
                     .tile_gflop_s = spin_rate(BT_PEAK_BF16_AMX) * 1e-9};
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { BENCH_RUNS = 9 };

/* Time fn over all items BENCH_RUNS times, the machine beside each; print medians and shares.
 * `bytes` and `ops` are those of one run; `kind` says which peak the ops count against. */
static void bench_print(bt_range_fn fn, void *args, int64_t n_item, double bytes, double ops,
                        char kind)
{
    double gb[BENCH_RUNS], gop[BENCH_RUNS], share_gb[BENCH_RUNS], share_gop[BENCH_RUNS],
        seconds[BENCH_RUNS], share_tile[BENCH_RUNS];
    const bool tiles = !strcmp(now.isa, "amx");
    fn(args, 0, n_item);
    for (int i = 0; i < BENCH_RUNS; i++) {
        machine m = machine_now();
        int64_t start = cpu_ns();
        int times = 0;
        for (; times < 1 || cpu_seconds_since(start) < 0.004; times++) fn(args, 0, n_item);
        seconds[i] = cpu_seconds_since(start) / times;
        double peak = kind == 'i' ? m.gop_s : kind == 'b' ? m.bf16_gflop_s : m.gflop_s;
        gb[i] = bytes / seconds[i] * 1e-9;
        gop[i] = ops / seconds[i] * 1e-9;
        share_gb[i] = gb[i] / m.gb_s;
        double tile_peak = kind == 'i' ? m.tile_gop_s : m.tile_gflop_s;
        share_gop[i] = peak > 0 ? gop[i] / peak : 0;
        share_tile[i] = tiles ? gop[i] / tile_peak : 0;
    }
    double *all[] = {seconds, gb, share_gb, gop, share_gop, share_tile};
    for (size_t i = 0; i < BT_COUNT_OF(all); i++)
        qsort(all[i], BENCH_RUNS, sizeof **all, compare_doubles);
    int mid = BENCH_RUNS / 2;
    printf("%-10s %-10s %-34s %9.1f us %7.2f GB/s (%3.0f %% of bandwidth) %7.1f %s (%3.0f %% of "
           "the vectors' peak",
           now.slot, now.isa, now.shape, seconds[mid] * 1e6, gb[mid], share_gb[mid] * 100, gop[mid],
           kind == 'i' ? "GOP/s " : "GFLOP/s", share_gop[mid] * 100);
    if (tiles) printf(", %3.0f %% of the tiles'", share_tile[mid] * 100);
    printf(")\n");
    fflush(stdout);
}
