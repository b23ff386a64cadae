/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The checks of level baseline: nothing by which a pod is known to get more power over its node. */
#include <string.h>

#include "orchestrator/apiserver/podsecurity/checks.h"
#include "orchestrator/apiserver/podsecurity/words.h"
#include "podium/base/alloc.h"

#define APPARMOR_ANNOTATION          "container.apparmor.security.beta.kubernetes.io/"
#define SECCOMP_ANNOTATION           "seccomp.security.alpha.kubernetes.io/pod"
#define SECCOMP_CONTAINER_ANNOTATION "container.seccomp.security.alpha.kubernetes.io/"

static bool begins(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

static bool among(const char *word, const char *const *list) {
    for (; *list; list++)
        if (strcmp(word, *list) == 0)
            return true;
    return false;
}

bool ps_is_relaxed(const struct ps_pod *pod) {
    return pod->relax_user_namespaces && !json_bool_or(json_get(pod->spec, "hostUsers"), true);
}

bool ps_seccomp_type_is_allowed(const char *type) {
    return strcmp(type, "RuntimeDefault") == 0 || strcmp(type, "Localhost") == 0;
}

/* Who set something wrong: `pod`, `container "a"`, `pod and containers "a", "b"`. */
static const char *setters(bool pod, struct words *containers, struct words *scratch) {
    if (pod)
        words_add(scratch, "pod");
    if (containers->n)
        words_add(scratch, words_counted(containers, "container", "containers"));
    return words_joined(scratch, " and ");
}

/* --- AppArmor --- */

static bool apparmor_type_is_bad(const struct json *security, struct words *bad_values) {
    const struct json *profile = json_get(security, "appArmorProfile");
    const char *type = json_get_str(profile, "type");

    if (json_is_null(profile) || strcmp(type, "RuntimeDefault") == 0 || strcmp(type, "Localhost") == 0)
        return false;
    words_insert(bad_values, type);
    return true;
}

static void bad_apparmor_annotations(const struct json *annotations, struct words *bad) {
    for (size_t i = 0; i < json_len(annotations); i++) {
        const char *key = json_key_at(annotations, i), *value = json_str_or(json_value_at(annotations, i), "");
        if (!begins(key, APPARMOR_ANNOTATION) || !*value || strcmp(value, "runtime/default") == 0 ||
            begins(value, "localhost/"))
            continue;
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
        strbuf_addf(&text, "%s=", key);
        words_quote(&text, value);
        words_insert(bad, strbuf_str(&text));
    }
}

void ps_apparmor_profile(const struct ps_pod *pod, struct ps_findings *f) {
    _cleanup_words_ struct words values = WORDS_INIT, containers = WORDS_INIT, annotations = WORDS_INIT,
                                 who = WORDS_INIT;
    bool by_pod = apparmor_type_is_bad(json_get(pod->spec, "securityContext"), &values);

    for (struct ps_container c = {0}; ps_next_container(pod->spec, &c);)
        if (apparmor_type_is_bad(c.security, &values))
            words_add(&containers, c.name);
    (void) setters(by_pod, &containers, &who);
    bad_apparmor_annotations(json_get(pod->metadata, "annotations"), &annotations);
    if (annotations.n)
        words_add(&who, annotations.n == 1 ? "annotation" : "annotations");
    for (size_t i = 0; i < annotations.n; i++)
        words_add(&values, annotations.items[i]);
    if (values.n)
        ps_found(f, values.n == 1 ? "forbidden AppArmor profile" : "forbidden AppArmor profiles",
                 "%s must not set AppArmor profile type to %s", words_joined(&who, " and "), words_quoted(&values));
}

/* --- capabilities --- */

void ps_capabilities_baseline(const struct ps_pod *pod, struct ps_findings *f) {
    static const char *const allowed[] = {"AUDIT_WRITE", "CHOWN",  "DAC_OVERRIDE",     "FOWNER",  "FSETID",
                                          "KILL",        "MKNOD",  "NET_BIND_SERVICE", "SETFCAP", "SETGID",
                                          "SETPCAP",     "SETUID", "SYS_CHROOT",       NULL};
    _cleanup_words_ struct words containers = WORDS_INIT, forbidden = WORDS_INIT;

    for (struct ps_container c = {0}; ps_next_container(pod->spec, &c);) {
        const struct json *add = json_path(c.security, "capabilities", "add");
        bool bad = false;
        for (size_t i = 0; i < json_len(add); i++) {
            const char *capability = json_str_or(json_at(add, i), "");
            if (among(capability, allowed))
                continue;
            words_insert(&forbidden, capability);
            bad = true;
        }
        if (bad)
            words_add(&containers, c.name);
    }
    if (containers.n)
        ps_found(f, "non-default capabilities", "%s must not include %s in securityContext.capabilities.add",
                 words_counted(&containers, "container", "containers"), words_quoted(&forbidden));
}

/* --- what is the host's --- */

void ps_host_namespaces(const struct ps_pod *pod, struct ps_findings *f) {
    static const char *const fields[] = {"hostNetwork", "hostPID", "hostIPC"};
    _cleanup_words_ struct words shared = WORDS_INIT;

    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (json_bool_or(json_get(pod->spec, fields[i]), false))
            words_addf(&shared, "%s=true", fields[i]);
    if (shared.n)
        ps_found(f, "host namespaces", "%s", words_joined(&shared, ", "));
}

void ps_host_path_volumes(const struct ps_pod *pod, struct ps_findings *f) {
    const struct json *volumes = json_get(pod->spec, "volumes");
    _cleanup_words_ struct words bad = WORDS_INIT;

    for (size_t i = 0; i < json_len(volumes); i++)
        if (!json_is_null(json_get(json_at(volumes, i), "hostPath")))
            words_add(&bad, json_get_str(json_at(volumes, i), "name"));
    if (bad.n)
        ps_found(f, "hostPath volumes", "%s", words_counted(&bad, "volume", "volumes"));
}

void ps_host_ports(const struct ps_pod *pod, struct ps_findings *f) {
    _cleanup_words_ struct words containers = WORDS_INIT, numbers = WORDS_INIT;

    for (struct ps_container c = {0}; ps_next_container(pod->spec, &c);) {
        const struct json *ports = json_get(c.doc, "ports");
        bool bad = false;
        for (size_t i = 0; i < json_len(ports); i++) {
            int64_t port = json_int_or(json_get(json_at(ports, i), "hostPort"), 0);
            if (port == 0)
                continue;
            _cleanup_free_ char *text = xasprintf("%lld", (long long) port);
            words_insert(&numbers, text);
            bad = true;
        }
        if (bad)
            words_add(&containers, c.name);
    }
    if (containers.n)
        ps_found(f, "hostPort", "%s %s %s %s", words_counted(&containers, "container", "containers"),
                 containers.n == 1 ? "uses" : "use", numbers.n == 1 ? "hostPort" : "hostPorts",
                 words_joined(&numbers, ", "));
}

/* --- privileged, /proc --- */

void ps_privileged(const struct ps_pod *pod, struct ps_findings *f) {
    _cleanup_words_ struct words bad = WORDS_INIT;

    for (struct ps_container c = {0}; ps_next_container(pod->spec, &c);)
        if (json_bool_or(json_get(c.security, "privileged"), false))
            words_add(&bad, c.name);
    if (bad.n)
        ps_found(f, "privileged", "%s must not set securityContext.privileged=true",
                 words_counted(&bad, "container", "containers"));
}

void ps_proc_mount(const struct ps_pod *pod, struct ps_findings *f) {
    _cleanup_words_ struct words bad = WORDS_INIT, types = WORDS_INIT;

    if (ps_is_relaxed(pod))
        return;
    for (struct ps_container c = {0}; ps_next_container(pod->spec, &c);) {
        const struct json *type = json_get(c.security, "procMount");
        if (json_is_null(type) || strcmp(json_str_or(type, ""), "Default") == 0)
            continue;
        words_add(&bad, c.name);
        words_insert(&types, json_str_or(type, ""));
    }
    if (bad.n)
        ps_found(f, "procMount", "%s must not set securityContext.procMount to %s",
                 words_counted(&bad, "container", "containers"), words_quoted(&types));
}

/* --- SELinux --- */

struct selinux {
    const char *const *allowed;
    struct words types;
    bool user, role;
};

static bool selinux_is_bad(const struct json *security, struct selinux *s) {
    const struct json *options = json_get(security, "seLinuxOptions");
    const char *type = json_get_str(options, "type");
    bool bad_type = *type && !among(type, s->allowed);
    bool user = *json_get_str(options, "user"), role = *json_get_str(options, "role");

    if (bad_type)
        words_insert(&s->types, type);
    s->user |= user;
    s->role |= role;
    return bad_type || user || role;
}

static void check_selinux(const struct ps_pod *pod, const char *const *allowed, struct ps_findings *f) {
    struct selinux s = {allowed, WORDS_INIT, false, false};
    _cleanup_words_ struct words containers = WORDS_INIT, who = WORDS_INIT, what = WORDS_INIT;
    bool by_pod = selinux_is_bad(json_get(pod->spec, "securityContext"), &s);

    for (struct ps_container c = {0}; ps_next_container(pod->spec, &c);)
        if (selinux_is_bad(c.security, &s))
            words_add(&containers, c.name);
    if (s.types.n)
        words_add(&what, words_counted(&s.types, "type", "types"));
    if (s.user)
        words_add(&what, "user may not be set");
    if (s.role)
        words_add(&what, "role may not be set");
    words_finish(&s.types);
    if (by_pod || containers.n)
        ps_found(f, "seLinuxOptions", "%s set forbidden securityContext.seLinuxOptions: %s",
                 setters(by_pod, &containers, &who), words_joined(&what, "; "));
}

void ps_selinux_1_0(const struct ps_pod *pod, struct ps_findings *f) {
    static const char *const allowed[] = {"container_t", "container_init_t", "container_kvm_t", NULL};
    check_selinux(pod, allowed, f);
}

void ps_selinux_1_31(const struct ps_pod *pod, struct ps_findings *f) {
    static const char *const allowed[] = {"container_t", "container_init_t", "container_kvm_t", "container_engine_t",
                                          NULL};
    check_selinux(pod, allowed, f);
}

/* --- seccomp --- */

static void check_seccomp_annotation(const struct json *annotations, const char *key, struct words *bad) {
    const struct json *value = json_get(annotations, key);
    const char *profile = json_str_or(value, "");

    if (!value || strcmp(profile, "runtime/default") == 0 || strcmp(profile, "docker/default") == 0 ||
        begins(profile, "localhost/"))
        return;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    strbuf_addf(&text, "%s=", key);
    words_quote(&text, profile);
    words_insert(bad, strbuf_str(&text));
}

void ps_seccomp_baseline_1_0(const struct ps_pod *pod, struct ps_findings *f) {
    const struct json *annotations = json_get(pod->metadata, "annotations");
    _cleanup_words_ struct words bad = WORDS_INIT;

    check_seccomp_annotation(annotations, SECCOMP_ANNOTATION, &bad);
    for (struct ps_container c = {0}; ps_next_container(pod->spec, &c);) {
        _cleanup_free_ char *key = xasprintf(SECCOMP_CONTAINER_ANNOTATION "%s", c.name);
        check_seccomp_annotation(annotations, key, &bad);
    }
    if (bad.n)
        ps_found(f, "seccompProfile", "forbidden %s %s", bad.n == 1 ? "annotation" : "annotations",
                 words_joined(&bad, ", "));
}

static bool seccomp_is_bad(const struct json *security, struct words *values) {
    const struct json *profile = json_get(security, "seccompProfile");
    const char *type = json_get_str(profile, "type");

    if (json_is_null(profile) || ps_seccomp_type_is_allowed(type))
        return false;
    words_insert(values, type);
    return true;
}

void ps_seccomp_baseline_1_19(const struct ps_pod *pod, struct ps_findings *f) {
    _cleanup_words_ struct words values = WORDS_INIT, containers = WORDS_INIT, who = WORDS_INIT;
    bool by_pod = seccomp_is_bad(json_get(pod->spec, "securityContext"), &values);

    for (struct ps_container c = {0}; ps_next_container(pod->spec, &c);)
        if (seccomp_is_bad(c.security, &values))
            words_add(&containers, c.name);
    if (by_pod || containers.n)
        ps_found(f, "seccompProfile", "%s must not set securityContext.seccompProfile.type to %s",
                 setters(by_pod, &containers, &who), words_quoted(&values));
}

/* --- sysctls --- */

static const struct {
    const char *name;
    int since;
} safe_sysctls[] = {
    {"kernel.shm_rmid_forced", 0},
    {"net.ipv4.ip_local_port_range", 0},
    {"net.ipv4.tcp_syncookies", 0},
    {"net.ipv4.ping_group_range", 0},
    {"net.ipv4.ip_unprivileged_port_start", 0},
    {"net.ipv4.ip_local_reserved_ports", 27},
    {"net.ipv4.tcp_keepalive_time", 29},
    {"net.ipv4.tcp_fin_timeout", 29},
    {"net.ipv4.tcp_keepalive_intvl", 29},
    {"net.ipv4.tcp_keepalive_probes", 29},
    {"net.ipv4.tcp_rmem", 32},
    {"net.ipv4.tcp_wmem", 32},
};

static bool is_safe_sysctl(const char *name, int minor) {
    for (size_t i = 0; i < ARRAY_LEN(safe_sysctls); i++)
        if (safe_sysctls[i].since <= minor && strcmp(safe_sysctls[i].name, name) == 0)
            return true;
    return false;
}

static void check_sysctls(const struct ps_pod *pod, int minor, struct ps_findings *f) {
    const struct json *sysctls = json_path(pod->spec, "securityContext", "sysctls");
    _cleanup_words_ struct words bad = WORDS_INIT;

    for (size_t i = 0; i < json_len(sysctls); i++)
        if (!is_safe_sysctl(json_get_str(json_at(sysctls, i), "name"), minor))
            words_add(&bad, json_get_str(json_at(sysctls, i), "name"));
    if (bad.n)
        ps_found(f, "forbidden sysctls", "%s", words_joined(&bad, ", "));
}

void ps_sysctls_1_0(const struct ps_pod *pod, struct ps_findings *f) {
    check_sysctls(pod, 0, f);
}

void ps_sysctls_1_27(const struct ps_pod *pod, struct ps_findings *f) {
    check_sysctls(pod, 27, f);
}

void ps_sysctls_1_29(const struct ps_pod *pod, struct ps_findings *f) {
    check_sysctls(pod, 29, f);
}

void ps_sysctls_1_32(const struct ps_pod *pod, struct ps_findings *f) {
    check_sysctls(pod, 32, f);
}

/* --- Windows --- */

static bool is_host_process(const struct json *security) {
    return json_bool_or(json_path(security, "windowsOptions", "hostProcess"), false);
}

void ps_windows_host_process(const struct ps_pod *pod, struct ps_findings *f) {
    _cleanup_words_ struct words containers = WORDS_INIT, who = WORDS_INIT;
    bool by_pod = is_host_process(json_get(pod->spec, "securityContext"));

    for (struct ps_container c = {0}; ps_next_container(pod->spec, &c);)
        if (is_host_process(c.security))
            words_add(&containers, c.name);
    if (by_pod || containers.n)
        ps_found(f, "hostProcess", "%s must not set securityContext.windowsOptions.hostProcess=true",
                 setters(by_pod, &containers, &who));
}
