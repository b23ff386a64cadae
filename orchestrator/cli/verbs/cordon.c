/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podium cordon, podium uncordon: whether a node takes new pods; podium node: get, list, describe of nodes. */
#include <string.h>

#include "orchestrator/cli/targets.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "podium/base/alloc.h"

const struct flag flags_cordon[] = {
    {"selector", 'l', FLAG_VALUE, NULL, "LABELS", "nodes with these labels"},
    FLAG_END,
};

static int set_one(struct cli *c, const struct target *t, bool cordon) {
    _cleanup_json_ struct json *live = NULL, *body = NULL;
    struct client_request get = target_request(t, CLIENT_GET), patch = target_request(t, CLIENT_PATCH);
    if (cli_call(c, &get, NULL, &live) < 0)
        return 1;
    if (json_bool_or(json_path(live, "spec", "unschedulable"), false) == cordon) {
        printf("node/%s already %s\n", t->name, cordon ? "cordoned" : "uncordoned");
        return 0;
    }
    json_set_path(&body, cordon ? json_bool(true) : json_null(), "spec", "unschedulable");
    patch.body = body;
    patch.patch_type = PATCH_MERGE;
    patch.field_manager = "podium";
    if (cli_call(c, &patch, NULL, NULL) < 0)
        return 1;
    printf("node/%s %s\n", t->name, cordon ? "cordoned" : "uncordoned");
    return 0;
}

static int set_all(struct cli *c, char *const *names, bool cordon) {
    _cleanup_targets_ struct targets t = TARGETS_INIT;
    const struct resource *nodes = resource_by_plural("", "v1", "nodes");
    const char *selector = args_str(&c->args, "selector");
    int failed = 0;
    if (!*names == !selector)
        return cli_usage(c, "node names, or -l LABELS, are wanted");
    if (cli_connect(c) != 0)
        return 1;
    if (selector)
        targets_add(&t, nodes, NULL, NULL, NULL, NULL);
    for (; *names; names++) {
        const char *slash = strchr(*names, '/');
        targets_add(&t, nodes, NULL, slash ? slash + 1 : *names, NULL, NULL);
    }
    if (targets_list(c, selector, NULL, &t) != 0)
        return 1;
    if (t.n == 0)
        return cli_fail("no node has these labels");
    for (size_t i = 0; i < t.n; i++)
        failed |= set_one(c, &t.items[i], cordon);
    return failed;
}

int cli_verb_cordon(struct cli *c) {
    return set_all(c, c->args.words, true);
}

int cli_verb_uncordon(struct cli *c) {
    return set_all(c, c->args.words, false);
}
