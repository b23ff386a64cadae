#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# root: the root file system, read-only or not, named in every way.

load oci

@test "the root is the folder of the bundle, and nothing above it is seen" {
    config sh -c 'ls -a / | grep -vxE "proc|sys|dev" | tr "\n" " "; cd ..; cd ../..; pwd'
    contained 0
    [ "$output" = ". .. bin etc tmp /" ]
    config sh -c 'grep -c " / " /proc/self/mountinfo; grep " / " /proc/self/mountinfo | cut -d" " -f5'
    contained 0
    [ "${lines[1]}" = / ]
}

@test "readonly" {
    config sh -c 'touch /file; touch /tmp/file; touch /dev/shm/file && echo writable'
    edit 'c["root"]["readonly"] = True'
    contained 0
    [ "$output" = writable ]
    [ "$(grep -c "ead-only" <<<"$stderr")" = 2 ]
    [ ! -e "$B/rootfs/file" ]
    edit 'c["root"]["readonly"] = False; p["args"] = ["touch", "/file"]'
    contained 0
    [ -e "$B/rootfs/file" ]
}

@test "the path may be absolute or relative" {
    config cat /etc/passwd
    mv "$B/rootfs" "$T/elsewhere"
    for path in "$T/elsewhere" ../elsewhere ./../elsewhere/. ; do
        edit 'c["root"]["path"] = a[0]' "$path"
        contained 0
    done
}

@test "the path may be a link" {
    known runc 1.1.99 "refuses links"
    config cat /etc/passwd
    mv "$B/rootfs" "$T/elsewhere"
    ln -s ../elsewhere "$B/rootfs"
    contained 0
}

@test "a path that is missing or no folder" {
    config true
    edit 'c["root"]["path"] = "no-such"'
    contained fails
    touch "$B/plain"
    edit 'c["root"]["path"] = "plain"'
    contained fails
    edit 'del c["root"]'
    contained fails
    nothing_left
}

@test "rootfsPropagation" {
    known runc 1.1.99 "fails on unbindable"
    for form in private slave unbindable; do
        config sh -c 'awk "\$5 == \"/\"" /proc/self/mountinfo | tail -n 1 | sed "s/ - .*//"'
        edit 'l["rootfsPropagation"] = a[0]' "$form"
        contained 0
        case $form in
        private) [[ "$output" != *shared:* && "$output" != *master:* ]] ;;
        slave) [[ "$output" != *shared:* ]] ;;
        unbindable) [[ "$output" == *unbindable* ]] ;;
        esac
    done
}

@test "rootfsPropagation that nobody knows" {
    known crun 1.8.99 "ignores it"
    config true
    edit 'l["rootfsPropagation"] = "sideways"'
    contained fails
    nothing_left
}

@test "the old root is out of reach" {
    config sh -c 'cat /proc/mounts | cut -d" " -f2 | grep -vE "^/(proc|dev|sys|$)" | head; ls /proc/1/root/'
    contained 0
    [[ "$output" != */old* && "$output" != *work* ]]
}
