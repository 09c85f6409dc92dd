// SPDX-License-Identifier: Apache-2.0
/* svgtext: numbers and text as a picture shows them. Header only. Numbers are printed from integers,
 * for a locale's decimal comma would break the file. */
#pragma once
#include "base/textfile.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct svg_number {
    char text[40];
} svg_number;

typedef struct svg_unit {
    int64_t ns;
    const char *name;
} svg_unit;

/* Pixels, with two decimals. */
static inline svg_number svg_px(double x)
{
    svg_number out;
    int64_t v = (int64_t)(x * 100 + (x < 0 ? -0.5 : 0.5));
    snprintf(out.text, sizeof out.text, "%s%" PRId64 ".%02d", v < 0 ? "-" : "",
             (int64_t)llabs(v) / 100, (int)(llabs(v) % 100));
    return out;
}

/* "12.3 %" of 0.123; 0 <= share <= 1. */
static inline svg_number svg_percent(double share)
{
    svg_number out;
    int v = (int)(share * 1000 + 0.5);
    snprintf(out.text, sizeof out.text, "%d.%d %%", v / 10, v % 10);
    return out;
}

/* The largest unit of which there is one whole in ns. */
static inline svg_unit svg_unit_of(int64_t ns)
{
    static const svg_unit unit[] = {
        {1000000000, "s"}, {1000000, "ms"}, {1000, "\xC2\xB5s"}, {1, "ns"}};
    int i = 0;
    while (unit[i].ns > 1 && ns < unit[i].ns) i++;
    return unit[i];
}

/* ns >= 0 in `unit`, cut to n_digit (0..9) decimals. */
static inline svg_number svg_in_unit(int64_t ns, svg_unit unit, int n_digit)
{
    svg_number out;
    int64_t rest = ns % unit.ns, part = unit.ns;
    int n = snprintf(out.text, sizeof out.text, "%" PRId64 "%s", ns / unit.ns, n_digit ? "." : "");
    for (int i = 0; i < n_digit && n < (int)sizeof out.text - 1; i++) {
        part /= 10;
        out.text[n++] = (char)('0' + (part ? rest / part % 10 : 0));
    }
    out.text[n] = 0;
    return out;
}

/* Three digits and a unit: "850 ns", "12.3 us"; ns >= 0. */
static inline svg_number svg_duration(int64_t ns)
{
    svg_unit unit = svg_unit_of(ns);
    int64_t whole = ns / unit.ns;
    svg_number out = svg_in_unit(ns, unit, unit.ns == 1 || whole >= 100 ? 0 : whole >= 10 ? 1 : 2);
    size_t n = strlen(out.text);
    snprintf(out.text + n, sizeof out.text - n, " %s", unit.name);
    return out;
}

/* Put text between tags. XML cannot hold most control characters, nor bytes that are no UTF-8. */
static inline void svg_put_text(bt_textfile *f, const char *text, size_t len)
{
    for (size_t i = 0, n; i < len; i += n ? n : 1) {
        n = bt_utf8_valid_len(text + i, len - i);
        uint32_t code = n ? bt_utf8_decode(text + i, n) : 0;
        if (code < 0x20 || code == 0x7F || code == 0xFFFE || code == 0xFFFF)
            bt_textfile_put(f, "\xEF\xBF\xBD");
        else if (code == '<' || code == '>' || code == '&')
            bt_textfile_put(f, "&#%d;", (int)code);
        else
            bt_textfile_put(f, "%.*s", (int)n, text + i);
    }
}

/* Pixels that text takes at 11 px in a wide font. */
static inline double svg_width(const char *text, size_t len)
{
    int n = 0;
    for (size_t i = 0; i < len; i++) n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return 6.7 * n;
}
