/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/sysctls.h"

#include <string.h>

#include "podium/base/alloc.h"

/* In a namespace of the pod, without influence on other pods or the node. */
static const char *const safe[] = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
};

char *sysctl_normal_name(const char *name) {
    char *copy = xstrdup(name);
    size_t first = strcspn(copy, "./");

    /* the first separator says which one it is; the other is then a part of a name */
    if (copy[first] == '/')
        for (char *p = copy; *p; p++)
            *p = *p == '/' ? '.' : *p == '.' ? '/' : *p;
    return copy;
}

/* Settings of a namespace that a pod has; all else is the node's. */
static const struct {
    const char *prefix;
    bool ipc;
} namespaced[] = {
    {"kernel.sem", true}, {"kernel.shm", true}, {"kernel.msg", true}, {"fs.mqueue.", true}, {"net.", false}};

static bool is_of(const char *name, bool ipc) {
    for (size_t i = 0; i < ARRAY_LEN(namespaced); i++)
        if (namespaced[i].ipc == ipc && strncmp(name, namespaced[i].prefix, strlen(namespaced[i].prefix)) == 0)
            return true;
    return false;
}

/* The next name of a list, in its normal form; NULL at the end. The caller frees. */
static char *next_name(const char **list) {
    *list += strspn(*list, ", ");
    size_t n = strcspn(*list, ", ");
    _cleanup_free_ char *name = xstrndup(*list, n);

    *list += n;
    return n > 0 ? sysctl_normal_name(name) : NULL;
}

char *sysctls_unsafe_problem(const char *unsafe) {
    char *name;

    while ((name = next_name(&unsafe))) {
        _cleanup_free_ char *one = name;
        if (!is_of(one, true) && !is_of(one, false))
            return xasprintf("the sysctl \"%s\" is not known to belong to a namespace", one);
    }
    return NULL;
}

static bool is_allowed(const char *name, const char *unsafe) {
    char *pattern;

    while (unsafe && (pattern = next_name(&unsafe))) {
        _cleanup_free_ char *one = pattern;
        size_t n = strlen(one);
        if (n > 0 && one[n - 1] == '*' ? strncmp(name, one, n - 1) == 0 : strcmp(name, one) == 0)
            return true;
    }
    return false;
}

static bool is_safe(const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(safe); i++)
        if (strcmp(name, safe[i]) == 0)
            return true;
    return false;
}

char *sysctls_forbidden(const struct json *pod, const char *unsafe) {
    const struct json *spec = json_get(pod, "spec"), *list = json_path(spec, "securityContext", "sysctls");
    bool host_network = json_bool_or(json_get(spec, "hostNetwork"), false);
    bool host_ipc = json_bool_or(json_get(spec, "hostIPC"), false);

    for (size_t i = 0; i < json_len(list); i++) {
        const char *given = json_str_or(json_get(json_at(list, i), "name"), "");
        _cleanup_free_ char *name = sysctl_normal_name(given);
        if (!is_safe(name) && !is_allowed(name, unsafe))
            return xasprintf("forbidden sysctl: \"%s\" not allowlisted", given);
        if (host_network && is_of(name, false))
            return xasprintf("forbidden sysctl: \"%s\" not allowed with host net enabled", given);
        if (host_ipc && is_of(name, true))
            return xasprintf("forbidden sysctl: \"%s\" not allowed with host ipc enabled", given);
    }
    return NULL;
}
