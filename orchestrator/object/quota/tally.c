/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/quota/tally.h"

#include <string.h>

#include "orchestrator/object/quota/usage.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

struct row {
    char *name;
    struct json *spec;
    struct amounts used;
};

/* A pod that is being deleted. */
struct leaving {
    struct json *pod;
    uint64_t at; /* when it stops to count */
    bool over;   /* it has */
};

struct quota_tally {
    const struct resource *resource;
    struct row *rows;
    size_t n;
    struct hashmap *leaving; /* name → struct leaving */
};

static void leaving_free(void *p) {
    struct leaving *l = p;
    json_unref(l->pod);
    free(l);
}

struct quota_tally *quota_tally_new(const struct resource *r) {
    struct quota_tally *t = xnew0(struct quota_tally);
    t->resource = r;
    t->leaving = hashmap_new(leaving_free);
    return t;
}

static void forget_rows(struct quota_tally *t) {
    for (size_t i = 0; i < t->n; i++) {
        free(t->rows[i].name);
        json_unref(t->rows[i].spec);
        amounts_finish(&t->rows[i].used);
    }
    free(t->rows);
    t->rows = NULL;
    t->n = 0;
}

void quota_tally_free(struct quota_tally *t) {
    if (!t)
        return;
    forget_rows(t);
    hashmap_free(t->leaving);
    free(t);
}

void quota_tally_clear(struct quota_tally *t) {
    for (size_t i = 0; i < t->n; i++)
        amounts_finish(&t->rows[i].used);
    hashmap_clear(t->leaving);
}

static const char *name_of(const struct json *doc) {
    return json_str_or(json_path(doc, "metadata", "name"), "");
}

static bool counts_kind(const struct json *quota, const struct resource *r) {
    const struct json *hard = json_path(quota, "spec", "hard");
    for (size_t i = 0; i < json_len(hard); i++)
        if (quota_name_is_of(json_key_at(hard, i), r))
            return true;
    return false;
}

static bool are_the_same(const struct quota_tally *t, struct json *const *quotas, size_t n) {
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (!counts_kind(quotas[i], t->resource))
            continue;
        if (k == t->n || strcmp(t->rows[k].name, name_of(quotas[i])) != 0 ||
            !json_equal(t->rows[k].spec, json_get(quotas[i], "spec")))
            return false;
        k++;
    }
    return k == t->n;
}

bool quota_tally_set_quotas(struct quota_tally *t, struct json *const *quotas, size_t n) {
    if (are_the_same(t, quotas, n))
        return false;
    forget_rows(t);
    hashmap_clear(t->leaving);
    t->rows = xcalloc(n + 1, sizeof(*t->rows));
    for (size_t i = 0; i < n; i++)
        if (counts_kind(quotas[i], t->resource))
            t->rows[t->n++] =
                (struct row){.name = xstrdup(name_of(quotas[i])), .spec = json_ref(json_get(quotas[i], "spec"))};
    return true;
}

/* --- objects --- */

static void count(struct quota_tally *t, const struct json *doc, bool ended, bool add) {
    _cleanup_amounts_ struct amounts usage = {0};
    quota_usage(t->resource, doc, ended, &usage);
    for (size_t i = 0; i < t->n; i++) {
        if (!quota_matches(t->rows[i].spec, t->resource, doc))
            continue;
        if (add)
            amounts_add(&t->rows[i].used, &usage);
        else
            amounts_subtract(&t->rows[i].used, &usage);
    }
}

static bool is_same(const struct json *a, const struct json *b, const char *part, const char *key) {
    const struct json *x = json_path(a, part, key), *y = json_path(b, part, key);
    return x == y || json_equal(x, y);
}

/* Nearly all changes of pods are reports of their state. */
static bool is_unchanged(const struct json *old, const struct json *doc) {
    const struct json *a = json_get(old, "spec"), *b = json_get(doc, "spec");
    return is_same(old, doc, "status", "phase") && is_same(old, doc, "status", "qosClass") &&
           is_same(old, doc, "status", "allocatedResources") && is_same(old, doc, "metadata", "annotations") &&
           is_same(old, doc, "metadata", "deletionTimestamp") &&
           is_same(old, doc, "metadata", "deletionGracePeriodSeconds") && (a == b || json_equal(a, b));
}

static void take_off(struct quota_tally *t, const struct json *old, bool is_pod) {
    const struct leaving *l = is_pod ? hashmap_get(t->leaving, name_of(old)) : NULL;
    bool ended = is_pod && (l ? l->over : quota_pod_is_over(old, 0, NULL));
    count(t, old, ended, false);
    if (l)
        (void) hashmap_remove(t->leaving, name_of(old));
}

static void put_on(struct quota_tally *t, const struct json *doc, bool is_pod, uint64_t now) {
    uint64_t at = UINT64_MAX;
    bool ended = is_pod && quota_pod_is_over(doc, now, &at);
    count(t, doc, ended, true);
    if (at == UINT64_MAX)
        return;
    struct leaving *l = xnew0(struct leaving);
    *l = (struct leaving){json_ref(doc), at, ended};
    hashmap_put(t->leaving, name_of(doc), l);
}

bool quota_tally_change(struct quota_tally *t, const struct json *old, const struct json *doc, uint64_t now) {
    bool is_pod = strcmp(t->resource->key, "pods") == 0;
    if (t->n == 0 || (old && doc && is_unchanged(old, doc)))
        return false;
    if (old)
        take_off(t, old, is_pod);
    if (doc)
        put_on(t, doc, is_pod, now);
    return true;
}

bool quota_tally_expire(struct quota_tally *t, uint64_t now, uint64_t *ret_next) {
    struct hashmap_iter it = {0};
    bool some = false;
    *ret_next = UINT64_MAX;
    while (hashmap_next(t->leaving, &it)) {
        struct leaving *l = it.value;
        if (l->over)
            continue;
        if (l->at >= now) {
            *ret_next = l->at < *ret_next ? l->at : *ret_next;
            continue;
        }
        count(t, l->pod, false, false);
        count(t, l->pod, true, true);
        l->over = some = true;
    }
    return some;
}

size_t quota_tally_len(const struct quota_tally *t) {
    return t->n;
}

const char *quota_tally_name(const struct quota_tally *t, size_t i) {
    return t->rows[i].name;
}

const struct json *quota_tally_spec(const struct quota_tally *t, size_t i) {
    return t->rows[i].spec;
}

const struct amounts *quota_tally_used(const struct quota_tally *t, size_t i) {
    return &t->rows[i].used;
}
