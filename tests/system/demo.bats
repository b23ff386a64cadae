#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs alone: its cluster is called default, and the host must be as before.
# The demo a newcomer runs first: it ends well, and demo-down leaves nothing.

load harness

setup_file() {
    system_setup
    CLUSTER=default
    export CLUSTER
    [ ! -e "$BIN/demo/cluster" ] || skip "a demo is up in $BIN/demo"
    # the demo takes its image from here instead of making it again
    image_setup
    mkdir -p "$BIN/demo"
    [ -e "$BIN/demo/nginx.tar" ] || cp "$IMAGE" "$BIN/demo/nginx.tar"
    host_state >"$T/host.before"
}
teardown_file() { [ -z "${BIN:-}" ] || [ ! -e "$BIN/demo/cluster" ] || BUILD=$BUILD "$ROOT/tests/demo/demo-down" >&2; }

@test "the demo ends well and tells its times" {
    ! ip link show pdm-default >/dev/null 2>&1 || skip "a cluster called default is up"
    run timeout 120 "$ROOT/tests/demo/demo" 3>&-
    echo "$output"
    [ "$status" -eq 0 ]
    for what in 'cluster up' 'apply → 3 ready' 'SIGKILL → ready again' 'node lost → 3 ready elsewhere'; do
        grep -qE "$what.* [0-9]+\.[0-9]+ s" <<<"$output"
    done
}

@test "a second demo beside it says that one is up" {
    [ -e "$BIN/demo/cluster" ] || skip "no demo is up"
    run "$ROOT/tests/demo/demo" 3>&-
    [ "$status" -ne 0 ]
    [[ "$output" == *"make demo-down"* ]]
}

@test "demo-down leaves nothing but the image" {
    [ -e "$BIN/demo/cluster" ] || skip "no demo is up"
    run "$ROOT/tests/demo/demo-down" 3>&-
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(ls "$BIN/demo")" = nginx.tar ] || [ "$(ls "$BIN/demo")" = $'nginx-image\nnginx.tar' ]
    host_unchanged "$T/host.before"
}

@test "demo-down when nothing is up" {
    [ ! -e "$BIN/demo/cluster" ] || skip "a demo is up"
    run "$ROOT/tests/demo/demo-down" 3>&-
    [ "$status" -eq 0 ]
}
