/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/volumes.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "orchestrator/agent/env.h"
#include "orchestrator/agent/payload.h"
#include "orchestrator/agent/tokens.h"
#include "orchestrator/object/quantity.h"
#include "podium/base/alloc.h"
#include "podium/base/path.h"

void volumes_finish(struct volume_set *set) {
    for (size_t i = 0; i < set->n; i++) {
        free(set->items[i].name);
        free(set->items[i].path);
        free(set->items[i].tmpfs);
    }
    free(set->items);
    *set = (struct volume_set){0};
}

const struct volume *volumes_find(const struct volume_set *set, const char *name) {
    for (size_t i = 0; i < set->n; i++)
        if (strcmp(set->items[i].name, name) == 0)
            return &set->items[i];
    return NULL;
}

static int64_t fs_group(const struct pod_context *ctx) {
    return json_int_or(json_path(ctx->pod, "spec", "securityContext", "fsGroup"), -1);
}

static int fail_mount(struct pod_problem *problem, const char *volume, const char *text) {
    return pod_problem_set(problem, "FailedMount", NULL, "MountVolume.SetUp failed for volume \"%s\" : %s", volume,
                           text);
}

/* --- content from the API --- */

struct source {
    const struct pod_context *ctx;
    const char *volume;
    struct payload *out;
    struct pod_problem *problem;
    mode_t mode;  /* default for its files */
    bool refresh; /* of a running pod: what cannot be had now leaves its files as they are */
};

static int add_file(struct source *s, const char *path, uint8_t *take, size_t n, const struct json *mode) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = payload_add(s->out, path, take, n, (mode_t) json_int_or(mode, s->mode) & 0777, &err);

    return r < 0 ? fail_mount(s->problem, s->volume, error_text(&err, r)) : 0;
}

static int add_object(struct source *s, const char *kind, const char *name, const struct json *items, bool optional) {
    const struct json *object = context_object(s->ctx, kind, name);
    const char *lower = strcmp(kind, "Secret") == 0 ? "secret" : "configmap";
    int r = 0;

    if (!object) {
        if (optional)
            return 0;
        _cleanup_free_ char *text = xasprintf("%s \"%s\" not found", lower, name);
        r = fail_mount(s->problem, s->volume, text);
        s->problem->wants_object = true;
        return r;
    }
    if (json_len(items) == 0) {
        _cleanup_strv_ char **keys = object_keys(object);
        for (char **key = keys; r == 0 && *key; key++) {
            uint8_t *data = NULL;
            size_t n;
            if (object_value(object, *key, &data, &n) == 0)
                r = add_file(s, *key, data, n, NULL);
        }
        return r;
    }
    for (size_t i = 0; r == 0 && i < json_len(items); i++) {
        const struct json *item = json_at(items, i);
        const char *key = json_str_or(json_get(item, "key"), "");
        uint8_t *data = NULL;
        size_t n;
        if (object_value(object, key, &data, &n) == 0) {
            r = add_file(s, json_str_or(json_get(item, "path"), key), data, n, json_get(item, "mode"));
        } else if (!optional) {
            _cleanup_free_ char *text = xasprintf("references non-existent %s key: %s", lower, key);
            r = fail_mount(s->problem, s->volume, text);
            s->problem->wants_object = true;
        }
    }
    return r;
}

static const struct json *find_container(const struct json *pod, const char *name) {
    static const char *const lists[] = {"containers", "initContainers"};

    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *list = json_path(pod, "spec", lists[l]);
        for (size_t i = 0; i < json_len(list); i++)
            if (strcmp(json_str_or(json_get(json_at(list, i), "name"), ""), name) == 0)
                return json_at(list, i);
    }
    return NULL;
}

static int add_downward(struct source *s, const struct json *items) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < json_len(items); i++) {
        const struct json *item = json_at(items, i), *ref = json_get(item, "resourceFieldRef");
        const char *field = json_str_or(json_path(item, "fieldRef", "fieldPath"), "");
        char *value =
            ref ? resource_field(s->ctx, find_container(s->ctx->pod, json_str_or(json_get(ref, "containerName"), "")),
                                 ref)
                : pod_field(s->ctx, field);
        if (!value)
            return fail_mount(s->problem, s->volume, "a downward API field is not supported");
        r = add_file(s, json_str_or(json_get(item, "path"), ""), (uint8_t *) value, strlen(value),
                     json_get(item, "mode"));
    }
    return r;
}

static int add_token(struct source *s, const struct json *source) {
    const char *text;

    switch (tokens_get(s->ctx->tokens, json_str_or(json_get(source, "audience"), ""),
                       json_int_or(json_get(source, "expirationSeconds"), TOKEN_SECONDS_DEFAULT), &text)) {
    case TOKEN_THERE:
        return add_file(s, json_str_or(json_get(source, "path"), ""), (uint8_t *) xstrdup(text), strlen(text), NULL);
    case TOKEN_REFUSED: {
        _cleanup_free_ char *why = xasprintf("failed to fetch token: %s", text);
        return fail_mount(s->problem, s->volume, why);
    }
    case TOKEN_NONE: /* nobody to ask: see tokens.h */
    case TOKEN_WAITING:
        break;
    }
    return s->refresh ? -EAGAIN : 0;
}

static int add_projected(struct source *s, const struct json *sources) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < json_len(sources); i++) {
        const struct json *from = json_at(sources, i), *v;

        if ((v = json_get(from, "configMap")))
            r = add_object(s, "ConfigMap", json_str_or(json_get(v, "name"), ""), json_get(v, "items"),
                           json_bool_or(json_get(v, "optional"), false));
        else if ((v = json_get(from, "secret")))
            r = add_object(s, "Secret", json_str_or(json_get(v, "name"), ""), json_get(v, "items"),
                           json_bool_or(json_get(v, "optional"), false));
        else if ((v = json_get(from, "downwardAPI")))
            r = add_downward(s, json_get(v, "items"));
        else if ((v = json_get(from, "serviceAccountToken")))
            r = add_token(s, v);
        else
            r = fail_mount(s->problem, s->volume, "a projected source is not supported");
    }
    return r;
}

/* Collects the files of a volume whose content is the API's; *ret_is: whether it is such a volume. */
static int collect(const struct pod_context *ctx, const struct json *volume, bool refresh, struct payload *out,
                   bool *ret_is, struct pod_problem *problem) {
    const struct json *v;
    struct source s = {.ctx = ctx,
                       .volume = json_str_or(json_get(volume, "name"), ""),
                       .out = out,
                       .problem = problem,
                       .mode = 0644,
                       .refresh = refresh};

    *ret_is = true;
    if ((v = json_get(volume, "configMap"))) {
        s.mode = (mode_t) json_int_or(json_get(v, "defaultMode"), 0644);
        return add_object(&s, "ConfigMap", json_str_or(json_get(v, "name"), ""), json_get(v, "items"),
                          json_bool_or(json_get(v, "optional"), false));
    }
    if ((v = json_get(volume, "secret"))) {
        s.mode = (mode_t) json_int_or(json_get(v, "defaultMode"), 0644);
        return add_object(&s, "Secret", json_str_or(json_get(v, "secretName"), ""), json_get(v, "items"),
                          json_bool_or(json_get(v, "optional"), false));
    }
    if ((v = json_get(volume, "downwardAPI"))) {
        s.mode = (mode_t) json_int_or(json_get(v, "defaultMode"), 0644);
        return add_downward(&s, json_get(v, "items"));
    }
    if ((v = json_get(volume, "projected"))) {
        s.mode = (mode_t) json_int_or(json_get(v, "defaultMode"), 0644);
        return add_projected(&s, json_get(v, "sources"));
    }
    *ret_is = false;
    return 0;
}

static char *content_path(const struct pod_context *ctx, const char *name) {
    return xasprintf("%s/volumes/%s", ctx->run_dir, name);
}

/* --- folders and host paths --- */

static int make_empty_dir(const struct pod_context *ctx, const struct json *source, struct volume *v,
                          struct error *err) {
    int64_t gid = fs_group(ctx);

    if (strcmp(json_str_or(json_get(source, "medium"), ""), "Memory") == 0) {
        v->path = xasprintf("%s/memory/%s", ctx->run_dir, v->name);
        v->tmpfs = xstrdup(v->path);
        int64_t limit = quantity_json(json_get(source, "sizeLimit"), 0);
        v->size = limit > 0 ? (uint64_t) limit : 0;
        return mkdir_parents(v->path, 0777, err);
    }
    v->path = xasprintf("%s/volumes/%s", ctx->state_dir, v->name);
    int r = mkdir_parents(v->path, 0777, err);
    if (r < 0)
        return r;
    if (gid >= 0 && chown(v->path, (uid_t) -1, (gid_t) gid) < 0)
        return error_set_errno(err, -errno, "cannot change the group of %s", v->path);
    if (chmod(v->path, gid >= 0 ? 02777 : 0777) < 0)
        return error_set_errno(err, -errno, "cannot change the mode of %s", v->path);
    return 0;
}

static int check_host_path(const char *path, const char *type, struct error *err) {
    static const struct {
        const char *type;
        mode_t mode;
        const char *noun;
    } kinds[] = {
        {"Directory", S_IFDIR, "a directory"},
        {"DirectoryOrCreate", S_IFDIR, "a directory"},
        {"File", S_IFREG, "a file"},
        {"FileOrCreate", S_IFREG, "a file"},
        {"Socket", S_IFSOCK, "a socket file"},
        {"CharDevice", S_IFCHR, "a character device"},
        {"BlockDevice", S_IFBLK, "a block device"},
    };
    struct stat st;

    if (stat(path, &st) < 0) {
        if (errno == ENOENT && strcmp(type, "DirectoryOrCreate") == 0)
            return mkdir_parents(path, 0755, err);
        if (errno == ENOENT && strcmp(type, "FileOrCreate") == 0) {
            _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
            return fd < 0 ? error_set_errno(err, -errno, "cannot make %s", path) : 0;
        }
        return error_set_errno(err, -errno, "hostPath type check failed: %s", path);
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(type, kinds[i].type) == 0 && (st.st_mode & S_IFMT) != kinds[i].mode)
            return error_set(err, -EINVAL, "hostPath type check failed: %s is not %s", path, kinds[i].noun);
    return 0;
}

static int make_host_path(const struct json *source, struct volume *v, struct error *err) {
    const char *path = json_str_or(json_get(source, "path"), ""), *type = json_str_or(json_get(source, "type"), "");

    if (*path != '/' || strstr(path, "/../"))
        return error_set(err, -EINVAL, "hostPath \"%s\" is not an absolute path", path);
    v->path = xstrdup(path);
    v->host_path = true;
    if (*type)
        return check_host_path(path, type, err);
    if (access(path, F_OK) < 0) /* no type: made as a folder, as container engines always did */
        return mkdir_parents(path, 0755, err);
    return 0;
}

static int prepare(const struct pod_context *ctx, const struct json *volume, struct volume *v,
                   struct pod_problem *problem) {
    _cleanup_(payload_finish) struct payload files = {0};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    bool is_content = false;

    v->name = xstrdup(json_str_or(json_get(volume, "name"), ""));
    if (file_name_is_unsafe(v->name))
        return fail_mount(problem, v->name, "the name is not usable");
    int r = collect(ctx, volume, false, &files, &is_content, problem);
    if (r < 0)
        return r;
    if (is_content) {
        v->path = content_path(ctx, v->name);
        v->read_only = true;
        r = payload_write(&files, v->path, fs_group(ctx), &err);
    } else if (json_get(volume, "hostPath")) {
        r = make_host_path(json_get(volume, "hostPath"), v, &err);
    } else if (json_get(volume, "emptyDir") || json_len(volume) == 1) {
        r = make_empty_dir(ctx, json_get(volume, "emptyDir"), v, &err);
    } else {
        r = error_set(&err, -EOPNOTSUPP, "this kind of volume is not supported yet");
    }
    return r < 0 ? fail_mount(problem, v->name, error_text(&err, r)) : 0;
}

int volumes_prepare(const struct pod_context *ctx, struct volume_set *ret, struct pod_problem *problem) {
    const struct json *list = json_path(ctx->pod, "spec", "volumes");

    *ret = (struct volume_set){.items = xcalloc(json_len(list) + 1, sizeof(struct volume))};
    for (size_t i = 0; i < json_len(list); i++) {
        ret->n = i + 1;
        int r = prepare(ctx, json_at(list, i), &ret->items[i], problem);
        if (r < 0) {
            volumes_finish(ret);
            return r;
        }
    }
    return 0;
}

int volumes_refresh(const struct pod_context *ctx, struct error *err) {
    const struct json *list = json_path(ctx->pod, "spec", "volumes");
    int r = 0;

    for (size_t i = 0; r == 0 && i < json_len(list); i++) {
        _cleanup_(payload_finish) struct payload files = {0};
        _cleanup_(pod_problem_finish) struct pod_problem problem = {0};
        bool is_content = false;
        /* an object that went away leaves the files as they are */
        if (collect(ctx, json_at(list, i), true, &files, &is_content, &problem) < 0 || !is_content)
            continue;
        _cleanup_free_ char *path = content_path(ctx, json_str_or(json_get(json_at(list, i), "name"), ""));
        r = payload_write(&files, path, fs_group(ctx), err);
    }
    return r;
}

/* --- mounts --- */

/* The host path of a folder or file inside the volume, made when absent; nothing leaves the volume: links are resolved
 * inside it, and what is mounted is the path the kernel says was opened. */
static int resolve_sub_path(const struct volume *v, const char *sub, char **ret, struct error *err) {
    char link[64], path[PATH_MAX];

    if (*sub == '/' || strcmp(sub, "..") == 0 || strncmp(sub, "../", 3) == 0 || strstr(sub, "/../"))
        return error_set(err, -EINVAL, "subPath \"%s\" must stay inside the volume", sub);
    _cleanup_close_ int root = open(v->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_set_errno(err, -errno, "cannot open %s", v->path);
    _cleanup_close_ int fd = open_in_root(root, sub, O_PATH | O_CLOEXEC, 0);
    if (fd == -ENOENT)
        fd = mkdir_in_root(root, sub, 0750);
    if (fd < 0)
        return error_set_errno(err, fd, "cannot use subPath \"%s\"", sub);
    (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n < 0)
        return error_set_errno(err, -errno, "cannot name subPath \"%s\"", sub);
    *ret = xstrndup(path, (size_t) n);
    return 0;
}

static int sub_path_text(const struct pod_context *ctx, const struct json *container, const struct json *mount,
                         char **ret, struct pod_problem *problem) {
    const char *expr = json_str_or(json_get(mount, "subPathExpr"), "");

    *ret = NULL;
    if (!*expr) {
        *ret = xstrdup(json_str_or(json_get(mount, "subPath"), ""));
        return 0;
    }
    _cleanup_strv_ char **env = NULL;
    int r = env_build(ctx, container, &env, problem);
    if (r == 0)
        *ret = env_expand(expr, env);
    return r;
}

int volume_mount(const struct pod_context *ctx, const struct json *container, const struct json *mount,
                 const struct volume_set *set, struct json **ret, struct pod_problem *problem) {
    const char *name = json_str_or(json_get(mount, "name"), ""), *at = json_str_or(json_get(mount, "mountPath"), "");
    const char *who = json_str(json_get(container, "name"));
    const char *propagation = json_str_or(json_get(mount, "mountPropagation"), "None");
    const struct volume *v = volumes_find(set, name);
    _cleanup_free_ char *sub = NULL, *source = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (!v)
        return pod_problem_set(problem, "CreateContainerConfigError", who, "volume \"%s\" is not in the pod", name);
    int r = sub_path_text(ctx, container, mount, &sub, problem);
    if (r < 0)
        return r;
    r = *sub && !v->tmpfs ? resolve_sub_path(v, sub, &source, &err) : 0;
    if (*sub && v->tmpfs) /* mounted later, by the supervisor: only what cannot lead astray */
        r = error_set(&err, -EOPNOTSUPP, "subPath of a volume with medium Memory is not supported yet");
    if (r < 0)
        return pod_problem_set(problem, "CreateContainerConfigError", who, "failed to prepare volume \"%s\": %s", name,
                               error_text(&err, r));
    bool read_only = v->read_only || json_bool_or(json_get(mount, "readOnly"), false);
    struct json *options = json_array(), *m = json_object();
    json_append(&options, json_string("rbind"));
    json_append(&options, json_string(read_only ? "ro" : "rw"));
    json_append(&options, json_string(strcmp(propagation, "Bidirectional") == 0     ? "rshared"
                                      : strcmp(propagation, "HostToContainer") == 0 ? "rslave"
                                                                                    : "rprivate"));
    json_set(&m, "destination", json_stringf("%s%s", *at == '/' ? "" : "/", at));
    json_set(&m, "type", json_string("bind"));
    json_set(&m, "source", json_string(source ? source : v->path));
    json_set(&m, "options", options);
    *ret = m;
    return 0;
}
