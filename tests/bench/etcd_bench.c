/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * etcd beside our API server, taking turns: durable writes, reads, events to watchers.
 *
 *   etcd_bench PODIUM ETCD FOLDER [SECONDS=3] [ROUNDS=3]
 *
 * What is compared: etcd by itself, over gRPC (HTTP/2 without TLS, one connection per stream), as kube-apiserver asks
 * it; and the whole of our API, over HTTP/1.1 on its unix socket, which decodes, admits, validates and encodes each
 * object on the way. The values are the same bytes: a ConfigMap of 2.3 kB. Both write to the same file system, and
 * answer when the disk has it. One client program (libcurl) speaks to both, on the same processors; what it costs is
 * told. Upstream there is a kube-apiserver in front of etcd, which is not measured here: real clusters are slower than
 * etcd alone.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "orchestrator/curl/libcurl.h"
#include "orchestrator/curl/sockets.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/clock.h"
#include "podium/base/strbuf.h"
#include "tests/bench/record.h"

enum { UNDER_WAY = 64, WATCHERS = 50, EVENTS = 1000, ROUNDS_MAX = 20, FILLER = 1900 };

enum operation { WRITE, READ, WATCH };

struct side {
    const char *name;
    bool etcd;
    char *url, *socket; /* socket: NULL for TCP */
    pid_t pid;
};

/* One request at a time, again and again. */
struct slot {
    struct bench *b;
    CURL *easy;
    enum operation operation;
    struct strbuf body, stream;
    char *target;
    uint64_t begun, events;
    bool open;
};

struct bench {
    sd_event *loop;
    sd_event_source *timer;
    CURLM *multi;
    struct curl_slist *headers;
    const struct side *side;
    struct slot slots[UNDER_WAY], watchers[WATCHERS];
    const char *space; /* namespace, or prefix of keys */
    uint64_t started, done, failed, limit, until, n_latencies, cap;
    uint64_t *latencies;
    unsigned running;
};

/* --- what is asked --- */

static void make_value(const struct bench *b, uint64_t i, struct strbuf *out) {
    strbuf_addf(out,
                "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"object-%08llu\",\"namespace\":"
                "\"%s\"},\"data\":{\"key\":\"",
                (unsigned long long) i, b->space);
    for (int n = 0; n < FILLER; n++)
        strbuf_addc(out, (char) ('a' + (i + (uint64_t) n * 7) % 26));
    strbuf_adds(out, "\"}}");
}

static void add_encoded(struct strbuf *out, const char *before, const char *p, size_t n) {
    _cleanup_free_ char *text = base64_encode(p, n);

    strbuf_addf(out, "%s\"%s\"", before, text);
}

/* As the gateway of etcd wants it: keys and values in base64. */
static void make_message(const struct bench *b, enum operation operation, uint64_t i, struct strbuf *out) {
    _cleanup_strbuf_ struct strbuf value = STRBUF_INIT;
    _cleanup_free_ char *key = operation == WATCH ? xasprintf("/%s/", b->space)
                                                  : xasprintf("/%s/object-%08llu", b->space, (unsigned long long) i);
    _cleanup_free_ char *end = xasprintf("/%s0", b->space);

    add_encoded(out, operation == WATCH ? "{\"create_request\":{\"key\":" : "{\"key\":", key, strlen(key));
    if (operation == WRITE) {
        make_value(b, i, &value);
        add_encoded(out, ",\"value\":", value.data, value.len);
    } else if (operation == WATCH) {
        add_encoded(out, ",\"range_end\":", end, strlen(end));
        strbuf_addc(out, '}');
    }
    strbuf_addc(out, '}');
}

static void set_request(struct slot *s, uint64_t i) {
    static const char *const calls[] = {"kv/put", "kv/range", "watch"};
    const struct bench *b = s->b;

    strbuf_reset(&s->body);
    strbuf_reset(&s->stream);
    s->open = false;
    free(s->target);
    if (b->side->etcd) {
        make_message(b, s->operation, i, &s->body);
        s->target = xasprintf("%s/v3/%s", b->side->url, calls[s->operation]);
    } else if (s->operation == WRITE) {
        make_value(b, i, &s->body);
        s->target = xasprintf("%s/api/v1/namespaces/%s/configmaps", b->side->url, b->space);
    } else if (s->operation == READ) {
        s->target = xasprintf("%s/api/v1/namespaces/%s/configmaps/object-%08llu", b->side->url, b->space,
                              (unsigned long long) i);
    } else {
        s->target = xasprintf("%s/api/v1/namespaces/%s/configmaps?watch=1", b->side->url, b->space);
    }
    (void) curl_easy_setopt(s->easy, CURLOPT_URL, s->target);
    if (s->body.len > 0) {
        (void) curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE, (long) s->body.len);
        (void) curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, s->body.data);
    }
}

/* --- what comes --- */

static uint64_t count(const char *line, const char *what) {
    uint64_t found = 0;

    for (; (line = strstr(line, what)); line++)
        found++;
    return found;
}

static size_t on_body(char *p, size_t size, size_t n, void *userdata) {
    struct slot *s = userdata;
    char *end;

    if (s->operation != WATCH)
        return size * n;
    strbuf_add(&s->stream, p, n);
    while (s->stream.len > 0 && (end = memchr(s->stream.data, '\n', s->stream.len))) {
        *end = 0;
        s->open = true;
        /* one event a line here; there any number, and a first line that says that the watch is made */
        s->events += s->b->side->etcd ? count(s->stream.data, "\"kv\":") : 1;
        strbuf_consume(&s->stream, (size_t) (end - s->stream.data) + 1);
    }
    return size * n;
}

static size_t on_header(char *p, size_t size, size_t n, void *userdata) {
    struct slot *s = userdata;

    if (n <= 2 && !s->b->side->etcd) /* the end of the head */
        s->open = true;
    return size * n;
}

static bool start_next(struct slot *s) {
    struct bench *b = s->b;
    uint64_t now = now_monotonic_usec();

    if ((b->limit && b->started >= b->limit) || (b->until && now >= b->until))
        return false;
    s->begun = now;
    set_request(s, s->operation == READ ? b->started++ % EVENTS : b->started++);
    b->running += curl_multi_add_handle(b->multi, s->easy) == CURLM_OK;
    return true;
}

static void finished(struct slot *s, CURLcode outcome) {
    struct bench *b = s->b;
    long code = 0;

    (void) curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &code);
    (void) curl_multi_remove_handle(b->multi, s->easy);
    b->running--;
    bool ok = outcome == CURLE_OK && (code == 200 || code == 201);
    if (!ok && b->failed++ < 5)
        fprintf(stderr, "etcd_bench: %s: %s: request %llu: status %ld, %s\n", b->side->name, s->target,
                (unsigned long long) b->done, code, curl_easy_strerror(outcome));
    b->done++;
    xgrow(&b->latencies, b->n_latencies, &b->cap);
    b->latencies[b->n_latencies++] = now_monotonic_usec() - s->begun;
    if (s->operation != WATCH)
        (void) start_next(s);
}

static void read_outcomes(struct bench *b) {
    int left;

    for (CURLMsg *m; (m = curl_multi_info_read(b->multi, &left));) {
        struct slot *s = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        (void) curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **) &s);
        finished(s, m->data.result);
    }
}

static void on_ready(void *userdata, int fd, uint32_t events) {
    struct bench *b = userdata;
    int running, what = (events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
                        (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) | (events & EPOLLERR ? CURL_CSELECT_ERR : 0);

    (void) curl_multi_socket_action(b->multi, fd, what, &running);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *at_socket) {
    struct bench *b = userdata;

    return curl_sockets_want(b->multi, b->loop, fd, what, at_socket, on_ready, b);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    struct bench *b = userdata;
    int running;

    (void) curl_multi_socket_action(b->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    return 0;
}

static int want_timer(CURLM *multi, long msec, void *userdata) {
    struct bench *b = userdata;

    if (msec >= 0)
        (void) sd_event_source_set_time_relative(b->timer, (uint64_t) msec * USEC_PER_MSEC);
    return sd_event_source_set_enabled(b->timer, msec < 0 ? SD_EVENT_OFF : SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

/* --- measuring --- */

/* Connections of its own for each measurement. */
static void multi_open(struct bench *b) {
    b->multi = curl_multi_init();
    (void) curl_multi_setopt(b->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    (void) curl_multi_setopt(b->multi, CURLMOPT_SOCKETDATA, b);
    (void) curl_multi_setopt(b->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    (void) curl_multi_setopt(b->multi, CURLMOPT_TIMERDATA, b);
    (void) curl_multi_setopt(b->multi, CURLMOPT_MAXCONNECTS, 2L * (UNDER_WAY + WATCHERS));
}

static void multi_close(struct bench *b) {
    (void) curl_multi_cleanup(b->multi);
    b->multi = NULL;
}

static void slot_open(struct bench *b, struct slot *s, enum operation operation) {
    *s = (struct slot){.b = b, .operation = operation, .easy = curl_easy_init()};
    (void) curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
    (void) curl_easy_setopt(s->easy, CURLOPT_PROXY, "");
    (void) curl_easy_setopt(s->easy, CURLOPT_NOSIGNAL, 1L);
    (void) curl_easy_setopt(s->easy, CURLOPT_TCP_NODELAY, 1L);
    (void) curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_body);
    (void) curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
    (void) curl_easy_setopt(s->easy, CURLOPT_HEADERFUNCTION, on_header);
    (void) curl_easy_setopt(s->easy, CURLOPT_HEADERDATA, s);
    (void) curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, b->headers);
    (void) curl_easy_setopt(s->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    if (b->side->socket)
        (void) curl_easy_setopt(s->easy, CURLOPT_UNIX_SOCKET_PATH, b->side->socket);
}

static void slot_close(struct slot *s) {
    if (s->operation == WATCH)
        (void) curl_multi_remove_handle(s->b->multi, s->easy);
    curl_easy_cleanup(s->easy);
    strbuf_finish(&s->body);
    strbuf_finish(&s->stream);
    free(s->target);
    *s = (struct slot){0};
}

static double cpu_of(pid_t pid) {
    _cleanup_free_ char *path = xasprintf("/proc/%d/stat", (int) pid);
    char text[1024] = "";
    unsigned long user = 0, system = 0;
    FILE *f = fopen(path, "re");

    if (f && fgets(text, sizeof(text), f) && strrchr(text, ')'))
        (void) sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    if (f)
        (void) fclose(f);
    return (double) (user + system) / (double) sysconf(_SC_CLK_TCK);
}

struct result {
    double rate, p50, p99, cpu; /* 1/s, ms, ms, µs of the server for each */
};

static void begin(struct bench *b, enum operation operation, unsigned under_way, double seconds, uint64_t limit) {
    b->started = b->done = b->n_latencies = 0;
    b->limit = limit;
    b->until = seconds > 0 ? now_monotonic_usec() + (uint64_t) (seconds * USEC_PER_SEC) : 0;
    for (unsigned i = 0; i < under_way; i++) {
        slot_open(b, &b->slots[i], operation);
        (void) start_next(&b->slots[i]);
    }
}

static void turn(struct bench *b) {
    (void) sd_event_run(b->loop, 100 * USEC_PER_MSEC);
    read_outcomes(b);
}

static int by_value(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static struct result requests(struct bench *b, enum operation operation, unsigned under_way, double seconds,
                              uint64_t limit) {
    uint64_t from = now_monotonic_usec();
    double cpu = cpu_of(b->side->pid);

    multi_open(b);
    begin(b, operation, under_way, seconds, limit);
    while (b->running > 0)
        turn(b);
    double took = (double) (now_monotonic_usec() - from) / USEC_PER_SEC, n = (double) b->done;
    qsort(b->latencies, b->n_latencies, sizeof(*b->latencies), by_value);
    struct result r = {n / took, (double) b->latencies[b->n_latencies / 2] / 1000,
                       (double) b->latencies[b->n_latencies * 99 / 100] / 1000, (cpu_of(b->side->pid) - cpu) / n * 1e6};
    for (unsigned i = 0; i < under_way; i++)
        slot_close(&b->slots[i]);
    multi_close(b);
    return r;
}

static bool all_watchers(struct bench *b, uint64_t events) {
    for (int i = 0; i < WATCHERS; i++)
        if (!b->watchers[i].open || b->watchers[i].events < events)
            return false;
    return true;
}

static struct result watches(struct bench *b) {
    uint64_t until = now_monotonic_usec() + 60 * USEC_PER_SEC;

    multi_open(b);
    for (int i = 0; i < WATCHERS; i++) {
        slot_open(b, &b->watchers[i], WATCH);
        set_request(&b->watchers[i], 0);
        (void) curl_multi_add_handle(b->multi, b->watchers[i].easy);
    }
    while (!all_watchers(b, 0) && now_monotonic_usec() < until)
        turn(b);
    uint64_t from = now_monotonic_usec();
    double cpu = cpu_of(b->side->pid), n = (double) WATCHERS * EVENTS;
    begin(b, WRITE, UNDER_WAY, 0, EVENTS);
    while ((b->running > 0 || !all_watchers(b, EVENTS)) && now_monotonic_usec() < until)
        turn(b);
    double took = (double) (now_monotonic_usec() - from) / USEC_PER_SEC;
    if (!all_watchers(b, EVENTS)) {
        fprintf(stderr, "etcd_bench: %s: watchers lack events\n", b->side->name);
        b->failed++;
    }
    for (int i = 0; i < UNDER_WAY; i++)
        slot_close(&b->slots[i]);
    for (int i = 0; i < WATCHERS; i++)
        slot_close(&b->watchers[i]);
    multi_close(b);
    return (struct result){n / took, 0, 0, (cpu_of(b->side->pid) - cpu) / n * 1e6};
}

/* --- servers --- */

static int free_port(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void) (bind(fd, (struct sockaddr *) &a, n) + getsockname(fd, (struct sockaddr *) &a, &n));
    (void) close(fd);
    return ntohs(a.sin_port);
}

static pid_t spawn(char *const *args, const char *log) {
    pid_t pid = fork();

    if (pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) (dup2(fd, 1) + dup2(fd, 2));
        (void) execv(args[0], args);
        _exit(127);
    }
    return pid;
}

static pid_t start_etcd(const char *program, const char *dir, int port) {
    _cleanup_free_ char *data = xasprintf("--data-dir=%s/etcd", dir), *log = xasprintf("%s/etcd.log", dir);
    int peer = free_port();
    _cleanup_free_ char *a = xasprintf("--listen-client-urls=http://127.0.0.1:%d", port),
                        *b = xasprintf("--advertise-client-urls=http://127.0.0.1:%d", port),
                        *c = xasprintf("--listen-peer-urls=http://127.0.0.1:%d", peer),
                        *d = xasprintf("--initial-advertise-peer-urls=http://127.0.0.1:%d", peer),
                        *e = xasprintf("--initial-cluster=default=http://127.0.0.1:%d", peer);
    char *args[] = {(char *) program, data, a, b, c, d, e, (char *) "--quota-backend-bytes=8589934592", NULL};

    return spawn(args, log);
}

static pid_t start_podium(const char *program, const char *dir) {
    _cleanup_free_ char *data = xasprintf("%s/podium", dir), *socket = xasprintf("%s/api.sock", dir),
                        *link = xasprintf("%s/link.sock", dir), *log = xasprintf("%s/podium.log", dir),
                        *port = xasprintf("%d", free_port()), *link_port = xasprintf("%d", free_port());
    char *args[] = {(char *) program,
                    (char *) "server",
                    (char *) "--data-dir",
                    data,
                    (char *) "--port",
                    port,
                    (char *) "--bind-address",
                    (char *) "127.0.0.1",
                    (char *) "--link-port",
                    link_port,
                    (char *) "--advertise-address",
                    (char *) "127.0.0.1",
                    (char *) "--socket",
                    socket,
                    (char *) "--link-socket",
                    link,
                    (char *) "--manifests",
                    (char *) "",
                    NULL};

    return spawn(args, log);
}

/* Writes until one succeeds. */
static bool wait_ready(struct bench *b, const struct side *side) {
    uint64_t until = now_monotonic_usec() + 30 * USEC_PER_SEC;

    b->side = side;
    b->space = "default";
    for (uint64_t n = 0; now_monotonic_usec() < until; n++) {
        long code = 0;
        struct slot *s = &b->slots[0];
        slot_open(b, s, WRITE);
        set_request(s, n);
        CURLcode outcome = curl_easy_perform(s->easy);
        (void) curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &code);
        bool ok = outcome == CURLE_OK && code == (side->etcd ? 200 : 201);
        slot_close(s);
        if (ok)
            return true;
        (void) usleep(50000);
    }
    fprintf(stderr, "etcd_bench: %s does not get ready\n", side->name);
    return false;
}

static void make_namespace(struct bench *b, const char *name) {
    _cleanup_free_ char *text = xasprintf("{\"metadata\":{\"name\":\"%s\"}}", name),
                        *url = xasprintf("%s/api/v1/namespaces", b->side->url);
    struct slot *s = &b->slots[0];

    b->space = name;
    if (b->side->etcd)
        return;
    slot_open(b, s, WRITE);
    (void) curl_easy_setopt(s->easy, CURLOPT_URL, url);
    (void) curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, text);
    b->failed += curl_easy_perform(s->easy) != CURLE_OK;
    slot_close(s);
}

/* --- the comparison --- */

enum { WRITES_1, WRITES_64, READS_64, EVENTS_50, PARTS };
static const char *const parts[PARTS] = {"durable writes of 2.1 kB, 1 under way",
                                         "durable writes of 2.1 kB, 64 under way", "reads of 2.1 kB, 64 under way",
                                         "events of 2.1 kB to 50 watchers"};

static void run_round(struct bench *b, const struct side *side, int round, double seconds, struct result *out) {
    static const char *const names[] = {"one", "many", "watched"};
    char name[32];

    b->side = side;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void) snprintf(name, sizeof(name), "%s-%d", names[i], round);
        make_namespace(b, name);
        if (i == 0)
            out[WRITES_1] = requests(b, WRITE, 1, seconds / 2, 0);
        if (i == 1) {
            out[WRITES_64] = requests(b, WRITE, UNDER_WAY, seconds, 0);
            out[READS_64] = requests(b, READ, UNDER_WAY, seconds, 0);
        }
        if (i == 2)
            out[EVENTS_50] = watches(b);
    }
}

static void show(const struct side *side, int part, const struct result *r, const char *peer) {
    _cleanup_free_ char *late = xasprintf("%s, p99", parts[part]), *cpu = xasprintf("%s, server's CPU", parts[part]);
    const struct {
        const char *name, *unit;
        double value;
    } figures[] = {{parts[part], "1/s", r->rate}, {late, "ms", r->p99}, {cpu, "µs each", r->cpu}};

    printf("%-42s %-8s %9.0f/s  p50 %7.2f  p99 %7.2f ms  server %6.1f us each\n", parts[part], side->name, r->rate,
           r->p50, r->p99, r->cpu);
    (void) fflush(stdout);
    for (size_t i = 0; i < ARRAY_LEN(figures); i++) {
        if (part == EVENTS_50 && i == 1)
            continue;
        if (side->etcd)
            record_peer("etcd", figures[i].name, figures[i].value, figures[i].unit, peer);
        else
            record("etcd", figures[i].name, figures[i].value, figures[i].unit, NULL);
    }
}

static bool set_up(struct bench *b) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (libcurl_open(&err) < 0 || sd_event_new(&b->loop) < 0 ||
        sd_event_add_time_relative(b->loop, &b->timer, CLOCK_MONOTONIC, 0, 1, on_timer, b) < 0)
        return false;
    b->headers = curl_slist_append(NULL, "Content-Type: application/json");
    b->headers = curl_slist_append(b->headers, "Expect:");
    return true;
}

int main(int argc, char **argv) {
    double seconds = argc > 4 ? strtod(argv[4], NULL) : 3;
    int rounds = argc > 5 ? atoi(argv[5]) : 3, port = free_port();
    struct bench *b = xnew0(struct bench);
    bool ok = true;

    if (argc < 4)
        return fputs("usage: etcd_bench PODIUM ETCD FOLDER [SECONDS] [ROUNDS]\n", stderr), 2;
    (void) signal(SIGPIPE, SIG_IGN);
    if (!set_up(b))
        return 1;
    struct side sides[] = {
        {.name = "podium", .url = xstrdup("http://podium"), .socket = xasprintf("%s/api.sock", argv[3])},
        {.name = "etcd", .etcd = true, .url = xasprintf("http://127.0.0.1:%d", port)}};
    sides[0].pid = start_podium(argv[1], argv[3]);
    sides[1].pid = start_etcd(argv[2], argv[3], port);
    printf("etcd alone, by its JSON gateway, beside the whole API of podium: the same client, disk, values\n");
    for (size_t i = 0; i < ARRAY_LEN(sides); i++)
        ok = ok && wait_ready(b, &sides[i]);
    for (int round = 0; ok && round < rounds; round++)
        for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
            struct result r[PARTS];
            run_round(b, &sides[(i + (size_t) round) % 2], round, seconds, r);
            for (int part = 0; part < PARTS; part++)
                show(b->side, part, &r[part], "etcd (gateway)");
        }
    for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
        (void) kill(sides[i].pid, SIGTERM);
        (void) waitpid(sides[i].pid, NULL, 0);
    }
    return !ok || b->failed > 0;
}
