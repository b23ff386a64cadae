/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a query, and any bytes as a resolver's reply to a query. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "netns/dns/cache.h"
#include "netns/dns/message.h"
#include "podium/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition) {
    if (!condition)
        abort();
}

static void as_query(const uint8_t *data, size_t size) {
    static uint8_t out[DNS_MESSAGE_MAX];
    struct dns_answer answer = {0};
    struct dns_query q, again;

    int rcode = dns_query_parse(data, size, &q);
    if (rcode < 0)
        return;
    if (rcode != DNS_NOERROR) {
        check(dns_encode_error(&q, (enum dns_rcode) rcode, out) <= DNS_QUERY_MAX);
        return;
    }
    for (int i = 0; i < 60; i++)
        dns_answer_add(&answer, (enum dns_section)(i % 3), DNS_A, 5)->name = i % 4 ? NULL : xstrdup(q.name);
    check(dns_encode_answer(&q, &answer, out, q.payload) <= q.payload);
    (void) dns_encode_answer(&q, &answer, out, sizeof(out));
    dns_answer_finish(&answer);
    /* what is asked outside is a query that reads the same */
    size_t n = dns_encode_query(&q, 1, out);
    check(n <= DNS_QUERY_MAX && dns_query_parse(out, n, &again) == DNS_NOERROR);
    check(strcmp(q.name, again.name) == 0 && q.type == again.type && q.edns == again.edns);
    if (*q.name)
        check(dns_query_rename(&q, q.name, &again) == 0);
}

static void as_reply(const uint8_t *data, size_t size) {
    static const uint8_t asked[] = {1,   1, 1,   0,   0,   1,   0,   0,   0,   0, 0, 0, 3, 'w', 'w',
                                    'w', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1};
    static uint8_t reply[DNS_MESSAGE_MAX + DNS_QUERY_MAX], out[DNS_MESSAGE_MAX];
    struct dns_answer alias = {0};
    struct dns_query q;

    check(dns_query_parse(asked, sizeof(asked), &q) == DNS_NOERROR);
    (void) dns_reply_ttl(data, size, 30);
    /* the fuzzer would hardly guess the question: it is put in front of what it makes */
    if (size > DNS_MESSAGE_MAX - sizeof(asked) || size < 10)
        return;
    memcpy(reply, asked, sizeof(asked));
    memcpy(reply + 2, data, 10);
    memcpy(reply + sizeof(asked), data + 10, size - 10);
    reply[2] |= 0x80;
    reply[4] = 0;
    reply[5] = 1;
    size_t n = sizeof(asked) + size - 10;
    if (!dns_reply_matches(asked, sizeof(asked), reply, n))
        return;
    struct dns_cache *cache = dns_cache_new();
    dns_cache_put(cache, asked, sizeof(asked), reply, n, 0);
    (void) dns_cache_get(cache, asked, sizeof(asked), 1000000, out);
    dns_cache_free(cache);
    dns_reply_age(reply, n, 3);
    dns_answer_add(&alias, DNS_ANSWER, DNS_CNAME, 5)->target = xstrdup("www.example");
    check(dns_encode_joined(&q, &alias, reply, n, out, 1232) <= 1232);
    dns_answer_finish(&alias);
    check(dns_reply_adapt(&q, reply, n, 512) <= 512);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* exact allocations, so that a byte read too far is seen */
    uint8_t *copy = xmalloc(size + 1);

    memcpy(copy, data, size);
    as_query(copy, size);
    as_reply(copy, size);
    free(copy);
    return 0;
}
