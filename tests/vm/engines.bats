#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's podman and containerd run containers by baton, on a real kernel, with limits and both cgroup managers.

load harness

setup_file() {
    vm_setup
    vm_start
    vm -t 240 'podman load -q -i /usr/share/vm/busybox.tar >/dev/null
        systemd-run -q --unit=ctrd -p Delegate=yes -p KillMode=process containerd
        until_true 120 ctr version >/dev/null 2>&1
        ctr image import /usr/share/vm/busybox.tar >/dev/null' >&2
}
teardown_file() { vm_teardown; }
setup() { vm_test; }

limits='cd /sys/fs/cgroup; cat memory.max memory.swap.max pids.max cpu.max cpu.weight; cat /proc/self/oom_score_adj'

podman_run() { # CGROUP-MANAGER
    run -0 vm -t 240 "podman --runtime /usr/bin/baton --cgroup-manager=$1 run --rm --network none -m 32m --memory-swap 48m --pids-limit 50 \
        --cpus 0.5 --cpu-shares 2048 --oom-score-adj -100 docker.io/library/busybox:vm sh -c '$limits'"
    [ "$output" = $'33554432\n16777216\n50\n50000 100000\n79\n-100' ]
    run -137 vm -t 240 "podman --runtime /usr/bin/baton --cgroup-manager=$1 run --rm --network none -m 32m --memory-swap 32m \
        docker.io/library/busybox:vm dd if=/dev/zero of=/dev/null bs=100M count=1 2>&1"
}

@test "podman, groups as folders: limits hold" { podman_run cgroupfs; }

@test "podman, groups by systemd: limits hold" { podman_run systemd; }

@test "podman: update, pause and stats reach a running container" {
    run -0 vm -t 240 'p="podman --runtime /usr/bin/baton"
        $p run -d --name u --network none -m 64m docker.io/library/busybox:vm sh -c "while :; do :; done" >/dev/null
        g=/sys/fs/cgroup$(sed -n "s/^0:://p" /proc/$($p inspect --format "{{.State.Pid}}" u)/cgroup)
        $p update -m 96m --cpus 0.3 u >/dev/null
        cat $g/memory.max $g/cpu.max
        $p pause u >/dev/null
        a=$(cpu_usec $g); sleep 1; [ $(($(cpu_usec $g) - a)) -lt 20000 ] && echo still
        $p unpause u >/dev/null
        $p stats --no-stream --format "{{.PIDs}}" u
        $p rm -f -t 0 u >/dev/null'
    [ "$output" = $'100663296\n30000 100000\nstill\n1' ]
}

@test "containerd, both cgroup managers: limits hold" {
    run -0 vm -t 240 'limits_of() { # NAME OPTION...
            local name=$1 pid g
            shift
            ctr run -d --runc-binary /usr/bin/baton --memory-limit 33554432 --cpus 0.5 "$@" docker.io/library/busybox:vm $name sleep 1000
            pid=$(ctr task ls | awk -v n=$name "\$1 == n { print \$2 }")
            g=/sys/fs/cgroup$(sed -n "s/^0:://p" /proc/$pid/cgroup)
            echo ${g#/sys/fs/cgroup} $(cat $g/memory.max $g/cpu.max)
            ctr task exec --exec-id e $name true
            ctr task kill -s KILL $name
            until_true 60 sh -c "ctr task ls | grep -q \"$name.*STOPPED\""
            ctr task delete $name >/dev/null 2>&1 || true
            ctr container delete $name
            [ ! -e $g ] && echo gone
        }
        limits_of c1
        limits_of c2 --runc-systemd-cgroup --cgroup system.slice:ctr:c2'
    [ "$output" = $'/default/c1 33554432 50000 100000\ngone\n/system.slice/ctr-c2.scope 33554432 50000 100000\ngone' ]
}
