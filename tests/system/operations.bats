#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# `make install` on a host with systemd (a node container stands for it): the units, their sockets and watchdog,
# podium.conf, backup and restore.

load harness

setup_file() {
    cluster_setup 1
    on_node 1 systemctl stop podium-agent podium-server
    # a host that has never heard of Podium
    on_node 1 sh -c 'rm -rf /etc/podium /var/lib/podium/* /run/podium /run/podium-server /run/podium-host
        rm -f /etc/systemd/system/podium-server.service /etc/systemd/system/podium-agent.service
        rm -f /etc/systemd/system/podium*.slice /etc/systemd/system/podium-node.target.wants/*'
    make -s -C "$ROOT" BUILD="$BUILD" PREFIX=/usr DESTDIR="$T/root" install >&2
    tar -C "$T/root" -c . | on_node 1 tar -x -C /
    cp "$IMAGE" "$T/image.tar"
}
teardown_file() { cluster_teardown; }
teardown() {
    [ -n "${BATS_TEST_COMPLETED:-}" ] || on_node 1 journalctl --no-pager -q -n 25 -u podium-server -u podium-agent || true
}

on_host() { on_node 1 "$@"; }
podium() { on_node 1 timeout -k 5 60 podium "$@"; }

@test "installed units are sound" {
    on_host systemctl daemon-reload
    on_host busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig
    run on_host systemd-analyze verify --man=no /usr/lib/systemd/system/podium-server.service \
        /usr/lib/systemd/system/podium-server.socket /usr/lib/systemd/system/podium-agent.service
    [ "$status" -eq 0 ]
    [[ "$output" != *podium* ]]
    # 0 is best, 10 worst; "OK" begins below 5
    run on_host systemd-analyze security --no-pager --threshold=40 podium-server.service
    [ "$status" -eq 0 ]
}

@test "a mistake in podium.conf is told with its line" {
    on_host sh -c 'mkdir -p /etc/podium && printf "[Server]\nAdvertiseAdress=192.0.2.1\n" >/etc/podium/podium.conf'
    run on_host podium server
    [ "$status" -ne 0 ]
    [[ "$output" == *"/etc/podium/podium.conf:2: unknown setting \"AdvertiseAdress\""* ]]
}

@test "enabled and started, a host is a cluster" {
    on_host sh -c 'printf "[Server]\nNodeHeartbeat=1\nNodeGrace=4\n[Agent]\nNodeName=alone\n" >/etc/podium/podium.conf'
    on_host systemctl enable --now podium-server.socket podium-server.service podium-agent.service
    wait_until 20 on_host sh -c 'podium get node alone 2>/dev/null | grep -q " Ready "'
    [ "$(on_host systemctl is-enabled podium-server.socket)" = enabled ]
    [ -z "$(on_host systemctl list-units --failed --plain --no-legend)" ]
    # what systemd listens on is what the server serves
    [[ "$(on_host systemctl show -P Triggers podium-server.socket)" == podium-server.service ]]
    run on_host sh -c 'curl -sk https://127.0.0.1:6443/livez'
    [ "$output" = ok ]
}

@test "its administrator's kubeconfig serves kubectl" {
    run on_host sh -c "podium kubeconfig >/root/admin && kubectl --kubeconfig /root/admin get nodes --no-headers"
    [ "$status" -eq 0 ]
    [[ "$output" == "alone "*Ready* ]]
}

@test "a pod runs, also while the agent is stopped" {
    on_host sh -c 'cat >/root/nginx.tar' <"$T/image.tar"
    on_host podium image import /root/nginx.tar --quiet
    on_host sh -c 'cat | podium apply -f -' <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: box, image: "nginx:demo", command: [sh, -c, "while :; do date +%s%N; sleep 0.1; done"]}
YAML
    on_host podium wait pod/web --for=condition=Ready --timeout=20s
    on_host systemctl stop podium-agent
    unit=$(on_host sh -c 'systemctl list-units --plain --no-legend "podium-pod-default-web-*.service" | cut -d" " -f1')
    [ "$(on_host systemctl is-active "$unit")" = active ]
    on_host systemctl start podium-agent
    on_host podium wait pod/web --for=condition=Ready --timeout=20s
    [ "$(podium get pod web -o 'jsonpath={.status.containerStatuses[0].restartCount}')" = 0 ]
}

@test "no request is refused while the server restarts" {
    run on_host sh -c '
        failed=0 n=0
        (sleep 0.3; systemctl restart podium-server; systemctl restart podium-server; touch /run/restarted) &
        until [ -e /run/restarted ]; do
            curl -sfk --max-time 20 --retry 0 https://127.0.0.1:6443/livez >/dev/null || failed=$((failed + 1))
            n=$((n + 1))
        done
        wait
        echo "$n requests, $failed failed"'
    echo "$output"
    [[ "$output" == *" 0 failed" ]]
}

@test "the watchdog restarts a server that hangs" {
    on_host sh -c 'mkdir -p /run/systemd/system/podium-server.service.d
        printf "[Service]\nWatchdogSec=1\nTimeoutAbortSec=1\n" >/run/systemd/system/podium-server.service.d/short.conf'
    on_host systemctl daemon-reload
    on_host systemctl restart podium-server
    before=$(on_host systemctl show -P MainPID podium-server)
    on_host kill -STOP "$before"
    wait_until 30 on_host sh -c "test \"\$(systemctl show -P MainPID podium-server)\" != $before"
    wait_until 20 on_host sh -c 'podium get node alone 2>/dev/null | grep -q " Ready "'
    on_host rm -r /run/systemd/system/podium-server.service.d
    on_host systemctl daemon-reload
}

@test "secrets are not to be read on the server's disk" {
    podium create secret generic whisper --from-literal=word=open-sesame-4711
    on_host sh -c 'grep -c whisper /var/lib/podium/server/store/data.mdb' # the row is there
    run on_host sh -c 'grep -rcl -e open-sesame-4711 -e "$(printf open-sesame-4711 | base64)" /var/lib/podium/server/store'
    [ -z "$output" ]
    on_host systemctl restart podium-server
    answers() { [ "$(podium get secret whisper -o 'jsonpath={.data.word}' 2>/dev/null | base64 -d)" = open-sesame-4711 ]; }
    wait_until 20 answers
}

@test "backup while it runs, restore when it is stopped: state, keys, nodes and pods are as they were" {
    podium create configmap kept --from-literal=a=1
    run podium backup /root/backup.jsonl
    [ "$status" -eq 0 ]
    [ "$(on_host stat -c %a /root/backup.jsonl)" = 600 ]
    on_host sh -c 'head -n 1 /root/backup.jsonl | grep -q "\"format\":\"podium-backup\""'
    podium create configmap too-late --from-literal=a=1
    podium delete configmap kept
    uid=$(podium get pod web -o 'jsonpath={.metadata.uid}')

    run podium restore /root/backup.jsonl
    [ "$status" -eq 1 ]
    [[ "$output" == *"there is a store in /var/lib/podium/server/store: stop the server and move it away first"* ]]
    on_host systemctl stop podium-server.socket podium-server
    on_host rm -r /var/lib/podium/server # the machine is another one
    # a file cut short makes nothing
    on_host sh -c 'head -c 3000 /root/backup.jsonl >/root/cut.jsonl'
    run podium restore /root/cut.jsonl
    [ "$status" -eq 1 ]
    [[ "$output" == *"it was cut short"* ]]
    run on_host test -e /var/lib/podium/server/store
    [ "$status" -ne 0 ]
    run podium restore /root/backup.jsonl
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"objects restored"*"and the server's keys"* ]]

    on_host systemctl start podium-server.socket podium-server
    wait_until 20 on_host sh -c 'podium get node alone 2>/dev/null | grep -q " Ready "'
    podium get configmap kept
    run podium get configmap too-late
    [ "$status" -ne 0 ]
    # the agent's certificate is of the same authority, and the pod never stopped
    podium wait pod/web --for=condition=Ready --timeout=20s
    [ "$(podium get pod web -o 'jsonpath={.metadata.uid}')" = "$uid" ]
    [ "$(podium get pod web -o 'jsonpath={.status.containerStatuses[0].restartCount}')" = 0 ]
    podium delete pod web
}

@test "uninstalled, nothing of it is left" {
    on_host systemctl disable --now podium-server.socket podium-server.service podium-agent.service
    make -s -C "$ROOT" BUILD="$BUILD" PREFIX=/usr DESTDIR="$T/root" uninstall
    run find "$T/root" -type f
    [ -z "$output" ]
}
