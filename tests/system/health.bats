#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# How well a container is: probes, hooks, readiness gates, last words, and the words kubectl has for all of it.

load harness

setup_file() {
    cluster_setup 1
    # a gRPC server for any image, in a folder pods mount
    cc -static -O1 -o "$T/grpc_health" "$ROOT/tests/system/grpc_health.c"
    on_node 1 mkdir -p /var/lib/podium/tools
    on_node 1 sh -c 'cat >/var/lib/podium/tools/grpc_health && chmod 755 /var/lib/podium/tools/grpc_health' <"$T/grpc_health"
}
teardown_file() { cluster_teardown; }
teardown() { cluster_report; }

ready_is() { kube wait "pod/$1" --for="condition=Ready=$2" --timeout="${3:-20}s" >/dev/null; } # NAME True|False
event_text() { kube get events --field-selector "involvedObject.name=$1,reason=$2" -o jsonpath='{range .items[*]}{.message}{"\n"}{end}'; }
event_says() { event_text "$1" "$2" | grep -qF "$3"; } # NAME REASON TEXT
says_often() { # NAME REASON COUNT: one event, counted
    local n
    n=$(kube get events --field-selector "involvedObject.name=$1,reason=$2" -o jsonpath='{.items[0].count}')
    [ "${n:-0}" -ge "$3" ]
}
word() { kube get pod "$1" --no-headers | awk '{print $3}'; } # the STATUS column
word_is() { [ "$(word "$1")" = "$2" ]; }
logs_have() { kube logs "$1" | grep -q "$2"; }

@test "readiness over HTTP: the pod is ready when the page is there, and not when it is gone" {
    pod page <<<'
containers:
- name: c
  image: nginx:demo
  ports: [{name: web, containerPort: 80}]
  readinessProbe: {httpGet: {port: web, path: /ready, httpHeaders: [{name: Host, value: probe.example}]}, periodSeconds: 1, failureThreshold: 1}'
    pod_wait page .status.phase=Running
    wait_until 10 event_says page Unhealthy "Readiness probe failed: HTTP probe failed with statuscode: 404"
    [ "$(pod_get page '.status.conditions[?(@.type=="Ready")].reason')" = ContainersNotReady ]
    [ "$(kube get pod page --no-headers | awk '{print $2, $3, $4}')" = "0/1 Running 0" ]
    kube exec page -- touch /usr/share/nginx/html/ready
    ready_is page True
    kube exec page -- busybox rm /usr/share/nginx/html/ready
    ready_is page False
    wait_until 10 says_often page Unhealthy 2
    [ "$(pod_get page '.status.containerStatuses[0].restartCount')" = 0 ]
    logs_have page '"GET /ready HTTP/1.1" 404 .*"kube-probe/'
    pods_gone page
}

@test "redirects: followed on the same host, elsewhere they count as success with a warning" {
    pod moved <<'Y'
containers:
- name: c
  image: nginx:demo
  command:
  - sh
  - -c
  - |
    echo 'events {} daemon off; http { access_log /dev/stdout; server { listen 80;
      location /away { return 302 http://192.0.2.7/; } location /here { return 302 /there; } location /there { return 500; } } }' >/tmp/n.conf
    exec nginx -c /tmp/n.conf
  readinessProbe: {httpGet: {port: 80, path: /away}, periodSeconds: 1}
  livenessProbe: {httpGet: {port: 80, path: /here}, periodSeconds: 1, failureThreshold: 1000}
Y
    ready_is moved True
    wait_until 10 event_says moved ProbeWarning "Readiness probe warning: Probe terminated redirects"
    wait_until 10 event_says moved Unhealthy "Liveness probe failed: HTTP probe failed with statuscode: 500"
    pods_gone moved
}

@test "HTTPS without verification, at the node's address for a pod in its network" {
    port=$(kube config view --minify -o jsonpath='{.clusters[0].cluster.server}' | grep -oE '[0-9]+$')
    pod hostly <<<"
hostNetwork: true
containers:
- name: c
  image: nginx:demo
  command: [sleep, '1000']
  readinessProbe: {httpGet: {scheme: HTTPS, port: $port, path: /readyz}, periodSeconds: 1}
  livenessProbe: {httpGet: {scheme: HTTP, port: $port}, periodSeconds: 1, failureThreshold: 1000}"
    ready_is hostly True
    wait_until 10 has_event Pod hostly Unhealthy # what speaks TLS only, does not answer HTTP well
    pods_gone hostly
}

@test "liveness by a program: the container is ended and started again, as the events say" {
    pod ill <<<'
containers:
- name: c
  image: nginx:demo
  command: [sh, -c, "touch /tmp/well; exec sleep 1000"]
  livenessProbe: {exec: {command: [sh, -c, "cat /tmp/well || { echo oh no; exit 1; }"]}, periodSeconds: 1, failureThreshold: 2, terminationGracePeriodSeconds: 1}'
    pod_ready ill
    kube exec ill -- busybox rm /tmp/well
    pod_wait ill '.status.containerStatuses[0].restartCount=1'
    pod_ready ill
    event_says ill Unhealthy "Liveness probe failed: cat: can't open '/tmp/well'"
    event_says ill Unhealthy "oh no"
    event_says ill Killing "Container c failed liveness probe, will be restarted"
    [ "$(pod_get ill '.status.containerStatuses[0].lastState.terminated.exitCode')" = 137 ]
    pods_gone ill
}

@test "liveness over TCP and a program that hangs" {
    pod deaf <<<'
containers:
- name: c
  image: nginx:demo
  command: [sleep, "1000"]
  livenessProbe: {tcpSocket: {port: 81}, periodSeconds: 1, failureThreshold: 1}
- name: d
  image: nginx:demo
  command: [sleep, "1000"]
  livenessProbe: {exec: {command: [sleep, "60"]}, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 1}'
    pod_wait deaf '.status.containerStatuses[0].restartCount=1'
    event_says deaf Unhealthy "Liveness probe failed: dial tcp $(pod_get deaf .status.podIP):81: connect: connection refused"
    pod_wait deaf '.status.containerStatuses[1].restartCount=1'
    event_says deaf Unhealthy 'Liveness probe failed: command timed out: "sleep 60" timed out after 1s'
    pods_gone deaf
}

@test "a startup probe holds back the others" {
    pod slow <<<'
containers:
- name: c
  image: nginx:demo
  command: [sleep, "1000"]
  startupProbe: {exec: {command: [test, -e, /tmp/up]}, periodSeconds: 1, failureThreshold: 100}
  livenessProbe: {exec: {command: [test, -e, /tmp/up]}, periodSeconds: 1, failureThreshold: 1}
  readinessProbe: {exec: {command: [test, -e, /tmp]}, periodSeconds: 1}'
    wait_until 15 event_says slow Unhealthy "Startup probe failed"
    wait_until 10 says_often slow Unhealthy 2
    [ "$(pod_get slow '.status.containerStatuses[0].started')" = false ]
    [ "$(pod_get slow '.status.containerStatuses[0].ready')" = false ]
    kube exec slow -- touch /tmp/up
    ready_is slow True
    [ "$(pod_get slow '.status.containerStatuses[0].started')" = true ]
    [ "$(pod_get slow '.status.containerStatuses[0].restartCount')" = 0 ]
    pods_gone slow
}

@test "gRPC: SERVING and NOT_SERVING" {
    pod grpc <<<'
volumes: [{name: tools, hostPath: {path: /var/lib/podium/tools}}]
containers:
- name: c
  image: nginx:demo
  command: [/tools/grpc_health, "9000", /tmp/ill]
  volumeMounts: [{name: tools, mountPath: /tools}]
  readinessProbe: {grpc: {port: 9000, service: any}, periodSeconds: 1, failureThreshold: 1}'
    ready_is grpc True
    kube exec grpc -- touch /tmp/ill
    ready_is grpc False
    event_says grpc Unhealthy 'Readiness probe failed: service unhealthy (responded with "NOT_SERVING")'
    kube exec grpc -- busybox rm /tmp/ill
    ready_is grpc True
    pods_gone grpc
}

@test "hooks over HTTP: postStart before ready, preStop before the end; one that fails ends the container" {
    pod hooks <<<'
terminationGracePeriodSeconds: 10
containers:
- name: c
  image: nginx:demo
  lifecycle: {postStart: {httpGet: {port: 80, path: /hello}}, preStop: {httpGet: {port: 80, path: /bye}}}'
    pod nobody <<<'
containers:
- name: c
  image: nginx:demo
  command: [sleep, "1000"]
  lifecycle: {postStart: {httpGet: {port: 82, path: /hello}}}'
    pod_ready hooks
    logs_have hooks '"GET /hello HTTP/1.1" 404 .*"kube-lifecycle/' # no matter what the answer is
    kube logs -f hooks >"$T/hooks.log" 3>&- &
    wait_until 15 grep -q 'GET /hello' "$T/hooks.log" # it follows
    kube delete pod hooks --timeout=30s >/dev/null
    wait
    grep -q '"GET /bye HTTP/1.1" 404' "$T/hooks.log"
    wait_until 20 event_says nobody FailedPostStartHook "PostStartHook failed"
    event_says nobody Killing FailedPostStartHook
    pod_wait nobody '.status.containerStatuses[0].restartCount=1'
    pods_gone nobody
}

@test "readiness gates: others say when, and the node does not unsay it" {
    pod gated <<<'
readinessGates: [{conditionType: example.org/open}]
containers: [{name: c, image: nginx:demo}]'
    kube wait pod/gated --for=condition=ContainersReady --timeout=30s >/dev/null
    [ "$(pod_get gated '.status.conditions[?(@.type=="Ready")].status')" = False ]
    [ "$(pod_get gated '.status.conditions[?(@.type=="Ready")].reason')" = ReadinessGatesNotReady ]
    [[ "$(pod_get gated '.status.conditions[?(@.type=="Ready")].message')" == *'"example.org/open" does not exist.' ]]
    kube patch pod gated --subresource=status -p '{"status":{"conditions":[{"type":"example.org/open","status":"True"}]}}' >/dev/null
    ready_is gated True
    on_node 1 kill -KILL "$(container_pid gated c)" # the node writes a status: the gate's stays
    pod_wait gated '.status.containerStatuses[0].restartCount=1'
    ready_is gated True
    [ "$(pod_get gated '.status.conditions[?(@.type=="example.org/open")].status')" = True ]
    kube patch pod gated --subresource=status -p '{"status":{"conditions":[{"type":"example.org/open","status":"False"}]}}' >/dev/null
    ready_is gated False
    pods_gone gated
}

@test "Ready=False written behind the node's back does not stay" {
    pod slandered <<<'
containers: [{name: c, image: nginx:demo}]'
    pod_ready slandered
    kube patch pod slandered --subresource=status -p '{"status":{"conditions":[{"type":"Ready","status":"False"}]}}' >/dev/null
    ready_is slandered True 10
    pods_gone slandered
}

@test "last words: a file, or the end of the output" {
    pod words <<'Y'
restartPolicy: Never
containers:
- {name: file, image: nginx:demo, command: [sh, -c, "echo noise; printf 'because of %s' this >/dev/termination-log; exit 3"]}
- {name: path, image: nginx:demo, terminationMessagePath: /tmp/why, command: [sh, -c, "busybox head -c 9000 /dev/zero | busybox tr '\\0' x >/tmp/why"]}
- {name: logs, image: nginx:demo, terminationMessagePolicy: FallbackToLogsOnError, command: [sh, -c, "echo first; echo it broke >&2; exit 4"]}
- {name: fine, image: nginx:demo, terminationMessagePolicy: FallbackToLogsOnError, command: [sh, -c, "echo all well"]}
Y
    pod_wait words .status.phase=Failed
    message() { pod_get words ".status.containerStatuses[?(@.name==\"$1\")].state.terminated.message"; }
    [ "$(message file)" = "because of this" ]
    [ "$(message path | tr -d x | wc -c)" -eq 0 ]
    [ "$(message path | wc -c)" -eq 3072 ] # a quarter of 12 kB
    logs_message() { [ "$(message logs)" = $'first\nit broke' ]; }
    wait_until 10 logs_message
    [ -z "$(message fine)" ]
    pods_gone words
}

@test "sidecars: their readiness counts, their startup probe is waited for, and a job's pod ends without them" {
    pod side <<<'
restartPolicy: Never
volumes: [{name: v, emptyDir: {}}]
initContainers:
- name: s
  image: nginx:demo
  restartPolicy: Always
  command: [sleep, "1000"]
  volumeMounts: [{name: v, mountPath: /v}]
  startupProbe: {exec: {command: [test, -e, /v/up]}, periodSeconds: 1, failureThreshold: 100}
  readinessProbe: {exec: {command: [test, -e, /v/ready]}, periodSeconds: 1, failureThreshold: 1}
containers:
- {name: c, image: nginx:demo, command: [sh, -c, "until [ -e /v/end ]; do sleep 0.1; done"], volumeMounts: [{name: v, mountPath: /v}]}'
    wait_until 15 event_says side Unhealthy "Startup probe failed"
    word_is side Init:0/1
    kube exec side -c s -- touch /v/up
    pod_wait side '.status.containerStatuses[0].ready=true'
    [ "$(kube get pod side --no-headers | awk '{print $2}')" = 1/2 ]
    [ "$(pod_get side '.status.conditions[?(@.type=="Ready")].message')" = "containers with unready status: [s]" ]
    kube exec side -c s -- touch /v/ready
    ready_is side True
    kube exec side -c c -- touch /v/end
    pod_wait side .status.phase=Succeeded
    wait_until 5 word_is side Completed
    pods_gone side
}

@test "the words of kubectl get pods" {
    kube create configmap present --from-literal=a=b >/dev/null
    pod w-image <<<'containers: [{name: c, image: "absent:1", imagePullPolicy: Never}, {name: d, image: nginx:demo}]'
    pod w-config <<<'containers: [{name: c, image: nginx:demo, env: [{name: A, valueFrom: {configMapKeyRef: {name: absent, key: a}}}]}]'
    pod w-error <<<$'restartPolicy: Never\ncontainers: [{name: c, image: nginx:demo, command: [sh, -c, "exit 1"]}]'
    pod w-start <<<$'restartPolicy: Never\ncontainers: [{name: c, image: nginx:demo, command: [/no/such]}]'
    pod w-done <<<$'restartPolicy: OnFailure\ncontainers: [{name: c, image: nginx:demo, command: [sh, -c, "exit 0"]}]'
    pod w-init <<<$'initContainers: [{name: i, image: nginx:demo, command: [sh, -c, "exit 1"]}]\ncontainers: [{name: c, image: nginx:demo}]'
    pod w-late <<<$'activeDeadlineSeconds: 1\ncontainers: [{name: c, image: nginx:demo}]'
    pod w-crash <<<'containers: [{name: c, image: nginx:demo, command: [sh, -c, "exit 1"]}]'
    wait_until 15 word_is w-image ErrImageNeverPull
    wait_until 15 word_is w-config CreateContainerConfigError
    wait_until 15 word_is w-error Error
    wait_until 15 word_is w-start StartError
    wait_until 15 word_is w-done Completed
    wait_until 15 word_is w-init Init:CrashLoopBackOff
    pod_wait w-late .status.reason=DeadlineExceeded
    wait_until 15 word_is w-crash CrashLoopBackOff
    [ "$(pod_get w-late .status.phase)" = Failed ]
    [[ "$(pod_get w-crash '.status.containerStatuses[0].state.waiting.message')" == "back-off 10s restarting failed container=c pod=w-crash_default("*")" ]]
    [[ "$(kube describe pod w-crash)" =~ Warning\ +BackOff ]]
    pods_gone w-image w-config w-error w-start w-done w-init w-late w-crash
}

@test "what one container lacks holds that one; it comes when that is there; starts have the environment of their time" {
    row() { kube get pod "$1" --no-headers | awk '{print $2, $3}'; } # READY STATUS
    row_is() { [ "$(row "$1")" = "$2" ]; }
    pod lacks <<<'
containers:
- {name: c, image: nginx:demo, env: [{name: A, valueFrom: {configMapKeyRef: {name: later, key: a}}}]}
- {name: d, image: nginx:demo, command: [sleep, "1000"]}'
    pod lacks-image <<<'containers: [{name: c, image: nginx:demo}, {name: d, image: "localhost:1/absent:1"}]'
    pod lacks-init <<<'
initContainers:
- {name: i, image: nginx:demo, command: [sh, -c, ":"]}
- {name: k, image: nginx:demo, command: [sh, -c, ":"], envFrom: [{secretRef: {name: later}}]}
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"]}]'
    wait_until 15 row_is lacks "1/2 CreateContainerConfigError"
    [ "$(pod_get lacks '.status.containerStatuses[0].state.waiting.message')" = 'configmap "later" not found' ]
    event_says lacks Failed 'Error: configmap "later" not found'
    wait_until 15 row_is lacks-init "0/1 Init:CreateContainerConfigError"
    [[ "$(kube logs lacks -c c 2>&1)" == *'container "c" in pod "lacks" is waiting to start: CreateContainerConfigError' ]]
    wait_until 15 row_is lacks-image "1/2 ImagePullBackOff"
    kube create configmap later --from-literal=b=1 >/dev/null
    key_missing() { [ "$(pod_get lacks '.status.containerStatuses[0].state.waiting.message')" = "couldn't find key a in ConfigMap default/later" ]; }
    wait_until 15 key_missing
    kube patch configmap later -p '{"data": {"a": "1"}}' >/dev/null
    kube create secret generic later --from-literal=x=y >/dev/null
    pod_ready lacks
    pod_ready lacks-init
    row_is lacks "2/2 Running"
    [ "$(pod_get lacks '.status.containerStatuses[*].restartCount')" = "0 0" ]

    # a change while it runs is for the next start; what is gone then holds it
    kube patch configmap later -p '{"data": {"a": "2"}}' >/dev/null
    [ "$(kube exec lacks -c c -- sh -c 'echo $A')" = 1 ]
    on_node 1 kill -9 "$(container_pid lacks c)"
    restarted() { [ "$(pod_get lacks '.status.containerStatuses[0].restartCount')" = "$1" ]; }
    wait_until 15 restarted 1
    pod_ready lacks
    [ "$(kube exec lacks -c c -- sh -c 'echo $A')" = 2 ]
    kube delete configmap later >/dev/null
    told_again() {
        kube get events --field-selector involvedObject.name=lacks,reason=Failed \
            -o jsonpath='{range .items[*]}{.count} {.message}{"\n"}{end}' | grep -qx '2 Error: configmap "later" not found'
    }
    wait_until 15 told_again
    on_node 1 kill -9 "$(container_pid lacks c)"
    wait_until 15 row_is lacks "1/2 CreateContainerConfigError"
    pods_gone lacks lacks-image lacks-init
}

@test "probes go on without the control plane; an agent that comes back makes nothing unready" {
    pod steady <<<'
containers:
- name: c
  image: nginx:demo
  command: [sh, -c, "touch /tmp/well; exec sleep 1000"]
  readinessProbe: {exec: {command: [test, -e, /tmp]}, periodSeconds: 1, timeoutSeconds: 20}
  livenessProbe: {exec: {command: [test, -e, /tmp/well]}, periodSeconds: 1, timeoutSeconds: 20, failureThreshold: 1}'
    pod_ready steady
    since() { pod_get steady '.status.conditions[?(@.type=="Ready")].lastTransitionTime'; }
    before=$(since)
    pid=$(container_pid steady c)
    sleep 1.1 # so that a change would show in whole seconds
    on_node 1 systemctl restart podium-agent
    wait_until 15 kube wait node/podium-1 --for=condition=Ready --timeout=5s
    sleep 1.5
    ready_is steady True
    [ "$(since)" = "$before" ]

    # neither server nor an agent that has heard of it: what is ill is restarted all the same
    on_node 1 systemctl stop podium-server
    on_node 1 systemctl restart podium-agent
    on_node 1 rm "/proc/$pid/root/tmp/well"
    gone() { ! on_node 1 test -d "/proc/$pid"; }
    wait_until 15 gone
    on_node 1 systemctl start podium-server
    restarted() { [ "$(pod_get steady '.status.containerStatuses[0].restartCount')" = 1 ]; }
    wait_until 20 restarted
    ready_is steady True
    pods_gone steady
}
