/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What pods/log, exec, attach and portforward leave in the answer.
 *
 * exec, port-forward: the request to make of the node; the session (streams/) opens it once the connection is upgraded.
 * logs: a stream that is open already. Its bytes come on the loop's thread and are read by an HTTP worker: this is the
 * bridge between the two. Reading gives credit back to the node.
 */
#ifndef PODIUM_APISERVER_STREAM_H
#define PODIUM_APISERVER_STREAM_H

#include "orchestrator/apiserver/apiserver.h"
#include "orchestrator/apiserver/request.h"
#include "orchestrator/apiserver/subresources/node_ops.h"

struct log_stream;

enum api_stream_kind { API_STREAM_LOG, API_STREAM_COMMAND, API_STREAM_FORWARD, API_STREAM_PROXY };

struct api_stream {
    enum api_stream_kind kind;
    struct apiserver *api;
    struct log_stream *log;        /* API_STREAM_LOG */
    struct node_logs_request logs; /* strings owned by the stream */
    struct node_exec_request exec; /* API_STREAM_COMMAND; its pod also for API_STREAM_FORWARD */
    char *node, *ns, *name, *uid, *container;
    bool tls;     /* API_STREAM_PROXY: the port speaks it */
    bool to_node; /* API_STREAM_PROXY: of a node instead of a pod */
    char **argv;
    int *ports; /* API_STREAM_FORWARD: of the query; may be none. API_STREAM_PROXY: one */
    size_t n_ports;
};
/* A stream about the pod of that name in the request's namespace, which must be on a node that can be asked. NULL: it
 * is not, and the request has been answered. */
struct api_stream *api_stream_of_pod(struct api_request *req, enum api_stream_kind kind, const char *name);
/* The same about a node. */
struct api_stream *api_stream_of_node(struct api_request *req, enum api_stream_kind kind, const char *name);
enum api_progress api_reply_stream(struct api_request *req, struct api_stream *take);
void api_stream_free(struct api_stream *s); /* NULL is fine; closes an open log */

/* Opens a log. The request's strings must live until log_stream_close(). */
struct log_stream *log_stream_open(struct apiserver *api, const struct node_logs_request *request);
/* Calls wake once, from any thread, when there is something to read or the log has ended; at once if that is so. */
void log_stream_set_wake(struct log_stream *l, void (*wake)(void *userdata), void *userdata);
/* Bytes read; 0: nothing now; -1: the log has ended. */
long log_stream_read(struct log_stream *l, char *buf, size_t max);
/* Once something is there or it has ended: 0, or the error it ended with before any byte came. *message is borrowed. */
int log_stream_failure(struct log_stream *l, const char **message);
/* No wake after the return. The carrier is told on the loop; what the request borrowed is freed there (take). */
void log_stream_close(struct log_stream *l, struct api_stream *take);
/* Shutting down: ends all logs as their readers see it; later, on the loop's thread, waits until they are gone. */
void log_streams_abort(struct apiserver *api);
void log_streams_finish(struct apiserver *api);

#endif
