# SPDX-License-Identifier: GPL-2.0-or-later
# What the tests in virtual machines share. A file says:
#     load harness
#     setup_file() { vm_setup; vm_start; }     # the image, if need be; boots the machine "vm" and waits for systemd
#     teardown_file() { vm_teardown; }
#     setup() { vm_test; }
#     @test "…" { vm 'uname -r'; }             # bash in the machine: its outputs, its exit code
# Each machine has a disk of its own (a layer over the base image), which outlives vm_stop and vm_start. Nothing a
# machine does reaches the host or a network. A machine ends with the process that started the file, whatever happens.
# Several on one network, each with an address by the number at the end of its name (vm: 10.9.0.1, vm2: 10.9.0.2):
#     vm_setup; vm_network; vm_boot vm; vm_boot vm2; vm_booted vm; vm_booted vm2; vm_cluster; vm_join vm2
#     vm_link vm2 off; vm_on vm2 'ip link'; vm_link vm2 on; vm_stop vm2; vm_start vm2
# VM_TIMEOUT_BOOT (seconds): how long a boot may take on a busy host.

bats_require_minimum_version 1.5.0

vm_setup() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    [ "$(uname -m)" = x86_64 ] || skip "the test machines are x86_64"
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    BUILD=${BUILD:-build}
    case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
    VM_IMAGE=$BUILD/vm VM_CONTROL=$BUILD/vm-tools/control VM_KEEPER=$$
    T=$BATS_FILE_TMPDIR
    export ROOT BUILD VM_IMAGE VM_CONTROL VM_KEEPER T
    mkdir -p "$VM_IMAGE"
    (cd "$ROOT" && flock 9 && make -s BUILD="$BUILD" vm-image 9>&-) 9>"$VM_IMAGE.lock" >&2
}

# The network that machines started afterwards are plugged into; without it each has one that nobody else is in.
vm_network() {
    mkdir -p "$T/network"
    "$VM_CONTROL" keep "$VM_KEEPER" "$T/network/log" "$BUILD/vm-tools/switch" "$T/network/switch" 3>&- </dev/null >/dev/null 2>&1 &
    echo $! >"$T/network/keeper"
    until [ -S "$T/network/switch" ]; do
        kill -0 "$(cat "$T/network/keeper")" && sleep 0.05 || return 1
    done
}

# vm_link NAME off|on: the machine's cable is pulled, and put back
vm_link() { "$VM_CONTROL" monitor "$T/$1/monitor" set_link 'name="n"' "up=$([ "$2" = on ] && echo true || echo false)" 3>&-; }

# vm_start [NAME]: makes the machine's disk at the first time, boots it, waits until systemd has started what it wants.
# VM_MEMORY (MiB), VM_CPUS, VM_ADDRESS (of its card), VM_NET (a QEMU netdev with the id n), VM_APPEND (kernel command line),
# VM_ICOUNT (QEMU's -icount: with "shift=0,sleep=off" and one processor the machine's nanoseconds are its instructions)
vm_start() {
    vm_boot "$@"
    vm_booted "$@"
}

vm_boot() { # [NAME]: does not wait
    local name=${1:-vm} dir accel cpu number net=hubport,id=n,hubid=1
    dir=$T/$name
    number=${name##*[!0-9]}
    mkdir -p "$dir"
    [ ! -S "$T/network/switch" ] || net=stream,id=n,server=off,addr.type=unix,addr.path=$T/network/switch
    accel=$(cat "$VM_IMAGE/accel")
    case $accel${VM_ICOUNT:+-counted} in
    kvm) cpu=host ;;
    *-counted) accel=tcg,thread=single cpu=max,la57=off ;;
    *) accel=tcg,thread=multi cpu=max,la57=off ;;
    esac
    [ -e "$dir/disk" ] || qemu-img create -q -f qcow2 -F raw -b "$VM_IMAGE/base/root.img" "$dir/disk"
    rm -f "$dir/run" "$dir/monitor"
    "$VM_CONTROL" keep "$VM_KEEPER" "$dir/log" qemu-system-x86_64 -name "$name" -M pc,vmport=off -accel "$accel" -cpu "$cpu" \
        ${VM_ICOUNT:+-icount "$VM_ICOUNT"} -smp "${VM_CPUS:-2}" -m "${VM_MEMORY:-1024}" -nodefaults -no-user-config -display none \
        -kernel "$VM_IMAGE/base/vmlinuz" -initrd "$VM_IMAGE/initrd" \
        -append "console=ttyS0 loglevel=4 panic=-1 mitigations=off nokaslr psi=1 systemd.show_status=0 systemd.hostname=$name \
systemd.machine_id=$(printf '%s' "$name" | md5sum | cut -c1-32) vm.address=${VM_ADDRESS:-10.9.0.${number:-1}/24} ${VM_APPEND:-}" \
        -drive "if=virtio,file=$dir/disk,format=qcow2,cache=unsafe,discard=unmap" \
        -netdev "${VM_NET:-$net}" -device "virtio-net-pci,netdev=n,romfile=,mac=${VM_MAC:-52:54:00:09:00:$(printf %02x "${number:-1}")}" \
        -device virtio-serial-pci -chardev "socket,id=run,path=$dir/run,server=on,wait=off" -device virtserialport,chardev=run,name=run \
        -serial "file:$dir/console" -qmp "unix:$dir/monitor,server=on,wait=off" 3>&- </dev/null >/dev/null 2>&1 &
    echo $! >"$dir/keeper"
}

vm_booted() { # [NAME]: waits until systemd has started what it wants
    vm_wait_booted "$@" || {
        vm_console "$@"
        return 1
    }
}
vm_wait_booted() {
    local dir=$T/${1:-vm} limit=${VM_TIMEOUT_BOOT:-240} end waiting
    end=$((SECONDS + limit))
    until [ -S "$dir/run" ]; do
        kill -0 "$(cat "$dir/keeper")" 2>/dev/null && [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
    "$VM_CONTROL" run -t "$limit" "$dir/run" 'systemctl is-system-running --wait || systemctl --failed --no-pager' >"$dir/running" 3>&- </dev/null &
    waiting=$!
    while kill -0 $waiting 2>/dev/null; do
        if grep -aqE 'Kernel panic|^vm: ' "$dir/console" 2>/dev/null; then kill $waiting; fi
        sleep 0.1
    done
    wait $waiting || return 1
    grep -q running "$dir/running" || {
        cat "$dir/running" >&2
        return 1
    }
}

# Goes down in order and comes up again.
vm_reboot() { # [NAME]
    local dir=$T/${1:-vm} end=$((SECONDS + 2 * ${VM_TIMEOUT_BOOT:-240})) id='cat /proc/sys/kernel/random/boot_id' before now
    before=$(vm_on "${1:-vm}" -t 60 "$id; systemctl start --no-block --job-mode=replace-irreversibly reboot.target") || [ -n "$before" ] || return 1
    # what is asked while it goes down may be lost: asked again
    until now=$(timeout 10 "$VM_CONTROL" run "$dir/run" "$id" 2>/dev/null 3>&- </dev/null) && [ "$now" != "${before%%$'\n'*}" ]; do
        if [ $SECONDS -ge $end ] || ! kill -0 "$(cat "$dir/keeper")"; then
            vm_console "${1:-vm}"
            return 1
        fi
        sleep 0.5
    done
    vm_booted "${1:-vm}"
}

# The plug is pulled: what the machine had not written to its disk is lost.
vm_stop() { # [NAME]
    local keeper
    keeper=$(cat "$T/${1:-vm}/keeper" 2>/dev/null) || return 0
    # QEMU, the keeper's child; the keeper goes with it
    pkill -KILL -P "$keeper" 2>/dev/null || true
    while kill -0 "$keeper" 2>/dev/null; do sleep 0.05; done
    rm -f "$T/${1:-vm}/keeper"
}

# Waits until the machine has switched itself off.
vm_went() { # [NAME]
    local keeper end=$((SECONDS + 2 * ${VM_TIMEOUT_BOOT:-240}))
    keeper=$(cat "$T/${1:-vm}/keeper") || return 1
    while kill -0 "$keeper" 2>/dev/null; do
        [ $SECONDS -lt $end ] || {
            vm_console "${1:-vm}"
            return 1
        }
        sleep 0.1
    done
    rm -f "$T/${1:-vm}/keeper"
}

vm_teardown() {
    local k
    for k in "${T:-/nonexistent}"/*/keeper; do
        [ ! -e "$k" ] || vm_stop "$(basename "$(dirname "$k")")"
    done
}

# vm [-t SECONDS] [-i] SCRIPT: runs it in the machine; -i passes on standard input
vm() { vm_on vm "$@"; }
vm_on() {
    local name=$1
    shift
    local script=${*: -1}
    set -- "${@:1:$#-1}"
    if [[ " $* " == *" -i "* ]]; then
        "$VM_CONTROL" run "$@" "$T/$name/run" "$script" 3>&-
    else
        "$VM_CONTROL" run "$@" "$T/$name/run" "$script" 3>&- </dev/null
    fi
}
vm_cluster() { vm -t 240 cluster >&2; } # control plane and agent in the machine "vm", with the image busybox:vm
# vm_join NAME…: they become nodes of it, in the way a user does it: the server says how
vm_join() {
    local name
    for name in "$@"; do
        vm 'podium token create' | vm_on "$name" -i join
    done
    vm -t 240 "joined $*" >&2
}
vm_put() { vm -i "cat >'$2'" <"$1"; } # FILE PATH-IN-THE-MACHINE

vm_console() { # [NAME]: the end of what it said, for a failure
    {
        echo "--- the console of ${1:-vm}:"
        tail -n 40 "$T/${1:-vm}/console"
        cat "$T/${1:-vm}/log"
    } >&2 2>/dev/null || true
}

# setup() of a file: a machine that died is said so at once
vm_test() {
    [ -S "$T/vm/run" ] || return 0
    kill -0 "$(cat "$T/vm/keeper" 2>/dev/null)" 2>/dev/null || {
        echo "the machine is gone" >&2
        vm_console
        return 1
    }
}

# teardown() of a file with a cluster: what it looked like when a test failed
vm_report() {
    [ -z "${BATS_TEST_COMPLETED:-}" ] && [ -z "${BATS_TEST_SKIPPED:-}" ] || return 0
    vm -t 30 'podium get pods -o wide; podium get events | tail -n 12; journalctl --no-pager -q -n 300 | grep -v kernel: | tail -n 30; dmesg | grep -i killed | tail -n 5' || true
} >&2
