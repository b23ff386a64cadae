#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# linux.uidMappings, gidMappings: user namespaces.

load oci

mapped() {
    config "$@"
    open_bundle
    chown -R 100000:200000 "$OPEN/rootfs"
    edit 'l["namespaces"].append({"type": "user"}); l["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 1000}]
l["gidMappings"] = [{"containerID": 0, "hostID": 200000, "size": 1000}]'
}

@test "the maps are what they are told to be; files have the mapped owner" {
    mapped sh -c 'id -u; cat /proc/self/uid_map /proc/self/gid_map; touch /made; stat -c %u:%g /made /dev/null; echo x >/dev/null && echo null'
    contained 0
    [ "$(tr -s ' ' <<<"$output")" = "0
 0 100000 1000
 0 200000 1000
0:0
65534:65534
null" ] || [ "$(tr -s ' ' <<<"$output")" = "0
 0 100000 1000
 0 200000 1000
0:0
0:0
null" ]
    [ "$(stat -c %u:%g "$OPEN/rootfs/made")" = 100000:200000 ]
    nothing_left
}

@test "several ranges, and users above zero" {
    mapped sh -c 'id -u; grep -c . /proc/self/uid_map'
    edit 'l["uidMappings"].append({"containerID": 5000, "hostID": 7000, "size": 10}); p["user"] = {"uid": 5003, "gid": 4}'
    contained 0
    [ "$output" = "5003
2" ]
}

@test "exec is in the user namespace" {
    mapped sleep 1000
    detached
    [ "$(oci exec "$ID" readlink /proc/self/ns/user)" = "$(readlink "/proc/$(pid)/ns/user")" ]
    [ "$(oci exec "$ID" id -u)" = 0 ]
    [ "$(stat -c %u "/proc/$(pid)")" = 100000 ]
}

@test "the capabilities are those of the namespace, not of the host" {
    mapped sh -c 'hostname changed && hostname; mknod /n c 1 3'
    edit 'for s in ("bounding", "effective", "permitted"): p["capabilities"][s] = ["CAP_SYS_ADMIN", "CAP_MKNOD"]'
    contained 1
    [ "$output" = changed ]
    [[ "$stderr" == *"not permitted"* ]]
}

@test "mappings without a namespace, and a namespace without mappings" {
    config true
    edit 'l["uidMappings"] = l["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 1000}]'
    known crun 9 "ignores mappings without a namespace"
    known runc 9 "ignores mappings without a namespace"
    contained fails
    nothing_left
}

@test "a user whom the maps do not have" {
    mapped true
    edit 'p["user"]["uid"] = 5000'
    contained fails
    nothing_left
}

@test "joined by path" {
    mapped sleep 1000
    detached
    edit 'without("user"); l["namespaces"].append({"type": "user", "path": "/proc/" + a[0] + "/ns/user"}); p["args"] = ["readlink", "/proc/self/ns/user"]; del l["uidMappings"]; del l["gidMappings"]' "$(pid)"
    known runc 1.1.99 "wants the mappings, too (from 1.2 on it does not)"
    run -0 --separate-stderr oci run -b "$B" "$ID-2" </dev/null
    [ "$output" = "$(readlink "/proc/$(pid)/ns/user")" ]
}
