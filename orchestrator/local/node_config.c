/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/local/node_config.h"

#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/capability.h"

/* A node boots a systemd that runs containers: it gets what root here has, without
 * what it must not do to the host even though root could: load modules, set the clock, raw I/O,
 * load another kernel (kexec; systemd powers a container off without this capability by just ending), change the host's
 * mandatory access control, empty its kernel log. */
static const char *const capabilities_denied[] = {
    "CAP_SYS_MODULE",    "CAP_SYS_RAWIO", "CAP_SYS_TIME",     "CAP_WAKE_ALARM", "CAP_SYS_BOOT",
    "CAP_BLOCK_SUSPEND", "CAP_MAC_ADMIN", "CAP_MAC_OVERRIDE", "CAP_SYSLOG",
};

static bool is_denied(const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(capabilities_denied); i++)
        if (strcmp(name, capabilities_denied[i]) == 0)
            return true;
    return false;
}

static struct json *strings(const char *const *v) {
    struct json *a = json_array();

    for (; *v; v++)
        json_append(&a, json_string(*v));
    return a;
}
#define STRINGS(...) strings((const char *const[]){__VA_ARGS__, NULL})

static struct json *capability_sets(uint64_t allowed) {
    struct json *names = json_array(), *sets = json_object();

    for (unsigned i = 0; capability_name(i); i++)
        if (allowed & (UINT64_C(1) << i) && !is_denied(capability_name(i)))
            json_append(&names, json_string(capability_name(i)));
    json_set(&sets, "bounding", json_ref(names));
    json_set(&sets, "effective", json_ref(names));
    json_set(&sets, "permitted", names);
    return sets;
}

static struct json *process(const struct node_config_inputs *in) {
    struct json *p = json_object();

    json_set_path(&p, json_int(0), "user", "uid");
    json_set_path(&p, json_int(0), "user", "gid");
    json_set(&p, "args", STRINGS(in->init, "--unit=podium-node.target", "--log-target=journal", "--show-status=no"));
    /* systemd's container interface: "container" makes it leave hardware alone */
    json_set(&p, "env",
             STRINGS("container=podium", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                     "TERM=dumb", "LANG=C.UTF-8"));
    json_set(&p, "cwd", json_string("/"));
    json_set(&p, "capabilities", capability_sets(in->capabilities));
    return p;
}

static void add_mount(struct json **mounts, const char *destination, const char *type, const char *source,
                      struct json *options) {
    struct json *m = json_object();

    json_set(&m, "destination", json_string(destination));
    json_set(&m, "type", json_string(type));
    json_set(&m, "source", json_string(source));
    json_set(&m, "options", options);
    json_append(mounts, m);
}

static struct json *mounts(const struct node_config_inputs *in) {
    _cleanup_free_ char *state = local_node_path(in->cluster, in->node, "state");
    _cleanup_free_ char *run = local_node_path(in->cluster, in->node, "run");
    struct json *m = json_array();

    add_mount(&m, "/proc", "proc", "proc", STRINGS("nosuid", "noexec", "nodev"));
    add_mount(&m, "/dev", "tmpfs", "tmpfs", STRINGS("nosuid", "strictatime", "mode=755", "size=65536k"));
    add_mount(&m, "/dev/pts", "devpts", "devpts",
              STRINGS("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"));
    add_mount(&m, "/dev/shm", "tmpfs", "shm", STRINGS("nosuid", "noexec", "nodev", "mode=1777"));
    add_mount(&m, "/dev/mqueue", "mqueue", "mqueue", STRINGS("nosuid", "noexec", "nodev"));
    add_mount(&m, "/sys", "sysfs", "sysfs", STRINGS("nosuid", "noexec", "nodev", "ro"));
    add_mount(&m, "/sys/fs/cgroup", "cgroup", "cgroup", STRINGS("nosuid", "noexec", "nodev", "rw"));
    add_mount(&m, "/run", "tmpfs", "tmpfs", STRINGS("nosuid", "nodev", "mode=755"));
    add_mount(&m, "/run/lock", "tmpfs", "tmpfs", STRINGS("nosuid", "nodev", "noexec", "mode=1777", "size=5m"));
    add_mount(&m, "/tmp", "tmpfs", "tmpfs", STRINGS("nosuid", "nodev", "mode=1777"));
    add_mount(&m, "/var/lib/podium", "bind", state, STRINGS("rbind", "rw"));
    add_mount(&m, NODE_BIN_DIR, "bind", in->bin_dir, STRINGS("bind", "ro", "nosuid"));
    if (in->node->server) {
        add_mount(&m, NODE_HOST_RUN_DIR, "bind", run, STRINGS("bind", "rw", "nosuid", "nodev", "noexec"));
        add_mount(&m, NODE_MANIFESTS_DIR, "bind", in->cluster->manifests,
                  STRINGS("rbind", "ro", "nosuid", "nodev", "noexec"));
    }
    return m;
}

static struct json *linux_part(const struct node_config_inputs *in) {
    static const char *const namespaces[] = {"pid", "mount", "uts", "ipc", "cgroup"};
    struct json *l = json_object(), *net = json_object();

    for (size_t i = 0; i < ARRAY_LEN(namespaces); i++) {
        struct json *ns = json_object();
        json_set(&ns, "type", json_string(namespaces[i]));
        json_append(json_edit(&l, "namespaces"), ns);
    }
    json_set(&net, "type", json_string("network"));
    json_set(&net, "path", json_string(in->netns_path));
    json_append(json_edit(&l, "namespaces"), net);
    json_set(&l, "cgroupsPath", json_stringf("%s/%s", in->cluster->cgroup, in->node->name));
    json_set(&l, "maskedPaths",
             STRINGS("/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/kmsg", "/proc/scsi", "/proc/latency_stats",
                     "/proc/timer_list", "/proc/sched_debug", "/sys/firmware", "/sys/kernel/debug",
                     "/sys/kernel/tracing"));
    /* the host's kernel settings are not the node's to change; those of its own network namespace are */
    json_set(&l, "readonlyPaths",
             STRINGS("/proc/sys/abi", "/proc/sys/debug", "/proc/sys/dev", "/proc/sys/fs", "/proc/sys/kernel",
                     "/proc/sys/user", "/proc/sys/vm", "/proc/sys/crypto", "/proc/sys/fscache", "/proc/sys/sunrpc",
                     "/proc/sys/xen", "/proc/bus", "/proc/irq", "/proc/fs", "/proc/sysrq-trigger", "/proc/mtrr"));
    return l;
}

struct json *node_config_new(const struct node_config_inputs *in) {
    _cleanup_free_ char *upper = local_node_path(in->cluster, in->node, "upper");
    _cleanup_free_ char *work = local_node_path(in->cluster, in->node, "work");
    struct json *config = json_object();

    json_set(&config, "ociVersion", json_string("1.2.0"));
    json_set(&config, "process", process(in));
    json_set_path(&config, json_string("root"), "root", "path");
    json_set(&config, "hostname", json_string(in->node->name));
    json_set(&config, "mounts", mounts(in));
    json_set(&config, "linux", linux_part(in));
    json_set_path(&config, json_string("/"), "annotations", "org.podium.overlay.lower");
    json_set_path(&config, json_string(upper), "annotations", "org.podium.overlay.upper");
    json_set_path(&config, json_string(work), "annotations", "org.podium.overlay.work");
    return config;
}
