/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Containers that come while the pod runs: pod.json was written anew, with more ephemeralContainers, or with what held
 * containers back. The tables of containers are of the size they need, so they move; everything that points into them
 * is set again here.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "podium/base/alloc.h"
#include "podium/base/limits.h"
#include "podium/runtime.h"
#include "runtime/pod/supervisor.h"

static bool is_known(const struct pod_config *config, const char *name) {
    for (size_t i = 0; i < config->n_containers; i++)
        if (strcmp(config->containers[i].name, name) == 0)
            return true;
    return false;
}

static bool is_new(const struct pod_config *config, const struct pod_container_config *c) {
    return c->ephemeral && c->name && !is_known(config, c->name);
}

/* Moves what is new from one configuration to the other; returns how many. Without any, nothing moves in memory. */
static size_t take_new(struct pod_config *to, struct pod_config *from) {
    size_t more = 0;

    for (size_t i = 0; i < from->n_containers; i++)
        more += is_new(to, &from->containers[i]);
    if (more == 0)
        return 0;
    to->containers = xreallocarray(to->containers, to->n_containers + more, sizeof(*to->containers));
    for (size_t i = 0; i < from->n_containers; i++) {
        struct pod_container_config *c = &from->containers[i];
        if (!is_new(to, c))
            continue;
        to->containers[to->n_containers++] = *c;
        *c = (struct pod_container_config){0};
    }
    return more;
}

static void move_execs(struct pod *pod, const struct pod_run *old_runs) {
    struct pod_exec *e;

    list_foreach(e, &pod->execs, link) {
        e->run = &pod->runs[e->run - old_runs];
    }
}

/* Makes room for the new ones in model and runs, and sets right what pointed into the old tables. */
static int grow(struct pod *pod, size_t more, struct error *err) {
    struct pod_model *m = &pod->model;
    struct pod_run *old_runs = pod->runs;
    size_t before = m->n;
    int r = 0;

    for (size_t i = 0; i < before; i++)
        if (old_runs[i].watch.fd >= 0)
            pod_loop_remove(&pod->loop, &old_runs[i].watch);
    m->containers = xreallocarray(m->containers, before + more, sizeof(*m->containers));
    memset(m->containers + before, 0, more * sizeof(*m->containers));
    m->n = before + more;
    pod->runs = xcalloc(m->n, sizeof(*pod->runs));
    memcpy(pod->runs, old_runs, before * sizeof(*pod->runs));
    for (size_t i = 0; i < m->n; i++) {
        m->containers[i].config = &pod->config->containers[i];
        if (i >= before)
            pod_run_init(pod, &pod->runs[i]);
        pod->runs[i].container = &m->containers[i];
        if (i < before && r == 0)
            r = pod_run_watch(&pod->runs[i], err);
    }
    move_execs(pod, old_runs);
    pod_attach_move(pod, old_runs);
    free(old_runs);
    return r;
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* What is known of a container's settings from now on; those of one that runs stay until it is held or restarted. */
static bool take_settings(const struct pod_container *c, struct pod_container_config *to,
                          struct pod_container_config *from) {
    bool same = same_text(to->hold.reason, from->hold.reason) && same_text(to->hold.message, from->hold.message) &&
                to->hold.in_order == from->hold.in_order;

    if (c->state != POD_RUNNING) {
        const struct pod_container_config before = *to;
        *to = *from;
        *from = before;
        return !same;
    }
    const struct pod_hold hold = to->hold;
    to->hold = from->hold;
    from->hold = hold;
    return !same;
}

/* Those that are known already; whether something to tell changed. */
static bool take_known(struct pod *pod, struct pod_config *from) {
    struct pod_config *to = pod->config;
    bool changed = false;

    for (size_t i = 0; i < from->n_containers && i < pod->model.n; i++)
        if (strcmp(to->containers[i].name, from->containers[i].name) == 0 &&
            to->containers[i].init == from->containers[i].init)
            changed |= take_settings(&pod->model.containers[i], &to->containers[i], &from->containers[i]);
    return changed;
}

int pod_reload(struct pod *pod, struct error *err) {
    _cleanup_json_ struct json *doc = NULL;
    _cleanup_(pod_config_freep) struct pod_config *config = NULL;

    int r = json_parse_file(pod->spec_path, CONFIG_JSON_BYTES_MAX * 4, &doc, err);
    if (r < 0)
        return r;
    r = pod_config_parse(doc, &config, err);
    if (r < 0)
        return r;
    if (strcmp(config->uid, pod->config->uid) != 0 || config->n_containers < pod->config->n_containers)
        return error_set(err, -EINVAL, "%s is another pod's", pod->spec_path);
    pod->changed |= take_known(pod, config);
    size_t more = take_new(pod->config, config);
    if (more == 0)
        return 0;
    pod->changed = true;
    return grow(pod, more, err);
}

int pod_target_namespace(const struct pod_run *run, int *ret_fd, struct error *err) {
    const char *target = run->container->config->target;
    struct pod *pod = run->pod;

    *ret_fd = -1;
    for (size_t i = 0; target && i < pod->model.n; i++) {
        if (strcmp(pod->config->containers[i].name, target) != 0)
            continue;
        if (pod->model.containers[i].state != POD_RUNNING)
            return error_set(err, -ESRCH, "the target container %s is not running", target);
        _cleanup_free_ char *path = xasprintf("/proc/%d/ns/pid", (int) pod->model.containers[i].pid);
        *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
        return *ret_fd < 0 ? error_set_errno(err, -errno, "cannot open %s", path) : 0;
    }
    return target ? error_set(err, -ENOENT, "there is no container %s to target", target) : 0;
}
