/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The checks of level restricted: what is good practice for a pod that needs nothing of its node. */
#include <string.h>

#include "orchestrator/apiserver/podsecurity/checks.h"
#include "orchestrator/apiserver/podsecurity/words.h"
#include "podium/base/alloc.h"

/* Since 1.25 rules that mean nothing to Windows are not asked of its pods. */
static bool is_windows(const struct ps_pod *pod) {
    return json_get_is(json_get(pod->spec, "os"), "name", "windows");
}

/* --- privileges --- */

void ps_privilege_escalation_1_8(const struct ps_pod *pod, struct ps_findings *f) {
    _cleanup_words_ struct words bad = WORDS_INIT;

    for (struct ps_container c = {0}; ps_next_container(pod->spec, &c);)
        if (json_bool_or(json_get(c.security, "allowPrivilegeEscalation"), true))
            words_add(&bad, c.name);
    if (bad.n)
        ps_found(f, "allowPrivilegeEscalation != false", "%s must set securityContext.allowPrivilegeEscalation=false",
                 words_counted(&bad, "container", "containers"));
}

void ps_privilege_escalation_1_25(const struct ps_pod *pod, struct ps_findings *f) {
    if (!is_windows(pod))
        ps_privilege_escalation_1_8(pod, f);
}

static bool drops_all(const struct json *security) {
    const struct json *drop = json_path(security, "capabilities", "drop");

    for (size_t i = 0; i < json_len(drop); i++)
        if (strcmp(json_str_or(json_at(drop, i), ""), "ALL") == 0)
            return true;
    return false;
}

/* Whether the container adds what it may not. */
static bool adds_forbidden(const struct json *security, struct words *forbidden) {
    const struct json *add = json_path(security, "capabilities", "add");
    bool bad = false;

    for (size_t i = 0; i < json_len(add); i++) {
        const char *capability = json_str_or(json_at(add, i), "");
        if (strcmp(capability, "NET_BIND_SERVICE") == 0)
            continue;
        words_insert(forbidden, capability);
        bad = true;
    }
    return bad;
}

void ps_capabilities_restricted_1_22(const struct ps_pod *pod, struct ps_findings *f) {
    _cleanup_words_ struct words keeping = WORDS_INIT, adding = WORDS_INIT, forbidden = WORDS_INIT, what = WORDS_INIT;

    for (struct ps_container c = {0}; ps_next_container(pod->spec, &c);) {
        if (!drops_all(c.security))
            words_add(&keeping, c.name);
        if (adds_forbidden(c.security, &forbidden))
            words_add(&adding, c.name);
    }
    if (keeping.n)
        words_addf(&what, "%s must set securityContext.capabilities.drop=[\"ALL\"]",
                   words_counted(&keeping, "container", "containers"));
    if (adding.n)
        words_addf(&what, "%s must not include %s in securityContext.capabilities.add",
                   words_counted(&adding, "container", "containers"), words_quoted(&forbidden));
    if (what.n)
        ps_found(f, "unrestricted capabilities", "%s", words_joined(&what, "; "));
}

void ps_capabilities_restricted_1_25(const struct ps_pod *pod, struct ps_findings *f) {
    if (!is_windows(pod))
        ps_capabilities_restricted_1_22(pod, f);
}

/* --- volumes --- */

static bool is_set(const struct json *volume, const char *source) {
    return !json_is_null(json_get(volume, source));
}

/* NULL: an allowed one. Images as volumes came with 1.31 and are allowed. */
static const char *bad_volume_type(const struct json *volume) {
    static const char *const allowed[] = {"configMap", "csi",   "downwardAPI",           "emptyDir",
                                          "ephemeral", "image", "persistentVolumeClaim", "projected",
                                          "secret"};
    static const char *const restricted[] = {"hostPath",
                                             "gcePersistentDisk",
                                             "awsElasticBlockStore",
                                             "gitRepo",
                                             "nfs",
                                             "iscsi",
                                             "glusterfs",
                                             "rbd",
                                             "flexVolume",
                                             "cinder",
                                             "cephfs",
                                             "flocker",
                                             "fc",
                                             "azureFile",
                                             "vsphereVolume",
                                             "quobyte",
                                             "azureDisk",
                                             "photonPersistentDisk",
                                             "portworxVolume",
                                             "scaleIO",
                                             "storageos"};

    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        if (is_set(volume, allowed[i]))
            return NULL;
    for (size_t i = 0; i < ARRAY_LEN(restricted); i++)
        if (is_set(volume, restricted[i]))
            return restricted[i];
    return "unknown";
}

void ps_restricted_volumes(const struct ps_pod *pod, struct ps_findings *f) {
    const struct json *volumes = json_get(pod->spec, "volumes");
    _cleanup_words_ struct words bad = WORDS_INIT, types = WORDS_INIT;

    for (size_t i = 0; i < json_len(volumes); i++) {
        const char *type = bad_volume_type(json_at(volumes, i));
        if (!type)
            continue;
        words_add(&bad, json_get_str(json_at(volumes, i), "name"));
        words_insert(&types, type);
    }
    if (bad.n)
        ps_found(f, "restricted volume types", "%s %s %s", words_counted(&bad, "volume", "volumes"),
                 bad.n == 1 ? "uses" : "use",
                 words_counted(&types, "restricted volume type", "restricted volume types"));
}

/* --- settings that the pod makes for all its containers, or each container for itself --- */

struct setting {
    bool pod_good, pod_bad;
    struct words bad;     /* containers that set it wrong */
    struct words missing; /* containers that do not set it, where the pod does not either */
    struct words who;
};

static void setting_finish(struct setting *s) {
    words_finish(&s->bad);
    words_finish(&s->missing);
    words_finish(&s->who);
}
#define SETTING_INIT                                                                                                   \
    { false, false, WORDS_INIT, WORDS_INIT, WORDS_INIT }

enum verdict { ABSENT, GOOD, BAD };

static void take_pod(struct setting *s, enum verdict v) {
    s->pod_good = v == GOOD;
    s->pod_bad = v == BAD;
    if (s->pod_bad)
        words_add(&s->who, "pod");
}

static void take_container(struct setting *s, const char *name, enum verdict v) {
    if (v == BAD)
        words_add(&s->bad, name);
    else if (v == ABSENT && !s->pod_good)
        words_add(&s->missing, name);
}

/* `pod and container "a"` of those that set it wrong; NULL: nobody does. */
static const char *wrong_setters(struct setting *s) {
    if (s->bad.n)
        words_add(&s->who, words_counted(&s->bad, "container", "containers"));
    return s->who.n ? words_joined(&s->who, " and ") : NULL;
}

static enum verdict judge_non_root(const struct json *security) {
    const struct json *v = json_get(security, "runAsNonRoot");

    return json_is_null(v) ? ABSENT : json_bool_or(v, false) ? GOOD : BAD;
}

void ps_run_as_non_root(const struct ps_pod *pod, struct ps_findings *f) {
    _cleanup_(setting_finish) struct setting s = SETTING_INIT;

    if (ps_is_relaxed(pod))
        return;
    take_pod(&s, judge_non_root(json_get(pod->spec, "securityContext")));
    for (struct ps_container c = {0}; ps_next_container(pod->spec, &c);)
        take_container(&s, c.name, judge_non_root(c.security));
    const char *wrong = wrong_setters(&s);
    if (wrong)
        ps_found(f, "runAsNonRoot != true", "%s must not set securityContext.runAsNonRoot=false", wrong);
    else if (s.missing.n)
        ps_found(f, "runAsNonRoot != true", "pod or %s must set securityContext.runAsNonRoot=true",
                 words_counted(&s.missing, "container", "containers"));
}

static enum verdict judge_user(const struct json *security) {
    const struct json *v = json_get(security, "runAsUser");

    return !json_is_null(v) && json_int_or(v, 1) == 0 ? BAD : GOOD;
}

void ps_run_as_user(const struct ps_pod *pod, struct ps_findings *f) {
    _cleanup_(setting_finish) struct setting s = SETTING_INIT;

    if (ps_is_relaxed(pod))
        return;
    take_pod(&s, judge_user(json_get(pod->spec, "securityContext")));
    for (struct ps_container c = {0}; ps_next_container(pod->spec, &c);)
        take_container(&s, c.name, judge_user(c.security));
    const char *wrong = wrong_setters(&s);
    if (wrong)
        ps_found(f, "runAsUser=0", "%s must not set runAsUser=0", wrong);
}

static enum verdict judge_seccomp(const struct json *security, struct words *values) {
    const struct json *profile = json_get(security, "seccompProfile");
    const char *type = json_get_str(profile, "type");

    if (json_is_null(profile))
        return ABSENT;
    if (ps_seccomp_type_is_allowed(type))
        return GOOD;
    words_insert(values, type);
    return BAD;
}

void ps_seccomp_restricted_1_19(const struct ps_pod *pod, struct ps_findings *f) {
    _cleanup_(setting_finish) struct setting s = SETTING_INIT;
    _cleanup_words_ struct words values = WORDS_INIT;

    take_pod(&s, judge_seccomp(json_get(pod->spec, "securityContext"), &values));
    for (struct ps_container c = {0}; ps_next_container(pod->spec, &c);)
        take_container(&s, c.name, judge_seccomp(c.security, &values));
    const char *wrong = wrong_setters(&s);
    if (wrong)
        ps_found(f, "seccompProfile", "%s must not set securityContext.seccompProfile.type to %s", wrong,
                 words_quoted(&values));
    else if (s.missing.n)
        ps_found(f, "seccompProfile",
                 "pod or %s must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
                 words_counted(&s.missing, "container", "containers"));
}

void ps_seccomp_restricted_1_25(const struct ps_pod *pod, struct ps_findings *f) {
    if (!is_windows(pod))
        ps_seccomp_restricted_1_19(pod, f);
}
