/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/pod/config.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/limits.h"
#include "podium/base/path.h"
#include "podium/base/strbuf.h"
#include "podium/runtime.h"

static char *dup_string(const struct json *v) {
    const char *s = json_str(v);
    return s ? xstrdup(s) : NULL;
}

static char **dup_strings(const struct json *array) {
    char **v = strv_new();

    for (size_t i = 0; i < json_len(array); i++)
        if (json_str(json_at(array, i)))
            strv_push_dup(&v, json_str(json_at(array, i)));
    return v;
}

static int parse_restart(const struct json *v, enum pod_restart *ret, struct error *err) {
    static const char *const names[] = {"Always", "OnFailure", "Never"};
    const char *s = json_str_or(v, "Always");

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(s, names[i]) == 0) {
            *ret = (enum pod_restart) i;
            return 0;
        }
    return error_set(err, -EINVAL, "restartPolicy: \"%s\" is unknown", s);
}

static void parse_hook(const struct json *hook, struct pod_hook *ret) {
    ret->sleep_seconds = (int) json_int_or(json_get(hook, "sleepSeconds"), -1);
    if (json_len(json_get(hook, "exec")) > 0)
        ret->args = dup_strings(json_get(hook, "exec"));
    ret->http = json_bool_or(json_get(hook, "http"), false);
}

static int parse_container(const struct json *doc, bool init, const char *list, size_t i,
                           struct pod_container_config *ret, struct error *err) {
    const char *name = json_str(json_get(doc, "name"));

    if (!name || file_name_is_unsafe(name) || strcmp(name, POD_CGROUP_SELF) == 0)
        return error_set(err, -EINVAL, "%s[%zu].name: missing or not usable", list, i);
    ret->name = xstrdup(name);
    ret->init = init;
    ret->sidecar = init && strcmp(json_str_or(json_get(doc, "restartPolicy"), ""), "Always") == 0;
    ret->stop_signal = (int) json_int_or(json_get(doc, "stopSignal"), SIGTERM);
    if (ret->stop_signal < 1 || ret->stop_signal > SIGRTMAX)
        return error_set(err, -EINVAL, "%s[%zu].stopSignal: no such signal", list, i);
    ret->input = json_bool_or(json_get(doc, "stdin"), false);
    ret->input_once = json_bool_or(json_get(doc, "stdinOnce"), false);
    parse_hook(json_get(doc, "postStart"), &ret->post_start);
    parse_hook(json_get(doc, "preStop"), &ret->pre_stop);
    ret->startup_probe = json_bool_or(json_get(doc, "startupProbe"), false);
    ret->termination_file = dup_string(json_get(doc, "terminationMessageFile"));
    if (ret->termination_file && ret->termination_file[0] != '/')
        return error_set(err, -EINVAL, "%s[%zu].terminationMessageFile: not absolute", list, i);
    const struct json *held = json_get(doc, "held");
    if (json_is_object(held)) {
        ret->hold.reason = xstrdup(json_str_or(json_get(held, "reason"), "CreateContainerError"));
        ret->hold.message = dup_string(json_get(held, "message"));
        ret->hold.in_order = json_bool_or(json_get(held, "inOrder"), false);
    } else if (!json_is_object(json_get(doc, "config")))
        return error_set(err, -EINVAL, "%s[%zu].config: missing", list, i);
    return 0;
}

/* Container number i of the file: init containers, containers, ephemeral containers. */
static const struct json *container_at(const struct json *doc, size_t i, const char **ret_list, size_t *ret_at) {
    static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};

    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *list = json_get(doc, lists[l]);
        if (i < json_len(list)) {
            *ret_list = lists[l];
            *ret_at = i;
            return json_at(list, i);
        }
        i -= json_len(list);
    }
    return NULL;
}

static int parse_containers(const struct json *doc, struct pod_config *c, struct error *err) {
    size_t n_init = json_len(json_get(doc, "initContainers")), n_main = json_len(json_get(doc, "containers"));
    size_t n = n_init + n_main + json_len(json_get(doc, "ephemeralContainers")), at = 0;
    const char *list = NULL;

    if (n_main == 0)
        return error_set(err, -EINVAL, "containers: at least one is needed");
    if (n > POD_CONTAINERS_MAX)
        return error_set(err, -EINVAL, "containers: more than %d", POD_CONTAINERS_MAX);
    c->containers = xcalloc(n, sizeof(*c->containers));
    c->n_containers = n;
    c->n_init = n_init;
    for (size_t i = 0; i < n; i++) {
        const struct json *one = container_at(doc, i, &list, &at);
        int r = parse_container(one, i < n_init, list, at, &c->containers[i], err);
        if (r < 0)
            return r;
        c->containers[i].ephemeral = i >= n_init + n_main;
        c->containers[i].target = dup_string(json_get(one, "target"));
        for (size_t k = 0; k < i; k++)
            if (strcmp(c->containers[k].name, c->containers[i].name) == 0)
                return error_set(err, -EINVAL, "containers: the name %s comes twice", c->containers[i].name);
    }
    return 0;
}

static int parse_tmpfs(const struct json *list, struct pod_config *c, struct error *err) {
    c->tmpfs = xcalloc(json_len(list) + 1, sizeof(*c->tmpfs));
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *item = json_at(list, i);
        const char *path = json_str_or(json_get(item, "path"), "");

        if (path[0] != '/')
            return error_set(err, -EINVAL, "tmpfs[%zu].path: not absolute", i);
        c->tmpfs[c->n_tmpfs++] = (struct pod_tmpfs){
            .path = xstrdup(path),
            .size = (uint64_t) json_int_or(json_get(item, "size"), 0),
            .mode = (unsigned) json_int_or(json_get(item, "mode"), 0777),
            .gid = json_int_or(json_get(item, "gid"), -1),
        };
    }
    return 0;
}

static int parse_shared_mounts(const struct json *list, struct pod_config *c, struct error *err) {
    c->shared_mounts = xcalloc(json_len(list) + 1, sizeof(*c->shared_mounts));
    for (size_t i = 0; i < json_len(list); i++) {
        const char *source = json_str_or(json_get(json_at(list, i), "source"), "");
        const char *path = json_str_or(json_get(json_at(list, i), "path"), "");

        if (source[0] != '/' || path[0] != '/')
            return error_set(err, -EINVAL, "sharedMounts[%zu]: paths are not absolute", i);
        c->shared_mounts[c->n_shared_mounts++] = (struct pod_shared_mount){xstrdup(source), xstrdup(path)};
    }
    return 0;
}

static int parse_sysctls(const struct json *map, struct pod_config *c, struct error *err) {
    c->sysctls = xcalloc(json_len(map) + 1, sizeof(*c->sysctls));
    for (size_t i = 0; i < json_len(map); i++) {
        const char *name = json_key_at(map, i), *value = json_str(json_value_at(map, i));

        if (!value || strstr(name, ".."))
            return error_set(err, -EINVAL, "sysctls.%s: malformed", name);
        c->sysctls[c->n_sysctls++] = (struct pod_sysctl){xstrdup(name), xstrdup(value)};
    }
    return 0;
}

static int parse_userns(const struct json *o, struct pod_config *c, struct error *err) {
    int64_t base = json_int_or(json_get(o, "hostID"), 0), size = json_int_or(json_get(o, "size"), 0);

    if (json_is_null(o))
        return 0;
    if (base <= 0 || size <= 0 || base + size > UINT32_MAX)
        return error_set(err, -EINVAL, "userNamespace: hostID or size is missing or not usable");
    if (c->host_network || c->host_ipc || c->host_pid)
        return error_set(err, -EINVAL, "userNamespace: not with a namespace of the host");
    c->userns_base = (uint32_t) base;
    c->userns_size = (uint32_t) size;
    return 0;
}

int pod_config_parse(const struct json *doc, struct pod_config **ret, struct error *err) {
    _cleanup_(pod_config_freep) struct pod_config *c = xnew0(struct pod_config);

    c->uid = dup_string(json_get(doc, "uid"));
    c->namespace = dup_string(json_get(doc, "namespace"));
    c->name = dup_string(json_get(doc, "name"));
    if (!c->uid || !c->namespace || !c->name)
        return error_set(err, -EINVAL, "uid, namespace and name are needed");
    c->hostname = dup_string(json_get(doc, "hostname"));
    c->domainname = dup_string(json_get(doc, "domainname"));
    c->host_network = json_bool_or(json_get(doc, "hostNetwork"), false);
    c->host_ipc = json_bool_or(json_get(doc, "hostIPC"), false);
    c->host_pid = json_bool_or(json_get(doc, "hostPID"), false);
    c->share_process_namespace = json_bool_or(json_get(doc, "shareProcessNamespace"), false) && !c->host_pid;
    c->grace_seconds = json_int_or(json_get(doc, "terminationGracePeriodSeconds"), POD_GRACE_DEFAULT);
    int r = parse_restart(json_get(doc, "restartPolicy"), &c->restart, err);
    if (r == 0)
        r = parse_userns(json_get(doc, "userNamespace"), c, err);
    if (r == 0)
        r = parse_tmpfs(json_get(doc, "tmpfs"), c, err);
    if (r == 0)
        r = parse_shared_mounts(json_get(doc, "sharedMounts"), c, err);
    if (r == 0)
        r = parse_sysctls(json_get(doc, "sysctls"), c, err);
    if (r == 0)
        r = parse_containers(doc, c, err);
    if (r < 0)
        return r;
    *ret = steal(&c);
    return 0;
}

void pod_container_config_finish(struct pod_container_config *c) {
    free(c->name);
    free(c->hold.reason);
    free(c->hold.message);
    strv_free(c->post_start.args);
    strv_free(c->pre_stop.args);
    free(c->termination_file);
    free(c->target);
    *c = (struct pod_container_config){0};
}

void pod_config_free(struct pod_config *c) {
    if (!c)
        return;
    for (size_t i = 0; i < c->n_containers; i++)
        pod_container_config_finish(&c->containers[i]);
    for (size_t i = 0; i < c->n_tmpfs; i++)
        free(c->tmpfs[i].path);
    for (size_t i = 0; i < c->n_sysctls; i++) {
        free(c->sysctls[i].name);
        free(c->sysctls[i].value);
    }
    free(c->containers);
    free(c->tmpfs);
    for (size_t i = 0; i < c->n_shared_mounts; i++) {
        free(c->shared_mounts[i].source);
        free(c->shared_mounts[i].path);
    }
    free(c->shared_mounts);
    free(c->sysctls);
    free(c->uid);
    free(c->namespace);
    free(c->name);
    free(c->hostname);
    free(c->domainname);
    free(c);
}

/* --- the large part --- */

static struct overlay_root *parse_rootfs(const struct json *rootfs) {
    if (!json_is_object(rootfs))
        return NULL;
    struct overlay_root *o = xnew0(struct overlay_root);
    o->lower = dup_strings(json_get(rootfs, "lower"));
    o->upper = dup_string(json_get(rootfs, "upper"));
    o->work = dup_string(json_get(rootfs, "work"));
    o->scratch = true; /* emptied before each start anyway; syncing it would delay the news of the container's end */
    return o;
}

/* The runtime refuses its own pod's namespaces in a container's list: joining them is what inheriting does. */
static int check_namespaces(const struct spec *spec, struct error *err) {
    static const enum spec_namespace_kind shared[] = {SPEC_NS_NETWORK, SPEC_NS_IPC, SPEC_NS_UTS};

    for (size_t i = 0; i < ARRAY_LEN(shared); i++)
        if (spec->namespaces[shared[i]].present)
            return error_set(err, -EINVAL, "linux.namespaces: %s is the pod's, not the container's",
                             spec_namespace_name(shared[i]));
    return 0;
}

static int read_spec(int fd, struct json **ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_set_errno(err, -errno, "cannot read %s", POD_FILE_SPEC);
    int r = fd_read_all(fd, CONFIG_JSON_BYTES_MAX * 4, &text, err);
    if (r == 0)
        r = json_parse(strbuf_str(&text), text.len, NULL, ret, err);
    return r < 0 ? error_prefix(err, r, "%s", POD_FILE_SPEC) : 0;
}

int pod_launch_load(int fd, size_t i, struct pod_launch *ret, struct error *err) {
    _cleanup_json_ struct json *doc = NULL;
    _cleanup_(pod_launch_finish) struct pod_launch launch = {0};
    int r = read_spec(fd, &doc, err);

    if (r < 0)
        return r;
    const char *list;
    size_t at;
    const struct json *c = container_at(doc, i, &list, &at);
    if (!c)
        return error_set(err, -ENOENT, "%s: there is no container number %zu", POD_FILE_SPEC, i);
    if (json_is_object(json_get(c, "held")))
        return error_set(err, -EAGAIN, "%s", json_str_or(json_path(c, "held", "message"), "held back"));
    launch.config = json_ref(json_get(c, "config"));
    r = spec_parse(launch.config, &launch.spec, err);
    if (r == 0)
        r = check_namespaces(launch.spec, err);
    if (r < 0)
        return r;
    launch.seccomp_default = json_bool_or(json_get(c, "seccompDefault"), false) && !launch.spec->seccomp;
    launch.allocation = json_int_or(json_get(c, "allocation"), 0);
    launch.overlay = parse_rootfs(json_get(c, "rootfs"));
    *ret = launch;
    launch = (struct pod_launch){0};
    return 0;
}

void pod_launch_finish(struct pod_launch *launch) {
    spec_free(launch->spec);
    overlay_root_free(launch->overlay);
    json_unref(launch->config);
    *launch = (struct pod_launch){0};
}
