#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A node that runs short of memory or disk helps itself: on a real kernel, with pressure stall information.

load harness

setup_file() {
    vm_setup
    vm_start
    # what pods and images are on is small, and what a node is short of is soon reached
    vm 'truncate -s 320M /disk.img
        mkfs.ext4 -q -F -m 0 /disk.img
        mkdir -p /var/lib/podium /etc/podium/podium.conf.d /run/flags
        modprobe loop
        mount "$(losetup -f --show /disk.img)" /var/lib/podium
        cat >/etc/podium/podium.conf.d/test.conf <<C
[Agent]
EvictionHard=memory.available<200Mi,nodefs.available<10%,imagefs.available<15%
EvictionPressureTransitionPeriod=10m
ImageGcHigh=100
ImageGcMinAge=0
LogLevel=debug
C'
    vm_cluster
}
teardown_file() { vm_teardown; }
setup() { vm_test; }
teardown() { vm_report; }

@test "tasks that wait for memory wake the agent" {
    # it has room for one of the two files that it reads again and again; the node has plenty
    run -0 vm 'pod thrash <<Y >/dev/null
containers:
- {name: c, image: busybox:vm, command: [sh, -c, "dd if=/dev/zero of=/a bs=1M count=12; cp /a /b; while :; do cat /a /b >/dev/null; done"], resources: {limits: {memory: 16Mi}}}
Y
        pod_wait thrash .status.phase=Running >/dev/null
        until_true 90 sh -c "journalctl -q -u podium-agent | grep -q \"the kernel tells that tasks wait for memory\"" && echo woken
        grep -c "^some.*total=[1-9]" $(pod_group thrash c)/memory.pressure
        podium get node -o jsonpath="{.items[0].status.conditions[?(@.type==\"MemoryPressure\")].status}"
        pods_gone thrash >/dev/null'
    [ "${lines[0]}" = woken ]
    [ "${lines[1]}" = 1 ]
    [ "${lines[2]}" = False ]
}

@test "a node short of memory evicts the pod that uses more than it asks for, and only that one" {
    # the hog is a ReplicaSet's: what is evicted is replaced
    vm 'for p in "full 40Mi 40Mi" "modest 150Mi 400Mi"; do
            set -- $p
            pod $1 <<Y
containers:
- {name: c, image: busybox:vm, command: [sh, -c, "dd if=/dev/zero of=/m/x bs=1M count=24; sleep 1000"], volumeMounts: [{name: m, mountPath: /m}], resources: {requests: {cpu: 200m, memory: $2}, limits: {cpu: 200m, memory: $3}}}
volumes: [{name: m, emptyDir: {medium: Memory}}]
Y
        done
        podium create -f - <<Y
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: hog}
spec:
  replicas: 1
  selector: {matchLabels: {app: hog}}
  template:
    metadata: {labels: {app: hog}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: c, image: busybox:vm, command: [sh, -c, "until [ -e /flags/go ]; do sleep 0.2; done; i=0; while [ -e /flags/go ]; do dd if=/dev/zero of=/m/\$((i+=1)) bs=1M count=10; done; sleep 1000"], volumeMounts: [{name: m, mountPath: /m}, {name: f, mountPath: /flags}]}
      volumes: [{name: m, emptyDir: {medium: Memory}}, {name: f, hostPath: {path: /run/flags}}]
Y
        for p in full modest; do pod_wait $p .status.phase=Running; done
        podium wait rs/hog --for=jsonpath={.status.readyReplicas}=1 --timeout=90s
        hog=$(podium get pod -l app=hog -o jsonpath={.items[0].metadata.name})
        echo $hog >/run/hog
        touch /run/flags/go
        pod_wait $hog .status.phase=Failed 150
        rm /run/flags/go' >/dev/null
    run -0 vm 'hog=$(cat /run/hog)
        echo $(pod_get $hog .status.reason): $(pod_get $hog .status.message)
        echo $(pod_get $hog ".status.conditions[?(@.type==\"DisruptionTarget\")].status") $(pod_get $hog ".status.conditions[?(@.type==\"DisruptionTarget\")].reason")
        for p in full modest; do echo $(pod_get $p .status.phase) $(pod_get $p ".status.containerStatuses[0].restartCount"); done
        podium get events | grep -c "EvictionThresholdMet.*Attempting to reclaim memory"
        until_true 30 sh -c "podium get events --field-selector reason=Evicted,involvedObject.name=$hog -o name | grep -q ."
        podium get events --field-selector reason=Evicted,involvedObject.name=$hog -o jsonpath="{.items[0].type} {.items[0].metadata.annotations.starved_resource} {.items[0].metadata.annotations.offending_containers}"'
    printf '%s\n' "${lines[@]}"
    [[ "${lines[0]}" =~ ^"Evicted: The node was low on resource: memory. Threshold quantity: 200Mi, available: "[0-9]+[KM]?i?". Container c was using "[0-9]+[KM]i", request is 0, has larger consumption of memory."$ ]]
    [ "${lines[1]}" = "True TerminationByKubelet" ]
    [ "${lines[2]}" = "Running 0" ]
    [ "${lines[3]}" = "Running 0" ]
    [ "${lines[4]}" = 1 ]
    [ "${lines[5]}" = "Warning memory c" ]
}

@test "a node short of memory says so, is tainted, and takes no pod that asks for none" {
    run -0 vm 'podium get node -o jsonpath="{range .items[0].status.conditions[?(@.type==\"MemoryPressure\")]}{.status} {.reason}{\"\n\"}{end}"
        until_true 30 sh -c "podium get node -o jsonpath={.items[0].spec.taints[*].key}:{.items[0].spec.taints[*].effect} | grep -x node.kubernetes.io/memory-pressure:NoSchedule"
        for p in "none {}" "some {\"requests\":{\"memory\":\"1Mi\"}}"; do
            set -- $p
            pod $1 <<Y >/dev/null
nodeName: $(hostname)
containers:
- {name: c, image: busybox:vm, command: [sleep, "1000"], resources: $2}
Y
        done
        pod_wait some .status.phase=Running >/dev/null
        until_true 60 sh -c "podium get pod none -o jsonpath={.status.phase} | grep -xE \"Failed|Running\""
        echo "$(pod_get none .status.reason): $(pod_get none .status.message)"
        podium get pod none --no-headers | sed -E "s/ +/ /g; s/ [^ ]+ *$//"
        podium get pods -l app=hog --field-selector status.phase!=Failed -o jsonpath="{range .items[*]}{.status.phase} {.status.conditions[?(@.type==\"PodScheduled\")].reason}{\"\n\"}{end}"'
    printf '%s\n' "${lines[@]}"
    [ "${lines[0]}" = "True KubeletHasInsufficientMemory" ]
    [ "${lines[1]}" = "node.kubernetes.io/memory-pressure:NoSchedule" ]
    [ "${lines[2]}" = Failed ]
    [ "${lines[3]}" = "Evicted: Pod was rejected: The node had condition: [MemoryPressure]. " ]
    [ "${lines[4]}" = "none 0/1 Evicted 0" ]
    # what replaces the one that was evicted waits for another node
    [ "${lines[5]}" = "Pending Unschedulable" ]
}

@test "when the agent starts anew what was evicted stays so, and the node, well again, takes pods" {
    run -0 vm 'hog=$(cat /run/hog)
        sed -i s/=10m/=5s/ /etc/podium/podium.conf.d/test.conf
        systemctl restart podium-agent
        podium wait node --all --for=condition=MemoryPressure=False --timeout=120s >/dev/null
        # the one that replaces it
        podium wait rs/hog --for=jsonpath={.status.readyReplicas}=1 --timeout=120s >/dev/null
        echo taints: $(podium get node -o jsonpath={.items[0].spec.taints})
        echo $(pod_get $hog .status.phase) $(pod_get $hog .status.reason)
        systemctl list-units --plain --no-legend "podium-pod-default-$hog*" | wc -l
        podium delete rs hog >/dev/null
        pods_gone full modest none some >/dev/null'
    printf '%s\n' "${lines[@]}"
    [ "${lines[0]}" = taints: ]
    [ "${lines[1]}" = "Failed Evicted" ]
    [ "${lines[2]}" = 0 ]
}

@test "a full disk is relieved of what nobody uses first, then of the pod that holds most" {
    vm 'mkdir -p /run/junk/layer
        head -c 30M /dev/zero >/run/junk/zeros
        tar -c -C /run/junk -f /run/junk/layer/layer.tar zeros
        id=$(sha256sum /run/junk/layer/layer.tar | cut -d" " -f1)
        jq -n --arg id "sha256:$id" "{architecture: \"amd64\", os: \"linux\", config: {}, rootfs: {type: \"layers\", diff_ids: [\$id]}}" >/run/junk/config.json
        echo "[{\"Config\":\"config.json\",\"RepoTags\":[\"docker.io/library/junk:vm\"],\"Layers\":[\"layer/layer.tar\"]}]" >/run/junk/manifest.json
        tar -c -C /run/junk -f /run/junk.tar manifest.json config.json layer/layer.tar
        podium image import -q /run/junk.tar
        rm -r /run/junk /run/junk.tar
        pod worked <<Y
initContainers:
- {name: i, image: busybox:vm, command: [dd, if=/dev/zero, of=/x, bs=1M, count=30]}
containers:
- {name: c, image: busybox:vm, command: [sleep, "1000"]}
Y
        pod small <<Y
containers:
- {name: c, image: busybox:vm, command: [sh, -c, "dd if=/dev/zero of=/x bs=1M count=5; touch /done; sleep 1000"]}
Y
        pod large <<Y
containers:
- {name: c, image: busybox:vm, command: [sh, -c, "dd if=/dev/zero of=/v/x bs=1M count=30; touch /done; sleep 1000"], volumeMounts: [{name: v, mountPath: /v}]}
volumes: [{name: v, emptyDir: {}}]
Y
        for p in worked small large; do pod_wait $p .status.phase=Running; done
        for p in small large; do until_true 90 podium exec $p -- test -e /done; done' >/dev/null
    # a little less than it should be: what nobody uses makes up for it
    run -0 vm 'set -- $(stat -f -c "%S %b %a" /var/lib/podium)
        layer=/var/lib/podium/pods/$(pod_get worked .metadata.uid)/containers/i
        [ -e $layer ] && podium image ls | grep -c junk
        fallocate -l $((($3 - $2 * 15 / 100) * $1 + (20 << 20))) /var/lib/podium/filler
        podium wait node --all --for=condition=DiskPressure --timeout=120s >/dev/null
        until_true 60 sh -c "[ ! -e $layer ]" && echo layer gone
        until_true 60 sh -c "! podium image ls | grep -q junk" && echo image gone
        podium wait node --all --for=condition=DiskPressure=False --timeout=120s >/dev/null
        echo $(for p in worked small large; do pod_get $p .status.phase; echo; done)'
    printf '%s\n' "${lines[@]}"
    [ "${lines[0]}" = 1 ]
    [ "${lines[1]}" = "layer gone" ]
    [ "${lines[2]}" = "image gone" ]
    [ "${lines[3]}" = "Running Running Running" ]
    # now somebody has to go
    run -0 vm 'set -- $(stat -f -c "%S %b %a" /var/lib/podium)
        uid=$(pod_get large .metadata.uid)
        fallocate -l $((($3 - $2 * 15 / 100) * $1 + (10 << 20))) /var/lib/podium/filler2
        pod_wait large .status.phase=Failed 150 >/dev/null
        pod_get large .status.message; echo
        [ ! -e /var/lib/podium/pods/$uid ] && echo its files are gone
        podium wait node --all --for=condition=DiskPressure=False --timeout=120s >/dev/null
        echo $(pod_get worked .status.phase) $(pod_get small .status.phase)
        rm /var/lib/podium/filler*
        pods_gone worked small large >/dev/null'
    printf '%s\n' "${lines[@]}"
    [[ "${lines[0]}" =~ ^"The node was low on resource: ephemeral-storage. Threshold quantity: "[0-9]+[KM]?i?", available: "[0-9]+Ki". " ]]
    [ "${lines[1]}" = "its files are gone" ]
    [ "${lines[2]}" = "Running Running" ]
}

@test "a pod over a limit of its own on storage is evicted: of a volume, a container, the pod" {
    vm 'pod volume <<Y
containers:
- {name: c, image: busybox:vm, command: [sh, -c, "dd if=/dev/zero of=/v/x bs=1M count=3; sleep 1000"], volumeMounts: [{name: v, mountPath: /v}]}
volumes: [{name: v, emptyDir: {sizeLimit: 1Mi}}]
Y
        pod container <<Y
containers:
- {name: c, image: busybox:vm, command: [sh, -c, "dd if=/dev/zero of=/x bs=1M count=3; sleep 1000"], resources: {limits: {ephemeral-storage: 1Mi}}}
- {name: d, image: busybox:vm, command: [sleep, "1000"], resources: {limits: {ephemeral-storage: 20Mi}}}
Y
        pod whole <<Y
containers:
- {name: c, image: busybox:vm, command: [sh, -c, "dd if=/dev/zero of=/v/x bs=1M count=3; sleep 1000"], volumeMounts: [{name: v, mountPath: /v}], resources: {limits: {ephemeral-storage: 2Mi}}}
volumes: [{name: v, emptyDir: {}}]
Y
        pod within <<Y
containers:
- {name: c, image: busybox:vm, command: [sh, -c, "dd if=/dev/zero of=/x bs=1M count=3; sleep 1000"], resources: {limits: {ephemeral-storage: 20Mi}}}
Y
        for p in volume container whole; do pod_wait $p .status.phase=Failed 150; done' >/dev/null
    run -0 vm 'for p in volume container whole; do echo "$(pod_get $p .status.reason): $(pod_get $p .status.message)|"; done
        pod_get within .status.phase; echo
        pods_gone volume container whole within >/dev/null'
    printf '%s\n' "${lines[@]}"
    [ "${lines[0]}" = 'Evicted: Usage of EmptyDir volume "v" exceeds the limit "1Mi". |' ]
    [ "${lines[1]}" = 'Evicted: Container c exceeded its local ephemeral storage limit "1Mi". |' ]
    [ "${lines[2]}" = 'Evicted: Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. |' ]
    [ "${lines[3]}" = Running ]
}
