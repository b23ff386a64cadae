/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/verbs/selection.h"

#include <string.h>

#include "orchestrator/apiserver/status.h"
#include "podium/base/alloc.h"

bool selection_read(struct api_request *req, struct selection *ret) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    const char *labels = api_param(req, "labelSelector"), *fields = api_param(req, "fieldSelector");
    const struct resource *r = req->resource;
    *ret = (struct selection){0};
    if (labels && *labels && selector_parse(labels, &ret->labels, &err) < 0) {
        (void) api_bad_request(req, "unable to parse requirement: %s", error_text(&err, -EINVAL));
        return false;
    }
    if (fields && *fields) {
        if (field_selector_parse(fields, r->group, r->version, r->kind, &ret->fields, &err) < 0) {
            (void) api_bad_request(req, "%s", error_text(&err, -EINVAL));
            selection_finish(ret);
            return false;
        }
        const char *exact = field_selector_exact(ret->fields, "metadata.name");
        ret->name = exact ? xstrdup(exact) : NULL;
    }
    if (*req->name) {
        free(ret->name);
        ret->name = xstrdup(req->name);
    }
    return true;
}

void selection_finish(struct selection *s) {
    selector_free(s->labels);
    field_selector_free(s->fields);
    free(s->name);
    *s = (struct selection){0};
}

bool selection_is_everything(const struct selection *s) {
    return !s->labels && !s->fields && !s->name;
}

static bool labels_match(const struct selector *labels, struct store_item *item) {
    _cleanup_json_ struct json *found = store_item_member(item, "metadata", "labels");
    return selector_matches(labels, found);
}

bool selection_matches(const struct selection *s, struct store_item *item) {
    if (s->name && strcmp(s->name, store_item_name(item)) != 0)
        return false;
    if (!s->labels && !s->fields)
        return true;
    if (s->labels && !labels_match(s->labels, item))
        return false;
    if (!s->fields)
        return true;
    _cleanup_json_ struct json *doc = store_item_read(item);
    return field_selector_matches(s->fields, doc);
}
