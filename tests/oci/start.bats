#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# start: the program of a created container runs.

load oci

@test "start runs the program" {
    config sh -c 'echo ran; sleep 100; :'
    create
    oci start "$ID"
    has_status running
    until_true grep -q ran "$T/out"
    [ "$(tr '\0' ' ' <"/proc/$(pid)/cmdline")" = "sh -c echo ran; sleep 100; : " ]
}

@test "start needs a created container" {
    run oci start no-such-container
    [ "$status" -ne 0 ]
    config sleep 100
    create
    oci start "$ID"
    run oci start "$ID"
    [ "$status" -ne 0 ]
    oci kill "$ID" KILL
    until_true has_status stopped
    run oci start "$ID"
    [ "$status" -ne 0 ]
}

@test "the configuration is what it was when the container was created" {
    config sh -c 'echo old'
    create
    edit 'p["args"] = ["sh", "-c", "echo new"]'
    oci start "$ID"
    until_true has_status stopped
    [ "$(cat "$T/out")" = old ]
}

@test "a container without a program is created but not started" {
    # the specification: process is required when start is called, optional until then
    known runc 1.1.99 "refuses to create it"
    known crun 1.8.99 "refuses to create it"
    known baton 9 "refuses to create it: no engine makes such a container"
    config true
    edit 'del c["process"]'
    create
    run oci start "$ID"
    [ "$status" -ne 0 ]
}
