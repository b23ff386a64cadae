/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/api/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define AHEAD_BYTES (128u * 1024u)
#define PRIORITIES  "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"

static double cpu_of(clockid_t clock) {
    struct timespec t;

    return clock_gettime(clock, &t) < 0 ? 0 : (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

double target_cpu(const struct target *t) {
    clockid_t clock;

    return clock_getcpuclockid(t->pid, &clock) == 0 ? cpu_of(clock) : 0;
}

double own_cpu(void) {
    return cpu_of(CLOCK_PROCESS_CPUTIME_ID);
}

/* --- one connection --- */

/* GnuTLS asks for five bytes, then for the rest of the record: one recv(2) serves both, and the next records, too. */
static ssize_t pull(gnutls_transport_ptr_t p, void *buf, size_t n) {
    struct connection *c = p;

    if (c->ahead_at == c->ahead_len) {
        ssize_t got = recv(c->fd, c->ahead, AHEAD_BYTES, 0);
        if (got <= 0)
            return got;
        c->ahead_at = 0;
        c->ahead_len = (size_t) got;
    }
    size_t k = c->ahead_len - c->ahead_at;
    k = k < n ? k : n;
    memcpy(buf, c->ahead + c->ahead_at, k);
    c->ahead_at += k;
    return (ssize_t) k;
}

static bool wait_fd(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};

    return poll(&p, 1, 10000) > 0;
}

bool connection_open(struct connection *c, const struct target *t) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t) t->port)};
    int r;

    *c = (struct connection){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *) &a, sizeof(a)) < 0) {
        fprintf(stderr, "api_bench: cannot connect: %s\n", strerror(errno));
        return false;
    }
    (void) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    c->ahead = xmalloc(AHEAD_BYTES);
    (void) gnutls_init(&c->tls, GNUTLS_CLIENT);
    (void) gnutls_priority_set_direct(c->tls, PRIORITIES, NULL);
    (void) gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, t->cred);
    if (t->session.size > 0)
        (void) gnutls_session_set_data(c->tls, t->session.data, t->session.size);
    gnutls_transport_set_ptr2(c->tls, c, (gnutls_transport_ptr_t) (intptr_t) c->fd);
    gnutls_transport_set_pull_function(c->tls, pull);
    do
        r = gnutls_handshake(c->tls);
    while (r < 0 && !gnutls_error_is_fatal(r));
    if (r < 0) {
        fprintf(stderr, "api_bench: TLS: %s\n", gnutls_strerror(r));
        return false;
    }
    return true;
}

void connection_close(struct connection *c) {
    if (c->tls)
        gnutls_deinit(c->tls);
    if (c->fd > 0)
        (void) close(c->fd);
    free(c->ahead);
    strbuf_finish(&c->head);
    strbuf_finish(&c->line);
    *c = (struct connection){0};
}

bool connection_send(struct connection *c, const void *p, size_t n) {
    const char *at = p;

    while (n > 0) {
        ssize_t sent = gnutls_record_send(c->tls, at, n);
        if (sent == GNUTLS_E_AGAIN || sent == GNUTLS_E_INTERRUPTED) {
            (void) wait_fd(c->fd, POLLOUT);
            continue;
        }
        if (sent <= 0)
            return false;
        at += sent;
        n -= (size_t) sent;
    }
    return true;
}

ssize_t connection_receive(struct connection *c, void *p, size_t max) {
    for (;;) {
        ssize_t n = gnutls_record_recv(c->tls, p, max);
        if (n > 0)
            return n;
        if (n == GNUTLS_E_AGAIN && c->ahead_at == c->ahead_len)
            return 0;
        if (n != GNUTLS_E_AGAIN && n != GNUTLS_E_INTERRUPTED) /* a ticket has been taken in */
            return -1;
    }
}

/* --- answers --- */

static void head_ended(struct connection *c) {
    const char *h = strbuf_str(&c->head), *v;

    c->status = atoi(h + 9); /* "HTTP/1.1 " */
    c->body = true;
    c->gzip = strcasestr(h, "\r\nContent-Encoding: gzip") != NULL;
    c->chunked = strcasestr(h, "\r\nTransfer-Encoding: chunked") != NULL;
    v = strcasestr(h, "\r\nContent-Length:");
    c->left = v ? strtoull(v + 17, NULL, 10) : 0;
    strbuf_reset(&c->line);
}

/* A chunk's size line, or the empty line behind its data. 1: that was the end. */
static int take_line(struct connection *c, char ch) {
    strbuf_addc(&c->line, ch);
    if (ch != '\n')
        return 0;
    const char *l = strbuf_str(&c->line);
    bool last = *l == '0';
    if (*l == '\r' && c->left == UINT64_MAX) { /* behind the last chunk */
        strbuf_reset(&c->line);
        return 1;
    }
    if (*l != '\r')
        c->left = last ? UINT64_MAX : strtoull(l, NULL, 16);
    strbuf_reset(&c->line);
    return 0;
}

static int take_body(struct connection *c, const char **p, const char *end, body_fn body, void *userdata) {
    while (*p < end) {
        if (c->chunked && (c->left == 0 || c->left == UINT64_MAX)) {
            if (take_line(c, *(*p)++))
                return 1;
            continue;
        }
        size_t n = (size_t) (end - *p);
        n = c->left < n ? c->left : n;
        if (body)
            body(userdata, c, *p, n);
        *p += n;
        c->left -= n;
        if (!c->chunked && c->left == 0)
            return 1;
    }
    return 0;
}

int answer_take(struct connection *c, const char *p, size_t n, body_fn body, void *userdata) {
    const char *end = p + n;

    while (!c->body && p < end) {
        const char *nl = memchr(p, '\n', (size_t) (end - p));
        size_t k = (size_t) ((nl ? nl + 1 : end) - p);
        strbuf_add(&c->head, p, k);
        p += k;
        if (c->head.len >= 4 && memcmp(c->head.data + c->head.len - 4, "\r\n\r\n", 4) == 0)
            head_ended(c);
        else if (c->head.len > 65536)
            return -1;
    }
    if (!c->body)
        return 0;
    int r = !c->chunked && c->left == 0 ? 1 : take_body(c, &p, end, body, userdata);
    if (r == 1) {
        c->body = false;
        strbuf_reset(&c->head);
    }
    return r;
}

static void keep(void *userdata, struct connection *c, const char *p, size_t n) {
    if (userdata)
        strbuf_add(userdata, p, n);
}

int request_once(struct target *t, const char *request, size_t n, struct strbuf *body) {
    struct connection c;
    char buf[16384];
    int r = -1, status = -1;

    if (connection_open(&c, t) && connection_send(&c, request, n)) {
        do {
            ssize_t got = connection_receive(&c, buf, sizeof(buf));
            r = got < 0 ? -1 : got == 0 ? 0 : answer_take(&c, buf, (size_t) got, keep, body);
        } while (r == 0);
        status = r > 0 ? c.status : -1;
    }
    if (status > 0 && t->resume) {
        t->resumed += gnutls_session_is_resumed(c.tls) != 0;
        gnutls_free(t->session.data);
        t->session = (gnutls_datum_t){0};
        (void) gnutls_session_get_data2(c.tls, &t->session);
    }
    connection_close(&c);
    return status;
}

/* --- many of them --- */

struct run {
    const struct load *load;
    struct load_result *result;
    struct strbuf request;
    uint64_t next, until;
    float *samples; /* milliseconds */
    size_t cap;
    unsigned under_way;
};

static void count_bytes(void *userdata, struct connection *c, const char *p, size_t n) {
    struct run *r = userdata;

    r->result->bytes += n;
}

static bool begin(struct run *r, struct connection *c) {
    strbuf_reset(&r->request);
    c->number = r->next++;
    r->load->request(r->load->userdata, c->number, &r->request);
    c->started = now_monotonic_usec();
    return connection_send(c, r->request.data, r->request.len);
}

static bool wanted(const struct run *r, uint64_t now) {
    return now < r->until && (!r->load->number || r->next < r->load->number) && r->result->failed < 100;
}

static bool ended(struct run *r, struct connection *c) {
    struct load_result *result = r->result;
    uint64_t now = now_monotonic_usec();

    if (c->status < 200 || c->status > 299) {
        if (result->failed++ == 0)
            fprintf(stderr, "api_bench: status %d\n", c->status);
    } else {
        if (result->done == r->cap) {
            r->cap = r->cap ? r->cap * 2 : 65536;
            r->samples = xreallocarray(r->samples, r->cap, sizeof(*r->samples));
        }
        r->samples[result->done++] = (float) (now - c->started) / 1000.0f;
    }
    if (wanted(r, now))
        return begin(r, c);
    r->under_way--;
    return true;
}

static bool serve(struct run *r, struct connection *c) {
    static const size_t size = 16384; /* a record */
    char buf[16384];

    for (;;) {
        ssize_t n = connection_receive(c, buf, size);
        if (n == 0)
            return true;
        int k = n < 0 ? -1 : answer_take(c, buf, (size_t) n, count_bytes, r);
        if (k < 0)
            return false;
        if (k > 0 && !ended(r, c))
            return false;
        if (k > 0 && c->ahead_at == c->ahead_len && !gnutls_record_check_pending(c->tls))
            return true; /* nothing can have come yet: spare the read that says so */
    }
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *) a, y = *(const float *) b;

    return x < y ? -1 : x > y;
}

static bool drive(struct run *r, int epoll, struct connection *c) {
    struct epoll_event events[64];

    for (unsigned i = 0; i < r->load->connections && (i == 0 || wanted(r, 0)); i++) {
        r->under_way++;
        if (!begin(r, &c[i]))
            return false;
    }
    while (r->under_way > 0) {
        int n = epoll_wait(epoll, events, 64, 10000);
        if (n == 0) {
            fprintf(stderr, "api_bench: no answer in 10 s\n");
            return false;
        }
        for (int i = 0; i < n; i++)
            if (!serve(r, events[i].data.ptr))
                return false;
    }
    return true;
}

static bool open_all(const struct target *t, unsigned n, int epoll, struct connection *c) {
    for (unsigned i = 0; i < n; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &c[i]};
        if (!connection_open(&c[i], t) || epoll_ctl(epoll, EPOLL_CTL_ADD, c[i].fd, &e) < 0)
            return false;
        (void) fcntl(c[i].fd, F_SETFL, O_NONBLOCK);
    }
    return true;
}

bool load_run(const struct target *t, const struct load *l, struct load_result *ret) {
    struct connection *c = xcalloc(l->connections, sizeof(*c));
    struct run r = {.load = l, .result = ret};
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    *ret = (struct load_result){0};
    bool ok = open_all(t, l->connections, epoll, c);
    double own = own_cpu(), theirs = target_cpu(t);
    uint64_t start = now_monotonic_usec();
    r.until = start + (uint64_t) ((l->seconds > 0 ? l->seconds : 3600) * 1e6);
    ok = ok && drive(&r, epoll, c) && ret->done > 0;
    ret->seconds = (double) (now_monotonic_usec() - start) / 1e6;
    ret->client_cpu = own_cpu() - own;
    ret->server_cpu = target_cpu(t) - theirs;
    if (ok) {
        qsort(r.samples, ret->done, sizeof(float), by_value);
        ret->p50 = (double) r.samples[ret->done / 2];
        ret->p99 = (double) r.samples[ret->done * 99 / 100];
    }
    for (unsigned i = 0; i < l->connections; i++)
        connection_close(&c[i]);
    (void) close(epoll);
    strbuf_finish(&r.request);
    free(r.samples);
    free(c);
    return ok && ret->failed == 0;
}
