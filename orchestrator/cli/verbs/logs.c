/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/cli/pods.h"
#include "orchestrator/cli/query.h"
#include "orchestrator/cli/targets.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "orchestrator/client/http_client.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define TAIL_WITH_SELECTOR 10 /* lines of each pod when many are shown, as kubectl */

const struct flag flags_logs[] = {
    {"follow", 'f', FLAG_BOOL, NULL, NULL, "go on with what is written from now on"},
    {"tail", 0, FLAG_VALUE, NULL, "N", "only the last N lines (-1: all)"},
    {"since", 0, FLAG_VALUE, NULL, "TIME", "only what is younger than this (5m)"},
    {"since-time", 0, FLAG_VALUE, NULL, "TIME", "only what is younger than this (RFC 3339)"},
    {"limit-bytes", 0, FLAG_VALUE, NULL, "N", "no more than this"},
    {"timestamps", 0, FLAG_BOOL, NULL, NULL, "begin each line with its time"},
    {"previous", 'p', FLAG_BOOL, NULL, NULL, "of the container before its last restart"},
    {"container", 'c', FLAG_VALUE, NULL, "NAME", "which container"},
    {"all-containers", 0, FLAG_BOOL, NULL, NULL, "of every container of the pod"},
    {"selector", 'l', FLAG_VALUE, NULL, "LABELS", "of every pod with these labels"},
    {"prefix", 0, FLAG_BOOL, NULL, NULL, "begin each line with pod and container"},
    FLAG_END,
};

struct logging {
    struct cli *c;
    char *prefix; /* NULL: none */
    bool in_line;
    int64_t tail, since_usec, limit;
};

static int on_bytes(void *userdata, const char *p, size_t n) {
    struct logging *l = userdata;
    while (n > 0) {
        const char *end = memchr(p, '\n', n);
        size_t part = end ? (size_t) (end + 1 - p) : n;
        if (l->prefix && !l->in_line)
            fputs(l->prefix, stdout);
        fwrite(p, 1, part, stdout);
        l->in_line = !end;
        p += part;
        n -= part;
    }
    return fflush(stdout) == 0 ? 0 : -EPIPE;
}

static char *log_target(const struct logging *l, const struct json *pod, const char *container) {
    const struct args *a = &l->c->args;
    const struct client_request r = {.verb = CLIENT_GET,
                                     .resource = resource_by_plural("", "v1", "pods"),
                                     .ns = json_str(json_path(pod, "metadata", "namespace")),
                                     .name = json_str(json_path(pod, "metadata", "name")),
                                     .subresource = "log"};
    _cleanup_free_ char *path = http_request_target(&r, false);
    struct strbuf b = STRBUF_INIT;
    char number[32];
    strbuf_adds(&b, path);
    query_add(&b, "container", container);
    query_add(&b, "follow", args_bool(a, "follow", false) ? "true" : NULL);
    query_add(&b, "previous", args_bool(a, "previous", false) ? "true" : NULL);
    query_add(&b, "timestamps", args_bool(a, "timestamps", false) ? "true" : NULL);
    query_add(&b, "sinceTime", args_str(a, "since-time"));
    snprintf(number, sizeof(number), "%lld", (long long) l->tail);
    query_add(&b, "tailLines", l->tail >= 0 ? number : NULL);
    snprintf(number, sizeof(number), "%lld", (long long) ((l->since_usec + 999999) / (int64_t) USEC_PER_SEC));
    query_add(&b, "sinceSeconds", l->since_usec > 0 ? number : NULL);
    snprintf(number, sizeof(number), "%lld", (long long) l->limit);
    query_add(&b, "limitBytes", l->limit > 0 ? number : NULL);
    return strbuf_steal(&b);
}

static int show_container(struct logging *l, const struct json *pod, const char *container) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strbuf_ struct strbuf answer = STRBUF_INIT;
    _cleanup_json_ struct json *status = NULL;
    _cleanup_free_ char *target = log_target(l, pod, container);
    const struct plain_request request = {
        .target = target, .accept = "*/*", .bytes = on_bytes, .userdata = l, .endless = true};
    int code = 0;
    free(steal(&l->prefix));
    if (args_bool(&l->c->args, "prefix", false))
        l->prefix = xasprintf("[pod/%s/%s] ", json_str_or(json_path(pod, "metadata", "name"), ""), container);
    l->in_line = false;
    int r = connection_get(&l->c->connection, &request, &code, &answer, &err);
    if (r == -EPIPE) /* whoever read has seen enough */
        return 0;
    if (r < 0)
        return cli_refused(l->c, "", 0, NULL, error_text(&err, r));
    if (code >= 200 && code < 300)
        return 0;
    r = json_parse(strbuf_str(&answer), answer.len, NULL, &status, NULL); /* a refusal may be plain text, too */
    return cli_refused(l->c, "", code, status,
                       json_str_or(r == 0 ? json_get(status, "message") : NULL, strbuf_str(&answer)));
}

static int show_pod(struct logging *l, const struct json *pod) {
    static const char *const lists[] = {"initContainers", "containers"};
    int failed = 0;
    if (!args_bool(&l->c->args, "all-containers", false))
        return show_container(l, pod, pod_container(l->c, pod));
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const struct json *list = json_path(pod, "spec", lists[i]);
        for (size_t j = 0; j < json_len(list); j++)
            failed |= show_container(l, pod, json_str_or(json_get(json_at(list, j), "name"), ""));
    }
    return failed;
}

static int show_selected(struct logging *l) {
    struct cli *c = l->c;
    _cleanup_targets_ struct targets t = TARGETS_INIT;
    int failed = 0;
    targets_add(&t, resource_by_plural("", "v1", "pods"), c->all_namespaces ? "" : c->ns, NULL, NULL, NULL);
    if (targets_list(c, args_str(&c->args, "selector"), NULL, &t) != 0)
        return 1;
    if (t.n == 0)
        fprintf(stderr, "No resources found in %s namespace.\n", c->ns);
    if (t.n > 1 && args_bool(&c->args, "follow", false))
        return cli_fail("%zu pods match: only one can be followed at a time; name one of them", t.n);
    for (size_t i = 0; i < t.n; i++)
        failed |= show_pod(l, t.items[i].object);
    return failed;
}

int cli_verb_logs(struct cli *c) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *pod = NULL;
    char *const *words = c->args.words;
    bool selects = args_has(&c->args, "selector");
    struct logging l = {.c = c, .tail = selects ? TAIL_WITH_SELECTOR : -1};
    int r = args_int(&c->args, "tail", -1, INT64_MAX, &l.tail, &err);
    if (r == 0)
        r = args_duration(&c->args, "since", &l.since_usec, &err);
    if (r == 0)
        r = args_int(&c->args, "limit-bytes", 1, INT64_MAX, &l.limit, &err);
    if (r < 0)
        return cli_usage(c, "%s", error_text(&err, r));
    if (!*words == !selects || (*words && words[1] && (words[2] || args_has(&c->args, "container"))))
        return cli_usage(c, "one pod (and perhaps a container), or -l LABELS, is wanted: podium logs POD [CONTAINER]");
    r = cli_connect(c);
    if (r == 0 && selects) {
        r = show_selected(&l);
    } else if (r == 0) {
        r = pod_by_typed(c, *words, &pod);
        if (r == 0)
            r = words[1] ? show_container(&l, pod, words[1]) : show_pod(&l, pod);
    }
    free(l.prefix);
    return r;
}
