#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What must go on, come back or converge: without the control plane, after kill -9 at bad moments, after a partition;
# pods that belong to a node alone.

load harness

setup_file() { cluster_setup 2; }
teardown_file() { cluster_teardown; }
teardown() {
    cluster_report
    server start # a test that failed may have left it stopped
}

static_dir=/etc/podium/static-pods
static_pod() { # FILE WORDS: a pod that says them
    on_node 1 sh -c "mkdir -p $static_dir && cat >$static_dir/.new && mv $static_dir/.new $static_dir/$1" <<YAML
apiVersion: v1
kind: Pod
metadata: {name: keeper, labels: {role: static}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: box, image: "nginx:demo", imagePullPolicy: Never, command: [sh, -c, "echo $2; sleep 100000"]}
YAML
}
units() { on_node "$1" systemctl list-units --plain --no-legend --state=active 'podium-pod-*' | awk '{print $1}'; }
unit_like() { units "$1" | grep -c "$2"; }
server() { on_node 1 systemctl "$@" podium-server; }
server_answers() { kube get --raw /readyz >/dev/null 2>&1; }

@test "a static pod runs, is mirrored, has logs and exec; the mirror comes back when it is deleted" {
    static_pod keeper.yaml first
    mirrored() { kube get pod keeper-podium-1 >/dev/null 2>&1; }
    wait_until 20 mirrored
    pod_ready keeper-podium-1 20
    [ "$(pod_get keeper-podium-1 '.metadata.annotations.kubernetes\.io/config\.source')" = file ]
    [ "$(pod_get keeper-podium-1 '.metadata.ownerReferences[0].kind')" = Node ]
    [ "$(kube logs keeper-podium-1)" = first ]
    [ "$(kube exec keeper-podium-1 -- hostname)" = keeper-podium-1 ]
    before=$(pod_get keeper-podium-1 .metadata.uid)
    pid=$(on_node 1 systemctl show -P MainPID "$(units 1 | grep keeper)")
    kube delete pod keeper-podium-1 --wait=false >/dev/null
    another() { [ "$(pod_get keeper-podium-1 .metadata.uid 2>/dev/null)" != "$before" ] && pod_ready keeper-podium-1 1; }
    wait_until 20 another
    [ "$(on_node 1 systemctl show -P MainPID "$(units 1 | grep keeper)")" = "$pid" ] # the pod itself never ended
}

@test "a static pod follows its file, without the control plane, too" {
    server stop
    static_pod keeper.yaml second
    said() { on_node 1 journalctl -q -o cat -n 20 -u 'podium-pod-default-keeper-*' 2>/dev/null | grep -q second; }
    wait_until 20 said
    unit=$(units 1 | grep keeper)
    on_node 1 systemctl restart podium-agent
    one() { [ "$(unit_like 1 keeper)" -eq 1 ]; }
    wait_until 20 one
    [ "$(units 1 | grep keeper)" = "$unit" ]
    server start
    wait_until 20 server_answers
    mirrored() { [ "$(kube logs keeper-podium-1 2>/dev/null)" = second ]; }
    wait_until 30 mirrored
    on_node 1 rm "$static_dir/keeper.yaml"
    kube wait pod/keeper-podium-1 --for=delete --timeout=20s >/dev/null
    none() { [ "$(unit_like 1 keeper)" -eq 0 ]; }
    wait_until 20 none
}

@test "a file that is no pod harms nothing and is told" {
    on_node 1 sh -c "printf 'apiVersion: v1\nkind: Service\nmetadata: {name: x}\n' >$static_dir/wrong.yaml"
    told() { on_node 1 journalctl -q -o cat -u podium-agent | grep -q 'only v1 Pods can be static'; }
    wait_until 20 told
    on_node 1 rm "$static_dir/wrong.yaml"
}

@test "a node that boots while the control plane is away brings its pods back" {
    pod faraway <<'YAML'
nodeName: podium-2
containers:
- {name: box, image: "nginx:demo", command: [sleep, "100000"]}
YAML
    kube create configmap voices --from-literal=a=alto >/dev/null
    pod configured <<'YAML'
nodeName: podium-2
containers:
- {name: box, image: "nginx:demo", command: [sleep, "100000"], envFrom: [{configMapRef: {name: voices}}]}
YAML
    pod once <<'YAML'
nodeName: podium-2
restartPolicy: Never
containers:
- {name: box, image: "nginx:demo", command: [sh, -c, "exit 0"]}
YAML
    pod_ready faraway
    pod_ready configured
    pod_wait once .status.phase=Succeeded
    recorded() { on_node 2 grep -q Succeeded /var/lib/podium/records/pods.json; }
    wait_until 10 recorded
    server stop
    podium_node stop podium-2 --force
    podium_node start podium-2 || true # it waits for a control plane that does not come
    both() { [ "$(unit_like 2 faraway)" -eq 1 ] && [ "$(unit_like 2 configured)" -eq 1 ]; }
    wait_until 30 both
    [ "$(unit_like 2 once)" -eq 0 ] # what ended for good does not begin anew
    server start
    wait_until 20 server_answers
    sings() { [ "$(kube exec configured -- sh -c 'echo $a' 2>/dev/null)" = alto ]; }
    wait_until 30 sings
    pod_ready faraway 30
    [ "$(pod_get once .status.phase)" = Succeeded ]
    pods_gone faraway configured once
}

@test "the server is killed again and again under sixteen writers: what was acknowledged is there, whole" {
    sock=$DIR/nodes/podium-1/run/api.sock
    writer() { # NUMBER: writes until told to end, notes what was acknowledged
        local i code
        for i in $(seq 63); do
            code=$(curl -s --max-time 10 -o /dev/null -w '%{http_code}' --unix-socket "$sock" -H 'Content-Type: application/json' \
                --data "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"w$1-$i\"},\"data\":{\"is\":\"$1/$i\"}}" \
                http://podium/api/v1/namespaces/default/configmaps 2>/dev/null) || true
            [ "$code" != 201 ] || echo "w$1-$i $1/$i" >>"$T/acknowledged.$1"
            [ "$code" = 201 ] || sleep 0.1
        done
    }
    for n in $(seq 16); do
        : >"$T/acknowledged.$n"
        writer "$n" 3>&- &
    done
    for _ in 1 2 3; do
        sleep 0.4
        on_node 1 systemctl kill -s KILL podium-server || true
        wait_until 20 server_answers
    done
    wait
    wait_until 20 server_answers
    kube get configmaps -o json >"$T/all.json"
    cat "$T"/acknowledged.* | sort >"$T/acknowledged"
    echo "$(wc -l <"$T/acknowledged") acknowledged"
    [ "$(wc -l <"$T/acknowledged")" -gt 300 ]
    jq -r '.items[] | select(.metadata.name | test("^w[0-9]+-")) | "\(.metadata.name) \(.data.is)"' "$T/all.json" | sort >"$T/there"
    [ -z "$(comm -23 "$T/acknowledged" "$T/there")" ]
    # nothing half-written: every object is complete, and revisions are unlike
    jq -e '[.items[] | select(.metadata.name | test("^w[0-9]+-")) | select(.data.is == null or .metadata.uid == null)] | length == 0' "$T/all.json"
    jq -e '[.items[].metadata.resourceVersion] | length == (unique | length)' "$T/all.json"
    kube delete configmaps --all --wait=false >/dev/null
}

@test "the agents are killed at random points of a hundred starts and stops: all converges, nothing is left" {
    kube create deployment many --image=nginx:demo --replicas=0 -- sleep 100000 >/dev/null
    kube patch deployment many -p '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":1}}}}' >/dev/null
    for size in 25 0 25 5; do
        kube scale deployment many --replicas=$size >/dev/null
        for _ in 1 2 3; do
            sleep "0.$((RANDOM % 5 + 1))"
            on_node $((RANDOM % 2 + 1)) systemctl kill -s KILL podium-agent || true
        done
    done
    kube rollout status deployment/many --timeout=90s
    five() { [ "$(kube get pods -l app=many --no-headers | grep -c ' Running ')" -eq 5 ] && [ "$(kube get pods -l app=many --no-headers | wc -l)" -eq 5 ]; }
    wait_until 60 five
    kube delete deployment many --cascade=foreground --timeout=60s >/dev/null
    for n in 1 2; do
        left() {
            units "$n" | grep many || true
            on_node "$n" find /sys/fs/cgroup -type d -name 'podium-pod-default-many*'
            on_node "$n" ip -o link show type veth | grep -v ' eth0@' || true
            on_node "$n" find /run/podium/pods /var/lib/podium/pods -mindepth 1 -maxdepth 1
        }
        clean() { [ -z "$(left)" ]; }
        wait_until 30 clean || { left; false; }
    done
}

@test "a partition: the node is given up, its pods are replaced; healed, the old ones go" {
    kube create deployment split --image=nginx:demo --replicas=2 -- sleep 100000 >/dev/null
    kube patch deployment split -p '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":1}}}}' >/dev/null
    kube rollout status deployment/split --timeout=30s
    on_node 2 nft -f - <<'NFT'
table inet partition {
    chain out { type filter hook output priority 0; tcp dport 6444 drop; }
    chain in { type filter hook input priority 0; tcp sport 6444 drop; }
}
NFT
    kube wait node/podium-2 --for=condition=Ready=Unknown --timeout=60s >/dev/null
    here() { [ "$(kube get pods -l app=split --field-selector=spec.nodeName=podium-1 --no-headers | grep -c ' Running ')" -eq 2 ]; }
    wait_until 60 here
    [ "$(unit_like 2 split)" -ge 1 ] # cut off, it plays on
    on_node 2 nft delete table inet partition
    kube wait node/podium-2 --for=condition=Ready=True --timeout=60s >/dev/null
    gone() { [ "$(unit_like 2 split)" -eq 0 ]; }
    wait_until 60 gone
    two() { [ "$(kube get pods -l app=split --no-headers | wc -l)" -eq 2 ]; }
    wait_until 60 two
    kube delete deployment split --cascade=foreground --timeout=30s >/dev/null
}
