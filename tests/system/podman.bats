#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's podman with baton as its runtime, unmodified: everything a user of podman does, in storage of our own.
# BATON names another runtime to compare with; ENGINE_RUN adds options to each run (--cgroups=disabled).

load engine

setup_file() {
    command -v podman >/dev/null || skip "no podman here"
    engine_setup
    cat >"$BATS_FILE_TMPDIR/containers.conf" <<C
[containers]
# what this machine may not give, a container does not ask for
pids_limit = 0
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
log_driver = "k8s-file"
netns = "none"
init_path = "/usr/bin/catatonit"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "baton"
# podman 4.3 reads the second name, newer ones the first
runtime_supports_nocgroups = ["baton"]
runtime_supports_nocgroup = ["baton"]
# errors are read from baton's log, not from what it writes to its standard error
runtime_supports_json = ["baton"]
infra_image = "busybox:test"
tmp_dir = "$E/tmp"
[engine.runtimes]
baton = ["$BATON"]
[network]
network_config_dir = "$E/net"
C
    printf '[storage]\ndriver = "overlay"\nrunroot = "%s/run"\ngraphroot = "%s/graph"\n' "$E" "$E" >"$BATS_FILE_TMPDIR/storage.conf"
    busybox_root "$BATS_FILE_TMPDIR/root"
    printf '#!/bin/sh\ntrap "exit 0" TERM INT\nwhile :; do sleep 1000 & wait; done\n' >"$BATS_FILE_TMPDIR/root/bin/pause"
    chmod +x "$BATS_FILE_TMPDIR/root/bin/pause"
    tar -C "$BATS_FILE_TMPDIR/root" -c . >"$BATS_FILE_TMPDIR/root.tar"
    podman import -q -c 'ENV FROM=image' -c 'CMD ["pause"]' "$BATS_FILE_TMPDIR/root.tar" busybox:test >/dev/null
}

teardown_file() {
    [ -n "${E:-}" ] || return 0
    podman pod rm -f -a -t 0 >/dev/null 2>&1 || true
    podman rm -f -a -t 0 >/dev/null 2>&1 || true
    engine_teardown
}

setup() { T=$BATS_TEST_TMPDIR; }

teardown() {
    [ -z "$BATS_TEST_COMPLETED" ] && podman ps -a 2>/dev/null
    podman rm -f -a -t 0 >/dev/null 2>&1 || true
}

podman() {
    DISABLE_HC_SYSTEMD=true CONTAINERS_CONF=$BATS_FILE_TMPDIR/containers.conf CONTAINERS_STORAGE_CONF=$BATS_FILE_TMPDIR/storage.conf \
        inside timeout --foreground -k 5 60 podman "$@" 3>&- 4>&-
}
# shellcheck disable=SC2086
engine_run() { podman run ${ENGINE_RUN:-} "$@"; }
one() { engine_run --rm "$@"; }
# in a terminal of 33 rows and 77 columns; the arguments are podman's
in_terminal() {
    { declare -f podman inside; echo "stty rows 33 cols 77; $*"; } >"$T/typed"
    SHELL=/bin/sh script -qec "bash '$T/typed'" /dev/null
}
field() { podman inspect -f "{{$2}}" "$1"; } # CONTAINER FIELD
is() { [ "$(field "$1" "$2")" = "$3" ]; }    # CONTAINER FIELD VALUE
logged() { podman logs "$1" 2>&1 | grep -q -- "$2"; }

@test "run: output, errors, exit codes, signals, standard input" {
    run -7 --separate-stderr one busybox:test sh -c 'echo out; echo err >&2; exit 7'
    [ "$output" = out ]
    [ "$stderr" = err ]
    head -c 300000 /dev/urandom >"$T/random"
    one -i busybox:test cat <"$T/random" >"$T/back"
    cmp "$T/random" "$T/back"
    is_set=$(one -e MORE=given busybox:test sh -c 'echo $FROM $MORE $container')
    [ "$is_set" = "image given podman" ]
}

@test "run: a command that is missing is 127, one that cannot be executed 126" {
    run -127 one busybox:test no-such-command
    [[ "$output" == 'Error: baton: exec: "no-such-command": executable file not found in $PATH: OCI runtime '* ]]
    run -127 one busybox:test /no/such/file
    [[ "$output" == *"no such file or directory"* ]]
    run -126 one busybox:test /etc/passwd
    [[ "$output" == *[Pp]"ermission denied"* ]]
    run -126 one --workdir /etc/passwd busybox:test true
    [ -z "$(podman ps -aq)" ]
}

@test "run -t: a terminal with the size of the caller's" {
    run -3 in_terminal "podman run --rm -it ${ENGINE_RUN:-} busybox:test sh -c 'tty; until stty size | grep 33; do sleep 0.01; done; test -c /dev/console && echo console; exit 3'"
    [[ "$output" == *"/dev/pts/0"*"33 77"*"console"* ]]
}

@test "run -d, ps, inspect, top, logs, exec, stop with its signal" {
    engine_run -d --name one busybox:test sh -c 'trap "echo stopped; exit 5" TERM; echo started; while :; do sleep 0.05; done' >/dev/null
    until_true logged one started
    [[ "$(podman ps --format '{{.Names}} {{.Status}}')" = "one Up "* ]]
    is one .State.Status running
    is one .OCIRuntime baton
    pid=$(field one .State.Pid)
    [[ "$(tr '\0' ' ' <"/proc/$pid/cmdline")" == sh* ]]
    [[ "$(podman top one comm)" == *sh* ]]
    run -4 --separate-stderr podman exec one sh -c 'echo in; echo err >&2; exit 4'
    [ "$output" = in ]
    [ "$stderr" = err ]
    podman stop -t 10 one >/dev/null
    is one .State.ExitCode 5
    [ "$(podman logs one)" = "started
stopped" ]
    podman rm one >/dev/null
    [ ! -e "/proc/$pid" ]
}

@test "stop kills what does not listen; kill and rm -f" {
    engine_run -d --name deaf busybox:test sh -c 'trap "" TERM; while :; do sleep 1; done' >/dev/null
    podman stop -t 0 deaf >/dev/null 2>&1
    is deaf .State.ExitCode 137
    podman start deaf >/dev/null
    podman kill -s KILL deaf >/dev/null
    [ "$(podman wait deaf)" = 137 ]
    podman start deaf >/dev/null
    pid=$(field deaf .State.Pid)
    podman rm -f -t 0 deaf >/dev/null
    [ ! -e "/proc/$pid" ]
    run -125 podman kill deaf
}

@test "exec: -d, input, terminal, user, groups, folder, environment, codes, privileges" {
    engine_run -d --name busy busybox:test sleep 1000 >/dev/null
    podman exec -d busy sh -c 'echo done >/tmp/done; exec sleep 900'
    until_true podman exec busy test -s /tmp/done
    [ "$(echo typed | podman exec -i busy cat)" = typed ]
    [ "$(podman exec --user user busy id)" = "uid=1000(user) gid=1001(users) groups=50(extra),1001(users)" ] ||
        [ "$(podman exec --user user busy id -G)" = "1001 50" ]
    [ "$(podman exec --user 7:8 --workdir /etc --env A=b busy sh -c 'pwd; echo $A; id -u; id -g')" = "/etc
b
7
8" ]
    run -9 in_terminal "podman exec -it busy sh -c 'tty; until stty size | grep 33; do sleep 0.01; done; exit 9'"
    [[ "$output" == *"/dev/pts/"*"33 77"* ]]
    run -127 podman exec busy no-such-command
    run -126 podman exec busy /etc/passwd
    run -137 podman exec busy sh -c 'kill -9 $$'
    [ "$(podman exec --privileged busy grep CapEff /proc/self/status)" = "$(grep CapEff /proc/self/status)" ]
}

@test "attach: to a running container, and start -a" {
    engine_run -d -i --name talk busybox:test sh -c 'read a; echo "got $a"; exit 6' >/dev/null
    [ "$(podman attach talk <<<word)" = "got word" ]
    [ "$(podman wait talk)" = 6 ]
    # shellcheck disable=SC2086
    podman create ${ENGINE_RUN:-} --name later busybox:test sh -c 'echo late; exit 8' >/dev/null
    run -8 podman start -a later
    [ "$output" = late ]
}

@test "pause and unpause, all processes" {
    engine_run -d --name cold busybox:test sh -c 'i=0; while :; do i=$((i + 1)); echo $i >/tmp/n; sleep 0.01; done' >/dev/null
    podman pause cold >/dev/null
    is cold .State.Status paused
    run -255 podman exec cold true
    podman unpause cold >/dev/null
    is cold .State.Status running
    n=$(podman exec cold cat /tmp/n)
    until_true test "$(podman exec cold cat /tmp/n)" != "$n"
}

@test "health checks, restart policies, restart" {
    engine_run -d --name well --health-cmd 'test -e /tmp/well' --health-retries 1 --health-interval disable busybox:test sleep 1000 >/dev/null
    run -1 podman healthcheck run well
    podman exec well touch /tmp/well
    podman healthcheck run well
    before=$(field well .State.Pid)
    podman restart -t 0 well >/dev/null
    [ "$(field well .State.Pid)" != "$before" ]
    engine_run -d --name again --restart on-failure:2 busybox:test sh -c 'echo run; exit 3' >/dev/null
    until_true is again .RestartCount 2
    until_true is again .State.Status exited
    [ "$(podman logs again | grep -c run)" = 3 ]
}

@test "root read-only, tmpfs, volumes and their options" {
    mkdir "$T/vol"
    echo text >"$T/vol/file"
    inside mount --make-shared -t tmpfs t "$T/vol"
    inside sh -c "echo text >'$T/vol/file'; mkdir '$T/vol/sub'"
    run --separate-stderr one --read-only --tmpfs /scratch:size=1m,mode=700,noexec -v "$T/vol:/ro:ro" -v "$T/vol:/rw:rw,nosuid,nodev" -v kept:/kept \
        -v "$T/vol:/over:O" --mount type=bind,src="$T/vol/file",dst=/one,ro --mount type=tmpfs,dst=/t2,tmpfs-size=65536 busybox:test \
        sh -c 'for f in /x /ro/x /one; do echo y >$f; done; cat /ro/file /one; echo y >/rw/new; echo k >/kept/f; echo o >/over/gone; echo s >/scratch/f; touch /tmp/f /run/f; grep -E " /(scratch|rw|ro|t2) " /proc/mounts'
    [ "$status" -eq 0 ]
    [ "$(grep -c 'ead-only' <<<"$stderr")" = 3 ]
    [[ "$output" == "text
text"* ]]
    [[ "$output" == *"/scratch tmpfs rw,nosuid,nodev,noexec"*"size=1024k,mode=700"* ]]
    [[ "$output" == *"/ro tmpfs ro"* ]]
    [[ "$output" == *"/rw tmpfs rw,nosuid,nodev"* ]]
    [ "$(inside cat "$T/vol/new")" = y ]
    inside test ! -e "$T/vol/gone"
    [ "$(one -v kept:/k busybox:test cat /k/f)" = k ]
    # what the host mounts later comes in where the volume says so
    engine_run -d --name slave -v "$T/vol:/v:rslave" -v "$T/vol:/p:rprivate" busybox:test sleep 1000 >/dev/null
    inside mount -t tmpfs late "$T/vol/sub"
    inside touch "$T/vol/sub/late"
    podman exec slave test -e /v/sub/late
    run -1 podman exec slave test -e /p/sub/late
    podman volume rm kept >/dev/null
}

@test "capabilities, seccomp profiles, no-new-privileges, users" {
    run -0 one --cap-drop all --cap-add NET_RAW,SYS_TIME --security-opt no-new-privileges busybox:test grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status
    [ "$output" = "CapEff:	0000000002002000
CapBnd:	0000000002002000
NoNewPrivs:	1
Seccomp:	2" ]
    echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}' >"$T/profile.json"
    run -1 one --security-opt seccomp="$T/profile.json" busybox:test mkdir /tmp/x
    [[ "$output" == *"No space left"* ]]
    run -0 one --security-opt seccomp=unconfined busybox:test grep Seccomp: /proc/self/status
    [ "$output" = "Seccomp:	0" ]
    run -0 one --user user --group-add 77 busybox:test sh -c 'id -u; id -G; grep CapEff /proc/self/status; pwd'
    [ "${lines[0]}" = 1000 ]
    [[ "${lines[1]}" == 1001*50*77* || "${lines[1]}" == 1001*77*50* ]]
    [ "${lines[2]}" = "CapEff:	0000000000000000" ]
    run -0 one --privileged busybox:test sh -c 'mount -t tmpfs t /tmp && touch /tmp/x && echo mounted; test -e /dev/kmsg -o -e /dev/loop-control && echo devices'
    [[ "$output" == mounted*devices ]]
    [ "$(one busybox:test stat -L -c %t:%T /proc/keys)" = 1:3 ]
    [ "$(one --security-opt unmask=ALL busybox:test stat -L -c %t:%T /proc/keys)" = 0:0 ]
}

@test "user namespaces: --uidmap, and exec there" {
    run -0 one --uidmap 0:200000:5000 --gidmap 0:300000:5000 busybox:test sh -c 'id -u; cat /proc/self/uid_map /proc/self/gid_map; touch /tmp/x && stat -c %u:%g /tmp/x /etc/passwd; echo n >/dev/null'
    [[ "$(tr -s ' ' <<<"$output")" == "0
 0 200000 5000
 0 300000 5000
0:0
0:0" ]]
    engine_run -d --name mapped --uidmap 0:200000:5000 busybox:test sleep 1000 >/dev/null
    [ "$(stat -c %u "/proc/$(field mapped .State.Pid)")" = 200000 ]
    [ "$(podman exec mapped id -u)" = 0 ]
    [ "$(podman exec --user 1000 mapped sh -c 'id -u')" = 1000 ]
}

@test "a user namespace shared with another container" {
    engine_run -d --name mapped --uidmap 0:200000:5000 busybox:test sleep 1000 >/dev/null
    run -0 engine_run --rm --userns container:mapped busybox:test sh -c 'readlink /proc/self/ns/user'
    [ "$output" = "$(readlink "/proc/$(field mapped .State.Pid)/ns/user")" ]
}

@test "namespaces: host name, network, pid, ipc, uts, shared ones" {
    [ "$(one --hostname inside busybox:test hostname)" = inside ]
    [ "$(one --network none busybox:test ls /sys/class/net)" = lo ]
    [ "$(one --network host busybox:test readlink /proc/self/ns/net)" = "$(readlink /proc/self/ns/net)" ]
    [ "$(one --pid host --uts host --ipc host busybox:test sh -c 'readlink /proc/self/ns/pid; readlink /proc/self/ns/uts; readlink /proc/self/ns/ipc')" = \
        "$(readlink /proc/self/ns/pid; readlink /proc/self/ns/uts; readlink /proc/self/ns/ipc)" ]
    engine_run -d --name first --ipc shareable busybox:test sleep 1000 >/dev/null
    p=$(field first .State.Pid)
    [ "$(one --pid container:first --network container:first --ipc container:first busybox:test sh -c 'readlink /proc/self/ns/pid; readlink /proc/self/ns/net; readlink /proc/self/ns/ipc')" = \
        "$(readlink "/proc/$p/ns/pid"; readlink "/proc/$p/ns/net"; readlink "/proc/$p/ns/ipc")" ]
    # a container in the host's pid namespace ends with all its processes
    engine_run -d --name hostpid --pid host busybox:test sh -c 'sleep 54321 & sleep 54321' >/dev/null
    podman rm -f -t 0 hostpid >/dev/null
    ! pgrep -f 'sleep 54321' >/dev/null || false
}

@test "limits, sysctls, devices, init, time zone, labels, annotations" {
    [ "$(one --ulimit core=5:7 --ulimit nofile=100:200 --ulimit nproc=1000:1000 busybox:test cat /proc/self/limits | awk '/core|open files/ {print $(NF-2), $(NF-1)}')" = "5 7
100 200" ]
    [ "$(one --sysctl kernel.msgmax=4321 --sysctl net.ipv4.ip_forward=1 --network none busybox:test cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward)" = "4321
1" ]
    [ "$(one --device /dev/zero:/dev/mine:rw busybox:test sh -c 'stat -c %t:%T /dev/mine; head -c 1 /dev/mine | head -c 0')" = 1:5 ]
    [[ "$(one --init busybox:test cat /proc/1/cmdline | tr '\0' ' ')" == *init*" -- cat "* ]]
    [ "$(one --annotation a.b/c=d --label x=y --shm-size 65536 busybox:test stat -f -c %b /dev/shm)" = 16 ]
    [ "$(one --oom-score-adj 500 busybox:test cat /proc/self/oom_score_adj)" = 500 ]
    [ "$(one --umask 0027 busybox:test sh -c umask)" = 0027 ]
    [ "$(one --systemd=always --entrypoint /bin/sh busybox:test -c 'mkdir /sys/fs/cgroup/own && touch /run/lock/f && echo made')" = made ]
}

@test "pods: shared namespaces, infra container, stop and removal" {
    podman pod create --name band --hostname stage --network none >/dev/null
    podman run -d --pod band --name drums busybox:test sleep 1000 >/dev/null
    podman run -d --pod band --name bass busybox:test sleep 1000 >/dev/null
    [ "$(podman exec drums readlink /proc/self/ns/net)" = "$(podman exec bass readlink /proc/self/ns/net)" ]
    [ "$(podman exec drums hostname)" = stage ]
    [ "$(podman pod ps --format '{{.Status}} {{.NumberOfContainers}}')" = "Running 3" ]
    [[ "$(podman pod top band comm)" == *sleep*sleep* ]]
    podman pod stop -t 0 band >/dev/null
    [ "$(podman pod ps --format '{{.Status}}')" = Exited ]
    podman pod start band >/dev/null
    podman pod rm -f -t 0 band >/dev/null
    [ -z "$(podman ps -aq)" ]
}

@test "play kube: a pod of two containers from YAML, and down" {
    cat >"$T/pod.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: quartet}
spec:
  containers:
  - name: violin
    image: localhost/busybox:test
    imagePullPolicy: Never
    command: [sh, -c, "echo bow >/shared/f; exec sleep 1000"]
    env: [{name: KEY, value: A minor}]
    securityContext: {readOnlyRootFilesystem: true, runAsUser: 1000, capabilities: {drop: [ALL]}}
    volumeMounts: [{name: v, mountPath: /shared}]
  - name: cello
    image: localhost/busybox:test
    imagePullPolicy: Never
    command: [sh, -c, "exec sleep 1000"]
    volumeMounts: [{name: v, mountPath: /shared, readOnly: true}]
  volumes:
  - name: v
    hostPath: {path: VOLUME, type: Directory}
Y
    mkdir -m 777 "$T/shared"
    sed -i "s|VOLUME|$T/shared|" "$T/pod.yaml"
    podman play kube --network none "$T/pod.yaml" >/dev/null
    until_true podman exec quartet-cello cat /shared/f
    [ "$(podman exec quartet-violin sh -c 'id -u; echo $KEY; hostname')" = "1000
A minor
quartet" ]
    run -1 podman exec quartet-cello touch /shared/g
    podman play kube --down "$T/pod.yaml" >/dev/null
    [ -z "$(podman ps -aq)" ]
}

@test "build: RUN steps are executed by baton" {
    printf 'FROM busybox:test\nENV A=b\nWORKDIR /made\nRUN echo "$A from $(pwd)" >note && id -u >>note\nUSER user\nRUN id -u >/tmp/u\nCMD ["cat", "note", "/tmp/u"]\n' >"$T/Containerfile"
    podman build -q --isolation oci --network none --runtime "$BATON" -t built "$T" >/dev/null
    [ "$(one built)" = "b from /made
0
1000" ]
    podman rmi -f built >/dev/null
    printf 'FROM busybox:test\nRUN exit 9\n' >"$T/Containerfile"
    run podman build -q --isolation oci --network none --runtime "$BATON" "$T"
    [ "$status" -ne 0 ]
    [[ "$output" == *"exit status 9"* ]]
}

@test "cgroups disabled: run, exec, stop, removal" {
    engine_run -d --cgroups=disabled --name free busybox:test sleep 1000 >/dev/null
    [ "$(podman exec free echo in)" = in ]
    podman exec -d free sleep 900
    podman stop -t 0 free >/dev/null 2>&1
    is free .State.ExitCode 137
    podman rm free >/dev/null
}

@test "nothing is left: no state, group, mount or process" {
    podman pod rm -f -a >/dev/null
    [ -z "$(podman ps -aq)" ]
    # podman's own folders remain, empty
    [ -z "$(inside find /sys/fs/cgroup -mindepth 2 -type d -not -name conmon)" ]
    inside sh -c "! grep -E ' ($E|/run/baton).*(merged|shm) ' /proc/self/mountinfo"
    ! pgrep -f "conmon.*$E" >/dev/null || false
    [ -z "$(inside ls -A /run/baton 2>/dev/null)" ] || ! inside ls -A /run/baton | grep -qE '^[0-9a-f]{64}$'
}
