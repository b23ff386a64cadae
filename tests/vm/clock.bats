#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Somebody sets the machine's clock: years ahead, and back to years before. Nothing of it may reach the pods.

load harness

setup_file() {
    vm_setup
    vm_start
    # the agent comes over TCP, with a certificate, as one on another machine would
    vm 'mkdir -p /etc/podium
        umask 077
        head -c 32 /dev/urandom | sha256sum | cut -c1-64 >/etc/podium/token
        echo "PODIUM_SERVER_OPTIONS=--token-file /etc/podium/token" >/etc/podium/server.env
        echo "PODIUM_AGENT_OPTIONS=--server 127.0.0.1:6444 --token-file /etc/podium/token --ca-file /var/lib/podium/server/pki/ca.crt" >/etc/podium/agent.env'
    vm_cluster
    vm "cat >/run/clock.bash <<'B'
$(declare -f state token set_clock all_new works)
B"
    vm '. /run/clock.bash
        pod steady <<Y
containers:
- {name: c, image: busybox:vm, command: [sleep, "100000"], readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1}, livenessProbe: {exec: {command: ["true"]}, periodSeconds: 2}}
Y
        podium wait pod/steady --for=condition=Ready --timeout=120s
        state >/run/state.old'
}
teardown_file() { vm_teardown; }
setup() { vm_test; }
teardown() { vm_report; }

# What must be the same afterwards: processes, restarts, since when node and pod are ready.
state() {
    systemctl show -P MainPID podium-server podium-agent
    podium get pod steady -o 'jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount} {.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].lastTransitionTime}{"\n"}'
    podium get node -o 'jsonpath={.items[0].status.conditions[?(@.type=="Ready")].status} {.items[0].status.conditions[?(@.type=="Ready")].lastTransitionTime}{"\n"}'
}
token() { podium exec steady -- cat /var/run/secrets/kubernetes.io/serviceaccount/token; }
set_clock() { # BY: certificates and the pod's token are good by the new clock soon
    token >/run/token.old
    date -s "$1" >/dev/null
    until_true 60 all_new
}
all_new() {
    local f
    for f in /var/lib/podium/agent/node.crt /var/lib/podium/server/pki/server.crt; do
        openssl verify -CAfile /var/lib/podium/server/pki/ca.crt "$f" >/dev/null || return 1
    done
    ! token | cmp -s - /run/token.old || false
}
works() { # NAME: a pod starts, serves exec with the node's new credentials, and goes
    pod "$1" <<Y
containers: [{name: c, image: busybox:vm, command: [sleep, "1000"]}]
Y
    podium wait "pod/$1" --for=condition=Ready --timeout=60s
    [ "$(podium exec "$1" -- echo here)" = here ]
    pods_gone "$1"
}

@test "years ahead: certificates and tokens are renewed, nothing is restarted or unready, pods start" {
    vm -t 200 '. /run/clock.bash
        set_clock "+3 years"
        works ahead
        state | diff /run/state.old -'
}

@test "back, to years before anything was made: the same" {
    vm -t 200 '. /run/clock.bash
        set_clock "-6 years"
        works back
        state | diff /run/state.old -'
}

@test "server and agent find what they renewed good when they are started again" {
    vm -t 200 '. /run/clock.bash
        systemctl restart podium-server podium-agent
        podium wait node --all --for=condition=Ready --timeout=90s
        works again
        [ "$(podium get pod steady -o "jsonpath={.status.containerStatuses[0].restartCount}")" = 0 ]'
}
