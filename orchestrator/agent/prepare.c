/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "orchestrator/agent/containers.h"
#include "orchestrator/agent/former_life.h"
#include "orchestrator/agent/id_range.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/agent/pod_files.h"
#include "orchestrator/agent/probes/probes.h"
#include "orchestrator/agent/probes/target.h"
#include "orchestrator/agent/volumes.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/limits.h"
#include "podium/base/path.h"
#include "podium/runtime.h"

#define SHM_BYTES (64 * 1024 * 1024)

static void add_tmpfs(struct json **list, const char *path, uint64_t size, int mode, int64_t gid) {
    struct json *o = json_object();

    json_set(&o, "path", json_string(path));
    if (size > 0)
        json_set(&o, "size", json_int((int64_t) size));
    json_set(&o, "mode", json_int(mode));
    if (gid >= 0)
        json_set(&o, "gid", json_int(gid));
    json_append(list, o);
}

static struct json *tmpfs_list(const struct pod_context *ctx, const struct volume_set *volumes) {
    _cleanup_free_ char *shm = path_join(ctx->run_dir, "shm");
    int64_t gid = json_int_or(json_path(ctx->pod, "spec", "securityContext", "fsGroup"), -1);
    struct json *list = json_array();

    add_tmpfs(&list, shm, SHM_BYTES, 01777, -1);
    for (size_t i = 0; i < volumes->n; i++)
        if (volumes->items[i].tmpfs)
            add_tmpfs(&list, volumes->items[i].tmpfs, volumes->items[i].size, gid >= 0 ? 02777 : 0777, gid);
    return list;
}

static struct json *shared_list(const struct volume_set *volumes) {
    struct json *list = json_array();

    for (size_t i = 0; i < volumes->n; i++) {
        struct json *o = NULL;
        if (!volumes->items[i].shared)
            continue;
        json_set(&o, "source", json_string(volumes->items[i].path));
        json_set(&o, "path", json_string(volumes->items[i].shared));
        json_append(&list, o);
    }
    return list;
}

static struct json *sysctl_map(const struct json *spec) {
    const struct json *list = json_path(spec, "securityContext", "sysctls");
    struct json *map = json_object();

    for (size_t i = 0; i < json_len(list); i++)
        json_set(&map, json_str_or(json_get(json_at(list, i), "name"), ""),
                 json_ref(json_get(json_at(list, i), "value")));
    return map;
}

static struct json *pod_head(const struct agent_pod *pod, const char *hostname) {
    static const char *const copied[] = {"hostNetwork",           "hostIPC",       "hostPID",
                                         "shareProcessNamespace", "restartPolicy", "terminationGracePeriodSeconds"};
    const struct json *spec = json_get(pod->desired, "spec");
    struct json *doc = json_object();

    json_set(&doc, "uid", json_string(pod->uid));
    json_set(&doc, "namespace", json_string(pod->namespace));
    json_set(&doc, "name", json_string(pod->name));
    if (*hostname)
        json_set(&doc, "hostname", json_string(hostname));
    for (size_t i = 0; i < ARRAY_LEN(copied); i++)
        if (json_get(spec, copied[i]))
            json_set(&doc, copied[i], json_ref(json_get(spec, copied[i])));
    if (pod->id_base) {
        json_set_path(&doc, json_int(pod->id_base), "userNamespace", "hostID");
        json_set_path(&doc, json_int(ID_RANGE_SIZE), "userNamespace", "size");
    }
    json_set(&doc, "sysctls", sysctl_map(spec));
    /* what the agent itself wants to know after a restart */
    if (pod->is_static)
        json_set(&doc, "static", json_bool(true));
    json_set(&doc, "podIP", json_string(pod->ip));
    json_set(&doc, "unit", json_string(pod->unit));
    if (pod->allocation)
        json_set(&doc, "allocated", json_ref(pod->allocation));
    json_set(&doc, "imageIDs", json_ref(pod->image_ids));
    json_set(&doc, "probed", json_ref(pod->probe_docs));
    return doc;
}

static int write_spec(const struct agent_pod *pod, const struct json *doc, struct error *err) {
    _cleanup_free_ char *path = path_join(pod->run_dir, POD_FILE_SPEC), *text = json_to_text(doc);

    return file_write_atomic(path, text, strlen(text), 0600, false, err);
}

/* A supervisor without a record is the pod's first one since the node booted: it goes on from what was told before. */
static int write_former_life(const struct agent_pod *pod, struct error *err) {
    _cleanup_free_ char *path = path_join(pod->run_dir, POD_FILE_STATE), *text = NULL;
    _cleanup_json_ struct json *doc = NULL;

    if (access(path, F_OK) == 0)
        return 0;
    doc = former_life(pod->desired, now_realtime_usec());
    if (!doc)
        return 0;
    text = json_to_text(doc);
    return file_write_atomic(path, text, strlen(text), 0600, false, err);
}

static int make_folders(const struct agent_pod *pod, struct error *err) {
    const char *dirs[] = {pod->run_dir, pod->state_dir};

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        int r = mkdir_parents(dirs[i], 0700, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- while it runs --- */

/* The pod's specification as the supervisor has it; NULL when there is none yet. */
static struct json *read_spec(const struct agent_pod *pod) {
    _cleanup_free_ char *path = path_join(pod->run_dir, POD_FILE_SPEC);
    struct json *doc = NULL;

    if (json_parse_file(path, CONFIG_JSON_BYTES_MAX * 4, &doc, NULL) < 0)
        return NULL;
    if (strcmp(json_str_or(json_get(doc, "uid"), ""), pod->uid) == 0)
        return doc;
    json_unref(doc);
    return NULL;
}

static bool is_named(const struct json *list, const char *name) {
    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str_or(json_get(json_at(list, i), "name"), ""), name) == 0)
            return true;
    return false;
}

bool reload_due(const struct agent_pod *pod) {
    const struct json *wanted = json_path(pod->desired, "spec", "ephemeralContainers");
    const struct json *seen = json_get(pod->state, "containers");

    if (json_len(pod->held) > 0 || pod->images_awaited || pod->stale_env)
        return true;
    for (size_t i = pod->ephemeral_told; i < json_len(wanted); i++)
        if (!is_named(seen, json_str_or(json_get(json_at(wanted, i), "name"), "")))
            return true;
    return false;
}

int prepare_again(struct agent_pod *pod, bool *ret_changed) {
    _cleanup_(volumes_finish) struct volume_set volumes = {0};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *before = read_spec(pod), *doc = json_ref(before);
    struct pod_context ctx;

    *ret_changed = false;
    if (!doc)
        return pod_problem_set(&pod->problem, "CreateContainerError", NULL, "the pod's specification is gone");
    agent_pod_context(pod, &ctx);
    int r = volumes_prepare(&ctx, &volumes, &pod->problem);
    if (r < 0)
        return r;
    const struct containers_input in = {pod, &ctx, &volumes, json_str_or(json_get(before, "hostname"), ""), before};
    containers_build(&in, &doc);
    containers_add_ephemeral(&in, &doc);
    if (pod->allocation)
        json_set(&doc, "allocated", json_ref(pod->allocation));
    json_set(&doc, "imageIDs", json_ref(pod->image_ids));
    pod->stale_env = false;
    if (json_equal(before, doc))
        return 0;
    r = write_spec(pod, doc, &err);
    if (r < 0)
        return pod_problem_set(&pod->problem, "CreateContainerError", NULL, "%s", error_text(&err, r));
    *ret_changed = true;
    return 0;
}

/* -EAGAIN also when nothing of it could run. */
static int build(struct agent_pod *pod, const struct pod_context *ctx, const struct volume_set *volumes,
                 const char *hostname) {
    const struct containers_input in = {pod, ctx, volumes, hostname, NULL};
    _cleanup_json_ struct json *lists = json_object(), *doc = NULL, *before = read_spec(pod);
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    containers_build(&in, &lists);
    if (!containers_can_begin(lists))
        return -EAGAIN;
    json_unref(pod->probe_docs);
    pod->probe_docs = probe_documents(json_get(pod->desired, "spec"));
    agent_probes_new(pod);
    doc = pod_head(pod, hostname);
    json_set(&doc, "tmpfs", tmpfs_list(ctx, volumes));
    json_set(&doc, "sharedMounts", shared_list(volumes));
    json_set(&doc, "initContainers", json_ref(json_get(lists, "initContainers")));
    json_set(&doc, "containers", json_ref(json_get(lists, "containers")));
    if (json_get(before, "ephemeralContainers")) /* they ran: the supervisor takes up how they ended */
        json_set(&doc, "ephemeralContainers", json_ref(json_get(before, "ephemeralContainers")));
    pod->stale_env = false;
    int r = write_spec(pod, doc, &err);
    if (r == 0)
        r = write_former_life(pod, &err);
    return r < 0 ? pod_problem_set(&pod->problem, "FailedCreatePodSandBox", NULL, "%s", error_text(&err, r)) : 0;
}

static void on_resolver_event(void *userdata, const char *reason, const char *message) {
    agent_event(userdata, NULL, "Warning", reason, "%s", message);
}

/* The files in its /etc; *ret_hostname is the caller's. */
static int write_files(struct agent_pod *pod, const struct pod_context *ctx, char **ret_hostname, struct error *err) {
    const struct json *dns = json_get(pod->agent->network, "dns");
    const char *domain = json_str_or(json_get(dns, "domain"), pod->agent->cluster_domain);
    int r = pod_uts_name(pod->desired, domain, ret_hostname, err);

    return r < 0 ? r : pod_files_write(ctx, dns, domain, *ret_hostname, on_resolver_event, pod, err);
}

int prepare_pod(struct agent_pod *pod) {
    _cleanup_free_ char *hostname = NULL;
    _cleanup_(volumes_finish) struct volume_set volumes = {0};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct pod_context ctx;

    int r = agent_network_address(pod, &err);
    if (r == 0)
        r = id_range_choose(pod, &err);
    if (r == 0)
        r = make_folders(pod, &err);
    agent_pod_context(pod, &ctx);
    if (r == 0)
        r = write_files(pod, &ctx, &hostname, &err);
    if (r < 0)
        return pod_problem_set(&pod->problem, "FailedCreatePodSandBox", NULL, "%s", error_text(&err, r));
    r = volumes_prepare(&ctx, &volumes, &pod->problem);
    if (r < 0)
        return r;
    return build(pod, &ctx, &volumes, hostname);
}
