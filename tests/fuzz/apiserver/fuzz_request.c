/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole requests against a server without doors: first line "METHOD PATH?QUERY", second the content type, third the
 * Accept header, the rest the body. Anything may be refused, nothing may crash or hang. */
#include <stdint.h>
#include <string.h>

#include "orchestrator/apiserver/http/encode.h"
#include "orchestrator/apiserver/request.h"
#include "orchestrator/apiserver/verbs/continuation.h"
#include "podium/base/alloc.h"
#include "podium/base/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct apiserver *server(void) {
    static struct apiserver *api; /* one for the life of the fuzzer */
    if (!api) {
        char dir[] = "/tmp/podium-fuzz-XXXXXX";
        struct store *store = NULL;
        struct store_options so = {.path = mkdtemp(dir), .map_bytes = 1ull << 30, .no_sync = true};
        struct apiserver_options o = {.port = -2};
        if (store_open_lmdb(&so, &store, NULL) < 0)
            abort();
        if (rm_tree(dir, NULL) < 0) /* open files stay usable, and nothing is left behind */
            abort();
        o.store = store;
        if (apiserver_new(&o, &api, NULL) < 0)
            abort();
    }
    return api;
}

static char *line(const char **p, const char *end) {
    const char *nl = memchr(*p, '\n', (size_t) (end - *p));
    size_t n = nl ? (size_t) (nl - *p) : (size_t) (end - *p);
    char *s = xstrndup(*p, n);
    *p = nl ? nl + 1 : end;
    return s;
}

static void add_query(struct api_request *req, char *query) {
    for (char *save = NULL, *t = strtok_r(query, "&", &save); t; t = strtok_r(NULL, "&", &save)) {
        char *eq = strchr(t, '=');
        if (eq)
            *eq = 0;
        api_request_add_param(req, xstrdup(t), xstrdup(eq ? eq + 1 : ""));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *groups[] = {(char[]){"system:masters"}, (char[]){"system:authenticated"}, NULL};
    struct api_user user = {.name = (char[]){"fuzz"}, .groups = groups};
    const char *p = (const char *) data, *end = p + size;
    _cleanup_(api_request_freep) struct api_request *req = api_request_new(server());
    _cleanup_(encoded_finish) struct encoded e = {0};
    struct continuation c;
    _cleanup_free_ char *first = line(&p, end);
    char *space = strchr(first, ' '), *query = strchr(first, '?');
    if (query) {
        *query = 0;
        add_query(req, query + 1);
    }
    if (space)
        *space = 0;
    req->method = xstrdup(first);
    req->path = xstrdup(space ? space + 1 : "/");
    req->content_type = line(&p, end);
    req->accept = line(&p, end);
    req->user = &user;
    req->watch_allowed = true;
    strbuf_add(&req->body, p, (size_t) (end - p));
    api_request_run(req);
    if (req->out.kind != API_OUT_WATCH && req->out.kind != API_OUT_STREAM)
        encode_response(req, &e);
    const char *token = api_param(req, "continue");
    if (token && continuation_parse(token, &c) == 0)
        continuation_finish(&c);
    return 0;
}
