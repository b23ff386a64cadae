/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a method and a path to a verb: the table of everything served. Each row says which permission guards it; there
 * is no way around the column.
 */
#ifndef PODIUM_APISERVER_ROUTES_H
#define PODIUM_APISERVER_ROUTES_H

#include "orchestrator/apiserver/request.h"

enum route_permission {
    PERMIT_NOBODY = 0, /* what a forgotten column means */
    PERMIT_ANYONE,     /* health and version: also for anonymous */
    PERMIT_PATH,       /* RBAC nonResourceURLs */
    PERMIT_RESOURCE,   /* RBAC on the resource named by the path */
};

enum route_match { MATCH_EXACT, MATCH_TREE /* the path itself and everything below */ };

struct route {
    const char *path;
    enum route_match match;
    enum route_permission permission;
    const char *methods; /* "GET HEAD"; NULL: decided by the resource's verbs */
    api_step_fn serve;
};

/* What the method and the path ask for: fills the route part of the request. Does and answers nothing: who asks and
 * whether he may is looked at afterwards, but how much the request will cost, and what an audit policy says of it, must
 * be known before. Once is enough. */
void route_find(struct api_request *req);
/* Finds the route, authorizes, serves. */
enum api_progress route_request(struct api_request *req);
/* Serves a request whose resource part is filled in already (in-process clients): verb, resource, sub, ns, name.
 * Authorizes, too. */
enum api_progress route_resource(struct api_request *req);

#endif
