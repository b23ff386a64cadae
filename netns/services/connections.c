/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ending connections through ctnetlink. libnl's conntrack objects read and make messages, but cannot ask the kernel to
 * filter a dump, and a busy node has hundreds of thousands of connections: so messages are made by hand. The filter
 * (CTA_FILTER, Linux 5.8; older kernels send everything) is the endpoint's address; the rest is compared here.
 */
#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>

#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "netns/services/connections.h"
#include "podium/base/alloc.h"

#define FILTER_IP_SRC                                                                                                  \
    1u /* CTA_FILTER_F_CTA_IP_SRC of the kernel's nf_internals.h: bit of the attribute CTA_IP_V4_SRC */
#define FILTER_IP_DST   2u
#define DUMPS_MAX       8u /* for more endpoints than this, one dump of everything is cheaper */
#define TYPE(operation) (NFNL_SUBSYS_CTNETLINK << 8 | (operation))

/* What a tuple says. */
struct tuple {
    in_addr_t from, to;
    uint8_t protocol;
    uint16_t from_port, to_port;
};

/* A connection to forget: how the kernel names it. */
struct victim {
    void *name; /* the tuple attribute's content */
    int size;
    uint16_t zone;
};

struct search {
    const struct netns_connections *which;
    size_t n;
    netns_connection_gone gone; /* NULL: those of `which` */
    void *userdata;
    struct victim *victims;
    size_t n_victims, cap_victims;
};

static int read_tuple(struct nlattr *attribute, struct tuple *ret) {
    struct nlattr *t[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1], *proto[CTA_PROTO_MAX + 1];

    if (!attribute || nla_parse_nested(t, CTA_TUPLE_MAX, attribute, NULL) < 0 || !t[CTA_TUPLE_IP] ||
        !t[CTA_TUPLE_PROTO] || nla_parse_nested(ip, CTA_IP_MAX, t[CTA_TUPLE_IP], NULL) < 0 ||
        nla_parse_nested(proto, CTA_PROTO_MAX, t[CTA_TUPLE_PROTO], NULL) < 0 || !ip[CTA_IP_V4_SRC] ||
        !ip[CTA_IP_V4_DST] || !proto[CTA_PROTO_NUM] || !proto[CTA_PROTO_SRC_PORT] || !proto[CTA_PROTO_DST_PORT])
        return -EINVAL;
    ret->from = nla_get_u32(ip[CTA_IP_V4_SRC]);
    ret->to = nla_get_u32(ip[CTA_IP_V4_DST]);
    ret->protocol = nla_get_u8(proto[CTA_PROTO_NUM]);
    ret->from_port = ntohs(nla_get_u16(proto[CTA_PROTO_SRC_PORT]));
    ret->to_port = ntohs(nla_get_u16(proto[CTA_PROTO_DST_PORT]));
    return 0;
}

static bool is_meant(const struct netns_connections *c, const struct tuple *original, const struct tuple *reply) {
    if (c->protocol != original->protocol || c->port != original->to_port || (c->address && c->address != original->to))
        return false;
    if (c->endpoint.address == 0)
        return reply->from == original->to && reply->from_port == original->to_port;
    return reply->from == c->endpoint.address && reply->from_port == c->endpoint.port;
}

static bool is_sought(const struct search *search, const struct tuple *original, const struct tuple *reply) {
    if (search->gone) {
        const struct netns_connections c = {
            original->protocol, original->to, original->to_port, {reply->from, reply->from_port}};
        bool led = reply->from != original->to || reply->from_port != original->to_port;
        return led && search->gone(search->userdata, &c);
    }
    for (size_t i = 0; i < search->n; i++)
        if (is_meant(&search->which[i], original, reply))
            return true;
    return false;
}

static int on_connection(struct nl_msg *message, void *userdata) {
    struct search *search = userdata;
    struct nlattr *a[CTA_MAX + 1];
    struct tuple original, reply;

    if (nlmsg_parse(nlmsg_hdr(message), sizeof(struct nfgenmsg), a, CTA_MAX, NULL) < 0 ||
        read_tuple(a[CTA_TUPLE_ORIG], &original) < 0 || read_tuple(a[CTA_TUPLE_REPLY], &reply) < 0 ||
        !is_sought(search, &original, &reply))
        return NL_OK;
    xgrow(&search->victims, search->n_victims, &search->cap_victims);
    search->victims[search->n_victims++] =
        (struct victim){xmemdup(nla_data(a[CTA_TUPLE_ORIG]), (size_t) nla_len(a[CTA_TUPLE_ORIG])),
                        nla_len(a[CTA_TUPLE_ORIG]), a[CTA_ZONE] ? nla_get_u16(a[CTA_ZONE]) : 0};
    return NL_OK;
}

static struct nl_msg *new_message(uint16_t operation, int flags) {
    const struct nfgenmsg header = {.nfgen_family = AF_INET, .version = NFNETLINK_V0};
    struct nl_msg *message = nlmsg_alloc_simple(TYPE(operation), flags);

    if (message && nlmsg_append(message, (void *) &header, sizeof(header), NLMSG_ALIGNTO) < 0) {
        nlmsg_free(message);
        return NULL;
    }
    return message;
}

/* Only connections with this address as the reply's source, or as the original's destination. */
static int put_filter(struct nl_msg *message, in_addr_t address, bool reply) {
    int rc = 0;
    struct nlattr *tuple = nla_nest_start(message, (reply ? CTA_TUPLE_REPLY : CTA_TUPLE_ORIG) | NLA_F_NESTED);
    struct nlattr *ip = tuple ? nla_nest_start(message, CTA_TUPLE_IP | NLA_F_NESTED) : NULL;

    if (!ip || nla_put_u32(message, reply ? CTA_IP_V4_SRC : CTA_IP_V4_DST, address) < 0)
        return -NLE_NOMEM;
    nla_nest_end(message, ip);
    nla_nest_end(message, tuple);
    struct nlattr *filter = nla_nest_start(message, CTA_FILTER | NLA_F_NESTED);
    if (!filter)
        return -NLE_NOMEM;
    rc = nla_put_u32(message, CTA_FILTER_ORIG_FLAGS, reply ? 0 : FILTER_IP_DST);
    if (rc >= 0)
        rc = nla_put_u32(message, CTA_FILTER_REPLY_FLAGS, reply ? FILTER_IP_SRC : 0);
    nla_nest_end(message, filter);
    return rc;
}

/* address 0: everything. */
static int dump(struct nl_sock *sock, struct search *search, in_addr_t address, bool reply, struct error *err) {
    struct nl_msg *message = new_message(IPCTNL_MSG_CT_GET, NLM_F_DUMP);
    int rc = message ? 0 : -NLE_NOMEM;

    if (rc >= 0 && address)
        rc = put_filter(message, address, reply);
    if (rc >= 0)
        rc = nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_connection, search);
    if (rc >= 0)
        rc = nl_send_auto(sock, message);
    nlmsg_free(message);
    if (rc >= 0)
        rc = nl_recvmsgs_default(sock);
    return rc < 0 ? netlink_error(err, rc, "cannot list tracked connections") : 0;
}

static int forget(struct nl_sock *sock, const struct victim *victim, struct error *err) {
    struct nl_msg *message = new_message(IPCTNL_MSG_CT_DELETE, 0);
    int rc = message ? nla_put(message, CTA_TUPLE_ORIG | NLA_F_NESTED, victim->size, victim->name) : -NLE_NOMEM;

    if (rc >= 0 && victim->zone)
        rc = nla_put_u16(message, CTA_ZONE, victim->zone);
    if (rc < 0) {
        nlmsg_free(message);
        return netlink_error(err, rc, "cannot end a connection");
    }
    rc = nl_send_sync(sock, message);      /* frees the message */
    if (rc < 0 && rc != -NLE_OBJ_NOTFOUND) /* it ended by itself */
        return netlink_error(err, rc, "cannot end a connection");
    return 0;
}

/* Fills `search`: by one dump for each endpoint, or one for all. */
static int find(struct nl_sock *sock, struct search *search, struct error *err) {
    struct {
        in_addr_t address;
        bool reply;
    } done[DUMPS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < search->n; i++) {
        const struct netns_connections *c = &search->which[i];
        bool reply = c->endpoint.address != 0, known = false;
        in_addr_t address = reply ? c->endpoint.address : c->address;
        for (size_t k = 0; k < n && !known; k++)
            known = done[k].address == address && done[k].reply == reply;
        if (known)
            continue;
        if (n == DUMPS_MAX || address == 0)
            return dump(sock, search, 0, false, err);
        done[n].address = address;
        done[n++].reply = reply;
    }
    int r = 0;
    for (size_t i = 0; i < n && r >= 0; i++)
        r = dump(sock, search, done[i].address, done[i].reply, err);
    return r;
}

int connections_open(struct nl_sock **ret, struct error *err) {
    _cleanup_nlsock_ struct nl_sock *sock = nl_socket_alloc();

    if (!sock)
        return error_set(err, -ENOMEM, "out of memory");
    int rc = nl_connect(sock, NETLINK_NETFILTER);
    if (rc < 0)
        return netlink_error(err, rc, "cannot reach connection tracking");
    *ret = steal(&sock);
    return 0;
}

/* Forgets what was found; r: how finding went. */
static int finish(struct nl_sock *sock, struct search *search, int r, struct error *err) {
    int ended = 0;

    for (size_t i = 0; i < search->n_victims; i++) {
        if (r >= 0)
            r = forget(sock, &search->victims[i], err);
        ended += r >= 0;
        free(search->victims[i].name);
    }
    free(search->victims);
    return r < 0 ? r : ended;
}

int connections_end(struct nl_sock *sock, const struct netns_connections *which, size_t n, struct error *err) {
    struct search search = {.which = which, .n = n};

    return finish(sock, &search, find(sock, &search, err), err);
}

int connections_end_if(struct nl_sock *sock, netns_connection_gone gone, void *userdata, struct error *err) {
    struct search search = {.gone = gone, .userdata = userdata};

    return finish(sock, &search, dump(sock, &search, 0, false, err), err);
}
