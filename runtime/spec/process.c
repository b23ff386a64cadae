/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The `process` object of config.json. */
#include <string.h>
#include <sys/resource.h>

#include "podium/base/alloc.h"
#include "podium/base/capability.h"
#include "runtime/spec/field.h"
#include "runtime/spec/spec.h"
#include "runtime/spec/tuning.h"

void spec_process_free(struct spec_process *p) {
    if (!p)
        return;
    free(p->user.additional_gids);
    strv_free(p->capabilities.unknown);
    strv_free(p->args);
    strv_free(p->env);
    free(p->cwd);
    for (size_t i = 0; i < p->n_rlimits; i++)
        free(p->rlimits[i].type);
    free(p->rlimits);
    free(p->exec_cpus_initial);
    free(p->exec_cpus_final);
    free(p->apparmor_profile);
    free(p->selinux_label);
    free(p);
}

static int parse_user(const struct json *process, struct spec_user *user, struct error *err) {
    static const char where[] = "process.user";
    const struct json *o, *gids;
    uint32_t id = 0;
    uint64_t umask_bits = 0;
    int r = field_object(process, "process", "user", &o, err);

    if (r < 0 || !o)
        return r;
    if ((r = field_u32(o, where, "uid", &id, err)) < 0)
        return r;
    user->uid = id;
    id = 0;
    if ((r = field_u32(o, where, "gid", &id, err)) < 0)
        return r;
    user->gid = id;
    user->has_umask = !json_is_null(json_get(o, "umask"));
    if ((r = field_u64(o, where, "umask", 0777, &umask_bits, err)) < 0)
        return r;
    user->umask = (mode_t) umask_bits;
    if ((r = field_array(o, where, "additionalGids", &gids, err)) < 0 || !gids)
        return r;
    user->additional_gids = xcalloc(json_len(gids) + 1, sizeof(gid_t));
    for (size_t i = 0; i < json_len(gids); i++) {
        int64_t gid = json_int_or(json_at(gids, i), -1);

        if (gid < 0 || gid >= UINT32_MAX)
            return field_error(err, where, "additionalGids", "must be an array of group numbers");
        user->additional_gids[user->n_additional_gids++] = (gid_t) gid;
    }
    return 0;
}

static void note_unknown(struct spec_capabilities *caps, const char *name) {
    for (char **u = caps->unknown; u && *u; u++)
        if (strcmp(*u, name) == 0)
            return; /* of another set */
    if (!caps->unknown)
        caps->unknown = strv_new();
    strv_push_dup(&caps->unknown, name);
}

static int parse_capability_set(const struct json *o, const char *key, struct spec_capabilities *caps, uint64_t *ret,
                                struct error *err) {
    _cleanup_strv_ char **names = NULL;
    int r = field_strv(o, "process.capabilities", key, &names, err);

    if (r < 0)
        return r;
    for (size_t i = 0; names && names[i]; i++) {
        int n = capability_number(names[i]);

        if (n < 0)
            note_unknown(caps, names[i]);
        else
            *ret |= UINT64_C(1) << n;
    }
    return 0;
}

static int parse_capabilities(const struct json *process, struct spec_capabilities *caps, struct error *err) {
    const struct json *o;
    int r = field_object(process, "process", "capabilities", &o, err);

    if (r < 0 || !o)
        return r;
    caps->present = true;
    const struct {
        const char *key;
        uint64_t *set;
    } sets[] = {
        {"bounding", &caps->bounding},   {"effective", &caps->effective}, {"inheritable", &caps->inheritable},
        {"permitted", &caps->permitted}, {"ambient", &caps->ambient},
    };
    for (size_t i = 0; i < ARRAY_LEN(sets); i++)
        if ((r = parse_capability_set(o, sets[i].key, caps, sets[i].set, err)) < 0)
            return r;
    return 0;
}

static int parse_rlimits(const struct json *process, struct spec_process *p, struct error *err) {
    const struct json *list;
    int r = field_array(process, "process", "rlimits", &list, err);

    if (r < 0 || !list)
        return r;
    p->rlimits = xcalloc(json_len(list) + 1, sizeof(*p->rlimits));
    for (size_t i = 0; i < json_len(list); i++) {
        struct spec_rlimit *l = &p->rlimits[p->n_rlimits++];
        _cleanup_free_ char *where = xasprintf("process.rlimits[%zu]", i);
        const struct json *o = json_at(list, i);

        if (!json_is_object(o))
            return field_error(err, where, "", "must be an object");
        if ((r = field_string(o, where, "type", &l->type, err)) < 0)
            return r;
        l->resource = l->type ? spec_rlimit_number(l->type) : -1;
        if (l->resource < 0)
            return field_error(err, where, "type", "is no known limit");
        for (size_t k = 0; k + 1 < p->n_rlimits; k++)
            if (p->rlimits[k].resource == l->resource)
                return field_error(err, where, "type", "comes twice");
        if ((r = field_u64(o, where, "soft", UINT64_MAX, &l->soft, err)) < 0 ||
            (r = field_u64(o, where, "hard", UINT64_MAX, &l->hard, err)) < 0)
            return r;
        if (l->soft > l->hard)
            return field_error(err, where, "soft", "is above the hard limit");
    }
    return 0;
}

static int parse_command(const struct json *process, struct spec_process *p, struct error *err) {
    int r = field_strv(process, "process", "args", &p->args, err);

    if (r < 0)
        return r;
    if (!p->args || !p->args[0] || !p->args[0][0])
        return field_error(err, "process", "args", "must name a command");
    if ((r = field_strv(process, "process", "env", &p->env, err)) < 0)
        return r;
    if (!p->env)
        p->env = strv_new();
    if ((r = field_string(process, "process", "cwd", &p->cwd, err)) < 0)
        return r;
    if (!p->cwd || p->cwd[0] != '/')
        return field_error(err, "process", "cwd", "must be an absolute path");
    return 0;
}

static int parse_console_size(const struct json *process, struct spec_process *p, struct error *err) {
    const struct json *o;
    uint64_t height = 0, width = 0;
    int r = field_object(process, "process", "consoleSize", &o, err);

    if (r < 0 || !o)
        return r;
    if ((r = field_u64(o, "process.consoleSize", "height", UINT16_MAX, &height, err)) < 0 ||
        (r = field_u64(o, "process.consoleSize", "width", UINT16_MAX, &width, err)) < 0)
        return r;
    p->console_height = (unsigned short) height;
    p->console_width = (unsigned short) width;
    return 0;
}

int spec_process_parse(const struct json *process, struct spec_process **ret, struct error *err) {
    _cleanup_(spec_process_freep) struct spec_process *p = xnew0(struct spec_process);
    int64_t score = 0;
    int r;

    if (!json_is_object(process))
        return field_error(err, "process", "", "must be an object");
    if ((r = field_string(process, "process", "apparmorProfile", &p->apparmor_profile, err)) < 0 ||
        (r = field_string(process, "process", "selinuxLabel", &p->selinux_label, err)) < 0 ||
        (r = field_bool(process, "process", "terminal", &p->terminal, err)) < 0 ||
        (r = parse_console_size(process, p, err)) < 0 || (r = parse_user(process, &p->user, err)) < 0 ||
        (r = parse_command(process, p, err)) < 0 || (r = parse_capabilities(process, &p->capabilities, err)) < 0 ||
        (r = parse_rlimits(process, p, err)) < 0 || (r = tuning_parse_process(process, p, err)) < 0 ||
        (r = field_bool(process, "process", "noNewPrivileges", &p->no_new_privileges, err)) < 0 ||
        (r = field_i64(process, "process", "oomScoreAdj", -1000, 1000, &score, err)) < 0)
        return r;
    p->has_oom_score_adj = !json_is_null(json_get(process, "oomScoreAdj"));
    p->oom_score_adj = (int) score;
    *ret = steal(&p);
    return 0;
}
