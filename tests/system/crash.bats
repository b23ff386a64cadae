#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The server struck down at any moment, at any write, by failing disks: what it acknowledged is there, what it showed
# stays true, and watchers see every change once and in order (tests/crash). CRASH_LIVES makes it longer.

CALLS=pwrite64,pwritev,write,writev,fdatasync,fsync,ftruncate,fallocate,rename,renameat,renameat2,link,linkat,mkdir,mkdirat,unlink,unlinkat

setup_file() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    export ROOT BIN T="$BATS_FILE_TMPDIR" BUILD=${BUILD:-build} LIVES=${CRASH_LIVES:-8}
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    case $BUILD in /*) BIN=$BUILD ;; *) BIN=$ROOT/$BUILD ;; esac
    flock "$BIN/programs.lock" make -s -C "$ROOT" -f tests/system/programs.mk BUILD="$BUILD" "$BUILD/crash/crash" "$BUILD/crash/check_history" "$BUILD/crash/strike.so" >&2
}

setup() {
    DIR=$(mktemp -d "$T/XXXXXX")
}

teardown() {
    rm -rf "$DIR"
}

# a server in $DIR and in a network of its own: OPTIONS of tests/crash/crash.c
crash() {
    rm -rf "$DIR/data"
    # a leak cannot be looked for below strace
    [[ "$*" != *--inject* ]] || local -x ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0
    unshare -n bash -c 'ip link set lo up; dir=$1 bin=$2; shift 2
        exec timeout 120 "$bin/crash/crash" "$@" "$dir/api.sock" "$bin/podium" server --data-dir "$dir/data" \
            --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --socket "$dir/api.sock" \
            --link-socket "$dir/link.sock" --manifests "" --config /dev/null --log-level error' \
        crash "$DIR" "$BIN" "$@" 2>"$DIR/errors" 3>&- </dev/null
}
struck() { [[ "$output" =~ \(([0-9]+)\ struck\ down,\ ([0-9]+)\ before ]] && [ $((BASH_REMATCH[1] + BASH_REMATCH[2])) -ge "$1" ]; }

@test "the judge finds planted errors" {
    "$BIN/crash/check_history"
}

@test "asked to end under load, it ends well and all is there" {
    run crash --lives 2 --gently 1500
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "killed at any moment" {
    run crash --lives "$LIVES"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "killed at writes, syncs and renames" {
    run crash --lives "$LIVES" --first 8 --step 9 --inject $CALLS:signal=KILL
    echo "$output"
    [ "$status" -eq 0 ]
    struck $((LIVES / 2))
    run crash --lives "$LIVES" --first 3 --step 4 --inject fdatasync:signal=KILL
    echo "$output"
    [ "$status" -eq 0 ]
    struck $((LIVES / 2))
}

@test "a disk that fails: nothing is acknowledged that is not there" {
    run crash --lives "$LIVES" --first 4 --step 3 --inject fdatasync:error=EIO
    echo "$output"
    [ "$status" -eq 0 ]
    grep -q 'could not be written earlier; restart after checking the disk' "$DIR/errors"
    run crash --lives "$LIVES" --first 20 --step 7 --inject pwrite64,pwritev:error=EIO
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "a disk that is full now and then" {
    run crash --lives "$LIVES" --first 20 --step 7 --inject pwrite64,pwritev,fallocate:error=ENOSPC
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "killed in the first start: the next one goes on" {
    local n
    for n in 1 2 3 5 8 11 14 17 20 24 28 33 38 44 50 60 75; do
        DIR=$T/start$n
        mkdir "$DIR"
        run crash --lives 1 --first $n --inject $CALLS:signal=KILL
        echo "at call $n: $output"
        cat "$DIR/errors"
        [ "$status" -eq 0 ]
        rm -rf "$DIR"
    done
}

@test "a call that fails in the first start: told, and the next one goes on" {
    local n
    for n in 1 2 4 7 10 15 20 26 32 40 50 70; do
        DIR=$T/fail$n
        mkdir "$DIR"
        run crash --lives 1 --first $n --inject $CALLS:error=EIO
        echo "at call $n: $output"
        cat "$DIR/errors"
        [ "$status" -eq 0 ]
        rm -rf "$DIR"
    done
}

# make crash-sweep strikes at each; a sanitizer's library would have to come first
@test "struck before, at and after single calls, a sample" {
    [ -z "$(nm -D "$BIN/podium" | grep __asan_init)$(nm -D "$BIN/podium" | grep __tsan_init)" ] || skip "sanitized"
    SWEEP_STEP=37 SWEEP_FIRST=$((RANDOM % 37 + 1)) SWEEP_LATER=74 run "$ROOT/tests/crash/sweep"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" =~ ([0-9]+)\ lives,\ ([0-9]+)\ struck ]]
    [ "${BASH_REMATCH[2]}" -ge 8 ]
}
