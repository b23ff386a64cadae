/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing protobuf's wire format: tags, numbers, bytes, nested messages. Private to this folder. */
#ifndef PODIUM_OBJECT_PROTOBUF_WIRE_H
#define PODIUM_OBJECT_PROTOBUF_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "podium/base/strbuf.h"

void wire_varint(struct strbuf *out, uint64_t v);
void wire_tag(struct strbuf *out, unsigned number, unsigned wire);
void wire_number(struct strbuf *out, unsigned number, int64_t v);
void wire_bytes(struct strbuf *out, unsigned number, const void *p, size_t n);
void wire_string(struct strbuf *out, unsigned number, const char *s);
/* A message whose length is only known at its end: written first, then moved to make room for the length. */
size_t wire_begin(struct strbuf *out, unsigned number);
void wire_end(struct strbuf *out, size_t start);

#endif
