/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The agent's end of the link: dials the control plane, joins with a token when the node has no certificate yet, keeps
 * the connection alive, serves org.podium.Node1 to it and on the node's system bus.
 *
 * Life. Connect → (Join → connect again with the certificate) → Register → heartbeats; when the connection goes, dial
 * again with a growing, capped pause. At each registration the handler is told `connected` and gets a full resync.
 * The node's key never leaves the node; its certificate is renewed over the link before it expires.
 *
 * Threads. The loop's. Ownership: options are copied; the loop and the system bus are borrowed.
 */
#ifndef PODIUM_LINK_AGENT_LINK_H
#define PODIUM_LINK_AGENT_LINK_H

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "orchestrator/link/reactor.h"
#include "orchestrator/link/stream.h"
#include "podium/base/json.h"

struct agent_link;

/* What the node does for the link: implemented by the agent (wired in cmd/). Documents are borrowed. */
struct agent_link_handler {
    void (*connected)(void *userdata, bool connected);
    void (*sync_begin)(void *userdata);
    void (*sync_end)(void *userdata);
    int (*apply_pod)(void *userdata, const struct json *pod, struct error *err);
    /* All pod statuses are wanted again: what was told earlier was overwritten. */
    void (*retell)(void *userdata);
    void (*remove_pod)(void *userdata, const char *uid);
    void (*apply_object)(void *userdata, const struct json *object);
    void (*remove_object)(void *userdata, const char *kind, const char *ns, const char *name);
    /* Texts, as large as there are nodes: the network, and {pod range: address, or null}, what changed in its peers. */
    int (*set_network)(void *userdata, const char *network, struct error *err);
    int (*update_peers)(void *userdata, const char *changes, struct error *err);
    /* The Node's status and labels at registration; the caller unrefs. */
    struct json *(*node_status)(void *userdata);
    struct json *(*node_labels)(void *userdata);
    /* options of a log: {uid, container, follow, timestamps, previous, tailLines (-1: all), sinceUsec, limitBytes};
     * of an exec: {uid, container, args, tty, stdin, stdout, stderr}. On success the handler keeps the stream, having
     * set its callbacks with *ret_ops and *ret_userdata, and ends it with link_stream_end(). */
    int (*open_log)(void *userdata, struct link_stream *stream, const struct json *options, void **ret_userdata,
                    struct error *err);
    int (*open_exec)(void *userdata, struct link_stream *stream, const struct json *options, void **ret_userdata,
                     struct error *err);
    /* A connection to a port of a pod: {uid, port, podAddress (instead of its loopback)}. LINK_STDIN goes there,
     * LINK_STDOUT comes back, the end of what comes back ends the stream with 0. */
    int (*open_forward)(void *userdata, struct link_stream *stream, const struct json *options, void **ret_userdata,
                        struct error *err);
    /* A request about the node: {method, path}. LINK_STDOUT brings an HTTP/1.1 response, the stream ends with 0. */
    int (*open_query)(void *userdata, struct link_stream *stream, const struct json *options, void **ret_userdata,
                      struct error *err);
    const struct link_stream_ops *log_ops, *exec_ops, *forward_ops, *query_ops;
    /* The answer to agent_link_request_token(): token and expires (RFC 3339), or NULL and why not. A connection that
     * goes takes the answers still to come with it. */
    void (*token)(void *userdata, const char *uid, const char *audience, int64_t seconds, const char *token,
                  const char *expires, const char *error);
    /* [{namespace, name, uid, phase, unit}] for ListPods; the caller unrefs. */
    struct json *(*list_pods)(void *userdata);
};

struct agent_link_options {
    const char *server; /* "HOST:PORT" or "unix:PATH" */
    const char *node_name;
    const char *cert_dir; /* node.crt and node.key live here */
    const char *ca_file;  /* authority of the server; written at the first join if ca_hash is given instead */
    const char *ca_hash;  /* "sha256:HEX" of the authority's public key, or NULL */
    const char *token;    /* join token or NULL */
    const char *version;
    sd_bus *system_bus; /* NULL: not exported there */
    /* Shared by many links in one process, borrowed, on the same loop; NULL: one of its own. */
    struct reactor *reactor;
};

int agent_link_new(sd_event *loop, const struct agent_link_options *options, const struct agent_link_handler *handler,
                   void *userdata, struct agent_link **ret, struct error *err) _must_check_;
void agent_link_free(struct agent_link *l);
DEFINE_CLEANUP(struct agent_link *, agent_link_free)

/* News of the node. Without a connection they are dropped: everything is told again after the next one. */
void agent_link_pod_status(struct agent_link *l, const char *ns, const char *name, const char *uid,
                           const struct json *status);
void agent_link_pod_finished(struct agent_link *l, const char *ns, const char *name, const char *uid);
void agent_link_event(struct agent_link *l, const struct json *involved, const char *type, const char *reason,
                      const char *message);
void agent_link_node_status(struct agent_link *l);
void agent_link_mirror_pod(struct agent_link *l, const struct json *pod);
/* Asks for a token of the pod's service account; audience "": the API's. -ENOTCONN when there is nobody to ask. */
int agent_link_request_token(struct agent_link *l, const char *ns, const char *name, const char *uid,
                             const char *audience, int64_t seconds);

#endif
