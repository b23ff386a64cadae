#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# baton as an OCI runtime, on real containers with a busybox root: what is its own. What all runtimes do is in tests/oci. BATON
# names the program.

bats_require_minimum_version 1.5.0
load bundle

setup() {
    bundle_setup sh true cat ls id env pwd sleep mount mkdir touch ps hostname echo grep kill sed stat tty chmod readlink dd
    echo 'user:x:1000:1000::/home/user:/bin/sh' >"$T/b/rootfs/etc/passwd"
    config sh -c true
}

teardown() {
    [ -n "${T:-}" ] || return 0
    baton delete --force "$ID" >/dev/null 2>&1 || true
    [ -z "${U:-}" ] || rm -rf "$U"
}

run_container() { run -"${1}" --separate-stderr "$VIEW" "$BATON" --root "$T/state" run -b "$T/b" "$ID" </dev/null; }

nothing_left() {
    [ -z "$(ls -A "$T/state")" ]
    ! "$VIEW" test -e "/sys/fs/cgroup/baton-$ID" || false
    ! grep -q "$T" /proc/self/mountinfo || false
}

@test "a command that does not exist is a clear error and leaves nothing" {
    config no-such-command
    run_container 1
    [[ "$stderr" == *'exec: "no-such-command": executable file not found in $PATH'* ]]
    nothing_left
    config /no/such/file
    run_container 1
    [[ "$stderr" == *'exec: "/no/such/file": no such file or directory'* ]]
    nothing_left
    touch "$T/b/rootfs/bin/plain"
    config /bin/plain
    run_container 1
    [[ "$stderr" == *'permission denied'* ]]
    nothing_left
}

@test "a script without its interpreter fails at start and leaves nothing" {
    printf '#!/no/interpreter\n' >"$T/b/rootfs/bin/script"
    chmod +x "$T/b/rootfs/bin/script"
    config script
    run_container 1
    [[ "$stderr" == *interpreter* ]]
    nothing_left
}

@test "masked and read-only paths, read-only root" {
    config sh -c 'cat /proc/keys /proc/timer_list; ls /proc/acpi /sys/firmware 2>/dev/null | grep -v -e : -e "^$"; echo 1 >/proc/sys/kernel/core_uses_pid; touch /file; mkdir /sys/fs/cgroup/x; touch /dev/shm/fine && echo done'
    run_container 0
    [ "$output" = "done" ]
    [[ "$stderr" == *core_uses_pid*ead-only* ]]
    [[ "$stderr" == */file*ead-only* ]]
    [[ "$stderr" == */sys/fs/cgroup/x*ead-only* ]]
}

@test "a mount point that a link leads into /proc is refused" {
    ln -s /proc/sys "$T/b/rootfs/link"
    mkdir "$T/src"
    config true
    edit 'c["mounts"].append({"destination": "/link/kernel", "type": "bind", "source": a[0], "options": ["bind"]})' "$T/src"
    run_container 1
    [[ "$stderr" == *"leads into the container's /proc"* ]]
    nothing_left
}

@test "a bad mount option is a clear error and leaves nothing" {
    config true
    edit 'c["mounts"].append({"destination": "/t", "type": "tmpfs", "source": "t", "options": ["bogus=1"]})'
    run_container 1
    [[ "$stderr" == *"mount /t"*"bogus"* ]]
    nothing_left
}

@test "overlay root from annotations" {
    mkdir -p "$T/fs" "$T/low/etc" "$T/b/empty"
    echo upper-lower >"$T/low/etc/layer"
    config sh -c 'cat /etc/layer /etc/passwd; echo new >/written; [ -x /bin/busybox ]'
    edit 't = a[0]; c["root"] = {"path": "empty"}
c["annotations"] = {"org.podium.overlay.lower": t + "/low:" + t + "/b/rootfs", "org.podium.overlay.upper": t + "/fs/upper", "org.podium.overlay.work": t + "/fs/work"}' "$T"
    "$VIEW" sh -c "mount -t tmpfs t '$T/fs' && mkdir '$T/fs/upper' '$T/fs/work' && '$BATON' --root '$T/state' run -b '$T/b' '$ID' && cat '$T/fs/upper/written'" >"$T/out"
    grep -q upper-lower "$T/out"
    grep -q user:x:1000 "$T/out"
    grep -q '^new$' "$T/out"
    [ ! -e "$T/b/rootfs/written" ] && [ ! -e "$T/low/written" ]
    nothing_left
}

@test "create, start, state, kill, delete" {
    config sleep 100
    baton create -b "$T/b" --pid-file "$T/pid" "$ID" </dev/null >/dev/null 2>&1 3>&-
    [ "$(baton state "$ID" | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["status"], d["pid"])')" = "created $(cat "$T/pid")" ]
    run -1 baton create -b "$T/b" "$ID"
    [[ "$output" == *exists* ]]
    baton start "$ID"
    baton state "$ID" | grep -q '"running"'
    run -1 baton start "$ID"
    run -1 baton delete "$ID"
    [[ "$output" == *"not stopped"* ]]
    [ "$(baton list -q)" = "$ID" ]
    baton kill "$ID" SIGKILL
    for _ in $(seq 50); do baton state "$ID" | grep -q '"stopped"' && break; sleep 0.02; done
    run -1 baton kill "$ID" TERM
    [[ "$output" == *"container not running"* ]]
    baton delete "$ID"
    run -1 baton state "$ID"
    [[ "$output" == *"does not exist"* ]]
    nothing_left
}

@test "a created container that is deleted leaves nothing" {
    baton create -b "$T/b" "$ID" </dev/null >/dev/null 2>&1 3>&-
    baton delete "$ID"
    nothing_left
}

@test "exec: exit code, environment, user, namespaces, filters; command not found" {
    config sleep 100
    edit "c['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': [{'names': ['mkdir', 'mkdirat'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 28}]}"
    baton run -d -b "$T/b" "$ID" </dev/null >/dev/null 2>&1 3>&-
    run -5 baton exec "$ID" sh -c 'exit 5'
    run -0 baton exec -e A=b --cwd /etc -u 1000:1001 "$ID" sh -c 'echo $A; pwd; id; echo $HOME; ps | grep -c sleep; cat /proc/self/cgroup | grep ^0::'
    [[ "$output" == "b
/etc
uid=1000"*"gid=1001"*"
/home/user
"*"0::/" ]]
    run -1 baton exec "$ID" mkdir /dev/shm/x
    [[ "$output" == *"No space left"* ]]
    run -0 baton exec "$ID" grep -E 'NoNewPrivs|CapBnd' /proc/self/status
    [[ "$output" == *"CapBnd:	0000000020000420"*"NoNewPrivs:	1"* ]]
    run -255 baton exec "$ID" no-such-command
    [[ "$output" == *"executable file not found"* ]]
    echo '{"args": ["sh", "-c", "echo from file; exit 3"], "cwd": "/", "env": ["PATH=/bin"]}' >"$T/p.json"
    run -3 baton exec -p "$T/p.json" "$ID"
    [ "$output" = "from file" ]
    # the container's processes see no descriptor of ours
    run -0 baton exec "$ID" ls /proc/self/fd
    [[ "$output" == "0
1
2
3" ]]
}

@test "without a pid namespace of its own all processes end with the container" {
    N=$((1000000 + RANDOM))
    config sh -c "sleep $N & echo started"
    edit 'c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] != "pid"]'
    run_container 0
    nothing_left
    ! pgrep -f "^sleep $N" >/dev/null || false
}

@test "the runtime's own program file cannot be written through a container's process" {
    config sleep 100
    "$VIEW" "$BATON" --root "$T/state" create --pid-file "$T/pid" -b "$T/b" "$ID" </dev/null >/dev/null 2>&1 3>&-
    exe=/proc/$(cat "$T/pid")/exe
    [ "$(stat -L -c %i "$exe")" = "$(stat -c %i "$BATON")" ]
    [ ! -w "$exe" ]
    [ -w "$BATON" ]
}

@test "terminal: the process has one, its size, and /dev/console" {
    config sh -c 'tty; [ -c /dev/console ] && echo console; [ -t 0 ] && echo yes'
    edit 'c["process"]["terminal"] = True; c["process"]["consoleSize"] = {"height": 30, "width": 100}'
    run_container 0
    [[ "$output" == *"/dev/pts/0"*console*yes* ]]
}

@test "limits: a missing controller is an error, or a warning when optional" {
    config true
    edit 'c["linux"]["resources"] = {"memory": {"limit": 67108864}, "pids": {"limit": 50}}'
    if "$VIEW" grep -qw memory /sys/fs/cgroup/cgroup.controllers; then skip "the controllers are there"; fi
    run_container 1
    [[ "$stderr" == *"memory"*"not available"* ]]
    nothing_left
    run -0 --separate-stderr baton --cgroup-controllers=optional run -b "$T/b" "$ID"
    [[ "$stderr" == *warning*memory.max* ]]
    nothing_left
}

@test "device rules are enforced" {
    config sh -c 'cat /dev/zero | head -c 1 >/dev/null && echo zero; dd if=/dev/mine of=/dev/null bs=1 count=0'
    ln -sf busybox "$T/b/rootfs/bin/head"
    edit 'c["linux"]["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
c["linux"]["devices"] = [{"path": "/dev/mine", "type": "c", "major": 10, "minor": 229}]'
    run_container 1
    [ "$output" = zero ]
    [[ "$stderr" == *"not permitted"* ]]
}

@test "what is not implemented is refused by name" {
    config true
    edit 'c["process"]["apparmorProfile"] = "x"'
    run_container 1
    [[ "$stderr" == *"process.apparmorProfile"* ]]
    config true
    edit 'c["linux"]["cgroupsPath"] = "system.slice:baton:x"'
    run_container 1
    [[ "$stderr" == *cgroupsPath* ]]
    [[ "$stderr" == *--systemd-cgroup* ]]
    config sleep 100
    baton run -d --no-subreaper --no-new-keyring -b "$T/b" "$ID" </dev/null >/dev/null 2>&1 3>&-
    run -255 baton exec --apparmor x "$ID" true
    [[ "$output" == *"process.apparmorProfile"* ]]
    run -255 baton exec --process-label x "$ID" true
    [[ "$output" == *"process.selinuxLabel"* ]]
    run -1 baton --log-level nonsense list
    [[ "$output" == *"log level"* ]]
    baton --log-level warn list -q | grep -q "$ID"
    baton delete --force "$ID"
    nothing_left
}

@test "bad input: no bundle, broken JSON, bad id, unknown verb; the log file in JSON" {
    run -1 baton run -b "$T/none" "$ID"
    [[ "$output" == *"$T/none/config.json"* ]]
    echo '{"ociVersion": }' >"$T/b/config.json"
    run -1 baton --log "$T/log" --log-format json run -b "$T/b" "$ID"
    [[ "$output" == *"config.json"* ]]
    python3 -c 'import json,sys; d=json.loads(open(sys.argv[1]).readline()); assert d["level"] == "error" and "config.json" in d["msg"]' "$T/log"
    config true
    run -1 baton run -b "$T/b" ../evil
    [[ "$output" == *"invalid container id"* ]]
    run -1 baton frobnicate
    [[ "$output" == *"unknown verb"* ]]
    nothing_left
}

@test "preserved descriptors reach the container, others do not" {
    config sh -c 'cat <&3; [ -e /proc/self/fd/4 ] && echo four; [ -e /proc/self/fd/9 ] || echo none'
    echo three >"$T/three"
    run -0 --separate-stderr "$VIEW" sh -c "exec '$BATON' --root '$T/state' run --preserve-fds 1 -b '$T/b' '$ID' 3<'$T/three' 9</ </dev/null"
    [[ "$output" == "three"* ]]
    [[ "$output" == *none ]]
    [[ "$output" != *four* ]]
}

# A node as podium makes it, in the view; then the commands of standard input with $B (baton of the outside) and on_node.
with_node() {
    [ -x /lib/systemd/systemd ] || skip "no systemd here"
    mkdir -p "$T/n/rootfs" "$T/n/fs"
    sed "s|@NODE@/rootfs|$T/n/rootfs|; s|@NODE@|$T/n/fs|; s|@NAME@|$ID|" "$BATS_TEST_DIRNAME/node-config.json" >"$T/n/config.json"
    cat >"$T/boot" <<'SH'
mount -t tmpfs t "$T/n/fs"
u=$T/n/fs/upper/etc/systemd/system
mkdir -p "$u" "$T/n/fs/work"
printf '[Unit]\nRequires=basic.target dbus.socket\nAfter=basic.target\nAllowIsolate=yes\n' >"$u/podium-node.target"
for m in systemd-udevd systemd-sysctl systemd-modules-load systemd-remount-fs systemd-networkd systemd-resolved systemd-logind systemd-timesyncd; do ln -s /dev/null "$u/$m.service"; done
B="$BATON --root $T/state"
on_node() { $B exec "$ID" "$@"; }
$B run -d -b "$T/n" "$ID" </dev/null >/dev/null 2>&1 3>&-
for i in $(seq 200); do s=$(on_node systemctl is-system-running 2>/dev/null); case $s in running|degraded) break;; esac; sleep 0.05; done
echo "state $s"
SH
    cat - >>"$T/boot"
    printf '%s\n' '$B delete --force "$ID"' >>"$T/boot"
    export T ID BATON
    run -0 --separate-stderr "$VIEW" sh "$T/boot"
    [[ "$output" == *"state running"* ]] || [[ "$output" == *"state degraded"* ]]
    nothing_left
}

@test "systemd boots as the first process of a node" {
    with_node <<'SH'
on_node systemd-run --wait -q true && echo unit
SH
    [[ "$output" == *unit* ]]
}

@test "systemd cgroup manager: a scope with the limits as its properties" {
    config sh -c 'trap "exit 0" TERM; sleep 1000 & wait'
    edit 'c["linux"]["cgroupsPath"] = "machine.slice:mine:one"
c["linux"]["resources"] = {"memory": {"limit": 67108864}, "pids": {"limit": 50}, "cpu": {"quota": 50000, "shares": 1024, "cpus": "0-1,3"}, "unified": {"memory.high": "33554432"}}
c["annotations"] = {"org.systemd.property.TimeoutStopUSec": "uint64 7000000"}'
    with_node <<'SH'
mkdir -p "$T/n/fs/upper/opt/b"
cp -a "$T/b/." "$T/n/fs/upper/opt/b/"
cp "$BATON" "$T/n/fs/upper/opt/baton"
n="on_node /opt/baton --root /run/b --systemd-cgroup --cgroup-controllers=optional"
$n run -d -b /opt/b one </dev/null >/dev/null 3>&- && echo started
show() { on_node systemctl show -P "$1" mine-one.scope; }
echo "props $(show Slice) $(show Delegate) $(show MemoryMax) $(show MemoryHigh) $(show TasksMax) $(show CPUQuotaPerSecUSec) $(show CPUWeight) $(show AllowedCPUs) $(show TimeoutStopUSec)"
pid=$(on_node /opt/baton --root /run/b state one | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')
echo "group $(on_node grep ^0:: "/proc/$pid/cgroup")"
echo "inside $($n ps one | wc -l)"
$n update --memory 128m --pids-limit 60 one 2>/dev/null && echo "updated $(show MemoryMax) $(show TasksMax)"
on_node systemctl daemon-reload
echo "after $(show ActiveState) $(show MemoryMax)"
$n run -d -b /opt/b two </dev/null 2>&1 3>&-; echo "second $?"
$n delete --force one && echo "gone $(show LoadState) $(on_node ls -A /run/b)"
on_node sed -i 's/machine.slice:mine:one/plain/' /opt/b/config.json
$n run -d -b /opt/b three </dev/null 2>&1 3>&-; echo "plain $?"
echo "left $(on_node ls -A /run/b) $(on_node systemctl list-units --all --plain --no-legend 'mine-*' 'baton-*' | wc -l)"
SH
    echo "$output"
    [[ "$output" == *started* ]]
    [[ "$output" == *'props machine.slice yes 67108864 33554432 50 500ms 39 0-1 3 7s'* ]]
    [[ "$output" == *'group 0::/machine.slice/mine-one.scope'* ]]
    [[ "$output" == *'inside 3'* ]]
    [[ "$output" == *'updated 134217728 60'* ]]
    [[ "$output" == *'after active 134217728'* ]]
    [[ "$output" == *'a unit mine-one.scope already'*'second 1'* ]]
    [[ "$output" == *'gone not-found '* ]]
    [[ "$output" == *'expected "slice:prefix:name"'*'plain 1'* ]]
    [[ "$output" == *'left  0'* ]]
}

@test "update: what the machine has is set and remembered, what it lacks is a clear error" {
    config sleep 100
    edit 'c["linux"]["resources"] = {}'
    baton run -d -b "$T/b" "$ID" </dev/null >/dev/null 2>&1 3>&-
    run -1 baton update --memory lots "$ID"
    [[ "$output" == *'--memory: "lots" is not a size'* ]]
    run -1 baton update --memory 64m no-such-container
    [[ "$output" == *'does not exist'* ]]
    run -0 baton update --kernel-memory 1g "$ID"
    [[ "$output" == *warning*kernel* ]]
    if "$VIEW" grep -qw pids /sys/fs/cgroup/cgroup.controllers; then
        baton update --pids-limit 42 --cpu-quota 50000 "$ID"
        [ "$("$VIEW" cat "/sys/fs/cgroup/baton-$ID/pids.max")" = 42 ]
        [ "$("$VIEW" cat "/sys/fs/cgroup/baton-$ID/cpu.max")" = '50000 100000' ]
    else
        run -1 baton update --pids-limit 42 "$ID"
        [[ "$output" == *"pids.max needs the controller pids"* ]]
        ! grep -q '"pids"' "$T/state/$ID/state.json" || false
        run -0 baton --cgroup-controllers=optional update --pids-limit 42 --cpu-quota 50000 "$ID"
        [[ "$output" == *warning*cpu.max* ]]
    fi
    echo '{"cpu": {"period": 20000}}' | baton --cgroup-controllers=optional update -r - "$ID" 2>/dev/null
    python3 -c 'import json,sys
r = json.load(open(sys.argv[1]))["config"]["linux"]["resources"]
assert r == {"pids": {"limit": 42}, "cpu": {"quota": 50000, "period": 20000}}, r' "$T/state/$ID/state.json"
    baton kill "$ID" KILL
    wait_stopped
    run -1 baton update --pids-limit 1 "$ID"
    [[ "$output" == *stopped* ]]
    baton delete "$ID"
    nothing_left
}

wait_stopped() {
    for _ in $(seq 250); do
        if baton state "$ID" | grep -q '"stopped"'; then return 0; fi
        sleep 0.02
    done
    return 1
}

@test "events: statistics once, and in an interval until the container ends" {
    config sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; sleep 100'
    baton run -d -b "$T/b" "$ID" </dev/null >/dev/null 2>&1 3>&-
    run -0 baton events --stats "$ID"
    python3 -c 'import json,sys
e = json.loads(sys.argv[1])
assert e["type"] == "stats" and e["id"] == sys.argv[2]
assert e["data"]["cpu"]["usage"]["total"] > 0
assert set(e["data"]) >= {"cpu", "memory", "pids", "blkio", "hugetlb"}' "$output" "$ID"
    run -1 baton events --interval 0s "$ID"
    [[ "$output" == *interval* ]]
    baton events --interval 20ms "$ID" >"$T/events" 3>&- &
    pid=$!
    for _ in $(seq 250); do [ "$(wc -l <"$T/events")" -ge 2 ] && break; sleep 0.02; done
    [ "$(wc -l <"$T/events")" -ge 2 ]
    baton kill "$ID" KILL # the folder is not locked meanwhile
    wait $pid
    wait_stopped
    run -1 baton events --stats "$ID"
    baton delete "$ID"
    nothing_left
}

@test "cgroup manager disabled: containers without a group of their own" {
    config sh -c 'sleep 100 & sleep 100'
    edit 'c["linux"]["resources"] = {"pids": {"limit": 50}}'
    "$VIEW" "$BATON" --root "$T/state" --cgroup-manager disabled run -d -b "$T/b" "$ID" </dev/null >"$T/out" 2>&1 3>&-
    grep -q 'cgroups are disabled.*not applied' "$T/out"
    ! "$VIEW" test -e "/sys/fs/cgroup/baton-$ID" || false
    [ "$(baton exec "$ID" echo in)" = in ]
    run -1 baton pause "$ID"
    [[ "$output" == *"has no cgroup"* ]]
    run -1 baton update --pids-limit 3 "$ID"
    [[ "$output" == *"has no cgroup"* ]]
    baton kill --all "$ID" KILL
    wait_stopped
    baton delete "$ID"
    nothing_left
    run -1 baton --cgroup-manager nonsense list
    [[ "$output" == *"cgroupfs, systemd or disabled"* ]]
}

@test "a machine without cgroup2 is told so, and the disabled manager works there" {
    config echo hello
    edit 'c["mounts"] = [m for m in c["mounts"] if m["type"] != "cgroup"]'
    hide='for m in $(awk "{print \$5}" /proc/self/mountinfo | grep -E "^/sys/fs/cgroup"); do umount -l "$m" || true; done'
    run -1 unshare --mount --propagation private sh -c "$hide; exec '$BATON' --root '$T/state' run -b '$T/b' '$ID'" </dev/null
    [[ "$output" == *"no cgroup2"*"--cgroup-manager=disabled"* ]]
    nothing_left
    run -0 unshare --mount --propagation private sh -c "$hide; exec '$BATON' --root '$T/state' --cgroup-manager=disabled run -b '$T/b' '$ID'" </dev/null
    [ "${lines[-1]}" = hello ]
    nothing_left
}

@test "exec --cgroup runs in a group below the container's" {
    config sleep 100
    baton run -d -b "$T/b" "$ID" </dev/null >/dev/null 2>&1 3>&-
    "$VIEW" mkdir "/sys/fs/cgroup/baton-$ID/part"
    run -0 baton exec --cgroup part "$ID" grep ^0:: /proc/self/cgroup
    [ "$output" = 0::/part ]
    run -255 baton exec --cgroup ../other "$ID" true
    [[ "$output" == *'".." is refused'* ]]
    run -255 baton exec --cgroup none "$ID" true
    [[ "$output" == *none* ]]
    baton delete --force "$ID"
    nothing_left
}

@test "features is a document that says what is there" {
    baton features >"$T/features"
    python3 -c 'import json,sys
f = json.load(open(sys.argv[1]))
assert f["ociVersionMin"] == "1.0.0" and f["ociVersionMax"].startswith("1.2")
assert f["linux"]["cgroup"] == {"v1": False, "v2": True, "systemd": True, "systemdUser": False, "rdma": True}
assert "mount" in f["linux"]["namespaces"] and "CAP_SYS_ADMIN" in f["linux"]["capabilities"]
assert "org.systemd.property." in f["potentiallyUnsafeConfigAnnotations"]' "$T/features"
}
