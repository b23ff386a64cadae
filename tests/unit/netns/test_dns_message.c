/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DNS messages: bytes in, bytes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/nameser.h>
#include <stdio.h>
#include <string.h>

#include "netns/dns/cache.h"
#include "netns/dns/message.h"
#include "netns/dns/resolv_conf.h"
#include "podium/base/alloc.h"

#define SEC 1000000ull

/* "4a2b 0100 'web'" hex digits and 'labels' (each with its length in front, in quotes) to bytes. */
static size_t bytes_of(const char *text, uint8_t *out) {
    size_t n = 0;

    for (const char *p = text; *p; p++) {
        if (*p == ' ')
            continue;
        if (*p == '\'') {
            const char *end = strchr(p + 1, '\'');
            out[n++] = (uint8_t) (end - p - 1);
            memcpy(out + n, p + 1, (size_t) (end - p - 1));
            n += (size_t) (end - p - 1);
            p = end;
            continue;
        }
        unsigned byte;
        assert_int_equal(sscanf(p, "%2x", &byte), 1);
        out[n++] = (uint8_t) byte;
        p++;
    }
    return n;
}

static int parse(const char *text, struct dns_query *q) {
    uint8_t message[2048];

    return dns_query_parse(message, bytes_of(text, message), q);
}

static void assert_bytes(const uint8_t *p, size_t n, const char *text) {
    uint8_t wanted[4096];
    size_t k = bytes_of(text, wanted);

    if (n != k || memcmp(p, wanted, n) != 0) {
        for (size_t i = 0; i < n; i++)
            fprintf(stderr, "%02x%s", p[i], i % 16 == 15 ? "\n" : " ");
        fprintf(stderr, "\n");
    }
    assert_int_equal(n, k);
    assert_memory_equal(p, wanted, n);
}

#define WEB "4a2b 0100 0001 0000 0000 0000 'Web' 'default' 'svc' 'cluster' 'local' 00 0001 0001"
#define WEB_OPT                                                                                                        \
    "4a2b 0100 0001 0000 0000 0001 'Web' 'default' 'svc' 'cluster' 'local' 00 0001 0001 00 0029 1000 0000 8000 0000"

static void queries_are_read(void **state) {
    struct dns_query q;

    assert_int_equal(parse(WEB, &q), DNS_NOERROR);
    assert_string_equal(q.name, "web.default.svc.cluster.local");
    assert_int_equal(q.id, 0x4a2b);
    assert_int_equal(q.type, DNS_A);
    assert_true(q.recursion_desired);
    assert_false(q.edns);
    assert_int_equal(q.payload, 512);

    assert_int_equal(parse(WEB_OPT, &q), DNS_NOERROR);
    assert_true(q.edns);
    assert_true(q.dnssec_ok);
    assert_int_equal(q.payload, DNS_UDP_MAX); /* 4096 is more than we send */
    /* options we do not know, a cookie and padding, are no concern */
    assert_int_equal(parse("0001 0100 0001 0000 0000 0001 'a' 00 0001 0001"
                           "00 0029 0300 0000 0000 0010 000a 0008 0102030405060708 000c 0000",
                           &q),
                     DNS_NOERROR);
    assert_int_equal(q.payload, 0x300);
    /* a size below the minimum counts as the minimum */
    assert_int_equal(parse("0001 0100 0001 0000 0000 0001 'a' 00 0001 0001 00 0029 0010 0000 0000 0000", &q), 0);
    assert_int_equal(q.payload, 512);
    /* the root; bytes that would look like other names as text */
    assert_int_equal(parse("0001 0100 0001 0000 0000 0000 00 0002 0001", &q), DNS_NOERROR);
    assert_string_equal(q.name, "");
    assert_int_equal(parse("0001 0100 0001 0000 0000 0000 'foo.cluster' 'local' 00 0001 0001", &q), DNS_NOERROR);
    assert_string_equal(q.name, "foo\\046cluster.local");
}

static void what_is_no_query_is_refused_as_it_deserves(void **state) {
    static const struct {
        const char *message;
        int rcode;
    } cases[] = {
        {"", -1},
        {"0001 0100 0001 0000 0000 00", -1},                                              /* half a header */
        {"0001 8180 0001 0000 0000 0000 'a' 00 0001 0001", -1},                           /* an answer */
        {"0001 2900 0001 0000 0000 0000 'a' 00 0006 0001", DNS_NOTIMP},                   /* update */
        {"0001 1100 0001 0000 0000 0000 'a' 00 0001 0001", DNS_NOTIMP},                   /* status */
        {"0001 0100 0000 0000 0000 0000", DNS_FORMERR},                                   /* no question */
        {"0001 0100 0002 0000 0000 0000 'a' 00 0001 0001 'b' 00 0001 0001", DNS_FORMERR}, /* two */
        {"0001 0100 0001 0000 0000 0000 'a' 00 0001", DNS_FORMERR},                       /* cut */
        {"0001 0100 0001 0000 0000 0000 'a' 3f 62", DNS_FORMERR},                         /* cut in the name */
        {"0001 0100 0001 0000 0000 0000 c00c 0001 0001", DNS_FORMERR},                    /* points to itself */
        {"0001 0100 0001 0000 0000 0000 41 61 00 0001 0001", DNS_FORMERR},                /* label type 01 */
        {"0001 0100 0001 0000 0000 0001 'a' 00 0001 0001", DNS_FORMERR},                  /* counts lie */
        {"0001 0100 0001 0001 0000 0000 'a' 00 0001 0001 00 0001 0001 00000000 0000", DNS_FORMERR}, /* an answer */
        {"0001 0100 0001 0000 0000 0000 'a' 00 00fc 0001", DNS_REFUSED},                            /* AXFR */
        {"0001 0100 0001 0000 0000 0000 'version' 'bind' 00 0010 0003", DNS_REFUSED},               /* CH */
        {"0001 0100 0001 0000 0000 0000 'a' 00 0000 0001", DNS_REFUSED},                            /* type 0 */
        {"0001 0100 0001 0000 0000 0001 'a' 00 0001 0001 00 0029 0200 0001 0000 0000", DNS_BADVERS},
        {"0001 0100 0001 0000 0000 0001 'a' 00 0001 0001 'a' 00 0029 0200 0000 0000 0000", DNS_FORMERR},
        {"0001 0100 0001 0000 0000 0002 'a' 00 0001 0001 00 0029 0200 0000 0000 0000 00 0029 0200 0000 0000 0000",
         DNS_FORMERR},
    };
    struct dns_query q;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int rcode = parse(cases[i].message, &q);
        if (rcode != cases[i].rcode)
            fprintf(stderr, "%s: %d\n", cases[i].message, rcode);
        assert_int_equal(rcode, cases[i].rcode);
    }
}

static void a_name_of_more_than_255_bytes_is_malformed(void **state) {
    uint8_t message[600] = {0, 1, 1, 0, 0, 1};
    struct dns_query q;
    size_t n = 12;

    for (int i = 0; i < 5; i++) {
        message[n] = 60;
        memset(message + n + 1, 'x', 60);
        n += 61;
    }
    n++;
    ns_put16(1, message + n);
    ns_put16(1, message + n + 2);
    assert_int_equal(dns_query_parse(message, n + 4, &q), DNS_FORMERR);
}

static void answers_are_written(void **state) {
    _cleanup_(dns_answer_finish) struct dns_answer a = {0};
    struct dns_query q;
    uint8_t out[1232];

    assert_int_equal(parse(WEB, &q), 0);
    memcpy(dns_answer_add(&a, DNS_ANSWER, DNS_A, 5)->address, "\x0a\x60\x00\x07", 4);
    size_t n = dns_encode_answer(&q, &a, out, 512);
    /* authoritative, recursion available; the question spelled as it came; its name pointed to */
    assert_bytes(out, n,
                 "4a2b 8580 0001 0001 0000 0000 'Web' 'default' 'svc' 'cluster' 'local' 00 0001 0001"
                 "c00c 0001 0001 00000005 0004 0a600007");
    /* with EDNS comes EDNS, and DO as the client said it */
    assert_int_equal(parse(WEB_OPT, &q), 0);
    n = dns_encode_answer(&q, &a, out, sizeof(out));
    assert_bytes(out, n,
                 "4a2b 8580 0001 0001 0000 0001 'Web' 'default' 'svc' 'cluster' 'local' 00 0001 0001"
                 "c00c 0001 0001 00000005 0004 0a600007 00 0029 04d0 0000 8000 0000");
}

static void each_kind_of_record_is_written(void **state) {
    _cleanup_(dns_answer_finish) struct dns_answer a = {0};
    struct dns_query q;
    uint8_t out[1232];

    assert_int_equal(parse("0001 0000 0001 0000 0000 0000 'h' 'z' 00 0021 0001", &q), 0);
    struct dns_record *r = dns_answer_add(&a, DNS_ANSWER, DNS_SRV, 5);
    r->srv.port = 80;
    r->srv.weight = 50;
    r->target = xstrdup("a.h.z");
    dns_answer_add(&a, DNS_ANSWER, DNS_CNAME, 5)->target = xstrdup("h.z");
    dns_answer_add(&a, DNS_ANSWER, DNS_TXT, 5)->target = xstrdup("1.1.0");
    r = dns_answer_add(&a, DNS_AUTHORITY, DNS_SOA, 5);
    r->name = xstrdup("z");
    r->target = xstrdup("ns.z");
    r->soa.serial = 7;
    r->soa.negative_ttl = 5;
    r = dns_answer_add(&a, DNS_ADDITIONAL, DNS_A, 5);
    r->name = xstrdup("a.h.z");
    a.rcode = DNS_NXDOMAIN;
    size_t n = dns_encode_answer(&q, &a, out, 512);
    assert_bytes(out, n,
                 "0001 8483 0001 0003 0001 0001 'h' 'z' 00 0021 0001"
                 "c00c 0021 0001 00000005 000d 0000 0032 0050 'a' 'h' 'z' 00" /* not compressed: RFC 2782 */
                 "c00c 0005 0001 00000005 0002 c00c"
                 "c00c 0010 0001 00000005 0006 '1.1.0'"
                 "c00e 0006 0001 00000005 0026 'ns' c00e 'hostmaster' c00e 00000007 00001c20 00000708 00015180 00000005"
                 "'a' c00c 0001 0001 00000005 0004 00000000");
}

/* How many answers a message has. */
static unsigned count(const uint8_t *p) {
    return ns_get16(p + 6);
}

static void what_does_not_fit_is_cut(void **state) {
    _cleanup_(dns_answer_finish) struct dns_answer a = {0};
    static uint8_t out[65535];
    struct dns_query q;

    assert_int_equal(parse(WEB_OPT, &q), 0);
    for (unsigned i = 0; i < 100; i++)
        ns_put32(0x0af40100 + i, dns_answer_add(&a, DNS_ANSWER, DNS_A, 5)->address);
    size_t n = dns_encode_answer(&q, &a, out, 512);
    assert_true(n <= 512 && n > 512 - 16);
    assert_true(out[2] & 0x02); /* TC */
    assert_int_equal(count(out), (512 - 47 - 11) / 16);
    ns_msg msg;
    assert_int_equal(ns_initparse(out, (int) n, &msg), 0); /* what is there is whole */
    n = dns_encode_answer(&q, &a, out, sizeof(out));
    assert_false(out[2] & 0x02);
    assert_int_equal(count(out), 100);

    /* additional records that do not fit are no reason to ask again */
    for (size_t i = 10; i < a.n; i++) {
        a.records[i].section = DNS_ADDITIONAL;
        a.records[i].name = xstrdup("another.cluster.local");
    }
    (void) dns_encode_answer(&q, &a, out, 512);
    assert_false(out[2] & 0x02);
    assert_int_equal(count(out), 10);
}

static void errors_are_written(void **state) {
    struct dns_query q;
    uint8_t out[DNS_QUERY_MAX];

    assert_int_equal(parse("0007 0100 0001 0000 0000 0000 c00c 0001 0001", &q), DNS_FORMERR);
    assert_bytes(out, dns_encode_error(&q, DNS_FORMERR, out), "0007 8181 0000 0000 0000 0000");
    assert_int_equal(parse("0001 0100 0001 0000 0000 0001 'a' 00 0001 0001 00 0029 0200 0001 0000 0000", &q),
                     DNS_BADVERS);
    assert_bytes(out, dns_encode_error(&q, DNS_BADVERS, out),
                 "0001 8180 0001 0000 0000 0001 'a' 00 0001 0001 00 0029 04d0 0100 0000 0000");
}

/* --- towards resolvers --- */

#define ASKED    "0203 0100 0001 0000 0000 0000 'www' 'example' 00 0001 0001"
#define ANSWERED "0203 8180 0001 0001 0000 0000 'www' 'example' 00 0001 0001 c00c 0001 0001 0000003c 0004 c0000201"

static void what_is_asked_outside_is_the_same_question(void **state) {
    struct dns_query q, other;
    uint8_t out[DNS_QUERY_MAX];

    assert_int_equal(parse("4a2b 0130 0001 0000 0000 0000 'WWW' 'Example' 00 0001 0001", &q), 0);
    /* RD, AD and CD go with it */
    assert_bytes(out, dns_encode_query(&q, 0x0203, out), "0203 0130 0001 0000 0000 0000 'www' 'example' 00 0001 0001");
    assert_int_equal(dns_query_rename(&q, "db.example.net", &other), 0);
    assert_bytes(out, dns_encode_query(&other, 1, out),
                 "0001 0130 0001 0000 0000 0000 'db' 'example' 'net' 00 0001 0001");
    assert_int_equal(dns_query_rename(&q, "a..b", &other), -EINVAL);
}

static bool matches(const char *asked, const char *reply) {
    uint8_t a[512], b[512];
    size_t n = bytes_of(asked, a);

    return dns_reply_matches(a, n, b, bytes_of(reply, b));
}

static void only_the_reply_to_the_question_counts(void **state) {
    assert_true(matches(ASKED, ANSWERED));
    assert_true(matches(ASKED, "0203 8180 0001 0000 0000 0000 'wWw' 'EXAMPLE' 00 0001 0001"));
    assert_true(matches(ASKED, "0203 8185 0000 0000 0000 0000")); /* refused unread */
    assert_false(matches(ASKED, "0203 8180 0000 0000 0000 0000"));
    assert_false(matches(ASKED, "0204 8180 0001 0000 0000 0000 'www' 'example' 00 0001 0001")); /* another id */
    assert_false(matches(ASKED, "0203 0100 0001 0000 0000 0000 'www' 'example' 00 0001 0001")); /* a question */
    assert_false(matches(ASKED, "0203 8180 0001 0000 0000 0000 'wwx' 'example' 00 0001 0001"));
    assert_false(matches(ASKED, "0203 8180 0001 0000 0000 0000 'www' 'example' 00 001c 0001")); /* another type */
    assert_false(matches(ASKED, "0203 8180 0001 0002 0000 0000 'www' 'example' 00 0001 0001")); /* cut */
}

static void replies_are_made_the_clients_own(void **state) {
    struct dns_query q;
    uint8_t reply[4096];
    size_t n = bytes_of(ANSWERED, reply);

    assert_int_equal(parse("4a2b 0000 0001 0000 0000 0000 'WWW' 'example' 00 0001 0001", &q), 0);
    assert_bytes(reply, dns_reply_adapt(&q, reply, n, 512),
                 "4a2b 8080 0001 0001 0000 0000 'WWW' 'example' 00 0001 0001 c00c 0001 0001 0000003c 0004 c0000201");
    /* too long for this client: cut, with TC */
    n = bytes_of(ANSWERED, reply);
    assert_bytes(reply, dns_reply_adapt(&q, reply, n, 40),
                 "4a2b 8280 0001 0000 0000 0000 'WWW' 'example' 00 0001 0001");
    n = bytes_of("0203 8185 0000 0000 0000 0000", reply);
    assert_bytes(reply, dns_reply_adapt(&q, reply, n, 512),
                 "4a2b 8085 0001 0000 0000 0000 'WWW' 'example' 00 0001 0001");
}

static void aliases_are_joined_with_what_they_lead_to(void **state) {
    _cleanup_(dns_answer_finish) struct dns_answer a = {0};
    struct dns_query q;
    uint8_t reply[512], out[512];
    /* the target is itself an alias, compressed as servers do */
    size_t n = bytes_of("0203 8180 0001 0002 0000 0000 'www' 'example' 00 0001 0001"
                        "c00c 0005 0001 0000003c 0004 'a' c010 c029 0001 0001 0000003c 0004 c0000201",
                        reply);

    assert_int_equal(parse("0001 0100 0001 0000 0000 0000 'ext' 'z' 00 0001 0001", &q), 0);
    dns_answer_add(&a, DNS_ANSWER, DNS_CNAME, 5)->target = xstrdup("www.example");
    assert_bytes(out, dns_encode_joined(&q, &a, reply, n, out, sizeof(out)),
                 "0001 8180 0001 0003 0000 0000 'ext' 'z' 00 0001 0001"
                 "c00c 0005 0001 00000005 000d 'www' 'example' 00"
                 "c023 0005 0001 0000003c 000b 'a' 'example' 00"
                 "'a' c027 0001 0001 0000003c 0004 c0000201");
    /* a target that does not exist: the alias, and the rcode of the target (RFC 6604) */
    n = bytes_of("0203 8183 0001 0000 0000 0000 'www' 'example' 00 0001 0001", reply);
    assert_bytes(
        out, dns_encode_joined(&q, &a, reply, n, out, sizeof(out)),
        "0001 8183 0001 0001 0000 0000 'ext' 'z' 00 0001 0001 c00c 0005 0001 00000005 000d 'www' 'example' 00");
}

static void replies_are_kept_as_long_as_they_say(void **state) {
    _cleanup_(dns_cache_freep) struct dns_cache *cache = dns_cache_new();
    uint8_t query[512], reply[512], out[DNS_CACHE_REPLY_BYTES];
    size_t query_n = bytes_of(ASKED, query);
    size_t n = bytes_of(
        "0203 8180 0001 0001 0000 0000 'www' 'example' 00 0001 0001 c00c 0001 0001 00000014 0004 c0000201", reply);

    dns_cache_put(cache, query, query_n, reply, n, 100 * SEC);
    query[0] = 99; /* the id is no part of the question */
    assert_int_equal(dns_cache_get(cache, query, query_n, 107 * SEC, out), n);
    assert_bytes(out, n,
                 "0203 8180 0001 0001 0000 0000 'www' 'example' 00 0001 0001 c00c 0001 0001 0000000d 0004 c0000201");
    assert_int_equal(dns_cache_get(cache, query, query_n, 120 * SEC, out), 0);
    /* never longer than half a minute; nothing at all for 0, failures, cut ones and negatives without SOA */
    n = bytes_of(ANSWERED, reply);
    dns_cache_put(cache, query, query_n, reply, n, 0);
    assert_int_equal(dns_cache_get(cache, query, query_n, 29 * SEC, out), n);
    assert_int_equal(dns_cache_get(cache, query, query_n, 30 * SEC, out), 0);
    assert_int_equal(dns_reply_ttl(reply, n, 1000), 60);
    reply[2] |= 0x02;
    assert_int_equal(dns_reply_ttl(reply, n, 1000), 0);
    n = bytes_of("0203 8182 0001 0000 0000 0000 'www' 'example' 00 0001 0001", reply);
    assert_int_equal(dns_reply_ttl(reply, n, 1000), 0);
    n = bytes_of("0203 8183 0001 0000 0000 0000 'www' 'example' 00 0001 0001", reply);
    assert_int_equal(dns_reply_ttl(reply, n, 1000), 0);
    /* a negative one as long as the SOA's minimum */
    n = bytes_of("0203 8183 0001 0000 0001 0000 'www' 'example' 00 0001 0001"
                 "c010 0006 0001 00000e10 0016 00 00 00000001 00000002 00000003 00000004 00000009",
                 reply);
    assert_int_equal(dns_reply_ttl(reply, n, 1000), 9);
}

static void the_cache_stays_small(void **state) {
    _cleanup_(dns_cache_freep) struct dns_cache *cache = dns_cache_new();
    uint8_t query[512], reply[512], out[DNS_CACHE_REPLY_BYTES];
    size_t query_n = bytes_of(ASKED, query), n = bytes_of(ANSWERED, reply);

    for (unsigned i = 0; i < DNS_CACHE_ENTRIES + 10; i++) {
        ns_put16(i, query + query_n - 4);
        dns_cache_put(cache, query, query_n, reply, n, 0);
        ns_put16(0, query + query_n - 4); /* the first is used all the time */
        assert_int_equal(dns_cache_get(cache, query, query_n, 0, out), n);
    }
    ns_put16(1, query + query_n - 4);
    assert_int_equal(dns_cache_get(cache, query, query_n, 0, out), 0);
    ns_put16(DNS_CACHE_ENTRIES + 9, query + query_n - 4);
    assert_int_equal(dns_cache_get(cache, query, query_n, 0, out), n);
}

static void resolvers_are_read(void **state) {
    struct resolvers r;

    resolvers_parse("# nameserver 192.0.2.9\nsearch a b\nnameserver 192.0.2.1\r\nnameserver\nnameserver nonsense\n"
                    "  nameserver\t 2001:db8::1 \nnameserver fe80::1%lo\nnameserver 192.0.2.4\n",
                    &r);
    assert_int_equal(r.n, 3);
    assert_int_equal(r.servers[0].ss_family, AF_INET);
    assert_int_equal(r.servers[1].ss_family, AF_INET6);
    assert_int_equal(r.servers[2].ss_family, AF_INET6);
    resolvers_parse("", &r);
    assert_int_equal(r.n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_are_read),
        cmocka_unit_test(what_is_no_query_is_refused_as_it_deserves),
        cmocka_unit_test(a_name_of_more_than_255_bytes_is_malformed),
        cmocka_unit_test(answers_are_written),
        cmocka_unit_test(each_kind_of_record_is_written),
        cmocka_unit_test(what_does_not_fit_is_cut),
        cmocka_unit_test(errors_are_written),
        cmocka_unit_test(what_is_asked_outside_is_the_same_question),
        cmocka_unit_test(only_the_reply_to_the_question_counts),
        cmocka_unit_test(replies_are_made_the_clients_own),
        cmocka_unit_test(aliases_are_joined_with_what_they_lead_to),
        cmocka_unit_test(replies_are_kept_as_long_as_they_say),
        cmocka_unit_test(the_cache_stays_small),
        cmocka_unit_test(resolvers_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
