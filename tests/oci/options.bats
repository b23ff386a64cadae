#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# global options, spec, features: what engines ask before they begin.

load oci

@test "--version: name and version, and that of the specification" {
    run -0 "$RUNTIME" --version
    [[ "${lines[0]}" =~ ^[a-z]+\ version\ [0-9] ]]
    [[ "$output" == *"spec: 1."* ]]
}

@test "--log and --log-format json: a line with level and msg for each error" {
    config no-such-program
    run "$VIEW" "$RUNTIME" --root "$T/state" --log "$T/log" --log-format json run -b "$B" "$ID" </dev/null
    [ "$status" -ne 0 ]
    [ "$(tail -n 1 "$T/log" | value 'd["level"], "no-such-program" in d["msg"], "time" in d')" = "('error', True, True)" ]
}

@test "--log in text" {
    config no-such-program
    run "$VIEW" "$RUNTIME" --root "$T/state" --log "$T/log" --log-format text run -b "$B" "$ID" </dev/null
    [ "$status" -ne 0 ]
    grep -q no-such-program "$T/log"
}

@test "--debug, and options that are unknown" {
    config true
    "$VIEW" "$RUNTIME" --debug --log "$T/log" --root "$T/state" run -b "$B" "$ID" </dev/null
    run "$RUNTIME" --no-such-option list
    [ "$status" -ne 0 ]
    run "$RUNTIME" no-such-verb
    [ "$status" -ne 0 ]
    run oci create
    [ "$status" -ne 0 ]
}

@test "spec writes a config.json that runs" {
    mkdir "$T/new"
    (cd "$T/new" && "$RUNTIME" spec)
    mv "$T/new/config.json" "$B/"
    edit 'p["terminal"] = False; p["args"] = ["echo", "hello"]; c["linux"].pop("resources", None)'
    contained 0
    [ "$output" = hello ]
    # an existing one stays
    cp "$B/config.json" "$T/new/"
    run sh -c 'cd "$1" && "$2" spec' sh "$T/new" "$RUNTIME"
    [ "$status" -ne 0 ]
    cmp "$B/config.json" "$T/new/config.json"
}

@test "features: the document of the specification" {
    known crun 1.8.5 "has none (from 1.8.6 on)"
    "$RUNTIME" features >"$T/features"
    python3 -IS -c 'import json, sys
f = json.load(open(sys.argv[1]))
assert f["ociVersionMin"].startswith("1.0") and f["ociVersionMax"].startswith("1.")
assert {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"} <= set(f["hooks"])
assert {"ro", "rw", "nosuid", "bind", "rbind", "rprivate"} <= set(f["mountOptions"])
l = f["linux"]
assert {"pid", "network", "mount", "uts", "ipc", "user", "cgroup"} <= set(l["namespaces"])
assert "CAP_SYS_ADMIN" in l["capabilities"]
assert l["cgroup"]["v2"] is True
assert l["seccomp"]["enabled"] is True and "SCMP_ACT_ERRNO" in l["seccomp"]["actions"]' "$T/features"
}

@test "an ociVersion that is no version, or one of a later kind" {
    config true
    edit 'c["ociVersion"] = "2.0.0"'
    known runc 9 "does not look"
    contained fails
}

@test "properties nobody knows are ignored" {
    # "Runtimes MUST ignore unknown properties": compatibility with later versions
    config echo fine
    edit 'c["x-unknown"] = {"a": 1}; p["x-unknown"] = []; l["x-unknown"] = True'
    contained 0
    [ "$output" = fine ]
}

@test "values of the wrong type are errors" {
    for bad in 'p["args"] = "true"' 'p["user"]["uid"] = "root"' 'c["mounts"] = {}' 'p["env"] = [1]' 'l["namespaces"] = "pid"' 'c["root"]["path"] = 5'; do
        config true
        edit "$bad"
        [ "$NAME" = crun ] && [[ "$bad" == *'env'* || "$bad" == *'"root"'* || "$bad" == *mounts* || "$bad" == *namespaces* ]] && continue # ignores some
        contained fails
    done
    nothing_left
}
