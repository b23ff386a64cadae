/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/disk_usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "orchestrator/agent/child_task.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/object/quantity.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/log.h"

#define EVICTION_GRACE 1 /* seconds; kubelet's immediateEvictionGracePeriodSeconds */

struct disk_usage {
    struct agent *agent;
    sd_event_source *timer;
    struct child_task *task;
};

/* --- in the child: a line "UID VOLUME" each, answered by "UID VOLUME BYTES" --- */

static uint64_t tree_bytes(int dir_fd, struct hashmap *linked, dev_t dev) {
    _cleanup_closedir_ DIR *d = fdopendir(dir_fd);
    struct dirent *e;
    uint64_t sum = 0;

    while (d && (e = readdir(d))) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != dev)
            continue;
        if (st.st_nlink > 1 && !S_ISDIR(st.st_mode)) {
            char key[32];
            (void) snprintf(key, sizeof(key), "%" PRIu64, (uint64_t) st.st_ino);
            if (hashmap_has(linked, key))
                continue;
            hashmap_put(linked, key, linked);
        }
        sum += (uint64_t) st.st_blocks * 512;
        int sub =
            S_ISDIR(st.st_mode) ? openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (sub >= 0)
            sum += tree_bytes(sub, linked, dev);
    }
    return sum;
}

static void measure(const char *argument, int out_fd) {
    _cleanup_free_ char *copy = xstrdup(argument);
    char *rest = copy, *line;

    while ((line = strsep(&rest, "\n"))) {
        char *path = strchr(line, '\t');
        struct stat st;
        if (!path)
            continue;
        *path++ = 0;
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
            continue;
        _cleanup_(hashmap_freep) struct hashmap *linked = hashmap_new(NULL);
        (void) dprintf(out_fd, "%s %" PRIu64 "\n", line, tree_bytes(fd, linked, st.st_dev));
    }
}

/* --- in the agent --- */

static int64_t limit_of(const struct json *volume) {
    const struct json *source = json_get(volume, "emptyDir");

    return *json_str_or(json_get(source, "medium"), "") ? 0 : quantity_json(json_get(source, "sizeLimit"), 0);
}

static bool is_limited(const struct agent_pod *pod) {
    const struct json *volumes = json_path(pod->desired, "spec", "volumes");
    bool limited = false;

    for (size_t i = 0; i < json_len(volumes); i++)
        limited |= limit_of(json_at(volumes, i)) > 0;
    return limited;
}

static bool is_concerned(const struct agent_pod *pod) {
    return pod->unit_exists && pod->desired && !pod->final && !pod->deleting && !pod->refused_reason;
}

static void add_volumes(const struct agent_pod *pod, struct strbuf *list) {
    const struct json *volumes = json_path(pod->desired, "spec", "volumes");

    for (size_t i = 0; i < json_len(volumes); i++) {
        const char *name = json_str_or(json_get(json_at(volumes, i), "name"), "");
        if (limit_of(json_at(volumes, i)) > 0)
            strbuf_addf(list, "%s %s\t%s/volumes/%s\n", pod->uid, name, pod->state_dir, name);
    }
}

static void judge(struct agent_pod *pod, const char *name, uint64_t used) {
    const struct json *volumes = json_path(pod->desired, "spec", "volumes");

    for (size_t i = 0; i < json_len(volumes); i++) {
        const struct json *volume = json_at(volumes, i);
        if (strcmp(json_str_or(json_get(volume, "name"), ""), name) != 0 || used <= (uint64_t) limit_of(volume))
            continue;
        const struct json *limit = json_path(volume, "emptyDir", "sizeLimit");
        _cleanup_free_ char *text = json_str(limit) ? xstrdup(json_str(limit)) : json_to_text(limit);
        _cleanup_free_ char *message =
            xasprintf("Usage of EmptyDir volume \"%s\" exceeds the limit \"%s\". ", name, text);
        if (pod->grace > EVICTION_GRACE)
            pod->grace = EVICTION_GRACE;
        agent_pod_refuse(pod, "Evicted", message);
        agent_pod_mark(pod);
    }
}

static void on_measured(void *userdata, const char *text) {
    struct disk_usage *u = userdata;
    char uid[64], name[64];

    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        int at = 0;
        if (sscanf(line, "%63s %63s %n", uid, name, &at) != 2)
            continue;
        uint64_t used = strtoull(line + at, NULL, 10);
        struct agent_pod *pod = hashmap_get(u->agent->pods, uid);
        if (pod && is_concerned(pod))
            judge(pod, name, used);
    }
    child_task_free(steal(&u->task));
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    struct disk_usage *u = userdata;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strbuf_ struct strbuf list = STRBUF_INIT;
    struct hashmap_iter it = {0};
    bool any = false;

    while (hashmap_next(u->agent->pods, &it)) {
        const struct agent_pod *pod = it.value;
        any |= is_limited(pod) && !pod->final;
        if (is_concerned(pod))
            add_volumes(pod, &list);
    }
    if (!any)
        return 0; /* armed again by the next pod */
    if (list.len > 0 && !u->task) {
        int r = child_task_start(u->agent->loop, measure, strbuf_str(&list), on_measured, u, &u->task, &err);
        if (r < 0)
            log_warning("volumes cannot be measured now: %s", error_text(&err, r));
    }
    (void) sd_event_source_set_time_relative(source, DISK_USAGE_USEC);
    (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

struct disk_usage *disk_usage_new(struct agent *agent) {
    struct disk_usage *u = xnew0(struct disk_usage);

    u->agent = agent;
    return u;
}

void disk_usage_free(struct disk_usage *u) {
    if (!u)
        return;
    sd_event_source_disable_unref(u->timer);
    child_task_free(u->task);
    free(u);
}

void disk_usage_watch(struct disk_usage *u, const struct agent_pod *pod) {
    int enabled = SD_EVENT_OFF;

    if (!is_limited(pod) || (u->timer && sd_event_source_get_enabled(u->timer, &enabled) > 0))
        return;
    if (!u->timer) {
        (void) sd_event_add_time_relative(u->agent->loop, &u->timer, CLOCK_MONOTONIC, DISK_USAGE_USEC, USEC_PER_SEC,
                                          on_timer, u);
        return;
    }
    (void) sd_event_source_set_time_relative(u->timer, DISK_USAGE_USEC);
    (void) sd_event_source_set_enabled(u->timer, SD_EVENT_ONESHOT);
}
