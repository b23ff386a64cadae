#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What pods may use of a node, on a real kernel with all controllers: memory, processor, processes, devices.

load harness

setup_file() {
    vm_setup
    vm_start
    vm "cut -d' ' -f1 /proc/modules | sort >/run/modules"
    vm_cluster
    # swap there is, to see that no limit is evaded by it
    vm 'fallocate -l 256M /swap && chmod 600 /swap && mkswap -q /swap && swapon /swap'
}
teardown_file() { vm_teardown; }
setup() { vm_test; }
teardown() { vm_report; }

@test "a container over its memory limit is OOMKilled, exit code 137, and only that one" {
    vm 'pod two <<Y
containers:
- {name: hog, image: busybox:vm, command: [sh, -c, "sleep 1; dd if=/dev/zero of=/dev/null bs=60M count=1; sleep 1000"], resources: {limits: {memory: 32Mi}}}
- {name: calm, image: busybox:vm, command: [sleep, "1000"], resources: {limits: {memory: 32Mi}}}
Y
        pod_wait two ".status.containerStatuses[0].lastState.terminated.reason=OOMKilled"'
    run -0 vm 'pod_get two ".status.containerStatuses[0].lastState.terminated.exitCode"; echo
        pod_get two ".status.containerStatuses[1].restartCount"; echo
        pod_get two ".status.containerStatuses[1].state.running.startedAt" | grep -c 20'
    [ "$output" = $'137\n0\n1' ]
    vm 'pods_gone two'
}

@test "a Guaranteed pod at its limit loses the container, not its supervisor" {
    vm 'pod full <<Y
containers:
- {name: c, image: busybox:vm, command: [sh, -c, "sleep 1; dd if=/dev/zero of=/dev/null bs=60M count=1; sleep 1000"], resources: {limits: {cpu: 500m, memory: 32Mi}}}
Y
        pod_wait full .status.phase=Running
        supervisor=$(cat $(pod_group full supervisor)/cgroup.procs)
        [ "$(cat /proc/$supervisor/oom_score_adj)" = -998 ]
        pod_wait full ".status.containerStatuses[0].lastState.terminated.reason=OOMKilled"
        [ "$(pod_get full .status.qosClass)" = Guaranteed ]
        [ "$(cat $(pod_group full supervisor)/cgroup.procs)" = "$supervisor" ]
        pods_gone full'
}

@test "what a pod asks for is in its groups: weight, quota, limit, score" {
    vm 'pod guaranteed <<Y
containers:
- {name: c, image: busybox:vm, command: [sleep, "1000"], resources: {limits: {cpu: 200m, memory: 16Mi}}}
Y
        pod burstable <<Y
containers:
- {name: c, image: busybox:vm, command: [sleep, "1000"], resources: {requests: {cpu: 500m, memory: 100Mi}}}
Y
        pod besteffort <<Y
containers:
- {name: c, image: busybox:vm, command: [sleep, "1000"]}
Y
        for p in guaranteed burstable besteffort; do pod_wait $p .status.phase=Running; done' >/dev/null
    run -0 vm 'for p in guaranteed burstable besteffort; do
            g=$(pod_group $p c)
            [[ $g == */podium.slice/podium-$p.slice/* ]] || echo "wrong slice: $g"
            echo $p $(cat $g/memory.max $g/memory.swap.max $g/memory.oom.group $g/cpu.max $g/cpu.weight $g/../cpu.weight) $(cat /proc/$(head -n 1 $g/cgroup.procs)/oom_score_adj)
        done'
    [ "${lines[0]}" = "guaranteed 16777216 0 1 20000 100000 8 8 -997" ]
    [[ "${lines[1]}" =~ ^"burstable max max 0 max 100000 20 20 "(8[0-9][0-9]|9[0-9][0-9])$ ]]
    [ "${lines[2]}" = "besteffort max max 0 max 100000 100 1 1000" ]
    # what is run in a container afterwards is held to the same
    run -0 vm 'podium exec guaranteed -- cat /proc/self/oom_score_adj
        podium exec guaranteed -- sh -c "dd if=/dev/zero of=/dev/null bs=60M count=1" >/dev/null 2>&1 || true
        pod_wait guaranteed ".status.containerStatuses[0].lastState.terminated.reason=OOMKilled"'
    [ "${lines[0]}" = -997 ]
    vm 'pods_gone guaranteed burstable besteffort'
}

@test "a processor quota holds within a tenth" {
    vm 'pod busy <<Y
containers:
- {name: c, image: busybox:vm, command: [sh, -c, "while :; do :; done & while :; do :; done"], resources: {limits: {cpu: 300m, memory: 16Mi}}}
Y
        pod_wait busy .status.phase=Running'
    # in thousandths; the machine itself may be kept waiting, then another look is fair
    run -0 vm 'g=$(pod_group busy c)
        for try in 1 2 3; do
            used=$(cpu_usec $g) began=$(date +%s%N)
            sleep 5
            share=$((($(cpu_usec $g) - used) * 1000000 / ($(date +%s%N) - began)))
            [ $share -lt 270 ] || [ $share -gt 330 ] || break
        done
        echo $share'
    echo "$output thousandths"
    [ "${lines[-1]}" -ge 270 ] && [ "${lines[-1]}" -le 330 ]
    vm 'pods_gone busy'
}

@test "pods share the processor as they request it" {
    vm 'for p in large:600m small:200m none:0; do
            pod ${p%:*} <<Y
containers:
- {name: c, image: busybox:vm, command: [sh, -c, "while :; do :; done & while :; do :; done"], resources: {requests: {cpu: ${p#*:}, memory: 16Mi}}}
Y
        done
        for p in large small none; do pod_wait $p .status.phase=Running; done'
    # in hundredths: what large gets of what small gets; three times as much, whichever slices they are in
    run -0 vm 'l=$(pod_group large) s=$(pod_group small)
        for try in 1 2 3; do
            large=$(cpu_usec $l) small=$(cpu_usec $s)
            sleep 5
            ratio=$((($(cpu_usec $l) - large) * 100 / ($(cpu_usec $s) - small)))
            [ $ratio -lt 240 ] || [ $ratio -gt 360 ] || break
        done
        echo $ratio'
    echo "$output hundredths"
    [ "${lines[-1]}" -ge 240 ] && [ "${lines[-1]}" -le 360 ]
    vm 'pods_gone large small none'
}

@test "a pod reaches no device but those of every container" {
    vm 'pod plain <<Y
containers:
- {name: c, image: busybox:vm, command: [sleep, "1000"]}
Y
        pod_wait plain .status.phase=Running
        number=$(cat /sys/class/block/vda/dev)
        podium exec plain -- sh -c "
            set -e
            echo x >/dev/null
            head -c 8 /dev/zero >/dev/null
            head -c 8 /dev/urandom >/dev/null
            mknod /tmp/disk b ${number/:/ }
            ! head -c 8 /tmp/disk 2>/tmp/why || false
            grep -q \"not permitted\" /tmp/why
            mknod /tmp/kmsg c 1 11
            ! head -c 8 /tmp/kmsg 2>/dev/null || false
        "
        # a privileged one does
        pod mighty <<Y
containers:
- {name: c, image: busybox:vm, command: [sleep, "1000"], securityContext: {privileged: true}}
Y
        pod_wait mighty .status.phase=Running
        podium exec mighty -- sh -c "mknod /tmp/disk b ${number/:/ } && head -c 8 /tmp/disk >/dev/null"
        podium exec mighty -- sh -c "head -c 8 /dev/vda >/dev/null"
        ! podium exec plain -- ls /dev/vda 2>/dev/null || false
        pods_gone plain mighty'
}

@test "a fork bomb in a pod leaves processes for the node" {
    # the bound as it is shipped, then one that is reached sooner
    run -0 vm '[ "$(systemctl show -P TasksMax podium.slice)" -lt "$(cat /proc/sys/kernel/threads-max)" ]
        systemctl set-property --runtime podium.slice TasksMax=120
        pod bomb <<Y
containers:
- {name: c, image: busybox:vm, command: [sh, -c, "b() { b | b & }; while :; do (b) 2>/dev/null; sleep 0.1; done"]}
Y
        full() { [ "$(cat /sys/fs/cgroup/podium.slice/pids.current)" -ge 100 ]; }
        until_true 90 sh -c "[ \$(cat /sys/fs/cgroup/podium.slice/pids.peak) -ge 120 ]"
        # in the middle of it: new processes of the node, the API
        until_true 90 full
        systemd-run -q --wait true && echo alive
        podium create configmap meanwhile >/dev/null && podium delete configmap meanwhile >/dev/null && echo answers
        until_true 10 full && echo still on
        pods_gone bomb
        systemctl set-property --runtime podium.slice TasksMax=80%'
    [[ "$output" == *alive*answers*"still on"* ]]
}

@test "a running pod is resized: without a restart, with one where it wants that, never below what it uses" {
    vm 'pod sized <<Y
containers:
- {name: c, image: busybox:vm, command: [sh, -c, "dd if=/dev/zero of=/dev/shm/held bs=1M count=30 2>/dev/null; exec sleep 1000"], resources: {requests: {cpu: 100m, memory: 32Mi}, limits: {cpu: 200m, memory: 64Mi}}}
- {name: r, image: busybox:vm, command: [sleep, "1000"], resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}], resources: {limits: {cpu: 100m, memory: 16Mi}}}
Y
        pod_wait sized .status.phase=Running' >/dev/null
    run -0 vm 'resize() { podium patch pod sized --subresource resize -p "{\"spec\":{\"containers\":[{\"name\":\"$1\",\"resources\":$2}]}}" >/dev/null; }
        awaits() { pod_wait sized "$1" >/dev/null; }
        g=$(pod_group sized c) r=$(pod_group sized r)
        echo $(cat $g/memory.max $g/cpu.max $g/../memory.max $g/../cpu.max)
        resize c "{\"requests\":{\"cpu\":\"150m\"},\"limits\":{\"cpu\":\"400m\",\"memory\":\"96Mi\"}}"
        awaits ".status.containerStatuses[0].resources.limits.memory=96Mi"
        until_true 60 sh -c "[ -z \"\$(podium get pod sized -o jsonpath={.status.resize})\" ]"
        until_true 60 sh -c "[ \$(cat $g/../memory.max) = 121634816 ]"
        echo $(cat $g/memory.max $g/cpu.max $g/../memory.max $g/../cpu.max $g/cpu.weight)
        echo restarts $(pod_get sized ".status.containerStatuses[*].restartCount")
        # the other one is started anew
        resize r "{\"requests\":{\"memory\":\"24Mi\"},\"limits\":{\"memory\":\"24Mi\"}}"
        awaits ".status.containerStatuses[1].restartCount=1"
        awaits ".status.containerStatuses[1].resources.limits.memory=24Mi"
        until_true 60 sh -c "[ \$(cat $r/memory.max) = 25165824 ]"
        echo restarts $(pod_get sized ".status.containerStatuses[*].restartCount")
        # less than what is used waits until it is not
        resize c "{\"requests\":{\"memory\":\"16Mi\"},\"limits\":{\"memory\":\"16Mi\"}}"
        awaits .status.resize=InProgress
        awaits ".status.containerStatuses[0].allocatedResources.memory=16Mi"
        echo $(cat $g/memory.max) $(pod_get sized ".status.containerStatuses[0].resources.limits.memory")
        podium exec sized -c c -- rm /dev/shm/held
        awaits ".status.containerStatuses[0].resources.limits.memory=16Mi"
        echo $(cat $g/memory.max) $(pod_get sized ".status.containerStatuses[0].restartCount")'
    printf '%s\n' "${lines[@]}"
    [ "${lines[0]}" = "67108864 20000 100000 88080384 30000 100000" ]
    [ "${lines[1]}" = "100663296 40000 100000 121634816 50000 100000 6" ]
    [ "${lines[2]}" = "restarts 0 0" ]
    [ "${lines[3]}" = "restarts 0 1" ]
    [ "${lines[4]}" = "100663296 96Mi" ]
    [ "${lines[5]}" = "16777216 0" ]
    # what is asked for while the agent is away is done when it is back
    run -0 vm 'g=$(pod_group sized c)
        systemctl stop podium-agent
        podium patch pod sized --subresource resize -p "{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{\"limits\":{\"cpu\":\"500m\"}}}]}}" >/dev/null
        systemctl start podium-agent
        pod_wait sized ".status.containerStatuses[0].resources.limits.cpu=500m" >/dev/null
        cat $g/cpu.max
        pods_gone sized'
    [ "${lines[0]}" = "50000 100000" ]
}

@test "a node that says so bounds each pod's processes, and keeps the memory that is requested" {
    vm 'mkdir -p /etc/podium/podium.conf.d
        printf "[Agent]\nPodPidsLimit=40\nMemoryQos=yes\n" >/etc/podium/podium.conf.d/test.conf
        systemctl restart podium-agent
        pod bounded <<Y
containers:
- {name: c, image: busybox:vm, command: [sh, -c, "(i=0; while [ \$i -lt 60 ]; do sleep 1000 & i=\$((i+1)); done) 2>/dev/null & exec sleep 1000"], resources: {requests: {memory: 16Mi}, limits: {memory: 64Mi}}}
Y
        pod calm <<Y
containers:
- {name: c, image: busybox:vm, command: [sleep, "1000"]}
Y
        pod_wait bounded .status.phase=Running
        pod_wait calm .status.phase=Running' >/dev/null
    # 16 Mi and nine tenths of the other 48 Mi, in whole pages
    run -0 vm 'g=$(pod_group bounded c)
        echo $(cat $g/memory.min $g/memory.high $g/../memory.min $g/../pids.max /sys/fs/cgroup/podium.slice/podium-burstable.slice/memory.min /sys/fs/cgroup/podium.slice/memory.min)
        until_true 60 sh -c "[ \$(cat $g/../pids.peak) = 40 ]" && echo bounded
        # who is in another pod does not notice
        podium exec bounded -- sh -c "b() { b | b & }; b" >/dev/null 2>&1 || true
        [ "$(podium exec calm -- sh -c "true; true | cat; echo here")" = here ] && [ "$(cat $g/../pids.current)" -ge 30 ] && echo unnoticed
        pods_gone bounded calm >/dev/null
        # the slices follow when the unit has gone
        until_true 30 grep -qx 0 /sys/fs/cgroup/podium.slice/memory.min && echo given back
        rm /etc/podium/podium.conf.d/test.conf
        systemctl restart podium-agent'
    printf '%s\n' "${lines[@]}"
    [ "${lines[0]}" = "16777216 62074880 16777216 40 16777216 16777216" ]
    [ "${lines[1]}" = bounded ]
    [ "${lines[2]}" = unnoticed ]
    [ "${lines[3]}" = "given back" ]
}

@test "kernel settings: safe ones are the pod's alone, others are refused by the node until its administrator allows them" {
    vm 'pod tuned <<Y
securityContext: {sysctls: [{name: net.ipv4.tcp_syncookies, value: "0"}, {name: kernel.shm_rmid_forced, value: "1"}]}
containers: [{name: c, image: busybox:vm, command: [sleep, "1000"]}]
Y
        unsafe() {
            pod $1 <<Y
securityContext: {sysctls: [{name: net.core.somaxconn, value: "77"}, {name: kernel.msgmax, value: "4242"}]}
containers: [{name: c, image: busybox:vm, command: [sleep, "1000"]}]
Y
        }
        unsafe refused
        pod_wait refused .status.reason=SysctlForbidden
        mkdir -p /etc/podium/podium.conf.d
        printf "[Agent]\nAllowedUnsafeSysctls=net.core.somaxconn,kernel.msg*\n" >/etc/podium/podium.conf.d/test.conf
        systemctl restart podium-agent
        unsafe allowed
        pod_wait tuned .status.phase=Running
        pod_wait allowed .status.phase=Running' >/dev/null
    run -0 vm 'pod_get refused .status.phase; echo
        cd /proc/sys
        before=$(cat net/ipv4/tcp_syncookies kernel/shm_rmid_forced net/core/somaxconn kernel/msgmax)
        podium exec tuned -- cat /proc/sys/net/ipv4/tcp_syncookies /proc/sys/kernel/shm_rmid_forced
        podium exec allowed -- cat /proc/sys/net/core/somaxconn /proc/sys/kernel/msgmax
        podium exec tuned -- cat /proc/sys/net/core/somaxconn | grep -vx 77 >/dev/null && echo others
        echo $before
        rm /etc/podium/podium.conf.d/test.conf
        systemctl restart podium-agent
        pods_gone tuned refused allowed >/dev/null'
    printf '%s\n' "${lines[@]}"
    [ "${lines[*]:0:6}" = "Failed 0 1 77 4242 others" ]
    [[ "${lines[6]}" =~ ^"1 0 "[0-9]+" 8192"$ ]]
}

@test "users of a pod's own: its root is nobody on the node, ranges are apart, files keep their owners" {
    vm 'for p in one two; do
            pod $p <<Y
hostUsers: false
securityContext: {fsGroup: 2000, sysctls: [{name: net.ipv4.ping_group_range, value: "0 2000"}, {name: kernel.shm_rmid_forced, value: "1"}]}
volumes: [{name: v, emptyDir: {}}, {name: m, emptyDir: {medium: Memory}}, {name: d, downwardAPI: {defaultMode: 0400, items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}]
containers:
- {name: c, image: busybox:vm, command: [sh, -c, "echo out >/dev/stdout; exec sleep 1000"], securityContext: {privileged: true}, volumeMounts: [{name: v, mountPath: /v}, {name: m, mountPath: /m}, {name: d, mountPath: /d}]}
Y
        done
        for p in one two; do pod_wait $p .status.phase=Running; done' >/dev/null
    run -0 vm 'one=$(head -n 1 $(pod_group one c)/cgroup.procs) two=$(head -n 1 $(pod_group two c)/cgroup.procs)
        read -r inside base size </proc/$one/uid_map
        read -r _ other _ </proc/$two/uid_map
        [ "$inside $size $(stat -c %u:%g /proc/$one)" = "0 65536 $base:$base" ] && [ $base -ge 524288 ] && echo nobody
        [ $((base > other ? base - other : other - base)) -ge 65536 ] && echo apart
        podium exec one -- sh -c "id -u; touch /v/a /m/a /a; chown 7:8 /v/a /m/a /a; stat -c %u:%g /v/a /m/a /a; cat /d/name; echo
            cat /proc/sys/net/ipv4/ping_group_range /proc/sys/kernel/shm_rmid_forced; ip link set lo mtu 9000 && echo own network"
        d=/var/lib/podium/pods/$(pod_get one .metadata.uid)
        stat -c %u:%g $d/volumes/v/a $d/containers/c/upper/a
        # what is the nodes stays so, also for root with all rights
        podium exec one -- sh -c "echo 1 >/proc/sys/vm/swappiness" 2>/dev/null || echo refused
        podium exec one -- sh -c "mknod /x b 254 0" 2>/dev/null || echo no node
        cat /proc/sys/kernel/shm_rmid_forced
        podium logs one
        pods_gone one two >/dev/null'
    printf '%s\n' "${lines[@]}"
    [ "${lines[*]:0:3}" = "nobody apart 0" ]
    [ "${lines[*]:3:4}" = "7:8 7:8 7:8 one" ]
    [ "${lines[*]:7:3}" = $'0\t2000 1 own network' ]
    [ "${lines[*]:10:2}" = "7:8 7:8" ]
    [ "${lines[*]:12:4}" = "refused no node 0 out" ]
}

@test "what an administrator says of a pod's disk holds, and outlives agent and reload" {
    vm 'pod reader <<Y
volumes: [{name: v, emptyDir: {}}]
containers:
- {name: c, image: busybox:vm, command: [sleep, "1000"], volumeMounts: [{name: v, mountPath: /v}], resources: {requests: {cpu: 100m}}}
Y
        pod_wait reader .status.phase=Running
        podium exec reader -- dd if=/dev/zero of=/v/file bs=1M count=4 conv=fsync' >/dev/null
    run -0 vm 'g=$(pod_group reader) unit=$(basename $(pod_group reader)) n=$(cat /sys/class/block/vda/dev)
        systemctl set-property --runtime $unit IOReadBandwidthMax="/dev/vda 1M"
        systemctl set-property --runtime podium-burstable.slice IOWeight=200
        systemctl daemon-reload
        systemctl restart podium-agent
        until_true 60 podium exec reader -- true
        cat $g/io.max
        cat /sys/fs/cgroup/podium.slice/podium-burstable.slice/io.weight /sys/fs/cgroup/podium.slice/podium-burstable.slice/io.bfq.weight 2>/dev/null | head -n 1 || true
        read_bytes() { sed -n "s/^$n .*rbytes=\([0-9]*\).*/\1/p" $g/io.stat; }
        began=$(date +%s%N) before=$(read_bytes)
        podium exec reader -- dd if=/v/file of=/dev/null bs=256k iflag=direct 2>/dev/null
        echo took $((($(date +%s%N) - began) / 1000000)) ms
        [ $(($(read_bytes) - ${before:-0})) -ge 4194304 ] && echo counted
        [ $((($(date +%s%N) - began) / 1000000)) -gt 3000 ] && echo bounded
        pods_gone reader >/dev/null
        systemctl set-property --runtime podium-burstable.slice IOWeight='
    printf '%s\n' "${lines[@]}"
    # systemd counts in thousands
    [[ "${lines[0]}" == *" rbps=1000000 wbps=max riops=max wiops=max" ]]
    [ "${lines[1]}" = "default 200" ]
    [[ "$output" == *counted*bounded* ]]
}

@test "the kernel's modules are there before the agent's loop would wait for them" {
    # more than at the boot: what the agent's unit names, what that needs, and who does checksums for it; nothing came late
    run -0 vm 'named=$(systemctl show -P ExecStartPre podium-agent | sed -n "s/.*argv\[\]=modprobe -abq \([^;]*\) ;.*/\1/p")
        for m in $named; do modprobe -D $m; done | sed -n "s|^insmod .*/\([^/.]*\)\.ko.*|\1|p" | tr - _ | sort -u >/run/named
        echo $(grep -cx nft_chain_nat /run/named) late: $(cut -d" " -f1 /proc/modules | sort | comm -13 /run/modules - | comm -23 - /run/named | grep -v ^crc32c)'
    [ "$output" = "1 late:" ]
}
