/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netns/services/chains.h"

#include <netinet/in.h>
#include <string.h>

#include "netns/nft.h"
#include "podium/base/cleanup.h"
#include "podium/netns_services.h"

/* What a client's affinity is found by. */
#define CLIENT          "ip saddr . ip daddr . meta l4proto . th dport"
#define SET_MARK        "meta mark set meta mark | 0x4000"
#define AFFINITY_MAX    "65536"
#define ADDRESS_SERVICE "type ipv4_addr . inet_proto . inet_service"
#define PORT_SERVICE    "type inet_proto . inet_service"

_Static_assert(NETNS_MASQUERADE_MARK == 0x4000, "as in the rules");
_Static_assert(SLOT_CLUSTER == NETNS_ENDPOINTS_MAX, "slots of both kinds must not meet");

static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

const char *chain_protocol_name(uint8_t protocol) {
    return protocol == IPPROTO_UDP ? "udp" : protocol == IPPROTO_SCTP ? "sctp" : "tcp";
}

void chain_map_name(const char *map, uint8_t protocol, bool by_port, char *out, size_t size) {
    (void) snprintf(out, size, "%s_%s_%s", map, chain_protocol_name(protocol), by_port ? "port" : "ip");
}

static const char *const kind_names[] = {"", "pick", "outside", "anywhere", "local"};

void chain_name(const struct chain *chain, char out[CHAIN_NAME_SIZE]) {
    size_t n = (size_t) snprintf(out, CHAIN_NAME_SIZE, "%s-%s-%s-%u", kind_names[chain->kind],
                                 chain_protocol_name(chain->protocol), chain->by_port ? "port" : "ip", chain->n);

    if (chain->kind == CHAIN_LOCAL)
        n += (size_t) snprintf(out + n, CHAIN_NAME_SIZE - n, "-of-%u", chain->n_local);
    if (chain->cluster_slots)
        n += (size_t) snprintf(out + n, CHAIN_NAME_SIZE - n, "-cluster");
    if (chain->affinity_seconds)
        (void) snprintf(out + n, CHAIN_NAME_SIZE - n, "-%us", chain->affinity_seconds);
}

/* By its beginning, "outside-tcp-": the names of chains that are always there have none like it. */
static enum chain_kind kind_of_name(const char *name) {
    char beginning[24];

    for (enum chain_kind kind = CHAIN_PICK; kind <= CHAIN_LOCAL; kind++)
        for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
            int n =
                snprintf(beginning, sizeof(beginning), "%s-%s-", kind_names[kind], chain_protocol_name(protocols[i]));
            if (strncmp(name, beginning, (size_t) n) == 0)
                return kind;
        }
    return CHAIN_NONE;
}

bool chains_next_listed(const char **at, char ret_name[CHAIN_NAME_SIZE], enum chain_kind *ret_kind) {
    static const char ours[] = "table " NFT_TABLE " {", chain[] = "\tchain ";

    for (const char *line = *at, *next; *line; line = next) {
        next = line + strcspn(line, "\n");
        next += *next == '\n';
        if (strncmp(line, "table ", 6) == 0 && strncmp(line, ours, strlen(ours)) != 0) {
            const char *end = strstr(line, "\n}");
            next = end ? end + 1 : line + strlen(line);
        }
        *at = next;
        if (strncmp(line, chain, strlen(chain)) != 0)
            continue;
        const char *name = line + strlen(chain);
        size_t n = strcspn(name, " \n");
        if (n >= CHAIN_NAME_SIZE)
            continue;
        memcpy(ret_name, name, n);
        ret_name[n] = '\0';
        *ret_kind = kind_of_name(ret_name);
        if (*ret_kind != CHAIN_NONE)
            return true;
    }
    return false;
}

unsigned chain_targets(const struct chain *chain, struct chain targets[2]) {
    unsigned n = 0;

    if (chain->kind == CHAIN_NONE || chain->kind == CHAIN_PICK)
        return 0;
    targets[n] = *chain;
    targets[n].kind = CHAIN_PICK;
    targets[n].cluster_slots = chain->kind == CHAIN_LOCAL;
    targets[n++].n_local = 0;
    if (chain->kind == CHAIN_LOCAL && chain->n_local > 0) {
        targets[n] = targets[0];
        targets[n].cluster_slots = false;
        targets[n++].n = chain->n_local;
    }
    return n;
}

struct rules {
    struct strbuf *out;
    const char *chain;
};

static void rule(const struct rules *rules, const char *fmt, ...) _printf_(2, 3);
static void rule(const struct rules *rules, const char *fmt, ...) {
    va_list ap;

    strbuf_addf(rules->out, "add rule " NFT_TABLE " %s ", rules->chain);
    va_start(ap, fmt);
    strbuf_vaddf(rules->out, fmt, ap);
    va_end(ap);
    strbuf_addc(rules->out, '\n');
}

static void map_name(const struct chain *chain, const char *map, char out[48]) {
    chain_map_name(map, chain->protocol, chain->by_port, out, 48);
}

/* The priority is but a register here: nft cannot use what one map gives as part of another's key otherwise. */
static void pick_for_client(const struct rules *rules, const struct chain *chain, const char *key, const char *slot) {
    char slots[48], endpoints[48];

    map_name(chain, MAP_SLOT_ENDPOINTS, slots);
    map_name(chain, MAP_ENDPOINTS, endpoints);
    rule(rules, "meta priority set %s . %s map @%s", key, slot, slots);
    /* a client that is known is only refreshed: "update" leaves the data as it is */
    rule(rules, "update @" MAP_AFFINITY " { " CLIENT " timeout %us : meta priority }", chain->affinity_seconds);
    rule(rules, "meta priority set " CLIENT " map @" MAP_AFFINITY);
    rule(rules, "dnat ip to %s . meta priority map @%s", key, endpoints);
}

static void make_pick(const struct rules *rules, const struct chain *chain) {
    const char *protocol = chain_protocol_name(chain->protocol);
    char key[48], slot[64], map[48];

    (void) snprintf(key, sizeof(key), "%s%s dport", chain->by_port ? "" : "ip daddr . ", protocol);
    int n = snprintf(slot, sizeof(slot), "numgen random mod %u", chain->n);
    if (chain->cluster_slots)
        (void) snprintf(slot + n, sizeof(slot) - (size_t) n, " offset %u", SLOT_CLUSTER);
    if (chain->affinity_seconds == 0) {
        map_name(chain, MAP_SLOTS, map);
        rule(rules, "dnat ip to %s . %s map @%s", key, slot, map);
        return;
    }
    pick_for_client(rules, chain, key, slot);
    /* its endpoint is gone: another one */
    rule(rules, "delete @" MAP_AFFINITY " { " CLIENT " : meta priority }");
    pick_for_client(rules, chain, key, slot);
}

void chain_make(const struct chain *chain, struct strbuf *out) {
    struct chain targets[2];
    char name[CHAIN_NAME_SIZE], pick[2][CHAIN_NAME_SIZE];
    const struct rules rules = {out, name};

    chain_name(chain, name);
    for (unsigned i = 0, n = chain_targets(chain, targets); i < n; i++)
        chain_name(&targets[i], pick[i]);
    strbuf_addf(out, "add chain " NFT_TABLE " %s\nflush chain " NFT_TABLE " %s\n", name, name);
    switch (chain->kind) {
    case CHAIN_NONE:
        break;
    case CHAIN_PICK:
        make_pick(&rules, chain);
        break;
    case CHAIN_OUTSIDE:
        rule(&rules, "ip saddr != @cluster_ranges fib saddr type != local " SET_MARK);
        rule(&rules, "goto %s", pick[0]);
        break;
    case CHAIN_ANYWHERE:
        rule(&rules, SET_MARK);
        rule(&rules, "goto %s", pick[0]);
        break;
    case CHAIN_LOCAL:
        rule(&rules, "ip saddr @cluster_ranges goto %s", pick[0]);
        /* the node's own address may be the very one asked for: without, the answer would go astray */
        rule(&rules, "fib saddr type local " SET_MARK);
        rule(&rules, "fib saddr type local goto %s", pick[0]);
        if (chain->n_local > 0)
            rule(&rules, "goto %s", pick[1]);
        else
            rule(&rules, "drop");
        break;
    }
}

/* --- what is always there --- */

/* nft wants to know where a key's random number and a map's port come from ("typeof"), and checks the protocol of the
 * rule against it: so each protocol has maps of its own. */
static void add_typed_maps(struct strbuf *out, uint8_t protocol, bool by_port) {
    static const char *const kinds[] = {MAP_SLOTS, MAP_SLOT_ENDPOINTS, MAP_ENDPOINTS};
    const char *p = chain_protocol_name(protocol), *address = by_port ? "" : "ip daddr . ";

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        char name[48];
        chain_map_name(kinds[i], protocol, by_port, name, sizeof(name));
        strbuf_addf(out, "add map " NFT_TABLE " %s { typeof %s%s dport . %s : ", name, address, p,
                    i == 2 ? "meta priority" : "numgen random mod 65536");
        if (i == 1)
            strbuf_adds(out, "meta priority; }\n");
        else
            strbuf_addf(out, "ip daddr . %s dport; }\n", p);
    }
}

static void add_maps(struct strbuf *out) {
    strbuf_adds(out,
                "add table " NFT_TABLE "\n" NFT_ADD_CLUSTER_RANGES "add map " NFT_TABLE " " MAP_ADDRESSES
                " { " ADDRESS_SERVICE " : verdict; }\n"
                "add map " NFT_TABLE " " MAP_NODE_PORTS " { " PORT_SERVICE " : verdict; }\n"
                "add set " NFT_TABLE " " SET_REFUSED " { " ADDRESS_SERVICE "; }\n"
                "add set " NFT_TABLE " " SET_REFUSED_PORTS " { " PORT_SERVICE "; }\n"
                "add map " NFT_TABLE " " MAP_HOST_PORTS " { " PORT_SERVICE " : ipv4_addr . inet_service; }\n"
                "add map " NFT_TABLE " " MAP_HOST_ADDRESSES " { " ADDRESS_SERVICE " : ipv4_addr . inet_service; }\n"
                "add set " NFT_TABLE " " SET_HAIRPIN " { type ipv4_addr . ipv4_addr; }\n"
                "add map " NFT_TABLE " " MAP_AFFINITY
                " { type ipv4_addr . ipv4_addr . inet_proto . inet_service : classid; flags dynamic, timeout; "
                "size " AFFINITY_MAX "; timeout 3h; }\n");
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
        add_typed_maps(out, protocols[i], false);
        add_typed_maps(out, protocols[i], true);
    }
}

static void begin_chain(const struct rules *rules, const char *base) {
    strbuf_addf(rules->out, "add chain " NFT_TABLE " %s%s%s%s\nflush chain " NFT_TABLE " %s\n", rules->chain,
                base ? " { type " : "", base ? base : "", base ? "; policy accept; }" : "", rules->chain);
}

static void add_refusal(struct strbuf *out) {
    const struct rules refuse = {out, "service-refuse"}, check = {out, "service-check"};
    const struct rules incoming = {out, "service-check-prerouting"}, outgoing = {out, "service-check-output"};

    begin_chain(&refuse, NULL);
    rule(&refuse, "meta l4proto tcp reject with tcp reset");
    rule(&refuse, "reject with icmpx port-unreachable");
    begin_chain(&check, NULL);
    rule(&check, "ip daddr . meta l4proto . th dport @" SET_REFUSED " goto service-refuse");
    rule(&check, "meta l4proto . th dport @" SET_REFUSED_PORTS
                 " ip daddr != 127.0.0.0/8 fib daddr type local goto service-refuse");
    /* before the translation of addresses, and before routing: there need not be a route to a service's address */
    begin_chain(&incoming, "filter hook prerouting priority -110");
    rule(&incoming, "ct state new jump service-check");
    begin_chain(&outgoing, "filter hook output priority -110");
    rule(&outgoing, "ct state new jump service-check");
}

void chains_make_base(struct strbuf *out) {
    const struct rules services = {out, "services"}, after = {out, "service-postrouting"};
    const struct rules incoming = {out, "service-prerouting"}, outgoing = {out, "service-output"};

    add_maps(out);
    add_refusal(out);
    begin_chain(&services, NULL);
    rule(&services, "ip daddr . meta l4proto . th dport vmap @" MAP_ADDRESSES);
    rule(&services, "ip daddr != 127.0.0.0/8 meta l4proto { tcp, udp, sctp } dnat ip to "
                    "ip daddr . meta l4proto . th dport map @" MAP_HOST_ADDRESSES);
    rule(&services, "ip daddr 127.0.0.0/8 return");
    rule(&services, "fib daddr type != local return");
    rule(&services, "meta l4proto . th dport vmap @" MAP_NODE_PORTS);
    rule(&services, "meta l4proto { tcp, udp, sctp } dnat ip to meta l4proto . th dport map @" MAP_HOST_PORTS);
    begin_chain(&incoming, "nat hook prerouting priority dstnat");
    rule(&incoming, "jump services");
    begin_chain(&outgoing, "nat hook output priority -100");
    rule(&outgoing, "jump services");
    begin_chain(&after, "nat hook postrouting priority srcnat");
    rule(&after, "ct status dnat meta mark & 0x4000 != 0 meta mark set meta mark & 0xffffbfff masquerade");
    rule(&after, "ct status dnat ip saddr . ip daddr @" SET_HAIRPIN " masquerade");
}

void chains_flush_maps(struct strbuf *out) {
    static const char *const maps[] = {MAP_ADDRESSES, MAP_NODE_PORTS, MAP_HOST_PORTS, MAP_HOST_ADDRESSES};
    static const char *const sets[] = {SET_REFUSED, SET_REFUSED_PORTS, SET_HAIRPIN};
    static const char *const kinds[] = {MAP_SLOTS, MAP_SLOT_ENDPOINTS, MAP_ENDPOINTS};

    for (size_t i = 0; i < ARRAY_LEN(maps); i++)
        strbuf_addf(out, "flush map " NFT_TABLE " %s\n", maps[i]);
    for (size_t i = 0; i < ARRAY_LEN(sets); i++)
        strbuf_addf(out, "flush set " NFT_TABLE " %s\n", sets[i]);
    for (size_t i = 0; i < ARRAY_LEN(kinds) * ARRAY_LEN(protocols) * 2; i++) {
        char name[48];
        chain_map_name(kinds[i / 2 / ARRAY_LEN(protocols)], protocols[i / 2 % ARRAY_LEN(protocols)], i % 2, name,
                       sizeof(name));
        strbuf_addf(out, "flush map " NFT_TABLE " %s\n", name);
    }
}
