/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cmd/node_streams.h"

#include <string.h>

#include "podium/base/alloc.h"

struct node_stream {
    struct link_stream *link; /* NULL when it has ended or could not be opened */
    const struct node_stream_handlers *handlers;
    void *userdata;
    size_t passed_on;         /* bytes of data() not yet given back by resume() */
    sd_event_source *failure; /* deferred `end` of a stream that could not be opened */
    struct error err;
    int code;
};

static void stream_free(struct node_stream *s) {
    sd_event_source_disable_unref(s->failure);
    error_clear(&s->err);
    free(s);
}

static void on_data(void *userdata, enum link_channel channel, const void *p, size_t n) {
    struct node_stream *s = userdata;

    if (channel != LINK_STDOUT && channel != LINK_STDERR)
        return;
    s->passed_on += n;
    if (s->passed_on >= NODE_STREAM_WINDOW / 2)
        link_stream_pause(s->link, true);
    s->handlers->data(s->userdata, channel == LINK_STDERR ? NODE_STDERR : NODE_STDOUT, p, n);
}

static void on_acked(void *userdata, size_t n) {
    struct node_stream *s = userdata;

    if (s->handlers->taken)
        s->handlers->taken(s->userdata, n);
}

static void on_end(void *userdata, int code, const char *error) {
    struct node_stream *s = userdata;
    const struct node_stream_end end = {
        .error = code < 0 ? code : 0, .message = code < 0 ? error : NULL, .exit_status = code < 0 ? 0 : code};

    s->link = NULL;
    s->handlers->end(s->userdata, &end);
    stream_free(s);
}

static const struct link_stream_ops link_ops = {.data = on_data, .acked = on_acked, .end = on_end};

static int on_failure(sd_event_source *source, void *userdata) {
    struct node_stream *s = userdata;

    on_end(s, s->code, error_text(&s->err, s->code));
    return 0;
}

static struct json *target(const struct node_pod *pod) {
    struct json *o = json_object();

    json_set(&o, "uid", json_string(pod->uid));
    json_set(&o, "container", json_string(pod->container));
    return o;
}

typedef int (*open_fn)(struct link_server *s, const char *node, const struct json *options,
                       const struct link_stream_ops *ops, void *userdata, struct link_stream **ret, struct error *err);

static struct node_stream *open_stream(struct node_streams *c, const char *node, const struct json *options,
                                       open_fn open, const struct node_stream_handlers *handlers, void *userdata) {
    struct node_stream *s = xnew0(struct node_stream);
    int r;

    s->handlers = handlers;
    s->userdata = userdata;
    if (!c->link || !node || !*node)
        r = error_set(&s->err, -EHOSTUNREACH, "the pod is on no node yet");
    else
        r = open(c->link, node, options, &link_ops, s, &s->link, &s->err);
    if (r < 0) {
        s->code = r == -ENOTCONN ? -EHOSTUNREACH : r;
        (void) sd_event_add_defer(c->loop, &s->failure, on_failure, s);
    }
    return s;
}

static struct node_stream *open_logs(void *carrier, const struct node_logs_request *r,
                                     const struct node_stream_handlers *handlers, void *userdata) {
    _cleanup_json_ struct json *o = target(&r->pod);

    json_set(&o, "follow", json_bool(r->follow));
    json_set(&o, "previous", json_bool(r->previous));
    json_set(&o, "timestamps", json_bool(r->timestamps));
    json_set(&o, "tailLines", json_int(r->tail_lines));
    json_set(&o, "sinceUsec", json_int((int64_t) r->since_usec));
    json_set(&o, "limitBytes", json_int(r->limit_bytes > 0 ? r->limit_bytes : 0));
    return open_stream(carrier, r->pod.node, o, link_server_open_log, handlers, userdata);
}

static struct node_stream *open_exec(void *carrier, const struct node_exec_request *r,
                                     const struct node_stream_handlers *handlers, void *userdata) {
    _cleanup_json_ struct json *o = target(&r->pod);

    for (char *const *a = r->argv; a && *a; a++)
        json_append(json_edit(&o, "args"), json_string(*a));
    json_set(&o, "attach", json_bool(!r->argv));
    json_set(&o, "tty", json_bool(r->tty));
    json_set(&o, "stdin", json_bool(r->in));
    json_set(&o, "stdout", json_bool(r->out));
    json_set(&o, "stderr", json_bool(r->err));
    return open_stream(carrier, r->pod.node, o, link_server_open_exec, handlers, userdata);
}

static struct node_stream *open_forward(void *carrier, const struct node_forward_request *r,
                                        const struct node_stream_handlers *handlers, void *userdata) {
    _cleanup_json_ struct json *o = json_object();

    json_set(&o, "uid", json_string(r->pod.uid));
    json_set(&o, "port", json_int(r->port));
    json_set(&o, "podAddress", json_bool(r->pod_address));
    return open_stream(carrier, r->pod.node, o, link_server_open_forward, handlers, userdata);
}

static struct node_stream *open_query(void *carrier, const struct node_query_request *r,
                                      const struct node_stream_handlers *handlers, void *userdata) {
    _cleanup_json_ struct json *o = json_object();

    json_set(&o, "method", json_string(r->method));
    json_set(&o, "path", json_string(r->path));
    return open_stream(carrier, r->node, o, link_server_open_query, handlers, userdata);
}

static void stream_write(struct node_stream *s, const void *p, size_t n) {
    if (s->link)
        (void) link_stream_write(s->link, LINK_STDIN, p, n);
}

static void stream_write_end(struct node_stream *s) {
    if (s->link)
        (void) link_stream_write(s->link, LINK_STDIN_END, "", 0);
}

static void stream_resize(struct node_stream *s, unsigned columns, unsigned rows) {
    _cleanup_free_ char *text = xasprintf("{\"Width\":%u,\"Height\":%u}", columns, rows);

    if (s->link)
        (void) link_stream_write(s->link, LINK_RESIZE, text, strlen(text));
}

static void stream_resume(struct node_stream *s, size_t n) {
    s->passed_on -= n < s->passed_on ? n : s->passed_on;
    if (s->link && s->passed_on < NODE_STREAM_WINDOW / 2)
        link_stream_pause(s->link, false);
}

static void stream_cancel(struct node_stream *s) {
    link_stream_close(s->link);
    stream_free(s);
}

const struct node_ops node_streams_ops = {
    .open_logs = open_logs,
    .open_exec = open_exec,
    .open_forward = open_forward,
    .open_query = open_query,
    .write = stream_write,
    .write_end = stream_write_end,
    .resize = stream_resize,
    .resume = stream_resume,
    .cancel = stream_cancel,
};
