/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The eight verbs, generic over every stored resource and the subresources that are views of the whole object
 * (status, finalize, approval, ephemeralcontainers, resize). One file each. */
#ifndef PODIUM_APISERVER_VERBS_H
#define PODIUM_APISERVER_VERBS_H

#include "orchestrator/apiserver/request.h"

enum api_progress verb_get(struct api_request *req);
enum api_progress verb_list(struct api_request *req);
enum api_progress verb_watch(struct api_request *req);
enum api_progress verb_create(struct api_request *req);
enum api_progress verb_update(struct api_request *req);
enum api_progress verb_patch(struct api_request *req);
enum api_progress verb_delete(struct api_request *req);
enum api_progress verb_deletecollection(struct api_request *req);

#endif
