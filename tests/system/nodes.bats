#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What an operator does and sees: draining a node, the cluster's health at a glance, events.

load harness

setup_file() { cluster_setup 2; }
teardown_file() { cluster_teardown; }
teardown() { cluster_report; }

p() { timeout -k 5 60 "$BIN/podium" "$@" 3>&-; }
# deployment NAME REPLICAS [more of the pod's spec, YAML flow]
deployment() {
    kube apply -f - >/dev/null <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: $1}
spec:
  replicas: $2
  selector: {matchLabels: {app: $1}}
  template:
    metadata: {labels: {app: $1}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: "nginx:demo", command: [sleep, "1000"]${3:-}}]}
YAML
}
pods_on() { kube get pods -A --field-selector "spec.nodeName=$1,status.phase=Running" -o name; }

@test "drain refuses what would be lost, says it, and leaves the node cordoned" {
    pod alone <<<$'nodeName: podium-2\ncontainers: [{name: c, image: "nginx:demo", command: [sleep, "1000"]}]\nvolumes: [{name: v, emptyDir: {}}]'
    pod_ready alone
    run p drain podium-2
    [ "$status" -eq 1 ]
    [[ "$output" == *"node/podium-2 cordoned"*"cannot delete Pods with local storage (use --delete-emptydir-data to override): default/alone"* ]]
    run p drain podium-2 --delete-emptydir-data
    [ "$status" -eq 1 ]
    [[ "$output" == *"cannot delete Pods that declare no controller (use --force to override): default/alone"* ]]
    [ "$(pod_get alone .status.phase)" = Running ]
    run p drain podium-2 --delete-emptydir-data --force --dry-run
    [ "$status" -eq 0 ]
    [ "$(pod_get alone .status.phase)" = Running ]
    run p drain podium-2 --delete-emptydir-data --force --grace-period=1
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"evicting pod default/alone"*"pod/alone evicted"*"node/podium-2 drained"* ]]
    run kube get pod alone
    [ "$status" -ne 0 ]
    p uncordon podium-2
}

@test "drain keeps to a disruption budget: pods go one by one, as their successors are ready" {
    p cordon podium-1
    deployment kept 3
    kube rollout status deploy/kept --timeout=30s
    kube create pdb kept --selector app=kept --min-available 2
    kube wait pdb/kept --for=jsonpath='{.status.disruptionsAllowed}=1' --timeout=20s
    p uncordon podium-1
    # how many are ready at the least, seen by a watch
    kube get deploy kept -w -o 'jsonpath={.status.readyReplicas}{"\n"}' >"$T/ready" 3>&- &
    watcher=$!
    run p drain podium-2 --timeout=50s
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(grep -c ' evicted$' <<<"$output")" -eq 3 ]
    kill "$watcher" && wait "$watcher" || true
    [ "$(grep -E '^[0-9]' "$T/ready" | sort -n | head -n 1)" -ge 2 ]
    [ -z "$(pods_on podium-2)" ]
    p uncordon podium-2
}

@test "a budget that allows nothing stops a drain at its time-out; --disable-eviction does not ask" {
    kube patch pdb kept --type merge -p '{"spec":{"minAvailable":3}}'
    kube rollout status deploy/kept --timeout=30s
    kube wait pdb/kept --for=jsonpath='{.status.disruptionsAllowed}=0' --timeout=20s
    run p drain podium-1 --timeout=1s
    [ "$status" -eq 1 ]
    [[ "$output" == *"Cannot evict pod as it would violate the pod's disruption budget."*"global timeout reached"*"is held by its disruption budget"* ]]
    [ "$(pods_on podium-1 | wc -l)" -eq 3 ]
    run p drain podium-1 --disable-eviction
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$(pods_on podium-1)" ]
    p uncordon podium-1
    kube delete pdb/kept deploy/kept --wait=false
    kube wait pod -l app=kept --for=delete --timeout=20s
}

@test "kubectl drain works, too" {
    p cordon podium-1
    deployment other 2
    kube rollout status deploy/other --timeout=30s
    p uncordon podium-1
    kube drain podium-2 --ignore-daemonsets --delete-emptydir-data --timeout=40s
    [ -z "$(pods_on podium-2)" ]
    kube uncordon podium-2
    kube delete deploy other --wait=false
    kube wait pod -l app=other --for=delete --timeout=20s
}
