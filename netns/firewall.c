/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nftables rules of a node, changed in single transactions. */
#include <stdbool.h>
#include <string.h>
#include <fcntl.h>

#include "netns/netlink.h"
#include "netns/nft.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/strbuf.h"
#include "podium/netns.h"

#define FORWARDING_FILE "/proc/sys/net/ipv4/ip_forward"

/* Addresses go into nft's language: only what parses as a range may. */
static int add_range(struct strbuf *out, const char *cidr, struct error *err) {
    _cleanup_nladdr_ struct nl_addr *address = NULL;
    char text[NETNS_CIDR_SIZE];

    int r = netlink_address_parse(cidr, true, &address, err);
    if (r < 0)
        return r;
    strbuf_adds(out, nl_addr2str(address, text, sizeof(text)));
    return 0;
}

static int add_element(struct strbuf *out, const char *cidr, struct error *err) {
    strbuf_adds(out, "add element inet " NETNS_TABLE " cluster_ranges { ");
    int r = add_range(out, cidr, err);
    strbuf_adds(out, " }\n");
    return r;
}

static int check_bridge(const char *name, struct error *err) {
    size_t n = name ? strlen(name) : 0;

    if (n == 0 || n >= NETNS_LINK_NAME_SIZE ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != n)
        return error_set(err, -EINVAL, "\"%s\" is no name for a bridge", name ? name : "");
    return 0;
}

int netns_firewall_ensure(const struct netns_firewall *firewall, struct error *err) {
    _cleanup_strbuf_ struct strbuf nft = STRBUF_INIT;

    int r = check_bridge(firewall->bridge, err);
    if (r < 0)
        return r;
    /* "add" of what exists changes nothing, then flush empties it, all within one transaction; auto-merge, as the
     * node's own range usually lies inside the cluster's */
    strbuf_adds(
        &nft,
        "add table inet " NETNS_TABLE "\n" NFT_ADD_CLUSTER_RANGES "flush set inet " NETNS_TABLE " cluster_ranges\n"
        "add chain inet " NETNS_TABLE " forward { type filter hook forward priority filter; policy accept; }\n"
        "add chain inet " NETNS_TABLE " postrouting { type nat hook postrouting priority srcnat; policy accept; }\n"
        "add chain inet " NETNS_TABLE " output { type filter hook output priority filter; policy accept; }\n"
        "flush chain inet " NETNS_TABLE " output\n"
        "flush chain inet " NETNS_TABLE " forward\n"
        "flush chain inet " NETNS_TABLE " postrouting\n");
    r = add_element(&nft, firewall->pod_cidr, err);
    for (size_t i = 0; r >= 0 && i < strv_len(firewall->cluster_cidrs); i++)
        r = add_element(&nft, firewall->cluster_cidrs[i], err);
    if (r < 0)
        return r;
    strbuf_addf(&nft, "add rule inet " NETNS_TABLE " forward iifname \"%s\" accept\n", firewall->bridge);
    strbuf_addf(&nft, "add rule inet " NETNS_TABLE " forward oifname \"%s\" accept\n", firewall->bridge);
    /* pods of one node talk through it: telling them of a shorter way would lead them around the services */
    strbuf_addf(&nft, "add rule inet " NETNS_TABLE " output oifname \"%s\" icmp type redirect drop\n",
                firewall->bridge);
    strbuf_adds(&nft, "add rule inet " NETNS_TABLE " postrouting ip saddr ");
    r = add_range(&nft, firewall->pod_cidr, err);
    if (r < 0)
        return r;
    strbuf_addf(&nft, " oifname != \"%s\" ip daddr != @cluster_ranges masquerade\n", firewall->bridge);
    r = nft_run(strbuf_str(&nft), err);
    return r < 0 ? error_prefix(err, r, "cannot set up table inet " NETNS_TABLE) : 0;
}

int netns_firewall_remove(struct error *err) {
    /* add first: deleting what does not exist is an error */
    int r = nft_run("add table inet " NETNS_TABLE "\ndelete table inet " NETNS_TABLE "\n", err);

    return r < 0 ? error_prefix(err, r, "cannot remove table inet " NETNS_TABLE) : 0;
}

int netns_forwarding_enable(struct error *err) {
    _cleanup_strbuf_ struct strbuf now = STRBUF_INIT;

    int r = file_read(FORWARDING_FILE, 64, &now, err);
    if (r < 0)
        return r;
    if (strbuf_str(&now)[0] == '1')
        return 0;
    r = file_write_at(AT_FDCWD, FORWARDING_FILE, "1", err);
    if (r == -EROFS || r == -EACCES || r == -EPERM)
        return error_set(err, r, "pods need IP forwarding and %s cannot be written; set net.ipv4.ip_forward=1",
                         FORWARDING_FILE);
    return r;
}
