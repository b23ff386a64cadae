/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `make bench-api`: what one API server does on this machine, over TLS, every write on disk, with the client on the
 * same processors. One table: rate, latency, and the processor time of server and client for one request each; the
 * server's own is what it could do with the machine to itself. usage: api_bench PODIUM FOLDER quick|full [PART...]
 * parts: writes reads lists watches tls crowds memory
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/path.h"
#include "tests/bench/api/crowd.h"
#include "tests/bench/api/fanout.h"
#include "tests/bench/api/objects.h"
#include "tests/bench/api/server.h"
#include "tests/bench/record.h"

#define API        "/api/v1/namespaces/bench"
#define JSON       "Content-Type: application/json\r\n"
#define PROTOBUF   "Accept: application/vnd.kubernetes.protobuf\r\n"
#define GZIP       "Accept-Encoding: gzip\r\n"
#define TABLE      "Accept: application/json;as=Table;v=v1;g=meta.k8s.io\r\n"
#define METADATA   "Accept: application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io\r\n"
#define LIST_PODS  1000u
#define LIST_CONNS 4u

struct bench {
    const char *program, *dir;
    double seconds; /* of each measurement */
    struct server server;
    int missed; /* goals */
};

/* --- the table --- */

static void heading(void) {
    printf("%-44s %9s %8s %8s %10s %10s  %s\n", "", "per s", "p50 ms", "p99 ms", "server µs", "client µs", "goal");
}

static const char *mark(struct bench *b, bool good) {
    b->missed += !good;
    return good ? "✓" : "✗";
}

/* "list 1,000 pods (2.41 MB)" is "list 1,000 pods" in each run. */
static void note(const char *what, const char *more, double value, const char *unit, const char *sign, double goal) {
    char name[128], limit[32];

    int n = (int) strcspn(what, "(");
    while (n > 0 && what[n - 1] == ' ')
        n--;
    (void) snprintf(name, sizeof(name), "%.*s%s", n, what, more);
    (void) snprintf(limit, sizeof(limit), "%s %g", sign, goal);
    record("api", name, value, unit, goal > 0 ? limit : NULL);
}

static void row(struct bench *b, const char *what, const struct load_result *r, double per_second) {
    double n = (double) r->done, rate = n / r->seconds;

    note(what, "", rate, "1/s", ">=", per_second);
    note(what, ", p99", r->p99, "ms", "", 0);
    note(what, ", server's CPU", r->server_cpu / n * 1e6, "µs each", "", 0);
    printf("%-44s %9.0f %8.2f %8.2f %10.1f %10.1f", what, rate, r->p50, r->p99, r->server_cpu / n * 1e6,
           r->client_cpu / n * 1e6);
    if (per_second > 0)
        printf("  %s ≥ %.0f", mark(b, rate >= per_second), per_second);
    printf("\n");
    (void) fflush(stdout);
}

/* --- requests --- */

struct call {
    const char *method, *path, *headers;
    void (*object)(const char *name, uint64_t i, struct strbuf *out);
    const char *name;  /* of objects made or addressed; NULL: the path is all */
    const char *query; /* behind the name; may be NULL */
    uint64_t objects;  /* addressed in turn; 0: each once */
    const char *patch; /* a format with one number */
    struct strbuf body;
};

/* The number goes where the format says so. */
static void add_patch(struct strbuf *out, const char *format, uint64_t i) {
    const char *at = strstr(format, "%u");

    strbuf_add(out, format, (size_t) (at - format));
    strbuf_addf(out, "%" PRIu64 "%s", i, at + 2);
}

static void make_request(void *userdata, uint64_t i, struct strbuf *out) {
    struct call *c = userdata;
    char path[256];
    uint64_t which = c->objects ? i % c->objects : i;

    strbuf_reset(&c->body);
    if (c->object)
        c->object(c->name, which, &c->body);
    else if (c->patch)
        add_patch(&c->body, c->patch, i);
    if (c->name && strcmp(c->method, "POST") != 0)
        (void) snprintf(path, sizeof(path), "%s/%s-%" PRIu64 "%s", c->path, c->name, which, c->query ? c->query : "");
    else
        (void) snprintf(path, sizeof(path), "%s", c->path);
    http_request(c->method, path, c->headers, c->body.len ? &c->body : NULL, out);
}

static bool run_n(struct bench *b, struct call *c, unsigned connections, uint64_t number, struct load_result *ret) {
    struct load l = {.connections = connections,
                     .seconds = number ? 0 : b->seconds,
                     .number = number,
                     .request = make_request,
                     .userdata = c};
    bool ok = load_run(&b->server.target, &l, ret);

    strbuf_finish(&c->body);
    return ok;
}

static bool measure(struct bench *b, const char *what, struct call c, unsigned connections, uint64_t number,
                    double goal) {
    struct load_result r;

    if (!run_n(b, &c, connections, number, &r)) {
        printf("%-44s failed\n", what);
        return false;
    }
    row(b, what, &r, goal);
    return true;
}

static int post(struct bench *b, const char *path, const struct strbuf *body) {
    _cleanup_strbuf_ struct strbuf request = STRBUF_INIT;

    http_request("POST", path, JSON, body, &request);
    return request_once(&b->server.target, request.data, request.len, NULL);
}

static bool start(struct bench *b, const char *name) {
    _cleanup_free_ char *dir = path_join(b->dir, name);
    _cleanup_strbuf_ struct strbuf body = STRBUF_INIT;

    (void) mkdir(dir, 0700);
    if (!server_start(&b->server, b->program, dir))
        return false;
    strbuf_adds(&body, "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"bench\"}}");
    return post(b, "/api/v1/namespaces", &body) == 201;
}

static void stop(struct bench *b) {
    server_stop(&b->server);
}

/* --- parts --- */

static bool writes(struct bench *b) {
    struct call maps = {.method = "POST", .path = API "/configmaps", .headers = JSON, .object = object_config_map};
    struct call pods = {.method = "POST", .path = API "/pods", .headers = JSON, .object = object_pod};
    struct call change = {.path = API "/configmaps", .name = "w64", .objects = 1000};
    struct load_result one;

    maps.name = "w1";
    if (!run_n(b, &maps, 1, 0, &one))
        return false;
    row(b, "create, 1 kB, 1 connection", &one, 0);
    printf("%-44s %9s %8.2f %40s ≤ 0.5 ms\n", "  of it p50", "", one.p50, mark(b, one.p50 <= 0.5));
    maps.name = "w64";
    note("create, 1 kB, 1 connection, p50", "", one.p50, "ms", "<=", 0.5);
    bool ok = measure(b, "create, 1 kB, 64 connections", maps, 64, 0, 16000);
    pods.name = "p64";
    ok = ok && measure(b, "create a pod, 64 connections", pods, 64, 0, 0);
    change.method = "PUT";
    change.headers = JSON;
    change.object = object_config_map;
    ok = ok && measure(b, "update, 32 connections", change, 32, 0, 0);
    change.object = NULL;
    change.method = "PATCH";
    change.patch = "{\"data\":{\"key-0\":\"%u\"}}";
    change.headers = "Content-Type: application/merge-patch+json\r\n";
    ok = ok && measure(b, "merge patch, 32 connections", change, 32, 0, 0);
    change.headers = "Content-Type: application/strategic-merge-patch+json\r\n";
    ok = ok && measure(b, "strategic merge patch, 32 connections", change, 32, 0, 0);
    change.headers = "Content-Type: application/json-patch+json\r\n";
    change.patch = "[{\"op\":\"replace\",\"path\":\"/data/key-0\",\"value\":\"%u\"}]";
    ok = ok && measure(b, "JSON patch, 32 connections", change, 32, 0, 0);
    return ok;
}

/* Apply names its manager behind the object's name. */
static void apply_object(const char *name, uint64_t i, struct strbuf *out) {
    strbuf_addf(out,
                "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s-%" PRIu64
                "\"},\"data\":{\"key-1\":\"%" PRIu64 "\"}}",
                name, i, now_monotonic_usec());
}

static bool applies(struct bench *b) {
    struct call c = {.method = "PATCH",
                     .path = API "/configmaps",
                     .query = "?fieldManager=bench",
                     .headers = "Content-Type: application/apply-patch+yaml\r\n",
                     .name = "applied",
                     .objects = 1000,
                     .object = apply_object};

    return measure(b, "apply, 32 connections", c, 32, 0, 0);
}

static bool deletes(struct bench *b) {
    struct call maps = {.method = "POST", .path = API "/configmaps", .headers = JSON, .object = object_config_map};
    struct call gone = {.method = "DELETE", .path = API "/configmaps", .headers = "", .name = "d"};
    struct load_result made;
    uint64_t n = b->seconds < 1 ? 5000 : 20000;

    maps.name = "d";
    return run_n(b, &maps, 64, n, &made) && measure(b, "delete, 32 connections", gone, 32, n, 0);
}

static bool reads(struct bench *b) {
    struct call maps = {.method = "POST", .path = API "/configmaps", .headers = JSON, .object = object_config_map};
    struct call get = {.method = "GET", .path = API "/configmaps", .headers = "", .name = "g", .objects = 1000};
    struct load_result made;

    maps.name = "g";
    if (!run_n(b, &maps, 64, 1000, &made))
        return false;
    bool ok = measure(b, "get, 1 kB, 1 connection", get, 1, 0, 0);
    ok = measure(b, "get, 1 kB, 32 connections", get, 32, 0, 41000) && ok;
    get.headers = PROTOBUF;
    return measure(b, "get as protobuf, 32 connections", get, 32, 0, 0) && ok;
}

static bool lists(struct bench *b) {
    static const struct {
        const char *what, *query, *headers;
        double goal;
    } forms[] = {
        {"list 1,000 pods", "", "", 600},
        {"list 1,000 pods, gzip", "", GZIP, 600},
        {"list 1,000 pods, from cache (rv=0)", "?resourceVersion=0", "", 0},
        {"list 500 of 1,000 pods", "?limit=500", "", 0},
        {"list 1,000 pods, protobuf", "", PROTOBUF, 600},
        {"list 1,000 pods, protobuf, gzip", "", PROTOBUF GZIP, 600},
        {"list 500 of 1,000 pods, protobuf, gzip", "?limit=500", PROTOBUF GZIP, 0},
        {"list 1,000 pods, by label (20 found)", "?labelSelector=app%3Dweb-7", "", 0},
        {"list 1,000 pods, Table", "", TABLE, 0},
        {"list 1,000 pods, Table, gzip", "", TABLE GZIP, 0},
        {"list 1,000 pods, metadata", "", METADATA, 0},
    };
    static const char ns[] = "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"lists\"}}";
    struct call pods = {
        .method = "POST", .path = "/api/v1/namespaces/lists/pods", .headers = JSON, .object = object_pod, .name = "l"};
    const struct strbuf body = {.data = (char *) ns, .len = sizeof(ns) - 1};
    struct load_result made;
    bool ok = post(b, "/api/v1/namespaces", &body) == 201 && run_n(b, &pods, 64, LIST_PODS, &made);

    for (size_t i = 0; ok && i < sizeof(forms) / sizeof(forms[0]); i++) {
        char path[128];
        struct call c = {.method = "GET", .path = path, .headers = forms[i].headers};
        struct load_result r;
        (void) snprintf(path, sizeof(path), "/api/v1/namespaces/lists/pods%s", forms[i].query);
        ok = run_n(b, &c, LIST_CONNS, 0, &r);
        if (!ok)
            break;
        char what[96];
        (void) snprintf(what, sizeof(what), "%s (%.2f MB)", forms[i].what, (double) r.bytes / (double) r.done / 1e6);
        row(b, what, &r, forms[i].goal);
    }
    return ok;
}

static bool fan(struct bench *b, bool protobuf, double rate, double goal) {
    struct fanout f = {
        .watchers = 100, .writers = 64, .protobuf = protobuf, .seconds = b->seconds, .writes_per_second = rate};
    struct fanout_result r;
    char what[96];

    if (!fanout_run(&b->server.target, &f, &r))
        return false;
    double n = (double) r.events, events = n / r.seconds;

    (void) snprintf(what, sizeof(what), "events to 100 watchers, %s%s", protobuf ? "protobuf" : "JSON",
                    rate > 0 ? ", 5,000/s" : "");
    note(what, "", events, "1/s", ">=", goal);
    note(what, ", p99", r.p99, "ms", "", 0);
    printf("%-44s %9.0f %8.2f %8.2f %10.2f %10.2f", what, events, r.p50, r.p99, r.server_cpu / n * 1e6,
           r.client_cpu / n * 1e6);
    if (goal > 0)
        printf("  %s ≥ %.0f", mark(b, events >= goal), goal);
    printf("\n");
    (void) fflush(stdout);
    return true;
}

static bool watches(struct bench *b) {
    return fan(b, false, 0, 200000) && fan(b, true, 0, 200000) && fan(b, false, 50, 0) && fan(b, true, 50, 0);
}

static bool reconnect(struct bench *b, bool resume) {
    static const char request[] = "GET /version HTTP/1.1\r\nHost: bench\r\n\r\n";
    struct target *t = &b->server.target;
    double own = own_cpu(), theirs = target_cpu(t);
    uint64_t begun = now_monotonic_usec(), n = 0, until = begun + (uint64_t) (b->seconds * 1e6);

    t->resume = resume;
    for (t->resumed = 0; now_monotonic_usec() < until; n++)
        if (request_once(t, request, sizeof(request) - 1, NULL) != 200)
            return false;
    double count = (double) n, seconds = (double) (now_monotonic_usec() - begun) / 1e6;
    const char *what =
        resume ? "new connection by ticket, and one request" : "new connection and one request, one by one";
    note(what, "", count / seconds, "1/s", "", 0);
    printf("%-44s %9.0f %8.2f %8s %10.1f %10.1f\n", what, count / seconds, seconds / count * 1000, "",
           (target_cpu(t) - theirs) / count * 1e6, (own_cpu() - own) / count * 1e6);
    gnutls_free(t->session.data);
    t->session = (gnutls_datum_t){0};
    t->resume = false;
    return !resume || t->resumed + 1 >= n;
}

static bool handshakes(struct bench *b) {
    return reconnect(b, false) && reconnect(b, true);
}

/* --- memory --- */

static bool fill(struct bench *b, uint64_t from, uint64_t to) {
    char name[32];
    struct call c = {.method = "POST", .path = API "/pods", .headers = JSON, .object = object_large_pod, .name = name};
    struct load_result r;

    (void) snprintf(name, sizeof(name), "m%" PRIu64, from);
    return run_n(b, &c, 64, to - from, &r);
}

static double pod_bytes(struct bench *b) {
    _cleanup_strbuf_ struct strbuf body = STRBUF_INIT;
    static const char request[] = "GET " API "/pods?limit=100 HTTP/1.1\r\nHost: bench\r\n\r\n";

    (void) request_once(&b->server.target, request, sizeof(request) - 1, &body);
    return (double) body.len / 100;
}

static void memory_row(struct bench *b, const char *what, double goal) {
    double pss = server_memory(&b->server, "Pss:"), anon = server_memory(&b->server, "Pss_Anon:");

    note(what, "", pss, "MB PSS", "<=", goal);
    printf("%-44s %6.1f MB (of it %.1f MB not file)", what, pss, anon);
    if (goal > 0)
        printf("  %s ≤ %.0f MB", mark(b, pss <= goal), goal);
    printf("\n");
    (void) fflush(stdout);
}

/* Those the pods are bound to. */
static bool make_nodes(struct bench *b) {
    for (uint64_t i = 0; i < 100; i++) {
        _cleanup_strbuf_ struct strbuf node = STRBUF_INIT;
        object_node(i, &node);
        if (post(b, "/api/v1/nodes", &node) != 201)
            return false;
    }
    return true;
}

static bool memory(struct bench *b) {
    char what[96];
    memory_row(b, "memory, empty", 0);
    if (!make_nodes(b) || !fill(b, 0, 10000))
        return false;
    (void) sleep(1);
    (void) snprintf(what, sizeof(what), "memory, 10,000 pods (of %.1f kB)", pod_bytes(b) / 1000);
    memory_row(b, what, 80);
    if (b->seconds < 1)
        return true;
    if (!fill(b, 10000, 100000))
        return false;
    (void) sleep(1);
    memory_row(b, "memory, 100,000 pods", 800);
    return true;
}

static bool restart(struct bench *b) {
    _cleanup_free_ char *dir = xstrdup(b->server.dir);

    server_stop(&b->server);
    if (!server_start(&b->server, b->program, dir))
        return false;
    note("start with them, to /readyz", "", b->server.start_seconds, "s", "", 0);
    printf("%-44s %6.2f s\n", "start with them, to /readyz", b->server.start_seconds);
    (void) sleep(2);
    memory_row(b, "memory after the start", b->seconds < 1 ? 80 : 800);
    return true;
}

/* Gets of one client, one after another, beside a crowd. */
static bool crowds(struct bench *b) {
    static const struct crowd all[] = {
        {.what = "gets of one client, alone"},
        {.what = "beside 64 connections listing 10,000 pods",
         .connections = 64,
         .reads = true,
         .request = "GET " API "/pods HTTP/1.1\r\nHost: bench\r\n\r\n"},
        {.what = "beside 64 connections creating",
         .connections = 64,
         .reads = true,
         .numbered = true,
         .request = API "/configmaps"},
        {.what = "beside 200 watches that are never read",
         .connections = 200,
         .request = "GET " API "/pods?watch=1 HTTP/1.1\r\nHost: bench\r\n\r\n"},
        {.what = "beside 1,000 connections that say nothing", .connections = 1000},
        {.what = "beside 200 connections with half a request",
         .connections = 200,
         .request = "GET /api/v1/pods HTTP/1.1\r\nHost: be"},
    };
    struct call get = {.method = "GET", .path = API "/pods/m0-7d4b9c6f8-004711", .headers = ""};
    struct load good = {.connections = 1, .seconds = 2 * b->seconds, .request = make_request, .userdata = &get};
    bool ok = make_nodes(b) && fill(b, 0, 10000);

    for (size_t i = 0; ok && i < sizeof(all) / sizeof(all[0]); i++) {
        struct load_result r;
        ok = crowd_run(&b->server.target, &all[i], &good, &r);
        if (ok)
            row(b, all[i].what, &r, 0);
    }
    strbuf_finish(&get.body);
    return ok;
}

static const struct part {
    const char *name;
    bool (*run)(struct bench *b);
} parts[] = {
    {"writes", writes},   {"writes", applies}, {"writes", deletes}, {"reads", reads},   {"lists", lists},
    {"watches", watches}, {"tls", handshakes}, {"crowds", crowds},  {"memory", memory}, {"memory", restart},
};

static bool chosen(const char *name, char **names) {
    bool any = *names != NULL;

    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return !any;
}

int main(int argc, char **argv) {
    struct bench b = {.seconds = 2};
    bool ok = true, begun = false;

    if (argc < 4) {
        fputs("usage: api_bench PODIUM FOLDER quick|full [PART...]\n", stderr);
        return 2;
    }
    (void) signal(SIGPIPE, SIG_IGN);
    b.program = argv[1];
    b.dir = argv[2];
    if (strcmp(argv[3], "quick") == 0)
        b.seconds = 0.7;
    heading();
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!chosen(parts[i].name, argv + 4))
            continue;
        if (parts[i].run == memory && begun) { /* with a server of its own: what was done before would count */
            stop(&b);
            begun = false;
        }
        if (!begun && !start(&b, parts[i].run == memory ? "memory" : "server"))
            return 1;
        begun = true;
        if (!parts[i].run(&b)) {
            fprintf(stderr, "api_bench: %s: failed\n", parts[i].name);
            ok = false;
        }
    }
    stop(&b);
    if (b.missed)
        printf("%d goals missed\n", b.missed);
    return ok ? 0 : 1;
}
