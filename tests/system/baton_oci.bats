#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The parts of the OCI specification that need a partner outside: a seccomp agent, a user namespace of somebody else,
# network devices, a socket for the pidfd; and the verbs' options that only some engines use. BATON names the program.

bats_require_minimum_version 1.5.0
load bundle

setup_file() {
    cc -O1 -static -o "$BATS_FILE_TMPDIR/listener" "$BATS_TEST_DIRNAME/oci/listener.c"
}

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
    for a in sh true cat ls id env pwd sleep mount mkdir touch echo grep kill stat readlink ip cut head test dd; do
        ln -s busybox "$T/b/rootfs/bin/$a"
    done
    config sh -c true
}

teardown() {
    [ -n "${T:-}" ] || return 0
    baton delete --force "$ID" >/dev/null 2>&1 || true
    for p in "${AGENT:-}" "${HOLDER:-}"; do
        [ -z "$p" ] || kill -- "-$p" 2>/dev/null || kill "$p" 2>/dev/null || true
    done
}

run_container() { run -"${1}" --separate-stderr "$VIEW" "$BATON" --root "$T/state" run "${@:2}" -b "$T/b" "$ID" </dev/null; }

nothing_left() {
    [ -z "$(ls -A "$T/state")" ]
    ! "$VIEW" test -e "/sys/fs/cgroup/baton-$ID"
    ! grep -q "$T" /proc/self/mountinfo
}

# refused TEXT: the container is not made, the error says why, nothing remains
refused() {
    run_container 1
    [[ "$stderr" == *"$1"* ]] || { echo "$stderr"; false; }
    nothing_left
}

wait_for() { for _ in $(seq 500); do ! "$@" || return 0; sleep 0.02; done; echo "not reached: $*"; return 1; }

# agent ERRNO: a seccomp agent at $T/agent that answers so
agent() {
    setsid "$BATS_FILE_TMPDIR/listener" "$T/agent" "$T/log" "$1" 3>&- &
    AGENT=$!
    wait_for test -e "$T/agent"
}

# state_at N KEY ...: a value of the Nth container process state the agent got
state_at() {
    python3 - "$T/log" "$@" <<'PY'
import json, sys
v = json.loads(open(sys.argv[1]).readlines()[int(sys.argv[2])])
for k in sys.argv[3:]:
    v = v[k]
print(v if isinstance(v, (str, int)) else json.dumps(v))
PY
}

notify() { # [PROPERTY ...]: mkdir is for the agent
    edit 'c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": a[0], "listenerMetadata": "of-test",
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]}' "$T/agent"
}

@test "seccomp: calls are answered by the listener, with and without no_new_privs, by run and by create" {
    config sh -c 'mkdir /none/at/all && ! test -e /none && echo answered'
    agent 0
    notify
    for privs in True False; do
        edit "c['process']['noNewPrivileges'] = $privs; c['process']['capabilities']['bounding'].append('CAP_SYS_ADMIN')"
        run_container 0
        [ "$output" = answered ]
    done
    [ "$(state_at 0 metadata)" = of-test ]
    [ "$(state_at 0 fds)" = '["seccompFd"]' ]
    [ "$(state_at 0 state id)" = "$ID" ]
    [ "$(state_at 0 state bundle)" = "$T/b" ]
    [ "$(state_at 1 ociVersion)" = "$(state_at 1 state ociVersion)" ]
    for privs in True False; do
        edit "c['process']['noNewPrivileges'] = $privs"
        baton create -b "$T/b" --pid-file "$T/pid" "$ID" </dev/null >"$T/out" 2>&1 3>&-
        baton start "$ID"
        wait_for grep -q answered "$T/out"
        baton delete --force "$ID"
        [ "$(tail -n 1 "$T/log" | python3 -c 'import json, sys; c = json.load(sys.stdin); print(c["pid"], c["state"]["pid"])')" = \
            "$(cat "$T/pid") $(cat "$T/pid")" ]
    done
    nothing_left
}

@test "seccomp: the listener's error reaches the process, also that of an exec" {
    config sleep 100
    agent 28 # ENOSPC
    notify
    edit 'c["linux"]["seccomp"]["flags"] = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"]'
    baton run -d -b "$T/b" "$ID" </dev/null >/dev/null 2>&1 3>&-
    run -1 --separate-stderr baton exec "$ID" mkdir /tmp/x
    [[ "$stderr" == *"No space left on device"* ]]
    [ "$(state_at 1 state status)" = running ]
    [ "$(state_at 1 pid)" != "$(state_at 0 pid)" ]
}

@test "seccomp: a listener that is not there, and what cannot be notified of, are refused" {
    config true
    notify
    refused "linux.seccomp.listenerPath: cannot connect to the socket $T/agent"
    edit 'del c["linux"]["seccomp"]["listenerPath"]'
    refused "listenerMetadata needs listenerPath"
    edit 'del c["linux"]["seccomp"]["listenerMetadata"]'
    refused "SCMP_ACT_NOTIFY needs listenerPath"
    edit 's = c["linux"]["seccomp"]; s["listenerPath"] = "/x"; s["syscalls"][0]["names"] = ["read", "write"]'
    refused "SCMP_ACT_NOTIFY cannot be used for write"
    edit 's = c["linux"]["seccomp"]; s["defaultAction"] = "SCMP_ACT_NOTIFY"; del s["syscalls"]'
    refused "cannot be the default action"
    # a path that nothing uses: nothing is sent there
    edit 's = c["linux"]["seccomp"]; s["defaultAction"] = "SCMP_ACT_ALLOW"'
    run_container 0
}
