#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The sections of config.json that engines use less often, on real containers with a busybox root. BATON names the program.

bats_require_minimum_version 1.5.0

setup() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    BUILD=${BUILD:-build}
    case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
    BATON=${BATON:-$BUILD/baton}
    VIEW=$BATS_TEST_DIRNAME/baton-view
    [ "$(id -u)" = 0 ] || skip "needs root"
    [ -x /bin/busybox ] || skip "needs busybox-static"
    T=$BATS_TEST_TMPDIR
    ID=bats-$$-$BATS_TEST_NUMBER
    mkdir -p "$T/state" "$T/b/rootfs/bin" "$T/b/rootfs/etc"
    cp /bin/busybox "$T/b/rootfs/bin/"
    for a in sh true cat ls id env pwd sleep mount mkdir touch ps hostname echo grep kill sed stat tty chmod readlink dd uname awk nice cut head; do
        ln -s busybox "$T/b/rootfs/bin/$a"
    done
    echo 'user:x:1000:1000::/home/user:/bin/sh' >"$T/b/rootfs/etc/passwd"
    config sh -c true
}

teardown() {
    [ -n "${T:-}" ] || return 0
    baton delete --force "$ID" >/dev/null 2>&1 || true
    [ -z "${U:-}" ] || rm -rf "$U"
}

baton() { "$VIEW" "$BATON" --root "$T/state" "$@"; }

# config ARG ...: a config.json that runs the command; edit changes it afterwards
config() {
    rm -f "$T/b/config.json"
    "$BATON" spec -b "$T/b"
    edit 'c["process"]["terminal"] = False; c["process"]["args"] = a' "$@"
}

edit() {
    python3 - "$T/b/config.json" "$@" <<'PY'
import json, sys
path, code, a = sys.argv[1], sys.argv[2], sys.argv[3:]
c = json.load(open(path))
exec(code)
json.dump(c, open(path, "w"))
PY
}

run_container() { run -"${1}" --separate-stderr "$VIEW" "$BATON" --root "$T/state" run -b "$T/b" "$ID" </dev/null; }

nothing_left() {
    [ -z "$(ls -A "$T/state")" ]
    ! "$VIEW" test -e "/sys/fs/cgroup/baton-$ID"
    ! grep -q "$T" /proc/self/mountinfo
}

@test "scheduler and nice value" {
    config sh -c 'cut -d" " -f19,41 /proc/self/stat'
    edit 'c["process"]["scheduler"] = {"policy": "SCHED_BATCH", "nice": 7}'
    run_container 0
    [ "$output" = "7 3" ]
    edit 'c["process"]["scheduler"] = {"policy": "SCHED_BATCH", "priority": 7}'
    run_container 1
    [[ "$stderr" == *"process.scheduler.priority: needs SCHED_FIFO"* ]]
    nothing_left
}

@test "ioPriority" {
    command -v ionice >/dev/null || skip "needs ionice"
    config sleep 100
    edit 'c["process"]["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 6}'
    baton run -d -b "$T/b" --pid-file "$T/pid" "$ID" </dev/null >/dev/null 2>&1 3>&-
    [ "$(ionice -p "$(cat "$T/pid")")" = "best-effort: prio 6" ]
}

@test "execCPUAffinity is for exec alone" {
    config sleep 100
    all=$(grep Cpus_allowed_list /proc/self/status)
    edit 'c["process"]["execCPUAffinity"] = {"initial": "0", "final": "0"}'
    baton run -d -b "$T/b" --pid-file "$T/pid" "$ID" </dev/null >/dev/null 2>&1 3>&-
    [ "$(grep Cpus_allowed_list "/proc/$(cat "$T/pid")/status")" = "$all" ]
    [ "$(baton exec "$ID" grep Cpus_allowed_list /proc/self/status | awk '{print $2}')" = 0 ]
    config sleep 100
}

@test "personality" {
    config uname -m
    edit 'c["linux"]["personality"] = {"domain": "LINUX32"}'
    run_container 0
    [ "$output" != "$(uname -m)" ]
    [ "$output" = "$(setarch linux32 uname -m)" ]
}

@test "memoryPolicy" {
    config sh -c 'grep -c bind:0 /proc/self/numa_maps'
    edit 'c["linux"]["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0"}'
    [ -e /proc/self/numa_maps ] || skip "the kernel has no memory nodes"
    run_container 0
    [ "$output" -gt 0 ]
    edit 'c["linux"]["memoryPolicy"] = {"mode": "MPOL_BIND"}'
    run_container 1
    [[ "$stderr" == *linux.memoryPolicy* ]]
    nothing_left
}

@test "time namespace with offsets, also for exec" {
    config sh -c 'cut -d. -f1 /proc/uptime; readlink /proc/self/ns/time; sleep 100'
    edit 'c["linux"]["namespaces"].append({"type": "time"})
c["linux"]["timeOffsets"] = {"monotonic": {"secs": 1000000}, "boottime": {"secs": 5000000, "nanosecs": 7}}'
    baton run -d -b "$T/b" "$ID" </dev/null >"$T/out" 2>&1 3>&-
    for i in $(seq 100); do [ "$(wc -l <"$T/out")" = 2 ] && break; sleep 0.02; done
    [ "$(head -n 1 "$T/out")" -ge 5000000 ]
    [ "$(baton exec "$ID" cut -d. -f1 /proc/uptime)" -ge 5000000 ]
    [ "$(baton exec "$ID" readlink /proc/self/ns/time)" = "$(sed -n 2p "$T/out")" ]
    [ "$(sed -n 2p "$T/out")" != "$(readlink /proc/self/ns/time)" ]
    config true
    edit 'c["linux"]["timeOffsets"] = {"monotonic": {"secs": 1}}'
    baton delete --force "$ID"
    run_container 1
    [[ "$stderr" == *"linux.timeOffsets: need a new time namespace"* ]]
    nothing_left
}

@test "relative sources, sources that are links, and sources that an earlier mount made" {
    mkdir "$T/b/data"
    echo text >"$T/b/data/file"
    ln -s data "$T/b/link"
    config sh -c 'cat /one/file /two/file; echo kept >/three/f; cat /four/f; ls "$0"' "$T"
    edit 'm = c["mounts"]
m.append({"destination": "/one", "type": "bind", "source": "data", "options": ["bind", "ro"]})
m.append({"destination": "/two", "source": "link", "options": ["rbind"]})
m.append({"destination": "/three", "type": "tmpfs", "source": "tmpfs"})
m.append({"destination": "/four", "type": "bind", "source": "rootfs/three", "options": ["bind"]})
c["root"]["readonly"] = False'
    run_container 1 # the host's folders cannot be seen
    [ "$output" = "text
text
kept" ]
    nothing_left
}

@test "domain name" {
    config cat /proc/sys/kernel/domainname
    edit 'c["domainname"] = "example.org"'
    run_container 0
    [ "$output" = example.org ]
}

@test "what this runtime does not do is refused by name" {
    for field in 'c["linux"]["intelRdt"] = {"closID": "x"}' 'c["linux"]["netDevices"] = {"eth9": {"name": "x"}}' \
        'c["linux"]["mountLabel"] = "x"' 'c["process"]["selinuxLabel"] = "x"' 'c["process"]["apparmorProfile"] = "x"'; do
        config true
        edit "$field"
        run_container 1
        name=$(echo "$field" | cut -d'"' -f4)
        [[ "$stderr" == *"$name is not supported"* ]]
        nothing_left
    done
}
