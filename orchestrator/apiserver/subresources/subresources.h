/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Subresources and POST-only resources with a behaviour of their own. One file each; the tables are in subresources.c.
 */
#ifndef PODIUM_APISERVER_SUBRESOURCES_H
#define PODIUM_APISERVER_SUBRESOURCES_H

#include "orchestrator/apiserver/request.h"

/* The function serving req->sub, or NULL when it is a view of the whole object, served by the generic verbs. */
api_step_fn subresource_handler(const struct api_request *req);
/* The function serving a resource that is not stored (reviews, bindings); NULL: none. */
api_step_fn review_handler(const struct api_request *req);

enum api_progress scale_serve(struct api_request *req);
enum api_progress binding_serve(struct api_request *req);  /* pods/NAME/binding */
enum api_progress bindings_serve(struct api_request *req); /* the old collection form */
enum api_progress eviction_serve(struct api_request *req);
enum api_progress logs_serve(struct api_request *req);
enum api_progress exec_serve(struct api_request *req);
enum api_progress attach_serve(struct api_request *req);
enum api_progress portforward_serve(struct api_request *req);
enum api_progress pod_proxy_serve(struct api_request *req);
enum api_progress service_proxy_serve(struct api_request *req);
enum api_progress node_proxy_serve(struct api_request *req);
enum api_progress self_review_serve(struct api_request *req);
enum api_progress access_review_serve(struct api_request *req);
enum api_progress rules_review_serve(struct api_request *req);
enum api_progress token_request_serve(struct api_request *req);
enum api_progress token_review_serve(struct api_request *req);

#endif
