#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# One server with fifty simulated nodes (tests/bench/nodes) and five hundred pods: registration, scheduling, status,
# deletion, a new server, lost nodes. `make bench-nodes` measures the same with thousands.

setup_file() {
    export ROOT BIN T="$BATS_FILE_TMPDIR" BUILD=${BUILD:-build}
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    case $BUILD in /*) BIN=$BUILD ;; *) BIN=$ROOT/$BUILD ;; esac
    make -s -C "$ROOT" BUILD="$BUILD" "$BUILD/podium" "$BUILD/bench/nodes_check" >&2
    mkdir "$T/server"
    timeout 300 "$BIN/bench/nodes_check" "$BIN/podium" "$T/server" >"$T/answers" 2>"$T/errors" 3>&- </dev/null || true
}
holds() {
    cat "$T/errors" "$T/server/log"
    grep -qx "$1: yes" "$T/answers"
}

@test "fifty nodes register and are ready" { holds "nodes register"; }
@test "five hundred pods are Running" { holds "pods run"; }
@test "each pod has an address of its own, and no node more than twice its share" { holds "pods are spread"; }
@test "nodes and pods are as they were when the server starts anew" { holds "nodes come back to a new server"; }
@test "nothing is left of deleted pods" { holds "nothing is left of deleted pods"; }
@test "pods of nodes that vanish run elsewhere" { holds "lost pods are replaced"; }
