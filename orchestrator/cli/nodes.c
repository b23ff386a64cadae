/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/nodes.h"

#include <string.h>

#include "podium/base/alloc.h"

int node_set_cordoned(struct cli *c, const struct target *t, bool cordon, bool dry_run) {
    _cleanup_json_ struct json *live = NULL, *body = NULL;
    struct client_request get = target_request(t, CLIENT_GET), patch = target_request(t, CLIENT_PATCH);
    const char *suffix = dry_run ? " (dry run)" : "";
    if (cli_call(c, &get, NULL, &live) < 0)
        return 1;
    if (json_bool_or(json_path(live, "spec", "unschedulable"), false) == cordon) {
        printf("node/%s already %s%s\n", t->name, cordon ? "cordoned" : "uncordoned", suffix);
        return 0;
    }
    json_set_path(&body, cordon ? json_bool(true) : json_null(), "spec", "unschedulable");
    patch.body = body;
    patch.patch_type = PATCH_MERGE;
    patch.field_manager = "podium";
    if (!dry_run && cli_call(c, &patch, NULL, NULL) < 0)
        return 1;
    printf("node/%s %s%s\n", t->name, cordon ? "cordoned" : "uncordoned", suffix);
    (void) fflush(stdout);
    return 0;
}

int nodes_by_typed(struct cli *c, char *const *names, struct targets *ret) {
    const struct resource *nodes = resource_by_plural("", "v1", "nodes");
    const char *selector = args_str(&c->args, "selector");
    if (!*names == !selector)
        return cli_usage(c, "node names, or -l LABELS, are wanted");
    if (cli_connect(c) != 0)
        return 1;
    if (selector)
        targets_add(ret, nodes, NULL, NULL, NULL, NULL);
    for (; *names; names++) {
        const char *slash = strchr(*names, '/');
        targets_add(ret, nodes, NULL, slash ? slash + 1 : *names, NULL, NULL);
    }
    if (targets_list(c, selector, NULL, ret) != 0)
        return 1;
    return ret->n == 0 ? cli_fail("no node has these labels") : 0;
}
