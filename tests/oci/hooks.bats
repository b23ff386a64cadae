#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# hooks: each kind in its namespaces, in order, with the state on standard input.

load oci

hooks() { # KIND …: each appends a line to the bundle's log: kind, status of the state, mount namespace, what it sees
    mkdir -p "$B/rootfs/log"
    cat >"$T/hook" <<'H'
#!/bin/sh
s=$(cat)
status=$(echo "$s" | sed 's/.*"status": *"\([a-z]*\)".*/\1/')
id=$(echo "$s" | sed 's/.*"id": *"\([^"]*\)".*/\1/')
echo "$1 $status $(readlink /proc/self/ns/mnt) $(readlink /proc/self/ns/net) $([ -e /etc/contained ] && echo in || echo out) $id" >>"$2"
H
    chmod +x "$T/hook"
    cp "$T/hook" "$B/rootfs/hook"
    touch "$B/rootfs/etc/contained"
    edit 'h = a[0] + "/hook"; log = a[0] + "/b/rootfs/log/lines"
c["hooks"] = {k: [{"path": h, "args": ["h", k, log], "env": ["PATH=/bin:/usr/bin"]}] for k in a[1:]}
if "startContainer" in a: c["hooks"]["startContainer"] = [{"path": "/hook", "args": ["h", "startContainer", "/log/lines"], "env": ["PATH=/bin"]}]' "$T" "$@"
}
log() { cat "$B/rootfs/log/lines"; }
field() { log | awk -v k="$1" -v n="$2" '$1 == k {print $n}'; } # KIND NUMBER

# the specification: poststart is called by start, after the program was executed
@test "the order: prestart, createRuntime, createContainer, startContainer, program, poststart, poststop" {
    config sh -c 'echo program >>/log/lines; sleep 0.3'
    hooks poststop poststart createContainer createRuntime prestart startContainer
    contained 0
    [ "$(log | grep -v poststart | cut -d' ' -f1 | tr '\n' ' ')" = "prestart createRuntime createContainer startContainer program poststop " ]
    [ "$(log | grep -n poststart | cut -d: -f1)" -gt 3 ] # beside the program, which it may precede in the log
    [ "$(log | tail -n 1 | cut -d' ' -f1)" = poststop ]
}

@test "by create, start and delete" {
    known runc 1.1.99 "runs poststart hooks at the end of create"
    config true
    hooks prestart createRuntime createContainer startContainer poststart poststop
    create
    [ "$(log | cut -d' ' -f1 | tr '\n' ' ')" = "prestart createRuntime createContainer " ]
    oci start "$ID"
    until_true has_status stopped
    [ "$(log | cut -d' ' -f1 | sort | tr '\n' ' ')" = "createContainer createRuntime poststart prestart startContainer " ]
    oci delete "$ID"
    [ "$(log | tail -n 1 | cut -d' ' -f1)" = poststop ]
}

@test "namespaces: the runtime's, but createContainer and startContainer have the container's" {
    config true
    hooks prestart createRuntime createContainer startContainer poststart poststop
    contained 0
    for k in prestart createRuntime poststart poststop; do
        [ "$(field $k 4)" = "$(readlink /proc/self/ns/net)" ]
        [ "$(field $k 3)" = "$(field prestart 3)" ]
        [ "$(field $k 5)" = out ]
    done
    for k in createContainer startContainer; do [ "$(field $k 4)" != "$(readlink /proc/self/ns/net)" ]; done
    [ "$(field createContainer 3)" = "$(field startContainer 3)" ]
    # before pivot_root: the path is the runtime's; after it: the container's
    [ "$(field createContainer 5)" = out ]
    [ "$(field startContainer 5)" = in ]
}

@test "the state tells the id and where the container stands" {
    known runc 1.1.99 "runs poststart hooks at the end of create"
    config sleep 0.3
    hooks prestart createRuntime createContainer poststart poststop
    contained 0
    for k in prestart createRuntime createContainer poststart poststop; do [ "$(field $k 6)" = "$ID" ]; done
    [ "$(field poststart 2)" = running ] || [ "$(field poststart 2)" = stopped ]
    [ "$(field poststop 2)" = stopped ]
    for k in createRuntime createContainer; do [[ "$(field $k 2)" == creating || "$(field $k 2)" == created ]]; done
}

@test "several of a kind run in the order of the list" {
    config true
    edit 'c["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "echo %d >>%s/n" % (i, a[0])]} for i in (1, 2, 3)]}' "$T"
    contained 0
    [ "$(tr '\n' ' ' <"$T/n")" = "1 2 3 " ]
}

@test "args and env are the hook's; without env there is none" {
    config true
    edit 'c["hooks"] = {"createRuntime": [{"path": "/usr/bin/env", "env": ["A=b"]}, {"path": "/bin/sh", "args": ["name", "-c", "echo $0 $A. >" + a[0] + "/n"], "env": ["A=c"]}]}' "$T"
    contained 0
    [ "$(cat "$T/n")" = "name c." ]
}

@test "a failing hook before the program ends the creation, with nothing left" {
    for k in prestart createRuntime createContainer startContainer; do
        config sh -c 'echo ran >/log/ran'
        hooks "$k"
        edit 'c["hooks"][a[0]] = [{"path": "/bin/false"}]' "$k"
        contained fails
        [ ! -e "$B/rootfs/log/ran" ]
        nothing_left
    done
}

@test "a failing hook after it is only logged" {
    # "If any poststart hook fails, the runtime MUST log a warning, but the remaining hooks and lifecycle continue as if the hook had succeeded"
    known crun 1.8.99 "goes on without a warning"
    known runc 1.1.99 "a failing poststart hook kills the container"
    config sh -c 'sleep 0.2; exit 3'
    hooks poststart poststop
    edit 'for k in c["hooks"]: c["hooks"][k].insert(0, {"path": "/bin/false"})'
    contained 3
    [[ "$stderr" == */bin/false* ]]
    log | grep -q "^poststart"
    log | grep -q "^poststop"
}

@test "timeout" {
    config true
    edit 'c["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "30"], "timeout": 1}]}'
    began=$(date +%s)
    contained fails
    [ $(($(date +%s) - began)) -lt 20 ]
    # nothing_left
}

@test "paths that are relative, or lead nowhere" {
    # "path (string, REQUIRED) ... this path MUST be absolute"
    config true
    edit 'c["hooks"] = {"createRuntime": [{"path": "/no/such/hook"}]}'
    contained fails
    edit 'c["hooks"] = {"createRuntime": [{"path": "bin/true"}]}'
    contained fails
    nothing_left
}
