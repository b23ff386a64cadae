/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The node's DNS server: answers for one zone from a look-up function, asks the host's resolvers for all other names.
 *
 * What it is. One UDP and one TCP socket on one address, in the caller's event loop and network namespace. The zone is
 * a function from name and type to records, called anew for each query, so an answer is never older than what the
 * function reads. Names the function does not claim go to the resolvers of a resolv.conf that is watched for changes;
 * a resolver that is this server itself is left out. Wire format by the C library's <arpa/nameser.h>.
 *
 * Why not libldns: its shared library brings OpenSSL's two into each process, and it allocates some
 * ten times for each record; the C library's functions are in the process anyway and work in the caller's buffer.
 *
 * Invariants. Bounded: queries in flight to resolvers, TCP connections, bytes and queries per connection, cached
 * answers. A query that finds a bound reached is answered SERVFAIL, a connection too many takes the place of the one
 * idle for longest. Questions in flight are shared: many clients asking the same are one query outside, which also
 * stops a loop through a resolver that asks us again.
 *
 * Ownership. The server owns its sockets and sources. Threads: the loop's. Errors: -EADDRINUSE when something else
 * serves the address, -EINVAL for a bad address, what the kernel answers otherwise.
 */
#ifndef PODIUM_NETNS_DNS_H
#define PODIUM_NETNS_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/error.h"

#define DNS_PORT           53
#define DNS_NAME_TEXT_SIZE 1025 /* a name as text: 255 bytes, each perhaps written \DDD */

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_SRV = 33,
    DNS_ANY = 255
};
enum dns_rcode { DNS_NOERROR, DNS_FORMERR, DNS_SERVFAIL, DNS_NXDOMAIN, DNS_NOTIMP, DNS_REFUSED, DNS_BADVERS = 16 };
enum dns_section { DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL };

struct dns_record {
    enum dns_section section;
    enum dns_type type;
    uint32_t ttl; /* seconds */
    char *name;   /* text without the last dot; NULL: the question's */
    char *target; /* CNAME, NS, PTR, SRV: a name; SOA: the server; TXT: the text, at most 255 bytes */
    union {
        uint8_t address[4]; /* A */
        struct {
            uint16_t priority, weight, port;
        } srv;
        struct {
            uint32_t serial, negative_ttl;
        } soa;
    };
};

/* What a zone answers. Records within a section keep their order, but the addresses of an answer are shuffled. */
struct dns_answer {
    enum dns_rcode rcode;
    struct dns_record *records;
    size_t n, cap;
    /* The last record is a CNAME to this name, which is not of the zone: to be resolved outside. NULL: complete. */
    char *onward;
};

/* Appends a zeroed record of the section. Pointer good until the next. */
struct dns_record *dns_answer_add(struct dns_answer *answer, enum dns_section section, enum dns_type type,
                                  uint32_t ttl);
void dns_answer_reset(struct dns_answer *answer);  /* empty, NOERROR, keeps the allocation */
void dns_answer_finish(struct dns_answer *answer); /* frees everything; usable with _cleanup_ */

/* The zone: name is in lower case without the last dot ("" is the root), bytes other than printable ones, dots inside
 * labels and backslashes written \DDD; type as on the wire, may be one not named above. Returns true with *ret (empty
 * before) filled: the zone's; false: not of this zone, to be asked outside. */
struct dns_zone {
    bool (*lookup)(void *userdata, const char *name, unsigned type, struct dns_answer *ret);
    void *userdata;
};

struct dns_server_options {
    const char *address; /* where to listen, IPv4; need not be there yet */
    uint16_t port;       /* 0: DNS_PORT */
    struct dns_zone zone;
    const char *resolv_conf; /* NULL: /etc/resolv.conf */
    unsigned try_msec;       /* how long one resolver may take; 0: 1500 */
    unsigned idle_msec;      /* how long a TCP connection may be silent; 0: 10000 */
    /* Sockets of an earlier server on this address (dns_server_sockets()), to be used instead of new ones, so that no
     * query is refused meanwhile. Taken over if both are fit, else closed; NULL: none. */
    const int *take_sockets;
};

struct dns_statistics {
    uint64_t queries, tcp_queries;
    uint64_t answered;   /* from the zone */
    uint64_t forwarded;  /* asked outside, for one or many clients */
    uint64_t cache_hits; /* answered from what was asked outside before */
    uint64_t failed;     /* no resolver answered, or a bound was reached */
    uint64_t malformed;
};

/* Leaves queries to the address and their answers out of connection tracking (nftables, table inet podium), and so out
 * of address translation: a host port 53 of some pod does not take them, and they fill no table. "": no more. */
int netns_dns_untracked(const char *address, struct error *err) _must_check_;

typedef struct sd_event sd_event;
struct dns_server;

/* Options are copied. Serves from the next turn of the loop on. */
int dns_server_new(sd_event *loop, const struct dns_server_options *options, struct dns_server **ret,
                   struct error *err) _must_check_;
void dns_server_free(struct dns_server *server); /* clients waiting get no answer; NULL is fine */
DEFINE_CLEANUP(struct dns_server *, dns_server_free)
/* UDP and TCP; borrowed. */
void dns_server_sockets(const struct dns_server *server, int ret[2]);
const struct dns_statistics *dns_server_statistics(const struct dns_server *server);

#endif
