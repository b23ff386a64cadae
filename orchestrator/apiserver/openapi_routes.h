/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /openapi/v3: the index, whose URLs carry a hash so that clients may keep the documents for ever, and the documents.
 * The documents depend on nothing but this program, so the hash is made from the program's file, and making the index
 * costs nothing. The documents asked for last are kept as text.
 * /openapi/v2: all of it in one document, made when it is asked for.
 */
#ifndef PODIUM_APISERVER_OPENAPI_ROUTES_H
#define PODIUM_APISERVER_OPENAPI_ROUTES_H

#include "orchestrator/apiserver/request.h"

struct openapi_cache;
struct openapi_cache *openapi_cache_new(const char *version);
void openapi_cache_free(struct openapi_cache *c);

enum api_progress openapi_v3_serve(struct api_request *req);
enum api_progress openapi_v2_serve(struct api_request *req);

#endif
