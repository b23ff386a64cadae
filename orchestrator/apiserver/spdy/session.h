/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server's side of a SPDY/3.1 connection (draft-mbelshe-httpbis-spdy-00, with 3.1's connection window): what older
 * kubectl and client libraries speak for exec, attach and port-forward.
 *
 * What it is. Bytes in, bytes out, callbacks between; no I/O, no clock. Streams are opened by the client only.
 *
 * Flow control. What is received is given back to the client with spdy_stream_consumed(). What is sent obeys the
 * client's windows once it has shown that it manages any (WINDOW_UPDATE, or SETTINGS with a window): Go's spdystream,
 * which nearly all clients are made of, never does, and would be waited for for ever. So the owner must bound what it
 * receives by pausing the connection, and what it sends by spdy_stream_unsent() and the connection's own queue.
 *
 * Ownership. A stream belongs to the owner from `opened` until spdy_stream_free(), or to the end of the session. Any
 * function may be called from any callback, except spdy_session_free().
 *
 * Errors. -EPROTO and -EFBIG from spdy_session_feed(): a GOAWAY has been put out, hang up. Threads: none of its own.
 */
#ifndef PODIUM_APISERVER_SPDY_SESSION_H
#define PODIUM_APISERVER_SPDY_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "orchestrator/apiserver/spdy/headers.h"

#define SPDY_STREAMS_MAX 1024u  /* open at once; more are refused */
#define SPDY_FRAME_BYTES 32768u /* of data in one frame we send */

enum spdy_reset { /* section 2.6.3 */
                  SPDY_PROTOCOL_ERROR = 1,
                  SPDY_INVALID_STREAM = 2,
                  SPDY_REFUSED_STREAM = 3,
                  SPDY_CANCEL = 5,
                  SPDY_STREAM_IN_USE = 8,
                  SPDY_STREAM_ALREADY_CLOSED = 9,
};

struct spdy_session;
struct spdy_stream;

struct spdy_ops {
    /* To be answered, now or later, with spdy_stream_accept() or spdy_stream_reset() and spdy_stream_free(). */
    void (*opened)(void *userdata, struct spdy_stream *s, const struct spdy_headers *headers);
    void (*data)(void *userdata, struct spdy_stream *s, const void *p, size_t n);
    void (*ended)(void *userdata, struct spdy_stream *s); /* the client sends no more on it */
    void (*reset)(void *userdata, struct spdy_stream *s); /* the client wants nothing more of it */
    void (*output)(void *userdata, const void *p, size_t n);
};

struct spdy_session *spdy_session_new(const struct spdy_ops *ops, void *userdata);
void spdy_session_free(struct spdy_session *s);
int spdy_session_feed(struct spdy_session *s, const void *p, size_t n, struct error *err) _must_check_;
/* No more streams: tells the client. */
void spdy_session_goaway(struct spdy_session *s);

uint32_t spdy_stream_id(const struct spdy_stream *st);
void spdy_stream_set_userdata(struct spdy_stream *st, void *userdata);
void *spdy_stream_userdata(const struct spdy_stream *st);
void spdy_stream_accept(struct spdy_stream *st);
void spdy_stream_reset(struct spdy_stream *st, enum spdy_reset why);
/* Takes all; what the client's windows do not allow yet waits: spdy_stream_unsent(). */
void spdy_stream_send(struct spdy_stream *st, const void *p, size_t n);
void spdy_stream_end(struct spdy_stream *st); /* after what was sent */
size_t spdy_stream_unsent(const struct spdy_stream *st);
void spdy_stream_consumed(struct spdy_stream *st, size_t n);
/* No callbacks for it any more; what the client still sends on it is dropped, what waits still goes out. */
void spdy_stream_free(struct spdy_stream *st);

#endif
