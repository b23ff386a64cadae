/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing messages record by record: what message.c and reply.c share. */
#ifndef PODIUM_NETNS_DNS_WIRE_H
#define PODIUM_NETNS_DNS_WIRE_H

#include "netns/dns/message.h"

enum { DNS_FLAG_QR = 0x80, DNS_OPCODE_MASK = 0x78, DNS_FLAG_AA = 0x04, DNS_FLAG_TC = 0x02, DNS_FLAG_RD = 0x01 };
enum { DNS_FLAG_RA = 0x80, DNS_FLAG_AD = 0x20, DNS_FLAG_CD = 0x10, DNS_RCODE_MASK = 0x0f }; /* the next byte */

#define DNS_OPT_SIZE     11
#define DNS_WRITER_NAMES 32 /* names kept to compress later ones by */

struct dns_writer {
    uint8_t *start, *at, *end; /* end leaves room for the OPT record */
    uint16_t counts[3];        /* by enum dns_section */
    const uint8_t *names[DNS_WRITER_NAMES];
};

/* Header and question. */
void dns_write_begin(struct dns_writer *w, const struct dns_query *q, uint8_t *out, size_t max);
/* Counts, rcode, the OPT record; the length. */
size_t dns_write_end(struct dns_writer *w, const struct dns_query *q, unsigned rcode);
/* These return false when it does not fit (or a name is none): then nothing of use was written. */
bool dns_write_name(struct dns_writer *w, const char *name, bool compress);
bool dns_write_bytes(struct dns_writer *w, const void *p, size_t n);
bool dns_write_head(struct dns_writer *w, const char *name, unsigned type, unsigned class, uint32_t ttl);
/* A whole record or nothing. */
bool dns_write_record(struct dns_writer *w, const struct dns_record *r);

#endif
