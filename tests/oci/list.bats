#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# list and ps: what there is, for people and for programs.

load oci

@test "list: a table, names alone, JSON" {
    config sleep 1000
    [ -z "$(oci list -q)" ]
    detached
    [ "$(oci list -q)" = "$ID" ]
    oci list | head -n 1 | grep -qE '(ID|NAME) .*PID.*STATUS.*BUNDLE'
    oci list | grep "$ID" | grep -q "$(pid).*running.*$B"
    [ "$(oci list -f json | value 'd[0]["id"], d[0]["pid"], d[0]["status"], d[0]["bundle"]')" = "('$ID', $(pid), 'running', '$B')" ]
}

@test "list of nothing is an empty table, and JSON all the same" {
    known runc 1.1.99 "writes null"
    [ "$(oci list -f json | value 'd')" = "[]" ]
}

@test "ps: the processes of the container, as the host numbers them" {
    config sh -c 'sleep 1000 & echo ready; wait'
    detached
    until_true grep -q ready "$T/out"
    [ "$(oci ps -f json "$ID" | value 'len(d)')" = 2 ]
    [ "$(oci ps -f json "$ID" | value "$(pid) in d")" = True ]
    run oci ps no-such-container
    [ "$status" -ne 0 ]
}
