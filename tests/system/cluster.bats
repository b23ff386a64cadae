#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs alone: counts what stays on the host, with clusters of two names.
# A local cluster comes from nothing and goes without a trace.

load harness

setup_file() {
    system_setup
    image_setup
    host_state >"$T/host.before"
}
teardown_file() {
    [ -n "${T:-}" ] || return 0
    for d in "$DIR" "$T/second"; do
        [ ! -e "$d" ] || "$BIN/podium" down --name "$(basename "$d" | sed "s/second/${CLUSTER}b/")" --dir "$d" 3>&- >&2
    done
}
teardown() { cluster_report; }

up() { "$BIN/podium" up --name "$CLUSTER" --dir "$DIR" --manifests "$MANIFESTS" "$@" 3>&-; }

@test "two nodes come up and are Ready" {
    run up --nodes 2
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"export KUBECONFIG=$DIR/kubeconfig"* ]]
    run kube get nodes --no-headers
    [ "${#lines[@]}" -eq 2 ]
    [[ "${lines[0]}" =~ ^podium-1\ +Ready\  ]]
    [[ "${lines[1]}" =~ ^podium-2\ +Ready\  ]]
    [ "$(stat -c %a "$DIR/kubeconfig")" = 600 ]
}

@test "a node is a machine of its own: systemd is PID 1, its name, its network" {
    for n in 1 2; do
        [ "$(on_node $n cat /proc/1/comm)" = systemd ]
        [ "$(on_node $n hostname)" = podium-$n ]
        [ "$(on_node $n systemctl is-active podium-agent)" = active ]
        [ -z "$(on_node $n systemctl list-units --failed --plain --no-legend)" ]
    done
    [ "$(on_node 1 systemctl is-active podium-server)" = active ]
    [ "$(on_node 2 systemctl is-active podium-server)" != active ]
    [ "$(on_node 1 readlink /proc/1/ns/net)" != "$(readlink /proc/self/ns/net)" ]
}

@test "a node cannot change the host" {
    run on_node 1 sh -c 'echo x >/proc/sys/kernel/core_pattern'
    [ "$status" -ne 0 ]
    run on_node 1 sh -c 'echo x >/proc/sysrq-trigger'
    [ "$status" -ne 0 ]
    on_node 1 touch /etc/podium-was-here
    [ ! -e /etc/podium-was-here ]
    run on_node 1 sh -c 'grep -E "^Cap(Eff|Bnd)" /proc/self/status'
    # CAP_SYS_MODULE 16, CAP_SYS_RAWIO 17, CAP_SYS_TIME 25
    for line in "${lines[@]}"; do [ $((0x${line##*[[:space:]]} & (1 << 16 | 1 << 17 | 1 << 25))) -eq 0 ]; done
}

@test "up of a cluster that is up changes nothing and ends well" {
    local before
    before=$(on_node 1 cat /proc/1/stat | cut -d' ' -f22)
    run up --nodes 2
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(on_node 1 cat /proc/1/stat | cut -d' ' -f22)" = "$before" ]
    run kube get nodes -o name
    [ "${#lines[@]}" -eq 2 ]
}

@test "a second cluster beside it: other addresses, nothing shared" {
    "$BIN/podium" up --name "${CLUSTER}b" --dir "$T/second" --manifests "$T/manifests-b" 3>&-
    kube create configmap only-in-the-first
    run kube --kubeconfig "$T/second/kubeconfig" get configmap only-in-the-first
    [ "$status" -ne 0 ]
    [[ "$output" == *NotFound* ]]
    run kube --kubeconfig "$T/second/kubeconfig" get nodes --no-headers
    [ "${#lines[@]}" -eq 1 ]
    # one's administrator is a stranger to the other
    kube config view --raw -o jsonpath='{.users[0].user.client-certificate-data}' | base64 -d >"$T/a.crt"
    kube config view --raw -o jsonpath='{.users[0].user.client-key-data}' | base64 -d >"$T/a.key"
    server=$(kube --kubeconfig "$T/second/kubeconfig" config view -o jsonpath='{.clusters[0].cluster.server}')
    run curl -sk --max-time 5 -o /dev/null -w '%{http_code}' --cert "$T/a.crt" --key "$T/a.key" "$server/api/v1/nodes"
    [ "$output" != 200 ]
    "$BIN/podium" down --name "${CLUSTER}b" --dir "$T/second" 3>&-
    [ ! -e "$T/second" ]
    rm -rf "$T/manifests-b"
    kube get nodes >/dev/null
}

@test "a stopped node is NotReady, started again it is Ready" {
    podium_node stop podium-2
    kube wait node/podium-2 --for=condition=Ready=Unknown --timeout=30s
    podium_node start podium-2
    kube wait node/podium-2 --for=condition=Ready=True --timeout=30s
}

@test "objects outlive the power failure of the control plane's node" {
    kube create configmap durable --from-literal=a=b
    podium_node stop podium-1 --force
    run kube get configmap durable --request-timeout=2s
    [ "$status" -ne 0 ]
    podium_node start podium-1
    [ "$(kube get configmap durable -o jsonpath='{.data.a}')" = b ]
    kube wait node --all --for=condition=Ready=True --timeout=30s
}

@test "what cannot be told apart is refused with a reason" {
    run "$BIN/podium" up --nodes 0 --name "$CLUSTER" --dir "$T/none" 3>&-
    [ "$status" -eq 2 ]
    run "$BIN/podium" up --name 'a/b' --dir "$T/none" 3>&-
    [ "$status" -ne 0 ]
    [ ! -e "$T/none" ]
    run podium_node stop podium-9
    [ "$status" -eq 1 ]
    [[ "$output" == *'no node "podium-9"'* ]]
    run "$BIN/podium" down --name nobody --dir "$T/none" 3>&-
    [ "$status" -ne 0 ]
    [ -n "$output" ]
}

@test "a folder with other things in it is left alone; a folder belongs to one cluster" {
    mkdir "$T/home"
    echo mine >"$T/home/letter"
    chmod 755 "$T/home"
    run "$BIN/podium" up --name "${CLUSTER}b" --dir "$T/home" --manifests "$MANIFESTS" 3>&-
    [ "$status" -eq 1 ]
    [[ "$output" == *"holds other files (letter)"* ]]
    run "$BIN/podium" down --name "${CLUSTER}b" --dir "$T/home" 3>&-
    [ "$status" -eq 1 ]
    [ "$(cat "$T/home/letter")" = mine ]
    [ "$(stat -c %a "$T/home")" = 755 ]
    run "$BIN/podium" down --name "${CLUSTER}b" --dir "$DIR" 3>&-
    [ "$status" -eq 1 ]
    [[ "$output" == *"is the folder of cluster \"$CLUSTER\""* ]]
    kube get nodes >/dev/null
}

@test "up that is cut off at any moment can be repeated or undone" {
    for after in 0.05 0.12 0.2; do
        timeout -s KILL "$after" "$BIN/podium" up --nodes 2 --name "${CLUSTER}b" --dir "$T/second" --manifests "$T/manifests-b" >/dev/null 2>&1 3>&- || true
        wait_until 15 "$BIN/podium" up --nodes 2 --name "${CLUSTER}b" --dir "$T/second" --manifests "$T/manifests-b" 3>&-
        "$BIN/podium" down --name "${CLUSTER}b" --dir "$T/second" 3>&-
        timeout -s KILL "$after" "$BIN/podium" up --nodes 2 --name "${CLUSTER}b" --dir "$T/second" --manifests "$T/manifests-b" >/dev/null 2>&1 3>&- || true
        # cut off in its very first moment it leaves an empty folder at most: that is no cluster
        rmdir "$T/second" 2>/dev/null || true
        [ ! -e "$T/second" ] || wait_until 15 "$BIN/podium" down --name "${CLUSTER}b" --dir "$T/second" 3>&-
        [ ! -e "$T/second" ]
        ! ip link show "pdm-${CLUSTER}b" 2>/dev/null || false
    done
}

@test "down leaves no process, mount, link, cgroup, table or file" {
    # with pods running on one node and the other one stopped
    pod sleeper <<<'containers: [{name: c, image: nope, command: [sleep, "1000"]}]'
    "$BIN/podium" image import "$IMAGE" --cluster "$CLUSTER" --dir "$DIR" --quiet 3>&-
    pod runner <<<'
nodeName: podium-1
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"]}]'
    pod_ready runner
    podium_node stop podium-2
    run "$BIN/podium" down --name "$CLUSTER" --dir "$DIR" 3>&-
    echo "$output"
    [ "$status" -eq 0 ]
    [ ! -e "$DIR" ]
    host_unchanged "$T/host.before"
}
