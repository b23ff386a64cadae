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

static bool is_safe(const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(safe); i++)
        if (strcmp(name, safe[i]) == 0)
            return true;
    return false;
}

char *sysctls_forbidden(const struct json *pod) {
    const struct json *spec = json_get(pod, "spec"), *list = json_path(spec, "securityContext", "sysctls");
    bool host_network = json_bool_or(json_get(spec, "hostNetwork"), false);
    bool host_ipc = json_bool_or(json_get(spec, "hostIPC"), false);

    for (size_t i = 0; i < json_len(list); i++) {
        const char *given = json_str_or(json_get(json_at(list, i), "name"), "");
        _cleanup_free_ char *name = sysctl_normal_name(given);
        if (!is_safe(name))
            return xasprintf("forbidden sysctl: \"%s\" not allowlisted", given);
        if (host_network && strncmp(name, "net.", 4) == 0)
            return xasprintf("forbidden sysctl: \"%s\" not allowed with host net enabled", given);
        if (host_ipc && strncmp(name, "kernel.", 7) == 0)
            return xasprintf("forbidden sysctl: \"%s\" not allowed with host ipc enabled", given);
    }
    return NULL;
}
