/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The API server: the Kubernetes v1 API over HTTPS, over a root-only unix socket, and in-process.
 *
 * What it is. A translation between requests and the store: authenticate, authorize, decode, default, admit, validate,
 * write (or read), encode. It holds no objects of its own; what it caches (RBAC rules, service addresses, discovery
 * texts) can be rebuilt from the store at any time.
 *
 * Threads. libmicrohttpd runs `worker_threads` epoll threads for the TLS port and one for the unix socket. A request is
 * a small state machine (request.h): workers decode, default, validate and encode on immutable documents; a write is
 * handed to store_submit() with the connection suspended and goes on when the commit thread reports. Nothing blocks a
 * worker. One more thread (http/keeper.c) sleeps until a watch must end, wants a bookmark, or lost its peer. Unlike
 * DESIGN.md's first wording, reads never visit the event loop: store snapshots are thread-safe, so workers answer
 * them alone; in-process clients (local_client.h) run the same verbs on their loop's thread.
 *
 * Ownership. Options are copied, except the store, which must outlive the server.
 *
 * Errors. As usual; -EADDRINUSE and file errors name what they concern.
 */
#ifndef PODIUM_APISERVER_APISERVER_H
#define PODIUM_APISERVER_APISERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "orchestrator/store/store.h"
#include "podium/base/error.h"

struct apiserver;
struct json;
struct node_ops;

#define APISERVER_DEFAULT_PORT 6443

/* A user as an authenticator found it. Members are allocated; groups NULL-terminated or NULL. */
struct api_user {
    char *name;
    char *uid;
    char **groups;
    struct json *extra; /* object of arrays of strings, e.g. authentication.kubernetes.io/pod-name; NULL: none */
};
void api_user_finish(struct api_user *u);

/* Asked for every bearer token, in order; any thread. 1: *ret filled; 0: not mine; -EACCES: mine, but bad or expired.
 */
struct api_token_authenticator {
    int (*authenticate)(void *userdata, const char *token, struct api_user *ret);
    void *userdata;
};

/* The audit log (audit/log.h): off when log is NULL. Zeros are the defaults there. */
struct apiserver_audit_options {
    const char *log;         /* a file, or "journal" */
    const char *policy_file; /* audit.k8s.io/v1 Policy; NULL: Metadata of everything */
    uint64_t bytes_max, age_max_sec;
    unsigned backups_max;
    size_t queue_bytes;
    bool blocking;
};

/* Pod Security admission. Standards are "LEVEL" or "LEVEL:VERSION" ("baseline:v1.30"); NULL: privileged, that is,
 * nothing is asked. Lists are separated by commas; NULL: empty. */
struct api_pod_security {
    const char *enforce, *audit, *warn; /* of namespaces without labels */
    const char *exempt_namespaces, *exempt_users, *exempt_runtime_classes;
    bool relax_user_namespaces; /* pods with hostUsers: false may be root and see all of /proc */
};

/* Zeros are the defaults (http/http_server.c, http/inflight.h). */
struct apiserver_limits {
    unsigned reading_max, mutating_max;                                   /* requests under way */
    unsigned header_seconds, body_seconds, idle_seconds, request_seconds; /* time-outs of connections over TLS */
    unsigned per_address;                                                 /* connections */
};

struct apiserver_options {
    struct store *store;
    const char *address;              /* IPv4 or IPv6 address to listen on; NULL: all */
    int port;                         /* 0: APISERVER_DEFAULT_PORT; -1: any free port (tests); -2: no TCP at all */
    const char *cert_file, *key_file; /* the server's certificate; needed with TCP */
    const char *client_ca_file;       /* authority of client certificates; needed with TCP */
    int tcp_fd, unix_fd;              /* listening already (socket activation), taken over; 0: opened here */
    const char *unix_socket; /* path, made with mode 0600; peers of uid 0 (or our own) are system:masters; NULL: none */
    const struct api_token_authenticator *authenticators;
    size_t n_authenticators;
    const char *account_key_file; /* private key for tokens of service accounts; NULL: there are none */
    const char *account_issuer;   /* NULL: "https://kubernetes.default.svc.cluster.local" */
    const char *service_cidr;     /* IPv4 range of ClusterIPs; NULL: "10.96.0.0/16" */
    const char *version;          /* Podium's version for gitVersion "v1.32.0+podium-<version>"; NULL: "dev" */
    unsigned worker_threads;      /* 0: number of processors, at most 4 */
    unsigned toleration_seconds;  /* how long new pods tolerate a lost node by default; 0: 300 */
    unsigned bookmark_seconds;    /* interval of watch bookmarks; 0: 60 */
    struct apiserver_audit_options audit;
    struct api_pod_security pod_security;
    const char *enable_admission_plugins; /* names with commas between, of those that are off by default; NULL: none */
    struct apiserver_limits limits;
};

/* Makes the server and writes the bootstrap objects (namespaces, cluster roles) that are missing. Blocks meanwhile. */
int apiserver_new(const struct apiserver_options *options, struct apiserver **ret, struct error *err) _must_check_;
/* Opens the doors. */
int apiserver_start(struct apiserver *api, struct error *err) _must_check_;
/* The TCP port listened on; 0 when none. */
int apiserver_port(const struct apiserver *api);
/* Reads cert_file and key_file again: new connections use them. The old ones stay when reading fails. Any thread. */
int apiserver_reload_certificates(struct apiserver *api, struct error *err) _must_check_;
/* Sets who carries logs and exec of pods (subresources/node_ops.h), before apiserver_start(). Without, such requests
 * are answered with 503. The loop must run until apiserver_free(), which must be called on its thread. */
int apiserver_set_node_ops(struct apiserver *api, sd_event *loop, const struct node_ops *ops, void *carrier,
                           struct error *err) _must_check_;
/* Ends watches, closes the doors, waits for requests under way. NULL is fine. Local clients must be gone. */
void apiserver_free(struct apiserver *api);
DEFINE_CLEANUP(struct apiserver *, apiserver_free)

#endif
