/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/nodes/cluster.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/json.h"
#include "tests/bench/api/objects.h"

#define NODES_MAX 65536u

/* --- what the watches show --- */

static bool type_is(const char *line, const char *type) {
    char found[16];

    return line_member(line, "type", found, sizeof(found)) && strcmp(found, type) == 0;
}

static void on_running_pod(void *userdata, const char *line, size_t n) {
    struct cluster *c = userdata;
    char name[128];

    if (type_is(line, "DELETED")) {
        atomic_fetch_add(&c->not_running, 1);
        return;
    }
    if (!type_is(line, "ADDED"))
        return;
    atomic_fetch_add(&c->running, 1);
    if (line_member(line, "name", name, sizeof(name)) && strncmp(name, SIM_POD_PREFIX, strlen(SIM_POD_PREFIX)) == 0) {
        unsigned long i = strtoul(name + strlen(SIM_POD_PREFIX), NULL, 10);
        if (i < SIM_PODS_MAX)
            atomic_store(&c->seen[i], now_monotonic_usec());
    }
}

static void on_node(void *userdata, const char *line, size_t n) {
    struct cluster *c = userdata;
    const char *ready = strstr(line, "\"reason\":\"KubeletReady\"");
    char name[64];
    unsigned i;

    if (!line_member(line, "name", name, sizeof(name)) || sscanf(name, SIM_NODE_FORMAT, &i) != 1 || i >= NODES_MAX)
        return;
    uint8_t state = type_is(line, "DELETED") ? 0 : ready ? 1 : c->node_state[i] == 1 ? 2 : c->node_state[i];
    if (state == c->node_state[i])
        return;
    if (state == 1)
        atomic_fetch_add(&c->ready, 1);
    else if (c->node_state[i] == 1) {
        atomic_fetch_sub(&c->ready, 1);
        atomic_fetch_add(&c->lost, 1);
    }
    c->node_state[i] = state;
}

static bool watch(struct cluster *c) {
    memset(c->node_state, 0, NODES_MAX);
    atomic_store(&c->ready, 0);
    atomic_store(&c->running, 0);
    atomic_store(&c->not_running, 0);
    c->pods = watcher_start(&c->server.target, "/api/v1/pods?fieldSelector=status.phase%3DRunning", on_running_pod, c);
    c->nodes = watcher_start(&c->server.target, "/api/v1/nodes", on_node, c);
    return c->pods && c->nodes && !watcher_has_ended(c->pods) && !watcher_has_ended(c->nodes);
}

/* --- calls --- */

int cluster_call(struct cluster *c, const char *method, const char *path, const char *body, struct strbuf *answer) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT, request = STRBUF_INIT;

    if (body)
        strbuf_adds(&text, body);
    http_request(method, path, body ? CLUSTER_JSON : "", body ? &text : NULL, &request);
    return request_once(&c->server.target, request.data, request.len, answer);
}

long cluster_count(struct cluster *c, const char *path) {
    _cleanup_free_ char *next = xstrdup(path);
    long n = 0;

    while (next) {
        _cleanup_strbuf_ struct strbuf body = STRBUF_INIT;
        _cleanup_json_ struct json *list = NULL;
        if (cluster_call(c, "GET", next, NULL, &body) != 200 || json_parse(body.data, body.len, NULL, &list, NULL) < 0)
            return -1;
        n += (long) json_len(json_get(list, "items"));
        const char *token = json_str_or(json_path(list, "metadata", "continue"), "");
        free(next);
        next = *token ? xasprintf("%s%climit=500&continue=%s", path, strchr(path, '?') ? '&' : '?', token) : NULL;
    }
    return n;
}

static bool await(const char *what, const atomic_uint *count, unsigned n, bool exactly, double patience) {
    unsigned last = atomic_load(count);
    uint64_t since = now_monotonic_usec();

    for (;;) {
        unsigned now = atomic_load(count);
        if (exactly ? now == n : now >= n)
            return true;
        if (now != last)
            since = now_monotonic_usec();
        last = now;
        if ((double) (now_monotonic_usec() - since) > patience * 1e6) {
            fprintf(stderr, "waited for %u %s, and there were %u\n", n, what, now);
            return false;
        }
        (void) usleep(1000);
    }
}

bool cluster_await(const char *what, const atomic_uint *count, unsigned n, double patience) {
    return await(what, count, n, false, patience);
}

bool cluster_await_exactly(const char *what, const atomic_uint *count, unsigned n, double patience) {
    return await(what, count, n, true, patience);
}

void make_pod(void *userdata, uint64_t i, struct strbuf *out) {
    struct pod_maker *m = userdata;
    uint64_t number = m->first + i, now = now_monotonic_usec();

    if (m->pause) {
        if (m->next > now)
            (void) usleep((useconds_t) (m->next - now));
        m->next = (m->next ? m->next : now) + m->pause;
    }
    strbuf_reset(&m->body);
    strbuf_addf(&m->body,
                "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"" SIM_POD_PREFIX "%" PRIu64
                "\",\"labels\":{\"app\":\"web-%" PRIu64 "\",\"tier\":\"front\"}},\"spec\":{\"containers\":[{\"name\":"
                "\"web\",\"image\":\"registry.example/team/web:1.%" PRIu64
                "\",\"ports\":[{\"containerPort\":8080}],\"env\":[{\"name\":\"MODE\",\"value\":\"production\"}],"
                "\"resources\":{\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"}}}]}}",
                number, number % 50, number % 100);
    http_request("POST", CLUSTER_PODS, CLUSTER_JSON, &m->body, out);
    if (number < SIM_PODS_MAX)
        m->cluster->created[number] = now_monotonic_usec();
}

/* --- life --- */

/* Pods of a namespace wait for its account. */
static bool make_namespace(struct cluster *c) {
    static const char body[] =
        "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"" CLUSTER_NAMESPACE "\"}}";

    if (cluster_call(c, "POST", "/api/v1/namespaces", body, NULL) != 201)
        return false;
    for (int i = 0; i < 2000; i++) {
        if (cluster_call(c, "GET", "/api/v1/namespaces/" CLUSTER_NAMESPACE "/serviceaccounts/default", NULL, NULL) ==
            200)
            return true;
        (void) usleep(5000);
    }
    return false;
}

bool cluster_start(struct cluster *c, const char *program, const char *dir, const char *const *options) {
    *c = (struct cluster){.created = xcalloc(SIM_PODS_MAX, sizeof(uint64_t)),
                          .seen = xcalloc(SIM_PODS_MAX, sizeof(uint64_t)),
                          .node_state = xcalloc(NODES_MAX, 1)};
    if (!server_start_with(&c->server, program, dir, options) || !make_namespace(c))
        return false;
    _cleanup_free_ char *link = server_link(&c->server);
    return sim_start(&c->sim, link) && watch(c);
}

bool cluster_restart_server(struct cluster *c) {
    _cleanup_free_ char *program = xstrdup(c->server.program), *dir = xstrdup(c->server.dir);
    const char *const *options = c->server.options;

    watcher_stop(steal(&c->pods));
    watcher_stop(steal(&c->nodes));
    server_stop(&c->server);
    return server_start_with(&c->server, program, dir, options) && watch(c);
}

void cluster_stop(struct cluster *c) {
    watcher_stop(c->pods);
    watcher_stop(c->nodes);
    sim_stop(&c->sim);
    server_stop(&c->server);
    free(c->created);
    free((void *) c->seen);
    free(c->node_state);
    *c = (struct cluster){0};
}
