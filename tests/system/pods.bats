#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Pods that run: what their users see of them.

load harness

setup_file() { cluster_setup 2; }
teardown_file() { cluster_teardown; }
teardown() { cluster_report; }

nginx_pods() { kube get pods -l app=nginx -o jsonpath='{range .items[*]}{.metadata.name} {.spec.nodeName} {.status.podIP}{"\n"}{end}'; }

# The deployment most tests look at; made by the first that needs it.
nginx_up() {
    kube get deployment nginx >/dev/null 2>&1 || kube apply -f "$ROOT/manifests/examples/nginx.yaml"
    kube wait deployment/nginx --for='jsonpath={.status.readyReplicas}=3' --timeout=20s
}

@test "a Deployment of three: pods on both nodes, each serves its page to nodes and pods" {
    nginx_up
    nginx_pods >"$T/pods"
    [ "$(cut -d' ' -f2 "$T/pods" | sort -u | wc -l)" -eq 2 ]
    [ "$(cut -d' ' -f3 "$T/pods" | sort -u | wc -l)" -eq 3 ]
    while read -r _ _ ip; do
        for n in 1 2; do [[ "$(on_node "$n" curl -sS --max-time 5 "http://$ip/" </dev/null)" == *"musicians are playing"* ]]; done
        while read -r name _ _; do
            [[ "$(kube exec "$name" -- wget -q -O - "http://$ip/" </dev/null)" == *"musicians are playing"* ]]
        done <"$T/pods"
    done <"$T/pods"
}

@test "a pod is a systemd unit with a status and a journal" {
    nginx_up
    read -r name node ip < <(nginx_pods)
    n=$(node_number "$node") unit=$(pod_unit "$name")
    run on_node "$n" systemctl --no-pager status "$unit"
    [ "$status" -eq 0 ]
    [[ "$output" == *"Pod default/$name"* ]]
    [[ "$output" == *"active (running)"* ]]
    [[ "$output" == *"nginx: master process"* ]]
    on_node "$n" curl -sS "http://$ip/marked-$name" -o /dev/null
    journal_has() { on_node "$n" journalctl -q --no-pager -u "$unit" -o cat SYSLOG_IDENTIFIER=nginx | grep -q "GET /marked-$name"; }
    wait_until 5 journal_has
    [ "$(on_node "$n" systemctl show -P Delegate "$unit")" = yes ]
    [ "$(on_node "$n" systemctl show -P TimeoutStopUSec "$unit")" != infinity ]
}

@test "kubectl logs: all, tail, follow, since, timestamps" {
    pod talker <<<'
restartPolicy: Never
containers: [{name: c, image: nginx:demo, command: [sh, -c, "echo one; echo two >&2; echo three; sleep 1; echo four"]}]'
    pod_wait talker .status.phase=Running
    run kube logs -f talker
    [ "$status" -eq 0 ]
    [ "$output" = $'one\ntwo\nthree\nfour' ]
    pod_wait talker .status.phase=Succeeded
    run kube logs --tail=1 talker
    [ "$output" = four ]
    run kube logs --timestamps talker
    [[ "${lines[0]}" =~ ^20[0-9-]+T[0-9:.]+Z\ one$ ]]
    run kube logs --limit-bytes=3 talker
    [ "$output" = one ]
    run kube logs talker -c none
    [ "$status" -eq 1 ]
    [[ "$output" == *"container none is not valid for pod talker"* ]]
    pods_gone talker
}

@test "kubectl logs loses nothing: many lines at once, long lines, no last newline, NUL" {
    pod loud <<<'
restartPolicy: Never
containers: [{name: c, image: nginx:demo, command: [busybox, seq, "60000"]}]'
    pod long <<'Y'
restartPolicy: Never
containers:
- name: c
  image: nginx:demo
  command:
  - sh
  - -c
  - |
    busybox head -c 200000 /dev/zero | busybox tr '\0' a; echo; busybox printf 'a\0b\nend'
Y
    pod_wait loud .status.phase=Succeeded 30
    pod_wait long .status.phase=Succeeded
    [ "$(kube logs loud | sha256sum)" = "$(seq 60000 | sha256sum)" ]
    kube logs long >"$T/long"
    [ "$(head -n 1 "$T/long" | wc -c)" -eq 200001 ]
    [ "$(tail -c 7 "$T/long" | od -An -c | tr -d ' ')" = 'a\0b\nend' ]
    pods_gone loud long
}

@test "kubectl exec: output, input, exit code, terminal" {
    nginx_up
    read -r name _ < <(nginx_pods)
    run kube exec "$name" -- sh -c 'echo out; echo err >&2; exit 7'
    [ "$status" -eq 7 ]
    [[ "$output" == *out* && "$output" == *err* ]]
    [ "$(kube exec "$name" -- sh -c 'echo out; echo err >&2' 2>/dev/null)" = out ]
    [ "$(echo through | kube exec -i "$name" -- cat)" = through ]
    head -c 300000 /dev/urandom >"$T/random"
    [ "$(kube exec -i "$name" -- cat <"$T/random" | sha256sum)" = "$(sha256sum <"$T/random")" ]
    run kube exec "$name" -- no-such-program
    [ "$status" -ne 0 ]
    [[ "$output" == *"no-such-program"* ]]
    run script -qec "$KUBECTL --cache-dir=$T/kube-cache exec -it $name -- busybox tty" /dev/null </dev/null
    [[ "$output" == */dev/pts/* ]]
    [ "$(kube exec "$name" -- sh -c 'echo $$; exec cat /proc/self/cgroup' | tail -n 1)" = "0::/" ]
}

@test "SIGKILL: running again at once, counted and remembered" {
    nginx_up
    read -r name node ip < <(nginx_pods)
    restarts=$(pod_get "$name" '.status.containerStatuses[0].restartCount')
    pid=$(container_pid "$name" nginx)
    id=$(pod_get "$name" '.status.containerStatuses[0].containerID')
    on_node "$(node_number "$node")" kill -KILL "$pid"
    pod_wait "$name" ".status.containerStatuses[0].restartCount=$((restarts + 1))" 9
    pod_ready "$name" 9
    [ "$(pod_get "$name" '.status.containerStatuses[0].lastState.terminated.exitCode')" = 137 ]
    [ "$(pod_get "$name" '.status.containerStatuses[0].lastState.terminated.containerID')" = "$id" ]
    [ "$(pod_get "$name" '.status.podIP')" = "$ip" ]
    [ "$(container_pid "$name" nginx)" != "$pid" ]
    on_node 1 curl -sS --max-time 5 "http://$ip/" -o /dev/null
}

@test "a container that keeps crashing: restarted at once, then CrashLoopBackOff" {
    pod crasher <<<'
containers: [{name: c, image: nginx:demo, command: [sh, -c, "echo run; exit 3"]}]'
    pod_wait crasher '.status.containerStatuses[0].state.waiting.reason=CrashLoopBackOff'
    [ "$(pod_get crasher '.status.containerStatuses[0].lastState.terminated.exitCode')" = 3 ]
    [ "$(pod_get crasher '.status.containerStatuses[0].lastState.terminated.reason')" = Error ]
    [ "$(pod_get crasher '.status.containerStatuses[0].restartCount')" = 1 ]
    [ "$(pod_get crasher '.status.phase')" = Running ]
    [[ "$(pod_get crasher '.status.containerStatuses[0].state.waiting.message')" == *"back-off 10s restarting failed container=c"* ]]
    wait_until 3 has_event Pod crasher BackOff
    # each run's own, though runs are milliseconds apart and the journal stamps lines when it reads them
    [ "$(kube logs crasher --previous)" = run ]
    [ "$(kube logs crasher)" = run ]
    # the back-off ends: a third run after ten seconds
    pod_wait crasher '.status.containerStatuses[0].restartCount=2' 30
    pods_gone crasher
}

@test "a deleted pod is replaced and gone" {
    nginx_up
    read -r name node _ < <(nginx_pods)
    unit=$(pod_unit "$name")
    kube delete pod "$name" --timeout=30s
    nginx_up
    run kube get pod "$name"
    [ "$status" -ne 0 ]
    [ "$(nginx_pods | wc -l)" -eq 3 ]
    [ "$(on_node "$(node_number "$node")" systemctl is-active "$unit")" != active ]
}

@test "the grace period is the container's to use, not to exceed" {
    # the image says StopSignal SIGQUIT
    pod polite <<<'
containers: [{name: c, image: nginx:demo, command: [sh, -c, "trap \"echo bye; exit 0\" QUIT; while :; do sleep 0.1; done"]}]'
    pod deaf <<<'
containers: [{name: c, image: nginx:demo, command: [sh, -c, "trap \"\" QUIT TERM; while :; do sleep 0.1; done"]}]'
    pod_ready polite
    pod_ready deaf
    kube delete pod polite --grace-period=40 --timeout=39s
    t0=$EPOCHREALTIME
    kube delete pod deaf --grace-period=2 --timeout=30s
    t1=$EPOCHREALTIME
    [ $((${t1/./} - ${t0/./})) -ge 2000000 ]
}

@test "preStop runs before the stop signal, postStart before Ready" {
    pod hooked <<<'
terminationGracePeriodSeconds: 10
volumes: [{name: v, hostPath: {path: /var/lib/podium/hooked, type: DirectoryOrCreate}}]
containers:
- name: c
  image: nginx:demo
  command: [sh, -c, "trap \"echo term >>/v/log; exit 0\" QUIT; while :; do sleep 0.1; done"]
  volumeMounts: [{name: v, mountPath: /v}]
  lifecycle:
    postStart: {exec: {command: [sh, -c, "echo post >>/v/log"]}}
    preStop: {exec: {command: [sh, -c, "echo pre >>/v/log"]}}'
    pod_ready hooked
    n=$(pod_node hooked)
    kube delete pod hooked --timeout=30s
    [ "$(on_node "$n" cat /var/lib/podium/hooked/log)" = $'post\npre\nterm' ]
}

@test "init containers run in order, one by one; a sidecar stays" {
    pod inits <<<'
restartPolicy: Never
volumes: [{name: v, emptyDir: {}}]
initContainers:
- {name: first, image: nginx:demo, command: [sh, -c, "sleep 0.3; echo first >>/v/log"], volumeMounts: [{name: v, mountPath: /v}]}
- {name: side, restartPolicy: Always, image: nginx:demo, command: [sh, -c, "echo side >>/v/log; exec sleep 1000"], volumeMounts: [{name: v, mountPath: /v}]}
- {name: second, image: nginx:demo, command: [sh, -c, "sleep 0.3; echo second >>/v/log"], volumeMounts: [{name: v, mountPath: /v}]}
containers:
- {name: main, image: nginx:demo, command: [sh, -c, "echo main >>/v/log; cat /v/log; sleep 1"], volumeMounts: [{name: v, mountPath: /v}]}'
    pod_wait inits .status.phase=Succeeded
    [ "$(kube logs inits -c main)" = $'first\nside\nsecond\nmain' ]
    [ "$(pod_get inits '.status.initContainerStatuses[0].state.terminated.reason')" = Completed ]
    [ "$(pod_get inits '.status.conditions[?(@.type=="Initialized")].status')" = True ]
    pods_gone inits
}

@test "a failing init container fails the pod or is tried again, by policy" {
    pod init-never <<<'
restartPolicy: Never
initContainers: [{name: i, image: nginx:demo, command: [sh, -c, "exit 5"]}]
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"]}]'
    pod init-always <<<'
initContainers: [{name: i, image: nginx:demo, command: [sh, -c, "exit 5"]}]
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"]}]'
    pod_wait init-never .status.phase=Failed
    [ "$(pod_get init-never '.status.initContainerStatuses[0].state.terminated.exitCode')" = 5 ]
    [ -z "$(pod_get init-never '.status.containerStatuses[0].state.running')" ]
    pod_wait init-always '.status.initContainerStatuses[0].state.waiting.reason=CrashLoopBackOff'
    [ "$(pod_get init-always .status.phase)" = Pending ]
    [[ "$(kube get pod init-always --no-headers)" == *Init:CrashLoopBackOff* ]]
    pods_gone init-never init-always
}

@test "restartPolicy: Never and OnFailure end in Succeeded or Failed" {
    pod never-ok <<<'
restartPolicy: Never
containers: [{name: c, image: nginx:demo, command: [sh, -c, "exit 0"]}]'
    pod never-bad <<<'
restartPolicy: Never
containers: [{name: c, image: nginx:demo, command: [sh, -c, "exit 4"]}, {name: d, image: nginx:demo, command: [sh, -c, "exit 0"]}]'
    pod onfailure <<<'
restartPolicy: OnFailure
volumes: [{name: v, emptyDir: {}}]
containers: [{name: c, image: nginx:demo, command: [sh, -c, "test -e /v/x && exit 0; touch /v/x; exit 1"], volumeMounts: [{name: v, mountPath: /v}]}]'
    pod_wait never-ok .status.phase=Succeeded
    pod_wait never-bad .status.phase=Failed
    [ "$(pod_get never-bad '.status.containerStatuses[?(@.name=="c")].state.terminated.exitCode')" = 4 ]
    pod_wait onfailure .status.phase=Succeeded
    [ "$(pod_get onfailure '.status.containerStatuses[0].restartCount')" = 1 ]
    # what has ended holds no unit and no address any more
    no_unit() { [ "$(on_node "$(pod_node never-ok)" systemctl is-active "$(pod_unit never-ok)")" != active ]; }
    wait_until 3 no_unit
    [ "$(kube get pod never-ok -o jsonpath='{.status.conditions[?(@.type=="Ready")].reason}')" = PodCompleted ]
    pods_gone never-ok never-bad onfailure
}

@test "environment from values, ConfigMaps, Secrets and pod fields" {
    kube create configmap env-cm --from-literal=color=blue --from-literal=SIZE=big
    kube create secret generic env-secret --from-literal=word=xyzzy
    pod env <<<'
restartPolicy: Never
containers:
- name: c
  image: nginx:demo
  command: [sh, -c, "busybox env | busybox sort; echo \"args: $0 $1\"", "$(CHAIN)", "$$(CHAIN)"]
  envFrom: [{prefix: CM_, configMapRef: {name: env-cm}}]
  env:
  - {name: PLAIN, value: plain}
  - {name: CHAIN, value: "$(PLAIN)-$(COLOR)-$(NONE)"}
  - {name: COLOR, valueFrom: {configMapKeyRef: {name: env-cm, key: color}}}
  - {name: CHAIN2, value: "$(COLOR)"}
  - {name: WORD, valueFrom: {secretKeyRef: {name: env-secret, key: word}}}
  - {name: GONE, valueFrom: {secretKeyRef: {name: none, key: none, optional: true}}}
  - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  - {name: LABEL, valueFrom: {fieldRef: {fieldPath: "metadata.labels['\''test'\'']"}}}
  - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
  - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
  - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}
  resources: {limits: {cpu: 250m}}'
    pod_wait env .status.phase=Succeeded
    run kube logs env
    echo "$output"
    for line in CM_color=blue CM_SIZE=big PLAIN=plain 'CHAIN=plain-$(COLOR)-$(NONE)' COLOR=blue CHAIN2=blue WORD=xyzzy POD=env LABEL=env \
        "NODE=$(pod_get env .spec.nodeName)" CPU=250 HOSTNAME=env 'args: plain-$(COLOR)-$(NONE) $(CHAIN)'; do
        grep -qxF "$line" <<<"$output"
    done
    grep -qE '^IP=10\.244\.[0-9]+\.[0-9]+$' <<<"$output"
    ! grep -q '^GONE=' <<<"$output" || false
    pods_gone env
}

@test "emptyDir is shared by the containers of a pod and ends with it" {
    pod shared <<<'
volumes: [{name: v, emptyDir: {}}, {name: m, emptyDir: {medium: Memory, sizeLimit: 4Mi}}]
containers:
- {name: a, image: nginx:demo, command: [sh, -c, "echo from-a >/v/f; exec sleep 1000"], volumeMounts: [{name: v, mountPath: /v}]}
- {name: b, image: nginx:demo, command: [sleep, "1000"], volumeMounts: [{name: v, mountPath: /w, readOnly: true}, {name: m, mountPath: /m}]}'
    pod_ready shared
    [ "$(kube exec shared -c b -- cat /w/f)" = from-a ]
    run kube exec shared -c b -- touch /w/x
    [[ "$output" == *"Read-only file system"* ]]
    [[ "$(kube exec shared -c b -- busybox stat -f -c %T /m)" == tmpfs ]]
    [ "$(kube exec shared -c b -- busybox df -k /m | tail -n 1 | busybox awk '{print $2}')" = 4096 ]
    uid=$(pod_get shared .metadata.uid) n=$(pod_node shared)
    # a restarted container finds it unchanged
    on_node "$n" kill -KILL "$(container_pid shared b)"
    pod_wait shared '.status.containerStatuses[1].restartCount=1'
    [ "$(kube exec shared -c b -- cat /w/f)" = from-a ]
    pods_gone shared
    no_files() { [ -z "$(on_node "$n" find /var/lib/podium /run -xdev -name "*$uid*")" ]; }
    wait_until 3 no_files
}

@test "hostPath, by type" {
    pod hostpath <<<'
nodeName: podium-2
volumes:
- {name: d, hostPath: {path: /var/lib/podium/hp, type: DirectoryOrCreate}}
- {name: f, hostPath: {path: /etc/hostname, type: File}}
containers: [{name: c, image: nginx:demo, command: [sh, -c, "cat /f >/d/out; exec sleep 1000"], volumeMounts: [{name: d, mountPath: /d}, {name: f, mountPath: /f, readOnly: true}]}]'
    pod badpath <<<'
nodeName: podium-2
volumes: [{name: d, hostPath: {path: /no/such, type: Directory}}]
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"], volumeMounts: [{name: d, mountPath: /d}]}]'
    pod_ready hostpath
    wait_until 3 on_node 2 grep -q podium-2 /var/lib/podium/hp/out
    wait_until 5 has_event Pod badpath FailedMount
    [[ "$(kube get events --field-selector involvedObject.name=badpath,reason=FailedMount -o jsonpath='{.items[0].message}')" == *"/no/such: No such file or directory"* ]]
    [ "$(pod_get badpath .status.phase)" = Pending ]
    pods_gone hostpath badpath
}

@test "configMap and secret volumes: content, modes, items; changes arrive" {
    kube create configmap files --from-literal=a=1 --from-literal=b=2
    kube create secret generic keys --from-literal=k=secret
    pod volumes <<<'
volumes:
- {name: cm, configMap: {name: files, items: [{key: a, path: sub/a, mode: 0400}]}}
- {name: all, configMap: {name: files}}
- {name: s, secret: {secretName: keys, defaultMode: 0440}}
- {name: o, configMap: {name: not-there, optional: true}}
containers:
- name: c
  image: nginx:demo
  command: [sleep, "1000"]
  volumeMounts: [{name: cm, mountPath: /cm}, {name: all, mountPath: /all}, {name: s, mountPath: /s}, {name: o, mountPath: /o}, {name: all, mountPath: /one, subPath: b}]'
    pod_ready volumes
    [ "$(kube exec volumes -- cat /cm/sub/a /all/b /s/k /one)" = 12secret2 ]
    [ "$(kube exec volumes -- busybox stat -L -c %a /cm/sub/a /all/a /s/k)" = $'400\n644\n440' ]
    [ "$(kube exec volumes -- busybox stat -f -c %T /s)" = tmpfs ]
    run kube exec volumes -- touch /all/x
    [[ "$output" == *"Read-only file system"* ]]
    [ -z "$(kube exec volumes -- ls /o)" ]
    kube patch configmap files --type=merge -p '{"data":{"b":"new"}}'
    changed() { [ "$(kube exec volumes -- cat /all/b)" = new ]; }
    wait_until 5 changed
    pods_gone volumes
}

@test "securityContext: user, groups, read-only root, capabilities, no new privileges" {
    pod secure <<<'
securityContext: {fsGroup: 2000, supplementalGroups: [3000]}
volumes: [{name: v, emptyDir: {}}]
containers:
- name: c
  image: nginx:demo
  command: [sh, -c, "echo hello from $(busybox id -u) >/dev/stdout; exec sleep 1000"]
  volumeMounts: [{name: v, mountPath: /v}]
  securityContext: {runAsUser: 1234, runAsGroup: 1235, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
- name: root
  image: nginx:demo
  command: [sleep, "1000"]
  securityContext: {capabilities: {add: [NET_ADMIN], drop: [CHOWN]}}'
    pod_ready secure
    [ "$(kube logs secure -c c)" = "hello from 1234" ]
    [ "$(kube exec secure -c c -- busybox id -u)" = 1234 ]
    [[ " $(kube exec secure -c c -- busybox id -G) " == *" 1235 "* ]]
    [[ " $(kube exec secure -c c -- busybox id -G) " == *" 2000 "* ]]
    [[ " $(kube exec secure -c c -- busybox id -G) " == *" 3000 "* ]]
    run kube exec secure -c c -- touch /x
    [[ "$output" == *"Read-only file system"* ]]
    kube exec secure -c c -- touch /v/mine
    [ "$(kube exec secure -c c -- busybox stat -c %g /v/mine)" = 2000 ]
    [ "$(kube exec secure -c c -- grep -E '^(CapEff|NoNewPrivs)' /proc/self/status | tr -d '\t')" = $'CapEff:0000000000000000\nNoNewPrivs:1' ]
    eff=$(kube exec secure -c root -- grep ^CapEff /proc/1/status | cut -f2)
    [ $((0x$eff & 1 << 12)) -ne 0 ] # CAP_NET_ADMIN
    [ $((0x$eff & 1 << 0)) -eq 0 ]  # CAP_CHOWN
    [ $((0x$eff & 1 << 21)) -eq 0 ] # CAP_SYS_ADMIN was never there
    # the default filter is on without being asked for, for what exec starts, too
    [ "$(kube exec secure -c root -- grep ^Seccomp: /proc/1/status | tr -d '\t')" = Seccomp:2 ]
    [ "$(kube exec secure -c root -- grep ^Seccomp: /proc/self/status | tr -d '\t')" = Seccomp:2 ]
    pods_gone secure
}

@test "runAsNonRoot refuses an image that runs as root" {
    pod nonroot <<<'
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"], securityContext: {runAsNonRoot: true}}]'
    pod_wait nonroot '.status.containerStatuses[0].state.waiting.reason=CreateContainerConfigError'
    [[ "$(pod_get nonroot '.status.containerStatuses[0].state.waiting.message')" == *"runAsNonRoot"* ]]
    pods_gone nonroot
}

@test "names: hostname, /etc/hosts, resolv.conf; own PID and network namespace" {
    pod names <<<'
hostname: musician
subdomain: orchestra
hostAliases: [{ip: 192.0.2.9, hostnames: [stage]}]
dnsConfig: {options: [{name: timeout, value: "1"}]}
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"]}]'
    pod_ready names
    [ "$(kube exec names -- hostname)" = musician ]
    run kube exec names -- cat /etc/hosts
    echo "$output"
    grep -qE "^127\.0\.0\.1[[:space:]]+localhost" <<<"$output"
    grep -qE "^192\.0\.2\.9[[:space:]]+stage" <<<"$output"
    grep -qE "^$(pod_get names .status.podIP)[[:space:]]+musician\.orchestra\.default\.svc\.cluster\.local[[:space:]]+musician" <<<"$output"
    run kube exec names -- cat /etc/resolv.conf
    echo "$output"
    grep -q '^options .*timeout:1' <<<"$output"
    [ "$(grep '^nameserver' <<<"$output")" = "nameserver $(kube -n kube-system get service kube-dns -o jsonpath='{.spec.clusterIP}')" ]
    [ "$(kube exec names -- cat /proc/1/comm)" = sleep ]
    [ "$(kube exec names -- ls /sys/class/net)" = $'eth0\nlo' ]
    pods_gone names
}

@test "hostNetwork: the node's address and links" {
    pod hostnet <<<'
nodeName: podium-2
hostNetwork: true
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"]}]'
    pod_ready hostnet
    [ "$(pod_get hostnet .status.podIP)" = "$(kube get node podium-2 -o jsonpath='{.status.addresses[?(@.type=="InternalIP")].address}')" ]
    [ "$(kube exec hostnet -- hostname)" = podium-2 ]
    pods_gone hostnet
}

@test "traffic out of a pod carries the node's address, between pods its own" {
    nginx_up
    # the host is outside of the cluster: what address does it see?
    gateway=$(ip -4 -o address show "pdm-$CLUSTER" | awk '{ sub("/.*", "", $4); print $4; exit }')
    python3 -u - "$gateway" >"$T/peer" 3>&- <<'P' &
import socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind((sys.argv[1], 0)); s.listen(4); s.settimeout(20)
print(s.getsockname()[1])
c, peer = s.accept()
c.recv(1000); c.sendall(b"HTTP/1.0 200 OK\r\n\r\n"); c.close()
print(peer[0])
P
    listener=$!
    wait_until 5 test -s "$T/peer"
    read -r name node ip < <(nginx_pods)
    kube exec "$name" -- wget -q -O - "http://$gateway:$(head -n 1 "$T/peer")/"
    wait "$listener"
    [ "$(tail -n 1 "$T/peer")" = "$(kube get node "$node" -o jsonpath='{.status.addresses[?(@.type=="InternalIP")].address}')" ]
    # nginx on the other node logs who asked
    read -r other _ oip < <(nginx_pods | awk -v n="$node" '$2 != n')
    kube exec "$name" -- wget -q -O /dev/null "http://$oip/?who"
    logged() { kube logs "$other" --tail=20 | grep -F '/?who' | grep -q "^$ip "; }
    wait_until 5 logged
}

@test "scale to six and to one, roll out a change, undo it" {
    nginx_up
    kube scale deployment/nginx --replicas=6
    kube wait deployment/nginx --for='jsonpath={.status.readyReplicas}=6' --timeout=20s
    kube scale deployment/nginx --replicas=1
    kube wait deployment/nginx --for='jsonpath={.status.replicas}=1' --timeout=20s
    kube set env deployment/nginx SCORE=two
    kube rollout status deployment/nginx --timeout=20s
    [ "$(kube get pods -l app=nginx -o jsonpath='{.items[?(@.status.phase=="Running")].spec.containers[0].env[0].value}' | tr ' ' '\n' | sort -u)" = two ]
    [ "$(kube get deployment nginx -o jsonpath='{.metadata.annotations.deployment\.kubernetes\.io/revision}')" = 2 ]
    kube rollout undo deployment/nginx
    kube rollout status deployment/nginx --timeout=20s
    [ -z "$(kube get deployment nginx -o jsonpath='{.spec.template.spec.containers[0].env}')" ]
}

@test "deleting the Deployment leaves no pod, unit, link or mount on the nodes" {
    ! kube get deployment nginx >/dev/null 2>&1 || kube scale deployment/nginx --replicas=3
    nginx_up
    kube delete deployment nginx --timeout=30s
    kube wait pod -l app=nginx --for=delete --timeout=20s
    kube delete pod --all --timeout=20s
    for n in 1 2; do
        empty() { [ -z "$(on_node "$n" systemctl list-units --plain --no-legend 'podium-pod-*')" ]; }
        wait_until 5 empty
        [ -z "$(on_node "$n" find /sys/fs/cgroup -type d -name 'podium-pod-*')" ]
        ! on_node "$n" ip -o link show type veth | grep -v ' eth0@' || false
        [ -z "$(on_node "$n" find /run/podium -mindepth 2 -path '*pods/*')" ]
        ! on_node "$n" cat /proc/1/mountinfo | grep -q /podium/pods/ || false
    done
}
