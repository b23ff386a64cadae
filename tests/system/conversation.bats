#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The commands of kubectl that no other file speaks: what they print and what they leave, against the API server alone.

load apiserver
setup_file() {
    apiserver_start
    k create deployment web --image=nginx:1 --replicas=2
    k create deployment small --image=nginx:1 --replicas=1
    k label deploy small tier=back
    k create service clusterip s --tcp=80
    k create rolebinding rb --clusterrole=view --user=u
    printf 'apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n' | k create -f -
}
teardown_file() { apiserver_stop; }

of() { k get "$1" -o jsonpath="$2"; } # KIND/NAME PATH
watched() { # waits until somebody watches
    local _
    for _ in $(seq 100); do
        k get --raw /metrics | grep -q '^apiserver_longrunning_requests.*"WATCH"} [1-9]' && return 0
        sleep 0.1
    done
    return 1
}
sleeper() { printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {nodeName: n1, containers: [{name: c, image: i}]}\n' "$1" | k create -f -; }

@test "set: env, resources, serviceaccount, selector, subject" {
    run k set env deploy/web A=b C-
    [ "$output" = "deployment.apps/web env updated" ]
    [ "$(k set env deploy/web --list)" = $'# Deployment web, container nginx\nA=b' ]
    k set resources deploy/web --limits=cpu=200m,memory=64Mi --requests=cpu=100m
    [ "$(of deploy/web '{.spec.template.spec.containers[0].resources}')" = '{"limits":{"cpu":"200m","memory":"64Mi"},"requests":{"cpu":"100m"}}' ]
    run k set serviceaccount deploy/web builder
    [ "$output" = "deployment.apps/web serviceaccount updated" ]
    [ "$(of deploy/web '{.spec.template.spec.serviceAccountName}')" = builder ]
    k set selector svc/s tier=web
    [ "$(of svc/s '{.spec.selector}')" = '{"tier":"web"}' ]
    k set subject rolebinding/rb --group=g --serviceaccount=default:default
    [ "$(of rolebinding/rb '{range .subjects[*]}{.kind} {.name} {end}')" = "User u Group g ServiceAccount default " ]
}

@test "get: sorted, with labels, by columns and templates, all, by raw path" {
    [ "$(k get deploy --sort-by=.spec.replicas -o name)" = $'deployment.apps/small\ndeployment.apps/web' ]
    run k get deploy -L tier --sort-by=.metadata.name
    [[ "${lines[0]}" =~ ^NAME\ +READY\ +UP-TO-DATE\ +AVAILABLE\ +AGE\ +TIER$ ]]
    [[ "${lines[1]}" =~ ^small\ +0/1\ +0\ +0\ +[0-9]+s\ +back$ ]]
    run k get deploy small --show-labels
    [[ "${lines[1]}" == *"app=small,tier=back" ]]
    run k get deploy -o wide small
    [[ "${lines[0]}" =~ CONTAINERS\ +IMAGES\ +SELECTOR$ ]]
    [[ "${lines[1]}" =~ nginx\ +nginx:1\ +app=small$ ]]
    run k get deploy -o custom-columns=N:.metadata.name,R:.spec.replicas --no-headers
    [[ "${lines[0]}" =~ ^small\ +1$ && "${lines[1]}" =~ ^web\ +2$ ]]
    [ "$(k get deploy -o go-template='{{range .items}}{{.metadata.name}} {{end}}')" = "small web " ]
    run k get all
    [[ "$output" == *"deployment.apps/web "* && "$output" == *"service/kubernetes "* || "$output" == *"service/s "* ]]
    [ "$(k get --raw /apis/apps/v1/namespaces/default/deployments/small/scale | jq -c .spec)" = '{"replicas":1}' ]
    run k get deploy nope small
    [ "$status" -eq 1 ]
    [[ "$output" == *'Error from server (NotFound): deployments.apps "nope" not found'* ]]
}

@test "get -w shows columns, and the kind of event when asked" {
    (timeout 20 kubectl --cache-dir="$T/cache" get cm -w --output-watch-events --field-selector=metadata.name=seen >"$T/w" 2>&1 || true) 3>&- &
    local pid=$!
    watched
    k create configmap seen --from-literal=a=b
    k label cm seen x=y
    k delete cm seen
    for _ in $(seq 100); do grep -q DELETED "$T/w" && break; sleep 0.1; done
    pkill -P $pid || true
    [[ "$(cat "$T/w")" =~ EVENT\ +NAME\ +DATA\ +AGE.*ADDED\ +seen\ +1.*MODIFIED\ +seen\ +1.*DELETED\ +seen\ +1 ]]
}

@test "replace, and replace by force: a new object of the same name" {
    local before after
    before=$(of deploy/small '{.metadata.uid}')
    k get deploy small -o yaml | sed 's/replicas: 1/replicas: 3/' >"$T/small.yaml"
    run k replace -f "$T/small.yaml"
    [ "$output" = "deployment.apps/small replaced" ]
    [ "$(of deploy/small '{.spec.replicas}')" = 3 ]
    run k replace -f "$T/small.yaml" # by now of an old revision
    [ "$status" -eq 1 ]
    [[ "$output" == *"Error from server (Conflict)"*"the object has been modified; please apply your changes to the latest version and try again"* ]]
    run k replace --force -f "$T/small.yaml"
    [ "$status" -eq 0 ]
    [[ "$output" == *"deleted"*"deployment.apps/small replaced"* ]]
    after=$(of deploy/small '{.metadata.uid}')
    [ "$before" != "$after" ]
}

@test "edit: what the editor leaves is patched; nothing changed is said; a mistake is told" {
    EDITOR="sed -i s/replicas:.[13]/replicas:\ 4/" run k edit deploy small
    [ "$output" = "deployment.apps/small edited" ]
    [ "$(of deploy/small '{.spec.replicas}')" = 4 ]
    EDITOR=true run k edit deploy small
    [ "$output" = "Edit cancelled, no changes made." ]
    EDITOR="sed -i s/replicas:.4/replicas:\ -4/" run k edit deploy small
    [ "$status" -eq 1 ]
    [[ "$output" == *'deployments.apps "small" is invalid'* ]]
    [ "$(of deploy/small '{.spec.replicas}')" = 4 ]
}

@test "apply: a kustomization, the last applied configuration, pruning" {
    mkdir -p "$T/kust"
    printf 'namePrefix: pre-\nlabels: [{pairs: {team: a}}]\nresources: [cm.yaml]\nconfigMapGenerator: [{name: gen, literals: [k=v]}]\n' >"$T/kust/kustomization.yaml"
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {a: "1"}\n' >"$T/kust/cm.yaml"
    run k apply -k "$T/kust"
    [[ "$output" == *"configmap/pre-cm created"* && "$output" == *"configmap/pre-gen-"*" created"* ]]
    [ "$(k get cm -l team=a -o name | wc -l)" -eq 2 ]
    [ "$(k apply view-last-applied cm/pre-cm -o json | jq -c .data)" = '{"a":"1"}' ]
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pre-cm}\ndata: {a: "9"}\n' >"$T/last.yaml"
    k apply set-last-applied -f "$T/last.yaml"
    [ "$(k apply view-last-applied cm/pre-cm -o json | jq -c .data)" = '{"a":"9"}' ]
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, labels: {set: p}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: two, labels: {set: p}}\n' >"$T/set.yaml"
    k apply -f "$T/set.yaml"
    sed '/^---/,$d' "$T/set.yaml" >"$T/less.yaml"
    run k apply -f "$T/less.yaml" --prune -l set=p --prune-allowlist=core/v1/ConfigMap
    [[ "$output" == *"configmap/one unchanged"*"configmap/two pruned"* ]]
    k create -f - --edit=false -o name <<<'{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"l1"}},{"apiVersion":"v1","kind":"Secret","metadata":{"name":"l2"}}]}' >"$T/list"
    [ "$(cat "$T/list")" = $'configmap/l1\nsecret/l2' ]
}

@test "delete: what hangs on it stays when orphaned, a wrong precondition is refused, several at once" {
    run k delete deploy small --cascade=orphan --wait=false
    [ "$output" = 'deployment.apps "small" deleted' ]
    [ "$(of deploy/small '{.metadata.finalizers}')" = '["orphan"]' ]
    k patch deploy small --type=json -p '[{"op":"remove","path":"/metadata/finalizers"}]'
    run k get deploy small
    [[ "$output" == *"(NotFound)"* ]]
    run k delete cm/l1 secret/l2
    [ "$output" = $'configmap "l1" deleted\nsecret "l2" deleted' ]
    k create configmap kept
    k get --raw /api/v1/namespaces/default/configmaps/kept >/dev/null
    run k delete --raw /api/v1/namespaces/default/configmaps/kept -f - <<<'{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"00000000-0000-0000-0000-000000000000"}}'
    [ "$status" -eq 1 ]
    [[ "$output" == *"Precondition failed: UID in precondition: 00000000-0000-0000-0000-000000000000, UID in object meta: "* ]]
    run k delete cm --all
    [[ "$output" == *'configmap "kept" deleted'* ]]
    run k delete cm nope --ignore-not-found
    [ "$status$output" = 0 ]
}

@test "taint and cordon change the node, and say so" {
    k taint node n1 --all node.kubernetes.io/not-ready- 2>/dev/null || true
    run k taint node n1 dedicated=db:NoSchedule
    [ "$output" = "node/n1 tainted" ]
    [ "$(of node/n1 '{.spec.taints[?(@.key=="dedicated")].value}')" = db ]
    run k taint node n1 dedicated=web:NoSchedule
    [ "$status" -eq 1 ]
    run k taint node n1 dedicated:NoSchedule-
    [ "$output" = "node/n1 untainted" ]
    run k cordon n1
    [ "$output" = "node/n1 cordoned" ]
    run k cordon n1
    [ "$output" = "node/n1 already cordoned" ]
    k uncordon n1
}

@test "debug: an ephemeral container in a pod; a copy of it" {
    sleeper dbg
    run k debug dbg --image=busybox --container=look --attach=false -- sh
    [ "$status" -eq 0 ]
    [ "$(of pod/dbg '{.spec.ephemeralContainers[0].name} {.spec.ephemeralContainers[0].image} {.spec.ephemeralContainers[0].command}')" = 'look busybox ["sh"]' ]
    run k debug dbg --copy-to=dbg2 --set-image=c=other --attach=false
    [ "$status" -eq 0 ]
    [ "$(of pod/dbg2 '{.spec.containers[0].image}')" = other ]
    k delete pod dbg dbg2 --grace-period=0 --force 2>/dev/null
}

@test "events: of an object, sorted, followed by describe" {
    sleeper noted
    local uid
    uid=$(of pod/noted '{.metadata.uid}')
    k create -f - <<EOF
apiVersion: v1
kind: Event
metadata: {name: noted.1}
involvedObject: {apiVersion: v1, kind: Pod, name: noted, namespace: default, uid: $uid}
reason: Tuned
message: the strings are in tune
type: Normal
count: 3
firstTimestamp: "2026-01-01T00:00:00Z"
lastTimestamp: "2026-01-01T00:00:00Z"
EOF
    run k events --for pod/noted
    [[ "${lines[0]}" =~ ^LAST\ SEEN\ +TYPE\ +REASON\ +OBJECT\ +MESSAGE$ ]]
    [[ "${lines[1]}" =~ Normal\ +Tuned\ +Pod/noted\ +the\ strings\ are\ in\ tune$ ]]
    run k describe pod noted
    [[ "$output" =~ Events:.*Normal\ +Tuned.*the\ strings\ are\ in\ tune ]]
    run k get events --field-selector=reason=Tuned -o name
    [ "$output" = event/noted.1 ]
    k delete pod noted --grace-period=0 --force 2>/dev/null
}

@test "describe reads every kind that has something to say" {
    k create configmap d --from-literal=key=value
    [[ "$(k describe cm d)" == *$'Data\n====\nkey:\n----\nvalue'* ]]
    k create secret generic d --from-literal=key=value
    [[ "$(k describe secret d)" == *"key:  5 bytes"* ]]
    k create quota d --hard=pods=3,secrets=10
    [[ "$(k describe quota d)" =~ Resource\ +Used\ +Hard ]]
    [[ "$(k describe svc s)" =~ Type:\ +ClusterIP.*Port:\ +80\ +80/TCP ]]
    [[ "$(k describe ns default)" =~ Status:\ +Active ]]
    [[ "$(k describe sa default)" =~ Name:\ +default ]]
    [[ "$(k describe node n1)" == *"Non-terminated Pods:"* ]]
    [[ "$(k describe clusterrole view)" == *"pods/log"* ]]
    [[ "$(k describe rolebinding rb)" =~ Kind:\ +ClusterRole ]]
    k create ingress d --rule=host/path=s:80
    [[ "$(k describe ingress d)" =~ host.*/path\ +s:80 ]]
    k create job d --image=x -- true
    [[ "$(k describe job d)" =~ Parallelism:\ +1 ]]
    k create cronjob d --image=x --schedule='*/5 * * * *' -- true
    [[ "$(k describe cronjob d)" == *"*/5 * * * *"* ]]
    k autoscale deploy web --min=2 --max=5 --cpu-percent=80
    [[ "$(k describe hpa web)" =~ "Min replicas:"\ +2.*"Max replicas:"\ +5 ]]
    k create pdb d --selector=app=web --min-available=1
    [[ "$(k describe pdb d)" =~ "Min available:"\ +1 ]]
    k delete quota/d job/d cronjob/d ingress/d hpa/web pdb/d cm/d secret/d
}

@test "cluster-info, its dump, and what one may" {
    run k cluster-info
    [[ "$output" == *"is running at"*"https://127.0.0.1:$(cat "$T/port")"* ]]
    k cluster-info dump --output-directory="$T/dump" --all-namespaces >/dev/null
    jq -e '.kind == "NodeList"' "$T/dump/nodes.json"
    run k auth can-i --list
    [[ "$output" =~ \*\.\*\ +\[\]\ +\[\]\ +\[\*\] ]]
    run guest auth can-i create pods
    [ "$status" -eq 1 ]
    printf 'apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader, namespace: default}\nrules: [{apiGroups: [""], resources: [pods], verbs: [get]}]\n' >"$T/role.yaml"
    run k auth reconcile -f "$T/role.yaml"
    [[ "$output" == *"reader reconciled"* ]]
    sed -i 's/verbs: \[get\]/verbs: [list]/' "$T/role.yaml"
    k auth reconcile -f "$T/role.yaml"
    [ "$(of role/reader '{.rules[*].verbs}')" = '["get"] ["list"]' ]
}

@test "wait: for creation, deletion; rollout status and history tell what is there" {
    (k create secret generic late) >/dev/null 3>&- &
    run k wait --for=create secret/late --timeout=20s
    [ "$output" = "secret/late condition met" ]
    wait
    run k rollout status deploy/web --timeout=1s
    [ "$status" -eq 1 ]
    [[ "$output" == *"Waiting for deployment spec update to be observed"* ]]
    run k rollout history deploy/web
    [ "$output" = $'deployment.apps/web \nREVISION  CHANGE-CAUSE' ] || [[ "$output" == *"No rollout history found"* ]]
    run k rollout pause deploy/web
    [ "$output" = "deployment.apps/web paused" ]
    run k rollout resume deploy/web
    [ "$output" = "deployment.apps/web resumed" ]
}

@test "top: the API is there, and says that nobody has measured yet" {
    run k top nodes
    [ "$status" -eq 1 ]
    [ "$output" = "error: metrics not available yet" ]
    run k top pods
    [ "$output" = "No resources found in default namespace." ]
}

@test "proxy: kubectl proxy passes requests on" {
    kubectl --cache-dir="$T/cache" proxy --port=0 >"$T/proxy" 2>&1 3>&- &
    local pid=$! port
    for _ in $(seq 100); do grep -q 'Starting to serve' "$T/proxy" && break; sleep 0.1; done
    port=$(sed -n 's/.*127.0.0.1:\([0-9]*\).*/\1/p' "$T/proxy")
    run curl -sS -m 10 "http://127.0.0.1:$port/api/v1/namespaces/default"
    kill $pid
    [ "$(jq -r .metadata.name <<<"$output")" = default ]
}
