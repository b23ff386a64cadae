/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an earlier agent left running is found again: folders say which pods, systemd which of them live. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "orchestrator/agent/containers.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/agent/probes/probes.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/limits.h"
#include "podium/base/log.h"
#include "podium/base/path.h"
#include "podium/runtime.h"

/* A start that was interrupted: there is no document, or a part of one. What cannot be read at the moment is a pod that
 * may be running, whose folder, layers and address are nobody's to take. */
static bool was_interrupted(int r) {
    return r >= 0 || r == -ENOENT || r == -ENOTDIR || r == -EINVAL || r == -ELOOP || r == -E2BIG || r == -EFBIG;
}

static int take_up(struct agent *agent, const char *pods_dir, const char *uid, struct error *ret_err) {
    _cleanup_free_ char *dir = path_join(pods_dir, uid), *path = path_join(dir, POD_FILE_SPEC);
    _cleanup_json_ struct json *doc = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    int r = json_parse_file(path, CONFIG_JSON_BYTES_MAX * 4, &doc, &err);
    const char *namespace = json_str_or(json_get(doc, "namespace"), "");
    const char *name = json_str_or(json_get(doc, "name"), "");
    if (!was_interrupted(r))
        return error_set(ret_err, r, "cannot take up the pod of %s: %s", dir, error_text(&err, r));
    if (r < 0 || !*namespace || !*name || strcmp(json_str_or(json_get(doc, "uid"), ""), uid) != 0) {
        /* if the pod is still wanted, it is made again */
        log_debug("%s: not a pod's folder, removed", dir);
        (void) rm_tree(dir, NULL);
        return 0;
    }
    struct agent_pod *pod = agent_pod_new(agent, uid, namespace, name);
    pod->admitted = true;
    pod->is_static = pod->wanted = json_bool_or(json_get(doc, "static"), false);
    pod->host_network = json_bool_or(json_get(doc, "hostNetwork"), false);
    pod->id_base = (uint32_t) json_int_or(json_path(doc, "userNamespace", "hostID"), 0);
    (void) snprintf(pod->ip, sizeof(pod->ip), "%s", json_str_or(json_get(doc, "podIP"), ""));
    pod->allocation = json_ref(json_get(doc, "allocated"));
    pod->image_ids = json_ref(json_get(doc, "imageIDs"));
    pod->grace = json_int_or(json_get(doc, "terminationGracePeriodSeconds"), POD_GRACE_DEFAULT);
    pod->probe_docs = json_ref(json_get(doc, "probed"));
    pod->stale_env = containers_held(doc); /* by what, is found out again */
    act_read_state(pod);
    agent_probes_new(pod);
    return 0;
}

static int on_retake(sd_event_source *source, uint64_t usec, void *userdata) {
    struct agent *agent = userdata;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    int r = unit_list(agent->units, &err);
    if (r < 0) {
        log_error("%s", error_text(&err, r));
        (void) sd_event_source_set_time_relative(source, USEC_PER_SEC);
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    }
    return 0;
}

int takeup_begin(struct agent *agent, struct error *err) {
    _cleanup_free_ char *path = path_join(agent->run_dir, "pods"), *state = path_join(agent->state_dir, "pods");
    struct dirent *e;

    int r = mkdir_parents(path, 0700, err);
    if (r == 0)
        r = mkdir_parents(state, 0700, err);
    if (r < 0)
        return r;
    _cleanup_closedir_ DIR *d = opendir(path);
    if (!d)
        return error_set_errno(err, -errno, "cannot open %s", path);
    while (r == 0 && (errno = 0, e = readdir(d)))
        if (e->d_name[0] != '.')
            r = take_up(agent, path, e->d_name, err);
    if (r == 0 && errno)
        r = error_set_errno(err, -errno, "cannot read %s", path);
    if (r < 0)
        return r;
    r = sd_event_add_time_relative(agent->loop, &agent->retake, CLOCK_MONOTONIC, 0, 0, on_retake, agent);
    return r < 0 ? error_set_errno(err, r, "cannot use the event loop") : 0;
}
