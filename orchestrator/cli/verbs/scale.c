/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/cli/targets.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "podium/base/alloc.h"

const struct flag flags_scale[] = {
    {"replicas", 0, FLAG_VALUE, NULL, "N", "how many there shall be"},
    {"current-replicas", 0, FLAG_VALUE, NULL, "N", "only if there are that many now"},
    {"filename", 'f', FLAG_VALUE, NULL, "FILE", "the objects named in a file, folder or -"},
    {"recursive", 'R', FLAG_BOOL, NULL, NULL, "with -f: also folders below"},
    {"selector", 'l', FLAG_VALUE, NULL, "LABELS", "objects with these labels"},
    {"all", 0, FLAG_BOOL, NULL, NULL, "all objects of the kind in the namespace"},
    FLAG_END,
};

static int scale_one(struct cli *c, const struct target *t, int64_t replicas, int64_t current) {
    struct client_request get = target_request(t, CLIENT_GET), patch = target_request(t, CLIENT_PATCH);
    _cleanup_json_ struct json *scale = NULL, *body = NULL;
    if (!resource_subresource(t->resource, "scale"))
        return cli_fail("%s cannot be scaled: they have no replicas", t->resource->plural);
    get.subresource = patch.subresource = "scale";
    if (current >= 0) {
        if (cli_call(c, &get, NULL, &scale) < 0)
            return 1;
        int64_t now = json_int_or(json_path(scale, "spec", "replicas"), 0);
        if (now != current)
            return cli_fail("Expected replicas to be %lld, was %lld", (long long) current, (long long) now);
        /* whoever changes it in between wins: the version goes along */
        json_set_path(&body, json_ref(json_path(scale, "metadata", "resourceVersion")), "metadata", "resourceVersion");
    }
    json_set_path(&body, json_int(replicas), "spec", "replicas");
    patch.body = body;
    patch.patch_type = PATCH_MERGE;
    patch.field_manager = "podium";
    if (cli_call(c, &patch, NULL, NULL) < 0)
        return 1;
    _cleanup_free_ char *title = target_title(t->resource, t->name);
    printf("%s scaled\n", title);
    return 0;
}

int cli_verb_scale(struct cli *c) {
    _cleanup_targets_ struct targets t = TARGETS_INIT;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int64_t replicas = -1, current = -1;
    bool selects = args_has(&c->args, "selector") || args_bool(&c->args, "all", false);
    int r = args_int(&c->args, "replicas", 0, INT32_MAX, &replicas, &err);
    if (r == 0)
        r = args_int(&c->args, "current-replicas", -1, INT32_MAX, &current, &err);
    if (r < 0)
        return cli_usage(c, "%s", error_text(&err, r));
    if (replicas < 0)
        return cli_usage(c, "the --replicas=N flag is required");
    r = cli_connect(c);
    if (r == 0)
        r = args_has(&c->args, "filename") ? targets_from_files(c, args_bool(&c->args, "recursive", false), &t)
                                           : targets_from_words(c, c->args.words, &t);
    for (size_t i = 0; i < t.n && r == 0; i++)
        if (!t.items[i].name && !selects)
            return cli_usage(c, "a name, -l LABELS or --all is wanted");
    if (r == 0)
        r = targets_list(c, args_str(&c->args, "selector"), NULL, &t);
    if (r == 0 && t.n == 0)
        return cli_fail("no objects passed to scale");
    for (size_t i = 0; i < t.n && r != 2; i++)
        r |= scale_one(c, &t.items[i], replicas, current);
    return r;
}
