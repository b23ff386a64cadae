/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scheduling end to end in one process: pods waiting in a durable store, API server (in-process client), informers,
 * cycle, bindings, until the last one is bound.
 *
 *   sched_e2e_bench FOLDER [NODES=5000] [PODS=10000]
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "orchestrator/apiserver/apiserver.h"
#include "orchestrator/apiserver/local_client.h"
#include "orchestrator/scheduler/scheduler.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/path.h"
#include "tests/bench/record.h"

struct bench {
    sd_event *loop;
    struct client *client, *reader, *scheduler; /* as in the server: each by its own roles */
    unsigned in_flight, failed;
};

static void check(int r, const struct error *err, const char *what) {
    if (r >= 0)
        return;
    fprintf(stderr, "%s: %s\n", what, error_text(err, r));
    exit(1);
}

static struct json *parse(const char *text) {
    struct json *v = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    check(json_parse(text, strlen(text), NULL, &v, &err), &err, text);
    return v;
}

static void created(void *userdata, const struct client_result *result) {
    struct bench *b = userdata;

    b->in_flight--;
    if (!client_ok(result) && b->failed++ == 0)
        fprintf(stderr, "create: %d %s\n", result->code, result->message ? result->message : "");
}

static void create(struct bench *b, const char *plural, const char *ns, const char *text) {
    _cleanup_json_ struct json *body = parse(text);
    const struct client_request r = {
        .verb = CLIENT_CREATE, .resource = resource_by_plural("", "v1", plural), .ns = ns, .body = body};

    while (b->in_flight >= 256)
        (void) sd_event_run(b->loop, UINT64_MAX);
    b->in_flight++;
    (void) client_start(b->client, &r, created, b);
}

static void wait_created(struct bench *b) {
    while (b->in_flight > 0)
        (void) sd_event_run(b->loop, UINT64_MAX);
}

static void fill(struct bench *b, int nodes, int pods) {
    for (int i = 0; i < nodes; i++) {
        _cleanup_free_ char *text =
            xasprintf("{\"metadata\":{\"name\":\"node-%05d\"},\"status\":{\"allocatable\":{\"cpu\":"
                      "\"32\",\"memory\":\"128Gi\",\"pods\":\"110\"}}}",
                      i);
        create(b, "nodes", NULL, text);
    }
    wait_created(b);
    uint64_t start = now_monotonic_usec();
    for (int i = 0; i < pods; i++) {
        /* A node is tainted not-ready until its agent reports: these have none. */
        _cleanup_free_ char *text =
            xasprintf("{\"metadata\":{\"name\":\"pod-%06d\",\"labels\":{\"app\":\"bench\"},\"ownerReferences\":[{"
                      "\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"rs\",\"uid\":\"rs-%d\","
                      "\"controller\":true}]},\"spec\":{\"tolerations\":[{\"operator\":\"Exists\"}],\"containers\":[{"
                      "\"name\":\"c\",\"image\":\"nginx\",\"resources\":"
                      "{\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"}}}]}}",
                      i, i % 20);
        create(b, "pods", "default", text);
    }
    wait_created(b);
    printf("%d pods created in-process: %.0f/s\n", pods,
           pods / ((double) (now_monotonic_usec() - start) / USEC_PER_SEC));
}

/* Microseconds of CPU: of this thread, the loop, or of the whole process. What a busy machine leaves comparable. */
static double cpu_usec(clockid_t clock) {
    struct timespec t;

    (void) clock_gettime(clock, &t);
    return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

int main(int argc, char **argv) {
    int nodes = argc > 2 ? atoi(argv[2]) : 5000, pods = argc > 3 ? atoi(argv[3]) : 10000;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    char *groups[] = {(char *) "system:masters", NULL};
    struct store_options so = {.path = argv[1], .window_events = (unsigned) (pods * 4)};
    struct apiserver *api;
    struct scheduler *scheduler;
    struct store *store;
    struct bench b = {0};

    if (argc < 2)
        return fprintf(stderr, "usage: sched_e2e_bench FOLDER [NODES] [PODS]\n"), 2;
    check(sd_event_default(&b.loop), NULL, "loop");
    check(store_open_lmdb(&so, &store, &err), &err, "store");
    struct apiserver_options ao = {.store = store, .port = -2};
    check(apiserver_new(&ao, &api, &err), &err, "API");
    check(local_client_new(b.loop, api, "system:bench", groups, &b.client, &err), &err, "client");
    check(local_client_new(b.loop, api, "system:kube-controller-manager", NULL, &b.reader, &err), &err, "client");
    check(local_client_new(b.loop, api, "system:kube-scheduler", NULL, &b.scheduler, &err), &err, "client");
    fill(&b, nodes, pods);

    uint64_t start = now_monotonic_usec(), first = 0;
    double loop = cpu_usec(CLOCK_THREAD_CPUTIME_ID), process = cpu_usec(CLOCK_PROCESS_CPUTIME_ID);
    struct informer_set *informers = informer_set_new(b.loop, b.reader);
    check(scheduler_new(b.loop, b.scheduler, informers, NULL, &scheduler, &err), &err, "scheduler");
    while (scheduler_stats(scheduler).scheduled < (uint64_t) pods) {
        (void) sd_event_run(b.loop, UINT64_MAX);
        if (!first && scheduler_stats(scheduler).attempts > 0)
            first = now_monotonic_usec();
    }
    uint64_t end = now_monotonic_usec();
    loop = cpu_usec(CLOCK_THREAD_CPUTIME_ID) - loop;
    process = cpu_usec(CLOCK_PROCESS_CPUTIME_ID) - process;
    _cleanup_free_ char *name = xasprintf("created to bound, %d nodes, in one process", nodes);
    record("sched", name, pods / ((double) (end - first) / USEC_PER_SEC), "1/s", nodes >= 5000 ? ">= 10000" : NULL);
    printf(
        "%d nodes, %d pods bound: %.0f pods/s (informers in sync after %.0f ms; %.0f us of CPU a pod, %.0f of it the "
        "loop's)\n",
        nodes, pods, pods / ((double) (end - first) / USEC_PER_SEC), (double) (first - start) / 1000, process / pods,
        loop / pods);
    scheduler_free(scheduler);
    informer_set_free(informers);
    client_free(b.client);
    client_free(b.reader);
    client_free(b.scheduler);
    apiserver_free(api);
    store_close(store);
    sd_event_unref(b.loop);
    return b.failed > 0;
}
