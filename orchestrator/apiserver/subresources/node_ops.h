/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The door to the nodes: byte streams of logs, of commands in containers, to ports of pods, and nodes' answers to
 * questions about themselves. The API server opens them, whoever has a connection to the nodes carries them
 * (orchestrator/link).
 *
 * Threads. All of it belongs to one loop: the API server calls the operations on the thread of the loop given to
 * apiserver_set_node_ops(), and the handlers must be called on it. A handler may be called from within an operation,
 * except `end` and `data` from within open_logs/open_exec: those come later.
 *
 * Flow control. In each direction at most NODE_STREAM_WINDOW bytes may be under way: the carrier stops sending (and
 * reading at the node) when that many bytes of data() were not yet given back by resume(); the API server stops writing
 * when that many bytes of write() were not yet given back by the `taken` handler (or some more, where several streams
 * share a client's connection that knows no flow control: streams/forward_spdy.c). Credits count all channels together.
 *
 * Lifetime. A stream lives until its `end` handler has returned or cancel() was called, whichever comes first; `end` is
 * called exactly once unless cancelled, and nothing is called after it or after cancel().
 */
#ifndef PODIUM_APISERVER_NODE_OPS_H
#define PODIUM_APISERVER_NODE_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NODE_STREAM_WINDOW (256u * 1024u)

enum node_channel { NODE_STDOUT = 1, NODE_STDERR = 2 };

/* Strings are borrowed for the call. */
struct node_pod {
    const char *node; /* spec.nodeName */
    const char *ns, *name, *uid;
    const char *container;
};

/* wire.md section 12: the query of pods/log. */
struct node_logs_request {
    struct node_pod pod;
    bool follow, previous, timestamps;
    int64_t tail_lines;  /* -1: all */
    int64_t limit_bytes; /* -1: none */
    uint64_t since_usec; /* real time, microseconds since the epoch; 0: from the beginning */
};

struct node_exec_request {
    struct node_pod pod;
    char *const *argv; /* NULL-terminated; NULL: attach to the container's own process */
    bool in, out, err; /* which channels are wanted */
    bool tty;          /* err is not used then */
};

/* A connection to a port of the pod: what write() sends comes out there, data() with NODE_STDOUT is what came back; the
 * end is the end of what comes back, or why there is no connection. */
struct node_forward_request {
    struct node_pod pod; /* container is not used */
    int port;
    bool pod_address; /* at the address that others know the pod by, instead of its loopback */
};

/* nodes/proxy, what others ask a kubelet's port: data() with NODE_STDOUT brings an HTTP/1.1 response, head and body. */
struct node_query_request {
    const char *node;
    const char *method, *path; /* "GET", "/stats/summary" */
};

struct node_stream_end {
    int error; /* 0: the stream ended by itself; -EHOSTUNREACH: node not connected; -ENOENT: no such container,
                  or no logs; other -errno */
    const char *message; /* for people, when error; NULL: strerror */
    int exit_status;     /* exec: 0…255 (128 + signal) */
};

struct node_stream_handlers {
    void (*data)(void *userdata, enum node_channel channel, const void *p, size_t n);
    void (*taken)(void *userdata, size_t n); /* bytes of stdin handed to the command; NULL for logs */
    void (*end)(void *userdata, const struct node_stream_end *end);
};

struct node_stream; /* the carrier's */

struct node_ops {
    /* Never NULL; failures come by `end`. handlers is borrowed for the stream's life. */
    struct node_stream *(*open_logs)(void *carrier, const struct node_logs_request *request,
                                     const struct node_stream_handlers *handlers, void *userdata);
    struct node_stream *(*open_exec)(void *carrier, const struct node_exec_request *request,
                                     const struct node_stream_handlers *handlers, void *userdata);
    struct node_stream *(*open_forward)(void *carrier, const struct node_forward_request *request,
                                        const struct node_stream_handlers *handlers, void *userdata);
    struct node_stream *(*open_query)(void *carrier, const struct node_query_request *request,
                                      const struct node_stream_handlers *handlers, void *userdata);
    void (*write)(struct node_stream *s, const void *p, size_t n); /* stdin */
    void (*write_end)(struct node_stream *s);                      /* end of stdin; once */
    void (*resize)(struct node_stream *s, unsigned columns, unsigned rows);
    void (*resume)(struct node_stream *s, size_t n); /* n bytes of data() have been passed on */
    void (*cancel)(struct node_stream *s);           /* the client has gone; the command gets a hang-up */
};

#endif
