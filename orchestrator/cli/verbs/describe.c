/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/cli/describe/describe.h"
#include "orchestrator/cli/targets.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "orchestrator/client/http_client.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

const struct flag flags_describe[] = {
    {"selector", 'l', FLAG_VALUE, NULL, "LABELS", "objects with these labels"},
    {"filename", 'f', FLAG_VALUE, NULL, "FILE", "the objects named in a file, folder or -"},
    {"recursive", 'R', FLAG_BOOL, NULL, NULL, "with -f: also folders below"},
    {"show-events", 0, FLAG_BOOL, NULL, NULL, "what happened to it (the default; --show-events=false)"},
    FLAG_END,
};

/* What is shown besides the object is welcome but not needed: failures leave it out. */
static struct json *list_quietly(struct cli *c, const struct client_request *r) {
    _cleanup_json_ struct json *list = NULL;
    if (client_call_wait(c->loop, c->client, r, NULL, &list, NULL) < 0)
        return NULL;
    return json_ref(json_get(list, "items"));
}

static struct json *events_of(struct cli *c, const struct target *t, const struct json *object) {
    const char *uid = json_str_or(json_path(object, "metadata", "uid"), "");
    /* events of nodes carry the node's name as uid, as the kubelet wrote them from the start */
    _cleanup_free_ char *fields =
        xasprintf("involvedObject.name=%s,involvedObject.kind=%s", t->name, t->resource->kind);
    const struct client_request r = {
        .verb = CLIENT_LIST, .resource = resource_by_plural("", "v1", "events"), .ns = t->ns, .field_selector = fields};
    _cleanup_json_ struct json *all = list_quietly(c, &r);
    struct json *mine = all ? json_array() : NULL;
    for (size_t i = 0; i < json_len(all); i++) {
        const char *of = json_str_or(json_path(json_at(all, i), "involvedObject", "uid"), "");
        if (!*of || strcmp(of, uid) == 0 || strcmp(of, t->name) == 0)
            json_append(&mine, json_ref(json_at(all, i)));
    }
    return mine;
}

static bool is_owned_by(const struct json *object, const char *uid) {
    const struct json *owners = json_path(object, "metadata", "ownerReferences");
    for (size_t i = 0; i < json_len(owners); i++)
        if (strcmp(json_str_or(json_get(json_at(owners, i), "uid"), ""), uid) == 0)
            return true;
    return false;
}

static struct json *related_to(struct cli *c, const struct target *t, const struct json *object) {
    if (strcmp(t->resource->kind, "Node") == 0) {
        _cleanup_free_ char *field = xasprintf("spec.nodeName=%s", t->name);
        const struct client_request r = {
            .verb = CLIENT_LIST, .resource = resource_by_plural("", "v1", "pods"), .field_selector = field};
        return list_quietly(c, &r);
    }
    if (strcmp(t->resource->key, "services") == 0) {
        _cleanup_free_ char *label = xasprintf("kubernetes.io/service-name=%s", t->name);
        const struct client_request r = {.verb = CLIENT_LIST,
                                         .resource = resource_by_plural("discovery.k8s.io", "v1", "endpointslices"),
                                         .ns = t->ns,
                                         .label_selector = label};
        return list_quietly(c, &r);
    }
    if (strcmp(t->resource->kind, "Deployment") != 0)
        return NULL;
    const struct client_request r = {
        .verb = CLIENT_LIST, .resource = resource_by_plural("apps", "v1", "replicasets"), .ns = t->ns};
    _cleanup_json_ struct json *all = list_quietly(c, &r);
    struct json *mine = json_array();
    for (size_t i = 0; i < json_len(all); i++)
        if (is_owned_by(json_at(all, i), json_str_or(json_path(object, "metadata", "uid"), "")))
            json_append(&mine, json_ref(json_at(all, i)));
    return mine;
}

static int describe_one(struct cli *c, const struct target *t, bool first) {
    _cleanup_json_ struct json *object = t->origin ? NULL : json_ref(t->object), *events = NULL, *related = NULL;
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    struct client_request get = target_request(t, CLIENT_GET);
    if (!object && cli_call(c, &get, NULL, &object) < 0)
        return 1;
    if (args_bool(&c->args, "show-events", true))
        events = events_of(c, t, object);
    related = related_to(c, t, object);
    const struct described d = {object, events, related, now_realtime_usec()};
    describe(&d, &out);
    printf("%s%s", first ? "" : "\n\n", strbuf_str(&out));
    return 0;
}

int cli_verb_describe(struct cli *c) {
    _cleanup_targets_ struct targets t = TARGETS_INIT;
    int r = cli_connect(c), failed = 0;
    if (r == 0)
        r = args_has(&c->args, "filename") ? targets_from_files(c, args_bool(&c->args, "recursive", false), &t)
                                           : targets_from_words(c, c->args.words, &t);
    if (r == 0)
        r = targets_list(c, args_str(&c->args, "selector"), NULL, &t);
    if (r == 0 && t.n == 0)
        fprintf(stderr, "No resources found in %s namespace.\n", c->ns);
    for (size_t i = 0; i < t.n && r == 0; i++)
        failed |= describe_one(c, &t.items[i], i == 0);
    return r ? r : failed;
}
