/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a finished request's `out` to bytes. */
#ifndef PODIUM_APISERVER_ENCODE_H
#define PODIUM_APISERVER_ENCODE_H

#include "orchestrator/apiserver/http/negotiate.h"
#include "orchestrator/apiserver/request.h"

/* The body of an answer: either text (owned), or bytes of an item that is kept alive. */
struct encoded {
    unsigned code;
    const char *content_type;
    struct strbuf text;
    struct store_item *item; /* when set, the body is its text */
};
void encoded_finish(struct encoded *e);
/* Encodes object, list or text answers in the accepted form; turns into a 406 answer when there is none. */
void encode_response(struct api_request *req, struct encoded *ret);

/* The list document: kind, apiVersion, metadata, items. For in-process clients, too. */
struct json *list_document(const struct api_request *req);
/* Appends an item's text without its apiVersion and kind, as items of lists are written. */
void encode_list_item(struct store_item *item, const struct resource *r, struct strbuf *out);

/* Tables, for lists and for watch events. */
struct json *table_document(const struct api_request *req, const struct accepted *a);

#endif
