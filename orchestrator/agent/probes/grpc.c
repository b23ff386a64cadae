/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/probes/grpc.h"

#include <stdint.h>
#include <string.h>

#define PREFIX_BYTES    5
#define FIELD_ONE_BYTES 0x0A /* field 1, length-delimited: service */
#define FIELD_ONE_INT   0x08 /* field 1, varint: status */

static void add_varint(struct strbuf *out, size_t v) {
    for (; v >= 0x80; v >>= 7)
        strbuf_addc(out, (char) (v | 0x80));
    strbuf_addc(out, (char) v);
}

void grpc_health_request(const char *service, struct strbuf *out) {
    _cleanup_strbuf_ struct strbuf message = STRBUF_INIT;

    if (*service) {
        strbuf_addc(&message, FIELD_ONE_BYTES);
        add_varint(&message, strlen(service));
        strbuf_adds(&message, service);
    }
    strbuf_addc(out, 0); /* not compressed */
    for (int shift = 24; shift >= 0; shift -= 8)
        strbuf_addc(out, (char) (message.len >> shift));
    strbuf_add(out, strbuf_str(&message), message.len);
}

/* -EBADMSG when it does not end within n bytes. */
static int read_varint(const uint8_t *p, size_t n, size_t *at, uint64_t *ret) {
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && *at < n; shift += 7) {
        uint8_t b = p[(*at)++];
        v |= (uint64_t) (b & 0x7F) << shift;
        if (!(b & 0x80)) {
            *ret = v;
            return 0;
        }
    }
    return -EBADMSG;
}

static int skip_field(const uint8_t *p, size_t n, size_t *at, unsigned wire_type) {
    uint64_t size = 0;

    switch (wire_type) {
    case 0:
        return read_varint(p, n, at, &size);
    case 1:
        size = 8;
        break;
    case 2:
        if (read_varint(p, n, at, &size) < 0)
            return -EBADMSG;
        break;
    case 5:
        size = 4;
        break;
    default:
        return -EBADMSG;
    }
    if (size > n - *at)
        return -EBADMSG;
    *at += (size_t) size;
    return 0;
}

int grpc_health_answer(const void *data, size_t n) {
    const uint8_t *p = data;
    uint64_t status = 0, tag;
    size_t at = PREFIX_BYTES;

    if (n < PREFIX_BYTES || p[0] != 0)
        return -EBADMSG;
    size_t size = (size_t) p[1] << 24 | (size_t) p[2] << 16 | (size_t) p[3] << 8 | p[4];
    if (size > n - PREFIX_BYTES)
        return -EBADMSG;
    n = size + PREFIX_BYTES;
    while (at < n) {
        int r = read_varint(p, n, &at, &tag);
        if (r == 0)
            r = tag == FIELD_ONE_INT ? read_varint(p, n, &at, &status) : skip_field(p, n, &at, (unsigned) (tag & 7));
        if (r < 0)
            return r;
    }
    return status > INT32_MAX ? 0 : (int) status;
}

const char *grpc_health_name(int status) {
    static const char *const names[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};

    return status >= 0 && (size_t) status < sizeof(names) / sizeof(names[0]) ? names[status] : "UNKNOWN";
}
