/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/audit/event.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "orchestrator/apiserver/audit/record.h"
#include "orchestrator/apiserver/body.h"
#include "orchestrator/apiserver/http/encode.h"
#include "orchestrator/manifest/yaml.h"
#include "orchestrator/object/protobuf.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/limits.h"

static void add_text(struct strbuf *b, const char *s) {
    json_write_string(s, strlen(s), b);
}

/* ,"key":"value" */
static void member(struct strbuf *b, const char *key, const char *value) {
    if (!value || !*value)
        return;
    strbuf_addf(b, ",\"%s\":", key);
    add_text(b, value);
}

static void add_document(struct strbuf *b, const char *key, const struct json *doc) {
    strbuf_addf(b, ",\"%s\":", key);
    json_write(doc, 0, b);
}

char *audit_verb(const struct api_request *req) {
    if (req->verb)
        return xstrdup(req->verb);
    char *verb = xstrdup(req->method ? req->method : "");
    for (char *p = verb; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char) (*p - 'A' + 'a');
    return verb;
}

static void add_user(struct strbuf *b, const struct api_user *u) {
    const char *comma = "";
    strbuf_addc(b, '{');
    if (u->name && *u->name) {
        strbuf_adds(b, "\"username\":");
        add_text(b, u->name);
        comma = ",";
    }
    if (u->uid && *u->uid) {
        strbuf_addf(b, "%s\"uid\":", comma);
        add_text(b, u->uid);
        comma = ",";
    }
    for (char **g = u->groups; g && *g; g++) {
        strbuf_adds(b, g == u->groups ? comma : ",");
        strbuf_adds(b, g == u->groups ? "\"groups\":[" : "");
        add_text(b, *g);
        strbuf_adds(b, g[1] ? "" : "]");
        comma = ",";
    }
    if (json_len(u->extra) > 0) {
        strbuf_addf(b, "%s\"extra\":", comma);
        json_write(u->extra, 0, b);
    }
    strbuf_addc(b, '}');
}

/* --- the address --- */

static void add_escaped(struct strbuf *b, const char *s) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~/";
    for (; *s; s++) {
        if (strchr(plain, *s))
            strbuf_addc(b, *s);
        else
            strbuf_addf(b, "%%%02X", (unsigned char) *s);
    }
}

/* What a client over HTTP would have asked for. */
static char *uri_of(const struct api_request *req) {
    struct strbuf b = STRBUF_INIT;
    const struct resource *r = req->resource;
    if (!r)
        return xstrdup(req->path ? req->path : "/");
    strbuf_addf(&b, "%s%s", *r->group ? "/apis/" : "/api", r->group);
    strbuf_addf(&b, "/%s", r->version);
    if (r->namespaced && req->ns && *req->ns) {
        strbuf_adds(&b, "/namespaces/");
        add_escaped(&b, req->ns);
    }
    strbuf_addf(&b, "/%s", r->plural);
    if (req->name && *req->name && strcmp(req->verb, "create") != 0) {
        strbuf_addc(&b, '/');
        add_escaped(&b, req->name);
    }
    if (req->sub)
        strbuf_addf(&b, "/%s", req->sub->name);
    for (size_t i = 0; i < req->n_params; i++) {
        strbuf_addc(&b, i ? '&' : '?');
        add_escaped(&b, req->params[i].key);
        strbuf_addc(&b, '=');
        add_escaped(&b, req->params[i].value);
    }
    return strbuf_steal(&b);
}

/* The chain of proxies as they tell it, and who really is there, at last. */
static void add_addresses(struct strbuf *b, const struct audit_source *from) {
    _cleanup_strbuf_ struct strbuf last = STRBUF_INIT;
    size_t n = 0;
    strbuf_adds(b, ",\"sourceIPs\":[");
    for (const char *p = from->forwarded; p && *p;) {
        size_t skip = strspn(p, " ,"), len = strcspn(p + skip, " ,");
        p += skip;
        if (len > 0) {
            strbuf_adds(b, n++ ? "," : "");
            json_write_string(p, len, b);
            strbuf_reset(&last);
            strbuf_add(&last, p, len);
        }
        p += len;
    }
    if (from->address && strcmp(strbuf_str(&last), from->address) != 0) {
        strbuf_adds(b, n ? "," : "");
        add_text(b, from->address);
    }
    strbuf_addc(b, ']');
}

void audit_event_head(const struct api_request *req, const struct audit_source *from, const char *verb,
                      bool authenticated, struct strbuf *out) {
    static char *strangers[] = {(char *) "system:unauthenticated", NULL};
    static const struct api_user stranger = {.name = (char *) "system:anonymous", .groups = strangers}, nobody = {0};
    _cleanup_free_ char *uri = from->uri ? xstrdup(from->uri) : uri_of(req);
    member(out, "requestURI", uri);
    member(out, "verb", verb);
    strbuf_adds(out, ",\"user\":");
    add_user(out, req->user ? req->user : authenticated ? &stranger : &nobody);
    if (from->forwarded || from->address)
        add_addresses(out, from);
    member(out, "userAgent", req->user_agent);
}

void audit_event_impersonated(const struct api_user *u, struct strbuf *head) {
    strbuf_adds(head, ",\"impersonatedUser\":");
    add_user(head, u);
}

/* --- what it is about --- */

static void add_reference(struct strbuf *b, const struct api_request *req) {
    const struct resource *r = req->resource;
    const char *plural = req->plural ? req->plural : r ? r->plural : NULL, *sub = req->subname;
    if (!plural)
        return;
    strbuf_adds(b, ",\"objectRef\":{\"resource\":");
    add_text(b, plural);
    member(b, "namespace", req->ns);
    member(b, "name", req->name);
    member(b, "apiGroup", r ? r->group : req->group);
    member(b, "apiVersion", r ? r->version : req->version);
    member(b, "subresource", sub && *sub ? sub : req->sub ? req->sub->name : "");
    strbuf_addc(b, '}');
}

/* The answer's own Status when it is one, without what no client sees; else the code alone. */
static void add_status(struct strbuf *b, const struct api_request *req) {
    const struct json *s = req->out.kind == API_OUT_OBJECT ? req->out.object : NULL;
    unsigned code = req->audit->code;
    strbuf_adds(b, ",\"responseStatus\":{\"metadata\":{}");
    if (json_get_is(s, "kind", "Status")) {
        member(b, "status", json_get_str(s, "status"));
        member(b, "message", json_get_str(s, "message"));
        member(b, "reason", json_get_str(s, "reason"));
        if (json_len(json_get(s, "details")) > 0)
            add_document(b, "details", json_get(s, "details"));
    }
    strbuf_addf(b, ",\"code\":%u}", code);
}

/* --- bodies --- */

static void without_managers(struct json **doc) {
    if (!json_is_null(json_path(*doc, "metadata", "managedFields")))
        (void) json_del(json_edit(doc, "metadata"), "managedFields");
    size_t n = json_len(json_get(*doc, "items"));
    for (size_t i = 0; i < n; i++)
        if (!json_is_null(json_path(json_at(json_get(*doc, "items"), i), "metadata", "managedFields")))
            (void) json_del(json_edit(json_edit_at(json_edit(doc, "items"), i), "metadata"), "managedFields");
}

static void add_object(struct strbuf *b, const struct api_request *req, const char *key, struct json *doc) {
    _cleanup_json_ struct json *shown = json_ref(doc);
    if (json_is_null(doc))
        return;
    if (req->audit->answer.omit_managed_fields)
        without_managers(&shown);
    add_document(b, key, shown);
}

/* The body as it came, whatever its form; NULL when it is none. */
static struct json *request_object(const struct api_request *req) {
    struct json *doc = NULL;
    const char *text = strbuf_str(&req->body);
    struct json_parse_options o = {.bytes_max = OBJECT_BYTES_MAX};
    if (req->body_doc)
        return json_ref(req->body_doc);
    if (req->body.len == 0)
        return NULL;
    _cleanup_free_ char *type = media_type(req->content_type);
    int r;
    if (strcmp(type, "application/vnd.kubernetes.protobuf") == 0)
        r = protobuf_decode(text, req->body.len, &doc, NULL);
    else if (strcmp(type, "application/yaml") == 0 || strcmp(type, "application/apply-patch+yaml") == 0)
        r = yaml_parse_one("body", text, req->body.len, &doc, NULL);
    else
        r = json_parse(text, req->body.len, &o, &doc, NULL);
    return r < 0 ? NULL : doc;
}

static struct json *response_object(struct api_request *req) {
    switch (req->out.kind) {
    case API_OUT_OBJECT:
        return json_ref(req->out.item ? store_item_doc(req->out.item) : req->out.object);
    case API_OUT_LIST:
        return list_document(req);
    case API_OUT_NONE:
    case API_OUT_TEXT:
    case API_OUT_WATCH:
    case API_OUT_STREAM:
    case API_OUT_BACKUP:
        break;
    }
    return NULL;
}

static void add_bodies(struct strbuf *b, struct api_request *req, enum audit_stage stage) {
    enum audit_level level = req->audit->answer.level;
    if (level >= AUDIT_REQUEST && stage != AUDIT_RECEIVED) {
        _cleanup_json_ struct json *doc = request_object(req);
        add_object(b, req, "requestObject", doc);
    }
    if (level >= AUDIT_REQUEST_RESPONSE && stage == AUDIT_RESPONSE_COMPLETE) {
        _cleanup_json_ struct json *doc = response_object(req);
        add_object(b, req, "responseObject", doc);
    }
}

/* --- the whole --- */

static void add_time(struct strbuf *b, const char *key, uint64_t usec) {
    time_t t = (time_t) (usec / USEC_PER_SEC);
    struct tm tm;
    char text[32];
    (void) gmtime_r(&t, &tm);
    (void) strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    strbuf_addf(b, ",\"%s\":\"%s.%06uZ\"", key, text, (unsigned) (usec % USEC_PER_SEC));
}

void audit_event_write(struct api_request *req, enum audit_stage stage, uint64_t now_usec, struct strbuf *out) {
    const struct audit_record *rec = req->audit;
    strbuf_addf(out, "{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"%s\",\"auditID\":",
                audit_level_name(rec->answer.level));
    add_text(out, rec->id);
    strbuf_addf(out, ",\"stage\":\"%s\"", audit_stage_name(stage));
    strbuf_add(out, strbuf_str(&rec->head), rec->head.len);
    add_reference(out, req);
    if (stage != AUDIT_RECEIVED)
        add_status(out, req);
    add_bodies(out, req, stage);
    add_time(out, "requestReceivedTimestamp", rec->received);
    add_time(out, "stageTimestamp", now_usec);
    if (json_len(rec->annotations) > 0)
        add_document(out, "annotations", rec->annotations);
    strbuf_adds(out, "}\n");
}
