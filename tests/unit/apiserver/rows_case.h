/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One case: a request to a real server and what must come back.
 *
 *   base: pod            a valid object of bases.yaml; without it that of the type's site
 *   op: create           or update, status, patch, delete, get, post; all but create act on a stored base
 *   before: {path: value}  changes to the base that is stored
 *   status: {path: value}  then written through its status
 *   prepare: {subresource, set}  then written through another subresource
 *   deleted: true        then deleted (finalizers hold it)
 *   set: {path: value}   changes to what is sent; patch: the body is `body`, of content type `type`
 *   del: [path]
 *   subresource: scale   query: "pretty=true"   body: {}   type: application/…   path: /api/… (instead of the object's)
 *   error: "path: message"  or errors: [...]: all causes, in any order; a message ending in "..." is the beginning of
 *                        one. Without any, the request must succeed.
 *   code: 403            reason: Forbidden   message: "…" (or its beginning and "...")
 *   result: {path: value}  members of the answer; null: absent
 *   among: true          other causes may come as well     quiet: path  none may come for that field
 * Paths are below the site (bases.yaml, sites), or of the document when they begin with "/".
 */
#ifndef TESTS_APISERVER_ROWS_CASE_H
#define TESTS_APISERVER_ROWS_CASE_H

#include "orchestrator/object/resources.h"
#include "tests/unit/apiserver/rows_document.h"
#include "tests/unit/apiserver/server_fixture.h"

struct rows_world {
    struct fixture fixture;
    struct json *bases, *sites, *texts;
};

/* What a case is tried on. */
struct rows_trial {
    struct rows_world *world;
    const struct json *it; /* the case, expanded */
    const char *at;
    struct strbuf url; /* of the object, or of its list for create */
    struct json *stored;
    struct strbuf *why; /* what is wrong with the answer; empty: nothing */
};

static inline bool rows_matches(const char *have, const char *want) {
    size_t n = strlen(want);
    if (n >= 3 && strcmp(want + n - 3, "...") == 0)
        return strncmp(have, want, n - 3) == 0;
    return strcmp(have, want) == 0;
}

/* --- causes --- */

static inline const char *rows_reason(const char *message) {
    static const char *const labels[][2] = {
        {"Required value", "FieldValueRequired"},
        {"Invalid value", "FieldValueInvalid"},
        {"Unsupported value", "FieldValueNotSupported"},
        {"Duplicate value", "FieldValueDuplicate"},
        {"Forbidden", "FieldValueForbidden"},
        {"Too long", "FieldValueTooLong"},
        {"Too many", "FieldValueTooMany"},
        {"Not found", "FieldValueNotFound"},
        {"Internal error", "InternalError"},
    };
    for (size_t i = 0; i < ARRAY_LEN(labels); i++)
        if (strncmp(message, labels[i][0], strlen(labels[i][0])) == 0)
            return labels[i][1];
    return "";
}

static inline bool rows_cause_is(const struct json *cause, const char *field, const char *message) {
    return strcmp(json_get_str(cause, "field"), field) == 0 && rows_matches(json_get_str(cause, "message"), message) &&
           strcmp(json_get_str(cause, "reason"), rows_reason(message)) == 0;
}

static inline void rows_check_causes(struct rows_trial *t, const struct json *causes, const struct json *wanted) {
    bool taken[256] = {false};
    for (size_t i = 0; i < json_len(wanted); i++) {
        const char *text = json_str(json_at(wanted, i)), *colon = strstr(text, ": ");
        _cleanup_free_ char *name = xstrndup(text, colon ? (size_t) (colon - text) : 0),
                            *field = rows_path(t->at, name);
        bool found = false;
        for (size_t k = 0; k < json_len(causes) && k < ARRAY_LEN(taken) && !found; k++) {
            found = colon && !taken[k] && rows_cause_is(json_at(causes, k), field, colon + 2);
            taken[k] = taken[k] || found;
        }
        if (!found)
            strbuf_addf(t->why, "      wanted: %s: %s\n", field, colon ? colon + 2 : text);
    }
    bool among = json_bool_or(json_get(t->it, "among"), false);
    for (size_t k = 0; k < json_len(causes) && k < ARRAY_LEN(taken); k++)
        if (!taken[k] && (!among || t->why->len))
            strbuf_addf(t->why, "      came: %s: %s (%s)\n", json_get_str(json_at(causes, k), "field"),
                        json_get_str(json_at(causes, k), "message"), json_get_str(json_at(causes, k), "reason"));
}

static inline void rows_check_quiet(struct rows_trial *t, const struct json *causes) {
    _cleanup_free_ char *path = rows_path(t->at, json_get_str(t->it, "quiet"));
    for (size_t i = 0; i < json_len(causes); i++)
        if (strcmp(json_get_str(json_at(causes, i), "field"), path) == 0)
            strbuf_addf(t->why, "      should be fine: %s: %s\n", path, json_get_str(json_at(causes, i), "message"));
}

static inline void rows_check_answer(struct rows_trial *t, const struct answer *a) {
    const struct json *causes = json_path(a->body, "details", "causes"), *code = json_get(t->it, "code");
    _cleanup_json_ struct json *wanted = json_ref(json_get(t->it, "errors"));
    if (json_get(t->it, "error"))
        json_append(&wanted, json_ref(json_get(t->it, "error")));
    if (json_get(t->it, "quiet")) {
        rows_check_quiet(t, causes);
        return;
    }
    if (json_len(wanted) || a->code == 422)
        rows_check_causes(t, causes, wanted);
    long want = json_len(wanted) ? 422 : 200;
    bool right = code ? a->code == json_int_or(code, 0) : want == 422 ? a->code == 422 : a->code / 100 == 2;
    if (!right)
        strbuf_addf(t->why, "      code %ld instead of %ld: %.300s\n", a->code, code ? json_int_or(code, 0) : want,
                    json_get(a->body, "message") ? message_of(a) : strbuf_str(&a->text));
    if (json_get(t->it, "message") && !rows_matches(message_of(a), json_get_str(t->it, "message")))
        strbuf_addf(t->why, "      message: %s\n", message_of(a));
    if (json_get(t->it, "reason") && strcmp(reason_of(a), json_get_str(t->it, "reason")) != 0)
        strbuf_addf(t->why, "      reason: %s\n", reason_of(a));
    const struct json *result = json_get(t->it, "result");
    for (size_t i = 0; i < json_len(result); i++) {
        _cleanup_free_ char *path = rows_path(t->at, json_key_at(result, i));
        const struct json *have = rows_get(a->body, path);
        if (json_equal(have, json_value_at(result, i)) ||
            (json_is_null(have) && json_is_null(json_value_at(result, i))))
            continue;
        _cleanup_free_ char *text = json_to_text(have);
        strbuf_addf(t->why, "      %s is %s\n", path, have ? text : "absent");
    }
}

/* --- requests --- */

static inline void rows_list_url(struct strbuf *url, const struct json *object) {
    const char *version = json_get_str(object, "apiVersion");
    const struct resource *r = resource_by_api_version(version, json_get_str(object, "kind"));
    if (!r)
        fail_msg("no such kind: %s %s", version, json_get_str(object, "kind"));
    strbuf_addf(url, "/%s/%s", strchr(version, '/') ? "apis" : "api", version);
    if (r->namespaced)
        strbuf_addf(url, "/namespaces/%s", json_str_or(json_path(object, "metadata", "namespace"), "default"));
    strbuf_addf(url, "/%s", r->plural);
}

static inline struct answer rows_send(struct rows_trial *t, const char *method, const char *more, const char *type,
                                      const struct json *body) {
    _cleanup_free_ char *url = xasprintf("%s%s", strbuf_str(&t->url), more), *text = json_is_string(body)
                                                                                         ? xstrdup(json_str(body))
                                                                                     : body ? json_to_text(body)
                                                                                            : NULL;
    return ask_as(&t->world->fixture, method, url, type, NULL, text);
}

/* The base as the case wants it to be there; the URL then is the object's. */
static inline bool rows_store(struct rows_trial *t, struct json *base) {
    _cleanup_json_ struct json *object = json_ref(base);
    rows_change(&object, t->at, json_get(t->it, "before"), NULL);
    _cleanup_answer_ struct answer created = rows_send(t, "POST", "", NULL, object);
    if (created.code != 201) {
        strbuf_addf(t->why, "      cannot store the base: %s\n", message_of(&created));
        return false;
    }
    strbuf_addf(&t->url, "/%s", json_str_or(json_path(created.body, "metadata", "name"), ""));
    t->stored = json_ref(created.body);
    if (json_get(t->it, "status")) {
        rows_change(&t->stored, "", json_get(t->it, "status"), NULL);
        _cleanup_answer_ struct answer a = rows_send(t, "PUT", "/status", NULL, t->stored);
        if (a.code != 200)
            strbuf_addf(t->why, "      cannot set the status: %s\n", message_of(&a));
        json_unref(t->stored);
        t->stored = json_ref(a.body);
    }
    if (json_get(t->it, "prepare")) {
        const struct json *p = json_get(t->it, "prepare");
        _cleanup_free_ char *more = xasprintf("/%s", json_get_str(p, "subresource"));
        rows_change(&t->stored, t->at, json_get(p, "set"), NULL);
        _cleanup_answer_ struct answer a = rows_send(t, "PUT", more, NULL, t->stored);
        if (a.code != 200)
            strbuf_addf(t->why, "      cannot prepare: %s\n", message_of(&a));
        json_unref(t->stored);
        t->stored = json_ref(a.body);
    }
    if (json_bool_or(json_get(t->it, "deleted"), false)) {
        _cleanup_answer_ struct answer gone = rows_send(t, "DELETE", "", NULL, NULL),
                                       a = rows_send(t, "GET", "", NULL, NULL);
        json_unref(t->stored);
        t->stored = json_ref(a.body);
    }
    return t->why->len == 0;
}

static inline void rows_forget(struct rows_trial *t) {
    if (!t->stored)
        return;
    _cleanup_answer_ struct answer gone = rows_send(t, "DELETE", "?gracePeriodSeconds=0", NULL, NULL),
                                   left = rows_send(t, "GET", "", NULL, NULL);
    if (left.code == 200) {
        _cleanup_answer_ struct answer freed =
            ask_as(&t->world->fixture, "PATCH", strbuf_str(&t->url), "application/merge-patch+json", NULL,
                   "{\"metadata\":{\"finalizers\":null}}");
    }
    if (left.code == 200 && json_get_is(left.body, "kind", "Namespace")) { /* no controller is here to empty it */
        rows_del(&left.body, "spec.finalizers");
        rows_del(&left.body, "metadata.resourceVersion");
        _cleanup_answer_ struct answer emptied = rows_send(t, "PUT", "/finalize", NULL, left.body);
    }
    json_unref(t->stored);
}

static inline struct answer rows_request(struct rows_trial *t, const char *op, struct json *base) {
    static const char *const methods[][2] = {{"create", "POST"}, {"update", "PUT"},    {"status", "PUT"},
                                             {"patch", "PATCH"}, {"delete", "DELETE"}, {"get", "GET"},
                                             {"post", "POST"}};
    const char *method = "", *query = json_get_str(t->it, "query");
    const char *sub = strcmp(op, "status") == 0 ? "status" : json_get_str(t->it, "subresource");
    _cleanup_free_ char *more = xasprintf("%s%s%s%s", *sub ? "/" : "", sub,
                                          *query                              ? "?"
                                          : *sub && strcmp(op, "status") != 0 ? ""
                                                                              : "?dryRun=All",
                                          query);
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (strcmp(methods[i][0], op) == 0)
            method = methods[i][1];
    if (!*method)
        fail_msg("no such op: %s", op);
    if ((strcmp(op, "get") == 0 || strcmp(op, "delete") == 0) && !*query)
        more[strcspn(more, "?")] = '\0';
    if (json_get(t->it, "path")) {
        strbuf_finish(&t->url);
        t->url = (struct strbuf) STRBUF_INIT;
        strbuf_adds(&t->url, json_get_str(t->it, "path"));
    }
    const char *type = json_str(json_get(t->it, "type"));
    if (json_get(t->it, "body") || strcmp(op, "patch") == 0 || strcmp(op, "delete") == 0 || strcmp(op, "get") == 0)
        return rows_send(t, method, more,
                         type                       ? type
                         : strcmp(op, "patch") == 0 ? "application/merge-patch+json"
                                                    : NULL,
                         json_get(t->it, "body"));
    _cleanup_json_ struct json *object = json_ref(t->stored ? t->stored : base);
    rows_change(&object, t->at, json_get(t->it, "set"), json_get(t->it, "del"));
    return rows_send(t, method, more, type, object);
}

/* site: {base, at} of the type; with: changes to the base that all cases of the row share. False: *why says what. */
static inline bool rows_try(struct rows_world *w, const struct json *site, const struct json *with,
                            const struct json *one, struct strbuf *why) {
    _cleanup_json_ struct json *it = rows_expanded(w->texts, one), *more = rows_expanded(w->texts, with);
    const char *name = json_str_or(json_get(it, "base"), json_get_str(site, "base"));
    const char *op = json_str_or(json_get(it, "op"), "create");
    struct rows_trial t = {.world = w, .it = it, .at = json_get_str(site, "at"), .why = why};
    if (!json_get(w->bases, name))
        fail_msg("no base \"%s\" in bases.yaml", name);
    _cleanup_json_ struct json *base = rows_expanded(w->texts, json_get(w->bases, name));
    rows_change(&base, t.at, more, NULL);
    rows_list_url(&t.url, base);
    if (strcmp(op, "create") == 0 || json_get(it, "path") || rows_store(&t, base)) {
        _cleanup_free_ char *object_url = xstrdup(strbuf_str(&t.url));
        _cleanup_answer_ struct answer a = rows_request(&t, op, base);
        rows_check_answer(&t, &a);
        strbuf_finish(&t.url);
        t.url = (struct strbuf) STRBUF_INIT;
        strbuf_adds(&t.url, object_url);
    }
    rows_forget(&t);
    strbuf_finish(&t.url);
    return why->len == 0;
}

#endif
