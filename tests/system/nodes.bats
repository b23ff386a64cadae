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

@test "status says in a screen what is wrong, and why" {
    run p status
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"Nodes        2 of 2 ready"*"All is well."* ]]
    kube create -f - >/dev/null <<'YAML'
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {selector: {app: noboby}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: sick}
spec: {selector: {test: sick}, ports: [{port: 80}]}
YAML
    pod sick <<'YAML'
containers:
- name: c
  image: nginx:demo
  command: [sleep, "1000"]
  readinessProbe: {exec: {command: [sh, -c, "echo out of tune; exit 1"]}, periodSeconds: 1}
YAML
    deployment broken 3 ', imagePullPolicy: Never'
    kube patch deploy broken -p '{"spec":{"progressDeadlineSeconds":2,"minReadySeconds":1,"strategy":{"rollingUpdate":{"maxUnavailable":3}},"template":{"spec":{"containers":[{"name":"c","image":"nowhere:1"}]}}}}'
    wait_until 20 has_event Pod sick Unhealthy
    kube wait deploy/broken --for=jsonpath='{.status.conditions[?(@.type=="Progressing")].reason}=ProgressDeadlineExceeded' --timeout=30s
    run p status
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"Not well:"* ]]
    [[ "$output" == *"service default/nobody: no pod has the labels it selects (app=noboby)"* ]]
    [[ "$output" == *"service default/sick: none of the pods it selects is ready (1 there)"* ]]
    [[ "$output" == *"pod default/sick, container c: not ready: Readiness probe failed: out of tune"* ]]
    [[ "$output" == *"deployment default/broken: ProgressDeadlineExceeded: "* ]]
    [[ "$output" == *"pod default/broken-"*", container c: ErrImageNeverPull: "*"(and 2 more like it)"* ]]
    [ "${#lines[@]}" -le 20 ]
    kube delete deploy/broken svc/nobody svc/sick --wait=false
}

@test "an event that happens again is one with a count, and kubectl shows it" {
    wait_until 20 eval '[ "$(event_count sick Unhealthy)" -ge 3 ]'
    [ "$(kube get events --field-selector involvedObject.name=sick,reason=Unhealthy -o name | wc -l)" -eq 1 ]
    run kube describe pod sick
    [[ "$output" == *Unhealthy*"(x"*" over "*"Readiness probe failed: out of tune"* ]]
    run kube events --for pod/sick
    echo "$output"
    [[ "$output" == *"(x"*" over "*Unhealthy*"Pod/sick"*"Readiness probe failed: out of tune"* ]]
    run kube get events --field-selector involvedObject.name=sick,reason=Unhealthy -o wide --no-headers
    echo "$output"
    [[ "$output" == *"spec.containers{c}"* ]]
    pods_gone sick
}
event_count() { # POD REASON
    kube get events --field-selector "involvedObject.name=$1,reason=$2" -o 'jsonpath={.items[0].count}' | grep . || echo 0
}

@test "events end some time after they happened last" {
    [ -n "$(kube get events -A -o name)" ]
    on_node 1 sh -c "mkdir -p /etc/podium && printf '[Server]\nEventTTL=5\n' >/etc/podium/podium.conf"
    on_node 1 systemctl restart podium-server
    kube wait node --all --for=condition=Ready --timeout=30s
    wait_until 30 eval '[ -z "$(kube get events -A -o name)" ]'
    deployment fresh 1
    kube rollout status deploy/fresh --timeout=30s
    [ -n "$(kube get events -A -o name)" ]
    wait_until 30 eval '[ -z "$(kube get events -A -o name)" ]'
}
