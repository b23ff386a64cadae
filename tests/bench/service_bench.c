/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Services on a node, in network namespaces of its own: from documents, as the control plane pushes them, to the
 * kernel's nftables.
 *
 *   service_bench [SERVICES=1000] [ENDPOINTS=20] [CHANGES=500] [FIRST=10]
 *
 * For FIRST, ten times that … up to SERVICES services: all put in place at once (as after a restart of the agent); one
 * change of one service (an endpoint goes and another one comes): the median of those that come after a rest, when
 * what nftables remembers of the tables was given back and is read anew, and median, 99th percentile and longest of
 * those that follow one another, with their processor time; the memory of the program. Of less than some hundred
 * changes the 99th percentile is nearly the longest one: what the machine did else at that moment.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "orchestrator/agent/services/datapath.h"
#include "orchestrator/agent/services/table.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/strbuf.h"
#include "tests/bench/record.h"

enum { RESTS = 5 };

static void apply(struct service_table *table, const char *text) {
    struct json *v;

    if (json_parse(text, strlen(text), NULL, &v, NULL) < 0 || service_table_apply(table, v) < 0)
        abort();
    json_unref(v);
}

static char *service_text(int i) {
    return xasprintf("{\"kind\":\"Service\",\"metadata\":{\"name\":\"service-%d\",\"namespace\":\"bench\"},\"spec\":{"
                     "\"type\":\"ClusterIP\",\"clusterIP\":\"10.96.%d.%d\",\"ports\":[{\"name\":\"http\",\"port\":80,"
                     "\"protocol\":\"TCP\",\"targetPort\":8080}]}}",
                     i, i / 250, i % 250 + 1);
}

/* `change` moves one of the endpoints to another address. */
static char *slice_text(int i, int endpoints, int change) {
    struct strbuf b = STRBUF_INIT;

    strbuf_addf(&b,
                "{\"kind\":\"EndpointSlice\",\"addressType\":\"IPv4\",\"metadata\":{\"name\":\"service-%d-x\","
                "\"namespace\":\"bench\",\"labels\":{\"kubernetes.io/service-name\":\"service-%d\"}},\"ports\":[{"
                "\"name\":\"http\",\"port\":8080,\"protocol\":\"TCP\"}],\"endpoints\":[",
                i, i);
    for (int e = 0; e < endpoints; e++) {
        int other = change > 0 && e == change % endpoints ? 128 + change % 64 : 0;
        strbuf_addf(&b,
                    "%s{\"addresses\":[\"10.%d.%d.%d\"],\"conditions\":{\"ready\":true,\"serving\":true,"
                    "\"terminating\":false},\"nodeName\":\"node-%d\",\"targetRef\":{\"kind\":\"Pod\",\"namespace\":"
                    "\"bench\",\"name\":\"service-%d-5d4f8c7b9d-%05d\",\"uid\":\"0b4c0f7e-7d5b-4c59-9f1e-%012d\"}}",
                    e ? "," : "", 128 + i / 250, e + other, i % 250 + 1, e % 10, i, e, e);
    }
    strbuf_adds(&b, "]}");
    return strbuf_steal(&b);
}

static long memory_kb(const char *what) {
    FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    long kb = 0;

    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, what, strlen(what)) == 0)
            kb = strtol(line + strlen(what) + 1, NULL, 10);
    if (f)
        fclose(f);
    return kb;
}

static void turn(sd_event *loop) {
    while (sd_event_run(loop, 0) > 0)
        ;
}

static void no_pods(void *userdata) {
    (void) userdata;
}

static int compare(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static uint64_t cpu_usec(void) {
    struct timespec t;

    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

/* *ret_cpu: processor time it took, which does not depend on what else the machine does. */
static uint64_t change(sd_event *loop, struct service_table *table, int service, int endpoints, int number,
                       uint64_t *ret_cpu) {
    _cleanup_free_ char *slice = slice_text(service, endpoints, number);
    uint64_t from = now_monotonic_usec(), cpu = cpu_usec();

    apply(table, slice);
    turn(loop);
    *ret_cpu = cpu_usec() - cpu;
    return now_monotonic_usec() - from;
}

static void note(int services, int endpoints, const char *what, double ms, const char *goal) {
    _cleanup_free_ char *name = xasprintf("%d services of %d endpoints: %s", services, endpoints, what);

    record("services", name, ms, "ms", goal);
}

static void measure(int services, int endpoints, int changes) {
    _cleanup_free_ uint64_t *times = xcalloc((size_t) changes, sizeof(*times)),
                            *cpu = xcalloc((size_t) changes, sizeof(*cpu));
    uint64_t rested[RESTS], rested_cpu[RESTS];
    sd_event *loop = NULL;
    long before = memory_kb("RssAnon"), most_kb, early_kb = 0;

    if (unshare(CLONE_NEWNET) < 0 || sd_event_new(&loop) < 0) {
        perror("service_bench: a network namespace of its own");
        exit(1);
    }
    struct service_table *table = service_table_new(loop);
    struct datapath *datapath = datapath_new(loop, table, "node-1", no_pods, NULL);
    service_table_sync_begin(table);
    uint64_t documents = now_monotonic_usec();
    for (int i = 0; i < services; i++) {
        _cleanup_free_ char *service = service_text(i), *slice = slice_text(i, endpoints, 0);
        apply(table, service);
        apply(table, slice);
    }
    service_table_sync_end(table);
    uint64_t start = now_monotonic_usec();
    turn(loop);
    uint64_t end = now_monotonic_usec();
    most_kb = memory_kb("VmHWM") - memory_kb("RssFile");
    for (int c = 0; c < RESTS; c++) {
        (void) sd_event_run(loop, 10 * USEC_PER_SEC); /* it comes to rest */
        rested[c] = change(loop, table, c % services, endpoints, c + 1, &rested_cpu[c]);
    }
    qsort(rested, RESTS, sizeof(*rested), compare);
    qsort(rested_cpu, RESTS, sizeof(*rested_cpu), compare);
    for (int c = 0; c < changes; c++) {
        times[c] = change(loop, table, c * 7 % services, endpoints, c + 1 + RESTS, &cpu[c]);
        if (c == changes / 10)
            early_kb = memory_kb("RssAnon") - before;
    }
    long late_kb = memory_kb("RssAnon") - before;
    (void) sd_event_run(loop, 10 * USEC_PER_SEC); /* it comes to rest */
    qsort(times, (size_t) changes, sizeof(*times), compare);
    qsort(cpu, (size_t) changes, sizeof(*cpu), compare);
    note(services, endpoints, "one change after a rest, CPU", (double) rested_cpu[RESTS / 2] / 1000, NULL);
    note(services, endpoints, "one change among others, CPU p50", (double) cpu[changes / 2] / 1000, NULL);
    note(services, endpoints, "one change after a rest", (double) rested[RESTS / 2] / 1000, "<= 50");
    note(services, endpoints, "one change among others, p50", (double) times[changes / 2] / 1000, "<= 50");
    note(services, endpoints, "one change among others, p99", (double) times[changes * 99 / 100] / 1000, "<= 50");
    note(services, endpoints, "all at once", (double) (end - start) / 1000, NULL);
    printf(
        "%d services of %d endpoints: one change after a rest %.1f ms (CPU %.1f), among others p50 %.1f ms "
        "(CPU %.1f), p99 %.1f ms, longest %.1f ms; all at once %.0f ms "
        "(documents %.0f ms); memory at rest %.1f MB, after a tenth of %d changes %.1f, after all %.1f, at most %.1f\n",
        services, endpoints, (double) rested[RESTS / 2] / 1000, (double) rested_cpu[RESTS / 2] / 1000,
        (double) times[changes / 2] / 1000, (double) cpu[changes / 2] / 1000, (double) times[changes * 99 / 100] / 1000,
        (double) times[changes - 1] / 1000, (double) (end - start) / 1000, (double) (start - documents) / 1000,
        (double) (memory_kb("RssAnon") - before) / 1024, changes, (double) early_kb / 1024, (double) late_kb / 1024,
        (double) (most_kb - before) / 1024);
    fflush(stdout);
    datapath_free(datapath);
    service_table_free(table);
    sd_event_unref(loop);
}

int main(int argc, char **argv) {
    int most = argc > 1 ? atoi(argv[1]) : 1000, endpoints = argc > 2 ? atoi(argv[2]) : 20;
    int changes = argc > 3 ? atoi(argv[3]) : 500, first = argc > 4 ? atoi(argv[4]) : 10;

    if (most <= 0 || endpoints <= 0 || changes <= 0 || first <= 0)
        return 2;
    for (int n = first, last = 0; !last; n *= 10) {
        last = n >= most;
        pid_t pid = fork(); /* so that each begins with little memory */
        if (pid == 0) {
            measure(last ? most : n, endpoints, changes);
            _exit(0);
        }
        int status;
        if (waitpid(pid, &status, 0) != pid || status != 0)
            return 1;
    }
    return 0;
}
