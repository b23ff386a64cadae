/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/queries/usage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>

#include "orchestrator/agent/model.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/cgroups.h"
#include "podium/runtime.h"

/* --- texts --- */

static uint64_t number(const struct json *v) {
    int64_t n = json_int_or(v, 0);

    return n > 0 ? (uint64_t) n : 0;
}

static struct pressure pressure_of(const struct json *statistics, const char *resource) {
    const struct json *p = json_path(statistics, "pressure", resource);

    return (struct pressure){json_get(p, "some") != NULL, number(json_path(p, "some", "total")),
                             number(json_path(p, "full", "total"))};
}

void usage_of_statistics(const struct json *s, struct usage *ret) {
    const struct json *memory = json_get(s, "memory"), *stat = json_get(memory, "stat");
    const struct json *cpu = json_path(s, "cpu", "stat", "usage_usec"), *pids = json_path(s, "pids", "current");

    *ret = (struct usage){.has_cpu = cpu != NULL,
                          .has_memory = json_get(memory, "current") != NULL,
                          .has_processes = pids != NULL,
                          .cpu_usec = number(cpu),
                          .memory = number(json_get(memory, "current")),
                          .memory_limit = number(json_get(memory, "max")),
                          .rss = number(json_get(stat, "anon")),
                          .faults = number(json_get(stat, "pgfault")),
                          .major_faults = number(json_get(stat, "pgmajfault")),
                          .processes = number(pids),
                          .cpu_pressure = pressure_of(s, "cpu"),
                          .memory_pressure = pressure_of(s, "memory"),
                          .io_pressure = pressure_of(s, "io")};
    uint64_t droppable = number(json_get(stat, "inactive_file"));
    ret->working_set = ret->memory > droppable ? ret->memory - droppable : 0;
}

void network_usage_parse(const char *text, struct network_usage *ret) {
    *ret = (struct network_usage){0};
    for (const char *line = text; line; line = strchr(line, '\n')) {
        struct interface_usage i = {0};
        line += *line == '\n';
        if (sscanf(line, " %15[^: \n]: %" SCNu64 " %*u %" SCNu64 " %*u %*u %*u %*u %*u %" SCNu64 " %*u %" SCNu64,
                   i.name, &i.rx_bytes, &i.rx_errors, &i.tx_bytes, &i.tx_errors) != 5 ||
            strcmp(i.name, "lo") == 0)
            continue;
        ret->interfaces = xreallocarray(ret->interfaces, ret->n + 1, sizeof(i));
        ret->interfaces[ret->n++] = i;
    }
}

static void read_network(int64_t pid, struct network_usage *ret) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    _cleanup_free_ char *path = xasprintf("/proc/%" PRId64 "/net/dev", pid);

    if (file_read(path, 1024 * 1024, &text, NULL) == 0)
        network_usage_parse(strbuf_str(&text), ret);
}

static uint64_t proc_number(const char *path) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    return file_read(path, 4096, &text, NULL) == 0 ? strtoull(strbuf_str(&text), NULL, 10) : 0;
}

static uint64_t meminfo(const char *text, const char *key) {
    const char *line = strstr(text, key);

    return line ? strtoull(line + strlen(key), NULL, 10) * 1024 : 0;
}

/* --- groups --- */

static void read_group(const struct cgroup_hierarchy *h, const char *path, struct usage *ret) {
    struct cgroup cg = CGROUP_INIT;
    _cleanup_json_ struct json *statistics = NULL;

    if (cgroup_open(h, path, &cg, NULL) == 0 && cgroup_statistics(&cg, &statistics, NULL) == 0)
        usage_of_statistics(statistics, ret);
    cgroup_finish(&cg);
}

/* The group of the pod's unit and, below it, the container's: programs may have made more below that. NULL: ended. */
static char *container_group(const struct cgroup_hierarchy *h, const struct agent_pod *pod, int64_t pid,
                             size_t *ret_pod_len) {
    char *path = NULL;

    if (pid <= 0 || cgroup_path_of(h, (pid_t) pid, &path, NULL) < 0)
        return NULL;
    char *unit = strstr(path, pod->unit);
    if (!unit || unit == path || unit[-1] != '/' || unit[strlen(pod->unit)] != '/') {
        free(path);
        return NULL;
    }
    char *name = unit + strlen(pod->unit) + 1;
    *ret_pod_len = (size_t) (name - 1 - path);
    name[strcspn(name, "/")] = 0;
    return path;
}

static void read_pod_group(const struct cgroup_hierarchy *h, const char *group, struct pod_usage *p) {
    _cleanup_free_ char *own = xasprintf("%s/" POD_CGROUP_SELF, group);
    struct usage supervisor = {0};

    read_group(h, group, &p->usage);
    read_group(h, own, &supervisor);
    p->supervisor_working_set = supervisor.working_set < p->usage.working_set ? supervisor.working_set : 0;
}

static void read_container(const struct cgroup_hierarchy *h, const struct agent_pod *pod, const struct json *c,
                           struct container_usage *ret, struct pod_usage *p) {
    int64_t pid = json_int_or(json_get(c, "pid"), 0);
    size_t pod_len = 0;

    ret->name = json_str_or(json_get(c, "name"), "");
    ret->running = json_get_is(c, "state", "running");
    ret->restarts = (unsigned) json_int_or(json_get(c, "restartCount"), 0);
    if (!ret->running)
        return;
    ret->started = number(json_get(c, "startedAt"));
    _cleanup_free_ char *group = container_group(h, pod, pid, &pod_len);
    if (!group)
        return;
    read_group(h, group, &ret->usage);
    if (p->network.n == 0 && !pod->host_network)
        read_network(pid, &p->network);
    group[pod_len] = 0;
    if (!p->usage.has_cpu)
        read_pod_group(h, group, p);
}

static void read_pod(const struct cgroup_hierarchy *h, const struct agent_pod *pod, struct pod_usage *ret) {
    const struct json *list = json_get(pod->state, "containers");

    *ret = (struct pod_usage){.ns = pod->namespace,
                              .name = pod->name,
                              .uid = pod->uid,
                              .running = pod->unit_exists,
                              .started = pod->start_time};
    ret->n_containers = json_len(list);
    ret->containers = xcalloc(ret->n_containers + 1, sizeof(*ret->containers));
    for (size_t i = 0; i < ret->n_containers; i++)
        read_container(h, pod, json_at(list, i), &ret->containers[i], ret);
}

/* --- the node --- */

/* The root of a machine has no memory files of its own: what is not available is used. */
static void read_node(const struct cgroup_hierarchy *h, struct node_usage *ret) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    struct sysinfo info;

    read_group(h, "/", &ret->usage);
    if (file_read("/proc/meminfo", 65536, &text, NULL) == 0) {
        uint64_t total = meminfo(strbuf_str(&text), "MemTotal:"), unused = meminfo(strbuf_str(&text), "MemFree:");
        ret->memory_available = meminfo(strbuf_str(&text), "MemAvailable:");
        if (!ret->usage.has_memory) {
            ret->usage.has_memory = true;
            ret->usage.memory = total - unused;
            ret->usage.working_set = total > ret->memory_available ? total - ret->memory_available : 0;
            ret->usage.rss = meminfo(strbuf_str(&text), "AnonPages:");
        }
    }
    read_network(1, &ret->network);
    ret->processes_max = proc_number("/proc/sys/kernel/pid_max");
    if (sysinfo(&info) == 0) {
        ret->booted = ret->now - (uint64_t) info.uptime * USEC_PER_SEC;
        ret->usage.has_processes = true;
        ret->usage.processes = info.procs;
    }
}

void node_usage_read(const struct agent *agent, struct node_usage *ret) {
    struct cgroup_hierarchy h = CGROUP_HIERARCHY_INIT;
    struct hashmap_iter it = {0};
    struct statvfs disk;

    *ret = (struct node_usage){.name = agent->node_name, .now = now_realtime_usec()};
    ret->pods = xcalloc(hashmap_len(agent->pods) + 1, sizeof(*ret->pods));
    (void) (cgroup_hierarchy_open(&h, NULL) < 0); /* without it the groups below are not found */
    read_node(&h, ret);
    while (hashmap_next(agent->pods, &it))
        read_pod(&h, it.value, &ret->pods[ret->n_pods++]);
    cgroup_hierarchy_finish(&h);
    if (statvfs(agent->state_dir, &disk) == 0)
        ret->disk = (struct disk_space){.known = true,
                                        .capacity = (uint64_t) disk.f_blocks * disk.f_frsize,
                                        .available = (uint64_t) disk.f_bavail * disk.f_frsize,
                                        .inodes = disk.f_files,
                                        .inodes_free = disk.f_ffree};
}

void node_usage_finish(struct node_usage *u) {
    for (size_t i = 0; i < u->n_pods; i++) {
        free(u->pods[i].containers);
        free(u->pods[i].network.interfaces);
    }
    free(u->pods);
    free(u->network.interfaces);
}
