/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nftables through libnftables: what the files of this folder share. */
#ifndef PODIUM_NETNS_NFT_H
#define PODIUM_NETNS_NFT_H

#include "podium/base/error.h"

#define NFT_TABLE "inet podium" /* as NETNS_TABLE */
/* The set of ranges that are never masqueraded to, declared the same wherever it is used. */
#define NFT_ADD_CLUSTER_RANGES "add set " NFT_TABLE " cluster_ranges { type ipv4_addr; flags interval; auto-merge; }\n"

/* Runs nft commands as one transaction in the calling thread's network namespace. -EPERM when not permitted, else -EIO
 * with nft's words. */
int nft_run(const char *commands, struct error *err) _must_check_;

#endif
