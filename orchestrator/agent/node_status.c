/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Node's status document. Source: the kubelet's nodestatus setters. */
#include <sched.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "orchestrator/agent/eviction/manager.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/object/quantity.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/cgroups.h"

#define KUBELET_VERSION       "v1.32.0-podium"
#define RUNTIME_VERSION       "baton://1.0"
#define CONTROLLERS_WANTED    (CGROUP_CPU | CGROUP_MEMORY | CGROUP_PIDS)
#define IMAGES_MAX            50 /* nodeStatusMaxImages */
#define CONDITION_CONTROLLERS "podium.org/CgroupControllersMissing"

static int64_t meminfo(const char *key) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    if (file_read("/proc/meminfo", 65536, &text, NULL) < 0)
        return 0;
    const char *line = strstr(strbuf_str(&text), key);
    return line && line[strlen(key)] == ':' ? strtoll(line + strlen(key) + 1, NULL, 10) * 1024 : 0;
}

static unsigned missing_controllers(void) {
    struct cgroup_hierarchy h = CGROUP_HIERARCHY_INIT;
    struct cgroup root = CGROUP_INIT;
    unsigned have = 0;

    if (cgroup_hierarchy_open(&h, NULL) == 0 && cgroup_open(&h, "/", &root, NULL) == 0 &&
        cgroup_controllers(&root, &have, NULL) < 0)
        have = 0;
    cgroup_finish(&root);
    cgroup_hierarchy_finish(&h);
    return CONTROLLERS_WANTED & ~have;
}

void node_capacity(struct agent *agent) {
    cpu_set_t set;

    agent->cpu_milli = (sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1) * 1000;
    agent->memory = meminfo("MemTotal");
    agent->controllers_missing = missing_controllers();
}

bool agent_keeps_memory(const struct agent *agent) {
    return agent->memory_qos && !(agent->controllers_missing & CGROUP_MEMORY);
}

/* What pods cannot have, as they would be evicted before: the hard threshold. */
static int64_t reserved(const struct agent *agent, enum eviction_signal signal, int64_t capacity) {
    const struct eviction_threshold *t = eviction_hard(eviction_config(agent->eviction), signal);

    return t ? eviction_amount_of(&t->amount, capacity) : 0;
}

int64_t node_memory_for_pods(const struct agent *agent) {
    return agent->memory - reserved(agent, EVICTION_MEMORY, agent->memory);
}

static void put_text(struct json **o, const char *key, char *take) {
    json_set(o, key, json_string(take));
    free(take);
}

static struct json *resources(const struct agent *agent, int64_t reserved_memory, uint64_t disk) {
    struct json *o = json_object();

    put_text(&o, "cpu", quantity_format_milli(agent->cpu_milli));
    put_text(&o, "memory", xasprintf("%lldKi", (long long) (agent->memory - reserved_memory) / 1024));
    put_text(&o, "ephemeral-storage", xasprintf("%lluKi", (unsigned long long) disk / 1024));
    put_text(&o, "pods", xasprintf("%d", agent->max_pods));
    put_text(&o, "hugepages-1Gi", xstrdup("0"));
    put_text(&o, "hugepages-2Mi", xstrdup("0"));
    return o;
}

static char *first_line(const char *path) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    if (file_read(path, 65536, &text, NULL) < 0)
        return xstrdup("");
    return xstrndup(strbuf_str(&text), strcspn(strbuf_str(&text), "\n"));
}

/* PRETTY_NAME of os-release. */
static char *os_image(void) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    if (file_read("/etc/os-release", 65536, &text, NULL) == 0) {
        const char *line = strstr(strbuf_str(&text), "PRETTY_NAME=");
        if (line) {
            line += strlen("PRETTY_NAME=");
            line += *line == '"';
            return xstrndup(line, strcspn(line, "\"\n"));
        }
    }
    return xstrdup("Linux");
}

static const char *architecture(const char *machine) {
    static const char *const names[][2] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"i686", "386"}};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(machine, names[i][0]) == 0)
            return names[i][1];
    return machine;
}

static struct json *node_info(void) {
    struct utsname u;
    struct json *o = json_object();

    (void) uname(&u);
    put_text(&o, "machineID", first_line("/etc/machine-id"));
    put_text(&o, "systemUUID", first_line("/sys/class/dmi/id/product_uuid"));
    put_text(&o, "bootID", first_line("/proc/sys/kernel/random/boot_id"));
    put_text(&o, "kernelVersion", xstrdup(u.release));
    put_text(&o, "osImage", os_image());
    put_text(&o, "containerRuntimeVersion", xstrdup(RUNTIME_VERSION));
    put_text(&o, "kubeletVersion", xstrdup(KUBELET_VERSION));
    put_text(&o, "kubeProxyVersion", xstrdup(KUBELET_VERSION));
    put_text(&o, "operatingSystem", xstrdup("linux"));
    put_text(&o, "architecture", xstrdup(architecture(u.machine)));
    return o;
}

static void add_condition(struct json **list, const char *type, bool on, const char *reason, const char *message) {
    struct json *o = json_object();
    char now[TIMESTAMP_SIZE];

    timestamp_format(now_realtime_usec(), now);
    json_set(&o, "type", json_string(type));
    json_set(&o, "status", json_string(on ? "True" : "False"));
    json_set(&o, "lastHeartbeatTime", json_string(now));
    json_set(&o, "lastTransitionTime", json_string(now)); /* the recorder keeps the old one while status is the same */
    json_set(&o, "reason", json_string(reason));
    json_set(&o, "message", json_string(message));
    json_append(list, o);
}

static struct json *conditions(const struct agent *agent) {
    unsigned pressure = eviction_conditions(agent->eviction);
    bool memory_short = pressure & (1u << EVICTION_MEMORY_PRESSURE),
         pid_short = pressure & (1u << EVICTION_PID_PRESSURE);
    bool disk_short = pressure & (1u << EVICTION_DISK_PRESSURE);
    bool network = agent->no_network || agent->network;
    struct json *list = json_array();

    add_condition(&list, "MemoryPressure", memory_short,
                  memory_short ? "KubeletHasInsufficientMemory" : "KubeletHasSufficientMemory",
                  memory_short ? "kubelet has insufficient memory available"
                               : "kubelet has sufficient memory available");
    add_condition(&list, "DiskPressure", disk_short, disk_short ? "KubeletHasDiskPressure" : "KubeletHasNoDiskPressure",
                  disk_short ? "kubelet has disk pressure" : "kubelet has no disk pressure");
    add_condition(&list, "PIDPressure", pid_short, pid_short ? "KubeletHasInsufficientPID" : "KubeletHasSufficientPID",
                  pid_short ? "kubelet has insufficient PID available" : "kubelet has sufficient PID available");
    add_condition(&list, "Ready", network, network ? "KubeletReady" : "KubeletNotReady",
                  network ? "podium agent is posting ready status" : "the node has no pod network range yet");
    if (agent->controllers_missing) {
        _cleanup_free_ char *names = cgroup_controllers_text(agent->controllers_missing);
        _cleanup_free_ char *message =
            xasprintf("limits that need these cgroup controllers are not enforced: %s", names);
        add_condition(&list, CONDITION_CONTROLLERS, true, "ControllersMissing", message);
    }
    return list;
}

static struct json *addresses(const struct agent *agent) {
    struct json *list = json_array(), *ip = json_object(), *name = json_object();

    json_set(&ip, "type", json_string("InternalIP"));
    json_set(&ip, "address", json_string(agent->node_address));
    json_set(&name, "type", json_string("Hostname"));
    json_set(&name, "address", json_string(agent->node_name));
    if (agent->node_address[0])
        json_append(&list, ip);
    else
        json_unref(ip);
    json_append(&list, name);
    return list;
}

static int larger_first(const void *a, const void *b) {
    const struct image *x = a, *y = b;
    return x->size_bytes != y->size_bytes ? (x->size_bytes > y->size_bytes ? -1 : 1) : 0;
}

/* The largest, under every name: the scheduler counts on finding those it would be costly to fetch. */
static struct json *images(const struct agent *agent) {
    _cleanup_(image_list_finish) struct image_list all = {0};
    struct json *list = json_array();

    if (image_list(agent->images, &all, NULL) < 0)
        return list;
    qsort(all.items, all.n, sizeof(*all.items), larger_first);
    for (size_t i = 0; i < all.n && i < IMAGES_MAX; i++) {
        struct json *o = json_object(), *names = json_array();
        for (char **d = all.items[i].repo_digests; d && *d; d++)
            json_append(&names, json_string(*d));
        for (char **n = all.items[i].names; n && *n; n++)
            json_append(&names, json_string(*n));
        json_set(&o, "names", names);
        json_set(&o, "sizeBytes", json_int((int64_t) all.items[i].size_bytes));
        json_append(&list, o);
    }
    return list;
}

struct json *agent_node_status(struct agent *agent) {
    struct statvfs disk = {0};
    struct json *o = json_object();

    bool known = statvfs(agent->state_dir, &disk) == 0 && disk.f_blocks > 0;
    uint64_t bytes = known ? (uint64_t) disk.f_blocks * disk.f_frsize : 0;
    json_set(&o, "capacity", resources(agent, 0, bytes));
    json_set(&o, "allocatable",
             resources(agent, reserved(agent, EVICTION_MEMORY, agent->memory),
                       bytes - (uint64_t) reserved(agent, EVICTION_NODEFS, (int64_t) bytes)));
    json_set(&o, "conditions", conditions(agent));
    json_set(&o, "addresses", addresses(agent));
    json_set(&o, "nodeInfo", node_info());
    json_set(&o, "images", images(agent));
    json_set_path(&o, json_int(0), "daemonEndpoints", "kubeletEndpoint", "Port");
    return o;
}
