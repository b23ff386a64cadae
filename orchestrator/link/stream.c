/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/link/stream.h"

#include <inttypes.h>

#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"
#include "podium/base/list.h"

#define ID_TEXT_SIZE 24

struct stream_table {
    sd_bus *bus;
    struct bus_pump *pump;
    sd_bus_slot *slot;
    struct hashmap *by_id; /* number as text → stream, borrowed */
    uint64_t last_id;
};

struct link_stream {
    struct stream_table *table;
    uint64_t id;
    const struct link_stream_ops *ops;
    void *userdata;
    size_t under_way; /* sent, not acknowledged */
    size_t to_ack;    /* received while paused */
    bool paused;
    bool dispatching, gone;
};

static void id_text(uint64_t id, char out[ID_TEXT_SIZE]) {
    snprintf(out, ID_TEXT_SIZE, "%" PRIx64, id);
}

static struct link_stream *find(struct stream_table *t, uint64_t id) {
    char text[ID_TEXT_SIZE];

    id_text(id, text);
    return hashmap_get(t->by_id, text);
}

static void forget(struct link_stream *s) {
    char text[ID_TEXT_SIZE];

    if (s->table) {
        id_text(s->id, text);
        (void) hashmap_steal(s->table->by_id, text);
        s->table = NULL;
    }
    if (s->dispatching)
        s->gone = true; /* freed when its callback returns */
    else
        free(s);
}

static sd_bus_message *new_message(const struct stream_table *t, const char *member) {
    sd_bus_message *m = NULL;

    if (sd_bus_message_new_method_call(t->bus, &m, NULL, LINK_STREAM_PATH, LINK_STREAM_INTERFACE, member) < 0)
        return NULL;
    (void) sd_bus_message_set_expect_reply(m, 0);
    return m;
}

/* Losing a message means the connection is going: its end tells everyone. */
static void send_and_unref(const struct stream_table *t, sd_bus_message *m) {
    (void) sd_bus_send(t->bus, m, NULL);
    bus_pump_sent(t->pump);
    sd_bus_message_unref(m);
}

static void send_ack(struct link_stream *s, size_t n) {
    sd_bus_message *m = s->table ? new_message(s->table, "Ack") : NULL;

    if (!m)
        return;
    (void) sd_bus_message_append(m, "tu", s->id, (uint32_t) n);
    send_and_unref(s->table, m);
}

/* Control messages are few and small: they do not take part in flow control. */
static bool counts(enum link_channel channel) {
    return channel == LINK_STDIN || channel == LINK_STDOUT || channel == LINK_STDERR;
}

static void finish(struct link_stream *s, int code, const char *error) {
    s->dispatching = true;
    s->ops->end(s->userdata, code, error);
    s->dispatching = false;
    if (s->gone)
        free(s);
    else
        forget(s);
}

/* The other side sends on and on although nothing was acknowledged: its bytes would fill our memory. */
static void break_off(struct link_stream *s) {
    static const char why[] = "the other side ignores flow control";
    sd_bus_message *m = new_message(s->table, "End");

    if (m) {
        (void) sd_bus_message_append(m, "tis", s->id, (int32_t) -EPROTO, why);
        send_and_unref(s->table, m);
    }
    finish(s, -EPROTO, why);
}

static int on_data(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    struct stream_table *t = userdata;
    const void *p;
    uint64_t id;
    uint8_t channel;
    size_t n;

    int r = sd_bus_message_read(m, "ty", &id, &channel);
    if (r >= 0)
        r = sd_bus_message_read_array(m, 'y', &p, &n);
    if (r < 0)
        return r;
    struct link_stream *s = find(t, id);
    if (!s)
        return 0; /* closed here while data was on the way */
    s->dispatching = true;
    s->ops->data(s->userdata, (enum link_channel) channel, p, n);
    s->dispatching = false;
    if (s->gone)
        free(s);
    else if (!counts((enum link_channel) channel))
        return 0;
    else if (!s->paused)
        send_ack(s, n);
    else if ((s->to_ack += n) > LINK_STREAM_EXCESS)
        break_off(s);
    return 0;
}

static int on_ack(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    struct stream_table *t = userdata;
    uint64_t id;
    uint32_t n;

    int r = sd_bus_message_read(m, "tu", &id, &n);
    if (r < 0)
        return r;
    struct link_stream *s = find(t, id);
    if (!s)
        return 0;
    if (n > s->under_way)
        n = (uint32_t) s->under_way; /* what was never sent cannot have been taken */
    s->under_way -= n;
    if (s->ops->acked && n > 0) {
        s->dispatching = true;
        s->ops->acked(s->userdata, n);
        s->dispatching = false;
        if (s->gone)
            free(s);
    }
    return 0;
}

static int on_end(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    struct stream_table *t = userdata;
    const char *text;
    uint64_t id;
    int32_t code;

    int r = sd_bus_message_read(m, "tis", &id, &code, &text);
    if (r < 0)
        return r;
    struct link_stream *s = find(t, id);
    if (s)
        finish(s, code, *text ? text : NULL);
    return 0;
}

static const sd_bus_vtable vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Data", "tyay", "", on_data, SD_BUS_VTABLE_METHOD_NO_REPLY),
    SD_BUS_METHOD("Ack", "tu", "", on_ack, SD_BUS_VTABLE_METHOD_NO_REPLY),
    SD_BUS_METHOD("End", "tis", "", on_end, SD_BUS_VTABLE_METHOD_NO_REPLY),
    SD_BUS_VTABLE_END,
};

int stream_table_new(sd_bus *bus, struct bus_pump *pump, struct stream_table **ret, struct error *err) {
    struct stream_table *t = xnew0(struct stream_table);

    t->bus = bus;
    t->pump = pump;
    t->by_id = hashmap_new(NULL);
    int r = sd_bus_add_object_vtable(bus, &t->slot, LINK_STREAM_PATH, LINK_STREAM_INTERFACE, vtable, t);
    if (r < 0) {
        hashmap_free(t->by_id);
        free(t);
        return error_set_errno(err, r, "cannot export " LINK_STREAM_INTERFACE);
    }
    *ret = t;
    return 0;
}

void stream_table_free(struct stream_table *t, const char *error) {
    if (!t)
        return;
    for (;;) { /* a callback may close others: start over after each */
        struct hashmap_iter it = {0};
        if (!hashmap_next(t->by_id, &it))
            break;
        struct link_stream *s = it.value;
        (void) hashmap_steal(t->by_id, it.key);
        s->table = NULL;
        finish(s, -1, error);
    }
    sd_bus_slot_unref(t->slot);
    hashmap_free(t->by_id);
    free(t);
}

void stream_table_fail(struct stream_table *t, uint64_t id, int code, const char *error) {
    struct link_stream *s = find(t, id);

    if (s)
        finish(s, code, error);
}

int link_stream_new(struct stream_table *t, uint64_t id, const struct link_stream_ops *ops, void *userdata,
                    struct link_stream **ret, struct error *err) {
    char text[ID_TEXT_SIZE];

    if (hashmap_len(t->by_id) >= LINK_STREAMS_MAX)
        return error_set(err, -EDQUOT, "more than %u streams to one node", LINK_STREAMS_MAX);
    if (id == 0)
        id = ++t->last_id;
    if (find(t, id))
        return error_set(err, -EEXIST, "stream %" PRIu64 " is open already", id);
    struct link_stream *s = xnew0(struct link_stream);
    *s = (struct link_stream){.table = t, .id = id, .ops = ops, .userdata = userdata};
    id_text(id, text);
    hashmap_put(t->by_id, text, s);
    *ret = s;
    return 0;
}

uint64_t link_stream_id(const struct link_stream *s) {
    return s->id;
}

void link_stream_set_userdata(struct link_stream *s, void *userdata) {
    s->userdata = userdata;
}

size_t link_stream_write(struct link_stream *s, enum link_channel channel, const void *p, size_t n) {
    const char *at = p;

    do { /* once even for no bytes: LINK_STDIN_END has none */
        size_t k = n < LINK_STREAM_CHUNK ? n : LINK_STREAM_CHUNK;
        sd_bus_message *m = s->table ? new_message(s->table, "Data") : NULL;
        if (!m)
            return 0;
        (void) sd_bus_message_append(m, "ty", s->id, (uint8_t) channel);
        (void) sd_bus_message_append_array(m, 'y', at, k);
        send_and_unref(s->table, m);
        if (counts(channel))
            s->under_way += k;
        at += k;
        n -= k;
    } while (n > 0);
    return s->under_way;
}

size_t link_stream_under_way(const struct link_stream *s) {
    return s->under_way;
}

void link_stream_pause(struct link_stream *s, bool paused) {
    s->paused = paused;
    if (!paused && s->to_ack) {
        send_ack(s, s->to_ack);
        s->to_ack = 0;
    }
}

void link_stream_end(struct link_stream *s, int code, const char *error) {
    sd_bus_message *m = s->table ? new_message(s->table, "End") : NULL;

    if (m) {
        (void) sd_bus_message_append(m, "tis", s->id, (int32_t) code, error ? error : "");
        send_and_unref(s->table, m);
    }
    forget(s);
}

void link_stream_close(struct link_stream *s) {
    if (s)
        link_stream_end(s, -1, "closed");
}
