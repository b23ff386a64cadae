/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/openapi_routes.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/object/openapi.h"
#include "orchestrator/object/openapi_v2.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"

#define CACHED_DOCUMENTS 3

struct openapi_cache {
    char build[PKI_SHA256_HEX_SIZE];
    pthread_mutex_t lock;
    struct {
        char *path, *text;
        uint64_t used;
    } documents[CACHED_DOCUMENTS];
    uint64_t clock;
};

struct openapi_cache *openapi_cache_new(const char *version) {
    struct openapi_cache *c = xnew0(struct openapi_cache);
    struct stat st = {0};
    (void) stat("/proc/self/exe", &st);
    _cleanup_free_ char *seed = xasprintf("%s %lld %lld.%ld", version, (long long) st.st_size,
                                          (long long) st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    pki_sha256_hex(seed, strlen(seed), c->build);
    (void) pthread_mutex_init(&c->lock, NULL);
    return c;
}

void openapi_cache_free(struct openapi_cache *c) {
    if (!c)
        return;
    for (size_t i = 0; i < CACHED_DOCUMENTS; i++) {
        free(c->documents[i].path);
        free(c->documents[i].text);
    }
    (void) pthread_mutex_destroy(&c->lock);
    free(c);
}

static void document_hash(const struct openapi_cache *c, const char *path, char out[PKI_SHA256_HEX_SIZE]) {
    _cleanup_free_ char *seed = xasprintf("%s %s", c->build, path);
    pki_sha256_hex(seed, strlen(seed), out);
    for (char *p = out; *p; p++) /* upstream's are upper case */
        if (*p >= 'a')
            *p = (char) (*p - 'a' + 'A');
}

static enum api_progress serve_index(struct api_request *req) {
    size_t n;
    const struct resource *all = resources_all(&n);
    struct json *o = json_object();
    json_set(&o, "paths", json_object());
    for (size_t i = 0; i < n; i++) {
        char hash[PKI_SHA256_HEX_SIZE];
        _cleanup_free_ char *path =
            *all[i].group ? xasprintf("apis/%s", resource_api_version(&all[i])) : xasprintf("api/%s", all[i].version);
        if (json_get(json_get(o, "paths"), path))
            continue;
        struct json *p = json_object();
        document_hash(req->api->openapi, path, hash);
        json_set(&p, "serverRelativeURL", json_stringf("/openapi/v3/%s?hash=%s", path, hash));
        json_set(json_edit(&o, "paths"), path, p);
    }
    return api_reply_object(req, 200, o);
}

/* The text of a document, kept or made; the caller frees. NULL when there is none. */
static char *document_text(struct openapi_cache *c, const char *path) {
    size_t oldest = 0;
    (void) pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < CACHED_DOCUMENTS; i++) {
        if (c->documents[i].path && strcmp(c->documents[i].path, path) == 0) {
            c->documents[i].used = ++c->clock;
            char *text = xstrdup(c->documents[i].text);
            (void) pthread_mutex_unlock(&c->lock);
            return text;
        }
    }
    (void) pthread_mutex_unlock(&c->lock);
    const char *rest = strchr(path, '/') + 1, *slash = strchr(rest, '/');
    _cleanup_free_ char *group = strncmp(path, "api/", 4) == 0 ? xstrdup("")
                                 : slash                       ? xstrndup(rest, (size_t) (slash - rest))
                                                               : xstrdup(rest);
    _cleanup_json_ struct json *doc = openapi_v3_document(group, *group && slash ? slash + 1 : rest);
    if (!doc)
        return NULL;
    char *text = json_to_text(doc);
    (void) pthread_mutex_lock(&c->lock);
    for (size_t i = 1; i < CACHED_DOCUMENTS; i++)
        if (c->documents[i].used < c->documents[oldest].used)
            oldest = i;
    free(c->documents[oldest].path);
    free(c->documents[oldest].text);
    c->documents[oldest].path = xstrdup(path);
    c->documents[oldest].text = xstrdup(text);
    c->documents[oldest].used = ++c->clock;
    (void) pthread_mutex_unlock(&c->lock);
    return text;
}

enum api_progress openapi_v3_serve(struct api_request *req) {
    const char *path = req->path + strlen("/openapi/v3");
    path += strspn(path, "/");
    if (!*path)
        return serve_index(req);
    if (strncmp(path, "api/", 4) != 0 && strncmp(path, "apis/", 5) != 0)
        return api_unknown_path(req);
    char hash[PKI_SHA256_HEX_SIZE];
    const char *given = api_param(req, "hash");
    document_hash(req->api->openapi, path, hash);
    if (given && *given && strcmp(given, hash) != 0) {
        (void) api_reply_text(req, 301, "text/plain; charset=utf-8", xstrdup(""));
        req->out.location = xasprintf("/openapi/v3/%s?hash=%s", path, hash);
        return API_DONE;
    }
    char *text = document_text(req->api->openapi, path);
    if (!text)
        return api_unknown_path(req);
    (void) api_reply_text(req, 200, "application/json", text);
    req->out.etag = xasprintf("\"%s\"", hash);
    req->out.immutable = given && *given;
    return API_DONE;
}

#define V2_PROTOBUF "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

/* Asked for as "…v2@v1.0…", answered as "…v2.v1.0…": '@' is no legal character of a media type. -1: neither. */
static int wants_v2_protobuf(const char *accept) {
    const char *protobuf = accept ? strstr(accept, "application/com.github.proto-openapi.spec.v2") : NULL;
    const char *json = accept && *accept ? strstr(accept, "application/json") : "";
    if (!protobuf && !json)
        return strstr(accept, "*/*") || strstr(accept, "application/*") ? 0 : -1;
    return protobuf && (!json || protobuf < json);
}

enum api_progress openapi_v2_serve(struct api_request *req) {
    char hash[PKI_SHA256_HEX_SIZE];
    int protobuf = wants_v2_protobuf(req->accept);
    struct strbuf b = STRBUF_INIT;
    if (protobuf < 0)
        return api_fail(req, 406, "NotAcceptable",
                        "only the following media types are accepted: application/json, " V2_PROTOBUF);
    document_hash(req->api->openapi, protobuf ? "v2 protobuf" : "v2", hash);
    _cleanup_free_ char *etag = xasprintf("\"%s\"", hash);
    if (!req->if_none_match || !strstr(req->if_none_match, etag)) /* else nobody will read it */
        openapi_v2_write(req->api->version, protobuf, &b);
    (void) api_reply_bytes(req, 200, protobuf ? V2_PROTOBUF : "application/json", &b);
    req->out.etag = steal(&etag);
    return API_DONE;
}
