# SPDX-License-Identifier: GPL-2.0-or-later
# In a test machine: what the scripts of the tests find ready (BASH_ENV of the runner's bash). They end at the first error.
set -e

# --- baton: a bundle of busybox in /tmp/b ---
bundle() {
    [ -d /tmp/b/rootfs ] && return
    mkdir -p /tmp/b/rootfs
    tar -xOf /usr/share/vm/busybox.tar layer/layer.tar | tar -x -C /tmp/b/rootfs
}
# config COMMAND…: a config.json that runs it, without terminal; edit FILTER changes it afterwards (jq)
config() {
    bundle
    rm -f /tmp/b/config.json
    baton spec -b /tmp/b
    # shellcheck disable=SC2016
    edit '.process.terminal = false | .root.readonly = false | .process.args = $args' \
        --argjson args "$(printf '%s\x1e' "$@" | jq -Rs 'split("\u001e")[:-1]')"
}
edit() {
    jq "$@" </tmp/b/config.json >/tmp/b/config.new && mv /tmp/b/config.new /tmp/b/config.json
}
# The cgroup of a container of baton, as a folder
group_of() { echo "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(baton state "$1" | jq .pid)/cgroup")"; }

# --- pods ---
# cluster: control plane and agent of this machine, with the image busybox:vm
cluster() {
    mkdir -p /var/lib/podium/images.d
    cp /usr/share/vm/busybox.tar /var/lib/podium/images.d/busybox.tmp
    mv /var/lib/podium/images.d/busybox.tmp /var/lib/podium/images.d/busybox.tar
    systemctl enable -q podium-server.socket podium-server podium-agent
    systemctl start podium-server.socket podium-server podium-agent
    until_true 120 podium get node "$(hostname)" >/dev/null 2>&1
    podium wait node --all --for=condition=Ready --timeout=120s
    until_true 120 podium get serviceaccount default >/dev/null 2>&1
}
# join: the agent of this machine alone, told where to go as `podium token create` says (standard input)
join() {
    local said
    said=$(cat)
    eval "$(sed -n '/^(umask/p' <<<"$said")"
    sed -nE 's/^podium agent --server (\S+) --token-file (\S+) --ca-hash (\S+)$/[Agent]\nServer=\1\nTokenFile=\2\nCaHash=\3/p' \
        <<<"$said" >/etc/podium/podium.conf
    mkdir -p /var/lib/podium/images.d
    cp /usr/share/vm/busybox.tar /var/lib/podium/images.d/
    systemctl enable -q podium-agent
    systemctl restart podium-agent
}
joined() { # NODE…: they are there, and Ready
    local node
    for node in "$@"; do until_true 120 podium get node "$node" >/dev/null; done
    podium wait node "$@" --for=condition=Ready --timeout=120s
}
# pod NAME: the spec comes from standard input, without indentation
pod() {
    {
        printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  terminationGracePeriodSeconds: 1\n' "$1"
        sed 's/^/  /'
    } | podium create -f -
}
pod_wait() { podium wait "pod/$1" --for="jsonpath={${2%%=*}}=${2#*=}" --timeout="${3:-90}s"; } # NAME .path=VALUE
pod_get() { podium get pod "$1" -o jsonpath="{$2}"; }                                          # NAME .path
pods_gone() { podium delete pod "$@" --grace-period=1 --timeout=90s; }
# The cgroup of a pod, or of its container, as a folder
pod_group() { # POD [CONTAINER]
    local uid
    uid=$(pod_get "$1" .metadata.uid)
    echo "/sys/fs/cgroup$(systemctl show -P ControlGroup "podium-pod-default-$1-${uid:0:8}.service")${2:+/$2}"
}
cpu_usec() { sed -n 's/^usage_usec //p' "$1/cpu.stat"; }

# For what no event tells: asks until the command succeeds.
until_true() { # SECONDS COMMAND…
    local end=$((SECONDS + $1))
    shift
    until "$@" 2>/dev/null; do
        [ $SECONDS -lt $end ] || {
            echo "waited in vain for: $*" >&2
            return 1
        }
        sleep 0.2
    done
}
