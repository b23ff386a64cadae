/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DNS messages (RFC 1035, 6891): queries read, answers written, resolvers' replies made to fit a client. Pure: bytes
 * in, bytes out. Every reader takes any bytes.
 */
#ifndef PODIUM_NETNS_DNS_MESSAGE_H
#define PODIUM_NETNS_DNS_MESSAGE_H

#include "podium/netns_dns.h"

#define DNS_MESSAGE_MAX  65535
#define DNS_UDP_MAX      1232 /* what we send and ask for over UDP: never fragmented (DNS flag day 2020) */
#define DNS_UDP_MIN      512  /* without EDNS */
#define DNS_HEADER_SIZE  12
#define DNS_QUESTION_MAX (255 + 4)
#define DNS_QUERY_MAX    (DNS_HEADER_SIZE + DNS_QUESTION_MAX + 11)

struct dns_query {
    uint16_t id, type, class;
    bool recursion_desired, authentic_data, checking_disabled;
    bool edns, dnssec_ok;
    uint16_t payload;                   /* what the client takes over UDP, within DNS_UDP_MIN…DNS_UDP_MAX */
    uint8_t question[DNS_QUESTION_MAX]; /* name, type and class as they came */
    size_t question_n;                  /* 0: it could not be read */
    char name[DNS_NAME_TEXT_SIZE];      /* as struct dns_zone wants it */
};

/* DNS_NOERROR: a query to answer. Another rcode: to be answered with that alone (dns_encode_error). -1: no query, or
 * too short for an answer: be silent. */
int dns_query_parse(const uint8_t *p, size_t n, struct dns_query *ret);

/* The zone's answer. What does not fit in max bytes is left out: additional records silently, others with TC set.
 * Returns the length; max at least DNS_UDP_MIN. */
size_t dns_encode_answer(const struct dns_query *query, const struct dns_answer *answer, uint8_t *out, size_t max);
size_t dns_encode_error(const struct dns_query *query, enum dns_rcode rcode, uint8_t out[DNS_QUERY_MAX]);

/* --- towards resolvers --- */

/* What is asked outside for a query: the same question in lower case, a fresh id, EDNS and DO as the client's. */
size_t dns_encode_query(const struct dns_query *query, uint16_t id, uint8_t out[DNS_QUERY_MAX]);
/* The query for another name in place of the client's; -EINVAL when it is no name. */
int dns_query_rename(const struct dns_query *query, const char *name, struct dns_query *ret);
/* A whole reply to exactly this query: id, question, QR, every record readable. */
bool dns_reply_matches(const uint8_t *query, size_t query_n, const uint8_t *reply, size_t n);
bool dns_reply_is_truncated(const uint8_t *reply, size_t n);
enum dns_rcode dns_reply_rcode(const uint8_t *reply, size_t n);
/* Seconds all records of the reply may be kept; 0: not at all. max: never longer. */
uint32_t dns_reply_ttl(const uint8_t *reply, size_t n, uint32_t max);
/* Takes `seconds` off each record's time to live. */
void dns_reply_age(uint8_t *reply, size_t n, uint32_t seconds);
/* Makes a matching reply one to the client's own query: its id, flags and spelling; cut with TC when over max. Returns
 * the length. In place. */
size_t dns_reply_adapt(const struct dns_query *query, uint8_t *reply, size_t n, size_t max);
/* The zone's answer (CNAMEs) followed by the answers of a reply to dns_query_rename(query, answer->onward). */
size_t dns_encode_joined(const struct dns_query *query, const struct dns_answer *answer, const uint8_t *reply, size_t n,
                         uint8_t *out, size_t max);

#endif
