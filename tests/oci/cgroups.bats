#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# linux.cgroupsPath, linux.resources, update, events: the container's group.

load oci

groups() { "$VIEW" sh -c "$1"; }
has_controller() { "$VIEW" grep -qw "$1" /sys/fs/cgroup/cgroup.controllers; }

@test "cgroupsPath is where the group is made; an absolute one is of the hierarchy's root" {
    config sleep 1000
    edit 'l["cgroupsPath"] = "/oci-own/" + a[0]' "$ID"
    detached
    [ "$("$VIEW" cat "/sys/fs/cgroup/oci-own/$ID/cgroup.procs" | grep -c "^$(pid)$")" = 1 ] || [[ "$(grep ^0:: "/proc/$(pid)/cgroup")" == "0::/oci-own/$ID"* ]]
    oci delete --force "$ID"
    [ ! -e "/sys/fs/cgroup/unified/oci-own/$ID" ]
    groups "rmdir /sys/fs/cgroup/oci-own 2>/dev/null" || true
}

@test "without cgroupsPath there is a group of its own" {
    config sleep 1000
    detached
    [ "$(grep ^0:: "/proc/$(pid)/cgroup")" != "$(grep ^0:: /proc/self/cgroup)" ]
    [[ "$(grep ^0:: "/proc/$(pid)/cgroup")" == *"$ID"* ]]
    oci delete --force "$ID"
    nothing_left
}

@test "groups are removed with the container, those the container made, too" {
    config sh -c 'mkdir -p /sys/fs/cgroup/one/two && echo made; exec sleep 1000'
    edit 'm.append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]})'
    detached
    until_true grep -q made "$T/out"
    oci delete --force "$ID"
    nothing_left
}

@test "memory and pids limits" {
    has_controller memory && has_controller pids || skip "no memory or pids controller in version 2 here"
    config cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/memory.low
    edit 'm.append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]})
l["resources"] = {"memory": {"limit": 67108864, "reservation": 33554432}, "pids": {"limit": 50}}'
    contained 0
    [ "$output" = "67108864
50
33554432" ]
}

@test "cpu: shares as weight, quota, period" {
    has_controller cpu || skip "no cpu controller in version 2 here"
    config cat /sys/fs/cgroup/cpu.weight /sys/fs/cgroup/cpu.max
    edit 'm.append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]})
l["resources"] = {"cpu": {"shares": 1024, "quota": 50000, "period": 100000}}'
    contained 0
    [ "${lines[0]}" -ge 39 ] && [ "${lines[0]}" -le 100 ] # newer runtimes map 1024 to 100
    [ "${lines[1]}" = "50000 100000" ]
}

@test "unified: files by their own names; what is no file is an error" {
    has_controller memory || skip "no memory controller in version 2 here"
    config cat /sys/fs/cgroup/memory.high
    edit 'm.append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]})
l["resources"] = {"unified": {"memory.high": "33554432"}}'
    contained 0
    [ "$output" = 33554432 ]
    edit 'l["resources"] = {"unified": {"no.such.file": "1"}}'
    contained fails
}

@test "a limit whose controller is missing is an error, not silence" {
    ! has_controller memory || skip "the controllers are there"
    config true
    edit 'l["resources"] = {"memory": {"limit": 67108864}}'
    contained fails
    [[ "$stderr" == *memory* ]]
}

@test "update: limits of a running container" {
    run oci update --pids-limit 5 no-such-container
    [ "$status" -ne 0 ]
    has_controller pids && has_controller memory || skip "no memory or pids controller in version 2 here"
    config sleep 1000
    detached
    group=/sys/fs/cgroup$(grep ^0:: "/proc/$(pid)/cgroup" | cut -d: -f3)
    oci update --pids-limit 42 --memory 67108864 "$ID"
    [ "$(groups "cat $group/pids.max $group/memory.max" | tr '\n' ' ')" = "42 67108864 " ]
    echo '{"pids": {"limit": 43}}' | oci update -r - "$ID"
    [ "$(groups "cat $group/pids.max $group/memory.max" | tr '\n' ' ')" = "43 67108864 " ]
}

@test "events --stats: the figures as one line of JSON" {
    known crun 9 "has no events"
    config sleep 1000
    detached
    [ "$(oci events --stats "$ID" | value 'd["type"], d["id"], d["data"]["cpu"]["usage"]["total"] > 0, "memory" in d["data"], "pids" in d["data"]')" = "('stats', '$ID', True, True, True)" ]
    run oci events --stats no-such-container
    [ "$status" -ne 0 ]
}
