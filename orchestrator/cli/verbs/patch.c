/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/cli/print.h"
#include "orchestrator/cli/targets.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "orchestrator/manifest/yaml.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"

#define PATCH_BYTES_MAX (4u * 1024u * 1024u)

const struct flag flags_patch[] = {
    {"patch", 'p', FLAG_VALUE, NULL, "PATCH", "the patch, JSON or YAML"},
    {"patch-file", 0, FLAG_VALUE, NULL, "FILE", "the patch is in this file"},
    {"type", 0, FLAG_VALUE, NULL, "TYPE", "strategic (default), merge or json"},
    {"subresource", 0, FLAG_VALUE, NULL, "NAME", "status, scale or resize"},
    {"filename", 'f', FLAG_VALUE, NULL, "FILE", "the object named in a file"},
    {"recursive", 'R', FLAG_BOOL, NULL, NULL, "with -f: also folders below"},
    {"dry-run", 0, FLAG_OPTIONAL, "server", "WHERE", "server: let the server check it only"},
    {"output", 'o', FLAG_VALUE, NULL, "FORMAT", "yaml, json, name, jsonpath=…: show the objects instead"},
    FLAG_END,
};

static int read_patch(struct cli *c, struct json **ret, enum patch_type *type) {
    static const char *const types[] = {
        [PATCH_JSON] = "json", [PATCH_MERGE] = "merge", [PATCH_STRATEGIC] = "strategic"};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    const char *inline_text = args_str(&c->args, "patch"), *file = args_str(&c->args, "patch-file");
    const char *typed = args_str(&c->args, "type");
    *type = PATCH_APPLY;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(typed ? typed : "strategic", types[i]) == 0)
            *type = (enum patch_type) i;
    if (*type == PATCH_APPLY)
        return cli_usage(c, "--type must be one of strategic, merge, json, not \"%s\"", typed);
    if (!inline_text == !file)
        return cli_usage(c, "must specify either -p PATCH or --patch-file FILE");
    int r = file ? file_read(file, PATCH_BYTES_MAX, &text, &err) : 0;
    if (inline_text)
        strbuf_adds(&text, inline_text);
    if (r == 0)
        r = yaml_parse_one(file ? file : "patch", strbuf_str(&text), text.len, ret, &err);
    return r < 0 ? cli_fail("%s", error_text(&err, r)) : 0;
}

static int patch_one(struct cli *c, const struct target *t, struct json *body, enum patch_type type,
                     const struct output_format *format) {
    _cleanup_json_ struct json *before = NULL, *after = NULL;
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    struct client_request get = target_request(t, CLIENT_GET), patch = target_request(t, CLIENT_PATCH);
    patch.subresource = args_str(&c->args, "subresource");
    patch.body = body;
    patch.patch_type = type;
    patch.field_manager = "podium";
    patch.dry_run = args_has(&c->args, "dry-run");
    if (cli_call(c, &get, NULL, &before) < 0 || cli_call(c, &patch, NULL, &after) < 0)
        return 1;
    bool same =
        json_equal(json_path(before, "metadata", "resourceVersion"), json_path(after, "metadata", "resourceVersion"));
    _cleanup_free_ char *title = target_title(t->resource, t->name);
    if (format->output == OUTPUT_TABLE || format->output == OUTPUT_WIDE)
        strbuf_addf(&out, "%s patched%s%s\n", title, patch.dry_run ? " (server dry run)" : "",
                    same && !patch.dry_run ? " (no change)" : "");
    else
        output_print(format, after, &out);
    fwrite(strbuf_str(&out), 1, out.len, stdout);
    return 0;
}

int cli_verb_patch(struct cli *c) {
    _cleanup_targets_ struct targets t = TARGETS_INIT;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *body = NULL;
    _cleanup_(output_finish) struct output_format format = {0};
    enum patch_type type;
    int failed = 0, r = output_parse(args_str(&c->args, "output"), &format, &err);
    if (r < 0)
        return cli_usage(c, "%s", error_text(&err, r));
    r = read_patch(c, &body, &type);
    if (r == 0)
        r = cli_connect(c);
    if (r == 0)
        r = args_has(&c->args, "filename") ? targets_from_files(c, args_bool(&c->args, "recursive", false), &t)
                                           : targets_from_words(c, c->args.words, &t);
    for (size_t i = 0; i < t.n && r == 0; i++) {
        if (!t.items[i].name)
            return cli_usage(c, "a name is wanted: podium patch %s NAME -p PATCH", t.items[i].resource->singular);
        failed |= patch_one(c, &t.items[i], body, type, &format);
    }
    return r ? r : failed;
}
