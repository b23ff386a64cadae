#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The sections of config.json that engines use less often, on real containers with a busybox root. BATON names the program.

bats_require_minimum_version 1.5.0
load bundle

setup() {
    bundle_setup sh true cat ls id env pwd sleep mount mkdir touch ps hostname echo grep kill sed stat tty chmod readlink dd uname awk nice cut head
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

@test "scheduler and nice value" {
    config sh -c 'cut -d" " -f19,41 /proc/self/stat'
    edit 'c["process"]["scheduler"] = {"policy": "SCHED_BATCH", "nice": 7}'
    run_container 0
    [ "$output" = "7 3" ]
    edit 'c["process"]["scheduler"] = {"policy": "SCHED_BATCH", "priority": 7}'
    run_container 1
    [[ "$stderr" == *"process.scheduler.priority: needs SCHED_FIFO"* ]]
    nothing_left
}

@test "execCPUAffinity is for exec alone" {
    config sleep 100
    all=$(grep Cpus_allowed_list /proc/self/status)
    edit 'c["process"]["execCPUAffinity"] = {"initial": "0", "final": "0"}'
    baton run -d -b "$T/b" --pid-file "$T/pid" "$ID" </dev/null >/dev/null 2>&1 3>&-
    [ "$(grep Cpus_allowed_list "/proc/$(cat "$T/pid")/status")" = "$all" ]
    [ "$(baton exec "$ID" grep Cpus_allowed_list /proc/self/status | awk '{print $2}')" = 0 ]
    config sleep 100
}

@test "memoryPolicy" {
    config sh -c 'grep -c bind:0 /proc/self/numa_maps'
    edit 'c["linux"]["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0"}'
    [ -e /proc/self/numa_maps ] || skip "the kernel has no memory nodes"
    run_container 0
    [ "$output" -gt 0 ]
    edit 'c["linux"]["memoryPolicy"] = {"mode": "MPOL_BIND"}'
    run_container 1
    [[ "$stderr" == *linux.memoryPolicy* ]]
    nothing_left
}

@test "time namespace with offsets, also for exec" {
    config sh -c 'cut -d. -f1 /proc/uptime; readlink /proc/self/ns/time; sleep 100'
    edit 'c["linux"]["namespaces"].append({"type": "time"})
c["linux"]["timeOffsets"] = {"monotonic": {"secs": 1000000}, "boottime": {"secs": 5000000, "nanosecs": 7}}'
    baton run -d -b "$T/b" "$ID" </dev/null >"$T/out" 2>&1 3>&-
    for _ in $(seq 100); do [ "$(wc -l <"$T/out")" = 2 ] && break; sleep 0.02; done
    [ "$(head -n 1 "$T/out")" -ge 5000000 ]
    [ "$(baton exec "$ID" cut -d. -f1 /proc/uptime)" -ge 5000000 ]
    [ "$(baton exec "$ID" readlink /proc/self/ns/time)" = "$(sed -n 2p "$T/out")" ]
    [ "$(sed -n 2p "$T/out")" != "$(readlink /proc/self/ns/time)" ]
    config true
    edit 'c["linux"]["timeOffsets"] = {"monotonic": {"secs": 1}}'
    baton delete --force "$ID"
    run_container 1
    [[ "$stderr" == *"linux.timeOffsets: need a new time namespace"* ]]
    nothing_left
}

@test "relative sources, sources that are links, and sources that an earlier mount made" {
    mkdir "$T/b/data"
    echo text >"$T/b/data/file"
    ln -s data "$T/b/link"
    config sh -c 'cat /one/file /two/file; echo kept >/three/f; cat /four/f; ls "$0"' "$T"
    edit 'm = c["mounts"]
m.append({"destination": "/one", "type": "bind", "source": "data", "options": ["bind", "ro"]})
m.append({"destination": "/two", "source": "link", "options": ["rbind"]})
m.append({"destination": "/three", "type": "tmpfs", "source": "tmpfs"})
m.append({"destination": "/four", "type": "bind", "source": "rootfs/three", "options": ["bind"]})
c["root"]["readonly"] = False'
    run_container 1 # the host's folders cannot be seen
    [ "$output" = "text
text
kept" ]
    edit 'c["linux"]["rootfsPropagation"] = "rshared"'
    run_container 1
    [ "$output" = "text
text
kept" ]
    nothing_left
}

@test "labels that the kernel has no module for are refused by name, also by exec" {
    for field in 'linux mountLabel SELinux /sys/fs/selinux/enforce' 'process selinuxLabel SELinux /sys/fs/selinux/enforce' \
        'process apparmorProfile AppArmor /sys/kernel/security/apparmor'; do
        read -r section name module there <<<"$field"
        [ ! -e "$there" ] || continue
        config true
        edit 'c[a[0]][a[1]] = "a_label"' "$section" "$name"
        run_container 1
        [[ "$stderr" == *"$section.$name: a_label: the kernel does not run $module"* ]]
        nothing_left
    done
    config sleep 100
    edit 'c["process"]["apparmorProfile"] = "unconfined"' # that it is anyway
    baton run -d -b "$T/b" "$ID" </dev/null >/dev/null 2>&1 3>&-
    baton exec --apparmor unconfined "$ID" true
    [ -e /sys/fs/selinux/enforce ] || run -255 --separate-stderr baton exec --process-label x "$ID" true
    [ -e /sys/fs/selinux/enforce ] || [[ "$stderr" == *"process.selinuxLabel: x: the kernel does not run SELinux"* ]]
}

@test "tmpcopyup: a tmpfs begins with what the image has there" {
    mkdir -p "$T/b/rootfs/var/lib/deep/er"
    echo text >"$T/b/rootfs/var/lib/deep/er/file"
    echo x >"$T/b/rootfs/var/lib/tool"
    chmod 4711 "$T/b/rootfs/var/lib/tool"
    chown 7:8 "$T/b/rootfs/var/lib/tool" "$T/b/rootfs/var/lib/deep"
    chmod 4711 "$T/b/rootfs/var/lib/tool"
    touch -d 2001-02-03T04:05:06Z "$T/b/rootfs/var/lib/tool"
    ln -s /etc/passwd "$T/b/rootfs/var/lib/deep/link"
    mkfifo "$T/b/rootfs/var/lib/pipe"
    chmod 1750 "$T/b/rootfs/var/lib"
    config sh -c 'cd /var/lib; cat deep/er/file; stat -c "%a %u:%g %Y" tool; stat -c %u:%g deep; readlink deep/link; [ -p pipe ] && stat -c %a .; rm -f tool; echo new >new && echo written'
    ln -s busybox "$T/b/rootfs/bin/rm"
    edit 'c["mounts"].append({"destination": "/var/lib", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]})'
    run_container 0
    [ "$output" = "text
4711 7:8 $(date -d 2001-02-03T04:05:06Z +%s)
7:8
/etc/passwd
1750
written" ]
    [ -e "$T/b/rootfs/var/lib/tool" ] # the image is as it was
    [ ! -e "$T/b/rootfs/var/lib/new" ]
    edit 'c["mounts"][-1]["options"] = ["tmpcopyup", "ro", "mode=700"]'
    run_container 1
    [[ "$output" == *"text"*"/etc/passwd
700" ]]
    [[ "$stderr" == *ead-only* ]]
    edit 'c["mounts"][-1] = {"destination": "/var/lib", "type": "bind", "source": "/tmp", "options": ["bind", "tmpcopyup"]}'
    run_container 1
    [[ "$stderr" == *"tmpcopyup needs type tmpfs"* ]]
    nothing_left
}

@test "id-mapped mounts with mappings of their own" {
    mkdir "$T/src"
    touch "$T/src/file"
    chown 1000:2000 "$T/src/file"
    config sh -c 'stat -c %u:%g /data/file; touch /data/new; stat -c %u:%g /plain/file'
    edit 'm = {"uidMappings": [{"containerID": 1000, "hostID": 5, "size": 1}, {"containerID": 0, "hostID": 0, "size": 5}],
"gidMappings": [{"containerID": 2000, "hostID": 6, "size": 1}, {"containerID": 0, "hostID": 0, "size": 5}]}
c["mounts"].append({"destination": "/data", "type": "bind", "source": a[0], "options": ["bind"], **m})
c["mounts"].append({"destination": "/plain", "type": "bind", "source": a[0], "options": ["bind"]})' "$T/src"
    run_container 0
    [ "$output" = "5:6
1000:2000" ]
    [ "$(stat -c %u "$T/src/new")" = 0 ]
    edit 'c["mounts"][-1]["options"] = ["bind", "idmap"]'
    run_container 1
    [[ "$stderr" == *"mount /plain: option idmap needs uidMappings"* ]]
    edit 'c["mounts"][-1] = {"destination": "/t", "type": "tmpfs", "uidMappings": c["mounts"][-2]["uidMappings"], "gidMappings": c["mounts"][-2]["gidMappings"]}'
    run_container 1
    [[ "$stderr" == *"mount /t: ids can be mapped on bind mounts only"* ]]
    edit 'del c["mounts"][-1]["gidMappings"]'
    run_container 1
    [[ "$stderr" == *"uidMappings: need gidMappings"* ]]
    nothing_left
}

@test "id-mapped mounts of a user namespace, by idmap and ridmap" {
    config sh -c 'stat -c %u:%g /data/file /all/file /plain/file; touch /data/new'
    U=$(mktemp -d) # the mapped root needs a way in, which the usual temporary folder does not give
    chmod 755 "$U"
    cp -a "$T/b/rootfs" "$U/rootfs"
    chown -R 100000:100000 "$U/rootfs"
    mkdir "$U/src"
    touch "$U/src/file"
    chown 3:4 "$U/src/file"
    edit 'l = c["linux"]; l["namespaces"].append({"type": "user"})
l["uidMappings"] = l["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 1000}]
c["root"] = {"path": a[0] + "/rootfs"}
for d, o in (("/data", ["bind", "idmap"]), ("/all", ["rbind", "ridmap"]), ("/plain", ["bind"])):
    c["mounts"].append({"destination": d, "type": "bind", "source": a[0] + "/src", "options": o})' "$U"
    run_container 0
    [ "$output" = "3:4
3:4
65534:65534" ]
    [ "$(stat -c %u:%g "$U/src/new")" = 0:0 ]
    nothing_left
}

@test "hooks: all kinds, in their namespaces and order, with the state; those after the end go on" {
    config sh -c 'echo program >>/log; exit 0'
    printf '#!/bin/sh\nread -r s\ns=${s##*\\"status\\":\\"}\necho "$1 ${s%%%%\\"*} $(readlink /proc/self/ns/mnt) $([ -e /inside ] && echo in)" >>"$2"\n' >"$T/hook"
    chmod +x "$T/hook"
    cp "$T/hook" "$T/b/rootfs/hook"
    touch "$T/b/rootfs/inside"
    edit 'h = a[0] + "/hook"; l = a[0] + "/b/rootfs/log"
c["root"]["readonly"] = False
c["hooks"] = {k: [{"path": h, "args": ["h", k, l], "env": ["PATH=/bin:/usr/bin"]}] for k in ("prestart", "createRuntime", "createContainer", "poststart", "poststop")}
c["hooks"]["startContainer"] = [{"path": "/hook", "args": ["h", "startContainer", "/log"], "env": ["PATH=/bin"]}]
c["hooks"]["poststop"].insert(0, {"path": "/bin/false"})
c["hooks"]["poststart"].insert(0, {"path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1})' "$T"
    run_container 0
    # the program may write before the poststart hooks are over, or after
    [ "$(grep -v -e program -e poststart "$T/b/rootfs/log" | cut -d' ' -f1 | tr '\n' ' ')" = "prestart createRuntime createContainer startContainer poststop " ]
    grep -q '^poststart running' "$T/b/rootfs/log"
    grep -q '^poststop stopped' "$T/b/rootfs/log"
    [ "$(grep -c '^[a-zC]* creating' "$T/b/rootfs/log")" -ge 3 ]
    [[ "$(grep ^startContainer "$T/b/rootfs/log")" == *" in" ]]
    [[ "$(grep ^createContainer "$T/b/rootfs/log")" != *" in" ]]
    mnt() { grep "^$1 " "$T/b/rootfs/log" | cut -d' ' -f3; }
    [ "$(mnt createContainer)" = "$(mnt startContainer)" ]
    [ "$(mnt createContainer)" != "$(mnt createRuntime)" ]
    [ "$(mnt prestart)" = "$(mnt poststop)" ]
    [[ "$stderr" == *"hook /bin/sleep did not end within 1 s"* ]]
    [[ "$stderr" == *"hook /bin/false failed"* ]]
    edit 'c["hooks"] = {"createContainer": [{"path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1}]}'
    run_container 1
    [[ "$stderr" == *"hook /bin/sleep did not end within 1 s"* ]]
    nothing_left
}

@test "rootfsPropagation: all forms" {
    for form in private rprivate slave rslave shared rshared unbindable runbindable; do
        config sh -c 'grep " / / \| / " /proc/self/mountinfo | head -n 1 | sed "s/ - .*//"'
        edit 'c["linux"]["rootfsPropagation"] = a[0]' "$form"
        run_container 0
        case $form in
        *unbindable) [[ "$output" == *unbindable* ]] ;;
        *shared) [[ "$output" == *shared:* ]] ;;
        *private) [[ "$output" != *shared:* && "$output" != *master:* && "$output" != *unbindable* ]] ;;
        *slave) [[ "$output" != *shared:* && "$output" != *unbindable* ]] ;;
        esac
        nothing_left
    done
    edit 'c["linux"]["rootfsPropagation"] = "sideways"'
    run_container 1
    [[ "$stderr" == *linux.rootfsPropagation* ]]
}

@test "a shared root lets mounts on volumes out to the host, a private one does not" {
    mkdir "$T/vol"
    for form in rshared rprivate; do
        config sh -c 'mkdir -p /data/sub && mount -t tmpfs inner /data/sub && touch /data/sub/file; mkdir -p /own && mount -t tmpfs inner /own && touch /own/file'
        edit 'c["linux"]["rootfsPropagation"] = a[0]; c["root"]["readonly"] = False
for s in ("bounding", "effective", "permitted"): c["process"]["capabilities"][s] = ["CAP_SYS_ADMIN"]
c["mounts"].append({"destination": "/data", "type": "bind", "source": a[1], "options": ["rbind"]})' "$form" "$T/vol"
        "$VIEW" sh -c "mount -t tmpfs t '$T/vol' && mount --make-shared '$T/vol' && '$BATON' --root '$T/state' run -b '$T/b' '$ID' </dev/null && { ls '$T/vol/sub'; ls '$T/b/rootfs/own'; }" >"$T/out"
        if [ $form = rshared ]; then [ "$(cat "$T/out")" = file ]; else [ -z "$(cat "$T/out")" ]; fi
        nothing_left
    done
}

