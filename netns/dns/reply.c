/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Queries to resolvers and what becomes of their replies. */
#include <arpa/nameser.h>
#include <string.h>

#include "netns/dns/message.h"
#include "netns/dns/wire.h"

#define TTL_OFFSET 6 /* of the time to live, in front of a record's data: ttl, length */

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t) (c + ('a' - 'A')) : c;
}

size_t dns_encode_query(const struct dns_query *q, uint16_t id, uint8_t out[DNS_QUERY_MAX]) {
    struct dns_query question = *q;
    struct dns_writer w;

    /* label lengths are below 'A': lower() leaves them, and type and class are copied anew */
    for (size_t i = 0; i < q->question_n - NS_QFIXEDSZ; i++)
        question.question[i] = lower(q->question[i]);
    question.id = id;
    dns_write_begin(&w, &question, out, DNS_QUERY_MAX);
    out[2] = q->recursion_desired ? DNS_FLAG_RD : 0;
    out[3] = (uint8_t) ((q->authentic_data ? DNS_FLAG_AD : 0) | (q->checking_disabled ? DNS_FLAG_CD : 0));
    return dns_write_end(&w, q, 0);
}

int dns_query_rename(const struct dns_query *q, const char *name, struct dns_query *ret) {
    *ret = *q;
    if (ns_name_pton(name, ret->question, NS_MAXCDNAME) < 0)
        return -EINVAL;
    size_t n = 0;
    while (ret->question[n])
        n += 1u + ret->question[n];
    n++;
    ns_put16(q->type, ret->question + n);
    ns_put16(q->class, ret->question + n + 2);
    ret->question_n = n + NS_QFIXEDSZ;
    return 0;
}

bool dns_reply_matches(const uint8_t *query, size_t query_n, const uint8_t *reply, size_t n) {
    ns_msg msg;
    size_t at = DNS_HEADER_SIZE, end;

    if (query_n < DNS_HEADER_SIZE || n < DNS_HEADER_SIZE || memcmp(query, reply, 2) != 0 || !(reply[2] & DNS_FLAG_QR) ||
        ns_initparse(reply, (int) n, &msg) < 0)
        return false;
    if (ns_msg_count(msg, ns_s_qd) == 0) /* refused by one that did not even read it */
        return dns_reply_rcode(reply, n) != DNS_NOERROR && dns_reply_rcode(reply, n) != DNS_NXDOMAIN;
    for (end = at; end < query_n && query[end];)
        end += 1u + query[end];
    end += 1 + NS_QFIXEDSZ;
    if (ns_msg_count(msg, ns_s_qd) != 1 || end > query_n || end > n)
        return false;
    while (at < end - NS_QFIXEDSZ && lower(reply[at]) == query[at])
        at++;
    return at == end - NS_QFIXEDSZ && memcmp(reply + at, query + at, NS_QFIXEDSZ) == 0;
}

bool dns_reply_is_truncated(const uint8_t *reply, size_t n) {
    return n >= DNS_HEADER_SIZE && reply[2] & DNS_FLAG_TC;
}

enum dns_rcode dns_reply_rcode(const uint8_t *reply, size_t n) {
    return n >= DNS_HEADER_SIZE ? (enum dns_rcode)(reply[3] & DNS_RCODE_MASK) : DNS_SERVFAIL;
}

/* Calls for each record but OPT; p: where its time to live is. */
static bool each_ttl(const uint8_t *reply, size_t n, void (*fn)(void *userdata, size_t offset, const ns_rr *rr),
                     void *userdata) {
    ns_msg msg;
    ns_rr rr;

    if (ns_initparse(reply, (int) n, &msg) < 0)
        return false;
    for (int s = ns_s_an; s <= ns_s_ar; s++)
        for (int i = 0; i < ns_msg_count(msg, s); i++) {
            if (ns_parserr(&msg, (ns_sect) s, i, &rr) < 0)
                return false;
            if (rr.type != ns_t_opt)
                fn(userdata, (size_t) (rr.rdata - reply) - TTL_OFFSET, &rr);
        }
    return true;
}

static void least_ttl(void *userdata, size_t offset, const ns_rr *rr) {
    uint32_t *least = userdata, ttl = rr->ttl;

    /* a negative answer may be kept as long as the zone's SOA says in its last field (RFC 2308) */
    if (rr->type == ns_t_soa && rr->rdlength >= 4 && ns_get32(rr->rdata + rr->rdlength - 4) < ttl)
        ttl = (uint32_t) ns_get32(rr->rdata + rr->rdlength - 4);
    if (ttl < *least)
        *least = ttl;
}

uint32_t dns_reply_ttl(const uint8_t *reply, size_t n, uint32_t max) {
    enum dns_rcode rcode = dns_reply_rcode(reply, n);
    uint32_t least = max;

    if (n < DNS_HEADER_SIZE || dns_reply_is_truncated(reply, n) || (rcode != DNS_NOERROR && rcode != DNS_NXDOMAIN))
        return 0;
    if (ns_get16(reply + 6) == 0 && ns_get16(reply + 8) == 0) /* negative, without the SOA that says for how long */
        return 0;
    return each_ttl(reply, n, least_ttl, &least) ? least : 0;
}

struct aging {
    uint8_t *reply;
    uint32_t seconds;
};

static void age(void *userdata, size_t offset, const ns_rr *rr) {
    const struct aging *a = userdata;
    ns_put32(rr->ttl > a->seconds ? rr->ttl - a->seconds : 0, a->reply + offset);
}

void dns_reply_age(uint8_t *reply, size_t n, uint32_t seconds) {
    struct aging a = {reply, seconds};
    (void) each_ttl(reply, n, age, &a);
}

size_t dns_reply_adapt(const struct dns_query *q, uint8_t *reply, size_t n, size_t max) {
    bool whole = ns_get16(reply + 4) == 1 && n >= DNS_HEADER_SIZE + q->question_n;
    unsigned rcode = dns_reply_rcode(reply, n);

    if (!whole)
        return dns_encode_error(q, (enum dns_rcode) rcode, reply);
    if (n > max) {
        struct dns_writer w;
        uint8_t flags = reply[2];
        dns_write_begin(&w, q, reply, max);
        reply[2] = (uint8_t) (reply[2] | DNS_FLAG_TC | (flags & DNS_FLAG_AA));
        return dns_write_end(&w, q, rcode);
    }
    ns_put16(q->id, reply);
    reply[2] = (uint8_t) ((reply[2] & ~DNS_FLAG_RD) | (q->recursion_desired ? DNS_FLAG_RD : 0));
    reply[3] |= DNS_FLAG_RA;
    memcpy(reply + DNS_HEADER_SIZE, q->question, q->question_n);
    return n;
}

/* --- an alias of ours and what its target turned out to be --- */

/* Where in the data a name starts that may be compressed against the message it came in; -1: there is none. */
static int name_offset(unsigned type) {
    switch (type) {
    case ns_t_cname:
    case ns_t_ns:
    case ns_t_ptr:
    case ns_t_dname:
        return 0;
    case ns_t_mx:
        return 2;
    case ns_t_srv:
        return 6;
    default:
        return -1;
    }
}

static bool copy_data(struct dns_writer *w, const ns_msg *msg, const ns_rr *rr) {
    int offset = name_offset(rr->type);
    char name[NS_MAXDNAME];

    if (offset < 0)
        return dns_write_bytes(w, rr->rdata, rr->rdlength);
    if (rr->rdlength <= offset ||
        ns_name_uncompress(ns_msg_base(*msg), ns_msg_end(*msg), rr->rdata + offset, name, sizeof(name)) < 0)
        return false;
    return dns_write_bytes(w, rr->rdata, (size_t) offset) && dns_write_name(w, name, false);
}

static bool copy_record(struct dns_writer *w, const ns_msg *msg, const ns_rr *rr) {
    uint8_t *before = w->at;

    if (dns_write_head(w, ns_rr_name(*rr), rr->type, rr->rr_class, rr->ttl) && w->end - w->at >= 2) {
        uint8_t *length = w->at;
        w->at += 2;
        if (copy_data(w, msg, rr)) {
            ns_put16((unsigned) (w->at - length - 2), length);
            w->counts[DNS_ANSWER]++;
            return true;
        }
    }
    w->at = before;
    return false;
}

size_t dns_encode_joined(const struct dns_query *q, const struct dns_answer *answer, const uint8_t *reply, size_t n,
                         uint8_t *out, size_t max) {
    struct dns_writer w;
    ns_msg msg;
    ns_rr rr;

    dns_write_begin(&w, q, out, max);
    bool whole = ns_initparse(reply, (int) n, &msg) == 0 && !dns_reply_is_truncated(reply, n);
    for (size_t i = 0; i < answer->n && whole; i++)
        whole = answer->records[i].section != DNS_ANSWER || dns_write_record(&w, &answer->records[i]);
    for (int i = 0; whole && i < ns_msg_count(msg, ns_s_an); i++)
        whole = ns_parserr(&msg, ns_s_an, i, &rr) == 0 && copy_record(&w, &msg, &rr);
    if (!whole)
        out[2] |= DNS_FLAG_TC;
    return dns_write_end(&w, q, dns_reply_rcode(reply, n));
}
