// SPDX-License-Identifier: Apache-2.0
/* trace_svg: a timeline as a picture that stands alone: no scripts, no fonts, light and dark.
 *
 *   Device idle 12.3 %                                                 24 steps, 3.2 ms
 *   [busy .........................][host late ////][dependency \\\\]  shares of the time
 *
 *   host: launch   |1|2| |3|
 *   step           |  1   |   2   |  3  |   windows, as bt_trace_steps cuts them
 *   stream 0       |#####||#####|///|###|   a bubble is hatched over all streams
 *                  0     20    40   60 us
 *   kernels        # gemm 61 %   # attn 20 %
 */
#include "base/timeline/picture.h"
#include "base/bits.h"
#include "base/timeline/svgtext.h"

#define put(p, ...) bt_textfile_put(&(p)->f, __VA_ARGS__)

// ---- the frame ----

static const char style[] =
    "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
    ".bg{fill:#fcfcfb}.ink{fill:#20262c}.mut{fill:#67717b}.big{font-size:21px;font-weight:600}"
    ".s{font-size:11px}.on{fill:#17212b;font-size:11px}.mid{text-anchor:middle}"
    ".halo{stroke:#fcfcfb;stroke-width:4px;stroke-linejoin:round;paint-order:stroke;"
    "font-size:11px;font-weight:600}"
    ".grid{stroke:#dde1e5}.cut{stroke:#8a949e;stroke-dasharray:2 3}.zebra{fill:#eff1f3}"
    ".flow{fill:none;stroke:#67717b;stroke-opacity:.6}"
    ".h0{fill:#ccd4dc}.h1{fill:#b4c0cb}.w{fill:#f0cf85}.busy{fill:#86a9c9}"
    "@media(prefers-color-scheme:dark){.bg{fill:#15191e}.ink{fill:#e5e9ed}.mut{fill:#939ea9}"
    ".halo{stroke:#15191e}.grid{stroke:#2b323a}.cut{stroke:#65707b}.zebra{fill:#1d2329}"
    ".flow{stroke:#939ea9}.h0{fill:#43505c}.h1{fill:#566573}}"
    ".k0{fill:#6ea8dc}.k1{fill:#82c9a0}.k2{fill:#c3d27a}.k3{fill:#9aa4e6}.k4{fill:#62c2c8}"
    ".k5{fill:#dda4c9}.k6{fill:#cbb08f}.k7{fill:#b3bcc5}";

static const struct hatch {
    const char *colour;
    int angle, period;
} hatch[BT_BLAME_COUNT] = {[BT_BLAME_HOST_LATE] = {"#e0533d", 45, 6},
                           [BT_BLAME_DEPENDENCY] = {"#9a5fd0", -45, 6},
                           [BT_BLAME_QUEUE_FULL] = {"#dd9a10", 0, 6},
                           [BT_BLAME_NOTHING] = {"#8d98a3", 45, 11}};

static void put_head(bt_picture *p)
{
    put(p,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" ");
    put(p, "width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n", WIDTH, p->height, WIDTH,
        p->height);
    put(p, "<style>%s</style>\n<defs>", style);
    for (int i = 0; i < BT_BLAME_COUNT; i++) {
        const struct hatch *h = &hatch[i];
        put(p, "<pattern id=\"blame%d\" width=\"%d\" height=\"%d\" ", i, h->period, h->period);
        put(p, "patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(%d)\">", h->angle);
        put(p, "<rect width=\"%d\" height=\"%d\" fill=\"%s\" fill-opacity=\".14\"/>", h->period,
            h->period, h->colour);
        put(p, "<rect width=\"2\" height=\"%d\" fill=\"%s\" fill-opacity=\".8\"/></pattern>",
            h->period, h->colour);
    }
    put(p, "</defs>\n<rect class=\"bg\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n", WIDTH, p->height);
}

/* A swatch and its words in a legend. */
static void put_key(bt_picture *p, int x, int y, const char *fill, const char *words)
{
    put(p, "<rect %s x=\"%d\" y=\"%d\" width=\"16\" height=\"11\" rx=\"2\"/>", fill, x, y - 10);
    put(p, "<text class=\"ink\" x=\"%d\" y=\"%d\">", x + 22, y);
    svg_put_text(&p->f, words, strlen(words));
    put(p, "</text>\n");
}

/* The answer: how much of the time the device idled, and why. */
static void put_answer(bt_picture *p)
{
    double share[BT_BLAME_COUNT + 1], x = EDGE;
    double idle = bt_trace_bubble_ratio(p->trace, 0, share + 1);
    share[0] = 1 - idle;
    put(p, "<text class=\"ink big\" x=\"%d\" y=\"40\">", EDGE);
    if (!p->t.n_step) {
        put(p, "%s</text>\n", p->t.n ? "No step ran on the device" : "Nothing was recorded");
        return;
    }
    put(p, "Device idle %s</text>\n", svg_percent(idle).text);
    for (int i = 0; i <= BT_BLAME_COUNT; i++) {
        char fill[40], words[64];
        double w = share[i] * (RIGHT - EDGE);
        snprintf(fill, sizeof fill, i ? "fill=\"url(#blame%d)\"" : "class=\"busy\"", i - 1);
        snprintf(words, sizeof words, "%s %s", i ? bt_blame_name((bt_blame)(i - 1)) : "busy",
                 svg_percent(share[i]).text);
        if (w > 0)
            put(p, "<rect %s x=\"%s\" y=\"54\" width=\"%s\" height=\"14\"/>\n", fill,
                svg_px(x).text, svg_px(w).text);
        x += w;
        put_key(p, EDGE + 170 * i, 90, fill, words);
    }
    int64_t total = p->t.step[p->t.n_step - 1].end_ns - p->t.step[0].begin_ns;
    put(p, "<text class=\"mut\" x=\"%d\" y=\"40\" text-anchor=\"end\">%d step%s, %s, %d spans",
        RIGHT, p->t.n_step, p->t.n_step == 1 ? "" : "s", svg_duration(total).text, p->t.n);
    put(p, "</text>\n");
}

static void put_axis(bt_picture *p)
{
    int64_t tick = 1, range = p->t1 - p->t0;
    for (int i = 0; tick < range / 12; i++) tick = i % 3 == 1 ? tick / 2 * 5 : tick * 2; // 1 2 5
    svg_unit unit = svg_unit_of((p->t1 - p->t.begin_ns) / 2);
    int n_digit = 0;
    for (int64_t at = unit.ns; at > tick; at /= 10) n_digit++;
    for (int64_t at = (p->t0 - p->t.begin_ns + tick - 1) / tick * tick; at <= p->t1 - p->t.begin_ns;
         at += tick) {
        svg_number x = svg_px(bt_picture_x(p, p->t.begin_ns + at));
        put(p, "<path class=\"grid\" d=\"M%s %dV%d\"/>", x.text, TOP - 8, p->axis_y + 4);
        put(p, "<text class=\"mut s mid\" x=\"%s\" y=\"%d\">%s", x.text, p->axis_y + 18,
            svg_in_unit(at, unit, n_digit).text);
        put(p, "</text>\n");
    }
    put(p, "<text class=\"mut s\" x=\"%d\" y=\"%d\">time, %s</text>\n", EDGE, p->axis_y + 18,
        unit.name);
}

static void put_rows(bt_picture *p)
{
    for (int lane = 0; lane < BT_LANE_MAX; lane++)
        if (p->row_y[lane])
            put(p, "<text class=\"ink\" x=\"%d\" y=\"%d\">%s</text>\n", EDGE, p->row_y[lane] + 14,
                bt_lane_name(lane).text);
    if (p->t.n_step)
        put(p, "<text class=\"mut\" x=\"%d\" y=\"%d\">step</text>\n", EDGE, p->step_y + 13);
}

static void put_kernels(bt_picture *p)
{
    int64_t left = p->fam_ns;
    for (int32_t i = 0; i < p->n_fam && i < COLOUR_MAX; i++) {
        char fill[32], words[64];
        bool rest = i == COLOUR_MAX - 1, cut = p->fam[i].len > 10;
        int64_t ns = rest ? left : p->fam[i].ns;
        double share = p->fam_ns ? (double)ns / (double)p->fam_ns : 0;
        snprintf(fill, sizeof fill, "class=\"k%d\"", i);
        snprintf(words, sizeof words, "%.*s%s %s",
                 rest  ? 6
                 : cut ? 9
                       : p->fam[i].len,
                 rest ? "others" : p->fam[i].name, cut && !rest ? "\xE2\x80\xA6" : "",
                 svg_percent(share).text);
        put_key(p, EDGE + (RIGHT - EDGE) / COLOUR_MAX * i, p->axis_y + 46, fill, words);
        left -= ns;
    }
}

static void put_notes(bt_picture *p)
{
    if (!p->n_left_out && !p->n_dropped) return;
    put(p, "<text class=\"mut s\" x=\"%d\" y=\"%d\">", EDGE, p->height - 14);
    if (p->n_left_out) put(p, "Drawn: the last ");
    if (p->n_left_out && !p->span0) put(p, "%d of %d steps, ", p->t.n_step - p->step0, p->t.n_step);
    if (p->n_left_out) put(p, "%d of %d spans", p->t.n - p->n_left_out, p->t.n);
    if (p->n_dropped)
        put(p, "%sThe trace was full: %" PRIu64 " more spans were dropped",
            p->n_left_out ? ". " : "", p->n_dropped);
    put(p, ".</text>\n");
}

// ---- the timeline ----

/* Windows as a zebra under everything on the device. */
static void put_windows(bt_picture *p)
{
    int32_t n = p->t.n_step - p->step0;
    if (n > (RIGHT - LEFT) / 3) return; // nothing but grey would be seen
    for (int32_t k = p->step0; k < p->t.n_step; k++) {
        double x0 = bt_picture_x(p, bt_timeline_step_begin(&p->t, k));
        double x1 = bt_picture_x(p, p->t.step[k].end_ns);
        if (k % 2 == 0)
            put(p, "<rect class=\"zebra\" x=\"%s\" y=\"%d\" width=\"%s\" height=\"%d\"/>\n",
                svg_px(x0).text, p->step_y, svg_px(x1 - x0).text, p->axis_y - p->step_y);
        if (n <= (RIGHT - LEFT) / 16)
            put(p, "<path class=\"cut\" d=\"M%s %dV%d\"/>\n", svg_px(x1).text, p->stream_y - 4,
                p->axis_y);
    }
}

/* Numbers of the steps, as many as there is room for. */
static void put_numbers(bt_picture *p)
{
    double label_end = LEFT;
    for (int32_t k = p->step0; k < p->t.n_step; k++) {
        double x0 = bt_picture_x(p, bt_timeline_step_begin(&p->t, k));
        double mid = (x0 + bt_picture_x(p, p->t.step[k].end_ns)) / 2;
        char number[16];
        int n = snprintf(number, sizeof number, "%d", p->t.step[k].step);
        double half = svg_width(number, (size_t)n) / 2;
        if (mid - half < label_end || mid + half > RIGHT + 8) continue;
        label_end = mid + half + 6;
        put(p, "<text class=\"mut s mid\" x=\"%s\" y=\"%d\">%s</text>\n", svg_px(mid).text,
            p->step_y + 13, number);
    }
}

static void put_bubble(void *ctx, const bt_idle *idle)
{
    bt_picture *p = ctx;
    double x0 = bt_picture_x(p, idle->begin_ns), x1 = bt_picture_x(p, idle->end_ns);
    if (x1 - x0 < 0.02) return; // nothing in pixels
    put(p, "<rect fill=\"");
    if (x1 - x0 < 4) // a hatch would not be seen
        put(p, "%s\" fill-opacity=\".7\"", hatch[idle->blame].colour);
    else
        put(p, "url(#blame%d)\"", idle->blame);
    put(p, " x=\"%s\" y=\"%d\" width=\"%s\" height=\"%d\">", svg_px(x0).text, p->stream_y,
        svg_px(x1 - x0).text, p->axis_y - p->stream_y - 6);
    put(p, "<title>idle: %s, %s, in step %d</title></rect>\n", bt_blame_name(idle->blame),
        svg_duration(idle->end_ns - idle->begin_ns).text, p->t.step[idle->k].step);
}

/* The reason and how long, or how long, where there is room. */
static void put_bubble_label(void *ctx, const bt_idle *idle)
{
    bt_picture *p = ctx;
    double x0 = bt_picture_x(p, idle->begin_ns), x1 = bt_picture_x(p, idle->end_ns);
    char words[64];
    const char *text = words;
    svg_number ns = svg_duration(idle->end_ns - idle->begin_ns);
    snprintf(words, sizeof words, "%s %s", bt_blame_name(idle->blame), ns.text);
    if (svg_width(words, strlen(words)) + 10 > x1 - x0) text = ns.text;
    if (svg_width(text, strlen(text)) + 6 > x1 - x0) return;
    put(p, "<text class=\"ink halo mid\" x=\"%s\" y=\"%d\">%s</text>\n", svg_px((x0 + x1) / 2).text,
        (p->stream_y + p->axis_y - 6) / 2 + 4, text);
}

static void put_tooltip(bt_picture *p, const bt_span *s)
{
    put(p, "<title>");
    svg_put_text(&p->f, s->name, strlen(s->name));
    const char *node = bt_trace_node(p->trace, s);
    if (node) put(p, " of ");
    if (node) svg_put_text(&p->f, node, strlen(node));
    put(p, "\n%s, step %d\n%s long", bt_lane_name(s->lane).text, s->step,
        svg_duration(s->end_ns - s->begin_ns).text);
    put(p, ", begun at %s", svg_duration(s->begin_ns - p->t.begin_ns).text);
    if (s->lane >= BT_LANE_STREAM && s->enqueue_ns > 0 && s->enqueue_ns <= s->begin_ns)
        put(p, "\nenqueued %s before", svg_duration(s->begin_ns - s->enqueue_ns).text);
    put(p, "</title>");
}

/* On the device its name, or the family it is of; on the host its step. */
static void put_span_label(bt_picture *p, const bt_span *s, double x, double w)
{
    char number[16];
    const char *text = s->name;
    size_t len = strlen(text);
    bool device = s->lane >= BT_LANE_STREAM;
    if (!device && s->step >= 0)
        len = (size_t)snprintf(number, sizeof number, "%d", s->step), text = number;
    if (device && svg_width(text, len) + 6 > w) {
        int32_t i = bt_picture_family(p, s->name);
        if (i >= 0) text = p->fam[i].name, len = (size_t)p->fam[i].len;
    }
    if (svg_width(text, len) + (device ? 6 : 2) > w) return;
    put(p, "<text class=\"%s mid\" x=\"%s\" y=\"%d\">",
        device || s->lane == BT_LANE_WAIT ? "on" : "ink s", svg_px(x + w / 2).text,
        p->row_y[s->lane] + 14);
    svg_put_text(&p->f, text, len);
    put(p, "</text>\n");
}

static void put_span(bt_picture *p, const bt_span *s)
{
    double x = bt_picture_x(p, s->begin_ns), w = bt_picture_x(p, s->end_ns) - x;
    char class[8];
    if (s->lane >= BT_LANE_STREAM)
        snprintf(class, sizeof class, "k%d", bt_picture_colour(p, s->name));
    else if (s->lane == BT_LANE_WAIT)
        snprintf(class, sizeof class, "w");
    else
        snprintf(class, sizeof class, "h%d", s->step & 1);
    // A seam keeps neighbours apart; what is too thin to see is drawn as a hair.
    put(p, "<rect class=\"%s\" x=\"%s\" y=\"%d\" width=\"%s\" height=\"%d\"%s>", class,
        svg_px(x).text, p->row_y[s->lane],
        svg_px(w > 3      ? w - 0.6
               : w > 0.35 ? w
                          : 0.35)
            .text,
        BAR, w > 8 ? " rx=\"2\"" : "");
    put_tooltip(p, s);
    put(p, "</rect>\n");
    put_span_label(p, s, x, w);
}

/* From the end of a step's launching on the host to its begin on the device. */
static void put_arrow(bt_picture *p, int32_t step)
{
    const bt_span *from = NULL, *to = NULL;
    for (int32_t i = 0; i < p->t.n; i++) {
        const bt_span *s = p->t.span[i];
        if (s->step != step || !bt_picture_has(p, i)) continue;
        if (s->lane == BT_LANE_LAUNCH && !from) from = s;
        if (s->lane >= BT_LANE_STREAM && !to) to = s;
    }
    if (!from || !to) return;
    svg_number x0 = svg_px(bt_picture_x(p, from->begin_ns)),
               x1 = svg_px(bt_picture_x(p, to->begin_ns));
    int y0 = p->row_y[from->lane] + BAR, y1 = p->row_y[to->lane], mid = (y0 + y1) / 2;
    put(p, "<path class=\"flow\" d=\"M%s %dC%s %d %s %d %s %d\"/>", x0.text, y0, x0.text, mid,
        x1.text, mid, x1.text, y1);
    put(p, "<circle class=\"mut\" cx=\"%s\" cy=\"%d\" r=\"2\"/>\n", x1.text, y1);
}

static void put_all(bt_picture *p)
{
    put_head(p);
    put_answer(p);
    put_windows(p);
    if (p->t.n) put_axis(p);
    put_numbers(p);
    bt_timeline_each_idle(&p->t, put_bubble, p);
    for (int32_t i = 0; i < p->t.n; i++)
        if (bt_picture_has(p, i)) put_span(p, p->t.span[i]);
    if (p->t.n_step - p->step0 <= ARROW_MAX)
        for (int32_t k = p->step0; k < p->t.n_step; k++) put_arrow(p, p->t.step[k].step);
    bt_timeline_each_idle(&p->t, put_bubble_label, p);
    put_rows(p);
    put_kernels(p);
    put_notes(p);
    put(p, "</svg>\n");
}

bt_status bt_trace_write_svg(const bt_trace *trace, const char *path)
{
    bt_picture p = {
        .t = bt_timeline_of(trace), .trace = trace, .n_dropped = bt_trace_n_dropped(trace)};
    bt_picture_plan(&p);
    BT_TRY(bt_textfile_open(&p.f, path));
    put_all(&p);
    return bt_textfile_close(&p.f);
}
