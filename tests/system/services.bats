#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Services' data path on a real cluster of two nodes: who answers, whom it sees, what happens while things change.
# Each server says its pod's name and the address it sees.

load harness

server() { # NAME NODE LABELS [MORE YAML OF THE CONTAINER]
    kube create -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {$3}}
spec:
  nodeName: podium-$2
  terminationGracePeriodSeconds: 1
  containers:
  - name: server
    image: nginx:demo
    imagePullPolicy: Never
    command: [sh, -c, "echo 'events {} http { server { listen 80; return 200 \"\$hostname \$remote_addr\\\\n\"; } }' >/tmp/n.conf; exec nginx -c /tmp/n.conf -g 'daemon off;'"]
    readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
    ${4:-}
YAML
}

service() { # NAME: the spec comes from standard input, without indentation
    {
        printf 'apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec:\n' "$1"
        sed 's/^/  /'
    } | kube create -f - >/dev/null
}

setup_file() {
    cluster_setup 2
    for n in 1 2; do
        server "web-$n" $n 'app: web'
        pod "client-$n" <<YAML
nodeName: podium-$n
containers: [{name: c, image: 'nginx:demo', imagePullPolicy: Never, command: [sleep, "1000"]}]
YAML
    done
    server solo 1 'app: solo'
    service web <<<'{type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}'
    kube wait pod --all --for=condition=Ready --timeout=60s >/dev/null
    NODE1=$(kube get node podium-1 -o jsonpath='{.status.addresses[?(@.type=="InternalIP")].address}')
    NODE2=$(kube get node podium-2 -o jsonpath='{.status.addresses[?(@.type=="InternalIP")].address}')
    export NODE1 NODE2
    for n in 1 2; do wait_until 30 in_place $n web 80 2; done
}
teardown_file() { cluster_teardown; }
teardown() { cluster_report; }

address_of() { kube get service "$1" -o jsonpath='{.spec.clusterIP}'; }
pod_ip() { kube get pod "$1" -o jsonpath='{.status.podIP}'; }

# the node has this many endpoints for the service's port
in_place() { # NODE SERVICE PORT COUNT
    local ip
    ip=$(address_of "$2")
    [ "$(on_node "$1" nft list map inet podium service_slots_tcp_ip | grep -c "$ip . $3 . [0-9]* :")" -eq "$4" ]
}

# What answers 16 requests, each once; -x: one line for each failure. FROM: a pod, node:N, or host
LOOP='for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do wget -q -O - "http://$0/" || echo failed; done'
answers() { # FROM ADDRESS:PORT
    case $1 in
    host) for _ in $(seq 16); do curl -sS --max-time 5 "http://$2/" || echo failed; done ;;
    node:*) on_node "${1#node:}" sh -c "${LOOP//wget/busybox wget}" "$2" ;;
    *) kube exec "$1" -- sh -c "$LOOP" "$2" </dev/null ;;
    esac 2>&1 | sort -u
}
names() { answers "$@" | sed 's/ .*//' | sort -u | xargs; }

@test "a service's address leads to all its pods, from pods and nodes everywhere, and pods see each other's address" {
    local ip
    ip=$(address_of web)
    for from in client-1 client-2 node:1 node:2; do
        run names "$from" "$ip:80"
        [ "$output" = "web-1 web-2" ] || {
            echo "from $from: $output"
            return 1
        }
    done
    run answers client-1 "$ip:80"
    [ "$output" = "web-1 $(pod_ip client-1)"$'\n'"web-2 $(pod_ip client-1)" ]
}

@test "a pod reaches itself through its service" {
    service solo <<<'{selector: {app: solo}, ports: [{port: 8080, targetPort: 80}]}'
    wait_until 30 in_place 1 solo 8080 1
    run names solo "$(address_of solo):8080"
    [ "$output" = "solo" ]
}

@test "a NodePort answers on every node; with the policy Local only where a pod is, which sees the client" {
    for a in "$NODE1" "$NODE2"; do
        run names host "$a:30080"
        [ "$output" = "web-1 web-2" ]
    done
    run names client-1 "$NODE2:30080"
    [ "$output" = "web-1 web-2" ]
    service outside <<<'{type: NodePort, externalTrafficPolicy: Local, selector: {app: solo}, ports: [{port: 80, nodePort: 30081}]}'
    wait_until 30 in_place 2 outside 80 1
    wait_until 30 in_place 1 outside 80 1
    run answers host "$NODE1:30081"
    [ "$output" = "solo $(ip -o route get "$NODE1" | sed 's/.* src \([^ ]*\) .*/\1/')" ]
    run curl -sS --max-time 1 "http://$NODE2:30081/" # dropped, not refused
    [ "$status" -eq 28 ]
    run names client-2 "$NODE2:30081" # the cluster itself goes everywhere
    [ "$output" = "solo" ]
    run names node:2 "$NODE2:30081"
    [ "$output" = "solo" ]
}

@test "external addresses; the internal policy Local keeps to the node" {
    service extern <<<'{internalTrafficPolicy: Local, externalIPs: [203.0.113.7], selector: {app: web}, ports: [{port: 80}]}'
    wait_until 30 in_place 1 extern 80 1
    wait_until 30 in_place 2 extern 80 1
    for n in 1 2; do
        run names client-$n "$(address_of extern):80"
        [ "$output" = "web-$n" ]
        run names client-$n 203.0.113.7:80
        [ "$output" = "web-1 web-2" ]
    done
}

@test "a balancer's address leads to the pods, and its health checks say on which node there are some" {
    local port
    service balanced <<<'{type: LoadBalancer, externalTrafficPolicy: Local, selector: {app: solo}, ports: [{port: 80}]}'
    kube patch service balanced --subresource=status \
        -p '{"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}}' >/dev/null
    led() { on_node "$1" nft list map inet podium service_addresses | grep -q '203.0.113.9 . tcp . 80 : goto local-'; }
    wait_until 30 led 1
    wait_until 30 led 2
    run names client-2 203.0.113.9:80
    [ "$output" = "solo" ]
    port=$(kube get service balanced -o jsonpath='{.spec.healthCheckNodePort}')
    [ "$port" -gt 0 ]
    run curl -sS --max-time 5 -o /dev/null -w '%{http_code}' "http://$NODE1:$port/healthz"
    [ "$output" = 200 ]
    run curl -sS --max-time 5 -w '%{http_code}' "http://$NODE2:$port/healthz"
    [[ "$output" == *'"localEndpoints":0'*503 ]]
}

@test "session affinity: a client stays with its pod, and finds another when that is gone" {
    local ip first other
    server sticky-1 1 'app: sticky'
    server sticky-2 2 'app: sticky'
    service sticky <<<'{sessionAffinity: ClientIP, selector: {app: sticky}, ports: [{port: 80}]}'
    kube wait pod sticky-1 sticky-2 --for=condition=Ready --timeout=60s >/dev/null
    ip=$(address_of sticky)
    ready() { [ "$(on_node 1 nft list map inet podium service_endpoints_tcp_ip | grep -c "$ip . 80 . ")" -eq "$1" ]; }
    wait_until 30 ready 2
    first=$(names client-1 "$ip:80")
    [ "$first" = sticky-1 ] || [ "$first" = sticky-2 ]
    run names client-1 "$ip:80"
    [ "$output" = "$first" ]
    pods_gone "$first"
    wait_until 30 ready 1
    other=$([ "$first" = sticky-1 ] && echo sticky-2 || echo sticky-1)
    run names client-1 "$ip:80"
    [ "$output" = "$other" ]
    pods_gone "$other"
}

@test "a service without ready pods refuses at once, in TCP and UDP, until there is one" {
    local ip
    service empty <<<'{selector: {app: late}, ports: [{name: t, port: 80}, {name: u, port: 53, protocol: UDP}]}'
    ip=$(address_of empty)
    refuses() { on_node "$1" nft list set inet podium service_refused | grep -q "$ip . tcp . 80"; }
    wait_until 30 refuses 1
    wait_until 30 refuses 2
    run kube exec client-1 -- wget -q -O - "http://$ip/"
    [[ "$output" == *"Connection refused"* ]]
    run on_node 2 busybox wget -q -O - "http://$ip/"
    [[ "$output" == *"Connection refused"* ]]
    server late 2 'app: late'
    wait_until 40 in_place 1 empty 80 1
    run names client-1 "$ip:80"
    [ "$output" = "late" ]
    pods_gone late
}

@test "a host port leads to its pod, also its own, and is free again after it" {
    local name
    for name in port-a port-b; do
        server $name 2 "app: $name" 'ports: [{containerPort: 80, hostPort: 8088}]'
        pod_ready $name 40
        run names host "$NODE2:8088"
        [ "$output" = "$name" ]
        run names $name "$NODE2:8088"
        [ "$output" = "$name" ]
        run names client-1 "$NODE2:8088"
        [ "$output" = "$name" ]
        pods_gone $name
    done
    run curl -sS --max-time 2 "http://$NODE2:8088/"
    [ "$status" -eq 7 ]
    # two that want the same one on a node (the scheduler would not): the second waits and says why
    server port-c 2 'app: port-c' 'ports: [{containerPort: 80, hostPort: 8088}]'
    pod_ready port-c 40
    server port-d 2 'app: port-d' 'ports: [{containerPort: 80, hostPort: 8088}]'
    wait_until 30 has_event Pod port-d FailedCreatePodSandBox
    kube get events --field-selector involvedObject.name=port-d | grep -q "port 8088 of the node is another pod's"
    run names host "$NODE2:8088"
    [ "$output" = "port-c" ]
    pods_gone port-c
    pod_ready port-d 40
    run names host "$NODE2:8088"
    [ "$output" = "port-d" ]
    pods_gone port-d
}

# An open connection from client-1, to be spoken on by `say WORD`; what comes back is in /tmp/back, its end in /tmp/end.
connect() { # ADDRESS PORT
    kube exec client-1 -- sh -c 'cd /tmp; rm -f talk back end; busybox mkfifo talk
        (sleep 1000 >talk & nc "$0" "$1" <talk >back; echo ended >end) >/dev/null 2>&1 &' "$1" "$2" </dev/null
}
say() { kube exec client-1 -- sh -c 'echo "$0" >/tmp/talk' "$1" </dev/null; }
heard() { kube exec client-1 -- grep -q "$1" /tmp/back </dev/null; }
ended() { kube exec client-1 -- test -e /tmp/end </dev/null; }
echo_server() { # NAME NODE
    pod "$1" 'annotations: {what: echo}' <<YAML
nodeName: podium-$2
containers: [{name: c, image: 'nginx:demo', imagePullPolicy: Never, command: [busybox, nc, -ll, -p, "9000", -e, cat]}]
YAML
    pod_ready "$1"
    kube label pod "$1" app=echo >/dev/null
}

@test "connections to a removed endpoint end, those to others go on" {
    local ip
    service echo <<<'{selector: {app: echo}, ports: [{port: 9000}]}'
    echo_server echo-1 1
    wait_until 30 in_place 1 echo 9000 1
    ip=$(address_of echo)
    connect "$ip" 9000
    say one
    wait_until 20 heard one
    echo_server echo-2 2
    wait_until 30 in_place 1 echo 9000 2
    say two # nothing happens to it while others come
    wait_until 20 heard two
    kube label pod echo-1 app- >/dev/null # the pod lives on, but is none of the service's
    wait_until 30 in_place 1 echo 9000 1
    say three
    wait_until 20 ended
    not heard three
}

@test "an agent that restarts or dies loses no connection" {
    local ip n bad
    ip=$(address_of web)
    connect "$(address_of echo)" 9000
    say before
    wait_until 20 heard before
    # in the background, since exec goes by way of the agent
    kube exec client-1 -- sh -c '(n=0; bad=0; while [ ! -e /tmp/stop ]; do wget -q -O /dev/null "http://$0/" || bad=$((bad + 1))
        n=$((n + 1)); done; echo "$n $bad" >/tmp/count) >/dev/null 2>&1 &' "$ip" </dev/null
    for _ in 1 2 3; do
        on_node 1 systemctl restart podium-agent
        wait_until 30 connected 1
    done
    on_node 1 systemctl kill -s KILL podium-agent
    wait_until 30 not connected 1
    wait_until 30 connected 1
    wait_until 30 kube exec client-1 -- touch /tmp/stop </dev/null
    wait_until 30 kube exec client-1 -- test -s /tmp/count </dev/null
    read -r n bad < <(kube exec client-1 -- cat /tmp/count </dev/null)
    echo "$n requests, $bad failed"
    [ "$bad" -eq 0 ] && [ "$n" -gt 10 ]
    say after
    wait_until 20 heard after
    # and it goes on following changes
    service again <<<'{selector: {app: web}, ports: [{port: 80}]}'
    wait_until 30 in_place 1 again 80 2
    run names client-1 "$(address_of again):80"
    [ "$output" = "web-1 web-2" ]
}
connected() { # NODE
    on_node "$1" busctl get-property org.podium.Node1 /org/podium/node org.podium.Node1 Connected 2>/dev/null | grep -q true
}

@test "an endpoint that went while the agent was away: its connections end when it is back" {
    connect "$(address_of echo)" 9000 # echo-2 is the only one left
    say here
    wait_until 20 heard here
    on_node 1 systemctl stop podium-agent
    kube label pod echo-2 app- >/dev/null
    on_node 1 systemctl start podium-agent
    wait_until 30 in_place 1 echo 9000 0
    wait_until 30 say more
    wait_until 20 ended
    not heard more
}

@test "somebody empties nftables: the next change puts everything in place again" {
    on_node 2 nft flush ruleset
    service healing <<<'{selector: {app: web}, ports: [{port: 80}]}'
    wait_until 30 in_place 2 healing 80 2
    run answers client-2 "$(address_of web):80"
    [ "$output" = "web-1 $(pod_ip client-2)"$'\n'"web-2 $(pod_ip client-2)" ]
    on_node 2 nft list chain inet podium postrouting | grep -q masquerade
    local ip
    ip=$(address_of healing)
    removed() { not on_node 2 sh -c "nft list map inet podium service_addresses | grep -q '$ip '"; }
    kube delete service healing >/dev/null
    wait_until 30 removed
}
