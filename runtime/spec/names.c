/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names that the specification gives to kernel constants. */
#include <sched.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "runtime/spec/spec.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static const struct {
    const char *name;
    int flag;
} namespaces[SPEC_NS_MAX] = {
    [SPEC_NS_USER] = {"user", CLONE_NEWUSER},      [SPEC_NS_PID] = {"pid", CLONE_NEWPID},
    [SPEC_NS_NETWORK] = {"network", CLONE_NEWNET}, [SPEC_NS_IPC] = {"ipc", CLONE_NEWIPC},
    [SPEC_NS_UTS] = {"uts", CLONE_NEWUTS},         [SPEC_NS_CGROUP] = {"cgroup", CLONE_NEWCGROUP},
    [SPEC_NS_TIME] = {"time", CLONE_NEWTIME},      [SPEC_NS_MOUNT] = {"mount", CLONE_NEWNS},
};

const char *spec_namespace_name(enum spec_namespace_kind kind) {
    return (unsigned) kind < SPEC_NS_MAX ? namespaces[kind].name : NULL;
}

int spec_namespace_flag(enum spec_namespace_kind kind) {
    return (unsigned) kind < SPEC_NS_MAX ? namespaces[kind].flag : 0;
}

/* capability numbers are the kernel's ABI: <linux/capability.h> */
static const char *const capabilities[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

int spec_capability_number(const char *name) {
    if (strncasecmp(name, "CAP_", 4) == 0)
        name += 4;
    for (size_t i = 0; i < ARRAY_LEN(capabilities); i++)
        if (strcasecmp(capabilities[i] + 4, name) == 0)
            return (int) i;
    return -1;
}

const char *spec_capability_name(unsigned number) {
    return number < ARRAY_LEN(capabilities) ? capabilities[number] : NULL;
}

static const struct {
    const char *name;
    int number;
} rlimits[] = {
    {"RLIMIT_AS", RLIMIT_AS},           {"RLIMIT_CORE", RLIMIT_CORE},         {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},       {"RLIMIT_FSIZE", RLIMIT_FSIZE},       {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE}, {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},   {"RLIMIT_NPROC", RLIMIT_NPROC},       {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},   {"RLIMIT_RTTIME", RLIMIT_RTTIME},     {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
};

int spec_rlimit_number(const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(rlimits); i++)
        if (strcmp(rlimits[i].name, name) == 0)
            return rlimits[i].number;
    return -1;
}
