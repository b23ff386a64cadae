# SPDX-License-Identifier: GPL-2.0-or-later
# Says of each metric whether it is flat. What is compared are the states at rest: all that was made is deleted, and the
# cluster has come to rest. Rest 0 is after the warm-up; the others follow equal amounts of churn. Whatever is more at a
# later rest is what the churn left behind.
#
# Rules, by the kind of a metric:
#   count    things that exist (descriptors, mounts, units …): no more than a few more at the last rest than at the first.
#   memory   kB: the growth from the first to the last rest must be within a share of the first plus a constant, or have
#            come to its end: then the second half of the rests grew by less than half of the allowance.
#   size     MB or pages on disk: as memory.
#   bounded  what grows by design up to a limit (the journal): the limit counts.
#   shown    curves only.
# Processes are restarted on purpose now and then. What belongs to one life of a process is compared within that life: the
# longest run of rests with the same one (with only one rest in each life: all of them, since each is young then).
#
# usage as a program: judge.py SOAK.tsv      (column "phase": "rest N" marks samples at rest; exit code 1: something grows)
import sys
from statistics import median

COUNT, MEMORY, SIZE, BOUNDED, SHOWN = "count", "memory", "size", "bounded", "shown"
AT_REST = 7  # samples taken of each rest: the last ones
WINDOW = 330  # seconds in which the server's windows of events (five minutes) fill: before, its memory must grow


class Rule:
    def __init__(self, kind, unit, plus, share=0.0, limit=None):
        self.kind, self.unit, self.plus, self.share, self.limit = kind, unit, plus, share, limit

    def allowance(self, first):
        return max(self.plus, self.share * first) if self.kind == COUNT else self.plus + self.share * first


def rule_of(metric):
    """By the last word; what is not named here is a count of which nothing may stay behind."""
    last = metric.split()[-1]
    if metric in ("supervisors", "processes", "objects", "addresses", "cgroups", "links", "host links", "net namespaces", "zombies",
                  "mounts of nodes", "mounts of agents", "mounts of host", "units", "jobs", "units failed", "watches", "files of images",
                  "files of state", "files of run", "files of tmp", "threads"):
        return Rule(COUNT, "", 0)
    if metric == "nft":
        return Rule(COUNT, "lines", 2)  # idle connections with an affinity end by time
    if metric == "files of systemd":
        return Rule(COUNT, "", 8)
    if metric == "cgroups dying":
        return Rule(SIZE, "", 60, 0.5)  # the kernel's, freed under pressure only
    if last == "fds":
        return Rule(COUNT, "", 3, 0.05)
    if last == "threads":
        return Rule(COUNT, "", 1)
    if last == "pss":
        return Rule(SHOWN, "kB", 0)  # moves with who else on the host has the same programs open
    if metric.startswith("journald") and last == "rss":
        return Rule(SHOWN, "kB", 0)  # windows into the journal's files, which grow up to their limit
    if last in ("rss", "anon"):
        young = metric.split()[0] in ("bus", "supervisor")
        return Rule(MEMORY, "kB", 200 if young else 400, 0.04)
    if metric == "store":
        return Rule(SIZE, "MB", 8, 0.05)
    if metric == "store pages":
        return Rule(SIZE, "", 512, 0.05)
    if metric == "journal":
        return Rule(BOUNDED, "MB", 0, limit=1024)
    return Rule(SHOWN, "", 0)


class Verdict:
    """One metric. values: at the rests compared, with None where it was not there."""

    def __init__(self, metric, rule, values, hours):
        self.metric, self.rule, self.values = metric, rule, values
        there = [(v, h) for v, h in zip(values, hours) if v is not None]
        self.first = there[0][0] if there else None
        self.last = there[-1][0] if there else None
        self.slope = slope(there)
        self.grows = self.judge([v for v, _ in there])

    def judge(self, v):
        if self.rule.kind == SHOWN or not v:
            return False
        if self.rule.kind == BOUNDED:
            return v[-1] > self.rule.limit
        if len(v) < 2:
            return False
        allowed = self.rule.allowance(v[0])
        if v[-1] - v[0] <= allowed:
            return False
        if self.rule.kind == COUNT:
            return True
        return v[-1] - v[len(v) // 2 if len(v) > 2 else 0] > allowed / 2

    def word(self):
        if self.rule.kind == SHOWN:
            return ""
        if len([v for v in self.values if v is not None]) < 2 and self.rule.kind != BOUNDED:
            return "?"
        return "GROWS" if self.grows else "flat"


def slope(points):
    """Least squares, per hour."""
    if len(points) < 2:
        return 0.0
    mx = sum(h for _, h in points) / len(points)
    my = sum(v for v, _ in points) / len(points)
    square = sum((h - mx) ** 2 for _, h in points)
    return sum((h - mx) * (v - my) for v, h in points) / square if square else 0.0


def rests_of(samples):
    """The last samples of each rest, in order, without that of the warm-up's beginning."""
    rests = {}
    for s in samples:
        if s["phase"].startswith("rest "):
            rests.setdefault(int(s["phase"][5:]), []).append(s)
    return [rests[n][-AT_REST:] for n in sorted(rests)]


def life_of(metric, rests):
    """The rests to compare for this metric: column "pid of X" tells which life X was in."""
    who = metric.rsplit(" ", 1)[0]
    lives = [r[-1].get("pid of " + who) for r in rests]
    if not any(lives):
        return range(len(rests))
    best = range(0)
    start = 0
    for i in range(1, len(lives) + 1):
        if i == len(lives) or lives[i] != lives[start]:
            if i - start > len(best):
                best = range(start, i)
            start = i
    return best if len(best) > 1 else range(len(rests))


def settled(metric, rests, compared, samples):
    """Of the rests compared, those where the server's life was long enough to know what it needs."""
    if metric not in ("server rss", "server anon"):
        return compared
    began = {}
    for s in samples:
        began.setdefault(s.get("pid of server"), s["time"])
    return [i for i in compared if rests[i][-1]["time"] - began[rests[i][-1].get("pid of server")] >= WINDOW]


def judge(samples):
    rests = rests_of(samples)
    if len(rests) < 2:
        return []
    names = []
    for s in samples:
        names += [k for k in s if k not in names]
    verdicts = []
    for name in names:
        if name in ("time", "phase") or name.startswith("pid of "):
            continue
        values, hours = [], []
        for i in settled(name, rests, life_of(name, rests), samples):
            there = [s[name] for s in rests[i] if s.get(name) is not None]
            values.append(median(there) if there else None)
            hours.append(rests[i][-1]["time"] / 3600)
        verdicts.append(Verdict(name, rule_of(name), values, hours))
    return verdicts


def show(verdicts, out=sys.stdout):
    number = lambda v: "-" if v is None else "%.1f" % v if abs(v) < 100 and v != int(v) else "%.0f" % v
    print("%-22s %10s %10s %10s %12s  %-6s %s" % ("at rest", "first", "last", "allowed", "per hour", "", "unit; all rests"), file=out)
    for v in verdicts:
        allowed = "" if v.rule.kind == SHOWN else "<%s" % number(v.rule.limit) if v.rule.kind == BOUNDED else \
            "+" + number(v.rule.allowance(v.first or 0))
        print("%-22s %10s %10s %10s %+12.1f  %-6s %s" % (v.metric, number(v.first), number(v.last), allowed, v.slope, v.word(),
                                                         (v.rule.unit + "; " if v.rule.unit else "") + " ".join(number(x) for x in v.values)), file=out)
    grown = [v.metric for v in verdicts if v.grows]
    print("all flat" if not grown else "GROWS: " + ", ".join(grown), file=out)
    return grown


def read_tsv(path):
    with open(path) as f:
        names = f.readline().rstrip("\n").split("\t")
        return [{n: (v if n == "phase" else float(v)) for n, v in zip(names, line.rstrip("\n").split("\t")) if v != ""} for line in f]


if __name__ == "__main__":
    found = judge(read_tsv(sys.argv[1]))
    if not found:
        sys.exit("no two states at rest in " + sys.argv[1])
    sys.exit(1 if show(found) else 0)
