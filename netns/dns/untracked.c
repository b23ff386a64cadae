/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DNS left alone by connection tracking, as node-local caches do it. */
#include <arpa/inet.h>

#include "netns/nft.h"
#include "podium/base/cleanup.h"
#include "podium/base/strbuf.h"
#include "podium/netns_dns.h"

static void add_chain(struct strbuf *out, const char *name, const char *hook, const char *address) {
    strbuf_addf(out,
                "add chain " NFT_TABLE " %s { type filter hook %s priority raw; policy accept; }\n"
                "flush chain " NFT_TABLE " %s\n",
                name, hook, name);
    if (!*address)
        return;
    strbuf_addf(out, "add rule " NFT_TABLE " %s ip daddr %s meta l4proto { tcp, udp } th dport %d notrack\n", name,
                address, DNS_PORT);
    strbuf_addf(out, "add rule " NFT_TABLE " %s ip saddr %s meta l4proto { tcp, udp } th sport %d notrack\n", name,
                address, DNS_PORT);
}

int netns_dns_untracked(const char *address, struct error *err) {
    _cleanup_strbuf_ struct strbuf nft = STRBUF_INIT;
    struct in_addr in;

    if (*address && inet_pton(AF_INET, address, &in) != 1)
        return error_set(err, -EINVAL, "\"%s\" is no IPv4 address", address);
    strbuf_adds(&nft, "add table " NFT_TABLE "\n");
    add_chain(&nft, "dns-prerouting", "prerouting", address);
    add_chain(&nft, "dns-output", "output", address);
    int r = nft_run(strbuf_str(&nft), err);
    return r < 0 ? error_prefix(err, r, "cannot keep DNS out of connection tracking") : 0;
}
