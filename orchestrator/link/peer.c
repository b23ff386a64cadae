/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One connected agent: its D-Bus connection, who it is, what it may call. */
#include "orchestrator/link/peer.h"

#include <stdarg.h>
#include <string.h>

#include "orchestrator/link/mirror_pods.h"
#include "orchestrator/link/node_writes.h"
#include "orchestrator/link/push_network.h"
#include "orchestrator/link/token_requests.h"
#include "orchestrator/object/bootstrap_token.h"
#include "orchestrator/object/validation.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/limits.h"
#include "podium/base/log.h"
#include "podium/base/path.h"

#define NODE_USER_PREFIX "system:node:"
#define NODE_GROUP       "system:nodes"
#define BARRED_USEC      (250 * USEC_PER_MSEC)
#define JOIN_COST        50u /* calls: a signature is work */

/* --- end of a peer --- */

void link_peer_free(struct link_peer *p) {
    struct link_server *s = p->server;

    list_remove(&p->link);
    if (p->node && hashmap_get(s->by_node, p->node) == p)
        (void) hashmap_steal(s->by_node, p->node);
    if (p->pending)
        link_server_less_pending(s);
    s->descriptors -= p->descriptors;
    sd_event_source_disable_unref(p->timer);
    sd_event_source_disable_unref(p->reaper);
    token_requests_cancel(p);
    stream_table_free(p->streams, "the connection to the node was lost");
    sd_bus_slot_unref(p->slot);
    sd_bus_slot_unref(p->disconnect_slot);
    bus_pump_free(p->pump);
    sd_bus_close_unref(p->bus);
    tls_pipe_free(p->pipe);
    hashmap_free(p->needs);
    free(p->certified);
    free(p->node);
    free(p->network);
    free(p->end_reason);
    free(p);
}

static int on_reap(sd_event_source *s, void *userdata) {
    struct link_peer *p = userdata;

    if (p->node)
        log_info("node %s: connection ended: %s", p->node, p->end_reason);
    else
        log_debug("link: an unregistered peer left: %s", p->end_reason);
    link_peer_free(p);
    return 0;
}

void link_peer_end(struct link_peer *p, const char *reason) {
    if (p->reaper)
        return;
    p->end_reason = xstrdup(reason);
    (void) sd_event_add_defer(p->server->loop, &p->reaper, on_reap, p);
    if (p->node && hashmap_get(p->server->by_node, p->node) == p)
        (void) hashmap_steal(p->server->by_node, p->node); /* nobody finds it any more */
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
    struct link_peer *p = userdata;

    link_peer_end(p, p->node ? "no heartbeat" : p->barred ? "wrong join token" : "did not register in time");
    return 0;
}

/* Heard of the peer: the clock starts again. */
static void restart_timer(struct link_peer *p) {
    (void) sd_event_source_set_time_relative(p->timer, p->server->heartbeat_usec * LINK_HEARTBEATS_MISSED);
    (void) sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    struct link_peer *p = userdata;
    const sd_bus_error *e = sd_bus_message_get_error(m);

    p->unanswered--;
    if (e)
        log_warning("node %s: %s", p->node ? p->node : "?", e->message ? e->message : e->name);
    return 0;
}

static int on_network_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    struct link_peer *p = userdata;

    if (sd_bus_message_get_error(m)) /* an agent that is older knows no UpdatePeers: it gets everything each time */
        free(steal(&p->network));    /* at the next heartbeat */
    return on_answer(m, userdata, error);
}

/* A call that opens a stream. */
struct opening {
    struct link_peer *peer;
    uint64_t stream;
};

/* The node has no such streams (it may be older than this server), or no more of them. */
static int on_open_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    const struct opening *o = userdata;
    const sd_bus_error *e = sd_bus_message_get_error(m);

    o->peer->unanswered--;
    if (e && o->peer->streams)
        stream_table_fail(o->peer->streams, o->stream, -EOPNOTSUPP, e->message ? e->message : e->name);
    return 0;
}

/* Documents wait in memory for a peer that does not read: their number and size are bounded. */
static int check_queue(struct link_peer *p, size_t bytes) {
    uint64_t queued = 0;

    if (sd_bus_get_n_queued_write(p->bus, &queued) >= 0 && queued == 0)
        p->queue_bytes = 0;
    p->queue_bytes += bytes;
    return p->unanswered >= LINK_UNANSWERED_MAX || p->queue_bytes > LINK_QUEUE_BYTES_MAX ? -ENOBUFS : 0;
}

static sd_bus_message_handler_t answer_to(const char *member) {
    return strcmp(member, "SetNetwork") == 0 || strcmp(member, "UpdatePeers") == 0 ? on_network_answer : on_answer;
}

void link_peer_call(struct link_peer *p, const char *member, const char *types, ...) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    size_t bytes = 0;
    va_list ap;

    if (p->reaper)
        return;
    va_start(ap, types);
    for (const char *t = strspn(types, "s") == strlen(types) ? types : ""; *t; t++)
        bytes += strlen(va_arg(ap, const char *));
    va_end(ap);
    int r = check_queue(p, bytes);
    if (r >= 0)
        r = sd_bus_message_new_method_call(p->bus, &m, NULL, LINK_NODE_PATH, LINK_NODE_NAME, member);
    if (r >= 0) {
        va_start(ap, types);
        r = sd_bus_message_appendv(m, types, ap);
        va_end(ap);
    }
    if (r >= 0)
        r = sd_bus_call_async(p->bus, NULL, m, answer_to(member), p, UINT64_MAX);
    if (r >= 0)
        p->unanswered++;
    bus_pump_sent(p->pump);
    if (r < 0)
        link_peer_end(p, r == -ENOBUFS ? "too slow: its queue is full" : strerror(-r));
}

void link_peer_open_stream(struct link_peer *p, const char *member, uint64_t stream, const char *options) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    _cleanup_free_ struct opening *o = xnew0(struct opening);
    sd_bus_slot *slot = NULL;

    if (p->reaper)
        return;
    *o = (struct opening){.peer = p, .stream = stream};
    int r = check_queue(p, strlen(options));
    if (r >= 0)
        r = sd_bus_message_new_method_call(p->bus, &m, NULL, LINK_NODE_PATH, LINK_NODE_NAME, member);
    if (r >= 0)
        r = sd_bus_message_append(m, "ts", stream, options);
    if (r >= 0)
        r = sd_bus_call_async(p->bus, &slot, m, on_open_answer, o, UINT64_MAX);
    bus_pump_sent(p->pump);
    if (r < 0) {
        link_peer_end(p, r == -ENOBUFS ? "too slow: its queue is full" : strerror(-r));
        return;
    }
    (void) sd_bus_slot_set_destroy_callback(slot, free);
    (void) sd_bus_slot_set_floating(slot, true);
    sd_bus_slot_unref(slot);
    steal(&o);
    p->unanswered++;
}

/* --- what a peer calls --- */

static int refuse(sd_bus_error *e, const struct error *err, int r) {
    return sd_bus_error_set_errnof(e, -r, "%s", error_text(err, r));
}

/* Each call costs its time. Who is in debt is not read from until it has paid: nothing is lost, it has to wait; never
 * so long that its heartbeats seem lost. */
static void charge(struct link_peer *p) {
    const uint64_t cost = USEC_PER_SEC / LINK_CALLS_PER_SEC;
    uint64_t now = now_monotonic_usec();

    if (p->node)
        restart_timer(p); /* whatever it calls, it lives */
    p->paid_until = (p->paid_until > now ? p->paid_until : now) + cost;
    if (!p->pipe || p->paid_until - now <= LINK_CALLS_BURST * cost)
        return;
    uint64_t debt = p->paid_until - now - LINK_CALLS_BURST * cost;
    tls_pipe_hold(p->pipe, debt < p->server->heartbeat_usec ? debt : p->server->heartbeat_usec);
}

static int must_be_registered(struct link_peer *p, sd_bus_error *e) {
    charge(p);
    if (p->node && !p->reaper)
        return 0;
    return sd_bus_error_set(e, SD_BUS_ERROR_ACCESS_DENIED, "register first");
}

static int sign_join(const struct link_server *s, const char *node, const char *csr, char **cert, char **ca,
                     struct error *err) {
    _cleanup_free_ char *user = xasprintf(NODE_USER_PREFIX "%s", node);
    _cleanup_free_ char *ca_path = path_join(s->ca_dir, "ca.crt");
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    char *groups[] = {(char *) NODE_GROUP, NULL};
    const struct pki_request request = {
        .common_name = user, .organizations = groups, .client = true, .lifetime_sec = s->certificate_sec};

    int r = pki_csr_sign(s->ca_dir, csr, &request, cert, err);
    if (r >= 0)
        r = file_read(ca_path, PKI_PEM_BYTES_MAX, &text, err);
    if (r < 0)
        return r;
    *ca = strbuf_steal(&text);
    return 0;
}

/* One guess per connection; it goes when the answer has had time to arrive. */
static void bar(struct link_peer *p) {
    p->barred = true;
    (void) sd_event_source_set_time_relative(p->timer, BARRED_USEC);
    (void) sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

/* The token of the server's file, or a bootstrap token that was made for this. */
static bool may_join(const struct link_server *s, const char *token) {
    _cleanup_(bootstrap_token_finish) struct bootstrap_token t = {0};

    if (s->token && *s->token && pki_secret_equal(s->token, token))
        return true;
    if (!bootstrap_token_has_form(token))
        return false;
    _cleanup_free_ char *name = xasprintf(BOOTSTRAP_TOKEN_PREFIX "%.*s", BOOTSTRAP_ID_BYTES, token);
    const struct json *secret = informer_get(s->secrets, BOOTSTRAP_TOKEN_NAMESPACE, name);
    return secret && bootstrap_token_read(secret, &t) && pki_secret_equal(t.secret, token + BOOTSTRAP_ID_BYTES + 1) &&
           t.authentication && !bootstrap_token_is_over(&t, now_realtime_usec()) &&
           bootstrap_token_in_group(&t, BOOTSTRAP_JOIN_GROUP);
}

static int on_join(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct link_peer *p = userdata;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_free_ char *cert = NULL, *ca = NULL;
    const char *token, *node, *csr;

    for (unsigned i = 0; i < JOIN_COST; i++)
        charge(p);
    int r = sd_bus_message_read(m, "sss", &token, &node, &csr);
    if (r < 0)
        return r;
    if (p->barred)
        return sd_bus_error_set(e, SD_BUS_ERROR_ACCESS_DENIED, "one try per connection");
    if (name_is_dns1123_subdomain(node))
        return sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS, "\"%s\" is no node name: %s", node,
                                 name_is_dns1123_subdomain(node));
    /* a certificate of its own lets a node renew it; nothing lets it have another node's */
    bool renewal = p->certified && strcmp(p->certified, node) == 0;
    bool local = !p->certified;
    if (!renewal && !local && !may_join(p->server, token)) {
        log_warning("link: node %s tried to join with a wrong token", node);
        bar(p);
        return sd_bus_error_set(e, SD_BUS_ERROR_ACCESS_DENIED,
                                "the join token is wrong; make one on the server with: podium token create");
    }
    r = sign_join(p->server, node, csr, &cert, &ca, &err);
    if (r < 0)
        return refuse(e, &err, r);
    log_info("node %s: %s certificate issued", node, renewal ? "new" : "first");
    return sd_bus_reply_method_return(m, "ss", cert, ca);
}

static int parse_document(const char *text, struct json **ret, sd_bus_error *e) {
    const struct json_parse_options options = {.bytes_max = OBJECT_BYTES_MAX};
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    int r = json_parse(text, strlen(text), &options, ret, &err);
    if (r < 0)
        return refuse(e, &err, r);
    if (!json_is_object(*ret)) {
        json_unref(steal(ret));
        return sd_bus_error_set(e, SD_BUS_ERROR_INVALID_ARGS, "not a JSON object");
    }
    return 0;
}

/* A node labels itself as upstream's NodeRestriction lets kubelets do: names of Kubernetes' own domains only where they
 * describe the node, so that a node cannot make itself look like one that other pods are meant for. */
static bool label_is_allowed(const char *key) {
    static const char *const allowed[] = {
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    };
    static const char *const prefixes[] = {"kubelet.kubernetes.io/", "node.kubernetes.io/"};
    static const char *const own[] = {"kubernetes.io", "k8s.io"};
    size_t domain = strcspn(key, "/");

    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        if (strcmp(key, allowed[i]) == 0)
            return true;
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    for (size_t i = 0; i < ARRAY_LEN(own) && key[domain]; i++) {
        size_t n = strlen(own[i]);
        if (domain >= n && strncmp(key + domain - n, own[i], n) == 0 && (domain == n || key[domain - n - 1] == '.'))
            return false;
    }
    return true;
}

static void drop_foreign_labels(struct json **labels) {
    for (size_t i = json_len(*labels); i-- > 0;)
        if (!label_is_allowed(json_key_at(*labels, i)) || !json_is_string(json_value_at(*labels, i))) {
            _cleanup_free_ char *key = xstrdup(json_key_at(*labels, i));
            (void) json_del(labels, key);
        }
}

static int on_register(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct link_peer *p = userdata;
    struct link_server *s = p->server;
    _cleanup_json_ struct json *status = NULL, *labels = NULL;
    const char *node, *status_text, *labels_text;

    int r = sd_bus_message_read(m, "sss", &node, &status_text, &labels_text);
    if (r < 0)
        return r;
    if (p->node || p->reaper || p->barred)
        return sd_bus_error_set(e, SD_BUS_ERROR_FAILED, "registered already");
    if (p->certified && strcmp(p->certified, node) != 0)
        return sd_bus_error_setf(e, SD_BUS_ERROR_ACCESS_DENIED,
                                 "this connection may not speak for node \"%s\": its certificate says \"%s\"", node,
                                 *p->certified ? p->certified : "nothing; join first");
    if (name_is_dns1123_subdomain(node))
        return sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS, "\"%s\" is no node name", node);
    r = parse_document(status_text, &status, e);
    if (r >= 0)
        r = parse_document(labels_text, &labels, e);
    if (r < 0)
        return r;
    struct link_peer *old = hashmap_get(s->by_node, node);
    if (old)
        link_peer_end(old, "replaced by a newer connection of the same node");
    drop_foreign_labels(&labels);
    p->node = xstrdup(node);
    if (p->pending)
        link_server_less_pending(s);
    p->pending = false;
    if (p->pipe)
        tls_pipe_limit(p->pipe, 0);
    hashmap_put(s->by_node, node, p);
    restart_timer(p);
    log_info("node %s: connected", node);
    node_writes_node(s->writes, node, labels, status);
    node_writes_heartbeat(s->writes, node);
    r = sd_bus_reply_method_return(m, "t", s->heartbeat_usec);
    push_full(p);
    return r;
}

static int on_heartbeat(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct link_peer *p = userdata;

    int r = must_be_registered(p, e);
    if (r < 0)
        return r;
    node_writes_heartbeat(p->server->writes, p->node);
    if (!p->network)
        push_network(p);
    return sd_bus_reply_method_return(m, "");
}

static int on_node_status(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct link_peer *p = userdata;
    _cleanup_json_ struct json *status = NULL;
    const char *text;

    int r = must_be_registered(p, e);
    if (r >= 0)
        r = sd_bus_message_read(m, "s", &text);
    if (r >= 0)
        r = parse_document(text, &status, e);
    if (r < 0)
        return r;
    node_writes_node(p->server->writes, p->node, NULL, status);
    return sd_bus_reply_method_return(m, "");
}

/* A node speaks for its own pods only. 1: it is; 0: the pod is not (any more) its own, ignore. */
static int pod_is_of_peer(const struct link_peer *p, const char *ns, const char *name) {
    const struct json *pod = informer_get(p->server->pods, ns, name);

    return strcmp(json_str_or(json_path(pod, "spec", "nodeName"), ""), p->node) == 0;
}

static int on_pod_status(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct link_peer *p = userdata;
    _cleanup_json_ struct json *status = NULL;
    const char *ns, *name, *uid, *text;

    int r = must_be_registered(p, e);
    if (r >= 0)
        r = sd_bus_message_read(m, "ssss", &ns, &name, &uid, &text);
    if (r >= 0)
        r = parse_document(text, &status, e);
    if (r < 0)
        return r;
    if (pod_is_of_peer(p, ns, name))
        node_writes_pod_status(p->server->writes, ns, name, uid, status);
    return sd_bus_reply_method_return(m, "");
}

static int on_pod_finished(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct link_peer *p = userdata;
    const char *ns, *name, *uid;

    int r = must_be_registered(p, e);
    if (r >= 0)
        r = sd_bus_message_read(m, "sss", &ns, &name, &uid);
    if (r < 0)
        return r;
    if (pod_is_of_peer(p, ns, name))
        node_writes_pod_finished(p->server->writes, ns, name, uid);
    return sd_bus_reply_method_return(m, "");
}

static int on_event(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct link_peer *p = userdata;
    _cleanup_json_ struct json *involved = NULL, *object = NULL;
    static const char *const members[] = {"name", "namespace", "uid", "resourceVersion"};
    const char *text, *type, *reason, *message;

    int r = must_be_registered(p, e);
    if (r >= 0)
        r = sd_bus_message_read(m, "ssss", &text, &type, &reason, &message);
    if (r >= 0)
        r = parse_document(text, &involved, e);
    if (r < 0)
        return r;
    const char *ns = json_str_or(json_get(involved, "namespace"), "");
    const char *name = json_str_or(json_get(involved, "name"), "");
    const char *kind = json_str_or(json_get(involved, "kind"), "");
    bool own = strcmp(kind, "Pod") == 0 ? pod_is_of_peer(p, ns, name)
                                        : strcmp(kind, "Node") == 0 && strcmp(name, p->node) == 0;
    if (!own)
        return sd_bus_reply_method_return(m, "");
    json_set(&object, "apiVersion", json_string(json_str_or(json_get(involved, "apiVersion"), "v1")));
    json_set(&object, "kind", json_string(kind));
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (json_get(involved, members[i]))
            json_set(json_edit(&object, "metadata"), members[i], json_ref(json_get(involved, members[i])));
    if (json_get(involved, "fieldPath"))
        json_set(&object, "fieldPath", json_ref(json_get(involved, "fieldPath")));
    if (json_is_object(json_get(involved, "annotations")))
        json_set(&object, "annotations", json_ref(json_get(involved, "annotations")));
    event_recorder_set_host(p->server->events, p->node);
    event_record(p->server->events, object, strcmp(type, EVENT_WARNING) == 0 ? EVENT_WARNING : EVENT_NORMAL, reason,
                 "%s", message);
    event_recorder_set_host(p->server->events, NULL);
    return sd_bus_reply_method_return(m, "");
}

static int on_request_token(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct link_peer *p = userdata;

    int r = must_be_registered(p, e);
    return r < 0 ? r : token_request_handle(p, m, e);
}

static int on_mirror_pod(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct link_peer *p = userdata;

    int r = must_be_registered(p, e);
    return r < 0 ? r : mirror_pod_handle(p, m, e);
}

static const sd_bus_vtable vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Join", "sss", "ss", on_join, 0),
    SD_BUS_METHOD("Register", "sss", "t", on_register, 0),
    SD_BUS_METHOD("Heartbeat", "", "", on_heartbeat, 0),
    SD_BUS_METHOD("NodeStatus", "s", "", on_node_status, 0),
    SD_BUS_METHOD("PodStatus", "ssss", "", on_pod_status, 0),
    SD_BUS_METHOD("PodFinished", "sss", "", on_pod_finished, 0),
    SD_BUS_METHOD("Event", "ssss", "", on_event, 0),
    SD_BUS_METHOD("RequestToken", "ssssx", "ss", on_request_token, 0),
    SD_BUS_METHOD("MirrorPod", "s", "", on_mirror_pod, 0),
    SD_BUS_VTABLE_END,
};

/* --- beginning of a peer --- */

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    link_peer_end(userdata, "closed by the other side");
    return 0;
}

static int on_tls_ready(void *userdata, gnutls_session_t session, struct error *err) {
    struct link_peer *p = userdata;
    struct pki_identity identity;
    bool is_node = false;

    int r = pki_peer_identity(session, NULL, &identity, err);
    if (r == -ENODATA) {
        error_clear(err);
        return 0; /* no certificate: may Join, nothing else (certified stays "") */
    }
    if (r < 0)
        return r;
    for (char **o = identity.organizations; *o; o++)
        is_node |= strcmp(*o, NODE_GROUP) == 0;
    if (is_node && strncmp(identity.common_name, NODE_USER_PREFIX, strlen(NODE_USER_PREFIX)) == 0) {
        tls_pipe_limit(p->pipe, LINK_NEWCOMER_BYTES);
        (void) sd_event_source_set_time_relative(p->timer, LINK_REGISTER_USEC);
        free(p->certified);
        p->certified = xstrdup(identity.common_name + strlen(NODE_USER_PREFIX));
    } else {
        r = error_set(err, -EACCES, "certificate of \"%s\" is not a node's", identity.common_name);
    }
    pki_identity_finish(&identity);
    return r;
}

static void on_tls_closed(void *userdata, const char *error) {
    link_peer_end(userdata, error ? error : "closed by the other side");
}

static const struct tls_pipe_callbacks tls_callbacks = {.ready = on_tls_ready, .closed = on_tls_closed};

static int start_bus(struct link_peer *p, int fd_take, struct error *err) {
    sd_id128_t id;

    int r = sd_bus_new(&p->bus);
    if (r >= 0)
        r = sd_bus_set_fd(p->bus, fd_take, fd_take);
    if (r < 0) {
        (void) close(fd_take);
        return error_set_errno(err, r, "cannot make a D-Bus connection");
    }
    (void) sd_bus_set_description(p->bus, "link");
    (void) sd_id128_randomize(&id);
    (void) sd_bus_set_server(p->bus, 1, id);
    (void) sd_bus_set_anonymous(p->bus, 1); /* TLS or SO_PEERCRED has said who it is */
    (void) sd_bus_set_trusted(p->bus, 1);
    (void) sd_bus_negotiate_fds(p->bus, 0);
    r = sd_bus_start(p->bus);
    if (r >= 0)
        r = sd_bus_add_object_vtable(p->bus, &p->slot, LINK_SERVER_PATH, LINK_SERVER_INTERFACE, vtable, p);
    if (r >= 0)
        r = sd_bus_match_signal_async(p->bus, &p->disconnect_slot, NULL, "/org/freedesktop/DBus/Local",
                                      "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, NULL, p);
    if (r < 0)
        return error_set_errno(err, r, "cannot start a D-Bus connection");
    r = bus_pump_new(p->server->reactor, p->bus, &p->pump, err);
    return r < 0 ? r : stream_table_new(p->bus, p->pump, &p->streams, err);
}

int link_peer_accept(struct link_server *s, int fd_take, bool unix_socket, struct error *err) {
    _cleanup_close_ int fd = fd_take;
    struct link_peer *p = xnew0(struct link_peer);
    int plain = -EBADF, r = 0;

    p->server = s;
    list_append(&s->peers, &p->link);
    p->pending = !unix_socket;
    p->since = now_monotonic_usec();
    p->descriptors = unix_socket ? 1 : 3;
    s->n_pending += p->pending;
    s->descriptors += p->descriptors;
    p->needs = hashmap_new(NULL);
    list_init(&p->tokens);
    if (unix_socket) {
        plain = steal_fd(&fd);
    } else {
        p->certified = xstrdup("");
        r = tls_pipe_new(s->loop, steal_fd(&fd), true, s->credentials, NULL, &tls_callbacks, p, &p->pipe, &plain, err);
        if (r >= 0)
            tls_pipe_limit(p->pipe, LINK_STRANGER_BYTES);
    }
    if (r >= 0)
        r = start_bus(p, plain, err);
    if (r >= 0) {
        r = sd_event_add_time_relative(s->loop, &p->timer, CLOCK_MONOTONIC,
                                       unix_socket ? LINK_REGISTER_USEC : LINK_HANDSHAKE_USEC,
                                       s->heartbeat_usec / 4 + 1, on_timeout, p);
        if (r >= 0) /* after what waits to be read: when this process was stopped for a while, nobody was silent */
            r = sd_event_source_set_priority(p->timer, SD_EVENT_PRIORITY_IDLE);
        if (r < 0)
            error_set_errno(err, r, "cannot set a timer");
    }
    if (r < 0)
        link_peer_free(p);
    return r < 0 ? r : 0;
}
