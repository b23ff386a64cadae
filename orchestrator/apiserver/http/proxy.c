/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/proxy.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "orchestrator/apiserver/http/takeover.h"
#include "orchestrator/apiserver/streams/sessions.h"
#include "podium/base/alloc.h"

/* Of this hop only (RFC 9110 section 7.6.1), made anew, or none of the pod's business. */
static const char *const left_out[] = {"Authorization",
                                       "Connection",
                                       "Keep-Alive",
                                       "Proxy-Connection",
                                       "Proxy-Authorization",
                                       "TE",
                                       "Trailer",
                                       "Transfer-Encoding",
                                       "Upgrade",
                                       "Content-Length",
                                       "Expect"};

struct head {
    struct strbuf *b;
    const char *upgrade;
};

static enum MHD_Result add_header(void *cls, enum MHD_ValueKind kind, const char *key, const char *value) {
    struct head *h = cls;

    if (strcasecmp(key, "Upgrade") == 0)
        h->upgrade = value;
    for (size_t i = 0; i < ARRAY_LEN(left_out); i++)
        if (strcasecmp(key, left_out[i]) == 0)
            return MHD_YES;
    if (value && !strpbrk(value, "\r\n"))
        strbuf_addf(h->b, "%s: %s\r\n", key, value);
    return MHD_YES;
}

static void add_encoded(struct strbuf *b, const char *s, const char *kept) {
    for (; *s; s++) {
        if (isalnum((unsigned char) *s) || strchr("-._~", *s) || strchr(kept, *s))
            strbuf_addc(b, *s);
        else
            strbuf_addf(b, "%%%02X", (unsigned char) *s);
    }
}

/* What stands behind …/proxy in the path. */
static const char *tail_of(const struct api_request *req) {
    const char *p = req->path;

    int wanted = *req->ns ? 7 : 5; /* api v1 namespaces NS pods NAME proxy; api v1 nodes NAME proxy */

    for (int parts = 0; *p; parts++) {
        p += strspn(p, "/");
        if (parts == wanted)
            return p;
        p += strcspn(p, "/");
    }
    return "";
}

enum MHD_Result proxy_queue(struct MHD_Connection *c, const struct api_request *req, struct api_stream *take,
                            bool *taken_over) {
    struct strbuf b = STRBUF_INIT;
    struct head h = {.b = &b};

    strbuf_addf(&b, "%s /", req->method);
    add_encoded(&b, tail_of(req), "/!$&'()*+,;=:@");
    for (size_t i = 0; i < req->n_params; i++) {
        strbuf_addc(&b, i ? '&' : '?');
        add_encoded(&b, req->params[i].key, "");
        strbuf_addc(&b, '=');
        add_encoded(&b, req->params[i].value, "");
    }
    strbuf_adds(&b, " HTTP/1.1\r\n");
    (void) MHD_get_connection_values(c, MHD_HEADER_KIND, add_header, &h);
    strbuf_adds(&b, "X-Forwarded-Uri: ");
    add_encoded(&b, req->path, "/:");
    strbuf_adds(&b, "\r\n");
    if (h.upgrade)
        strbuf_addf(&b, "Connection: Upgrade\r\nUpgrade: %s\r\n\r\n", h.upgrade);
    else /* one request for each connection: the next one of the client's is for us, not for the pod */
        strbuf_adds(&b, "Connection: close\r\n");
    if (!h.upgrade && (req->body.len > 0 || strcmp(req->method, "POST") == 0 || strcmp(req->method, "PUT") == 0))
        strbuf_addf(&b, "Content-Length: %zu\r\n", req->body.len);
    if (!h.upgrade)
        strbuf_adds(&b, "\r\n");
    strbuf_add(&b, req->body.data, req->body.len);
    *taken_over = true;
    if (take->to_node)
        h.upgrade = NULL; /* a node takes none */
    proxy_start(take, takeover_new(c), &b, h.upgrade != NULL);
    return MHD_YES;
}
