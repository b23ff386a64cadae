#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# process.terminal: a console of the container's own, passed over a socket.

load oci

receiver() { # takes the terminal from the socket, writes what comes to $T/term; what is written to $T/typing is typed
    cat >"$T/receive.py" <<'P'
import array, os, socket, sys, select
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1]); s.listen(1)
c, _ = s.accept()
data, anc, _, _ = c.recvmsg(4096, socket.CMSG_SPACE(4))
fd = array.array("i", anc[0][2][:4])[0]
out = open(sys.argv[2], "wb", 0)
typed = [t.encode().decode("unicode_escape").encode() for t in sys.argv[3:]]
while True:
    try: got = os.read(fd, 4096)
    except OSError: break
    if not got: break
    out.write(got)
    if typed and b"ready" in got: os.write(fd, typed.pop(0))
P
    mkdir -p "$T/s"
    python3 "$T/receive.py" "$T/s/c" "$T/term" "$@" >/dev/null 2>&1 3>&- 4>&- &
    until_true test -S "$T/s/c"
}

@test "the terminal comes over the console socket; its size, /dev/console, the session" {
    config sh -c 'tty; stty size; [ -c /dev/console ] && echo console; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all; cut -d" " -f 7 /proc/self/stat'
    edit 'p["terminal"] = True; p["consoleSize"] = {"height": 30, "width": 100}'
    receiver
    detached --console-socket "$T/s/c"
    until_true grep -q all "$T/term"
    until_true has_status stopped
    wait
    [[ "$(tr -d '\r' <"$T/term")" == "/dev/pts/0
30 100
console
all
"[1-9]* ]]
}

@test "what is typed is read; control characters are signals" {
    config sh -c 'trap "echo interrupted; exit 3" INT; echo ready; read a; echo "got $a"; echo ready again; while :; do sleep 0.05; done'
    edit 'p["terminal"] = True'
    receiver 'word\n' '\x03'
    detached --console-socket "$T/s/c"
    until_true has_status stopped
    wait
    grep -q "got word" "$T/term"
    grep -q interrupted "$T/term"
}

@test "exec -t: a terminal for one more process" {
    config sleep 1000
    detached
    receiver
    oci exec -d -t --console-socket "$T/s/c" "$ID" sh -c 'tty; echo done' </dev/null >"$T/out" 2>&1 3>&- 4>&-
    until_true grep -q "done" "$T/term"
    [[ "$(cat "$T/term")" == /dev/pts/* ]]
}

@test "create with a terminal needs the socket; without a terminal the socket is an error" {
    config true
    edit 'p["terminal"] = True'
    run oci create -b "$B" "$ID" </dev/null
    [ "$status" -ne 0 ]
    run oci create -b "$B" --console-socket "$T/no-such-socket" "$ID" </dev/null
    [ "$status" -ne 0 ]
    nothing_left
}

@test "run in the foreground passes the terminal on" {
    config sh -c 'tty; exit 4'
    edit 'p["terminal"] = True'
    SHELL=/bin/sh run script -qec "'$VIEW' '$RUNTIME' --root '$T/state' run -b '$B' '$ID'" /dev/null
    [ "$status" = 4 ]
    [[ "$output" == */dev/pts/0* ]]
}

@test "run into a file: lines come without carriage returns" {
    # the specification says nothing; runc has always done so, and tests of engines compare such output
    known crun 1.8.99 "leaves them as the kernel makes them"
    config sh -c 'echo one; echo two; exit 4'
    edit 'p["terminal"] = True'
    SHELL=/bin/sh run -4 script -qec "'$VIEW' '$RUNTIME' --root '$T/state' run -b '$B' '$ID' >'$T/lines'" /dev/null
    [ "$(tr -dc '[:alpha:]\r' <"$T/lines")" = onetwo ]
}

@test "exec -t into a file: the same" {
    known crun 1.8.99 "leaves them as the kernel makes them"
    config sleep 1000
    detached
    SHELL=/bin/sh run -0 script -qec "'$VIEW' '$RUNTIME' --root '$T/state' exec -t '$ID' sh -c 'sleep 0.2; echo one; echo two' >'$T/lines'" /dev/null
    [ "$(tr -dc '[:alpha:]\r' <"$T/lines")" = onetwo ]
}
