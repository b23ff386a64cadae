/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `make bench-nodes`: one `podium server` with thousands of simulated nodes (sim.h). Pods are created over HTTPS by 64
 * connections, durably, and are done when an independent watch shows them Running. Server, nodes, load generator and
 * watch share the machine, so the processor time of each is told: the server's own is what it could do alone.
 *
 *   nodes_bench PODIUM FOLDER NODES [PARTS...]     parts: rate latency loss memory (default: the first three)
 *
 * The environment's BENCH_JSON names a file to which each figure is added as a line of JSON. NODES_PODS: how many pods
 * the rate is taken from; NODES_MEMORY_PODS: how many the part `memory` fills up to; NODES_PATIENCE: seconds without
 * any change after which a part has failed.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "tests/bench/nodes/cluster.h"
#include "tests/bench/nodes/threads.h"

#define CONNECTIONS  64u
#define IDLE_SECONDS 20u
#define GRACE        20 /* seconds of silence until a node is lost */
#define PATIENCE     60u
#define MEMORY_PODS  150000u
/* The server keeps 1,024 for all but nodes (orchestrator/link/server.c); room for nodes that dial anew beside them. */
#define DESCRIPTORS_OTHERS 1200u

struct bench {
    struct cluster cluster;
    unsigned nodes;
    uint64_t pods;   /* created so far */
    double patience; /* seconds */
    int missed;
};

/* --- figures --- */

/* goal 0: none; > 0: at least; < 0: at most */
static void figure(struct bench *b, const char *what, double value, const char *unit, double goal) {
    const char *path = getenv("BENCH_JSON");
    bool good = goal >= 0 ? value >= goal : value <= -goal;
    char goal_text[32] = "null";

    printf("%6u nodes  %-58s %12.*f %s", b->nodes, what, value < 100 ? 2 : 0, value, unit);
    if (goal != 0)
        printf("  %s %s %.0f", good ? "✓" : "✗", goal > 0 ? "≥" : "≤", goal > 0 ? goal : -goal);
    printf("\n");
    (void) fflush(stdout);
    b->missed += !good;
    FILE *f = path && *path ? fopen(path, "ae") : NULL;
    if (!f)
        return;
    if (goal != 0)
        snprintf(goal_text, sizeof(goal_text), "%.0f", goal > 0 ? goal : -goal);
    fprintf(f, "{\"group\":\"nodes\",\"name\":\"%u nodes: %s\",\"value\":%.3f,\"unit\":\"%s\",\"goal\":%s}\n", b->nodes,
            what, value, unit, goal_text);
    (void) fclose(f);
}

/* A number of the environment's. */
static uint64_t number_of(const char *name, uint64_t fallback) {
    const char *text = getenv(name);
    uint64_t n = text ? strtoull(text, NULL, 10) : 0;

    return n > 0 ? n : fallback;
}

static double cpu_of(pid_t pid) {
    clockid_t clock;
    struct timespec t;

    return clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &t) == 0
               ? (double) t.tv_sec + (double) t.tv_nsec / 1e9
               : 0;
}

/* Who used the processors since when. */
struct span {
    uint64_t start;
    double server, sim, own;
    struct thread_times threads; /* the server's */
};

static struct span span_begin(const struct bench *b) {
    return (struct span){now_monotonic_usec(), cpu_of(b->cluster.server.target.pid), cpu_of(b->cluster.sim.pid),
                         own_cpu(), thread_times(b->cluster.server.target.pid)};
}

static void span_end(const struct bench *b, struct span *s) {
    s->server = cpu_of(b->cluster.server.target.pid) - s->server;
    s->sim = cpu_of(b->cluster.sim.pid) - s->sim;
    s->own = own_cpu() - s->own;
    struct thread_times now = thread_times(b->cluster.server.target.pid);
    for (size_t i = 0; i < THREAD_PARTS; i++)
        s->threads.seconds[i] = now.seconds[i] - s->threads.seconds[i];
}

static double seconds_since(uint64_t start) {
    return (double) (now_monotonic_usec() - start) / 1e6;
}

static uint64_t switches(pid_t pid) {
    char command[128], line[64];
    uint64_t n = 0;

    snprintf(command, sizeof(command), "cat /proc/%d/task/*/status 2>/dev/null", (int) pid);
    FILE *f = popen(command, "re");
    while (f && fgets(line, sizeof(line), f))
        if (strstr(line, "_ctxt_switches:"))
            n += strtoull(strchr(line, ':') + 1, NULL, 10);
    if (f)
        (void) pclose(f);
    return n;
}

/* --- parts --- */

static bool connect_nodes(struct bench *b) {
    struct cluster *c = &b->cluster;
    struct span s = span_begin(b);

    sim_connect(&c->sim, 0, b->nodes);
    if (!cluster_await("nodes that are synced", &c->sim.counts->synced, b->nodes, b->patience) ||
        !cluster_await("nodes that are ready", &c->ready, b->nodes, b->patience))
        return false;
    double seconds = seconds_since(s.start);
    span_end(b, &s);
    figure(b, "all registered and Ready", seconds, "s", 0);
    figure(b, "server CPU per node registered", s.server / b->nodes * 1e6, "us", 0);
    figure(b, "connections lost meanwhile", (double) atomic_load(&c->sim.counts->disconnects), "", 0);
    return true;
}

static bool idle(struct bench *b) {
    pid_t pid = b->cluster.server.target.pid;

    (void) sleep(3);
    struct span s = span_begin(b);
    uint64_t before = switches(pid);
    (void) sleep(IDLE_SECONDS);
    double seconds = seconds_since(s.start);
    span_end(b, &s);
    figure(b, "idle, heartbeats of 10 s: server CPU", s.server / seconds * 100, "%", 0);
    figure(b, "idle: simulator CPU", s.sim / seconds * 100, "%", 0);
    figure(b, "idle: context switches of the server", (double) (switches(pid) - before) / seconds, "1/s", 0);
    figure(b, "idle: server PSS", server_memory(&b->cluster.server, "Pss:"), "MB", 0);
    return true;
}

static bool create_pods(struct bench *b, uint64_t n, unsigned connections, uint64_t pause, struct load_result *r) {
    struct pod_maker maker = {.cluster = &b->cluster, .first = b->pods, .pause = pause};
    struct load l = {.connections = connections, .number = n, .request = make_pod, .userdata = &maker};

    bool ok = load_run(&b->cluster.server.target, &l, r);
    b->pods += n;
    strbuf_finish(&maker.body);
    return ok;
}

static bool rate(struct bench *b) {
    uint64_t n = number_of("NODES_PODS", 20000);
    unsigned before = atomic_load(&b->cluster.running);
    struct load_result r;
    struct span s = span_begin(b);

    if (!create_pods(b, n, CONNECTIONS, 0, &r))
        return false;
    double created = seconds_since(s.start);
    if (!cluster_await("pods that are Running", &b->cluster.running, before + (unsigned) n, b->patience))
        return false;
    double seconds = seconds_since(s.start);
    span_end(b, &s);
    double count = (double) n, used = s.server + s.sim + s.own;
    figure(b, "create → bound → reported Running", count / seconds, "pods/s", b->nodes == 5000 ? 10000 : 0);
    figure(b, "… of it created, durable, over HTTPS", count / created, "pods/s", 0);
    figure(b, "… server CPU per pod", s.server / count * 1e6, "us", 0);
    for (enum thread_part i = 0; i < THREAD_PARTS; i++) {
        _cleanup_free_ char *what = xasprintf("… … of it %s", thread_part_name(i));
        figure(b, what, s.threads.seconds[i] / count * 1e6, "us", 0);
    }
    figure(b, "… pods/s for each core the server used", count / s.server, "pods/s", 0);
    figure(b, "… share of the CPU used: server", s.server / used * 100, "%", 0);
    figure(b, "… share of the CPU used: nodes", s.sim / used * 100, "%", 0);
    figure(b, "… share of the CPU used: load generator and watch", s.own / used * 100, "%", 0);
    return true;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *) a, y = *(const double *) b;

    return x < y ? -1 : x > y;
}

static void percentiles(struct bench *b, const char *what, double *samples, size_t n) {
    _cleanup_free_ char *p50 = xasprintf("%s, p50", what), *p99 = xasprintf("%s, p99", what);

    qsort(samples, n, sizeof(*samples), by_value);
    figure(b, p50, samples[n / 2], "ms", 0);
    figure(b, p99, samples[n * 99 / 100], "ms", 0);
}

static bool latency(struct bench *b) {
    const uint64_t n = 2000, per_second = 200;
    uint64_t first = b->pods;
    unsigned before = atomic_load(&b->cluster.running);
    struct load_result r;
    struct cluster *c = &b->cluster;

    if (!create_pods(b, n, 1, 1000000 / per_second, &r) ||
        !cluster_await("pods that are Running", &c->running, before + (unsigned) n, b->patience))
        return false;
    _cleanup_free_ double *bound = xcalloc(n, sizeof(double)), *running = xcalloc(n, sizeof(double));
    for (uint64_t i = 0; i < n; i++) {
        bound[i] = (double) (c->sim.counts->applied[first + i] - c->created[first + i]) / 1000;
        running[i] = (double) (c->seen[first + i] - c->created[first + i]) / 1000;
    }
    percentiles(b, "200 pods/s: create → on its node", bound, n);
    percentiles(b, "200 pods/s: create → seen Running", running, n);
    return true;
}

static bool make_replica_sets(struct bench *b, unsigned sets, unsigned replicas) {
    for (unsigned i = 0; i < sets; i++) {
        _cleanup_free_ char *body = xasprintf(
            "{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"metadata\":{\"name\":\"rs-%u\"},\"spec\":{"
            "\"replicas\":%u,\"selector\":{\"matchLabels\":{\"rs\":\"%u\"}},\"template\":{\"metadata\":{\"labels\":{"
            "\"rs\":\"%u\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"web\",\"resources\":{\"requests\":{"
            "\"cpu\":\"100m\"}}}]}}}}",
            i, replicas, i, i);
        if (cluster_call(&b->cluster, "POST", "/apis/apps/v1/namespaces/" CLUSTER_NAMESPACE "/replicasets", body,
                         NULL) != 201)
            return false;
    }
    return true;
}

/* A tenth of the nodes vanishes with its pods, which ReplicaSets replace. */
static bool loss(struct bench *b) {
    struct cluster *c = &b->cluster;
    const unsigned sets = 50, replicas = b->nodes / sets ? b->nodes / sets : 1, gone = b->nodes / 10;
    unsigned before = atomic_load(&c->running);
    uint64_t start = now_monotonic_usec();

    if (!make_replica_sets(b, sets, replicas) ||
        !cluster_await("pods of ReplicaSets that are Running", &c->running, before + sets * replicas, b->patience))
        return false;
    figure(b, "50 ReplicaSets, one pod for each node: until Running", seconds_since(start), "s", 0);
    unsigned lost = atomic_load(&c->lost), running = atomic_load(&c->running), held = atomic_load(&c->sim.counts->pods);
    struct span s = span_begin(b);
    sim_vanish(&c->sim, b->nodes - gone, b->nodes);
    if (!cluster_await("nodes that are lost", &c->lost, lost + gone, GRACE + b->patience))
        return false;
    figure(b, "10 % vanish: until all are NotReady, beyond the grace of 20 s", seconds_since(s.start) - GRACE, "s", 0);
    /* pods without an owner die with their nodes; how many of the lost ones had one is known from what came back */
    unsigned left = atomic_load(&c->sim.counts->pods), settled = 0, last = 0;
    while (settled < 50) {
        unsigned now = atomic_load(&c->running);
        settled = now == last && now > running ? settled + 1 : 0;
        last = now;
        (void) usleep(100 * 1000);
        if (seconds_since(s.start) > GRACE + b->patience + 60)
            return fprintf(stderr, "no pod was replaced\n"), false;
    }
    figure(b, "10 % vanish: until pods are replaced and Running, beyond it", seconds_since(s.start) - GRACE - 5, "s",
           0);
    figure(b, "10 % vanish: pods lost", held - left, "", 0);
    figure(b, "10 % vanish: pods replaced", last - running, "", 0);
    span_end(b, &s);
    figure(b, "10 % vanish: server CPU for all of it", s.server, "s", 0);
    return true;
}

static bool memory(struct bench *b) {
    unsigned before = atomic_load(&b->cluster.running), have = atomic_load(&b->cluster.sim.counts->pods);
    uint64_t all = number_of("NODES_MEMORY_PODS", MEMORY_PODS), n = all > have ? all - have : 1;
    _cleanup_free_ char *filling = xasprintf("filling up to %" PRIu64 " pods", all);
    _cleanup_free_ char *held = xasprintf("server PSS with %" PRIu64 " pods", all);
    struct load_result r;
    struct span s = span_begin(b);

    if (!create_pods(b, n, CONNECTIONS, 0, &r) ||
        !cluster_await("pods that are Running", &b->cluster.running, before + (unsigned) n, b->patience))
        return false;
    double seconds = seconds_since(s.start);
    span_end(b, &s);
    figure(b, filling, (double) n / seconds, "pods/s", 0);
    figure(b, "filling up: server CPU per pod", s.server / (double) n * 1e6, "us", 0);
    (void) sleep(3);
    figure(b, held, server_memory(&b->cluster.server, "Pss:"), "MB", -2048);
    figure(b, "… of it not file", server_memory(&b->cluster.server, "Pss_Anon:"), "MB", 0);
    return true;
}

static const struct part {
    const char *name;
    bool (*run)(struct bench *b);
    bool by_default;
} parts[] = {
    {"idle", idle, true}, {"rate", rate, true},      {"latency", latency, true},
    {"loss", loss, true}, {"memory", memory, false},
};

static bool chosen(const struct part *p, char **names) {
    if (!*names)
        return p->by_default;
    for (; *names; names++)
        if (strcmp(*names, p->name) == 0)
            return true;
    return false;
}

/* Each node is a descriptor here and in the server: what the hard limit allows, less what else they need. */
static unsigned nodes_possible(unsigned wanted) {
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0)
        return wanted;
    l.rlim_cur = l.rlim_max;
    (void) setrlimit(RLIMIT_NOFILE, &l);
    if (l.rlim_max > wanted + DESCRIPTORS_OTHERS)
        return wanted;
    fprintf(stderr, "%u nodes need more descriptors than the hard limit of %lu allows: taking %lu\n", wanted,
            (unsigned long) l.rlim_max, (unsigned long) l.rlim_max - DESCRIPTORS_OTHERS);
    return (unsigned) l.rlim_max - DESCRIPTORS_OTHERS;
}

int main(int argc, char **argv) {
    static const char *const options[] = {"--cluster-cidr",
                                          "10.0.0.0/8",
                                          "--service-cidr",
                                          "172.20.0.0/16",
                                          "--node-grace",
                                          "20",
                                          "--eviction",
                                          "1",
                                          "--log-level",
                                          "info",
                                          NULL};
    struct bench b = {0};

    if (argc < 4)
        return fputs("usage: nodes_bench PODIUM FOLDER NODES [PARTS...]\n", stderr), 2;
    (void) signal(SIGPIPE, SIG_IGN);
    unsigned wanted = (unsigned) strtoul(argv[3], NULL, 10);
    b.nodes = nodes_possible(wanted);
    b.patience = (double) number_of("NODES_PATIENCE", PATIENCE);
    if (b.nodes < wanted)
        figure(&b, "nodes asked for, more than the limit of open files allows", wanted, "", 0);
    bool ok = cluster_start(&b.cluster, argv[1], argv[2], options) && connect_nodes(&b);
    for (size_t i = 0; ok && i < ARRAY_LEN(parts); i++)
        if (chosen(&parts[i], argv + 4) && !parts[i].run(&b)) {
            fprintf(stderr, "nodes_bench: %s: failed\n", parts[i].name);
            ok = false;
        }
    cluster_stop(&b.cluster);
    return ok ? 0 : 1;
}
