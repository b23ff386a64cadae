/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests of probes and hooks: HTTP/1.1, HTTP/2 in clear text, and bare TCP connections, any number at once on the
 * event loop, without a process or (for addresses) a thread each. Every request has its own connection, closed at its
 * end. TLS certificates are not verified: who probes a pod trusts the pod's address (as upstream).
 *
 * Ownership. done comes once, from the loop, never from inside http_request_start(); the request is freed after it.
 * http_request_cancel() before that frees it without a call. What the answer points to is valid during done, which may
 * free the pool.
 *
 * Threads. The loop's; libcurl looks host names up in threads of its own.
 */
#ifndef PODIUM_AGENT_PROBES_HTTP_H
#define PODIUM_AGENT_PROBES_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/strbuf.h"

typedef struct sd_event sd_event;
struct http_pool;
struct http_request;

#define HTTP_BODY_MAX 10240 /* of an answer, what exceeds is not read */

int http_pool_new(sd_event *loop, struct http_pool **ret, struct error *err) _must_check_;
void http_pool_free(struct http_pool *pool); /* cancels what is under way; NULL is fine */

enum http_mode {
    HTTP_PROBE, /* GET; redirects are followed on the same host, at most ten */
    HTTP_HOOK,  /* GET; all redirects are followed, at most ten */
    HTTP_GRPC,  /* POST over HTTP/2 in clear text */
    HTTP_TCP,   /* connect only */
};

struct http_options {
    enum http_mode mode;
    const char *url;
    char *const *headers; /* "Name: value"; NULL: none */
    const char *user_agent;
    uint64_t timeout_usec; /* 0: none */
    const void *body;      /* HTTP_GRPC */
    size_t n_body;
};

struct http_answer {
    int error;        /* 0, or -errno: -ECONNREFUSED, -ETIMEDOUT, -EIO … */
    const char *text; /* of the error, as Go's client words the common ones */
    long code;
    const char *body; /* the first bytes; NUL-terminated */
    size_t n_body;
    bool redirected_away;                   /* HTTP_PROBE: the code is of a redirect to another host */
    const char *grpc_status, *grpc_message; /* headers or trailers; NULL when absent */
};

typedef void (*http_done_fn)(void *userdata, const struct http_answer *answer);

int http_request_start(struct http_pool *pool, const struct http_options *options, http_done_fn done, void *userdata,
                       struct http_request **ret, struct error *err) _must_check_;
void http_request_cancel(struct http_request *request); /* NULL is fine */

#endif
