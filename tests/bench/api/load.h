/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A light HTTPS client for measuring: one thread, epoll, GnuTLS with one buffered read per wake-up, no libcurl. It
 * shares the processors with the server it measures, so what it costs itself is told beside what the server costs.
 */
#ifndef PODIUM_BENCH_LOAD_H
#define PODIUM_BENCH_LOAD_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "podium/base/strbuf.h"

/* The server measured. */
struct target {
    int port;
    pid_t pid;
    gnutls_certificate_credentials_t cred;
    gnutls_datum_t session; /* of an earlier connection, to be resumed; empty: none */
    bool resume;            /* keep one after each request_once() */
    uint64_t resumed;       /* how often that went well */
};

struct connection {
    gnutls_session_t tls;
    int fd;
    unsigned char *ahead; /* read from the socket, not yet decrypted */
    size_t ahead_at, ahead_len;
    struct strbuf head; /* of the answer that is coming in */
    int status;
    bool chunked, body, gzip;
    uint64_t left; /* of the body, or of its chunk */
    struct strbuf line;
    uint64_t started; /* monotonic */
    uint64_t number;  /* of the request under way */
};

/* TLS as Go's clients speak it: 1.3, AES-128-GCM first. Returns false with a message on stderr. */
bool connection_open(struct connection *c, const struct target *t);
void connection_close(struct connection *c);
bool connection_send(struct connection *c, const void *p, size_t n);
/* What has come, up to max: > 0, 0 nothing now, < 0 the connection has ended. */
ssize_t connection_receive(struct connection *c, void *p, size_t max);

/* Body bytes of the answer, as they come; may be NULL. */
typedef void (*body_fn)(void *userdata, struct connection *c, const char *p, size_t n);
/* Takes received bytes in; 1: the answer is complete, 0: more is to come, -1: not understood. */
int answer_take(struct connection *c, const char *p, size_t n, body_fn body, void *userdata);

/* Appends request number i. */
typedef void (*request_fn)(void *userdata, uint64_t i, struct strbuf *out);

struct load {
    unsigned connections;
    double seconds;  /* end after this … */
    uint64_t number; /* … or after so many requests; 0: no such end */
    request_fn request;
    void *userdata;
};

struct load_result {
    uint64_t done, failed, bytes;           /* bytes: of bodies, as sent */
    double seconds, client_cpu, server_cpu; /* seconds */
    double p50, p99;                        /* milliseconds */
};
bool load_run(const struct target *t, const struct load *l, struct load_result *ret);

/* One request on a connection of its own; the body goes to *body (NULL: dropped). Returns the status, or -1. */
int request_once(struct target *t, const char *request, size_t n, struct strbuf *body);

/* Seconds of processor time of the server so far, and of this program. */
double target_cpu(const struct target *t);
double own_cpu(void);

#endif
