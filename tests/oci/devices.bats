#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# linux.devices, default devices and links (runtime-linux: "Default Devices", "Dev symbolic links").

load oci

@test "the default devices are there, with their numbers and modes" {
    config sh -c 'cd /dev; stat -c "%n %F %t:%T %a" null zero full random urandom tty'
    contained 0
    [ "$output" = "null character special file 1:3 666
zero character special file 1:5 666
full character special file 1:7 666
random character special file 1:8 666
urandom character special file 1:9 666
tty character special file 5:0 666" ]
}

@test "they work" {
    config sh -c 'echo x >/dev/null; head -c 3 /dev/zero | wc -c; echo x >/dev/full || echo full; head -c 5 /dev/urandom | wc -c'
    contained 0
    [ "$output" = "3
full
5" ]
}

@test "the links of /dev, and ptmx" {
    config sh -c 'cd /dev; for l in fd stdin stdout stderr ptmx; do readlink $l; done'
    contained 0
    [ "$output" = "/proc/self/fd
/proc/self/fd/0
/proc/self/fd/1
/proc/self/fd/2
pts/ptmx" ]
}

@test "devices of the list: kind, numbers, mode, owner, folders on the way" {
    config sh -c 'stat -c "%F %t:%T %a %u:%g" /dev/mine /dev/block /dev/deep/er/one /dev/pipe; head -c 2 /dev/mine | wc -c'
    edit 'l["devices"] = [{"path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 3, "gid": 4},
  {"path": "/dev/block", "type": "b", "major": 7, "minor": 99, "fileMode": 0o600},
  {"path": "/dev/deep/er/one", "type": "u", "major": 1, "minor": 3},
  {"path": "/dev/pipe", "type": "p", "fileMode": 0o622}]
for s in ("bounding", "effective", "permitted"): p["capabilities"][s].append("CAP_DAC_OVERRIDE")'
    contained 0
    [ "${lines[0]}" = "character special file 1:5 640 3:4" ]
    [ "${lines[1]}" = "block special file 7:63 600 0:0" ]
    [[ "${lines[2]}" == "character special file 1:3 666 0:0" ]]
    [[ "${lines[3]}" == "fifo "*" 622 0:0" ]]
    [ "${lines[4]}" = 2 ]
}

@test "devices in other folders" {
    config stat -c %t:%T /my/device
    edit 'l["devices"] = [{"path": "/my/device", "type": "c", "major": 1, "minor": 3}]'
    contained 0
    [ "$output" = 1:3 ]
}

@test "a device over what is there already" {
    # "If a file already exists at path that does not match the requested device, the runtime MUST generate an error."
    known crun 9 "leaves the file that is there"
    known runc 9 "leaves the file that is there"
    config cat /etc/passwd
    edit 'l["devices"] = [{"path": "/etc/passwd", "type": "c", "major": 1, "minor": 3}]'
    contained fails
    nothing_left
}

@test "an unknown kind, a missing path" {
    config true
    edit 'l["devices"] = [{"path": "/dev/x", "type": "z", "major": 1, "minor": 3}]'
    case $NAME in crun) ;; *) contained fails ;; esac # crun 1.8 ignores it
    edit 'l["devices"] = [{"type": "c", "major": 1, "minor": 3}]'
    case $NAME in runc) ;; *) contained fails ;; esac # runc 1.1 ignores it
}

@test "the rules of the device list hold" {
    known crun 1.8.99 "raises RLIMIT_MEMLOCK, which not every root may"
    config sh -c 'head -c 1 /dev/zero >/dev/null && echo zero; dd if=/dev/mine of=/dev/null bs=1 count=0'
    edit 'l["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}; l["devices"] = [{"path": "/dev/mine", "type": "c", "major": 10, "minor": 229}]'
    contained 1
    [ "$output" = zero ]
    [[ "$stderr" == *"not permitted"* ]]
    edit 'l["resources"]["devices"].append({"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"})'
    run --separate-stderr oci run -b "$B" "$ID" </dev/null # the device itself may be missing
    [[ "$stderr" != *"not permitted"* ]]
}
