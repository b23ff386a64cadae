#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Encodings, discovery and schema, and clients that are not kubectl, against the API server alone
# (tests/system/apiserver_main.c). What comes from package registries is fetched into the build folder, and what cannot
# be had is skipped. APISERVER: the test program; built when it is not given.

setup_file() {
    export ROOT BIN T="$BATS_FILE_TMPDIR"
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    BUILD=${BUILD:-build}
    case $BUILD in /*) BIN=$BUILD ;; *) BIN=$ROOT/$BUILD ;; esac
    local what
    for what in vectors client-node helm; do # all at once: each waits for its registry
        "$ROOT/tests/clients/fetch" $what "$BIN/clients" >"$T/$what" 2>"$T/$what.why" 3>&- 9>&- &
        echo $! >"$T/$what.pid"
    done
    if [ -z "${APISERVER:-}" ]; then
        export APISERVER="$BIN/system/apiserver_main"
        mkdir -p "$BIN"
        flock "$BIN/programs.lock" make -s -C "$ROOT" -f tests/system/programs.mk BUILD="$BUILD" "${APISERVER#"$ROOT"/}" >&2
    fi
    export HOME="$T" KUBECONFIG="$T/api/kubeconfig"
    "$APISERVER" "$T/api" >"$T/port" 2>"$T/log" 3>&- &
    echo $! >"$T/pid"
    for _ in $(seq 100); do [ -s "$T/port" ] && break; sleep 0.1; done
    [ -s "$T/port" ] || {
        cat "$T/log" >&2
        return 1
    }
    for what in vectors client-node helm; do
        wait "$(cat "$T/$what.pid")" || true
    done
}

teardown_file() {
    [ ! -e "$T/pid" ] || { kill "$(cat "$T/pid")" && wait "$(cat "$T/pid")"; } || true
}

k() { timeout 60 kubectl --cache-dir="$T/cache" "$@"; }
api() { # PATH CURL-OPTIONS…: the answer's body; its headers are in $T/headers
    local path=$1
    shift
    curl -sS --max-time 30 --unix-socket "$T/api/api.sock" -D "$T/headers" "$@" "http://api$path"
}
header() { grep -i "^$1:" "$T/headers" | tr -d '\r' | cut -d' ' -f2-; }
code() { head -n 1 "$T/headers" | cut -d' ' -f2; }
fetched() { # NAME: sets FETCHED, or skips the test
    FETCHED=$(cat "$T/$1")
    [ -n "$FETCHED" ] || skip "$(cat "$T/$1.why")"
}
need_kubectl() { command -v kubectl >/dev/null || skip "no kubectl"; }

PROTOBUF=application/vnd.kubernetes.protobuf

@test "Kubernetes' own protobuf vectors, byte by byte" {
    fetched vectors
    local program=$BIN/unit/object/test_protobuf_vectors
    [ -x "$program" ] || make -s -C "$ROOT" BUILD="${BUILD:-build}" "${program#"$ROOT"/}" >&2
    run env PODIUM_API_VECTORS="$FETCHED" "$program"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *" kinds compared, 0 complaints"* ]]
}

@test "what is accepted, and what is not" {
    api /api/v1/namespaces -H "Accept: $PROTOBUF,application/json" >"$T/body"
    [ "$(header content-type)" = $PROTOBUF ]
    [ "$(head -c 3 "$T/body")" = k8s ]
    api /api/v1/namespaces -H "Accept: $PROTOBUF;q=0.5, application/yaml" >"$T/body"
    [ "$(header content-type)" = application/yaml ]
    api /api/v1/namespaces -H 'Accept: image/png' >"$T/body"
    [ "$(code)" = 406 ]
    [ "$(jq -r .reason "$T/body")" = NotAcceptable ]
    api /api/v1/namespaces -X POST -H 'Content-Type: text/plain' -d 'a namespace' >"$T/body"
    [ "$(code)" = 415 ]
    [ "$(jq -r .reason "$T/body")" = UnsupportedMediaType ]
    api '/api/v1/namespaces?watch=1&timeoutSeconds=1' -H "Accept: $PROTOBUF" >"$T/body"
    [ "$(header content-type)" = "$PROTOBUF;stream=watch" ]
    grep -qa ADDED "$T/body" && grep -qa k8s "$T/body"
    api /openapi/v2 --compressed >"$T/body"
    [ "$(header content-encoding)" = gzip ]
    jq -e '.definitions | length > 400' "$T/body"
}

@test "discovery and schemas are fetched once" {
    local aggregated='application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' etag url
    api /apis -H "Accept: $aggregated,application/json" >"$T/body"
    [ "$(header content-type)" = "$aggregated" ]
    [ "$(jq -r .kind "$T/body")" = APIGroupDiscoveryList ]
    etag=$(header etag)
    api /apis -H "Accept: $aggregated" -H "If-None-Match: $etag" >"$T/body"
    [ "$(code)" = 304 ]
    url=$(api /openapi/v3 | jq -r '.paths["apis/apps/v1"].serverRelativeURL')
    api "$url" >"$T/body"
    [ "$(header cache-control)" = "public, immutable" ]
    jq -e '.components.schemas["io.k8s.api.apps.v1.Deployment"]' "$T/body" >/dev/null
    api "${url%=*}=0" >"$T/body"
    [ "$(code)" = 301 ]
    [ "$(header location)" = "$url" ]
    api /openapi/v2 >/dev/null
    etag=$(header etag)
    api /openapi/v2 -H "If-None-Match: $etag" >"$T/body"
    [ "$(code)" = 304 ]
}

@test "kubectl explain reads well" {
    need_kubectl
    run k explain deployment.spec.strategy
    [[ "$output" == *"How old pods are replaced by new ones."* ]]
    [[ "$output" == *"RollingUpdate: step by step; Recreate: all old ones end before a new one"* ]]
    run k explain pod.spec --recursive
    [[ "$output" == *"terminationGracePeriodSeconds"*"<integer>"* ]]
    run k explain pods.spec.containers.resources --api-version=v1
    [[ "$output" == *"Resources wanted and allowed."* ]]
}

# kubectl reads OpenAPI v2 as protobuf, and only for lists: what it says is what it found there.
@test "kubectl checks lists by the protobuf schema" {
    need_kubectl
    cat >"$T/list.yaml" <<-END
	apiVersion: v1
	kind: List
	items:
	- {apiVersion: v1, kind: ConfigMap, metadata: {name: in-list}, data: {a: b}}
	- apiVersion: apps/v1
	  kind: Deployment
	  metadata: {name: in-list}
	  spec:
	    replicas: 2
	    selector: {matchLabels: {a: b}}
	    template:
	      metadata: {labels: {a: b}}
	      spec:
	        volumes: [{name: v, emptyDir: {}}]
	        containers: [{name: c, image: i, resources: {limits: {cpu: 1}}, livenessProbe: {httpGet: {port: http}}}]
	END
    sed 's/replicas: 2/replicaz: 2/' "$T/list.yaml" >"$T/bad.yaml"
    run k create -f "$T/bad.yaml"
    [ "$status" -ne 0 ]
    [[ "$output" == *'unknown field "replicaz" in io.k8s.api.apps.v1.DeploymentSpec'* ]]
    sed 's/replicas: 2/replicas: two/' "$T/list.yaml" >"$T/bad.yaml"
    run k create -f "$T/bad.yaml"
    [[ "$output" == *'got "string", expected "integer"'* ]]
    run k create -f "$T/list.yaml"
    [[ "$output" == *"deployment.apps/in-list created"* ]]
}

@test "kubectl get --watch shows one table" {
    need_kubectl
    k create configmap seen --from-literal=a=b
    timeout 30 kubectl get cm --watch --field-selector metadata.name=seen >"$T/watch" 2>&1 3>&- &
    local pid=$!
    for _ in $(seq 100); do grep -q '^seen ' "$T/watch" && break; sleep 0.1; done
    k patch cm seen --type=merge -p '{"data":{"c":"d"}}' >/dev/null
    for _ in $(seq 100); do grep -qE '^seen +2 ' "$T/watch" && break; sleep 0.1; done
    kill $pid
    cat "$T/watch"
    [ "$(grep -c '^NAME' "$T/watch")" = 1 ]
    grep -qE '^seen +1 ' "$T/watch"
    grep -qE '^seen +2 ' "$T/watch"
}

@test "health and metrics" {
    [ "$(api /readyz)" = ok ]
    [[ "$(api '/livez?verbose&exclude=log')" == *"[+]ping ok"*"[+]log excluded: ok"*"livez check passed" ]]
    api /metrics >"$T/body"
    [[ "$(header content-type)" == "text/plain; version=0.0.4"* ]]
    grep -q '^apiserver_request_total{code="200",.*subresource="/readyz",verb="GET",version=""} 1$' "$T/body"
    grep -q '^process_cpu_seconds_total [0-9]' "$T/body"
    # each line is a comment, or a name with labels and a number
    ! grep -vqE '^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-zA-Z_]+="[^"]*"(,[a-zA-Z_]+="[^"]*")*\})? [0-9.e+-]+)$' "$T/body" || false
}

@test "@kubernetes/client-node: informers, patches, apply, exec, port-forward, logs" {
    command -v node >/dev/null || skip "no node here"
    fetched client-node
    run timeout 90 node "$ROOT/tests/clients/client_node.mjs" "$FETCHED/node_modules" "$KUBECONFIG"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "helm: install, upgrade, rollback, uninstall" {
    fetched helm
    local helm=$FETCHED/helm
    cd "$T"
    "$helm" create chart >/dev/null
    timeout 60 "$helm" install web ./chart -n shop --create-namespace --set replicaCount=2 >/dev/null
    timeout 60 "$helm" upgrade web ./chart -n shop --set autoscaling.enabled=true --set ingress.enabled=true >/dev/null
    [ "$("$helm" list -n shop -o json | jq -r '.[0] | .revision + " " + .status')" = "2 deployed" ]
    [ "$(api /apis/networking.k8s.io/v1/namespaces/shop/ingresses | jq '.items | length')" = 1 ]
    run timeout 60 "$helm" upgrade web ./chart -n shop --reuse-values --set autoscaling.enabled=false,replicaCount=-3
    [[ "$output" == *"spec.replicas: Invalid value: -3: must be greater than or equal to 0"* ]]
    timeout 60 "$helm" rollback web 1 -n shop
    [ "$(api /apis/networking.k8s.io/v1/namespaces/shop/ingresses | jq '.items | length')" = 0 ]
    [ "$(api /apis/apps/v1/namespaces/shop/deployments/web-chart | jq .spec.replicas)" = 2 ]
    timeout 60 "$helm" uninstall web -n shop
    [ "$(api /apis/apps/v1/namespaces/shop/deployments | jq '.items | length')" = 0 ]
}
