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

/* A context for several transactions, in the network namespace it was opened in. It holds most of a megabyte; but
 * closing it makes the caller wait some 10 ms (the kernel lets RCU pass), so it is worth keeping while changes come. */
struct nft_ctx;
struct nft_ctx *nft_open(struct error *err);
void nft_close(struct nft_ctx *nft); /* NULL is fine */
DEFINE_CLEANUP(struct nft_ctx *, nft_close)
int nft_run_in(struct nft_ctx *nft, const char *commands, struct error *err) _must_check_;
/* What the commands run last printed ("" for nothing): the context's, until the next ones. */
const char *nft_output(struct nft_ctx *nft);

#endif
