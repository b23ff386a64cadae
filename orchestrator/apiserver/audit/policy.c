/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/audit/policy.h"

#include <errno.h>
#include <string.h>

#include "orchestrator/manifest/yaml.h"
#include "podium/base/alloc.h"
#include "podium/base/cleanup.h"

struct rule {
    enum audit_level level;
    unsigned omit_stages; /* the policy's own are in it */
    bool omit_managed_fields;
    const struct json *users, *groups, *verbs, *resources, *namespaces, *paths; /* borrowed from the document */
};

struct audit_policy {
    struct json *doc; /* keeps the rules' lists */
    size_t n;
    struct rule rules[];
};

static const char *const levels[] = {[AUDIT_NONE] = "None",
                                     [AUDIT_METADATA] = "Metadata",
                                     [AUDIT_REQUEST] = "Request",
                                     [AUDIT_REQUEST_RESPONSE] = "RequestResponse"};
static const char *const stages[] = {[AUDIT_RECEIVED] = "RequestReceived",
                                     [AUDIT_RESPONSE_STARTED] = "ResponseStarted",
                                     [AUDIT_RESPONSE_COMPLETE] = "ResponseComplete",
                                     [AUDIT_PANIC] = "Panic"};

const char *audit_level_name(enum audit_level level) {
    return levels[level];
}

const char *audit_stage_name(enum audit_stage stage) {
    return stages[stage];
}

void audit_policy_free(struct audit_policy *p) {
    if (!p)
        return;
    json_unref(p->doc);
    free(p);
}

struct audit_policy *audit_policy_metadata(void) {
    struct audit_policy *p = xcalloc(1, sizeof(*p) + sizeof(p->rules[0]));
    p->n = 1;
    p->rules[0].level = AUDIT_METADATA;
    return p;
}

/* --- reading --- */

static int index_of(const char *const *names, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return (int) i;
    return -1;
}

static int known_fields(const char *file, const struct json *o, const char *const *known, struct error *err) {
    for (size_t i = 0; i < json_len(o); i++) {
        const char *const *k = known;
        while (*k && strcmp(*k, json_key_at(o, i)) != 0)
            k++;
        if (!*k)
            return error_set(err, -EINVAL, "%s:%u: unknown field \"%s\" in an audit policy", file,
                             json_line(json_value_at(o, i)), json_key_at(o, i));
    }
    return 0;
}

static int is_texts(const char *file, const struct json *list, const char *field, struct error *err) {
    bool good = json_is_null(list) || json_is_array(list);
    for (size_t i = 0; good && i < json_len(list); i++)
        good = json_is_string(json_at(list, i));
    return good ? 0 : error_set(err, -EINVAL, "%s:%u: %s must be a list of strings", file, json_line(list), field);
}

static int take_stages(const char *file, const struct json *o, unsigned *ret, struct error *err) {
    const struct json *list = json_get(o, "omitStages");
    int r = is_texts(file, list, "omitStages", err);
    for (size_t i = 0; r == 0 && i < json_len(list); i++) {
        int stage = index_of(stages, ARRAY_LEN(stages), json_str(json_at(list, i)));
        if (stage < 0)
            return error_set(err, -EINVAL, "%s:%u: unknown stage \"%s\"", file, json_line(list),
                             json_str(json_at(list, i)));
        *ret |= 1u << stage;
    }
    return r;
}

static int check_resources(const char *file, const struct json *list, struct error *err) {
    static const char *const known[] = {"group", "resources", "resourceNames", NULL};
    if (!json_is_null(list) && !json_is_array(list))
        return error_set(err, -EINVAL, "%s:%u: resources must be a list", file, json_line(list));
    int r = 0;
    for (size_t i = 0; r == 0 && i < json_len(list); i++) {
        const struct json *g = json_at(list, i);
        if (!json_is_object(g) || !(json_is_null(json_get(g, "group")) || json_is_string(json_get(g, "group"))))
            return error_set(err, -EINVAL, "%s:%u: resources must name groups and their resources", file, json_line(g));
        r = known_fields(file, g, known, err);
        if (r == 0)
            r = is_texts(file, json_get(g, "resources"), "resources", err);
        if (r == 0)
            r = is_texts(file, json_get(g, "resourceNames"), "resourceNames", err);
        if (r == 0 && json_len(json_get(g, "resourceNames")) > 0 && json_len(json_get(g, "resources")) == 0)
            return error_set(err, -EINVAL, "%s:%u: using resourceNames requires at least one resource", file,
                             json_line(g));
    }
    return r;
}

static int check_paths(const char *file, const struct json *list, struct error *err) {
    int r = is_texts(file, list, "nonResourceURLs", err);
    for (size_t i = 0; r == 0 && i < json_len(list); i++) {
        const char *path = json_str(json_at(list, i)), *star = strchr(path, '*');
        if (strcmp(path, "*") != 0 && (*path != '/' || (star && star[1])))
            return error_set(err, -EINVAL,
                             "%s:%u: non-resource URL \"%s\" must begin with '/', with a '*' only at its end", file,
                             json_line(json_at(list, i)), path);
    }
    return r;
}

static int take_rule(const char *file, const struct json *o, struct rule *rule, struct error *err) {
    static const char *const known[] = {"level",      "users",      "userGroups",        "verbs",           "resources",
                                        "namespaces", "omitStages", "omitManagedFields", "nonResourceURLs", NULL};
    static const char *const texts[] = {"users", "userGroups", "verbs", "namespaces"};
    const char *level = json_get_str(o, "level");
    int found = index_of(levels, ARRAY_LEN(levels), level);
    if (!json_is_object(o))
        return error_set(err, -EINVAL, "%s:%u: a rule must be an object", file, json_line(o));
    int r = known_fields(file, o, known, err);
    if (r == 0 && found < 0)
        return error_set(err, -EINVAL, "%s:%u: level must be None, Metadata, Request or RequestResponse, not \"%s\"",
                         file, json_line(o), level);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(texts); i++)
        r = is_texts(file, json_get(o, texts[i]), texts[i], err);
    if (r == 0)
        r = check_resources(file, json_get(o, "resources"), err);
    if (r == 0)
        r = check_paths(file, json_get(o, "nonResourceURLs"), err);
    if (r == 0)
        r = take_stages(file, o, &rule->omit_stages, err);
    if (r < 0)
        return r;
    rule->level = (enum audit_level) found;
    rule->users = json_get(o, "users");
    rule->groups = json_get(o, "userGroups");
    rule->verbs = json_get(o, "verbs");
    rule->resources = json_get(o, "resources");
    rule->namespaces = json_get(o, "namespaces");
    rule->paths = json_get(o, "nonResourceURLs");
    rule->omit_managed_fields = json_bool_or(json_get(o, "omitManagedFields"), rule->omit_managed_fields);
    if (json_len(rule->paths) > 0 && (json_len(rule->resources) > 0 || json_len(rule->namespaces) > 0))
        return error_set(err, -EINVAL, "%s:%u: rules cannot apply to both regular resources and non-resource URLs",
                         file, json_line(o));
    return 0;
}

int audit_policy_parse(const char *file, const char *text, size_t n, struct audit_policy **ret, struct error *err) {
    static const char *const known[] = {"apiVersion",        "kind",  "metadata", "omitStages",
                                        "omitManagedFields", "rules", NULL};
    _cleanup_json_ struct json *doc = NULL;
    unsigned omit = 0;
    int r = yaml_parse_one(file, text, n, &doc, err);
    if (r == 0 && json_is_object(doc))
        r = known_fields(file, doc, known, err);
    if (r == 0 && (!json_get_is(doc, "apiVersion", "audit.k8s.io/v1") || !json_get_is(doc, "kind", "Policy")))
        return error_set(err, -EINVAL, "%s: not an audit.k8s.io/v1 Policy", file);
    const struct json *rules = json_get(doc, "rules");
    if (r == 0 && (!json_is_array(rules) || json_len(rules) == 0))
        return error_set(err, -EINVAL, "%s: an audit policy without rules records nothing", file);
    if (r == 0)
        r = take_stages(file, doc, &omit, err);
    if (r < 0)
        return r;
    struct audit_policy *p = xcalloc(1, sizeof(*p) + json_len(rules) * sizeof(p->rules[0]));
    for (p->n = 0; r == 0 && p->n < json_len(rules); p->n++) {
        p->rules[p->n].omit_stages = omit;
        p->rules[p->n].omit_managed_fields = json_bool_or(json_get(doc, "omitManagedFields"), false);
        r = take_rule(file, json_at(rules, p->n), &p->rules[p->n], err);
    }
    p->doc = steal(&doc);
    if (r < 0) {
        audit_policy_free(p);
        return r;
    }
    *ret = p;
    return 0;
}

/* --- deciding --- */

static bool has(const struct json *list, const char *s) {
    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str(json_at(list, i)), s) == 0)
            return true;
    return false;
}

static bool has_any(const struct json *list, char *const *of) {
    for (; of && *of; of++)
        if (has(list, *of))
            return true;
    return false;
}

/* "pods", "pods/log", "pods" and all below, anything's "status", everything. */
static bool names_resource(const char *s, const struct audit_question *q) {
    size_t n = strlen(q->plural), len = strlen(s);
    if (strcmp(s, "*") == 0)
        return true;
    if (strncmp(s, q->plural, n) == 0 && (s[n] == '/' ? strcmp(s + n + 1, q->subname) == 0 : !s[n] && !*q->subname))
        return true;
    if (strncmp(s, "*/", 2) == 0 && *q->subname && strcmp(s + 2, q->subname) == 0)
        return true;
    return len == n + 2 && strncmp(s, q->plural, n) == 0 && strcmp(s + n, "/*") == 0;
}

static bool in_group(const struct json *g, const struct audit_question *q) {
    const struct json *plurals = json_get(g, "resources"), *names = json_get(g, "resourceNames");
    if (strcmp(json_get_str(g, "group"), q->group) != 0)
        return false;
    if (json_len(plurals) == 0)
        return true;
    for (size_t i = 0; i < json_len(plurals); i++)
        if (names_resource(json_str(json_at(plurals, i)), q))
            return json_len(names) == 0 || has(names, q->name);
    return false;
}

static bool fits_resource(const struct rule *r, const struct audit_question *q) {
    if (!q->plural || (json_len(r->namespaces) > 0 && !has(r->namespaces, q->ns)))
        return false;
    for (size_t i = 0; i < json_len(r->resources); i++)
        if (in_group(json_at(r->resources, i), q))
            return true;
    return json_len(r->resources) == 0;
}

static bool fits_path(const struct rule *r, const struct audit_question *q) {
    for (size_t i = 0; !q->plural && i < json_len(r->paths); i++) {
        const char *s = json_str(json_at(r->paths, i));
        size_t n = strlen(s);
        if (strcmp(s, q->path) == 0 || (s[n - 1] == '*' && strncmp(s, q->path, n - 1) == 0))
            return true;
    }
    return false;
}

static bool fits(const struct rule *r, const struct audit_question *q) {
    if (json_len(r->users) > 0 && (!q->user || !has(r->users, q->user)))
        return false;
    if (json_len(r->groups) > 0 && !has_any(r->groups, q->groups))
        return false;
    if (json_len(r->verbs) > 0 && !has(r->verbs, q->verb))
        return false;
    if (json_len(r->namespaces) > 0 || json_len(r->resources) > 0)
        return fits_resource(r, q);
    return json_len(r->paths) > 0 ? fits_path(r, q) : true;
}

struct audit_answer audit_policy_decide(const struct audit_policy *p, const struct audit_question *q) {
    for (size_t i = 0; i < p->n; i++)
        if (fits(&p->rules[i], q))
            return (struct audit_answer){p->rules[i].level, p->rules[i].omit_stages, p->rules[i].omit_managed_fields};
    return (struct audit_answer){.level = AUDIT_NONE};
}
