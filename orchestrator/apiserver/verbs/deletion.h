/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of deletion (wire.md section 10), shared by delete, deletecollection and eviction. */
#ifndef PODIUM_APISERVER_DELETION_H
#define PODIUM_APISERVER_DELETION_H

#include "orchestrator/apiserver/request.h"

enum propagation { PROPAGATE_DEFAULT, PROPAGATE_BACKGROUND, PROPAGATE_FOREGROUND, PROPAGATE_ORPHAN };

struct delete_options {
    int64_t grace; /* seconds; -1: not given */
    enum propagation propagation;
    bool orphan_false; /* orphanDependents=false was given: answers 202 while the object lingers */
    char *uid;         /* preconditions, NULL: none */
    uint64_t revision; /* 0: none */
};
void delete_options_finish(struct delete_options *o);
/* From a DeleteOptions document (may be NULL). False: answered. */
bool delete_options_from(struct api_request *req, const struct json *doc, struct delete_options *ret);
/* From the body or, if there is none, the query. */
bool delete_options_read(struct api_request *req, struct delete_options *ret);
/* What deleting the object means now: MUTATE_DELETE, MUTATE_WRITE (it lingers) or MUTATE_KEEP (already on its way). */
enum mutate_action deletion_decide(struct api_request *req, const struct delete_options *o, const struct json *old,
                                   struct json **doc);

#endif
