#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The API of a real cluster and bad input: by curl as it comes, and by kubectl as people meet it.

load harness

setup_file() { cluster_setup 1; }
teardown_file() { cluster_teardown; }
teardown() { cluster_report; }

status_is() { # CODE REASON: of the last api call
    echo "$STATUS ${BODY:0:600}"
    [ "$STATUS" = "$1" ] && jq -e --arg r "$2" --argjson c "$1" \
        '.kind == "Status" and .apiVersion == "v1" and .status == "Failure" and .reason == $r and .code == $c' <<<"$BODY" >/dev/null
}
causes() { jq -r '.details.causes[]? | "\(.reason) \(.field)"' <<<"$BODY"; }
cm=/api/v1/namespaces/default/configmaps
nested() { python3 -c 'import sys; n = int(sys.argv[1]); sys.stdout.write(sys.argv[2] * n + sys.argv[3] * n)' "$@"; }
alive() { api GET /readyz && [ "$STATUS" = 200 ]; }

@test "malformed JSON and YAML: 400, with the place" {
    for body in '{' '[]' '{"a":}' 'null' '"x"' '{"metadata":{"name":"a"},}' $'{"metadata":{"name":"\xff\xfe"}}' '' '{"kind":"ConfigMap","apiVersion":"v1"} trailing'; do
        api POST $cm --data-binary "$body"
        status_is 400 BadRequest
    done
    api POST $cm -H 'Content-Type: application/yaml' --data-binary $'metadata:\n  name: a\n bad: [\n'
    status_is 400 BadRequest
    [[ "$BODY" == *line* || "$BODY" == *":3:"* ]]
    api POST $cm -H 'Content-Type: text/html' --data-binary '<p>'
    status_is 415 UnsupportedMediaType
    alive
}

@test "oversized: above 3 MiB 413, a value over 1 MiB 422, just below stored" {
    printf '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"big"},"data":{"a":"' >"$T/big"
    head -c 3200000 /dev/zero | tr '\0' a >>"$T/big"
    printf '"}}' >>"$T/big"
    api POST $cm --data-binary @"$T/big"
    status_is 413 RequestEntityTooLarge
    (printf '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"big"},"data":{"a":"'; head -c 1100000 /dev/zero | tr '\0' a; printf '"}}') >"$T/big"
    api POST $cm --data-binary @"$T/big"
    status_is 422 Invalid
    (printf '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"big"},"data":{"a":"'; head -c 1000000 /dev/zero | tr '\0' a; printf '"}}') >"$T/big"
    api POST $cm --data-binary @"$T/big"
    [ "$STATUS" = 201 ]
    api DELETE $cm/big
    # a header without end
    api GET /api -H "X-Long: $(head -c 70000 /dev/zero | tr '\0' a)"
    [[ "$STATUS" =~ ^4 ]]
    alive
}

# what the server has computed, in hundredths of a second: the same however busy the machine is
server_cpu() {
    local pid
    pid=$(on_node 1 systemctl show -P MainPID podium-server)
    on_node 1 cat "/proc/$pid/stat" | sed 's/.*) //' | cut -d' ' -f12,13 | { read -r user system && echo $((user + system)); }
}

@test "deeply nested JSON and YAML: 400, quickly, and the server lives" {
    local before
    before=$(server_cpu)
    nested 200000 '[' ']' >"$T/deep"
    api POST $cm --data-binary @"$T/deep"
    status_is 400 BadRequest
    nested 200000 '{"a":' '}' >"$T/deep"
    api POST $cm --data-binary @"$T/deep"
    status_is 400 BadRequest
    nested 100000 '[' ']' >"$T/deep"
    api POST $cm -H 'Content-Type: application/yaml' --data-binary @"$T/deep"
    status_is 400 BadRequest
    # nine anchors, each nine times the one before
    { echo 'a0: &a0 [x, x, x, x, x, x, x, x, x]'; for i in 1 2 3 4 5 6 7 8 9; do
        echo "a$i: &a$i [*a$((i - 1)), *a$((i - 1)), *a$((i - 1)), *a$((i - 1)), *a$((i - 1)), *a$((i - 1)), *a$((i - 1)), *a$((i - 1)), *a$((i - 1))]"
    done; } >"$T/laughs"
    api POST $cm -H 'Content-Type: application/yaml' --data-binary @"$T/laughs"
    status_is 400 BadRequest
    [ $(($(server_cpu) - before)) -lt 300 ]
    alive
}

@test "unknown and doubled fields: strict names the path, warn warns, ignore drops" {
    body='{"apiVersion":"v1","kind":"Pod","metadata":{"name":"s","lables":{}},"spec":{"containers":[{"name":"c","image":"i","imag":"x"}]}}'
    pods=/api/v1/namespaces/default/pods
    api POST "$pods?fieldValidation=Strict&dryRun=All" --data "$body"
    status_is 400 BadRequest
    [[ "$BODY" == *'strict decoding error: unknown field \"metadata.lables\", unknown field \"spec.containers[0].imag\"'* ]] ||
        [[ "$BODY" == *'unknown field \"spec.containers[0].imag\"'*'unknown field \"metadata.lables\"'* ]]
    api POST "$cm?fieldValidation=Strict" --data '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"},"data":{"a":"1","a":"2"}}'
    status_is 400 BadRequest
    [[ "$BODY" == *'duplicate field \"data.a\"'* ]]
    api POST "$pods?fieldValidation=Warn&dryRun=All" --data "$body" -D "$T/headers"
    [ "$STATUS" = 201 ]
    grep -qi '^warning: 299 .*unknown field.*imag' "$T/headers"
    api POST "$pods?fieldValidation=Ignore&dryRun=All" --data "$body" -D "$T/headers"
    [ "$STATUS" = 201 ]
    ! grep -qi '^warning: ' "$T/headers" || false
    [[ "$BODY" != *lables* ]]
}

@test "wrong types: 400 naming the field and both types" {
    api POST /apis/apps/v1/namespaces/default/deployments --data '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"w"},"spec":{"replicas":"three"}}'
    status_is 400 BadRequest
    [[ "$BODY" == *"cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"* ]]
    api POST $cm --data '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":["x"]}}'
    status_is 400 BadRequest
    api POST $cm --data '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"}}'
    status_is 400 BadRequest
    api POST $cm --data '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"kube-system"}}'
    status_is 400 BadRequest
}

@test "invalid objects: 422 with a cause and a field path for each fault" {
    for name in UPPER 'a b' -a a/b "$(head -c 300 /dev/zero | tr '\0' a)" a..b; do
        api POST $cm --data "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"$name\"}}"
        status_is 422 Invalid
        [[ "$(causes)" == *"FieldValueInvalid metadata.name"* ]]
    done
    api POST $cm --data '{"apiVersion":"v1","kind":"ConfigMap","metadata":{}}'
    status_is 422 Invalid
    [[ "$(causes)" == *"FieldValueRequired metadata.name"* ]]
    api POST /api/v1/namespaces/default/pods --data '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"a":"b c"}},"spec":{"restartPolicy":"Sometimes",
        "containers":[{"name":"C","image":""},{"name":"d","image":"i","ports":[{"containerPort":70000}],"volumeMounts":[{"name":"none","mountPath":"/x"}]}]}}'
    status_is 422 Invalid
    causes
    for want in 'FieldValueInvalid metadata.labels' 'FieldValueNotSupported spec.restartPolicy' 'FieldValueInvalid spec.containers\[0\].name' \
        'FieldValueRequired spec.containers\[0\].image' 'FieldValueInvalid spec.containers\[1\].ports\[0\].containerPort' 'FieldValueNotFound spec.containers\[1\].volumeMounts\[0\].name'; do
        causes | grep -qx "$want"
    done
    api POST /apis/apps/v1/namespaces/default/deployments --data '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":-1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"c"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}'
    status_is 422 Invalid
    causes | grep -qx 'FieldValueInvalid spec.replicas'
    causes | grep -qx 'FieldValueInvalid spec.template.metadata.labels'
}

@test "stale resourceVersion: 409; what exists: 409; what does not: 404; immutable: 422" {
    api POST $cm --data '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"v"},"data":{"a":"1"}}'
    [ "$STATUS" = 201 ]
    stale=$BODY
    api POST $cm --data '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"v"}}'
    status_is 409 AlreadyExists
    api PATCH $cm/v -H 'Content-Type: application/merge-patch+json' --data '{"data":{"a":"2"}}'
    [ "$STATUS" = 200 ]
    api PUT $cm/v --data "$stale"
    status_is 409 Conflict
    [[ "$BODY" == *"the object has been modified; please apply your changes to the latest version and try again"* ]]
    api PATCH $cm/v -H 'Content-Type: application/merge-patch+json' --data '{"metadata":{"resourceVersion":"1"},"data":{"a":"3"}}'
    status_is 409 Conflict
    api DELETE $cm/v --data '{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"00000000-0000-0000-0000-000000000000"}}'
    status_is 409 Conflict
    api GET $cm/nobody
    status_is 404 NotFound
    api GET /api/v1/namespaces/default/none
    [ "$STATUS" = 404 ]
    api POST /api/v1/namespaces/nowhere/configmaps --data '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"v"}}'
    status_is 404 NotFound
    api PATCH $cm/v -H 'Content-Type: application/merge-patch+json' --data '{"immutable":true}'
    api PATCH $cm/v -H 'Content-Type: application/merge-patch+json' --data '{"data":{"a":"4"}}'
    status_is 422 Invalid
    api DELETE $cm/v
    [ "$STATUS" = 200 ]
    api POST /api/v1/namespaces --data '{}'
    api BREW $cm
    [[ "$STATUS" =~ ^(400|405|501)$ ]]
}

@test "unusual queries: watches of the past, bad selectors, limits" {
    api GET "$cm?labelSelector=a%20in%20("
    status_is 400 BadRequest
    api GET "$cm?fieldSelector=spec.none%3Dx"
    status_is 400 BadRequest
    api GET "$cm?limit=x"
    status_is 400 BadRequest
    api GET "$cm?continue=nonsense"
    status_is 400 BadRequest
    api GET "$cm?watch=1&resourceVersion=abc"
    [ "$STATUS" = 400 ]
    api GET "$cm?watch=1&resourceVersion=99999999&timeoutSeconds=1"
    echo "$STATUS $BODY"
    [[ "$STATUS" = 504 || "$BODY" == *"Too large resource version"* || "$STATUS" = 200 ]]
    api GET "$cm?limit=1"
    [ "$(jq '.items | length' <<<"$BODY")" = 1 ] || [ "$(jq '.items | length' <<<"$BODY")" = 0 ]
    api GET "$cm?labelSelector=none%3Dat-all"
    [ "$(jq -c .items <<<"$BODY")" = '[]' ]
}

@test "without a certificate: 401; with a stranger's: 401; the port speaks nothing but TLS" {
    server=$(kube config view -o jsonpath='{.clusters[0].cluster.server}')
    code() { curl -sk --max-time 10 -o "$T/out" -w '%{http_code}' "$@"; }
    [[ "$(code "$server/api/v1/nodes")" =~ ^40[13]$ ]]
    jq -e '.kind == "Status"' "$T/out"
    [[ "$(code "$server/api/v1/secrets")" =~ ^40[13]$ ]]
    [ "$(code "$server/api/v1/nodes" -H 'Authorization: Bearer nonsense')" = 401 ]
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=system:masters/CN=admin -days 1 -keyout "$T/k" -out "$T/c" 2>/dev/null
    [ "$(code --cert "$T/c" --key "$T/k" "$server/api/v1/nodes")" != 200 ]
    [ "$(code "$server/readyz")" = 200 ]
    [ "$(code "${server/https/http}/api/v1/nodes")" != 200 ]
    [ "$(stat -c %a "$DIR/nodes/podium-1/run/api.sock")" = 600 ] || [ "$(stat -c %a "$DIR")" = 700 ]
}

@test "many connections that say nothing do not stop the others" {
    server=$(kube config view -o jsonpath='{.clusters[0].cluster.server}')
    host=${server#https://}
    python3 - "${host%:*}" "${host#*:}" "$T/connected" 3>&- <<'P' &
import socket, sys, time
s = []
for i in range(200):
    c = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
    if i % 2: c.sendall(b"\x16\x03\x01\x02\x00\x01")
    s.append(c)
open(sys.argv[3], "w").close()
time.sleep(1000)
P
    idle=$!
    wait_until 20 test -e "$T/connected"
    kube get nodes
    kill $idle # all the while they were there
}

@test "kubectl: apply, patch, label, annotate, scale, wait, explain, api-resources, describe, delete" {
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ap}\ndata: {a: "1", b: "2"}\n' >"$T/ap.yaml"
    [ "$(kube apply -f "$T/ap.yaml")" = "configmap/ap created" ]
    [ "$(kube apply -f "$T/ap.yaml")" = "configmap/ap unchanged" ]
    sed -i 's/, b: "2"//' "$T/ap.yaml"
    [ "$(kube apply -f "$T/ap.yaml")" = "configmap/ap configured" ]
    [ "$(kube get cm ap -o jsonpath='{.data}')" = '{"a":"1"}' ]
    kube patch cm ap --type=json -p '[{"op":"replace","path":"/data/a","value":"9"}]'
    kube label cm ap x=y
    kube annotate cm ap n=1
    [ "$(kube get cm -l x=y -o jsonpath='{.items[0].data.a}')" = 9 ]
    kube create deployment k --image=nginx:demo
    kube wait deployment/k --for=condition=Available --timeout=30s
    kube scale deployment/k --replicas=2
    kube wait deployment/k --for='jsonpath={.status.readyReplicas}=2' --timeout=30s
    kube patch deployment k -p '{"spec":{"template":{"metadata":{"labels":{"tone":"c"}}}}}'
    kube rollout status deployment/k --timeout=20s
    kube wait pod -l tone=c --for=condition=Ready --timeout=30s
    [[ "$(kube describe deployment k)" == *"NewReplicaSet:   k-"* ]]
    [[ "$(kube describe pod -l tone=c)" == *"Successfully assigned default/k-"* ]]
    [[ "$(kube describe node podium-1)" == *"Non-terminated Pods:"*"k-"* ]]
    [[ "$(kube explain pod.spec.containers.imagePullPolicy)" == *"imagePullPolicy"* ]]
    kube api-resources --no-headers | grep -qE '^replicasets +rs +apps/v1 +true +ReplicaSet'
    kube get all -o wide | grep -q replicaset.apps/k-
    kube delete deployment k --cascade=foreground --timeout=20s
    [ -z "$(kube get rs,pods -o name)" ]
    kube delete cm ap
}

@test "a namespace takes with it what is in it, pods as well" {
    kube create namespace hall
    kube -n hall create deployment d --image=nginx:demo
    kube -n hall create configmap c
    kube -n hall wait deployment/d --for=condition=Available --timeout=15s
    kube delete namespace hall --timeout=20s
    run kube get namespace hall
    [[ "$output" == *NotFound* ]]
    [ -z "$(on_node 1 systemctl list-units --plain --no-legend 'podium-pod-hall-*')" ]
}
