/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens to an object between its decoding and the store, for every verb that writes: metadata the server owns,
 * defaults, admission, the kind's strategy, validation. False (or MUTATE_FAILED): the answer has been made.
 */
#ifndef PODIUM_APISERVER_PREPARE_H
#define PODIUM_APISERVER_PREPARE_H

#include "orchestrator/apiserver/request.h"

/* Namespace and name of a body against those of the URL; fills them in where the body has none. */
bool prepare_identity(struct api_request *req, struct json **doc);
/* PUT and apply make what is missing only for who may create: false when not (answered). */
bool prepare_may_create(struct api_request *req);
/* A new object. generate: a name from generateName may be made. req->name is set to the object's name. */
bool prepare_create(struct api_request *req, struct json **doc);
/* A new state `doc` of `old` through the main resource or a subresource. Returns MUTATE_WRITE, MUTATE_KEEP (nothing
 * changes), MUTATE_DELETE (the last finalizer went) or MUTATE_FAILED. */
enum mutate_action prepare_update(struct api_request *req, const struct json *old, struct json **doc);
/* The revision the document names: 0 when none, false (answered 400) when it is no number. */
bool document_revision(struct api_request *req, const struct json *doc, uint64_t *ret);

#endif
