#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# process: arguments, environment, working folder, limits, privileges, scheduling.

load oci

@test "args are the program's arguments as they are" {
    config sh -c 'for a; do echo "[$a]"; done' name "two words" "" '$HOME' 'quo"te'
    contained 0
    [ "$output" = '[two words]
[]
[$HOME]
[quo"te]' ]
}

@test "args without a program is an error" {
    config true
    edit 'p["args"] = []'
    contained fails
    edit 'del p["args"]'
    contained fails
    nothing_left
}

@test "env is the program's environment, and PATH of it finds the program" {
    config env
    edit 'p["env"] = ["PATH=/nowhere:/bin", "A=b=c", "EMPTY=", "HOME=/tmp"]'
    contained 0
    [ "$(sort <<<"$output")" = "A=b=c
EMPTY=
HOME=/tmp
PATH=/nowhere:/bin" ]
    edit 'p["env"] = ["PATH=/nowhere"]'
    contained fails
}

@test "HOME is that of the user in the image when nothing sets it" {
    # not in the specification; runc, crun and what people write in images agree
    config sh -c 'echo $HOME'
    edit 'p["user"] = {"uid": 1000, "gid": 1001}'
    contained 0
    [ "$output" = /home/user ]
}

@test "cwd: where the program begins; it has to be absolute" {
    known crun 1.8.99 "takes relative ones"
    config pwd
    edit 'p["cwd"] = "/etc"'
    contained 0
    [ "$output" = /etc ]
    edit 'p["cwd"] = "etc"'
    contained fails
    edit 'p["cwd"] = ""'
    contained fails
    edit 'p["cwd"] = "/etc/passwd"'
    contained fails
    nothing_left
}

@test "a missing cwd is made" {
    # "cwd is the working directory that will be set": runc, crun and containerd's images rely on its being made
    config sh -c 'pwd'
    edit 'p["cwd"] = "/made/here"'
    contained 0
    [ "$output" = /made/here ]
}

@test "rlimits: soft and hard; unknown and doubled ones are errors" {
    known crun 1.8.99 "leaves its group behind after an unknown one"
    config cat /proc/self/limits
    edit 'p["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 4096}, {"type": "RLIMIT_FSIZE", "soft": 1048576, "hard": 1048576}]'
    contained 0
    [ "$(awk '/open files/ {print $4, $5}' <<<"$output")" = "100 200" ]
    [ "$(awk '/core file/ {print $5, $6}' <<<"$output")" = "0 4096" ]
    [ "$(awk '/Max file size/ {print $4, $5}' <<<"$output")" = "1048576 1048576" ]
    edit 'p["rlimits"] = [{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}]'
    contained fails
    nothing_left
    edit 'p["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 300, "hard": 200}]'
    contained fails
}

@test "a limit that is there twice is an error" {
    # "the runtime MUST generate an error if duplicated entries are found"
    known crun 1.8.99 "takes the last"
    known runc 1.1.99 "takes the last"
    config true
    edit 'p["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]'
    contained fails
}

@test "noNewPrivileges, set and not" {
    config grep NoNewPrivs /proc/self/status
    contained 0
    [ "$output" = "NoNewPrivs:	1" ]
    edit 'p["noNewPrivileges"] = False'
    contained 0
    [ "$output" = "NoNewPrivs:	0" ]
}

@test "oomScoreAdj" {
    config cat /proc/self/oom_score_adj
    edit 'p["oomScoreAdj"] = 321'
    contained 0
    [ "$output" = 321 ]
    edit 'del p["oomScoreAdj"]'
    contained 0
    [ "$output" = "$(cat /proc/self/oom_score_adj)" ]
    edit 'p["oomScoreAdj"] = 2000'
    contained fails
}

@test "personality" {
    known runc 1.1.99 "ignores linux.personality (from 1.2 on)"
    config uname -m
    edit 'l["personality"] = {"domain": "LINUX32"}'
    contained 0
    [ "$output" = "$(setarch linux32 uname -m)" ]
}

@test "scheduler" {
    known runc 1.1.99 "ignores it (from 1.2 on)"
    known crun 1.8.1 "ignores it (from 1.9 on)"
    config cut -d' ' -f19,41 /proc/self/stat
    edit 'p["scheduler"] = {"policy": "SCHED_BATCH", "nice": 7}'
    contained 0
    [ "$output" = "7 3" ]
}

@test "ioPriority" {
    known runc 1.1.99 "ignores it (from 1.2 on)"
    known crun 1.8.99 "ignores it (from 1.9 on)"
    config sleep 1000
    edit 'p["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 6}'
    detached
    [ "$(ionice -p "$(pid)")" = "best-effort: prio 6" ]
}

@test "nothing of the caller reaches the program: descriptors, environment, groups, umask" {
    config sh -c 'sh /bin/open-files; umask; id -G; echo "<$SECRET>"'
    run -0 --separate-stderr "$VIEW" sh -c "umask 077; export SECRET=x; exec setpriv --groups 4,6,27 '$RUNTIME' --root '$T/state' run -b '$B' '$ID' 5</usr 7</etc </dev/null"
    [ "$output" = "0022
0
<>" ]
}
