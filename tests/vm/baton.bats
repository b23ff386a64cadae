#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# baton alone, on a real kernel with all controllers: limits, their changes, both cgroup managers, what it counts.

load harness

setup_file() {
    vm_setup
    vm_start
}
teardown_file() { vm_teardown; }
setup() { vm_test; }
teardown() {
    vm 'for c in $(baton list -q); do baton delete --force $c; done; rmdir /sys/fs/cgroup/limited 2>/dev/null || true'
}

@test "a container over its memory limit is killed: 137, and the count says so" {
    run -0 vm 'config sh -c "dd if=/dev/zero of=/dev/null bs=100M count=1"
        edit ".linux.resources.memory = {limit: 33554432, swap: 33554432}"
        code=0; baton run -b /tmp/b m </dev/null >/dev/null 2>&1 || code=$?
        echo $code'
    [ "$output" = 137 ]
    # inside a limit that is enough for it, the same command ends well
    vm 'edit ".linux.resources.memory.limit = 167772160 | .linux.resources.memory.swap = 167772160"
        baton run -b /tmp/b m </dev/null'
    # killed while it is watched: events counts it
    run -0 vm 'config sh -c "sh -c \"dd if=/dev/zero of=/dev/null bs=100M count=1\"; sleep 100"
        edit ".linux.resources.memory = {limit: 33554432, swap: 33554432}"
        baton run -d -b /tmp/b m </dev/null >/dev/null 2>&1
        until_true 60 grep -q "^oom_kill 1" $(group_of m)/memory.events
        baton events --stats m | jq ".data.memory.usage.limit"'
    [ "$output" = 33554432 ]
}

@test "version 1 terms become those of version 2" {
    run -0 vm 'config sleep 100
        edit ".linux.resources = {cpu: {shares: 2048, quota: 20000, period: 50000, cpus: \"0\", mems: \"0\"}, pids: {limit: 50},
            memory: {limit: 67108864, reservation: 33554432, swap: 100663296}, unified: {\"memory.high\": \"60000000\"}}"
        baton run -d -b /tmp/b v </dev/null >/dev/null 2>&1
        g=$(group_of v)
        echo $(cat $g/cpu.weight $g/cpu.max $g/cpuset.cpus $g/cpuset.mems $g/pids.max $g/memory.max $g/memory.low $g/memory.swap.max $g/memory.high)'
    [ "$output" = "79 20000 50000 0 0 50 67108864 33554432 33554432 59998208" ]
}

@test "update changes limits of a running container, and they hold" {
    vm 'config sh -c "while :; do sleep 0.1; done"
        baton run -d -b /tmp/b u </dev/null >/dev/null 2>&1'
    run -0 vm 'g=$(group_of u)
        baton update --memory 50331648 --memory-swap 67108864 --memory-reservation 16777216 --cpu-quota 30000 --cpu-period 100000 \
            --cpu-share 512 --pids-limit 20 --cpuset-cpus 0 u
        echo $(cat $g/memory.max $g/memory.swap.max $g/memory.low $g/cpu.max $g/cpu.weight $g/pids.max $g/cpuset.cpus)
        baton update --memory 100663296 --memory-swap 100663296 --cpu-quota -1 u
        echo $(cat $g/memory.max $g/memory.swap.max $g/cpu.max $g/pids.max)'
    [ "${lines[0]}" = "50331648 16777216 16777216 30000 100000 20 20 0" ]
    [ "${lines[1]}" = "100663296 0 max 100000 20" ]
    # a limit below what is in use: what can go, goes; else the container is killed
    run vm 'baton update --memory 4194304 --memory-swap 4194304 u
        baton exec u dd if=/dev/zero of=/dev/null bs=50M count=1'
    [ "$status" -eq 137 ]
}

@test "a fork bomb stops at the pids limit, and the machine goes on" {
    run -0 vm 'config sleep 1000
        edit ".linux.resources.pids.limit = 40"
        baton run -d -b /tmp/b f </dev/null >/dev/null 2>&1
        g=$(group_of f)
        bomb() { baton exec -d f sh -c "b() { b | b & }; b" </dev/null >/dev/null 2>&1; grep -q "^max [1-9]" $g/pids.events; }
        until_true 60 bomb
        [ "$(cat $g/pids.peak 2>/dev/null || cat $g/pids.current)" -le 40 ]
        sh -c "echo alive"
        baton kill --all f KILL
        until_true 60 sh -c "baton state f | grep -q stopped"
        until_true 60 grep -q "populated 0" $g/cgroup.events'
    [ "${lines[0]}" = alive ]
}

@test "pause stops all use of the processor; resume, and kill while paused" {
    run -0 vm 'config sh -c "while :; do :; done & while :; do :; done"
        baton run -d -b /tmp/b p </dev/null >/dev/null 2>&1
        g=$(group_of p)
        baton pause p
        baton state p | jq -r .status
        a=$(cpu_usec $g); sleep 1; b=$(cpu_usec $g)
        [ $((b - a)) -lt 20000 ] && echo still
        baton resume p
        a=$(cpu_usec $g); sleep 1; b=$(cpu_usec $g)
        [ $((b - a)) -gt 200000 ] && echo moving
        baton pause p
        baton kill p KILL
        until_true 30 sh -c "baton state p | grep -q stopped"
        baton delete p
        [ ! -e $g ] && echo gone'
    [ "$output" = $'paused\nstill\nmoving\ngone' ]
}

@test "events --stats counts what the kernel counts" {
    run -0 vm 'config sh -c "i=0; while [ \$i -lt 20000 ]; do i=\$((i+1)); done; sleep 100"
        edit ".linux.resources.memory.limit = 67108864 | .linux.resources.pids.limit = 30"
        baton run -d -b /tmp/b s </dev/null >/dev/null 2>&1
        g=$(group_of s)
        until_true 60 [ $(cpu_usec $g) -gt 10000 ]
        baton events --stats s >/tmp/stats
        jq -r "[.type, .id, .data.memory.usage.limit, .data.pids.limit, .data.pids.current > 0, .data.cpu.usage.total > 10000000] | map(tostring) | join(\" \")" /tmp/stats
        [ $(jq .data.memory.usage.usage /tmp/stats) -gt 4096 ]'
    [ "${lines[0]}" = "stats s 67108864 30 true true" ]
}

@test "limits of processes are raised and scores lowered where root has the right to" {
    run -0 vm 'config sh -c "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj"
        edit ".process.oomScoreAdj = -500 | .process.rlimits = [{type: \"RLIMIT_NOFILE\", soft: 700000, hard: 800000}]"
        ulimit -Hn 4096
        baton run -b /tmp/b r </dev/null'
    [ "$output" = $'700000\n800000\n-500' ]
}

@test "device rules: what is not allowed is refused, also to the root of the container" {
    run -0 vm 'config sh -c "
            echo x >/dev/null && echo null
            mknod /disk b \$N && head -c 1 /disk >/dev/null 2>&1 || echo no disk
            mknod /mem c 1 1 2>/dev/null && head -c 1 /mem >/dev/null 2>&1 || echo no mem"
        n=$(cat /sys/class/block/vda/dev)
        edit ".process.env += [\"N=${n/:/ }\"] | .process.capabilities.bounding += [\"CAP_MKNOD\"] | .process.capabilities.effective += [\"CAP_MKNOD\"]
            | .process.capabilities.permitted += [\"CAP_MKNOD\"] | .linux.resources.devices = [{allow: false, access: \"rwm\"}, {allow: true, type: \"b\", access: \"m\"}]"
        baton run -b /tmp/b d </dev/null
        edit ".linux.resources.devices += [{allow: true, type: \"b\", major: ${n%:*}, minor: ${n#*:}, access: \"rm\"}]"
        rm -f /tmp/b/rootfs/disk
        baton run -b /tmp/b d </dev/null | grep -c "no disk" || true
        # while it runs: the new rules take the place of the old ones
        config sleep 100
        edit ".linux.resources.devices = [{allow: false, access: \"rwm\"}, {allow: true, type: \"c\", access: \"m\"}]
            | .process.capabilities.bounding += [\"CAP_MKNOD\"] | .process.capabilities.effective += [\"CAP_MKNOD\"] | .process.capabilities.permitted += [\"CAP_MKNOD\"]"
        rm -f /tmp/b/rootfs/kmsg
        baton run -d -b /tmp/b d </dev/null >/dev/null 2>&1
        baton exec d mknod /kmsg c 1 11
        opens() { baton exec d sh -c ": >/kmsg" 2>/dev/null && echo opens || echo refused; }
        opens
        for allow in true false; do
            echo "{\"devices\": [{\"allow\": false, \"access\": \"rwm\"}, {\"allow\": $allow, \"type\": \"c\", \"major\": 1, \"minor\": 11, \"access\": \"rw\"}]}" >/tmp/change
            baton update -r /tmp/change d
            opens
        done'
    [ "$output" = $'null\nno disk\nno mem\n0\nrefused\nopens\nrefused' ]
}

@test "what a disk gives is bounded: io.max" {
    run -0 vm 'dd if=/dev/zero of=/tmp/b/rootfs/file bs=1M count=4 conv=fsync 2>/dev/null
        config sh -c "dd if=/file of=/dev/null bs=256k iflag=direct 2>/dev/null"
        n=$(cat /sys/class/block/vda/dev)
        time_of() { local t; t=$(date +%s%N); baton run -b /tmp/b i </dev/null; echo $((($(date +%s%N) - t) / 1000000)); }
        free=$(time_of)
        edit ".linux.resources.blockIO.throttleReadBpsDevice = [{major: ${n%:*}, minor: ${n#*:}, rate: 1048576}]"
        bounded=$(time_of)
        echo "free $free ms, bounded $bounded ms" >&2
        [ $bounded -gt 3000 ]'
    # while it runs: other bounds, weights, and what was read is counted
    run -0 vm 'n=$(cat /sys/class/block/vda/dev)
        config sh -c "while :; do dd if=/file of=/dev/null bs=256k iflag=direct 2>/dev/null; done"
        edit ".linux.resources.blockIO = {weight: 500, throttleReadBpsDevice: [{major: ${n%:*}, minor: ${n#*:}, rate: 1048576}]}"
        modprobe bfq 2>/dev/null || true
        baton run -d -b /tmp/b i </dev/null >/dev/null 2>&1
        g=$(group_of i)
        cat $g/io.max
        [ ! -e $g/io.weight ] || grep -qx "default 4950" $g/io.weight
        [ -e $g/io.weight ] || [ ! -e $g/io.bfq.weight ] || grep -qx "default 500" $g/io.bfq.weight
        read_bytes() { sed -n "s/^$n .*rbytes=\([0-9]*\).*/\1/p" $g/io.stat; }
        rate() { local a t; a=$(read_bytes) t=$(date +%s%N); sleep 4; echo $((($(read_bytes) - ${a:-0}) * 1000000 / ($(date +%s%N) - t))); }
        slow=$(rate)
        echo "{\"blockIO\": {\"throttleReadBpsDevice\": [{\"major\": ${n%:*}, \"minor\": ${n#*:}, \"rate\": 4194304}], \"throttleWriteIOPSDevice\": [{\"major\": ${n%:*}, \"minor\": ${n#*:}, \"rate\": 50}]}}" >/tmp/change
        baton update -r /tmp/change i
        cat $g/io.max
        fast=$(rate)
        echo "$slow and $fast kB/s" >&2
        [ $slow -le 1400 ] && [ $fast -le 5600 ] && [ $fast -gt $((slow * 3 / 2)) ] && echo both hold'
    printf '%s\n' "${lines[@]}"
    [[ "${lines[0]}" == *" rbps=1048576 wbps=max riops=max wiops=max" ]]
    [[ "${lines[1]}" == *" rbps=4194304 wbps=max riops=max wiops=50" ]]
    [[ "$output" == *"both hold" ]]
}

@test "the manager systemd: limits are properties of a scope, and outlive a reload" {
    run -0 vm 'config sleep 100
        edit ".linux.cgroupsPath = \"system.slice:vm:sd\" | .linux.resources = {memory: {limit: 67108864, swap: 67108864}, cpu: {shares: 2048, quota: 25000, period: 100000}, pids: {limit: 60}}"
        baton --systemd-cgroup run -d -b /tmp/b sd </dev/null >/dev/null 2>&1
        systemctl show -p MemoryMax,MemorySwapMax,TasksMax,CPUWeight,CPUQuotaPerSecUSec vm-sd.scope | sort
        systemctl daemon-reload
        g=$(group_of sd)
        echo $g $(cat $g/memory.max $g/memory.swap.max $g/cpu.max $g/cpu.weight $g/pids.max)
        baton update --memory 134217728 --memory-swap 134217728 --cpu-quota 50000 --pids-limit 70 sd
        systemctl daemon-reload
        echo $(cat $g/memory.max $g/cpu.max $g/pids.max) $(systemctl show -P MemoryMax vm-sd.scope)
        baton kill sd KILL
        until_true 30 sh -c "baton state sd | grep -q stopped"
        baton delete sd
        until_true 30 sh -c "! systemctl is-active -q vm-sd.scope"'
    [ "${lines[0]}" = CPUQuotaPerSecUSec=250ms ]
    [ "${lines[1]}" = CPUWeight=79 ]
    [ "${lines[2]}" = MemoryMax=67108864 ]
    [ "${lines[3]}" = MemorySwapMax=0 ]
    [ "${lines[4]}" = TasksMax=60 ]
    [ "${lines[5]}" = "/sys/fs/cgroup/system.slice/vm-sd.scope 67108864 0 25000 100000 79 60" ]
    [ "${lines[6]}" = "134217728 50000 100000 70 134217728" ]
}

@test "AppArmor profiles hold, for containers and for exec" {
    vm 'grep -q apparmor /sys/kernel/security/lsm || { echo "no AppArmor"; exit 1; }
        printf "%s\n" "profile baton-test flags=(attach_disconnected,mediate_deleted) {" file, signal, unix, \
            "deny /etc/secret rwklx," } | apparmor_parser -r -K
        config sh -c "cat /proc/self/attr/current; cat /etc/secret; echo > /etc/other && echo written; sleep 100"
        mkdir -p /tmp/b/rootfs/etc && echo hidden >/tmp/b/rootfs/etc/secret
        edit ".process.apparmorProfile = \"baton-test\""'
    run -0 vm 'baton run -d -b /tmp/b a </dev/null >/tmp/out 2>&1
        until_true 60 grep -q written /tmp/out
        cat /tmp/out'
    [[ "$output" == *"baton-test (enforce)"* ]]
    [[ "$output" == *"Permission denied"* && "$output" != *hidden* ]]
    # exec has the container's profile, or the one it is given
    run vm 'baton exec a cat /etc/secret || true; baton exec --apparmor unconfined a cat /etc/secret'
    [ "$status" -eq 0 ]
    [[ "$output" == *"Permission denied"*hidden ]]
    run -1 vm 'baton delete --force a
        edit ".process.apparmorProfile = \"absent\""
        baton run -b /tmp/b a </dev/null 2>&1'
    [[ "$output" == *absent* ]]
    [ -z "$(vm 'baton list -q')" ]
}
