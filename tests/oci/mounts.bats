#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mounts: order, options, sources, propagation.

load oci

mounted() { # DESTINATION: its line of /proc/mounts, written by the program
    grep -E "^[^ ]+ $1 " <<<"$output"
}

@test "bind mounts of folders and files, read-only and not" {
    mkdir "$T/src"
    echo text >"$T/src/file"
    config sh -c 'cat /data/file /etc/one; touch /data/x; touch /rw/y'
    edit 'm += [{"destination": "/data", "type": "bind", "source": a[0], "options": ["rbind", "ro"]},
  {"destination": "/rw", "type": "none", "source": a[0], "options": ["bind", "rw"]},
  {"destination": "/etc/one", "source": a[0] + "/file", "options": ["bind"]}]' "$T/src"
    contained 0
    [ "$output" = "text
text" ]
    [[ "$stderr" == *"/data/x"*"ead-only"* ]]
    [ -e "$T/src/y" ]
}

@test "flags: nosuid nodev noexec, times, data" {
    config cat /proc/mounts
    edit 'm += [{"destination": "/a", "type": "tmpfs", "source": "a", "options": ["nosuid", "nodev", "noexec", "noatime", "size=64k", "mode=0711"]},
  {"destination": "/c", "type": "bind", "source": a[0], "options": ["bind", "nosuid", "nodev", "noexec", "ro"]}]' "$T"
    contained 0
    [[ "$(mounted /a)" == "a /a tmpfs rw,nosuid,nodev,noexec,noatime,"*"size=64k,mode=711"* ]]
    [[ "$(mounted /c)" == *" /c "*" ro,nosuid,nodev,noexec"* ]]
}

@test "flags: the last of two opposites counts" {
    known crun 1.8.99 "does not take flags back"
    config cat /proc/mounts
    edit 'm.append({"destination": "/b", "type": "tmpfs", "source": "b", "options": ["nosuid", "suid", "noexec", "exec", "ro", "rw"]})'
    contained 0
    [[ "$(mounted /b)" == "b /b tmpfs rw,"* ]]
    [[ "$(mounted /b)" != *nosuid* && "$(mounted /b)" != *noexec* ]]
}

@test "mounts are made in the order of the list; a later one hides an earlier one" {
    config sh -c 'ls /x /x/y; grep -c " /x " /proc/mounts'
    mkdir -p "$T/one/y" "$T/two"
    touch "$T/two/inner"
    edit 'm += [{"destination": "/x", "type": "bind", "source": a[0] + "/one", "options": ["bind"]},
  {"destination": "/x/y", "type": "bind", "source": a[0] + "/two", "options": ["bind"]}]' "$T"
    contained 0
    [[ "$output" == *inner* ]]
    edit 'm += [{"destination": "/x", "type": "tmpfs", "source": "t"}]; p["args"] = ["ls", "/x"]'
    contained 0
    [ -z "$output" ]
}

@test "relative sources begin at the bundle" {
    mkdir "$B/data"
    echo text >"$B/data/file"
    ln -s data "$B/link"
    config cat /one/file /two/file
    edit 'm += [{"destination": "/one", "type": "bind", "source": "data", "options": ["bind"]}, {"destination": "/two", "type": "bind", "source": "link", "options": ["bind"]}]'
    contained 0
    [ "$output" = "text
text" ]
}

@test "a relative destination begins at the root" {
    # 1.2: "destination SHOULD be absolute; for compatibility, relative ones are of the root"
    config cat /there/f
    echo text >"$T/f"
    edit 'm.append({"destination": "there/f", "type": "bind", "source": a[0], "options": ["bind"]})' "$T/f"
    contained 0
    [ "$output" = text ]
}

@test "rbind takes the mounts below, bind does not" {
    mkdir "$T/src"
    config sh -c 'ls /r/sub /b/sub'
    edit 'm += [{"destination": "/r", "type": "bind", "source": a[0], "options": ["rbind"]}, {"destination": "/b", "type": "bind", "source": a[0], "options": ["bind"]}]' "$T/src"
    run -0 --separate-stderr "$VIEW" sh -c "mkdir '$T/src/sub' && mount -t tmpfs t '$T/src/sub' && touch '$T/src/sub/inner' && exec '$RUNTIME' --root '$T/state' run -b '$B' '$ID' </dev/null"
    [ "$output" = "/b/sub:

/r/sub:
inner" ]
}

@test "rro: read-only with all below" {
    mkdir "$T/src"
    config sh -c 'touch /ro/sub/f && echo written; touch /rro/sub/f || echo refused'
    edit 'm += [{"destination": "/rro", "type": "bind", "source": a[0], "options": ["rbind", "rro"]}, {"destination": "/ro", "type": "bind", "source": a[0], "options": ["rbind", "ro"]}]' "$T/src"
    run -0 --separate-stderr "$VIEW" sh -c "mkdir '$T/src/sub' && mount -t tmpfs t '$T/src/sub' && exec '$RUNTIME' --root '$T/state' run -b '$B' '$ID' </dev/null"
    [ "$output" = "written
refused" ]
}

@test "propagation of single mounts" {
    known crun 1.8.99 "the root's propagation wins"
    mkdir "$T/src"
    config cat /proc/self/mountinfo
    edit 'for o in ("private", "shared", "unbindable"): m.append({"destination": "/" + o, "type": "bind", "source": a[0], "options": ["bind", o]})' "$T/src"
    with_shared() {
        run -0 --separate-stderr "$VIEW" sh -c "mount -t tmpfs t '$T/src' && mount --make-shared '$T/src' && exec '$RUNTIME' --root '$T/state' run -b '$B' '$ID' </dev/null"
    }
    with_shared
    [[ "$(grep " /private " <<<"$output")" != *shared:* && "$(grep " /private " <<<"$output")" != *master:* ]]
    [[ "$(grep " /shared " <<<"$output")" == *shared:* ]]
    [[ "$(grep " /unbindable " <<<"$output")" == *unbindable* ]]
    # what the host mounts later comes in
    edit 'l["rootfsPropagation"] = "rslave"; c["mounts"] = m[:-3] + [{"destination": "/slave", "type": "bind", "source": a[0], "options": ["bind", "slave"]}]' "$T/src"
    with_shared
    [[ "$(grep " /slave " <<<"$output")" == *master:* ]]
}

@test "tmpfs: size, mode, owner" {
    config sh -c 'stat -c "%a %u:%g" /t; head -c 100000 /dev/zero >/t/f'
    edit 'm.append({"destination": "/t", "type": "tmpfs", "source": "t", "options": ["size=32k", "mode=1777", "uid=3", "gid=4"]})'
    contained 1
    [ "$output" = "1777 3:4" ]
    [[ "$stderr" == *"I/O error"* ]]
}

@test "tmpcopyup: what the image has there is there" {
    config sh -c 'cat /etc/group; touch /etc/new; mount | grep -c "on /etc type tmpfs"'
    edit 'm.append({"destination": "/etc", "type": "tmpfs", "source": "t", "options": ["tmpcopyup"]})'
    contained 0
    [ "$output" = "root:x:0:
extra:x:50:user
1" ]
    [ ! -e "$B/rootfs/etc/new" ]
}

@test "links of the image lead nowhere out of the root" {
    known crun 1.8.99 "does not make what a link points to"
    mkdir "$T/outside" "$T/src"
    echo secret >"$T/src/file"
    ln -s "$T/outside" "$B/rootfs/link"
    ln -s ../../../../../../../../../../.. "$B/rootfs/up"
    config cat /link/sub/file "/up$T/other/file"
    edit 'for d in ("/link/sub", "/up" + a[0] + "/other"): m.append({"destination": d, "type": "bind", "source": a[0] + "/src", "options": ["bind"]})' "$T"
    contained 0
    [ -z "$(ls -A "$T/outside")" ]
    [ ! -e "$T/other" ]
}

@test "what cannot be mounted is an error; nothing is left" {
    config true
    for bad in '{"destination": "/t", "type": "tmpfs", "source": "t", "options": ["bogus=1"]}' \
        '{"destination": "/t", "type": "bind", "source": "/no/such/source", "options": ["bind"]}' \
        '{"destination": "/t", "type": "nosuchfs", "source": "t"}'; do
        config true
        edit 'm.append(json.loads(a[0]))' "$bad"
        contained fails
        [ -n "$stderr" ]
        nothing_left
    done
    config true
    edit 'm.append({"type": "tmpfs", "source": "t"})'
    contained fails
    nothing_left
}

@test "nothing is mounted over /proc but procfs" {
    # runc since CVE-2019-16884 and CVE-2021-30465; crun allows it
    known crun 9 "allows it"
    mkdir "$T/src"
    config true
    edit 'm.append({"destination": "/proc/sys", "type": "bind", "source": a[0], "options": ["bind"]})' "$T/src"
    contained fails
}

@test "mount points are made, as folders or files" {
    config sh -c 'test -d /new/folder && test -f /new/file'
    touch "$T/f"
    edit 'm += [{"destination": "/new/folder", "type": "tmpfs", "source": "t"}, {"destination": "/new/file", "type": "bind", "source": a[0], "options": ["bind"]}]' "$T/f"
    contained 0
    [ -d "$B/rootfs/new/folder" ] && [ -f "$B/rootfs/new/file" ]
}

@test "cgroup mounts show the container's group" {
    config sh -c 'cat /sys/fs/cgroup/cgroup.controllers >/dev/null && wc -l </sys/fs/cgroup/cgroup.procs; mkdir /sys/fs/cgroup/x'
    edit 'm.append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "ro"]})'
    contained 1
    [[ "$output" == [1-9]* ]]
    [[ "$stderr" == *ead-only* ]]
}

@test "id-mapped mounts" {
    known runc 1.1.99 "refuses them (from 1.2 on)"
    mkdir "$T/src"
    touch "$T/src/f"
    chown 1000:2000 "$T/src/f"
    config sh -c 'stat -c %u:%g /data/f'
    edit 'm.append({"destination": "/data", "type": "bind", "source": a[0], "options": ["bind"],
  "uidMappings": [{"containerID": 1000, "hostID": 5, "size": 1}], "gidMappings": [{"containerID": 2000, "hostID": 6, "size": 1}]})' "$T/src"
    contained 0
    [ "$output" = 5:6 ]
}
