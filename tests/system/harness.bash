# SPDX-License-Identifier: GPL-2.0-or-later
# What the system tests share: a real local cluster per file, commands on its nodes, kubectl with a home of its own,
# and the state of the host, to compare before and after.
#
# A file that needs a cluster says:
#     load harness
#     setup_file() { cluster_setup 2; }        # nodes; sets the variables below, brings the cluster up, imports the image
#     teardown_file() { cluster_teardown; }    # brings it down, and fails when anything is left on the host
# Variables: ROOT (the checkout), BIN (podium and baton), CLUSTER (name), DIR (folder), MANIFESTS (the watched folder),
# IMAGE (archive of nginx:demo: nginx and busybox).
# BUILD chooses the build folder (default build), KUBECTL the client (default kubectl, else the file is skipped).

bats_require_minimum_version 1.5.0

# What needs no cluster of its own: paths, kubectl, the image.
system_setup() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    BUILD=${BUILD:-build}
    case $BUILD in /*) BIN=$BUILD ;; *) BIN=$ROOT/$BUILD ;; esac
    [ -x "$BIN/podium" ] || {
        echo "no $BIN/podium: run make BUILD=$BUILD" >&2
        return 1
    }
    KUBECTL=${KUBECTL:-kubectl}
    command -v "$KUBECTL" >/dev/null || skip "no kubectl here (KUBECTL names another one)"
    T=$BATS_FILE_TMPDIR
    HOME=$T
    CLUSTER=t$$
    DIR=$T/$CLUSTER
    MANIFESTS=$T/manifests
    IMAGE=$BIN/test-image/nginx.tar
    KUBECONFIG=$DIR/kubeconfig
    export ROOT BUILD BIN KUBECTL T HOME CLUSTER DIR MANIFESTS IMAGE KUBECONFIG
    mkdir -p "$MANIFESTS" "$(dirname "$IMAGE")"
}

image_setup() {
    (flock 9 && "$ROOT/tests/demo/make-image" "$IMAGE" nginx:demo) 9>"$IMAGE.lock" >&2
}

cluster_setup() { # NODES
    system_setup
    image_setup
    host_state >"$T/host.before"
    "$BIN/podium" up --nodes "$1" --name "$CLUSTER" --dir "$DIR" --manifests "$MANIFESTS" 3>&- >&2 || return 1
    "$BIN/podium" image import "$IMAGE" --cluster "$CLUSTER" --dir "$DIR" --quiet 3>&- >&2 || return 1
    # client-go asks for all of the discovery once; every later call finds it here
    kube api-resources >/dev/null
}

cluster_teardown() {
    [ -n "${DIR:-}" ] || return 0
    local reports=0
    if [ -e "$DIR" ]; then
        no_sanitizer_reports || reports=1
        "$BIN/podium" down --name "$CLUSTER" --dir "$DIR" 3>&- >&2 || return 1
    fi
    [ ! -e "$T/host.before" ] || host_unchanged "$T/host.before"
    return $reports
}

# In a sanitizer build: what the programs on the nodes were found to do wrong is in the journals. The programs are
# stopped first, since leaks are told at their end.
no_sanitizer_reports() {
    grep -q 'lib[at]san\.so' "$BIN/podium" || return 0
    local n found=0
    for n in 1 2 3; do
        [ -d "$DIR/nodes/podium-$n" ] || continue
        on_node $n systemctl stop podium-server podium-agent 'podium-pod-*' || true
        on_node $n journalctl --no-pager -q -o short-monotonic >"$T/journal" || continue
        if grep -qE "$SANITIZER_REPORT" "$T/journal"; then
            echo "sanitizer reports on node $n:"
            grep -E -A 40 "$SANITIZER_REPORT" "$T/journal" | head -n 400
            found=1
        fi
    done >&2
    return $found
}
SANITIZER_REPORT='ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:'

# When a test fails: what the cluster looked like. Call it from teardown().
cluster_report() {
    [ -z "${BATS_TEST_COMPLETED:-}" ] && [ -z "${BATS_TEST_SKIPPED:-}" ] || return 0
    [ -e "$KUBECONFIG" ] || return 0
    kube get pods -A -o wide 2>&1 || true
    kube get events -A --sort-by=.metadata.creationTimestamp 2>&1 | tail -n 12 || true
    for n in 1 2; do
        on_node $n journalctl --no-pager -q -p notice -n 12 2>/dev/null || true
    done
}

kube() { timeout -k 5 60 "$KUBECTL" --cache-dir="$T/kube-cache" "$@"; }

on_node() { # NUMBER COMMAND…: as if logged in there
    local n=$1
    shift
    "$BIN/baton" --root "$DIR/runtime" exec "$CLUSTER-podium-$n" "$@" 3>&-
}
node_number() { echo "${1#podium-}"; }

podium_node() { "$BIN/podium" node "$@" --name "$CLUSTER" --dir "$DIR" 3>&-; }

# For what no watch tells: asks until the command succeeds. A deadline under 20 s is taken as 20 s: it says how fast it
# is expected to be, while the machine may be busy with something else.
wait_until() { # SECONDS COMMAND…
    local end=$(($(date +%s%N) + ($1 < 20 ? 20 : $1) * 1000000000))
    shift
    until "$@"; do
        [ "$(date +%s%N)" -lt "$end" ] || {
            echo "waited in vain for: $*" >&2
            return 1
        }
        sleep 0.05
    done
}
not() { ! "$@"; }

# --- pods ---

# pod NAME [YAML of metadata]: the spec comes from standard input, without indentation.
pod() {
    {
        printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s, labels: {test: %s}%s}\nspec:\n' "$1" "$1" "${2:+, $2}"
        printf '  terminationGracePeriodSeconds: 1\n'
        sed 's/^/  /'
    } | kube create -f - >/dev/null
}
pod_wait() { # NAME jsonpath=VALUE [SECONDS]: '.status.phase=Running'
    kube wait "pod/$1" --for="jsonpath={${2%%=*}}=${2#*=}" --timeout="${3:-30}s" >/dev/null
}
pod_ready() { kube wait "pod/$1" --for=condition=Ready --timeout="${2:-30}s" >/dev/null; }
pod_get() { kube get pod "$1" -o jsonpath="{$2}"; } # NAME .path
pod_node() { node_number "$(pod_get "$1" .spec.nodeName)"; }
pod_unit() { # NAME [NAMESPACE]
    local uid
    uid=$(kube get pod "$1" -n "${2:-default}" -o jsonpath='{.metadata.uid}')
    echo "podium-pod-${2:-default}-$1-${uid:0:8}.service"
}
# PIDs of a container, as its node sees them
container_pids() { # POD CONTAINER
    local n cg
    n=$(pod_node "$1")
    cg=$(on_node "$n" systemctl show -P ControlGroup "$(pod_unit "$1")")
    on_node "$n" cat "/sys/fs/cgroup$cg/$2/cgroup.procs"
}
container_pid() { container_pids "$@" | head -n 1; }
has_event() { # KIND NAME REASON
    [ -n "$(kube get events --field-selector "involvedObject.kind=$1,involvedObject.name=$2,reason=$3" -o name)" ]
}
pods_gone() { # NAME…
    kube delete pod "$@" --wait=false --ignore-not-found --grace-period=1 >/dev/null
    for p in "$@"; do kube wait "pod/$p" --for=delete --timeout=30s >/dev/null; done
}

# --- the API without kubectl ---

# api METHOD PATH [CURL OPTIONS]: through the node's root-only socket; sets STATUS (code) and BODY
api() {
    local method=$1 path=$2 type=(-H 'Content-Type: application/json')
    shift 2
    [[ "$*" != *Content-Type:* ]] || type=()
    BODY=$(curl -sS --max-time 20 --unix-socket "$DIR/nodes/podium-1/run/api.sock" -X "$method" "${type[@]}" -w '\n%{http_code}' \
        "$@" "http://podium$path")
    STATUS=${BODY##*$'\n'}
    BODY=${BODY%$'\n'*}
}

# --- the host ---

# All that a cluster could leave behind, one line each. What belongs to other clusters on this machine (their bridges,
# cgroups and processes carry their names) is not listed, since they come and go as they like.
host_state() {
    command_line() { { tr '\0' ' ' <"$1/cmdline"; } 2>/dev/null; }
    another_file() { # PROC: started by a test file that runs at the same time
        { tr '\0' '\n' <"$1/environ" | grep '^BATS_FILE_TMPDIR=' | grep -qvxF "BATS_FILE_TMPDIR=$T"; } 2>/dev/null
    }
    local p cg m
    for p in /proc/[0-9]*; do
        cg=$(cat "$p/cgroup" 2>/dev/null) || continue
        case $cg in
        *podium-local-"$CLUSTER"* | *baton-"$CLUSTER"*) ;;
        *podium-local-*) continue ;;
        esac
        case "$cg $(readlink "$p/exe" 2>/dev/null) $(command_line "$p")" in
        *podium-local-*) echo "process ${p#/proc/} in a cluster's cgroup" ;;
        *" $BIN/podium"* | *" $BIN/baton"*) another_file "$p" || echo "process ${p#/proc/} $(command_line "$p")" ;;
        esac
    done
    # what others mount below /tmp is theirs
    awk -v t="$T" -v b="$BIN" '$5 !~ "^/tmp/" || index($5, t) || index($5, b) { print "mount", $4, $5, $6 }' /proc/self/mountinfo
    for m in /sys/class/net/*; do
        p=$(basename "$(readlink "$m/master" 2>/dev/null)")
        case ${m##*/}/$p in
        "pdm-$CLUSTER/"* | */"pdm-$CLUSTER") echo "link ${m##*/}" ;;
        pdm-*/* | */pdm-*) ;;
        *) echo "link ${m##*/}" ;;
        esac
    done
    find /sys/fs/cgroup -type d \( -name '*podium*' -o -name '*baton*' -o -name "*$CLUSTER*" \) -prune -print 2>/dev/null |
        grep -E "/(podium-local-$CLUSTER|podium-pod.*|baton-$CLUSTER.*)\$" | sed 's/^/cgroup /'
    if command -v nft >/dev/null; then nft list tables 2>/dev/null | sed 's/^/nftables /'; fi
    ip netns list 2>/dev/null | sed 's/^/netns /'
    ip route show table all 2>/dev/null | grep -vE ' dev (pdm-|pod)' | grep -v ' expires ' | sed 's/^/route /'
    ip -o address 2>/dev/null | awk '$2 !~ /^(pdm-|pod)/ { print "address", $2, $4 }'
    for p in net/ipv4/ip_forward net/ipv4/conf/all/forwarding net/ipv4/conf/all/rp_filter kernel/hostname \
        kernel/core_pattern kernel/pid_max fs/nr_open vm/overcommit_memory; do
        echo "sysctl $p $(cat /proc/sys/$p 2>/dev/null)"
    done
    find /etc -xdev -printf 'file %p %T@ %s %m\n' 2>/dev/null
    find /run /var/lib /dev/shm -xdev -maxdepth 1 -printf 'file %p\n' 2>/dev/null
    find /run /var/lib -xdev -mindepth 2 -maxdepth 3 \( -path '*podium*' -o -path '/run/netns/*' \
        -o -path '/run/dbus/*' -o -path "*$CLUSTER*" \) -printf 'file %p\n' 2>/dev/null
    find /tmp /var/tmp -maxdepth 1 \( -name "*$CLUSTER*" -o -name 'systemd-*' \) -printf 'file %p\n'
}

host_unchanged() { # FILE written by host_state
    local i
    for i in 1 2 3 4 5; do
        host_state | sort >"$T/host.after"
        # what somebody else removed in the meantime is no concern
        sort "$1" | diff - "$T/host.after" | grep '^[<>]' | grep -vE '^< (file /(tmp|var|run|dev)/|link pod)' >"$T/host.diff" || return 0
        sleep 0.3 # what another cluster does at this moment
    done
    echo "the host is not as before:" >&2
    cat "$T/host.diff" >&2
    return 1
}
