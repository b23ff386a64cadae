/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/pods.h"

#include <string.h>

#include "orchestrator/cli/targets.h"
#include "orchestrator/object/selector.h"
#include "podium/base/alloc.h"

#define DEFAULT_CONTAINER "kubectl.kubernetes.io/default-container"

/* The pods a workload or a Service selects; the first that runs, else the first. */
static int first_selected(struct cli *c, const struct target *owner, struct json **ret) {
    _cleanup_(selector_freep) struct selector *selector = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *object = NULL, *list = NULL;
    struct client_request get = target_request(owner, CLIENT_GET);
    if (cli_call(c, &get, NULL, &object) < 0)
        return 1;
    const struct json *s = json_path(object, "spec", "selector");
    bool is_map = s && !json_get(s, "matchLabels") && !json_get(s, "matchExpressions");
    int r = is_map ? selector_from_map(s, &selector, &err) : selector_from_object(s, &selector, &err);
    if (!s || r < 0)
        return cli_fail("%s/%s selects no pods", owner->resource->plural, owner->name);
    _cleanup_free_ char *text = selector_to_text(selector);
    const struct client_request pods = {
        .verb = CLIENT_LIST, .resource = resource_by_name("pods"), .ns = owner->ns, .label_selector = text};
    if (cli_call(c, &pods, NULL, &list) < 0)
        return 1;
    const struct json *items = json_get(list, "items");
    if (json_len(items) == 0)
        return cli_fail("%s/%s has no pods", owner->resource->plural, owner->name);
    size_t chosen = 0;
    for (size_t i = json_len(items); i-- > 0;)
        if (strcmp(json_str_or(json_path(json_at(items, i), "status", "phase"), ""), "Running") == 0 &&
            !json_path(json_at(items, i), "metadata", "deletionTimestamp"))
            chosen = i;
    *ret = json_ref(json_at(items, chosen));
    return 0;
}

int pod_by_typed(struct cli *c, const char *typed, struct json **ret) {
    _cleanup_targets_ struct targets t = TARGETS_INIT;
    const struct resource *pods = resource_by_name("pods");
    char *const words[] = {(char *) typed, NULL};
    int r = 0;
    if (strchr(typed, '/'))
        r = targets_from_words(c, words, &t);
    else
        targets_add(&t, pods, c->ns, typed, NULL, NULL);
    if (r != 0)
        return r;
    if (t.items[0].resource != pods)
        return first_selected(c, &t.items[0], ret);
    struct client_request get = target_request(&t.items[0], CLIENT_GET);
    return cli_call(c, &get, NULL, ret) < 0 ? 1 : 0;
}

const char *pod_container(const struct cli *c, const struct json *pod) {
    const char *asked = args_str(&c->args, "container");
    const char *annotated = json_str(json_path(pod, "metadata", "annotations", DEFAULT_CONTAINER));
    const struct json *containers = json_path(pod, "spec", "containers");
    if (asked && *asked)
        return asked;
    if (annotated && *annotated)
        return annotated;
    const char *first = json_str(json_get(json_at(containers, 0), "name"));
    if (json_len(containers) > 1) {
        fprintf(stderr, "Defaulted container \"%s\" out of:", first);
        for (size_t i = 0; i < json_len(containers); i++)
            fprintf(stderr, "%s %s", i ? "," : "", json_str_or(json_get(json_at(containers, i), "name"), ""));
        fputc('\n', stderr);
    }
    return first;
}
