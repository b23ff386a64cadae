/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The API server alone, for tests: apiserver_main FOLDER [PORT]. Makes its own authority and an admin certificate in
 * FOLDER, listens on localhost, writes FOLDER/kubeconfig and prints the port when it is ready. Ends at SIGTERM.
 * Every pod that is assigned to a node has a log of three lines, every command in it is `cat`, which ends with the
 * status given as its second argument (`cat 3`), and every port of it echoes. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "orchestrator/apiserver/apiserver.h"
#include "orchestrator/apiserver/subresources/node_ops.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/log.h"
#include "podium/base/path.h"

/* --- the node --- */

struct node_stream {
    const struct node_stream_handlers *h;
    void *userdata;
    sd_event_source *later;
    int status;
    bool logs, tty, no_stdin;
};

static void stream_free(struct node_stream *s) {
    (void) sd_event_source_disable_unref(s->later);
    free(s);
}

static void stream_end(struct node_stream *s) {
    struct node_stream_end end = {.exit_status = s->status};
    s->h->end(s->userdata, &end);
    stream_free(s);
}

static int stream_begin(sd_event_source *source, void *userdata) {
    struct node_stream *s = userdata;
    if (s->logs)
        s->h->data(s->userdata, NODE_STDOUT, "one\ntwo\nthree\n", 14);
    if (s->no_stdin && !s->logs)
        s->h->data(s->userdata, NODE_STDERR, "no input\n", 9);
    if (s->no_stdin)
        stream_end(s);
    return 0;
}

static struct node_stream *stream_new(void *carrier, const struct node_stream_handlers *h, void *userdata) {
    struct node_stream *s = xnew0(struct node_stream);
    s->h = h;
    s->userdata = userdata;
    (void) sd_event_add_defer(carrier, &s->later, stream_begin, s);
    return s;
}

static struct node_stream *open_logs(void *carrier, const struct node_logs_request *r,
                                     const struct node_stream_handlers *h, void *userdata) {
    struct node_stream *s = stream_new(carrier, h, userdata);
    s->logs = s->no_stdin = true;
    return s;
}

static struct node_stream *open_exec(void *carrier, const struct node_exec_request *r,
                                     const struct node_stream_handlers *h, void *userdata) {
    struct node_stream *s = stream_new(carrier, h, userdata);
    s->status = r->argv && r->argv[0] && r->argv[1] ? atoi(r->argv[1]) : 0;
    s->no_stdin = !r->in;
    return s;
}

/* Every port echoes. */
static struct node_stream *open_forward(void *carrier, const struct node_forward_request *r,
                                        const struct node_stream_handlers *h, void *userdata) {
    return stream_new(carrier, h, userdata);
}

static void exec_write(struct node_stream *s, const void *p, size_t n) {
    s->h->data(s->userdata, NODE_STDOUT, p, n);
    s->h->taken(s->userdata, n);
}

static void exec_resize(struct node_stream *s, unsigned columns, unsigned rows) {
}

static void stream_resume(struct node_stream *s, size_t n) {
}

static const struct node_ops ops = {.open_logs = open_logs,
                                    .open_exec = open_exec,
                                    .open_forward = open_forward,
                                    .write = exec_write,
                                    .write_end = stream_end,
                                    .resize = exec_resize,
                                    .resume = stream_resume,
                                    .cancel = stream_free};

/* --- the server --- */

static int make_certificates(const char *dir, struct error *err) {
    char *names[] = {"localhost", NULL}, *ips[] = {"127.0.0.1", NULL}, *masters[] = {"system:masters", NULL};
    struct pki_request server = {
        .common_name = "podium-apiserver", .dns_names = names, .ip_addresses = ips, .server = true};
    struct pki_request admin = {.common_name = "admin", .organizations = masters, .client = true};
    struct pki_request guest = {.common_name = "guest", .client = true};
    int r = pki_ca_ensure(dir, "podium-test", err);
    if (r >= 0)
        r = pki_ensure(dir, dir, "server", &server, err);
    if (r >= 0)
        r = pki_ensure(dir, dir, "admin", &admin, err);
    if (r >= 0)
        r = pki_ensure(dir, dir, "guest", &guest, err);
    return r;
}

static int write_kubeconfig(const char *dir, const char *user, const char *file, int port, struct error *err) {
    _cleanup_free_ char *path = path_join(dir, file);
    _cleanup_free_ char *text = xasprintf(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n"
        "clusters: [{name: test, cluster: {server: 'https://127.0.0.1:%d', certificate-authority: '%s/ca.crt'}}]\n"
        "users: [{name: test, user: {client-certificate: '%s/%s.crt', client-key: '%s/%s.key'}}]\n"
        "contexts: [{name: test, context: {cluster: test, user: test}}]\n",
        port, dir, dir, user, dir, user);
    return file_write_atomic(path, text, strlen(text), 0600, false, err);
}

static int serve(const char *dir, int port, struct error *err) {
    _cleanup_free_ char *db = path_join(dir, "store"), *crt = path_join(dir, "server.crt"),
                        *key = path_join(dir, "server.key"), *ca = path_join(dir, "ca.crt"),
                        *sock = path_join(dir, "api.sock");
    struct store *store = NULL;
    sd_event *loop = NULL;
    _cleanup_(apiserver_freep) struct apiserver *api = NULL;
    struct store_options so = {.path = db, .map_bytes = 1ull << 30};
    int r = store_open_lmdb(&so, &store, err);
    if (r < 0)
        return r;
    struct apiserver_options o = {.store = store,
                                  .address = "127.0.0.1",
                                  .port = port,
                                  .cert_file = crt,
                                  .key_file = key,
                                  .client_ca_file = ca,
                                  .unix_socket = sock};
    r = sd_event_new(&loop);
    if (r >= 0)
        r = apiserver_new(&o, &api, err);
    if (r >= 0)
        r = apiserver_set_node_ops(api, loop, &ops, loop, err);
    if (r >= 0)
        r = apiserver_start(api, err);
    if (r >= 0)
        r = write_kubeconfig(dir, "admin", "kubeconfig", apiserver_port(api), err);
    if (r >= 0)
        r = write_kubeconfig(dir, "guest", "kubeconfig-guest", apiserver_port(api), err);
    if (r >= 0) {
        printf("%d\n", apiserver_port(api));
        fflush(stdout);
        (void) sd_event_add_signal(loop, NULL, SIGTERM, NULL, NULL); /* ends the loop */
        (void) sd_event_add_signal(loop, NULL, SIGINT, NULL, NULL);
        (void) sd_event_loop(loop);
    }
    apiserver_free(steal(&api));
    sd_event_unref(loop);
    store_close(store);
    return r;
}

int main(int argc, char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    sigset_t set;
    if (argc < 2)
        return fprintf(stderr, "usage: apiserver_main FOLDER [PORT]\n"), 2;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    (void) sigprocmask(SIG_BLOCK, &set, NULL); /* before any thread exists: the loop gets them */
    (void) signal(SIGPIPE, SIG_IGN);
    int r = mkdir_parents(argv[1], 0700, &err);
    if (r >= 0)
        r = make_certificates(argv[1], &err);
    if (r >= 0)
        r = serve(argv[1], argc > 2 ? atoi(argv[2]) : -1, &err);
    if (r < 0)
        (void) log_errno(r, "%s", error_text(&err, r));
    return r < 0;
}
