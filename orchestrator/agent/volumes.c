/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/volumes.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "orchestrator/agent/env.h"
#include "orchestrator/agent/payload.h"
#include "orchestrator/agent/resources.h"
#include "orchestrator/agent/volume_content.h"
#include "orchestrator/object/quantity.h"
#include "podium/base/alloc.h"
#include "podium/base/path.h"

void volumes_finish(struct volume_set *set) {
    for (size_t i = 0; i < set->n; i++) {
        free(set->items[i].name);
        free(set->items[i].path);
        free(set->items[i].tmpfs);
        free(set->items[i].shared);
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

static char *content_path(const struct pod_context *ctx, const char *name) {
    return xasprintf("%s/volumes/%s", ctx->run_dir, name);
}

/* --- folders and host paths --- */

/* The smallest of the node's memory, the pod's limit and the volume's own: kubelet's SizeMemoryBackedVolumes. */
static uint64_t memory_size(const struct pod_context *ctx, int64_t limit) {
    struct pod_limits limits;
    uint64_t size = ctx->node_memory > 0 ? (uint64_t) ctx->node_memory : 0;

    pod_limits_compute(ctx->pod, &limits);
    if (limits.memory_max > 0 && limits.memory_max < size)
        size = limits.memory_max;
    return limit > 0 && (size == 0 || (uint64_t) limit < size) ? (uint64_t) limit : size;
}

static int make_empty_dir(const struct pod_context *ctx, const struct json *source, struct volume *v,
                          struct error *err) {
    int64_t gid = fs_group(ctx);

    const char *medium = json_str_or(json_get(source, "medium"), "");

    if (strcmp(medium, "Memory") == 0) {
        v->path = xasprintf("%s/memory/%s", ctx->run_dir, v->name);
        v->tmpfs = xstrdup(v->path);
        v->size = memory_size(ctx, quantity_json(json_get(source, "sizeLimit"), 0));
        return mkdir_parents(v->path, 0777, err);
    }
    if (*medium)
        return error_set(err, -EOPNOTSUPP, "emptyDir with medium \"%s\" is not supported", medium);
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
    int r = volume_content(ctx, volume, false, &files, &is_content, problem);
    if (r < 0)
        return r;
    if (is_content) {
        v->path = content_path(ctx, v->name);
        v->read_only = true;
        files.id_base = ctx->id_base;
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

/* Whether a container mounts the volume for mounts to go both ways. */
static bool is_bidirectional(const struct json *pod, const char *name) {
    static const char *const lists[] = {"initContainers", "containers"};

    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *list = json_path(pod, "spec", lists[l]);
        for (size_t i = 0; i < json_len(list); i++) {
            const struct json *mounts = json_get(json_at(list, i), "volumeMounts");
            for (size_t k = 0; k < json_len(mounts); k++)
                if (strcmp(json_str_or(json_get(json_at(mounts, k), "name"), ""), name) == 0 &&
                    strcmp(json_str_or(json_get(json_at(mounts, k), "mountPropagation"), ""), "Bidirectional") == 0)
                    return true;
        }
    }
    return false;
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
        if (ret->items[i].host_path && is_bidirectional(ctx->pod, ret->items[i].name))
            ret->items[i].shared = xasprintf("%s/shared/%s", ctx->run_dir, ret->items[i].name);
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
        if (volume_content(ctx, json_at(list, i), true, &files, &is_content, &problem) < 0 || !is_content)
            continue;
        _cleanup_free_ char *path = content_path(ctx, json_str_or(json_get(json_at(list, i), "name"), ""));
        files.id_base = ctx->id_base;
        r = payload_write(&files, path, fs_group(ctx), err);
    }
    return r;
}

/* --- mounts --- */

/* Looked up by the supervisor at each start of the container, where nothing can lead out of the volume. */
static bool sub_path_is_usable(const char *sub) {
    size_t n = strlen(sub);

    return *sub != '/' && strcmp(sub, "..") != 0 && strncmp(sub, "../", 3) != 0 && !strstr(sub, "/../") &&
           (n < 3 || strcmp(sub + n - 3, "/..") != 0);
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
    _cleanup_free_ char *sub = NULL;

    if (!v)
        return pod_problem_set(problem, "CreateContainerConfigError", who, "volume \"%s\" is not in the pod", name);
    int r = sub_path_text(ctx, container, mount, &sub, problem);
    if (r < 0)
        return r;
    if (!sub_path_is_usable(sub))
        return pod_problem_set(problem, "CreateContainerConfigError", who,
                               "failed to prepare subPath for volumeMount \"%s\" of container \"%s\": \"%s\" must stay "
                               "inside the volume",
                               name, who ? who : "", sub);
    bool read_only = v->read_only || json_bool_or(json_get(mount, "readOnly"), false);
    const char *recursive = json_str_or(json_get(mount, "recursiveReadOnly"), "Disabled");
    struct json *options = json_array(), *m = json_object();
    json_append(&options, json_string("rbind"));
    json_append(&options, json_string(read_only ? "ro" : "rw"));
    /* content and tmpfs are of the pod's ids already; what lasts keeps the ids it would have without the namespace */
    if (ctx->id_base && !v->read_only && !v->tmpfs)
        json_append(&options, json_string("idmap"));
    /* the kernel of every node can (5.12): IfPossible is Enabled */
    if (json_bool_or(json_get(mount, "readOnly"), false) && strcmp(recursive, "Disabled") != 0)
        json_append(&options, json_string("rro"));
    json_append(&options, json_string(strcmp(propagation, "Bidirectional") == 0     ? "rshared"
                                      : strcmp(propagation, "HostToContainer") == 0 ? "rslave"
                                                                                    : "rprivate"));
    json_set(&m, "destination", json_stringf("%s%s", *at == '/' ? "" : "/", at));
    json_set(&m, "type", json_string("bind"));
    bool shared = v->shared && strcmp(propagation, "Bidirectional") == 0;
    json_set(&m, "source", json_string(shared ? v->shared : v->path));
    if (*sub)
        json_set(&m, "subPath", json_string(sub));
    json_set(&m, "options", options);
    *ret = m;
    return 0;
}
