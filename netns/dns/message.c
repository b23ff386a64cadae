/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Queries read and answers written. */
#include "netns/dns/message.h"

#include <arpa/nameser.h>
#include <resolv.h>
#include <string.h>

#include "netns/dns/wire.h"
#include "podium/base/alloc.h"

/* --- answers of a zone --- */

struct dns_record *dns_answer_add(struct dns_answer *answer, enum dns_section section, enum dns_type type,
                                  uint32_t ttl) {
    xgrow(&answer->records, answer->n, &answer->cap);
    struct dns_record *r = &answer->records[answer->n++];
    *r = (struct dns_record){.section = section, .type = type, .ttl = ttl};
    return r;
}

void dns_answer_reset(struct dns_answer *answer) {
    for (size_t i = 0; i < answer->n; i++) {
        free(answer->records[i].name);
        free(answer->records[i].target);
    }
    free(answer->onward);
    answer->onward = NULL;
    answer->n = 0;
    answer->rcode = DNS_NOERROR;
}

void dns_answer_finish(struct dns_answer *answer) {
    dns_answer_reset(answer);
    free(answer->records);
    *answer = (struct dns_answer){0};
}

/* --- reading --- */

/* Bytes of an uncompressed name at p, its end included; 0: none there. */
static size_t name_length(const uint8_t *p, size_t n) {
    size_t at = 0;

    while (at < n && p[at] != 0) {
        if (p[at] > NS_MAXLABEL) /* a pointer: there is nothing in front of a question to point to */
            return 0;
        at += 1u + p[at];
        if (at >= NS_MAXCDNAME)
            return 0;
    }
    return at < n ? at + 1 : 0;
}

/* Labels to text as struct dns_zone wants it. */
static void name_to_text(const uint8_t *p, char out[DNS_NAME_TEXT_SIZE]) {
    char *o = out;

    for (; *p; p += 1 + *p) {
        if (o > out)
            *o++ = '.';
        for (unsigned i = 1; i <= *p; i++) {
            uint8_t c = p[i];
            if (c <= ' ' || c >= 0x7f || c == '.' || c == '\\') {
                *o++ = '\\';
                *o++ = (char) ('0' + c / 100);
                *o++ = (char) ('0' + c / 10 % 10);
                *o++ = (char) ('0' + c % 10);
            } else {
                *o++ = (char) (c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
            }
        }
    }
    *o = 0;
}

/* The OPT record, if there is one. */
static int read_edns(ns_msg *msg, struct dns_query *q) {
    ns_rr rr;

    for (int i = 0; i < ns_msg_count(*msg, ns_s_ar); i++) {
        if (ns_parserr(msg, ns_s_ar, i, &rr) < 0)
            return DNS_FORMERR;
        if (rr.type != ns_t_opt)
            continue;
        if (q->edns || rr.name[0] != 0) /* one only, and of the root */
            return DNS_FORMERR;
        q->edns = true;
        q->dnssec_ok = rr.ttl & 0x8000;
        q->payload = rr.rr_class < DNS_UDP_MIN ? DNS_UDP_MIN : rr.rr_class > DNS_UDP_MAX ? DNS_UDP_MAX : rr.rr_class;
        if ((rr.ttl >> 16 & 0xff) != 0)
            return DNS_BADVERS;
    }
    return DNS_NOERROR;
}

int dns_query_parse(const uint8_t *p, size_t n, struct dns_query *q) {
    ns_msg msg;

    q->question_n = 0;
    q->edns = q->dnssec_ok = false;
    q->payload = DNS_UDP_MIN;
    q->name[0] = 0;
    if (n < DNS_HEADER_SIZE || n > DNS_MESSAGE_MAX || p[2] & DNS_FLAG_QR)
        return -1;
    q->id = (uint16_t) ns_get16(p);
    q->recursion_desired = p[2] & DNS_FLAG_RD;
    q->authentic_data = p[3] & DNS_FLAG_AD;
    q->checking_disabled = p[3] & DNS_FLAG_CD;
    if ((p[2] & DNS_OPCODE_MASK) != 0)
        return DNS_NOTIMP;
    if (ns_get16(p + 4) != 1 || p[2] & DNS_FLAG_TC)
        return DNS_FORMERR;
    size_t name_n = name_length(p + DNS_HEADER_SIZE, n - DNS_HEADER_SIZE);
    if (name_n == 0 || DNS_HEADER_SIZE + name_n + NS_QFIXEDSZ > n)
        return DNS_FORMERR;
    q->question_n = name_n + NS_QFIXEDSZ;
    memcpy(q->question, p + DNS_HEADER_SIZE, q->question_n);
    q->type = (uint16_t) ns_get16(q->question + name_n);
    q->class = (uint16_t) ns_get16(q->question + name_n + 2);
    name_to_text(q->question, q->name);
    if (ns_get16(p + 6) != 0 || ns_get16(p + 8) != 0) /* answers in a query: an update, an IXFR or nonsense */
        return q->type == ns_t_ixfr ? DNS_REFUSED : DNS_FORMERR;
    if (ns_initparse(p, (int) n, &msg) < 0)
        return DNS_FORMERR;
    int rcode = read_edns(&msg, q);
    if (rcode != DNS_NOERROR)
        return rcode;
    /* transfers, mail agents and other meta types, and classes but that of the Internet: not here */
    bool meta = q->type == 0 || q->type == ns_t_opt || (q->type >= 128 && q->type < DNS_ANY);
    return meta || q->class != ns_c_in ? DNS_REFUSED : DNS_NOERROR;
}

/* --- writing --- */

void dns_write_begin(struct dns_writer *w, const struct dns_query *q, uint8_t *out, size_t max) {
    *w = (struct dns_writer){.start = out, .at = out + DNS_HEADER_SIZE, .end = out + max};
    memset(out, 0, DNS_HEADER_SIZE);
    ns_put16(q->id, out);
    out[2] = DNS_FLAG_QR | (q->recursion_desired ? DNS_FLAG_RD : 0);
    out[3] = DNS_FLAG_RA | (q->checking_disabled ? DNS_FLAG_CD : 0);
    if (q->question_n > 0) {
        memcpy(w->at, q->question, q->question_n);
        w->at += q->question_n;
        ns_put16(1, out + 4);
    }
    if (q->edns)
        w->end -= DNS_OPT_SIZE;
    w->names[0] = out;
    w->names[1] = q->question_n > 0 && q->question[0] ? out + DNS_HEADER_SIZE : NULL;
}

size_t dns_write_end(struct dns_writer *w, const struct dns_query *q, unsigned rcode) {
    uint8_t *out = w->start;

    out[3] = (uint8_t) (out[3] | (rcode & 0xf));
    for (int s = 0; s < 3; s++)
        ns_put16(w->counts[s], out + 6 + 2 * s);
    if (q->edns) {
        const uint8_t opt[DNS_OPT_SIZE] = {
            0, 0, ns_t_opt, DNS_UDP_MAX >> 8, DNS_UDP_MAX & 0xff, (uint8_t) (rcode >> 4), 0, q->dnssec_ok ? 0x80 : 0,
            0, 0, 0};
        memcpy(w->at, opt, sizeof(opt));
        w->at += sizeof(opt);
        ns_put16(w->counts[2] + 1u, out + 10);
    }
    return (size_t) (w->at - out);
}

/* Writes a name, compressed when compress; false when it does not fit or is no name. */
bool dns_write_name(struct dns_writer *w, const char *name, bool compress) {
    int n = ns_name_compress(name, w->at, (size_t) (w->end - w->at), compress ? w->names : NULL,
                             compress ? w->names + DNS_WRITER_NAMES : NULL);
    if (n < 0)
        return false;
    w->at += n;
    return true;
}

bool dns_write_bytes(struct dns_writer *w, const void *p, size_t n) {
    if ((size_t) (w->end - w->at) < n)
        return false;
    memcpy(w->at, p, n);
    w->at += n;
    return true;
}

/* Owner, type, class and ttl; NULL is the question's name, at a place that is always the same. */
bool dns_write_head(struct dns_writer *w, const char *name, unsigned type, unsigned class, uint32_t ttl) {
    static const uint8_t question_pointer[] = {NS_CMPRSFLGS, DNS_HEADER_SIZE};
    uint8_t fixed[8];

    if (!(name ? dns_write_name(w, name, true) : dns_write_bytes(w, question_pointer, sizeof(question_pointer))))
        return false;
    ns_put16(type, fixed);
    ns_put16(class, fixed + 2);
    ns_put32(ttl, fixed + 4);
    return dns_write_bytes(w, fixed, sizeof(fixed));
}

static bool write_soa(struct dns_writer *w, const struct dns_record *r) {
    /* refresh, retry and expire are for secondary servers, which there are none of */
    const uint32_t values[] = {r->soa.serial, 7200, 1800, 86400, r->soa.negative_ttl};
    uint8_t bytes[4 * ARRAY_LEN(values)];
    char mailbox[DNS_NAME_TEXT_SIZE];

    (void) snprintf(mailbox, sizeof(mailbox), "hostmaster.%s", r->name ? r->name : "");
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        ns_put32(values[i], bytes + 4 * i);
    return dns_write_name(w, r->target, true) && dns_write_name(w, mailbox, true) &&
           dns_write_bytes(w, bytes, sizeof(bytes));
}

static bool write_data(struct dns_writer *w, const struct dns_record *r) {
    uint8_t bytes[6];
    size_t n;

    switch (r->type) {
    case DNS_A:
        return dns_write_bytes(w, r->address, sizeof(r->address));
    case DNS_NS:
    case DNS_CNAME:
    case DNS_PTR:
        return dns_write_name(w, r->target, true);
    case DNS_SRV: /* its target must not be compressed (RFC 2782) */
        ns_put16(r->srv.priority, bytes);
        ns_put16(r->srv.weight, bytes + 2);
        ns_put16(r->srv.port, bytes + 4);
        return dns_write_bytes(w, bytes, 6) && dns_write_name(w, r->target, false);
    case DNS_TXT:
        n = strlen(r->target);
        bytes[0] = (uint8_t) (n > 255 ? 255 : n);
        return dns_write_bytes(w, bytes, 1) && dns_write_bytes(w, r->target, bytes[0]);
    case DNS_SOA:
        return write_soa(w, r);
    case DNS_AAAA:
    case DNS_ANY:
        break;
    }
    return false;
}

bool dns_write_record(struct dns_writer *w, const struct dns_record *r) {
    uint8_t *before = w->at;

    if (!dns_write_head(w, r->name, r->type, ns_c_in, r->ttl) || w->end - w->at < 2)
        goto undo;
    uint8_t *length = w->at;
    w->at += 2;
    if (!write_data(w, r))
        goto undo;
    ns_put16((unsigned) (w->at - length - 2), length);
    w->counts[r->section]++;
    return true;
undo:
    ns_name_rollback(before, w->names, w->names + DNS_WRITER_NAMES);
    w->at = before;
    return false;
}

size_t dns_encode_answer(const struct dns_query *q, const struct dns_answer *answer, uint8_t *out, size_t max) {
    struct dns_writer w;

    dns_write_begin(&w, q, out, max);
    if (answer->rcode == DNS_NOERROR || answer->rcode == DNS_NXDOMAIN)
        out[2] |= DNS_FLAG_AA;
    for (int s = DNS_ANSWER; s <= DNS_ADDITIONAL; s++)
        for (size_t i = 0; i < answer->n; i++) {
            if (answer->records[i].section != (enum dns_section) s || dns_write_record(&w, &answer->records[i]))
                continue;
            if (s != DNS_ADDITIONAL)
                out[2] |= DNS_FLAG_TC;
            return dns_write_end(&w, q, answer->rcode);
        }
    return dns_write_end(&w, q, answer->rcode);
}

size_t dns_encode_error(const struct dns_query *q, enum dns_rcode rcode, uint8_t out[DNS_QUERY_MAX]) {
    struct dns_writer w;

    dns_write_begin(&w, q, out, DNS_QUERY_MAX);
    return dns_write_end(&w, q, rcode);
}
