/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/spdy/session.h"

#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/list.h"

#define VERSION           3
#define HEAD_BYTES        8
#define CONTROL_BYTES_MAX (64u * 1024u)
#define INITIAL_WINDOW    65536
#define WINDOW_MAX        0x7fffffffll
#define GIVE_BACK_BYTES   (32u * 1024u) /* smaller amounts are collected */
#define ID_MASK           0x7fffffffu

enum frame_type {
    SYN_STREAM = 1,
    SYN_REPLY = 2,
    RST_STREAM = 3,
    SETTINGS = 4,
    PING = 6,
    GOAWAY = 7,
    HEADERS = 8,
    WINDOW_UPDATE = 9,
};
enum { FLAG_FIN = 1, FLAG_UNIDIRECTIONAL = 2 };
enum { SETTINGS_INITIAL_WINDOW = 7 };
enum { GOAWAY_OK = 0, GOAWAY_PROTOCOL_ERROR = 1 };

struct spdy_stream {
    struct list link; /* session->streams, or session->dead */
    struct spdy_session *session;
    uint32_t id;
    void *userdata;
    int64_t window;        /* what the client still takes; may be negative */
    struct strbuf waiting; /* for the window */
    size_t consumed;       /* not yet given back */
    bool in_ended, out_ending, out_ended, orphan, dead;
};

struct spdy_session {
    const struct spdy_ops *ops;
    void *userdata;
    struct spdy_packer *packer;
    struct list streams, dead; /* dead: freed when no callback can be running */
    size_t n_streams;
    struct spdy_stream *recent; /* the last one looked up: frames of a stream come in rows */
    unsigned depth;
    /* input */
    uint8_t head[HEAD_BYTES];
    size_t head_len;
    struct strbuf control; /* payload of a control frame so far */
    size_t left;           /* of the frame under way */
    bool in_frame;
    uint32_t last_id; /* greatest seen */
    bool failed, gone_away;
    /* windows */
    bool windows_obeyed;
    int64_t window, initial_window;
    size_t consumed;
};

/* --- writing frames --- */

static void put32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t) (v >> 24);
    p[1] = (uint8_t) (v >> 16);
    p[2] = (uint8_t) (v >> 8);
    p[3] = (uint8_t) v;
}

static uint32_t get32(const uint8_t *p) {
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

static void put_control(struct spdy_session *s, enum frame_type type, uint8_t flags, const void *payload, size_t n) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    uint8_t head[HEAD_BYTES];

    put32(head, 0x80000000u | (uint32_t) VERSION << 16 | (uint32_t) type);
    put32(head + 4, (uint32_t) flags << 24 | (uint32_t) n);
    strbuf_add(&b, head, sizeof(head));
    strbuf_add(&b, payload, n);
    s->ops->output(s->userdata, b.data, b.len);
}

static void put_numbers(struct spdy_session *s, enum frame_type type, uint32_t a, uint32_t b) {
    uint8_t payload[8];

    put32(payload, a);
    put32(payload + 4, b);
    put_control(s, type, 0, payload, sizeof(payload));
}

static void put_data(struct spdy_session *s, uint32_t id, bool fin, const void *p, size_t n) {
    uint8_t frame[HEAD_BYTES + SPDY_FRAME_BYTES];

    put32(frame, id);
    put32(frame + 4, (fin ? (uint32_t) FLAG_FIN << 24 : 0) | (uint32_t) n);
    if (n > 0)
        memcpy(frame + HEAD_BYTES, p, n);
    s->ops->output(s->userdata, frame, HEAD_BYTES + n);
}

static void put_reset(struct spdy_session *s, uint32_t id, enum spdy_reset why) {
    put_numbers(s, RST_STREAM, id, why);
}

/* --- streams --- */

static struct spdy_stream *find(struct spdy_session *s, uint32_t id) {
    struct spdy_stream *st;

    if (s->recent && s->recent->id == id)
        return s->recent;
    list_foreach(st, &s->streams, link) if (st->id == id) return s->recent = st;
    return NULL;
}

static void bury(struct spdy_stream *st) {
    struct spdy_session *s = st->session;

    if (st->dead)
        return;
    st->dead = true;
    if (s->recent == st)
        s->recent = NULL;
    list_remove(&st->link);
    list_append(&s->dead, &st->link);
    s->n_streams--;
}

static void stream_destroy(struct spdy_stream *st) {
    list_remove(&st->link);
    strbuf_finish(&st->waiting);
    free(st);
}

static void reap(struct spdy_session *s) {
    struct spdy_stream *st;

    if (s->depth > 0)
        return;
    list_foreach(st, &s->dead, link) if (st->orphan) stream_destroy(st);
}

/* A stream that nobody holds and whose both ends are done can go. */
static void check_done(struct spdy_stream *st) {
    if (st->orphan && (st->dead || (st->in_ended && st->out_ended)))
        bury(st);
}

static void pump(struct spdy_stream *st) {
    struct spdy_session *s = st->session;

    while (st->waiting.len > 0 && !st->dead) {
        int64_t room = st->window < s->window ? st->window : s->window;
        size_t n = st->waiting.len < SPDY_FRAME_BYTES ? st->waiting.len : SPDY_FRAME_BYTES;
        if (s->windows_obeyed && room < (int64_t) n)
            n = room > 0 ? (size_t) room : 0;
        if (n == 0)
            return;
        bool last = st->out_ending && n == st->waiting.len;
        put_data(s, st->id, last, st->waiting.data, n);
        strbuf_consume(&st->waiting, n);
        st->window -= (int64_t) n;
        s->window -= (int64_t) n;
        st->out_ended = last;
    }
}

static void pump_all(struct spdy_session *s) {
    struct spdy_stream *st;

    list_foreach(st, &s->streams, link) {
        pump(st);
        check_done(st);
    }
}

uint32_t spdy_stream_id(const struct spdy_stream *st) {
    return st->id;
}

void spdy_stream_set_userdata(struct spdy_stream *st, void *userdata) {
    st->userdata = userdata;
}

void *spdy_stream_userdata(const struct spdy_stream *st) {
    return st->userdata;
}

void spdy_stream_accept(struct spdy_stream *st) {
    const struct spdy_headers none = {NULL};
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    uint8_t id[4];

    if (st->dead)
        return;
    put32(id, st->id);
    strbuf_add(&b, id, sizeof(id));
    spdy_pack(st->session->packer, &none, &b);
    put_control(st->session, SYN_REPLY, 0, b.data, b.len);
}

void spdy_stream_reset(struct spdy_stream *st, enum spdy_reset why) {
    if (st->dead)
        return;
    put_reset(st->session, st->id, why);
    bury(st);
}

void spdy_stream_send(struct spdy_stream *st, const void *p, size_t n) {
    const char *at = p;
    struct spdy_session *s = st->session;

    if (st->dead || st->out_ending || n == 0)
        return;
    if (!s->windows_obeyed && st->waiting.len == 0) { /* the usual case, without a copy */
        for (size_t k; n > 0; at += k, n -= k) {
            k = n < SPDY_FRAME_BYTES ? n : SPDY_FRAME_BYTES;
            put_data(s, st->id, false, at, k);
            st->window -= (int64_t) k;
            s->window -= (int64_t) k;
        }
        return;
    }
    strbuf_add(&st->waiting, at, n);
    pump(st);
}

void spdy_stream_end(struct spdy_stream *st) {
    if (st->dead || st->out_ending)
        return;
    st->out_ending = true;
    if (st->waiting.len > 0)
        return;
    put_data(st->session, st->id, true, NULL, 0);
    st->out_ended = true;
}

size_t spdy_stream_unsent(const struct spdy_stream *st) {
    return st->waiting.len;
}

static void give_back(struct spdy_session *s, struct spdy_stream *st, size_t n) {
    s->consumed += n;
    if (s->consumed >= GIVE_BACK_BYTES) {
        put_numbers(s, WINDOW_UPDATE, 0, (uint32_t) s->consumed);
        s->consumed = 0;
    }
    if (!st || st->dead || st->in_ended)
        return;
    st->consumed += n;
    if (st->consumed >= GIVE_BACK_BYTES) {
        put_numbers(s, WINDOW_UPDATE, st->id, (uint32_t) st->consumed);
        st->consumed = 0;
    }
}

void spdy_stream_consumed(struct spdy_stream *st, size_t n) {
    give_back(st->session, st, n);
}

void spdy_stream_free(struct spdy_stream *st) {
    struct spdy_session *s = st->session;

    st->orphan = true;
    check_done(st);
    reap(s);
}

/* --- reading frames --- */

static int fail(struct spdy_session *s, struct error *err, const char *what) {
    s->failed = true;
    put_numbers(s, GOAWAY, s->last_id, GOAWAY_PROTOCOL_ERROR);
    return error_set(err, -EPROTO, "SPDY: %s", what);
}

static void finish_input(struct spdy_session *s, struct spdy_stream *st) {
    if (st->dead || st->in_ended)
        return;
    st->in_ended = true;
    if (!st->orphan)
        s->ops->ended(s->userdata, st);
    check_done(st);
}

static int on_syn_stream(struct spdy_session *s, uint8_t flags, const uint8_t *p, size_t n, struct error *err) {
    _cleanup_(spdy_headers_finish) struct spdy_headers headers = {NULL};

    if (n < 10)
        return fail(s, err, "a SYN_STREAM that is too short");
    uint32_t id = get32(p) & ID_MASK;
    int r = spdy_unpack(s->packer, p + 10, n - 10, &headers, err);
    if (r < 0) {
        (void) fail(s, NULL, "");
        return r;
    }
    if (id % 2 == 0 || id <= s->last_id) {
        put_reset(s, id, find(s, id) ? SPDY_STREAM_IN_USE : SPDY_PROTOCOL_ERROR);
        return 0;
    }
    s->last_id = id;
    if (s->n_streams >= SPDY_STREAMS_MAX || s->gone_away) {
        put_reset(s, id, SPDY_REFUSED_STREAM);
        return 0;
    }
    struct spdy_stream *st = xnew0(struct spdy_stream);
    *st = (struct spdy_stream){.session = s, .id = id, .window = s->initial_window, .waiting = STRBUF_INIT};
    st->out_ending = st->out_ended = flags & FLAG_UNIDIRECTIONAL;
    list_append(&s->streams, &st->link);
    s->n_streams++;
    s->ops->opened(s->userdata, st, &headers);
    if (flags & FLAG_FIN)
        finish_input(s, st);
    return 0;
}

/* Replies and later headers say nothing to us, but the packed stream must be followed. */
static int on_headers(struct spdy_session *s, uint8_t flags, const uint8_t *p, size_t n, struct error *err) {
    _cleanup_(spdy_headers_finish) struct spdy_headers headers = {NULL};

    if (n < 4)
        return fail(s, err, "a HEADERS frame that is too short");
    int r = spdy_unpack(s->packer, p + 4, n - 4, &headers, err);
    if (r < 0) {
        (void) fail(s, NULL, "");
        return r;
    }
    struct spdy_stream *st = find(s, get32(p) & ID_MASK);
    if (st && (flags & FLAG_FIN))
        finish_input(s, st);
    return 0;
}

static int on_rst_stream(struct spdy_session *s, uint8_t flags, const uint8_t *p, size_t n, struct error *err) {
    if (n < 8)
        return fail(s, err, "a RST_STREAM that is too short");
    struct spdy_stream *st = find(s, get32(p) & ID_MASK);
    if (!st)
        return 0;
    bury(st);
    if (!st->orphan)
        s->ops->reset(s->userdata, st);
    return 0;
}

static int on_settings(struct spdy_session *s, uint8_t flags, const uint8_t *p, size_t n, struct error *err) {
    struct spdy_stream *st;

    if (n < 4 || get32(p) > (n - 4) / 8)
        return fail(s, err, "SETTINGS that are too short");
    for (uint32_t i = 0; i < get32(p); i++) {
        const uint8_t *entry = p + 4 + 8 * (size_t) i;
        if ((get32(entry) & 0xffffff) != SETTINGS_INITIAL_WINDOW)
            continue;
        int64_t size = get32(entry + 4) & ID_MASK, change = size - s->initial_window;
        list_foreach(st, &s->streams, link) st->window += change;
        s->initial_window = size;
        s->windows_obeyed = true;
    }
    pump_all(s);
    return 0;
}

static int on_ping(struct spdy_session *s, uint8_t flags, const uint8_t *p, size_t n, struct error *err) {
    if (n < 4)
        return fail(s, err, "a PING that is too short");
    if (get32(p) % 2 == 1) /* the client's; even numbers would be answers to ours */
        put_control(s, PING, 0, p, 4);
    return 0;
}

static int on_goaway(struct spdy_session *s, uint8_t flags, const uint8_t *p, size_t n, struct error *err) {
    return 0; /* of the streams we open: none */
}

static int on_window_update(struct spdy_session *s, uint8_t flags, const uint8_t *p, size_t n, struct error *err) {
    if (n < 8)
        return fail(s, err, "a WINDOW_UPDATE that is too short");
    uint32_t id = get32(p) & ID_MASK, delta = get32(p + 4) & ID_MASK;
    s->windows_obeyed = true;
    struct spdy_stream *st = id ? find(s, id) : NULL;
    if (id && !st)
        return 0;
    int64_t *window = st ? &st->window : &s->window;
    if (delta == 0 || *window + delta > WINDOW_MAX) {
        if (!st)
            return fail(s, err, "a window beyond all bounds");
        put_reset(s, id, SPDY_PROTOCOL_ERROR);
        bury(st);
        if (!st->orphan)
            s->ops->reset(s->userdata, st);
        return 0;
    }
    *window += delta;
    if (st) {
        pump(st);
        check_done(st);
    } else {
        pump_all(s);
    }
    return 0;
}

typedef int (*control_fn)(struct spdy_session *s, uint8_t flags, const uint8_t *p, size_t n, struct error *err);
static const control_fn controls[] = {
    [SYN_STREAM] = on_syn_stream,
    [SYN_REPLY] = on_headers,
    [RST_STREAM] = on_rst_stream,
    [SETTINGS] = on_settings,
    [PING] = on_ping,
    [GOAWAY] = on_goaway,
    [HEADERS] = on_headers,
    [WINDOW_UPDATE] = on_window_update,
};

static int on_control(struct spdy_session *s, struct error *err) {
    uint32_t type = get32(s->head) & 0xffff;

    if ((get32(s->head) >> 16 & 0x7fff) != VERSION)
        return fail(s, err, "not version 3");
    if (type >= ARRAY_LEN(controls) || !controls[type])
        return 0; /* section 2.2.1: unknown types are ignored */
    return controls[type](s, s->head[4], (const uint8_t *) strbuf_str(&s->control), s->control.len, err);
}

static void on_data(struct spdy_session *s, const uint8_t *p, size_t n) {
    struct spdy_stream *st = find(s, get32(s->head) & ID_MASK);

    if (!st || st->in_ended || st->orphan)
        give_back(s, NULL, n);
    else
        s->ops->data(s->userdata, st, p, n);
}

static void on_data_end(struct spdy_session *s) {
    uint32_t id = get32(s->head) & ID_MASK;
    struct spdy_stream *st = find(s, id);

    if (st && (s->head[4] & FLAG_FIN))
        finish_input(s, st);
    else if (!st && id > s->last_id)
        put_reset(s, id, SPDY_INVALID_STREAM);
}

static int frame_done(struct spdy_session *s, struct error *err) {
    int r = 0;

    if (s->head[0] & 0x80)
        r = on_control(s, err);
    else
        on_data_end(s);
    strbuf_reset(&s->control);
    s->in_frame = false;
    s->head_len = 0;
    return r;
}

/* Takes some bytes, at least one; returns how many. */
static ssize_t step(struct spdy_session *s, const uint8_t *p, size_t n, struct error *err) {
    size_t k;

    if (!s->in_frame) {
        k = HEAD_BYTES - s->head_len < n ? HEAD_BYTES - s->head_len : n;
        memcpy(s->head + s->head_len, p, k);
        s->head_len += k;
        if (s->head_len < HEAD_BYTES)
            return (ssize_t) k;
        s->in_frame = true;
        s->left = get32(s->head + 4) & 0xffffff;
        if ((s->head[0] & 0x80) && s->left > CONTROL_BYTES_MAX)
            return fail(s, err, "a control frame that is too long");
    } else {
        k = s->left < n ? s->left : n;
        s->left -= k;
        if (s->head[0] & 0x80)
            strbuf_add(&s->control, p, k);
        else
            on_data(s, p, k);
    }
    int r = s->left == 0 ? frame_done(s, err) : 0;
    return r < 0 ? r : (ssize_t) k;
}

int spdy_session_feed(struct spdy_session *s, const void *p, size_t n, struct error *err) {
    const uint8_t *at = p;
    ssize_t k = 0;

    if (s->failed)
        return error_set(err, -EPROTO, "SPDY: broken off");
    s->depth++;
    for (; n > 0 && k >= 0; at += k, n -= (size_t) k) {
        k = step(s, at, n, err);
        if (k < 0)
            break;
    }
    s->depth--;
    reap(s);
    return k < 0 ? (int) k : 0;
}

void spdy_session_goaway(struct spdy_session *s) {
    if (!s->gone_away && !s->failed)
        put_numbers(s, GOAWAY, s->last_id, GOAWAY_OK);
    s->gone_away = true;
}

struct spdy_session *spdy_session_new(const struct spdy_ops *ops, void *userdata) {
    struct spdy_session *s = xnew0(struct spdy_session);

    s->ops = ops;
    s->userdata = userdata;
    s->packer = spdy_packer_new();
    s->window = s->initial_window = INITIAL_WINDOW;
    list_init(&s->streams);
    list_init(&s->dead);
    return s;
}

void spdy_session_free(struct spdy_session *s) {
    struct spdy_stream *st;

    if (!s)
        return;
    list_foreach(st, &s->streams, link) stream_destroy(st);
    list_foreach(st, &s->dead, link) stream_destroy(st);
    spdy_packer_free(s->packer);
    strbuf_finish(&s->control);
    free(s);
}
