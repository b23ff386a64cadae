#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# process.capabilities: five sets.

load oci

caps() { # SET: its bits in output
    sed -n "s/^Cap$1:\t//p" <<<"$output"
}

@test "the sets are what they are told to be" {
    config grep Cap /proc/self/status
    edit 's = p["capabilities"]
s["bounding"] = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SYS_TIME"]
s["permitted"] = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"]
s["effective"] = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"]
s["inheritable"] = ["CAP_NET_RAW"]
s["ambient"] = ["CAP_NET_RAW"]'
    contained 0
    [ "$(caps Bnd)" = 0000000002002021 ]
    [ "$(caps Inh)" = 0000000000002000 ]
    [ "$(caps Amb)" = 0000000000002000 ]
}

@test "root without capabilities has none" {
    config sh -c 'grep CapEff /proc/self/status; chown 5 /etc/passwd'
    edit 'p["capabilities"] = {}'
    contained 1
    [ "$output" = "CapEff:	0000000000000000" ]
    [[ "$stderr" == *"not permitted"* ]]
}

@test "other users keep only what is ambient" {
    config grep -E 'CapEff|CapPrm|CapAmb' /proc/self/status
    edit 'p["user"] = {"uid": 1000, "gid": 1000}'
    contained 0
    [ "$(caps Eff)" = 0000000000000000 ]
    edit 'for s in ("inheritable", "ambient"): p["capabilities"][s] = ["CAP_KILL"]'
    contained 0
    [ "$(caps Eff)" = 0000000000000020 ]
    [ "$(caps Amb)" = 0000000000000020 ]
}

@test "a capability that nobody knows" {
    # "Any value which cannot be mapped to a relevant kernel interface, or cannot be granted otherwise, MUST be logged as a
    # warning by the runtime. Runtimes SHOULD NOT fail if the container configuration requests capabilities that cannot be granted"
    known crun 1.8.99 "is an error"
    config grep CapBnd /proc/self/status
    edit 'p["capabilities"]["bounding"].append("CAP_NO_SUCH")'
    contained 0
    [ "$(caps Bnd)" = 0000000000000021 ]
    [[ "$stderr" == *CAP_NO_SUCH* ]]
}
