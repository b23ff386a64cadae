#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What goes wrong, and how it is told and healed.

load harness

setup_file() { cluster_setup 2; }
teardown_file() { cluster_teardown; }
teardown() { cluster_report; }

state() { pod_get "$1" ".status.containerStatuses[0].state.$2"; }

# Nothing of a pod is on its node: unit, cgroup, link, files, mounts.
clean_node() { # NODE-NUMBER UID UNIT
    [ "$(on_node "$1" systemctl show -P LoadState "$3")" = not-found ] &&
        [ -z "$(on_node "$1" find /sys/fs/cgroup -type d -name "$3")" ] &&
        [ -z "$(on_node "$1" find /run/podium /var/lib/podium -xdev -name "*$2*")" ] &&
        { ! on_node "$1" cat /proc/1/mountinfo | grep -q "$2"; }
}
links() { on_node "$1" ip -o link show type veth | grep -cv ' eth0@' || true; }
main_pid() { on_node "$1" systemctl show -P MainPID "$2"; }

@test "a reload of systemd leaves pods alone, and they are still looked after" {
    local n unit
    pod reload <<'YAML'
containers:
- {name: box, image: "nginx:demo", command: [sleep, "100000"]}
YAML
    pod_ready reload
    n=$(pod_node reload)
    unit=$(pod_unit reload)
    for _ in 1 2 3; do on_node "$n" systemctl daemon-reload; done
    [ "$(on_node "$n" systemctl is-active "$unit")" = active ]
    kube delete pod reload --timeout=20s
    # a second one, whose unit is still there when its program is killed after the reload
    pod reload2 <<'YAML'
containers:
- {name: box, image: "nginx:demo", command: [sleep, "100000"]}
YAML
    pod_ready reload2
    n=$(pod_node reload2)
    on_node "$n" systemctl daemon-reload
    [ "$(pod_get reload2 .status.containerStatuses[0].restartCount)" = 0 ]
    on_node "$n" kill -KILL "$(container_pids reload2 box)"
    pod_wait reload2 '.status.containerStatuses[0].restartCount=1'
    on_node "$n" systemctl daemon-reload
    on_node "$n" systemctl kill -s KILL "$(pod_unit reload2)"
    pod_wait reload2 '.status.containerStatuses[0].restartCount=2'
    kube delete pod reload2 --timeout=20s
}

@test "unknown image: the pod waits with a reason, and starts when the image comes" {
    pod waits <<<'
containers: [{name: c, image: "127.0.0.1:1/orchestra:1", command: [sleep, "1000"]}]'
    pod never <<<'
containers: [{name: c, image: "127.0.0.1:1/orchestra:1", imagePullPolicy: Never, command: [sleep, "1000"]}]'
    pod_wait never '.status.containerStatuses[0].state.waiting.reason=ErrImageNeverPull'
    reason() { [[ "$(state waits waiting.reason)" =~ ^(ErrImagePull|ImagePullBackOff|ErrImageNeverPull)$ ]]; }
    wait_until 5 reason
    [[ "$(state waits waiting.message)" == *127.0.0.1:1/orchestra:1* ]]
    [ "$(pod_get waits .status.phase)" = Pending ]
    failed() { has_event Pod waits Failed; }
    wait_until 5 failed
    "$BIN/podium" image import "$IMAGE" --name 127.0.0.1:1/orchestra:1 --cluster "$CLUSTER" --dir "$DIR" --quiet 3>&-
    pod_ready waits 20
    pod_ready never 20
    pods_gone waits never
    for n in 1 2; do "$BIN/baton" --root "$DIR/runtime" exec "$CLUSTER-podium-$n" /usr/local/lib/podium/podium image rm 127.0.0.1:1/orchestra:1 3>&-; done
}

@test "command not found: a clear container state, and nothing is left after deletion" {
    before=$(links 2)
    pod nocmd <<<'
nodeName: podium-2
restartPolicy: Never
containers: [{name: c, image: nginx:demo, command: [no-such-program]}]'
    pod_wait nocmd .status.phase=Failed
    [ "$(state nocmd terminated.reason)" = StartError ]
    [ "$(state nocmd terminated.exitCode)" = 128 ]
    [[ "$(state nocmd terminated.message)" == *'no-such-program'*'not found'* ]]
    uid=$(pod_get nocmd .metadata.uid) unit=$(pod_unit nocmd)
    pods_gone nocmd
    wait_until 5 clean_node 2 "$uid" "$unit"
    [ "$(links 2)" = "$before" ]
}

@test "command not found and restartPolicy Always: CrashLoopBackOff, deleted at once" {
    pod nocmd2 <<<'
nodeName: podium-2
containers: [{name: c, image: nginx:demo, command: [/etc/passwd]}]'
    pod_wait nocmd2 '.status.containerStatuses[0].state.waiting.reason=CrashLoopBackOff'
    [[ "$(pod_get nocmd2 '.status.containerStatuses[0].lastState.terminated.message')" == *'permission denied'* ]]
    uid=$(pod_get nocmd2 .metadata.uid) unit=$(pod_unit nocmd2)
    kube delete pod nocmd2 --timeout=30s
    wait_until 5 clean_node 2 "$uid" "$unit"
}

@test "missing ConfigMap, Secret, key: told by name; the pod starts when they appear" {
    pod config <<<'
containers:
- name: c
  image: nginx:demo
  command: [sleep, "1000"]
  env: [{name: A, valueFrom: {configMapKeyRef: {name: later, key: a}}}]'
    pod volume <<<'
volumes: [{name: s, secret: {secretName: later}}]
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"], volumeMounts: [{name: s, mountPath: /s}]}]'
    pod_wait config '.status.containerStatuses[0].state.waiting.reason=CreateContainerConfigError'
    [ "$(state config waiting.message)" = 'configmap "later" not found' ]
    wait_until 5 has_event Pod volume FailedMount
    [[ "$(kube get events --field-selector involvedObject.name=volume,reason=FailedMount -o jsonpath='{.items[0].message}')" == *'secret "later" not found'* ]]
    kube create configmap later --from-literal=b=1
    message() { [ "$(state config waiting.message)" = "couldn't find key a in ConfigMap default/later" ]; }
    wait_until 5 message
    kube patch configmap later --type=merge -p '{"data":{"a":"here"}}'
    kube create secret generic later --from-literal=k=v
    pod_ready config 30
    pod_ready volume 30
    [ "$(kube exec config -- sh -c 'echo $A')" = here ]
    pods_gone config volume
}

@test "a pod no node can take says why" {
    pod giant <<<'
containers: [{name: c, image: nginx:demo, resources: {requests: {cpu: "1000"}}}]'
    wait_until 5 has_event Pod giant FailedScheduling
    [[ "$(kube get events --field-selector involvedObject.name=giant,reason=FailedScheduling -o jsonpath='{.items[0].message}')" == "0/2 nodes are available: 2 Insufficient cpu."* ]]
    [ "$(pod_get giant '.status.conditions[?(@.type=="PodScheduled")].reason')" = Unschedulable ]
    pods_gone giant
}

@test "the agent is killed: its pods go on, and it takes them up again" {
    pod steady <<<'
nodeName: podium-2
containers: [{name: c, image: nginx:demo}]'
    pod_ready steady
    pid=$(container_pid steady c) agent=$(main_pid 2 podium-agent.service)
    ip=$(pod_get steady .status.podIP)
    on_node 2 kill -KILL "$agent"
    other_agent() { local p; p=$(main_pid 2 podium-agent.service); [ "$p" != 0 ] && [ "$p" != "$agent" ]; }
    wait_until 5 other_agent
    kube wait node/podium-2 --for=condition=Ready=True --timeout=30s
    [ "$(container_pid steady c)" = "$pid" ]
    [ "$(pod_get steady '.status.containerStatuses[0].restartCount')" = 0 ]
    on_node 1 curl -sS --max-time 5 "http://$ip/" -o /dev/null
    # it is in charge: what happens now is told
    on_node 2 kill -KILL "$pid"
    pod_wait steady '.status.containerStatuses[0].restartCount=1' 30
    kube exec steady -- sh -c :
    on_node 2 systemctl restart podium-agent.service
    kube wait node/podium-2 --for=condition=Ready=True --timeout=30s
    [ "$(pod_get steady '.status.containerStatuses[0].restartCount')" = 1 ]
    pods_gone steady
}

@test "the server is killed: nothing else stops, no data is lost, work goes on" {
    kube create deployment band --image=nginx:demo --replicas=2
    kube wait deployment/band --for='jsonpath={.status.readyReplicas}=2' --timeout=30s
    kube get pods -l app=band -o jsonpath='{range .items[*]}{.metadata.name} {.metadata.uid}{"\n"}{end}' | sort >"$T/before"
    first=$(head -n 1 "$T/before" | cut -d' ' -f1)
    pid=$(container_pid "$first" nginx)
    version=$(kube get configmap kube-root-ca.crt -o jsonpath='{.metadata.resourceVersion}')
    on_node 1 kill -KILL "$(main_pid 1 podium-server.service)"
    answers() { kube get --raw /readyz >/dev/null 2>&1; }
    wait_until 10 answers
    [ "$(kube get configmap kube-root-ca.crt -o jsonpath='{.metadata.resourceVersion}')" = "$version" ]
    kube wait node --all --for=condition=Ready=True --timeout=30s
    kube get pods -l app=band -o jsonpath='{range .items[*]}{.metadata.name} {.metadata.uid}{"\n"}{end}' | sort | diff "$T/before" -
    [ "$(container_pid "$first" nginx)" = "$pid" ]
    [ "$(kube get pods -l app=band -o jsonpath='{.items[*].status.containerStatuses[0].restartCount}')" = "0 0" ]
    kube scale deployment band --replicas=3
    kube wait deployment/band --for='jsonpath={.status.readyReplicas}=3' --timeout=30s
    kube delete deployment band --timeout=30s
    kube wait pod -l app=band --for=delete --timeout=30s
}

@test "server and agent are both down: the supervisor heals alone, and it is known later" {
    pod lonely <<<'
nodeName: podium-1
containers: [{name: c, image: nginx:demo}]'
    pod_ready lonely
    pid=$(container_pid lonely c) unit=$(pod_unit lonely)
    cg=$(on_node 1 systemctl show -P ControlGroup "$unit")
    on_node 1 systemctl stop podium-server.service podium-agent.service
    on_node 1 kill -KILL "$pid"
    healed() { local p; p=$(on_node 1 cat "/sys/fs/cgroup$cg/c/cgroup.procs" | head -n 1); [ -n "$p" ] && [ "$p" != "$pid" ]; }
    wait_until 3 healed
    now=$(on_node 1 cat "/sys/fs/cgroup$cg/c/cgroup.procs" | head -n 1)
    on_node 1 systemctl start podium-server.service podium-agent.service
    pod_wait lonely '.status.containerStatuses[0].restartCount=1' 30
    [ "$(pod_get lonely '.status.containerStatuses[0].lastState.terminated.exitCode')" = 137 ]
    kube wait node --all --for=condition=Ready=True --timeout=30s
    [ "$(container_pid lonely c)" = "$now" ]
    pods_gone lonely
}

@test "objects deleted while the agent was down are cleaned up when it is back" {
    pod orphan <<<'
nodeName: podium-2
containers: [{name: c, image: nginx:demo}]'
    pod_ready orphan
    uid=$(pod_get orphan .metadata.uid) unit=$(pod_unit orphan)
    on_node 2 systemctl stop podium-agent.service
    kube delete pod orphan --force --grace-period=0 2>/dev/null
    [ "$(on_node 2 systemctl is-active "$unit")" = active ]
    on_node 2 systemctl start podium-agent.service
    wait_until 10 clean_node 2 "$uid" "$unit"
    kube wait node --all --for=condition=Ready=True --timeout=30s
}

@test "the supervisor is killed: its containers go with it and the pod comes back" {
    pod headless <<<'
nodeName: podium-2
volumes: [{name: v, emptyDir: {}}]
containers: [{name: c, image: nginx:demo, volumeMounts: [{name: v, mountPath: /v}]}]'
    pod_ready headless
    kube exec headless -- touch /v/kept
    pid=$(container_pid headless c) unit=$(pod_unit headless)
    on_node 2 kill -KILL "$(main_pid 2 "$unit")"
    replaced() { local p; p=$(container_pid headless c 2>/dev/null) && [ -n "$p" ] && [ "$p" != "$pid" ]; }
    wait_until 20 replaced
    ! on_node 2 test -d "/proc/$pid" || false
    restarted() { [ "$(pod_get headless '.status.containerStatuses[0].restartCount')" -ge 1 ]; }
    wait_until 5 restarted
    pod_ready headless
    kube exec headless -- test -e /v/kept
    on_node 1 curl -sS --max-time 5 "http://$(pod_get headless .status.podIP)/" -o /dev/null
    uid=$(pod_get headless .metadata.uid)
    pods_gone headless
    wait_until 5 clean_node 2 "$uid" "$unit"
}

@test "a node is lost: NotReady, tainted, its pods replaced; back again, everything is as before" {
    kube create deployment touring --image=nginx:demo --replicas=4
    kube wait deployment/touring --for='jsonpath={.status.readyReplicas}=4' --timeout=30s
    [ -n "$(kube get pods -l app=touring --field-selector spec.nodeName=podium-2 -o name)" ]
    # cut the cable: the node lives on, unreachable
    on_node 2 ip link set eth0 down
    kube wait node/podium-2 --for=condition=Ready=Unknown --timeout=30s
    [[ "$(kube get node podium-2 --no-headers)" == *NotReady* ]]
    tainted() { [[ "$(kube get node podium-2 -o jsonpath='{.spec.taints[*].key}')" == *node.kubernetes.io/unreachable* ]]; }
    wait_until 10 tainted
    on_one() { [ "$(kube get pods -l app=touring --field-selector spec.nodeName=podium-1,status.phase=Running -o name | wc -l)" -ge 4 ]; }
    wait_until 20 on_one
    [ -n "$(on_node 2 systemctl list-units --plain --no-legend 'podium-pod-*touring*')" ]
    on_node 2 ip link set eth0 up
    kube wait node/podium-2 --for=condition=Ready=True --timeout=20s
    untainted() { [ -z "$(kube get node podium-2 -o jsonpath='{.spec.taints}')" ]; }
    wait_until 10 untainted
    nothing_there() { [ -z "$(on_node 2 systemctl list-units --plain --no-legend 'podium-pod-*touring*')" ]; }
    wait_until 20 nothing_there
    four() { [ "$(kube get pods -l app=touring -o name | wc -l)" -eq 4 ]; }
    wait_until 10 four
    # pods there can be reached again from here
    pod guest <<<'
nodeName: podium-2
containers: [{name: c, image: nginx:demo}]'
    pod_ready guest
    on_node 1 curl -sS --max-time 5 "http://$(pod_get guest .status.podIP)/" -o /dev/null
    pods_gone guest
    kube delete deployment touring --timeout=30s
    kube wait pod -l app=touring --for=delete --timeout=30s
}

@test "a node loses power and comes back: what was on it is gone or runs again" {
    pod pinned <<<'
nodeName: podium-2
tolerations: [{operator: Exists}]
containers: [{name: c, image: nginx:demo}]'
    pod_ready pinned
    podium_node stop podium-2 --force
    kube wait node/podium-2 --for=condition=Ready=Unknown --timeout=30s
    podium_node start podium-2
    kube wait node/podium-2 --for=condition=Ready=True --timeout=30s
    restarted() { [ "$(pod_get pinned '.status.containerStatuses[0].state.running.startedAt')" != "" ] && kube exec pinned -- sh -c :; }
    wait_until 15 restarted
    pod_ready pinned
    pods_gone pinned
    [ -z "$(on_node 2 systemctl list-units --failed --plain --no-legend)" ]
}
