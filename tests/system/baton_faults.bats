#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What is left when something fails while baton works: a system call, the disk, a file it wrote, baton itself.

bats_require_minimum_version 1.5.0
load bundle

setup_file() {
    [ "$(id -u)" = 0 ] || skip "needs root"
    [ -x /bin/busybox ] || skip "needs busybox-static"
}

setup() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    BUILD=${BUILD:-build}
    case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
    export BATON=${BATON:-$BUILD/baton}
    VIEW=$BATS_TEST_DIRNAME/baton-view
    T=$BATS_TEST_TMPDIR
    ID=faults-$$-$BATS_TEST_NUMBER
    mkdir -p "$T/state" "$T/b/rootfs/bin"
    cp /bin/busybox "$T/b/rootfs/bin/"
    for a in sh true sleep; do ln -s busybox "$T/b/rootfs/bin/$a"; done
}

teardown() {
    [ -n "${T:-}" ] || return 0
    baton delete --force "$ID" >/dev/null 2>&1 || true
}

nothing_left() {
    [ -z "$(ls -A "$T/state")" ]
    ! "$VIEW" test -e "/sys/fs/cgroup/baton-$ID" || false
    ! pgrep -f "baton --root $T/state" || false
}

running() { # a container that sleeps, and its process in $pid
    config sleep 1000
    baton run -d -b "$T/b" "$ID" </dev/null >"$T/out" 2>&1 3>&- 4>&-
    pid=$(baton state "$ID" | jq .pid)
}

@test "a failing system call undoes all before it; delete --force cleans up after a kill: a sample of make check-faults" {
    ! grep -q 'lib[at]san\.so' "$BATON" || skip "a sanitizer has system calls of its own, and cannot look for leaks below strace"
    offset=$(($(date +%s) / 3600 % 60))
    run "$ROOT/tests/faults/run" --rounds 1 --every 60 --offset "$offset"
    [ "$status" = 0 ] || { echo "--offset $offset"; echo "$output"; false; }
    [[ "$output" == *"tried, 0 bad"* ]]
}

@test "a damaged state file is told of, and the container can be deleted" {
    for damage in 'truncate -s 0' 'truncate -s 100' 'sh -c "echo {{{ >\"\$0\"" ' 'cp /bin/busybox'; do
        running
        eval "$damage" '"$T/state/$ID/state.json"'
        for verb in state "delete" "kill" "exec"; do
            case $verb in exec) set -- exec "$ID" true ;; *) set -- $verb "$ID" ;; esac
            run ! --separate-stderr "$VIEW" "$BATON" --root "$T/state" "$@"
            [[ "$stderr" == *"state of container $ID"* ]]
        done
        kill -0 "$pid"
        baton delete --force "$ID"
        [ ! -e "/proc/$pid" ] || grep -q '^State:.Z' "/proc/$pid/status" # ended, if not reaped by init yet
        nothing_left
    done
}

@test "what a creation left that ended before it recorded anything is deleted" {
    config true
    mkdir "$T/state/$ID"
    [ "$(baton state "$ID" | jq -r .status)" = creating ]
    baton delete --force "$ID"
    nothing_left
    mkdir "$T/state/$ID"
    echo '{"bundle": "/b", "conf' >"$T/state/$ID/.state.json"
    baton delete --force "$ID"
    nothing_left
}

@test "a full disk: the creation says so and leaves nothing" {
    config true
    # one page for the folder's own files, none of them fits
    run -1 --separate-stderr "$VIEW" sh -c "mount -t tmpfs -o size=4k,nr_inodes=20 none '$T/state' &&
        dd if=/dev/zero of='$T/state/.full' bs=4k count=1 2>/dev/null
        '$BATON' --root '$T/state' run -b '$T/b' '$ID' </dev/null; r=\$?; rm '$T/state/.full'; ls -A '$T/state' >&2; exit \$r"
    [[ "$stderr" == "baton: cannot write the state of container $ID: No space left on device" ]]
    nothing_left
    # no inode left for the socket of create, the process or the pid file
    for inodes in 2 3 4 5; do
        run --separate-stderr "$VIEW" sh -c "mount -t tmpfs -o nr_inodes=$inodes none '$T/state' &&
            '$BATON' --root '$T/state' create -b '$T/b' '$ID' </dev/null; r=\$?; ls -A '$T/state' >&2
            '$BATON' --root '$T/state' delete --force '$ID'; exit \$r"
        if [ "$status" = 0 ]; then ended=1; else
            [[ "$stderr" == *"No space left on device"* && "$stderr" != *$'\n'* ]]
        fi
        nothing_left
    done
    [ "${ended:-}" = 1 ] # the loop went from too few to enough
}

@test "limits of the caller: descriptors, processes, memory" {
    config true
    tried=0
    for n in $(seq 4 24); do
        run --separate-stderr "$VIEW" sh -c "ulimit -n $n && exec '$BATON' --root '$T/state' run -b '$T/b' '$ID' </dev/null"
        [ "$status" = 0 ] || { [ -n "$stderr" ] && tried=$((tried + 1)); }
        nothing_left
    done
    [ "$tried" -gt 3 ]
    edit 'c["process"]["rlimits"] = []'
    run -1 --separate-stderr "$VIEW" prlimit --fsize=100 "$BATON" --root "$T/state" run -b "$T/b" "$ID" </dev/null
    [[ "$stderr" == *"cannot write the state of container"* ]]
    nothing_left
}
