/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/websocket.h"

#include <gnutls/crypto.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <wslay/wslay.h>

#include "orchestrator/cli/wire.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/random.h"
#include "podium/base/strbuf.h"

#define GUID           "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */
#define HEAD_BYTES_MAX (64u * 1024u)
#define ANSWER_MS      30000

struct websocket {
    struct wire *wire;
    wslay_event_context_ptr ws;
    struct strbuf early; /* came with the answer's head */
    void (*message)(void *userdata, const uint8_t *p, size_t n);
    void *userdata;
    bool ended, broken;
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
static int read_refusal(struct wire *w, int code, const char *head, struct strbuf *body, struct websocket_refusal *ret,
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

static int read_answer(struct websocket *s, const char *key, const char *wanted_protocol, struct websocket_refusal *ret,
                       struct error *err) {
    _cleanup_strbuf_ struct strbuf head = STRBUF_INIT;
    char *end = NULL;
    while (!end) {
        int r = head.len < HEAD_BYTES_MAX ? receive_some(s->wire, &head, err) : -EPROTO;
        if (r <= 0)
            return r < 0 ? r : error_set(err, -EPROTO, "the server closed the connection");
        end = strstr(head.data, "\r\n\r\n");
    }
    strbuf_add(&s->early, end + 4, head.len - (size_t) (end + 4 - head.data));
    end[2] = 0;
    int code = strncmp(head.data, "HTTP/1.1 ", 9) == 0 ? (int) strtol(head.data + 9, NULL, 10) : 0;
    if (code != 101)
        return read_refusal(s->wire, code, head.data, &s->early, ret, err);
    _cleanup_free_ char *accept = header(head.data, "Sec-WebSocket-Accept"), *wanted = make_accept(key);
    _cleanup_free_ char *protocol = header(head.data, "Sec-WebSocket-Protocol");
    if (!accept || strcmp(accept, wanted) != 0 || !protocol || strcmp(protocol, wanted_protocol) != 0)
        return error_set(err, -EPROTO, "the server does not speak %s", wanted_protocol);
    return 0;
}

static int upgrade(struct websocket *s, const struct connection *c, const struct websocket_options *o,
                   struct websocket_refusal *ret, struct error *err) {
    unsigned char nonce[16];
    _cleanup_strbuf_ struct strbuf request = STRBUF_INIT;
    random_bytes(nonce, sizeof(nonce));
    _cleanup_free_ char *key = base64_encode(nonce, sizeof(nonce));
    strbuf_addf(&request,
                "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: podium\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s\r\n",
                o->target, wire_host(s->wire), key, o->protocol);
    if (c->kube.token)
        strbuf_addf(&request, "Authorization: Bearer %s\r\n", c->kube.token);
    strbuf_adds(&request, "\r\n");
    int r = send_all(s->wire, request.data, request.len, err);
    return r < 0 ? r : read_answer(s, key, o->protocol, ret, err);
}

/* --- frames --- */

static ssize_t ws_recv(wslay_event_context_ptr ws, uint8_t *buf, size_t len, int flags, void *userdata) {
    struct websocket *s = userdata;
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
    struct websocket *s = userdata;
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
    struct websocket *s = userdata;

    if (arg->opcode == WSLAY_CONNECTION_CLOSE)
        s->ended = true;
    if (!wslay_is_ctrl_frame(arg->opcode) && arg->msg_length > 0)
        s->message(s->userdata, arg->msg, arg->msg_length);
}

static const struct wslay_event_callbacks callbacks = {.recv_callback = ws_recv,
                                                       .send_callback = ws_send,
                                                       .genmask_callback = ws_mask,
                                                       .on_msg_recv_callback = ws_message};

/* --- the whole --- */

int websocket_open(const struct connection *c, const struct websocket_options *o, struct websocket **ret,
                   struct websocket_refusal *refusal, struct error *err) {
    _cleanup_(websocket_freep) struct websocket *s = xnew0(struct websocket);

    *refusal = (struct websocket_refusal){0};
    s->message = o->message;
    s->userdata = o->userdata;
    int r = wire_open(c, &s->wire, err);
    if (r == 0)
        r = upgrade(s, c, o, refusal, err);
    if (r < 0)
        return r;
    if (wslay_event_context_client_init(&s->ws, &callbacks, s) < 0)
        abort(); /* out of memory */
    /* A pong that nobody asked for (RFC 6455 section 5.5.3): we listen, the server need not find out. */
    const struct wslay_event_msg here = {.opcode = WSLAY_PONG};
    (void) wslay_event_queue_msg(s->ws, &here);
    *ret = steal(&s);
    return 0;
}

void websocket_free(struct websocket *s) {
    if (!s)
        return;
    if (s->ws)
        wslay_event_context_free(s->ws);
    wire_close(s->wire);
    strbuf_finish(&s->early);
    free(s);
}

int websocket_fd(const struct websocket *s) {
    return wire_fd(s->wire);
}

short websocket_events(const struct websocket *s) {
    return (short) (POLLIN | (wslay_event_want_write(s->ws) ? POLLOUT : 0));
}

bool websocket_waiting(const struct websocket *s) {
    return s->early.len > 0 || wire_pending(s->wire);
}

void websocket_send(struct websocket *s, uint8_t channel, const void *p, size_t n) {
    _cleanup_free_ uint8_t *m = xmalloc(n + 1);

    m[0] = channel;
    if (n > 0)
        memcpy(m + 1, p, n);
    const struct wslay_event_msg msg = {.opcode = WSLAY_BINARY_FRAME, .msg = m, .msg_length = n + 1};
    (void) wslay_event_queue_msg(s->ws, &msg);
}

size_t websocket_queued(const struct websocket *s) {
    return wslay_event_get_queued_msg_length(s->ws);
}

bool websocket_turn(struct websocket *s, bool readable) {
    if (readable && wslay_event_recv(s->ws) < 0)
        s->broken = true;
    if (!s->broken && wslay_event_want_write(s->ws) && wslay_event_send(s->ws) < 0)
        s->broken = true;
    return !s->broken && !s->ended && (wslay_event_want_read(s->ws) || wslay_event_want_write(s->ws));
}
