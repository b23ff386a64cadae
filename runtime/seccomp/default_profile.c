/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The default filter, as tables. A call that is in no table does not exist for the container (ENOSYS: C libraries then
 * use an older one); a call that would act on the host's kernel, or opens large attack surface, is refused (EPERM)
 * unless a capability of the container's says it is meant to have it.
 */
#include <linux/capability.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/seccomp/seccomp.h"

#define NAMESPACE_FLAGS                                                                                                \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)

/* Allowed for everybody, by subject. */
static const char *const files[] = {"access",
                                    "chdir",
                                    "chmod",
                                    "chown",
                                    "chown32",
                                    "close",
                                    "close_range",
                                    "copy_file_range",
                                    "creat",
                                    "dup",
                                    "dup2",
                                    "dup3",
                                    "faccessat",
                                    "faccessat2",
                                    "fadvise64",
                                    "fadvise64_64",
                                    "fallocate",
                                    "fchdir",
                                    "fchmod",
                                    "fchmodat",
                                    "fchmodat2",
                                    "fchown",
                                    "fchown32",
                                    "fchownat",
                                    "fcntl",
                                    "fcntl64",
                                    "fdatasync",
                                    "fgetxattr",
                                    "flistxattr",
                                    "flock",
                                    "fremovexattr",
                                    "fsetxattr",
                                    "fstat",
                                    "fstat64",
                                    "fstatat64",
                                    "fstatfs",
                                    "fstatfs64",
                                    "fsync",
                                    "ftruncate",
                                    "ftruncate64",
                                    "futimesat",
                                    "getcwd",
                                    "getdents",
                                    "getdents64",
                                    "getxattr",
                                    "getxattrat",
                                    "ioctl",
                                    "lchown",
                                    "lchown32",
                                    "lgetxattr",
                                    "link",
                                    "linkat",
                                    "listxattr",
                                    "listxattrat",
                                    "llistxattr",
                                    "_llseek",
                                    "lremovexattr",
                                    "lseek",
                                    "lsetxattr",
                                    "lstat",
                                    "lstat64",
                                    "mkdir",
                                    "mkdirat",
                                    "mknod",
                                    "mknodat",
                                    "name_to_handle_at",
                                    "newfstatat",
                                    "open",
                                    "openat",
                                    "openat2",
                                    "pread64",
                                    "preadv",
                                    "preadv2",
                                    "pwrite64",
                                    "pwritev",
                                    "pwritev2",
                                    "read",
                                    "readahead",
                                    "readdir",
                                    "readlink",
                                    "readlinkat",
                                    "readv",
                                    "removexattr",
                                    "removexattrat",
                                    "rename",
                                    "renameat",
                                    "renameat2",
                                    "rmdir",
                                    "sendfile",
                                    "sendfile64",
                                    "setxattr",
                                    "setxattrat",
                                    "splice",
                                    "stat",
                                    "stat64",
                                    "statfs",
                                    "statfs64",
                                    "statx",
                                    "statmount",
                                    "listmount",
                                    "symlink",
                                    "symlinkat",
                                    "sync",
                                    "sync_file_range",
                                    "sync_file_range2",
                                    "syncfs",
                                    "tee",
                                    "truncate",
                                    "truncate64",
                                    "umask",
                                    "unlink",
                                    "unlinkat",
                                    "utime",
                                    "utimensat",
                                    "utimensat_time64",
                                    "utimes",
                                    "vmsplice",
                                    "write",
                                    "writev",
                                    NULL};

static const char *const memory[] = {"brk",
                                     "cachestat",
                                     "get_mempolicy",
                                     "madvise",
                                     "map_shadow_stack",
                                     "membarrier",
                                     "memfd_create",
                                     "memfd_secret",
                                     "mincore",
                                     "mlock",
                                     "mlock2",
                                     "mlockall",
                                     "mmap",
                                     "mmap2",
                                     "mprotect",
                                     "mremap",
                                     "mseal",
                                     "msync",
                                     "munlock",
                                     "munlockall",
                                     "munmap",
                                     "pkey_alloc",
                                     "pkey_free",
                                     "pkey_mprotect",
                                     "process_madvise",
                                     "process_mrelease",
                                     "remap_file_pages",
                                     NULL};

static const char *const processes[] = {"arch_prctl",
                                        "capget",
                                        "capset",
                                        "execve",
                                        "execveat",
                                        "exit",
                                        "exit_group",
                                        "fork",
                                        "futex",
                                        "futex_requeue",
                                        "futex_time64",
                                        "futex_wait",
                                        "futex_waitv",
                                        "futex_wake",
                                        "getcpu",
                                        "getegid",
                                        "getegid32",
                                        "geteuid",
                                        "geteuid32",
                                        "getgid",
                                        "getgid32",
                                        "getgroups",
                                        "getgroups32",
                                        "getpgid",
                                        "getpgrp",
                                        "getpid",
                                        "getppid",
                                        "getpriority",
                                        "getresgid",
                                        "getresgid32",
                                        "getresuid",
                                        "getresuid32",
                                        "getrlimit",
                                        "get_robust_list",
                                        "getrusage",
                                        "getsid",
                                        "get_thread_area",
                                        "gettid",
                                        "getuid",
                                        "getuid32",
                                        "ioprio_get",
                                        "ioprio_set",
                                        "kill",
                                        "landlock_add_rule",
                                        "landlock_create_ruleset",
                                        "landlock_restrict_self",
                                        "lsm_get_self_attr",
                                        "lsm_list_modules",
                                        "lsm_set_self_attr",
                                        "modify_ldt",
                                        "pidfd_open",
                                        "pidfd_send_signal",
                                        "prctl",
                                        "prlimit64",
                                        "ptrace",
                                        "restart_syscall",
                                        "rseq",
                                        "sched_getaffinity",
                                        "sched_getattr",
                                        "sched_getparam",
                                        "sched_get_priority_max",
                                        "sched_get_priority_min",
                                        "sched_getscheduler",
                                        "sched_rr_get_interval",
                                        "sched_rr_get_interval_time64",
                                        "sched_setaffinity",
                                        "sched_setattr",
                                        "sched_setparam",
                                        "sched_setscheduler",
                                        "sched_yield",
                                        "seccomp",
                                        "setfsgid",
                                        "setfsgid32",
                                        "setfsuid",
                                        "setfsuid32",
                                        "setgid",
                                        "setgid32",
                                        "setgroups",
                                        "setgroups32",
                                        "setpgid",
                                        "setpriority",
                                        "setregid",
                                        "setregid32",
                                        "setresgid",
                                        "setresgid32",
                                        "setresuid",
                                        "setresuid32",
                                        "setreuid",
                                        "setreuid32",
                                        "setrlimit",
                                        "set_robust_list",
                                        "setsid",
                                        "set_thread_area",
                                        "set_tid_address",
                                        "setuid",
                                        "setuid32",
                                        "sysinfo",
                                        "tgkill",
                                        "times",
                                        "tkill",
                                        "ugetrlimit",
                                        "uname",
                                        "vfork",
                                        "wait4",
                                        "waitid",
                                        "waitpid",
                                        NULL};

static const char *const signals_and_time[] = {"alarm",
                                               "clock_getres",
                                               "clock_getres_time64",
                                               "clock_gettime",
                                               "clock_gettime64",
                                               "clock_nanosleep",
                                               "clock_nanosleep_time64",
                                               "getitimer",
                                               "gettimeofday",
                                               "nanosleep",
                                               "pause",
                                               "rt_sigaction",
                                               "rt_sigpending",
                                               "rt_sigprocmask",
                                               "rt_sigqueueinfo",
                                               "rt_sigreturn",
                                               "rt_sigsuspend",
                                               "rt_sigtimedwait",
                                               "rt_sigtimedwait_time64",
                                               "rt_tgsigqueueinfo",
                                               "setitimer",
                                               "sigaction",
                                               "sigaltstack",
                                               "signal",
                                               "signalfd",
                                               "signalfd4",
                                               "sigpending",
                                               "sigprocmask",
                                               "sigreturn",
                                               "sigsuspend",
                                               "time",
                                               "timer_create",
                                               "timer_delete",
                                               "timer_getoverrun",
                                               "timer_gettime",
                                               "timer_gettime64",
                                               "timer_settime",
                                               "timer_settime64",
                                               "timerfd_create",
                                               "timerfd_gettime",
                                               "timerfd_gettime64",
                                               "timerfd_settime",
                                               "timerfd_settime64",
                                               NULL};

static const char *const communication[] = {"accept",
                                            "accept4",
                                            "bind",
                                            "connect",
                                            "epoll_create",
                                            "epoll_create1",
                                            "epoll_ctl",
                                            "epoll_ctl_old",
                                            "epoll_pwait",
                                            "epoll_pwait2",
                                            "epoll_wait",
                                            "epoll_wait_old",
                                            "eventfd",
                                            "eventfd2",
                                            "fanotify_mark",
                                            "getpeername",
                                            "getrandom",
                                            "getsockname",
                                            "getsockopt",
                                            "inotify_add_watch",
                                            "inotify_init",
                                            "inotify_init1",
                                            "inotify_rm_watch",
                                            "io_cancel",
                                            "io_destroy",
                                            "io_getevents",
                                            "io_pgetevents",
                                            "io_pgetevents_time64",
                                            "io_setup",
                                            "io_submit",
                                            "ipc",
                                            "listen",
                                            "mq_getsetattr",
                                            "mq_notify",
                                            "mq_open",
                                            "mq_timedreceive",
                                            "mq_timedreceive_time64",
                                            "mq_timedsend",
                                            "mq_timedsend_time64",
                                            "mq_unlink",
                                            "msgctl",
                                            "msgget",
                                            "msgrcv",
                                            "msgsnd",
                                            "_newselect",
                                            "pipe",
                                            "pipe2",
                                            "poll",
                                            "ppoll",
                                            "ppoll_time64",
                                            "pselect6",
                                            "pselect6_time64",
                                            "recv",
                                            "recvfrom",
                                            "recvmmsg",
                                            "recvmmsg_time64",
                                            "recvmsg",
                                            "select",
                                            "semctl",
                                            "semget",
                                            "semop",
                                            "semtimedop",
                                            "semtimedop_time64",
                                            "send",
                                            "sendmmsg",
                                            "sendmsg",
                                            "sendto",
                                            "setsockopt",
                                            "shmat",
                                            "shmctl",
                                            "shmdt",
                                            "shmget",
                                            "shutdown",
                                            "socketcall",
                                            "socketpair",
                                            NULL};

static const char *const *const everybody[] = {files, memory, processes, signals_and_time, communication};

/* Allowed with the capability, refused without. */
static const char *const sys_admin[] = {
    "bpf",        "clone3",      "fanotify_init",  "fsconfig",        "fsmount",
    "fsopen",     "fspick",      "lookup_dcookie", "mount",           "mount_setattr",
    "move_mount", "open_tree",   "open_tree_attr", "perf_event_open", "pivot_root",
    "quotactl",   "quotactl_fd", "setdomainname",  "sethostname",     "setns",
    "syslog",     "umount",      "umount2",        "unshare",         NULL};
static const char *const dac_read_search[] = {"open_by_handle_at", NULL};
static const char *const sys_boot[] = {"reboot", NULL};
static const char *const sys_chroot[] = {"chroot", NULL};
static const char *const sys_module[] = {"delete_module", "finit_module", "init_module", NULL};
static const char *const sys_pacct[] = {"acct", NULL};
static const char *const sys_ptrace[] = {"kcmp", "pidfd_getfd", "process_vm_readv", "process_vm_writev", NULL};
static const char *const sys_rawio[] = {"ioperm", "iopl", NULL};
static const char *const sys_time[] = {"adjtimex",        "clock_adjtime", "clock_adjtime64", "clock_settime",
                                       "clock_settime64", "settimeofday",  "stime",           NULL};
static const char *const sys_tty_config[] = {"vhangup", NULL};
static const char *const sys_nice[] = {"mbind",         "migrate_pages",           "move_pages",
                                       "set_mempolicy", "set_mempolicy_home_node", NULL};
static const char *const kernel_log[] = {"syslog", NULL};
static const char *const kernel_bpf[] = {"bpf", NULL};
static const char *const kernel_perf[] = {"perf_event_open", NULL};

static const struct {
    unsigned capability;
    const char *const *names;
} with_capability[] = {
    {CAP_SYS_ADMIN, sys_admin},
    {CAP_DAC_READ_SEARCH, dac_read_search},
    {CAP_SYS_BOOT, sys_boot},
    {CAP_SYS_CHROOT, sys_chroot},
    {CAP_SYS_MODULE, sys_module},
    {CAP_SYS_PACCT, sys_pacct},
    {CAP_SYS_PTRACE, sys_ptrace},
    {CAP_SYS_RAWIO, sys_rawio},
    {CAP_SYS_TIME, sys_time},
    {CAP_SYS_NICE, sys_nice},
    {CAP_SYS_TTY_CONFIG, sys_tty_config},
    {CAP_SYSLOG, kernel_log},
    {CAP_BPF, kernel_bpf},
    {CAP_PERFMON, kernel_perf},
};

/* Refused to everybody: the host's keys and kernel, or interfaces with a record of escapes and no use in a container.
 */
static const char *const never[] = {"add_key",
                                    "create_module",
                                    "get_kernel_syms",
                                    "io_uring_enter",
                                    "io_uring_register",
                                    "io_uring_setup",
                                    "kexec_file_load",
                                    "kexec_load",
                                    "keyctl",
                                    "nfsservctl",
                                    "query_module",
                                    "request_key",
                                    "swapoff",
                                    "swapon",
                                    "_sysctl",
                                    "sysfs",
                                    "uselib",
                                    "userfaultfd",
                                    "ustat",
                                    "vm86",
                                    "vm86old",
                                    NULL};

static struct json *rule(const char *action, int code) {
    struct json *o = json_object();

    json_set(&o, "names", json_array());
    json_set(&o, "action", json_string(action));
    if (code > 0)
        json_set(&o, "errnoRet", json_int(code));
    return o;
}

static void add_names(struct json **o, const char *const *names) {
    for (; *names; names++)
        json_append(json_edit(o, "names"), json_string(*names));
}

static void add_condition(struct json **o, int index, const char *op, uint64_t value, uint64_t value_two) {
    struct json *arg = json_object();

    json_set(&arg, "index", json_int(index));
    json_set(&arg, "op", json_string(op));
    json_set(&arg, "value", json_int((int64_t) value));
    if (value_two != UINT64_MAX)
        json_set(&arg, "valueTwo", json_int((int64_t) value_two));
    json_append(json_edit(o, "args"), arg);
}

/* code 0: allowed under the condition; else refused with it. */
static struct json *on_condition(const char *name, int code, int index, const char *op, uint64_t value,
                                 uint64_t value_two) {
    const char *const names[] = {name, NULL};
    struct json *o = rule(code ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW", code);

    add_names(&o, names);
    add_condition(&o, index, op, value, value_two);
    return o;
}

/* Calls that are fine with some arguments only. */
static void add_conditional(struct json **rules, bool admin) {
    /* Linux, 32-bit addresses, without randomization, as emulators and debuggers ask for; and asking */
    static const uint64_t personalities[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};
    static const char *const clones[] = {"clone", NULL}, *const new_clone[] = {"clone3", NULL};
    struct json *o;

    for (size_t i = 0; i < ARRAY_LEN(personalities); i++)
        json_append(rules, on_condition("personality", 0, 0, "SCMP_CMP_EQ", personalities[i], UINT64_MAX));
    /* the host's hypervisor sockets know no network namespace */
    json_append(rules, on_condition("socket", 0, 0, "SCMP_CMP_NE", AF_VSOCK, UINT64_MAX));
    json_append(rules, on_condition("socket", EAFNOSUPPORT, 0, "SCMP_CMP_EQ", AF_VSOCK, UINT64_MAX));
    if (admin) {
        o = rule("SCMP_ACT_ALLOW", 0);
        add_names(&o, clones);
        json_append(rules, o);
        return;
    }
    json_append(rules, on_condition("clone", 0, 0, "SCMP_CMP_MASKED_EQ", NAMESPACE_FLAGS, 0));
    for (uint64_t flag = 1; flag <= NAMESPACE_FLAGS; flag <<= 1)
        if (flag & NAMESPACE_FLAGS)
            json_append(rules, on_condition("clone", EPERM, 0, "SCMP_CMP_MASKED_EQ", flag, flag));
    /* its flags are in memory, where a filter cannot see them: C libraries fall back to clone */
    o = rule("SCMP_ACT_ERRNO", ENOSYS);
    add_names(&o, new_clone);
    json_append(rules, o);
}

static struct json *architectures(void) {
    struct json *list = json_array();

#if defined(__x86_64__)
    json_append(&list, json_string("SCMP_ARCH_X86_64"));
    json_append(&list, json_string("SCMP_ARCH_X86"));
#elif defined(__aarch64__)
    json_append(&list, json_string("SCMP_ARCH_AARCH64"));
    json_append(&list, json_string("SCMP_ARCH_ARM"));
#endif
    return list;
}

static bool is_granted(const char *name, uint64_t capabilities) {
    for (size_t i = 0; i < ARRAY_LEN(with_capability); i++)
        if (capabilities & (UINT64_C(1) << with_capability[i].capability))
            for (const char *const *n = with_capability[i].names; *n; n++)
                if (strcmp(*n, name) == 0)
                    return true;
    return false;
}

struct json *seccomp_default_profile(uint64_t capabilities) {
    bool admin = capabilities & (UINT64_C(1) << CAP_SYS_ADMIN);
    struct json *section = json_object(), *rules = json_array();
    struct json *allowed = rule("SCMP_ACT_ALLOW", 0), *denied = rule("SCMP_ACT_ERRNO", EPERM);

    for (size_t i = 0; i < ARRAY_LEN(everybody); i++)
        add_names(&allowed, everybody[i]);
    for (size_t i = 0; i < ARRAY_LEN(with_capability); i++)
        for (const char *const *n = with_capability[i].names; *n; n++) {
            bool granted = is_granted(*n, capabilities);

            if (!granted && strcmp(*n, "clone3") == 0)
                continue; /* has its own rule */
            json_append(json_edit(granted ? &allowed : &denied, "names"), json_string(*n));
        }
    add_names(&denied, never);
    json_append(&rules, allowed);
    json_append(&rules, denied);
    add_conditional(&rules, admin);
    json_set(&section, "defaultAction", json_string("SCMP_ACT_ERRNO"));
    json_set(&section, "defaultErrnoRet", json_int(ENOSYS));
    json_set(&section, "architectures", architectures());
    json_set(&section, "syscalls", rules);
    return section;
}
