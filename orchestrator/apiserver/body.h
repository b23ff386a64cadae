/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Request bodies: media types, decoding to the type tables, strict and warning field validation. */
#ifndef PODIUM_APISERVER_BODY_H
#define PODIUM_APISERVER_BODY_H

#include "orchestrator/apiserver/request.h"

/* Decodes the body as an object of apiVersion and kind into req->input (pruned and canonical, not yet defaulted). A
 * body without apiVersion and kind is taken for one. False: the answer (400, 415) has been made. */
bool body_decode(struct api_request *req, const char *api_version, const char *kind);
/* The body as plain JSON or YAML of any type (patches), no tables. */
bool body_parse(struct api_request *req, bool yaml_allowed);
/* Prunes and canonicalises a document made of `old` (NULL: of nothing) by a patch. False: answered. */
bool body_check_patched(struct api_request *req, const char *api_version, const char *kind, const struct json *old,
                        struct json **doc);
/* Answers 415, naming what is understood; false. */
bool body_unsupported(struct api_request *req);
/* "application/json" of "Application/JSON; charset=utf-8"; lower case, never NULL. The caller frees. */
char *media_type(const char *header);

#endif
