/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * managedFields at the door: which manager a request stands for, recording what it writes, server-side apply. The rules
 * are in orchestrator/object/managed/managed.h.
 */
#ifndef PODIUM_APISERVER_MANAGE_H
#define PODIUM_APISERVER_MANAGE_H

#include "orchestrator/apiserver/request.h"

/* The options of a write that concern managers: fieldManager (needed for apply), force (for apply only). False:
 * answered 422. */
/* The kind of what a write's parameters are: CreateOptions, … Static. */
const char *manage_options_kind(const struct api_request *req);
bool manage_check_options(struct api_request *req);
/* Records the new state of old (NULL: a creation), before admission, as upstream does; nothing for an apply, which has
 * done so. */
void manage_record(struct api_request *req, const struct json *old, struct json **doc);
/* Server-side apply of config, a document of the object's kind. False: answered. */
bool manage_apply(struct api_request *req, const struct json *old, const struct json *config, struct json **doc);
/* Whether doc differs from old in nothing but the times of managedFields; these are then put back. */
bool manage_is_unchanged(const struct json *old, struct json **doc);

#endif
