#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# process.user: ids, groups, umask.

load oci

@test "uid, gid and additional groups" {
    config sh -c 'id -u; id -g; id -G'
    edit 'p["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 60000]}'
    contained 0
    [ "$output" = "1000
1001
1001 5 60000" ]
}

@test "users that the image does not know" {
    config sh -c 'id -u; id -g; cat /proc/self/status | grep Groups: | tr -d " \t"'
    edit 'p["user"] = {"uid": 123456, "gid": 654321}'
    contained 0
    [ "$output" = "123456
654321
Groups:" ]
}

@test "files made by the program are its user's; files of others stay closed" {
    config sh -c 'touch /tmp/f && stat -c %u:%g /tmp/f; touch /etc/f'
    chmod 1777 "$B/rootfs/tmp"
    edit 'p["user"] = {"uid": 1000, "gid": 1001}; p["capabilities"] = {}'
    contained 1
    [ "$output" = 1000:1001 ]
    [[ "$stderr" == *"ermission denied"* ]]
}

@test "umask" {
    known crun 1.8.99 "uses it for the mount points it makes, too"
    config sh -c 'umask; touch /tmp/f; stat -c %a /tmp/f'
    edit 'p["user"]["umask"] = 0o027'
    contained 0
    [ "$output" = "0027
640" ]
    edit 'p["user"]["umask"] = 0o077; p["cwd"] = "/made/by/it"; m.append({"destination": "/point/of/mount", "type": "tmpfs", "source": "t"})'
    contained 0
    # it is the program's, not that of what the runtime makes
    [ "$(stat -c %a "$B/rootfs/point")" = 755 ]
}
