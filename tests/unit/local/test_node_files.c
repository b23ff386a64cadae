/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files that turn the host's root into a node's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>

#include "orchestrator/local/node_files.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

struct env {
    char dir[64];
    struct local_cluster *c;
};

static int setup(void **state) {
    struct env *e = xnew0(struct env);

    strcpy(e->dir, "/tmp/podium-nodefiles-XXXXXX");
    assert_non_null(mkdtemp(e->dir));
    e->c = local_cluster_new("t", e->dir);
    e->c->manifests = xstrdup("/m");
    strcpy(e->c->token, "abcdef.0123456789abcdef");
    e->c->n_nodes = 2;
    e->c->nodes = xcalloc(2, sizeof(*e->c->nodes));
    e->c->nodes[0] = (struct local_node){.name = "podium-1", .address = "10.89.0.2", .server = true};
    e->c->nodes[1] = (struct local_node){.name = "podium-2", .address = "10.89.0.3"};
    *state = e;
    return 0;
}

static int teardown(void **state) {
    struct env *e = *state;

    (void) rm_tree(e->dir, NULL);
    local_cluster_free(e->c);
    free(e);
    return 0;
}

/* Skips where the file system or the lack of privilege forbids trusted xattrs. */
static void write_all(struct env *e) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    for (size_t i = 0; i < e->c->n_nodes; i++) {
        int r = node_files_write(e->c, &e->c->nodes[i], &err);
        if (r == -EPERM || r == -EOPNOTSUPP)
            skip();
        if (r < 0)
            fail_msg("%s", error_text(&err, r));
    }
}

static char *at(struct env *e, size_t node, const char *rel) {
    _cleanup_free_ char *path = xasprintf("upper/%s", rel);

    return local_node_path(e->c, &e->c->nodes[node], path);
}

static char *text_of(struct env *e, size_t node, const char *rel) {
    _cleanup_free_ char *path = at(e, node, rel);
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    assert_int_equal(file_read(path, 1u << 20, &text, NULL), 0);
    return xstrdup(strbuf_str(&text));
}

static bool is_masked(struct env *e, size_t node, const char *rel) {
    _cleanup_free_ char *path = at(e, node, rel);
    char target[64] = "";

    return readlink(path, target, sizeof(target) - 1) > 0 && strcmp(target, "/dev/null") == 0;
}

static void what_would_touch_the_host_is_masked(void **state) {
    static const char *const units[] = {"systemd-sysctl.service",
                                        "systemd-modules-load.service",
                                        "systemd-remount-fs.service",
                                        "systemd-udevd.service",
                                        "systemd-udev-trigger.service",
                                        "systemd-binfmt.service",
                                        "systemd-timesyncd.service",
                                        "systemd-random-seed.service",
                                        "systemd-networkd.service",
                                        "kmod-static-nodes.service",
                                        "modprobe@.service",
                                        "swap.target",
                                        "sys-kernel-config.mount",
                                        "timers.target",
                                        "systemd-tmpfiles-setup-dev.service",
                                        "systemd-journald-audit.socket"};
    struct env *e = *state;

    write_all(e);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        _cleanup_free_ char *rel = xasprintf("etc/systemd/system/%s", units[i]);
        if (!is_masked(e, 1, rel))
            fail_msg("%s is not masked", units[i]);
    }
}

static void the_hosts_own_configuration_is_hidden(void **state) {
    static const char *const opaque[] = {"etc/systemd/system", "etc/systemd/system-generators", "etc/podium",
                                         "var/log/journal"};
    struct env *e = *state;

    write_all(e);
    for (size_t i = 0; i < ARRAY_LEN(opaque); i++) {
        _cleanup_free_ char *path = at(e, 1, opaque[i]);
        char value[4] = "";
        assert_int_equal(getxattr(path, "trusted.overlay.opaque", value, sizeof(value)), 1);
        assert_int_equal(value[0], 'y');
    }
    _cleanup_free_ char *fstab = text_of(e, 1, "etc/fstab");
    assert_string_equal(fstab, "");
}

static void generators_of_the_host_do_not_run(void **state) {
    struct env *e = *state;
    _cleanup_closedir_ DIR *d = opendir("/lib/systemd/system-generators");
    const struct dirent *g;

    write_all(e);
    while (d && (g = readdir(d))) {
        if (g->d_name[0] == '.')
            continue;
        _cleanup_free_ char *rel = xasprintf("etc/systemd/system-generators/%s", g->d_name);
        assert_true(is_masked(e, 1, rel));
    }
}

static void only_the_first_node_runs_a_server(void **state) {
    static const char wants[] = "etc/systemd/system/podium-node.target.wants/podium-server.service";
    struct env *e = *state;
    struct stat st;

    write_all(e);
    _cleanup_free_ char *first = at(e, 0, wants), *second = at(e, 1, wants);
    _cleanup_free_ char *agent1 = text_of(e, 0, "etc/podium/agent.env");
    _cleanup_free_ char *agent2 = text_of(e, 1, "etc/podium/agent.env");
    _cleanup_free_ char *token = at(e, 1, "etc/podium/token");
    assert_int_equal(lstat(first, &st), 0);
    assert_int_not_equal(lstat(second, &st), 0);
    assert_non_null(strstr(agent1, "--server unix:"));
    assert_non_null(strstr(agent2, "--server 10.89.0.2:6444 --node-name podium-2 --node-address 10.89.0.3"));
    assert_int_equal(stat(token, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void units_name_programs_inside_the_node(void **state) {
    struct env *e = *state;

    write_all(e);
    _cleanup_free_ char *unit = text_of(e, 1, "etc/systemd/system/podium-agent.service");
    assert_non_null(strstr(unit, "ExecStart=/usr/local/lib/podium/podium agent"));
    assert_null(strstr(unit, "@BINDIR@"));
}

static void writing_again_changes_nothing_of_its_own(void **state) {
    struct env *e = *state;

    write_all(e);
    _cleanup_free_ char *id = text_of(e, 1, "etc/machine-id");
    _cleanup_free_ char *other = text_of(e, 0, "etc/machine-id");
    assert_int_equal(strlen(id), 33);
    assert_string_not_equal(id, other);
    write_all(e);
    _cleanup_free_ char *again = text_of(e, 1, "etc/machine-id");
    assert_string_equal(id, again);
    _cleanup_free_ char *hosts = text_of(e, 1, "etc/hosts");
    assert_non_null(strstr(hosts, "10.89.0.2\tpodium-1\n10.89.0.3\tpodium-2\n"));
}

int main(void) {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_would_touch_the_host_is_masked), T(the_hosts_own_configuration_is_hidden),
        T(generators_of_the_host_do_not_run),   T(only_the_first_node_runs_a_server),
        T(units_name_programs_inside_the_node), T(writing_again_changes_nothing_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
