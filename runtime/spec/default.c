/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration that `baton spec` prints, and the default paths hidden from containers. */
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
