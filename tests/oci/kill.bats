#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# kill: signals by name and number, to one process or all.

load oci

trapper() {
    config sh -c 'for s in TERM HUP USR1 USR2 INT; do trap "echo got $s" $s; done; echo ready; while :; do sleep 0.02; done'
    detached
    until_true grep -q ready "$T/out"
}

@test "signals by name, with and without SIG, by number; TERM by default" {
    trapper
    for s in USR1 SIGUSR2 1 INT; do oci kill "$ID" $s; done
    for s in USR1 USR2 HUP INT; do until_true grep -q "got $s" "$T/out"; done
    ! grep -q "got TERM" "$T/out" || false
    oci kill "$ID"
    until_true grep -q "got TERM" "$T/out"
    has_status running
}

@test "what is no signal is refused" {
    known crun 1.8.99 "takes any number"
    trapper
    for s in NOSUCH SIGNOSUCH 999; do
        run oci kill "$ID" "$s"
        [ "$status" -ne 0 ]
    done
    has_status running
}

@test "real-time signals" {
    known runc 1.1.99 "knows no real-time signals by name"
    config sh -c 'trap "echo got" 35; echo ready; while :; do sleep 0.02; done' # the C library's first is 34
    detached
    until_true grep -q ready "$T/out"
    oci kill "$ID" SIGRTMIN+1
    until_true grep -q got "$T/out"
}

@test "a created container can be killed" {
    config sleep 100
    create
    oci kill "$ID" KILL
    until_true has_status stopped
}

@test "a stopped or missing container cannot" {
    config true
    detached
    until_true has_status stopped
    run oci kill "$ID" TERM
    [ "$status" -ne 0 ]
    # the words engines look for
    [[ "$output" == *"not running"* || "$output" == *"process not found"* || "$output" == *"o such process"* ]]
    run oci kill no-such-container TERM
    [ "$status" -ne 0 ]
}

@test "--all reaches every process" {
    config sh -c 'sleep 2000 & sleep 2000 & echo ready; wait; echo waited'
    edit 'without("pid")'
    detached
    until_true grep -q ready "$T/out"
    oci kill --all "$ID" KILL
    until_true has_status stopped
    ! grep -q waited "$T/out" || false
}
