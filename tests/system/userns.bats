#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Pods with users of their own (hostUsers: false): root inside is nobody special outside, and all that pods do works.

load harness

setup_file() {
    cluster_setup 1
    on_node 1 sh -c 'mkdir -p /var/lib/podium/kept && echo theirs >/var/lib/podium/kept/file && chown 1000:1000 /var/lib/podium/kept/file && chmod 600 /var/lib/podium/kept/file && chmod 777 /var/lib/podium/kept'
    kube create secret generic hidden --from-literal=word=hush >/dev/null
    kube create configmap plain --from-literal=word=hello >/dev/null
    pods | kube create -f - >/dev/null
    kube wait pod one two --for=condition=Ready --timeout=60s >/dev/null
}
teardown_file() { cluster_teardown; }
teardown() { cluster_report; }

pods() {
    sed 's/^        //' <<'Y'
        apiVersion: v1
        kind: Pod
        metadata: {name: one, labels: {a: b}}
        spec:
          hostUsers: false
          terminationGracePeriodSeconds: 1
          securityContext: {fsGroup: 2000, sysctls: [{name: net.ipv4.ping_group_range, value: "0 2000"}]}
          volumes:
          - {name: v, emptyDir: {}}
          - {name: m, emptyDir: {medium: Memory}}
          - {name: s, secret: {secretName: hidden, defaultMode: 0400}}
          - {name: c, configMap: {name: plain}}
          - {name: d, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
          - {name: h, hostPath: {path: /var/lib/podium/kept}}
          initContainers:
          - {name: first, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sh, -c, "mkdir -p /v/sub; echo init >/v/sub/init"], volumeMounts: [{name: v, mountPath: /v}]}
          containers:
          - name: root
            image: "nginx:demo"
            imagePullPolicy: IfNotPresent
            command: [sh, -c, "echo to stdout >/dev/stdout; echo last >/dev/termination-log; exec sleep 10000"]
            readinessProbe: {exec: {command: [sh, -c, "test -e /v/started"]}, periodSeconds: 1}
            lifecycle: {postStart: {exec: {command: [touch, /v/started]}}}
            volumeMounts: &all
            - {name: v, mountPath: /v}
            - {name: v, mountPath: /sub, subPath: made/here}
            - {name: m, mountPath: /m}
            - {name: s, mountPath: /s}
            - {name: c, mountPath: /c}
            - {name: d, mountPath: /d}
            - {name: h, mountPath: /h}
          - name: user
            image: "nginx:demo"
            imagePullPolicy: IfNotPresent
            command: [sh, -c, "echo to stdout >/dev/stdout; exec sleep 10000"]
            securityContext: {runAsUser: 1000, runAsGroup: 1000}
            volumeMounts: *all
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: two}
        spec:
          hostUsers: false
          shareProcessNamespace: true
          terminationGracePeriodSeconds: 1
          volumes: [{name: h, hostPath: {path: /var/lib/podium/kept}}]
          containers:
          - {name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], volumeMounts: [{name: h, mountPath: /h}]}
          - {name: d, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {privileged: true}}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: beyond}
        spec:
          hostUsers: false
          containers: [{name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"], securityContext: {runAsUser: 70000}}]
Y
}

in_one() { # CONTAINER COMMAND
    kube exec one -c "$1" -- sh -c "$2"
}
base_of() { on_node 1 cat "/proc/$(container_pid "$1" "$2")/uid_map" | awk '{ print $2 }'; } # POD CONTAINER

@test "the pod's root is an ordinary user of the node; each pod has users of its own, all of its containers the same" {
    run -0 in_one root 'id -u; cat /proc/self/uid_map /proc/self/gid_map'
    [ "${lines[0]}" = 0 ]
    [[ "${lines[1]}" =~ ^\ +0\ +([0-9]+)\ +65536$ ]]
    local base=${BASH_REMATCH[1]}
    [ "$base" -ge 524288 ] && [ $((base % 65536)) = 0 ]
    [ "${lines[2]}" = "${lines[1]}" ]
    run -0 on_node 1 grep -E '^(Uid|Gid):' "/proc/$(container_pid one root)/status"
    [ "${lines[0]}" = $'Uid:\t'"$base	$base	$base	$base" ]
    [ "${lines[1]}" = $'Gid:\t'"$base	$base	$base	$base" ]
    [ "$(base_of one user)" = "$base" ]
    [ "$(base_of two c)" != "$base" ]
    [ "$(base_of two d)" = "$(base_of two c)" ]
    [ "$(on_node 1 stat -c %u "/proc/$(container_pid one user)")" = $((base + 1000)) ]
    # its network belongs to it: what it may do there is not what it may do to the node
    run -0 on_node 1 sh -c "readlink /proc/$(container_pid one root)/ns/user /proc/$(container_pid one user)/ns/user /proc/self/ns/user | sort -u | wc -l"
    [ "$output" = 2 ]
}

@test "rights end at the pod: its network, its mounts, not the node's" {
    # privileged: everything, in what is the pod's own
    run -0 kube exec two -c d -- sh -c 'ip link add dummy-x type bridge && echo link; mkdir -p /mnt; mount -t tmpfs t /mnt && echo mount
        hostname renamed && hostname; mknod /tmp/disk b 8 0 2>&1; echo 1 >/proc/sys/kernel/sysrq 2>/dev/null || echo no sysrq'
    [[ "$output" == *link$'\n'mount$'\n'renamed* ]]
    [[ "$output" == *"Operation not permitted"*"no sysrq"* ]]
}

@test "volumes keep the ids that their files have, and are readable as without users of one's own" {
    run -0 in_one root 'echo hers >/v/root; cat /s/word /c/word /d/labels; echo; stat -c "%u:%g %a" /s/..data/word; stat -c %u:%g /v/sub/init /h/file /m; cat /h/file; echo mem >/m/file && echo ok
        echo x >/sub/x && stat -c %u /sub/x; echo "10.0.0.9 added" >>/etc/hosts && tail -n 1 /etc/hosts'
    printf '%s\n' "${lines[@]}"
    [ "${lines[0]}" = 'hushhelloa="b"' ]
    [ "${lines[1]}" = "0:2000 440" ]
    [ "${lines[2]}" = 0:2000 ]
    [ "${lines[3]}" = 1000:1000 ]
    [ "${lines[4]}" = 0:2000 ]
    [ "${lines[5]}" = theirs ]
    [ "${lines[6]}" = ok ]
    [ "${lines[7]}" = 0 ]
    [ "${lines[8]}" = "10.0.0.9 added" ]
    run -0 in_one user 'id; echo his >/v/user; cat /s/word /c/word /h/file; echo mine >/h/mine; stat -c %u:%g /v/user /h/mine; echo mem >/m/his && stat -c %u:%g /m/his'
    [[ "${lines[0]}" == "uid=1000 gid=1000 groups="*2000* ]]
    [ "${lines[1]}" = hushhellotheirs ]
    [ "${lines[2]}" = 1000:2000 ]
    [ "${lines[3]}" = 1000:1000 ]
    [ "${lines[4]}" = 1000:2000 ]
    # on the node's disk, they are the same
    run -0 on_node 1 sh -c "stat -c %u:%g /var/lib/podium/kept/mine /var/lib/podium/pods/$(pod_get one .metadata.uid)/volumes/v/root /var/lib/podium/pods/$(pod_get one .metadata.uid)/volumes/v/user"
    [ "$output" = $'1000:1000\n0:2000\n1000:2000' ]
    # and what a container writes to its root is nobody's to find
    in_one root 'echo deep >/root-file; chown 5:6 /root-file'
    run -0 on_node 1 sh -c "stat -c %u:%g /var/lib/podium/pods/$(pod_get one .metadata.uid)/containers/root/upper/root-file"
    [ "$output" = 5:6 ]
}

@test "exec, terminals, logs, probes, hooks and kernel settings of the pod" {
    run -0 kube logs one -c root
    [ "$output" = "to stdout" ]
    run -0 kube logs one -c user
    [ "$output" = "to stdout" ]
    run -0 kube exec one -c user -- sh -c 'echo again >/dev/stdout; cat /proc/sys/net/ipv4/ping_group_range; id -u'
    [ "${lines[0]}" = again ]
    [ "${lines[1]}" = $'0\t2000' ]
    [ "${lines[2]}" = 1000 ]
    run -0 script -qec "$KUBECTL --cache-dir=$T/kube-cache exec -it one -c user -- sh -c 'tty; stat -c %u \$(tty)'" /dev/null
    [[ "$output" == */dev/pts/0*1000* ]]
    # processes of a shared namespace: the first one belongs to the pod as well
    run -0 kube exec two -c c -- sh -c 'ls -d /proc/[0-9]* | wc -l; stat -c %u /proc/1; ls /proc/1/root 2>&1 || :'
    [ "${lines[0]}" -ge 3 ]
    [ "${lines[1]}" = 0 ]
    [[ "${lines[2]}" == *ermission* ]]
}

@test "who is not in the range is refused with words; a container starts again; the range stays with an agent that comes back" {
    wait_until 20 eval '[[ "$(pod_get beyond ".status.containerStatuses[0].state.waiting.message")" == *"70000 is not in the pod"* ]]'
    local base first
    base=$(base_of one root)
    first=$(container_pid one root)
    on_node 1 systemctl restart podium-agent
    kube exec one -c root -- sh -c :
    on_node 1 kill -KILL "$first"
    wait_until 20 eval '[ "$(pod_get one ".status.containerStatuses[?(@.name==\"root\")].restartCount")" = 1 ]'
    pod_ready one
    [ "$(base_of one root)" = "$base" ]
    pod three <<'Y'
hostUsers: false
containers: [{name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sleep, "10000"]}]
Y
    pod_ready three
    [ "$(base_of three c)" != "$base" ] && [ "$(base_of three c)" != "$(base_of two c)" ]
}
