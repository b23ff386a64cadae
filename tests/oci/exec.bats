#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# exec: one more process in a running container.

load oci

up() {
    config sh -c 'trap exit TERM; while :; do sleep 0.05; done'
    [ -z "${1:-}" ] || edit "$@"
    detached
}

@test "exit codes, output, errors, standard input" {
    up
    run -5 --separate-stderr oci exec "$ID" sh -c 'echo out; echo err >&2; exit 5'
    [ "$output" = out ]
    [ "$stderr" = err ]
    [ "$(echo typed | oci exec "$ID" cat)" = typed ]
    run -137 oci exec "$ID" sh -c 'kill -9 $$'
    run -0 oci exec "$ID" true
}

@test "the process is in all of the container's namespaces and its group" {
    up
    for n in pid net ipc uts mnt cgroup; do
        [ "$(oci exec "$ID" readlink /proc/self/ns/$n)" = "$(readlink "/proc/$(pid)/ns/$n")" ]
    done
    [ "$(oci exec "$ID" grep ^0:: /proc/self/cgroup)" = "0::/" ]
    [ "$(oci exec "$ID" hostname)" = contained ]
}

@test "options: environment, folder, user and group" {
    known crun 1.8.99 "-e replaces the environment, PATH too"
    up
    run -0 --separate-stderr oci exec -e A=b -e "C=d e" --cwd /etc -u 1000:1001 "$ID" sh -c 'echo $A; echo $C; pwd; id -u; id -g; echo $TERM'
    [ "$output" = "b
d e
/etc
1000
1001
xterm" ]
}

@test "the container's user, folder, privileges and limits hold when nothing else is said" {
    known crun 1.8.99 "begins as root in /, without limits and no_new_privs"
    known runc 1.1.99 "may raise the soft limit of open files, as Go programs do"
    up 'p["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [50]}; p["cwd"] = "/etc"
p["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]'
    run -0 --separate-stderr oci exec "$ID" sh -c 'id -u; id -g; id -G; pwd; ulimit -n; ulimit -H -n; grep NoNewPrivs /proc/self/status'
    [ "$output" = "1000
1001
1001 50
/etc
100
200
NoNewPrivs:	1" ]
}

@test "a process from a file" {
    known runc 1.1.99 "ignores process.user.umask"
    up
    echo '{"args": ["sh", "-c", "echo from file; id -u; pwd; echo $A; umask; exit 3"], "cwd": "/tmp", "env": ["PATH=/bin", "A=b"], "user": {"uid": 7, "gid": 8, "umask": 23}}' >"$T/p.json"
    run -3 --separate-stderr oci exec -p "$T/p.json" "$ID"
    [ "$output" = "from file
7
/tmp
b
0027" ]
}

@test "capabilities: the container's, and what --cap adds" {
    known crun 1.8.99 "--cap replaces them"
    up
    [ "$(oci exec "$ID" grep CapBnd /proc/self/status)" = "CapBnd:	0000000000000021" ]
    [ "$(oci exec --cap CAP_SYS_TIME "$ID" grep CapEff /proc/self/status)" = "CapEff:	0000000002000021" ]
}

@test "the container's seccomp filter holds for exec" {
    up 'l["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}'
    run -1 oci exec "$ID" mkdir /x
    [[ "$output" == *"No space left"* ]]
}

@test "exec -d returns, the process id is written, the process lives on" {
    up
    oci exec -d --pid-file "$T/second" "$ID" sleep 1000 </dev/null >/dev/null 2>&1 3>&- 4>&-
    [ "$(tr '\0' ' ' <"/proc/$(cat "$T/second")/cmdline")" = "sleep 1000 " ]
    [ "$(readlink "/proc/$(cat "$T/second")/ns/pid")" = "$(readlink "/proc/$(pid)/ns/pid")" ]
}

@test "commands that cannot be executed" {
    up
    for c in no-such-command /no/such/file /etc/passwd; do
        run oci exec "$ID" $c
        [ "$status" -ne 0 ]
    done
    run oci exec --cwd /no/such/folder "$ID" true
    # the specification's cwd is made by runc and crun for the first process; for exec all refuse
    [ "$status" -ne 0 ]
}

@test "exec needs a running container" {
    run oci exec no-such-container true
    [ "$status" -ne 0 ]
    config true
    detached
    until_true has_status stopped
    run oci exec "$ID" true
    [ "$status" -ne 0 ]
}

@test "exec into a created container, before its program runs" {
    config sh -c 'echo ran >/ran; sleep 1000'
    create
    run oci exec "$ID" echo in
    [ "$status" -ne 0 ] || [ "$output" = in ]
    [ ! -e "$B/rootfs/ran" ]
}

@test "no descriptor of the runtime or its caller is left open" {
    up
    run -0 --separate-stderr "$VIEW" sh -c "exec '$RUNTIME' --root '$T/state' exec '$ID' sh /bin/open-files 7</usr 9</etc </dev/null"
    [ "$output" = "" ]
}

@test "the new process ends with its container" {
    up
    oci exec -d --pid-file "$T/second" "$ID" sleep 1000 </dev/null >/dev/null 2>&1 3>&- 4>&-
    oci kill "$ID" KILL
    until_true has_status stopped
    until_true ended "$(cat "$T/second")"
}
