#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A cluster of machines of their own, on a network whose cables are pulled and whose plugs, too. vm has the control
# plane and is a node; vm2 is a node from the start, vm3 joins while all runs. The tests go on from each other's end.

load harness

setup_file() {
    vm_setup
    vm_network
    export VM_MEMORY=320 VM_CPUS=1
    VM_MEMORY=512 vm_boot vm
    vm_boot vm2
    vm_booted vm
    # a node that is silent for 12 s is given up; a pod of tour leaves it 2 s later, one of the others after 5 minutes
    vm 'mkdir -p /etc/podium
        printf "[Server]\nNodeHeartbeat=3\nNodeGrace=12\n" >/etc/podium/podium.conf'
    vm_cluster
    vm_booted vm2
    vm_join vm2
    vm 'podium create -f - <<Y
apiVersion: v1
kind: Service
metadata: {name: tour}
spec: {selector: {app: tour}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: tour}
spec:
  replicas: 2
  selector: {matchLabels: {app: tour}}
  template:
    metadata: {labels: {app: tour}}
    spec:
      terminationGracePeriodSeconds: 1
      tolerations:
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 2}
      - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 2}
      containers:
      - name: c
        image: busybox:vm
        command: [sh, -c, "mkdir -p /www && hostname >/www/index.html && exec httpd -f -p 80 -h /www"]
        readinessProbe: {httpGet: {port: 80}, periodSeconds: 1}
Y'
    calm 2
    vm 'podium create -f - <<Y
apiVersion: v1
kind: Pod
metadata: {name: errand}
spec:
  nodeName: vm2
  restartPolicy: Never
  containers: [{name: c, image: busybox:vm, command: [sleep, "100000"]}]
Y
        podium rollout status deploy/tour --timeout=120s
        podium wait pod/errand --for=condition=Ready --timeout=60s' >&2
    vm_boot vm3
}
teardown_file() { vm_teardown; }
setup() { vm_test; }
teardown() { vm_report; }

# calm N: a pod on machine N that is content to wait there when the node is cut off; it says when it starts
calm() {
    vm "podium create -f - <<Y
apiVersion: v1
kind: Pod
metadata: {name: calm$1, labels: {app: calm}}
spec:
  nodeName: vm$1
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: busybox:vm, command: [sh, -c, 'date +%s; exec sleep 100000']}
  - {name: side, image: busybox:vm, command: [sleep, '100000']}
Y
podium wait pod/calm$1 --for=condition=Ready --timeout=120s" >&2
}

# --- in the machine of the control plane ---
# The pods that are not about to go: name, UID, node, and of each container the id and how often it was started again
pods() { # APP
    podium get pods -l "app=$1" -o json | jq -r '.items[] | select(.metadata.deletionTimestamp == null) |
        "\(.metadata.name) \(.metadata.uid) \(.spec.nodeName) \([.status.containerStatuses[] | "\(.containerID) \(.restartCount)"] | join(" "))"' | sort
}
addresses() { # the ready ones behind the service, and the same from its slices
    podium get endpoints tour -o json | jq -r '.subsets[]?.addresses[]?.ip' | sort
}
ready_addresses() {
    podium get pods -l app=tour -o json | jq -r '.items[] | select(.metadata.deletionTimestamp == null) |
        select(any(.status.conditions[]; .type == "Ready" and .status == "True")) | .status.podIP' | sort
}
# Three of tour are ready, none of them on the node; the service leads to them and nowhere else
tour_without() { # NODE
    [ "$(ready_addresses | wc -l)" = 3 ] && ! pods tour | grep -q " $1 " && [ "$(addresses)" = "$(ready_addresses)" ] &&
        [ "$(podium get endpointslices -l kubernetes.io/service-name=tour -o json |
            jq -r '.items[].endpoints[] | select(.conditions.ready) | .addresses[0]' | sort)" = "$(ready_addresses)" ]
}
# Three objects there are, all ready: none waits for its end any more
tour_complete() {
    [ "$(podium get pods -l app=tour -o name | wc -l)" = 3 ] && [ "$(ready_addresses | wc -l)" = 3 ] &&
        [ "$(addresses)" = "$(ready_addresses)" ]
}
tainted() { podium get node "$1" -o json | jq -e 'any(.spec.taints[]?; .key == "node.kubernetes.io/unreachable" and .effect == "NoExecute")' >/dev/null; }
untainted() { ! tainted "$1"; }
# UIDs of the pods of a node
uids() { podium get pods -A -o json | jq -r --arg n "$1" '.items[] | select(.spec.nodeName == $n) | .metadata.uid'; }
given_up() { podium get events -o json | jq '[.items[] | select(.reason == "NodeNotReady") | .count // 1] | add // 0'; }
# From a pod: each pod of tour by its address, and one by the service's; prints who answered
# (nc: the wget of a static busybox wants libraries that the image does not have)
reach() { # POD
    # shellcheck disable=SC2016,SC2046
    podium exec "$1" -c c -- sh -c 'ask() { printf "GET / HTTP/1.0\r\n\r\n" | nc -w 20 "$1" 80 | tail -n 1 | grep tour-; }
        ask "$1" >/dev/null && shift && for a; do ask "$a" || exit; done' sh "$(podium get service tour -o 'jsonpath={.spec.clusterIP}')" $(addresses)
}
names() { podium get pods -l app=tour -o json | jq -r '.items[].metadata.name'; }

# --- on a node ---
process() { cat "/sys/fs/cgroup$(systemctl show -P ControlGroup "podium-pod-default-$1-*.service")/$2/cgroup.procs"; } # POD CONTAINER
killed_and_back() { # POD CONTAINER
    local before
    before=$(process "$1" "$2")
    kill -KILL "$before"
    back() { [ -n "$(process "$1" "$2")" ] && [ "$(process "$1" "$2")" != "$before" ]; }
    until_true 60 back "$1" "$2"
}
# What this node holds of pods, besides those of the UIDs given
leftovers() {
    local uid known=^$ n
    for uid; do known+="|${uid:0:8}"; done
    {
        systemctl list-units --all --plain --no-legend 'podium-pod-*' | sed 's/^/unit /'
        find /sys/fs/cgroup/podium.slice -name 'podium-pod-*' -printf 'cgroup %f\n'
        findmnt -rno TARGET | grep /pods/ | sed 's/^/mount /'
        find /var/lib/podium/pods /run/podium/pods -mindepth 1 -maxdepth 1
        find /var/lib/podium/trash -mindepth 1 -maxdepth 1 2>/dev/null | sed "s/^/trash /"
    } | grep -vE "$known" || true
    n=$(ip -o link show type veth | wc -l)
    [ "$n" = $# ] || echo "$n links"
    n=$(lsns -nt net | wc -l)
    [ "$n" = $(($# + 1)) ] || echo "$n network namespaces"
}
clean() { [ -z "$(leftovers "$@")" ]; }
# on NAME SCRIPT: with the functions above
on() { vm_on "$1" -t 240 "$(declare -f pods addresses ready_addresses tour_without tour_complete tainted untainted uids given_up reach names process killed_and_back leftovers clean)
$2"; }

# The node has its pods and nothing of others
is_clean() { # NODE
    local uids
    uids=$(on vm "uids $1" | tr '\n' ' ')
    on "$1" "until_true 30 clean $uids || { leftovers $uids; false; }"
}

@test "a machine is added while all runs: it gets pods, and pods talk to each other wherever they are" {
    before=$(on vm 'pods tour; pods calm')
    vm_booted vm3
    vm_join vm3
    calm 3
    on vm 'podium scale deploy/tour --replicas=3
        podium rollout status deploy/tour --timeout=120s' >&2
    run -0 on vm "pods tour | cut -d' ' -f3 | sort"
    [ "$output" = $'vm\nvm2\nvm3' ]
    [ "$(on vm 'pods tour; pods calm' | grep -Fxc "$before")" = 3 ]
    on vm 'until_true 60 tour_complete
        for p in $(names) calm2 calm3; do [ "$(reach $p | sort)" = "$(names | sort)" ]; done'
}

@test "a node is cut off: given up, the pods that do not wait are replaced; there all run on, and again when they die" {
    on vm 'pods calm' >"$T/calm"
    tour=$(on vm "pods tour | sed -n 's/ .* vm3 .*//p'")
    vm_link vm3 off
    on vm "podium wait node/vm3 --for=condition=Ready=Unknown --timeout=60s
        until_true 90 tour_without vm3
        tainted vm3
        [ \"\$(podium get pod $tour -o 'jsonpath={.metadata.deletionTimestamp}')\" ]
        podium get pods -l app=calm -o json | jq -e 'all(.items[]; .metadata.deletionTimestamp == null)'
        podium wait pod/calm3 --for=condition=Ready=False --timeout=30s
        [ \"\$(podium get pods -l app=calm -o json | jq -r '.items[].metadata.uid' | sort)\" = \"$(cut -d' ' -f2 "$T/calm" | sort)\" ]" >&2
    on vm3 "killed_and_back calm3 c
        killed_and_back $tour c"
    echo "$tour" >"$T/replaced"
}

@test "it is healed: what was replaced goes, what was not runs on untouched, what happened meanwhile is known" {
    vm_link vm3 on
    on vm "podium wait node/vm3 --for=condition=Ready --timeout=60s
        podium wait pod/$(cat "$T/replaced") --for=delete --timeout=60s
        until_true 60 tour_complete
        until_true 60 untainted vm3
        pod_wait calm3 '.status.containerStatuses[0].restartCount=1'
        podium wait pod/calm3 --for=condition=Ready --timeout=60s
        [ \"\$(pod_get calm3 '.status.containerStatuses[0].lastState.terminated.exitCode')\" = 137 ]" >&2
    is_clean vm3
    # but for the container that was killed all is as before
    strip() { sed -E '/^calm3 /s/ [^ ]+ [0-9]+( [^ ]+ [0-9]+)$/\1/'; }
    diff <(strip <"$T/calm") <(on vm 'pods calm' | strip)
    run -0 on vm 'podium exec calm3 -c c -- echo here; podium logs calm3 -c c | wc -l; podium logs --previous calm3 -c c | wc -l; podium logs calm3 -c side'
    [ "$output" = $'here\n1\n1' ]
}

@test "a node loses power: its pods are replaced; it comes back clean, with those that waited" {
    on vm 'pods calm' >"$T/calm"
    # it has one that will be replaced
    on vm 'pods tour | grep -q " vm2 " || { podium delete pod $(pods tour | sed -n "s/ .* vm .*//p" | head -n 1); until_true 60 tour_complete; pods tour | grep " vm2 "; }' >&2
    tour=$(on vm "pods tour | sed -n 's/ .* vm2 .*//p'" | tr '\n' ' ')
    key=$(vm_on vm2 'sha256sum </var/lib/podium/agent/node.key')
    vm_stop vm2
    on vm "podium wait node/vm2 --for=condition=Ready=Unknown --timeout=60s
        until_true 90 tour_without vm2" >&2
    vm_start vm2
    on vm "podium wait node/vm2 --for=condition=Ready --timeout=120s
        for p in $tour; do podium wait pod/\$p --for=delete --timeout=60s; done
        until_true 60 tour_complete
        podium wait pod/calm2 --for=condition=Ready --timeout=90s
        podium wait pod/calm2 --for='jsonpath={.status.containerStatuses[0].restartCount}=1' --timeout=60s" >&2
    # an errand is not run a second time; how it ended nobody knows
    on vm '[ "$(pod_get errand .status.phase)" = Failed ]
        [ "$(pod_get errand ".status.containerStatuses[0].state.terminated.exitCode")" = 255 ]
        [ "$(pod_get calm2 ".status.containerStatuses[0].lastState.terminated.reason")" = Unknown ]
        pods_gone errand'
    # each container of calm2 was started once more, all else is as before
    strip() { sed -E '/^calm2 /{s/ [^ ]+ 1 [^ ]+ 1$/ 0 0/; s/ [^ ]+ 0 [^ ]+ 0$/ 0 0/}'; }
    diff <(strip <"$T/calm") <(on vm 'pods calm' | strip)
    [ "$(vm_on vm2 'sha256sum </var/lib/podium/agent/node.key')" = "$key" ]
    is_clean vm2
    run -0 on vm 'podium exec calm2 -c c -- echo here; podium logs calm2 -c c | wc -l; reach calm2 | sort | diff - <(names | sort)'
    [ "$output" = $'here\n1' ]
}

@test "the control plane loses power: the nodes' pods run on, and none is touched when it is back" {
    on vm 'pods calm; given_up' >"$T/before"
    on vm 'pods tour | grep -v " vm "' >"$T/tour"
    # what was told lately is on disk because it was acknowledged
    vm_stop vm
    on vm3 'killed_and_back calm3 side'
    VM_MEMORY=512 vm_start vm
    on vm 'podium wait node --all --for=condition=Ready --timeout=120s
        for p in calm2 calm3; do until_true 60 podium exec $p -c c -- true; done
        pod_wait calm3 ".status.containerStatuses[1].restartCount=1"
        podium wait pod/calm2 pod/calm3 --for=condition=Ready --timeout=60s
        until_true 120 tour_complete' >&2
    strip() { sed -E '/^calm3 /s/ [^ ]+ [0-9]+$//'; }
    diff <(strip <"$T/before") <(on vm 'pods calm; given_up' | strip)
    [ -z "$(comm -23 "$T/tour" <(on vm 'pods tour'))" ]
    is_clean vm2
    is_clean vm3
    is_clean vm
}
