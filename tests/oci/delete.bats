#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# delete: what was made is unmade.

load oci

@test "a stopped container is deleted, and its name free again" {
    config true
    detached
    until_true has_status stopped
    oci delete "$ID"
    run oci state "$ID"
    [ "$status" -ne 0 ]
    nothing_left
    detached
    until_true has_status stopped
}

@test "a running container is not deleted without --force" {
    config sleep 1000
    detached
    run oci delete "$ID"
    [ "$status" -ne 0 ]
    has_status running
    oci delete --force "$ID"
    until_true ended "$(pid)"
    nothing_left
}

@test "a created container is deleted by --force, its process gone" {
    config sleep 1000
    create
    oci delete --force "$ID"
    until_true ended "$(pid)"
    nothing_left
}

@test "missing containers: an error, with --force none" {
    run oci delete no-such-container
    [ "$status" -ne 0 ]
    oci delete --force no-such-container
}

@test "a paused container is deleted by --force" {
    config sleep 1000
    detached
    oci pause "$ID"
    oci delete --force "$ID"
    until_true ended "$(pid)"
    nothing_left
}

@test "processes left in the container's group do not outlive it" {
    known runc 1.1.99 "leaves them, and its group, where no pid namespace ends them"
    config sh -c 'echo ready; sleep 100000 & sleep 100000 & exec true'
    edit 'without("pid")'
    detached
    until_true has_status stopped
    oci delete --force "$ID"
    nothing_left
}

@test "the bundle stays as it is" {
    config true
    files() { (cd "$B" && find . -type f -exec sha256sum {} + | sort); }
    files >"$T/before"
    contained 0
    cmp "$T/before" <(files)
    [ -x "$B/rootfs/bin/busybox" ]
}
