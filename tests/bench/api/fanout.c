/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/api/fanout.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "tests/bench/api/objects.h"

#define PATH           "/api/v1/namespaces/bench/configmaps"
#define OBJECTS        100u
#define BEHIND_MAX     256u /* events the watchers may be behind before writers wait for them */
#define STAMP          "T="
#define STAMP_DIGITS   16
#define SAMPLES_MAX    4000000u
#define LATENCY_SAMPLE 8 /* one event in so many is looked into when the rate is not fixed */

struct watcher {
    struct connection c;
    uint64_t events;
    uint8_t prefix[4]; /* length of a protobuf frame, as far as it has come */
    unsigned n_prefix;
    uint64_t left; /* of the frame */
};

struct scene {
    const struct fanout *f;
    struct fanout_result *result;
    struct watcher *watchers;
    struct connection *writers;
    bool *busy; /* writers */
    float *samples;
    size_t n_samples;
    uint64_t started, until, written;
    int epoll;
    struct strbuf body, request;
};

/* --- reading --- */

static void take_stamps(struct scene *s, const char *p, size_t n) {
    uint64_t now = now_monotonic_usec();
    const char *end = p + n, *at;

    while ((at = memmem(p, (size_t) (end - p), STAMP, 2)) && at + 2 + STAMP_DIGITS < end) {
        uint64_t then = strtoull(at + 2, NULL, 10);
        if (then >= s->started && then <= now && s->n_samples < SAMPLES_MAX)
            s->samples[s->n_samples++] = (float) (now - then) / 1000.0f;
        p = at + 2 + STAMP_DIGITS;
    }
}

static void count_frames(struct watcher *w, const char *p, size_t n) {
    while (n > 0) {
        if (w->left > 0) {
            size_t k = w->left < n ? w->left : n;
            w->left -= k;
            p += k;
            n -= k;
            w->events += w->left == 0;
            continue;
        }
        w->prefix[w->n_prefix++] = (uint8_t) *p++;
        n--;
        if (w->n_prefix < 4)
            continue;
        w->n_prefix = 0;
        for (int i = 0; i < 4; i++)
            w->left = w->left << 8 | w->prefix[i];
    }
}

static void count_lines(struct watcher *w, const char *p, size_t n) {
    const char *end = p + n;

    while ((p = memchr(p, '\n', (size_t) (end - p)))) {
        w->events++;
        p++;
    }
}

struct sink {
    struct scene *scene;
    struct watcher *watcher;
};

static void take_events(void *userdata, struct connection *c, const char *p, size_t n) {
    struct sink *k = userdata;
    struct watcher *w = k->watcher;
    uint64_t before = w->events;

    (k->scene->f->protobuf ? count_frames : count_lines)(w, p, n);
    k->scene->result->events += w->events - before;
    if (k->scene->f->writes_per_second > 0 || (w - k->scene->watchers) % LATENCY_SAMPLE == 0)
        take_stamps(k->scene, p, n);
}

static bool read_watcher(struct scene *s, struct watcher *w) {
    struct sink k = {s, w};
    char buf[16384];

    for (;;) {
        ssize_t n = connection_receive(&w->c, buf, sizeof(buf));
        if (n == 0)
            return true;
        if (n < 0 || answer_take(&w->c, buf, (size_t) n, take_events, &k) != 0 || (w->c.body && w->c.status != 200)) {
            fprintf(stderr, "api_bench: a watch has ended (status %d)\n", w->c.status);
            return false;
        }
    }
}

/* --- writing --- */

static bool write_one(struct scene *s, struct connection *c, bool *busy) {
    uint64_t i = s->written % OBJECTS;
    char path[128];

    strbuf_reset(&s->body);
    strbuf_reset(&s->request);
    strbuf_addf(&s->body, "{\"data\":{\"key-0\":\"" STAMP "%0*" PRIu64 ";%" PRIu64 "\"}}", STAMP_DIGITS,
                now_monotonic_usec(), s->written);
    (void) snprintf(path, sizeof(path), PATH "/fan-%" PRIu64, i);
    http_request("PATCH", path, "Content-Type: application/merge-patch+json\r\n", &s->body, &s->request);
    s->written++;
    *busy = true;
    return connection_send(c, s->request.data, s->request.len);
}

static bool may_write(const struct scene *s, uint64_t now) {
    const struct fanout *f = s->f;

    if (now >= s->until)
        return false;
    if (f->writes_per_second > 0)
        return (double) s->written < (double) (now - s->started) / 1e6 * f->writes_per_second;
    return s->written * f->watchers < s->result->events + (uint64_t) f->watchers * BEHIND_MAX;
}

static bool read_writer(struct scene *s, unsigned i) {
    struct connection *c = &s->writers[i];
    char buf[16384];

    for (;;) {
        ssize_t n = connection_receive(c, buf, sizeof(buf));
        if (n == 0)
            return true;
        int r = n < 0 ? -1 : answer_take(c, buf, (size_t) n, NULL, NULL);
        if (r < 0 || (r > 0 && c->status != 200)) {
            fprintf(stderr, "api_bench: a write failed (status %d)\n", c->status);
            return false;
        }
        if (r > 0) {
            s->busy[i] = false;
            s->result->writes++;
        }
    }
}

/* --- the scene --- */

static bool add(struct scene *s, struct connection *c, uint64_t id) {
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = id};

    return fcntl(c->fd, F_SETFL, O_NONBLOCK) == 0 && epoll_ctl(s->epoll, EPOLL_CTL_ADD, c->fd, &e) == 0;
}

static bool create_objects(struct scene *s, struct target *t) {
    for (uint64_t i = 0; i < OBJECTS; i++) {
        strbuf_reset(&s->body);
        strbuf_reset(&s->request);
        object_config_map("fan", i, &s->body);
        http_request("POST", PATH, "Content-Type: application/json\r\n", &s->body, &s->request);
        int code = request_once(t, s->request.data, s->request.len, NULL);
        if (code != 201 && code != 409)
            return false;
    }
    return true;
}

static bool open_scene(struct scene *s, struct target *t) {
    const struct fanout *f = s->f;

    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!create_objects(s, t))
        return false;
    strbuf_reset(&s->request);
    http_request("GET", PATH "?watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan",
                 f->protobuf ? "Accept: application/vnd.kubernetes.protobuf;stream=watch\r\n" : "", NULL, &s->request);
    for (unsigned i = 0; i < f->watchers; i++)
        if (!connection_open(&s->watchers[i].c, t) ||
            !connection_send(&s->watchers[i].c, s->request.data, s->request.len) || !add(s, &s->watchers[i].c, i))
            return false;
    for (unsigned i = 0; i < f->writers; i++)
        if (!connection_open(&s->writers[i], t) || !add(s, &s->writers[i], f->watchers + i))
            return false;
    return true;
}

static bool serve(struct scene *s, const struct epoll_event *events, int n) {
    for (int k = 0; k < n; k++) {
        uint64_t id = events[k].data.u64;
        if (id < s->f->watchers ? !read_watcher(s, &s->watchers[id])
                                : !read_writer(s, (unsigned) (id - s->f->watchers)))
            return false;
    }
    return true;
}

static bool play(struct scene *s) {
    struct epoll_event events[128];

    for (;;) {
        uint64_t now = now_monotonic_usec();
        if (now >= s->until)
            return true;
        for (unsigned i = 0; i < s->f->writers; i++)
            if (!s->busy[i] && may_write(s, now) && !write_one(s, &s->writers[i], &s->busy[i]))
                return false;
        int n = epoll_wait(s->epoll, events, 128, s->f->writes_per_second > 0 ? 1 : 1000);
        if (n < 0 || !serve(s, events, n))
            return false;
    }
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *) a, y = *(const float *) b;

    return x < y ? -1 : x > y;
}

static bool measure(struct scene *s, const struct target *t) {
    struct fanout_result *r = s->result;
    double own = own_cpu(), theirs = target_cpu(t);

    s->started = now_monotonic_usec();
    s->until = s->started + (uint64_t) (s->f->seconds * 1e6);
    bool ok = play(s);
    r->seconds = (double) (now_monotonic_usec() - s->started) / 1e6;
    r->client_cpu = own_cpu() - own;
    r->server_cpu = target_cpu(t) - theirs;
    if (!ok || s->n_samples == 0)
        return false;
    qsort(s->samples, s->n_samples, sizeof(float), by_value);
    r->p50 = (double) s->samples[s->n_samples / 2];
    r->p99 = (double) s->samples[s->n_samples * 99 / 100];
    return true;
}

bool fanout_run(struct target *t, const struct fanout *f, struct fanout_result *ret) {
    *ret = (struct fanout_result){0};
    struct scene s = {.f = f,
                      .result = ret,
                      .watchers = xcalloc(f->watchers, sizeof(*s.watchers)),
                      .writers = xcalloc(f->writers, sizeof(*s.writers)),
                      .busy = xcalloc(f->writers, sizeof(bool)),
                      .samples = xcalloc(SAMPLES_MAX, sizeof(float))};
    bool ok = open_scene(&s, t) && measure(&s, t);

    for (unsigned i = 0; i < f->watchers; i++)
        connection_close(&s.watchers[i].c);
    for (unsigned i = 0; i < f->writers; i++)
        connection_close(&s.writers[i]);
    (void) close(s.epoll);
    strbuf_finish(&s.body);
    strbuf_finish(&s.request);
    free(s.watchers);
    free(s.writers);
    free(s.busy);
    free(s.samples);
    return ok;
}
