#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# linux.namespaces: new ones, those of others by path, none.

load oci

@test "each that is listed is new, each that is not is the runtime's" {
    config sh -c 'for n in pid net ipc uts mnt; do readlink /proc/self/ns/$n; done'
    contained 0
    for n in pid net ipc uts mnt; do [[ "$output" != *"$(readlink /proc/self/ns/$n)"* ]]; done
    edit 'for k in ("network", "ipc", "uts", "pid"): without(k)
del c["hostname"]; c["mounts"] = [x for x in m if x["destination"] not in ("/sys", "/dev/mqueue")]'
    contained 0
    for n in pid net ipc uts; do [[ "$output" == *"$(readlink /proc/self/ns/$n)"* ]]; done
}

@test "joined by path" {
    config sleep 1000
    detached
    host=$(pid)
    config sh -c 'for n in pid net ipc uts; do readlink /proc/self/ns/$n; done'
    edit 'names = {"network": "net", "pid": "pid", "ipc": "ipc", "uts": "uts"}
for n in l["namespaces"]:
    if n["type"] in names: n["path"] = "/proc/" + a[0] + "/ns/" + names[n["type"]]
del c["hostname"]' "$host"
    run -0 --separate-stderr oci run -b "$B" "$ID-2" </dev/null
    [ "$output" = "$(for n in pid net ipc uts; do readlink "/proc/$host/ns/$n"; done)" ]
}

@test "the same kind twice is an error" {
    # "If a namespaces field contains duplicated namespaces with same type, the runtime MUST generate an error."
    known crun 1.8.99 "takes it"
    config true
    edit 'l["namespaces"].append({"type": "pid"})'
    contained fails
    nothing_left
}

@test "bad lists: unknown kinds, paths that are none" {
    for bad in 'l["namespaces"].append({"type": "nosuch"})' \
        'without("network"); l["namespaces"].append({"type": "network", "path": "/etc/passwd"})' \
        'without("network"); l["namespaces"].append({"type": "network", "path": "/no/such/file"})' \
        'without("ipc"); l["namespaces"].append({"type": "ipc", "path": "/proc/self/ns/net"})'; do
        config true
        edit "$bad"
        contained fails
    done
}

@test "the first process of a new pid namespace is number 1 and sees nothing else" {
    config sh -c 'echo $$; ls /proc | grep -c "^[0-9]"'
    contained 0
    [ "${lines[0]}" = 1 ]
    [ "${lines[1]}" -le 3 ]
}

@test "a new network namespace has a loopback device that is up" {
    # the specification says nothing; runc and crun do it
    config sh -c 'ip -o addr show lo; ls /sys/class/net'
    contained 0
    [[ "$output" == *127.0.0.1/8* ]]
    [ "${lines[-1]}" = lo ]
}

@test "a cgroup namespace begins at the container's group" {
    config grep ^0:: /proc/self/cgroup
    contained 0
    [ "$output" = 0::/ ]
    edit 'without("cgroup")'
    contained 0
    [[ "$output" == 0::/*"$ID"* ]]
}

@test "time namespaces with offsets" {
    known runc 1.1.99 "has none (from 1.2 on)"
    known crun 1.8.99 "fails to set the offsets here"
    config cut -d. -f1 /proc/uptime
    edit 'l["namespaces"].append({"type": "time"}); l["timeOffsets"] = {"boottime": {"secs": 5000000}, "monotonic": {"secs": 1000000}}'
    contained 0
    [ "$output" -ge 5000000 ]
}

@test "hostname and domainname" {
    config sh -c 'hostname; cat /proc/sys/kernel/domainname'
    edit 'c["hostname"] = "inside.example"'
    contained 0
    [ "${lines[0]}" = inside.example ]
    [ "$(hostname)" != inside.example ]
}

@test "domainname" {
    known runc 1.1.99 "ignores it (from 1.2 on)"
    config cat /proc/sys/kernel/domainname
    edit 'c["domainname"] = "example.org"'
    contained 0
    [ "$output" = example.org ]
}

@test "hostname without a namespace of its own is an error" {
    # it would change the host's
    config true
    edit 'without("uts"); c["hostname"] = a[0]' "$(hostname)"
    contained fails
    nothing_left
}
