/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/link/agent_link.h"

#include <netdb.h>
#include <resolv.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "orchestrator/link/agent_private.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/log.h"
#include "podium/base/random.h"

#define DIAL_FIRST_USEC (50 * USEC_PER_MSEC)
#define DIAL_MAX_USEC   (10 * USEC_PER_SEC)
#define DIAL_TIMEOUT    (LINK_HANDSHAKE_USEC)
#define DIAL_PATIENCE   5u
#define DNS_TIMEOUT_SEC 2

static void dial(struct agent_link *l);

/* --- timers --- */

static void set_timer(struct agent_link *l, uint64_t usec, sd_event_time_handler_t fn) {
    sd_event_source_disable_unref(l->timer);
    l->timer = NULL;
    int r = sd_event_add_time_relative(l->loop, &l->timer, CLOCK_MONOTONIC, usec, usec / 8 + 1, fn, l);
    if (r < 0)
        log_errno(r, "link: cannot set a timer: %s", strerror(-r));
}

static int on_dial_timer(sd_event_source *s, uint64_t usec, void *userdata) {
    dial(userdata);
    return 0;
}

static int on_dial_timeout(sd_event_source *s, uint64_t usec, void *userdata) {
    agent_link_reset(userdata, "the server does not answer");
    return 0;
}

/* --- the end of a connection --- */

static void drop(struct agent_link *l) {
    bool was = l->registered;

    l->registered = false;
    l->heartbeats_open = 0;
    stream_table_free(l->streams, "the connection to the control plane was lost");
    l->streams = NULL;
    sd_bus_slot_unref(l->slot);
    sd_bus_slot_unref(l->disconnect_slot);
    l->slot = l->disconnect_slot = NULL;
    if (l->bus) {
        bus_pump_free(steal(&l->pump));
        sd_bus_close_unref(l->bus);
        l->bus = NULL;
    }
    tls_pipe_free(steal(&l->pipe));
    if (was) {
        l->handler->connected(l->userdata, false);
        if (l->system_bus)
            (void) sd_bus_emit_properties_changed(l->system_bus, LINK_NODE_PATH, LINK_NODE_NAME, "Connected", NULL);
    }
}

static int on_reset(sd_event_source *s, void *userdata) {
    struct agent_link *l = userdata;

    sd_event_source_disable_unref(steal(&l->reset));
    drop(l);
    /* doubling pauses with some chance in them, so that nodes do not come back all at once; no longer than from one
     * heartbeat to the next, or a control plane that was away would give up nodes that are only waiting */
    uint64_t pause = DIAL_FIRST_USEC << (l->failures < 8 ? l->failures : 8),
             most = l->heartbeat_usec > 0 && l->heartbeat_usec < DIAL_MAX_USEC ? l->heartbeat_usec : DIAL_MAX_USEC;
    if (pause > most)
        pause = most;
    set_timer(l, l->failures == 0 ? 0 : pause / 2 + random_u64() % (pause / 2 + 1), on_dial_timer);
    return 0;
}

void agent_link_reset(struct agent_link *l, const char *reason) {
    if (l->reset)
        return;
    if (reason) {
        l->failures++;
        if (!l->last_error || strcmp(l->last_error, reason) != 0)
            log_warning("link to %s: %s", l->server, reason);
        free(l->last_error);
        l->last_error = xstrdup(reason);
    }
    (void) sd_event_add_defer(l->loop, &l->reset, on_reset, l);
}

/* --- heartbeats and calls --- */

static int on_heartbeat_answer(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct agent_link *l = userdata;

    if (sd_bus_message_get_error(m))
        agent_link_reset(l, "the server refused a heartbeat");
    else
        l->heartbeats_open = 0;
    return 0;
}

static int on_heartbeat_timer(sd_event_source *s, uint64_t usec, void *userdata) {
    struct agent_link *l = userdata;

    if (l->heartbeats_open >= LINK_HEARTBEATS_MISSED) {
        agent_link_reset(l, "the server does not answer heartbeats");
        return 0;
    }
    l->heartbeats_open++;
    int r = sd_bus_call_method_async(l->bus, NULL, NULL, LINK_SERVER_PATH, LINK_SERVER_INTERFACE, "Heartbeat",
                                     on_heartbeat_answer, l, "");
    bus_pump_sent(l->pump);
    if (r < 0)
        agent_link_reset(l, strerror(-r));
    else
        set_timer(l, l->heartbeat_usec, on_heartbeat_timer);
    return 0;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    const sd_bus_error *failure = sd_bus_message_get_error(m);
    struct agent_link *l = userdata;

    l->heartbeats_open = 0; /* a heartbeat may wait behind many calls: whatever is answered, the server lives */
    if (failure)
        log_warning("link: the control plane refused: %s", failure->message ? failure->message : failure->name);
    return 0;
}

static void tell(struct agent_link *l, const char *member, const char *types, ...) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    va_list ap;

    if (!l->registered)
        return;
    int r = sd_bus_message_new_method_call(l->bus, &m, NULL, LINK_SERVER_PATH, LINK_SERVER_INTERFACE, member);
    if (r >= 0) {
        va_start(ap, types);
        r = sd_bus_message_appendv(m, types, ap);
        va_end(ap);
    }
    if (r >= 0)
        r = sd_bus_call_async(l->bus, NULL, m, on_answer, l, UINT64_MAX);
    bus_pump_sent(l->pump);
    if (r < 0)
        agent_link_reset(l, strerror(-r));
}

void agent_link_pod_status(struct agent_link *l, const char *ns, const char *name, const char *uid,
                           const struct json *status) {
    _cleanup_free_ char *text = json_to_text(status);

    tell(l, "PodStatus", "ssss", ns, name, uid, text);
    if (l->system_bus)
        (void) sd_bus_emit_signal(l->system_bus, LINK_NODE_PATH, LINK_NODE_NAME, "PodChanged", "ssss", ns, name, uid,
                                  json_str_or(json_get(status, "phase"), ""));
}

void agent_link_pod_finished(struct agent_link *l, const char *ns, const char *name, const char *uid) {
    tell(l, "PodFinished", "sss", ns, name, uid);
}

void agent_link_event(struct agent_link *l, const struct json *involved, const char *type, const char *reason,
                      const char *message) {
    _cleanup_free_ char *text = json_to_text(involved);

    tell(l, "Event", "ssss", text, type, reason, message);
}

void agent_link_node_status(struct agent_link *l) {
    _cleanup_json_ struct json *status = l->handler->node_status(l->userdata);
    _cleanup_free_ char *text = json_to_text(status);

    tell(l, "NodeStatus", "s", text);
}

void agent_link_mirror_pod(struct agent_link *l, const struct json *pod) {
    _cleanup_free_ char *text = json_to_text(pod);

    tell(l, "MirrorPod", "s", text);
}

/* --- tokens --- */

struct token_call {
    struct agent_link *link;
    char *uid, *audience;
    int64_t seconds;
};

static void token_call_free(void *p) {
    struct token_call *c = p;

    free(c->uid);
    free(c->audience);
    free(c);
}

static int on_token(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    const sd_bus_error *failure = sd_bus_message_get_error(m);
    const char *token = NULL, *expires = NULL, *error = failure ? failure->message : NULL;
    struct token_call *c = userdata;
    struct agent_link *l = c->link;

    l->heartbeats_open = 0;
    if (!failure && sd_bus_message_read(m, "ss", &token, &expires) < 0)
        error = "the control plane's answer is not understood";
    if (l->registered)
        l->handler->token(l->userdata, c->uid, c->audience, c->seconds, error || failure ? NULL : token, expires,
                          error     ? error
                          : failure ? failure->name
                                    : NULL);
    return 0;
}

int agent_link_request_token(struct agent_link *l, const char *ns, const char *name, const char *uid,
                             const char *audience, int64_t seconds) {
    sd_bus_slot *slot = NULL;

    if (!l->registered)
        return -ENOTCONN;
    struct token_call *c = xnew0(struct token_call);
    *c = (struct token_call){l, xstrdup(uid), xstrdup(audience), seconds};
    int r = sd_bus_call_method_async(l->bus, &slot, NULL, LINK_SERVER_PATH, LINK_SERVER_INTERFACE, "RequestToken",
                                     on_token, c, "ssssx", ns, name, uid, audience, seconds);
    bus_pump_sent(l->pump);
    if (r < 0) {
        token_call_free(c);
        return r;
    }
    (void) sd_bus_slot_set_destroy_callback(slot, token_call_free);
    (void) sd_bus_slot_set_floating(slot, 1); /* lives as long as the call, or the connection */
    sd_bus_slot_unref(slot);
    return 0;
}

/* --- the beginning of a connection --- */

static int on_registered(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct agent_link *l = userdata;
    const sd_bus_error *failure = sd_bus_message_get_error(m);

    if (failure || sd_bus_message_read(m, "t", &l->heartbeat_usec) < 0) {
        agent_link_reset(l, failure && failure->message ? failure->message : "the server refused the registration");
        return 0;
    }
    l->registered = true;
    l->failures = 0;
    free(steal(&l->last_error));
    log_info("link to %s: registered as node %s", l->server, l->node_name);
    set_timer(l, l->heartbeat_usec, on_heartbeat_timer);
    agent_join_plan_renewal(l);
    l->handler->connected(l->userdata, true);
    if (l->system_bus)
        (void) sd_bus_emit_properties_changed(l->system_bus, LINK_NODE_PATH, LINK_NODE_NAME, "Connected", NULL);
    return 0;
}

static int start_register(struct agent_link *l, struct error *err) {
    _cleanup_json_ struct json *status = l->handler->node_status(l->userdata);
    _cleanup_json_ struct json *labels = l->handler->node_labels(l->userdata);
    _cleanup_free_ char *status_text = json_to_text(status), *labels_text = json_to_text(labels);

    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = sd_bus_message_new_method_call(l->bus, &m, NULL, LINK_SERVER_PATH, LINK_SERVER_INTERFACE, "Register");

    if (r >= 0)
        r = sd_bus_message_append(m, "sss", l->node_name, status_text, labels_text);
    if (r >= 0) /* the dial's timer is running */
        r = sd_bus_call_async(l->bus, NULL, m, on_registered, l, UINT64_MAX);
    bus_pump_sent(l->pump);
    return r < 0 ? error_set_errno(err, r, "cannot call Register") : 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    agent_link_reset(userdata, "connection closed");
    return 0;
}

static int start_bus(struct agent_link *l, int fd_take, struct error *err) {
    int r = sd_bus_new(&l->bus);

    if (r >= 0)
        r = sd_bus_set_fd(l->bus, fd_take, fd_take);
    if (r < 0) {
        (void) close(fd_take);
        return error_set_errno(err, r, "cannot make a D-Bus connection");
    }
    (void) sd_bus_set_description(l->bus, "link");
    (void) sd_bus_set_anonymous(l->bus, 1);
    (void) sd_bus_set_trusted(l->bus, 1); /* the control plane: the server's certificate was verified */
    (void) sd_bus_negotiate_fds(l->bus, 0);
    r = sd_bus_start(l->bus);
    if (r >= 0)
        r = sd_bus_match_signal_async(l->bus, &l->disconnect_slot, NULL, "/org/freedesktop/DBus/Local",
                                      "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, NULL, l);
    if (r < 0)
        return error_set_errno(err, r, "cannot start a D-Bus connection");
    r = node_interface_export(l, l->bus, &l->slot, err);
    if (r >= 0)
        r = bus_pump_new(l->reactor, l->bus, &l->pump, err);
    return r < 0 ? r : stream_table_new(l->bus, l->pump, &l->streams, err);
}

static int on_tls_ready(void *userdata, gnutls_session_t session, struct error *err) {
    struct agent_link *l = userdata;

    int r = agent_join_verify_server(l, session, err);
    if (r < 0)
        return r;
    if (r == 1) { /* the authority was just pinned: once more, now verifying */
        l->failures = 0;
        return error_set(err, -EAGAIN, "authority accepted by its hash");
    }
    return l->has_certificate ? start_register(l, err) : agent_join_start(l, err);
}

static void on_tls_closed(void *userdata, const char *error) {
    agent_link_reset(userdata, error ? error : "connection closed");
}

static const struct tls_pipe_callbacks tls_callbacks = {.ready = on_tls_ready, .closed = on_tls_closed};

static int dial_unix(struct agent_link *l, struct error *err) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *path = l->server + strlen("unix:");
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (strlen(path) >= sizeof(a.sun_path))
        return error_set(err, -ENAMETOOLONG, "socket path too long: %s", path);
    strcpy(a.sun_path, path);
    if (fd < 0 || connect(fd, (struct sockaddr *) &a, sizeof(a)) < 0)
        return error_set_errno(err, -errno, "cannot connect to %s", path);
    int r = start_bus(l, steal_fd(&fd), err);
    return r < 0 ? r : start_register(l, err);
}

/* "10.0.0.1:6444", "[fd00::1]:6444", "host:6444" */
static int split_server(const char *server, char **host, char **port, struct error *err) {
    const char *colon = strrchr(server, ':');

    if (!colon || colon == server || !colon[1])
        return error_set(err, -EINVAL, "\"%s\" is no HOST:PORT", server);
    *host = server[0] == '[' && colon[-1] == ']' ? xstrndup(server + 1, (size_t) (colon - server - 2))
                                                 : xstrndup(server, (size_t) (colon - server));
    *port = xstrdup(colon + 1);
    return 0;
}

/* The one call here that blocks, and only for names that are in DNS alone: with short times, well under the watchdog's,
 * since nothing else of the node can go on meanwhile (its pods do: they have supervisors). */
static int resolve(const char *host, const char *port, struct addrinfo **ret) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};

    int r = getaddrinfo(host, port, &hints, ret);
    if (r != EAI_NONAME)
        return r;
    if (res_init() == 0) {
        _res.retrans = DNS_TIMEOUT_SEC;
        _res.retry = 1;
    }
    hints.ai_flags = AI_ADDRCONFIG;
    return getaddrinfo(host, port, &hints, ret);
}

static int dial_tcp(struct agent_link *l, struct error *err) {
    _cleanup_free_ char *host = NULL, *port = NULL;
    struct addrinfo *found;
    int plain = -EBADF;

    int r = split_server(l->server, &host, &port, err);
    if (r == 0)
        r = agent_join_load(l, err);
    if (r < 0)
        return r;
    r = resolve(host, port, &found);
    if (r != 0)
        return error_set(err, -EHOSTUNREACH, "cannot resolve %s: %s", host, gai_strerror(r));
    const struct addrinfo *a = found; /* a name may have several addresses: one after the other */
    for (unsigned skip = l->failures; skip > 0; skip--)
        a = a->ai_next ? a->ai_next : found;
    _cleanup_close_ int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    r = fd < 0 || (connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS) ? -errno : 0;
    freeaddrinfo(found);
    if (r < 0)
        return error_set_errno(err, r, "cannot connect to %s", l->server);
    r = tls_pipe_new(l->loop, steal_fd(&fd), false, l->credentials, host, &tls_callbacks, l, &l->pipe, &plain, err);
    return r < 0 ? r : start_bus(l, plain, err);
}

static void dial(struct agent_link *l) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    /* a server that thousands dial at once is slow: giving up and dialling again would make it slower */
    set_timer(l, DIAL_TIMEOUT * (1 + (l->failures < DIAL_PATIENCE ? l->failures : DIAL_PATIENCE)), on_dial_timeout);
    int r = agent_join_is_unix(l) ? dial_unix(l, &err) : dial_tcp(l, &err);
    if (r < 0)
        agent_link_reset(l, error_text(&err, r));
}

/* --- life of the whole --- */

/* Without the policy file the name is refused: the interface still answers on the unique name. */
static int on_name_answer(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    const sd_bus_error *failure = sd_bus_message_get_error(m);

    if (failure)
        log_warning("cannot own " LINK_NODE_NAME " on the system bus: %s",
                    failure->message ? failure->message : failure->name);
    return 0;
}

static int export_on_system_bus(struct agent_link *l, struct error *err) {
    int r = node_interface_export(l, l->system_bus, &l->system_slot, err);

    if (r < 0)
        return r;
    r = sd_bus_request_name_async(l->system_bus, NULL, LINK_NODE_NAME, 0, on_name_answer, l);
    if (r < 0)
        log_warning("cannot ask for the bus name " LINK_NODE_NAME ": %s", strerror(-r));
    return 0;
}

int agent_link_new(sd_event *loop, const struct agent_link_options *o, const struct agent_link_handler *handler,
                   void *userdata, struct agent_link **ret, struct error *err) {
    _cleanup_(agent_link_freep) struct agent_link *l = xnew0(struct agent_link);

    l->loop = loop;
    l->handler = handler;
    l->userdata = userdata;
    l->server = xstrdup(o->server);
    l->node_name = xstrdup(o->node_name);
    l->cert_dir = xstrdup(o->cert_dir ? o->cert_dir : "");
    l->ca_file = o->ca_file ? xstrdup(o->ca_file) : NULL;
    l->ca_hash = o->ca_hash ? xstrdup(o->ca_hash) : NULL;
    l->token = o->token ? xstrdup(o->token) : NULL;
    l->version = xstrdup(o->version ? o->version : "");
    l->system_bus = o->system_bus ? sd_bus_ref(o->system_bus) : NULL;
    l->reactor = o->reactor;
    l->own_reactor = !o->reactor;
    int r = l->own_reactor ? reactor_new(loop, &l->reactor, err) : 0;
    if (r >= 0 && l->system_bus)
        r = export_on_system_bus(l, err);
    if (r < 0)
        return r;
    int clock = agent_join_is_unix(l) ? -1 : clock_jump_fd(); /* for its certificate: it needs none on this host */
    if (clock >= 0 && sd_event_add_io(loop, &l->clock, clock, EPOLLIN, agent_join_on_clock, l) >= 0)
        (void) sd_event_source_set_io_fd_own(l->clock, 1);
    set_timer(l, 0, on_dial_timer);
    *ret = steal(&l);
    return 0;
}

void agent_link_free(struct agent_link *l) {
    if (!l)
        return;
    sd_event_source_disable_unref(l->timer);
    sd_event_source_disable_unref(l->reset);
    sd_event_source_disable_unref(l->renewal);
    sd_event_source_disable_unref(l->clock);
    l->clock = NULL;
    l->timer = l->reset = l->renewal = NULL;
    drop(l);
    if (l->own_reactor)
        reactor_free(l->reactor);
    sd_bus_slot_unref(l->system_slot);
    sd_bus_unref(l->system_bus);
    if (l->credentials)
        gnutls_certificate_free_credentials(l->credentials);
    pki_key_free(l->csr_key);
    free(l->server);
    free(l->node_name);
    free(l->cert_dir);
    free(l->ca_file);
    free(l->ca_hash);
    free(l->token);
    free(l->version);
    free(l->last_error);
    free(l);
}
