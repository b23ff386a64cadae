#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The command line against a real cluster of one node. BUILD: where podium is (build).

setup_file() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    export CLUSTER="cli$$" PODIUM="$PWD/${BUILD:-build}/podium" T="$BATS_FILE_TMPDIR" NO_COLOR=1
    export KUBECONFIG="$T/cluster/kubeconfig" HOME="$T"
    mkdir "$T/manifests"
    "$PODIUM" up --name "$CLUSTER" --dir "$T/cluster" --manifests "$T/manifests" >"$T/up" 2>&1 3>&- || {
        cat "$T/up" >&2
        return 1
    }
    make_image "$T/box.tar" && "$PODIUM" image import "$T/box.tar" --dir "$T/cluster" --cluster "$CLUSTER" --quiet >&2
    cat >"$T/web.yaml" <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: box
        image: box:test
        command: [sh, -c, "echo hello from $HOSTNAME; echo second; exec sleep 1000"]
YAML
}

teardown_file() {
    [ ! -e "$T/cluster" ] || "$PODIUM" down --name "$CLUSTER" --dir "$T/cluster" >&2
}

# an image of busybox alone, as a docker archive
make_image() {
    local d=$T/image sum
    mkdir -p "$d/root/bin" "$d/root/tmp"
    cp "$(command -v busybox)" "$d/root/bin/busybox"
    for a in sh sleep echo cat true ls head wc; do ln -s busybox "$d/root/bin/$a"; done
    tar -C "$d/root" --sort=name --owner=0 --group=0 --mtime=@0 -cf "$d/layer.tar" .
    sum=$(sha256sum "$d/layer.tar" | cut -d' ' -f1)
    printf '{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$sum" >"$d/config.json"
    printf '[{"Config":"config.json","RepoTags":["box:test"],"Layers":["layer.tar"]}]' >"$d/manifest.json"
    tar -C "$d" -cf "$1" manifest.json config.json layer.tar
}

p() { timeout 60 "$PODIUM" "$@"; }
a_pod() { p get pods -l app=web -o jsonpath='{.items[0].metadata.name}'; }

@test "apply creates, then changes nothing, then configures" {
    run p apply -f "$T/web.yaml" --dry-run=server
    [ "$status" -eq 0 ]
    [ "${lines[1]}" = "deployment.apps/web created (server dry run)" ]
    run p apply -f "$T/web.yaml"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "configmap/settings created" ]
    [ "${lines[1]}" = "deployment.apps/web created" ]
    run p apply -f "$T/web.yaml"
    [ "${lines[1]}" = "deployment.apps/web unchanged" ]
    sed 's/color: blue/shape: round/' "$T/web.yaml" | p apply -f -
    [ "$(p get cm settings -o jsonpath='{.data}')" = '{"shape":"round"}' ]
}

@test "wait ends with the event, and says what it waited for in vain" {
    run p wait deploy/web --for='jsonpath={.status.readyReplicas}=2' --timeout=30s
    [ "$output" = "deployment.apps/web condition met" ]
    run p wait pod -l app=web --for=condition=Ready
    [ "${#lines[@]}" -eq 2 ]
    run p wait deploy/web --for=condition=Nothing --timeout=100ms
    [ "$status" -eq 1 ]
    [ "$output" = "error: timed out waiting for the condition on deployments/web" ]
    run p wait pod/absent --for=delete
    [ "$status" -eq 0 ]
    (p wait cm/later --for=create && echo came >"$T/came") 3>&- &
    p create configmap later --from-literal=a=b
    wait $!
    [ -e "$T/came" ]
}

@test "get: tables, wide, several kinds, all, names, labels, yaml, json" {
    run p get pods
    [[ "${lines[0]}" =~ ^NAME\ +READY\ +STATUS\ +RESTARTS\ +AGE$ ]]
    [[ "${lines[1]}" =~ ^web-.*\ 1/1\ +Running ]]
    run p get pods -o wide --no-headers
    [[ "${lines[0]}" == *" podium-1 "* ]]
    run p get deploy,cm
    [[ "$output" == *"deployment.apps/web"*"configmap/settings"* ]]
    run p get all
    [[ "$output" == *"pod/web-"*"deployment.apps/web"*"replicaset.apps/web-"* ]]
    [ "$(p get pods -l app=web -o name | wc -l)" -eq 2 ]
    run p get pods --show-labels
    [[ "${lines[1]}" == *"app=web,pod-template-hash="* ]]
    run p -o yaml get deploy/web
    [[ "$output" == *"kind: Deployment"* ]]
    [ "$(p get cm settings -o json | jq -r .data.shape)" = round ]
    run p get pods -A
    [[ "${lines[0]}" =~ ^NAMESPACE ]]
    run p get pods -n kube-system
    [ "$status" -eq 0 ]
    [ "$output" = "No resources found in kube-system namespace." ]
}

@test "get as kubectl does" {
    command -v kubectl >/dev/null || skip "no kubectl"
    for what in "deploy web -o yaml" "deploy web -o json" "nodes -o name" "cm settings -o jsonpath={.data.shape}"; do
        # shellcheck disable=SC2086
        diff <(p get $what) <(kubectl get $what)
    done
    diff <(p get deploy -o wide | sed 's/[0-9]*s\b//') <(kubectl get deploy -o wide | sed 's/[0-9]*s\b//')
}

@test "watching shows changes" {
    (timeout 5 "$PODIUM" get cm later -w -o jsonpath='{.data.a} ' >"$T/watched" || true) 3>&- &
    for _ in $(seq 50); do [ -s "$T/watched" ] && break; sleep 0.1; done
    p patch cm later -p '{"data":{"a":"changed"}}'
    for _ in $(seq 50); do grep -q changed "$T/watched" && break; sleep 0.1; done
    grep -q "b changed" "$T/watched"
}

@test "describe: a pod with events, a secret without its contents" {
    run p describe pod "$(a_pod)"
    [[ "$output" == *"Node: "*"podium-1/"*"State: "*"Running"*"Events:"*"Scheduled"* ]]
    p create secret generic hidden --from-literal=password=hunter2
    run p describe secret hidden
    [[ "$output" == *"password:  7 bytes"* ]]
    [[ "$output" != *hunter2* ]]
    run p describe node podium-1
    [[ "$output" == *"Allocated resources:"* ]]
}

@test "exec: output, input, exit code" {
    run p exec "$(a_pod)" -- sh -c 'echo out; exit 7'
    [ "$status" -eq 7 ]
    [ "$output" = out ]
    [ "$(head -c 3000000 /dev/zero | p exec -i deploy/web -- wc -c)" -eq 3000000 ]
    [ "$(p exec deploy/web -- head -c 3000000 /dev/zero | wc -c)" -eq 3000000 ]
    run p exec "$(a_pod)"
    [ "$status" -eq 2 ]
    run p exec absent -- true
    [ "$status" -eq 1 ]
    [ "$output" = 'Error from server (NotFound): pods "absent" not found' ]
}

@test "exec: the exit code arrives though the command leaves its input unread" {
    local pod
    pod=$(a_pod)
    for _ in $(seq 20); do
        run bash -c "echo unread | timeout 20 $PODIUM exec -i $pod -- sh -c 'exit 4'"
        [ "$status" -eq 4 ]
    done
}

@test "exec -it has a terminal" {
    command -v script >/dev/null || skip "no script(1)"
    # an open standard input: at its end script(1) would type for us. --foreground: script runs the command by $SHELL, and
    # where that forks for it (dash does), timeout's own process group would be stopped for touching the terminal.
    mkfifo "$T/typing"
    run bash -c "exec 7<>$T/typing; exec script -qec \"timeout --foreground 20 $PODIUM exec -it $(a_pod) -- sh -c '[ -t 0 ] && [ -t 1 ] && echo a terminal; exit 4'\" /dev/null <&7"
    [[ "$output" == *"a terminal"* ]]
    [ "$status" -eq 4 ]
}

@test "logs: all, tail, prefix, of many" {
    run p logs "$(a_pod)"
    [[ "${lines[0]}" == "hello from web-"* ]]
    [ "$(p logs "$(a_pod)" --tail=1)" = second ]
    [ "$(p logs -l app=web --prefix | grep -c '/box\] second')" -eq 2 ]
    [[ "$(p logs deploy/web --timestamps --tail=1)" == 20*Z\ second ]]
}

@test "label, annotate, patch, scale, cordon" {
    p label cm settings tier=one
    run p label cm settings tier=two
    [ "$status" -eq 1 ]
    [[ "$output" == *"--overwrite is false"* ]]
    p label cm settings tier=two --overwrite
    [ "$(p get cm -l tier=two -o name)" = configmap/settings ]
    p annotate cm settings note=x
    p label cm settings tier-
    run p patch deploy web --type=json -p '[{"op":"replace","path":"/spec/replicas","value":1}]'
    [ "$output" = "deployment.apps/web patched" ]
    run p scale deploy/web --replicas=2
    [ "$output" = "deployment.apps/web scaled" ]
    run p scale deploy/web --replicas=5 --current-replicas=9
    [ "$status" -eq 1 ]
    p cordon podium-1
    [[ "$(p node list)" == *SchedulingDisabled* ]]
    p node uncordon podium-1
}

@test "rollout: status, history, undo" {
    p rollout status deploy/web --timeout=30s
    p rollout restart deploy/web
    run p rollout status deploy/web --timeout=30s
    [ "${lines[-1]}" = 'deployment "web" successfully rolled out' ]
    [[ "$(p rollout history deploy/web)" == *"2  "* ]]
    run p rollout undo deploy/web
    [ "$output" = "deployment.apps/web rolled back" ]
    p rollout status deploy/web --timeout=30s
}

@test "status: well, then not" {
    p wait pod -l app=web --for=condition=Ready --timeout=30s
    run p status
    [ "$status" -eq 0 ]
    [[ "$output" == *"1 of 1 ready"*"All is well."* ]]
    printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: lost}\nspec: {containers: [{name: x, image: "nowhere:1", imagePullPolicy: Never}]}\n' | p create -f -
    p wait pod/lost --for='jsonpath={.status.containerStatuses[0].state.waiting.reason}=ErrImageNeverPull' --timeout=20s
    run p status
    [ "$status" -eq 1 ]
    [[ "$output" == *"pod default/lost, container x: "*Image* ]]
    p delete pod lost --force
}

@test "mistakes: file and line, unknown fields, unknown things, usage" {
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x\n' >"$T/broken.yaml"
    run p apply -f "$T/broken.yaml"
    [ "$status" -eq 1 ]
    [[ "$output" == *"broken.yaml:"[34]":"* ]]
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndatta: {}\n' >"$T/typo.yaml"
    run p apply -f "$T/typo.yaml"
    [ "$status" -eq 1 ]
    [[ "$output" == *'unknown field "datta"'* ]]
    run p get pots
    [[ "$output" == *'did you mean "pods"?'* ]]
    run p gett pods
    [ "$status" -eq 2 ]
    [[ "$output" == *"Did you mean this?"* ]]
    run p get pods --nonsense
    [ "$status" -eq 2 ]
    run p --server https://127.0.0.1:1 get pods
    [ "$status" -eq 1 ]
    [[ "$output" == *"cannot reach"*"podium up"* ]]
    run p --kubeconfig "$T/none" get pods
    [ "$status" -eq 1 ]
}

@test "kubeconfig is complete by itself; token create prints how to join" {
    p kubeconfig -o "$T/copy"
    [ "$(stat -c %a "$T/copy")" = 600 ]
    p --kubeconfig "$T/copy" get nodes
    echo abcdef.0123456789abcdef >"$T/token"
    run p token create --token-file "$T/token"
    [ "$status" -eq 0 ]
    command -v openssl >/dev/null || skip "no openssl to compare with"
    wanted=$(p kubeconfig | sed -n 's/.*certificate-authority-data: //p' | base64 -d | openssl x509 -pubkey -noout |
        openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1)
    [[ "$output" == *"abcdef.0123456789abcdef"*":6444 "*"--ca-hash sha256:$wanted"* ]]
}

@test "help for every verb" {
    run p help
    [ "$status" -eq 0 ]
    for v in $(p help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p'); do
        case $v in up | down | server | agent | image | restore | node | help) continue ;; esac
        run p help "$v"
        [ "$status" -eq 0 ]
        [[ "$output" == "$v: "* ]]
    done
}

@test "delete waits until things are gone" {
    run p delete -f "$T/web.yaml"
    [ "$status" -eq 0 ]
    [ "${lines[1]}" = 'deployment.apps "web" deleted' ]
    run p get deploy web
    [ "$status" -eq 1 ]
    p wait pod -l app=web --for=delete --timeout=30s
    run p delete cm absent
    [ "$output" = 'Error from server (NotFound): configmaps "absent" not found' ]
    run p delete cm absent --ignore-not-found
    [ "$status" -eq 0 ]
    run p delete cm
    [ "$status" -eq 2 ]
}

@test "the manual names every verb and every flag" {
    man=$(sed 's/\\-/-/g' manifests/man/podium.1)
    for v in $(p help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p'); do
        case $v in up | down | server | agent | image | restore | node | help) continue ;; esac
        grep -q "^\.SS $v\$" <<<"$man" || { echo "$v is missing"; false; }
        section=$(sed -n "/^\.SS $v\$/,/^\.S[SH] /p" <<<"$man")
        for f in $(p help "$v" | sed -n '/^Flags$/,/^Flags of every verb$/s/^ *\(-.,\)\{0,1\} *--\([a-z-]*\).*/\2/p'); do
            grep -q -- "--$f" <<<"$section" || { echo "$v --$f is missing"; false; }
        done
    done
}

@test "completion in bash: verbs, flags, kinds, and names as the cluster has them" {
    complete() { # WORDS…: what is offered for the last one
        PATH=$(dirname "$PODIUM"):$PATH bash -c 'source "$0/manifests/completion/podium.bash"; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _podium; echo "${COMPREPLY[*]}"' "$BATS_TEST_DIRNAME/../.." "$@"
    }
    [ "$(complete podium rol)" = rollout ]
    [[ "$(complete podium get --sel)" == --selector ]]
    [[ " $(complete podium get depl) " == *" deployments "* ]]
    p create configmap completed --from-literal=a=1
    [ "$(complete podium describe configmaps compl)" = completed ]
    p delete configmap completed
}
