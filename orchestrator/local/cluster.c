/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/local/cluster.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/hashmap.h"
#include "podium/base/json.h"
#include "podium/base/path.h"

#define CLUSTER_FILE "cluster.json"

struct local_cluster *local_cluster_new(const char *name, const char *dir) {
    struct local_cluster *c = xnew0(struct local_cluster);

    c->name = xstrdup(name);
    c->dir = dir ? xstrdup(dir) : path_join(LOCAL_CLUSTERS_DIR, name);
    c->lock_fd = -EBADF;
    return c;
}

void local_cluster_free(struct local_cluster *c) {
    if (!c)
        return;
    closep(&c->lock_fd);
    free(c->name);
    free(c->dir);
    free(c->manifests);
    free(c->nodes);
    free(c);
}

/* `podium down` removes the whole folder: one that holds anything else must not become a cluster's. */
static int refuse_foreign_folder(const struct local_cluster *c, struct error *err) {
    _cleanup_free_ char *file = local_path(c, CLUSTER_FILE);
    const struct dirent *e;

    if (access(file, F_OK) == 0)
        return 0;
    DIR *d = opendir(c->dir);
    if (!d)
        return error_set_errno(err, -errno, "cannot open %s", c->dir);
    /* a first start that was cut off leaves at most the temporary file of cluster.json */
    do
        e = readdir(d);
    while (e && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || strstr(e->d_name, CLUSTER_FILE)));
    int r = !e ? 0
               : error_set(err, -ENOTEMPTY, "%s holds other files (%s) and no cluster; choose a new folder with --dir",
                           c->dir, e->d_name);
    (void) closedir(d);
    return r;
}

int local_cluster_lock(struct local_cluster *c, bool make, struct error *err) {
    if (make) {
        int r = mkdir_parents(c->dir, 0755, err);
        if (r == 0)
            r = refuse_foreign_folder(c, err);
        if (r < 0)
            return r;
        if (chmod(c->dir, 0700) < 0)
            return error_set_errno(err, -errno, "cannot protect %s", c->dir);
    }
    _cleanup_close_ int fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, -ENOENT, "there is no cluster \"%s\" (looked in %s); make one with: podium up", c->name,
                         c->dir);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open %s", c->dir);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return error_set(err, -EBUSY, "another podium command works on cluster \"%s\" at the moment", c->name);
    c->lock_fd = steal_fd(&fd);
    return 0;
}

char *local_path(const struct local_cluster *c, const char *rest) {
    return path_join(c->dir, rest);
}

char *local_node_path(const struct local_cluster *c, const struct local_node *n, const char *rest) {
    return xasprintf("%s/nodes/%s%s%s", c->dir, n->name, *rest ? "/" : "", rest);
}

char *local_container_id(const struct local_cluster *c, const struct local_node *n) {
    return xasprintf("%s-%s", c->name, n->name);
}

char *local_cgroup(const struct local_cluster *c) {
    return xasprintf("/podium-local-%s", c->name);
}

struct local_node *local_cluster_node(const struct local_cluster *c, const char *name) {
    for (size_t i = 0; i < c->n_nodes; i++)
        if (strcmp(c->nodes[i].name, name) == 0)
            return &c->nodes[i];
    return NULL;
}

const struct local_node *local_cluster_server(const struct local_cluster *c) {
    for (size_t i = 0; i < c->n_nodes; i++)
        if (c->nodes[i].server)
            return &c->nodes[i];
    return NULL;
}

static void copy_text(char *to, size_t size, const char *from) {
    snprintf(to, size, "%s", from);
}

static void replace_text(char **text, const char *with) {
    free(*text);
    *text = xstrdup(with);
}

int local_cluster_load(struct local_cluster *c, struct error *err) {
    _cleanup_free_ char *path = local_path(c, CLUSTER_FILE);
    _cleanup_json_ struct json *doc = NULL;

    int r = json_parse_file(path, 1u << 20, &doc, err);
    if (r == -ENOENT)
        return error_set(err, -ENOENT, "there is no cluster \"%s\" (looked in %s); make one with: podium up", c->name,
                         c->dir);
    if (r < 0)
        return r;
    const char *name = json_str_or(json_get(doc, "name"), c->name);
    if (strcmp(c->name, LOCAL_CLUSTER_NAME) == 0 && !file_name_is_unsafe(name))
        replace_text(&c->name, name);
    else if (strcmp(c->name, name) != 0)
        return error_set(err, -EINVAL, "%s is the folder of cluster \"%s\", not of \"%s\"", c->dir, name, c->name);
    copy_text(c->bridge, sizeof(c->bridge), json_str_or(json_get(doc, "bridge"), ""));
    copy_text(c->subnet, sizeof(c->subnet), json_str_or(json_get(doc, "subnet"), ""));
    copy_text(c->token, sizeof(c->token), json_str_or(json_get(doc, "token"), ""));
    free(c->manifests);
    c->manifests = xstrdup(json_str_or(json_get(doc, "manifests"), ""));
    const struct json *nodes = json_get(doc, "nodes");
    free(c->nodes);
    c->n_nodes = json_len(nodes);
    c->nodes = xcalloc(c->n_nodes, sizeof(*c->nodes));
    for (size_t i = 0; i < c->n_nodes; i++) {
        const struct json *n = json_at(nodes, i);
        copy_text(c->nodes[i].name, sizeof(c->nodes[i].name), json_str_or(json_get(n, "name"), ""));
        copy_text(c->nodes[i].address, sizeof(c->nodes[i].address), json_str_or(json_get(n, "address"), ""));
        c->nodes[i].server = json_bool_or(json_get(n, "server"), false);
        c->nodes[i].stopped = json_bool_or(json_get(n, "stopped"), false);
        if (file_name_is_unsafe(c->nodes[i].name))
            return error_set(err, -EINVAL, "%s: node %zu has no usable name", path, i);
    }
    return 0;
}

int local_cluster_save(const struct local_cluster *c, struct error *err) {
    _cleanup_free_ char *path = local_path(c, CLUSTER_FILE);
    _cleanup_json_ struct json *doc = json_object();
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    json_set(&doc, "name", json_string(c->name));
    json_set(&doc, "bridge", json_string(c->bridge));
    json_set(&doc, "subnet", json_string(c->subnet));
    json_set(&doc, "token", json_string(c->token));
    json_set(&doc, "manifests", json_string(c->manifests));
    for (size_t i = 0; i < c->n_nodes; i++) {
        struct json *n = json_object();
        json_set(&n, "name", json_string(c->nodes[i].name));
        json_set(&n, "address", json_string(c->nodes[i].address));
        json_set(&n, "server", json_bool(c->nodes[i].server));
        json_set(&n, "stopped", json_bool(c->nodes[i].stopped));
        json_append(json_edit(&doc, "nodes"), n);
    }
    json_write(doc, JSON_WRITE_PRETTY, &text);
    strbuf_addc(&text, '\n');
    return file_write_atomic(path, text.data, text.len, 0600, false, err);
}

/* Marks the third octets of 10.89.x.y that the host has addresses in. */
static int subnets_in_use(bool used[256], struct error *err) {
    struct ifaddrs *all;

    if (getifaddrs(&all) < 0)
        return error_set_errno(err, -errno, "cannot list the host's addresses");
    for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
        if (!a->ifa_addr || a->ifa_addr->sa_family != AF_INET)
            continue;
        uint32_t ip = ntohl(((const struct sockaddr_in *) (const void *) a->ifa_addr)->sin_addr.s_addr);
        if (ip >> 16 == (10u << 8 | 89u))
            used[ip >> 8 & 255] = true;
    }
    freeifaddrs(all);
    return 0;
}

int local_cluster_plan(struct local_cluster *c, unsigned n_nodes, const char *manifests, struct error *err) {
    bool used[256] = {false};
    unsigned subnet = 0;

    if (n_nodes < 1 || n_nodes > LOCAL_NODES_MAX)
        return error_set(err, -EINVAL, "--nodes must be between 1 and %u", LOCAL_NODES_MAX);
    int r = subnets_in_use(used, err);
    if (r < 0)
        return r;
    while (subnet < 256 && used[subnet])
        subnet++;
    if (subnet == 256)
        return error_set(err, -EADDRINUSE, "every subnet of 10.89.0.0/16 is in use on this host");
    snprintf(c->subnet, sizeof(c->subnet), "10.89.%u", subnet);
    if (strlen(c->name) <= sizeof(c->bridge) - 1 - 4)
        snprintf(c->bridge, sizeof(c->bridge), "pdm-%.11s", c->name);
    else
        snprintf(c->bridge, sizeof(c->bridge), "pdm-%08x", (unsigned) fnv1a(c->name, strlen(c->name)));
    pki_join_token_new(c->token);
    free(c->manifests);
    c->manifests = xstrdup(manifests);
    free(c->nodes);
    c->nodes = xcalloc(n_nodes, sizeof(*c->nodes));
    c->n_nodes = n_nodes;
    for (unsigned i = 0; i < n_nodes; i++) {
        snprintf(c->nodes[i].name, sizeof(c->nodes[i].name), "podium-%u", i + 1);
        snprintf(c->nodes[i].address, sizeof(c->nodes[i].address), "%.11s.%u", c->subnet, i + 2);
        c->nodes[i].server = i == 0;
    }
    return 0;
}
