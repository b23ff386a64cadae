/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podium rollout: how a deployment gets from one template to the next, and back. */
#include <string.h>

#include "orchestrator/cli/await.h"
#include "orchestrator/cli/describe/describe.h"
#include "orchestrator/cli/print.h"
#include "orchestrator/cli/tabs.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define REVISION     "deployment.kubernetes.io/revision"
#define CHANGE_CAUSE "kubernetes.io/change-cause"
#define RESTARTED_AT "kubectl.kubernetes.io/restartedAt"
#define HASH_LABEL   "pod-template-hash"

const struct flag flags_rollout[] = {
    {"timeout", 0, FLAG_VALUE, NULL, "TIME", "status: give up after this (0: never)"},
    {"watch", 'w', FLAG_BOOL, NULL, NULL, "status: until it is done (the default; --watch=false looks once)"},
    {"to-revision", 0, FLAG_VALUE, NULL, "N", "undo: to this revision (0: the one before)"},
    {"revision", 0, FLAG_VALUE, NULL, "N", "history: show this revision whole"},
    {"selector", 'l', FLAG_VALUE, NULL, "LABELS", "deployments with these labels"},
    FLAG_END,
};

/* --- status --- */

struct following {
    char *said; /* the last message, so that it is not said twice */
    bool failed;
};

static int64_t number(const struct json *object, const char *part, const char *key, int64_t otherwise) {
    return json_int_or(json_path(object, part, key), otherwise);
}

/* NULL when it is done; else what is missing. The caller frees. */
static char *missing(const struct json *d, const char *name, bool *failed) {
    const struct json *conditions = json_path(d, "status", "conditions");
    int64_t wanted = number(d, "spec", "replicas", 1), updated = number(d, "status", "updatedReplicas", 0);
    int64_t total = number(d, "status", "replicas", 0), available = number(d, "status", "availableReplicas", 0);
    if (number(d, "metadata", "generation", 0) > number(d, "status", "observedGeneration", 0))
        return xstrdup("Waiting for deployment spec update to be observed...");
    for (size_t i = 0; i < json_len(conditions); i++)
        *failed |= strcmp(json_str_or(json_get(json_at(conditions, i), "reason"), ""), "ProgressDeadlineExceeded") == 0;
    if (*failed)
        return xasprintf("error: deployment \"%s\" exceeded its progress deadline", name);
    if (updated < wanted)
        return xasprintf(
            "Waiting for deployment \"%s\" rollout to finish: %lld out of %lld new replicas have been updated...", name,
            (long long) updated, (long long) wanted);
    if (total > updated)
        return xasprintf(
            "Waiting for deployment \"%s\" rollout to finish: %lld old replicas are pending termination...", name,
            (long long) (total - updated));
    if (available < updated)
        return xasprintf(
            "Waiting for deployment \"%s\" rollout to finish: %lld of %lld updated replicas are available...", name,
            (long long) available, (long long) updated);
    return NULL;
}

static bool is_rolled_out(void *userdata, const struct target *t, const struct json *object) {
    struct following *f = userdata;
    if (!object) {
        f->failed = true;
        (void) cli_fail("deployment \"%s\" is gone", t->name);
        return true;
    }
    _cleanup_free_ char *text = missing(object, t->name, &f->failed);
    if (!text) {
        printf("deployment \"%s\" successfully rolled out\n", t->name);
        return true;
    }
    if (!f->said || strcmp(f->said, text) != 0) {
        fprintf(f->failed ? stderr : stdout, "%s\n", text);
        (void) fflush(stdout);
        free(f->said);
        f->said = steal(&text);
    }
    return f->failed;
}

static int status(struct cli *c, struct targets *t) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct following f = {0};
    int64_t timeout = 0;
    int r = args_duration(&c->args, "timeout", &timeout, &err);
    if (r < 0)
        return cli_usage(c, "%s", error_text(&err, r));
    for (size_t i = 0; i < t->n; i++) { /* it must exist: waiting for its coming is not meant */
        struct client_request get = target_request(&t->items[i], CLIENT_GET);
        if (cli_call(c, &get, NULL, NULL) < 0)
            return 1;
    }
    bool once = !args_bool(&c->args, "watch", true);
    r = cli_await(c, t, is_rolled_out, NULL, &f, once ? 0 : timeout > 0 ? (uint64_t) timeout : AWAIT_FOR_EVER, NULL);
    free(f.said);
    if (r == -ETIME && once)
        return 0;
    if (r < 0)
        return cli_fail("%s", r == -ETIME ? "timed out waiting for the rollout" : error_text(NULL, r));
    return f.failed;
}

/* --- patches --- */

static int patch(struct cli *c, const struct target *t, enum patch_type type, struct json *take_body,
                 const char *done) {
    _cleanup_json_ struct json *body = take_body;
    struct client_request r = target_request(t, CLIENT_PATCH);
    r.body = body;
    r.patch_type = type;
    r.field_manager = "podium";
    if (cli_call(c, &r, NULL, NULL) < 0)
        return 1;
    _cleanup_free_ char *title = target_title(t->resource, t->name);
    printf("%s %s\n", title, done);
    return 0;
}

static int restart(struct cli *c, struct targets *t) {
    char now[TIMESTAMP_SIZE];
    int failed = 0;
    timestamp_format(now_realtime_usec(), now);
    for (size_t i = 0; i < t->n; i++) {
        struct json *body = NULL;
        json_set_path(&body, json_string(now), "spec", "template", "metadata", "annotations", RESTARTED_AT);
        failed |= patch(c, &t->items[i], PATCH_MERGE, body, "restarted");
    }
    return failed;
}

static int set_paused(struct cli *c, struct targets *t, bool paused) {
    int failed = 0;
    for (size_t i = 0; i < t->n; i++) {
        struct json *body = NULL;
        json_set_path(&body, json_bool(paused), "spec", "paused");
        failed |= patch(c, &t->items[i], PATCH_MERGE, body, paused ? "paused" : "resumed");
    }
    return failed;
}

static int pause_rollout(struct cli *c, struct targets *t) {
    return set_paused(c, t, true);
}

static int resume_rollout(struct cli *c, struct targets *t) {
    return set_paused(c, t, false);
}

/* --- revisions --- */

static int64_t revision_of(const struct json *object) {
    return strtoll(json_str_or(json_path(object, "metadata", "annotations", REVISION), "0"), NULL, 10);
}

static bool is_owned_by(const struct json *object, const struct json *owner) {
    const struct json *owners = json_path(object, "metadata", "ownerReferences");
    for (size_t i = 0; i < json_len(owners); i++)
        if (json_equal(json_get(json_at(owners, i), "uid"), json_path(owner, "metadata", "uid")))
            return true;
    return false;
}

static int compare_revisions(const void *a, const void *b) {
    int64_t x = revision_of(*(struct json *const *) a), y = revision_of(*(struct json *const *) b);
    return x < y ? -1 : x > y;
}

/* The deployment and its replica sets, oldest first. Told; 0 or 1. The caller unrefs. */
static int read_revisions(struct cli *c, const struct target *t, struct json **deployment, struct json **sets) {
    _cleanup_json_ struct json *list = NULL;
    struct client_request get = target_request(t, CLIENT_GET);
    const struct client_request all = {
        .verb = CLIENT_LIST, .resource = resource_by_plural("apps", "v1", "replicasets"), .ns = t->ns};
    if (cli_call(c, &get, NULL, deployment) < 0 || cli_call(c, &all, NULL, &list) < 0)
        return 1;
    const struct json *items = json_get(list, "items");
    _cleanup_free_ struct json **mine = xcalloc(json_len(items) + 1, sizeof(*mine));
    size_t n = 0;
    for (size_t i = 0; i < json_len(items); i++)
        if (is_owned_by(json_at(items, i), *deployment))
            mine[n++] = json_at(items, i);
    qsort(mine, n, sizeof(*mine), compare_revisions);
    *sets = json_array();
    for (size_t i = 0; i < n; i++)
        json_append(sets, json_ref(mine[i]));
    return 0;
}

static const struct json *find_revision(const struct json *sets, int64_t revision) {
    for (size_t i = 0; i < json_len(sets); i++)
        if (revision_of(json_at(sets, i)) == revision)
            return json_at(sets, i);
    return NULL;
}

static int history_of(struct cli *c, const struct target *t, int64_t revision) {
    _cleanup_json_ struct json *deployment = NULL, *sets = NULL;
    _cleanup_strbuf_ struct strbuf raw = STRBUF_INIT, out = STRBUF_INIT;
    if (read_revisions(c, t, &deployment, &sets) != 0)
        return 1;
    _cleanup_free_ char *title = target_title(t->resource, t->name);
    if (revision > 0) {
        const struct json *rs = find_revision(sets, revision);
        if (!rs)
            return cli_fail("unable to find the specified revision %lld", (long long) revision);
        strbuf_addf(&raw, "%s with revision #%lld\n", title, (long long) revision);
        describe_template(json_path(rs, "spec", "template"), &raw);
    } else {
        strbuf_addf(&raw, "%s\nREVISION\tCHANGE-CAUSE\n", title);
        for (size_t i = 0; i < json_len(sets); i++)
            strbuf_addf(&raw, "%lld\t%s\n", (long long) revision_of(json_at(sets, i)),
                        json_str_or(json_path(json_at(sets, i), "metadata", "annotations", CHANGE_CAUSE), "<none>"));
    }
    tabs_align(strbuf_str(&raw), 2, &out);
    printf("%s\n", strbuf_str(&out));
    return 0;
}

static int history(struct cli *c, struct targets *t) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int64_t revision = 0;
    int failed = 0, r = args_int(&c->args, "revision", 0, INT64_MAX, &revision, &err);
    if (r < 0)
        return cli_usage(c, "%s", error_text(&err, r));
    for (size_t i = 0; i < t->n; i++)
        failed |= history_of(c, &t->items[i], revision);
    return failed;
}

static int undo_one(struct cli *c, const struct target *t, int64_t revision) {
    _cleanup_json_ struct json *deployment = NULL, *sets = NULL, *body = NULL, *step = json_object(), *pods = NULL;
    if (read_revisions(c, t, &deployment, &sets) != 0)
        return 1;
    size_t n = json_len(sets);
    const struct json *rs = revision > 0 ? find_revision(sets, revision) : n >= 2 ? json_at(sets, n - 2) : NULL;
    if (!rs && revision == 0)
        return cli_fail("no rollout history found for deployment \"%s\"", t->name);
    if (!rs)
        return cli_fail("unable to find the specified revision %lld; `podium rollout history` lists them",
                        (long long) revision);
    if (json_bool_or(json_path(deployment, "spec", "paused"), false))
        return cli_fail(
            "you cannot rollback a paused deployment; resume it first with 'podium rollout resume' and try again");
    pods = json_ref(json_path(rs, "spec", "template"));
    json_del(json_edit(json_edit(&pods, "metadata"), "labels"), HASH_LABEL);
    if (json_equal(pods, json_path(deployment, "spec", "template"))) {
        printf("deployment.apps/%s skipped rollback (current template already matches revision %lld)\n", t->name,
               (long long) revision_of(rs));
        return 0;
    }
    json_set(&step, "op", json_string("replace"));
    json_set(&step, "path", json_string("/spec/template"));
    json_set(&step, "value", json_ref(pods));
    json_append(&body, json_ref(step));
    return patch(c, t, PATCH_JSON, steal(&body), "rolled back");
}

static int undo(struct cli *c, struct targets *t) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int64_t revision = 0;
    int failed = 0, r = args_int(&c->args, "to-revision", 0, INT64_MAX, &revision, &err);
    if (r < 0)
        return cli_usage(c, "%s", error_text(&err, r));
    for (size_t i = 0; i < t->n; i++)
        failed |= undo_one(c, &t->items[i], revision);
    return failed;
}

/* --- the verb --- */

int cli_verb_rollout(struct cli *c) {
    static const struct {
        const char *name;
        int (*run)(struct cli *c, struct targets *t);
    } subs[] = {{"status", status},   {"restart", restart},     {"undo", undo},
                {"history", history}, {"pause", pause_rollout}, {"resume", resume_rollout}};
    _cleanup_targets_ struct targets t = TARGETS_INIT;
    char *const *words = c->args.words;
    size_t i = 0;
    while (i < ARRAY_LEN(subs) && (!*words || strcmp(subs[i].name, *words) != 0))
        i++;
    if (i == ARRAY_LEN(subs))
        return cli_usage(c, "rollout status, restart, undo, history, pause or resume is wanted%s%s",
                         *words ? ", not " : "", *words ? *words : "");
    int r = cli_connect(c);
    if (r == 0)
        r = targets_from_words(c, words + 1, &t);
    for (size_t j = 0; j < t.n && r == 0; j++) {
        if (strcmp(t.items[j].resource->kind, "Deployment") != 0)
            return cli_fail("no rollouts for %s: only deployments have them", t.items[j].resource->plural);
        if (!t.items[j].name && !args_has(&c->args, "selector"))
            return cli_usage(c, "a name is wanted: podium rollout %s deployment/NAME", *words);
    }
    if (r == 0)
        r = targets_list(c, args_str(&c->args, "selector"), NULL, &t);
    return r ? r : subs[i].run(c, &t);
}
