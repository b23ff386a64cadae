#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A container's own standard streams: attaching to them while it runs, reading back what it wrote.

load harness

setup_file() { cluster_setup 1; }
teardown_file() { cluster_teardown; }
teardown() { cluster_report; }

run_pod() { # NAME OPTIONS… -- COMMAND…: as kubectl run, with the test's image
    local name=$1
    shift
    kube run "$name" --image=nginx:demo --image-pull-policy=IfNotPresent --restart=Never --grace-period=1 \
        --override-type=strategic "$@"
}
# In a terminal of 33 rows and 123 columns
in_terminal() { exec script -qec "stty rows 33 cols 123; $KUBECTL --cache-dir=$T/kube-cache $*" /dev/null; }
file_has() { grep -q -- "$2" "$1"; }

@test "kubectl run -i: input and output whole, the exit code, errors apart" {
    head -c 3000000 /dev/urandom >"$T/random"
    run_pod whole -i --rm --quiet --command -- cat <"$T/random" >"$T/back"
    cmp "$T/random" "$T/back"
    run --separate-stderr run_pod coded -i --quiet --command -- sh -c 'read a; echo "got $a"; echo wrong >&2; exit 7' <<<'one'
    [ "$status" -eq 7 ]
    [ "$output" = "got one" ]
    [[ "$stderr" == *wrong* ]]
    pods_gone coded
}

@test "kubectl attach: several at once; leaving lets it run; its end ends all" {
    pod chat <<'Y'
restartPolicy: Never
containers: [{name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, stdin: true, command: [sh, -c, 'while read l; do echo "got $l"; [ "$l" != end ] || exit 3; done']}]
Y
    pod_ready chat
    mkfifo "$T/one" "$T/two"
    kube attach -i chat <"$T/one" >"$T/one.out" 2>&1 3>&- &
    first=$!
    exec 7>"$T/one"
    kube attach -i chat <"$T/two" >"$T/two.out" 2>&1 3>&- 7>&- &
    second=$!
    exec 8>"$T/two"
    kube attach chat >"$T/look.out" 2>&1 3>&- 7>&- 8>&- &
    third=$!
    # an attach begins when it begins: say something until all have heard it
    heard() {
        echo hello >&7
        sleep 0.1
        file_has "$T/one.out" hello && file_has "$T/two.out" hello && file_has "$T/look.out" hello
    }
    wait_until 15 heard
    exec 7>&-
    wait $first
    echo there >&8
    wait_until 10 file_has "$T/two.out" "got there"
    wait_until 10 file_has "$T/look.out" "got there"
    [ "$(pod_get chat .status.phase)" = Running ]
    echo end >&8
    exec 8>&-
    wait $second
    wait $third
    pod_wait chat .status.phase=Failed
    [ "$(pod_get chat '.status.containerStatuses[0].state.terminated.exitCode')" = 3 ]
    pods_gone chat
}

@test "stdinOnce: the end of the first input is the end for the container" {
    pod once <<'Y'
restartPolicy: Never
containers: [{name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, stdin: true, stdinOnce: true, command: [sh, -c, 'cat; echo over']}]
Y
    pod_ready once
    [ "$(echo through | kube attach -i once 2>/dev/null)" = $'through\nover' ]
    pod_wait once .status.phase=Succeeded
    [ "$(kube logs once)" = $'through\nover' ]
    pods_gone once
}

@test "a terminal: its size, its output also in the logs, detached and attached again" {
    pod term <<'Y'
restartPolicy: Never
containers: [{name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, stdin: true, tty: true, command: [sh, -c, 'tty; while read l; do case $l in size) busybox stty size ;; end) exit 5 ;; *) echo "got $l" ;; esac; done']}]
Y
    pod_ready term
    mkfifo "$T/keys"
    in_terminal attach -it term <"$T/keys" >"$T/term.out" 2>&1 3>&- &
    shell=$!
    exec 7>"$T/keys"
    sized() {
        echo size >&7
        sleep 0.2
        file_has "$T/term.out" "33 123"
    }
    wait_until 15 sized
    kill -KILL $shell # the connection goes, the container does not
    wait $shell || true
    exec 7>&-
    [ "$(pod_get term .status.phase)" = Running ]
    in_terminal attach -it term <"$T/keys" >"$T/term2.out" 2>&1 3>&- &
    shell=$!
    exec 7>"$T/keys"
    answered() {
        echo again >&7
        sleep 0.2
        file_has "$T/term2.out" "got again"
    }
    wait_until 15 answered
    echo end >&7
    pod_wait term '.status.containerStatuses[0].state.terminated.exitCode=5'
    wait $shell || true
    exec 7>&-
    kube logs term >"$T/term.log"
    file_has "$T/term.log" /dev/pts/0
    file_has "$T/term.log" "33 123"
    file_has "$T/term.log" "got again"
    pods_gone term
}

@test "who attaches and does not read cannot stop the container" {
    pod busy <<'Y'
containers: [{name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sh, -c, 'i=0; while :; do i=$((i + 1)); echo "line $i with some more text to fill what can be filled, and then some more of it"; done']}]
Y
    pod_ready busy
    "$KUBECTL" --cache-dir="$T/kube-cache" attach busy >"$T/busy.out" 2>/dev/null 3>&- &
    client=$!
    wait_until 10 test -s "$T/busy.out"
    kill -STOP $client
    # the log goes on while it is read: what comes may be more than one line
    last() { kube logs busy --tail=1 | tail -n 1 | cut -d' ' -f2; }
    sleep 2
    before=$(last)
    further() { [ "$(last)" -gt $((before + 1000)) ]; }
    wait_until 15 further
    kill -KILL $client
    pods_gone busy
}

@test "kubectl logs gives back what was written: blank lines, spaces, NUL and other bytes, long lines, no last newline" {
    pod exact <<'Y'
restartPolicy: Never
containers:
- name: c
  image: nginx:demo
  imagePullPolicy: IfNotPresent
  command:
  - sh
  - -c
  - |
    printf '\n\none\n\n  \n indented \n\ttab\n'
    printf 'nul\000in\000\000line\n\000\n\300\200\377\n'
    head -c 49152 /dev/zero | tr '\000' a; echo
    head -c 98304 /dev/zero | tr '\000' b; echo
    head -c 150000 /dev/zero | tr '\000' c; echo
    printf 'last\r\n\nno newline'
- {name: second, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [echo, other]}
Y
    pod_wait exact .status.phase=Succeeded
    {
        printf '\n\none\n\n  \n indented \n\ttab\n'
        printf 'nul\000in\000\000line\n\000\n\300\200\377\n'
        head -c 49152 /dev/zero | tr '\000' a && echo
        head -c 98304 /dev/zero | tr '\000' b && echo
        head -c 150000 /dev/zero | tr '\000' c && echo
        printf 'last\r\n\nno newline'
    } >"$T/expected"
    kube logs exact -c c >"$T/got"
    cmp "$T/expected" "$T/got"
    for n in 0 1 3 5 100; do
        kube logs exact -c c --tail=$n >"$T/got"
        tail -n $n "$T/expected" | cmp - "$T/got"
    done
    kube logs exact -c c --limit-bytes=20 | cmp - <(head -c 20 "$T/expected")
    kube logs exact -c c -f >"$T/got"
    cmp "$T/expected" "$T/got"
    [ "$(kube logs exact -c c --timestamps | grep -cE '^20[0-9-]+T[0-9:.]+Z ')" -eq "$(($(wc -l <"$T/expected") + 1))" ]
    [[ "$(kube logs exact --all-containers --prefix --tail=1 2>/dev/null)" == *"[pod/exact/second] other"* ]]
    # for the administrator they are lines of the unit's journal, under the container's name
    run on_node 1 journalctl -q --no-pager -u "$(pod_unit exact)" -t c -o cat
    [[ "$output" == *" indented "* ]]
    pods_gone exact
}

@test "kubectl logs: the run asked for, however close runs are" {
    pod runs <<'Y'
terminationGracePeriodSeconds: 1
volumes: [{name: v, emptyDir: {}}]
containers:
- name: c
  image: nginx:demo
  imagePullPolicy: IfNotPresent
  volumeMounts: [{name: v, mountPath: /v}]
  command: [sh, -c, 'echo x >>/v/n; n=$(busybox wc -l </v/n); busybox seq 2000 | busybox sed "s/^/run $n line /"; [ $n -gt 1 ] || exit 1; exec sleep 1000']
Y
    pod_wait runs '.status.containerStatuses[0].restartCount=1'
    pod_ready runs
    all() { [ "$(kube logs runs | wc -l)" -eq 2000 ]; }
    wait_until 10 all
    [ "$(kube logs runs | cut -d' ' -f2 | sort -u)" = 2 ]
    [ "$(kube logs runs --previous | cut -d' ' -f2 | sort -u)" = 1 ]
    [ "$(kube logs runs --previous | wc -l)" -eq 2000 ]
    [ "$(kube logs runs --previous --tail=2)" = $'run 1 line 1999\nrun 1 line 2000' ]
    pods_gone runs
}

@test "kubectl logs: since, and following until the end" {
    pod timed <<'Y'
restartPolicy: Never
containers: [{name: c, image: "nginx:demo", imagePullPolicy: IfNotPresent, command: [sh, -c, 'echo early; sleep 2; echo; echo late; sleep 1; echo; printf end']}]
Y
    pod_wait timed .status.phase=Running
    kube logs -f timed >"$T/followed"
    cmp "$T/followed" <(printf 'early\n\nlate\n\nend')
    at=$(kube logs timed --timestamps | grep late | cut -d' ' -f1)
    [ "$(kube logs timed --since-time="$at" | grep -v '^$')" = $'late\nend' ] # whole seconds
    [ -z "$(kube logs timed --since=1ms)" ]
    pods_gone timed
}
