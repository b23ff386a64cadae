/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/audit/annotate.h"

#include "orchestrator/apiserver/audit/record.h"
#include "orchestrator/apiserver/request.h"

void api_audit_annotate(struct api_request *req, const char *key, const char *value) {
    if (req->audit && !json_get(req->audit->annotations, key))
        json_set(&req->audit->annotations, key, json_string(value));
}
