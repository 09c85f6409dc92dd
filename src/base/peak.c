// SPDX-License-Identifier: Apache-2.0
/* peak: loops of one instruction on ten registers, more than any latency needs; all registers are
 * zero, which no unit is slower for. A turn is one pass of a loop. */
#include "base/peak.h"
#include "base/clock.h"
#include "base/team.h"

enum { TURNS = 20000, TURNS_AMX = 1600, TURNS_C = 10000, PASS_MAX = 1000, CHUNKS = 4 };
static const double PASSES_S = 0.03; // many short ones: some meet no neighbour

// ---- the loops; each gives the operations of one turn ----

#if defined(__x86_64__)
#define ANY_FLOAT "x"
#else
#define ANY_FLOAT "m"
#endif

static double spin_c(void)
{
    float sum[8] = {0}, x = 1, y = 0;
    for (int i = 0; i < TURNS_C; i++) {
        for (int j = 0; j < 8; j++) sum[j] += x * y;
        __asm__ volatile("" : "+" ANY_FLOAT(x), "+" ANY_FLOAT(y)); // the product is made anew
    }
    for (int j = 0; j < 8; j++) __asm__ volatile("" : : "m"(sum[j])); // and wanted
    return 16.0 * TURNS_C;
}

#if defined(__x86_64__)
#define SUMS        "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm15"
#define ON(op, sum) op " %%" sum "\n"
#define ON_TEN(op, r)                                                                              \
    ON(op, r "0")                                                                                  \
    ON(op, r "1")                                                                                  \
    ON(op, r "2")                                                                                  \
    ON(op, r "3")                                                                                  \
    ON(op, r "4")                                                                                  \
    ON(op, r "5")                                                                                  \
    ON(op, r "6")                                                                                  \
    ON(op, r "7")                                                                                  \
    ON(op, r "8")                                                                                  \
    ON(op, r "9")

/* The loop is written out, for a turn is shorter than what a compiler may put between two. */
#define SPIN(name, isa, op, r, ops_each)                                                           \
    __attribute__((target(isa))) static double name(void)                                          \
    {                                                                                              \
        int64_t n = TURNS;                                                                         \
        __asm__ volatile("vzeroall\n1:\n" ON_TEN(op, r) "dec %0\njnz 1b\nvzeroupper"               \
                         : "+r"(n)                                                                 \
                         :                                                                         \
                         : "cc", SUMS);                                                            \
        return 10.0 * (ops_each)*TURNS;                                                            \
    }

SPIN(spin_fma256, "avx2,fma", "vfmadd231ps %%ymm15,%%ymm15,", "ymm", 16)
SPIN(spin_fma512, "avx512f", "vfmadd231ps %%zmm15,%%zmm15,", "zmm", 32)
SPIN(spin_vnni, "avx512f,avx512vnni", "vpdpbusd %%zmm15,%%zmm15,", "zmm", 128)
SPIN(spin_bf16, "avx512f,avx512bf16", "vdpbf16ps %%zmm15,%%zmm15,", "zmm", 64)

/* Bytes to pairs of words, words to sums of four, sums to the total: three instructions. */
#define MADD(sum, t)                                                                               \
    "vpmaddubsw %%ymm15,%%ymm15,%%ymm" t "\nvpmaddwd %%ymm15,%%ymm" t ",%%ymm" t                   \
    "\nvpaddd %%ymm" t ",%%ymm" sum ",%%ymm" sum "\n"

__attribute__((target("avx2"))) static double spin_madd(void)
{
    int64_t n = TURNS;
    __asm__ volatile("vzeroall\n1:\n" MADD("0", "5") MADD("1", "6") MADD("2", "7") MADD("3", "8")
                         MADD("4", "9") "dec %0\njnz 1b\nvzeroupper"
                     : "+r"(n)
                     :
                     : "cc", SUMS);
    return 5.0 * 64 * TURNS;
}

/* All eight tiles of 16 rows of 64 bytes: four sums, two left and two right factors. */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t n_row[16];
} tile_config;

#define TILES(op)                                                                                  \
    op " %%tmm6,%%tmm4,%%tmm0\n" op " %%tmm7,%%tmm4,%%tmm1\n" op " %%tmm6,%%tmm5,%%tmm2\n" op      \
       " %%tmm7,%%tmm5,%%tmm3\n"
#define SPIN_AMX(name, isa, op, ops_each)                                                          \
    __attribute__((target(isa))) static double name(void)                                          \
    {                                                                                              \
        tile_config config = {.palette = 1};                                                       \
        int64_t n = TURNS_AMX;                                                                     \
        for (int i = 0; i < 8; i++) config.row_bytes[i] = 64, config.n_row[i] = 16;                \
        __asm__ volatile("ldtilecfg %1\n1:\n" TILES(op) "dec %0\njnz 1b\ntilerelease"              \
                         : "+r"(n)                                                                 \
                         : "m"(config)                                                             \
                         : "cc");                                                                  \
        return 4.0 * (ops_each)*TURNS_AMX;                                                         \
    }

SPIN_AMX(spin_amx_int8, "amx-tile,amx-int8", "tdpbssd", 16 * 16 * 64 * 2)
SPIN_AMX(spin_amx_bf16, "amx-tile,amx-bf16", "tdpbf16ps", 16 * 16 * 32 * 2)
#else
#define spin_fma256   NULL
#define spin_fma512   NULL
#define spin_madd     NULL
#define spin_vnni     NULL
#define spin_bf16     NULL
#define spin_amx_int8 NULL
#define spin_amx_bf16 NULL
#endif

// ---- the table ----

static double (*const loops[])(void) = {
    [BT_PEAK_F32_C] = spin_c,           [BT_PEAK_F32_AVX2] = spin_fma256,
    [BT_PEAK_F32_AVX512] = spin_fma512, [BT_PEAK_INT8_AVX2] = spin_madd,
    [BT_PEAK_INT8_VNNI] = spin_vnni,    [BT_PEAK_INT8_AMX] = spin_amx_int8,
    [BT_PEAK_BF16_DP] = spin_bf16,      [BT_PEAK_BF16_AMX] = spin_amx_bf16,
};

static const struct {
    const char *name;
    bt_peak_type type;
    bt_cpu_level level;
} rows[] = {
#define ROW(name, text, type, level) {text, BT_PEAK_##type, BT_CPU_LEVEL_##level},
    BT_PEAK_LIST(ROW)
#undef ROW
};

const char *bt_peak_name(bt_peak peak) { return rows[peak].name; }
bt_peak_type bt_peak_type_of(bt_peak peak) { return rows[peak].type; }

const char *bt_peak_type_name(bt_peak_type type)
{
    static const char *const name[] = {"int8", "bf16", "f32"};
    return name[type];
}

bool bt_peak_has(bt_peak peak, bt_cpu_level cap)
{
    return rows[peak].level <= cap && bt_cpu_has_level(rows[peak].level);
}

double bt_peak_spin(bt_peak peak) { return loops[peak](); }

// ---- measuring ----

static void spin_chunks(const void *args, int64_t begin, int64_t end)
{
    const bt_peak *peak = args;
    for (int64_t i = begin; i < end; i++) (void)loops[*peak]();
}

static double best_pass(bt_team *team, bt_peak peak)
{
    int64_t n_chunk = CHUNKS * (int64_t)bt_team_size(team), start = bt_now_ns();
    double best = 0, ops = bt_peak_spin(peak) * (double)n_chunk; // also wakes the unit
    for (int pass = 0; pass < PASS_MAX && (pass < 3 || bt_seconds_since(start) < PASSES_S);
         pass++) {
        int64_t begin = bt_now_ns();
        bt_team_run_one(team,
                        (bt_step){.fn = spin_chunks, .args = &peak, .n_item = n_chunk, .grain = 1});
        double rate = ops / (bt_seconds_since(begin) + 1e-9);
        if (rate > best) best = rate;
    }
    return best;
}

bt_status bt_peaks_measure(int n_thread, bt_cpu_level cap, bt_peaks *peaks)
{
    bt_team *team;
    bt_status st = bt_team_new(n_thread, &team);
    if (st) {
        bt_fail_note("measuring the machine's peaks");
        return st;
    }
    for (int i = 0; i < BT_PEAK_COUNT; i++) {
        if (!bt_peak_has((bt_peak)i, cap)) continue;
        double rate = best_pass(team, (bt_peak)i);
        if (rate > peaks->ops_s[i]) peaks->ops_s[i] = rate;
    }
    bt_team_free(team);
    return BT_OK;
}

bt_peak bt_peaks_best(const bt_peaks *peaks, bt_peak_type type)
{
    int best = -1;
    for (int i = 0; i < BT_PEAK_COUNT; i++)
        if (rows[i].type == type && peaks->ops_s[i] > 0 &&
            (best < 0 || peaks->ops_s[i] > peaks->ops_s[best]))
            best = i;
    if (best >= 0) return (bt_peak)best;
    return type == BT_PEAK_F32 ? BT_PEAK_F32_C : bt_peaks_best(peaks, BT_PEAK_F32);
}
