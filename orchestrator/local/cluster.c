/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/local/cluster.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
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

#define CGROUP_PREFIX "/podium-local-"

struct local_cluster *local_cluster_new(const char *name, const char *dir) {
    struct local_cluster *c = xnew0(struct local_cluster);

    c->name = xstrdup(name);
    c->dir = dir ? xstrdup(dir) : path_join(LOCAL_CLUSTERS_DIR, name);
    c->cgroup = xasprintf(CGROUP_PREFIX "%s", name);
    c->lock_fd = -EBADF;
    c->subnet_fd = -EBADF;
    return c;
}

void local_cluster_free(struct local_cluster *c) {
    if (!c)
        return;
    closep(&c->lock_fd);
    closep(&c->subnet_fd);
    free(c->name);
    free(c->dir);
    free(c->manifests);
    free(c->cgroup);
    free(c->nodes);
    free(c);
}

static bool holds(const struct local_cluster *c, const char *name) {
    _cleanup_free_ char *path = local_path(c, name);

    return access(path, F_OK) == 0;
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
    size_t n = strnlen(from, size - 1);

    memcpy(to, from, n);
    to[n] = 0;
}

static void replace_text(char **text, const char *with) {
    free(*text);
    *text = xstrdup(with);
}

static bool is_ipv4(const char *text) {
    struct in_addr a;

    return inet_pton(AF_INET, text, &a) == 1;
}

static bool name_is_usable(const char *name) {
    return *name && !file_name_is_unsafe(name) && strlen(name) < LOCAL_NODE_NAME_SIZE;
}

/* What is wrong with the document, or NULL; the cluster is filled in. */
static const char *take_document(struct local_cluster *c, const struct json *doc) {
    const struct json *nodes = json_get(doc, "nodes");
    const char *name = json_str_or(json_get(doc, "name"), ""), *bridge = json_str_or(json_get(doc, "bridge"), "");

    if (!name_is_usable(name) || !name_is_usable(bridge) || strlen(bridge) >= sizeof(c->bridge))
        return "no usable name or bridge";
    replace_text(&c->name, name);
    copy_text(c->bridge, sizeof(c->bridge), bridge);
    copy_text(c->subnet, sizeof(c->subnet), json_str_or(json_get(doc, "subnet"), ""));
    copy_text(c->token, sizeof(c->token), json_str_or(json_get(doc, "token"), ""));
    free(c->manifests);
    c->manifests = xstrdup(json_str_or(json_get(doc, "manifests"), ""));
    c->made_manifests = json_bool_or(json_get(doc, "madeManifests"), false);
    free(c->cgroup);
    c->cgroup = json_str(json_get(doc, "cgroup")) ? xstrdup(json_str(json_get(doc, "cgroup")))
                                                  : xasprintf(CGROUP_PREFIX "%s", c->name);
    free(c->nodes);
    c->n_nodes = json_len(nodes);
    c->nodes = xcalloc(c->n_nodes, sizeof(*c->nodes));
    for (size_t i = 0; i < c->n_nodes; i++) {
        const struct json *n = json_at(nodes, i);
        const char *node = json_str_or(json_get(n, "name"), "");
        if (!name_is_usable(node) || !is_ipv4(json_str_or(json_get(n, "address"), "")))
            return "a node has no usable name or address";
        copy_text(c->nodes[i].name, sizeof(c->nodes[i].name), node);
        copy_text(c->nodes[i].address, sizeof(c->nodes[i].address), json_str(json_get(n, "address")));
        c->nodes[i].server = json_bool_or(json_get(n, "server"), false);
        c->nodes[i].stopped = json_bool_or(json_get(n, "stopped"), false);
    }
    if (!local_cluster_server(c))
        return "no node is the server";
    if (*c->cgroup != '/' || strstr(c->cgroup, "..") || !*c->token || !*c->manifests)
        return "cgroup, token or manifests are missing";
    return NULL;
}

int local_cluster_load(struct local_cluster *c, struct error *err) {
    _cleanup_free_ char *path = local_path(c, CLUSTER_FILE);
    _cleanup_json_ struct json *doc = NULL;

    int r = json_parse_file(path, 1u << 20, &doc, err);
    if (r == -ENOENT) {
        if (err)
            error_clear(err);
        return error_set(err, -ENOENT, "there is no cluster \"%s\" (looked in %s); make one with: podium up", c->name,
                         c->dir);
    }
    const char *name = json_str(json_get(doc, "name"));
    if (r == 0 && name && strcmp(c->name, LOCAL_CLUSTER_NAME) != 0 && strcmp(c->name, name) != 0)
        return error_set(err, -EINVAL, "%s is the folder of cluster \"%s\", not of \"%s\"", c->dir, name, c->name);
    const char *wrong = r < 0 ? "it cannot be read" : take_document(c, doc);
    if (!wrong)
        return 0;
    if (err)
        error_clear(err);
    return error_set(err, -EBADMSG, "%s is damaged (%s); remove what is left of the cluster with: podium down --dir %s",
                     path, wrong, c->dir);
}

/* "NAME-NODE", the runtime's id of a container of this node, tells the cluster's name. */
static void name_from_runtime(struct local_cluster *c, const char *node) {
    _cleanup_free_ char *path = local_path(c, "runtime");
    _cleanup_closedir_ DIR *d = opendir(path);
    struct dirent *e;

    while (d && (e = readdir(d))) {
        size_t n = strlen(e->d_name), k = strlen(node);
        if (n <= k + 1 || strcmp(e->d_name + n - k, node) != 0 || e->d_name[n - k - 1] != '-')
            continue;
        free(c->name);
        c->name = xstrndup(e->d_name, n - k - 1);
        return;
    }
}

static void choose_bridge_name(struct local_cluster *c) {
    if (strlen(c->name) <= sizeof(c->bridge) - 1 - 4)
        snprintf(c->bridge, sizeof(c->bridge), "pdm-%.11s", c->name);
    else
        snprintf(c->bridge, sizeof(c->bridge), "pdm-%08x", (unsigned) fnv1a(c->name, strlen(c->name)));
}

int local_cluster_recover(struct local_cluster *c, struct error *err) {
    _cleanup_free_ char *path = local_path(c, "nodes");
    _cleanup_closedir_ DIR *d = opendir(path);
    struct dirent *e;

    free(steal(&c->nodes));
    c->n_nodes = 0;
    if (!d && !holds(c, CLUSTER_FILE))
        return error_set(err, -ENOENT, "there is no cluster \"%s\" (looked in %s); make one with: podium up", c->name,
                         c->dir);
    while (d && (e = readdir(d))) {
        if (e->d_name[0] == '.' || !name_is_usable(e->d_name))
            continue;
        c->nodes = xrealloc(c->nodes, (c->n_nodes + 1) * sizeof(*c->nodes));
        struct local_node *n = &c->nodes[c->n_nodes++];
        *n = (struct local_node){.server = c->n_nodes == 1};
        copy_text(n->name, sizeof(n->name), e->d_name);
        name_from_runtime(c, n->name);
    }
    free(c->cgroup);
    c->cgroup = xasprintf(CGROUP_PREFIX "%s", c->name);
    choose_bridge_name(c);
    c->made_manifests = false;
    return 0;
}

int local_cluster_save(const struct local_cluster *c, struct error *err) {
    _cleanup_free_ char *path = local_path(c, CLUSTER_FILE);
    _cleanup_json_ struct json *doc = json_object();
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    json_set(&doc, "name", json_string(c->name));
    json_set(&doc, "cgroup", json_string(c->cgroup));
    json_set(&doc, "madeManifests", json_bool(c->made_manifests));
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

/* The lock is on a folder of the kernel's, which all clusters of this host see and nobody has to remove. */
static int wait_for_other_plans(struct local_cluster *c, struct error *err) {
    closep(&c->subnet_fd);
    c->subnet_fd = open("/sys/class/net", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->subnet_fd < 0 || flock(c->subnet_fd, LOCK_EX) < 0)
        return error_set_errno(err, -errno, "cannot lock /sys/class/net");
    return 0;
}

void local_cluster_settle(struct local_cluster *c) {
    closep(&c->subnet_fd);
}

int local_cluster_plan(struct local_cluster *c, unsigned n_nodes, const char *manifests, struct error *err) {
    bool used[256] = {false};
    unsigned subnet = 0;

    if (n_nodes < 1 || n_nodes > LOCAL_NODES_MAX)
        return error_set(err, -EINVAL, "--nodes must be between 1 and %u", LOCAL_NODES_MAX);
    int r = wait_for_other_plans(c, err);
    if (r == 0)
        r = subnets_in_use(used, err);
    if (r < 0)
        return r;
    while (subnet < 256 && used[subnet])
        subnet++;
    if (subnet == 256)
        return error_set(err, -EADDRINUSE, "every subnet of 10.89.0.0/16 is in use on this host");
    snprintf(c->subnet, sizeof(c->subnet), "10.89.%u", subnet);
    choose_bridge_name(c);
    if (if_nametoindex(c->bridge) != 0)
        return error_set(err, -EEXIST,
                         "the network bridge %s exists: a cluster \"%s\" lives in another folder; choose another "
                         "--name, or remove what is left of it with: ip link delete %s",
                         c->bridge, c->name, c->bridge);
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
