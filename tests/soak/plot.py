# SPDX-License-Identifier: GPL-2.0-or-later
# Curves as an SVG: one small plot per metric, the rests shaded, the metrics that grow in red. usage: plot.py SOAK.tsv OUT.svg
import sys
from html import escape

import judge

WIDTH, HEIGHT, COLUMNS = 340, 150, 4
LEFT, TOP, RIGHT, BOTTOM = 52, 26, 12, 24


def nice(low, high, n=4):
    """About n round numbers that span low to high."""
    if high <= low:
        high = low + 1
    step, k = 1.0, (high - low) / n
    while step < k:
        step *= 10
    while step > k:
        step /= 10
    step *= next(f for f in (1, 2, 5, 10) if step * f >= k)
    first = int(low // step)
    return [step * i for i in range(first, first + n + 4) if step * (i - 1) < high]


def short(v):
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(v) >= size * (10 if letter == "k" else 1):
            return ("%.3g" % (v / size)) + letter
    return "%.4g" % v


def panel(x, y, name, unit, points, rests, end, bad):
    out = ['<g transform="translate(%d %d)">' % (x, y)]
    w, h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    ticks = nice(min(v for _, v in points), max(v for _, v in points), 3)
    low, high = ticks[0], ticks[-1]
    px = lambda t: LEFT + w * t / end
    py = lambda v: TOP + h * (1 - (v - low) / (high - low))
    out.append('<text x="%d" y="16" class="name%s">%s</text>' % (LEFT, " bad" if bad else "", escape(name + (", " + unit if unit else ""))))
    for a, b in rests:
        out.append('<rect x="%.1f" y="%d" width="%.1f" height="%d" class="rest"/>' % (px(a), TOP, max(px(b) - px(a), 1), h))
    for t in ticks:
        out.append('<path d="M%d %.1fh%d" class="grid"/><text x="%d" y="%.1f" class="left">%s</text>' % (LEFT, py(t), w, LEFT - 5, py(t) + 4, short(t)))
    for m in nice(0, end / 60, 4):
        if m * 60 <= end:
            out.append('<path d="M%.1f %dv4" class="axis"/><text x="%.1f" y="%d" class="below">%s</text>' % (px(m * 60), TOP + h, px(m * 60), TOP + h + 16, short(m)))
    out.append('<path d="M%d %dv%dh%d" class="axis"/>' % (LEFT, TOP, h, w))
    out.append('<polyline points="%s" class="curve%s"/>' % (" ".join("%.1f,%.1f" % (px(t), py(v)) for t, v in points), " bad" if bad else ""))
    out.append("</g>")
    return "\n".join(out)


def svg(samples, title):
    start, end = samples[0]["time"], max(samples[-1]["time"] - samples[0]["time"], 1)
    rests, phase = [], None
    for s in samples:
        t = s["time"] - start
        if s["phase"].startswith("rest "):
            if s["phase"] == phase:
                rests[-1][1] = t
            else:
                rests.append([t, t])
        phase = s["phase"]
    verdicts = {v.metric: v for v in judge.judge(samples)}
    names = []
    for s in samples:
        names += [k for k in s if k not in names and k not in ("time", "phase") and not k.startswith("pid of ")]
    panels = []
    for name in names:
        points = [(s["time"] - start, s[name]) for s in samples if s.get(name) is not None]
        if len(points) > 1:
            bad = name in verdicts and verdicts[name].grows
            i = len(panels)
            panels.append(panel(i % COLUMNS * WIDTH, 50 + i // COLUMNS * HEIGHT, name, judge.rule_of(name).unit, points, rests, end, bad))
    height = 50 + (len(panels) + COLUMNS - 1) // COLUMNS * HEIGHT + 10
    return """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" font-family="sans-serif" font-size="11">
<style>.curve{{fill:none;stroke:#1f5fa8;stroke-width:1.2}}.curve.bad{{stroke:#c01c28}}.grid{{stroke:#e0e0e0;fill:none}}.axis{{stroke:#555;fill:none}}
.rest{{fill:#fff3cf}}.left{{text-anchor:end;fill:#444}}.below{{text-anchor:middle;fill:#444}}.name{{font-weight:bold;fill:#222}}.name.bad{{fill:#c01c28}}</style>
<rect width="{w}" height="{h}" fill="white"/>
<text x="{l}" y="22" font-size="15" fill="#222">{title}</text>
<text x="{l}" y="40" fill="#555">minutes since the start; shaded: at rest, all that was made is deleted; red: grows from rest to rest</text>
{panels}
</svg>
""".format(w=COLUMNS * WIDTH, h=height, l=LEFT, title=escape(title), panels="\n".join(panels))


if __name__ == "__main__":
    with open(sys.argv[2], "w") as f:
        f.write(svg(judge.read_tsv(sys.argv[1]), "Soak"))
