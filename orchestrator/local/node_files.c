/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/local/node_files.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "orchestrator/local/node_config.h"
#include "orchestrator/local/unit_files.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "podium/base/random.h"

/* Units of the distribution that would touch the host's kernel, hardware or clock, or wait for them. */
static const char *const masked_units[] = {
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "e2scrub_reap.service",
    "ldconfig.service",
    "kmod-static-nodes.service",
    "modprobe@.service",
    "proc-sys-fs-binfmt_misc.automount",
    "swap.target",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
    "systemd-initctl.socket",
    "systemd-journald-audit.socket",
    "systemd-machine-id-commit.service",
    "systemd-modules-load.service",
    "systemd-networkd.service",
    "systemd-pcrphase-sysinit.service",
    "systemd-pcrphase.service",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-remount-fs.service",
    "systemd-repart.service",
    "systemd-resolved.service",
    "systemd-sysctl.service",
    "systemd-sysusers.service",
    "systemd-timesyncd.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-udev-trigger.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udevd.service",
    "systemd-update-done.service",
    "systemd-update-utmp.service",
    "timers.target",
};

struct upper {
    const char *path;
    struct error *err;
};

static int make_dir(const struct upper *u, const char *rel) {
    _cleanup_free_ char *path = path_join(u->path, rel);

    return mkdir_parents(path, 0755, u->err);
}

static int write_file(const struct upper *u, const char *rel, mode_t mode, const char *text) {
    _cleanup_free_ char *path = path_join(u->path, rel);
    _cleanup_free_ char *dir = xstrndup(path, (size_t) (strrchr(path, '/') - path));

    int r = mkdir_parents(dir, 0755, u->err);
    if (r < 0)
        return r;
    return file_write_atomic(path, text, strlen(text), mode, false, u->err);
}

static int make_link(const struct upper *u, const char *target, const char *rel) {
    _cleanup_free_ char *path = path_join(u->path, rel);

    if (symlink(target, path) < 0 && errno != EEXIST)
        return error_set_errno(u->err, -errno, "cannot make link %s", path);
    return 0;
}

/* Hides whatever the lower layer (the host's root) has in the folder. */
static int make_opaque_dir(const struct upper *u, const char *rel) {
    _cleanup_free_ char *path = path_join(u->path, rel);

    int r = mkdir_parents(path, 0755, u->err);
    if (r < 0)
        return r;
    if (setxattr(path, "trusted.overlay.opaque", "y", 1, 0) < 0)
        return error_set_errno(u->err, -errno, "cannot mark %s as opaque (does its file system have trusted xattrs?)",
                               path);
    return 0;
}

static char *replace_bindir(const char *text) {
    static const char mark[] = "@BINDIR@";
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    const char *at;

    while ((at = strstr(text, mark))) {
        strbuf_add(&out, text, (size_t) (at - text));
        strbuf_adds(&out, NODE_BIN_DIR);
        text = at + sizeof(mark) - 1;
    }
    strbuf_adds(&out, text);
    return strbuf_steal(&out);
}

static int write_units(const struct upper *u, const struct local_node *n) {
    int r = make_opaque_dir(u, "etc/systemd/system");

    if (r == 0)
        r = make_dir(u, "etc/systemd/system/podium-node.target.wants");
    for (size_t i = 0; i < unit_files_n && r == 0; i++) {
        _cleanup_free_ char *rel = xasprintf("etc/systemd/system/%s", unit_files[i].name);
        _cleanup_free_ char *text = replace_bindir(unit_files[i].text);
        r = write_file(u, rel, 0644, text);
    }
    if (r == 0)
        r = write_file(u, "etc/dbus-1/system.d/org.podium.Node1.conf", 0644, bus_policy);
    for (size_t i = 0; i < ARRAY_LEN(masked_units) && r == 0; i++) {
        _cleanup_free_ char *rel = xasprintf("etc/systemd/system/%s", masked_units[i]);
        r = make_link(u, "/dev/null", rel);
    }
    if (r == 0)
        r = make_link(u, "../podium-agent.service", "etc/systemd/system/podium-node.target.wants/podium-agent.service");
    if (r == 0 && n->server)
        r = make_link(u, "../podium-server.service",
                      "etc/systemd/system/podium-node.target.wants/podium-server.service");
    return r;
}

/* Generators would make units from the host's fstab, terminals, init scripts: none of them is the node's. */
static int mask_generators(const struct upper *u) {
    static const char *const dirs[] = {"/lib/systemd/system-generators", "/usr/local/lib/systemd/system-generators",
                                       "/run/systemd/system-generators"};
    int r = make_opaque_dir(u, "etc/systemd/system-generators");

    for (size_t i = 0; i < ARRAY_LEN(dirs) && r == 0; i++) {
        _cleanup_closedir_ DIR *dir = opendir(dirs[i]);
        struct dirent *e;
        while (dir && r == 0 && (e = readdir(dir))) {
            if (e->d_name[0] == '.')
                continue;
            _cleanup_free_ char *rel = xasprintf("etc/systemd/system-generators/%s", e->d_name);
            r = make_link(u, "/dev/null", rel);
        }
    }
    return r;
}

static int write_identity(const struct upper *u, const struct local_cluster *c, const struct local_node *n) {
    _cleanup_strbuf_ struct strbuf hosts = STRBUF_INIT;
    _cleanup_free_ char *id_path = path_join(u->path, "etc/machine-id");
    _cleanup_free_ char *hostname = xasprintf("%s\n", n->name);
    unsigned char id[16];
    char id_text[34];
    int r = 0;

    if (access(id_path, F_OK) < 0) { /* kept when the node is started again: the journal is sorted by it */
        random_bytes(id, sizeof(id));
        for (size_t i = 0; i < sizeof(id); i++)
            snprintf(id_text + 2 * i, 3, "%02x", id[i]);
        id_text[32] = '\n';
        id_text[33] = 0;
        r = write_file(u, "etc/machine-id", 0444, id_text);
    }
    if (r == 0)
        r = write_file(u, "etc/hostname", 0644, hostname);
    strbuf_adds(&hosts, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for (size_t i = 0; i < c->n_nodes; i++)
        strbuf_addf(&hosts, "%s\t%s\n", c->nodes[i].address, c->nodes[i].name);
    if (r == 0)
        r = write_file(u, "etc/hosts", 0644, strbuf_str(&hosts));
    if (r == 0)
        r = write_file(u, "etc/fstab", 0644, "");
    if (r == 0)
        r = make_opaque_dir(u, "etc/podium");
    if (r == 0)
        r = make_opaque_dir(u, "var/log/journal");
    return r;
}

static int write_options(const struct upper *u, const struct local_cluster *c, const struct local_node *n) {
    const struct local_node *server = local_cluster_server(c);
    int r = 0;

    _cleanup_free_ char *token = xasprintf("%s\n", c->token);
    if ((r = write_file(u, "etc/podium/token", 0600, token)) < 0)
        return r;
    if (n->server) {
        _cleanup_free_ char *text = xasprintf(
            "PODIUM_SERVER_OPTIONS=--data-dir /var/lib/podium/server --advertise-address %s --port %d --link-port %d "
            "--socket " NODE_HOST_RUN_DIR "/api.sock --link-socket " NODE_HOST_RUN_DIR "/link.sock "
            "--manifests " NODE_MANIFESTS_DIR " --cluster-cidr " LOCAL_CLUSTER_CIDR
            " --service-cidr " LOCAL_SERVICE_CIDR " --token-file /etc/podium/token --local-cluster\n",
            n->address, LOCAL_API_PORT, LOCAL_LINK_PORT);
        r = write_file(u, "etc/podium/server.env", 0600, text);
        if (r == 0)
            r = make_dir(u, &NODE_MANIFESTS_DIR[1]);
    }
    if (r == 0) {
        _cleanup_free_ char *where = n->server ? xstrdup("unix:" NODE_HOST_RUN_DIR "/link.sock")
                                               : xasprintf("%s:%d", server->address, LOCAL_LINK_PORT);
        _cleanup_free_ char *text =
            xasprintf("PODIUM_AGENT_OPTIONS=--server %s --node-name %s --node-address %s --token-file "
                      "/etc/podium/token --ca-file /var/lib/podium/agent-ca.crt --baton " NODE_BIN_DIR
                      /* the disk is the host's, and full or not for other reasons */
                      "/baton --eviction-hard memory.available<100Mi\n",
                      where, n->name, n->address);
        r = write_file(u, "etc/podium/agent.env", 0600, text);
    }
    return r;
}

int node_files_write(const struct local_cluster *c, const struct local_node *n, struct error *err) {
    static const char *const dirs[] = {"upper", "work", "bundle/root", "state/server/pki", "run"};
    _cleanup_free_ char *upper_path = local_node_path(c, n, "upper");
    struct upper u = {upper_path, err};
    int r = 0;

    for (size_t i = 0; i < ARRAY_LEN(dirs) && r == 0; i++) {
        _cleanup_free_ char *path = local_node_path(c, n, dirs[i]);
        r = mkdir_parents(path, 0755, err);
    }
    if (r == 0)
        r = make_dir(&u, &NODE_BIN_DIR[1]);
    if (r == 0)
        r = write_identity(&u, c, n);
    if (r == 0)
        r = write_units(&u, n);
    if (r == 0)
        r = mask_generators(&u);
    if (r == 0)
        r = write_options(&u, c, n);
    return r < 0 ? error_prefix(err, r, "node %s", n->name) : 0;
}
