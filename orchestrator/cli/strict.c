/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/strict.h"

#include <string.h>

#include "orchestrator/object/schema.h"
#include "podium/base/alloc.h"

/* 0, or 1 when something is wrong (told). */
static int check_one(const struct target *t, bool only_warn) {
    const struct type_info *type = type_of_kind(t->resource->api_version, t->resource->kind);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *doc = json_ref(t->object);
    _cleanup_strv_ char **unknown = strv_new();
    if (!type)
        return 0;
    int r = schema_decode(type, &doc, &unknown, &err);
    if (r < 0)
        return cli_fail("%s: %s", t->origin, error_text(&err, r));
    for (char **u = unknown; *u; u++)
        if (only_warn)
            fprintf(stderr, "Warning: %s: %s\n", t->origin, *u);
        else
            (void) cli_fail("%s: %s in %s (--validate=warn lets it pass)", t->origin, *u, t->resource->kind);
    return !only_warn && *unknown;
}

int strict_check(struct cli *c, const struct targets *t) {
    const char *how = args_str(&c->args, "validate");
    int failed = 0;
    if (how && (strcmp(how, "ignore") == 0 || strcmp(how, "false") == 0))
        return 0;
    if (how && strcmp(how, "strict") != 0 && strcmp(how, "warn") != 0 && strcmp(how, "true") != 0)
        return cli_usage(c, "--validate is strict, warn or ignore, not \"%s\"", how);
    for (size_t i = 0; i < t->n; i++)
        failed |= check_one(&t->items[i], how && strcmp(how, "warn") == 0);
    return failed;
}
