#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The real kubectl against the API server alone (tests/system/apiserver_main.c). No nodes, no controllers.

load apiserver
setup_file() { apiserver_start; }
teardown_file() { apiserver_stop; }

@test "version, api-resources, api-versions" {
    run k version
    [[ "$output" == *"Server Version: v1.32.0+podium-"* ]]
    run k api-resources
    [ "$status" -eq 0 ]
    [[ "$output" == *"deployments "*"deploy "*"apps/v1 "*"true "*"Deployment"* ]]
    run k api-versions
    [[ "$output" == *"networking.k8s.io/v1"* ]]
}

@test "legacy discovery alone is enough" {
    run k get --raw /apis/apps/v1
    [[ "$output" == *'"name":"deployments/scale"'*'"group":"autoscaling"'* ]]
    run k get --raw /api/v1
    [[ "$output" == *'"name":"pods/eviction"'* ]]
}

@test "create, get in every form, delete a ConfigMap" {
    run k create configmap one --from-literal=a=b
    [ "$output" = "configmap/one created" ]
    run k get cm one -o name
    [ "$output" = "configmap/one" ]
    run k get cm one -o jsonpath='{.data.a}'
    [ "$output" = b ]
    run k get cm one -o yaml
    [[ "$output" == *"kind: ConfigMap"* ]]
    run k get cm one
    [[ "${lines[0]}" =~ ^NAME\ +DATA\ +AGE$ ]]
    [[ "${lines[1]}" =~ ^one\ +1\ +[0-9]+s$ ]]
    run k get cm -A -o wide
    [[ "$output" == *"default "*"one "* ]]
    run k get cm one -o json
    [[ "$output" == *'"apiVersion": "v1"'* ]]
    run k delete cm one
    [ "$output" = 'configmap "one" deleted' ]
    run k get cm one
    [ "$status" -eq 1 ]
    [ "$output" = 'Error from server (NotFound): configmaps "one" not found' ]
}

@test "apply: created, unchanged, configured; pruned keys go" {
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ap}\ndata: {a: "1", b: "2"}\n' >"$T/cm.yaml"
    run k apply -f "$T/cm.yaml"
    [ "$output" = "configmap/ap created" ]
    run k apply -f "$T/cm.yaml"
    [ "$output" = "configmap/ap unchanged" ]
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ap}\ndata: {a: "3"}\n' >"$T/cm.yaml"
    run k diff -f "$T/cm.yaml"
    [ "$status" -eq 1 ]
    [[ "$output" == *'+  a: "3"'* ]]
    run k apply -f "$T/cm.yaml"
    [ "$output" = "configmap/ap configured" ]
    run k get cm ap -o jsonpath='{.data}'
    [ "$output" = '{"a":"3"}' ]
    run k replace -f "$T/cm.yaml"
    [ "$output" = "configmap/ap replaced" ]
    run k delete -f "$T/cm.yaml"
    [ "$status" -eq 0 ]
}

@test "protobuf bodies: the create subcommands" {
    k create namespace nsp
    k create deployment web --image=nginx --replicas=2
    k create serviceaccount sa
    k create secret generic sec --from-literal=k=v
    k create role r --verb=get --resource=pods
    k create rolebinding rb --role=r --user=u
    k create clusterrole cr --verb=get --resource=nodes
    k create clusterrolebinding crb --clusterrole=cr --user=u
    k create service clusterip svc --tcp=80:8080
    k create job j --image=busybox -- true
    k create cronjob cj --image=busybox --schedule='* * * * *' -- true
    k create ingress in --rule=h/p=svc:80
    k create poddisruptionbudget pdb --selector=app=web --min-available=1
    k create priorityclass pc --value=5
    k create quota q --hard=pods=3
    run k get secret sec -o jsonpath='{.data.k}/{.type}'
    [ "$output" = "dg==/Opaque" ]
    run k get svc svc -o jsonpath='{.spec.clusterIP} {.spec.ports[0].targetPort}'
    [[ "$output" =~ ^10\.96\.[0-9]+\.[0-9]+\ 8080$ ]]
    run k get deploy web -o jsonpath='{.spec.replicas} {.spec.strategy.type} {.metadata.generation}'
    [ "$output" = "2 RollingUpdate 1" ]
    k delete job/j cronjob/cj ingress/in pdb/pdb priorityclass/pc quota/q svc/svc
}

@test "scale, set image, rollout restart: the generation grows" {
    run k scale deploy web --replicas=5
    [ "$output" = "deployment.apps/web scaled" ]
    run k scale deploy web --current-replicas=4 --replicas=6
    [ "$status" -eq 1 ]
    k set image deploy/web nginx=nginx:2
    k rollout restart deploy/web
    run k get deploy web -o jsonpath='{.spec.replicas} {.spec.template.spec.containers[0].image} {.metadata.generation}'
    [ "$output" = "5 nginx:2 4" ]
}

@test "label, annotate and the three patches" {
    k create configmap p --from-literal=a=b
    run k label cm p x=y
    [ "$output" = "configmap/p labeled" ]
    run k label cm p x=z
    [ "$status" -eq 1 ]
    k annotate cm p note=1
    k patch cm p --type=merge -p '{"data":{"m":"1"}}'
    k patch cm p --type=json -p '[{"op":"add","path":"/data/j","value":"2"}]'
    k patch cm p --type=strategic -p '{"data":{"s":"3"}}'
    run k get cm -l x=y -o jsonpath='{.items[0].data}'
    [ "$output" = '{"a":"b","j":"2","m":"1","s":"3"}' ]
    run k patch cm p --type=json -p '[{"op":"test","path":"/data/j","value":"9"}]'
    [ "$status" -eq 1 ]
    k delete cm p
}

@test "strict fields are refused by name, warnings are shown" {
    printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: s}\nspec: {containers: [{name: c, image: i, imag: x}], foo: 1}\n' >"$T/pod.yaml"
    run k apply -f "$T/pod.yaml"
    [ "$status" -eq 1 ]
    [[ "$output" == *'strict decoding error: unknown field "spec.containers[0].imag", unknown field "spec.foo"'* ]]
    run k apply --validate=warn -f "$T/pod.yaml"
    [[ "$output" == *'Warning: unknown field "spec.foo"'* ]]
    [[ "$output" == *"pod/s created"* ]]
    run k describe pod s
    [[ "$output" == *"Service Account:  default"* ]]
    [[ "$output" == *"node.kubernetes.io/unreachable:NoExecute op=Exists for 300s"* ]]
    k delete pod s
}

@test "dry run stores nothing" {
    run k create configmap dry --from-literal=a=b --dry-run=server -o name
    [ "$output" = "configmap/dry" ]
    run k get cm dry
    [ "$status" -eq 1 ]
}

@test "get -w follows" {
    (timeout 5 kubectl --cache-dir="$T/cache" get cm -w -o name --field-selector=metadata.name=followed >"$T/w" 2>&1 || true) &
    sleep 1
    k create configmap followed
    k label cm followed x=y
    k delete cm followed
    wait $!
    [ "$(grep -c configmap/followed "$T/w")" -eq 3 ]
}

@test "wait: for a condition, a value, a deletion" {
    k create configmap w --from-literal=a=b
    k wait --for=jsonpath='{.data.a}'=b cm/w --timeout=30s
    (sleep 1; kubectl --cache-dir="$T/cache" delete cm w) &
    run k wait --for=delete cm/w --timeout=30s
    [ "$status" -eq 0 ]
    wait
    k run sleepy --image=x
    (sleep 1; kubectl --cache-dir="$T/cache" patch pod sleepy --subresource=status --type=merge \
        -p '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}') &
    run k wait --for=condition=Ready pod/sleepy --timeout=30s
    [ "$status" -eq 0 ]
    wait
    k delete pod sleepy
}

@test "explain" {
    run k explain deployment.spec.strategy.rollingUpdate.maxSurge
    [ "$status" -eq 0 ]
    [[ "$output" == *"maxSurge <IntOrString>"* ]]
    run k explain pod --recursive
    [[ "$output" == *"terminationGracePeriodSeconds"* ]]
}

@test "namespaces: termination blocks creation, default stays" {
    k delete ns nsp --wait=false
    run k get ns nsp -o jsonpath='{.status.phase}'
    [ "$output" = Terminating ]
    run k create configmap x -n nsp
    [ "$status" -eq 1 ]
    [[ "$output" == *"unable to create new content in namespace nsp because it is being terminated"* ]]
    run k delete ns default
    [[ "$output" == *"(Forbidden)"*"this namespace may not be deleted"* ]]
    k get ns nsp -o json | sed 's/"kubernetes"//' | k replace --raw /api/v1/namespaces/nsp/finalize -f - >/dev/null
    run k get ns nsp
    [[ "$output" == *'(NotFound)'* ]]
}

@test "who am I, what may I" {
    run k auth whoami -o jsonpath='{.status.userInfo.username}'
    [ "$output" = admin ]
    run guest auth can-i list pods
    [[ "$output" == no* ]]
    run guest get pods
    [ "$output" = 'Error from server (Forbidden): pods is forbidden: User "guest" cannot list resource "pods" in API group "" in the namespace "default"' ]
    k create rolebinding guest --clusterrole=view --user=guest
    run guest get pods
    [ "$status" -eq 0 ]
    run guest auth can-i list secrets
    [[ "$output" == no* ]]
    run guest auth can-i --list
    [[ "$output" =~ "pods/log"\ +\[\]\ +\[\]\ +"[get list watch]" ]]
    [[ "$output" =~ selfsubjectreviews.authentication.k8s.io\ +\[\]\ +\[\]\ +"[create]" ]]
    [[ "$output" != *"warning"* ]]
}

@test "who gives what he has not is told what that is" {
    k create rolebinding guest-admin --clusterrole=admin --user=guest
    guest create role fine --verb=get,list --resource=pods,pods/log
    run guest create role greedy --verb=get,list --resource=nodes
    [ "$status" -eq 1 ]
    [[ "$output" == *'(Forbidden): roles.rbac.authorization.k8s.io "greedy" is forbidden: user "guest" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:'* ]]
    [[ "$output" == *'{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}'* ]]
    guest create rolebinding friend --clusterrole=edit --user=friend
    run guest create rolebinding friend2 --clusterrole=cluster-admin --user=friend
    [ "$status" -eq 1 ]
    [[ "$output" == *'{APIGroups:["*"], Resources:["*"], Verbs:["*"]}'* ]]
    run k auth can-i delete deployments --as=friend
    [ "$output" = yes ]
    run k auth can-i get /metrics --as=prom --as-group=system:monitoring
    [ "$output" = yes ]
    k delete rolebinding guest-admin friend
    k delete role fine
}

@test "paging: --chunk-size sees everything once" {
    for i in 1 2 3 4 5 6 7; do k create configmap page$i -o name >/dev/null; done
    run k get cm --chunk-size=2 -o name
    [ "$(grep -c /page <<<"$output")" -eq 7 ]
    k delete cm -l '!none' --field-selector=metadata.name!=kube-root-ca.crt
    run k get cm -o name
    [ "$output" = "" ]
}

@test "cordon, drain, uncordon a node" {
    printf 'apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n' | k create -f -
    printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: on1}\nspec: {nodeName: n1, containers: [{name: c, image: i}]}\n' | k create -f -
    k patch pod on1 --subresource=status --type=merge -p '{"status":{"phase":"Succeeded"}}'
    run k drain n1 --force --timeout=10s
    [ "$status" -eq 0 ]
    [[ "$output" == *"node/n1 drained"* ]]
    run k get node n1
    [[ "$output" == *"SchedulingDisabled"* ]]
    k uncordon n1
    run k get node n1 -o jsonpath='{.spec.unschedulable}'
    [ "$output" = "" ]
}

@test "logs and exec through the nodes' door" {
    printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: talk}\nspec: {nodeName: n1, containers: [{name: c, image: i}]}\n' | k create -f -
    run k logs talk
    [ "$output" = $'one\ntwo\nthree' ]
    run k logs talk -c nope
    [ "$status" -eq 1 ]
    [[ "$output" == *"container nope is not valid for pod talk"* ]]
    run bash -c 'printf "hello\nworld\n" | timeout 20 kubectl --cache-dir="$T/cache" exec -i talk -- cat'
    [ "$status" -eq 0 ]
    [ "$output" = $'hello\nworld' ]
    run bash -c 'echo x | timeout 20 kubectl --cache-dir="$T/cache" exec -i talk -- cat 3'
    [ "$status" -eq 3 ]
    run k exec talk -- ls
    [ "$output" = "no input" ]
    head -c 3000000 /dev/urandom >"$T/big"
    timeout 20 kubectl --cache-dir="$T/cache" exec -i talk -- cat <"$T/big" >"$T/back"
    cmp "$T/big" "$T/back"
    k delete pod talk --force --grace-period=0
}
