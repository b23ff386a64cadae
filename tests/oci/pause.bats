#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# pause and resume: all processes stand still.

load oci

counter() {
    config sh -c 'i=0; while :; do i=$((i + 1)); echo $i >/n; sleep 0.01; done'
    detached
    until_true test -s "$B/rootfs/n"
}

@test "nothing moves while it is paused, all goes on after" {
    counter
    oci pause "$ID"
    has_status paused
    n=$(cat "$B/rootfs/n")
    sleep 0.15
    [ "$(cat "$B/rootfs/n")" = "$n" ]
    oci resume "$ID"
    has_status running
    moves() { [ "$(cat "$B/rootfs/n")" != "$n" ]; }
    until_true moves
}

@test "pause needs a running container" {
    run oci pause no-such-container
    [ "$status" -ne 0 ]
    run oci resume no-such-container
    [ "$status" -ne 0 ]
    config true
    detached
    until_true has_status stopped
    run oci pause "$ID"
    [ "$status" -ne 0 ]
}

@test "a running container is not resumed" {
    known crun 1.8.99 "says nothing"
    counter
    run oci resume "$ID"
    [ "$status" -ne 0 ]
}

@test "exec into a paused container is refused" {
    counter
    oci pause "$ID"
    run oci exec "$ID" true
    [ "$status" -ne 0 ]
    oci resume "$ID"
    oci exec "$ID" true
}

@test "a signal to a paused container waits" {
    counter
    oci pause "$ID"
    oci kill "$ID" TERM
    has_status paused
    oci resume "$ID"
}
