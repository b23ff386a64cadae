/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/upgrade.h"

#include <gnutls/crypto.h>
#include <string.h>
#include <strings.h>

#include "orchestrator/apiserver/http/takeover.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/streams/sessions.h"
#include "orchestrator/apiserver/streams/watch_socket.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/json.h"

#define SPDY_UPGRADE  "SPDY/3.1"
#define PROTOCOLS_MAX 32

struct protocol {
    const char *name;
    session_start_fn start;
};

/* In our order of preference. */
static const struct protocol command_websocket[] = {
    {"v5.channel.k8s.io", command_channels_start},
    {"v4.channel.k8s.io", command_channels_start},
    {"v4.base64.channel.k8s.io", command_channels_start},
    {"channel.k8s.io", command_channels_start},
    {"base64.channel.k8s.io", command_channels_start},
    {"", command_channels_start},
    {NULL, NULL},
};
static const struct protocol command_spdy[] = {
    {"v4.channel.k8s.io", command_spdy_start},
    {"v3.channel.k8s.io", command_spdy_start},
    {"v2.channel.k8s.io", command_spdy_start},
    {"channel.k8s.io", command_spdy_start},
    {"", command_spdy_start},
    {NULL, NULL},
};
static const struct protocol forward_websocket[] = {
    {"SPDY/3.1+portforward.k8s.io", forward_spdy_start},
    {"v5.channel.k8s.io", forward_channels_start},
    {"v4.channel.k8s.io", forward_channels_start},
    {"v4.base64.channel.k8s.io", forward_channels_start},
    {"channel.k8s.io", forward_channels_start},
    {"base64.channel.k8s.io", forward_channels_start},
    {"", forward_channels_start},
    {NULL, NULL},
};
static const struct protocol forward_spdy[] = {
    {"portforward.k8s.io", forward_spdy_start}, {"", forward_spdy_start}, {NULL, NULL}};

/* --- headers --- */

static const char *header(struct MHD_Connection *c, const char *name) {
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

struct offered {
    const char *name;
    char **protocols;
};

static enum MHD_Result collect(void *cls, enum MHD_ValueKind kind, const char *key, const char *value) {
    struct offered *o = cls;

    if (strcasecmp(key, o->name) != 0 || !value)
        return MHD_YES;
    while (*value && strv_len(o->protocols) < PROTOCOLS_MAX) {
        value += strspn(value, ", \t");
        size_t n = strcspn(value, ", \t");
        if (n > 0)
            strv_push(&o->protocols, xstrndup(value, n));
        value += n;
    }
    return MHD_YES;
}

/* All values of a header that may come several times, and hold lists. The caller frees. */
static char **list_header(struct MHD_Connection *c, const char *name) {
    struct offered o = {.name = name, .protocols = strv_new()};

    (void) MHD_get_connection_values(c, MHD_HEADER_KIND, collect, &o);
    return o.protocols;
}

static bool listed(char *const *list, const char *name) {
    for (; *list; list++)
        if (strcasecmp(*list, name) == 0)
            return true;
    return false;
}

static const struct protocol *choose(const struct protocol *ours, char *const *offered) {
    for (const struct protocol *p = ours; p->name; p++)
        if (*offered ? listed(offered, p->name) : !*p->name)
            return p;
    return NULL;
}

/* --- answers --- */

static enum MHD_Result refuse(struct MHD_Connection *c, struct api_stream *take, unsigned code, const char *reason,
                              const char *message) {
    _cleanup_json_ struct json *s = json_object();

    json_set(&s, "kind", json_string("Status"));
    json_set(&s, "apiVersion", json_string("v1"));
    json_set(&s, "metadata", json_object());
    json_set(&s, "status", json_string("Failure"));
    json_set(&s, "message", json_string(message));
    json_set(&s, "reason", json_string(reason));
    json_set(&s, "code", json_int(code));
    char *text = json_to_text(s);
    api_stream_free(take);
    struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (!r) {
        free(text);
        return MHD_NO;
    }
    (void) MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    enum MHD_Result ok = MHD_queue_response(c, code, r);
    MHD_destroy_response(r);
    return ok;
}

static enum MHD_Result refuse_protocols(struct MHD_Connection *c, struct api_stream *take, const struct protocol *ours,
                                        char *const *offered) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

    strbuf_adds(&b, "unable to upgrade: unable to negotiate protocol: client supports [");
    for (size_t i = 0; offered[i]; i++)
        strbuf_addf(&b, "%s%s", i ? " " : "", offered[i]);
    strbuf_adds(&b, "], server accepts [");
    for (size_t i = 0; ours[i].name; i++)
        strbuf_addf(&b, "%s%s", i ? " " : "", ours[i].name);
    strbuf_adds(&b, "]");
    return refuse(c, take, 403, "Forbidden", strbuf_str(&b));
}

/* RFC 6455: base64 of the SHA-1 of the key and a fixed text. */
static char *accept_key(const char *key) {
    uint8_t digest[20];
    _cleanup_free_ char *text = xasprintf("%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);

    if (gnutls_hash_fast(GNUTLS_DIG_SHA1, text, strlen(text), digest) < 0)
        return xstrdup("");
    return base64_encode(digest, sizeof(digest));
}

static char *websocket_head(const char *key, const char *protocol) {
    _cleanup_free_ char *accept = accept_key(key);

    return xasprintf("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     "Sec-WebSocket-Accept: %s\r\n%s%s%s\r\n",
                     accept, *protocol ? "Sec-WebSocket-Protocol: " : "", protocol, *protocol ? "\r\n" : "");
}

static char *spdy_head(const char *protocol) {
    return xasprintf("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " SPDY_UPGRADE
                     "\r\n%s%s%s\r\n",
                     *protocol ? "X-Stream-Protocol-Version: " : "", protocol, *protocol ? "\r\n" : "");
}

enum MHD_Result upgrade_queue(struct MHD_Connection *c, struct api_stream *take, bool *taken_over) {
    _cleanup_strv_ char **upgrades = list_header(c, MHD_HTTP_HEADER_UPGRADE);
    const char *key = header(c, "Sec-WebSocket-Key");
    bool websocket = key && listed(upgrades, "websocket"), spdy = listed(upgrades, SPDY_UPGRADE);
    bool forward = take->kind == API_STREAM_FORWARD;

    if (!websocket && !spdy)
        return refuse(
            c, take, 400, "BadRequest",
            "Upgrade request required: WebSocket with a subprotocol like v5.channel.k8s.io, or " SPDY_UPGRADE);
    _cleanup_strv_ char **offered = list_header(c, websocket ? "Sec-WebSocket-Protocol" : "X-Stream-Protocol-Version");
    const struct protocol *ours =
        websocket ? (forward ? forward_websocket : command_websocket) : (forward ? forward_spdy : command_spdy);
    const struct protocol *p = choose(ours, offered);
    if (!p)
        return refuse_protocols(c, take, ours, offered);
    if (p->start == forward_channels_start && take->n_ports == 0)
        return refuse(c, take, 400, "BadRequest", "query parameter \"ports\" is required");
    char *head = websocket ? websocket_head(key, p->name) : spdy_head(p->name);
    *taken_over = true;
    p->start(take, takeover_new(c), p->name, head);
    return MHD_YES;
}

bool upgrade_watch(struct MHD_Connection *c, struct api_request *req) {
    _cleanup_strv_ char **upgrades = list_header(c, MHD_HTTP_HEADER_UPGRADE);
    const char *key = header(c, "Sec-WebSocket-Key");

    if (!key || !listed(upgrades, "websocket") || !req->api->node_loop)
        return false;
    watch_socket_start(req, takeover_new(c), websocket_head(key, ""));
    return true;
}
