/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LimitRanger: what containers do not say of resources is filled in from the namespace's limit ranges; what goes beyond
 * them is refused, with all that is wrong in one answer. Decisions and texts are upstream's (the plugin of this name).
 */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/object/quota/pod_amounts.h"
#include "podium/base/alloc.h"

#define LIMIT_RANGES    "limitranges"
#define ANNOTATION      "kubernetes.io/limit-ranger"
#define ANNOTATION_HEAD "LimitRanger plugin set: "

enum subject { SUBJECT_NONE, SUBJECT_POD, SUBJECT_CLAIM };

/* Containers do not change after creation but by a resize. What is on its way out may go. */
static enum subject subject_of(const struct api_request *req, const struct json *old) {
    const char *key = req->resource->key;
    if (old && !json_is_null(json_path(old, "metadata", "deletionTimestamp")))
        return SUBJECT_NONE;
    if (strcmp(key, "pods") == 0)
        return (!req->sub && !old) || (req->sub && old && strcmp(req->sub->name, "resize") == 0) ? SUBJECT_POD
                                                                                                 : SUBJECT_NONE;
    return strcmp(key, "persistentvolumeclaims") == 0 && !req->sub ? SUBJECT_CLAIM : SUBJECT_NONE;
}

/* False: the namespace has none. */
static bool find_ranges(struct api_request *req, struct store_list *ret) {
    *ret = (struct store_list){0};
    return store_count(req->api->store, LIMIT_RANGES) > 0 &&
           store_list(req->api->store, LIMIT_RANGES, req->ns, NULL, NULL, 0, 0, ret) == 0 && ret->n > 0;
}

static const struct json *limits_of(struct store_item *range) {
    return json_path(store_item_doc(range), "spec", "limits");
}

/* --- defaults --- */

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void note(struct strbuf *notes, char **names, const char *what, const char *list, const struct json *container) {
    size_t n = 0;
    while (names[n])
        n++;
    if (n == 0)
        return;
    qsort(names, n, sizeof(*names), by_text);
    strbuf_adds(notes, notes->len ? "; " : "");
    for (size_t i = 0; i < n; i++)
        strbuf_addf(notes, "%s%s", i ? ", " : "", names[i]);
    strbuf_addf(notes, " %s for %s %s", what, strcmp(list, "containers") == 0 ? "container" : "init container",
                json_get_str(container, "name"));
}

/* part: "requests" or "limits"; source: the member of a limit that fills it. */
static void fill_part(struct json **container, const char *list, const char *part, const char *source,
                      const struct json *limits, struct strbuf *notes) {
    char **names = strv_new();
    for (size_t i = 0; i < json_len(limits); i++) {
        const struct json *limit = json_at(limits, i), *defaults = json_get(limit, source);
        if (!json_get_is(limit, "type", "Container"))
            continue;
        for (size_t k = 0; k < json_len(defaults); k++) {
            const char *name = json_key_at(defaults, k);
            if (json_get(json_path(*container, "resources", part), name))
                continue;
            json_set_path(container, json_ref(json_value_at(defaults, k)), "resources", part, name);
            strv_push_dup(&names, name);
        }
    }
    note(notes, names, part[0] == 'r' ? "request" : "limit", list, *container);
    strv_free(names);
}

static void fill_pod(struct json **pod, const struct json *limits) {
    static const char *const lists[] = {"containers", "initContainers"};
    _cleanup_strbuf_ struct strbuf notes = STRBUF_INIT;
    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        for (size_t i = 0; i < json_len(json_path(*pod, "spec", lists[l])); i++) {
            struct json **container = json_edit_at(json_edit(json_edit(pod, "spec"), lists[l]), i);
            fill_part(container, lists[l], "requests", "defaultRequest", limits, &notes);
            fill_part(container, lists[l], "limits", "default", limits, &notes);
        }
    if (notes.len)
        json_set_path(pod, json_stringf(ANNOTATION_HEAD "%s", strbuf_str(&notes)), "metadata", "annotations",
                      ANNOTATION);
}

bool limit_range_mutate(struct api_request *req, const struct json *old, struct json **doc) {
    _cleanup_(store_list_finish) struct store_list ranges = {0};
    if (old || subject_of(req, old) != SUBJECT_POD || !find_ranges(req, &ranges))
        return true;
    for (size_t i = 0; i < ranges.n; i++)
        fill_pod(doc, limits_of(ranges.items[i]));
    return true;
}

/* --- bounds --- */

/* What is measured, and what was found. */
struct check {
    const char *type; /* "Container", "Pod", "PersistentVolumeClaim" */
    const struct amounts *requests, *limits;
    char ***problems;
};

/* One line for the answer, unless it is there already. */
static void complain(const struct check *c, char *take) {
    for (char **p = *c->problems; *p; p++)
        if (strcmp(*p, take) == 0) {
            free(take);
            return;
        }
    strv_push(c->problems, take);
}

static void complain_bound(const struct check *c, const char *bound, const char *name, const struct quantity *limit,
                           const char *what, const struct quantity *found) {
    _cleanup_free_ char *wanted = quantity_text(limit), *is = found ? quantity_text(found) : NULL;
    if (found)
        complain(c, xasprintf("%s %s usage per %s is %s, but %s is %s", bound, name, c->type, wanted, what, is));
    else
        complain(c, xasprintf("%s %s usage per %s is %s.  No %s is specified", bound, name, c->type, wanted, what));
}

static void check_min(const struct check *c, const char *name, const struct quantity *min) {
    const struct quantity *request = amounts_get(c->requests, name), *limit = amounts_get(c->limits, name);
    if (!request || request->nano < min->nano)
        complain_bound(c, "minimum", name, min, "request", request);
    else if (limit && limit->nano < min->nano)
        complain_bound(c, "minimum", name, min, "limit", limit);
}

/* Of a claim only the request is the user's word. */
static void check_max(const struct check *c, const char *name, const struct quantity *max) {
    const struct quantity *request = amounts_get(c->requests, name), *limit = amounts_get(c->limits, name);
    bool claim = strcmp(c->type, "PersistentVolumeClaim") == 0;
    if (!claim && (!limit || limit->nano > max->nano))
        complain_bound(c, "maximum", name, max, "limit", limit);
    else if ((claim && !request) || (request && request->nano > max->nano))
        complain_bound(c, "maximum", name, max, "request", request);
}

static void check_ratio(const struct check *c, const char *name, const struct quantity *ratio) {
    const struct quantity *request = amounts_get(c->requests, name), *limit = amounts_get(c->limits, name);
    _cleanup_free_ char *most = quantity_text(ratio), *is = NULL;
    if (!request || request->nano == 0)
        is = xstrdup("no request is specified or request is 0");
    else if (!limit || limit->nano == 0)
        is = xstrdup("no limit is specified or limit is 0");
    else if ((double) limit->nano / (double) request->nano > (double) ratio->nano / 1e9)
        is = xasprintf("provided ratio is %f", (double) limit->nano / (double) request->nano);
    if (is)
        complain(c, xasprintf("%s max limit to request ratio per %s is %s, but %s", name, c->type, most, is));
}

static void check_limit(const struct check *c, const struct json *limit) {
    static const struct {
        const char *member;
        void (*check)(const struct check *c, const char *name, const struct quantity *bound);
    } bounds[] = {{"min", check_min}, {"max", check_max}, {"maxLimitRequestRatio", check_ratio}};
    bool claim = strcmp(c->type, "PersistentVolumeClaim") == 0;
    for (size_t b = 0; b < ARRAY_LEN(bounds) - claim; b++) {
        const struct json *map = json_get(limit, bounds[b].member);
        for (size_t i = 0; i < json_len(map); i++) {
            struct quantity q;
            if (quantity_read(json_value_at(map, i), &q))
                bounds[b].check(c, json_key_at(map, i), &q);
        }
    }
}

static void check_resources(const char *type, const struct json *resources, const struct json *limit,
                            char ***problems) {
    _cleanup_amounts_ struct amounts requests = {0}, limits = {0};
    amounts_read(&requests, json_get(resources, "requests"));
    amounts_read(&limits, json_get(resources, "limits"));
    check_limit(&(struct check){type, &requests, &limits, problems}, limit);
}

static void check_pod(const struct json *spec, const struct json *limit, char ***problems) {
    static const char *const lists[] = {"containers", "initContainers"};
    if (json_get_is(limit, "type", "Pod")) {
        _cleanup_amounts_ struct amounts requests = {0}, limits = {0};
        pod_amounts(spec, POD_REQUESTS, false, &requests);
        pod_amounts(spec, POD_LIMITS, false, &limits);
        check_limit(&(struct check){"Pod", &requests, &limits, problems}, limit);
    }
    for (size_t l = 0; l < ARRAY_LEN(lists) && json_get_is(limit, "type", "Container"); l++)
        for (size_t i = 0; i < json_len(json_get(spec, lists[l])); i++)
            check_resources("Container", json_get(json_at(json_get(spec, lists[l]), i), "resources"), limit, problems);
}

/* Go's way to write several errors as one. */
static char *join(char *const *problems) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    for (size_t i = 0; problems[i]; i++)
        strbuf_addf(&b, "%s%s", i ? ", " : problems[1] ? "[" : "", problems[i]);
    strbuf_adds(&b, problems[1] ? "]" : "");
    return strbuf_steal(&b);
}

static bool is_within(struct api_request *req, enum subject subject, const struct json *limits,
                      const struct json *doc) {
    const struct json *spec = json_get(doc, "spec");
    char **problems = strv_new();
    for (size_t i = 0; i < json_len(limits); i++) {
        const struct json *limit = json_at(limits, i);
        if (subject == SUBJECT_POD)
            check_pod(spec, limit, &problems);
        else if (json_get_is(limit, "type", "PersistentVolumeClaim"))
            check_resources("PersistentVolumeClaim", json_get(spec, "resources"), limit, &problems);
    }
    bool fine = !problems[0];
    if (!fine) {
        _cleanup_free_ char *text = join(problems);
        (void) api_forbidden(req, json_get_str(json_get(doc, "metadata"), "name"), "%s", text);
    }
    strv_free(problems);
    return fine;
}

bool limit_range_validate(struct api_request *req, const struct json *old, const struct json *doc) {
    _cleanup_(store_list_finish) struct store_list ranges = {0};
    enum subject subject = subject_of(req, old);
    if (subject == SUBJECT_NONE || !find_ranges(req, &ranges))
        return true;
    for (size_t i = 0; i < ranges.n; i++)
        if (!is_within(req, subject, limits_of(ranges.items[i]), doc))
            return false;
    return true;
}
