/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/dns/zone.h"

#include <arpa/inet.h>
#include <string.h>

#include "podium/base/alloc.h"

#define LABELS_MAX 6 /* _port._proto.service.namespace.svc is 5; what has more is no name of ours */

/* --- names --- */

/* What is in front of the suffix: "a.b" for "a.b.cluster.local" and "cluster.local"; "" for the suffix itself; NULL
 * when the name is not below it. The length goes to *ret_n. */
static const char *below(const char *name, const char *suffix, size_t *ret_n) {
    size_t n = strlen(name), k = strlen(suffix);

    if (n < k || strcmp(name + n - k, suffix) != 0 || (n > k && name[n - k - 1] != '.'))
        return NULL;
    *ret_n = n > k ? n - k - 1 : 0;
    return name;
}

/* Labels of the first n bytes in `copy`, last one first; LABELS_MAX + 1 when there are more. */
static size_t split(char *copy, const char *labels[LABELS_MAX]) {
    size_t n = 0;

    while (*copy) {
        char *dot = strrchr(copy, '.');
        if (n == LABELS_MAX)
            return LABELS_MAX + 1;
        labels[n++] = dot ? dot + 1 : copy;
        if (!dot)
            break;
        *dot = 0;
    }
    return n;
}

static void dashed(const char *ip, char out[NETNS_ADDRESS_SIZE]) {
    (void) snprintf(out, NETNS_ADDRESS_SIZE, "%s", ip);
    for (char *p = out; *p; p++)
        if (*p == '.')
            *p = '-';
}

static bool parse_dashed(const char *text, uint8_t out[4]) {
    char ip[INET_ADDRSTRLEN];

    if (strlen(text) >= sizeof(ip) || strchr(text, '.'))
        return false;
    (void) snprintf(ip, sizeof(ip), "%s", text);
    for (char *p = ip; *p; p++)
        if (*p == '-')
            *p = '.';
    return inet_pton(AF_INET, ip, out) == 1;
}

/* --- records --- */

static bool wants(unsigned type, enum dns_type which) {
    return type == which || type == DNS_ANY;
}

static void add_address(struct dns_answer *ret, enum dns_section section, char *take_name, const char *ip) {
    uint8_t bytes[4];

    if (inet_pton(AF_INET, ip, bytes) != 1) { /* IPv6 endpoints: not yet */
        free(take_name);
        return;
    }
    struct dns_record *r = dns_answer_add(ret, section, DNS_A, ZONE_TTL);
    r->name = take_name;
    memcpy(r->address, bytes, sizeof(bytes));
}

static void add_name(struct dns_answer *ret, enum dns_type type, char *take_target) {
    dns_answer_add(ret, DNS_ANSWER, type, ZONE_TTL)->target = take_target;
}

static void add_soa(const struct cluster_zone *zone, struct dns_answer *ret, enum dns_section section) {
    struct dns_record *r = dns_answer_add(ret, section, DNS_SOA, ZONE_TTL);

    r->name = xstrdup(zone->domain);
    r->target = xasprintf("ns.dns.%s", zone->domain);
    r->soa.serial = 1; /* nobody transfers the zone */
    r->soa.negative_ttl = ZONE_TTL;
}

/* --- services --- */

/* Is the endpoint to be found at all? */
static bool is_published(const struct service *s, const struct service_backend *b) {
    return b->ready || s->publish_not_ready;
}

/* An endpoint's label: its host name, or its address with dashes. */
static const char *endpoint_label(const struct service_backend *b, char buffer[NETNS_ADDRESS_SIZE]) {
    if (b->hostname && *b->hostname)
        return b->hostname;
    dashed(b->ip, buffer);
    return buffer;
}

static const char *protocol_label(enum service_protocol protocol) {
    switch (protocol) {
    case SERVICE_TCP:
        return "_tcp";
    case SERVICE_UDP:
        return "_udp";
    case SERVICE_SCTP:
        return "_sctp";
    }
    return "";
}

/* What is asked of a service besides its name; each may be NULL. */
struct selection {
    const char *endpoint, *port, *protocol; /* port and protocol with their underscores */
};

static bool port_selected(const struct selection *s, const struct service_port *port) {
    return !s->port || (strcmp(s->protocol, protocol_label(port->protocol)) == 0 && *port->name &&
                        strcasecmp(s->port + 1, port->name) == 0);
}

static bool endpoint_selected(const struct selection *s, const struct service *service,
                              const struct service_backend *b) {
    char buffer[NETNS_ADDRESS_SIZE];

    return is_published(service, b) && (!s->endpoint || strcasecmp(s->endpoint, endpoint_label(b, buffer)) == 0);
}

static void add_srv(struct dns_answer *ret, uint16_t port, char *take_target) {
    struct dns_record *r = dns_answer_add(ret, DNS_ANSWER, DNS_SRV, ZONE_TTL);

    r->target = take_target;
    r->srv.port = port;
}

/* All of one priority: the weights share 100, as CoreDNS does it. */
static void set_weights(struct dns_answer *ret) {
    size_t n = 0;

    for (size_t i = 0; i < ret->n; i++)
        n += ret->records[i].type == DNS_SRV;
    for (size_t i = 0; i < ret->n; i++)
        if (ret->records[i].type == DNS_SRV)
            ret->records[i].srv.weight = (uint16_t) (n >= 100 ? 1 : 100 / n);
}

static char *service_domain(const struct cluster_zone *zone, const struct service *s) {
    return xasprintf("%s.%s.svc.%s", s->name, s->namespace, zone->domain);
}

/* Records of endpoints: A of each, SRV of each of their ports. True when there is such a name. */
static bool answer_endpoints(const struct cluster_zone *zone, const struct service *s, const struct selection *sel,
                             unsigned type, struct dns_answer *ret) {
    _cleanup_free_ char *domain = service_domain(zone, s);
    char buffer[NETNS_ADDRESS_SIZE];
    bool exists = false;

    for (size_t i = 0; i < s->n_backends; i++) {
        const struct service_backend *b = &s->backends[i];
        size_t ports = 0;
        if (!endpoint_selected(sel, s, b))
            continue;
        for (size_t k = 0; k < s->n_ports; k++) {
            if (b->ports[k] == 0 || !port_selected(sel, &s->ports[k]))
                continue;
            ports++;
            if (type == DNS_SRV)
                add_srv(ret, b->ports[k], xasprintf("%s.%s", endpoint_label(b, buffer), domain));
        }
        if (sel->port && ports == 0)
            continue;
        exists = true;
        if (wants(type, DNS_A))
            add_address(ret, DNS_ANSWER, NULL, b->ip);
        else if (type == DNS_SRV && ports > 0)
            add_address(ret, DNS_ADDITIONAL, xasprintf("%s.%s", endpoint_label(b, buffer), domain), b->ip);
    }
    return exists;
}

static bool answer_cluster_ip(const struct cluster_zone *zone, const struct service *s, const struct selection *sel,
                              unsigned type, struct dns_answer *ret) {
    bool exists = !sel->port;

    for (size_t i = 0; i < s->n_ports; i++) {
        if (!port_selected(sel, &s->ports[i]))
            continue;
        exists = true;
        if (type == DNS_SRV)
            add_srv(ret, s->ports[i].port, service_domain(zone, s));
    }
    if (exists && wants(type, DNS_A))
        add_address(ret, DNS_ANSWER, NULL, s->cluster_ip);
    else if (type == DNS_SRV && ret->n > 0)
        add_address(ret, DNS_ADDITIONAL, service_domain(zone, s), s->cluster_ip);
    return exists;
}

static bool is_alias(const struct service *s, const struct selection *sel) {
    struct in_addr in;

    /* an address is no name to point to */
    return s->type == SERVICE_EXTERNAL_NAME && s->external_name && *s->external_name && !sel->endpoint && !sel->port &&
           inet_pton(AF_INET, s->external_name, &in) != 1;
}

static bool has_named_port(const struct service *s, const char *protocol) {
    for (size_t i = 0; i < s->n_ports; i++)
        if (*s->ports[i].name && strcmp(protocol_label(s->ports[i].protocol), protocol) == 0)
            return true;
    return false;
}

/* True when the name exists. */
static bool answer_service(const struct cluster_zone *zone, const struct service *s, const struct selection *sel,
                           unsigned type, struct dns_answer *ret) {
    bool exists = false;

    if (s->type == SERVICE_EXTERNAL_NAME)
        return false;                             /* the caller follows aliases */
    if (sel->endpoint && sel->endpoint[0] == '_') /* _tcp.SERVICE…: there are names below it, perhaps */
        return has_named_port(s, sel->endpoint);
    if (sel->endpoint || s->headless || !s->cluster_ip[0])
        exists = answer_endpoints(zone, s, sel, type, ret);
    else
        exists = answer_cluster_ip(zone, s, sel, type, ret);
    if (type == DNS_SRV)
        set_weights(ret);
    return exists;
}

static bool namespace_has_services(const struct cluster_zone *zone, const char *namespace) {
    const struct service *s = NULL;

    while ((s = service_table_next(zone->table, s)))
        if (strcmp(s->namespace, namespace) == 0)
            return true;
    return false;
}

/* --- the zone --- */

/* [_port _proto | endpoint] service namespace "svc", labels last first. The service, and in *sel what of it. */
static const struct service *find_service(const struct cluster_zone *zone, const char *const labels[LABELS_MAX],
                                          size_t n, struct selection *sel) {
    *sel = (struct selection){0};
    if (n == 4) {
        sel->endpoint = labels[3];
    } else if (n == 5) {
        sel->protocol = labels[3];
        sel->port = labels[4];
        if (sel->protocol[0] != '_' || sel->port[0] != '_')
            return NULL;
    }
    return service_table_get(zone->table, labels[1], labels[2]);
}

static bool answer_apex(const struct cluster_zone *zone, unsigned type, struct dns_answer *ret) {
    if (wants(type, DNS_SOA))
        add_soa(zone, ret, DNS_ANSWER);
    if (wants(type, DNS_NS)) {
        add_name(ret, DNS_NS, xasprintf("ns.dns.%s", zone->domain));
        add_address(ret, DNS_ADDITIONAL, xasprintf("ns.dns.%s", zone->domain), zone->server);
    }
    return true;
}

static bool answer_pod(const char *const labels[LABELS_MAX], size_t n, unsigned type, struct dns_answer *ret) {
    uint8_t ip[4];

    if (n <= 2)
        return n == 1;
    if (n != 3 || !parse_dashed(labels[2], ip))
        return false;
    if (wants(type, DNS_A))
        memcpy(dns_answer_add(ret, DNS_ANSWER, DNS_A, ZONE_TTL)->address, ip, sizeof(ip));
    return true;
}

/* Names below the zone that are no alias; true when it exists. */
static bool answer_name(const struct cluster_zone *zone, const char *const labels[LABELS_MAX], size_t n, unsigned type,
                        struct dns_answer *ret) {
    if (n == 0)
        return answer_apex(zone, type, ret);
    if (n == 1 && strcmp(labels[0], "dns-version") == 0) {
        if (wants(type, DNS_TXT))
            add_name(ret, DNS_TXT, xstrdup(ZONE_VERSION));
        return true;
    }
    if (strcmp(labels[0], "dns") == 0) { /* our own name, ns.dns, that the SOA tells */
        if (n == 2 && strcmp(labels[1], "ns") == 0 && wants(type, DNS_A))
            add_address(ret, DNS_ANSWER, NULL, zone->server);
        return n == 1 || (n == 2 && strcmp(labels[1], "ns") == 0);
    }
    if (strcmp(labels[0], "pod") == 0)
        return answer_pod(labels, n, type, ret);
    if (strcmp(labels[0], "svc") != 0)
        return false;
    return n == 1 || (n == 2 && namespace_has_services(zone, labels[1]));
}

/* One step: the records of the name, or the alias it is (*ret_alias, borrowed). False: it does not exist. */
static bool answer_step(const struct cluster_zone *zone, const char *name, size_t n, unsigned type,
                        struct dns_answer *ret, const char **ret_alias) {
    _cleanup_free_ char *copy = xstrndup(name, n);
    const char *labels[LABELS_MAX];
    struct selection sel;
    size_t n_labels = split(copy, labels);

    *ret_alias = NULL;
    if (n_labels > 5)
        return false;
    if (n_labels < 3 || strcmp(labels[0], "svc") != 0)
        return answer_name(zone, labels, n_labels, type, ret);
    const struct service *s = find_service(zone, labels, n_labels, &sel);
    if (!s)
        return false;
    if (is_alias(s, &sel)) {
        *ret_alias = s->external_name;
        return true;
    }
    return answer_service(zone, s, &sel, type, ret);
}

static void lower_case(char *s) {
    for (; *s; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char) (*s + ('a' - 'A'));
}

/* Follows aliases within the zone. */
static void answer_zone(const struct cluster_zone *zone, const char *name, size_t n, unsigned type,
                        struct dns_answer *ret) {
    _cleanup_free_ char *owner = NULL; /* NULL: the question's name */

    for (int i = 0; i < ZONE_ALIASES_MAX; i++) {
        size_t before = ret->n;
        const char *alias;
        bool exists = answer_step(zone, owner ? owner : name, n, type, ret, &alias);
        /* the records just made are of the alias' target */
        for (size_t k = before; owner && k < ret->n; k++)
            if (!ret->records[k].name)
                ret->records[k].name = xstrdup(owner);
        if (!exists || !alias) {
            ret->rcode = exists ? DNS_NOERROR : DNS_NXDOMAIN;
            if (ret->n == before)
                add_soa(zone, ret, DNS_AUTHORITY);
            return;
        }
        char *target = xstrdup(alias);
        size_t length = strlen(target);
        if (length > 0 && target[length - 1] == '.')
            target[length - 1] = 0;
        lower_case(target);
        add_name(ret, DNS_CNAME, xstrdup(target));
        ret->records[ret->n - 1].name = owner;
        owner = target;
        if (type == DNS_CNAME || type == DNS_ANY)
            return;
        if (!below(owner, zone->domain, &n)) {
            ret->onward = xstrdup(owner);
            return;
        }
    }
    dns_answer_reset(ret); /* they name each other in a circle */
    ret->rcode = DNS_SERVFAIL;
}

/* --- reverse --- */

bool zone_add_range(struct cluster_zone *zone, const char *cidr) {
    char ip[INET_ADDRSTRLEN];
    const char *slash = strchr(cidr, '/');
    struct in_addr in;

    if (!slash || (size_t) (slash - cidr) >= sizeof(ip) || zone->n_ranges == ZONE_RANGES_MAX)
        return false;
    (void) snprintf(ip, sizeof(ip), "%.*s", (int) (slash - cidr), cidr);
    char *end;
    unsigned long bits = strtoul(slash + 1, &end, 10);
    if (inet_pton(AF_INET, ip, &in) != 1 || end == slash + 1 || *end || bits > 32)
        return false;
    uint32_t mask = bits ? 0xffffffffu << (32 - bits) : 0;
    zone->ranges[zone->n_ranges++] = (struct zone_range){ntohl(in.s_addr) & mask, mask};
    return true;
}

/* "4.3.2.1" in front of in-addr.arpa is the address 1.2.3.4; false for anything else. */
static bool parse_reverse(const char *name, size_t n, char ip[NETNS_ADDRESS_SIZE]) {
    char text[INET_ADDRSTRLEN];
    struct in_addr in;

    if (n >= sizeof(text))
        return false;
    (void) snprintf(text, sizeof(text), "%.*s", (int) n, name);
    if (inet_pton(AF_INET, text, &in) != 1)
        return false;
    in.s_addr = __builtin_bswap32(in.s_addr);
    return inet_ntop(AF_INET, &in, ip, NETNS_ADDRESS_SIZE) != NULL;
}

static bool in_ranges(const struct cluster_zone *zone, const char *ip) {
    struct in_addr in;

    if (inet_pton(AF_INET, ip, &in) != 1)
        return false;
    for (size_t i = 0; i < zone->n_ranges; i++)
        if ((ntohl(in.s_addr) & zone->ranges[i].mask) == zone->ranges[i].network)
            return true;
    return false;
}

static bool reverse(const struct cluster_zone *zone, const char *ip, unsigned type, struct dns_answer *ret) {
    const struct service_backend *b = NULL;
    bool ours = in_ranges(zone, ip);
    char *target = NULL;

    if (!service_table_synced(zone->table)) {
        ret->rcode = DNS_SERVFAIL;
        return ours;
    }
    const struct service *s = service_table_by_address(zone->table, ip);
    if (s) {
        target = service_domain(zone, s);
    } else if ((s = service_table_by_backend(zone->table, ip, &b)) && b && b->hostname && *b->hostname &&
               is_published(s, b)) {
        _cleanup_free_ char *domain = service_domain(zone, s);
        target = xasprintf("%s.%s", b->hostname, domain);
    } else if (ours) {
        ret->rcode = DNS_NXDOMAIN;
    } else {
        return false;
    }
    if (target && wants(type, DNS_PTR)) {
        add_name(ret, DNS_PTR, target);
        return true;
    }
    free(target);
    add_soa(zone, ret, DNS_AUTHORITY);
    return true;
}

bool zone_lookup(void *userdata, const char *name, unsigned type, struct dns_answer *ret) {
    const struct cluster_zone *zone = userdata;
    char ip[NETNS_ADDRESS_SIZE];
    size_t n;

    if (below(name, zone->domain, &n)) {
        if (service_table_synced(zone->table))
            answer_zone(zone, name, n, type, ret);
        else
            ret->rcode = DNS_SERVFAIL;
        return true;
    }
    if (below(name, "in-addr.arpa", &n) && parse_reverse(name, n, ip))
        return reverse(zone, ip, type, ret);
    return false;
}
