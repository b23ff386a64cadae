#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What has let processes out of containers in other runtimes, tried on containers of our own. BATON names the program.

bats_require_minimum_version 1.5.0
load bundle

setup_file() {
    [ "$(id -u)" = 0 ] || skip "needs root"
    [ -x /bin/busybox ] || skip "needs busybox-static"
    cc -O1 -static -o "$BATS_FILE_TMPDIR/attack" "$BATS_TEST_DIRNAME/safety/attack.c"
}

setup() {
    bundle_setup sh true cat ls id pwd sleep mkdir touch echo grep stat readlink test
    A=$BATS_FILE_TMPDIR/attack
    cp "$A" "$T/b/rootfs/bin/"
}

teardown() {
    [ -n "${T:-}" ] || return 0
    [ -z "${SWAPPER:-}" ] || kill "$SWAPPER" 2>/dev/null || true
    for i in "$ID" "$ID-2"; do baton delete --force "$i" >/dev/null 2>&1 || true; done
}

run_container() { run -"${1}" --separate-stderr "$VIEW" "$BATON" --root "$T/state" run -b "$T/b" "${@:2}" "$ID" </dev/null; }

start_container() { baton run -d -b "$T/b" "$ID" </dev/null >"$T/out" 2>&1 3>&- 4>&-; }

in_container() { run -"${1}" --separate-stderr "$VIEW" "$BATON" --root "$T/state" exec "$ID" "${@:2}" </dev/null; }

refused() { # TEXT: the container is not made, the error says why, nothing remains
    run_container 1
    [[ "$stderr" == *"$1"* ]] || { echo "$stderr"; false; }
    nothing_left
}

nothing_left() {
    [ -z "$(ls -A "$T/state")" ]
    ! "$VIEW" test -e "/sys/fs/cgroup/baton-$ID" || false
    ! grep -q "$T" /proc/self/mountinfo || false
}

wait_file() { for _ in $(seq 1000); do [ -e "$1" ] && return; sleep 0.01; done; return 1; }

# --- descriptors and working folders (CVE-2024-21626) ---

@test "no descriptor but 0 to 2 reaches a container or an exec" {
    config attack fds
    run -0 --separate-stderr "$VIEW" sh -c "exec '$BATON' --root '$T/state' run -b '$T/b' '$ID' 5</ 7</ 9</etc </dev/null"
    [ "$output" = "0 1 2 " ]
    config sleep 1000
    start_container
    run -0 --separate-stderr "$VIEW" sh -c "exec '$BATON' --root '$T/state' exec '$ID' attack fds 5</ 7</ 9</etc </dev/null"
    [ "$output" = "0 1 2 " ]
    run -0 --separate-stderr "$VIEW" sh -c "exec '$BATON' --root '$T/state' exec --preserve-fds 2 '$ID' attack fds 3</ 4</ 5</ </dev/null"
    [ "$output" = "0 1 2 3 4 " ]
}

@test "preserved descriptors that the caller did not give are not taken from the runtime's own" {
    config attack fds
    run -1 --separate-stderr "$VIEW" sh -c "exec '$BATON' --root '$T/state' run --preserve-fds 4 -b '$T/b' '$ID' 3</dev/null 4>&- 5>&- 6>&- </dev/null"
    [[ "$stderr" == *"descriptor 4 is not open"* ]]
    nothing_left
    config sleep 1000
    start_container
    run -255 --separate-stderr "$VIEW" sh -c "exec '$BATON' --root '$T/state' exec --preserve-fds 4 '$ID' attack fds 3>&- 4>&- 5>&- 6>&- </dev/null"
    [[ "$stderr" == *"descriptor 3 is not open"* ]]
}

@test "no working folder leads to a folder of the host" {
    config pwd
    for n in 3 5 7 9; do
        edit "c['process']['cwd'] = '/proc/self/fd/$n'"
        run -1 "$VIEW" sh -c "exec '$BATON' --root '$T/state' run -b '$T/b' '$ID' 3</ 5</ 7</ 9</ </dev/null"
    done
    ln -s /proc/self/fd/7/ "$T/b/rootfs/link"
    edit "c['process']['cwd'] = '/link'"
    run -1 "$VIEW" sh -c "exec '$BATON' --root '$T/state' run -b '$T/b' '$ID' 7</ </dev/null"
    nothing_left
    config sleep 1000
    start_container
    for n in 3 4 5 6 7 8 9 10 11 12 13 14; do
        run -255 "$VIEW" sh -c "exec '$BATON' --root '$T/state' exec --cwd /proc/self/fd/$n '$ID' pwd 7</ 9</etc </dev/null"
    done
}

@test "a working folder outside of the root is refused even when it can be entered" {
    config pwd
    edit "c['process']['cwd'] = '/proc/self/fd/3'"
    run -1 --separate-stderr "$VIEW" sh -c "exec '$BATON' --root '$T/state' run --preserve-fds 1 -b '$T/b' '$ID' 3</ </dev/null"
    [[ "$stderr" == *"outside of the container's root"* ]]
    nothing_left
}

# --- masks, console, writes to procfs (CVE-2025-31133, -52565, -52881) ---

@test "masked files are the null device, masked folders empty, read-only paths read-only" {
    config sh -c 'stat -L -c "%t:%T" /proc/keys /proc/timer_list /mask; ls /maskdir; touch /maskdir/x || echo 1 >/proc/sys/kernel/core_uses_pid || touch /ro/x || cat /mask'
    echo secret >"$T/b/rootfs/mask"
    mkdir "$T/b/rootfs/maskdir" "$T/b/rootfs/ro"
    touch "$T/b/rootfs/maskdir/secret"
    edit 'c["root"]["readonly"] = False; c["linux"]["maskedPaths"] += ["/mask", "/maskdir"]; c["linux"]["readonlyPaths"].append("/ro")'
    run_container 0
    [ "$output" = "1:3
1:3
1:3" ]
    [ "$(grep -c 'ead-only' <<<"$stderr")" = 3 ]
}

@test "masks through links stay inside of the root" {
    mkdir "$T/outside"
    echo secret >"$T/outside/file"
    ln -s "$T/outside" "$T/b/rootfs/link"
    ln -s ../../../../../../../../../../../../.. "$T/b/rootfs/up"
    mkdir -p "$T/b/rootfs$T/outside"
    echo inside >"$T/b/rootfs$T/outside/file"
    config sh -c "stat -c %t:%T '$T/outside/file'"
    edit 'c["linux"]["maskedPaths"] += ["/link/file", "/up" + a[0] + "/outside/file"]' "$T"
    run_container 0
    [ "$output" = 1:3 ]
    [ "$(cat "$T/outside/file")" = secret ]
}

@test "what is not the null device masks nothing" {
    config cat /proc/keys
    mkdir "$T/dev"
    cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty "$T/dev/"
    dev='c["mounts"] = [m for m in c["mounts"] if not m["destination"].startswith("/dev")]'
    edit "$dev"'; c["mounts"].insert(1, {"destination": "/dev", "type": "bind", "source": a[0], "options": ["bind"]})' "$T/dev"
    run_container 0
    for bad in "ln -s /proc/uptime" "ln -s zero" "touch" "mkfifo"; do
        rm -f "$T/dev/null"
        $bad "$T/dev/null"
        refused "is not the null device"
    done
    # in the image's own /dev
    mkdir -p "$T/b/rootfs/dev"
    ln -s /proc/sys/kernel/core_pattern "$T/b/rootfs/dev/null"
    config cat /proc/keys
    edit "$dev"
    refused "another file at /dev/null"
}

@test "the console and the terminal come from the container's own devpts and go nowhere else" {
    config sh -c 'stat -L -c %t /dev/console; test -c /dev/console && tty=$(readlink /proc/self/fd/0); echo $tty'
    edit 'c["process"]["terminal"] = True'
    run_container 0
    [[ "$output" == 88*/dev/pts/0* ]]
    # an image with a console that is a link, or with a false multiplexer
    config true
    edit 'c["process"]["terminal"] = True; c["root"]["readonly"] = False
c["mounts"] = [m for m in c["mounts"] if not m["destination"].startswith("/dev")]'
    mkdir -p "$T/b/rootfs/dev/pts"
    mknod "$T/b/rootfs/dev/pts/ptmx" c 5 2
    refused "/dev/pts/ptmx"
    edit 'c["mounts"].append({"destination": "/dev/pts/pts", "type": "devpts", "source": "p"})'
    refused "no terminal multiplexer"
    edit 'c["mounts"].pop()'
    rm -r "$T/b/rootfs/dev/pts"
    ln -s /proc/self/fd/5 "$T/b/rootfs/dev/pts"
    refused "/dev/pts/ptmx"
    rm -r "$T/b/rootfs/dev"
    mkdir -p "$T/b/rootfs/dev" "$T/outside"
    touch "$T/outside/file"
    for link in /proc/sys/kernel/core_pattern /proc/uptime "$T/outside/file" ../../../../../../../../../../..$T/outside/file; do
        ln -sfn "$link" "$T/b/rootfs/dev/console"
        config sh -c 'stat -c %t /proc/uptime /proc/sys/kernel/core_pattern; echo mark >/dev/console'
        edit 'c["process"]["terminal"] = True; c["root"]["readonly"] = False; c["linux"]["readonlyPaths"] = []
c["mounts"] = [m for m in c["mounts"] if m["destination"] in ("/proc", "/dev/pts")]'
        run_container 0
        [[ "$output" == 0*0*mark* ]]
        [ ! -s "$T/outside/file" ]
    done
}

@test "procfs and sysfs do not come to where a link of the image leads, and nothing hides parts of procfs" {
    mkdir "$T/b/rootfs/elsewhere" "$T/src"
    for d in /proc /sys; do
        config true
        ln -s /elsewhere "$T/b/rootfs$d"
        refused "is a link in the image"
        rm "$T/b/rootfs$d"
        ln -s /not/there "$T/b/rootfs$d"
        refused "is a link in the image"
        rm "$T/b/rootfs$d"
    done
    for d in /proc /proc/self/attr /proc/sys/kernel; do
        config true
        edit 'c["mounts"].append({"destination": a[0], "type": "tmpfs", "source": "t"})' "$d"
        refused "something else than procfs"
        edit 'c["mounts"][-1] = {"destination": a[0], "type": "bind", "source": a[1], "options": ["bind"]}' "$d" "$T/src"
        refused "something else than procfs"
    done
    # names that only begin like it
    ln -s /proc/sys "$T/b/rootfs/procession"
    config true
    edit 'c["mounts"].append({"destination": "/procession/kernel", "type": "bind", "source": a[0], "options": ["bind"]})' "$T/src"
    refused "leads into the container's /proc"
    # figures of the container's own are fine
    config cat /proc/uptime
    echo 1.00 >"$T/src/uptime"
    edit 'c["mounts"].append({"destination": "/proc/uptime", "type": "bind", "source": a[0] + "/uptime", "options": ["bind"]})' "$T/src"
    run_container 0
    [ "$output" = 1.00 ]
}

@test "a setting is not written to what only looks like procfs" {
    config cat /proc/sys/kernel/domainname
    edit 'c["linux"]["sysctl"] = {"kernel.domainname": "inside"}'
    run_container 0
    [ "$output" = inside ]
    touch "$T/fake"
    run -1 --separate-stderr "$VIEW" sh -c "mount --bind '$T/fake' /proc/sys/kernel/domainname; exec '$BATON' --root '$T/state' run -b '$T/b' '$ID' </dev/null"
    [[ "$stderr" == *"not on a proc file system"* ]]
    [ ! -s "$T/fake" ]
    nothing_left
}

# --- the runtime's own program (CVE-2019-5736) ---

@test "the runtime's program cannot be overwritten through a process of its" {
    cp "$BATON" "$T/baton"
    BATON=$T/baton
    sum=$(sha256sum <"$T/baton")
    mkdir "$T/b/rootfs/sync"
    config sh -c 'until [ -e /sync/pid ]; do sleep 0.01; done; for p in /proc/[0-9]*; do [ "$(cat $p/comm)" = baton ] && exec attack keep $p/exe /sync/have /sync/go >/sync/out; done'
    # root that may trace sees the program nevertheless
    edit 'c["root"]["readonly"] = False
for s in ("bounding", "effective", "permitted"): c["process"]["capabilities"][s] = ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"]'
    "$VIEW" "$BATON" --root "$T/state" run -d --pid-file "$T/pid" -b "$T/b" "$ID" </dev/null >/dev/null 2>&1 3>&-
    edit 'for n in c["linux"]["namespaces"]:
    if n["type"] == "pid": n["path"] = "/proc/" + a[0] + "/ns/pid"' "$(cat "$T/pid")"
    "$VIEW" "$BATON" --root "$T/state" create -b "$T/b" "$ID-2" </dev/null >/dev/null 2>&1 3>&-
    touch "$T/b/rootfs/sync/pid"
    wait_file "$T/b/rootfs/sync/have"
    baton delete --force "$ID-2"
    touch "$T/b/rootfs/sync/go"
    for _ in $(seq 500); do [ -s "$T/b/rootfs/sync/out" ] && break; sleep 0.01; done
    [[ "$(cat "$T/b/rootfs/sync/out")" == "not writable: Read-only"* ]]
    [ "$(sha256sum <"$T/baton")" = "$sum" ]
}

@test "neighbours see nothing of a process that is still the runtime's" {
    config sleep 1000
    "$VIEW" "$BATON" --root "$T/state" run -d --pid-file "$T/pid" -b "$T/b" "$ID" </dev/null >/dev/null 2>&1 3>&-
    edit 'for n in c["linux"]["namespaces"]:
    if n["type"] == "pid": n["path"] = "/proc/" + a[0] + "/ns/pid"' "$(cat "$T/pid")"
    baton create -b "$T/b" "$ID-2" </dev/null >/dev/null 2>&1 3>&-
    in_container 0 attack look
    [ "$output" = "others 1" ]
    # a process of the container is seen: the check can see
    baton start "$ID-2"
    for _ in $(seq 100); do
        in_container 0 attack look
        [[ "$output" == *"SEEN exe"* ]] && break
    done
    [[ "$output" == *"SEEN exe /bin/busybox"*"SEEN fd/0"* ]]
}

# --- links that change while the container is made (CVE-2021-30465) ---

@test "links swapped during the making of mounts and masks lead nowhere" {
    mkdir -p "$T/vol/d" "$T/outside" "$T/src" "$T/b/rootfs/vol"
    echo marker >"$T/src/marker"
    ln -s "../../../../../../../../../../../../..$T/outside" "$T/vol/l"
    ln -s "$T/outside" "$T/vol/l2"
    mkdir "$T/vol/d2"
    config sh -c 'pwd'
    edit 'c["root"]["readonly"] = False
c["process"]["cwd"] = "/vol/d"
c["mounts"] += [{"destination": "/vol", "type": "bind", "source": a[0] + "/vol", "options": ["bind"]},
 {"destination": "/vol/d/target", "type": "bind", "source": a[0] + "/src", "options": ["bind"]},
 {"destination": "/vol/d2/tmp", "type": "tmpfs", "source": "t"},
 {"destination": "/vol/d2/file", "type": "bind", "source": a[0] + "/src/marker", "options": ["bind"]}]
c["linux"]["maskedPaths"].append("/vol/d/target"); c["linux"]["readonlyPaths"].append("/vol/d2")
c["linux"]["devices"] = [{"path": "/vol/d2/dev", "type": "c", "major": 1, "minor": 3}]' "$T"
    "$A" swap "$T/vol/d" "$T/vol/l" 3>&- &
    SWAPPER=$!
    "$A" swap "$T/vol/d2" "$T/vol/l2" 3>&- &
    second=$!
    "$VIEW" sh -c "for i in \$(seq 150); do '$BATON' --root '$T/state' run -b '$T/b' '$ID' </dev/null; done" >"$T/out" 2>&1 3>&- || true
    kill $second $SWAPPER
    [ -z "$(ls -A "$T/outside")" ]
    # enough of them worked for the race to have been one, and all stood in their root
    [ "$(grep -c "^/" "$T/out")" -ge 20 ]
    ! grep "^/" "$T/out" | grep -v -e '^/vol/' -e "^$T/outside" || false
    nothing_left
}

# --- capabilities, groups, keys, cgroups (CVE-2022-29162) ---

@test "no capability is inheritable, by run and by exec" {
    config sh -c 'grep -E "CapInh|CapAmb|NoNew" /proc/self/status; sleep 1000'
    start_container
    for _ in $(seq 500); do grep -q NoNew "$T/out" && break; sleep 0.01; done
    [ "$(cat "$T/out")" = "CapInh:	0000000000000000
CapAmb:	0000000000000000
NoNewPrivs:	1" ]
    run -0 --separate-stderr baton exec --cap CAP_SYS_TIME "$ID" grep -E "CapInh|CapAmb|CapEff" /proc/self/status </dev/null
    [[ "$output" == *"CapInh:	0000000000000000"*"CapAmb:	0000000000000000" ]]
    [[ "$output" == *"CapEff:	"*2000???* ]]
    # other users have it as ambient, and only it
    run -0 --separate-stderr baton exec --user 1000 --cap CAP_SYS_TIME "$ID" grep -E "CapInh|CapEff" /proc/self/status </dev/null
    [ "$output" = "CapInh:	0000000002000000
CapEff:	0000000002000000" ]
}

@test "the caller's groups stay outside" {
    config id -G
    run -0 --separate-stderr "$VIEW" setpriv --groups 4,6,27 "$BATON" --root "$T/state" run -b "$T/b" "$ID" </dev/null
    [ "$output" = 0 ]
    config sleep 1000
    start_container
    run -0 --separate-stderr "$VIEW" setpriv --groups 4,6,27 "$BATON" --root "$T/state" exec "$ID" id -G </dev/null
    [ "$output" = 0 ]
}

@test "the caller's session keyring stays outside" {
    code=0; "$A" key-give true || code=$?
    [ "$code" != 77 ] || skip "no keyrings here"
    config attack key-take
    run -0 --separate-stderr "$A" key-give "$VIEW" "$BATON" --root "$T/state" run -b "$T/b" "$ID" </dev/null
    [ "$output" = "no key" ]
    run -0 --separate-stderr "$A" key-give "$VIEW" "$BATON" --root "$T/state" run --no-new-keyring -b "$T/b" "$ID" </dev/null
    [ "$output" = FOUND ]
    config sleep 1000
    start_container
    run -0 --separate-stderr "$A" key-give "$VIEW" "$BATON" --root "$T/state" exec "$ID" attack key-take </dev/null
    [ "$output" = "no key" ]
}

@test "a container sees its own group of the hierarchy only, and cannot write there when the mount is read-only" {
    config sh -c 'grep -c . /sys/fs/cgroup/cgroup.procs; mkdir /sys/fs/cgroup/x; test -e /sys/fs/cgroup/baton-'"$ID"' && echo outer; grep ^0:: /proc/self/cgroup'
    run_container 0
    [[ "$stderr" == *ead-only* ]]
    [[ "$output" != *outer* ]]
    [[ "$output" == *"0::/" ]]
    # without a cgroup namespace of its own, too
    edit 'c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] != "cgroup"]'
    run_container 0
    [[ "$stderr" == *ead-only* ]]
    [[ "$output" != *outer* ]]
    [[ "$output" == *"0::/baton-$ID" ]]
}

# --- what would weaken isolation in silence ---

@test "the host's root is no root for a container" {
    config true
    ln -s / "$T/all"
    for root in / // /. /proc/.. "$T/all"; do
        edit 'c["root"]["path"] = a[0]' "$root"
        refused "the host's own root"
    done
}

@test "settings of the host are not changed" {
    before=$(cat /proc/sys/kernel/core_pattern /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax)
    # each is set to what it is: should the refusal ever be missing, the host is as before all the same
    now() { cat "/proc/sys/${1//./\/}"; }
    drop='c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] not in ("network", "ipc")]'
    for key in kernel.core_pattern vm.swappiness kernel/core_pattern fs.file-max; do
        config true
        edit 'c["linux"]["sysctl"] = {a[0]: a[1]}' "$key" "$(now "$key")"
        refused "it belongs to no namespace"
    done
    for key in net.ipv4.ip_forward kernel.msgmax fs.mqueue.msg_max; do
        config true
        edit "$drop"'; c["linux"]["sysctl"] = {a[0]: a[1]}' "$key" "$(now "$key")"
        refused "namespace of its own"
    done
    config true
    edit "$drop"'; c["linux"]["sysctl"] = {"net.ipv4.ip_forward": a[0]}; c["linux"]["namespaces"].append({"type": "network", "path": "/proc/self/ns/net"})' "$(now net.ipv4.ip_forward)"
    refused "namespace of its own"
    config true
    edit 'c["linux"]["sysctl"] = {"net/../kernel/core_pattern": a[0]}' "$(now kernel.core_pattern)"
    refused "is not usable"
    [ "$(cat /proc/sys/kernel/core_pattern /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax)" = "$before" ]
    config cat /proc/sys/kernel/msgmax
    edit 'c["linux"]["sysctl"] = {"kernel/msgmax": "12345"}'
    run_container 0
    [ "$output" = 12345 ]
}
