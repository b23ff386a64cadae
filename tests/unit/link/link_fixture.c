/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Both ends of the link in one loop, over real TLS on loopback, against the fake API. Included by the tests. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "orchestrator/link/agent_link.h"
#include "orchestrator/link/server.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/path.h"
#include "tests/unit/client/fake_client.c"

#define TOKEN "abcdef.0123456789abcdef"

/* A node whose agent writes down what it is told. */
struct node {
    char *name;
    struct agent_link *link;
    struct strbuf told; /* "begin;object ConfigMap;pod web;end;" */
    struct link_stream *stream;
    struct strbuf stdin_bytes;
    unsigned connected;
    bool is_connected;
};

struct env {
    char dir[64];
    char *ca_dir, *cert, *key, *socket;
    int port;
    uint64_t heartbeat_usec; /* 0: 50 ms */
    sd_event *loop;
    struct fake *fake;
    struct informer_set *informers;
    struct link_server *server;
    struct node nodes[2];
};

/* --- the node's handler --- */

_printf_(2, 3) static void told(void *userdata, const char *fmt, ...) {
    struct node *n = userdata;
    va_list ap;

    va_start(ap, fmt);
    strbuf_vaddf(&n->told, fmt, ap);
    va_end(ap);
    strbuf_addc(&n->told, ';');
}

static void h_connected(void *userdata, bool connected) {
    struct node *n = userdata;

    n->is_connected = connected;
    n->connected += connected;
}

static void h_begin(void *userdata) {
    told(userdata, "begin");
}

static void h_end(void *userdata) {
    told(userdata, "end");
}

static int h_pod(void *userdata, const struct json *pod, struct error *err) {
    told(userdata, "pod %s%s", json_str_or(json_path(pod, "metadata", "name"), "?"),
         json_path(pod, "metadata", "managedFields") ? " with its owners" : "");
    return 0;
}

static void h_remove_pod(void *userdata, const char *uid) {
    told(userdata, "removed");
}

static void h_retell(void *userdata) {
    told(userdata, "retell");
}

static void h_object(void *userdata, const struct json *o) {
    told(userdata, "%s %s", json_str_or(json_get(o, "kind"), "?"), json_str_or(json_path(o, "metadata", "name"), "?"));
}

static void h_remove_object(void *userdata, const char *kind, const char *ns, const char *name) {
    told(userdata, "no %s %s/%s", kind, ns, name);
}

static int h_network(void *userdata, const char *text, struct error *err) {
    _cleanup_json_ struct json *network = NULL;

    assert_int_equal(json_parse(text, strlen(text), NULL, &network, NULL), 0);
    told(userdata, "net %s peers %zu", json_str_or(json_get(network, "podCIDR"), "?"),
         json_len(json_get(network, "peers")));
    return 0;
}

static int h_peers(void *userdata, const char *changes, struct error *err) {
    told(userdata, "changed peers %s", changes);
    return 0;
}

static struct json *h_status(void *userdata) {
    const struct node *n = userdata;

    _cleanup_free_ char *text = xasprintf("{'conditions':[{'type':'Ready','status':'True'}],'addresses':[{'type':"
                                          "'InternalIP','address':'10.0.0.%s'}]}",
                                          n->name + 1);

    return fake_json(text);
}

static struct json *h_labels(void *userdata) {
    return fake_json("{'kubernetes.io/os':'linux'}");
}

static int h_open(void *userdata, struct link_stream *stream, const struct json *options, void **ret_userdata,
                  struct error *err) {
    struct node *n = userdata;

    if (strcmp(json_str_or(json_get(options, "container"), ""), "absent") == 0)
        return error_set(err, -ENOENT, "container absent is not here");
    n->stream = stream;
    *ret_userdata = n;
    return 0;
}

static void s_data(void *userdata, enum link_channel channel, const void *p, size_t n) {
    struct node *node = userdata;

    if (channel == LINK_STDIN_END) /* echo all of it and exit 7 */ {
        (void) link_stream_write(node->stream, LINK_STDOUT, node->stdin_bytes.data, node->stdin_bytes.len);
        link_stream_end(node->stream, 7, NULL);
        node->stream = NULL;
        return;
    }
    strbuf_add(&node->stdin_bytes, p, n);
}

static void s_end(void *userdata, int code, const char *error) {
    ((struct node *) userdata)->stream = NULL;
}

static const struct link_stream_ops node_stream_ops = {.data = s_data, .end = s_end};

static void h_token(void *userdata, const char *uid, const char *audience, int64_t seconds, const char *token,
                    const char *expires, const char *error) {
    told(userdata, "token %s: %s", audience, token ? token : error);
}

static struct json *h_pods(void *userdata) {
    return json_array();
}

static const struct agent_link_handler handler = {
    .connected = h_connected,
    .sync_begin = h_begin,
    .sync_end = h_end,
    .apply_pod = h_pod,
    .remove_pod = h_remove_pod,
    .retell = h_retell,
    .apply_object = h_object,
    .remove_object = h_remove_object,
    .set_network = h_network,
    .update_peers = h_peers,
    .node_status = h_status,
    .node_labels = h_labels,
    .open_log = h_open,
    .open_exec = h_open,
    .log_ops = &node_stream_ops,
    .exec_ops = &node_stream_ops,
    .list_pods = h_pods,
    .token = h_token,
};

/* --- fixture --- */

static int free_port(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *) &a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &a, &len), 0);
    return ntohs(a.sin_port);
}

static void start_server(struct env *e) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    const struct link_server_options o = {
        .address = "127.0.0.1",
        .port = e->port,
        .ca_dir = e->ca_dir,
        .cert_file = e->cert,
        .key_file = e->key,
        .token = TOKEN,
        .unix_socket = e->socket,
        .cluster_cidr = "10.244.0.0/16",
        .heartbeat_usec = e->heartbeat_usec ? e->heartbeat_usec : 50 * USEC_PER_MSEC,
    };

    e->informers = informer_set_new(e->loop, fake_client(e->fake));
    int r = link_server_new(e->loop, fake_client(e->fake), e->informers, &o, &e->server, &err);
    if (r < 0)
        fail_msg("%s", error_text(&err, r));
}

static void stop_server(struct env *e) {
    link_server_free(steal(&e->server));
    informer_set_free(steal(&e->informers));
}

_unused_ static void start_node(struct env *e, struct node *n, const char *name, const char *token) {
    _cleanup_free_ char *server = xasprintf("127.0.0.1:%d", e->port), *dir = xasprintf("%s/%s", e->dir, name);
    _cleanup_free_ char *ca = path_join(e->ca_dir, "ca.crt");
    const struct agent_link_options o = {
        .server = server, .node_name = name, .cert_dir = dir, .ca_file = ca, .token = token, .version = "test"};

    free(n->name);
    n->name = xstrdup(name);
    assert_int_equal(agent_link_new(e->loop, &o, &handler, n, &n->link, NULL), 0);
}

static void stop_node(struct node *n) {
    agent_link_free(steal(&n->link));
    strbuf_finish(&n->told);
    strbuf_finish(&n->stdin_bytes);
    free(steal(&n->name));
}

static int setup(void **state) {
    struct env *e = xnew0(struct env);
    char *ips[] = {(char *) "127.0.0.1", NULL};
    const struct pki_request request = {.common_name = "server", .ip_addresses = ips, .server = true};

    strcpy(e->dir, "/tmp/podium-link-XXXXXX");
    assert_non_null(mkdtemp(e->dir));
    e->ca_dir = path_join(e->dir, "pki");
    e->cert = path_join(e->ca_dir, "server.crt");
    e->key = path_join(e->ca_dir, "server.key");
    e->socket = path_join(e->dir, "link.sock");
    assert_true(pki_ca_ensure(e->ca_dir, "test-ca", NULL) >= 0);
    assert_true(pki_ensure(e->ca_dir, e->ca_dir, "server", &request, NULL) >= 0);
    assert_true(sd_event_new(&e->loop) >= 0);
    e->fake = fake_new(e->loop);
    e->port = free_port();
    start_server(e);
    *state = e;
    return 0;
}

static int teardown(void **state) {
    struct env *e = *state;

    for (size_t i = 0; i < ARRAY_LEN(e->nodes); i++)
        stop_node(&e->nodes[i]);
    stop_server(e);
    fake_free(e->fake);
    sd_event_unref(e->loop);
    (void) rm_tree(e->dir, NULL);
    free(e->ca_dir);
    free(e->cert);
    free(e->key);
    free(e->socket);
    free(e);
    return 0;
}

/* --- conditions to wait for --- */

static struct {
    struct env *e;
    struct node *node;
    const char *text;
} want;

static bool node_was_told(void *userdata) {
    return strstr(strbuf_str(&want.node->told), want.text) != NULL;
}

_unused_ static void await_told(struct env *e, struct node *n, const char *text) {
    want.node = n;
    want.text = text;
    if (!fake_wait(e->loop, node_was_told, NULL))
        fail_msg("node %s was told \"%s\", not \"%s\"", n->name, strbuf_str(&n->told), text);
}

_unused_ static bool pod_is_running(void *userdata) {
    struct json *pod = fake_get(want.e->fake, fake_resource("pods"), "default", "web");

    return strcmp(json_str_or(json_path(pod, "status", "phase"), ""), "Running") == 0;
}

_unused_ static bool pod_is_gone(void *userdata) {
    return !fake_get(want.e->fake, fake_resource("pods"), "default", "web");
}

_unused_ static void create_web(struct env *e, const char *node) {
    _cleanup_free_ char *text = xasprintf(
        "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'web','namespace':'default'},'spec':{'nodeName':'%s',"
        "'containers':[{'name':'c','envFrom':[{'secretRef':{'name':'keys'}}]}],"
        "'volumes':[{'name':'v','configMap':{'name':'page'}}]}}",
        node);
    static const char *const objects[] = {
        "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'page','namespace':'default'}}",
        "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'other','namespace':'default'}}",
        "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'keys','namespace':'default'}}",
    };

    for (size_t i = 0; i < ARRAY_LEN(objects); i++)
        json_unref(fake_create(e->fake, objects[i]));
    fake_settle(e->loop); /* informers of different kinds keep no common order */
    json_unref(fake_create(e->fake, text));
}

/* --- the control plane's side of a stream --- */

struct remote {
    struct strbuf out;
    int code;
    bool ended;
    size_t acked;
};

static void r_data(void *userdata, enum link_channel channel, const void *p, size_t n) {
    strbuf_add(&((struct remote *) userdata)->out, p, n);
}

static void r_acked(void *userdata, size_t n) {
    ((struct remote *) userdata)->acked += n;
}

static void r_end(void *userdata, int code, const char *error) {
    struct remote *r = userdata;

    r->code = code;
    r->ended = true;
}

_unused_ static bool remote_ended(void *userdata) {
    return ((struct remote *) userdata)->ended;
}

_unused_ static const struct link_stream_ops remote_ops = {.data = r_data, .acked = r_acked, .end = r_end};
