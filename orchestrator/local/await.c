/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/local/await.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>

#include "orchestrator/client/http_client.h"
#include "orchestrator/client/informer.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"

#define SOCKET_NAME     "api.sock"
#define LEASE_NAMESPACE "kube-node-lease"

struct waiter {
    const struct local_cluster *cluster;
    sd_event *loop;
    sd_event_source *run_dir;
    int run_dir_fd; /* sockets are reached through it: their paths may be longer than sun_path */
    struct client *client;
    struct informer *nodes, *leases;
    uint64_t since_usec;   /* real time: a Lease renewed before is of an earlier life */
    struct hashmap *ready; /* names already told */
    void (*progress)(void *userdata, const char *what);
    void *userdata;
    struct error *err;
};

static bool node_is_ready(const struct json *node) {
    const struct json *conditions = json_path(node, "status", "conditions");

    for (size_t i = 0; i < json_len(conditions); i++) {
        const struct json *c = json_at(conditions, i);
        if (strcmp(json_str_or(json_get(c, "type"), ""), "Ready") == 0)
            return strcmp(json_str_or(json_get(c, "status"), ""), "True") == 0;
    }
    return false;
}

static size_t wanted(const struct local_cluster *c) {
    size_t n = 0;

    for (size_t i = 0; i < c->n_nodes; i++)
        n += !c->nodes[i].stopped;
    return n;
}

static bool is_alive(const struct waiter *w, const char *name) {
    const struct json *lease = informer_get(w->leases, LEASE_NAMESPACE, name);
    uint64_t renewed = 0;

    return w->since_usec == 0 ||
           (timestamp_parse(json_str_or(json_path(lease, "spec", "renewTime"), ""), &renewed) == 0 &&
            renewed >= w->since_usec);
}

static void consider(struct waiter *w, const char *name) {
    const struct json *node = informer_get(w->nodes, "", name);
    const struct local_node *n = local_cluster_node(w->cluster, name);

    if (!node || !n || n->stopped || !node_is_ready(node) || hashmap_has(w->ready, name) || !is_alive(w, name))
        return;
    hashmap_put(w->ready, name, NULL);
    w->progress(w->userdata, name);
    if (hashmap_len(w->ready) >= wanted(w->cluster))
        sd_event_exit(w->loop, 0);
}

static void on_object(void *userdata, struct json *old, struct json *object) {
    consider(userdata, json_str_or(json_path(object, "metadata", "name"), ""));
}

static int connect_api(struct waiter *w) {
    _cleanup_free_ char *path = xasprintf("/proc/self/fd/%d/" SOCKET_NAME, w->run_dir_fd);
    const struct http_client_options options = {.server = "http://podium", .unix_socket = path};
    const struct informer_options nodes = {.resource = resource_by_plural("", "v1", "nodes")};
    const struct informer_options leases = {.resource = resource_by_plural("coordination.k8s.io", "v1", "leases"),
                                            .ns = LEASE_NAMESPACE};
    const struct informer_handlers handlers = {.changed = on_object, .userdata = w};

    if (w->client)
        return 0;
    int r = http_client_new(w->loop, &options, &w->client, w->err);
    if (r < 0)
        return r;
    w->progress(w->userdata, "API");
    w->nodes = informer_new(w->loop, w->client, &nodes);
    w->leases = informer_new(w->loop, w->client, &leases);
    informer_add_handlers(w->nodes, &handlers);
    informer_add_handlers(w->leases, &handlers);
    return 0;
}

static int on_run_dir(sd_event_source *s, const struct inotify_event *e, void *userdata) {
    struct waiter *w = userdata;

    if (e->len && strcmp(e->name, SOCKET_NAME) == 0) {
        int r = connect_api(w);
        if (r < 0)
            sd_event_exit(w->loop, r);
    }
    return 0;
}

static int on_node_ended(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
    struct waiter *w = userdata;

    sd_event_exit(w->loop, error_set(w->err, -EPIPE,
                                     "a node ended while it was booting; see console.log in its folder "
                                     "under %s/nodes",
                                     w->cluster->dir));
    return 0;
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *userdata) {
    struct waiter *w = userdata;
    _cleanup_strbuf_ struct strbuf late = STRBUF_INIT;

    for (size_t i = 0; i < w->cluster->n_nodes; i++)
        if (!w->cluster->nodes[i].stopped && !hashmap_has(w->ready, w->cluster->nodes[i].name))
            strbuf_addf(&late, " %s", w->cluster->nodes[i].name);
    sd_event_exit(w->loop, w->client ? error_set(w->err, -ETIMEDOUT, "not ready in time:%s", strbuf_str(&late))
                                     : error_set(w->err, -ETIMEDOUT, "the API did not come up in time"));
    return 0;
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
    struct waiter *w = userdata;

    sd_event_exit(w->loop, error_set(w->err, -EINTR, "interrupted"));
    return 0;
}

static int watch_nodes_alive(struct waiter *w, const struct local_tools *t) {
    for (size_t i = 0; i < w->cluster->n_nodes; i++) {
        const struct local_node *n = &w->cluster->nodes[i];
        sd_event_source *s = NULL;
        if (n->stopped)
            continue;
        int fd = local_node_pidfd(w->cluster, n, t);
        if (fd < 0)
            return error_set(w->err, -EPIPE, "node %s does not run", n->name);
        int r = sd_event_add_io(w->loop, &s, fd, EPOLLIN, on_node_ended, w);
        if (r < 0) {
            (void) close(fd);
            return error_set_errno(w->err, r, "cannot watch node %s", n->name);
        }
        (void) sd_event_source_set_io_fd_own(s, 1);
        (void) sd_event_source_set_floating(s, 1);
        sd_event_source_unref(s);
    }
    return 0;
}

static int run(struct waiter *w, const struct local_tools *t, uint64_t timeout_usec) {
    _cleanup_free_ char *dir = local_node_path(w->cluster, local_cluster_server(w->cluster), "run");

    w->run_dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (w->run_dir_fd < 0)
        return error_set_errno(w->err, -errno, "cannot open %s", dir);
    int r = watch_nodes_alive(w, t);
    if (r < 0)
        return r;
    /* held: a loop whose inotify source floats is never freed by systemd 252 */
    r = sd_event_add_inotify(w->loop, &w->run_dir, dir, IN_CREATE | IN_MOVED_TO, on_run_dir, w);
    if (r < 0)
        return error_set_errno(w->err, r, "cannot watch %s", dir);
    r = sd_event_add_time_relative(w->loop, NULL, CLOCK_MONOTONIC, timeout_usec, 0, on_timeout, w);
    if (r < 0)
        return error_set_errno(w->err, r, "cannot set a timer");
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        (void) sd_event_add_signal(w->loop, NULL, signals[i] | SD_EVENT_SIGNAL_PROCMASK, on_signal, w);
    if (wanted(w->cluster) == 0)
        return 0;
    if (faccessat(w->run_dir_fd, SOCKET_NAME, F_OK, 0) == 0 && (r = connect_api(w)) < 0)
        return r;
    return sd_event_loop(w->loop);
}

int local_await_ready(const struct local_cluster *c, const struct local_tools *t, uint64_t since_usec,
                      uint64_t timeout_usec, void (*progress)(void *userdata, const char *what), void *userdata,
                      struct error *err) {
    struct waiter w = {.cluster = c,
                       .run_dir_fd = -EBADF,
                       .since_usec = since_usec,
                       .progress = progress,
                       .userdata = userdata,
                       .err = err};

    int r = sd_event_new(&w.loop);
    if (r < 0)
        return error_set_errno(err, r, "cannot make an event loop");
    w.ready = hashmap_new(NULL);
    r = run(&w, t, timeout_usec);
    informer_free(w.nodes);
    informer_free(w.leases);
    if (w.client)
        client_free(w.client);
    sd_event_source_disable_unref(w.run_dir);
    sd_event_unref(w.loop);
    hashmap_free(w.ready);
    closep(&w.run_dir_fd);
    return r;
}
