/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The patch formats applied to documents that are no stored objects as well (Scale). False: the answer has been made.
 */
#ifndef PODIUM_APISERVER_PATCHING_H
#define PODIUM_APISERVER_PATCHING_H

#include "orchestrator/apiserver/request.h"

/* Content type and body into req->patch_type and req->input. */
bool patch_read(struct api_request *req);
/* Applies it to a document of a kind; *ret is pruned and canonical. */
bool patch_apply(struct api_request *req, const char *api_version, const char *kind, const struct json *doc,
                 struct json **ret);

#endif
