/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a finished request's `out` to bytes. */
#ifndef PODIUM_APISERVER_ENCODE_H
#define PODIUM_APISERVER_ENCODE_H

#include "orchestrator/apiserver/http/list_runs.h"
#include "orchestrator/apiserver/http/negotiate.h"
#include "orchestrator/apiserver/request.h"
#include "orchestrator/object/table.h"

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
/* What the client wants to have. False: nothing that there is; the answer has become the refusal, to be sent in *ret.
 */
bool encode_form(struct api_request *req, struct accepted *ret);

/* --- pieces of lists (list_answer.h) --- */

/* A list up to its first item: itself, or (encode_partial_head, when the form says so) metadata only. */
void encode_list_head(const struct api_request *req, struct strbuf *out);
void encode_partial_head(const struct api_request *req, const struct accepted *a, struct strbuf *out);
/* In protobuf, where it says how long the items are. */
void encode_packed_head(const struct api_request *req, const struct accepted *a, size_t items_bytes,
                        struct strbuf *out);
void encode_run_item(const struct run_form *form, struct store_item *item, struct strbuf *out);

/* The list document: kind, apiVersion, metadata, items. For in-process clients, too. */
struct json *list_document(const struct api_request *req);
/* Appends an item's text without its apiVersion and kind, as items of lists are written. */
void encode_list_item(struct store_item *item, const struct resource *r, struct strbuf *out);

/* --- what watches make of their events, too --- */

struct json *table_document(const struct api_request *req, const struct accepted *a);
/* What rows hold of their objects. An invalid includeObject counts as none given; table_options_valid() answers it. */
enum table_include table_include(const struct api_request *req);
bool table_options_valid(struct api_request *req);
struct json *partial_document(const struct json *doc, const struct accepted *a);
/* store_encode_fn of store_item_packed(); userdata: the resource, which must be the storage version. */
int encode_packed(void *userdata, const struct json *doc, struct strbuf *out);
/* A document in its protobuf envelope, as itself or (AS_PARTIAL) as metadata. False: it has no such form. */
bool pack_document(const struct json *doc, const struct accepted *a, struct strbuf *out);

#endif
