/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/disk_usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "orchestrator/agent/child_task.h"
#include "orchestrator/agent/eviction/manager.h"
#include "orchestrator/agent/eviction/rank.h"
#include "orchestrator/agent/model.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/log.h"

struct disk_usage {
    struct agent *agent;
    sd_event_source *timer;
    struct child_task *task;
    bool task_is_for_all, asked; /* asked: as soon as the child that runs is done */
    void (*done)(void *userdata);
    void *userdata;
};

/* --- in the child: a line "UID KIND NAME\tPATH" each, answered by "UID KIND NAME BYTES INODES" --- */

static uint64_t tree_bytes(int dir_fd, struct hashmap *linked, dev_t dev, uint64_t *inodes) {
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
        *inodes += 1;
        int sub =
            S_ISDIR(st.st_mode) ? openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (sub >= 0)
            sum += tree_bytes(sub, linked, dev, inodes);
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
        uint64_t inodes = 0, bytes = tree_bytes(fd, linked, st.st_dev, &inodes);
        (void) dprintf(out_fd, "%s %" PRIu64 " %" PRIu64 "\n", line, bytes, inodes);
    }
}

/* --- in the agent --- */

#define VOLUMES    "volumes"
#define CONTAINERS "containers"

static bool is_limited(const struct agent_pod *pod) {
    return eviction_disk_is_limited(json_get(pod->desired, "spec"));
}

static bool is_concerned(const struct agent_pod *pod) {
    return pod->unit_exists && pod->desired && !pod->final && !pod->deleting && !pod->refused_reason;
}

static void add_places(const struct agent_pod *pod, struct strbuf *list) {
    static const char *const members[] = {"initContainers", "containers", "ephemeralContainers"};
    const struct json *volumes = json_path(pod->desired, "spec", "volumes");

    for (size_t i = 0; i < json_len(volumes); i++) {
        const char *name = json_str_or(json_get(json_at(volumes, i), "name"), "");
        if (eviction_volume_is_local(json_at(volumes, i)))
            strbuf_addf(list, "%s " VOLUMES " %s\t%s/volumes/%s\n", pod->uid, name, pod->state_dir, name);
    }
    for (size_t m = 0; m < ARRAY_LEN(members); m++) {
        const struct json *containers = json_path(pod->desired, "spec", members[m]);
        for (size_t i = 0; i < json_len(containers); i++) {
            const char *name = json_str_or(json_get(json_at(containers, i), "name"), "");
            strbuf_addf(list, "%s " CONTAINERS " %s\t%s/containers/%s/upper\n", pod->uid, name, pod->state_dir, name);
        }
    }
}

/* A pod that is over a limit of its own goes, whatever the node has; but for critical ones. */
static void judge(struct agent_pod *pod) {
    _cleanup_free_ char *message = eviction_disk_excess(json_get(pod->desired, "spec"), json_get(pod->disk, VOLUMES),
                                                        json_get(pod->disk, CONTAINERS));

    if (message && !eviction_is_critical(pod))
        agent_pod_evict(pod, EVICTION_GRACE_IMMEDIATE, message, NULL, false);
}

/* The child's answer, pod by pod: one's lines are together. */
static void take_answer(struct disk_usage *u, const char *text) {
    char uid[64], kind[16], name[64];
    struct agent_pod *pod = NULL;

    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        uint64_t bytes, inodes;
        if (sscanf(line, "%63s %15s %63s %" SCNu64 " %" SCNu64, uid, kind, name, &bytes, &inodes) != 5)
            continue;
        if (!pod || strcmp(pod->uid, uid) != 0) {
            if (pod)
                judge(pod);
            pod = hashmap_get(u->agent->pods, uid);
            if (pod && !is_concerned(pod))
                pod = NULL;
            if (!pod)
                continue;
            json_unref(pod->disk);
            pod->disk = json_object();
        }
        json_set_path(&pod->disk, json_int((int64_t) bytes), kind, name);
        json_set(&pod->disk, "inodes", json_int((int64_t) inodes + json_int_or(json_get(pod->disk, "inodes"), 0)));
    }
    if (pod)
        judge(pod);
}

static void start(struct disk_usage *u, bool all);

static void on_measured(void *userdata, const char *text) {
    struct disk_usage *u = userdata;
    bool was_for_all = u->task_is_for_all;

    take_answer(u, text);
    child_task_free(steal(&u->task));
    if (u->asked && !was_for_all) {
        start(u, true);
        return;
    }
    if (!u->asked)
        return;
    u->asked = false;
    u->done(u->userdata);
}

static void start(struct disk_usage *u, bool all) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strbuf_ struct strbuf list = STRBUF_INIT;
    struct hashmap_iter it = {0};

    if (u->task)
        return;
    while (hashmap_next(u->agent->pods, &it)) {
        const struct agent_pod *pod = it.value;
        if (is_concerned(pod) && (all || is_limited(pod)))
            add_places(pod, &list);
    }
    u->task_is_for_all = all;
    if (list.len == 0 && !all)
        return;
    int r = child_task_start(u->agent->loop, measure, strbuf_str(&list), on_measured, u, &u->task, &err);
    if (r < 0) {
        log_warning("volumes cannot be measured now: %s", error_text(&err, r));
        u->asked = false;
    }
}

int disk_usage_measure_all(struct disk_usage *u, void (*done)(void *userdata), void *userdata, struct error *err) {
    if (u->asked)
        return error_set(err, -EBUSY, "pods are being measured");
    u->asked = true;
    u->done = done;
    u->userdata = userdata;
    start(u, true);
    return u->asked ? 0 : error_set(err, -EAGAIN, "pods cannot be measured now");
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    struct disk_usage *u = userdata;
    struct hashmap_iter it = {0};
    bool any = false;

    while (!any && hashmap_next(u->agent->pods, &it)) {
        const struct agent_pod *pod = it.value;
        any = is_limited(pod) && !pod->final;
    }
    if (!any)
        return 0; /* armed again by the next pod */
    start(u, false);
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
