/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kubernetes protobuf bodies ("k8s\0" + runtime.Unknown, wire.md section 4) to and from documents, driven by the
 * tables. Pure; any thread. Not yet: APIResourceList (its verbs are a message) and the object inside a WatchEvent. */
#ifndef PODIUM_OBJECT_PROTOBUF_H
#define PODIUM_OBJECT_PROTOBUF_H

#include <stddef.h>

#include "podium/base/error.h"
#include "podium/base/json.h"
#include "podium/base/strbuf.h"

/* Result has apiVersion and kind. -EINVAL on malformed bytes, -EPROTONOSUPPORT for a kind without a table. */
int protobuf_decode(const void *p, size_t n, struct json **ret, struct error *err) _must_check_;
/* -EPROTONOSUPPORT for a kind without protobuf form (Table). */
int protobuf_encode(const struct json *doc, struct strbuf *out, struct error *err) _must_check_;

#endif
