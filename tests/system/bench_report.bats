#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What `make bench` makes of the figures: medians, ratios, verdicts, plots; and what the comparison of two runs calls noise.

setup() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    D=$BATS_TEST_TMPDIR
}
ours() { # NAME UNIT GOAL VALUE…
    local name=$1 unit=$2 goal=$3
    shift 3
    for v in "$@"; do
        echo "{\"group\":\"g\",\"name\":\"$name\",\"value\":$v,\"unit\":\"$unit\"${goal:+,\"goal\":\"$goal\"}}"
    done
}
theirs() { # NAME UNIT PEER VALUE…
    local name=$1 unit=$2 peer=$3
    shift 3
    for v in "$@"; do echo "{\"group\":\"g\",\"name\":\"$name\",\"peer_value\":$v,\"unit\":\"$unit\",\"peer\":\"$peer\"}"; done
}
report() { python3 -BIs "$ROOT/tests/bench/report.py" "$1" "$2" kernel=6.1 "machine=2 cores <x>"; }
of() { jq -r --arg n "$1" ".measures[] | select(.name == \$n) | $2" "$D/bench.json"; }

@test "medians, spread, ratios in the direction that is good, goals of numbers and of peers" {
    {
        ours "writes" 1/s ">= 1000" 900 1200 1100
        theirs "writes" 1/s "etcd (gateway)" 500 600 550
        ours "start" ms "<= 0.5 x crun" 4
        theirs "start" ms crun 9
        theirs "start" ms runc 20
        ours "late" ms "<= 50" 80
        ours "alone" ms "<= 0.5 x crun" 4
        echo '{"group":"g","name":"bound","value":12000,"unit":"pods/s","goal":10000}'
        echo '{"group":"g","name":"size","value":2100,"unit":"MB","goal":2000}'
        echo '{"group":"g","name":"aimless","value":1,"unit":"MB","goal":null}'
    } >"$D/figures"
    run report "$D/figures" "$D"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(of writes .value)" = 1100 ]
    [ "$(of writes '.spread | join("-")')" = 900-1200 ]
    [ "$(of writes '.peers["etcd (gateway)"].ratio')" = 2 ]
    [ "$(of writes .verdict)" = met ]
    [ "$(of start .verdict)" = met ]
    [ "$(of start '.peers.crun.ratio')" = 2.25 ]
    [ "$(of start '.peers.runc.ratio')" = 5 ]
    [ "$(of late .verdict)" = MISSED ]
    [ "$(of bound .verdict)" = met ]
    [ "$(of size .verdict)" = MISSED ]
    [ "$(of aimless .verdict)" = "" ]
    [ "$(of alone .verdict)" = "" ] # crun was not there
    [ "$(jq -r .kernel "$D/bench.json")" = 6.1 ]
    [[ "$output" == *"7 figures, 3 goals met, 2 missed"* ]]
    [[ "$output" == *"1100 (900-1200)"* ]]
    for f in ratios g; do python3 -c 'import sys, xml.etree.ElementTree as t; t.parse(sys.argv[1])' "$D/$f.svg"; done
    [ "$(grep -c 'beside' "$D/ratios.svg")" -eq 3 ]
}

@test "a comparison names what changed by more than noise, and fails when something got worse" {
    ours "writes" 1/s "" 1000 1010 990 >"$D/a"
    ours "start" ms "" 4 4.1 3.9 >>"$D/a"
    ours "noisy" ms "" 10 30 12 >>"$D/a"
    ours "gone" ms "" 1 >>"$D/a"
    ours "writes" 1/s "" 1050 1060 1040 >"$D/b"
    ours "start" ms "" 4.2 >>"$D/b"
    ours "noisy" ms "" 16 15 17 >>"$D/b"
    ours "added" ms "" 1 >>"$D/b"
    for f in a b; do report "$D/$f" "$D/$f.d" >/dev/null; done
    run "$ROOT/tests/bench/compare" "$D/a.d/bench.json" "$D/b.d/bench.json"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" != *writes* ]]
    [[ "$output" != *noisy* ]] # 60 % more, but such was seen before
    [[ "$output" == *gone*gone*new*added* ]]
    run "$ROOT/tests/bench/compare" "$D/a.d/bench.json" "$D/b.d/bench.json" 3
    [ "$status" -eq 1 ]
    [[ "$output" == *better*writes* ]]
    [[ "$output" == *WORSE*start* ]]
}

@test "fewer a second is worse, fewer milliseconds are better" {
    ours "rate" 1/s "" 1000 >"$D/a"
    ours "time" ms "" 10 >>"$D/a"
    ours "rate" 1/s "" 500 >"$D/b"
    ours "time" ms "" 5 >>"$D/b"
    for f in a b; do report "$D/$f" "$D/$f.d" >/dev/null; done
    run "$ROOT/tests/bench/compare" "$D/a.d/bench.json" "$D/b.d/bench.json"
    [ "$status" -eq 1 ]
    [[ "$output" == *WORSE*rate* ]]
    [[ "$output" == *better*time* ]]
    [[ "$output" == *"2 compared, 1 worse"* ]]
}
