/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A channel number in front of each WebSocket message, as a byte or, for clients without binary messages, as text. */
#include <string.h>

#include "orchestrator/apiserver/streams/conduit.h"
#include "orchestrator/apiserver/streams/sessions.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/strbuf.h"

bool channels_in_text(const char *protocol) {
    return strstr(protocol, "base64.") != NULL;
}

void channel_message_send(struct conduit *c, bool text, unsigned channel, const void *p, size_t n) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

    if (text) {
        _cleanup_free_ char *encoded = base64_encode(p, n);
        strbuf_addf(&b, "%u%s", channel, encoded);
    } else {
        strbuf_reserve(&b, n + 1);
        strbuf_addc(&b, (char) channel);
        strbuf_add(&b, p, n);
    }
    conduit_send(c, b.data, b.len);
}

bool channel_message_parse(bool text, const void *message, size_t n, unsigned *channel, uint8_t **bytes, size_t *len) {
    const uint8_t *m = message;

    *bytes = NULL;
    if (n == 0)
        return false;
    if (!text) {
        *channel = m[0];
        *bytes = xmemdup(m + 1, n - 1);
        *len = n - 1;
        return true;
    }
    if (m[0] < '0' || m[0] > '9')
        return false;
    *channel = (unsigned) (m[0] - '0');
    return base64_decode((const char *) m + 1, n - 1, bytes, len) == 0;
}
