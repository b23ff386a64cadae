#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The parts of the OCI specification that need a partner outside: a seccomp agent, a user namespace of somebody else,
# network devices, a socket for the pidfd; and the verbs' options that only some engines use. BATON names the program.

bats_require_minimum_version 1.5.0
load bundle

setup_file() {
    cc -O1 -static -o "$BATS_FILE_TMPDIR/listener" "$BATS_TEST_DIRNAME/oci/listener.c"
}

setup() {
    bundle_setup sh true cat ls id env pwd sleep mount mkdir touch echo grep kill stat readlink ip cut head test dd
    config sh -c true
}

teardown() {
    [ -n "${T:-}" ] || return 0
    baton delete --force "$ID" >/dev/null 2>&1 || true
    [ -z "${AGENT:-}" ] || kill -- "-$AGENT" 2>/dev/null || true
    [ -z "${U:-}" ] || rm -rf "$U"
    for p in ${HOLDERS:-}; do kill "$p" 2>/dev/null || true; done
}

run_container() { run -"${1}" --separate-stderr "$VIEW" "$BATON" --root "$T/state" run "${@:2}" -b "$T/b" "$ID" </dev/null; }

nothing_left() {
    [ -z "$(ls -A "$T/state")" ]
    ! "$VIEW" test -e "/sys/fs/cgroup/baton-$ID" || false
    ! grep -q "$T" /proc/self/mountinfo || false
}

# refused TEXT: the container is not made, the error says why, nothing remains
refused() {
    run_container 1
    [[ "$stderr" == *"$1"* ]] || { echo "$stderr"; false; }
    nothing_left
}

wait_for() { for _ in $(seq 500); do ! "$@" || return 0; sleep 0.02; done; echo "not reached: $*"; return 1; }

# agent ERRNO: a seccomp agent at $T/agent that answers so
agent() {
    setsid "$BATS_FILE_TMPDIR/listener" "$T/agent" "$T/log" "$1" 3>&- &
    AGENT=$!
    wait_for test -e "$T/agent"
}

# state_at N KEY ...: a value of the Nth container process state the agent got
state_at() {
    python3 - "$T/log" "$@" <<'PY'
import json, sys
v = json.loads(open(sys.argv[1]).readlines()[int(sys.argv[2])])
for k in sys.argv[3:]:
    v = v[k]
print(v if isinstance(v, (str, int)) else json.dumps(v))
PY
}

notify() { # [PROPERTY ...]: mkdir is for the agent
    edit 'c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": a[0], "listenerMetadata": "of-test",
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]}' "$T/agent"
}

@test "seccomp: calls are answered by the listener, with and without no_new_privs, by run and by create" {
    config sh -c 'mkdir /none/at/all && ! test -e /none && echo answered'
    agent 0
    notify
    for privs in True False; do
        edit "c['process']['noNewPrivileges'] = $privs; c['process']['capabilities']['bounding'].append('CAP_SYS_ADMIN')"
        run_container 0
        [ "$output" = answered ]
    done
    [ "$(state_at 0 metadata)" = of-test ]
    [ "$(state_at 0 fds)" = '["seccompFd"]' ]
    [ "$(state_at 0 state id)" = "$ID" ]
    [ "$(state_at 0 state bundle)" = "$T/b" ]
    [ "$(state_at 1 ociVersion)" = "$(state_at 1 state ociVersion)" ]
    for privs in True False; do
        edit "c['process']['noNewPrivileges'] = $privs"
        baton create -b "$T/b" --pid-file "$T/pid" "$ID" </dev/null >"$T/out" 2>&1 3>&-
        baton start "$ID"
        wait_for grep -q answered "$T/out"
        baton delete --force "$ID"
        [ "$(tail -n 1 "$T/log" | python3 -c 'import json, sys; c = json.load(sys.stdin); print(c["pid"], c["state"]["pid"])')" = \
            "$(cat "$T/pid") $(cat "$T/pid")" ]
    done
    nothing_left
}

@test "seccomp: the listener's error reaches the process, also that of an exec" {
    config sleep 100
    agent 28 # ENOSPC
    notify
    edit 'c["linux"]["seccomp"]["flags"] = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"]'
    baton run -d -b "$T/b" "$ID" </dev/null >/dev/null 2>&1 3>&-
    run -1 --separate-stderr baton exec "$ID" mkdir /tmp/x
    [[ "$stderr" == *"No space left on device"* ]]
    [ "$(state_at 1 state status)" = running ]
    [ "$(state_at 1 pid)" != "$(state_at 0 pid)" ]
}

@test "seccomp: a listener that is not there, and what cannot be notified of, are refused" {
    config true
    notify
    refused "linux.seccomp.listenerPath: cannot connect to the socket $T/agent"
    edit 'del c["linux"]["seccomp"]["listenerPath"]'
    refused "listenerMetadata needs listenerPath"
    edit 'del c["linux"]["seccomp"]["listenerMetadata"]'
    refused "SCMP_ACT_NOTIFY needs listenerPath"
    edit 's = c["linux"]["seccomp"]; s["listenerPath"] = "/x"; s["syscalls"][0]["names"] = ["read", "write"]'
    refused "SCMP_ACT_NOTIFY cannot be used for write"
    edit 's = c["linux"]["seccomp"]; s["defaultAction"] = "SCMP_ACT_NOTIFY"; del s["syscalls"]'
    refused "cannot be the default action"
    # a path that nothing uses: nothing is sent there
    edit 's = c["linux"]["seccomp"]; s["defaultAction"] = "SCMP_ACT_ALLOW"'
    run_container 0
}

# hold UNSHARE-OPTION ...: sets H to a process in new namespaces, with ids 0 to 65535 from 100000 on in a user namespace
hold() {
    unshare "$@" sleep 1000 3>&- >/dev/null 2>&1 &
    H=$!
    HOLDERS="${HOLDERS:-} $H"
    wait_for sh -c '[ "$(readlink /proc/$0/exe)" = "$(readlink -f "$(command -v sleep)")" ]' "$H"
    [[ " $* " != *" --user "* ]] || [ -n "${MAPS:-}" ] || for map in uid gid; do echo 0 100000 65536 >"/proc/$H/${map}_map"; done
    N=/proc/$H/ns
}

# own_root: the root where its owner, mapped root, has a way in, which the usual temporary folder does not give
own_root() {
    if [ -z "${U:-}" ]; then
        U=$(mktemp -d)
        chmod 755 "$U"
        cp -a "$T/b/rootfs" "$U/rootfs"
        chown -R 100000:100000 "$U/rootfs"
    fi
    edit 'c["root"]["path"] = a[0] + "/rootfs"' "$U"
}

mapped() {
    edit 'c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]'
}

join() { # TYPE PATH: the namespace by path instead of a new one
    edit 'c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] != a[0]] + [{"type": a[0], "path": a[1]}]' "$@"
}

@test "a user namespace by path: ids, ownership of what is made, exec, its own mappings or none given" {
    hold --user
    config sh -c 'id -u; readlink /proc/self/ns/user; stat -c %u:%g /dev/shm /dev/pts/ptmx /data/of-host; touch /data/f;
    cat /proc/self/uid_map; cat /proc/self/oom_score_adj; sleep 100'
    own_root
    mkdir -m 777 "$U/data"
    touch "$U/data/of-host" && chown 7:7 "$U/data/of-host"
    edit 'c["root"]["readonly"] = False; c["process"]["oomScoreAdj"] = 123
c["mounts"].append({"destination": "/data", "type": "bind", "source": a[0] + "/data", "options": ["bind", "idmap"]})' "$U"
    join user "$N/user"
    ids=$(readlink "$N/user")
    baton create -b "$T/b" --pid-file "$T/pid" "$ID" </dev/null >"$T/out" 2>&1 3>&-
    baton start "$ID"
    wait_for grep -qx 123 "$T/out"
    [ "$(xargs <"$T/out")" = "0 $ids 0:0 0:0 7:7 0 100000 65536 123" ] || { cat "$T/out"; false; }
    [ "$(stat -c %u "$U/data/f")" = 0 ] # as the id-mapped mount says, and 100000 in the process:
    [ "$(awk '/^Uid/ {print $2}' "/proc/$(cat "$T/pid")/status")" = 100000 ]
    [ "$(baton exec "$ID" sh -c 'id -u; readlink /proc/self/ns/user' | paste -sd ' ')" = "0 $ids" ]
    baton delete --force "$ID"
    config readlink /proc/self/ns/user
    own_root
    join user "$N/user"
    mapped
    run_container 0
    [ "$output" = "$ids" ]
    edit 'c["linux"]["uidMappings"][0]["hostID"] = 200000'
    refused "are not those of the user namespace"
    edit 'c["linux"]["namespaces"][-1] = {"type": "user"}; del c["linux"]["uidMappings"]'
    refused "linux.uidMappings: are missing"
    join user /proc/self/ns/net
    refused "cannot join the user namespace"
    MAPS=none hold --user
    join user "$N/user"
    refused "the user namespace to join has no uid_map"
    join user /proc/self/ns/user # the caller's own: nothing to join
    edit 'del c["linux"]["gidMappings"]'
    run_container 0
    [ "$output" = "$(readlink /proc/self/ns/user)" ]
}

@test "namespaces of a user namespace, and of the host beside a new user namespace, are joined by path" {
    hold --user --net --uts --ipc --cgroup --time
    all='for n in user net uts ipc cgroup time pid mnt; do readlink /proc/self/ns/$n; done; sleep 100'
    config sh -c "$all"
    own_root
    for t in user uts ipc cgroup time; do join $t "$N/$t"; done
    join network "$N/net"
    edit 'c.pop("hostname")'
    baton run -d -b "$T/b" --pid-file "$T/pid" "$ID" </dev/null >"$T/out" 2>&1 3>&-
    wait_for grep -q mnt "$T/out"
    [ "$(head -n 6 "$T/out")" = "$(for n in user net uts ipc cgroup time; do readlink "$N/$n"; done)" ] || { cat "$T/out"; false; }
    # one more container beside it, in its pid namespace, too
    C=/proc/$(cat "$T/pid")/ns
    config sh -c 'readlink /proc/self/ns/pid; cat /proc/1/comm'
    own_root
    edit 'c.pop("hostname")'
    join user "$C/user"
    join pid "$C/pid"
    join network "$C/net"
    [ "$(baton run -b "$T/b" "$ID-2" </dev/null | xargs)" = "$(readlink "$C/pid") sleep" ]
    config sh -c "$all"
    own_root
    # the new ones belong to it: its root may enter them
    nsenter --user="$N/user" --mount="/proc/$(cat "$T/pid")/ns/mnt" -S 0 -G 0 /bin/busybox true
    [ "$(baton exec "$ID" sh -c "${all%; sleep*}")" = "$(cat "$T/out")" ]
    baton delete --force "$ID"
    # of the host, entered before the new user namespace is made
    user=$(readlink "$N/user")
    hold --net --uts
    mapped
    edit 'c.pop("hostname"); c["linux"]["namespaces"].append({"type": "user"})
c["mounts"] = [m for m in c["mounts"] if m["type"] != "sysfs" and m["type"] != "cgroup"]'
    join network "$N/net"
    join uts "$N/uts"
    baton run -d -b "$T/b" "$ID" </dev/null >"$T/out" 2>&1 3>&-
    wait_for grep -q mnt "$T/out"
    [ "$(sed -n '2p;3p' "$T/out")" = "$(readlink "$N/net" "$N/uts")" ] || { cat "$T/out"; false; }
    ! grep -qF "$user" "$T/out" || false
}

@test "a time namespace by path" {
    hold --user --time
    config readlink /proc/self/ns/time
    join time "$N/time"
    run_container 0
    [ "$output" = "$(readlink "$N/time")" ]
    edit 'c["linux"]["timeOffsets"] = {"boottime": {"secs": 1}}'
    refused "linux.timeOffsets: need a new time namespace"
}

@test "the loopback link of a new network namespace is up" {
    config cat /proc/net/if_inet6 /sys/class/net/lo/flags
    run_container 0
    [[ "$output" == *0x9 ]] # IFF_UP, IFF_LOOPBACK
}

@test "oom score in a new user namespace" {
    config cat /proc/self/oom_score_adj
    mapped
    own_root
    edit 'c["linux"]["namespaces"].append({"type": "user"}); c["process"]["oomScoreAdj"] = 321'
    run_container 0
    [ "$output" = 321 ]
}

@test "a writable group belongs to the container's user, a read-only one does not" {
    config sh -c 'mkdir /sys/fs/cgroup/a && echo $$ >/sys/fs/cgroup/a/cgroup.procs && grep ^0: /proc/self/cgroup; stat -c %u /sys/fs/cgroup /sys/fs/cgroup/cgroup.max.depth'
    edit 'c["process"]["user"]["uid"] = 7
c["mounts"][-1]["options"].remove("ro")'
    run_container 0
    [ "$(echo "$output" | xargs)" = "0::/a 7 0" ]
    edit 'c["linux"]["namespaces"].append({"type": "user"})'
    mapped
    own_root
    run_container 0
    [ "$(echo "$output" | xargs)" = "0::/a 7 65534" ]
    edit 'c["process"]["user"]["uid"] = 65536'
    refused "user 65536 is not mapped"
    config stat -c %u /sys/fs/cgroup
    edit 'c["process"]["user"]["uid"] = 7'
    run_container 0
    [ "$output" = 0 ]
    nothing_left
}

# in_net SCRIPT: the script in a network namespace with the devices v0 and w0 (and their peers), $0 is baton's command
in_net() {
    unshare --net sh -ec 'ip link add v0 type veth peer name v1; ip link add w0 type veth peer name w1
    ip addr add 10.1.2.3/24 brd + dev v0; ip -6 addr add fd00::7/64 nodad dev v0; ip -6 addr add fe80::9/64 nodad dev v0; ip link set v0 up; ip link set v1 up
    baton() { "$VIEW" "$BATON" --root "$T/state" "$@"; }
    '"$1"
}

@test "network devices move into the container, with their addresses, under another name" {
    command -v ip >/dev/null || skip "needs iproute2"
    export VIEW BATON T ID
    config sh -c 'ip -o addr show dev eth0; ip -o link show w0'
    edit 'c["linux"]["netDevices"] = {"v0": {"name": "eth0"}, "w0": {}}'
    in_net 'baton run -b "$T/b" "$ID" </dev/null' >"$T/out"
    grep -q 'eth0.*inet 10.1.2.3/24 brd 10.1.2.255' "$T/out"
    grep -q 'eth0.*inet6 fd00::7/64' "$T/out"
    ! grep -q 'fe80::9' "$T/out" || false
    grep -q 'w0@.*[<,]UP' "$T/out"
    # with a user namespace, and by create and start
    edit 'c["linux"]["namespaces"].append({"type": "user"})'
    mapped
    own_root
    in_net 'baton create -b "$T/b" "$ID" </dev/null >"$T/out" 2>&1; baton start "$ID"
    until grep -q w0 "$T/out"; do sleep 0.02; done; baton delete --force "$ID"'
    grep -q 'eth0.*inet 10.1.2.3/24 brd 10.1.2.255' "$T/out"
    # an existing namespace by path
    hold --net
    config true
    edit 'c["linux"]["netDevices"] = {"v0": {"name": "eth0"}}'
    join network "$N/net"
    export N
    in_net 'baton run -b "$T/b" "$ID" </dev/null; nsenter --net="$N/net" ip -o addr' | grep -q 'eth0.*inet 10.1.2.3/24'
}

@test "network devices: what cannot be moved is refused, and a creation that fails gives them back" {
    command -v ip >/dev/null || skip "needs iproute2"
    export VIEW BATON T ID
    show='ip -o -4 addr show dev v0; ip -o -6 addr show dev v0; ip -o link show up dev v0'
    config true
    for bad in '{"v0": {"name": "eth0"}, "none": {}}|none: No such device' '{"v0": {"name": "lo"}}|v0: the container has a device lo' \
        '{"v0": {}, "lo": {}}|the loopback device stays' '{"v0": {"name": "x"}, "w0": {"name": "x"}}|comes twice'; do
        edit 'c["linux"]["netDevices"] = json.loads(a[0])' "${bad%|*}"
        in_net 'baton run -b "$T/b" "$ID" </dev/null 2>"$T/err" || '"$show" >"$T/out"
        grep -qF "${bad#*|}" "$T/err" || { cat "$T/err"; false; }
        grep -q 'inet 10.1.2.3/24 brd 10.1.2.255' "$T/out"
        grep -q 'inet6 fd00::7/64' "$T/out"
        grep -q 'v0@' "$T/out"
        nothing_left
    done
    config /none
    edit 'c["linux"]["netDevices"] = {"v0": {"name": "eth0"}}'
    in_net 'baton run -b "$T/b" "$ID" </dev/null 2>"$T/err" || '"$show" >"$T/out"
    grep -q '/none' "$T/err"
    [ "$(grep -c 'inet 10.1.2.3/24\|fd00::7\|v0@' "$T/out")" = 3 ] || { cat "$T/out"; false; }
    config true
    edit 'c["linux"]["netDevices"] = {"v0": {}}'
    join network /proc/self/ns/net
    refused "the container shares our network namespace"
    edit 'c["linux"]["namespaces"].pop()'
    refused "linux.netDevices: need a network namespace"
}

@test "intelRdt without resctrl is refused" {
    [ ! -e /sys/fs/resctrl/schemata ] || skip "resctrl is mounted"
    config true
    edit 'c["linux"]["intelRdt"] = {"closID": "x", "l3CacheSchema": "L3:0=f"}'
    refused "linux.intelRdt: resctrl is not mounted"
    edit 'c["linux"]["intelRdt"] = {"closID": "../x"}'
    refused "linux.intelRdt.closID: must be the name of a folder"
}

# receive_pidfd PATH: prints the process id of a descriptor sent to a socket there
receive_pidfd() {
    python3 - "$1" <<'PY'
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1] + "~")
s.listen()
os.rename(sys.argv[1] + "~", sys.argv[1])
data, fds, _, _ = socket.recv_fds(s.accept()[0], 64, 4)
assert len(data) > 0 and len(fds) == 1
print(next(l.split()[1] for l in open("/proc/self/fdinfo/%d" % fds[0]) if l.startswith("Pid:")))
PY
}

@test "--pidfd-socket of create, run and exec gets the process" {
    config sleep 100
    for verb in create run exec; do
        rm -f "$T/sock"
        receive_pidfd "$T/sock" >"$T/got" 3>&- &
        receiver=$!
        wait_for test -S "$T/sock"
        case $verb in
        create) baton create --pidfd-socket "$T/sock" --pid-file "$T/pid" -b "$T/b" "$ID" </dev/null >/dev/null 2>&1 3>&- ;;
        run) baton run -d --pidfd-socket "$T/sock" --pid-file "$T/pid" -b "$T/b" "$ID" </dev/null >/dev/null 2>&1 3>&- ;;
        exec) baton exec -d --pidfd-socket "$T/sock" --pid-file "$T/pid" "$ID" sleep 100 </dev/null >/dev/null 2>&1 3>&- ;;
        esac
        wait "$receiver"
        [ "$(cat "$T/got")" = "$(cat "$T/pid")" ]
        [ $verb != create ] || baton delete --force "$ID"
    done
    baton delete --force "$ID"
    rm "$T/sock"
    run_container 1 --pidfd-socket "$T/sock"
    [[ "$stderr" == *"--pidfd-socket: cannot connect to the socket $T/sock"* ]]
    nothing_left
}

@test "another configuration file; a working folder, a root and sources relative to the bundle" {
    config echo usual
    cp "$T/b/config.json" "$T/other.json"
    sed -i s/usual/other/ "$T/other.json"
    rm "$T/b/config.json"
    (cd "$T" && "$VIEW" "$BATON" --root "$T/state" run -f other.json -b b "$ID" </dev/null) >"$T/out"
    [ "$(cat "$T/out")" = other ]
    [ "$("$VIEW" "$BATON" --root "$T/state" run --config "$T/other.json" -b "$T/b" "$ID" </dev/null)" = other ]
}

@test "descriptors of a service manager are the container's first ones" {
    config sh -c 'echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES; cat <&3; cat <&4; test ! -e /proc/self/fd/5'
    echo first >"$T/first"
    echo second >"$T/second"
    # shellcheck disable=SC2016
    LISTEN_FDS=1 LISTEN_FDNAMES=web "$VIEW" sh -c 'LISTEN_PID=$$ exec "$@"' sh "$BATON" --root "$T/state" run --preserve-fds 1 -b "$T/b" "$ID" \
        </dev/null 3<"$T/first" 4<"$T/second" >"$T/out"
    [ "$(cat "$T/out")" = "1 1 web
first
second" ]
    # those of somebody else are not taken
    LISTEN_FDS=1 LISTEN_PID=1 baton run -b "$T/b" "$ID" </dev/null 3>&- >"$T/out" 2>/dev/null || true
    [ "$(head -n 1 "$T/out")" = "" ]
    nothing_left
}

@test "kill and delete by regular expression" {
    config sleep 100
    for n in one two three; do baton run -d -b "$T/b" "$ID-$n" </dev/null >/dev/null 2>&1 3>&-; done
    baton kill --regex "^$ID-t" KILL
    wait_for sh -c '[ "$("$@" list -f json | grep -c stopped)" = 2 ]' sh "$VIEW" "$BATON" --root "$T/state"
    run -1 --separate-stderr baton delete --regex "^$ID-.*e\$"
    [[ "$stderr" == *"$ID-one that is not stopped: running"* ]]
    [ "$(baton list -q | xargs)" = "$ID-one $ID-two" ] # three is gone
    baton delete --force --regex "^$ID-"
    run -1 --separate-stderr baton delete --regex '['
    [[ "$stderr" == *"is no regular expression"* ]]
    nothing_left
}

@test "spec --rootless is a configuration that runs" {
    rm -f "$T/b/config.json"
    (cd "$T/b" && "$BATON" spec --rootless -f mine.json)
    sed 's/"terminal": true/"terminal": false/; s/"sh"/"cat", "\/proc\/self\/uid_map"/' "$T/b/mine.json" >"$T/b/config.json"
    run_container 0
    [ "$(tr -s " " <<<"$output")" = " 0 0 1" ]
    run -1 --separate-stderr "$BATON" spec -b "$T/b"
    [[ "$stderr" == *"File exists"* ]]
}

@test "every option of a verb is in its help and in the manual; checkpoint and restore say that they are not" {
    page=$(sed 's/\\-/-/g; s/\\f.//g' "$ROOT/manifests/man/baton.8")
    for verb in create start run exec kill delete state list ps pause resume update events spec features pod; do
        "$BATON" help $verb >"$T/help"
        [ "$("$BATON" $verb --help)" = "$(cat "$T/help")" ]
        grep -q "^usage: baton \[options\] $verb" "$T/help"
        grep -q "^.S[SH] .*\b$verb\b" "$ROOT/manifests/man/baton.8"
        files=("$ROOT/runtime/verbs/$verb.c")
        [ -e "${files[0]}" ] || continue
        case $verb in create | run) files+=("$ROOT/runtime/verbs/creation.h") ;; esac
        mapfile -t options < <(grep -oh '{ *"[a-z-]*", \(no\|required\)_argument' "${files[@]}" | cut -d'"' -f2)
        for o in "${options[@]}"; do
            case $o in l3-cache-schema | mem-bw-schema) continue ;; esac
            grep -q -- "--$o\b" "$T/help" || { echo "$verb --$o is not in the help"; false; }
            grep -q -- "--$o\b" <<<"$page" || { echo "$verb --$o is not in the manual"; false; }
        done
    done
    "$BATON" help | grep -q 'print the options of a verb'
    run -1 --separate-stderr "$BATON" help nonsense
    for verb in checkpoint restore; do
        run -1 --separate-stderr "$BATON" $verb "$ID"
        [[ "$stderr" == *"$verb: baton does not save containers' processes (CRIU is not supported)"* ]]
    done
    "$BATON" --rootless auto --systemd-cgroup --log-level debug features >/dev/null
}

@test "options for a whole tree of mounts: rro, rnosuid, rnodev, rnoexec, rnosymfollow, times; and back again" {
    config grep /tree /proc/self/mountinfo
    mkdir "$T/tree"
    tree() { # OPTION ...: of the mount; prints what the upper and the lower mount have then
        edit 'c["mounts"].append({"destination": "/tree", "type": "none", "source": a[0], "options": ["rbind"] + a[1:]})' "$T/tree" "$@"
        "$VIEW" sh -c "mount -t tmpfs -o relatime t '$T/tree' && mkdir '$T/tree/low' && mount -t tmpfs -o noexec,relatime t '$T/tree/low' &&
            exec '$BATON' --root '$T/state' run -b '$T/b' '$ID' </dev/null" | cut -d' ' -f5,6
        edit 'c["mounts"].pop()'
    }
    [ "$(tree ro | xargs)" = "/tree ro,relatime /tree/low rw,noexec,relatime" ]
    [ "$(tree rro | xargs)" = "/tree ro,relatime /tree/low ro,noexec,relatime" ]
    [ "$(tree rnosuid rnodev rnoexec rnosymfollow | xargs)" = \
        "/tree rw,nosuid,nodev,noexec,relatime,nosymfollow /tree/low rw,nosuid,nodev,noexec,relatime,nosymfollow" ]
    [ "$(tree rnoatime rnodiratime | xargs)" = "/tree rw,noatime,nodiratime /tree/low rw,noexec,noatime,nodiratime" ]
    [ "$(tree rstrictatime rexec | xargs)" = "/tree rw /tree/low rw" ]
    [ "$(tree ro rrw async silent | xargs)" = "/tree rw,relatime /tree/low rw,noexec,relatime" ]
    nothing_left
}

@test "a writable cgroup mount without a cgroup namespace shows the container's group" {
    config sh -c 'mkdir /sys/fs/cgroup/inner && echo $$ >/sys/fs/cgroup/inner/cgroup.procs && grep ^0: /proc/self/cgroup'
    edit 'c["mounts"][-1]["options"].remove("ro"); c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] != "cgroup"]'
    run_container 0
    [ "$output" = "0::/baton-$ID/inner" ]
    nothing_left
}

@test "devices: unbuffered characters, blocks and pipes, with mode and owner, also outside of /dev" {
    config stat -c '%n %F %t:%T %a %u:%g' /dev/u /dev/b /dev/p /opt/deep/c
    edit 'c["root"]["readonly"] = False
c["linux"]["devices"] = [{"path": "/dev/u", "type": "u", "major": 1, "minor": 3, "fileMode": 0o620, "uid": 1, "gid": 2},
    {"path": "/dev/b", "type": "b", "major": 7, "minor": 200, "fileMode": 0o60640},
    {"path": "/dev/p", "type": "p", "fileMode": 0o600, "gid": 3}, {"path": "/opt/deep/c", "type": "c", "major": 1, "minor": 5}]'
    run_container 0
    [ "$output" = "/dev/u character special file 1:3 620 1:2
/dev/b block special file 7:c8 640 0:0
/dev/p fifo 0:0 600 0:3
/opt/deep/c character special file 1:5 666 0:0" ]
    edit 'c["linux"]["devices"][0]["type"] = "x"'
    refused "linux.devices[0].type: must be c, b, u or p"
}

@test "network devices come back with their addresses, whatever call fails" {
    strace -o /dev/null true || skip "needs strace, and the right to trace"
    export VIEW BATON T ID
    config true
    edit 'c["linux"]["netDevices"] = {"v0": {"name": "eth0"}}'
    for fault in setns:1 sendto:2 sendto:5 sendto:8 recvfrom:2 recvfrom:6 recvfrom:8; do
        export FAULT=${fault%:*}:error=EIO:when=${fault#*:}
        in_net '"$VIEW" strace -f -qq -o "$T/trace" -e trace="${FAULT%%:*}" -e inject="$FAULT" "$BATON" --root "$T/state" run -b "$T/b" "$ID" </dev/null 2>"$T/err" ||
            ip -o addr show dev v0; ip -o link show up dev v0' >"$T/out"
        grep -q INJECTED "$T/trace"
        grep -q "Input/output error" "$T/err"
        [ "$(grep -c 'inet 10.1.2.3/24\|fd00::7\|v0@' "$T/out")" = 3 ] || { echo "$fault"; cat "$T/out"; false; }
        nothing_left
    done
}
