#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Deployments as people work them with kubectl: rollouts and their bounds, history, undo, pause; set, expose, run,
# autoscale, drain.

load harness

setup_file() {
    cluster_setup 2
    "$BIN/podium" image import "$IMAGE" --name nginx:second --cluster "$CLUSTER" --dir "$DIR" --quiet 3>&-
}
teardown_file() { cluster_teardown; }
teardown() { cluster_report; }

deployment() { # NAME REPLICAS [YAML of spec, indented by two]
    {
        printf 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s}\nspec:\n  replicas: %s\n' "$1" "$2"
        printf '  selector: {matchLabels: {app: %s}}\n' "$1"
        if [ ! -t 0 ]; then cat; fi
        printf '  template:\n    metadata: {labels: {app: %s}}\n    spec:\n' "$1"
        printf '      terminationGracePeriodSeconds: 1\n      containers:\n'
        printf '      - {name: web, image: "nginx:demo", command: [sleep, "100000"]}\n'
    } | kube apply -f - >/dev/null
}
get() { kube get "$1" -o jsonpath="{$2}"; } # KIND/NAME .path
# REVISION:REPLICAS of each set, oldest first (two sets of one second have no order by time)
sets() {
    kube get rs -l "app=$1" -o jsonpath='{range .items[*]}{.metadata.annotations.deployment\.kubernetes\.io/revision}:{.spec.replicas}{"\n"}{end}' |
        sort -t: -k1n | tr '\n' ' '
}
gone() { kube delete deployment "$@" --cascade=foreground --timeout=30s >/dev/null; }

@test "set image rolls out; status waits; history, undo, undo to a revision" {
    deployment a 3 </dev/null
    kube rollout status deployment/a --timeout=30s
    kube annotate deployment/a kubernetes.io/change-cause="the first" >/dev/null
    kube set image deployment/a web=nginx:second
    run kube rollout status deployment/a --timeout=30s
    [ "$status" -eq 0 ]
    [[ "$output" == *'deployment "a" successfully rolled out'* ]]
    [ "$(kube get pods -l app=a --field-selector=status.phase=Running -o jsonpath='{.items[*].spec.containers[0].image}' | tr ' ' '\n' | sort -u | grep -c second)" -eq 1 ]
    kube annotate deployment/a kubernetes.io/change-cause="the second" --overwrite >/dev/null
    causes() { [[ "$(kube rollout history deployment/a)" =~ 1\ +the\ first.*2\ +the\ second ]]; }
    wait_until 10 causes
    [[ "$(kube rollout history deployment/a --revision=1)" == *"nginx:demo"* ]]
    kube rollout undo deployment/a
    kube rollout status deployment/a --timeout=30s
    [ "$(get deployment/a .spec.template.spec.containers[0].image)" = nginx:demo ]
    kube rollout undo deployment/a --to-revision=2
    kube rollout status deployment/a --timeout=30s
    [ "$(get deployment/a .spec.template.spec.containers[0].image)" = nginx:second ]
    [ "$(get deployment/a '.metadata.annotations.deployment\.kubernetes\.io/revision')" = 4 ]
    run kube rollout undo deployment/a --to-revision=77
    [ "$status" -ne 0 ]
    [[ "$output" == *"unable to find specified revision 77"* ]]
    gone a
}

@test "maxSurge and maxUnavailable bound every moment of a rollout" {
    deployment b 4 <<<'  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}'
    kube rollout status deployment/b --timeout=30s
    # every status the Deployment ever shows from here on
    kube get deployment b --watch -o jsonpath='{.status.replicas} {.status.availableReplicas}{"\n"}' >"$T/b.seen" &
    watcher=$!
    kube set image deployment/b web=nginx:second >/dev/null
    kube rollout status deployment/b --timeout=60s
    kill $watcher
    wait $watcher 2>/dev/null || true
    [ "$(wc -l <"$T/b.seen")" -gt 4 ]
    while read -r replicas available; do
        [ "$replicas" -le 5 ]
        [ "$available" -ge 4 ]
    done <"$T/b.seen"
    gone b
}

@test "Recreate: the last old pod ends before the first new one begins" {
    deployment c 2 <<<'  strategy: {type: Recreate}'
    kube rollout status deployment/c --timeout=30s
    kube set image deployment/c web=nginx:second >/dev/null
    kube rollout status deployment/c --timeout=30s
    ended=$(kube get events --field-selector reason=Killing -o json | jq -r '[.items[] | select(.involvedObject.name | startswith("c-")) | .lastTimestamp] | max')
    begun=$(kube get pods -l app=c -o json | jq -r '[.items[] | select(.spec.containers[0].image == "nginx:second") | .metadata.creationTimestamp] | min')
    [[ ! "$begun" < "$ended" ]]
    gone c
}

@test "pause, change twice, resume: one rollout; restart makes another" {
    deployment d 2 </dev/null
    kube rollout status deployment/d --timeout=30s
    kube rollout pause deployment/d
    kube set image deployment/d web=nginx:second >/dev/null
    kube set env deployment/d VOICE=alto >/dev/null
    kube set resources deployment/d -c web --requests=cpu=10m,memory=8Mi >/dev/null
    observed() { [ "$(get deployment/d .status.observedGeneration)" = "$(get deployment/d .metadata.generation)" ]; }
    wait_until 10 observed
    [ "$(sets d)" = "1:2 " ]
    kube rollout resume deployment/d
    kube rollout status deployment/d --timeout=30s
    [ "$(sets d)" = "1:0 2:2 " ]
    pod=$(kube get pods -l app=d --field-selector=status.phase=Running -o jsonpath='{.items[0].metadata.name}')
    [ "$(get deployment/d '.spec.template.spec.containers[0].env[0].value')" = alto ]
    [ "$(get deployment/d .spec.template.spec.containers[0].resources.requests.memory)" = 8Mi ]
    kube rollout restart deployment/d
    kube rollout status deployment/d --timeout=30s
    [ "$(sets d)" = "1:0 2:0 3:2 " ]
    run kube get pod "$pod" -o 'jsonpath={.metadata.deletionTimestamp}'
    [ "$status" -ne 0 ] || [ -n "$output" ]
    gone d
}

@test "a rollout that does not get on: the old pods stay, the deadline is told, undo heals" {
    deployment e 3 <<<$'  progressDeadlineSeconds: 2\n  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}'
    kube rollout status deployment/e --timeout=30s
    kube patch deployment e -p '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"absent:1","imagePullPolicy":"Never"}]}}}}' >/dev/null
    run kube rollout status deployment/e --timeout=30s
    [ "$status" -ne 0 ]
    [[ "$output" == *'deployment "e" exceeded its progress deadline'* ]]
    [ "$(get deployment/e .status.availableReplicas)" = 3 ]
    [ "$(get deployment/e '.status.conditions[?(@.type=="Progressing")].reason')" = ProgressDeadlineExceeded ]
    kube rollout undo deployment/e >/dev/null
    kube rollout status deployment/e --timeout=30s
    gone e
}

@test "minReadySeconds counts before a pod is available; scaling in the middle of a rollout is shared out" {
    deployment f 4 <<<$'  minReadySeconds: 2\n  strategy: {rollingUpdate: {maxSurge: 2, maxUnavailable: 0}}'
    kube wait deployment/f --for=jsonpath='{.status.readyReplicas}'=4 --timeout=20s >/dev/null
    [ -z "$(get deployment/f .status.availableReplicas)" ]
    kube rollout status deployment/f --timeout=30s
    kube set image deployment/f web=absent:1 >/dev/null
    stuck() { [ "$(sets f)" = "1:4 2:2 " ]; }
    wait_until 20 stuck
    kube scale deployment/f --replicas=10 >/dev/null # 12 with the surge, 2:1 between old and new
    shared() { [ "$(sets f)" = "1:8 2:4 " ]; }
    wait_until 20 shared
    gone f
}

@test "revisionHistoryLimit keeps so many old sets" {
    deployment g 1 <<<'  revisionHistoryLimit: 1'
    for n in 1 2 3; do
        kube set env deployment/g "N=$n" >/dev/null
        kube rollout status deployment/g --timeout=30s
    done
    kept() { [ "$(kube get rs -l app=g -o name | wc -l)" -eq 2 ]; }
    wait_until 10 kept
    gone g
}

@test "run, expose, autoscale, label, scale: the quick ways" {
    kube run solo --image=nginx:demo --labels=app=solo --port=80 >/dev/null
    pod_ready solo
    kube expose pod solo --port=8080 --target-port=80 >/dev/null
    [ "$(get service/solo .spec.ports[0].targetPort)" = 80 ]
    deployment h 1 </dev/null
    kube expose deployment h --port=80 --type=NodePort >/dev/null
    [ "$(get service/h .spec.selector.app)" = h ]
    [ "$(get service/h .spec.ports[0].nodePort)" -ge 30000 ]
    kube autoscale deployment h --min=1 --max=3 --cpu-percent=80 >/dev/null
    [ "$(get hpa/h .spec.maxReplicas)" = 3 ]
    [[ "$(kube get hpa h)" == *Deployment/h* ]]
    kube delete hpa/h service/h service/solo pod/solo >/dev/null
    gone h
}

@test "cordon, drain, uncordon: pods move by eviction, a budget is respected" {
    deployment i 4 <<<'  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}'
    kube rollout status deployment/i --timeout=30s
    kube create poddisruptionbudget i --selector=app=i --min-available=3 >/dev/null
    allowed() { [ "$(get pdb/i .status.disruptionsAllowed)" = 1 ]; }
    wait_until 10 allowed
    kube get pods -l app=i --watch-only -o jsonpath='{.metadata.name}{"\n"}' >/dev/null &
    watcher=$!
    kube drain podium-1 --ignore-daemonsets --timeout=60s
    kill $watcher
    [ "$(kube get pods -l app=i --field-selector=spec.nodeName=podium-1 -o name | wc -l)" -eq 0 ]
    kube rollout status deployment/i --timeout=30s
    [[ "$(kube get node podium-1)" == *SchedulingDisabled* ]]
    # all are on podium-2 now: with a budget of four none may go
    kube patch pdb i --type=merge -p '{"spec":{"minAvailable":4}}' >/dev/null
    none() { [ "$(get pdb/i .status.disruptionsAllowed)" = 0 ]; }
    wait_until 10 none
    run kube drain podium-2 --ignore-daemonsets --timeout=3s
    [ "$status" -ne 0 ]
    [[ "$output" == *"Cannot evict pod as it would violate the pod's disruption budget."* ]]
    [ "$(get deployment/i .status.availableReplicas)" = 4 ]
    kube uncordon podium-1 podium-2 >/dev/null
    kube delete pdb/i >/dev/null
    gone i
}

@test "a quota holds pods back, says so, and they go on as soon as it allows; describe shows quotas and limits" {
    kube create namespace tight >/dev/null
    # a quota's first status comes from its controller
    kube -n tight create quota few --hard=pods=1,requests.cpu=1 | grep -qx 'resourcequota/few created'
    printf 'apiVersion: v1\nkind: LimitRange\nmetadata: {name: usual, namespace: tight}\nspec:\n  limits:\n%s\n' \
        '  - {type: Container, default: {cpu: 200m}, defaultRequest: {cpu: 100m}, max: {memory: 1Gi}}' |
        kube apply -f - >/dev/null
    kube -n tight create deployment q --image=nginx:demo --replicas=2 >/dev/null
    kube -n tight wait deployment/q --for=condition=ReplicaFailure --timeout=30s
    said="$(kube -n tight get deployment/q -o jsonpath='{.status.conditions[?(@.type=="ReplicaFailure")].message}')"
    [[ "$said" == *'is forbidden: exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1' ]]
    held() { kube -n tight get events --field-selector=reason=FailedCreate | grep -q 'exceeded quota: few'; }
    wait_until 20 held
    shown() { [[ "$(kube -n tight get quota few --no-headers)" =~ pods:\ 1/1,\ requests.cpu:\ 100m/1 ]]; }
    wait_until 20 shown
    [[ "$(kube -n tight describe quota few)" =~ pods\ +1\ +1.*requests.cpu\ +100m\ +1 ]]
    kube -n tight patch quota few -p '{"spec":{"hard":{"pods":"5"}}}' >/dev/null
    kube -n tight wait deployment/q --for=jsonpath='{.status.replicas}'=2 --timeout=20s
    shown() { [[ "$(kube describe namespace tight)" =~ pods\ +2\ +5.*Container\ +memory\ +-\ +1Gi\ +1Gi\ +1Gi ]]; }
    wait_until 20 shown
    [[ "$(kube -n tight describe limits usual)" =~ Container\ +cpu\ +-\ +-\ +100m\ +200m ]]
    kube -n tight delete deployment q --cascade=foreground --timeout=30s >/dev/null
    shown() { [[ "$(kube -n tight get quota few -o jsonpath='{.status.used.pods}')" == 0 ]]; }
    wait_until 20 shown
    # a claim nobody uses is not kept by its protection
    printf 'apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c, namespace: tight}\nspec: %s\n' \
        '{accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}' | kube apply -f - >/dev/null
    [[ "$(kube -n tight get pvc c -o jsonpath='{.metadata.finalizers}')" == *pvc-protection* ]]
    kube -n tight delete pvc c --timeout=20s >/dev/null
    kube delete namespace tight --timeout=30s >/dev/null
}
