/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GET on a collection (wire.md section 5). */
#include <string.h>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/verbs/continuation.h"
#include "orchestrator/apiserver/verbs/freshness.h"
#include "orchestrator/apiserver/verbs/selection.h"
#include "orchestrator/apiserver/verbs/verbs.h"
#include "podium/base/alloc.h"
#include "podium/base/limits.h"

struct list_options {
    size_t limit;
    uint64_t wanted;      /* no state older than that */
    uint64_t at_revision; /* exact state wanted; 0: newest */
    bool inconsistent;    /* a token of revision -1 */
    struct continuation from;
};

static void list_options_finish(struct list_options *o) {
    continuation_finish(&o->from);
}

static bool parse_u64(const char *s, uint64_t *ret) {
    char *end = NULL;
    errno = 0;
    *ret = strtoull(s, &end, 10);
    return errno == 0 && end != s && !*end && *s >= '0' && *s <= '9';
}

static bool option_forbidden(struct api_request *req, const char *field, const char *detail) {
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    field_errors_add(&errors, "FieldValueForbidden", field, NULL, "%s", detail);
    (void) api_invalid(req, "ListOptions", "meta.k8s.io", "", &errors);
    return false;
}

/* resourceVersion and resourceVersionMatch: what state is wanted. */
static bool read_revision(struct api_request *req, struct list_options *o) {
    const char *rv = api_param(req, "resourceVersion"), *match = api_param(req, "resourceVersionMatch");
    uint64_t wanted = 0;
    if (match && *match) {
        if (o->from.name)
            return option_forbidden(req, "resourceVersionMatch",
                                    "resourceVersionMatch is forbidden when continue is provided");
        if (!rv || !*rv)
            return option_forbidden(req, "resourceVersionMatch",
                                    "resourceVersionMatch is forbidden unless resourceVersion is provided");
        if (strcmp(match, "Exact") == 0 && strcmp(rv, "0") == 0)
            return option_forbidden(req, "resourceVersionMatch",
                                    "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
        if (strcmp(match, "Exact") != 0 && strcmp(match, "NotOlderThan") != 0) {
            _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
            _cleanup_json_ struct json *value = json_string(match);
            field_errors_add(&errors, "FieldValueNotSupported", "resourceVersionMatch", value,
                             "supported values: \"Exact\", \"NotOlderThan\", \"\"");
            (void) api_invalid(req, "ListOptions", "meta.k8s.io", "", &errors);
            return false;
        }
    }
    if (!api_param_revision(req, &wanted))
        return false;
    if (o->from.name && wanted != 0) {
        (void) api_bad_request(req, "specifying resource version is not allowed when using continue");
        return false;
    }
    o->wanted = wanted;
    /* With a limit, a revision has always meant that very state, before there was a way to say so. */
    bool exact = match && *match ? strcmp(match, "Exact") == 0 : o->limit > 0;
    if (exact)
        o->at_revision = wanted;
    return true;
}

static bool read_options(struct api_request *req, struct list_options *o) {
    const char *limit = api_param(req, "limit"), *token = api_param(req, "continue");
    uint64_t n = 0;
    if (limit && *limit && !parse_u64(limit, &n)) {
        (void) api_bad_request(req, "invalid limit \"%s\"", limit);
        return false;
    }
    o->limit = n;
    if (api_param(req, "sendInitialEvents"))
        return option_forbidden(req, "sendInitialEvents", "sendInitialEvents is forbidden for list");
    if (token && *token && continuation_parse(token, &o->from) < 0) {
        (void) api_bad_request(req, "continue key is not valid: unable to decode the token");
        return false;
    }
    if (!read_revision(req, o))
        return false;
    if (o->from.name && o->from.revision > 0)
        o->at_revision = (uint64_t) o->from.revision;
    return true;
}

static enum api_progress expired(struct api_request *req, const struct list_options *o) {
    if (!o->from.name)
        return api_expired(req, NULL, "The resourceVersion for the provided list is too old.");
    _cleanup_free_ char *token = continuation_text(-1, o->from.ns, o->from.name);
    return api_expired(
        req, token,
        "The provided continue parameter is too old to display a consistent list result. You can start a "
        "new list without the continue parameter, or use the continue token in this response to retrieve "
        "the remainder of the results. Continuing with the provided token results in an inconsistent list "
        "- objects that were created, modified, or deleted between the time the first chunk was returned "
        "and now may show up in the list.");
}

static void add_item(struct api_response *out, struct store_item *item) {
    out->items[out->n_items++] = store_item_ref(item);
}

/* Everything matched, cut at the limit; with selectors the store cannot count for us. */
static void take_matching(struct api_request *req, const struct selection *sel, size_t limit, struct store_list *l) {
    struct api_response *out = &req->out;
    out->items = xcalloc(l->n ? l->n : 1, sizeof(*out->items));
    for (size_t i = 0; i < l->n; i++) {
        if (!selection_matches(sel, l->items[i]))
            continue;
        if (limit && out->n_items == limit) {
            struct store_item *last = out->items[out->n_items - 1];
            out->continue_token =
                continuation_text((int64_t) l->revision, store_item_namespace(last), store_item_name(last));
            break;
        }
        add_item(out, l->items[i]);
    }
}

static void take_page(struct api_request *req, struct store_list *l) {
    struct api_response *out = &req->out;
    out->items = steal(&l->items);
    out->n_items = l->n;
    l->n = 0;
    if (!l->more || out->n_items == 0)
        return;
    struct store_item *last = out->items[out->n_items - 1];
    out->continue_token = continuation_text((int64_t) l->revision, store_item_namespace(last), store_item_name(last));
    out->remaining = (int64_t) l->remaining;
}

static bool list_single(struct api_request *req, const struct selection *sel, const struct list_options *o) {
    if (!sel->name || !(*req->ns || !req->resource->namespaced) || o->at_revision || o->from.name)
        return false;
    req->out.revision = store_revision(req->api->store);
    _cleanup_(store_item_unrefp) struct store_item *item =
        store_get(req->api->store, req->resource->key, req->ns, sel->name);
    req->out.items = xcalloc(1, sizeof(*req->out.items));
    if (item && selection_matches(sel, item))
        add_item(&req->out, item);
    return true;
}

static enum api_progress list_selected(struct api_request *req, const struct selection *sel, struct list_options *o) {
    _cleanup_(store_list_finish) struct store_list l = {0};
    req->out.kind = API_OUT_LIST;
    req->out.code = 200;
    if (list_single(req, sel, o))
        return API_DONE;
    bool all = selection_is_everything(sel);
    const char *ns = req->resource->namespaced ? (*req->ns ? req->ns : NULL) : "";
    int r = store_list(req->api->store, req->resource->key, ns, o->from.ns, o->from.name, all ? o->limit : 0,
                       o->at_revision, &l);
    if (r == -ESTALE)
        return expired(req, o);
    if (r == -ERANGE)
        return api_revision_too_large(req, o->at_revision, store_revision(req->api->store));
    if (r < 0)
        return api_internal_error(req, "cannot list: %s", error_text(NULL, r));
    req->out.revision = l.revision;
    if (all)
        take_page(req, &l);
    else
        take_matching(req, sel, o->limit, &l);
    return API_DONE;
}

enum api_progress verb_list(struct api_request *req) {
    _cleanup_(selection_finish) struct selection sel = {0};
    _cleanup_(list_options_finish) struct list_options o = {0};
    if (!selection_read(req, &sel) || !read_options(req, &o))
        return API_DONE;
    if (o.wanted > store_revision(req->api->store))
        return freshness_wait(req, o.wanted, verb_list);
    return list_selected(req, &sel, &o);
}
