/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/link/node_writes.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/client/workqueue.h"
#include "orchestrator/link/pod_conditions.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"

#define CONCURRENCY      64
#define LEASE_NAMESPACE  "kube-node-lease"
#define INDEX_RANGE      "spec.podCIDR"
#define NODE_PREFIX_BITS 24 /* each node's share of the cluster's pod range */
#define BACKOFF_MAX_USEC (10 * USEC_PER_SEC)
#define DIFFERING_MAX    3 /* an answer that is not what was sent: another writer, or a server that rewrites it */

struct node_writes {
    struct client *client;
    struct informer *nodes, *pods;
    struct workqueue *queue;
    struct hashmap *entries; /* key → struct entry */
    struct hashmap *calls;   /* key → struct pending, while a request is under way */
    struct hashmap *cidrs;   /* ranges given to nodes whose objects are not written yet: range → (unused) */
    uint32_t next_range;     /* where to look first: of thousands of nodes each would look at all before it */
    char *cluster_cidr;
    unsigned lease_seconds;
};

enum entry_kind { ENTRY_NODE, ENTRY_LEASE, ENTRY_STATUS, ENTRY_FINISHED };

struct entry {
    enum entry_kind kind;
    char *ns, *name, *uid;
    struct json *value, *labels;
    char *range; /* pod range chosen for a node whose object does not have it yet */
    bool lease_absent;
    struct json *written; /* the value that was written last, as version `written_version` of the object */
    uint64_t written_version;
    unsigned differing; /* answers in a row whose status was not what had been sent */
    bool waiting;       /* written; kept until the informer shows it, so that a newer value can be compared */
};

struct pending {
    struct node_writes *writes;
    char *key;
    struct client_call *call;
    struct json *value; /* what is being written: a newer one may have come when the answer does */
    bool is_status;
};

static void entry_free(void *p) {
    struct entry *e = p;

    free(e->ns);
    free(e->name);
    free(e->uid);
    free(e->range);
    json_unref(e->value);
    json_unref(e->labels);
    json_unref(e->written);
    free(e);
}

static void pending_free(void *p) {
    struct pending *c = p;

    free(c->key);
    json_unref(c->value);
    free(c);
}

static bool same_text(const char *a, const char *b) {
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static uint64_t version_of(const struct json *object) {
    return strtoull(json_str_or(json_path(object, "metadata", "resourceVersion"), "0"), NULL, 10);
}

/* The informer has not seen the last write yet: a difference to what it shows would say nothing. */
static bool is_behind(const struct entry *e, const struct json *object) {
    return version_of(object) < e->written_version;
}

static bool ready_is_unknown(const struct json *node) {
    const struct json *conditions = json_path(node, "status", "conditions");

    for (size_t i = 0; i < json_len(conditions); i++)
        if (same_text(json_str(json_get(json_at(conditions, i), "type")), "Ready"))
            return same_text(json_str(json_get(json_at(conditions, i), "status")), "Unknown");
    return false;
}

/* --- what to send: 1 something, 0 nothing (any more), -EAGAIN not known yet: ask again soon --- */

static void range_of_node(const struct json *node, char ***keys) {
    const char *range = json_str(json_path(node, "spec", "podCIDR"));

    if (range)
        strv_push_dup(keys, range);
}

static bool range_is_taken(const struct node_writes *w, const char *range) {
    size_t n = 0;

    free(informer_list(w->nodes, INDEX_RANGE, range, &n)); /* only how many there are */
    return n > 0 || hashmap_has(w->cidrs, range);
}

/* The next /24 of the cluster's range that no node has; NULL when none is left. */
static char *free_range(struct node_writes *w) {
    char base[INET_ADDRSTRLEN] = "";
    unsigned bits = 0;
    struct in_addr a;

    if (sscanf(w->cluster_cidr, "%15[0-9.]/%u", base, &bits) != 2 || inet_pton(AF_INET, base, &a) != 1 || bits == 0 ||
        bits > NODE_PREFIX_BITS)
        return NULL;
    uint32_t first = ntohl(a.s_addr) & ~((1u << (32 - bits)) - 1);
    uint32_t n = (1u << (NODE_PREFIX_BITS - bits)) - 1; /* the first range is left alone: easy to read */
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = (w->next_range + i) % n;
        struct in_addr range = {htonl(first + ((k + 1) << (32 - NODE_PREFIX_BITS)))};
        char address[INET_ADDRSTRLEN], text[INET_ADDRSTRLEN + 4];
        if (!inet_ntop(AF_INET, &range, address, sizeof(address)))
            return NULL;
        snprintf(text, sizeof(text), "%s/%d", address, NODE_PREFIX_BITS);
        if (!range_is_taken(w, text)) {
            w->next_range = (k + 1) % n;
            hashmap_put(w->cidrs, text, NULL);
            return xstrdup(text);
        }
    }
    return NULL;
}

static struct json *metadata(const char *ns, const char *name) {
    struct json *m = json_object();

    json_set(&m, "name", json_string(name));
    if (ns)
        json_set(&m, "namespace", json_string(ns));
    return m;
}

/* The same range however often the write has to be tried; NULL: none is left, the node stays without. */
static const char *free_or_own_range(struct node_writes *w, struct entry *e) {
    if (!e->range)
        e->range = free_range(w);
    return e->range;
}

static void set_range(const struct entry *e, struct json **spec) {
    json_set(spec, "podCIDR", json_string(e->range));
    json_append(json_set(spec, "podCIDRs", NULL), json_string(e->range));
}

/* Once the object shows a range, the informer's list keeps it from others; ours would keep it for ever. */
static void release_range(struct node_writes *w, struct entry *e) {
    if (e->range)
        (void) hashmap_remove(w->cidrs, e->range);
    free(steal(&e->range));
}

/* What others keep in a Node's status stays: only members the agent knows are its own to change. */
static struct json *node_status_diff(const struct json *node, const struct json *value) {
    struct json *diff = patch_merge_diff(json_get(node, "status"), value);

    for (size_t i = json_len(diff); i-- > 0;)
        if (!json_get(value, json_key_at(diff, i))) {
            _cleanup_free_ char *key = xstrdup(json_key_at(diff, i));
            json_del(&diff, key);
        }
    return diff;
}

static int prepare_node(struct node_writes *w, struct entry *e, struct client_request *r) {
    const struct json *node = informer_get(w->nodes, "", e->name);
    struct json *body;

    if (node && is_behind(e, node))
        return -EAGAIN;
    body = json_object();
    r->resource = resource_by_plural("", "v1", "nodes");
    r->name = e->name;
    r->body = body;
    if (!node) {
        r->verb = CLIENT_CREATE;
        r->name = NULL;
        json_set(&body, "apiVersion", json_string("v1"));
        json_set(&body, "kind", json_string("Node"));
        json_set(&body, "metadata", metadata(NULL, e->name));
        json_set(json_edit(&body, "metadata"), "labels", json_ref(e->labels));
        if (free_or_own_range(w, e))
            set_range(e, json_edit(&body, "spec"));
        r->body = body;
        return 1;
    }
    r->verb = CLIENT_PATCH;
    r->patch_type = PATCH_MERGE;
    const struct json *have = json_path(node, "metadata", "labels");
    for (size_t i = 0; i < json_len(e->labels); i++) {
        const char *key = json_key_at(e->labels, i);
        const struct json *value = json_value_at(e->labels, i);
        if (!json_equal(json_get(have, key), value))
            json_set(json_edit(json_edit(&body, "metadata"), "labels"), key, json_ref(value));
    }
    if (json_str(json_path(node, "spec", "podCIDR")))
        release_range(w, e);
    else if (free_or_own_range(w, e))
        set_range(e, json_edit(&body, "spec"));
    if (json_len(body) > 0) {
        r->body = body;
        return 1;
    }
    /* written already, and nobody gave the node up since: whatever the server made of it is not ours to repeat */
    bool settled = e->written && e->written == e->value && !ready_is_unknown(node);
    struct json *diff = settled ? NULL : node_status_diff(node, e->value);
    if (json_len(diff) == 0) {
        json_unref(diff);
        json_unref(body);
        return 0;
    }
    json_set(&body, "status", diff);
    r->body = body;
    r->subresource = "status";
    return 1;
}

static int prepare_lease(struct node_writes *w, struct entry *e, struct client_request *r) {
    struct json *body = json_object(), *spec = json_object();
    char now[TIMESTAMP_SIZE];

    timestamp_format_micro(now_realtime_usec(), now);
    json_set(&spec, "holderIdentity", json_string(e->name));
    json_set(&spec, "leaseDurationSeconds", json_int(w->lease_seconds));
    json_set(&spec, "renewTime", json_string(now));
    json_set(&body, "spec", spec);
    r->resource = resource_by_plural("coordination.k8s.io", "v1", "leases");
    r->ns = LEASE_NAMESPACE;
    r->code_only = true;
    if (e->lease_absent) {
        json_set(&body, "apiVersion", json_string("coordination.k8s.io/v1"));
        json_set(&body, "kind", json_string("Lease"));
        json_set(&body, "metadata", metadata(LEASE_NAMESPACE, e->name));
        r->verb = CLIENT_CREATE;
    } else {
        r->verb = CLIENT_PATCH;
        r->patch_type = PATCH_MERGE;
        r->name = e->name;
    }
    r->body = body;
    return 1;
}

static struct json *status_diff(const struct json *pod, const struct json *told) {
    _cleanup_json_ struct json *status = pod_status_to_write(pod, told);

    return patch_merge_diff(json_get(pod, "status"), status);
}

static bool status_is_as_told(const struct json *pod, const struct json *told) {
    _cleanup_json_ struct json *diff = status_diff(pod, told);

    return json_len(diff) == 0;
}

static int prepare_status(struct node_writes *w, struct entry *e, struct client_request *r) {
    const struct json *pod = informer_get(w->pods, e->ns, e->name);

    if (!pod || !same_text(json_str(json_path(pod, "metadata", "uid")), e->uid))
        return 0; /* gone, or another pod of that name */
    if (is_behind(e, pod))
        return -EAGAIN;
    if (e->written && e->written == e->value)
        return 0;
    struct json *diff = status_diff(pod, e->value);
    if (json_len(diff) == 0) {
        json_unref(diff);
        return 0;
    }
    r->body = json_object();
    json_set_path(&r->body, json_string(e->uid), "metadata", "uid"); /* a precondition: another pod is a conflict */
    /* the list of conditions is written as a whole: others' must be the newest */
    if (json_get(diff, "conditions") && pod_has_gates(pod))
        json_set_path(&r->body, json_ref(json_path(pod, "metadata", "resourceVersion")), "metadata", "resourceVersion");
    json_set(&r->body, "status", diff);
    r->resource = resource_by_plural("", "v1", "pods");
    r->verb = CLIENT_PATCH;
    r->patch_type = PATCH_MERGE;
    r->ns = e->ns;
    r->name = e->name;
    r->subresource = "status";
    return 1;
}

static int prepare_finished(struct node_writes *w, struct entry *e, struct client_request *r) {
    r->body = json_object();
    json_set(&r->body, "gracePeriodSeconds", json_int(0));
    json_set_path(&r->body, json_string(e->uid), "preconditions", "uid");
    r->resource = resource_by_plural("", "v1", "pods");
    r->verb = CLIENT_DELETE;
    r->code_only = true;
    r->ns = e->ns;
    r->name = e->name;
    return 1;
}

/* --- what came of it --- */

static bool reason_is(const struct client_result *r, const char *reason) {
    return strcmp(r->reason, reason) == 0;
}

/* Remembers what was written as which version, so that the next step waits until the informer shows it. */
static void note_written(struct entry *e, const struct pending *c, const struct json *object, bool is_status) {
    e->written_version = version_of(object);
    if (!is_status)
        return;
    /* another's write may have come between: once more with what is there now, but not for ever */
    if (e->kind == ENTRY_STATUS && !status_is_as_told(object, c->value) && e->differing++ < DIFFERING_MAX)
        return;
    e->differing = 0;
    json_unref(e->written);
    e->written = json_ref(c->value);
}

/* The informer shows what was written, or that the pod is another or gone: nothing to remember. */
static bool is_shown(const struct node_writes *w, const struct entry *e) {
    const struct json *pod = informer_get(w->pods, e->ns, e->name);

    return !pod || !same_text(json_str(json_path(pod, "metadata", "uid")), e->uid) || !is_behind(e, pod);
}

enum { WAIT = 2 };

/* 0: this value is written; 1: something more is to do at once; WAIT: the informer's news will say when; < 0: try again
 * later. */
static int judge(struct node_writes *w, struct entry *e, const struct pending *c, const struct client_result *r) {
    switch (e->kind) {
    case ENTRY_NODE:
        if (!client_ok(r))
            return -EAGAIN; /* AlreadyExists, too: the informer will know it soon */
        note_written(e, c, r->object, c->is_status);
        return 1; /* range and labels first, then status: until nothing differs */
    case ENTRY_LEASE:
        if (reason_is(r, "NotFound") && !e->lease_absent) {
            e->lease_absent = true;
            return 1;
        }
        e->lease_absent = false;
        return client_ok(r) || reason_is(r, "AlreadyExists") ? 0 : -EAGAIN;
    case ENTRY_STATUS:
        if (reason_is(r, "NotFound"))
            return 0;
        if (!client_ok(r)) /* a conflict: another's write, or another pod, which the next look will show */
            return -EAGAIN;
        note_written(e, c, r->object, true);
        if (e->written != e->value)
            return 1;
        e->waiting = !is_shown(w, e);
        return e->waiting ? WAIT : 0;
    case ENTRY_FINISHED:
        return client_ok(r) || reason_is(r, "NotFound") || reason_is(r, "Conflict") ? 0 : -EAGAIN;
    }
    return 0;
}

static void on_done(void *userdata, const struct client_result *result) {
    struct pending *c = userdata;
    struct node_writes *w = c->writes;
    struct entry *e = hashmap_get(w->entries, c->key);
    _cleanup_free_ char *key = xstrdup(c->key);

    int r = e ? judge(w, e, c, result) : 0;
    if (e && r == 0) {
        if (e->kind != ENTRY_NODE && e->value == c->value)
            (void) hashmap_remove(w->entries, key);
        else if (e->value != c->value)
            r = 1;
    }
    (void) hashmap_remove(w->calls, key); /* frees c */
    workqueue_done(w->queue, key, r < 0 ? r : 0);
    if (r == 1)
        workqueue_add(w->queue, key);
}

static void sync_key(void *userdata, const char *key) {
    static int (*const prepare[])(struct node_writes *, struct entry *, struct client_request *) = {
        [ENTRY_NODE] = prepare_node,
        [ENTRY_LEASE] = prepare_lease,
        [ENTRY_STATUS] = prepare_status,
        [ENTRY_FINISHED] = prepare_finished,
    };
    struct node_writes *w = userdata;
    struct entry *e = hashmap_get(w->entries, key);
    struct client_request request = {.field_manager = "podium-agent"};

    int r = e ? prepare[e->kind](w, e, &request) : 0;
    if (r <= 0) {
        if (e && r == 0 && e->kind != ENTRY_NODE)
            (void) hashmap_remove(w->entries, key);
        workqueue_done(w->queue, key, r);
        return;
    }
    struct pending *c = xnew0(struct pending);
    *c = (struct pending){
        .writes = w, .key = xstrdup(key), .value = json_ref(e->value), .is_status = request.subresource != NULL};
    hashmap_put(w->calls, key, c);
    c->call = client_start(w->client, &request, on_done, c);
    json_unref(request.body);
}

/* --- what the informer shows --- */

static void on_pod(void *userdata, struct json *old, struct json *pod) {
    struct node_writes *w = userdata;
    const struct json *meta = json_get(pod ? pod : old, "metadata");

    if (pod && !json_path(pod, "spec", "nodeName"))
        return; /* nobody tells its status yet */
    _cleanup_free_ char *key = xasprintf("status/%s/%s", json_str_or(json_get(meta, "namespace"), ""),
                                         json_str_or(json_get(meta, "name"), ""));
    struct entry *e = hashmap_get(w->entries, key);
    if (!e || hashmap_has(w->calls, key))
        return;
    if (e->waiting && is_shown(w, e))
        (void) hashmap_remove(w->entries, key);
    else if (!e->waiting && pod && !is_behind(e, pod))
        workqueue_add(w->queue, key); /* a newer value has waited for that */
}

/* --- interface --- */

struct node_writes *node_writes_new(sd_event *loop, struct client *client, struct informer *nodes,
                                    struct informer *pods, const char *cluster_cidr, unsigned lease_seconds) {
    struct node_writes *w = xnew0(struct node_writes);

    w->client = client;
    w->nodes = nodes;
    w->pods = pods;
    informer_add_index(nodes, INDEX_RANGE, range_of_node);
    w->cluster_cidr = xstrdup(cluster_cidr);
    w->lease_seconds = lease_seconds;
    w->entries = hashmap_new(entry_free);
    w->calls = hashmap_new(pending_free);
    w->cidrs = hashmap_new(NULL);
    w->queue = workqueue_new(loop, CONCURRENCY, sync_key, w);
    workqueue_set_max_backoff(w->queue, BACKOFF_MAX_USEC);
    informer_add_handlers(pods, &(struct informer_handlers){.changed = on_pod, .userdata = w});
    return w;
}

void node_writes_free(struct node_writes *w) {
    struct hashmap_iter it = {0};

    if (!w)
        return;
    informer_remove_handlers(w->pods, w);
    while (hashmap_next(w->calls, &it))
        client_cancel(w->client, ((struct pending *) it.value)->call);
    workqueue_free(w->queue);
    hashmap_free(w->calls);
    hashmap_free(w->entries);
    hashmap_free(w->cidrs);
    free(w->cluster_cidr);
    free(w);
}

/* The entry of a key, new if need be, with this value; queued. */
static struct entry *put(struct node_writes *w, enum entry_kind kind, const char *prefix, const char *ns,
                         const char *name, const char *uid, const struct json *value) {
    _cleanup_free_ char *key = xasprintf("%s/%s/%s", prefix, ns, name);
    struct entry *e = hashmap_get(w->entries, key);

    if (!e) {
        e = xnew0(struct entry);
        e->kind = kind;
        e->ns = xstrdup(ns);
        e->name = xstrdup(name);
        hashmap_put(w->entries, key, e);
    }
    free(e->uid);
    e->uid = uid ? xstrdup(uid) : NULL;
    json_unref(e->value);
    e->value = json_ref(value);
    e->waiting = false;
    workqueue_add(w->queue, key);
    return e;
}

void node_writes_node(struct node_writes *w, const char *node, const struct json *labels, const struct json *status) {
    struct entry *e = put(w, ENTRY_NODE, "node", "", node, NULL, status);

    if (labels) {
        json_unref(e->labels);
        e->labels = json_ref(labels);
    }
}

void node_writes_heartbeat(struct node_writes *w, const char *node) {
    put(w, ENTRY_LEASE, "lease", "", node, NULL, NULL);
    /* somebody gave the node up while it was away, or while we were: say again how it is */
    if (ready_is_unknown(informer_get(w->nodes, "", node))) {
        _cleanup_free_ char *key = xasprintf("node//%s", node);
        workqueue_add(w->queue, key);
    }
}

void node_writes_pod_status(struct node_writes *w, const char *ns, const char *name, const char *uid,
                            const struct json *status) {
    put(w, ENTRY_STATUS, "status", ns, name, uid, status);
}

void node_writes_pod_finished(struct node_writes *w, const char *ns, const char *name, const char *uid) {
    put(w, ENTRY_FINISHED, "finished", ns, name, uid, NULL);
}
