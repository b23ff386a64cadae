/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podium label, podium annotate: "key=value" sets, "key-" removes. */
#include <string.h>

#include "orchestrator/cli/targets.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "podium/base/alloc.h"

#define EDIT_FLAGS                                                                                                     \
    {"overwrite", 0, FLAG_BOOL, NULL, NULL, "change values that are there already"},                                   \
        {"selector", 'l', FLAG_VALUE, NULL, "LABELS", "objects with these labels"},                                    \
        {"all", 0, FLAG_BOOL, NULL, NULL, "all objects of the kind in the namespace"},                                 \
        {"filename", 'f', FLAG_VALUE, NULL, "FILE", "the objects named in a file, folder or -"},                       \
        {"recursive", 'R', FLAG_BOOL, NULL, NULL, "with -f: also folders below"},                                      \
        {"list", 0, FLAG_BOOL, NULL, NULL, "show what is set"},                                                        \
        {"dry-run", 0, FLAG_OPTIONAL, "server", "WHERE", "server: let the server check it only"}, FLAG_END

const struct flag flags_label[] = {EDIT_FLAGS};
const struct flag flags_annotate[] = {EDIT_FLAGS};

struct editing {
    struct cli *c;
    const char *field;    /* "labels" */
    const char *done;     /* "labeled" */
    struct json *changes; /* key → string or null */
};

/* Words with "=" or a "-" at the end, behind the objects, are changes. */
static bool is_change(const char *word) {
    size_t n = strlen(word);
    return strchr(word, '=') || (n > 1 && word[n - 1] == '-');
}

static char **split_words(struct editing *e, char *const *words) {
    char **objects = strv_new();
    for (; *words; words++) {
        const char *equals = strchr(*words, '=');
        if (!is_change(*words) || !*objects) {
            strv_push_dup(&objects, *words);
            continue;
        }
        _cleanup_free_ char *key = xstrndup(*words, equals ? (size_t) (equals - *words) : strlen(*words) - 1);
        json_set(&e->changes, key, equals ? json_string(equals + 1) : json_null());
    }
    return objects;
}

static int check_overwrite(const struct editing *e, const struct target *t, const struct json *now, bool *same) {
    *same = true;
    for (size_t i = 0; i < json_len(e->changes); i++) {
        const char *key = json_key_at(e->changes, i);
        const struct json *wanted = json_value_at(e->changes, i), *is = json_get(now, key);
        if (json_is_null(wanted) ? is == NULL : is && json_equal(wanted, is))
            continue;
        *same = false;
        if (is && !json_is_null(wanted) && !args_bool(&e->c->args, "overwrite", false))
            return cli_fail("%s/%s: '%s' already has a value (%s), and --overwrite is false", t->resource->plural,
                            t->name, key, json_str_or(is, ""));
    }
    return 0;
}

static void list_values(const struct json *now) {
    for (size_t i = 0; i < json_len(now); i++)
        printf("%s=%s\n", json_key_at(now, i), json_str_or(json_value_at(now, i), ""));
}

static int edit_one(struct editing *e, const struct target *t) {
    _cleanup_json_ struct json *live = NULL, *body = NULL;
    struct client_request get = target_request(t, CLIENT_GET), patch = target_request(t, CLIENT_PATCH);
    bool same;
    if (cli_call(e->c, &get, NULL, &live) < 0)
        return 1;
    const struct json *now = json_path(live, "metadata", e->field);
    _cleanup_free_ char *title = target_title(t->resource, t->name);
    if (json_len(e->changes) == 0) {
        list_values(now);
        return 0;
    }
    if (check_overwrite(e, t, now, &same) != 0)
        return 1;
    if (same) {
        printf("%s not %s\n", title, e->done);
        return 0;
    }
    json_set_path(&body, json_ref(e->changes), "metadata", e->field);
    patch.body = body;
    patch.patch_type = PATCH_MERGE;
    patch.field_manager = "podium";
    patch.dry_run = args_has(&e->c->args, "dry-run");
    if (cli_call(e->c, &patch, NULL, NULL) < 0)
        return 1;
    printf("%s %s%s\n", title, e->done, patch.dry_run ? " (server dry run)" : "");
    return 0;
}

static int choose(struct editing *e, char *const *objects, struct targets *t) {
    struct cli *c = e->c;
    bool selects = args_has(&c->args, "selector") || args_bool(&c->args, "all", false);
    int r = args_has(&c->args, "filename") ? targets_from_files(c, args_bool(&c->args, "recursive", false), t)
                                           : targets_from_words(c, objects, t);
    for (size_t i = 0; i < t->n && r == 0; i++)
        if (!t->items[i].name && !selects)
            return cli_usage(c, "a name, -l LABELS or --all is wanted");
    return r ? r : targets_list(c, args_str(&c->args, "selector"), NULL, t);
}

static int edit(struct cli *c, const char *field, const char *done) {
    _cleanup_targets_ struct targets t = TARGETS_INIT;
    struct editing e = {.c = c, .field = field, .done = done, .changes = json_object()};
    _cleanup_strv_ char **objects = split_words(&e, c->args.words);
    int failed = 0, r = 0;
    if (json_len(e.changes) == 0 && !args_bool(&c->args, "list", false))
        r = cli_usage(c, "at least one KEY=VALUE or KEY- is required (--list shows what is set)");
    if (r == 0)
        r = cli_connect(c);
    if (r == 0)
        r = choose(&e, objects, &t);
    for (size_t i = 0; i < t.n && r == 0; i++)
        failed |= edit_one(&e, &t.items[i]);
    json_unref(e.changes);
    return r ? r : failed;
}

int cli_verb_label(struct cli *c) {
    return edit(c, "labels", "labeled");
}

int cli_verb_annotate(struct cli *c) {
    return edit(c, "annotations", "annotated");
}
