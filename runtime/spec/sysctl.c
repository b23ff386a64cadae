/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <sys/stat.h>

#include "podium/base/alloc.h"
#include "runtime/spec/spec.h"

/* What the kernel keeps per namespace; everything else in /proc/sys is the whole machine's. */
static const struct {
    const char *prefix;
    enum spec_namespace_kind kind;
} namespaced[] = {
    {"net/", SPEC_NS_NETWORK},          {"fs/mqueue/", SPEC_NS_IPC}, {"kernel/msg", SPEC_NS_IPC},
    {"kernel/sem", SPEC_NS_IPC},        {"kernel/shm", SPEC_NS_IPC}, {"kernel/hostname", SPEC_NS_UTS},
    {"kernel/domainname", SPEC_NS_UTS}, {"user/max_", SPEC_NS_USER},
};

/* As sysctl(8) reads names: whichever of the two separators comes first separates, the other one is part of a name. */
char *spec_sysctl_path(const char *key) {
    char *path = xasprintf("sys/%s", key), *name = path + strlen("sys/");

    if (name[strcspn(name, "./")] != '.')
        return path;
    for (char *p = name; *p; p++)
        if (*p == '.')
            *p = '/';
        else if (*p == '/')
            *p = '.';
    return path;
}

static bool is_clean(const char *path) {
    return !strstr(path, "..") && !strstr(path, "//") && !strstr(path, "/./");
}

/* A namespace given by path can be the host's own. */
static bool is_callers(const struct spec_namespace *ns, const char *file) {
    struct stat theirs, ours;
    _cleanup_free_ char *own = xasprintf("/proc/self/ns/%s", file);

    return ns->path && stat(ns->path, &theirs) == 0 && stat(own, &ours) == 0 && theirs.st_dev == ours.st_dev &&
           theirs.st_ino == ours.st_ino;
}

static int check_key(const struct spec *spec, const char *key, struct error *err) {
    static const char *const files[SPEC_NS_MAX] = {
        [SPEC_NS_NETWORK] = "net", [SPEC_NS_IPC] = "ipc", [SPEC_NS_UTS] = "uts", [SPEC_NS_USER] = "user"};
    _cleanup_free_ char *path = spec_sysctl_path(key);
    const char *name = path + strlen("sys/");

    if (!is_clean(path))
        return error_set(err, -EINVAL, "config: linux.sysctl: %s is not usable", key);
    for (size_t i = 0; i < ARRAY_LEN(namespaced); i++) {
        enum spec_namespace_kind kind = namespaced[i].kind;

        if (strncmp(name, namespaced[i].prefix, strlen(namespaced[i].prefix)) != 0)
            continue;
        if (spec->namespaces[kind].present && !is_callers(&spec->namespaces[kind], files[kind]))
            return 0;
        return error_set(err, -EPERM,
                         "config: linux.sysctl: %s would change the host: the container has no %s namespace of its own",
                         key, spec_namespace_name(kind));
    }
    return error_set(err, -EPERM, "config: linux.sysctl: %s would change the host: it belongs to no namespace", key);
}

int spec_sysctl_check(const struct spec *spec, struct error *err) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < json_len(spec->sysctl); i++)
        r = check_key(spec, json_key_at(spec->sysctl, i), err);
    return r;
}
