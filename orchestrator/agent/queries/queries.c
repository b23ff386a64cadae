/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the node answers to nodes/proxy: the paths of a kubelet's port that people and tools read. */
#include <dirent.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "orchestrator/agent/images/pulls.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/agent/queries/reports.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"

#define JSON_TYPE    "application/json"
#define TEXT_TYPE    "text/plain; charset=utf-8"
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

static void answer_health(struct agent *agent, struct strbuf *out) {
    strbuf_adds(out, "ok");
}

/* Pods as they are wanted here, with the status told last: a kubelet's PodList. */
static void answer_pods(struct agent *agent, struct strbuf *out) {
    _cleanup_json_ struct json *list = json_object();
    struct json *items = json_array();
    struct hashmap_iter it = {0};

    while (hashmap_next(agent->pods, &it)) {
        const struct agent_pod *pod = it.value;
        if (!pod->desired)
            continue; /* taken up after a restart, not named yet */
        struct json *item = json_ref(pod->desired);
        (void) json_del(&item, "kind");
        (void) json_del(&item, "apiVersion");
        if (pod->status)
            json_set(&item, "status", json_ref(pod->status));
        json_append(&items, item);
    }
    json_set(&list, "kind", json_string("PodList"));
    json_set(&list, "apiVersion", json_string("v1"));
    json_set(&list, "metadata", json_object());
    json_set(&list, "items", items);
    json_write(list, 0, out);
}

static void answer_summary(struct agent *agent, struct strbuf *out) {
    struct node_usage u;

    node_usage_read(agent, &u);
    _cleanup_json_ struct json *summary = summary_make(&u);
    json_write(summary, 0, out);
    node_usage_finish(&u);
}

static void answer_resources(struct agent *agent, struct strbuf *out) {
    struct node_usage u;

    node_usage_read(agent, &u);
    metrics_write_resources(&u, out);
    node_usage_finish(&u);
}

static void answer_containers(struct agent *agent, struct strbuf *out) {
    struct node_usage u;

    node_usage_read(agent, &u);
    metrics_write_containers(&u, out);
    node_usage_finish(&u);
}

static uint64_t open_files(void) {
    DIR *d = opendir("/proc/self/fd");
    uint64_t n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        (void) closedir(d);
    return n > 3 ? n - 3 : 0; /* ".", ".." and this folder's own */
}

static void count(const struct agent *agent, struct agent_counts *ret) {
    _cleanup_strbuf_ struct strbuf statm = STRBUF_INIT;
    struct rusage r = {0};

    *ret = (struct agent_counts){.open_files = open_files()};
    image_pulls_count(agent->pulls, &ret->pulls, &ret->failed_pulls);
    (void) getrusage(RUSAGE_SELF, &r);
    ret->cpu_usec = (uint64_t) (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * USEC_PER_SEC +
                    (uint64_t) (r.ru_utime.tv_usec + r.ru_stime.tv_usec);
    unsigned long long pages = 0;
    if (file_read("/proc/self/statm", 4096, &statm, NULL) == 0 && sscanf(strbuf_str(&statm), "%*u %llu", &pages) == 1)
        ret->resident_bytes = pages * (uint64_t) sysconf(_SC_PAGESIZE);
}

static void answer_metrics(struct agent *agent, struct strbuf *out) {
    struct agent_counts counts;
    struct node_usage u;

    count(agent, &counts);
    node_usage_read(agent, &u);
    metrics_write_agent(&u, &counts, out);
    node_usage_finish(&u);
}

static const struct query {
    const char *path, *type;
    void (*answer)(struct agent *agent, struct strbuf *out);
} queries[] = {
    {"/healthz", TEXT_TYPE, answer_health},
    {"/healthz/ping", TEXT_TYPE, answer_health},
    {"/pods", JSON_TYPE, answer_pods},
    {"/stats/summary", JSON_TYPE, answer_summary},
    {"/metrics", METRICS_TYPE, answer_metrics},
    {"/metrics/resource", METRICS_TYPE, answer_resources},
    {"/metrics/cadvisor", METRICS_TYPE, answer_containers},
};

/* Slashes at the end and the query do not count. */
static const struct query *find_query(const char *path) {
    size_t n = strcspn(path, "?");

    while (n > 1 && path[n - 1] == '/')
        n--;
    for (size_t i = 0; i < ARRAY_LEN(queries); i++)
        if (strlen(queries[i].path) == n && memcmp(queries[i].path, path, n) == 0)
            return &queries[i];
    return NULL;
}

static void respond(struct strbuf *out, const char *status, const char *type, const struct strbuf *body, bool head) {
    strbuf_addf(out, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
                type, body->len);
    if (!head)
        strbuf_add(out, body->data, body->len);
}

void agent_query(struct agent *agent, const char *method, const char *path, struct strbuf *out) {
    _cleanup_strbuf_ struct strbuf body = STRBUF_INIT;
    const struct query *q = find_query(path);
    bool head = strcmp(method, "HEAD") == 0;

    if (!q) {
        strbuf_adds(&body, "404 page not found\n"); /* as the kubelet says it */
        respond(out, "404 Not Found", TEXT_TYPE, &body, head);
    } else if (!head && strcmp(method, "GET") != 0) {
        strbuf_adds(&body, "405: Method Not Allowed");
        respond(out, "405 Method Not Allowed", TEXT_TYPE, &body, head);
    } else {
        q->answer(agent, &body);
        respond(out, "200 OK", q->type, &body, head);
    }
}
