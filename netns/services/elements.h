/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A frontend as elements of nftables maps: pure text. */
#ifndef PODIUM_NETNS_SERVICES_ELEMENTS_H
#define PODIUM_NETNS_SERVICES_ELEMENTS_H

#include "netns/services/chains.h"
#include "podium/base/strbuf.h"
#include "podium/netns_services.h"

/* "inet podium" is said where commands are made; names are those of chains.h. */
struct element {
    char map[40];
    char key[64];
    char data[80]; /* "": an element of a set */
};

struct elements {
    struct element *items;
    size_t n, cap;
};
void elements_finish(struct elements *elements);

/* Appends the frontend's elements; *ret_chain is the chain they lead to, kind CHAIN_NONE when there is none. */
void elements_of_frontend(const struct netns_frontend *frontend, struct elements *out, struct chain *ret_chain);
void element_of_host_port(const struct netns_host_port *port, in_addr_t pod, struct elements *out);
void element_of_hairpin(in_addr_t pod, struct elements *out);

/* nft commands for going from before to after: only what differs. Removals and additions go to buffers of their own,
 * since all removals of a transaction come first. */
void elements_difference(const struct elements *before, const struct elements *after, struct strbuf *removals,
                         struct strbuf *additions);

#endif
