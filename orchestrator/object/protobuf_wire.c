/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/protobuf_wire.h"

#include <string.h>

static size_t varint_text(uint64_t v, uint8_t text[10]) {
    size_t n = 0;
    while (v >= 0x80) {
        text[n++] = (uint8_t) (v | 0x80);
        v >>= 7;
    }
    text[n++] = (uint8_t) v;
    return n;
}

void wire_varint(struct strbuf *out, uint64_t v) {
    uint8_t text[10];
    strbuf_add(out, text, varint_text(v, text));
}

void wire_tag(struct strbuf *out, unsigned number, unsigned wire) {
    wire_varint(out, (uint64_t) number << 3 | wire);
}

void wire_number(struct strbuf *out, unsigned number, int64_t v) {
    wire_tag(out, number, 0);
    wire_varint(out, (uint64_t) v);
}

void wire_bytes(struct strbuf *out, unsigned number, const void *p, size_t n) {
    wire_tag(out, number, 2);
    wire_varint(out, n);
    strbuf_add(out, p, n);
}

void wire_string(struct strbuf *out, unsigned number, const char *s) {
    wire_bytes(out, number, s, strlen(s));
}

size_t wire_begin(struct strbuf *out, unsigned number) {
    wire_tag(out, number, 2);
    return out->len;
}

void wire_end(struct strbuf *out, size_t start) {
    uint8_t text[10];
    size_t length = out->len - start, n = varint_text(length, text);
    strbuf_add(out, text, n); /* makes room */
    if (out->overflow)
        return;
    memmove(out->data + start + n, out->data + start, length);
    memcpy(out->data + start, text, n);
}
