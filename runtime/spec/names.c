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
