#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# run: create, start, wait and delete in one.

load oci

@test "the exit code is the program's; output and errors are apart; nothing is left" {
    config sh -c 'echo out; echo err >&2; exit 7'
    contained 7
    [ "$output" = out ]
    [ "$stderr" = err ]
    nothing_left
}

@test "a program ended by a signal gives 128 and its number" {
    config sleep 1000
    oci run -b "$B" --pid-file "$T/pid" "$ID" </dev/null >"$T/out" 2>&1 3>&- 4>&- &
    until_true test -s "$T/pid"
    until_true has_status running
    oci kill "$ID" KILL
    code=0
    wait $! || code=$?
    [ "$code" = 137 ]
}

@test "standard input reaches the program" {
    config cat
    head -c 200000 /dev/urandom >"$T/random"
    oci run -b "$B" "$ID" <"$T/random" >"$T/back" 3>&-
    cmp "$T/random" "$T/back"
}

@test "signals to the runtime reach the program" {
    config sh -c 'trap "exit 42" TERM; echo ready; while :; do sleep 0.05; done'
    "$VIEW" "$RUNTIME" --root "$T/state" run -b "$B" "$ID" </dev/null >"$T/out" 2>&1 3>&- 4>&- &
    pid=$!
    until_true grep -q ready "$T/out"
    kill -TERM $pid
    code=0
    wait $pid || code=$?
    [ "$code" = 42 ]
    nothing_left
}

@test "run -d returns while the program runs, and keeps its streams" {
    config sh -c 'echo begun; sleep 0.1; echo later; sleep 1000'
    detached
    has_status running
    until_true grep -q later "$T/out"
}

@test "processes in the background end with the container" {
    config sh -c "sleep $((1000000 + $$)) & echo started"
    contained 0
    ! pgrep -f "sleep $((1000000 + $$))" || false
    nothing_left
}

@test "a program that does not exist, is no program, or has no interpreter" {
    config no-such-command
    contained fails
    [[ "$stderr" == *no-such-command*"not found in \$PATH"* ]]
    config /no/such/file
    contained fails
    [[ "$stderr" == *"no such file or directory"* || "$stderr" == *"No such file or directory"* ]]
    echo text >"$B/rootfs/bin/plain"
    config /bin/plain
    contained fails
    [[ "$stderr" == *"ermission denied"* ]]
    printf '#!/no/interpreter\n' >"$B/rootfs/bin/script"
    chmod +x "$B/rootfs/bin/script"
    config script
    contained fails
    nothing_left
}
