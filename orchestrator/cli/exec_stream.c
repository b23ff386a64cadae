/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/exec_stream.h"

#include <gnutls/crypto.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <wslay/wslay.h>

#include "orchestrator/cli/wire.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/fd.h"
#include "podium/base/random.h"

#define PROTOCOL         "v5.channel.k8s.io"
#define GUID             "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */
#define HEAD_BYTES_MAX   (64u * 1024u)
#define QUEUED_BYTES_MAX (256u * 1024u) /* more of standard input is not read before this is sent */
#define ANSWER_MS        30000

enum { CHANNEL_STDIN = 0, CHANNEL_STDOUT = 1, CHANNEL_STDERR = 2, CHANNEL_STATUS = 3, CHANNEL_RESIZE = 4 };
#define CHANNEL_CLOSE 255

struct stream {
    struct wire *wire;
    wslay_event_context_ptr ws;
    struct strbuf early; /* came with the answer's head */
    struct json *status;
    bool in, in_ended, ended, broken;
    int output_problem;
};

/* --- handshake --- */

static int wait_readable(struct wire *w, int events) {
    struct pollfd p = {.fd = wire_fd(w), .events = (short) events};
    if (events == POLLIN && wire_pending(w))
        return 0;
    int r = poll(&p, 1, ANSWER_MS);
    return r > 0 || (r < 0 && errno == EINTR) ? 0 : -ETIMEDOUT;
}

static int send_all(struct wire *w, const char *p, size_t n, struct error *err) {
    while (n > 0) {
        ssize_t sent = wire_write(w, p, n);
        int r = sent == -EAGAIN ? wait_readable(w, POLLOUT) : sent < 0 ? (int) sent : 0;
        if (r < 0)
            return error_set_errno(err, r, "cannot send to the server");
        if (sent > 0) {
            p += sent;
            n -= (size_t) sent;
        }
    }
    return 0;
}

/* Appends what is there, waiting for some; 0 at the end of the stream. */
static int receive_some(struct wire *w, struct strbuf *b, struct error *err) {
    char buf[4096];
    for (;;) {
        ssize_t n = wire_read(w, buf, sizeof(buf));
        if (n >= 0) {
            strbuf_add(b, buf, (size_t) n);
            return n > 0;
        }
        int r = n == -EAGAIN ? wait_readable(w, POLLIN) : (int) n;
        if (r < 0)
            return error_set_errno(err, r, "no answer from the server");
    }
}

static char *make_accept(const char *key) {
    unsigned char hash[20];
    _cleanup_free_ char *text = xasprintf("%s" GUID, key);
    if (gnutls_hash_fast(GNUTLS_DIG_SHA1, text, strlen(text), hash) < 0)
        abort();
    return base64_encode(hash, sizeof(hash));
}

/* The value of a header, or NULL; the head ends with an empty line. */
static char *header(const char *head, const char *name) {
    size_t n = strlen(name);
    for (const char *p = strchr(head, '\n'); p; p = strchr(p, '\n')) {
        p++;
        if (strncasecmp(p, name, n) == 0 && p[n] == ':') {
            p += n + 1;
            p += strspn(p, " \t");
            return xstrndup(p, strcspn(p, "\r\n"));
        }
    }
    return NULL;
}

/* A refusal: its Status is the body. */
static int read_refusal(struct wire *w, int code, const char *head, struct strbuf *body, struct exec_result *ret,
                        struct error *err) {
    _cleanup_free_ char *length = header(head, "Content-Length");
    size_t wanted = length ? strtoul(length, NULL, 10) : HEAD_BYTES_MAX;
    while (body->len < wanted && body->len < HEAD_BYTES_MAX)
        if (receive_some(w, body, NULL) <= 0)
            break;
    ret->code = code;
    if (json_parse(strbuf_str(body), body->len, NULL, &ret->status, NULL) < 0)
        return error_set(err, -EPROTO, "the server answered %d: %s", code, strbuf_str(body));
    return error_set(err, -EPROTO, "%s", json_str_or(json_get(ret->status, "message"), "refused"));
}

static int read_answer(struct stream *s, const char *key, struct exec_result *ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf head = STRBUF_INIT;
    char *end = NULL;
    while (!end) {
        int r = head.len < HEAD_BYTES_MAX ? receive_some(s->wire, &head, err) : -EPROTO;
        if (r <= 0)
            return r < 0 ? error_prefix(err, r, "exec") : error_set(err, -EPROTO, "the server closed the connection");
        end = strstr(head.data, "\r\n\r\n");
    }
    strbuf_add(&s->early, end + 4, head.len - (size_t) (end + 4 - head.data));
    end[2] = 0;
    int code = strncmp(head.data, "HTTP/1.1 ", 9) == 0 ? (int) strtol(head.data + 9, NULL, 10) : 0;
    if (code != 101)
        return read_refusal(s->wire, code, head.data, &s->early, ret, err);
    _cleanup_free_ char *accept = header(head.data, "Sec-WebSocket-Accept"), *wanted = make_accept(key);
    _cleanup_free_ char *protocol = header(head.data, "Sec-WebSocket-Protocol");
    if (!accept || strcmp(accept, wanted) != 0 || !protocol || strcmp(protocol, PROTOCOL) != 0)
        return error_set(err, -EPROTO, "the server does not speak " PROTOCOL);
    return 0;
}

static int upgrade(struct stream *s, const struct connection *c, const char *target, struct exec_result *ret,
                   struct error *err) {
    unsigned char nonce[16];
    _cleanup_strbuf_ struct strbuf request = STRBUF_INIT;
    random_bytes(nonce, sizeof(nonce));
    _cleanup_free_ char *key = base64_encode(nonce, sizeof(nonce));
    strbuf_addf(&request,
                "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: podium\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: " PROTOCOL "\r\n",
                target, wire_host(s->wire), key);
    if (c->kube.token)
        strbuf_addf(&request, "Authorization: Bearer %s\r\n", c->kube.token);
    strbuf_adds(&request, "\r\n");
    int r = send_all(s->wire, request.data, request.len, err);
    return r < 0 ? r : read_answer(s, key, ret, err);
}

/* --- frames --- */

static ssize_t ws_recv(wslay_event_context_ptr ws, uint8_t *buf, size_t len, int flags, void *userdata) {
    struct stream *s = userdata;
    if (s->early.len > 0) {
        size_t n = s->early.len < len ? s->early.len : len;
        memcpy(buf, s->early.data, n);
        strbuf_consume(&s->early, n);
        return (ssize_t) n;
    }
    ssize_t n = wire_read(s->wire, buf, len);
    if (n > 0)
        return n;
    s->broken |= n != -EAGAIN;
    wslay_event_set_error(ws, n == -EAGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t ws_send(wslay_event_context_ptr ws, const uint8_t *p, size_t len, int flags, void *userdata) {
    struct stream *s = userdata;
    ssize_t n = wire_write(s->wire, p, len);
    if (n > 0)
        return n;
    s->broken |= n != -EAGAIN;
    wslay_event_set_error(ws, n == -EAGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static int ws_mask(wslay_event_context_ptr ws, uint8_t *buf, size_t len, void *userdata) {
    random_bytes(buf, len);
    return 0;
}

static void ws_message(wslay_event_context_ptr ws, const struct wslay_event_on_msg_recv_arg *arg, void *userdata) {
    struct stream *s = userdata;
    if (arg->opcode == WSLAY_CONNECTION_CLOSE)
        s->ended = true;
    if (wslay_is_ctrl_frame(arg->opcode) || arg->msg_length == 0)
        return;
    const uint8_t *p = arg->msg + 1;
    size_t n = arg->msg_length - 1;
    int r = 0;
    if (arg->msg[0] == CHANNEL_STDOUT)
        r = fd_write_all(STDOUT_FILENO, p, n);
    else if (arg->msg[0] == CHANNEL_STDERR)
        r = fd_write_all(STDERR_FILENO, p, n);
    else if (arg->msg[0] == CHANNEL_STATUS && !s->status && json_parse((const char *) p, n, NULL, &s->status, NULL) < 0)
        s->broken = true;
    if (r < 0)
        s->output_problem = r;
}

static void queue(struct stream *s, uint8_t channel, const void *p, size_t n) {
    _cleanup_free_ uint8_t *m = xmalloc(n + 1);
    m[0] = channel;
    memcpy(m + 1, p, n);
    const struct wslay_event_msg msg = {.opcode = WSLAY_BINARY_FRAME, .msg = m, .msg_length = n + 1};
    (void) wslay_event_queue_msg(s->ws, &msg);
}

static void queue_size(struct stream *s) {
    struct winsize size;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return;
    _cleanup_free_ char *text = xasprintf("{\"Width\":%u,\"Height\":%u}", size.ws_col, size.ws_row);
    queue(s, CHANNEL_RESIZE, text, strlen(text));
}

static void take_input(struct stream *s) {
    char buf[16384];
    ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));
    if (n > 0) {
        queue(s, CHANNEL_STDIN, buf, (size_t) n);
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
        const uint8_t channel = CHANNEL_STDIN;
        queue(s, CHANNEL_CLOSE, &channel, 1);
        s->in_ended = true;
    }
}

/* --- the loop --- */

static bool reads_input(const struct stream *s) {
    return s->in && !s->in_ended && wslay_event_get_queued_msg_length(s->ws) < QUEUED_BYTES_MAX;
}

static void pump(struct stream *s, int winch_fd) {
    while (!s->broken && !s->ended && s->output_problem == 0) {
        struct pollfd fds[3] = {
            {.fd = wire_fd(s->wire), .events = (short) (POLLIN | (wslay_event_want_write(s->ws) ? POLLOUT : 0))},
            {.fd = reads_input(s) ? STDIN_FILENO : -1, .events = POLLIN},
            {.fd = winch_fd, .events = POLLIN},
        };
        bool waiting = s->early.len > 0 || wire_pending(s->wire);
        if (poll(fds, ARRAY_LEN(fds), waiting ? 0 : -1) < 0 && errno != EINTR)
            break;
        struct signalfd_siginfo info;
        if (fds[2].revents && read(winch_fd, &info, sizeof(info)) == (ssize_t) sizeof(info))
            queue_size(s);
        if (fds[1].revents)
            take_input(s);
        if ((waiting || fds[0].revents) && wslay_event_recv(s->ws) < 0)
            s->broken = true;
        if (wslay_event_want_write(s->ws) && wslay_event_send(s->ws) < 0)
            s->broken = true;
        if (!wslay_event_want_read(s->ws) && !wslay_event_want_write(s->ws))
            break;
    }
}

/* Raw mode, and window changes as a descriptor; undone by leave_terminal(). */
static int enter_terminal(struct stream *s, struct termios *before) {
    struct termios raw;
    sigset_t winch;
    if (tcgetattr(STDIN_FILENO, before) < 0)
        return -1;
    raw = *before;
    cfmakeraw(&raw);
    (void) tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    (void) sigemptyset(&winch);
    (void) sigaddset(&winch, SIGWINCH);
    (void) sigprocmask(SIG_BLOCK, &winch, NULL);
    queue_size(s);
    return signalfd(-1, &winch, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void leave_terminal(int winch_fd, const struct termios *before) {
    if (winch_fd < 0)
        return;
    (void) close(winch_fd);
    (void) tcsetattr(STDIN_FILENO, TCSADRAIN, before);
}

/* The exit code out of the final Status. */
static int conclude(struct stream *s, struct exec_result *ret, struct error *err) {
    if (s->output_problem < 0)
        return error_set_errno(err, s->output_problem, "cannot write what the command says");
    if (!s->status)
        return error_set(err, -ECONNRESET, "the connection ended before the command did");
    if (strcmp(json_str_or(json_get(s->status, "status"), ""), "Success") == 0)
        return 0;
    const struct json *causes = json_path(s->status, "details", "causes");
    for (size_t i = 0; i < json_len(causes); i++)
        if (strcmp(json_str_or(json_get(json_at(causes, i), "reason"), ""), "ExitCode") == 0) {
            ret->exit_code = (int) strtol(json_str_or(json_get(json_at(causes, i), "message"), "1"), NULL, 10);
            return 0;
        }
    ret->status = json_ref(s->status);
    return error_set(err, -EIO, "%s", json_str_or(json_get(s->status, "message"), "the command failed"));
}

int exec_stream(const struct connection *c, const char *target, bool in, bool tty, struct exec_result *ret,
                struct error *err) {
    static const struct wslay_event_callbacks callbacks = {.recv_callback = ws_recv,
                                                           .send_callback = ws_send,
                                                           .genmask_callback = ws_mask,
                                                           .on_msg_recv_callback = ws_message};
    struct stream s = {.in = in};
    struct termios before;
    int winch_fd = -EBADF;
    *ret = (struct exec_result){0};
    int r = wire_open(c, &s.wire, err);
    if (r == 0)
        r = upgrade(&s, c, target, ret, err);
    if (r == 0) {
        if (wslay_event_context_client_init(&s.ws, &callbacks, &s) < 0)
            abort();
        if (tty)
            winch_fd = enter_terminal(&s, &before);
        pump(&s, winch_fd);
        leave_terminal(winch_fd, &before);
        wslay_event_context_free(s.ws);
        r = conclude(&s, ret, err);
    }
    wire_close(s.wire);
    strbuf_finish(&s.early);
    json_unref(s.status);
    return r;
}
