#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs alone: certificates that live for twelve seconds.
# Certificates that live for seconds: renewed in the running processes, while everything else goes on.

load harness

LIFETIME=12 # seconds; renewal is due after two thirds

setup_file() {
    cluster_setup 2
    on_node 1 sh -c "mkdir -p /etc/podium && printf '[Server]\nCertificateLifetime=$LIFETIME\nNodeHeartbeat=1
NodeGrace=20\n' >/etc/podium/podium.conf && sed -i 's/--local-cluster//' /etc/podium/server.env"
    # the second node joins as it would on another host: by its token, over TCP
    on_node 1 systemctl restart podium-server
    on_node 2 sh -c 'systemctl stop podium-agent; rm -f /var/lib/podium/agent/node.*; systemctl start podium-agent'
    kube wait node --all --for=condition=Ready --timeout=30s >&2
    pod steady <<'YAML'
nodeName: podium-2
containers: [{name: c, image: "nginx:demo", command: [sh, -c, "while :; do date +%s; sleep 1; done"]}]
YAML
    pod_ready steady 30
    remember server_pid on_node 1 systemctl show -P MainPID podium-server
    remember agent_pid on_node 2 systemctl show -P MainPID podium-agent
    remember ca on_node 2 sha256sum /var/lib/podium/agent-ca.crt
    remember server_serial server_serial
    remember node_serial node_serial
    remember ready_since ready_since
    remember link_troubles link_troubles
}
teardown_file() { cluster_teardown; }
teardown() { cluster_report; }

remember() { # NAME COMMAND…
    local name=$1
    shift
    "$@" >"$T/$name"
}
server_serial() {
    on_node 1 sh -c 'openssl s_client -connect 127.0.0.1:6443 </dev/null 2>/dev/null | openssl x509 -noout -serial'
}
node_serial() { on_node 2 openssl x509 -noout -serial -in /var/lib/podium/agent/node.crt; }
ready_since() { # when the second node became Ready
    kube get node podium-2 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].lastTransitionTime}'
}
link_troubles() { on_node 2 journalctl -q --no-pager -o cat -u podium-agent -g '^link to' || true; }
renewed() { # serial FILE COMMAND: it is another one
    [ "$("$2")" != "$(cat "$T/$1")" ]
}
twice_renewed() { # NAME: two times since the beginning
    wait_until 40 renewed "$1" "$1"
    remember "$1" "$1"
    wait_until 40 renewed "$1" "$1"
}

@test "the server shows new certificates, with no restart" {
    twice_renewed server_serial
    [ "$(on_node 1 systemctl show -P MainPID podium-server)" = "$(cat "$T/server_pid")" ]
}

@test "a node renews its own, with no restart" {
    twice_renewed node_serial
    [ "$(on_node 2 systemctl show -P MainPID podium-agent)" = "$(cat "$T/agent_pid")" ]
    on_node 2 openssl verify -CAfile /var/lib/podium/agent-ca.crt /var/lib/podium/agent/node.crt
    [ "$(on_node 2 sha256sum /var/lib/podium/agent-ca.crt)" = "$(cat "$T/ca")" ]
}

@test "nothing was disturbed meanwhile: the node stayed Ready, its pod ran on, exec and logs work" {
    [ "$(ready_since)" = "$(cat "$T/ready_since")" ]
    [ "$(link_troubles)" = "$(cat "$T/link_troubles")" ] # the connection is still the first one
    [ "$(pod_get steady .status.containerStatuses[0].restartCount)" = 0 ]
    [ "$(kube exec steady -- echo here)" = here ]
    kube logs steady --tail=1 | grep -qE '^[0-9]+$'
}

@test "the administrator's kubeconfig outlives the server's certificates, and podium kubeconfig gives a fresh one" {
    kube get nodes >/dev/null
    run on_node 1 sh -c '/usr/local/lib/podium/podium kubeconfig >/root/admin && kubectl --kubeconfig /root/admin get nodes --no-headers'
    echo "$output"
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 2 ]
}

@test "an agent that was away for longer than its certificate lived joins again by its token" {
    on_node 2 systemctl stop podium-agent
    wait_until 40 expired
    on_node 2 systemctl start podium-agent
    kube wait node podium-2 --for=condition=Ready --timeout=30s
    wait_until 20 not expired
    [ "$(kube exec steady -- echo here)" = here ]
    [ "$(pod_get steady .status.containerStatuses[0].restartCount)" = 0 ]
}
expired() { ! on_node 2 openssl x509 -noout -checkend 0 -in /var/lib/podium/agent/node.crt >/dev/null; }

request() { # NAME SUBJECT SIGNER USAGES: a new key $T/NAME.key and its CertificateSigningRequest
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$T/$1.key" -subj "$2" \
        -out "$T/$1.csr" 2>/dev/null
    kube create -f - <<YAML
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: $1}
spec: {signerName: $3, expirationSeconds: 7200, usages: $4, request: $(base64 -w0 <"$T/$1.csr")}
YAML
}
columns() { kube get csr "$1" --no-headers | tr -s ' ' | cut -d' ' -f3-; }

@test "a user's certificate: asked for with openssl, approved with kubectl, good for the API" {
    request jane /O=devs/CN=jane kubernetes.io/kube-apiserver-client '[client auth]'
    kube get csr | grep -q '^NAME *AGE *SIGNERNAME *REQUESTOR *REQUESTEDDURATION *CONDITION$'
    [[ "$(columns jane)" == "kubernetes.io/kube-apiserver-client "*" 120m Pending" ]]
    kube certificate approve jane
    kube wait csr jane --for=jsonpath='{.status.certificate}' --timeout=20s
    [[ "$(columns jane)" == *" Approved,Issued" ]]
    kube get csr jane -o 'jsonpath={.status.certificate}' | base64 -d >"$T/jane.crt"
    openssl x509 -noout -subject -nameopt RFC2253 -in "$T/jane.crt" | grep -q 'CN=jane,O=devs'
    kube config view --raw -o 'jsonpath={.clusters[0].cluster.certificate-authority-data}' | base64 -d >"$T/ca.crt"
    url=$(kube config view -o 'jsonpath={.clusters[0].cluster.server}')
    kube create clusterrolebinding devs --clusterrole=view --group=devs
    jane=(kubectl --kubeconfig=/dev/null --server="$url" --certificate-authority="$T/ca.crt"
        --client-certificate="$T/jane.crt" --client-key="$T/jane.key")
    [ "$("${jane[@]}" auth whoami -o 'jsonpath={.status.userInfo.username}')" = jane ]
    "${jane[@]}" get pod steady >/dev/null
    run "${jane[@]}" get secrets
    [ "$status" -ne 0 ]
}

@test "a request is denied, one for the masters is refused" {
    request joe /CN=joe kubernetes.io/kube-apiserver-client '[client auth]'
    kube certificate deny joe
    [[ "$(columns joe)" == *" Denied" ]]
    run request master /O=system:masters/CN=joe kubernetes.io/kube-apiserver-client '[client auth]'
    [ "$status" -ne 0 ]
    [[ "$output" == *"use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"* ]]
}

@test "a node joins by a token made for it, and not by one that was taken back" {
    podium=/usr/local/lib/podium/podium
    token() { on_node 1 "$podium" token create --ttl 1h --description test | sed -n "s/.*echo '\([^']*\)'.*/\1/p"; }
    token=$(token)
    spent=$(token)
    [[ "$token" =~ ^[a-z0-9]{6}\.[a-z0-9]{16}$ ]]
    # other hosts may not know the server's by its name
    on_node 1 "$podium" token create --ttl 1m | grep -qE '^podium agent --server [0-9.]+:6444 '
    on_node 1 "$podium" token list | grep -qE "^${token%.*} +[0-9]+m +.* authentication,signing +test$"
    on_node 1 "$podium" token delete "${spent%.*}"
    joins_with() {
        on_node 2 sh -c "systemctl stop podium-agent; echo '$1' >/etc/podium/token; rm -f /var/lib/podium/agent/node.*
systemctl start podium-agent"
    }
    joins_with "$spent"
    wait_until 20 on_node 2 sh -c "journalctl -q --no-pager -u podium-agent | grep -q 'join token is wrong'"
    joins_with "$token"
    wait_until 30 on_node 2 test -s /var/lib/podium/agent/node.crt
    kube wait node podium-2 --for=condition=Ready --timeout=30s
    [ "$(kube exec steady -- echo here)" = here ]
}

@test "Secrets get a new key while the cluster runs, which holds over a restart" {
    kube create secret generic kept --from-literal=word=sesame
    key=/var/lib/podium/server/pki/store.key
    before=$(on_node 1 sha256sum $key)
    on_node 1 /usr/local/lib/podium/podium rotate-key | grep -q 'a new key is in use'
    [ "$(on_node 1 sha256sum $key)" != "$before" ]
    [ "$(on_node 1 sh -c "wc -l <$key")" -eq 1 ]
    on_node 1 systemctl restart podium-server
    wait_until 20 kube get --raw /readyz
    [ "$(kube get secret kept -o 'jsonpath={.data.word}' | base64 -d)" = sesame ]
}
