/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The link under faults and against peers that do not behave. */
#include <gnutls/gnutls.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include "orchestrator/link/agent_private.h"
#include "orchestrator/link/tls_pipe.h"
#include "podium/base/fd.h"
#include "tests/unit/link/link_fixture.c"

/* --- a peer written by hand: D-Bus on the unix socket, where root may speak for any node --- */

struct raw {
    sd_bus *bus;
    unsigned answers, refusals;
    bool closed;
    char *error;
};

static int raw_closed(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    ((struct raw *) userdata)->closed = true;
    return 0;
}

static int raw_open(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    return sd_bus_reply_method_return(m, "");
}

/* Streams are opened, whatever happens to them then; other calls are answered with an error. */
static const sd_bus_vtable raw_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("OpenExec", "ts", "", raw_open, 0),
    SD_BUS_VTABLE_END,
};

static void raw_start_bus(struct env *e, struct raw *r, int fd) {
    assert_true(sd_bus_new(&r->bus) >= 0);
    assert_true(sd_bus_set_fd(r->bus, fd, fd) >= 0);
    (void) sd_bus_set_anonymous(r->bus, 1);
    (void) sd_bus_set_trusted(r->bus, 1);
    assert_true(sd_bus_add_object_vtable(r->bus, NULL, LINK_NODE_PATH, LINK_NODE_NAME, raw_vtable, r) >= 0);
    assert_true(sd_bus_start(r->bus) >= 0);
    assert_true(sd_bus_attach_event(r->bus, e->loop, SD_EVENT_PRIORITY_NORMAL) >= 0);
    assert_true(sd_bus_match_signal_async(r->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                          "org.freedesktop.DBus.Local", "Disconnected", raw_closed, NULL, r) >= 0);
}

static void raw_dial(struct env *e, struct raw *r) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", e->socket);
    assert_int_equal(connect(fd, (struct sockaddr *) &a, sizeof(a)), 0);
    raw_start_bus(e, r, fd);
}

static int raw_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    struct raw *r = userdata;
    const sd_bus_error *e = sd_bus_message_get_error(m);

    r->answers++;
    r->refusals += e != NULL;
    if (e) {
        free(r->error);
        r->error = xstrdup(e->message ? e->message : e->name);
    }
    return 0;
}

#define RAW_CALL(r, member, types, ...)                                                                                \
    assert_true(sd_bus_call_method_async((r)->bus, NULL, NULL, LINK_SERVER_PATH, LINK_SERVER_INTERFACE, member,        \
                                         raw_answer, r, types, ##__VA_ARGS__) >= 0)

static void raw_finish(struct raw *r) {
    if (r->bus) {
        (void) sd_bus_detach_event(r->bus);
        sd_bus_close_unref(r->bus);
    }
    free(r->error);
    *r = (struct raw){0};
}

static bool raw_answered(void *userdata) {
    return ((struct raw *) userdata)->answers > 0;
}

static bool raw_is_closed(void *userdata) {
    return ((struct raw *) userdata)->closed;
}

static const char *raw_ask(struct env *e, struct raw *r) {
    r->answers = r->refusals = 0;
    return fake_wait(e->loop, raw_answered, r) ? (r->refusals ? r->error : "") : "no answer";
}

static void raw_register(struct env *e, struct raw *r, const char *node) {
    raw_dial(e, r);
    RAW_CALL(r, "Register", "sss", node, "{}", "{}");
    assert_string_equal(raw_ask(e, r), "");
}

/* --- what may be called by whom --- */

static void nothing_but_join_and_register_before_registration(void **state) {
    struct env *e = *state;
    struct raw r = {0};

    raw_dial(e, &r);
    RAW_CALL(&r, "Heartbeat", "");
    assert_string_equal(raw_ask(e, &r), "register first");
    RAW_CALL(&r, "NodeStatus", "s", "{}");
    assert_string_equal(raw_ask(e, &r), "register first");
    RAW_CALL(&r, "PodStatus", "ssss", "default", "web", "u", "{}");
    assert_string_equal(raw_ask(e, &r), "register first");
    RAW_CALL(&r, "PodFinished", "sss", "default", "web", "u");
    assert_string_equal(raw_ask(e, &r), "register first");
    RAW_CALL(&r, "Event", "ssss", "{}", "Normal", "a", "b");
    assert_string_equal(raw_ask(e, &r), "register first");
    raw_finish(&r);
}

static void documents_that_are_none_are_refused(void **state) {
    struct env *e = *state;
    struct raw r = {0};

    raw_dial(e, &r);
    RAW_CALL(&r, "Register", "sss", "Not A Name", "{}", "{}");
    assert_non_null(strstr(raw_ask(e, &r), "no node name"));
    RAW_CALL(&r, "Register", "sss", "n1", "{\"a\":", "{}");
    assert_string_not_equal(raw_ask(e, &r), "");
    RAW_CALL(&r, "Register", "sss", "n1", "[]", "{}");
    assert_string_equal(raw_ask(e, &r), "not a JSON object");
    RAW_CALL(&r, "Register", "sss", "n1", "{}", "{}");
    assert_string_equal(raw_ask(e, &r), "");
    RAW_CALL(&r, "Register", "sss", "n2", "{}", "{}");
    assert_string_equal(raw_ask(e, &r), "registered already");
    RAW_CALL(&r, "NodeStatus", "s", "7");
    assert_string_equal(raw_ask(e, &r), "not a JSON object");
    assert_false(r.closed);
    raw_finish(&r);
}

static bool node_exists(void *userdata) {
    return fake_get(((struct env *) userdata)->fake, fake_resource("nodes"), "", "n1") != NULL;
}

static void a_node_labels_itself_as_a_kubelet_may(void **state) {
    struct env *e = *state;
    struct raw r = {0};

    raw_dial(e, &r);
    RAW_CALL(&r, "Register", "sss", "n1", "{}",
             "{\"kubernetes.io/os\":\"linux\",\"node-restriction.kubernetes.io/x\":\"y\",\"mine\":\"ok\","
             "\"node-role.kubernetes.io/control-plane\":\"\",\"notkubernetes.io/a\":\"b\",\"bad\":7}");
    assert_string_equal(raw_ask(e, &r), "");
    assert_true(fake_wait(e->loop, node_exists, e));
    const struct json *labels = json_path(fake_get(e->fake, fake_resource("nodes"), "", "n1"), "metadata", "labels");
    assert_int_equal(json_len(labels), 3);
    assert_non_null(json_get(labels, "kubernetes.io/os"));
    assert_non_null(json_get(labels, "mine"));
    assert_non_null(json_get(labels, "notkubernetes.io/a"));
    raw_finish(&r);
}

/* --- strangers on TCP --- */

struct stranger {
    struct tls_pipe *pipe;
    gnutls_certificate_credentials_t credentials;
    int fd;
    bool ready, closed;
};

static int stranger_ready(void *userdata, gnutls_session_t session, struct error *err) {
    ((struct stranger *) userdata)->ready = true;
    return 0;
}

static void stranger_closed(void *userdata, const char *error) {
    ((struct stranger *) userdata)->closed = true;
}

static const struct tls_pipe_callbacks stranger_callbacks = {.ready = stranger_ready, .closed = stranger_closed};

static void stranger_dial(struct env *e, struct stranger *s) {
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t) e->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void) connect(fd, (struct sockaddr *) &a, sizeof(a));
    assert_int_equal(gnutls_certificate_allocate_credentials(&s->credentials), 0);
    assert_int_equal(
        tls_pipe_new(e->loop, fd, false, s->credentials, "127.0.0.1", &stranger_callbacks, s, &s->pipe, &s->fd, NULL),
        0);
}

static void stranger_finish(struct stranger *s) {
    tls_pipe_free(s->pipe);
    gnutls_certificate_free_credentials(s->credentials);
    closep(&s->fd);
}

static bool stranger_is_ready(void *userdata) {
    return ((struct stranger *) userdata)->ready;
}

static bool stranger_is_closed(void *userdata) {
    return ((struct stranger *) userdata)->closed;
}

static void a_stranger_cannot_fill_the_memory(void **state) {
    struct env *e = *state;
    struct stranger s = {.fd = -EBADF};
    static char junk[32768];
    size_t sent = 0;

    stranger_dial(e, &s);
    assert_true(fake_wait(e->loop, stranger_is_ready, &s));
    /* a well-formed beginning of a D-Bus conversation, then the header of a huge message that never ends */
    assert_int_equal(fd_write_all(s.fd, "\0AUTH ANONYMOUS\r\nBEGIN\r\n", 24), 0);
    assert_int_equal(fd_write_all(s.fd, "l\1\0\1\0\0\0\7\1\0\0\0\0\0\0\1", 16), 0);
    while (!s.closed && sent < 8u << 20) {
        ssize_t n = write(s.fd, junk, sizeof(junk));
        sent += n > 0 ? (size_t) n : 0;
        fake_run_for(e->loop, USEC_PER_MSEC);
    }
    assert_true(fake_wait(e->loop, stranger_is_closed, &s));
    assert_true(sent < 2u << 20); /* LINK_STRANGER_BYTES and what fits into sockets */
    stranger_finish(&s);
}

static void a_stranger_may_not_register(void **state) {
    struct env *e = *state;
    struct stranger s = {.fd = -EBADF};
    struct raw r = {0};

    stranger_dial(e, &s);
    raw_start_bus(e, &r, s.fd);
    s.fd = -EBADF; /* the bus has it */
    RAW_CALL(&r, "Register", "sss", "n1", "{}", "{}");
    assert_non_null(strstr(raw_ask(e, &r), "join first"));
    RAW_CALL(&r, "Join", "sss", "", "n1", "");
    assert_non_null(strstr(raw_ask(e, &r), "join token is wrong"));
    assert_true(fake_wait(e->loop, stranger_is_closed, &s)); /* one guess per connection */
    raw_finish(&r);
    stranger_finish(&s);
}

static void who_does_not_register_is_pushed_out_by_who_does(void **state) {
    struct env *e = *state;
    static struct stranger idle[LINK_PENDING_MAX + 8];

    for (size_t i = 0; i < ARRAY_LEN(idle); i++) {
        idle[i] = (struct stranger){.fd = -EBADF};
        stranger_dial(e, &idle[i]);
        if (i % 16 == 0)
            fake_run_for(e->loop, 5 * USEC_PER_MSEC);
    }
    fake_run_for(e->loop, 200 * USEC_PER_MSEC);
    start_node(e, &e->nodes[0], "n1", TOKEN);
    await_told(e, &e->nodes[0], "end;");
    for (size_t i = 0; i < ARRAY_LEN(idle); i++)
        stranger_finish(&idle[i]);
}

/* --- a fresh authority by its hash --- */

static void join_by_hash(struct env *e, const char *hash, bool good) {
    _cleanup_free_ char *server = xasprintf("127.0.0.1:%d", e->port), *dir = xasprintf("%s/n1", e->dir);
    _cleanup_free_ char *ca = xasprintf("%s/pinned.crt", e->dir);
    const struct agent_link_options o = {.server = server,
                                         .node_name = "n1",
                                         .cert_dir = dir,
                                         .ca_file = ca,
                                         .ca_hash = hash,
                                         .token = TOKEN,
                                         .version = "test"};

    e->nodes[0].name = xstrdup("n1");
    assert_int_equal(agent_link_new(e->loop, &o, &handler, &e->nodes[0], &e->nodes[0].link, NULL), 0);
    if (good) {
        await_told(e, &e->nodes[0], "end;");
        assert_int_equal(access(ca, R_OK), 0);
        return;
    }
    fake_run_for(e->loop, 300 * USEC_PER_MSEC);
    assert_int_equal(e->nodes[0].connected, 0);
    assert_int_not_equal(access(ca, F_OK), 0); /* an authority that was not asked for is not kept */
}

static void a_node_joins_by_the_hash_of_the_authority(void **state) {
    struct env *e = *state;
    char hex[PKI_SHA256_HEX_SIZE];

    assert_int_equal(pki_ca_hash(e->ca_dir, hex, NULL), 0);
    _cleanup_free_ char *hash = xasprintf("sha256:%s", hex);
    join_by_hash(e, hash, true);
}

static void another_authority_is_not_accepted(void **state) {
    join_by_hash(*state, "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", false);
}

struct renewal {
    const char *path;
    struct strbuf before;
};

static bool certificate_changed(void *userdata) {
    const struct renewal *r = userdata;
    _cleanup_strbuf_ struct strbuf now = STRBUF_INIT;

    return file_read(r->path, PKI_PEM_BYTES_MAX, &now, NULL) == 0 && now.len > 0 &&
           strcmp(now.data, r->before.data) != 0;
}

static void a_certificate_is_renewed_without_a_token_or_a_break(void **state) {
    struct env *e = *state;
    struct node *n = &e->nodes[0];
    _cleanup_free_ char *path = xasprintf("%s/n1/node.crt", e->dir);
    struct renewal r = {.path = path, .before = STRBUF_INIT};

    start_node(e, n, "n1", TOKEN);
    await_told(e, n, "end;");
    assert_int_equal(file_read(path, PKI_PEM_BYTES_MAX, &r.before, NULL), 0);
    free(n->link->token);
    n->link->token = xstrdup("used.up"); /* tokens expire, too */
    assert_int_equal(agent_join_start(n->link, NULL), 0);
    assert_true(fake_wait(e->loop, certificate_changed, &r));
    fake_run_for(e->loop, 100 * USEC_PER_MSEC);
    assert_int_equal(n->connected, 1);
    assert_true(n->is_connected);
    stop_node(n);
    *n = (struct node){0};
    start_node(e, n, "n1", NULL); /* the new one is good */
    await_told(e, n, "end;");
    strbuf_finish(&r.before);
}

/* --- zombies, silence, slowness --- */

static void a_new_connection_of_a_node_replaces_the_old_one(void **state) {
    struct env *e = *state;
    struct raw old = {0}, fresh = {0};

    raw_register(e, &old, "n1");
    raw_register(e, &fresh, "n1");
    assert_true(fake_wait(e->loop, raw_is_closed, &old));
    assert_false(fresh.closed);
    assert_int_equal(link_server_connected(e->server), 1);
    RAW_CALL(&fresh, "Heartbeat", "");
    assert_string_equal(raw_ask(e, &fresh), "");
    raw_finish(&old);
    raw_finish(&fresh);
}

static void a_silent_node_is_hung_up_on(void **state) {
    struct env *e = *state;
    struct raw r = {0};

    raw_register(e, &r, "n1");
    fake_run_for(e->loop, 120 * USEC_PER_MSEC); /* two heartbeats missed: not yet */
    assert_false(r.closed);
    assert_true(fake_wait(e->loop, raw_is_closed, &r));
    assert_int_equal(link_server_connected(e->server), 0);
    raw_finish(&r);
}

static void a_stop_of_our_own_is_nobodys_silence(void **state) {
    struct env *e = *state;

    start_node(e, &e->nodes[0], "n1", TOKEN);
    await_told(e, &e->nodes[0], "end;");
    usleep(600 * 1000); /* both ends stand still for much more than LINK_HEARTBEATS_MISSED */
    fake_run_for(e->loop, 300 * USEC_PER_MSEC);
    assert_int_equal(e->nodes[0].connected, 1);
    assert_true(e->nodes[0].is_connected);
}

static int ignore_call(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    return 1; /* taken, never answered */
}

static bool node_is_disconnected(void *userdata) {
    return !((struct node *) userdata)->is_connected;
}

/* A listener that speaks TLS as the server would, answers Register and then says nothing any more. */
struct mute {
    sd_bus *bus;
    int listener;
};

static int mute_register(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    return sd_bus_reply_method_return(m, "t", (uint64_t) (20 * USEC_PER_MSEC));
}

static const sd_bus_vtable mute_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Register", "sss", "t", mute_register, 0),
    SD_BUS_METHOD("Heartbeat", "", "", ignore_call, 0),
    SD_BUS_VTABLE_END,
};

static int mute_accept(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
    struct mute *m = userdata;
    int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    sd_id128_t id = {{1}};

    if (conn < 0 || m->bus) {
        closep(&conn);
        return 0;
    }
    assert_true(sd_bus_new(&m->bus) >= 0);
    assert_true(sd_bus_set_fd(m->bus, conn, conn) >= 0);
    assert_true(sd_bus_set_server(m->bus, 1, id) >= 0);
    (void) sd_bus_set_anonymous(m->bus, 1);
    (void) sd_bus_set_trusted(m->bus, 1);
    assert_true(sd_bus_start(m->bus) >= 0);
    assert_true(sd_bus_attach_event(m->bus, sd_event_source_get_event(s), 0) >= 0);
    assert_true(sd_bus_add_object_vtable(m->bus, NULL, LINK_SERVER_PATH, LINK_SERVER_INTERFACE, mute_vtable, m) >= 0);
    return 0;
}

static bool node_was_connected(void *userdata) {
    return ((struct node *) userdata)->connected > 0;
}

static void a_server_that_stopped_answering_is_left(void **state) {
    struct env *e = *state;
    _cleanup_free_ char *path = path_join(e->dir, "mute.sock"), *server = xasprintf("unix:%s", path);
    struct mute m = {.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct node *n = &e->nodes[0];
    const struct agent_link_options o = {.server = server, .node_name = "n1", .version = "test"};
    sd_event_source *source = NULL;

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    assert_int_equal(bind(m.listener, (struct sockaddr *) &a, sizeof(a)), 0);
    assert_int_equal(listen(m.listener, 4), 0);
    assert_true(sd_event_add_io(e->loop, &source, m.listener, EPOLLIN, mute_accept, &m) >= 0);
    n->name = xstrdup("n1");
    assert_int_equal(agent_link_new(e->loop, &o, &handler, n, &n->link, NULL), 0);
    assert_true(fake_wait(e->loop, node_was_connected, n));
    assert_true(fake_wait(e->loop, node_is_disconnected, n));
    sd_event_source_disable_unref(source);
    stop_node(n);
    sd_bus_detach_event(m.bus);
    sd_bus_close_unref(m.bus);
    closep(&m.listener);
}

static void a_slow_node_is_hung_up_on_before_memory_is_full(void **state) {
    struct env *e = *state;
    struct raw r = {0};
    _cleanup_free_ char *big = xcalloc(1, 1000001), *text = NULL;

    memset(big, 'x', 1000000);
    create_web(e, "n1");
    raw_register(e, &r, "n1");
    (void) sd_bus_detach_event(r.bus); /* from now on it reads nothing */
    for (unsigned i = 0; i < 400 && link_server_connected(e->server) > 0; i++) {
        free(text);
        text = xasprintf("{'data':{'page':'%u%s'}}", i, big);
        fake_merge(e->fake, fake_resource("configmaps"), "default", "page", text);
        fake_settle(e->loop);
    }
    assert_int_equal(link_server_connected(e->server), 0);
    raw_finish(&r);
}

static void who_calls_too_often_is_slowed_down_not_cut_off(void **state) {
    struct env *e = *state;
    struct node *n = &e->nodes[0];
    _cleanup_json_ struct json *status = fake_json("{'phase':'Running'}");

    want.e = e;
    stop_server(e);
    e->heartbeat_usec = USEC_PER_SEC / 2;
    start_server(e);
    start_node(e, n, "n1", TOKEN);
    create_web(e, "n1");
    await_told(e, n, "pod web;");
    _cleanup_free_ char *uid =
        xstrdup(json_str(json_path(fake_get(e->fake, fake_resource("pods"), "default", "web"), "metadata", "uid")));
    uint64_t from = now_monotonic_usec();
    for (unsigned i = 0; i < LINK_CALLS_BURST + 14 * LINK_CALLS_PER_SEC; i++)
        agent_link_pod_finished(n->link, "default", "other", uid);
    agent_link_pod_status(n->link, "default", "web", uid, status);
    assert_true(fake_wait(e->loop, pod_is_running, NULL));
    assert_true(now_monotonic_usec() - from >= USEC_PER_SEC / 2);
    fake_run_for(e->loop, 100 * USEC_PER_MSEC);
    assert_true(n->is_connected);
    assert_int_equal(n->connected, 1);
}

/* --- streams --- */

static void hold_data(void *userdata, enum link_channel channel, const void *p, size_t n) {
    struct remote *r = userdata;

    if (r->out.len == 0)
        strbuf_add(&r->out, "x", 1);
}

static const struct link_stream_ops holding_ops = {.data = hold_data, .acked = r_acked, .end = r_end};

static void bytes_beyond_any_window_end_the_stream(void **state) {
    struct env *e = *state;
    struct remote r = {.out = STRBUF_INIT};
    struct link_stream *s;
    _cleanup_json_ struct json *options = fake_json("{'container':'c'}");
    static char big[1u << 20];
    struct node *n = &e->nodes[0];

    start_node(e, n, "n1", TOKEN);
    await_told(e, n, "end;");
    assert_int_equal(link_server_open_exec(e->server, "n1", options, &holding_ops, &r, &s, NULL), 0);
    fake_settle(e->loop);
    link_stream_pause(s, true);
    assert_true(fake_wait(e->loop, node_was_connected, n));
    for (unsigned i = 0; i < 16 && n->stream; i++) {
        (void) link_stream_write(n->stream, LINK_STDOUT, big, sizeof(big));
        fake_run_for(e->loop, 20 * USEC_PER_MSEC);
    }
    assert_true(fake_wait(e->loop, remote_ended, &r));
    assert_int_equal(r.code, -EPROTO);
    fake_run_for(e->loop, 100 * USEC_PER_MSEC);
    assert_null(n->stream); /* the node's end was told */
    assert_true(n->is_connected);
    strbuf_finish(&r.out);
}

static void acknowledging_what_was_not_sent_counts_for_nothing(void **state) {
    struct env *e = *state;
    struct remote r = {.out = STRBUF_INIT};
    struct raw raw = {0};
    struct link_stream *s;
    _cleanup_json_ struct json *options = fake_json("{'container':'c'}");

    raw_register(e, &raw, "n1");
    assert_int_equal(link_server_open_exec(e->server, "n1", options, &remote_ops, &r, &s, NULL), 0);
    (void) link_stream_write(s, LINK_STDIN, "0123456789", 10);
    for (unsigned i = 0; i < 3; i++)
        assert_true(sd_bus_call_method_async(raw.bus, NULL, NULL, LINK_STREAM_PATH, LINK_STREAM_INTERFACE, "Ack", NULL,
                                             NULL, "tu", link_stream_id(s), UINT32_MAX) >= 0);
    fake_run_for(e->loop, 50 * USEC_PER_MSEC);
    assert_int_equal(r.acked, 10);
    assert_int_equal(link_stream_under_way(s), 0);
    link_stream_close(s);
    raw_finish(&raw);
    strbuf_finish(&r.out);
}

/* --- given up and back --- */

static bool node_is_ready(void *userdata) {
    struct env *e = userdata;
    const struct json *c =
        json_at(json_path(fake_get(e->fake, fake_resource("nodes"), "", "n1"), "status", "conditions"), 0);

    return strcmp(json_str_or(json_get(c, "status"), ""), "True") == 0;
}

static void a_node_given_up_by_mistake_says_all_again_once(void **state) {
    struct env *e = *state;
    struct node *n = &e->nodes[0];

    start_node(e, n, "n1", TOKEN);
    create_web(e, "n1");
    await_told(e, n, "pod web;");
    assert_true(fake_wait(e->loop, node_is_ready, e));
    fake_settle(e->loop);
    assert_null(strstr(n->told.data, "retell"));
    fake_merge(e->fake, fake_resource("nodes"), "", "n1",
               "{'status':{'conditions':[{'type':'Ready','status':'Unknown'}]}}");
    await_told(e, n, "retell;");
    assert_true(node_is_ready(e));
    strbuf_reset(&n->told);
    fake_run_for(e->loop, 300 * USEC_PER_MSEC);
    assert_null(strstr(strbuf_str(&n->told), "retell"));
    assert_int_equal(n->connected, 1);
}

static void a_status_that_goes_back_and_forth_ends_as_told_last(void **state) {
    struct env *e = *state;
    struct node *n = &e->nodes[0];
    _cleanup_json_ struct json *pending = fake_json("{'phase':'Pending'}"), *running = fake_json("{'phase':'Running'}");

    want.e = e;
    start_node(e, n, "n1", TOKEN);
    create_web(e, "n1");
    await_told(e, n, "pod web;");
    _cleanup_free_ char *uid =
        xstrdup(json_str(json_path(fake_get(e->fake, fake_resource("pods"), "default", "web"), "metadata", "uid")));
    for (unsigned i = 0; i < 50; i++) {
        agent_link_pod_status(n->link, "default", "web", uid, pending);
        for (unsigned k = 0; k < i % 7; k++)
            (void) sd_event_run(e->loop, 0);
        agent_link_pod_status(n->link, "default", "web", uid, running);
        for (unsigned k = 0; k < i % 5; k++)
            (void) sd_event_run(e->loop, 0);
    }
    fake_run_for(e->loop, 200 * USEC_PER_MSEC);
    assert_true(pod_is_running(NULL));
    unsigned writes = fake_requests(e->fake, CLIENT_PATCH, "pods");
    fake_run_for(e->loop, 300 * USEC_PER_MSEC);
    assert_int_equal(fake_requests(e->fake, CLIENT_PATCH, "pods"), writes); /* and then there is rest */
}

static void a_pod_replaced_on_another_node_leaves_the_first(void **state) {
    struct env *e = *state;

    start_node(e, &e->nodes[0], "n1", TOKEN);
    start_node(e, &e->nodes[1], "n2", TOKEN);
    await_told(e, &e->nodes[1], "end;");
    create_web(e, "n1");
    await_told(e, &e->nodes[0], "pod web;");
    /* the informer sees old and new as one change: as after a watch that had to be started over */
    fake_break_watches(e->fake, true);
    fake_remove(e->fake, fake_resource("pods"), "default", "web");
    json_unref(fake_create(e->fake, "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'web','namespace':'default'},"
                                    "'spec':{'nodeName':'n2','containers':[{'name':'c'}]}}"));
    await_told(e, &e->nodes[1], "pod web;");
    await_told(e, &e->nodes[0], "removed;");
}

int main(void) {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(nothing_but_join_and_register_before_registration),
        T(documents_that_are_none_are_refused),
        T(a_node_labels_itself_as_a_kubelet_may),
        T(a_stranger_cannot_fill_the_memory),
        T(a_stranger_may_not_register),
        T(who_does_not_register_is_pushed_out_by_who_does),
        T(a_node_joins_by_the_hash_of_the_authority),
        T(another_authority_is_not_accepted),
        T(a_certificate_is_renewed_without_a_token_or_a_break),
        T(a_new_connection_of_a_node_replaces_the_old_one),
        T(a_silent_node_is_hung_up_on),
        T(a_stop_of_our_own_is_nobodys_silence),
        T(a_server_that_stopped_answering_is_left),
        T(a_slow_node_is_hung_up_on_before_memory_is_full),
        T(who_calls_too_often_is_slowed_down_not_cut_off),
        T(bytes_beyond_any_window_end_the_stream),
        T(acknowledging_what_was_not_sent_counts_for_nothing),
        T(a_node_given_up_by_mistake_says_all_again_once),
        T(a_status_that_goes_back_and_forth_ends_as_told_last),
        T(a_pod_replaced_on_another_node_leaves_the_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
