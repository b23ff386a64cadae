#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What a pod may and may not: users, rights, namespaces of the node, kernel settings, limits.

load harness

setup_file() {
    cluster_setup 1
    pods | kube create -f - >/dev/null
    kube wait pod -l ready=yes --for=condition=Ready --timeout=60s >/dev/null
}
teardown_file() { cluster_teardown; }
teardown() { cluster_report; }

# All pods of this file, made at once. Containers sleep unless they say what to do.
pods() {
    # the image says USER with the name web, or with a number: made from the one at hand
    sed 's/^        //' <<'Y'
        apiVersion: v1
        kind: Pod
        metadata: {name: users, labels: {ready: "yes"}}
        spec:
          terminationGracePeriodSeconds: 1
          securityContext: {runAsUser: 1234, runAsGroup: 1235, fsGroup: 2000, supplementalGroups: [3000, 3001], runAsNonRoot: true}
          volumes: [{name: v, emptyDir: {}}]
          containers:
          - {name: pods, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], volumeMounts: [{name: v, mountPath: /v}]}
          - {name: own, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {runAsUser: 33}}
          - {name: root, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {runAsUser: 0, runAsGroup: 0, runAsNonRoot: false}}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: image-root}
        spec:
          containers: [{name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {runAsNonRoot: true}}]
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: user-root}
        spec:
          securityContext: {runAsNonRoot: true}
          containers: [{name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {runAsUser: 0}}]
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: rights, labels: {ready: "yes"}}
        spec:
          terminationGracePeriodSeconds: 1
          containers:
          - {name: plain, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"]}
          - {name: some, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {capabilities: {add: [NET_ADMIN, IPC_LOCK], drop: [CHOWN]}}}
          - {name: none, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {capabilities: {drop: [ALL]}, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true}}
          - {name: one, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}}
          - {name: all, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {capabilities: {add: [ALL], drop: [IPC_LOCK]}}}
          - {name: user, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {runAsUser: 1000, capabilities: {add: [NET_ADMIN]}}}
          - {name: privileged, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {privileged: true}}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: filters, labels: {ready: "yes"}}
        spec:
          terminationGracePeriodSeconds: 1
          securityContext: {seccompProfile: {type: RuntimeDefault}}
          containers:
          - {name: default, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"]}
          - {name: unconfined, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {seccompProfile: {type: Unconfined}}}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: no-profile}
        spec:
          containers: [{name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {seccompProfile: {type: Localhost, localhostProfile: absent.json}}}]
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: together, labels: {ready: "yes"}}
        spec:
          terminationGracePeriodSeconds: 1
          shareProcessNamespace: true
          hostAliases: [{ip: 192.0.2.7, hostnames: [desk, stand]}]
          securityContext: {sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "80"}, {name: net/ipv4/tcp_syncookies, value: "0"}]}
          containers:
          - {name: a, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10001"]}
          - {name: b, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10002"]}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: host, labels: {ready: "yes"}}
        spec:
          terminationGracePeriodSeconds: 1
          hostNetwork: true
          hostPID: true
          hostIPC: true
          containers: [{name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"]}]
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: unsafe}
        spec:
          securityContext: {sysctls: [{name: kernel.msgmax, value: "65536"}]}
          containers: [{name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"]}]
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: burstable, labels: {ready: "yes"}}
        spec:
          terminationGracePeriodSeconds: 1
          containers:
          - {name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], resources: {requests: {cpu: 250m, memory: 64Mi}, limits: {cpu: 500m, memory: 128Mi}}}
          - {name: idle, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"]}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: guaranteed, labels: {ready: "yes"}}
        spec:
          terminationGracePeriodSeconds: 1
          containers: [{name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], resources: {limits: {cpu: 100m, memory: 64Mi}}}]
Y
}

in_pod() { # POD CONTAINER COMMAND…
    local p=$1 c=$2
    shift 2
    kube exec "$p" -c "$c" -- "$@"
}
# A field of its first process's /proc/PID/status
proc() { in_pod "$1" "$2" grep "^$3:" "/proc/${4:-1}/status" | cut -f2; }
capable() { [ $((0x$(proc "$1" "$2" CapEff) >> $3 & 1)) -eq 1 ]; }
pod_json() { # POD: as the agent gives it to the supervisor
    on_node 1 cat "/run/podium/pods/$(pod_get "$1" .metadata.uid)/pod.json"
}
config_of() { pod_json "$1" | jq -c ".containers[] | select(.name==\"$2\").config$3"; }

@test "runAsUser, runAsGroup, supplemental groups, fsGroup: of the pod, of the container" {
    [ "$(in_pod users pods busybox id -u)" = 1234 ]
    [ "$(in_pod users pods busybox id -g)" = 1235 ]
    groups=" $(in_pod users pods busybox id -G) "
    for g in 2000 3000 3001; do [[ "$groups" == *" $g "* ]]; done
    in_pod users pods sh -c 'echo >/v/mine'
    [ "$(in_pod users pods busybox stat -c %u:%g /v/mine)" = 1234:2000 ]
    [ "$(in_pod users own busybox id -u)" = 33 ]
    [ "$(in_pod users own busybox id -g)" = 1235 ]
    [ "$(in_pod users root busybox id -u)" = 0 ]
}

@test "runAsNonRoot: an image or a user that is root is refused in the kubelet's words" {
    pod_wait image-root '.status.containerStatuses[0].state.waiting.reason=CreateContainerConfigError'
    [[ "$(pod_get image-root '.status.containerStatuses[0].state.waiting.message')" == \
    "container has runAsNonRoot and image will run as root (pod: \"image-root_default("*")\", container: c)" ]]
    pod_wait user-root '.status.containerStatuses[0].state.waiting.reason=CreateContainerConfigError'
    [[ "$(pod_get user-root '.status.containerStatuses[0].state.waiting.message')" == \
    "container's runAsUser breaks non-root policy"* ]]
}

@test "capabilities: the default set, added, dropped, ALL; none for users" {
    NET_ADMIN=12 CHOWN=0 IPC_LOCK=14 SYS_ADMIN=21 BIND=10 KILL=5
    capable rights plain $CHOWN
    capable rights plain $KILL
    not capable rights plain $NET_ADMIN
    not capable rights plain $SYS_ADMIN
    capable rights some $NET_ADMIN
    capable rights some $IPC_LOCK
    not capable rights some $CHOWN
    [ "$(proc rights none CapEff)" = 0000000000000000 ]
    [ "$(proc rights none CapBnd)" = 0000000000000000 ]
    [ "$(proc rights one CapEff)" = 0000000000000400 ]
    capable rights one $BIND
    capable rights all $SYS_ADMIN
    not capable rights all $IPC_LOCK
    [ "$(proc rights user CapEff)" = 0000000000000000 ]
    [ $((0x$(proc rights user CapBnd) >> NET_ADMIN & 1)) -eq 1 ]
    capable rights privileged $SYS_ADMIN
}

@test "no new privileges, a read-only root" {
    [ "$(proc rights plain NoNewPrivs)" = 0 ]
    [ "$(proc rights none NoNewPrivs)" = 1 ]
    run in_pod rights none touch /x
    [ "$status" -ne 0 ]
    [[ "$output" == *"Read-only file system"* ]]
    in_pod rights plain touch /x
}

@test "privileged: the host's devices, kernel settings writable, nothing masked; others not" {
    on_node 1 mknod /dev/baton-test c 1 7
    pod devices <<'Y'
containers:
- {name: privileged, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {privileged: true}}
- {name: plain, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"]}
Y
    pod_ready devices
    on_node 1 rm /dev/baton-test
    in_pod devices privileged test -c /dev/baton-test
    not in_pod devices plain test -e /dev/baton-test
    [ "$(proc rights privileged Seccomp)" = 0 ]
    in_pod rights privileged busybox mount -t tmpfs none /etc
    run in_pod rights plain busybox mount -t tmpfs none /etc
    [[ "$output" == *"ermission denied"* || "$output" == *"not permitted"* ]]
    run in_pod rights plain sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
    [ "$status" -ne 0 ]
    [ -z "$(in_pod rights plain cat /proc/timer_list)" ] # masked
    config_of rights privileged .linux | jq -e '.maskedPaths == null and .readonlyPaths == null'
    config_of rights plain .linux | jq -e '.maskedPaths | index("/proc/kcore")'
}

@test "procMount masks; Unmasked is for pods with users of their own" {
    proc_pod() { # NAME SPEC PROCMOUNT
        cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsUser: 1000, runAsGroup: 1000, supplementalGroups: [4000], supplementalGroupsPolicy: Strict}
  $2
  containers:
  - {name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {procMount: $3}}
Y
    }
    run kube create -f - <<<"$(proc_pod open '' Unmasked)"
    [[ "$output" == *'spec.containers[0].securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`'* ]]
    proc_pod masked '' Default | kube create -f - >/dev/null
    proc_pod own-users 'hostUsers: false' Unmasked | kube create -f - >/dev/null
    pod_ready masked
    in_pod masked c grep -q ' /proc/timer_list ' /proc/self/mountinfo
    in_pod masked c grep -q ' /proc/sys ' /proc/self/mountinfo
    groups=$(in_pod masked c busybox id -G)
    [ "$groups" = "1000 4000" ]
    pod_ready own-users
    run in_pod own-users c grep ' /proc/timer_list ' /proc/self/mountinfo
    [ "$status" -eq 1 ]
    [ "$(in_pod own-users c sh -c 'read -r in out n </proc/self/uid_map; [ "$out" -gt 0 ] && echo own')" = own ]
}

@test "seccomp: RuntimeDefault, Unconfined, Localhost; exec is filtered, too" {
    [ "$(proc filters default Seccomp)" = 2 ]
    [ "$(proc filters default Seccomp self)" = 2 ]
    [ "$(proc filters unconfined Seccomp)" = 0 ]
    run in_pod filters default busybox unshare -U true
    [ "$status" -ne 0 ]
    pod_wait no-profile '.status.containerStatuses[0].state.waiting.reason=CreateContainerError'
    [[ "$(pod_get no-profile '.status.containerStatuses[0].state.waiting.message')" == *seccomp*absent.json* ]]
    on_node 1 mkdir -p /var/lib/kubelet/seccomp/profiles
    on_node 1 tee /var/lib/kubelet/seccomp/profiles/no-mkdir.json >/dev/null <<'J'
{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_AARCH64"],
 "syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}
J
    pod localhost <<'Y'
containers: [{name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {seccompProfile: {type: Localhost, localhostProfile: profiles/no-mkdir.json}}}]
Y
    pod_ready localhost
    run in_pod localhost c busybox mkdir /y
    [ "$status" -ne 0 ]
    echo "$output"
    [[ "$output" == *"No space left"* ]]
}

@test "sysctls: safe ones are set in the pod, others reject it" {
    [ "$(in_pod together a cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" = 80 ]
    [ "$(in_pod together b cat /proc/sys/net/ipv4/tcp_syncookies)" = 0 ]
    [ "$(in_pod users pods cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" = 1024 ]
    pod_wait unsafe .status.phase=Failed
    [ "$(pod_get unsafe .status.reason)" = SysctlForbidden ]
    [ "$(pod_get unsafe .status.message)" = 'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted' ]
    wait_until 5 has_event Pod unsafe SysctlForbidden
}

@test "shareProcessNamespace: containers see each other; hostAliases" {
    run in_pod together a busybox ps -o args
    [[ "$output" == *"sleep 10001"* ]]
    [[ "$output" == *"sleep 10002"* ]]
    [ "$(in_pod together a busybox readlink /proc/self/ns/pid)" = "$(in_pod together b busybox readlink /proc/self/ns/pid)" ]
    in_pod together a grep -qE '^192\.0\.2\.7[[:space:]]desk[[:space:]]stand$' /etc/hosts
    run in_pod users pods busybox ps -o args
    [[ "$output" != *"sleep 10001"* ]]
}

@test "hostNetwork, hostPID, hostIPC: the node's namespaces and shared memory" {
    for ns in net pid ipc uts; do
        [ "$(in_pod host c busybox readlink /proc/self/ns/$ns)" = "$(on_node 1 readlink /proc/1/ns/$ns)" ] || {
            [ $ns = uts ] && continue # its own, with the node's name in it
            echo "$ns"
            return 1
        }
    done
    [ "$(in_pod host c hostname)" = podium-1 ]
    [ "$(in_pod host c busybox cat /proc/1/comm)" = systemd ]
    on_node 1 touch /dev/shm/of-the-node
    in_pod host c test -e /dev/shm/of-the-node
    not in_pod users pods test -e /dev/shm/of-the-node
    on_node 1 rm /dev/shm/of-the-node
    [ "$(pod_get host .status.podIP)" = "$(pod_get host .status.hostIP)" ]
}

@test "requests and limits become cgroup settings; oom_score_adj by QoS class" {
    config_of burstable c .linux.resources | jq -e '.cpu.shares == 256 and .cpu.quota == 50000 and .cpu.period == 100000
        and .memory.limit == 134217728 and .unified["memory.oom.group"] == "1"'
    config_of burstable idle .linux.resources | jq -e '.cpu.shares == 2 and .cpu.quota == null and .memory == null'
    config_of guaranteed c .linux.resources | jq -e '.cpu.shares == 102 and .cpu.quota == 10000 and .memory.limit == 67108864'
    config_of users pods .linux.resources | jq -e '.cpu == null and .memory == null'
    [ "$(pod_get burstable .status.qosClass)$(pod_get guaranteed .status.qosClass)$(pod_get users .status.qosClass)" = BurstableGuaranteedBestEffort ]
    [ "$(in_pod users pods cat /proc/1/oom_score_adj)" = 1000 ]
    adj=$(in_pod burstable c cat /proc/1/oom_score_adj)
    [ "$adj" -ge 900 ] && [ "$adj" -lt 1000 ]
    [ "$(in_pod burstable idle cat /proc/1/oom_score_adj)" = 999 ]
    adj=$(in_pod guaranteed c cat /proc/1/oom_score_adj)
    [ "$adj" = -997 ] || [ "$adj" = "$(on_node 1 cat /proc/1/oom_score_adj)" ] # a host that may not lower it
}

@test "kubectl debug: a container beside the target's processes, kept in the status, never restarted" {
    run kube debug together --image=nginx:demo --image-pull-policy=IfNotPresent --target=a -c dbg -- sh -c 'busybox ps -o args; exit 3'
    [ "$status" -eq 0 ]
    pod_wait together '.status.ephemeralContainerStatuses[0].state.terminated.exitCode=3'
    [[ "$(kube logs together -c dbg)" == *"sleep 10001"* ]]
    [ "$(pod_get together '.status.ephemeralContainerStatuses[0].restartCount')" = 0 ]
    [ "$(pod_get together '.status.ephemeralContainerStatuses[0].imageID')" = "$(pod_get together '.status.containerStatuses[0].imageID')" ]
    # the namespace of the target alone
    kube debug users --image=nginx:demo --image-pull-policy=IfNotPresent --target=root -c dbg -- sleep 10003
    kube wait pod/users --for=jsonpath='{.status.ephemeralContainerStatuses[0].state.running}' --timeout=30s
    [[ "$(in_pod users root busybox ps -o args)" == *"sleep 10003"* ]]
    [[ "$(in_pod users own busybox ps -o args)" != *"sleep 10003"* ]]
    kube wait pod/users --for=condition=Ready --timeout=30s
    # its image is not here: it waits, the pod goes on
    kube debug rights --image=nowhere.invalid/none:1 --image-pull-policy=Never -c dbg -- true
    pod_wait rights '.status.ephemeralContainerStatuses[0].state.waiting.reason=ErrImageNeverPull'
    kube wait pod/rights --for=condition=Ready --timeout=30s
}

@test "kubectl debug -it: a shell beside the target, with a terminal and an end" {
    mkfifo "$T/keys"
    (exec script -qec "stty rows 33 cols 123; $KUBECTL --cache-dir=$T/kube-cache debug -it rights --image=nginx:demo \
        --image-pull-policy=IfNotPresent --target=plain -c shell -- sh" /dev/null <"$T/keys" >"$T/shell.out" 2>&1 3>&-) &
    shell=$!
    exec 7>"$T/keys"
    sized() {
        echo 'busybox stty size; busybox ps -o args' >&7
        sleep 0.2
        grep -q "33 123" "$T/shell.out" && grep -q "sleep 10000" "$T/shell.out"
    }
    wait_until 20 sized
    echo 'exit 7' >&7
    pod_wait rights '.status.ephemeralContainerStatuses[1].state.terminated.exitCode=7'
    wait $shell || true
    exec 7>&-
    grep -q "Session ended" "$T/shell.out"
}

@test "ephemeral containers can only be added" {
    run kube patch pod together --subresource=ephemeralcontainers --type=json -p '[{"op":"remove","path":"/spec/ephemeralContainers/0"}]'
    [ "$status" -ne 0 ]
    [[ "$output" == *"may not be removed"* ]]
    api PATCH /api/v1/namespaces/default/pods/together/ephemeralcontainers \
        -H 'Content-Type: application/strategic-merge-patch+json' \
        -d '{"spec":{"ephemeralContainers":[{"name":"dbg2","image":"nginx:demo","ports":[{"containerPort":80}]}]}}'
    [ "$STATUS" = 422 ]
    [[ "$BODY" == *"cannot be set for an Ephemeral Container"* ]]
    api GET /api/v1/namespaces/default/pods/together/ephemeralcontainers
    [ "$(jq -r '.spec.ephemeralContainers[0].name' <<<"$BODY")" = dbg ]
}

@test "kubectl debug of a copy and of the node" {
    kube debug together --copy-to=copy --container=a --image-pull-policy=IfNotPresent --share-processes -- sleep 10009
    pod_ready copy
    [[ "$(in_pod copy b busybox ps -o args)" == *"sleep 10009"* ]]
    kube debug node/podium-1 --image=nginx:demo -- sh -c 'cat /host/etc/hostname /proc/1/comm; ls /sys/class/net'
    name=$(kube get pods -o name | grep node-debugger)
    kube wait "$name" --for=jsonpath='{.status.phase}=Succeeded' --timeout=30s
    [[ "$(kube logs "$name")" == *systemd*eth0* ]]
}
