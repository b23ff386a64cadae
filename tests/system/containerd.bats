#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's containerd with baton in the place of runc: its shim of version 2 and `ctr`, unmodified, with state of our own.
# BATON names another runtime to compare with.

load engine

setup_file() {
    { command -v containerd && command -v ctr; } >/dev/null || skip "no containerd here"
    engine_setup
    local dir=$BATS_FILE_TMPDIR
    cat >"$dir/config.toml" <<C
version = 2
root = "$E/root"
state = "$E/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "$E/containerd.sock"
C
    # ctr asks for CPU shares, always: where the kernel cannot give them, baton is told that limits may be missing
    RUNC=$BATON
    if ! inside grep -qw cpu /sys/fs/cgroup/cgroup.controllers && [ "${BATON##*/}" = baton ]; then
        RUNC=$dir/runtime
        printf '#!/bin/sh\nexec "%s" --cgroup-controllers=optional --log-level=error "$@"\n' "$BATON" >"$RUNC"
        chmod +x "$RUNC"
    fi
    export RUNC
    inside sh -c 'echo $$ >"$0/containerd.pid"; exec containerd --config "$0/config.toml" --log-level warn' "$dir" >"$dir/log" 2>&1 3>&- &
    busybox_root "$dir/rootfs"
    oci_archive "$dir/rootfs" "$dir/image.tar"
    until_true ctr version
    ctr images import --snapshotter native "$dir/image.tar" >/dev/null
}

teardown_file() {
    [ -n "${E_PID:-}" ] || return 0
    kill "$(cat "$BATS_FILE_TMPDIR/containerd.pid")" || true
    engine_teardown
}

setup() { T=$BATS_TEST_TMPDIR; ID=c$BATS_TEST_NUMBER; }

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$BATS_FILE_TMPDIR/log"
    local id
    for id in $(ctr containers list -q); do
        ctr task kill -s KILL -a "$id" >/dev/null 2>&1 || true
        ctr task delete -f "$id" >/dev/null 2>&1 || true
        ctr containers delete "$id" >/dev/null 2>&1 || true
    done
}

ctr() { inside timeout --foreground -k 5 60 ctr --address "$E/containerd.sock" "$@" 3>&- 4>&-; }
create() { ctr run --snapshotter native --runc-binary "$RUNC" --runc-root "$E/runc" "$@"; } # [OPTION …] IMAGE ID [COMMAND …]
one() { create --rm "$@"; }
image=docker.io/library/busybox:test

oci_archive() { # ROOT OUT: an image of one layer, not compressed
    python3 - "$@" <<'P'
import hashlib, json, platform, subprocess, sys, os, tempfile
root, out = sys.argv[1:]
with tempfile.TemporaryDirectory() as d:
    os.makedirs(d + "/blobs/sha256")
    def blob(data, kind):
        digest = hashlib.sha256(data).hexdigest()
        open(d + "/blobs/sha256/" + digest, "wb").write(data)
        return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + digest, "size": len(data)}
    layer = blob(subprocess.check_output(["tar", "-C", root, "-c", "."]), "layer.v1.tar")
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    config = blob(json.dumps({"architecture": arch, "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}).encode(), "config.v1+json")
    manifest = blob(json.dumps({"schemaVersion": 2, "config": config, "layers": [layer]}).encode(), "manifest.v1+json")
    manifest["annotations"] = {"io.containerd.image.name": "docker.io/library/busybox:test"}
    json.dump({"schemaVersion": 2, "manifests": [manifest]}, open(d + "/index.json", "w"))
    json.dump({"imageLayoutVersion": "1.0.0"}, open(d + "/oci-layout", "w"))
    subprocess.check_call(["tar", "-C", d, "-cf", out, "."])
P
}

@test "run: output, errors, exit codes, standard input, environment, errors of the runtime" {
    run -7 --separate-stderr one $image "$ID" sh -c 'echo out; echo err >&2; exit 7'
    [ "$output" = out ]
    [ "$stderr" = err ]
    head -c 300000 /dev/urandom >"$T/random"
    one $image "$ID" cat <"$T/random" >"$T/back"
    cmp "$T/random" "$T/back"
    [ "$(one --env A=b --cwd /etc $image "$ID" sh -c 'echo $A; pwd')" = "b
/etc" ]
    run -1 one $image "$ID" no-such-command
    [[ "$output" == *"OCI runtime create failed"*'exec: "no-such-command": executable file not found in $PATH'* ]]
}

@test "run -t: a terminal" {
    SHELL=/bin/sh run script -qec "$(declare -f ctr inside create one); one -t $image $ID sh -c 'tty; stty size; exit 0'" /dev/null
    [[ "$output" == */dev/pts/0* ]]
}

@test "detached: tasks, exec, processes, pause, kill, delete" {
    create -d $image "$ID" sh -c 'trap "exit 5" TERM; while :; do sleep 0.05; done'
    [[ "$(ctr tasks list)" == *"$ID"*RUNNING* ]]
    pid=$(ctr tasks list | awk -v id="$ID" '$1 == id {print $2}')
    [[ "$(tr '\0' ' ' <"/proc/$pid/cmdline")" == sh* ]]
    run -4 --separate-stderr ctr task exec --exec-id one --cwd /etc --user 1000 "$ID" sh -c 'pwd; id -u; echo err >&2; exit 4'
    [ "$output" = "/etc
1000" ]
    [ "$stderr" = err ]
    [ "$(echo typed | ctr task exec --exec-id two "$ID" cat)" = typed ]
    ctr task exec -d --exec-id three "$ID" sleep 1000
    [ "$(ctr task ps "$ID" | grep -c "^[0-9]")" -ge 2 ]
    ctr task pause "$ID"
    [[ "$(ctr tasks list)" == *"$ID"*PAUSED* ]]
    ctr task resume "$ID"
    [[ "$(ctr tasks list)" == *"$ID"*RUNNING* ]]
    ctr task kill "$ID"
    stopped() { [[ "$(ctr tasks list)" == *"$ID"*STOPPED* ]]; }
    until_true stopped
    run ctr task delete "$ID"
    [[ "$output" == *"exit with non-zero exit code 5"* ]]
    [ ! -e "/proc/$pid" ]
}

@test "what the shim asks for beside: mounts, read-only root, capabilities, seccomp, devices, host network" {
    mkdir "$T/vol"
    echo text >"$T/vol/file"
    run -0 --separate-stderr one --read-only --seccomp --net-host --cap-add CAP_SYS_TIME --device /dev/zero \
        --mount "type=bind,src=$T/vol,dst=/vol,options=rbind:ro" $image "$ID" \
        sh -c 'cat /vol/file; touch /vol/x /x; grep -E "Seccomp:|NoNew" /proc/self/status; stat -c %t:%T /dev/zero; readlink /proc/self/ns/net'
    [ "$(grep -c 'ead-only' <<<"$stderr")" = 2 ]
    [ "$output" = "text
NoNewPrivs:	1
Seccomp:	2
1:5
$(readlink /proc/self/ns/net)" ]
}

@test "events say what happened" {
    inside sh -c 'echo $$ >"$0/pid"; exec ctr --address "$1" events' "$T" "$E/containerd.sock" >"$T/events" 3>&- 4>&- &
    # the stream has begun when it tells of a name that is made again and again
    listens() { ctr namespaces create "n$RANDOM" && [ -s "$T/events" ]; }
    until_true listens
    one $image "$ID" true
    for e in create start exit delete; do until_true grep -q "/tasks/$e.*$ID" "$T/events"; done
    kill "$(cat "$T/pid")"
}

@test "nothing is left" {
    one $image "$ID" true
    # but for filters, which are kept for the next containers
    [ -z "$(inside find "$E/runc/default" -mindepth 1 -not -path '*/.*')" ]
    [ -z "$(inside find /sys/fs/cgroup/default -mindepth 1 -type d 2>/dev/null)" ]
    [ -z "$(ctr tasks list -q)" ]
}
