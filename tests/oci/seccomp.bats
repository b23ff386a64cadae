#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# linux.seccomp: actions, arguments, order, architectures.

load oci

filtered() { # PYTHON for the filter; the command of the test is set before
    edit "l['seccomp'] = $1"
}

@test "ERRNO with its number, and with the default one" {
    config sh -c 'mkdir /x; rmdir /etc'
    filtered '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}, {"names": ["rmdir", "unlinkat"], "action": "SCMP_ACT_ERRNO"}]}'
    contained 1
    [[ "$stderr" == *"No space left"*"not permitted"* ]]
}

@test "an allow list: what is not named is refused" {
    config sh -c 'echo fine; chmod 600 /etc/passwd'
    filtered '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["chmod", "fchmod", "fchmodat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}]}'
    contained 1
    [ "$output" = fine ]
    [[ "$stderr" == *"ermission denied"* ]]
}

@test "defaultErrnoRet" {
    config sh -c 'mkdir /x'
    filtered '{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 28, "syscalls": [{"names": [
 "read", "write", "open", "openat", "close", "stat", "fstat", "lstat", "newfstatat", "statx", "mmap", "mprotect", "munmap", "brk", "execve", "execveat", "exit", "exit_group", "arch_prctl", "set_tid_address", "set_robust_list", "rseq", "prlimit64", "getrandom", "readlink", "readlinkat", "getuid", "getgid", "geteuid", "getegid", "getpid", "getppid", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "fork", "vfork", "clone", "clone3", "wait4", "getcwd", "ioctl", "fcntl", "dup", "dup2", "dup3", "prctl", "umask", "poll", "ppoll", "futex", "capset", "capget", "setuid", "setgid", "setgroups", "setresuid", "setresgid", "chdir", "fchdir", "uname", "access", "faccessat", "faccessat2", "sigaltstack", "madvise", "gettid", "tgkill", "epoll_ctl", "epoll_pwait", "epoll_create1", "nanosleep", "sched_yield", "getdents64", "fstatfs", "statfs", "close_range", "pipe2", "lseek", "pread64", "connect", "socket", "sendto", "sendmsg", "recvfrom", "recvmsg", "setsid", "getpgrp", "keyctl", "seccomp", "writev", "sched_getaffinity", "mlock", "restart_syscall", "tkill", "kill", "unlink", "unlinkat", "eventfd2", "signalfd4", "setsockopt", "getsockopt", "bind", "listen", "accept4", "shutdown", "mkdtemp", "accept", "setns", "openat2", "sched_setattr", "ioprio_set", "personality", "set_mempolicy", "setrlimit", "getrlimit"], "action": "SCMP_ACT_ALLOW"}]}'
    contained 1
    [[ "$stderr" == *"No space left"* ]]
}

@test "KILL: the program dies of SIGSYS" {
    config sh -c 'mkdir /x; echo $?'
    for action in SCMP_ACT_KILL SCMP_ACT_KILL_PROCESS SCMP_ACT_KILL_THREAD SCMP_ACT_TRAP; do
        filtered "{'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': [{'names': ['mkdir', 'mkdirat'], 'action': '$action'}]}"
        contained 0
        [ "$output" = 159 ]
    done
}

@test "LOG and ALLOW let it through" {
    config sh -c 'mkdir /x && echo made; rmdir /x'
    for action in SCMP_ACT_LOG SCMP_ACT_ALLOW; do
        filtered "{'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': [{'names': ['mkdir', 'mkdirat'], 'action': '$action'}]}"
        contained 0
        [ "$output" = made ]
    done
}

@test "arguments are compared" {
    # kill with signal 10 is refused, with others not
    config sh -c 'trap "echo twelve" 12; kill -12 $$; kill -10 $$ || echo refused'
    filtered '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]}]}'
    contained 0
    [[ "$output" == *twelve* && "$output" == *refused* ]]
    filtered '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [{"index": 1, "value": 3, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]}]}'
    contained 0
    [[ "$output" == *twelve* && "$output" == *refused* ]]
}

@test "a system call nobody knows is skipped" {
    # profiles name what other kernels and architectures have
    config echo fine
    filtered '{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"], "syscalls": [{"names": ["no_such_call", "mkdir"], "action": "SCMP_ACT_ERRNO"}]}'
    contained 0
    [ "$output" = fine ]
}

@test "unknown actions, operators and architectures are errors" {
    config true
    for bad in '{"defaultAction": "SCMP_ACT_NOSUCH"}' '{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_NOSUCH"]}' \
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_NO"}]}]}'; do
        filtered "$bad"
        contained fails
    done
}

@test "the filter is there with and without noNewPrivileges" {
    for nnp in True False; do
        config grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status
        filtered '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}'
        edit "p['noNewPrivileges'] = $nnp"
        contained 0
        [[ "$output" == *"Seccomp:	2"* ]]
    done
}

@test "NOTIFY: the listener gets the descriptor and the state" {
    cat >"$T/listen.py" <<'P'
import array, json, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1)
c, _ = s.accept()
data, anc, _, _ = c.recvmsg(65536, socket.CMSG_SPACE(4))
json.dump({"state": json.loads(data), "fds": len(anc)}, open(sys.argv[2], "w"))
P
    mkdir -p "$T/s"
    python3 "$T/listen.py" "$T/s/n" "$T/got" 3>&- 4>&- &
    until_true test -S "$T/s/n"
    config sleep 1000
    filtered "{'defaultAction': 'SCMP_ACT_ALLOW', 'listenerPath': '$T/s/n', 'listenerMetadata': 'mine', 'syscalls': [{'names': ['mkdir', 'mkdirat'], 'action': 'SCMP_ACT_NOTIFY'}]}"
    detached
    until_true test -s "$T/got"
    [ "$(value 'd["fds"], d["state"]["fds"], d["state"]["metadata"], d["state"]["state"]["id"]' <"$T/got")" = "(1, ['seccompFd'], 'mine', '$ID')" ]
}
