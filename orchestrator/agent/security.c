/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/security.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "orchestrator/agent/id_range.h"
#include "podium/base/alloc.h"
#include "podium/base/capability.h"
#include "podium/base/fd.h"
#include "podium/base/limits.h"
#include "podium/base/path.h"

/* The engines' usual set: containerd, Docker and CRI-O's union that programs count on. */
static const char *const default_capabilities[] = {
    "CHOWN",  "DAC_OVERRIDE", "FSETID",  "FOWNER",           "MKNOD",      "NET_RAW", "SETGID",
    "SETUID", "SETFCAP",      "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL",    "AUDIT_WRITE",
};

void security_finish(struct security *s) {
    json_unref(s->groups);
    json_unref(s->capabilities);
    json_unref(s->seccomp);
    free(s->home);
    *s = (struct security){0};
}

uint64_t security_own_bounds(void) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    uint64_t bounds = 0;

    if (file_read("/proc/self/status", 65536, &text, NULL) == 0) {
        const char *line = strstr(strbuf_str(&text), "\nCapBnd:");
        if (line)
            bounds = strtoull(line + strlen("\nCapBnd:"), NULL, 16);
    }
    return bounds;
}

static int change_capabilities(const struct json *list, bool add, uint64_t *mask, const char *container,
                               struct pod_problem *problem) {
    for (size_t i = 0; i < json_len(list); i++) {
        const char *name = json_str_or(json_at(list, i), "");
        int n = capability_number(name);

        if (strcasecmp(name, "ALL") == 0)
            *mask = add ? UINT64_MAX : 0;
        else if (n < 0)
            return pod_problem_set(problem, "CreateContainerError", container, "unknown capability \"%s\"", name);
        else if (add)
            *mask |= UINT64_C(1) << n;
        else
            *mask &= ~(UINT64_C(1) << n);
    }
    return 0;
}

static bool names_all(const struct json *list) {
    for (size_t i = 0; i < json_len(list); i++)
        if (strcasecmp(json_str_or(json_at(list, i), ""), "ALL") == 0)
            return true;
    return false;
}

static struct json *capability_list(uint64_t mask) {
    struct json *list = json_array();

    for (unsigned i = 0; capability_name(i); i++)
        if (mask & (UINT64_C(1) << i))
            json_append(&list, json_string(capability_name(i)));
    return list;
}

static int resolve_capabilities(const struct pod_context *ctx, const struct json *container,
                                const struct json *security, struct security *ret, struct pod_problem *problem) {
    static const char *const sets[] = {"bounding", "effective", "permitted"};
    const struct json *add = json_path(security, "capabilities", "add");
    const struct json *drop = json_path(security, "capabilities", "drop");
    const char *name = json_str(json_get(container, "name"));
    uint64_t mask = 0;

    for (size_t i = 0; i < ARRAY_LEN(default_capabilities); i++)
        mask |= UINT64_C(1) << capability_number(default_capabilities[i]);
    if (ret->privileged)
        mask = UINT64_MAX;
    /* "add ALL, drop X" and "drop ALL, add X" both mean what they say: ALL goes first */
    int r = 0;
    if (names_all(add) && !names_all(drop))
        mask = UINT64_MAX;
    if (names_all(drop))
        mask = 0;
    if (!names_all(drop))
        r = change_capabilities(drop, false, &mask, name, problem);
    if (r == 0 && !names_all(add))
        r = change_capabilities(add, true, &mask, name, problem);
    if (r < 0)
        return r;
    mask &= ctx->capability_bounds;
    ret->capabilities = json_object();
    for (size_t i = 0; i < ARRAY_LEN(sets); i++)
        json_set(&ret->capabilities, sets[i], capability_list(mask));
    return 0;
}

static void add_group(struct json **groups, uint32_t gid) {
    for (size_t i = 0; i < json_len(*groups); i++)
        if (json_int_or(json_at(*groups, i), -1) == (int64_t) gid)
            return;
    json_append(groups, json_int(gid));
}

/* The container's member, else the pod's. */
static const struct json *setting(const struct json *own, const struct json *pods, const char *name) {
    const struct json *v = json_get(own, name);
    return json_is_null(v) ? json_get(pods, name) : v;
}

static int resolve_user(const struct json *pod, const struct json *own, const char *image_user, char *const *layer_dirs,
                        struct security *ret, const char *name, struct pod_problem *problem) {
    const struct json *pods = json_path(pod, "spec", "securityContext");
    _cleanup_(image_user_finish) struct image_user user = {0};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    const struct json *run_as = setting(own, pods, "runAsUser"), *group = setting(own, pods, "runAsGroup");
    bool non_root = json_bool_or(setting(own, pods, "runAsNonRoot"), false);
    _cleanup_free_ char *text = NULL;

    if (!json_is_null(run_as))
        text = xasprintf("%" PRId64, json_int_or(run_as, 0));
    else
        text = xstrdup(image_user ? image_user : "");
    int r = image_user_resolve(layer_dirs, text, &user, &err);
    if (r < 0)
        return pod_problem_set(problem, "CreateContainerError", name, "%s", error_text(&err, r));
    bool is_number = strspn(text, "0123456789:") == strlen(text);
    if (non_root && json_is_null(run_as) && *text && !is_number)
        return pod_problem_set(problem, "CreateContainerConfigError", name,
                               "container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is "
                               "non-root (pod: \"%s_%s(%s)\", container: %s)",
                               text, pod_meta(pod, "name"), pod_meta(pod, "namespace"), pod_meta(pod, "uid"), name);
    if (non_root && user.uid == 0)
        return pod_problem_set(problem, "CreateContainerConfigError", name, "%s (pod: \"%s_%s(%s)\", container: %s)",
                               json_is_null(run_as) ? "container has runAsNonRoot and image will run as root"
                                                    : "container's runAsUser breaks non-root policy",
                               pod_meta(pod, "name"), pod_meta(pod, "namespace"), pod_meta(pod, "uid"), name);
    ret->uid = user.uid;
    ret->gid = json_is_null(group) ? user.gid : (uint32_t) json_int_or(group, 0);
    ret->home = steal(&user.home);
    ret->groups = json_array();
    bool strict = strcmp(json_str_or(json_get(pods, "supplementalGroupsPolicy"), "Merge"), "Strict") == 0;
    for (size_t i = 0; !strict && i < user.n_groups; i++)
        add_group(&ret->groups, user.groups[i]);
    const struct json *more = json_get(pods, "supplementalGroups");
    for (size_t i = 0; i < json_len(more); i++)
        add_group(&ret->groups, (uint32_t) json_int_or(json_at(more, i), 0));
    if (!json_is_null(json_get(pods, "fsGroup")))
        add_group(&ret->groups, (uint32_t) json_int_or(json_get(pods, "fsGroup"), 0));
    return 0;
}

/* The pod's user namespace has so many users and groups, and no others. */
static int check_range(const struct security *s, const char *name, struct pod_problem *problem) {
    int64_t most = s->uid > s->gid ? s->uid : s->gid;

    for (size_t i = 0; i < json_len(s->groups); i++)
        if (json_int_or(json_at(s->groups, i), 0) > most)
            most = json_int_or(json_at(s->groups, i), 0);
    return most < ID_RANGE_SIZE
               ? 0
               : pod_problem_set(problem, "CreateContainerConfigError", name,
                                 "user or group %" PRId64 " is not in the pod's user namespace, which has 0 to %d "
                                 "(hostUsers is false)",
                                 most, ID_RANGE_SIZE - 1);
}

static int resolve_seccomp(const struct pod_context *ctx, const struct json *profile, struct security *ret,
                           const char *name, struct pod_problem *problem) {
    const char *type = json_str_or(json_get(profile, "type"), "RuntimeDefault");
    const char *file = json_str_or(json_get(profile, "localhostProfile"), "");
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    ret->seccomp_default = strcmp(type, "RuntimeDefault") == 0 && !ret->privileged;
    if (strcmp(type, "Localhost") != 0 || ret->privileged)
        return 0;
    if (!*file || *file == '/' || strstr(file, ".."))
        return pod_problem_set(problem, "CreateContainerConfigError", name, "localhostProfile \"%s\" is not usable",
                               file);
    _cleanup_free_ char *path = path_join(ctx->seccomp_dir, file);
    int r = json_parse_file(path, CONFIG_JSON_BYTES_MAX, &ret->seccomp, &err);
    return r < 0 ? pod_problem_set(problem, "CreateContainerError", name, "cannot load seccomp profile \"%s\": %s",
                                   path, error_text(&err, r))
                 : 0;
}

int security_resolve(const struct pod_context *ctx, const struct json *container, const char *image_user,
                     char *const *layer_dirs, struct security *ret, struct pod_problem *problem) {
    const struct json *own = json_get(container, "securityContext");
    const struct json *pods = json_path(ctx->pod, "spec", "securityContext");
    const char *name = json_str(json_get(container, "name"));

    *ret = (struct security){0};
    ret->privileged = json_bool_or(json_get(own, "privileged"), false);
    ret->read_only_root = json_bool_or(json_get(own, "readOnlyRootFilesystem"), false);
    ret->no_new_privileges = !json_bool_or(json_get(own, "allowPrivilegeEscalation"), true);
    int r = resolve_user(ctx->pod, own, image_user, layer_dirs, ret, name, problem);
    if (r == 0 && ctx->id_base)
        r = check_range(ret, name, problem);
    if (r == 0)
        r = resolve_capabilities(ctx, container, own, ret, problem);
    if (r == 0)
        r = resolve_seccomp(ctx, setting(own, pods, "seccompProfile"), ret, name, problem);
    if (r < 0)
        security_finish(ret);
    return r;
}
