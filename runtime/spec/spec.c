/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/spec/spec.h"

#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/limits.h"
#include "runtime/spec/field.h"
#include "runtime/spec/linux.h"

static const char *const refused[] = {"solaris", "windows", "vm", "zos", "freebsd", NULL};

static int parse_version(const struct json *config, struct spec *spec, struct error *err) {
    int r = field_string(config, "", "ociVersion", &spec->oci_version, err);

    if (r < 0)
        return r;
    if (!spec->oci_version)
        return field_error(err, "", "ociVersion", "is missing");
    if (strncmp(spec->oci_version, "1.", 2) != 0)
        return error_set(err, -EINVAL, "config: ociVersion: %s is not supported, only 1.x", spec->oci_version);
    return 0;
}

static int parse_root(const struct json *config, struct spec *spec, struct error *err) {
    const struct json *root;
    int r = field_object(config, "", "root", &root, err);

    if (r < 0 || !root)
        return r;
    if ((r = field_string(root, "root", "path", &spec->root_path, err)) < 0)
        return r;
    if (!spec->root_path)
        return field_error(err, "root", "path", "is missing");
    return field_bool(root, "root", "readonly", &spec->root_readonly, err);
}

static int parse_mount(const struct json *o, const char *where, struct spec_mount *m, struct error *err) {
    int r;

    if (!json_is_object(o))
        return field_error(err, where, "", "must be an object");
    if ((r = field_string(o, where, "destination", &m->destination, err)) < 0 ||
        (r = field_string(o, where, "type", &m->type, err)) < 0 ||
        (r = field_string(o, where, "source", &m->source, err)) < 0 ||
        (r = field_string(o, where, "subPath", &m->sub_path, err)) < 0 ||
        (r = field_strv(o, where, "options", &m->options, err)) < 0 ||
        (r = spec_mappings_parse(o, where, "uidMappings", &m->uid_mappings, &m->n_uid_mappings, err)) < 0 ||
        (r = spec_mappings_parse(o, where, "gidMappings", &m->gid_mappings, &m->n_gid_mappings, err)) < 0)
        return r;
    if (!m->n_uid_mappings != !m->n_gid_mappings)
        return field_error(err, where, "uidMappings", "need gidMappings, and vice versa");
    if (!m->destination)
        return field_error(err, where, "destination", "is missing");
    if (m->destination[0] != '/') { /* as runc: relative to the root */
        char *absolute = xasprintf("/%s", m->destination);

        free(m->destination);
        m->destination = absolute;
    }
    if (!m->options)
        m->options = strv_new();
    return 0;
}

static int parse_mounts(const struct json *config, struct spec *spec, struct error *err) {
    const struct json *list;
    int r = field_array(config, "", "mounts", &list, err);

    if (r < 0 || json_len(list) == 0)
        return r;
    spec->mounts = xcalloc(json_len(list), sizeof(*spec->mounts));
    for (size_t i = 0; r == 0 && i < json_len(list); i++) {
        _cleanup_free_ char *where = xasprintf("mounts[%zu]", i);

        r = parse_mount(json_at(list, i), where, &spec->mounts[spec->n_mounts++], err);
    }
    return r;
}

static int parse_hook(const struct json *o, const char *where, struct spec_hook *h, struct error *err) {
    uint64_t timeout = 0;
    int r;

    if ((r = field_string(o, where, "path", &h->path, err)) < 0 ||
        (r = field_strv(o, where, "args", &h->args, err)) < 0 || (r = field_strv(o, where, "env", &h->env, err)) < 0)
        return r;
    if (!h->path || h->path[0] != '/')
        return field_error(err, where, "path", "must be an absolute path");
    if (!h->env)
        h->env = strv_new();
    if (!json_is_null(json_get(o, "timeout"))) {
        if ((r = field_u64(o, where, "timeout", 86400, &timeout, err)) < 0)
            return r;
        if (timeout == 0)
            return field_error(err, where, "timeout", "must be positive");
    }
    h->timeout = (int) timeout;
    return 0;
}

static int parse_hooks(const struct json *config, struct spec *spec, struct error *err) {
    static const char *const names[SPEC_HOOK_MAX] = {"prestart",       "createRuntime", "createContainer",
                                                     "startContainer", "poststart",     "poststop"};
    const struct json *o, *list;
    int r = field_object(config, "", "hooks", &o, err);

    if (r < 0 || !o)
        return r;
    for (size_t k = 0; k < SPEC_HOOK_MAX; k++) {
        struct spec_hooks *hooks = &spec->hooks[k];

        if ((r = field_array(o, "hooks", names[k], &list, err)) < 0)
            return r;
        if (json_len(list) == 0)
            continue;
        hooks->hooks = xcalloc(json_len(list), sizeof(*hooks->hooks));
        for (size_t i = 0; i < json_len(list); i++) {
            _cleanup_free_ char *where = xasprintf("hooks.%s[%zu]", names[k], i);

            if ((r = parse_hook(json_at(list, i), where, &hooks->hooks[hooks->n++], err)) < 0)
                return r;
        }
    }
    return 0;
}

/* "a:b\:c" -> "a", "b:c" */
static char **split_lower(const char *text) {
    char **list = strv_new();
    _cleanup_strbuf_ struct strbuf part = STRBUF_INIT;

    for (const char *p = text;; p++) {
        if (*p == '\\' && p[1]) {
            strbuf_addc(&part, *++p);
        } else if (*p == ':' || !*p) {
            if (part.len > 0)
                strv_push(&list, strbuf_steal(&part));
            if (!*p)
                return list;
        } else {
            strbuf_addc(&part, *p);
        }
    }
}

static int parse_overlay(struct spec *spec, struct error *err) {
    const char *lower = json_str(json_get(spec->annotations, "org.podium.overlay.lower"));
    const char *upper = json_str(json_get(spec->annotations, "org.podium.overlay.upper"));
    const char *work = json_str(json_get(spec->annotations, "org.podium.overlay.work"));

    if (!lower)
        return 0;
    if (!upper != !work)
        return field_error(err, "annotations", "org.podium.overlay.upper",
                           "needs org.podium.overlay.work, and vice versa");
    struct overlay_root *o = spec->overlay = xnew0(struct overlay_root);
    o->lower = split_lower(lower);
    o->upper = upper ? xstrdup(upper) : NULL;
    o->work = work ? xstrdup(work) : NULL;
    if (!o->lower[0])
        return field_error(err, "annotations", "org.podium.overlay.lower", "names no folder");
    for (size_t i = 0; o->lower[i]; i++)
        if (o->lower[i][0] != '/')
            return field_error(err, "annotations", "org.podium.overlay.lower", "must be absolute paths");
    return 0;
}

int spec_parse(const struct json *config, struct spec **ret, struct error *err) {
    _cleanup_(spec_freep) struct spec *spec = xnew0(struct spec);
    const struct json *process, *linux_section;
    int r;

    if (!json_is_object(config))
        return field_error(err, "", "the document", "must be an object");
    if ((r = field_refuse(config, "", refused, err)) < 0 || (r = parse_version(config, spec, err)) < 0 ||
        (r = parse_root(config, spec, err)) < 0 ||
        (r = field_string(config, "", "hostname", &spec->hostname, err)) < 0 ||
        (r = field_string(config, "", "domainname", &spec->domainname, err)) < 0 ||
        (r = parse_mounts(config, spec, err)) < 0 || (r = parse_hooks(config, spec, err)) < 0 ||
        (r = field_string_map(config, "", "annotations", &spec->annotations, err)) < 0 ||
        (r = parse_overlay(spec, err)) < 0 || (r = field_object(config, "", "process", &process, err)) < 0 ||
        (r = field_object(config, "", "linux", &linux_section, err)) < 0 ||
        (r = spec_linux_parse(linux_section, spec, err)) < 0)
        return r;
    if (process && (r = spec_process_parse(process, &spec->process, err)) < 0)
        return r;
    if ((spec->hostname || spec->domainname) && !spec->namespaces[SPEC_NS_UTS].present)
        return field_error(err, "", spec->hostname ? "hostname" : "domainname",
                           "needs a uts namespace in linux.namespaces");
    *ret = steal(&spec);
    return 0;
}

int spec_parse_file(const char *path, struct spec **ret, struct error *err) {
    _cleanup_json_ struct json *config = NULL;
    int r = json_parse_file(path, CONFIG_JSON_BYTES_MAX, &config, err);

    if (r < 0)
        return r;
    r = spec_parse(config, ret, err);
    return r < 0 ? error_prefix(err, r, "%s", path) : 0;
}

void overlay_root_free(struct overlay_root *o) {
    if (!o)
        return;
    strv_free(o->lower);
    free(o->upper);
    free(o->work);
    free(o);
}

static void hooks_clear(struct spec_hooks *hooks) {
    for (size_t i = 0; i < hooks->n; i++) {
        free(hooks->hooks[i].path);
        strv_free(hooks->hooks[i].args);
        strv_free(hooks->hooks[i].env);
    }
    free(hooks->hooks);
}

void spec_free(struct spec *spec) {
    if (!spec)
        return;
    free(spec->oci_version);
    spec_process_free(spec->process);
    free(spec->root_path);
    free(spec->hostname);
    free(spec->domainname);
    for (size_t i = 0; i < spec->n_mounts; i++) {
        free(spec->mounts[i].destination);
        free(spec->mounts[i].type);
        free(spec->mounts[i].source);
        free(spec->mounts[i].sub_path);
        free(spec->mounts[i].uid_mappings);
        free(spec->mounts[i].gid_mappings);
        strv_free(spec->mounts[i].options);
    }
    free(spec->mounts);
    for (size_t k = 0; k < SPEC_HOOK_MAX; k++)
        hooks_clear(&spec->hooks[k]);
    json_unref(spec->annotations);
    spec_linux_clear(spec);
    overlay_root_free(spec->overlay);
    free(spec);
}
