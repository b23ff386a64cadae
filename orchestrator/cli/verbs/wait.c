/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podium wait: until a condition holds, a field has a value, or objects have come or gone. */
#include <string.h>

#include "orchestrator/cli/await.h"
#include "orchestrator/cli/jsonpath.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define WEEK_USEC (7 * 24 * 3600 * USEC_PER_SEC)

const struct flag flags_wait[] = {
    {"for", 0, FLAG_VALUE, NULL, "WHAT",
     "condition=NAME[=VALUE], delete, create, or jsonpath={.path}[=VALUE]; --for=condition=Ready"},
    {"timeout", 0, FLAG_VALUE, NULL, "TIME", "give up after this (30s; 0 looks once, negative waits a week)"},
    {"selector", 'l', FLAG_VALUE, NULL, "LABELS", "objects with these labels"},
    {"field-selector", 0, FLAG_VALUE, NULL, "FIELDS", "objects with these fields"},
    {"all", 0, FLAG_BOOL, NULL, NULL, "all objects of the kind"},
    {"filename", 'f', FLAG_VALUE, NULL, "FILE", "the objects named in a file, folder or -"},
    {"recursive", 'R', FLAG_BOOL, NULL, NULL, "with -f: also folders below"},
    {"output", 'o', FLAG_VALUE, NULL, "FORMAT", "name: print names only"},
    FLAG_END,
};

enum wanted { FOR_CONDITION, FOR_DELETE, FOR_CREATE, FOR_JSONPATH };
struct waiting {
    enum wanted wanted;
    char *condition, *value; /* value of a JSONPath: NULL is any */
    struct jsonpath *path;
    bool names_only;
};

static int parse_jsonpath(const char *text, struct waiting *w, struct error *err) {
    const char *close = strrchr(text, '}');
    const char *equals = strchr(close ? close : text, '=');
    _cleanup_free_ char *path = equals ? xstrndup(text, (size_t) (equals - text)) : xstrdup(text);
    w->wanted = FOR_JSONPATH;
    w->value = equals ? xstrdup(equals + 1) : NULL;
    return jsonpath_parse_relaxed(path, &w->path, err);
}

static int parse_for(const char *text, struct waiting *w, struct error *err) {
    if (text && strcasecmp(text, "delete") == 0) {
        w->wanted = FOR_DELETE;
        return 0;
    }
    if (text && strcasecmp(text, "create") == 0) {
        w->wanted = FOR_CREATE;
        return 0;
    }
    if (text && strncmp(text, "condition=", 10) == 0 && text[10]) {
        size_t n = strcspn(text + 10, "=");
        w->wanted = FOR_CONDITION;
        w->condition = xstrndup(text + 10, n);
        w->value = xstrdup(text[10 + n] ? text + 10 + n + 1 : "True");
        return 0;
    }
    if (text && strncmp(text, "jsonpath=", 9) == 0 && text[9])
        return parse_jsonpath(text + 9, w, err);
    return error_set(
        err, -EINVAL,
        "--for=condition=NAME[=VALUE], --for=delete, --for=create or --for='jsonpath={.path}=VALUE' is wanted");
}

static bool has_condition(const struct waiting *w, const struct json *object) {
    const struct json *conditions = json_path(object, "status", "conditions");
    int64_t generation = json_int_or(json_path(object, "metadata", "generation"), 0);
    for (size_t i = 0; i < json_len(conditions); i++) {
        const struct json *c = json_at(conditions, i);
        if (strcasecmp(json_str_or(json_get(c, "type"), ""), w->condition) != 0)
            continue;
        /* a condition about an older generation says nothing about what was asked for */
        if (json_int_or(json_get(c, "observedGeneration"), generation) < generation ||
            json_int_or(json_path(object, "status", "observedGeneration"), generation) < generation)
            return false;
        return strcasecmp(json_str_or(json_get(c, "status"), ""), w->value) == 0;
    }
    return false;
}

static bool has_value(const struct waiting *w, const struct json *object) {
    _cleanup_json_ struct json *found = jsonpath_find(w->path, object);
    if (json_len(found) == 0)
        return false;
    if (!w->value)
        return true;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    jsonpath_print(w->path, object, &text);
    return strcmp(strbuf_str(&text), w->value) == 0;
}

static bool is_met(void *userdata, const struct target *t, const struct json *object) {
    const struct waiting *w = userdata;
    switch (w->wanted) {
    case FOR_DELETE:
        return !object || (t->object &&
                           !json_equal(json_path(object, "metadata", "uid"), json_path(t->object, "metadata", "uid")));
    case FOR_CREATE:
        return object != NULL;
    case FOR_CONDITION:
        return object && has_condition(w, object);
    case FOR_JSONPATH:
        return object && has_value(w, object);
    }
    return false;
}

static void on_met(void *userdata, const struct target *t) {
    const struct waiting *w = userdata;
    _cleanup_free_ char *title = target_title(t->resource, t->name);
    if (w->names_only)
        printf("%s\n", title);
    else
        printf("%s condition met\n", title);
    (void) fflush(stdout);
}

static bool selects(const struct cli *c) {
    return args_has(&c->args, "selector") || args_has(&c->args, "field-selector") || args_bool(&c->args, "all", false);
}

/* Objects to be waited on must exist, except for those whose coming or going is waited for. */
static int fill_in(struct cli *c, const struct waiting *w, struct targets *t) {
    for (size_t i = 0; i < t->n; i++) {
        struct target *x = &t->items[i];
        struct client_request r = target_request(x, CLIENT_GET);
        if (x->object && !x->origin)
            continue;
        json_unref(steal(&x->object)); /* the document of a file */
        if (w->wanted == FOR_CREATE || w->wanted == FOR_DELETE)
            continue;
        if (cli_call(c, &r, NULL, &x->object) < 0)
            return 1;
    }
    return 0;
}

static int choose(struct cli *c, const struct waiting *w, struct targets *t) {
    int r = args_has(&c->args, "filename") ? targets_from_files(c, args_bool(&c->args, "recursive", false), t)
                                           : targets_from_words(c, c->args.words, t);
    for (size_t i = 0; i < t->n && r == 0; i++)
        if (!t->items[i].name && !selects(c))
            return cli_usage(c, "a name, -l LABELS or --all is wanted");
    if (r == 0)
        r = targets_list(c, args_str(&c->args, "selector"), args_str(&c->args, "field-selector"), t);
    if (r == 0)
        r = fill_in(c, w, t);
    if (r == 0 && t->n == 0 && w->wanted != FOR_DELETE)
        return cli_fail("no matching resources found");
    return r;
}

static int wait_for(struct cli *c, struct waiting *w, struct targets *t) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    const struct target *late = NULL;
    int64_t timeout = 30 * (int64_t) USEC_PER_SEC;
    int r = args_duration(&c->args, "timeout", &timeout, &err);
    if (r == 0)
        r = parse_for(args_str(&c->args, "for"), w, &err);
    if (r < 0)
        return cli_usage(c, "%s", error_text(&err, r));
    const char *format = args_str(&c->args, "output");
    w->names_only = format && strcmp(format, "name") == 0;
    r = cli_connect(c);
    if (r == 0)
        r = choose(c, w, t);
    if (r != 0)
        return r;
    r = cli_await(c, t, is_met, on_met, w, timeout < 0 ? WEEK_USEC : (uint64_t) timeout, &late);
    if (r == -ETIME && late)
        return cli_fail("timed out waiting for the condition on %s/%s", late->resource->plural, late->name);
    return r < 0 ? cli_fail("%s", error_text(NULL, r)) : 0;
}

int cli_verb_wait(struct cli *c) {
    _cleanup_targets_ struct targets t = TARGETS_INIT;
    struct waiting w = {0};
    int r = wait_for(c, &w, &t);
    free(w.condition);
    free(w.value);
    jsonpath_free(w.path);
    return r;
}
