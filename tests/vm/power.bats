#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A node goes down, in order or by the plug, and comes back: its pods with it, also without the control plane.

load harness

setup_file() {
    vm_setup
    vm_start
    vm_cluster
    # web ends in its own time when it is asked to; job is done; what they do is on a volume of the node, with the time
    vm 'mkdir -p /srv/notes
        podium create -f - <<Y
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 30
  volumes: [{name: notes, hostPath: {path: /srv/notes}}]
  containers:
  - name: c
    image: busybox:vm
    command: [sh, -c, "echo started >>/notes/web; trap \"sleep 3; echo terminated >>/notes/web; exit 0\" TERM; while :; do sleep 0.2; done"]
    volumeMounts: [{name: notes, mountPath: /notes}]
    lifecycle: {preStop: {exec: {command: [sh, -c, "sleep 2; echo prestop >>/notes/web"]}}}
  - name: side
    image: busybox:vm
    command: [sh, -c, "trap \"echo side terminated >>/notes/side; exit 0\" TERM; while :; do sleep 0.2; done"]
    volumeMounts: [{name: notes, mountPath: /notes}]
---
apiVersion: v1
kind: Pod
metadata: {name: once}
spec:
  restartPolicy: Never
  volumes: [{name: notes, hostPath: {path: /srv/notes}}]
  containers:
  - {name: c, image: busybox:vm, command: [sh, -c, "echo ran >>/notes/once"], volumeMounts: [{name: notes, mountPath: /notes}]}
Y
        podium wait pod/web --for=condition=Ready --timeout=120s
        pod_wait once .status.phase=Succeeded
        sync'
}
teardown_file() { vm_teardown; }
setup() { vm_test; }
teardown() { vm_report; }

# The pod runs again, told by its own notes: the control plane may be away
web_started() { # TIMES
    vm -t 150 "until_true 120 sh -c '[ \"\$(grep -c started /srv/notes/web)\" = $1 ]'"
}

@test "reboot: SIGTERM with its grace, preStop before; the pods are back without control plane, what was done is not done again" {
    vm 'systemctl disable -q podium-server podium-server.socket'
    vm_reboot
    run -0 vm 'head -n 3 /srv/notes/web; cat /srv/notes/side'
    [ "$output" = $'started\nprestop\nterminated\nside terminated' ]
    web_started 2
    vm '! systemctl is-active -q podium-server
        systemctl enable -q podium-server podium-server.socket
        systemctl start podium-server.socket podium-server
        podium wait node --all --for=condition=Ready --timeout=120s
        podium wait pod/web --for=condition=Ready --timeout=120s
        [ "$(grep -c started /srv/notes/web)" = 2 ]
        [ "$(cat /srv/notes/once)" = ran ]
        pod_get once .status.phase | grep -q Succeeded'
}

@test "power loss: what was acknowledged is there, the pods are back" {
    # the notes are the test's, on disk before the plug is pulled; the configmap is there because it was acknowledged
    vm 'sync /srv/notes/web
        podium create configmap kept --from-literal=a=b' >/dev/null
    vm_stop
    vm_start
    web_started 3
    run -0 vm 'podium wait node --all --for=condition=Ready --timeout=120s >&2
        podium wait pod/web --for=condition=Ready --timeout=120s >&2
        podium get configmap kept -o "jsonpath={.data.a}"; echo
        pod_get once .status.phase; echo
        cat /srv/notes/once'
    [ "${lines[-3]}" = b ]
    [ "${lines[-2]}" = Succeeded ]
    [ "${lines[-1]}" = ran ]
}

@test "poweroff: the same as a reboot, for who is there when it is switched on again" {
    vm '[ "$(grep -c terminated /srv/notes/web)" = 1 ]
        systemctl start --no-block --job-mode=replace-irreversibly poweroff.target' || true
    vm_went
    vm_start
    web_started 4
    run -0 vm 'grep -c prestop /srv/notes/web; grep -c terminated /srv/notes/web; wc -l </srv/notes/side; cat /srv/notes/once'
    [ "$output" = $'2\n2\n2\nran' ]
}
