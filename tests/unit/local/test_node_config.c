/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What protects the host from a node: exactly this, nothing less. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/local/node_config.h"
#include "podium/base/alloc.h"
#include "podium/base/capability.h"

static struct local_cluster *cluster(void) {
    struct local_cluster *c = local_cluster_new("t", "/c");

    c->manifests = xstrdup("/m");
    c->n_nodes = 2;
    c->nodes = xcalloc(2, sizeof(*c->nodes));
    c->nodes[0] = (struct local_node){.name = "podium-1", .address = "10.89.0.2", .server = true};
    c->nodes[1] = (struct local_node){.name = "podium-2", .address = "10.89.0.3"};
    return c;
}

static struct json *config(const struct local_cluster *c, size_t node, uint64_t capabilities) {
    const struct node_config_inputs in = {.cluster = c,
                                          .node = &c->nodes[node],
                                          .bin_dir = "/bin-dir",
                                          .init = "/lib/systemd/systemd",
                                          .netns_path = "/proc/1/fd/9",
                                          .capabilities = capabilities};

    return node_config_new(&in);
}

static bool has(const struct json *list, const char *text) {
    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str_or(json_at(list, i), ""), text) == 0)
            return true;
    return false;
}

static const struct json *mount_at(const struct json *c, const char *destination) {
    const struct json *mounts = json_get(c, "mounts");

    for (size_t i = 0; i < json_len(mounts); i++)
        if (strcmp(json_str(json_get(json_at(mounts, i), "destination")), destination) == 0)
            return json_at(mounts, i);
    return NULL;
}

static void dangerous_capabilities_are_never_given(void **state) {
    static const char *const denied[] = {"CAP_SYS_MODULE", "CAP_SYS_RAWIO",    "CAP_SYS_TIME",
                                         "CAP_WAKE_ALARM", "CAP_SYS_BOOT",     "CAP_BLOCK_SUSPEND",
                                         "CAP_MAC_ADMIN",  "CAP_MAC_OVERRIDE", "CAP_SYSLOG"};
    static const char *const sets[] = {"bounding", "effective", "permitted"};
    _cleanup_(local_cluster_freep) struct local_cluster *c = cluster();
    _cleanup_json_ struct json *doc = config(c, 0, UINT64_MAX);
    const struct json *caps = json_path(doc, "process", "capabilities");

    for (size_t s = 0; s < ARRAY_LEN(sets); s++) {
        for (size_t i = 0; i < ARRAY_LEN(denied); i++)
            assert_false(has(json_get(caps, sets[s]), denied[i]));
        assert_true(has(json_get(caps, sets[s]), "CAP_SYS_ADMIN")); /* systemd mounts */
        assert_true(has(json_get(caps, sets[s]), "CAP_NET_ADMIN"));
    }
    assert_int_equal(json_len(caps), 3); /* neither ambient nor inheritable */
}

static void no_more_capabilities_than_root_has_here(void **state) {
    _cleanup_(local_cluster_freep) struct local_cluster *c = cluster();
    _cleanup_json_ struct json *doc = config(c, 0, 1u << 0 | 1u << 16 /* CAP_SYS_MODULE */);
    const struct json *caps = json_path(doc, "process", "capabilities", "bounding");

    assert_int_equal(json_len(caps), 1);
    assert_true(has(caps, "CAP_CHOWN"));
}

static void the_hosts_kernel_settings_are_read_only(void **state) {
    static const char *const read_only[] = {
        "/proc/sys/abi",     "/proc/sys/debug",     "/proc/sys/dev", "/proc/sys/fs",
        "/proc/sys/kernel",  "/proc/sys/user",      "/proc/sys/vm",  "/proc/sys/crypto",
        "/proc/sys/fscache", "/proc/sys/sunrpc",    "/proc/sys/xen", "/proc/bus",
        "/proc/irq",         "/proc/sysrq-trigger", "/proc/fs",      "/proc/mtrr"};
    static const char *const masked[] = {"/proc/kcore",       "/proc/kmsg",          "/proc/keys",      "/sys/firmware",
                                         "/sys/kernel/debug", "/sys/kernel/tracing", "/proc/timer_list"};
    _cleanup_(local_cluster_freep) struct local_cluster *c = cluster();
    _cleanup_json_ struct json *doc = config(c, 1, 0);

    for (size_t i = 0; i < ARRAY_LEN(read_only); i++)
        assert_true(has(json_path(doc, "linux", "readonlyPaths"), read_only[i]));
    for (size_t i = 0; i < ARRAY_LEN(masked); i++)
        assert_true(has(json_path(doc, "linux", "maskedPaths"), masked[i]));
    assert_false(has(json_path(doc, "linux", "readonlyPaths"), "/proc/sys/net")); /* of its own namespace */
    assert_true(has(json_get(mount_at(doc, "/sys"), "options"), "ro"));
    assert_true(has(json_get(mount_at(doc, NODE_BIN_DIR), "options"), "ro"));
    assert_true(
        has(json_get(mount_at(doc, NODE_MANIFESTS_DIR) ? mount_at(doc, NODE_MANIFESTS_DIR) : mount_at(doc, "/sys"),
                     "options"),
            "ro"));
}

static void a_node_has_namespaces_of_its_own(void **state) {
    static const char *const wanted[] = {"pid", "mount", "uts", "ipc", "cgroup", "network"};
    _cleanup_(local_cluster_freep) struct local_cluster *c = cluster();
    _cleanup_json_ struct json *doc = config(c, 1, 0);
    const struct json *ns = json_path(doc, "linux", "namespaces");

    assert_int_equal(json_len(ns), ARRAY_LEN(wanted));
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        assert_string_equal(json_str(json_get(json_at(ns, i), "type")), wanted[i]);
    assert_string_equal(json_str(json_get(json_at(ns, 5), "path")), "/proc/1/fd/9");
    assert_string_equal(json_str(json_path(doc, "linux", "cgroupsPath")), "/podium-local-t/podium-2");
}

static void the_root_is_an_overlay_that_writes_into_the_clusters_folder(void **state) {
    _cleanup_(local_cluster_freep) struct local_cluster *c = cluster();
    _cleanup_json_ struct json *doc = config(c, 1, 0);
    const struct json *a = json_get(doc, "annotations");

    assert_string_equal(json_str(json_get(a, "org.podium.overlay.lower")), "/");
    assert_string_equal(json_str(json_get(a, "org.podium.overlay.upper")), "/c/nodes/podium-2/upper");
    assert_string_equal(json_str(json_get(a, "org.podium.overlay.work")), "/c/nodes/podium-2/work");
    assert_string_equal(json_str(json_get(mount_at(doc, "/var/lib/podium"), "source")), "/c/nodes/podium-2/state");
}

static void only_the_server_sees_the_hosts_manifests(void **state) {
    _cleanup_(local_cluster_freep) struct local_cluster *c = cluster();
    _cleanup_json_ struct json *server = config(c, 0, 0), *other = config(c, 1, 0);

    assert_string_equal(json_str(json_get(mount_at(server, NODE_MANIFESTS_DIR), "source")), "/m");
    assert_true(has(json_get(mount_at(server, NODE_MANIFESTS_DIR), "options"), "ro"));
    assert_null(mount_at(other, NODE_MANIFESTS_DIR));
    assert_null(mount_at(other, NODE_HOST_RUN_DIR));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dangerous_capabilities_are_never_given),
        cmocka_unit_test(no_more_capabilities_than_root_has_here),
        cmocka_unit_test(the_hosts_kernel_settings_are_read_only),
        cmocka_unit_test(a_node_has_namespaces_of_its_own),
        cmocka_unit_test(the_root_is_an_overlay_that_writes_into_the_clusters_folder),
        cmocka_unit_test(only_the_server_sees_the_hosts_manifests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
