/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SPDY from anybody who may exec: bytes in pieces, streams answered in different ways. */
#include <stdint.h>
#include <string.h>

#include "orchestrator/apiserver/spdy/session.h"
#include "podium/base/cleanup.h"

struct state {
    struct spdy_session *session;
    size_t n_opened, bytes;
};

static void opened(void *userdata, struct spdy_stream *s, const struct spdy_headers *headers) {
    struct state *x = userdata;

    (void) spdy_header(headers, "streamtype");
    switch (x->n_opened++ % 4) {
    case 0:
        spdy_stream_accept(s);
        spdy_stream_send(s, "0123456789", 10);
        break;
    case 1:
        spdy_stream_reset(s, SPDY_REFUSED_STREAM);
        spdy_stream_free(s);
        break;
    case 2:
        spdy_stream_accept(s);
        spdy_stream_end(s);
        spdy_stream_free(s);
        break;
    case 3:
        break;
    }
}

static void data(void *userdata, struct spdy_stream *s, const void *p, size_t n) {
    static const char zeros[100000];
    const uint8_t *b = p;

    spdy_stream_consumed(s, n);
    spdy_stream_send(s, p, n);
    if (b[0] == 'e')
        spdy_stream_end(s);
    else if (b[0] == 'f')
        spdy_stream_free(s);
    else if (b[0] == 'l')
        spdy_stream_send(s, zeros, sizeof(zeros));
}

static void ended(void *userdata, struct spdy_stream *s) {
    spdy_stream_end(s);
}

static void was_reset(void *userdata, struct spdy_stream *s) {
    spdy_stream_free(s);
}

static void output(void *userdata, const void *p, size_t n) {
    struct state *x = userdata;

    x->bytes += n + *(const uint8_t *) p;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    static const struct spdy_ops ops = {
        .opened = opened, .data = data, .ended = ended, .reset = was_reset, .output = output};
    struct state x = {0};
    size_t piece = size > 0 ? 1 + input[0] : 1;

    x.session = spdy_session_new(&ops, &x);
    for (size_t at = 1; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        if (spdy_session_feed(x.session, input + at, n, NULL) < 0)
            break;
    }
    spdy_session_goaway(x.session);
    spdy_session_free(x.session);
    return 0;
}
