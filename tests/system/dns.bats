#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Names: what pods and nodes look up, and what pods are told to look up with.

load harness

setup_file() {
    cluster_setup 1
    # a resolver of the node's own, so that nothing depends on where the tests run
    on_node 1 sh -c 'cat >/run/fake-resolver' <"$ROOT/tests/system/fake-resolver"
    on_node 1 systemd-run -q --unit fake-resolver /usr/bin/python3 /run/fake-resolver 127.0.0.1
    on_node 1 sh -c 'printf "nameserver 127.0.0.1\nsearch corp.example\n" >/etc/resolv.conf'
    kube apply -f - >/dev/null <<'Y'
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: peers}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: peers}
spec: {clusterIP: None, selector: {app: peers}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: none}
spec: {clusterIP: None, selector: {app: nobody}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: ext}
spec: {type: ExternalName, externalName: www.outside.test}
---
apiVersion: v1
kind: Namespace
metadata: {name: prod}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: prod}
spec: {clusterIP: 10.96.0.77, ports: [{port: 80}]}
Y
    for i in 0 1; do
        pod "p$i" 'labels: {app: peers}' <<<"
hostname: peer-$i
subdomain: peers
containers: [{name: c, image: nginx:demo}]"
    done
    pod client <<<'containers: [{name: c, image: nginx:demo, command: [sh, -c, "sleep 10000"]}]'
    for p in p0 p1 client; do pod_ready $p 30; done
    in_dns() { [ "$(addresses peers.default.svc.cluster.local | wc -l)" -eq 2 ]; }
    wait_until 20 in_dns
}
teardown_file() { cluster_teardown; }
teardown() { cluster_report; }

# on the node: answers of its DNS, sorted
lookup() { on_node 1 busybox nslookup "$@" 10.96.0.10 </dev/null | sed 1,3d; }
addresses() { lookup -type=a "$1" | sed -n 's/^Address: //p' | sort; }
# in the client pod, by its own resolv.conf
from_pod() { kube exec client -- busybox nslookup "$@" </dev/null; }
# the address a program in the pod gets for a name, by the C library and the whole search path
resolved_in() { kube exec "$1" -- busybox ping -c 1 -W 1 "$2" </dev/null 2>/dev/null | sed -n 's/^PING .* (\(.*\)): .*/\1/p'; }
# a query over TCP in hexadecimal: the answer's bytes
over_tcp() {
    on_node 1 bash -c 'exec 3<>/dev/tcp/10.96.0.10/53; printf "$1" >&3; head -c 2 <&3 >/run/length
        head -c $((0x$(od -An -tx1 /run/length | tr -d " "))) <&3 | od -An -v -tx1 | tr -d " \n"' - "$1"
}
resolv_conf() { kube exec "$1" -- cat /etc/resolv.conf </dev/null; }

@test "services by every spelling of their name" {
    ip=$(kube get svc web -o jsonpath='{.spec.clusterIP}')
    for name in web web.default web.default.svc web.default.svc.cluster.local WEB.Default.svc.cluster.local.; do
        [ "$(resolved_in client "$name")" = "$ip" ]
    done
    [ "$(resolved_in client web.prod)" = 10.96.0.77 ]
    run kube exec client -- wget -q -O - http://web/
    [[ "$output" == *nginx* ]]
    run from_pod -type=a nothing.default.svc.cluster.local
    [[ "$output" == *NXDOMAIN* ]]
    # it exists, but not with such an address
    run lookup -type=aaaa web.default.svc.cluster.local
    [[ "$output" != *NXDOMAIN* && "$output" != *Address* && "$output" != *SERVFAIL* ]]
}

@test "headless services and their pods by host name" {
    ips=$(kube get pods -l app=peers -o jsonpath='{range .items[*]}{.status.podIP}{"\n"}{end}' | sort)
    [ "$(addresses peers.default.svc.cluster.local)" = "$ips" ]
    for i in 0 1; do [ "$(addresses peer-$i.peers.default.svc.cluster.local)" = "$(pod_get p$i .status.podIP)" ]; done
    run kube exec client -- wget -q -O - http://peer-1.peers/
    [[ "$output" == *nginx* ]]
    run lookup none.default.svc.cluster.local
    [[ "$output" == *NXDOMAIN* ]]
    # the pod knows its own name, too
    run kube exec p0 -- busybox hostname -f
    [ "$output" = peer-0.peers.default.svc.cluster.local ]
}

@test "an endpoint that goes or comes is seen by the next query after the push" {
    kube label pod p1 app- >/dev/null
    one_left() { [ "$(addresses peers.default.svc.cluster.local)" = "$(pod_get p0 .status.podIP)" ]; }
    wait_until 10 one_left
    kube label pod p1 app=peers >/dev/null
    back() { [ "$(addresses peers.default.svc.cluster.local | wc -l)" -eq 2 ]; }
    wait_until 10 back
    kube create service clusterip fresh --tcp=80 >/dev/null
    fresh() { [ "$(addresses fresh.default.svc.cluster.local)" = "$(kube get svc fresh -o jsonpath='{.spec.clusterIP}')" ]; }
    wait_until 10 fresh
    kube delete service fresh >/dev/null
    gone() { lookup fresh.default.svc.cluster.local | grep -q NXDOMAIN; }
    wait_until 10 gone
}

@test "ports, addresses and the zone itself" {
    run lookup -type=srv _http._tcp.web.default.svc.cluster.local
    [[ "$output" == *"service = 0 100 80 web.default.svc.cluster.local"* ]]
    run lookup -type=srv _http._tcp.peers.default.svc.cluster.local
    [[ "$output" == *"service = 0 50 80 peer-0.peers.default.svc.cluster.local"* ]]
    [[ "$output" == *"service = 0 50 80 peer-1.peers.default.svc.cluster.local"* ]]
    run lookup 10.96.0.77
    [[ "$output" == *"name = web.prod.svc.cluster.local"* ]]
    run lookup "$(pod_get p0 .status.podIP)"
    [[ "$output" == *"name = peer-0.peers.default.svc.cluster.local"* ]]
    run lookup 10.96.200.200
    [[ "$output" == *NXDOMAIN* ]]
    ip=$(pod_get p0 .status.podIP)
    [ "$(addresses "${ip//./-}.default.pod.cluster.local")" = "$ip" ]
    run lookup -type=txt dns-version.cluster.local
    [[ "$output" == *'"1.1.0"'* ]]
    [ "$(addresses kubernetes.default.svc.cluster.local)" = 10.96.0.1 ]
    [ "$(addresses kube-dns.kube-system.svc.cluster.local)" = 10.96.0.10 ]
}

@test "all other names are asked of the node's resolvers, over TCP what is long" {
    [ "$(addresses www.outside.test)" = 192.0.2.53 ]
    run from_pod -type=a www.outside.test
    [[ "$output" == *"Address: 192.0.2.53"* ]]
    # an alias of ours and what it leads to
    run from_pod -type=a ext.default.svc.cluster.local
    [[ "$output" == *"canonical name = www.outside.test"* ]]
    [[ "$output" == *"Address: 192.0.2.53"* ]]
    run lookup no.such.example
    [[ "$output" == *NXDOMAIN* ]]
    # 1234 0100 one question: long.outside.test A IN; the answer has 40 records and is not cut
    run over_tcp '\x00\x23\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04long\x07outside\x04test\x00\x00\x01\x00\x01'
    [[ "$output" == 12348180000100280000* ]]
}

@test "a changed resolv.conf of the node counts at once; without resolvers the cluster's names go on" {
    on_node 1 sh -c 'echo >/etc/resolv.conf'
    failing() { lookup -type=a later.outside.test | grep -q SERVFAIL; }
    wait_until 5 failing
    [ "$(addresses web.prod.svc.cluster.local)" = 10.96.0.77 ]
    # our own address is no resolver to ask
    on_node 1 sh -c 'echo nameserver 10.96.0.10 >/etc/resolv.conf'
    wait_until 5 failing
    on_node 1 sh -c 'printf "nameserver 127.0.0.1\nsearch corp.example\n" >/run/new; mv /run/new /etc/resolv.conf ||
        cat /run/new >/etc/resolv.conf'
    found() { [ "$(addresses later.outside.test)" = 192.0.2.53 ]; }
    wait_until 5 found
}

@test "dnsPolicy and dnsConfig" {
    [ "$(resolv_conf client)" = "nameserver 10.96.0.10
search default.svc.cluster.local svc.cluster.local cluster.local corp.example
options ndots:5" ]
    spec='containers: [{name: c, image: nginx:demo, command: [sh, -c, "sleep 10000"]}]'
    pod default <<<"dnsPolicy: Default"$'\n'"$spec"
    pod host <<<"hostNetwork: true"$'\n'"$spec"
    pod hostcluster <<<"hostNetwork: true"$'\n'"dnsPolicy: ClusterFirstWithHostNet"$'\n'"$spec"
    pod own <<<"dnsPolicy: None"$'\n'"dnsConfig: {nameservers: [192.0.2.1, 192.0.2.2], searches: [a.test], \
        options: [{name: ndots, value: '2'}, {name: edns0}]}"$'\n'"$spec"
    pod added <<<"dnsConfig: {nameservers: [192.0.2.1], searches: [a.test], options: [{name: ndots, value: '1'}]}"$'\n'"$spec"
    for p in default host hostcluster own added; do pod_ready $p 30; done
    [ "$(resolv_conf default)" = $'nameserver 127.0.0.1\nsearch corp.example' ]
    [ "$(resolv_conf host)" = $'nameserver 127.0.0.1\nsearch corp.example' ]
    [ "$(resolv_conf hostcluster)" = "$(resolv_conf client)" ]
    [ "$(resolv_conf own)" = $'nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch a.test\noptions ndots:2 edns0' ]
    [ "$(resolv_conf added)" = "nameserver 10.96.0.10
nameserver 192.0.2.1
search default.svc.cluster.local svc.cluster.local cluster.local corp.example a.test
options ndots:1" ]
    [ "$(resolved_in hostcluster web.prod)" = 10.96.0.77 ]
    pods_gone default host hostcluster own added
}

@test "host names: FQDN when asked for, refused when too long" {
    pod fqdn <<<'
hostname: h
subdomain: peers
setHostnameAsFQDN: true
containers: [{name: c, image: nginx:demo, command: [sh, -c, "hostname; sleep 10000"]}]'
    pod toolong <<<'
hostname: a-host-name-of-some-length-for-a-pod-indeed
subdomain: peers
setHostnameAsFQDN: true
containers: [{name: c, image: nginx:demo}]'
    pod_ready fqdn
    run kube exec fqdn -- hostname
    [ "$output" = h.peers.default.svc.cluster.local ]
    wait_until 15 has_event Pod toolong FailedCreatePodSandBox
    pods_gone fqdn toolong
}

@test "a pod with host port 53 does not take the node's DNS away" {
    pod resolver <<<'containers: [{name: c, image: nginx:demo, ports: [{containerPort: 53, hostPort: 53, protocol: UDP}]}]'
    pod_ready resolver
    [ "$(addresses web.prod.svc.cluster.local)" = 10.96.0.77 ]
    [ "$(resolved_in client web.prod)" = 10.96.0.77 ]
    pods_gone resolver
}

@test "an agent that starts again answers from the first moment on" {
    on_node 1 systemctl restart podium-agent.service
    [ "$(addresses www.outside.test)" = 192.0.2.53 ]
    known() { [ "$(addresses web.prod.svc.cluster.local)" = 10.96.0.77 ]; }
    wait_until 10 known
    # the address stayed where it was, once
    [ "$(on_node 1 ip -o -4 address show podium0 | grep -c 10.96.0.10/32)" -eq 1 ]
}

@test "a query while the agent is killed waits for the next one, instead of being refused" {
    pid=$(on_node 1 systemctl show -P MainPID podium-agent.service)
    on_node 1 systemctl kill -s KILL podium-agent.service
    # within the one query's time, nothing asked again
    [ "$(addresses www.outside.test)" = 192.0.2.53 ]
    [ "$(on_node 1 systemctl show -P MainPID podium-agent.service)" != "$pid" ]
    known() { [ "$(addresses web.prod.svc.cluster.local)" = 10.96.0.77 ]; }
    wait_until 10 known
}

@test "with the server away the names stay" {
    on_node 1 systemctl stop podium-server.service
    [ "$(addresses web.prod.svc.cluster.local)" = 10.96.0.77 ]
    [ "$(addresses www.outside.test)" = 192.0.2.53 ]
    # also with an agent that starts again: from what was recorded
    on_node 1 systemctl restart podium-agent.service
    [ "$(addresses www.outside.test)" = 192.0.2.53 ]
    known() { [ "$(addresses web.prod.svc.cluster.local)" = 10.96.0.77 ]; }
    wait_until 15 known
    on_node 1 systemctl start podium-server.service
    wait_until 20 kube get --raw /readyz
}
