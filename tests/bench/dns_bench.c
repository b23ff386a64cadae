/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DNS answers per second and how long they take: the agent's server and zone in a process of their own, asked over UDP
 * on loopback in a network namespace of their own. usage: dns_bench [SECONDS] [IN_FLIGHT] [SERVICES] For each kind of
 * question: as many as can be with IN_FLIGHT at a time, then one at a time.
 */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "netns/dns/message.h"
#include "orchestrator/agent/dns/zone.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "tests/bench/record.h"

#define ADDRESS   "127.0.0.10"
#define ENDPOINTS 20
#define SAMPLES   4000000

static const struct {
    const char *what, *name;
    unsigned type, answers; /* UINT_MAX: as many as fit */
} questions[] = {
    {"a service's address", "web-7.default.svc.cluster.local", DNS_A, 1},
    {"headless, 20 endpoints", "headless.default.svc.cluster.local", DNS_A, ENDPOINTS},
    {"SRV of 20 endpoints", "_http._tcp.headless.default.svc.cluster.local", DNS_SRV, UINT_MAX},
    {"a name that does not exist", "www.example.com.default.svc.cluster.local", DNS_A, 0},
};

/* --- the server --- */

static long memory_kb(void) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    const char *p = file_read("/proc/self/smaps_rollup", 65536, &text, NULL) < 0 ? NULL : strstr(text.data, "\nPss:");

    return p ? strtol(p + 5, NULL, 10) : 0;
}

static void apply(struct service_table *table, char *take_text) {
    _cleanup_free_ char *text = take_text;
    struct json *doc = NULL;

    if (json_parse(text, strlen(text), NULL, &doc, NULL) < 0 || service_table_apply(table, doc) < 0)
        abort();
    json_unref(doc);
}

static void fill(struct service_table *table, unsigned services) {
    struct strbuf slice = STRBUF_INIT;

    service_table_sync_begin(table);
    for (unsigned i = 0; i < services; i++)
        apply(table, xasprintf("{\"kind\":\"Service\",\"metadata\":{\"name\":\"web-%u\",\"namespace\":\"default\"},"
                               "\"spec\":{\"clusterIP\":\"10.96.%u.%u\",\"ports\":[{\"name\":\"http\",\"protocol\":"
                               "\"TCP\",\"port\":80}]}}",
                               i, i / 250, i % 250 + 1));
    apply(table,
          xstrdup("{\"kind\":\"Service\",\"metadata\":{\"name\":\"headless\",\"namespace\":\"default\"},\"spec\":"
                  "{\"clusterIP\":\"None\",\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80}]}}"));
    strbuf_adds(&slice,
                "{\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"headless-1\",\"namespace\":\"default\","
                "\"labels\":{\"kubernetes.io/service-name\":\"headless\"}},\"addressType\":\"IPv4\",\"ports\":[{"
                "\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80}],\"endpoints\":[");
    for (unsigned i = 0; i < ENDPOINTS; i++)
        strbuf_addf(&slice, "%s{\"addresses\":[\"10.244.1.%u\"],\"conditions\":{\"ready\":true}}", i ? "," : "", i + 2);
    strbuf_adds(&slice, "]}");
    apply(table, strbuf_steal(&slice));
    service_table_sync_end(table);
}

static void serve(unsigned services, int ready_fd) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    sd_event *loop = NULL;
    struct dns_server *server;

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sd_event_new(&loop) < 0)
        _exit(1);
    struct service_table *table = service_table_new(loop);
    fill(table, services);
    struct cluster_zone zone = {.table = table, .domain = "cluster.local", .server = ADDRESS};
    const struct dns_server_options options = {
        .address = ADDRESS, .zone = {zone_lookup, &zone}, .resolv_conf = "/dev/null"};
    long before = memory_kb();
    if (dns_server_new(loop, &options, &server, &err) < 0) {
        fprintf(stderr, "%s\n", error_text(&err, -1));
        _exit(1);
    }
    uint64_t start = now_monotonic_usec();
    if (write(ready_fd, "", 1) != 1)
        _exit(1);
    for (bool told = false;;) {
        if (sd_event_run(loop, USEC_PER_SEC) < 0)
            _exit(1);
        if (!told && now_monotonic_usec() > start + USEC_PER_SEC) {
            printf("the server in use: %ld kB more (PSS)\n", memory_kb() - before);
            (void) fflush(stdout);
            told = true;
        }
    }
}

/* --- the clients --- */

static size_t make_query(size_t which, uint16_t id, uint8_t out[300]) {
    static const uint8_t opt[11] = {0, 0, 41, 0x10, 0};

    memset(out, 0, 12);
    ns_put16(id, out);
    out[2] = 1;
    out[5] = 1;
    out[11] = 1;
    size_t n = 12 + (size_t) ns_name_compress(questions[which].name, out + 12, 255, NULL, NULL);
    ns_put16(questions[which].type, out + n);
    ns_put16(1, out + n + 2);
    memcpy(out + n + 4, opt, sizeof(opt));
    return n + 4 + sizeof(opt);
}

struct run {
    int fd;
    size_t which;
    uint64_t sent[65536];
    uint32_t *samples; /* microseconds */
    size_t n, wrong, lost;
    uint16_t next;
};

static void ask(struct run *run) {
    uint8_t query[300];
    uint16_t id = run->next++;
    size_t n = make_query(run->which, id, query);

    run->sent[id] = now_monotonic_usec();
    if (send(run->fd, query, n, 0) < 0)
        run->lost++;
}

static void take(struct run *run) {
    uint8_t reply[4096];
    ssize_t n;

    while ((n = recv(run->fd, reply, sizeof(reply), MSG_DONTWAIT)) >= 12) {
        uint64_t took = now_monotonic_usec() - run->sent[ns_get16(reply)];
        unsigned wanted = questions[run->which].answers;
        run->wrong += wanted != UINT_MAX && ns_get16(reply + 6) != wanted;
        if (run->n < SAMPLES)
            run->samples[run->n++] = (uint32_t) took;
        ask(run);
    }
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;
    return x < y ? -1 : x > y;
}

static void measure(size_t which, unsigned in_flight, double seconds, uint32_t *samples) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)};
    struct run *run = xnew0(struct run);

    inet_pton(AF_INET, ADDRESS, &to.sin_addr);
    run->which = which;
    run->samples = samples;
    run->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (run->fd < 0 || connect(run->fd, (struct sockaddr *) &to, sizeof(to)) < 0)
        abort();
    uint64_t start = now_monotonic_usec(), end = start + (uint64_t) (seconds * USEC_PER_SEC);
    for (unsigned i = 0; i < in_flight; i++)
        ask(run);
    while (now_monotonic_usec() < end) {
        struct pollfd p = {.fd = run->fd, .events = POLLIN};
        if (poll(&p, 1, 1000) == 0) {
            run->lost += in_flight;
            for (unsigned i = 0; i < in_flight; i++)
                ask(run);
        }
        take(run);
    }
    double took = (double) (now_monotonic_usec() - start) / USEC_PER_SEC;
    qsort(samples, run->n, sizeof(*samples), by_value);
    _cleanup_free_ char *name = xasprintf("%s, %u under way", questions[which].what, in_flight),
                        *late = xasprintf("%s, p99", name);
    record("dns", name, (double) run->n / took, "1/s", NULL);
    record("dns", late, samples[run->n * 99 / 100] / 1000.0, "ms", NULL);
    printf("%-28s %3u in flight: %7.0f/s  p50 %u us  p99 %u us  p99.9 %u us%s\n", questions[which].what, in_flight,
           (double) run->n / took, samples[run->n / 2], samples[run->n * 99 / 100], samples[run->n * 999 / 1000],
           run->wrong || run->lost ? "  WRONG OR LOST" : "");
    close(run->fd);
    free(run);
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? atof(argv[1]) : 2;
    unsigned in_flight = argc > 2 ? (unsigned) atoi(argv[2]) : 32,
             services = argc > 3 ? (unsigned) atoi(argv[3]) : 1000;
    _cleanup_free_ uint32_t *samples = xcalloc(SAMPLES, sizeof(*samples));
    int ready[2];
    char c;

    if (unshare(CLONE_NEWNET) < 0 || pipe(ready) < 0) {
        fprintf(stderr, "needs root\n");
        return 2;
    }
    int own = netns_current(NULL);
    if (own < 0 || netns_loopback_up(own, NULL) < 0)
        return 1;
    pid_t pid = fork();
    if (pid == 0)
        serve(services, ready[1]);
    close(ready[1]);
    if (pid < 0 || read(ready[0], &c, 1) != 1)
        return 1;
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        measure(i, in_flight, seconds, samples);
        measure(i, 1, seconds / 2, samples);
    }
    kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);
    return 0;
}
