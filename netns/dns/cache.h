/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resolvers' replies kept for a short time, by the question as it was sent (without its id). Bounded; the one used
 * longest ago makes room. Pure but for the caller's clock (monotonic microseconds). */
#ifndef PODIUM_NETNS_DNS_CACHE_H
#define PODIUM_NETNS_DNS_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "podium/base/cleanup.h"

#define DNS_CACHE_ENTRIES     512
#define DNS_CACHE_TTL_MAX     30 /* seconds, as CoreDNS is usually told */
#define DNS_CACHE_REPLY_BYTES 1232

struct dns_cache;
struct dns_cache *dns_cache_new(void);
void dns_cache_free(struct dns_cache *cache);
DEFINE_CLEANUP(struct dns_cache *, dns_cache_free)
void dns_cache_clear(struct dns_cache *cache);
/* Keeps a reply if its records allow it. */
void dns_cache_put(struct dns_cache *cache, const uint8_t *query, size_t query_n, const uint8_t *reply, size_t n,
                   uint64_t now);
/* A copy into out (room for DNS_CACHE_REPLY_BYTES), its times to live counted down; 0: none. */
size_t dns_cache_get(struct dns_cache *cache, const uint8_t *query, size_t query_n, uint64_t now, uint8_t *out);

#endif
