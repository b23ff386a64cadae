/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/spec/linux.h"

#include <string.h>

#include "podium/base/alloc.h"
#include "runtime/spec/field.h"
#include "runtime/spec/machine.h"
#include "runtime/spec/tuning.h"

static int parse_namespaces(const struct json *o, struct spec *spec, struct error *err) {
    const struct json *list;
    int r = field_array(o, "linux", "namespaces", &list, err);

    for (size_t i = 0; r == 0 && i < json_len(list); i++) {
        _cleanup_free_ char *where = xasprintf("linux.namespaces[%zu]", i);
        const char *type = json_str_or(json_get(json_at(list, i), "type"), "");
        struct spec_namespace *ns = NULL;

        for (int k = 0; k < SPEC_NS_MAX; k++)
            if (strcmp(type, spec_namespace_name((enum spec_namespace_kind) k)) == 0)
                ns = &spec->namespaces[k];
        if (!ns)
            return field_error(err, where, "type", "is no known namespace");
        if (ns->present)
            return field_error(err, where, "type", "comes twice");
        ns->present = true;
        r = field_string(json_at(list, i), where, "path", &ns->path, err);
        if (r == 0 && ns->path && ns->path[0] != '/')
            return field_error(err, where, "path", "must be an absolute path");
    }
    return r;
}

int spec_mappings_parse(const struct json *o, const char *parent, const char *key, struct spec_id_mapping **ret,
                        size_t *ret_n, struct error *err) {
    const struct json *list;
    int r = field_array(o, parent, key, &list, err);

    if (r < 0 || json_len(list) == 0)
        return r;
    *ret = xcalloc(json_len(list), sizeof(**ret));
    for (size_t i = 0; r == 0 && i < json_len(list); i++) {
        struct spec_id_mapping *m = &(*ret)[(*ret_n)++];
        _cleanup_free_ char *where = xasprintf("%s.%s[%zu]", parent, key, i);
        const struct json *item = json_at(list, i);

        if (!json_is_object(item))
            return field_error(err, where, "", "must be an object");
        if ((r = field_u32(item, where, "containerID", &m->container_id, err)) < 0 ||
            (r = field_u32(item, where, "hostID", &m->host_id, err)) < 0 ||
            (r = field_u32(item, where, "size", &m->size, err)) < 0)
            return r;
        if (m->size == 0)
            return field_error(err, where, "size", "must not be 0");
    }
    return r;
}

static int parse_device(const struct json *o, const char *where, struct spec_device *d, struct error *err) {
    _cleanup_free_ char *type = NULL;
    uint64_t mode = 0666;
    uint32_t uid = 0, gid = 0;
    int r;

    if (!json_is_object(o))
        return field_error(err, where, "", "must be an object");
    if ((r = field_string(o, where, "path", &d->path, err)) < 0 || (r = field_string(o, where, "type", &type, err)) < 0)
        return r;
    if (!d->path || d->path[0] != '/')
        return field_error(err, where, "path", "must be an absolute path");
    if (!type || type[1] || !strchr("cbup", type[0]))
        return field_error(err, where, "type", "must be c, b, u or p");
    d->type = type[0] == 'u' ? 'c' : type[0];
    if ((r = field_u32(o, where, "major", &d->major, err)) < 0 ||
        (r = field_u32(o, where, "minor", &d->minor, err)) < 0 ||
        (r = field_u64(o, where, "fileMode", 0177777, &mode, err)) < 0 ||
        (r = field_u32(o, where, "uid", &uid, err)) < 0 || (r = field_u32(o, where, "gid", &gid, err)) < 0)
        return r;
    d->mode = (mode_t) (mode & 07777);
    d->uid = uid;
    d->gid = gid;
    return 0;
}

static int parse_devices(const struct json *o, struct spec *spec, struct error *err) {
    const struct json *list;
    int r = field_array(o, "linux", "devices", &list, err);

    if (r < 0 || json_len(list) == 0)
        return r;
    spec->devices = xcalloc(json_len(list), sizeof(*spec->devices));
    for (size_t i = 0; r == 0 && i < json_len(list); i++) {
        _cleanup_free_ char *where = xasprintf("linux.devices[%zu]", i);

        r = parse_device(json_at(list, i), where, &spec->devices[spec->n_devices++], err);
    }
    return r;
}

static int parse_propagation(const struct json *o, struct spec *spec, struct error *err) {
    static const char *const names[] = {"private", "slave", "shared", "unbindable"};
    _cleanup_free_ char *text = NULL;
    int r = field_string(o, "linux", "rootfsPropagation", &text, err);

    spec->rootfs_propagation = SPEC_PROPAGATION_PRIVATE;
    spec->rootfs_propagation_recursive = true;
    if (r < 0 || !text)
        return r;
    spec->rootfs_propagation_recursive = text[0] == 'r';
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(text + (text[0] == 'r'), names[i]) == 0) {
            spec->rootfs_propagation = (enum spec_propagation) i;
            return 0;
        }
    return field_error(err, "linux", "rootfsPropagation", "must be [r]private, [r]slave, [r]shared or [r]unbindable");
}

static int parse_sections(const struct json *o, struct spec *spec, struct error *err) {
    const struct json *section;
    int r;

    if ((r = field_object(o, "linux", "resources", &section, err)) < 0)
        return r;
    spec->resources = json_ref(section);
    if ((r = field_object(o, "linux", "seccomp", &section, err)) < 0)
        return r;
    spec->seccomp = json_ref(section);
    return field_string_map(o, "linux", "sysctl", &spec->sysctl, err);
}

static int check_paths(char *const *paths, const char *key, struct error *err) {
    for (size_t i = 0; paths && paths[i]; i++)
        if (paths[i][0] != '/')
            return field_error(err, "linux", key, "must be absolute paths");
    return 0;
}

int spec_linux_parse(const struct json *o, struct spec *spec, struct error *err) {
    int r;

    if ((r = field_string(o, "linux", "mountLabel", &spec->mount_label, err)) < 0 ||
        (r = parse_namespaces(o, spec, err)) < 0 ||
        (r = spec_mappings_parse(o, "linux", "uidMappings", &spec->uid_mappings, &spec->n_uid_mappings, err)) < 0 ||
        (r = spec_mappings_parse(o, "linux", "gidMappings", &spec->gid_mappings, &spec->n_gid_mappings, err)) < 0 ||
        (r = parse_devices(o, spec, err)) < 0 ||
        (r = field_strv(o, "linux", "maskedPaths", &spec->masked_paths, err)) < 0 ||
        (r = field_strv(o, "linux", "readonlyPaths", &spec->readonly_paths, err)) < 0 ||
        (r = check_paths(spec->masked_paths, "maskedPaths", err)) < 0 ||
        (r = check_paths(spec->readonly_paths, "readonlyPaths", err)) < 0 ||
        (r = field_string(o, "linux", "cgroupsPath", &spec->cgroups_path, err)) < 0 ||
        (r = parse_propagation(o, spec, err)) < 0 || (r = tuning_parse_linux(o, spec, err)) < 0 ||
        (r = machine_parse(o, spec, err)) < 0 || (r = parse_sections(o, spec, err)) < 0)
        return r;
    if (spec->namespaces[SPEC_NS_USER].present && !spec->namespaces[SPEC_NS_USER].path &&
        (spec->n_uid_mappings == 0 || spec->n_gid_mappings == 0))
        return field_error(err, "linux", spec->n_uid_mappings == 0 ? "uidMappings" : "gidMappings",
                           "are missing: a new user namespace needs them");
    if (spec->n_uid_mappings > 0 && !spec->namespaces[SPEC_NS_USER].present)
        return field_error(err, "linux", "uidMappings", "need a user namespace in linux.namespaces");
    return 0;
}

void spec_linux_clear(struct spec *spec) {
    for (int k = 0; k < SPEC_NS_MAX; k++)
        free(spec->namespaces[k].path);
    free(spec->uid_mappings);
    free(spec->gid_mappings);
    for (size_t i = 0; i < spec->n_devices; i++)
        free(spec->devices[i].path);
    free(spec->devices);
    strv_free(spec->masked_paths);
    strv_free(spec->readonly_paths);
    free(spec->cgroups_path);
    json_unref(spec->resources);
    json_unref(spec->seccomp);
    json_unref(spec->sysctl);
    free(spec->memory_policy);
    free(spec->time_offsets);
    free(spec->mount_label);
    machine_clear(spec);
}
