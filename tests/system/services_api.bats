# SPDX-License-Identifier: GPL-2.0-or-later
# Services as the API sees them: addresses and ports, endpoints and slices, the cluster's own services, and that every
# node is told. What nodes do with them is tested elsewhere.
load harness

setup_file() { cluster_setup 1; }
teardown_file() { cluster_teardown; }
teardown() { cluster_report; }

service() { # NAME SPEC [OPTIONS]
    printf 'apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: %s\n' "$1" "$2" | kube create -f - "${@:3}"
}
service_get() { kube get svc "$1" -o jsonpath="{$2}"; } # NAME .path
# addresses in the Endpoints of a service, and in its slices with this condition
endpoint_count() { kube get endpoints "$1" -o jsonpath='{.subsets[*].addresses[*].ip}' | wc -w; }
slice_count() { # NAME CONDITION VALUE
    kube get endpointslices -l "kubernetes.io/service-name=$1" \
        -o jsonpath="{range .items[*].endpoints[?(@.conditions.$2==$3)]}{.addresses[0]}{' '}{end}" | wc -w
}
counts() { # NAME N: both say so
    [ "$(endpoint_count "$1")" -eq "$2" ] && [ "$(slice_count "$1" ready true)" -eq "$2" ]
}

@test "the cluster has its own services, and gets them back" {
    [ "$(service_get kubernetes '.spec.clusterIP} {.spec.ports[0].port')" = "10.96.0.1 443" ]
    [ "$(kube get svc kube-dns -n kube-system -o jsonpath='{.spec.clusterIP} {.spec.ports[*].port} {.spec.ports[*].protocol}')" \
        = "10.96.0.10 53 53 UDP TCP" ]
    server=$(kube config view --minify -o jsonpath='{.clusters[0].cluster.server}')
    address=$(kube get endpoints kubernetes -o jsonpath='{.subsets[0].addresses[0].ip}:{.subsets[0].ports[0].port}')
    [ "$server" = "https://$address" ]
    [ "$(kube get endpointslice kubernetes -o jsonpath='{.endpoints[0].addresses[0]}:{.ports[0].port}')" = "$address" ]
    kube delete svc kubernetes >/dev/null
    kube delete endpointslice kubernetes >/dev/null
    wait_until 10 eval '[ "$(service_get kubernetes .spec.clusterIP 2>/dev/null)" = 10.96.0.1 ]'
    wait_until 10 eval "kube get endpoints kubernetes -o name >/dev/null 2>&1"
    wait_until 10 eval "kube get endpointslice kubernetes -o name >/dev/null 2>&1"
}

@test "the certificate of the API names the service" {
    address=$(kube get endpoints kubernetes -o jsonpath='{.subsets[0].addresses[0].ip}')
    kube config view --raw --minify -o jsonpath='{.clusters[0].cluster.certificate-authority-data}' | base64 -d >"$T/ca"
    for name in kubernetes kubernetes.default kubernetes.default.svc kubernetes.default.svc.cluster.local 10.96.0.1; do
        # 401 or 403 is fine: the handshake is what counts
        curl -sS --max-time 10 --cacert "$T/ca" --connect-to "$name:443:$address:6443" "https://$name/healthz" >/dev/null
    done
}

@test "expose, describe and get show what kubectl users expect" {
    kube create deployment web --image=nginx:demo --replicas=3 --port=80 >/dev/null
    kube expose deployment web --port=8080 --target-port=80 --name=web >/dev/null
    kube rollout status deploy/web --timeout=60s >/dev/null
    wait_until 10 counts web 3
    run kube get svc web --no-headers
    [[ "$output" =~ ^web[[:space:]]+ClusterIP[[:space:]]+10\.96\.[0-9.]+[[:space:]]+'<none>'[[:space:]]+8080/TCP ]]
    run kube describe svc web
    [[ "$output" == *"TargetPort:               80/TCP"* ]]
    [[ "$output" =~ Endpoints:\ +10\.244\.[0-9.]+:80,10\.244\.[0-9.]+:80,10\.244\.[0-9.]+:80 ]]
    diff <(kube describe svc web) <("$BIN/podium" describe svc web)
    run kube get endpoints web --no-headers
    [[ "$output" =~ ^web[[:space:]]+10\.244\.[0-9.]+:80,10\.244\.[0-9.]+:80,10\.244\.[0-9.]+:80 ]]
    run kube get endpointslices -l kubernetes.io/service-name=web --no-headers
    [ "${#lines[@]}" -eq 1 ]
    [[ "$output" =~ ^web-[a-z0-9]+[[:space:]]+IPv4[[:space:]]+80[[:space:]]+10\.244\.[0-9.]+,10\.244\.[0-9.]+,10\.244\.[0-9.]+ ]]
}

@test "endpoints follow pods: scaled, not ready, deleted" {
    kube scale deploy/web --replicas=5 >/dev/null
    kube rollout status deploy/web --timeout=60s >/dev/null
    wait_until 10 counts web 5
    kube scale deploy/web --replicas=1 >/dev/null
    wait_until 20 counts web 1
    pod unready <<'END'
initContainers:
- {name: i, image: nginx:demo, command: [sleep, "1000"]}
containers:
- {name: c, image: nginx:demo}
END
    kube label pod unready app=web >/dev/null
    wait_until 10 eval '[ "$(slice_count web ready false)" -eq 1 ]'
    [ "$(kube get endpoints web -o jsonpath='{.subsets[*].notReadyAddresses[*].targetRef.name}')" = unready ]
    kube patch svc web -p '{"spec":{"publishNotReadyAddresses":true}}' >/dev/null
    wait_until 10 counts web 2
    kube delete svc web >/dev/null
    wait_until 10 eval '[ -z "$(kube get endpoints web --ignore-not-found -o name)" ]'
    wait_until 10 eval '[ -z "$(kube get endpointslices -l kubernetes.io/service-name=web -o name)" ]'
    pods_gone unready
    kube delete deploy web >/dev/null
}

@test "addresses and ports: asked for, refused, kept over changes, given back" {
    service fixed '{type: NodePort, clusterIP: 10.96.0.77, ports: [{port: 80, nodePort: 30077}]}' >/dev/null
    run service again '{clusterIP: 10.96.0.77, ports: [{port: 80}]}'
    [[ "$output" == *"failed to allocate IP 10.96.0.77: provided IP is already allocated"* ]]
    run service again '{type: NodePort, ports: [{port: 80, nodePort: 30077}]}'
    [[ "$output" == *"spec.ports[0].nodePort: Invalid value: 30077: provided port is already allocated"* ]]
    run service again '{clusterIP: 192.0.2.1, ports: [{port: 80}]}'
    [[ "$output" == *"is not in the valid range. The range of valid IPs is 10.96.0.0/16"* ]]
    service again '{type: NodePort, clusterIP: 10.96.0.78, ports: [{port: 80, nodePort: 30078}]}' --dry-run=server >/dev/null
    service again '{type: NodePort, clusterIP: 10.96.0.78, ports: [{port: 80, nodePort: 30078}]}' >/dev/null
    # a manifest without addresses, applied over it, changes none
    printf 'apiVersion: v1\nkind: Service\nmetadata: {name: again}\nspec: {type: NodePort, ports: [{port: 80}]}\n' |
        kube replace -f - >/dev/null
    [ "$(service_get again '.spec.clusterIP} {.spec.ports[0].nodePort')" = "10.96.0.78 30078" ]
    kube patch svc again -p '{"spec":{"type":"ClusterIP"}}' >/dev/null
    [ -z "$(service_get again '.spec.ports[0].nodePort')" ]
    kube delete svc fixed >/dev/null
    service heir '{type: NodePort, clusterIP: 10.96.0.77, ports: [{port: 80, nodePort: 30078}]}' >/dev/null
    kube patch svc again --type=json -p '[{"op":"replace","path":"/spec/type","value":"ExternalName"},{"op":"add","path":"/spec/externalName","value":"example.org"},{"op":"remove","path":"/spec/clusterIP"},{"op":"remove","path":"/spec/clusterIPs"}]' >/dev/null
    run kube get svc again --no-headers
    [[ "$output" =~ ^again[[:space:]]+ExternalName[[:space:]]+'<none>'[[:space:]]+example.org ]]
    run service again2 '{clusterIP: 10.96.0.78, ports: [{port: 80}]}'
    [ "$status" -eq 0 ]
    kube delete svc again again2 heir >/dev/null
}

@test "kubectl create service makes each type" {
    kube create service clusterip a --tcp=80:8080 >/dev/null
    kube create service nodeport b --tcp=80 --node-port=30099 >/dev/null
    kube create service loadbalancer c --tcp=80 >/dev/null
    kube create service externalname d --external-name=example.org >/dev/null
    kube create service clusterip e --clusterip=None >/dev/null
    run kube get svc a b c d e --no-headers
    [[ "${lines[0]}" =~ ClusterIP.*80/TCP ]]
    [[ "${lines[1]}" =~ NodePort.*80:30099/TCP ]]
    [[ "${lines[2]}" =~ LoadBalancer.*'<pending>'.*80:3[0-9]+/TCP ]]
    [[ "${lines[3]}" =~ ExternalName.*example.org.*'<none>' ]]
    [[ "${lines[4]}" =~ ClusterIP\ +None\ +'<none>'\ +'<none>' ]]
    kube delete svc a b c d e >/dev/null
}

@test "manual endpoints are mirrored" {
    service db '{ports: [{port: 5432}]}' >/dev/null
    kube create -f - >/dev/null <<'END'
apiVersion: v1
kind: Endpoints
metadata: {name: db}
subsets: [{addresses: [{ip: 192.0.2.9}], ports: [{port: 5432}]}]
END
    wait_until 10 eval '[ "$(slice_count db ready true)" -eq 1 ]'
    kube patch endpoints db -p '{"subsets":[{"addresses":[{"ip":"192.0.2.9"},{"ip":"192.0.2.10"}],"ports":[{"port":5432}]}]}' >/dev/null
    wait_until 10 eval '[ "$(slice_count db ready true)" -eq 2 ]'
    kube delete svc db >/dev/null
    wait_until 10 eval '[ -z "$(kube get endpointslices -l kubernetes.io/service-name=db -o name)" ]'
    [ -z "$(kube get endpoints db --ignore-not-found -o name)" ]
}

@test "many services at once get different addresses" {
    for i in 1 2 3 4; do
        (for n in $(seq 25); do printf -- '---\napiVersion: v1\nkind: Service\nmetadata: {name: m-%s-%s, labels: {m: m}}\nspec: {type: NodePort, ports: [{port: 80}]}\n' "$i" "$n"; done |
            kube create -f - >/dev/null) 3>&- &
    done
    wait
    [ "$(kube get svc -l m=m -o jsonpath='{range .items[*]}{.spec.clusterIP}{"\n"}{end}' | sort -u | wc -l)" -eq 100 ]
    [ "$(kube get svc -l m=m -o jsonpath='{range .items[*]}{.spec.ports[0].nodePort}{"\n"}{end}' | sort -u | wc -l)" -eq 100 ]
    api DELETE '/api/v1/namespaces/default/services?labelSelector=m%3Dm' # kubectl deletes five a second
    [ "$STATUS" -eq 200 ]
    [ -z "$(kube get svc -l m=m -o name)" ]
}

@test "a restarted server knows what is taken, and finds nothing to write anew" {
    versions() {
        kube get svc,endpoints,endpointslices -l '!probe' \
            -o jsonpath='{range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}'
    }
    service plain '{type: NodePort, clusterIP: 10.96.0.90, selector: {a: b}, ports: [{name: http, port: 80, nodePort: 30090, appProtocol: example.org/p},{name: dns, port: 53, protocol: UDP, targetPort: dns}]}' >/dev/null
    service headless '{clusterIP: None, selector: {a: b}}' >/dev/null
    service manual '{ports: [{port: 80}]}' >/dev/null
    kube create -f - >/dev/null <<'END'
apiVersion: v1
kind: Endpoints
metadata: {name: manual}
subsets:
- addresses: [{ip: 192.0.2.9, hostname: h, nodeName: podium-1}]
  notReadyAddresses: [{ip: 192.0.2.10}]
  ports: [{name: a, port: 5432, appProtocol: example.org/p}, {name: b, port: 3}]
- addresses: [{ip: 192.0.2.11}]
END
    wait_until 10 eval '[ "$(slice_count manual ready true)" -eq 2 ]'
    wait_until 10 eval '[ "$(kube get endpointslices -l "kubernetes.io/service-name in (plain,headless)" -o name | wc -l)" -eq 2 ]'
    wait_until 10 eval "kube get endpoints plain headless >/dev/null 2>&1"
    before=$(versions)
    on_node 1 systemctl restart podium-server
    wait_until 20 eval "kube get --raw /readyz >/dev/null 2>&1"
    # when those of a new service are there, those of the older ones were looked at
    printf 'apiVersion: v1\nkind: Service\nmetadata: {name: probe, labels: {probe: probe}}\nspec: {selector: {a: b}, ports: [{port: 80}]}\n' |
        kube create -f - >/dev/null
    wait_until 20 eval '[ -n "$(kube get endpointslices -l kubernetes.io/service-name=probe -o name)" ]'
    wait_until 20 eval "kube get endpoints probe >/dev/null 2>&1"
    diff <(echo "$before") <(versions)
    run service again '{clusterIP: 10.96.0.90, ports: [{port: 80}]}'
    [[ "$output" == *"provided IP is already allocated"* ]]
    run service again '{type: NodePort, ports: [{port: 80, nodePort: 30090}]}'
    [[ "$output" == *"provided port is already allocated"* ]]
    kube delete svc plain headless manual probe >/dev/null
}
