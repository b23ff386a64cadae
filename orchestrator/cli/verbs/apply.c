/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podium apply: the objects of files become what the files say; what others set stays. */
#include <string.h>

#include "orchestrator/cli/print.h"
#include "orchestrator/cli/strict.h"
#include "orchestrator/cli/targets.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "orchestrator/client/http_client.h"
#include "orchestrator/object/apply_patch.h"
#include "podium/base/alloc.h"

#define FIELD_MANAGER "podium"

const struct flag flags_apply[] = {
    {"filename", 'f', FLAG_VALUE, NULL, "FILE", "file, folder, or - for standard input; may be given several times"},
    {"recursive", 'R', FLAG_BOOL, NULL, NULL, "also folders below"},
    {"dry-run", 0, FLAG_OPTIONAL, "client", "WHERE",
     "client: only say what would happen; server: let the server check it"},
    {"validate", 0, FLAG_OPTIONAL, "strict", "HOW", "strict (default): unknown fields are errors; warn; ignore"},
    {"server-side", 0, FLAG_BOOL, NULL, NULL, "let the server merge (field ownership)"},
    {"force-conflicts", 0, FLAG_BOOL, NULL, NULL, "with --server-side: take fields from other owners"},
    {"field-manager", 0, FLAG_VALUE, NULL, "NAME", "whose fields these are"},
    {"output", 'o', FLAG_VALUE, NULL, "FORMAT", "yaml, json, name, jsonpath=…: show the objects instead"},
    FLAG_END,
};

struct applying {
    struct cli *c;
    struct output_format format;
    const char *dry_run, *manager; /* dry_run: NULL, "client", "server" */
    bool server_side;
};

static void tell(const struct applying *a, const struct target *t, const struct json *object, const char *outcome) {
    const char *how = !a->dry_run ? "" : strcmp(a->dry_run, "server") == 0 ? " (server dry run)" : " (dry run)";
    if (a->format.output == OUTPUT_TABLE || a->format.output == OUTPUT_WIDE) {
        _cleanup_free_ char *title = target_title(t->resource, t->name ? t->name : "");
        printf("%s %s%s\n", title, outcome, how);
    } else {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
        if (a->format.output == OUTPUT_YAML)
            strbuf_adds(&out, "---\n");
        output_print(&a->format, object, &out);
        fwrite(strbuf_str(&out), 1, out.len, stdout);
    }
    (void) fflush(stdout);
}

static int refused(const struct applying *a, const struct target *t, const char *doing, int code,
                   const struct json *status, const char *text) {
    _cleanup_free_ char *prefix = xasprintf("error when %s \"%s\": ", doing, t->origin);
    return cli_refused(a->c, code ? prefix : "", code, status, text);
}

static int create(struct applying *a, const struct target *t, struct json *wanted) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *made = NULL;
    struct client_request r = target_request(t, CLIENT_CREATE);
    int code = 0;
    r.name = NULL;
    r.body = wanted;
    r.field_manager = a->manager;
    r.dry_run = a->dry_run != NULL;
    if (a->dry_run && strcmp(a->dry_run, "client") == 0) {
        tell(a, t, wanted, "created");
        return 0;
    }
    int e = client_call_wait(a->c->loop, a->c->client, &r, &code, &made, &err);
    if (e < 0)
        return refused(a, t, "creating", code, made, error_text(&err, e));
    tell(a, t, made, "created");
    return 0;
}

static const char *version_of(const struct json *object) {
    return json_str_or(json_path(object, "metadata", "resourceVersion"), "");
}

static int change(struct applying *a, const struct target *t, const struct json *live, struct json *wanted) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *changed = NULL, *last = apply_last_applied(live), *patch = NULL;
    const struct type_info *type = type_of_kind(t->resource->api_version, t->resource->kind);
    struct client_request r = target_request(t, CLIENT_PATCH);
    int code = 0;
    if (!last && (!a->dry_run || strcmp(a->dry_run, "server") == 0))
        fprintf(stderr, "Warning: %s/%s was not made by apply: what the file does not say stays as it is\n",
                t->resource->plural, t->name);
    patch = apply_patch(type, last, live, wanted);
    if (json_len(patch) == 0) {
        tell(a, t, live, "unchanged");
        return 0;
    }
    if (a->dry_run && strcmp(a->dry_run, "client") == 0) {
        tell(a, t, wanted, "configured");
        return 0;
    }
    r.body = patch;
    r.patch_type = type ? PATCH_STRATEGIC : PATCH_MERGE;
    r.field_manager = a->manager;
    r.dry_run = a->dry_run != NULL;
    int e = client_call_wait(a->c->loop, a->c->client, &r, &code, &changed, &err);
    if (e < 0)
        return refused(a, t, "applying patch to", code, changed, error_text(&err, e));
    tell(a, t, changed, strcmp(version_of(live), version_of(changed)) == 0 && !a->dry_run ? "unchanged" : "configured");
    return 0;
}

static int apply_on_server(struct applying *a, const struct target *t, struct json *wanted) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *answer = NULL;
    struct client_request r = target_request(t, CLIENT_PATCH);
    int code = 0;
    r.body = wanted;
    r.patch_type = PATCH_APPLY;
    r.field_manager = a->manager;
    r.force = args_bool(&a->c->args, "force-conflicts", false);
    r.dry_run = a->dry_run != NULL;
    int e = client_call_wait(a->c->loop, a->c->client, &r, &code, &answer, &err);
    if (e < 0)
        return refused(a, t, "applying", code, answer, error_text(&err, e));
    tell(a, t, answer, "serverside-applied");
    return 0;
}

static int apply_one(struct applying *a, const struct target *t) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *doc = json_ref(t->object), *wanted = NULL, *live = NULL;
    struct client_request get = target_request(t, CLIENT_GET);
    int code = 0;
    if (!t->name)
        return cli_fail("%s: metadata.name is missing: apply needs it (generateName is for `podium create -f`)",
                        t->origin);
    if (t->resource->namespaced)
        json_set(json_edit(&doc, "metadata"), "namespace", json_string(t->ns));
    if (a->server_side)
        return apply_on_server(a, t, doc);
    wanted = apply_annotated(doc);
    int e = client_call_wait(a->c->loop, a->c->client, &get, &code, &live, &err);
    if (code == 404)
        return create(a, t, wanted);
    if (e < 0)
        return refused(a, t, "retrieving current configuration of", code, live, error_text(&err, e));
    return change(a, t, live, wanted);
}

static int apply(struct applying *a, struct targets *t) {
    struct cli *c = a->c;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = output_parse(args_str(&c->args, "output"), &a->format, &err);
    if (r < 0)
        return cli_usage(c, "%s", error_text(&err, r));
    if (!args_has(&c->args, "filename") || *c->args.words)
        return cli_usage(c, "must specify one of -f FILE, -f FOLDER or -f -");
    r = cli_connect(c);
    if (r == 0)
        r = targets_from_files(c, args_bool(&c->args, "recursive", false), t);
    if (r == 0)
        r = strict_check(c, t);
    int failed = 0;
    for (size_t i = 0; i < t->n && r == 0; i++)
        failed |= apply_one(a, &t->items[i]);
    return r ? r : failed;
}

int cli_verb_apply(struct cli *c) {
    _cleanup_targets_ struct targets t = TARGETS_INIT;
    struct applying a = {.c = c,
                         .dry_run = args_str(&c->args, "dry-run"),
                         .manager = args_str(&c->args, "field-manager"),
                         .server_side = args_bool(&c->args, "server-side", false)};
    if (a.dry_run && strcmp(a.dry_run, "none") == 0)
        a.dry_run = NULL;
    if (!a.manager)
        a.manager = FIELD_MANAGER;
    int r = apply(&a, &t);
    output_finish(&a.format);
    return r;
}
