#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Server-side apply and managedFields with the real kubectl, against the API server alone
# (tests/system/apiserver_main.c).

load apiserver
setup_file() {
    apiserver_start
    cat >"$T/web.yaml" <<'EOF'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: "nginx:1", ports: [{containerPort: 80}, {containerPort: 443}], resources: {limits: {cpu: 1000m}}}
EOF
}

teardown_file() { apiserver_stop; }

# the managers of an object, one a line: manager operation [subresource]
managers() { k get "$@" -o json --show-managed-fields | jq -r '.metadata.managedFields[]? | "\(.manager) \(.operation) \(.subresource // "")"' | sed 's/ $//'; }
# what one of them owns: KIND NAME MANAGER OPERATION
fields() { k get "$1" "$2" -o json --show-managed-fields | jq -c --arg m "$3" --arg o "$4" '.metadata.managedFields[] | select(.manager == $m and .operation == $o) | .fieldsV1'; }
config_map() { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {%s}\n' "$1" "$2"; }
ssa() { k apply --server-side -f - "$@"; }
# a request without kubectl: METHOD PATH TYPE BODY
request() {
    curl -sS -m 20 --cacert "$T/api/ca.crt" -X "$1" -H "Content-Type: $3" -H "User-Agent: probe/1.0 (test)" \
        --cert "$T/api/admin.crt" --key "$T/api/admin.key" "https://127.0.0.1:$(cat "$T/port")$2" -d "$4" "${@:5}"
}
@test "creations and updates are recorded; get hides it unless asked" {
    config_map one 'a: "1", b: "1"' | k create -f -
    [ "$(managers cm one)" = "kubectl-create Update" ]
    [ "$(fields cm one kubectl-create Update)" = '{"f:data":{".":{},"f:a":{},"f:b":{}}}' ]
    k label cm one l=1
    k patch cm one --type=merge -p '{"data":{"a":"2"}}'
    [ "$(managers cm one | sort)" = $'kubectl-create Update\nkubectl-label Update\nkubectl-patch Update' ]
    [ "$(fields cm one kubectl-patch Update)" = '{"f:data":{"f:a":{}}}' ]
    run k get cm one -o yaml
    [[ "$output" != *managedFields* ]]
    run k get cm one -o yaml --show-managed-fields
    [[ "$output" == *"manager: kubectl-label"* ]]
}

@test "apply creates, changes, and removes what it no longer says" {
    run ssa <<<"$(config_map two 'a: "1", b: "1"')"
    [ "$output" = "configmap/two serverside-applied" ]
    [ "$(fields cm two kubectl Apply)" = '{"f:data":{"f:a":{},"f:b":{}}}' ]
    ssa <<<"$(config_map two 'b: "2"')"
    [ "$(k get cm two -o jsonpath='{.data}')" = '{"b":"2"}' ]
    rv=$(k get cm two -o jsonpath='{.metadata.resourceVersion}')
    ssa <<<"$(config_map two 'b: "2"')"
    [ "$(k get cm two -o jsonpath='{.metadata.resourceVersion}')" = "$rv" ]
}

@test "conflicts name manager and field; force takes over; the same value is shared" {
    k create -f "$T/web.yaml"
    sed 's/replicas: 2/replicas: 3/; s/nginx:1/nginx:2/' "$T/web.yaml" >"$T/web2.yaml"
    run k apply --server-side --field-manager=ci -f "$T/web2.yaml"
    [ "$status" -ne 0 ]
    [[ "$output" == *$'Apply failed with 2 conflicts: conflicts with "kubectl-create" using apps/v1:\n- .spec.replicas\n- .spec.template.spec.containers[name="c"].image'* ]]
    run k apply --server-side --field-manager=ci --force-conflicts -f "$T/web2.yaml"
    [ "$output" = "deployment.apps/web serverside-applied" ]
    [ "$(k get deploy web -o jsonpath='{.spec.replicas} {.spec.template.spec.containers[0].image}')" = "3 nginx:2" ]
    [ "$(fields deploy web ci Apply | jq -c '."f:spec"."f:template"."f:spec"."f:containers"."k:{\"name\":\"c\"}"."f:ports" | keys')" = \
        '["k:{\"containerPort\":443,\"protocol\":\"TCP\"}","k:{\"containerPort\":80,\"protocol\":\"TCP\"}"]' ]
    run k apply --server-side --field-manager=audit -f "$T/web2.yaml"
    [ "$status" -eq 0 ]
    # one owner less: nothing goes; the other's, too: the label goes, replicas gets its default
    grep -v replicas "$T/web2.yaml" | sed 's/, labels: {app: web}}$/}/' >"$T/web3.yaml"
    k apply --server-side --field-manager=ci -f "$T/web3.yaml"
    [ "$(k get deploy web -o jsonpath='{.spec.replicas}')" = 3 ]
    k apply --server-side --field-manager=audit -f "$T/web3.yaml"
    [ "$(k get deploy web -o jsonpath='{.spec.replicas}')" = 1 ]
}

@test "subresources: scale and status have entries of their own" {
    k scale deploy web --replicas=5
    managers deploy web | grep -qx "kubectl Update scale"
    run k apply --server-side --field-manager=ci -f "$T/web2.yaml"
    [[ "$output" == *'conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas'* ]]
    k patch deploy web --subresource=status --type=merge -p '{"status":{"replicas":5}}'
    managers deploy web | grep -qx "kubectl-patch Update status"
    [ "$(fields deploy web kubectl-patch Update)" = '{"f:status":{"f:replicas":{}}}' ]
    printf 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nstatus: {observedGeneration: 7}\nspec: {paused: true}\n' |
        k apply --server-side --subresource=status --field-manager=ops -f -
    [ "$(k get deploy web -o jsonpath='{.status.observedGeneration} {.status.replicas} {.spec.paused}')" = "7 5 " ]
    [ "$(fields deploy web ops Apply)" = '{"f:status":{"f:observedGeneration":{}}}' ]
    run request PATCH '/apis/apps/v1/namespaces/default/deployments/web/scale?fieldManager=hpa&force=true' application/apply-patch+yaml \
        '{"apiVersion":"autoscaling/v1","kind":"Scale","spec":{"replicas":4}}'
    [ "$(jq -r '.kind + " \(.spec.replicas)"' <<<"$output")" = "Scale 4" ]
    managers deploy web | grep -qx "hpa Apply scale"
}

@test "an object applied by the client goes over to the server" {
    config_map csa 'a: "1", b: "1"' | k apply -f -
    [ "$(managers cm csa)" = "kubectl-client-side-apply Update" ]
    run ssa <<<"$(config_map csa 'a: "2"')"
    [ "$status" -eq 0 ]
    [ "$(k get cm csa -o jsonpath='{.data}')" = '{"a":"2"}' ]
    [[ "$(managers cm csa)" != *client-side* ]]
    run k apply view-last-applied cm csa -o json
    [ "$(jq -c .data <<<"$output")" = '{"a":"2"}' ]
    # and back: client-side apply removes what the server was told to apply last
    config_map csa 'c: "1"' | k apply -f -
    [ "$(k get cm csa -o jsonpath='{.data}')" = '{"c":"1"}' ]
}

@test "dry run and diff say what would be and change nothing" {
    rv=$(k get cm two -o jsonpath='{.metadata.resourceVersion}')
    run ssa --dry-run=server -o jsonpath='{.data}' <<<"$(config_map two 'z: "1"')"
    [ "$output" = '{"z":"1"}' ]
    run k diff --server-side -f - <<<"$(config_map two 'z: "1"')"
    [ "$status" -eq 1 ]
    [[ "$output" == *$'\n-  b: "2"\n+  z: "1"'* ]]
    run ssa --dry-run=server <<<"$(config_map three 'z: "1"')"
    [ "$output" = "configmap/three serverside-applied (server dry run)" ]
    run k get cm three
    [ "$status" -ne 0 ]
    [ "$(k get cm two -o jsonpath='{.metadata.resourceVersion}')" = "$rv" ]
}

@test "what is refused, and how" {
    run request PATCH '/api/v1/namespaces/default/configmaps/two' application/apply-patch+yaml '{"apiVersion":"v1","kind":"ConfigMap"}'
    [ "$(jq -r '"\(.code) \(.message)"' <<<"$output")" = \
        '422 PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch' ]
    run request PATCH '/api/v1/namespaces/default/configmaps/two?force=true' application/merge-patch+json '{}'
    [ "$(jq -r '"\(.code) \(.details.causes[0].field)"' <<<"$output")" = "422 force" ]
    run request PATCH '/api/v1/namespaces/default/configmaps/two?fieldManager=m' application/apply-patch+yaml \
        '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"managedFields":[{}]}}'
    [ "$(jq -r '"\(.code) \(.message)"' <<<"$output")" = "400 metadata.managedFields must be nil" ]
    run request PATCH '/api/v1/namespaces/default/configmaps/two?fieldManager=m' application/apply-patch+yaml \
        '{"apiVersion":"v1","kind":"ConfigMap","data":{"b":"9"}}'
    [ "$(jq -c '[.code,.reason,.details.causes[0].reason,.details.causes[0].field,.details.causes[0].message]' <<<"$output")" = \
        '[409,"Conflict","FieldManagerConflict",".data.b","conflict with \"kubectl\""]' ]
    run ssa <<<"$(config_map two 'b: "2"'; echo 'bogus: 1')"
    [[ "$output" == *"failed to create typed patch object (default/two; /v1, Kind=ConfigMap): .bogus: field not declared in schema"* ]]
    run request PATCH '/api/v1/namespaces/default/configmaps/two?fieldManager=m' application/apply-patch+yaml \
        '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"resourceVersion":"1"}}'
    [ "$(jq .code <<<"$output")" = 409 ]
    run request PATCH '/api/v1/namespaces/default/configmaps/new?fieldManager=m' application/apply-patch+yaml \
        '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"uid":"1234"}}'
    [[ "$(jq -r '"\(.code) \(.message)"' <<<"$output")" == "409 "*"uid mismatch: the provided object specified uid 1234, and no existing object was found" ]]
    for how in Strict Warn Ignore; do
        request PATCH "/api/v1/namespaces/default/configmaps/dup?fieldManager=m&fieldValidation=$how" application/apply-patch+yaml \
            '{"apiVersion":"v1","kind":"ConfigMap","data":{"a":"1","a":"2"}}' -i >"$T/$how"
    done
    grep -qF '"message":"error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 1: key \"a\" already set in map"' "$T/Strict"
    grep -qF 'Warning: 299 - "line 1: key \"a\" already set in map"' "$T/Warn"
    grep -q '^HTTP/1.1 200' "$T/Ignore"
    # who may patch may not therefore create
    k create role patcher --verb=patch --resource=configmaps
    k create rolebinding patcher --role=patcher --user=guest
    run guest apply --server-side --validate=false -f - <<<"$(config_map new 'a: "1"')"
    [[ "$output" == *'User "guest" cannot create resource "configmaps"'* ]]
}

@test "agents without a name are known by their program; managers can be forgotten" {
    run request POST /api/v1/namespaces/default/configmaps application/json '{"metadata":{"name":"raw"},"data":{"a":"1"}}'
    [ "$(jq -r '.metadata.managedFields[0].manager' <<<"$output")" = probe ]
    run request PATCH '/api/v1/namespaces/default/configmaps/raw' application/merge-patch+json '{"metadata":{"managedFields":[{}]}}'
    [ "$(jq '.metadata.managedFields' <<<"$output")" = null ]
    run ssa <<<"$(config_map raw 'a: "2"')"
    [[ "$output" == *'conflict with "before-first-apply" using v1: .data.a'* ]]
    run request PATCH '/api/v1/namespaces/default/configmaps/two' application/json-patch+json \
        '[{"op":"remove","path":"/metadata/managedFields/0/fieldsV1/f:data"}]'
    [ "$(jq -c '[.kind, .metadata.managedFields]' <<<"$output")" = '["ConfigMap",null]' ]
}

@test "podium apply --server-side, too" {
    podium=${PODIUM:-${BUILD:-build}/podium}
    [ -x "$podium" ] || skip "no podium"
    config_map cli 'a: "1"' >"$T/cli.yaml"
    run timeout 20 "$podium" apply --server-side -f "$T/cli.yaml"
    [ "$output" = "configmap/cli serverside-applied" ]
    [ "$(managers cm cli)" = "podium Apply" ]
    config_map cli 'a: "2"' >"$T/cli.yaml"
    run timeout 20 "$podium" apply --server-side --field-manager other -f "$T/cli.yaml"
    [ "$status" -ne 0 ]
    [[ "$output" == *'conflict with "podium": .data.a'* ]]
    run timeout 20 "$podium" apply --server-side --field-manager other --force-conflicts -f "$T/cli.yaml"
    [ "$status" -eq 0 ]
}
