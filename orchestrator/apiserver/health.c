/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/health.h"

#include <string.h>
#include <sys/utsname.h>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "podium/base/alloc.h"

#define TEXT "text/plain; charset=utf-8"

static bool always_fine(struct apiserver *api) {
    return true;
}

/* The bootstrap objects are the first thing written: a store that cannot show one of them is not usable. */
static bool store_readable(struct apiserver *api) {
    _cleanup_(store_item_unrefp) struct store_item *i = store_get(api->store, "namespaces", "", "default");
    return i != NULL;
}

static bool roles_there(struct apiserver *api) {
    _cleanup_(store_item_unrefp) struct store_item *i =
        store_get(api->store, "clusterroles.rbac.authorization.k8s.io", "", "cluster-admin");
    return i != NULL;
}

enum { HEALTHZ = 1, LIVEZ = 2, READYZ = 4, EVERYWHERE = HEALTHZ | LIVEZ | READYZ };

/* Under the names upstream's have where monitoring may ask for them alone: the store is etcd's place. */
static const struct {
    const char *name;
    bool (*check)(struct apiserver *api);
    unsigned where;
} checks[] = {
    {"ping", always_fine, EVERYWHERE},
    {"log", always_fine, EVERYWHERE},
    {"etcd", store_readable, EVERYWHERE},
    {"etcd-readiness", store_readable, READYZ},
    {"informer-sync", always_fine, READYZ}, /* there are none: reads come from the store */
    {"poststarthook/rbac/bootstrap-roles", roles_there, EVERYWHERE},
};

static unsigned where_of(const char *kind) {
    return strncmp(kind, "livez", 5) == 0 ? LIVEZ : strncmp(kind, "readyz", 6) == 0 ? READYZ : HEALTHZ;
}

static bool excluded(const struct api_request *req, const char *name) {
    for (size_t i = 0; i < req->n_params; i++)
        if (strcmp(req->params[i].key, "exclude") == 0 && strcmp(req->params[i].value, name) == 0)
            return true;
    return false;
}

static enum api_progress serve_one(struct api_request *req, const char *name, unsigned where) {
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        if (strcmp(checks[i].name, name) != 0 || !(checks[i].where & where))
            continue;
        bool ok = checks[i].check(req->api);
        return api_reply_text(req, ok ? 200 : 500, TEXT, xstrdup(ok ? "ok" : "internal server error: not ready\n"));
    }
    return api_unknown_path(req);
}

/* Whoever misspells a check to leave out learns it from the verbose answer. */
static void warn_of_unknown(const struct api_request *req, unsigned where, struct strbuf *b) {
    bool any = false;
    for (size_t i = 0; i < req->n_params; i++) {
        bool known = strcmp(req->params[i].key, "exclude") != 0;
        for (size_t k = 0; !known && k < ARRAY_LEN(checks); k++)
            known = checks[k].where & where && strcmp(checks[k].name, req->params[i].value) == 0;
        if (known)
            continue;
        strbuf_addf(b, "%s\"%s\"", any ? "," : "warn: some health checks cannot be excluded: no matches for ",
                    req->params[i].value);
        any = true;
    }
    if (any)
        strbuf_addc(b, '\n');
}

enum api_progress health_serve(struct api_request *req) {
    const char *kind = req->path + 1, *slash = strchr(kind, '/');
    unsigned where = where_of(kind);
    if (slash && slash[1])
        return serve_one(req, slash + 1, where);
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    bool ok = true;
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        if (!(checks[i].where & where))
            continue;
        bool skip = excluded(req, checks[i].name), fine = skip || checks[i].check(req->api);
        ok &= fine;
        strbuf_addf(&b, "[%s]%s %s\n", fine ? "+" : "-", checks[i].name,
                    skip   ? "excluded: ok"
                    : fine ? "ok"
                           : "failed: reason withheld");
    }
    warn_of_unknown(req, where, &b);
    size_t n = slash ? (size_t) (slash - kind) : strlen(kind);
    strbuf_addf(&b, "%.*s check %s\n", (int) n, kind, ok ? "passed" : "failed");
    if (ok && !api_param_bool(req, "verbose"))
        return api_reply_text(req, 200, TEXT, xstrdup("ok"));
    return api_reply_text(req, ok ? 200 : 500, TEXT, strbuf_steal(&b));
}

enum api_progress version_serve(struct api_request *req) {
    struct utsname u;
    bool arm = uname(&u) == 0 && strcmp(u.machine, "aarch64") == 0;
    struct json *v = json_object();
    json_set(&v, "major", json_string("1"));
    json_set(&v, "minor", json_string("32"));
    json_set(&v, "gitVersion", json_string(req->api->version));
    json_set(&v, "gitCommit", json_string(""));
    json_set(&v, "gitTreeState", json_string("clean"));
    json_set(&v, "buildDate", json_string("1970-01-01T00:00:00Z"));
    json_set(&v, "goVersion", json_string("none (C)"));
    json_set(&v, "compiler", json_string("gcc"));
    json_set(&v, "platform", json_string(arm ? "linux/arm64" : "linux/amd64"));
    return api_reply_object(req, 200, v);
}
