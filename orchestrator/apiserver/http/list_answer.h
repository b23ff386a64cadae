/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Large lists, sent from a snapshot: the answer holds references to its items and gives out their bytes as the client
 * takes them. Plain JSON comes straight from the items' texts; other forms come in runs that all answers share
 * (list_runs.h).
 */
#ifndef PODIUM_APISERVER_LIST_ANSWER_H
#define PODIUM_APISERVER_LIST_ANSWER_H

#include "orchestrator/apiserver/http/internal.h"
#include "orchestrator/apiserver/http/negotiate.h"

/* Whether a list (req->out.kind is API_OUT_LIST) in this form is sent so: not when it is small, or of a form that is
 * made as a whole (tables, YAML, indented). */
bool list_answer_possible(const struct api_request *req, const struct accepted *form);
/* The response, taking the items. *gzip: whether the client accepts it; afterwards whether it gets it. */
struct MHD_Response *list_answer(struct http_server *h, struct api_request *req, const struct accepted *form,
                                 bool *gzip, const char **ret_content_type);

#endif
