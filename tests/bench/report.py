# SPDX-License-Identifier: GPL-2.0-or-later
# Makes of the figures of a run (tests/bench/record.h) one table, one JSON file and plots.
# usage: report.py LINES OUT-FOLDER [KEY=VALUE...]     the pairs describe the machine; writes bench.json, ratios.svg, GROUP.svg
# Figures of the same group and name are samples of one measure: their median counts, lowest and highest are the spread.
# Ratio: how many times as good as the peer we are, above 1 better, whether more (1/s) or less (all other units) is good.
import json
import os
import re
import sys
from html import escape
from statistics import median


def read(path):
    measures = {}
    with open(path) as f:
        for line in f:
            o = json.loads(line)
            m = measures.setdefault((o["group"], o["name"]), {"group": o["group"], "name": o["name"], "unit": o["unit"], "samples": [], "peers": {}})
            if "value" in o:
                m["samples"].append(o["value"])
            goal = o.get("goal")
            if isinstance(goal, (int, float)):  # by what is good of the unit
                goal = "%s %g" % (">=" if more_is_better(o["unit"]) else "<=", goal)
            if goal:
                m["goal"] = goal
            if "peer" in o:
                m["peers"].setdefault(o["peer"], []).append(o["peer_value"])
    return [finish(m) for m in measures.values()]


def more_is_better(unit):
    return unit.endswith("/s") or unit.startswith("1/s")


def ratio_of(unit, ours, theirs):
    if not ours or not theirs:
        return None
    return ours / theirs if more_is_better(unit) else theirs / ours


def finish(m):
    m["value"] = median(m["samples"]) if m["samples"] else None
    m["spread"] = [min(m["samples"]), max(m["samples"])] if m["samples"] else None
    peers = {}
    for name, samples in m["peers"].items():
        v = median(samples)
        peers[name] = {"value": v, "spread": [min(samples), max(samples)], "samples": samples,
                       "ratio": ratio_of(m["unit"], m["value"], v)}
    m["peers"] = peers
    m["verdict"] = verdict(m)
    return m


def verdict(m):
    """Goals: "<= 50", ">= 10000", "<= 0.7 x crun" (of the peer's figure), ">= 10 x etcd"."""
    if m["value"] is None or "goal" not in m:
        return ""
    sign, limit, peer = re.fullmatch(r"(<=|>=)\s*([0-9.eE+]+)(?:\s*x\s*(\S+))?", m["goal"]).groups()
    limit = float(limit)
    if peer:
        of = [p for n, p in m["peers"].items() if n.split()[0] == peer]
        if not of:
            return ""
        limit *= of[0]["value"]
    return "met" if (m["value"] <= limit if sign == "<=" else m["value"] >= limit) else "MISSED"


def number(v):
    if v is None:
        return "-"
    return "%.0f" % v if abs(v) >= 100 else "%.1f" % v if abs(v) >= 10 else "%.2f" % v


def spread(m):
    if len(m["samples"]) < 2:
        return ""
    return " (%s-%s)" % (number(m["spread"][0]), number(m["spread"][1]))


def table(measures, out=sys.stdout):
    line = "%-10s %-62s %22s %-8s %-26s %7s  %-16s %s"
    print(line % ("", "", "ours", "unit", "peer", "ratio", "goal", ""), file=out)
    for m in measures:
        if m["value"] is None:
            continue
        peers = list(m["peers"].items()) or [(None, None)]
        for i, (name, p) in enumerate(peers):
            print((line % (m["group"] if i == 0 else "", m["name"][:62] if i == 0 else "", number(m["value"]) + spread(m) if i == 0 else "",
                           m["unit"] if i == 0 else "", "%s %s" % (name, number(p["value"])) if name else "",
                           "%.2f" % p["ratio"] if name and p["ratio"] else "", m.get("goal", "") if i == 0 else "",
                           m["verdict"] if i == 0 else "")).rstrip(), file=out)
    missed = [m for m in measures if m["verdict"] == "MISSED"]
    print("%d figures, %d goals met, %d missed" % (len(measures), len([m for m in measures if m["verdict"] == "met"]), len(missed)), file=out)


# --- plots ---

STYLE = """<style>text{fill:#222}.small{fill:#555;font-size:11px}.grid{stroke:#ddd}.one{stroke:#222;stroke-width:1.5}.bar{fill:#2a6fb0}.worse{fill:#c01c28}
.spread{stroke:#222}.peer{fill:#9aa5b1}</style>"""


def page(width, height, title, subtitle, body):
    return """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" font-family="sans-serif" font-size="12">
{style}<rect width="{w}" height="{h}" fill="white"/>
<text x="12" y="22" font-size="15">{t}</text><text x="12" y="40" class="small">{s}</text>
{b}
</svg>
""".format(w=width, h=height, t=escape(title), s=escape(subtitle), b="\n".join(body), style=STYLE)


def ratios(measures):
    """One bar per measure and peer, from 1 to the left (worse) or right (better), on a scale of powers of two."""
    from math import ceil, floor, log2
    rows = [(m, n, p["ratio"]) for m in measures for n, p in m["peers"].items() if p["ratio"]]
    if not rows:
        return None
    low, high = min(0, floor(min(log2(r) for *_, r in rows))), max(1, ceil(max(log2(r) for *_, r in rows)))
    left, width, line = 430, 420, 20
    x = lambda v: left + width * (v - low) / (high - low)
    body, bottom = [], 60 + line * len(rows)
    for e in range(low, high + 1):
        body.append('<path d="M%.1f 56V%d" class="%s"/><text x="%.1f" y="%d" text-anchor="middle" class="small">%gx</text>' % (
            x(e), bottom, "one" if e == 0 else "grid", x(e), bottom + 16, 2.0 ** e))
    for i, (m, peer, r) in enumerate(rows):
        y = 60 + i * line
        a, b = sorted((x(0), x(log2(r))))
        body.append('<text x="%d" y="%d" text-anchor="end">%s</text><rect x="%.1f" y="%d" width="%.1f" height="13" class="%s"/>'
                    '<text x="%.1f" y="%d" class="small">%.2f</text>' % (
                        left - 8, y + 12, escape("%s: %s, beside %s" % (m["group"], m["name"][:42], peer)), a, y + 2, max(b - a, 1),
                        "bar" if r >= 1 else "worse", b + 4, y + 13, r))
    return page(left + width + 60, bottom + 30, "How many times as good as others on the same machine",
                "to the right of 1: better (faster, smaller); medians of runs that took turns", body)


def group_plot(group, measures):
    """Bars per unit, each panel on its own scale from zero; whiskers: lowest and highest sample; grey: peers."""
    body, y, left, width = [], 56, 430, 420
    units = []
    for m in measures:
        if m["unit"] not in units and m["value"] is not None:
            units.append(m["unit"])
    for unit in units:
        rows = [(m["name"], m["value"], m["spread"], "bar") for m in measures if m["unit"] == unit and m["value"] is not None]
        full = []
        for m in measures:
            if m["unit"] != unit or m["value"] is None:
                continue
            full.append((m["name"], m["value"], m["spread"], "bar"))
            full += [(n, p["value"], p["spread"], "peer") for n, p in m["peers"].items()]
        rows = full
        top = max(r[2][1] for r in rows) or 1
        body.append('<text x="12" y="%d" font-weight="bold">%s</text>' % (y + 12, escape(unit)))
        y += 20
        for name, value, (low, high), kind in rows:
            x = lambda v: left + width * v / top
            body.append('<text x="%d" y="%d" text-anchor="end"%s>%s</text><rect x="%d" y="%d" width="%.1f" height="13" class="%s"/>' % (
                left - 8, y + 12, ' class="small"' if kind == "peer" else "", escape(name[:64]), left, y + 2, max(x(value) - left, 1), kind))
            if high > low:
                body.append('<path d="M%.1f %dH%.1f" class="spread"/>' % (x(low), y + 8, x(high)))
            body.append('<text x="%.1f" y="%d" class="small">%s</text>' % (x(max(value, high)) + 5, y + 13, number(value)))
            y += 18
        body.append('<path d="M%d %dH%d" class="grid"/>' % (left, y + 2, left + width))
        y += 14
    return page(left + width + 70, y + 6, group, "each unit on a scale of its own from zero; line: lowest to highest sample; grey: others", body)


def main():
    lines, folder, facts = sys.argv[1], sys.argv[2], dict(a.split("=", 1) for a in sys.argv[3:])
    measures = read(lines)
    os.makedirs(folder, exist_ok=True)
    table(measures)
    with open(folder + "/bench.json", "w") as f:
        json.dump({**facts, "measures": measures}, f, indent=1, ensure_ascii=False)
        f.write("\n")
    plots = {"ratios": ratios(measures)}
    for g in dict.fromkeys(m["group"] for m in measures):
        plots[g] = group_plot(g, [m for m in measures if m["group"] == g])
    for name, text in plots.items():
        if text:
            with open("%s/%s.svg" % (folder, re.sub(r"\W", "-", name)), "w") as f:
                f.write(text)
    print("in %s: bench.json, %s" % (folder, ", ".join(n + ".svg" for n, t in plots.items() if t)))


if __name__ == "__main__":
    main()
