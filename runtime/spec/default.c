/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration that `baton spec` prints, and the default paths hidden from containers. */
#include <string.h>

#include "podium/base/alloc.h"
#include "runtime/spec/spec.h"

static const char default_config[] =
    "{\"ociVersion\":\"" SPEC_OCI_VERSION "\","
    "\"process\":{\"terminal\":true,\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"sh\"],"
    "\"env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"TERM=xterm\"],\"cwd\":\"/\","
    "\"capabilities\":{},\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":1024,\"soft\":1024}],"
    "\"noNewPrivileges\":true},"
    "\"root\":{\"path\":\"rootfs\",\"readonly\":true},\"hostname\":\"baton\","
    "\"mounts\":["
    "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
    "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
    "\"options\":[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"
    "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
    "\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"]},"
    "{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\",\"source\":\"shm\","
    "\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=65536k\"]},"
    "{\"destination\":\"/dev/mqueue\",\"type\":\"mqueue\",\"source\":\"mqueue\","
    "\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
    "{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\","
    "\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]},"
    "{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\","
    "\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"relatime\",\"ro\"]}],"
    "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},"
    "{\"type\":\"mount\"},{\"type\":\"cgroup\"}]}}";

static struct json *string_array(const char *const *items) {
    struct json *list = json_array();

    for (; *items; items++)
        json_append(&list, json_string(*items));
    return list;
}

/* Files of /proc and /sys that tell of, or act on, the host and are of no use to a container. */
struct json *spec_default_masked_paths(void) {
    static const char *const paths[] = {"/proc/acpi",
                                        "/proc/asound",
                                        "/proc/interrupts",
                                        "/proc/kcore",
                                        "/proc/keys",
                                        "/proc/latency_stats",
                                        "/proc/scsi",
                                        "/proc/sched_debug",
                                        "/proc/timer_list",
                                        "/proc/timer_stats",
                                        "/sys/firmware",
                                        "/sys/devices/virtual/powercap",
                                        NULL};

    return string_array(paths);
}

struct json *spec_default_readonly_paths(void) {
    static const char *const paths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL};

    return string_array(paths);
}

struct json *spec_default_config(void) {
    static const char *const caps[] = {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE", NULL};
    static const char *const sets[] = {"bounding", "effective", "permitted"};
    struct json *config = NULL;

    if (json_parse(default_config, sizeof(default_config) - 1, NULL, &config, NULL) < 0)
        return json_object(); /* the text above is constant: cannot happen */
    for (size_t i = 0; i < ARRAY_LEN(sets); i++)
        json_set_path(&config, string_array(caps), "process", "capabilities", sets[i]);
    json_set_path(&config, spec_default_masked_paths(), "linux", "maskedPaths");
    json_set_path(&config, spec_default_readonly_paths(), "linux", "readonlyPaths");
    return config;
}

static struct json *map_root_to(uint32_t id) {
    struct json *list = json_array(), *m = NULL;

    json_set(&m, "containerID", json_int(0));
    json_set(&m, "hostID", json_int(id));
    json_set(&m, "size", json_int(1));
    json_append(&list, m);
    return list;
}

/* The group of terminals is not mapped, and who does not own a network namespace may only show the host's sysfs. */
static void adapt_mount(struct json **mount) {
    static const char *const bound[] = {"rbind", "nosuid", "noexec", "nodev", "rro", NULL};
    struct json **options = json_edit(mount, "options");

    if (json_get_is(*mount, "type", "sysfs")) {
        json_set(mount, "type", json_string("none"));
        json_set(mount, "source", json_string("/sys"));
        json_set(mount, "options", string_array(bound));
        return;
    }
    for (size_t i = json_len(*options); i-- > 0;)
        if (strncmp(json_str_or(json_at(*options, i), ""), "gid=", 4) == 0)
            json_remove_at(options, i);
    if (json_len(*options) == 0)
        json_del(mount, "options");
}

struct json *spec_rootless_config(uid_t uid, gid_t gid) {
    static const char *const kinds[] = {"pid", "ipc", "uts", "mount", "cgroup", "user"};
    struct json *config = spec_default_config(), *namespaces = json_array();
    struct json **mounts = json_edit(&config, "mounts");

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct json *n = NULL;

        json_set(&n, "type", json_string(kinds[i]));
        json_append(&namespaces, n);
    }
    json_set_path(&config, namespaces, "linux", "namespaces");
    json_set_path(&config, map_root_to(uid), "linux", "uidMappings");
    json_set_path(&config, map_root_to(gid), "linux", "gidMappings");
    for (size_t i = 0; i < json_len(*mounts); i++)
        adapt_mount(json_edit_at(mounts, i));
    return config;
}
