/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/verbs/deletion.h"
#include "orchestrator/apiserver/verbs/verbs.h"
#include "orchestrator/apiserver/write.h"
#include "podium/base/alloc.h"

static void options_free(void *p) {
    delete_options_finish(p);
    free(p);
}

static enum mutate_action delete_one(struct api_request *req, const struct json *old, struct json **doc) {
    return deletion_decide(req, req->scratch, old, doc);
}

/* Resources whose registry upstream gives the object back; all others answer with a Status. */
static bool returns_object(const struct resource *r) {
    static const char *const keys[] = {
        "pods",
        "podtemplates",
        "services",
        "serviceaccounts",
        "persistentvolumes",
        "persistentvolumeclaims",
        "resourcequotas",
        "csidrivers.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "storageclasses.storage.k8s.io",
        "volumeattachments.storage.k8s.io",
        "resourceclaims.resource.k8s.io",
        "resourceclaimtemplates.resource.k8s.io",
    };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (strcmp(keys[i], r->key) == 0)
            return true;
    return false;
}

static enum api_progress deleted(struct api_request *req, struct store_item *item, enum mutate_action action) {
    const struct delete_options *o = req->scratch;
    unsigned code = o->orphan_false && action != MUTATE_DELETE ? 202 : 200;
    if (action == MUTATE_DELETE && !returns_object(req->resource)) {
        const char *uid = json_str(json_path(api_written_doc(req, item), "metadata", "uid"));
        _cleanup_free_ char *copy = uid ? xstrdup(uid) : NULL;
        return api_success(req, code, req->name, copy);
    }
    if (item)
        return api_reply_item(req, code, item);
    return api_reply_object(req, code, steal(&req->out.object));
}

enum api_progress verb_delete(struct api_request *req) {
    struct delete_options *o = xnew0(struct delete_options);
    req->scratch = o;
    req->scratch_free = options_free;
    if (!delete_options_read(req, o))
        return API_DONE;
    return api_mutate(req, delete_one, deleted);
}
