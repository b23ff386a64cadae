/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The agent's two sides towards the control plane: functions the link calls, and what the agent calls back. The D-Bus
 * interface org.podium.Node1 is a thin layer over this file.
 *
 * Invariants. The agent acts on nothing before the first agent_sync_end(): until then it only takes up what runs. Pods
 * are named by uid; metadata.uid, name and namespace must be there. Callbacks come from the event loop, never from
 * inside a call into the agent. Documents are those of the API (v1 Pod, ConfigMap, Secret), complete and defaulted.
 *
 * Ownership. Documents passed in are shared by reference (json_ref), never changed. Documents passed to callbacks are
 * borrowed: ref them to keep them.
 *
 * Threads. The loop's only.
 */
#ifndef PODIUM_AGENT_NODE_API_H
#define PODIUM_AGENT_NODE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/cleanup.h"
#include "podium/base/error.h"
#include "podium/base/json.h"
#include "podium/base/strbuf.h"

struct agent;

/* --- desired state, in --- */

/* A full resync: between begin and end every pod and object this node needs is applied again; what was not named
 * in between is removed at the end (pods: stopped as by agent_remove_pod()). Nesting is not allowed; a begin without
 * end (the link broke) is replaced by the next begin. */
void agent_sync_begin(struct agent *agent);
void agent_sync_end(struct agent *agent);
/* A pod bound to this node, new or changed. metadata.deletionTimestamp set: stop it with
 * metadata.deletionGracePeriodSeconds; when it is down, pod_status (final) and pod_finished follow.
 * -EINVAL when the document is no usable pod. */
int agent_apply_pod(struct agent *agent, const struct json *pod, struct error *err) _must_check_;
/* The pod is gone from the store: stop (grace of its spec, or of its deletion) and clean up, tell nothing. */
void agent_remove_pod(struct agent *agent, const char *uid);
/* A static pod: complete and defaulted, with a uid and a name of its own; runs without any resync and stays through all
 * of them. Applied again it may not differ: what changes gets another uid. */
int agent_apply_static_pod(struct agent *agent, const struct json *pod, struct error *err) _must_check_;
/* All static pods but those of the NULL-terminated vector go. */
void agent_retain_static_pods(struct agent *agent, char *const *uids);
/* ConfigMaps and Secrets that pods of this node refer to, and the Services and EndpointSlices of the cluster; kind is
 * in the document. */
void agent_apply_object(struct agent *agent, const struct json *object);
void agent_remove_object(struct agent *agent, const char *kind, const char *namespace, const char *name);
/* {"podCIDR":"10.244.1.0/24","clusterCIDR":"10.244.0.0/16","serviceCIDR":"10.96.0.0/12",
 *  "dns":{"servers":["10.96.0.10"],"domain":"cluster.local","searches":[…],"options":["ndots:5"]},
 *  "peers":[{"name":"n2","podCIDR":"10.244.2.0/24","address":"192.0.2.2"}, …]}
 * The first IPv4 address of dns.servers is where the node itself serves DNS (dns/node_dns.h).
 * Everything but podCIDR is optional. Pods wait (ContainerCreating) until a podCIDR is known, unless hostNetwork.
 * A changed podCIDR is used for new pods. */
int agent_set_network(struct agent *agent, const struct json *network, struct error *err) _must_check_;
/* {"10.244.2.0/24":"192.0.2.2","10.244.9.0/24":null}: members of peers by their podCIDR, new, changed or gone (null);
 * the node's own range is passed over. -ENOENT before the first agent_set_network(). */
int agent_update_peers(struct agent *agent, const struct json *changes, struct error *err) _must_check_;

/* --- observed state, out --- */

struct agent_callbacks {
    /* The full status document for PUT /status. */
    void (*pod_status)(void *userdata, const char *namespace, const char *name, const char *uid,
                       const struct json *status);
    /* A pod with deletionTimestamp is down and cleaned up: the object may go (DELETE with grace 0, uid as
     * precondition). Repeated when the pod is applied again. */
    void (*pod_finished)(void *userdata, const char *namespace, const char *name, const char *uid);
    /* A mirror of a static pod is wanted: the document, annotated kubernetes.io/config.mirror. It comes back by
     * agent_apply_pod(). May be NULL: no mirrors. */
    void (*mirror_pod)(void *userdata, const struct json *pod);
    /* An Event to record. involved: an ObjectReference; what it has as annotations is the Event's; type: "Normal" or
     * "Warning"; count aggregation is the recorder's. */
    void (*event)(void *userdata, const struct json *involved, const char *type, const char *reason,
                  const char *message);
    /* agent_node_status() gives something new. */
    void (*node_status)(void *userdata);
    /* A token of the pod's service account is wanted; audience "": the API's. agent_token_answer() follows, unless the
     * callbacks are set again. < 0: cannot be asked for now. */
    int (*request_token)(void *userdata, const char *namespace, const char *name, const char *uid, const char *audience,
                         int64_t seconds);
};
/* callbacks: static storage, or NULL for none. All known pod statuses are told again soon after. */
void agent_set_callbacks(struct agent *agent, const struct agent_callbacks *callbacks, void *userdata);

/* The answer to request_token: token and its end (RFC 3339), or NULL and why there is none. */
void agent_token_answer(struct agent *agent, const char *uid, const char *audience, int64_t seconds, const char *token,
                        const char *expires, const char *error);

/* The Node's status document: capacity, allocatable, nodeInfo, addresses, conditions (Ready, MemoryPressure,
 * DiskPressure, PIDPressure, and podium.org/CgroupControllersMissing), images. Heartbeat times are left to the caller's
 * Lease. The caller unrefs. */
struct json *agent_node_status(struct agent *agent);

/* [{namespace, name, uid, phase, unit}] of the pods known here, for org.podium.Node1.ListPods. The caller unrefs. */
struct json *agent_list_pods(struct agent *agent);

/* --- questions about the node --- */

/* What others ask a kubelet's port: GET /healthz, /pods, /stats/summary, /metrics, /metrics/cadvisor and
 * /metrics/resource. Appends an HTTP/1.1 response, 404 for what is not known here. path: with or without a query, which
 * nobody looks at. Takes milliseconds with many pods: their cgroups are read. */
void agent_query(struct agent *agent, const char *method, const char *path, struct strbuf *out);

/* --- logs --- */

struct agent_log;

struct agent_log_options {
    const char *uid;       /* the pod's */
    const char *container; /* its name */
    bool follow, timestamps, previous;
    int64_t tail_lines;   /* -1: all */
    uint64_t since_usec;  /* real time; 0: from the start */
    uint64_t limit_bytes; /* 0: no limit */
};

/* Bytes as they come, then end exactly once (error NULL: all read). After end the handle is still the caller's. */
struct agent_log_callbacks {
    void (*data)(void *userdata, const void *p, size_t n);
    void (*end)(void *userdata, const char *error);
};

/* -ENOENT: pod or container unknown; -EINVAL: the container has not started (text as kubelet words it) or there is no
 * previous one. */
int agent_log_open(struct agent *agent, const struct agent_log_options *options,
                   const struct agent_log_callbacks *callbacks, void *userdata, struct agent_log **ret,
                   struct error *err) _must_check_;
/* Flow control: while paused no data comes. */
void agent_log_pause(struct agent_log *log, bool paused);
void agent_log_close(struct agent_log *log); /* any time, also from a callback; NULL is fine */

/* --- exec --- */

struct agent_exec;

enum agent_exec_stream { AGENT_EXEC_STDOUT = 1, AGENT_EXEC_STDERR = 2 };

struct agent_exec_options {
    const char *uid;
    const char *container;
    char *const *args; /* NULL-terminated, at least one */
    bool tty, stdin_, stdout_, stderr_;
};

struct agent_exec_callbacks {
    void (*data)(void *userdata, enum agent_exec_stream stream, const void *p, size_t n);
    /* Once, after all data: the exit code, or -1 and why it could not be run. */
    void (*exit)(void *userdata, int exit_code, const char *error);
    /* The input accepted earlier went out: agent_exec_write() may go on. */
    void (*writable)(void *userdata);
};

/* -ENOENT: pod or container unknown; -EINVAL: not running. */
int agent_exec_open(struct agent *agent, const struct agent_exec_options *options,
                    const struct agent_exec_callbacks *callbacks, void *userdata, struct agent_exec **ret,
                    struct error *err) _must_check_;
/* The same for the container's own process: args is not looked at, tty neither (the container's own setting counts).
 * exit() comes when the container ends, with its exit code; or with 0 a second after the input was ended by
 * agent_exec_write_end(), when that does not end the container's input (stdinOnce does, but not with a terminal); or
 * with an error for a peer that does not take the output. Closing detaches, the container goes on. stderr is apart from
 * stdout only for containers with stdin and without tty. */
int agent_attach_open(struct agent *agent, const struct agent_exec_options *options,
                      const struct agent_exec_callbacks *callbacks, void *userdata, struct agent_exec **ret,
                      struct error *err) _must_check_;
/* Takes all bytes (buffered); returns how many bytes wait: above AGENT_EXEC_BUFFER_HIGH stop until writable(). */
size_t agent_exec_write(struct agent_exec *exec, const void *p, size_t n);
void agent_exec_write_end(struct agent_exec *exec); /* closes its stdin once all is written */
void agent_exec_resize(struct agent_exec *exec, unsigned columns, unsigned rows);
void agent_exec_pause(struct agent_exec *exec, bool paused); /* flow control of the output */
/* Any time, also from a callback; a program still running is left to notice its closed descriptors. */
void agent_exec_close(struct agent_exec *exec);
#define AGENT_EXEC_BUFFER_HIGH (256u * 1024u)

/* --- port-forward --- */

struct agent_forward;

struct agent_forward_callbacks {
    void (*data)(void *userdata, const void *p, size_t n);
    /* Once: the pod's program has closed its side (NULL), or why there is no connection. */
    void (*end)(void *userdata, const char *error);
    /* The input accepted earlier went out: agent_forward_write() may go on. */
    void (*writable)(void *userdata);
};

/* A TCP connection to the port, made in the pod's network namespace (the node's with hostNetwork): to its loopback,
 * IPv4 first, then IPv6; or, pod_address, to the address that others know it by. A refused connection is told by `end`.
 * -ENOENT: pod unknown or not running here. */
int agent_forward_open(struct agent *agent, const char *uid, int port, bool pod_address,
                       const struct agent_forward_callbacks *callbacks, void *userdata, struct agent_forward **ret,
                       struct error *err) _must_check_;
/* Takes all bytes; returns how many wait: above AGENT_EXEC_BUFFER_HIGH stop until writable(). */
size_t agent_forward_write(struct agent_forward *f, const void *p, size_t n);
void agent_forward_write_end(struct agent_forward *f); /* half-closes once all is written */
void agent_forward_pause(struct agent_forward *f, bool paused);
void agent_forward_close(struct agent_forward *f); /* any time, also from a callback; NULL is fine */

#endif
