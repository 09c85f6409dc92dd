# SPDX-License-Identifier: Apache-2.0
"""The roofline picture (Williams, Waterman and Patterson 2009): what a machine allows, and what kernels reach.

Across: operations for each byte that is read, which grows with the rows M that share the weights. Up: operations a
second. The slope is bandwidth, each ceiling the peak of an instruction, a curve one type of weights from M = 1 on.
"""
import math
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 460, 64, 150, 24, 48
COLOURS = ["#c0392b", "#2471a3", "#1e8449", "#7d3c98", "#b7950b", "#d35400", "#148f77", "#566573", "#8e44ad", "#2e4053",
           "#cb4335"]


class Axis:
    """Logarithmic, from `low` to `high`, on pixels `begin` to `end`."""

    def __init__(self, low, high, begin, end):
        self.low, self.high, self.begin, self.end = math.log10(low), math.log10(high), begin, end

    def at(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def decades(self):
        return [10.0 ** i for i in range(math.ceil(self.low), math.floor(self.high) + 1)]


def curves(rows):
    """{type: [(operations a byte, GOP/s, M)]} of the products."""
    result = {}
    for row in rows:
        if row["kernel"] == "linear" and row["gb_s"] > 0:
            result.setdefault(row["type"], []).append((row["gop_s"] / row["gb_s"], row["gop_s"], row["m"]))
    return result


def ceilings(machine):
    """The fastest instruction of each type, and vpdpbusd, which is what processors without tiles have."""
    best = {}
    for peak in machine["peaks"]:
        if peak["gop_s"] > best.get(peak["type"], {"gop_s": 0})["gop_s"]:
            best[peak["type"]] = peak
    return list(best.values()) + [peak for peak in machine["peaks"]
                                  if peak["by"] == "vpdpbusd" and peak not in best.values()]


def number(value):
    return "%g" % value if value < 1e4 else "10^%d" % round(math.log10(value))


def grid(x, y):
    parts = []
    for value in x.decades():
        parts.append('<path class="grid" d="M%.1f %dV%d"/>' % (x.at(value), TOP, HEIGHT - BOTTOM))
        parts.append('<text x="%.1f" y="%d" text-anchor="middle">%s</text>' % (x.at(value), HEIGHT - BOTTOM + 16,
                                                                               number(value)))
    for value in y.decades():
        parts.append('<path class="grid" d="M%d %.1fH%d"/>' % (LEFT, y.at(value), WIDTH - RIGHT))
        parts.append('<text x="%d" y="%.1f" text-anchor="end">%s</text>' % (LEFT - 6, y.at(value) + 4, number(value)))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append('<text x="%d" y="%d" text-anchor="middle">operations a byte read</text>' %
                 ((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10))
    parts.append('<text transform="translate(14 %d) rotate(-90)" text-anchor="middle">GOP/s</text>' % middle)
    return parts


def roofs(machine, x, y):
    bandwidth, parts = machine["bandwidth_gb_s"], []
    top = max(peak["gop_s"] for peak in ceilings(machine))
    begin, end = 10 ** x.low, min(10 ** x.high, top / bandwidth)
    parts.append('<path class="roof" d="M%.1f %.1fL%.1f %.1f"/>' %
                 (x.at(begin), y.at(begin * bandwidth), x.at(end), y.at(end * bandwidth)))
    parts.append('<text x="%.1f" y="%.1f">%.1f GB/s</text>' % (x.at(begin) + 4, y.at(begin * bandwidth) - 26, bandwidth))
    for peak in ceilings(machine):
        knee = peak["gop_s"] / bandwidth
        if knee < 10 ** x.low:
            continue
        level = y.at(peak["gop_s"])
        parts.append('<path class="roof" d="M%.1f %.1fH%d"/>' % (x.at(min(knee, 10 ** x.high)), level, WIDTH - RIGHT))
        parts.append('<text x="%d" y="%.1f">%s</text>' % (WIDTH - RIGHT + 6, level + 4, escape(peak["by"])))
    return parts


def curve(dtype, points, colour, x, y):
    places = [(x.at(intensity), y.at(gop_s)) for intensity, gop_s, _ in points]
    parts = ['<path fill="none" stroke="%s" stroke-width="1.5" d="M%s"/>' %
             (colour, "L".join("%.1f %.1f" % place for place in places))]
    for (left, top), (intensity, gop_s, m) in zip(places, points):
        parts.append('<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s, M %d: %.0f GOP/s at %.1f operations a byte'
                     '</title></circle>' % (left, top, colour, dtype, m, gop_s, intensity))
    return parts


def draw(report):
    """The SVG of a `baton bench kernels --json` report."""
    found, machine = curves(report["rows"]), report["machine"]
    values = [point for points in found.values() for point in points]
    top = 2 * max([peak["gop_s"] for peak in ceilings(machine)] + [gop_s for _, gop_s, _ in values])
    x = Axis(0.5 * min(value[0] for value in values), 2 * max(value[0] for value in values), LEFT, WIDTH - RIGHT)
    y = Axis(0.5 * min(value[1] for value in values), top, HEIGHT - BOTTOM, TOP)
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">' %
             (WIDTH, HEIGHT),
             '<style>text{fill:#444}.grid{stroke:#8884;stroke-width:.5}.roof{stroke:#888;stroke-width:1.5;fill:none}'
             '@media(prefers-color-scheme:dark){text{fill:#ccc}}</style>']
    parts += grid(x, y) + roofs(machine, x, y)
    for i, (dtype, points) in enumerate(sorted(found.items())):
        colour = COLOURS[i % len(COLOURS)]
        parts += curve(dtype, sorted(points), colour, x, y)
        parts.append('<text x="%d" y="%d" style="fill:%s">%s</text>' % (WIDTH - 44, TOP + 14 + 16 * i, colour, dtype))
    return "\n".join(parts + ["</svg>", ""])
