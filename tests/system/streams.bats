#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# exec, attach, cp and port-forward with real kubectl, over WebSocket and SPDY, and with podium's own commands.

load harness

setup_file() {
    cluster_setup 2
    # tar and checksums for cp: names for busybox, which the image lacks
    pod w <<<'
containers:
- name: c
  image: nginx:demo
  ports: [{name: http, containerPort: 80}]
  command: [sh, -c, "for a in tar sha256sum rm; do ln -sf busybox /bin/$a; done; exec nginx"]
- {name: second, image: nginx:demo, command: [sleep, "1000000"]}'
    pod_wait w .status.phase=Running
    pod_ready w
    dd if=/dev/urandom of="$T/big" bs=1M count=20 2>/dev/null
}
teardown_file() { cluster_teardown; }
teardown() {
    [ -z "${FORWARD:-}" ] || kill "$FORWARD" 2>/dev/null || true
    cluster_report
}

p() { timeout -k 5 60 "$BIN/podium" "$@"; }
sum() { sha256sum "$1" | cut -d' ' -f1; }

# protocols COMMAND…: over WebSocket, then over SPDY
both_protocols() {
    for ws in true false; do
        export KUBECTL_REMOTE_COMMAND_WEBSOCKETS=$ws KUBECTL_PORT_FORWARD_WEBSOCKETS=$ws
        "$@"
    done
}

exec_basics() {
    run --separate-stderr kube exec w -c c -- sh -c 'echo out; echo err >&2; exit 7'
    [ "$status" -eq 7 ]
    [ "$output" = out ]
    [[ "$stderr" == *err* ]]
    [ "$(echo hello | kube exec -i w -c c -- cat)" = hello ]
    run kube exec w -c c -- /no/such/program
    [ "$status" -ne 0 ]
}
@test "exec: outputs, input, exit code" { both_protocols exec_basics; }

exec_bulk() {
    [ "$(kube exec -i w -c c -- sha256sum <"$T/big" | cut -d' ' -f1)" = "$(sum "$T/big")" ]
    kube exec -i w -c c -- sh -c 'cat >/tmp/big' <"$T/big"
    kube exec w -c c -- cat /tmp/big >"$T/back"
    cmp "$T/big" "$T/back"
}
@test "exec: 20 MB of random bytes in and out" { both_protocols exec_bulk; }

exec_terminal() {
    cat >"$T/terminal.py" <<'S'
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
def size(rows, cols):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
size(24, 80)
seen = b""
while True:
    try:
        b = os.read(fd, 4096)
    except OSError:
        break
    if not b:
        break
    if b"ready" in seen + b and b"ready" not in seen:
        size(33, 99)
    seen += b
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
S
    run timeout 40 python3 "$T/terminal.py" "$KUBECTL" --cache-dir="$T/kube-cache" exec -it w -c c -- \
        sh -c 'n=0; until stty size | grep -qx "24 80" || [ $n -ge 100 ]; do sleep 0.05; n=$((n + 1)); done; stty size; tty; echo ready; n=0; until stty size | grep -qx "33 99" || [ $n -ge 100 ]; do sleep 0.05; n=$((n + 1)); done; stty size; exit 5'
    [ "$status" -eq 5 ]
    [[ "$output" == *"24 80"*/dev/pts/*ready*"33 99"* ]]
}
@test "exec -it: a terminal, its size, and the change of it" {
    command -v python3 >/dev/null || skip "needs python3"
    both_protocols exec_terminal
}

exec_many() {
    for i in $(seq 40); do
        (
            r=0
            out=$(kube exec w -c c -- sh -c "echo $i; exit $i" 2>/dev/null) || r=$?
            [ "$r" -eq "$i" ] && [ "$out" = "$i" ] && echo good
        ) 3>&- &
    done >"$T/many"
    wait
    [ "$(wc -l <"$T/many")" -eq 40 ]
}
@test "40 execs at once, each with its own output and exit code" { both_protocols exec_many; }

@test "a client that does not read holds up nobody else, and the command of one that vanishes ends" {
    mkfifo "$T/stuck"
    timeout 60 "$KUBECTL" exec w -c second -- sh -c 'echo $$ >/tmp/pid; exec cat /dev/zero' >"$T/stuck" 3>&- &
    stuck=$!
    exec 7<"$T/stuck"
    started() { kube exec w -c second -- sh -c 'kill -0 $(cat /tmp/pid)' 2>/dev/null; }
    wait_until 20 started
    kube exec -i w -c c -- sh -c 'cat >/tmp/big' <"$T/big"
    [ "$(kube exec w -c c -- cat /tmp/big | sha256sum | cut -d' ' -f1)" = "$(sum "$T/big")" ]
    kill -9 "$stuck"
    exec 7<&-
    wait_until 20 not started
}

@test "attach: what the container writes, its input, its end" {
    pod a <<<'
restartPolicy: Never
containers: [{name: c, image: nginx:demo, stdin: true, stdinOnce: true, command: [sh, -c, "while read l; do echo got $l; done; echo end; exit 5"]}]'
    pod_wait a .status.phase=Running
    run bash -c "printf 'one\ntwo\n' | timeout 40 $KUBECTL attach -i a 2>/dev/null"
    [ "$status" -eq 0 ]
    [ "$output" = $'got one\ngot two\nend' ]
    pod_wait a '.status.containerStatuses[0].state.terminated.exitCode=5'
    KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false run kube attach a
    [ "$status" -ne 0 ]
    pods_gone a
}

@test "kubectl run -i --rm: exit code, nothing left" {
    run --separate-stderr bash -c "echo 'echo hello \$((1 + 2)); exit 4' | timeout 50 $KUBECTL run r --image=nginx:demo -i --rm --restart=Never --command -- sh"
    [ "$status" -eq 4 ]
    [[ "$output" == *"hello 3"* ]]
    [ "$(grep -c 'hello 3' <<<"$output")" -eq 1 ]
    run kube get pod r
    [ "$status" -ne 0 ]
}

copies() { # COMMAND…: kubectl or podium
    mkdir -p "$T/folder/inner"
    echo 1 >"$T/folder/one"
    echo 2 >"$T/folder/inner/two words"
    "$@" cp "$T/big" w:/tmp/renamed -c c
    [ "$(kube exec w -c c -- sha256sum /tmp/renamed | cut -d' ' -f1)" = "$(sum "$T/big")" ]
    rm -rf "$T/back" "$T/folder.back"
    "$@" cp w:/tmp/renamed "$T/back" -c c
    cmp "$T/big" "$T/back"
    kube exec w -c c -- rm -rf /tmp/folder
    "$@" cp "$T/folder" w:/tmp/folder -c c
    "$@" cp w:/tmp/folder "$T/folder.back" -c c
    diff -r "$T/folder" "$T/folder.back"
}
copies_kubectl() { copies kube; }
@test "kubectl cp: files and folders both ways" { both_protocols copies_kubectl; }
@test "podium cp: files and folders both ways" {
    copies p
    run p cp w:/no/such "$T/none" -c c # kubectl is content with the empty archive that busybox makes of it
    [ "$status" -eq 1 ]
    run p cp "$T/big" "$T/back"
    [ "$status" -eq 2 ]
}

@test "logs without follow end with what was there when they were asked for" {
    pod chatty <<<'
containers: [{name: c, image: nginx:demo, command: [sh, -c, "l=$(printf %01000d 0); i=0; while [ $i -lt 3000 ]; do echo $l; i=$((i + 1)); done; while :; do echo tick; sleep 0.05; done"]}]'
    pod_wait chatty .status.phase=Running
    ticks() { kube logs chatty --tail=1 | grep -q tick; }
    wait_until 30 ticks
    mkfifo "$T/log"
    # more than fits on the way: most of it is read from the journal after the container wrote on
    curl -sS --max-time 60 --unix-socket "$DIR/nodes/podium-1/run/api.sock" \
        "http://podium/api/v1/namespaces/default/pods/chatty/log?timestamps=true" >"$T/log" 3>&- &
    exec 8<"$T/log"
    read -r first <&8
    [ -n "$first" ]
    opened=$(date +%s%N)
    sleep 2.5
    last=$(tail -n 1 <&8)
    exec 8<&-
    [[ "$last" == *" tick" ]]
    [ "$(date -d "${last%% *}" +%s%N)" -lt $((opened + 1000000000)) ]
    kube delete pod chatty --wait=false >/dev/null
}

# forward COMMAND…: starts it, sets PORT to the local port it tells
forward() {
    : >"$T/forward.log" # what an earlier one told must not be taken for news
    timeout 60 "$@" >>"$T/forward.log" 2>&1 3>&- &
    FORWARD=$!
    told() { grep -q '^Forwarding from 127' "$T/forward.log"; }
    wait_until 15 told
    PORT=$(sed -n 's/^Forwarding from 127.0.0.1:\([0-9]*\) .*/\1/p' "$T/forward.log" | head -n 1)
}
forward_end() {
    kill "$FORWARD" 2>/dev/null || true
    wait "$FORWARD" || true
    FORWARD=
}

forwards() { # COMMAND…
    kube exec -i w -c c -- sh -c 'cat >/usr/share/nginx/html/big' <"$T/big"
    forward "$@" port-forward pod/w :80
    [[ "$(curl -sS --max-time 10 "http://127.0.0.1:$PORT/")" == *nginx* ]]
    [ "$(curl -sS --max-time 30 "http://127.0.0.1:$PORT/big" | sha256sum | cut -d' ' -f1)" = "$(sum "$T/big")" ]
    for i in $(seq 30); do
        curl -sS --max-time 30 "http://127.0.0.1:$PORT/big?$i" 2>/dev/null 3>&- | head -c 300000 | sha256sum &
    done >"$T/many"
    # shellcheck disable=SC2046
    wait $(jobs -p | grep -vx "$FORWARD")
    [ "$(sort -u "$T/many" | wc -l)" -eq 1 ]
    [ "$(wc -l <"$T/many")" -eq 30 ]
    forward_end
}
forwards_kubectl() { forwards "$KUBECTL"; }
@test "kubectl port-forward: bulk, and 30 connections at once" { both_protocols forwards_kubectl; }
@test "podium port-forward: bulk, and 30 connections at once" { forwards "$BIN/podium"; }

forward_to_server() { # COMMAND…: bytes the other way, the end of them, and the answer
    # its input stays open: an end of it would close the connection
    kube exec w -c second -- sh -c 'busybox rm -f /tmp/in /tmp/hold; busybox mkfifo /tmp/hold; exec 3<>/tmp/hold; exec busybox nc -l -p 7000 <&3 >/tmp/in' 3>&- &
    local server=$!
    listening() { kube exec w -c second -- sh -c 'busybox netstat -ltn 2>/dev/null | grep -q :7000'; }
    wait_until 20 listening
    forward "$@" port-forward w :7000
    timeout 30 bash -c "exec 9<>/dev/tcp/127.0.0.1/$PORT; cat '$T/big' >&9"
    wait "$server"
    [ "$(kube exec w -c second -- busybox sha256sum /tmp/in | cut -d' ' -f1)" = "$(sum "$T/big")" ]
    forward_end
}
forward_to_server_kubectl() { forward_to_server "$KUBECTL"; }
@test "port-forward: upload to a program in the pod" {
    both_protocols forward_to_server_kubectl
    forward_to_server "$BIN/podium"
}

refusals() {
    forward "$KUBECTL" port-forward w :81
    run curl -sS --max-time 10 "http://127.0.0.1:$PORT/"
    [ "$status" -ne 0 ]
    told_why() { grep -q 'failed to connect to localhost:81 inside the pod: Connection refused' "$T/forward.log"; }
    wait_until 10 told_why
    forward_end
}
@test "port-forward: a refused connection is told" {
    both_protocols refusals
    run p port-forward absent 80
    [ "$status" -eq 1 ]
    run p port-forward w
    [ "$status" -eq 2 ]
    run p port-forward w :nothing
    [ "$status" -eq 1 ]
}

@test "port-forward to a service, by name of its port" {
    kube create -f - >/dev/null <<'Y'
apiVersion: v1
kind: Service
metadata: {name: w}
spec: {selector: {test: w}, ports: [{name: web, port: 90, targetPort: http}]}
Y
    for command in "$KUBECTL" "$BIN/podium"; do
        forward "$command" port-forward svc/w :web
        [[ "$(curl -sS --max-time 10 "http://127.0.0.1:$PORT/")" == *nginx* ]]
        forward_end
    done
}

@test "proxy: HTTP to pods and services through the API server" {
    pods=/api/v1/namespaces/default/pods services=/api/v1/namespaces/default/services
    kube exec -i w -c c -- sh -c 'cat >/usr/share/nginx/html/big' <"$T/big"
    for path in $pods/w/proxy/ $pods/w:80/proxy/index.html $pods/http:w:http/proxy/ $services/w:web/proxy/ $services/w:90/proxy/ $services/w/proxy/; do
        [[ "$(kube get --raw "$path")" == *nginx* ]]
    done
    run kube get --raw $pods/w:81/proxy/
    [ "$status" -ne 0 ]
    [[ "$output" == *ServiceUnavailable*"Connection refused"* ]]
    run kube get --raw $services/w:91/proxy/
    [[ "$output" == *'no service port "91" found for service "w"'* ]]
    : >"$T/proxy.log"
    timeout 60 "$KUBECTL" proxy --port=0 >>"$T/proxy.log" 2>&1 3>&- &
    FORWARD=$!
    told() { grep -q '^Starting to serve on' "$T/proxy.log"; }
    wait_until 15 told
    url=http://$(sed -n 's/^Starting to serve on //p' "$T/proxy.log")
    curl -sS --max-time 30 "$url$services/w:web/proxy/big" >"$T/back"
    cmp "$T/big" "$T/back"
    run curl -sS --max-time 30 -w ' %{http_code}' "$url$services/w:web/proxy/a%20b?x=%26&y=" "$url$pods/w/proxy/none" -d data
    [[ "$output" == *" 404"*" 404" ]]
    logged() { kube logs w -c c --tail=20 | grep -q 'POST /a%20b?x=%26&y= HTTP/1.1'; }
    wait_until 10 logged
    forward_end
}

@test "proxy: https to pods and services, whoever signed their certificates" {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -days 1 -keyout "$T/tls" -out "$T/tls.crt" 2>/dev/null
    cat "$T/tls.crt" >>"$T/tls"
    kube exec -i w -c second -- sh -c 'cat >/tmp/tls' <"$T/tls"
    kube exec -i w -c second -- sh -c 'cat >/tmp/tls.conf; mkdir -p /tmp/html; exec nginx -c /tmp/tls.conf' <<'N' 3>&- &
daemon on;
pid /tmp/tls.pid;
error_log /tmp/tls.log;
events {}
http {
    access_log /tmp/tls.access;
    server {
        listen 443 ssl;
        ssl_certificate /tmp/tls;
        ssl_certificate_key /tmp/tls;
        root /tmp/html;
        location = /who { return 200 "by $scheme $request_method $args $http_authorization\n"; }
    }
}
N
    wait $!
    kube exec -i w -c second -- sh -c 'cat >/tmp/html/big; ls -l /tmp/html' <"$T/big"
    kube patch service w --type=json -p '[{"op":"add","path":"/spec/ports/-","value":{"name":"tls","port":443,"targetPort":443}}]' >/dev/null
    pods=/api/v1/namespaces/default/pods services=/api/v1/namespaces/default/services
    [ "$(kube get --raw "$pods/https:w:443/proxy/who?a=1")" = 'by https GET a=1 ' ]
    ports_known() { kube get --raw $services/https:w:tls/proxy/who; }
    wait_until 10 ports_known
    kube get --raw $services/https:w:443/proxy/big >"$T/back"
    cmp "$T/big" "$T/back"
    run kube get --raw $pods/w:443/proxy/who # in the clear: nginx says what it thinks of it
    [ "$status" -ne 0 ]
    run kube get --raw $pods/https:w:80/proxy/
    [ "$status" -ne 0 ]
    [[ "$output" == *ServiceUnavailable*tls:* ]]
    run kube get --raw $pods/ftp:w:80/proxy/
    [[ "$output" == *'invalid pod request "ftp:w:80"'* ]]
}

@test "proxy: what kubelets are asked, by their nodes, over the link" {
    n=$(pod_get w .spec.nodeName)
    proxy=/api/v1/nodes/$n/proxy
    [ "$(kube get --raw "$proxy/healthz")" = ok ]
    [ "$(kube get --raw "/api/v1/nodes/https:$n:10250/proxy/healthz")" = ok ]
    kube get --raw "$proxy/pods/" >"$T/pods"
    python3 - "$T/pods" "$(pod_get w .metadata.uid)" <<'S'
import json, sys
pods = json.load(open(sys.argv[1]))
assert pods["kind"] == "PodList"
w = [p for p in pods["items"] if p["metadata"]["uid"] == sys.argv[2]]
assert len(w) == 1 and w[0]["status"]["phase"] == "Running" and len(w[0]["spec"]["containers"]) == 2
S
    kube get --raw "$proxy/stats/summary" >"$T/summary"
    python3 - "$T/summary" "$n" <<'S'
import json, sys
s = json.load(open(sys.argv[1]))
node = s["node"]
assert node["nodeName"] == sys.argv[2]
assert node["cpu"]["usageCoreNanoSeconds"] > 0 and node["memory"]["workingSetBytes"] > 0
assert node["fs"]["capacityBytes"] > node["fs"]["availableBytes"] > 0 and node["rlimit"]["curproc"] > 0
w = [p for p in s["pods"] if p["podRef"]["name"] == "w"][0]
assert sorted(c["name"] for c in w["containers"]) == ["c", "second"]
c = [c for c in w["containers"] if c["name"] == "c"][0]
assert 0 < c["cpu"]["usageCoreNanoSeconds"] < w["cpu"]["usageCoreNanoSeconds"] < node["cpu"]["usageCoreNanoSeconds"]
assert w["network"]["name"] == "eth0" and w["network"]["rxBytes"] > 0
S
    kube get --raw "$proxy/metrics" >"$T/metrics"
    grep -q "^kubelet_node_name{node=\"$n\"} 1" "$T/metrics"
    grep -q '^podium_container_restarts_total{container="c",namespace="default",pod="w"} 0' "$T/metrics"
    kube get --raw "$proxy/metrics/cadvisor" | grep -q '^container_cpu_usage_seconds_total{container="c",namespace="default",pod="w"} '
    kube get --raw "$proxy/metrics/resource" | grep -q '^container_cpu_usage_seconds_total{container="c",namespace="default",pod="w"} '
    run kube get --raw "$proxy/configz"
    [[ "$output" == *NotFound* ]]
    run kube get --raw "/api/v1/nodes/$n:80/proxy/healthz"
    [[ "$output" == *BadRequest* ]]
    run kube get --raw /api/v1/nodes/none/proxy/healthz
    [[ "$output" == *'nodes "none" not found'* ]]
    # a right of its own, as upstream
    server=$(kube config view -o jsonpath='{.clusters[0].cluster.server}')
    kube config view --raw -o jsonpath='{.clusters[0].cluster.certificate-authority-data}' | base64 -d >"$T/ca.crt"
    for right in nodes nodes/proxy; do
        account=${right/\//-}
        kube create serviceaccount "$account" >/dev/null
        kube create clusterrole "$account" --verb=get --resource="$right" >/dev/null
        kube create clusterrolebinding "$account" --clusterrole="$account" --serviceaccount="default:$account" >/dev/null
    done
    ask() { kube --kubeconfig=/dev/null --server="$server" --certificate-authority="$T/ca.crt" --token="$(kube create token "$1")" get --raw "$proxy/healthz"; }
    run ask nodes
    [[ "$output" == *Forbidden*'cannot get resource "nodes/proxy"'* ]]
    [ "$(ask nodes-proxy)" = ok ]
}

@test "a node's agent that restarts ends its streams: clients get an error, not a hang" {
    n=$(pod_node w)
    : >"$T/out"
    timeout 40 "$KUBECTL" exec w -c c -- sh -c 'echo started; sleep 1000' >>"$T/out" 3>&- &
    client=$!
    forward "$KUBECTL" port-forward w :80
    is_started() { grep -q started "$T/out"; }
    wait_until 15 is_started
    on_node "$n" systemctl restart podium-agent.service
    r=0
    wait "$client" || r=$?
    [ "$r" -ne 0 ] && [ "$r" -ne 124 ]
    pod_ready w
    again() { kube exec w -c c -- busybox true 2>/dev/null; }
    wait_until 20 again
    [[ "$(curl -sS --max-time 10 "http://127.0.0.1:$PORT/")" == *nginx* ]] # a new connection, by the new agent
    forward_end
}

@test "a server that restarts ends its streams, too" {
    : >"$T/out"
    timeout 40 "$KUBECTL" exec w -c c -- sh -c 'echo started; sleep 1000' >>"$T/out" 3>&- &
    client=$!
    is_started() { grep -q started "$T/out"; }
    wait_until 15 is_started
    on_node 1 systemctl restart podium-server.service
    r=0
    wait "$client" || r=$?
    [ "$r" -ne 0 ] && [ "$r" -ne 124 ]
    again() { kube exec w -c c -- busybox true 2>/dev/null; }
    wait_until 30 again
}
