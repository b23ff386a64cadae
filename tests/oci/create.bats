#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# create: the container is there, its process waits; the options engines pass.

load oci

@test "create makes everything and does not run the program" {
    config sh -c 'echo ran >/ran'
    create
    has_status created
    [ -d "/proc/$(pid)" ]
    [ ! -e "$B/rootfs/ran" ]
    [ "$(oci state "$ID" | value 'd["pid"]')" = "$(pid)" ]
}

@test "the process id file holds the number alone" {
    config true
    create
    [[ "$(cat "$T/pid")" =~ ^[0-9]+$ ]]
    [ "$(wc -c <"$T/pid")" -le 11 ]
}

@test "an id is used once" {
    config true
    create
    run -1 oci create -b "$B" "$ID" </dev/null
    [[ "$output" == *exist* ]]
    has_status created
}

@test "the namespaces are there before start" {
    config true
    create
    for n in pid net ipc uts mnt; do [ "$(readlink "/proc/$(pid)/ns/$n")" != "$(readlink "/proc/self/ns/$n")" ]; done
}

@test "the bundle is the working folder when none is given" {
    config echo here
    run -0 --separate-stderr sh -c 'cd "$1" && exec "$2" "$3" --root "$4" run "$5" </dev/null' sh "$B" "$VIEW" "$RUNTIME" "$T/state" "$ID"
    [ "$output" = here ]
}

@test "ids: what is no name of one folder is refused" {
    config true
    for id in ../evil a/b "" .. "$(printf 'a%.0s' $(seq 2000))"; do
        run oci run -b "$B" "$id" </dev/null
        [ "$status" -ne 0 ]
    done
    [ ! -e "$T/evil" ]
    nothing_left
}

@test "ids with the characters engines use" {
    config true
    for id in "a.b_c-d+e" 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef "0.1"; do
        run -0 oci run -b "$B" "oci$$$id" </dev/null
    done
}

@test "config.json that is missing, no JSON, or no configuration" {
    config true
    mv "$B/config.json" "$T/kept"
    contained fails
    [[ "$stderr" == *config.json* ]]
    echo '{"ociVersion": ' >"$B/config.json"
    contained fails
    nothing_left
    contained fails
    nothing_left
}

@test "preserved descriptors reach the program, others do not" {
    config sh -c 'cat <&3; for f in /proc/self/fd/*; do echo ${f##*/}; done | tr "\n" " "'
    echo three >"$T/three"
    run -0 --separate-stderr "$VIEW" sh -c "exec '$RUNTIME' --root '$T/state' run --preserve-fds 1 -b '$B' '$ID' 3<'$T/three' 7</ 9</ </dev/null"
    [ "${lines[0]}" = three ]
    [[ "${lines[1]}" != *7* && "${lines[1]}" != *9* ]]
}

@test "a failed creation leaves nothing" {
    config true
    edit 'm.append({"destination": "/t", "type": "no-such-file-system", "source": "t"})'
    contained fails
    nothing_left
    config no-such-program
    contained fails
    nothing_left
}
