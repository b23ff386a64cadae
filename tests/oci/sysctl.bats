#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# linux.sysctl: settings of the container's namespaces.

load oci

@test "settings of the ipc, network and uts namespaces" {
    config cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward /proc/sys/fs/mqueue/msg_max
    before=$(cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward)
    edit 'l["sysctl"] = {"kernel.msgmax": "4321", "net.ipv4.ip_forward": "1", "fs.mqueue.msg_max": "17"}'
    contained 0
    [ "$output" = "4321
1
17" ]
    [ "$(cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward)" = "$before" ]
}

@test "names with slashes" {
    config cat /proc/sys/kernel/msgmax
    edit 'l["sysctl"] = {"kernel/msgmax": "4321"}'
    contained 0
    [ "$output" = 4321 ]
}

@test "a setting of the host is refused" {
    # each is set to what it is: should the refusal be missing, the host is as before
    for key in kernel.core_pattern vm.swappiness fs.file-max; do
        config true
        edit 'l["sysctl"] = {a[0]: a[1]}' "$key" "$(cat "/proc/sys/${key//.//}")"
        contained fails
    done
}

@test "a setting of a namespace that is not the container's own is refused" {
    config true
    edit 'without("network"); c["mounts"] = [x for x in m if x["destination"] != "/sys"]; l["sysctl"] = {"net.ipv4.ip_forward": a[0]}' "$(cat /proc/sys/net/ipv4/ip_forward)"
    contained fails
}

@test "a value the kernel does not take, a setting it does not have" {
    config true
    edit 'l["sysctl"] = {"kernel.msgmax": "many"}'
    contained fails
    edit 'l["sysctl"] = {"net.ipv4.no_such_setting": "1"}'
    contained fails
    nothing_left
}
