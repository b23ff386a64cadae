/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/exec_session.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

#include "orchestrator/apiserver/loop_queue.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/json.h"
#include "podium/base/strbuf.h"

#define MESSAGE_BYTES_MAX (1024u * 1024u)
#define DRAIN_USEC        (5ull * 1000000ull) /* a client that has got our close frame hangs up long before */

enum { CHANNEL_STDIN = 0, CHANNEL_STDOUT = 1, CHANNEL_STDERR = 2, CHANNEL_STATUS = 3, CHANNEL_RESIZE = 4 };
#define CHANNEL_CLOSE 255 /* v5: the next byte names the channel that has ended */

struct exec_session {
    struct list link;
    struct loop_task begin;
    struct api_stream *request;
    struct MHD_UpgradeResponseHandle *urh;
    int sock;
    sd_event_source *io, *deadline;
    wslay_event_context_ptr ws;
    struct node_stream *stream; /* NULL before it is open and after its end */
    struct strbuf extra;
    size_t untaken;     /* bytes of stdin the node has not taken yet */
    size_t queued_data; /* bytes in the WebSocket's queue the node wants credit for */
    bool stdin_ended, stream_ended, closing, broken;
    bool draining; /* all is said: what the client still sends is read and dropped until it hangs up */
};

static const struct node_ops *ops_of(const struct exec_session *x) {
    return x->request->api->node_ops;
}

static void session_free(struct exec_session *x) {
    list_remove(&x->link);
    if (x->stream)
        ops_of(x)->cancel(x->stream);
    (void) sd_event_source_disable_unref(x->io);
    (void) sd_event_source_disable_unref(x->deadline);
    if (x->ws)
        wslay_event_context_free(x->ws);
    (void) MHD_upgrade_action(x->urh, MHD_UPGRADE_ACTION_CLOSE);
    strbuf_finish(&x->extra);
    api_stream_free(x->request);
    free(x);
}

/* --- wslay's callbacks --- */

static ssize_t ws_recv(wslay_event_context_ptr ws, uint8_t *buf, size_t len, int flags, void *userdata) {
    struct exec_session *x = userdata;
    if (x->extra.len > 0) {
        size_t n = x->extra.len < len ? x->extra.len : len;
        memcpy(buf, x->extra.data, n);
        strbuf_consume(&x->extra, n);
        return (ssize_t) n;
    }
    ssize_t n = recv(x->sock, buf, len, 0);
    if (n > 0)
        return n;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        wslay_event_set_error(ws, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    x->broken = true;
    wslay_event_set_error(ws, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t ws_send(wslay_event_context_ptr ws, const uint8_t *p, size_t len, int flags, void *userdata) {
    struct exec_session *x = userdata;
    ssize_t n = send(x->sock, p, len, MSG_NOSIGNAL);
    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == EINTR) {
        wslay_event_set_error(ws, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    x->broken = true;
    wslay_event_set_error(ws, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static void end_stdin(struct exec_session *x) {
    if (x->stdin_ended || !x->stream || !x->request->exec.in)
        return;
    x->stdin_ended = true;
    ops_of(x)->write_end(x->stream);
}

static void resize(struct exec_session *x, const char *p, size_t n) {
    _cleanup_json_ struct json *size = NULL;
    if (json_parse(p, n, NULL, &size, NULL) < 0)
        return;
    int64_t w = json_int_or(json_get(size, "Width"), 0), h = json_int_or(json_get(size, "Height"), 0);
    if (w > 0 && h > 0 && w < 65536 && h < 65536)
        ops_of(x)->resize(x->stream, (unsigned) w, (unsigned) h);
}

static void ws_message(wslay_event_context_ptr ws, const struct wslay_event_on_msg_recv_arg *arg, void *userdata) {
    struct exec_session *x = userdata;
    const uint8_t *p = arg->msg;
    size_t n = arg->msg_length;
    if (wslay_is_ctrl_frame(arg->opcode) || n == 0 || !x->stream)
        return;
    if (p[0] == CHANNEL_STDIN && n > 1 && x->request->exec.in && !x->stdin_ended) {
        x->untaken += n - 1;
        ops_of(x)->write(x->stream, p + 1, n - 1);
    } else if (p[0] == CHANNEL_RESIZE) {
        resize(x, (const char *) p + 1, n - 1);
    } else if (p[0] == CHANNEL_CLOSE && n > 1 && p[1] == CHANNEL_STDIN) {
        end_stdin(x);
    }
}

static const struct wslay_event_callbacks callbacks = {
    .recv_callback = ws_recv, .send_callback = ws_send, .on_msg_recv_callback = ws_message};

/* --- the socket on the loop --- */

static void queue_message(struct exec_session *x, uint8_t channel, const void *p, size_t n) {
    uint8_t *m = xmalloc(n + 1);
    m[0] = channel;
    if (n > 0)
        memcpy(m + 1, p, n);
    struct wslay_event_msg msg = {.opcode = WSLAY_BINARY_FRAME, .msg = m, .msg_length = n + 1};
    (void) wslay_event_queue_msg(x->ws, &msg);
    free(m);
}

/* What has left the queue is given back to the node. Control messages count as data for a moment: harmless. */
static void give_credit(struct exec_session *x) {
    size_t left = wslay_event_get_queued_msg_length(x->ws);
    if (left >= x->queued_data)
        return;
    size_t sent = x->queued_data - left;
    x->queued_data = left;
    if (x->stream)
        ops_of(x)->resume(x->stream, sent);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
    session_free(userdata);
    return 0;
}

/* Closing a socket with unread bytes in it resets the connection, and the client loses what it was told last: its exit
 * status. So our side ends, and the client's is read to its end. */
static void start_draining(struct exec_session *x) {
    x->draining = true;
    (void) shutdown(x->sock, SHUT_WR);
    (void) sd_event_source_set_io_events(x->io, EPOLLIN);
    if (sd_event_add_time_relative(x->request->api->node_loop, &x->deadline, CLOCK_MONOTONIC, DRAIN_USEC,
                                   DRAIN_USEC / 4, on_deadline, x) < 0)
        session_free(x);
}

static void drain(struct exec_session *x) {
    char dropped[16384];
    ssize_t n;

    do
        n = recv(x->sock, dropped, sizeof(dropped), MSG_DONTWAIT);
    while (n > 0 || (n < 0 && errno == EINTR));
    if (n == 0 || errno != EAGAIN)
        session_free(x);
}

/* Decides how it goes on after a round of input and output; x may be gone afterwards. */
static void settle(struct exec_session *x) {
    bool send = wslay_event_want_write(x->ws), receive = wslay_event_want_read(x->ws);

    if (x->broken) {
        session_free(x);
    } else if (!send && (x->closing || !receive)) {
        start_draining(x);
    } else {
        bool full = x->untaken >= NODE_STREAM_WINDOW;
        (void) sd_event_source_set_io_events(x->io, (receive && !full ? (uint32_t) EPOLLIN : 0) |
                                                        (send ? (uint32_t) EPOLLOUT : 0));
    }
}

static void transfer(struct exec_session *x) {
    if (wslay_event_want_write(x->ws) && wslay_event_send(x->ws) < 0)
        x->broken = true;
    give_credit(x);
    /* wslay sends control frames before whatever is queued: the close must wait for the rest. */
    if (x->broken || x->closing || !x->stream_ended || wslay_event_get_queued_msg_count(x->ws) > 0)
        return;
    x->closing = true;
    if (wslay_event_queue_close(x->ws, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0) < 0 || wslay_event_send(x->ws) < 0)
        x->broken = true;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    struct exec_session *x = userdata;
    if (x->draining) {
        drain(x);
        return 0;
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && wslay_event_want_read(x->ws) && wslay_event_recv(x->ws) < 0)
        x->broken = true;
    if (!x->broken)
        transfer(x);
    settle(x);
    return 0;
}

/* --- the node's side --- */

static void on_data(void *userdata, enum node_channel channel, const void *p, size_t n) {
    struct exec_session *x = userdata;
    if (n == 0)
        return;
    queue_message(x, channel == NODE_STDERR ? CHANNEL_STDERR : CHANNEL_STDOUT, p, n);
    x->queued_data += n;
    (void) sd_event_source_set_io_events(x->io, EPOLLIN | EPOLLOUT);
}

static void on_taken(void *userdata, size_t n) {
    struct exec_session *x = userdata;
    x->untaken -= n < x->untaken ? n : x->untaken;
    (void) sd_event_source_set_io_events(x->io, EPOLLIN | EPOLLOUT);
}

static struct json *end_status(const struct node_stream_end *end) {
    struct json *s = json_object();
    json_set(&s, "metadata", json_object());
    if (end->error == 0 && end->exit_status == 0) {
        json_set(&s, "status", json_string("Success"));
        return s;
    }
    json_set(&s, "status", json_string("Failure"));
    if (end->error) {
        const char *why = end->message ? end->message : error_text(NULL, end->error);
        json_set(&s, "message", json_string(why));
        json_set(&s, "reason", json_string("InternalError"));
        json_set(&s, "code", json_int(500));
        return s;
    }
    struct json *cause = json_object(), *details = json_object();
    json_set(&s, "message",
             json_stringf("command terminated with non-zero exit code: exit status %d", end->exit_status));
    json_set(&s, "reason", json_string("NonZeroExitCode"));
    json_set(&cause, "reason", json_string("ExitCode"));
    json_set(&cause, "message", json_stringf("%d", end->exit_status));
    json_append(json_edit(&details, "causes"), cause);
    json_set(&s, "details", details);
    return s;
}

static void on_end(void *userdata, const struct node_stream_end *end) {
    struct exec_session *x = userdata;
    _cleanup_json_ struct json *status = end_status(end);
    _cleanup_free_ char *text = json_to_text(status);
    x->stream = NULL;
    x->stream_ended = true;
    queue_message(x, CHANNEL_STATUS, text, strlen(text));
    (void) sd_event_source_set_io_events(x->io, EPOLLIN | EPOLLOUT);
}

static const struct node_stream_handlers handlers = {.data = on_data, .taken = on_taken, .end = on_end};

static void begin(struct loop_task *task) {
    struct exec_session *x = container_of(task, struct exec_session, begin);
    struct apiserver *api = x->request->api;
    list_append(&api->exec_sessions, &x->link);
    (void) fd_set_nonblock(x->sock, true);
    if (wslay_event_context_server_init(&x->ws, &callbacks, x) < 0 ||
        sd_event_add_io(api->node_loop, &x->io, x->sock, EPOLLIN, on_io, x) < 0) {
        session_free(x);
        return;
    }
    wslay_event_config_set_max_recv_msg_length(x->ws, MESSAGE_BYTES_MAX);
    x->stream = ops_of(x)->open_exec(api->node_carrier, &x->request->exec, &handlers, x);
    if (x->extra.len > 0) /* the client did not wait for our answer */
        (void) on_io(x->io, x->sock, EPOLLIN, x);
}

void exec_session_start(struct api_stream *take, struct MHD_UpgradeResponseHandle *urh, int sock, const char *extra,
                        size_t extra_len) {
    struct exec_session *x = xnew0(struct exec_session);
    list_init(&x->link);
    x->request = take;
    x->urh = urh;
    x->sock = sock;
    if (extra_len > 0)
        strbuf_add(&x->extra, extra, extra_len);
    x->begin.run = begin;
    loop_queue_post(take->api->node_queue, &x->begin);
}

void exec_sessions_abort(struct apiserver *api) {
    struct exec_session *x;
    list_foreach(x, &api->exec_sessions, link) session_free(x);
}
