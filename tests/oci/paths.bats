#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# linux.maskedPaths, readonlyPaths; the default file systems.

load oci

@test "masked files are empty, masked folders, too" {
    echo secret >"$B/rootfs/mask"
    mkdir "$B/rootfs/maskdir"
    touch "$B/rootfs/maskdir/secret"
    config sh -c 'cat /mask; ls /maskdir; touch /maskdir/x || echo refused; head -c 10 /proc/timer_list'
    edit 'l["maskedPaths"] = ["/mask", "/maskdir", "/proc/timer_list"]'
    contained 0
    [ "$output" = refused ]
}

@test "read-only paths are that, with the mounts below" {
    mkdir "$B/rootfs/ro"
    config sh -c 'touch /ro/x; cat /ro/f; echo 1 >/proc/sys/kernel/core_uses_pid || echo refused'
    echo text >"$B/rootfs/ro/f"
    edit 'l["readonlyPaths"] = ["/ro", "/proc/sys"]'
    contained 0
    [ "$output" = "text
refused" ]
    [[ "$stderr" == *"/ro/x"*ead-only* ]]
}

@test "paths that do not exist are nothing" {
    config echo fine
    edit 'l["maskedPaths"] = ["/no/such/file"]; l["readonlyPaths"] = ["/no/such/folder"]'
    contained 0
    [ "$output" = fine ]
}

@test "links do not lead masks out of the root" {
    mkdir "$T/outside"
    echo mine >"$T/outside/file"
    ln -s "$T/outside/file" "$B/rootfs/link"
    config true
    edit 'l["maskedPaths"] = ["/link"]'
    run -0 oci run -b "$B" "$ID" </dev/null || true
    [ "$(cat "$T/outside/file")" = mine ]
}

@test "the default file systems are what the configuration mounts" {
    config cat /proc/mounts
    contained 0
    for line in " /proc proc " "tmpfs /dev tmpfs " " /dev/pts devpts " "shm /dev/shm tmpfs " " /dev/mqueue mqueue " " /sys sysfs ro,"; do
        [[ "$output" == *"$line"* ]] || { echo "no $line"; false; }
    done
}
