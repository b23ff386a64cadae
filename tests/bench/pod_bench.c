/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From creating a pod to seeing it Running, one after another, as a client on the API socket sees it.
 * usage: pod_bench SOCKET IMAGE COUNT      Prints: p50_ms p99_ms max_ms
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/client/http_client.h"
#include "orchestrator/client/informer.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

struct bench {
    sd_event *loop;
    struct client *client;
    const struct resource *pods;
    const char *image;
    unsigned count, next;
    char name[64];
    uint64_t started;
    double *samples;
};

static void create_next(struct bench *b);

static void on_created(void *userdata, const struct client_result *r) {
    struct bench *b = userdata;

    if (client_ok(r))
        return;
    fprintf(stderr, "pod_bench: %s\n", r->message);
    sd_event_exit(b->loop, -1);
}

static void on_pod(void *userdata, struct json *old, struct json *pod) {
    struct bench *b = userdata;

    if (!pod || strcmp(json_str_or(json_path(pod, "metadata", "name"), ""), b->name) != 0 ||
        strcmp(json_str_or(json_path(pod, "status", "phase"), ""), "Running") != 0)
        return;
    b->name[0] = 0;
    b->samples[b->next++] = (double) (now_monotonic_usec() - b->started) / 1000.0;
    if (b->next == b->count)
        sd_event_exit(b->loop, 0);
    else
        create_next(b);
}

static void create_next(struct bench *b) {
    _cleanup_json_ struct json *pod = json_object();
    struct json *container = json_object();

    snprintf(b->name, sizeof(b->name), "bench-%u", b->next);
    json_set(&pod, "apiVersion", json_string("v1"));
    json_set(&pod, "kind", json_string("Pod"));
    json_set_path(&pod, json_string(b->name), "metadata", "name");
    json_set_path(&pod, json_string("bench"), "metadata", "labels", "app");
    json_set(&container, "name", json_string("c"));
    json_set(&container, "image", json_string(b->image));
    json_set(&container, "imagePullPolicy", json_string("IfNotPresent"));
    json_append(json_edit(json_edit(&pod, "spec"), "containers"), container);
    json_set_path(&pod, json_int(0), "spec", "terminationGracePeriodSeconds");
    const struct client_request r = {.verb = CLIENT_CREATE, .resource = b->pods, .ns = "default", .body = pod};
    b->started = now_monotonic_usec();
    (void) client_start(b->client, &r, on_created, b);
}

static void on_synced(void *userdata) {
    create_next(userdata);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *) a, y = *(const double *) b;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct bench b = {0};

    if (argc != 4) {
        fputs("usage: pod_bench SOCKET IMAGE COUNT\n", stderr);
        return 2;
    }
    b.image = argv[2];
    b.count = (unsigned) strtoul(argv[3], NULL, 10);
    b.samples = xcalloc(b.count + 1, sizeof(double));
    b.pods = resource_by_plural("", "v1", "pods");
    if (b.count == 0 || sd_event_default(&b.loop) < 0)
        return 1;
    const struct http_client_options o = {.server = "http://podium", .unix_socket = argv[1]};
    int r = http_client_new(b.loop, &o, &b.client, &err);
    if (r < 0) {
        fprintf(stderr, "pod_bench: %s\n", error_text(&err, r));
        return 1;
    }
    const struct informer_options io = {.resource = b.pods, .ns = "default"};
    const struct informer_handlers handlers = {.changed = on_pod, .synced = on_synced, .userdata = &b};
    struct informer *informer = informer_new(b.loop, b.client, &io);
    informer_add_handlers(informer, &handlers);
    r = sd_event_loop(b.loop);
    informer_free(informer);
    client_free(b.client);
    sd_event_unref(b.loop);
    if (r == 0) {
        qsort(b.samples, b.count, sizeof(double), by_value);
        printf("%.1f %.1f %.1f\n", b.samples[b.count / 2], b.samples[b.count * 99 / 100], b.samples[b.count - 1]);
    }
    free(b.samples);
    return r < 0;
}
