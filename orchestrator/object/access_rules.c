/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/access_rules.h"

#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/selector.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

static const char *const well_known[] = {"get",    "list",  "watch",  "create",
                                         "update", "patch", "delete", "deletecollection"};
#define ALL_BITS ((1u << ARRAY_LEN(well_known)) - 1)

unsigned access_verb_bit(const char *verb) {
    for (unsigned i = 0; i < ARRAY_LEN(well_known); i++)
        if (strcmp(verb, well_known[i]) == 0)
            return 1u << i;
    return 0;
}

/* --- compiling --- */

static const char *const list_keys[] = {"verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"};

static const char **fill(const char **at, const struct json *list) {
    for (size_t i = 0; i < json_len(list); i++)
        *at++ = json_str_or(json_at(list, i), "");
    *at++ = NULL;
    return at;
}

static unsigned bits_of(const char *const *verbs) {
    unsigned bits = 0;
    for (; *verbs; verbs++)
        bits |= strcmp(*verbs, "*") == 0 ? ALL_BITS : access_verb_bit(*verbs);
    return bits;
}

struct access_rules *access_rules_new(const struct json *rules) {
    struct access_rules *r = xnew0(struct access_rules);
    size_t n = 0;
    r->doc = json_ref(rules);
    r->n = json_len(rules);
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < ARRAY_LEN(list_keys); k++)
            n += json_len(json_get(json_at(rules, i), list_keys[k])) + 1;
    r->rules = xcalloc(r->n + 1, sizeof(*r->rules));
    r->texts = xcalloc(n + 1, sizeof(*r->texts));
    const char **at = r->texts;
    for (size_t i = 0; i < r->n; i++) {
        struct access_rule *rule = &r->rules[i];
        const char *const **lists[] = {&rule->verbs, &rule->groups, &rule->resources, &rule->names, &rule->paths};
        rule->doc = json_at(rules, i);
        for (size_t k = 0; k < ARRAY_LEN(list_keys); k++) {
            *lists[k] = (const char *const *) at;
            at = fill(at, json_get(rule->doc, list_keys[k]));
        }
        rule->verb_bits = bits_of(rule->verbs);
    }
    return r;
}

void access_rules_free(struct access_rules *r) {
    if (!r)
        return;
    json_unref(r->doc);
    free(r->rules);
    free(r->texts);
    free(r);
}

/* --- allowing --- */

static bool has(const char *const *list, const char *s) {
    for (; *list; list++)
        if (strcmp(*list, s) == 0)
            return true;
    return false;
}

static bool has_or_all(const char *const *list, const char *s) {
    for (; *list; list++)
        if (strcmp(*list, s) == 0 || strcmp(*list, "*") == 0)
            return true;
    return false;
}

/* "pods", "pods/log", "*", and any resource's log as "*" followed by "/log". */
static bool resource_listed(const char *const *list, const char *plural, const char *subname) {
    size_t n = strlen(plural);
    for (; *list; list++) {
        const char *s = *list;
        if (s[0] == '*' && (!s[1] || (s[1] == '/' && *subname && strcmp(s + 2, subname) == 0)))
            return true;
        if (strncmp(s, plural, n) != 0)
            continue;
        if (*subname ? s[n] == '/' && strcmp(s + n + 1, subname) == 0 : !s[n])
            return true;
    }
    return false;
}

static bool path_covers(const char *own, const char *path) {
    size_t n = strlen(own);
    if (strcmp(own, path) == 0)
        return true;
    if (n == 0 || own[n - 1] != '*')
        return false;
    while (n > 0 && own[n - 1] == '*')
        n--;
    return strncmp(own, path, n) == 0;
}

static bool path_listed(const char *const *list, const char *path) {
    for (; *list; list++)
        if (path_covers(*list, path))
            return true;
    return false;
}

static bool verb_listed(const struct access_rule *rule, const char *verb, unsigned bit) {
    return bit ? (rule->verb_bits & bit) != 0 : has_or_all(rule->verbs, verb);
}

bool access_rule_allows(const struct access_rule *rule, const struct access_attempt *a) {
    if (!verb_listed(rule, a->verb, a->verb_bit))
        return false;
    if (a->path)
        return path_listed(rule->paths, a->path);
    return has_or_all(rule->groups, a->group) && resource_listed(rule->resources, a->plural, a->subname) &&
           (!*rule->names || has(rule->names, a->name));
}

/* --- covering --- */

/* Does the rule cover this resource as it is written in a rule ("*", "pods", "pods/log", "*" with "/log")? */
static bool covers_resource(const char *const *list, const char *resource) {
    const char *slash = strchr(resource, '/');
    for (; *list; list++) {
        const char *s = *list;
        if (strcmp(s, "*") == 0 || strcmp(s, resource) == 0)
            return true;
        if (slash && s[0] == '*' && s[1] == '/' && strcmp(s + 1, slash) == 0)
            return true;
    }
    return false;
}

/* name NULL: all names. */
static bool rule_covers(const struct access_rule *own, const char *verb, const char *group, const char *resource,
                        const char *name) {
    return has_or_all(own->verbs, verb) && has_or_all(own->groups, group) &&
           covers_resource(own->resources, resource) && (!*own->names || (name && has(own->names, name)));
}

static struct json *one(const char *s) {
    struct json *list = json_array();
    json_append(&list, json_string(s));
    return list;
}

struct search {
    const struct access_rule *const *owner;
    size_t n_owner;
    struct json *missing;
};

static void want_resource(struct search *s, const char *verb, const char *group, const char *resource,
                          const char *name) {
    for (size_t i = 0; i < s->n_owner; i++)
        if (rule_covers(s->owner[i], verb, group, resource, name))
            return;
    struct json *rule = json_object();
    json_set(&rule, "verbs", one(verb));
    json_set(&rule, "apiGroups", one(group));
    json_set(&rule, "resources", one(resource));
    if (name)
        json_set(&rule, "resourceNames", one(name));
    json_append(&s->missing, rule);
}

static void want_path(struct search *s, const char *verb, const char *path) {
    for (size_t i = 0; i < s->n_owner; i++)
        if (has_or_all(s->owner[i]->verbs, verb) && path_listed(s->owner[i]->paths, path))
            return;
    struct json *rule = json_object();
    json_set(&rule, "verbs", one(verb));
    json_set(&rule, "nonResourceURLs", one(path));
    json_append(&s->missing, rule);
}

static void want_rule(struct search *s, const struct access_rule *rule) {
    for (const char *const *v = rule->verbs; *v; v++) {
        for (const char *const *g = rule->groups; *g; g++)
            for (const char *const *r = rule->resources; *r; r++) {
                if (!*rule->names)
                    want_resource(s, *v, *g, *r, NULL);
                for (const char *const *n = rule->names; *n; n++)
                    want_resource(s, *v, *g, *r, *n);
            }
        for (const char *const *p = rule->paths; *p; p++)
            want_path(s, *v, *p);
    }
}

struct json *access_rules_missing(const struct access_rule *const *owner, size_t n_owner,
                                  const struct access_rules *wanted) {
    struct search s = {.owner = owner, .n_owner = n_owner};
    for (size_t i = 0; i < wanted->n; i++)
        want_rule(&s, &wanted->rules[i]);
    return s.missing;
}

/* --- describing --- */

static const struct {
    const char *key, *title;
} parts[] = {{"apiGroups", "APIGroups"},
             {"resources", "Resources"},
             {"nonResourceURLs", "NonResourceURLs"},
             {"resourceNames", "ResourceNames"},
             {"verbs", "Verbs"}};

static char *describe(const struct json *rule) {
    struct strbuf b = STRBUF_INIT;
    strbuf_addc(&b, '{');
    for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
        const struct json *list = json_get(rule, parts[k].key);
        if (json_len(list) == 0)
            continue;
        strbuf_addf(&b, "%s%s:[", b.len > 1 ? ", " : "", parts[k].title);
        for (size_t i = 0; i < json_len(list); i++) {
            const char *s = json_str_or(json_at(list, i), "");
            if (i > 0)
                strbuf_addc(&b, ' ');
            json_write_string(s, strlen(s), &b);
        }
        strbuf_addc(&b, ']');
    }
    strbuf_addc(&b, '}');
    return strbuf_steal(&b);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The rules of one group, resource and name become one of many verbs; others stay as they are. */
static struct json *compact(const struct json *missing) {
    struct json *out = json_array();
    _cleanup_(hashmap_freep) struct hashmap *places = hashmap_new(NULL);
    for (size_t i = 0; i < json_len(missing); i++) {
        const struct json *rule = json_at(missing, i);
        if (!json_get(rule, "resources")) {
            json_append(&out, json_ref(rule));
            continue;
        }
        _cleanup_json_ struct json *rest = json_ref(rule);
        json_del(&rest, "verbs");
        _cleanup_free_ char *key = json_to_text(rest);
        uintptr_t at = (uintptr_t) hashmap_get(places, key);
        if (at == 0) {
            json_append(&out, json_ref(rule));
            hashmap_put(places, key, (void *) (uintptr_t) json_len(out)); /* its place and one more */
        } else {
            struct json **verbs = json_edit(json_edit_at(&out, (size_t) at - 1), "verbs");
            json_append(verbs, json_ref(json_at(json_get(rule, "verbs"), 0)));
        }
    }
    return out;
}

char *access_rules_describe(const struct json *missing) {
    _cleanup_json_ struct json *rules = compact(missing);
    size_t n = json_len(rules);
    _cleanup_free_ char **lines = xcalloc(n + 1, sizeof(*lines));
    struct strbuf b = STRBUF_INIT;
    for (size_t i = 0; i < n; i++)
        lines[i] = describe(json_at(rules, i));
    qsort(lines, n, sizeof(*lines), by_text);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(lines[i], lines[i - 1]) != 0)
            strbuf_addf(&b, "%s%s", i > 0 ? "\n" : "", lines[i]);
    }
    for (size_t i = 0; i < n; i++)
        free(lines[i]);
    return strbuf_steal(&b);
}

/* --- aggregating --- */

static const char *name_of(const struct json *role) {
    return json_str_or(json_path(role, "metadata", "name"), "");
}

static int by_name(const void *a, const void *b) {
    return strcmp(name_of(*(const struct json *const *) a), name_of(*(const struct json *const *) b));
}

static void add_rules(struct json **rules, const struct json *more) {
    for (size_t i = 0; i < json_len(more); i++) {
        bool there = false;
        for (size_t j = 0; j < json_len(*rules) && !there; j++)
            there = json_equal(json_at(*rules, j), json_at(more, i));
        if (!there)
            json_append(rules, json_ref(json_at(more, i)));
    }
}

struct json *access_rules_aggregate(const struct json *role, const struct json *const *roles, size_t n) {
    const struct json *selectors = json_path(role, "aggregationRule", "clusterRoleSelectors");
    _cleanup_free_ const struct json **sorted = xcalloc(n + 1, sizeof(*sorted));
    struct json *rules = json_array();
    if (n > 0)
        memcpy(sorted, roles, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), by_name);
    for (size_t i = 0; i < json_len(selectors); i++) {
        _cleanup_(selector_freep) struct selector *selector = NULL;
        if (selector_from_object(json_at(selectors, i), &selector, NULL) < 0)
            continue; /* validation refuses such roles */
        for (size_t k = 0; k < n; k++)
            if (strcmp(name_of(sorted[k]), name_of(role)) != 0 &&
                selector_matches(selector, json_path(sorted[k], "metadata", "labels")))
                add_rules(&rules, json_get(sorted[k], "rules"));
    }
    return rules;
}
