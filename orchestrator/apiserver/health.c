/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/health.h"

#include <string.h>
#include <sys/utsname.h>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "podium/base/alloc.h"

static bool always_fine(struct apiserver *api) {
    return true;
}

/* The bootstrap objects are the first thing written: a store that cannot show one of them is not usable. */
static bool store_readable(struct apiserver *api) {
    _cleanup_(store_item_unrefp) struct store_item *i = store_get(api->store, "namespaces", "", "default");
    return i != NULL;
}

static const struct {
    const char *name;
    bool (*check)(struct apiserver *api);
} checks[] = {
    {"ping", always_fine},
    {"log", always_fine},
    {"store", store_readable},
};

static bool excluded(const struct api_request *req, const char *name) {
    for (size_t i = 0; i < req->n_params; i++)
        if (strcmp(req->params[i].key, "exclude") == 0 && strcmp(req->params[i].value, name) == 0)
            return true;
    return false;
}

static enum api_progress serve_one(struct api_request *req, const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        if (strcmp(checks[i].name, name) != 0)
            continue;
        bool ok = checks[i].check(req->api);
        return api_reply_text(req, ok ? 200 : 500, "text/plain; charset=utf-8",
                              xstrdup(ok ? "ok" : "internal server error: not ready"));
    }
    return api_unknown_path(req);
}

enum api_progress health_serve(struct api_request *req) {
    const char *kind = req->path + 1, *slash = strchr(kind, '/');
    if (slash && slash[1])
        return serve_one(req, slash + 1);
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    bool ok = true;
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        bool skip = excluded(req, checks[i].name), fine = skip || checks[i].check(req->api);
        ok &= fine;
        strbuf_addf(&b, "[%s]%s %s\n", fine ? "+" : "-", checks[i].name,
                    skip   ? "excluded: ok"
                    : fine ? "ok"
                           : "failed: reason withheld");
    }
    size_t n = slash ? (size_t) (slash - kind) : strlen(kind);
    strbuf_addf(&b, "%.*s check %s\n", (int) n, kind, ok ? "passed" : "failed");
    if (ok && !api_param_bool(req, "verbose"))
        return api_reply_text(req, 200, "text/plain; charset=utf-8", xstrdup("ok"));
    return api_reply_text(req, ok ? 200 : 500, "text/plain; charset=utf-8", strbuf_steal(&b));
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
