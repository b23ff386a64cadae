/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "netns/netlink.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <string.h>

#include "podium/base/alloc.h"

/* The kernel's errno survives in libnl only as a class; these are the ones callers tell apart. */
static int errno_of(int nle) {
    static const struct {
        int nle, code;
    } table[] = {
        {NLE_INTR, -EINTR},          {NLE_BAD_SOCK, -EBADF},
        {NLE_AGAIN, -EAGAIN},        {NLE_NOMEM, -ENOMEM},
        {NLE_EXIST, -EEXIST},        {NLE_INVAL, -EINVAL},
        {NLE_RANGE, -ERANGE},        {NLE_MSGSIZE, -EMSGSIZE},
        {NLE_OPNOTSUPP, -ENOTSUP},   {NLE_AF_NOSUPPORT, -EAFNOSUPPORT},
        {NLE_OBJ_NOTFOUND, -ENOENT}, {NLE_NOATTR, -ENODATA},
        {NLE_BUSY, -EBUSY},          {NLE_PROTO_MISMATCH, -EPROTO},
        {NLE_NOACCESS, -EACCES},     {NLE_PERM, -EPERM},
        {NLE_NODEV, -ENODEV},        {NLE_IMMUTABLE, -EPERM},
        {NLE_DUMP_INTR, -EAGAIN},
    };

    nle = nle < 0 ? -nle : nle;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].nle == nle)
            return table[i].code;
    return -EIO;
}

int netlink_error(struct error *err, int nle, const char *what, ...) {
    va_list ap;

    va_start(ap, what);
    _cleanup_free_ char *text = xvasprintf(what, ap);
    va_end(ap);
    int code = errno_of(nle);
    if (code == -EPERM)
        return error_set(err, code, "%s: not permitted; the capability CAP_NET_ADMIN is needed", text);
    return error_set(err, code, "%s: %s", text, nl_geterror(nle));
}

int netlink_open(struct nl_sock **ret, struct error *err) {
    _cleanup_nlsock_ struct nl_sock *sock = nl_socket_alloc();

    if (!sock)
        return error_set(err, -ENOMEM, "out of memory");
    int rc = nl_connect(sock, NETLINK_ROUTE);
    if (rc < 0)
        return netlink_error(err, rc, "cannot open a netlink socket");
    *ret = steal(&sock);
    return 0;
}

/* A socket of its own: libnl does not say when the acknowledgement behind the answer could not be read, and would take
 * it for the answer to the next request (an empty list, a success). */
int netlink_link_get(const char *name, struct rtnl_link **ret, struct error *err) {
    _cleanup_nlsock_ struct nl_sock *sock = NULL;

    int r = netlink_open(&sock, err);
    if (r < 0)
        return r;
    int rc = rtnl_link_get_kernel(sock, 0, name, ret);
    if (rc == -NLE_OBJ_NOTFOUND || rc == -NLE_NODEV)
        return error_set(err, -ENODEV, "there is no network link %s", name);
    return rc < 0 ? netlink_error(err, rc, "cannot read network link %s", name) : 0;
}

int netlink_link_index(const char *name, struct error *err) {
    _cleanup_link_ struct rtnl_link *link = NULL;
    int r = netlink_link_get(name, &link, err);

    return r < 0 ? r : rtnl_link_get_ifindex(link);
}

int netlink_link_delete(struct nl_sock *sock, const char *name, struct error *err) {
    _cleanup_link_ struct rtnl_link *link = rtnl_link_alloc();

    rtnl_link_set_name(link, name);
    int rc = rtnl_link_delete(sock, link);
    if (rc == -NLE_OBJ_NOTFOUND || rc == -NLE_NODEV)
        return 0;
    return rc < 0 ? netlink_error(err, rc, "cannot remove network link %s", name) : 0;
}

int netlink_link_up(struct nl_sock *sock, int index, unsigned mtu, struct error *err) {
    _cleanup_link_ struct rtnl_link *which = rtnl_link_alloc(), *change = rtnl_link_alloc();

    rtnl_link_set_ifindex(which, index);
    rtnl_link_set_flags(change, IFF_UP);
    if (mtu)
        rtnl_link_set_mtu(change, mtu);
    int rc = rtnl_link_change(sock, which, change, 0);
    return rc < 0 ? netlink_error(err, rc, "cannot set network link %d up", index) : 0;
}

/* Not nl_addr_parse(): it takes "10.1" for 10.1.0.0 and lets anything follow the prefix. */
int netlink_address_parse(const char *text, bool with_prefix, struct nl_addr **ret, struct error *err) {
    const char *slash = text ? strchr(text, '/') : NULL;
    char plain[INET_ADDRSTRLEN] = "";
    unsigned prefix = 32;
    struct in_addr in;

    if (!text || (with_prefix && !slash))
        return error_set(err, -EINVAL, "\"%s\" is no address with a prefix length", text ? text : "");
    if (strchr(text, ':'))
        return error_set(err, -EAFNOSUPPORT, "%s: IPv6 is not supported yet", text);
    size_t n = slash ? (size_t) (slash - text) : strlen(text);
    if (n < sizeof(plain))
        memcpy(plain, text, n); /* NOLINT(bugprone-not-null-terminated-result): the rest of plain is zero */
    if (slash) {
        size_t digits = strspn(slash + 1, "0123456789");
        prefix = digits >= 1 && digits <= 2 && !slash[1 + digits] ? (unsigned) strtoul(slash + 1, NULL, 10) : 99;
    }
    if (inet_pton(AF_INET, plain, &in) != 1 || prefix > 32)
        return error_set(err, -EINVAL, "\"%s\" is no IPv4 address", text);
    *ret = nl_addr_build(AF_INET, &in, sizeof(in));
    nl_addr_set_prefixlen(*ret, (int) prefix);
    return 0;
}

int netlink_address_add(struct nl_sock *sock, int index, struct nl_addr *address, struct error *err) {
    _cleanup_addr_ struct rtnl_addr *entry = rtnl_addr_alloc();
    char text[64];

    rtnl_addr_set_ifindex(entry, index);
    int rc = rtnl_addr_set_local(entry, address);
    uint32_t ip, prefix = nl_addr_get_prefixlen(address);
    memcpy(&ip, nl_addr_get_binary_addr(address), sizeof(ip));
    if (rc >= 0 && prefix < 31) {
        ip |= htonl(prefix ? 0xffffffffu >> prefix : 0xffffffffu);
        _cleanup_nladdr_ struct nl_addr *broadcast = nl_addr_build(AF_INET, &ip, sizeof(ip));
        rc = rtnl_addr_set_broadcast(entry, broadcast);
    }
    if (rc >= 0)
        rc = rtnl_addr_add(sock, entry, 0);
    if (rc == -NLE_EXIST)
        return 0;
    return rc < 0 ? netlink_error(err, rc, "cannot set address %s", nl_addr2str(address, text, sizeof(text))) : 0;
}

struct nl_addr *netlink_mac_of(const struct nl_addr *address) {
    unsigned char mac[6] = {0x0a, 0x58};

    memcpy(mac + 2, nl_addr_get_binary_addr(address), 4);
    return nl_addr_build(AF_LLC, mac, sizeof(mac));
}
