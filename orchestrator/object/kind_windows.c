/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operating system a pod is for, and the options of Windows: nodes are Linux, but what is kept must be right. */
#include <ctype.h>
#include <string.h>

#include "orchestrator/object/kind_pod.h"
#include "podium/base/cleanup.h"

#define CREDENTIAL_KIB_MAX 64u
#define DOMAIN_BYTES_MAX   256u
#define USER_BYTES_MAX     104u

/* --- options --- */

static bool is_netbios(const char *s, size_t n) {
    if (!n || n > 15 || *s == '.')
        return false;
    for (size_t i = 0; i < n; i++)
        if (strchr("\\/:*?\"<>|", s[i]))
            return false;
    return true;
}

/* [a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?, joined by dots */
static bool is_dns_domain(const char *s, size_t n) {
    size_t start = 0;
    for (size_t i = 0; i <= n; i++) {
        if (i < n && s[i] != '.') {
            if (!isalnum((unsigned char) s[i]) && s[i] != '-')
                return false;
            continue;
        }
        if (i == start || i - start > 63 || s[start] == '-' || s[i - 1] == '-')
            return false;
        start = i + 1;
    }
    return true;
}

static void check_user(struct field_errors *e, const struct place *at, const struct json *value, const char *user) {
    size_t n = strlen(user);
    if (!n)
        complain_invalid(e, at, value, "runAsUserName's User cannot be empty");
    else if (n > USER_BYTES_MAX)
        complain_invalid(e, at, value, "runAsUserName's User length must not be longer than %u characters",
                         USER_BYTES_MAX);
    if (n && strspn(user, ". ") == n)
        complain_invalid(e, at, value, "runAsUserName's User cannot contain only periods or spaces");
    if (strpbrk(user, "\"/\\:;|=,+*?<>@[]"))
        complain_invalid(e, at, value,
                         "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
}

static void check_user_name(struct field_errors *e, const struct place *at, const struct json *value) {
    const char *s = json_str_or(value, ""), *slash = strchr(s, '\\');
    size_t domain = slash ? (size_t) (slash - s) : 0;
    bool control = false;
    for (const char *p = s; *p; p++)
        control = control || iscntrl((unsigned char) *p);
    if (!*s) {
        complain_invalid(e, at, value, "runAsUserName cannot be an empty string");
    } else if (control) {
        complain_invalid(e, at, value, "runAsUserName cannot contain control characters");
    } else if (slash && strchr(slash + 1, '\\')) {
        complain_invalid(e, at, value, "runAsUserName cannot contain more than one backslash");
    } else {
        if (domain >= DOMAIN_BYTES_MAX)
            complain_invalid(e, at, value, "runAsUserName's Domain length must be under %u characters",
                             DOMAIN_BYTES_MAX);
        if (slash && !is_netbios(s, domain) && !is_dns_domain(s, domain))
            complain_invalid(e, at, value, "runAsUserName's Domain doesn't match the NetBios nor the DNS format");
        check_user(e, at, value, slash ? slash + 1 : s);
    }
}

void rules_windows_options(struct field_errors *e, const struct place *at, const struct json *options) {
    struct place name = place_in(at, "gmsaCredentialSpecName"), spec = place_in(at, "gmsaCredentialSpec");
    struct place user = place_in(at, "runAsUserName");
    const struct json *credential = json_get(options, "gmsaCredentialSpec");
    if (json_is_null(options))
        return;
    if (!json_is_null(json_get(options, "gmsaCredentialSpecName")))
        check_name(e, &name, json_get_str(options, "gmsaCredentialSpecName"), name_form_dns1123_subdomain);
    if (!json_is_null(credential) && !json_str_len(credential))
        complain_invalid(e, &spec, credential, "gmsaCredentialSpec cannot be an empty string");
    else if (json_str_len(credential) > CREDENTIAL_KIB_MAX * 1024u)
        complain_invalid(e, &spec, credential, "gmsaCredentialSpec size must be under %u KiB", CREDENTIAL_KIB_MAX);
    if (!json_is_null(json_get(options, "runAsUserName")))
        check_user_name(e, &user, json_get(options, "runAsUserName"));
}

/* --- all containers of a pod --- */

typedef void (*container_rule)(struct field_errors *e, const struct place *context, const struct json *security,
                               void *userdata);

static void each_security_context(struct field_errors *e, const struct place *at, const struct json *spec,
                                  container_rule rule, void *userdata) {
    static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        struct place list = place_in(at, lists[l]);
        for (size_t i = 0; i < json_len(json_get(spec, lists[l])); i++) {
            struct place one = place_at(&list, i), context = place_in(&one, "securityContext");
            rule(e, &context, json_get(json_at(json_get(spec, lists[l]), i), "securityContext"), userdata);
        }
    }
}

/* --- operating systems --- */

static void forbid_windows(struct field_errors *e, const struct place *context, const struct json *security,
                           void *userdata) {
    struct place options = place_in(context, "windowsOptions");
    (void) userdata;
    if (!json_is_null(json_get(security, "windowsOptions")))
        complain_forbidden(e, &options, "windows options cannot be set for a linux pod");
}

static void forbid_each(struct field_errors *e, const struct place *at, const struct json *object,
                        const char *const *fields) {
    for (; *fields; fields++) {
        struct place place = place_in(at, *fields);
        const struct json *v = json_get(object, *fields);
        if (json_is_null(v) || (json_is_array(v) && !json_len(v)))
            continue;
        complain_forbidden(e, &place, "cannot be set for a windows pod");
    }
}

static void forbid_linux(struct field_errors *e, const struct place *context, const struct json *security,
                         void *userdata) {
    static const char *const fields[] = {"appArmorProfile",
                                         "seLinuxOptions",
                                         "seccompProfile",
                                         "capabilities",
                                         "readOnlyRootFilesystem",
                                         "privileged",
                                         "allowPrivilegeEscalation",
                                         "procMount",
                                         "runAsUser",
                                         "runAsGroup",
                                         NULL};
    (void) userdata;
    forbid_each(e, context, security, fields);
}

static void check_windows_pod(struct field_errors *e, const struct place *at, const struct json *spec) {
    static const char *const of_context[] = {"appArmorProfile",     "seLinuxOptions",
                                             "seccompProfile",      "fsGroup",
                                             "fsGroupChangePolicy", "sysctls",
                                             "runAsUser",           "runAsGroup",
                                             "supplementalGroups",  "supplementalGroupsPolicy",
                                             "seLinuxChangePolicy", NULL};
    static const char *const present[] = {"hostUsers", "shareProcessNamespace", NULL};
    static const char *const flags[] = {"hostPID", "hostIPC"};
    struct place context = place_in(at, "securityContext");
    forbid_each(e, &context, json_get(spec, "securityContext"), of_context);
    forbid_each(e, at, spec, present);
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        struct place place = place_in(at, flags[i]);
        if (json_bool_or(json_get(spec, flags[i]), false))
            complain_forbidden(e, &place, "cannot be set for a windows pod");
    }
    each_security_context(e, at, spec, forbid_linux, NULL);
}

void rules_pod_os(struct field_errors *e, const struct place *at, const struct json *spec) {
    static const char *const known[] = {"linux", "windows", NULL};
    struct place os = place_in(at, "os"), name = place_in(&os, "name"), context = place_in(at, "securityContext");
    const char *s = json_get_str(json_get(spec, "os"), "name");
    if (json_is_null(json_get(spec, "os")))
        return;
    if (!*s) {
        complain_required(e, &name, "cannot be empty");
    } else if (strcmp(s, "linux") == 0) {
        forbid_windows(e, &context, json_get(spec, "securityContext"), NULL);
        each_security_context(e, at, spec, forbid_windows, NULL);
    } else if (strcmp(s, "windows") == 0) {
        check_windows_pod(e, at, spec);
    } else {
        complain_not_supported(e, &os, s, known);
    }
}

/* --- processes of the host --- */

struct host_processes {
    const struct json *pod; /* the pod's own setting */
    size_t n, n_containers;
};

static void count_host_process(struct field_errors *e, const struct place *context, const struct json *security,
                               void *userdata) {
    struct host_processes *h = userdata;
    struct place options = place_in(context, "windowsOptions"), at = place_in(&options, "hostProcess");
    const struct json *own = json_path(security, "windowsOptions", "hostProcess");
    h->n_containers++;
    h->n += json_bool_or(json_is_null(own) ? h->pod : own, false);
    if (!json_is_null(own) && !json_is_null(h->pod) && !json_equal(own, h->pod))
        complain_invalid(e, &at, own, "pod hostProcess value must be identical if both are specified, was %s",
                         json_bool_or(h->pod, false) ? "true" : "false");
}

void rules_host_process(struct field_errors *e, const struct place *at, const struct json *spec) {
    struct host_processes h = {.pod = json_path(spec, "securityContext", "windowsOptions", "hostProcess")};
    struct place network = place_in(at, "hostNetwork");
    each_security_context(e, at, spec, count_host_process, &h);
    if (h.n && h.n != h.n_containers)
        complain_invalid_text(
            e, at, "", "If pod contains any hostProcess containers then all containers must be HostProcess containers");
    if (h.n && !json_bool_or(json_get(spec, "hostNetwork"), false)) {
        _cleanup_json_ struct json *no = json_bool(false);
        complain_invalid(e, &network, no, "hostNetwork must be true if pod contains any hostProcess containers");
    }
}
