#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The node's D-Bus interface and the link to the control plane.

load harness

setup_file() { cluster_setup 2; }
teardown_file() { cluster_teardown; }
teardown() { cluster_report; }

bus() { on_node "$1" busctl --json=short "${@:2}"; }
node1() { local n=$1 verb=$2; shift 2; bus "$n" "$verb" org.podium.Node1 /org/podium/node org.podium.Node1 "$@"; }

@test "org.podium.Node1 can be introspected on the node's system bus" {
    run on_node 2 busctl introspect org.podium.Node1 /org/podium/node org.podium.Node1
    [ "$status" -eq 0 ]
    for m in .ApplyPod .RemovePod .ApplyObject .RemoveObject .SetNetwork .SyncBegin .SyncEnd .ListPods .OpenLog .OpenExec; do
        grep -qE "^\\$m +method" <<<"$output"
    done
    grep -qE '^\.Connected +property +b +true' <<<"$output"
    grep -qE '^\.PodChanged +signal +ssss' <<<"$output"
    [ "$(node1 2 get-property NodeName)" = '{"type":"s","data":"podium-2"}' ]
}

@test "ListPods and PodChanged tell what runs" {
    on_node 2 timeout 15 busctl --system --match="type='signal',interface='org.podium.Node1',member='PodChanged'" monitor >"$T/signals" 2>&1 &
    sleep 0.5
    pod listed <<<'
nodeName: podium-2
containers: [{name: c, image: nginx:demo}]'
    pod_ready listed
    run node1 2 call ListPods
    echo "$output"
    [ "$(jq -r '.data[0][0] | join(" ")' <<<"$output")" = "default listed $(pod_get listed .metadata.uid) Running $(pod_unit listed)" ]
    wait_until 5 grep -q listed "$T/signals"
    pods_gone listed
    [ "$(node1 2 call ListPods | jq -c '.data[0]')" = '[]' ]
}

@test "only root commands the node; others may look" {
    run on_node 2 setpriv --reuid=65534 --regid=65534 --clear-groups busctl call org.podium.Node1 /org/podium/node org.podium.Node1 SyncBegin
    [ "$status" -ne 0 ]
    run on_node 2 setpriv --reuid=65534 --regid=65534 --clear-groups busctl get-property org.podium.Node1 /org/podium/node org.podium.Node1 Connected
    [ "$status" -eq 0 ]
}

@test "bad arguments are refused and harm nothing" {
    run node1 2 call ApplyPod s '{'
    [ "$status" -ne 0 ]
    run node1 2 call ApplyPod s '{"kind":"Pod"}'
    [ "$status" -ne 0 ]
    run node1 2 call SetNetwork s '[]'
    [ "$status" -ne 0 ]
    run node1 2 call RemovePod s nobody
    [ "$(node1 2 get-property Connected)" = '{"type":"b","data":true}' ]
    [ "$(on_node 2 systemctl show -P NRestarts podium-agent)" = 0 ]
}

@test "Connected follows the link" {
    on_node 1 systemctl stop podium-server
    disconnected() { [ "$(node1 2 get-property Connected)" = '{"type":"b","data":false}' ]; }
    wait_until 10 disconnected
    on_node 1 systemctl start podium-server
    connected() { [ "$(node1 2 get-property Connected)" = '{"type":"b","data":true}' ]; }
    wait_until 15 connected
    kube wait node --all --for=condition=Ready=True --timeout=30s
}

@test "a wrong token is refused, and told" {
    on_node 2 systemctl stop podium-agent
    on_node 2 sh -c 'mv /var/lib/podium/agent /var/lib/podium/agent.kept; cp /etc/podium/token /etc/podium/token.kept; tr 0-9a-f 1-9a-f0 </etc/podium/token.kept >/etc/podium/token'
    kube delete node podium-2
    on_node 2 systemctl start --no-block podium-agent
    told() { on_node 2 journalctl -q --no-pager -u podium-agent --since -30s | grep -qiE 'token|refused|denied'; }
    wait_until 10 told
    run kube get node podium-2
    [ "$status" -ne 0 ]
    on_node 2 systemctl stop podium-agent
    on_node 2 sh -c 'rm -rf /var/lib/podium/agent; mv /var/lib/podium/agent.kept /var/lib/podium/agent; mv /etc/podium/token.kept /etc/podium/token'
    on_node 2 systemctl start podium-agent
    kube wait node/podium-2 --for=create --timeout=30s
    kube wait node/podium-2 --for=condition=Ready=True --timeout=30s
}

@test "garbage at the link's port does not disturb it" {
    address=$(kube get node podium-1 -o jsonpath='{.status.addresses[?(@.type=="InternalIP")].address}')
    for _ in 1 2 3; do head -c 20000 /dev/urandom | timeout 3 busybox nc "$address" 6444 >/dev/null || true; done
    # TLS without a certificate: nothing but Join is open
    run timeout 5 openssl s_client -connect "$address:6444" </dev/null
    [ "$(on_node 1 systemctl show -P NRestarts podium-server)" = 0 ]
    [ "$(node1 2 get-property Connected)" = '{"type":"b","data":true}' ]
}
