// SPDX-License-Identifier: Apache-2.0
/* picture: chooses the part of a timeline that can be drawn legibly, and gives it room and colours. */
#include "base/timeline/picture.h"
#include "base/bits.h"

double bt_picture_x(const bt_picture *p, int64_t ns)
{
    ns = bt_max_i64(p->t0, bt_min_i64(ns, p->t1));
    return LEFT + (RIGHT - LEFT) * ((double)(ns - p->t0) / (double)(p->t1 - p->t0));
}

static int32_t n_ending_after(const bt_timeline *t, int64_t ns)
{
    int32_t n = 0;
    for (int32_t i = 0; i < t->n; i++) n += t->span[i]->end_ns > ns;
    return n;
}

/* Everything, or the last steps whose spans are few enough; of a step too large, its last spans. */
static void choose_range(bt_picture *p)
{
    const bt_timeline *t = &p->t;
    p->t0 = t->begin_ns;
    if (t->n > SPAN_MAX) {
        int32_t lo = 0, hi = t->n_step; // the first step from which they are lies in lo..hi
        while (lo < hi) {
            int32_t mid = lo + (hi - lo) / 2;
            if (n_ending_after(t, bt_timeline_step_begin(t, mid)) <= SPAN_MAX)
                hi = mid;
            else
                lo = mid + 1;
        }
        p->step0 = lo;
        p->span0 = lo < t->n_step ? 0 : t->n - SPAN_MAX;
        p->t0 = lo < t->n_step ? bt_timeline_step_begin(t, lo) : t->span[p->span0]->begin_ns;
        if (lo == t->n_step && lo > 0) p->step0--;
    }
    p->t1 = bt_max_i64(t->end_ns, p->t0 + 1);
}

bool bt_picture_has(const bt_picture *p, int32_t i)
{
    const bt_span *s = p->t.span[i];
    return i >= p->span0 && (s->end_ns > p->t0 || s->begin_ns >= p->t0);
}

/* "gemm" of "bt_gemm_q8_0_f32": the letters it begins with. */
static bt_family family_of(const char *name)
{
    if (!strncmp(name, "bt_", 3)) name += 3;
    int n = 0;
    while ((name[n] | 32) >= 'a' && (name[n] | 32) <= 'z') n++;
    return (bt_family){.name = name, .len = n ? n : (int)strlen(name)};
}

int32_t bt_picture_family(const bt_picture *p, const char *name)
{
    bt_family f = family_of(name);
    for (int32_t i = 0; i < p->n_fam; i++)
        if (p->fam[i].len == f.len && !memcmp(p->fam[i].name, f.name, (size_t)f.len)) return i;
    return -1;
}

int bt_picture_colour(const bt_picture *p, const char *kernel)
{
    int32_t i = bt_picture_family(p, kernel);
    return i < 0 || i >= COLOUR_MAX ? COLOUR_MAX - 1 : i;
}

static int by_time(const void *left, const void *right)
{
    const bt_family *a = left, *b = right;
    if (a->ns != b->ns) return a->ns < b->ns ? 1 : -1;
    return strcmp(a->name, b->name);
}

static void gather(bt_picture *p)
{
    for (int32_t i = 0; i < p->t.n; i++) {
        const bt_span *s = p->t.span[i];
        if (!bt_picture_has(p, i)) {
            p->n_left_out++;
            continue;
        }
        p->row_y[s->lane] = 1;
        if (s->lane < BT_LANE_STREAM) continue;
        int32_t k = bt_picture_family(p, s->name);
        if (k < 0 && p->n_fam < FAMILY_MAX) p->fam[k = p->n_fam++] = family_of(s->name);
        if (k >= 0) p->fam[k].ns += s->end_ns - s->begin_ns;
        p->fam_ns += s->end_ns - s->begin_ns;
    }
    qsort(p->fam, (size_t)p->n_fam, sizeof *p->fam, by_time);
}

static void lay_out(bt_picture *p)
{
    int32_t y = TOP;
    for (int lane = 0; lane < BT_LANE_MAX; lane++) {
        if (lane == BT_LANE_STREAM) {
            p->step_y = y + 8;
            y = p->stream_y = p->step_y + 22;
        }
        if (!p->row_y[lane]) continue;
        p->row_y[lane] = y;
        y += ROW;
    }
    p->axis_y = y + 1;
    p->height = p->axis_y + 66 + (p->n_left_out || p->n_dropped ? 22 : 0);
}

void bt_picture_plan(bt_picture *p)
{
    choose_range(p);
    gather(p);
    lay_out(p);
}
