/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kubernetes protobuf bodies ("k8s\0" + runtime.Unknown, wire.md section 4) to and from documents, driven by the
 * tables. Pure; any thread. Watch events are written only (protobuf_frame_event); nobody sends them to us. */
#ifndef PODIUM_OBJECT_PROTOBUF_H
#define PODIUM_OBJECT_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/error.h"
#include "podium/base/json.h"
#include "podium/base/strbuf.h"

/* Result has apiVersion and kind. -EINVAL on malformed bytes, -EPROTONOSUPPORT for a kind without a table. */
int protobuf_decode(const void *p, size_t n, struct json **ret, struct error *err) _must_check_;
/* -EPROTONOSUPPORT for a kind without protobuf form (Table). */
int protobuf_encode(const struct json *doc, struct strbuf *out, struct error *err) _must_check_;

/*
 * In parts, so that the bytes of an object are made once and sent in several forms: alone, in a list, in watch events.
 * The message is what an object is inside its envelope, without apiVersion and kind.
 */
bool protobuf_has_form(const char *api_version, const char *kind);
int protobuf_encode_message(const char *api_version, const char *kind, const struct json *doc, struct strbuf *out,
                            struct error *err) _must_check_;
void protobuf_envelope(const char *api_version, const char *kind, const void *message, size_t n, struct strbuf *out);
/* One frame of a watch: its length in four bytes, most significant first, and a WatchEvent around the envelope. */
void protobuf_frame_event(const char *type, const char *api_version, const char *kind, const void *message, size_t n,
                          struct strbuf *out);
/* The WatchEvent without the length. */
void protobuf_event(const char *type, const char *api_version, const char *kind, const void *message, size_t n,
                    struct strbuf *out);

/* A list, item by item. metadata: a document of ListMeta. */
struct protobuf_list {
    struct strbuf *out;
    size_t start;
};
void protobuf_list_begin(struct protobuf_list *l, const char *api_version, const char *kind,
                         const struct json *metadata, struct strbuf *out);
void protobuf_list_message(struct protobuf_list *l, const void *message, size_t n);
void protobuf_list_document(struct protobuf_list *l, const char *api_version, const char *kind, const struct json *doc);
void protobuf_list_end(struct protobuf_list *l);
/* The same in pieces: a head for items of so many bytes together, then these (each as list_message and list_document
 * append them to a struct protobuf_list of which only `out` is set), then the tail. */
void protobuf_list_head(const char *api_version, const char *kind, const struct json *metadata, size_t items_bytes,
                        struct strbuf *out);
void protobuf_list_tail(struct strbuf *out);

#endif
