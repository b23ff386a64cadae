#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# state: the document of the specification (1.2, "State").

load oci

@test "the fields, their types and values" {
    config sleep 1000
    edit 'c["annotations"] = {"org.example.key": "value", "empty": ""}'
    detached
    oci state "$ID" >"$T/state.json"
    python3 -IS -c 'import json, sys
d = json.load(open(sys.argv[1]))
assert d["id"] == sys.argv[2]
assert d["bundle"] == sys.argv[3], d["bundle"]
assert d["status"] == "running"
assert d["pid"] == int(sys.argv[4])
assert d["ociVersion"].count(".") == 2
assert d["annotations"] == {"org.example.key": "value", "empty": ""}, d["annotations"]' "$T/state.json" "$ID" "$B" "$(pid)"
}

@test "status: created, running, stopped; the process id is told while there is one" {
    config sleep 1000
    create
    has_status created
    [ "$(oci state "$ID" | value 'd["pid"]')" = "$(pid)" ]
    oci start "$ID"
    has_status running
    oci kill "$ID" KILL
    until_true has_status stopped
    [ "$(oci state "$ID" | value 'd.get("pid", 0)')" = 0 ]
}

@test "a container that ended by itself is stopped" {
    config true
    detached
    until_true has_status stopped
}

@test "a container that does not exist is an error" {
    run --separate-stderr oci state no-such-container
    [ "$status" -ne 0 ]
    [ -z "$output" ]
    [ -n "$stderr" ]
    run oci state
    [ "$status" -ne 0 ]
}

@test "the bundle is told with its absolute path" {
    config sleep 1000
    (cd "$T" && oci create -b b "$ID" </dev/null >"$T/out" 2>&1 3>&- 4>&-)
    [ "$(oci state "$ID" | value 'd["bundle"]')" = "$B" ]
}

@test "the state folder is private to its root" {
    config sleep 1000
    detached
    run "$VIEW" "$RUNTIME" --root "$T/other" state "$ID"
    [ "$status" -ne 0 ]
    [ "$(oci list -q)" = "$ID" ]
    [ -z "$("$VIEW" "$RUNTIME" --root "$T/other" list -q)" ]
}
