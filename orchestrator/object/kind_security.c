/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Security contexts of pods and of containers. */
#include <ctype.h>
#include <string.h>

#include "orchestrator/object/kind_pod.h"
#include "podium/base/alloc.h"

#define PROFILE_BYTES_MAX 4095u /* PATH_MAX without the end */
#define SYSCTL_BYTES_MAX  253u

/* --- profiles --- */

static void check_seccomp(struct field_errors *e, const struct place *context, const struct json *profile) {
    struct place at = place_in(context, "seccompProfile"), type = place_in(&at, "type");
    struct place file = place_in(&at, "localhostProfile");
    const struct json *name = json_get(profile, "localhostProfile");
    if (json_is_null(profile))
        return;
    if (json_get_is(profile, "type", ""))
        complain_required(e, &type, "type is required when seccompProfile is set");
    bool local = json_get_is(profile, "type", "Localhost");
    if (local && json_is_null(name))
        complain_required(e, &file, "must be set when seccomp type is Localhost");
    else if (local)
        check_relative_path(e, &file, json_str_or(name, ""));
    else if (!json_is_null(name))
        complain_invalid(e, &file, profile, "can only be set when seccomp type is Localhost");
}

static bool is_padded(const char *s) {
    size_t n = strlen(s);
    return n && (isspace((unsigned char) s[0]) || isspace((unsigned char) s[n - 1]));
}

static void check_app_armor(struct field_errors *e, const struct place *context, const struct json *profile) {
    struct place at = place_in(context, "appArmorProfile"), type = place_in(&at, "type");
    struct place file = place_in(&at, "localhostProfile");
    const struct json *name = json_get(profile, "localhostProfile");
    const char *kind = json_get_str(profile, "type"), *s = json_str_or(name, "");
    if (json_is_null(profile))
        return;
    if (!*kind) {
        complain_required(e, &type, "type is required when appArmorProfile is set");
    } else if (strcmp(kind, "Localhost") == 0) {
        if (is_padded(s))
            complain_invalid(e, &file, name, "must not be padded with whitespace");
        else if (!*s)
            complain_required(e, &file, "must be set when AppArmor type is Localhost");
        if (strlen(s) > PROFILE_BYTES_MAX)
            complain_too_long(e, &file, PROFILE_BYTES_MAX);
    } else if (!json_is_null(name)) {
        complain_invalid(e, &file, name, "can only be set when AppArmor type is Localhost");
    }
}

/* --- kernel parameters --- */

/* [a-z0-9]([-_a-z0-9]*[a-z0-9])?, joined by dots or slashes. */
static bool is_sysctl(const char *s) {
    bool inside = false; /* the last character was a letter or digit */
    if (strlen(s) > SYSCTL_BYTES_MAX)
        return false;
    for (; *s; s++) {
        bool alnum = (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9');
        bool joint = *s == '.' || *s == '/';
        if (!alnum && !joint && *s != '-' && *s != '_')
            return false;
        if (joint && !inside)
            return false;
        if (!alnum && !joint) { /* within a segment only: something of it must come before and after */
            size_t n = strspn(s, "-_");
            if (!inside || !((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= '0' && s[n] <= '9')))
                return false;
            s += n - 1;
        }
        inside = alnum;
    }
    return inside;
}

/* With slashes for dots, when the first separator is a slash. */
static void normalise_sysctl(char *s) {
    size_t n = strcspn(s, "./");
    for (char *p = s; s[n] == '/' && *p; p++)
        *p = *p == '/' ? '.' : *p == '.' ? '/' : *p;
}

/* What belongs to a namespace that the pod shares with the host. */
static void check_host_sysctl(struct field_errors *e, const struct place *at, const char *name,
                              const struct json *spec) {
    static const char *const ipc[] = {"kernel.shm", "kernel.msg", "fs.mqueue."};
    _cleanup_free_ char *dotted = xstrdup(name);
    normalise_sysctl(dotted);
    bool of_ipc = strcmp(dotted, "kernel.sem") == 0;
    for (size_t i = 0; i < ARRAY_LEN(ipc); i++)
        of_ipc = of_ipc || strncmp(dotted, ipc[i], strlen(ipc[i])) == 0;
    if (strncmp(dotted, "net.", 4) == 0 && json_bool_or(json_get(spec, "hostNetwork"), false))
        complain_invalid_text(e, at, name, "may not be specified when 'hostNetwork' is true");
    else if (of_ipc && json_bool_or(json_get(spec, "hostIPC"), false))
        complain_invalid_text(e, at, name, "may not be specified when 'hostIPC' is true");
}

static void check_sysctls(struct field_errors *e, const struct place *context, const struct json *list,
                          const struct json *spec) {
    struct place all = place_in(context, "sysctls");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t i = 0; i < json_len(list); i++) {
        const char *name = json_get_str(json_at(list, i), "name");
        struct place one = place_at(&all, i), at = place_in(&one, "name");
        if (!*name)
            complain_required(e, &at, "");
        else if (!is_sysctl(name))
            complain_invalid_text(e, &at, name,
                                  "must have at most %u characters and match regex "
                                  "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
                                  SYSCTL_BYTES_MAX);
        else if (seen_before(&seen, name))
            complain_duplicate(e, &at, name);
        check_host_sysctl(e, &at, name, spec);
    }
}

/* --- pods --- */

static void check_ids(struct field_errors *e, const struct place *at, const struct json *context,
                      const char *const *ids) {
    for (; *ids; ids++) {
        struct place place = place_in(at, *ids);
        check_range(e, &place, json_get(context, *ids), 0, INT32_MAX);
    }
}

static void check_host_users(struct field_errors *e, const struct place *at, const struct json *spec) {
    /* upstream's spelling of two of the paths */
    static const char *const host[][2] = {
        {"hostNetwork", "hostNetwork"}, {"hostPID", "HostPID"}, {"hostIPC", "HostIPC"}};
    for (size_t i = 0; !json_bool_or(json_get(spec, "hostUsers"), true) && i < ARRAY_LEN(host); i++) {
        struct place place = place_in(at, host[i][1]);
        if (json_bool_or(json_get(spec, host[i][0]), false))
            complain_forbidden(e, &place, "when `pod.Spec.HostUsers` is false");
    }
}

void rules_pod_security(struct field_errors *e, const struct place *spec_place, const struct json *spec) {
    static const char *const ids[] = {"fsGroup", "runAsUser", "runAsGroup", NULL};
    struct place at = place_in(spec_place, "securityContext"), groups = place_in(&at, "supplementalGroups");
    struct place share = place_in(&at, "shareProcessNamespace"), windows = place_in(&at, "windowsOptions");
    const struct json *context = json_get(spec, "securityContext"), *extra = json_get(context, "supplementalGroups");
    check_ids(e, &at, context, ids);
    for (size_t i = 0; i < json_len(extra); i++) {
        struct place one = place_at(&groups, i);
        check_range(e, &one, json_at(extra, i), 0, INT32_MAX);
    }
    if (json_bool_or(json_get(spec, "shareProcessNamespace"), false) && json_bool_or(json_get(spec, "hostPID"), false))
        complain_invalid(e, &share, json_get(spec, "shareProcessNamespace"),
                         "ShareProcessNamespace and HostPID cannot both be enabled");
    if (json_len(context)) {
        check_sysctls(e, &at, json_get(context, "sysctls"), spec);
        check_seccomp(e, &at, json_get(context, "seccompProfile"));
        rules_windows_options(e, &windows, json_get(context, "windowsOptions"));
        check_app_armor(e, &at, json_get(context, "appArmorProfile"));
    }
    check_host_users(e, spec_place, spec);
}

/* --- containers --- */

static void check_escalation(struct field_errors *e, const struct place *at, const struct json *security) {
    const struct json *added = json_path(security, "capabilities", "add");
    if (json_bool_or(json_get(security, "allowPrivilegeEscalation"), true))
        return;
    if (json_bool_or(json_get(security, "privileged"), false))
        complain_invalid(e, at, security, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    for (size_t i = 0; i < json_len(added); i++)
        if (strcmp(json_str_or(json_at(added, i), ""), "CAP_SYS_ADMIN") == 0) {
            complain_invalid(e, at, security,
                             "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
            return;
        }
}

void rules_container_security(struct field_errors *e, const struct place *container, const struct json *object,
                              const struct pod_context *pod) {
    static const char *const ids[] = {"runAsUser", "runAsGroup", NULL};
    struct place at = place_in(container, "securityContext"), mount = place_in(&at, "procMount");
    struct place windows = place_in(&at, "windowsOptions");
    const struct json *security = json_get(object, "securityContext");
    if (!json_len(security))
        return;
    check_ids(e, &at, security, ids);
    if (json_get_is(security, "procMount", "Unmasked") && pod->host_users)
        complain_invalid(e, &mount, json_get(security, "procMount"), "`hostUsers` must be false to use `Unmasked`");
    check_seccomp(e, &at, json_get(security, "seccompProfile"));
    check_escalation(e, &at, security);
    rules_windows_options(e, &windows, json_get(security, "windowsOptions"));
    check_app_armor(e, &at, json_get(security, "appArmorProfile"));
}
