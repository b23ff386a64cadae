#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The judge of `make soak`: planted leaks are found, noise and what comes to an end is not called one. No cluster is needed.

setup() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    TSV=$BATS_TEST_TMPDIR/soak.tsv
}
# Samples of a soak: AWK sets v (the metric's value) from n (rest: 0 to 3, -1 under churn), i (sample), r() (0 to 1), and
# may set life (the pid). Under churn values are large.
samples() { # METRIC AWK
    awk -v name="$1" '
        function r() { seed = (seed * 1103515245 + 12345) % 2147483648; return seed / 2147483648 }
        function show(phase) { printf "%d\t%s\t%s\t%s\n", t, phase, v, life; t += 10 }
        BEGIN { seed = 7; t = 1000000; life = 10; OFS = "\t"; who = name; sub(/ [a-z]*$/, "", who)
            print "time", "phase", name, "pid of " who
            for (k = 0; k < 4; k++) {
                n = -1; for (i = 0; i < 40; i++) { v = 100000 + r() * 50000; show("churn " k) }
                n = k; for (i = 0; i < 9; i++) { '"$2"'; show("rest " k) }
            } }' >"$TSV"
}
judge() { run python3 -BIs "$ROOT/tests/soak/judge.py" "$TSV"; }
flat() {
    judge
    [ "$status" -eq 0 ]
    [[ "$output" == *"all flat"* ]]
}
grows() { # METRIC
    judge
    [ "$status" -eq 1 ]
    [[ "$output" == *"GROWS: $1" ]]
}

@test "one thing left behind by each third is found, in all that is counted" {
    for m in "mounts of nodes" cgroups links "host links" units addresses "net namespaces" processes "files of run" objects; do
        samples "$m" 'v = 60 + n'
        grows "$m"
    done
    samples "server fds" 'v = 40 + 3 * n'
    grows "server fds"
    samples "server threads" 'v = 6 + n'
    grows "server threads"
    samples nft 'v = 270 + 2 * n'
    grows nft
}

@test "one thing left behind only once, at the very end, is found" {
    samples "net namespaces" 'v = 6 + (n == 3)'
    grows "net namespaces"
}

@test "memory that grows from rest to rest is found under noise" {
    samples "server anon" 'v = 40000 + 2000 * n + r() * 300'
    grows "server anon"
    samples "agent 1 rss" 'v = 3500 + 400 * n + r() * 100'
    grows "agent 1 rss"
    samples "init 1 anon" 'v = 2700 + 400 * n'
    grows "init 1 anon"
    samples "store pages" 'v = 600 + 400 * n'
    grows "store pages"
}

@test "noise is no growth, nor is a fall, nor what is high under churn only" {
    samples "server anon" 'v = 40000 + r() * 1500'
    flat
    samples "agent 2 anon" 'v = 3600 - 300 * n'
    flat
    samples "mounts of nodes" 'v = 64'
    flat
    samples "server fds" 'v = 38 + (n == 2)'
    flat
    samples "server cpu" 'v = 1 + n' # shown, not judged
    flat
}

@test "a single sample that sticks out at rest is no growth" {
    samples "server rss" 'v = n == 3 && i == 5 ? 90000 : 40000'
    flat
}

@test "memory that rises once and stays is no growth: caches fill" {
    samples "server anon" 'v = n == 0 ? 30000 : 45000 + r() * 200'
    flat
}

@test "a process that was restarted is compared with itself" {
    # it leaks in its first life, of three rests; the second one begins low
    samples "server anon" 'life = n < 3 ? 10 : 11; v = n < 3 ? 40000 + 4000 * n : 20000'
    grows "server anon"
    # each life is flat, the second higher, as it came up with more objects
    samples "server anon" 'life = n < 3 ? 10 : 11; v = n < 3 ? 20000 : 40000'
    flat
    # restarted before each rest: what all young ones have in common still counts
    samples "agent 2 anon" 'life = 10 + n; v = 3000 + 600 * n'
    grows "agent 2 anon"
}

@test "the memory of a server whose windows of events still fill is not judged" {
    samples "server anon" 'life = 10 + n; v = 40000 + 9000 * n'
    judge
    [ "$status" -eq 0 ]
    [[ "$output" == *"server anon"*"?"* ]]
}

@test "the journal may grow up to its limit" {
    samples journal 'v = 100 + 200 * n'
    flat
    samples journal 'v = 900 + 100 * n'
    grows journal
}

@test "samples without states at rest are not judged" {
    printf 'time\tphase\tunits\n1\tchurn 1\t5\n' >"$TSV"
    judge
    [ "$status" -eq 1 ]
    [[ "$output" == *"no two states at rest"* ]]
}

@test "the curves are an SVG that a parser accepts, with axes, names, and the growing ones in red" {
    samples "mounts of <nodes>" 'v = 60 + n'
    run python3 -BIs - "$ROOT/tests/soak" "$TSV" "$BATS_TEST_TMPDIR/soak.svg" <<'P'
import runpy, sys
sys.path.insert(0, sys.argv[1])
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0] + "/plot.py", run_name="__main__")
import xml.etree.ElementTree as tree
root = tree.parse(sys.argv[2]).getroot()
ns = "{http://www.w3.org/2000/svg}"
texts = ["".join(t.itertext()) for t in root.iter(ns + "text")]
assert any("mounts of <nodes>" in t for t in texts), texts
assert len([r for r in root.iter(ns + "rect") if r.get("class") == "rest"]) == 4
assert [p for p in root.iter(ns + "polyline") if len(p.get("points").split()) == 4 * 49]
assert len([t for t in texts if t.replace(".", "").isdigit()]) >= 5
P
    echo "$output"
    [ "$status" -eq 0 ]
}
