/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A query becomes an answer: from the zone, from what was asked before, or by asking outside. */
#include <string.h>

#include "netns/dns/cache.h"
#include "netns/dns/server.h"
#include "podium/base/alloc.h"

struct pending {
    struct list in;
    struct dns_waiter waiter;
    struct dns_server *server;
    struct dns_client client;
    struct dns_query query;
    struct dns_answer answer; /* an alias of ours in front of the reply; empty: the reply is the answer */
};

static void pending_free(struct pending *p) {
    dns_waiter_cancel(&p->waiter);
    list_remove(&p->in);
    dns_answer_finish(&p->answer);
    free(p);
}

void server_forget(struct dns_server *server, const struct dns_connection *connection) {
    struct pending *p;

    list_foreach(p, &server->pending, in) if (!connection || p->client.connection == connection) pending_free(p);
}

static size_t size_limit(const struct dns_client *client, const struct dns_query *query) {
    return client->connection ? DNS_MESSAGE_MAX : query->payload;
}

/* xorshift64*: good enough to spread load. */
static uint64_t next_random(struct dns_server *server) {
    server->random ^= server->random >> 12;
    server->random ^= server->random << 25;
    server->random ^= server->random >> 27;
    return server->random * 0x2545f4914f6cdd1du;
}

/* Addresses (or SRV records) of the question's name in random order, since clients take the first. */
static void shuffle(struct dns_server *server, struct dns_answer *answer) {
    struct dns_record *r = answer->records;
    size_t first = 0;

    for (size_t i = 1; i < answer->n; i++) {
        if (r[i].section != DNS_ANSWER || r[i].type != r[first].type || r[i].type == DNS_CNAME) {
            first = i;
            continue;
        }
        size_t other = first + next_random(server) % (i - first + 1);
        struct dns_record t = r[i];
        r[i] = r[other];
        r[other] = t;
    }
}

/* The answer made of a resolver's reply; out and reply may be the same when there is no alias of ours. */
static size_t from_reply(const struct dns_query *query, const struct dns_answer *alias, uint8_t *reply, size_t n,
                         uint8_t *out, size_t max) {
    if (alias->n > 0)
        return dns_encode_joined(query, alias, reply, n, out, max);
    n = dns_reply_adapt(query, reply, n, max);
    if (out != reply)
        memcpy(out, reply, n);
    return n;
}

static void on_reply(struct dns_waiter *waiter, uint8_t *reply, size_t n) {
    struct pending *p = container_of(waiter, struct pending, waiter);
    size_t max = size_limit(&p->client, &p->query);
    _cleanup_free_ uint8_t *out = xmalloc(max > DNS_QUERY_MAX ? max : DNS_QUERY_MAX);
    struct dns_server *server = p->server;
    struct dns_client client = p->client;

    size_t out_n =
        reply ? from_reply(&p->query, &p->answer, reply, n, out, max) : dns_encode_error(&p->query, DNS_SERVFAIL, out);
    pending_free(p);
    if (client.connection)
        connection_send(client.connection, out, out_n);
    else
        server_send(server, &client.peer, out, out_n);
}

/* Asks for `question`; the client's own query is answered with it, behind the aliases found (moved out of alias). */
static size_t ask(struct dns_server *server, const struct dns_client *client, const struct dns_query *query,
                  const struct dns_query *question, struct dns_answer *alias, uint8_t *out) {
    uint8_t known[DNS_CACHE_REPLY_BYTES];
    size_t n = dns_forward_cached(server->forwarder, question, known);

    if (n > 0)
        return from_reply(query, alias, known, n, out, size_limit(client, query));
    struct pending *p = xnew0(struct pending);
    p->server = server;
    p->client = *client;
    p->query = *query;
    p->answer = *alias;
    *alias = (struct dns_answer){0};
    p->waiter.tcp = client->connection != NULL;
    p->waiter.done = on_reply;
    list_append(&server->pending, &p->in);
    if (dns_forward(server->forwarder, question, &p->waiter) < 0) {
        pending_free(p);
        server->statistics.failed++;
        return dns_encode_error(query, DNS_SERVFAIL, out);
    }
    if (client->connection)
        connection_expect(client->connection);
    return 0;
}

static size_t from_zone(struct dns_server *server, const struct dns_client *client, const struct dns_query *query,
                        uint8_t *out) {
    struct dns_answer *answer = &server->answer;
    struct dns_query onward;

    if (answer->onward && query->type != DNS_CNAME && query->type != DNS_ANY) {
        if (dns_query_rename(query, answer->onward, &onward) < 0)
            return dns_encode_error(query, DNS_SERVFAIL, out);
        return ask(server, client, query, &onward, answer, out);
    }
    shuffle(server, answer);
    return dns_encode_answer(query, answer, out, size_limit(client, query));
}

size_t server_respond(struct dns_server *server, const struct dns_client *client, const uint8_t *p, size_t n,
                      uint8_t *out) {
    struct dns_query query;
    struct dns_answer none = {0};

    server->statistics.queries++;
    server->statistics.tcp_queries += client->connection != NULL;
    int rcode = dns_query_parse(p, n, &query);
    if (rcode != DNS_NOERROR) {
        server->statistics.malformed++;
        return rcode < 0 ? 0 : dns_encode_error(&query, (enum dns_rcode) rcode, out);
    }
    dns_answer_reset(&server->answer);
    if (server->zone.lookup(server->zone.userdata, query.name, query.type, &server->answer)) {
        server->statistics.answered++;
        return from_zone(server, client, &query, out);
    }
    return ask(server, client, &query, &query, &none, out);
}
