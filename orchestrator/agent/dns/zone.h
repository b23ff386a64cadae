/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cluster's names: what the Kubernetes DNS specification (1.1.0) says is answered for services, their endpoints and
 * pods by address. Pure: reads the table of services at the time of the call, no I/O, no clock.
 *
 *   SERVICE.NS.svc.ZONE              A of the cluster address; headless: of all ready endpoints (all with
 *                                    publishNotReadyAddresses), NXDOMAIN without one; ExternalName: CNAME, followed
 *                                    within the zone
 *   HOST.SERVICE.NS.svc.ZONE         A of the endpoint with that host name, or a-b-c-d for one without
 *   _PORT._PROTO.SERVICE.NS.svc.ZONE SRV (and A, as CoreDNS): to the service, headless: to each endpoint
 *   SERVICE.NS.svc.ZONE SRV          all ports, named or not (CoreDNS)
 *   a-b-c-d.NS.pod.ZONE              A of a.b.c.d, whatever it is (CoreDNS: "pods insecure")
 *   dns-version.ZONE                 TXT
 *   d.c.b.a.in-addr.arpa             PTR of cluster addresses and of endpoints with a host name; other addresses in
 *                                    the cluster's ranges: NXDOMAIN
 * A name that exists but not with the type asked for: NOERROR without answers. Both come with the zone's SOA.
 */
#ifndef PODIUM_AGENT_DNS_ZONE_H
#define PODIUM_AGENT_DNS_ZONE_H

#include "orchestrator/agent/services/table.h"
#include "podium/netns_dns.h"

#define ZONE_TTL         5 /* seconds, as CoreDNS' kubernetes plugin */
#define ZONE_RANGES_MAX  4
#define ZONE_VERSION     "1.1.0"
#define ZONE_ALIASES_MAX 8 /* ExternalName services that name each other */

struct zone_range {
    uint32_t network, mask; /* host byte order */
};

struct cluster_zone {
    /* Until it is in sync for the first time nothing is known to be true: SERVFAIL, and clients ask again. */
    const struct service_table *table;
    const char *domain;                        /* "cluster.local", lower case, no last dot */
    char server[NETNS_ADDRESS_SIZE];           /* the DNS server's own address */
    struct zone_range ranges[ZONE_RANGES_MAX]; /* services and pods: reverse names that are ours alone */
    size_t n_ranges;
};

/* struct dns_zone's look-up; userdata: a struct cluster_zone. */
bool zone_lookup(void *zone, const char *name, unsigned type, struct dns_answer *ret);
/* "10.96.0.0/12" becomes a range; false when it is none or there are too many. */
bool zone_add_range(struct cluster_zone *zone, const char *cidr);

#endif
