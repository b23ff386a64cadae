#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The watched manifest folder: what is in it is in the cluster, what is gone from it is pruned.

load harness

setup_file() { cluster_setup 1; }
teardown_file() { cluster_teardown; }
setup() { find "$MANIFESTS" -mindepth 1 -delete; }
teardown() { cluster_report; }

configmap() { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {a: "%s"}\n' "$1" "$2"; }
is() { [ "$(kube get configmap "$1" -o jsonpath='{.data.a}' 2>/dev/null)" = "$2" ]; }
gone() { [ -z "$(kube get configmap "$1" --ignore-not-found -o name)" ]; }
problems() { kube get configmap podium-manifests -n kube-system -o jsonpath='{.data.problems}'; }
problem() { [[ "$(problems)" == *"$1"* ]]; }

@test "create, change, remove a file: the object follows within a second" {
    configmap made 1 >"$MANIFESTS/made.yaml"
    wait_until 1 is made 1
    configmap made 2 >"$MANIFESTS/made.yaml"
    wait_until 1 is made 2
    rm "$MANIFESTS/made.yaml"
    wait_until 1 gone made
}

@test "atomic rename over a file, as editors and rsync do" {
    configmap renamed 1 >"$MANIFESTS/r.yaml"
    wait_until 2 is renamed 1
    configmap renamed 2 >"$MANIFESTS/.r.yaml.tmp"
    mv "$MANIFESTS/.r.yaml.tmp" "$MANIFESTS/r.yaml"
    wait_until 2 is renamed 2
    # a new name for the same content: the object stays the one it is
    uid=$(kube get configmap renamed -o jsonpath='{.metadata.uid}')
    mv "$MANIFESTS/r.yaml" "$MANIFESTS/s.yaml"
    configmap after 1 >"$MANIFESTS/t.yaml"
    wait_until 2 is after 1
    [ "$(kube get configmap renamed -o jsonpath='{.metadata.uid}')" = "$uid" ]
}

@test "a symlink swap, as Kubernetes' own volumes do" {
    mkdir "$MANIFESTS/..v1" "$MANIFESTS/..v2"
    configmap linked 1 >"$MANIFESTS/..v1/l.yaml"
    configmap linked 2 >"$MANIFESTS/..v2/l.yaml"
    ln -s ..v1 "$MANIFESTS/..data"
    ln -s ..data/l.yaml "$MANIFESTS/l.yaml"
    wait_until 2 is linked 1
    ln -s ..v2 "$MANIFESTS/..tmp"
    mv -T "$MANIFESTS/..tmp" "$MANIFESTS/..data"
    wait_until 2 is linked 2
}

@test "sub-folders, old and new, moved in and away" {
    mkdir -p "$MANIFESTS/a/b"
    configmap deep 1 >"$MANIFESTS/a/b/c.yaml"
    wait_until 2 is deep 1
    mkdir "$T/outside"
    configmap moved 1 >"$T/outside/m.yaml"
    mv "$T/outside" "$MANIFESTS/inside"
    wait_until 2 is moved 1
    rm -r "$MANIFESTS/a"
    wait_until 2 gone deep
    is moved 1
    mv "$MANIFESTS/inside" "$T/outside"
    wait_until 2 gone moved
    rm -r "$T/outside"
}

@test "removal prunes only what came from the file" {
    kube create configmap by-hand --from-literal=a=1
    { configmap one 1; echo ---; configmap two 1; } >"$MANIFESTS/both.yaml"
    wait_until 2 is two 1
    is one 1
    configmap one 1 >"$MANIFESTS/both.yaml"
    wait_until 2 gone two
    is one 1
    rm "$MANIFESTS/both.yaml"
    wait_until 2 gone one
    is by-hand 1
    kube delete configmap by-hand
}

@test "what somebody deleted is made again; what somebody else changed beside it stays" {
    configmap watched 1 >"$MANIFESTS/w.yaml"
    wait_until 2 is watched 1
    kube delete configmap watched
    wait_until 2 is watched 1
    kube label configmap watched extra=label
    configmap watched 2 >"$MANIFESTS/w.yaml"
    wait_until 2 is watched 2
    [ "$(kube get configmap watched -o jsonpath='{.metadata.labels.extra}')" = label ]
}

@test "a broken file is reported by file and line while everything else goes on" {
    configmap sound 1 >"$MANIFESTS/sound.yaml"
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: broken\n data: [\n' >"$MANIFESTS/broken.yaml"
    wait_until 2 problem broken.yaml:5
    is sound 1
    reported() { [[ "$(kube get events -A --field-selector involvedObject.kind=Manifest -o jsonpath='{.items[*].message}')" == *broken.yaml:* ]]; }
    wait_until 2 reported
    # a file that was sound and breaks keeps its objects
    echo '{' >"$MANIFESTS/sound.yaml"
    wait_until 2 problem sound.yaml:
    is sound 1
    configmap other 1 >"$MANIFESTS/other.yaml"
    wait_until 2 is other 1
    configmap sound 2 >"$MANIFESTS/sound.yaml"
    configmap broken 1 >"$MANIFESTS/broken.yaml"
    wait_until 2 is broken 1
    wait_until 2 is sound 2
    fine() { [ -z "$(problems)" ]; }
    wait_until 2 fine
}

@test "what the API refuses is reported: unknown fields, invalid names, unknown kinds" {
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: strict}\ndatas: {a: b}\n' >"$MANIFESTS/a.yaml"
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_Valid}\n' >"$MANIFESTS/b.yaml"
    printf 'apiVersion: orchestra/v1\nkind: Violin\nmetadata: {name: v}\n' >"$MANIFESTS/c.yaml"
    { configmap good 1; printf -- '---\njust: something\n'; } >"$MANIFESTS/d.yaml"
    wait_until 3 problem a.yaml
    wait_until 3 problem b.yaml
    wait_until 3 problem c.yaml
    wait_until 3 problem d.yaml
    problems
    problem datas
    problem Not_Valid
    problem Violin
    rm "$MANIFESTS"/[abcd].yaml
    fine() { [ -z "$(problems)" ]; }
    wait_until 3 fine
}

@test "two files with the same object: the first has it, the second is told" {
    configmap twin 1 >"$MANIFESTS/1.yaml"
    wait_until 2 is twin 1
    configmap twin 2 >"$MANIFESTS/2.yaml"
    wait_until 2 problem 2.yaml
    is twin 1
    rm "$MANIFESTS/1.yaml"
    wait_until 2 is twin 2
}

@test "a namespace and what is in it, in one file; lists; JSON" {
    cat >"$MANIFESTS/ns.yaml" <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: inner, namespace: opera}
---
apiVersion: v1
kind: Namespace
metadata: {name: opera}
Y
    printf '{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"listed"},"data":{"a":"1"}}]}' >"$MANIFESTS/list.json"
    wait_until 2 is listed 1
    inner() { kube get configmap inner -n opera >/dev/null 2>&1; }
    wait_until 5 inner
    rm "$MANIFESTS/ns.yaml"
    no_ns() { [ -z "$(kube get namespace opera --ignore-not-found -o name)" ]; }
    wait_until 10 no_ns
}

@test "files while the server is down: applied and pruned when it is back" {
    configmap before 1 >"$MANIFESTS/before.yaml"
    wait_until 2 is before 1
    on_node 1 systemctl stop podium-server
    rm "$MANIFESTS/before.yaml"
    configmap during 1 >"$MANIFESTS/during.yaml"
    on_node 1 systemctl start podium-server
    wait_until 10 is during 1
    wait_until 5 gone before
}

@test "things that are no manifests: other files, a socket, a dangling link, a loop of links" {
    echo 'not: [valid' >"$MANIFESTS/README.md"
    mkfifo "$MANIFESTS/fifo.yaml"
    ln -s nowhere "$MANIFESTS/dangling.yaml"
    ln -s . "$MANIFESTS/loop"
    ln -s self.yaml "$MANIFESTS/self.yaml"
    : >"$MANIFESTS/empty.yaml"
    echo '# nothing' >"$MANIFESTS/comment.yaml"
    configmap among 1 >"$MANIFESTS/among.yaml"
    wait_until 2 is among 1
    [ "$(on_node 1 systemctl show -P NRestarts podium-server)" = 0 ]
}

@test "five hundred files at once" {
    for i in $(seq 500); do configmap "many-$i" 1 >"$MANIFESTS/$i.yaml"; done
    all() { [ "$(kube get configmap -o name | grep -c many-)" -eq "$1" ]; }
    wait_until 15 all 500
    find "$MANIFESTS" -name '*.yaml' -delete
    wait_until 15 all 0
}
