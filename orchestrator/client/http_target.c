/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Paths and queries of the API (wire.md section 3). */
#include <string.h>

#include "orchestrator/client/http_client.h"
#include "podium/base/alloc.h"

static void add_escaped(struct strbuf *b, const char *s) {
    for (; *s; s++) {
        unsigned char c = (unsigned char) *s;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c);
        if (plain)
            strbuf_addc(b, *s);
        else
            strbuf_addf(b, "%%%02X", c);
    }
}

static void add_segment(struct strbuf *b, const char *s) {
    strbuf_addc(b, '/');
    add_escaped(b, s);
}

static void add_query(struct strbuf *b, bool *first, const char *name, const char *value) {
    if (!value || !*value)
        return;
    strbuf_addc(b, *first ? '?' : '&');
    strbuf_addf(b, "%s=", name);
    add_escaped(b, value);
    *first = false;
}

char *http_request_target(const struct client_request *r, bool watch) {
    struct strbuf b = STRBUF_INIT;
    bool first = true;
    strbuf_adds(&b, *r->resource->group ? "/apis" : "/api");
    if (*r->resource->group)
        add_segment(&b, r->resource->group);
    add_segment(&b, r->resource->version);
    if (r->resource->namespaced && r->ns && *r->ns) {
        strbuf_adds(&b, "/namespaces");
        add_segment(&b, r->ns);
    }
    add_segment(&b, r->resource->plural);
    if (r->name)
        add_segment(&b, r->name);
    if (r->subresource)
        add_segment(&b, r->subresource);
    if (watch)
        add_query(&b, &first, "watch", "true");
    if (watch && r->allow_bookmarks)
        add_query(&b, &first, "allowWatchBookmarks", "true");
    add_query(&b, &first, "labelSelector", r->label_selector);
    add_query(&b, &first, "fieldSelector", r->field_selector);
    add_query(&b, &first, "resourceVersion", r->continue_token ? NULL : r->resource_version);
    add_query(&b, &first, "continue", r->continue_token);
    char limit[16] = "";
    if (r->limit > 0 && !watch)
        snprintf(limit, sizeof(limit), "%u", r->limit);
    add_query(&b, &first, "limit", limit);
    add_query(&b, &first, "fieldManager", r->field_manager);
    add_query(&b, &first, "fieldValidation", r->strict ? "Strict" : NULL);
    add_query(&b, &first, "dryRun", r->dry_run ? "All" : NULL);
    add_query(&b, &first, "force", r->force ? "true" : NULL);
    return strbuf_steal(&b);
}
