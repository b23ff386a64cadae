/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Byte streams over a link (logs, exec): many at once on one D-Bus connection, each with its own flow control. The same
 * code on both ends; a stream is opened by the control plane, which chooses its number.
 *
 * Ownership. A stream lives until link_stream_close(), or until its `end` callback has returned; when the connection
 * goes, every stream ends with code -1 and an error text. A table borrows the bus.
 * Threads. The loop's.
 */
#ifndef PODIUM_LINK_STREAM_H
#define PODIUM_LINK_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "orchestrator/link/names.h"
#include "orchestrator/link/reactor.h"
#include "podium/base/error.h"

struct stream_table; /* the streams of one connection */
struct link_stream;

struct link_stream_ops {
    void (*data)(void *userdata, enum link_channel channel, const void *p, size_t n);
    /* The other side has taken n more bytes of what was sent. NULL: not of interest. */
    void (*acked)(void *userdata, size_t n);
    /* Once. code: exit code, 0 for logs; a negative errno with error text when it failed. The stream is freed
     * afterwards. */
    void (*end)(void *userdata, int code, const char *error);
};

/* Exports org.podium.Stream1 on the bus; both are borrowed. */
int stream_table_new(sd_bus *bus, struct bus_pump *pump, struct stream_table **ret, struct error *err) _must_check_;
/* Ends every stream with the error. */
void stream_table_free(struct stream_table *t, const char *error);

/* The other side refused to open the stream, so that it will not say its end; unknown numbers are fine. */
void stream_table_fail(struct stream_table *t, uint64_t id, int code, const char *error);

/* id 0: a new number. -EDQUOT: too many streams on this connection. */
int link_stream_new(struct stream_table *t, uint64_t id, const struct link_stream_ops *ops, void *userdata,
                    struct link_stream **ret, struct error *err) _must_check_;
uint64_t link_stream_id(const struct link_stream *s);
/* For handlers that make their state while the stream is being opened. */
void link_stream_set_userdata(struct link_stream *s, void *userdata);
/* Sends in chunks; always takes everything. Returns the bytes under way: from LINK_STREAM_WINDOW on, stop until acked()
 * has brought them down. Only LINK_STDIN, LINK_STDOUT and LINK_STDERR count. */
size_t link_stream_write(struct link_stream *s, enum link_channel channel, const void *p, size_t n);
size_t link_stream_under_way(const struct link_stream *s);
/* While paused, data received is not acknowledged, so that the sender stops; resuming acknowledges it. */
void link_stream_pause(struct link_stream *s, bool paused);
/* Tells the other side the end and frees the stream; `end` is not called here. */
void link_stream_end(struct link_stream *s, int code, const char *error);
/* Not interested any more: the other side gets an end with code -1. Same as link_stream_end(s, -1, "closed"). */
void link_stream_close(struct link_stream *s);

#endif
