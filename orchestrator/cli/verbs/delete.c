/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/cli/await.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "orchestrator/client/http_client.h"
#include "podium/base/alloc.h"

const struct flag flags_delete[] = {
    {"filename", 'f', FLAG_VALUE, NULL, "FILE", "the objects named in a file, folder or - for standard input"},
    {"recursive", 'R', FLAG_BOOL, NULL, NULL, "with -f: also folders below"},
    {"selector", 'l', FLAG_VALUE, NULL, "LABELS", "objects with these labels"},
    {"field-selector", 0, FLAG_VALUE, NULL, "FIELDS", "objects with these fields"},
    {"all", 0, FLAG_BOOL, NULL, NULL, "all objects of the kind in the namespace"},
    {"grace-period", 0, FLAG_VALUE, NULL, "SECONDS", "time a pod gets to end (its own setting; 1 and --now: at once)"},
    {"now", 0, FLAG_BOOL, NULL, NULL, "the same as --grace-period=1"},
    {"force", 0, FLAG_BOOL, NULL, NULL, "forget the object at once, even if its node does not answer"},
    {"wait", 0, FLAG_BOOL, NULL, NULL, "return when the objects are gone (the default; --wait=false does not)"},
    {"timeout", 0, FLAG_VALUE, NULL, "TIME", "give up waiting after this (0: never)"},
    {"cascade", 0, FLAG_OPTIONAL, "background", "HOW",
     "background (default), foreground or orphan: what becomes of dependents"},
    {"ignore-not-found", 0, FLAG_BOOL, NULL, NULL, "what does not exist is no error"},
    {"dry-run", 0, FLAG_OPTIONAL, "client", "WHERE", "client: only say it; server: let the server check it"},
    {"output", 'o', FLAG_VALUE, NULL, "FORMAT", "name: print names only"},
    FLAG_END,
};

struct deleting {
    struct cli *c;
    struct json *options;
    const char *dry_run; /* NULL, "client", "server" */
    bool force, ignore_not_found, names_only;
};

static int make_options(struct cli *c, struct deleting *d, struct error *err) {
    static const struct {
        const char *typed, *policy;
    } cascades[] = {{"background", "Background"},
                    {"true", "Background"},
                    {"foreground", "Foreground"},
                    {"orphan", "Orphan"},
                    {"false", "Orphan"}};
    const char *typed = args_str(&c->args, "cascade"), *policy = typed ? NULL : "Background";
    int64_t grace = -1;
    for (size_t i = 0; i < ARRAY_LEN(cascades) && typed; i++)
        if (strcmp(typed, cascades[i].typed) == 0)
            policy = cascades[i].policy;
    if (!policy)
        return error_set(err, -EINVAL, "invalid cascade value \"%s\": background, foreground or orphan is wanted",
                         typed);
    int r = args_int(&c->args, "grace-period", -1, INT32_MAX, &grace, err);
    if (r < 0)
        return r;
    d->force = args_bool(&c->args, "force", false);
    if (args_bool(&c->args, "now", false))
        grace = 1;
    if (grace == 0 && !d->force)
        grace = 1; /* zero would leave processes behind on a lost node: that needs --force, as in kubectl */
    if (d->force && grace < 0)
        grace = 0;
    json_set(&d->options, "kind", json_string("DeleteOptions"));
    json_set(&d->options, "apiVersion", json_string("v1"));
    json_set(&d->options, "propagationPolicy", json_string(policy));
    if (grace >= 0)
        json_set(&d->options, "gracePeriodSeconds", json_int(grace));
    return 0;
}

static void say_deleted(const struct deleting *d, const struct target *t) {
    _cleanup_free_ char *title = target_title(t->resource, t->name);
    if (d->names_only)
        printf("%s\n", title);
    else
        printf("%s%s%s \"%s\" %sdeleted%s\n", t->resource->singular, *t->resource->group ? "." : "", t->resource->group,
               t->name, d->force ? "force " : "",
               !d->dry_run                         ? ""
               : strcmp(d->dry_run, "server") == 0 ? " (server dry run)"
                                                   : " (dry run)");
    (void) fflush(stdout);
}

/* 0, or 1 when refused (told). What is to be waited for is added to gone. */
static int delete_one(struct deleting *d, const struct target *t, struct targets *gone) {
    struct client_request get = target_request(t, CLIENT_GET), del = target_request(t, CLIENT_DELETE);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *answer = NULL, *live = NULL;
    bool only_say = d->dry_run && strcmp(d->dry_run, "client") == 0;
    int code = 0;
    del.body = d->options;
    del.dry_run = d->dry_run != NULL;
    int r = client_call_wait(d->c->loop, d->c->client, only_say ? &get : &del, &code, &answer, &err);
    if (code == 404 && d->ignore_not_found)
        return 0;
    if (r < 0)
        return cli_refused(d->c, "", code, answer, error_text(&err, r));
    say_deleted(d, t);
    /* the answer is the object when it lives on for a while, a Status with its uid when it is gone */
    const char *uid = json_str(json_path(answer, "metadata", "uid"));
    uid = uid ? uid : json_str_or(json_path(answer, "details", "uid"), "");
    json_set_path(&live, json_string(uid), "metadata", "uid");
    if (!d->dry_run)
        targets_add(gone, t->resource, t->ns, t->name, live, NULL);
    return 0;
}

static bool is_gone(void *userdata, const struct target *t, const struct json *object) {
    const char *uid = json_str_or(json_path(t->object, "metadata", "uid"), "");
    return !object || (*uid && strcmp(json_str_or(json_path(object, "metadata", "uid"), ""), uid) != 0);
}

static int choose(struct cli *c, struct targets *t, struct deleting *d) {
    bool all = args_bool(&c->args, "all", false);
    bool selects = args_has(&c->args, "selector") || args_has(&c->args, "field-selector") || all;
    int r = args_has(&c->args, "filename") ? targets_from_files(c, args_bool(&c->args, "recursive", false), t)
                                           : targets_from_words(c, c->args.words, t);
    for (size_t i = 0; i < t->n && r == 0; i++) {
        if (!t->items[i].name && !selects)
            return cli_usage(c, "resource(s) were provided, but no name was specified: give names, -l LABELS or --all");
        if (t->items[i].name && selects && !t->items[i].origin)
            return cli_usage(c, "name cannot be provided when a selector or --all is specified");
    }
    d->ignore_not_found = args_bool(&c->args, "ignore-not-found", selects);
    return r ? r : targets_list(c, args_str(&c->args, "selector"), args_str(&c->args, "field-selector"), t);
}

static int delete_all(struct deleting *d, struct targets *t) {
    struct cli *c = d->c;
    _cleanup_targets_ struct targets gone = TARGETS_INIT;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    const struct target *late = NULL;
    int64_t timeout = 0;
    int failed = 0, r = args_duration(&c->args, "timeout", &timeout, &err);
    if (r < 0)
        return cli_usage(c, "%s", error_text(&err, r));
    if (t->n == 0 && !d->names_only)
        puts("No resources found");
    if (d->force && !d->dry_run)
        fputs(
            "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. "
            "The resource may continue to run on the cluster indefinitely.\n",
            stderr);
    for (size_t i = 0; i < t->n; i++)
        failed |= delete_one(d, &t->items[i], &gone);
    if (gone.n == 0 || !args_bool(&c->args, "wait", true))
        return failed;
    r = cli_await(c, &gone, is_gone, NULL, NULL, timeout > 0 ? (uint64_t) timeout : AWAIT_FOR_EVER, &late);
    if (r == -ETIME && late)
        return cli_fail("timed out waiting for %s/%s to be gone", late->resource->plural, late->name);
    return r < 0 ? cli_fail("%s", error_text(NULL, r)) : failed;
}

int cli_verb_delete(struct cli *c) {
    _cleanup_targets_ struct targets t = TARGETS_INIT;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct deleting d = {.c = c, .dry_run = args_str(&c->args, "dry-run")};
    const char *format = args_str(&c->args, "output");
    d.names_only = format && strcmp(format, "name") == 0;
    if (d.dry_run && strcmp(d.dry_run, "none") == 0)
        d.dry_run = NULL;
    int r = make_options(c, &d, &err);
    if (r < 0)
        r = cli_usage(c, "%s", error_text(&err, r));
    else
        r = cli_connect(c);
    if (r == 0)
        r = choose(c, &t, &d);
    if (r == 0)
        r = delete_all(&d, &t);
    json_unref(d.options);
    return r;
}
