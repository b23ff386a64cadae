/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/services/health.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/base/list.h"
#include "podium/base/log.h"
#include "podium/base/strbuf.h"

#define VISITORS_MAX  64u
#define PATIENCE_USEC (5ull * USEC_PER_SEC) /* for a request to come */
#define REQUEST_MAX   4096

struct service_health {
    sd_event *loop;
    struct service_table *table;
    char *node_name;
    struct hashmap *ports; /* number → struct port */
    struct list visitors;
    size_t n_visitors;
};

struct port {
    struct service_health *health;
    char *namespace, *name;
    sd_event_source *source; /* owns the descriptor */
    bool wanted;
};

struct visitor {
    struct service_health *health;
    struct list list;
    char *namespace, *name;
    sd_event_source *io, *timer; /* io owns the descriptor */
};

/* --- visitors --- */

static void visitor_free(struct visitor *v) {
    list_remove(&v->list);
    v->health->n_visitors--;
    sd_event_source_disable_unref(v->io);
    sd_event_source_disable_unref(v->timer);
    free(v->namespace);
    free(v->name);
    free(v);
}

static size_t local_endpoints(const struct service_health *health, const char *namespace, const char *name) {
    const struct service *service = service_table_get(health->table, namespace, name);
    size_t n = 0;

    for (size_t i = 0; service && i < service->n_backends; i++)
        if (service->backends[i].ready && service->backends[i].node &&
            strcmp(service->backends[i].node, health->node_name) == 0)
            n++;
    return n;
}

static void answer(const struct visitor *v, int fd) {
    size_t n = local_endpoints(v->health, v->namespace, v->name);
    _cleanup_free_ char *body = xasprintf("{\"service\":{\"namespace\":\"%s\",\"name\":\"%s\"},\"localEndpoints\":%zu,"
                                          "\"serviceProxyHealthy\":true}\n",
                                          v->namespace, v->name, n);
    _cleanup_free_ char *text = xasprintf("HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                                          "Connection: close\r\n\r\n%s",
                                          n > 0 ? "200 OK" : "503 Service Unavailable", strlen(body), body);

    (void) send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT); /* fits into an empty socket buffer */
    (void) shutdown(fd, SHUT_WR);
}

/* What is asked for is no matter: any request gets the one answer. */
static int on_request(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    struct visitor *v = userdata;
    char request[REQUEST_MAX];

    if (recv(fd, request, sizeof(request), MSG_DONTWAIT) > 0)
        answer(v, fd);
    visitor_free(v);
    return 0;
}

static int on_impatience(sd_event_source *source, uint64_t usec, void *userdata) {
    visitor_free(userdata);
    return 0;
}

static int on_visitor(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    const struct port *port = userdata;
    struct service_health *health = port->health;
    _cleanup_close_ int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (connection < 0 || health->n_visitors >= VISITORS_MAX)
        return 0;
    struct visitor *v = xnew0(struct visitor);
    v->health = health;
    v->namespace = xstrdup(port->namespace);
    v->name = xstrdup(port->name);
    list_init(&v->list);
    list_append(&health->visitors, &v->list);
    health->n_visitors++;
    if (sd_event_add_io(health->loop, &v->io, connection, EPOLLIN, on_request, v) < 0 ||
        sd_event_source_set_io_fd_own(v->io, 1) < 0) {
        visitor_free(v);
        return 0;
    }
    (void) steal_fd(&connection);
    if (sd_event_add_time_relative(health->loop, &v->timer, CLOCK_MONOTONIC, PATIENCE_USEC, 0, on_impatience, v) < 0)
        visitor_free(v);
    return 0;
}

/* --- ports --- */

static void port_free(void *p) {
    struct port *port = p;

    sd_event_source_disable_unref(port->source);
    free(port->namespace);
    free(port->name);
    free(port);
}

static int listen_on(uint16_t number) {
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(number)};
    int one = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (const struct sockaddr *) &any, sizeof(any)) < 0 || listen(fd, (int) VISITORS_MAX) < 0)
        return -errno;
    return steal_fd(&fd);
}

static void open_port(struct service_health *health, const struct service *service, const char *key) {
    _cleanup_close_ int fd = listen_on(service->health_check_port);

    if (fd < 0) {
        log_warning("service %s/%s: cannot answer health checks on port %u: %s", service->namespace, service->name,
                    service->health_check_port, strerror(-fd));
        return;
    }
    struct port *port = xnew0(struct port);
    port->health = health;
    port->namespace = xstrdup(service->namespace);
    port->name = xstrdup(service->name);
    port->wanted = true;
    if (sd_event_add_io(health->loop, &port->source, fd, EPOLLIN, on_visitor, port) < 0 ||
        sd_event_source_set_io_fd_own(port->source, 1) < 0) {
        port_free(port);
        return;
    }
    (void) steal_fd(&fd);
    hashmap_put(health->ports, key, port);
}

static void want_port(struct service_health *health, const struct service *service) {
    char key[8];

    (void) snprintf(key, sizeof(key), "%u", service->health_check_port);
    struct port *port = hashmap_get(health->ports, key);
    if (!port) {
        open_port(health, service, key);
        return;
    }
    port->wanted = true;
    if (strcmp(port->namespace, service->namespace) == 0 && strcmp(port->name, service->name) == 0)
        return;
    free(port->namespace);
    free(port->name);
    port->namespace = xstrdup(service->namespace);
    port->name = xstrdup(service->name);
}

static void on_settled(void *userdata) {
    struct service_health *health = userdata;
    const struct service *service = NULL;
    struct hashmap_iter it = {0};

    while (hashmap_next(health->ports, &it))
        ((struct port *) it.value)->wanted = false;
    while ((service = service_table_next(health->table, service)))
        if (service->health_check_port && !service->other_proxy)
            want_port(health, service);
    it = (struct hashmap_iter){0};
    while (hashmap_next(health->ports, &it))
        if (!((struct port *) it.value)->wanted)
            (void) hashmap_remove(health->ports, it.key);
}

static void on_changed(void *userdata, const struct service *old, const struct service *service) {
}

struct service_health *service_health_new(sd_event *loop, struct service_table *table, const char *node_name) {
    struct service_health *health = xnew0(struct service_health);
    const struct service_listener listener = {on_changed, on_settled, health};

    health->loop = sd_event_ref(loop);
    health->table = table;
    health->node_name = xstrdup(node_name);
    health->ports = hashmap_new(port_free);
    list_init(&health->visitors);
    service_table_listen(table, &listener);
    return health;
}

void service_health_free(struct service_health *health) {
    struct visitor *v;

    if (!health)
        return;
    list_foreach(v, &health->visitors, list) visitor_free(v);
    hashmap_free(health->ports);
    sd_event_unref(health->loop);
    free(health->node_name);
    free(health);
}
