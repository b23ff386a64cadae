/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Header blocks of SPDY/3.1 (draft-mbelshe-httpbis-spdy-00 sections 2.6.10 and 2.6.10.1): name/value pairs, compressed
 * with one zlib stream per direction and connection, which starts from the protocol's dictionary.
 *
 * Threads: none of its own. Ownership: spdy_headers_finish(), spdy_packer_free().
 */
#ifndef PODIUM_APISERVER_SPDY_HEADERS_H
#define PODIUM_APISERVER_SPDY_HEADERS_H

#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/strbuf.h"

#define SPDY_HEADERS_BYTES_MAX (64u * 1024u) /* of one block, unpacked */
#define SPDY_HEADERS_MAX       128u

struct spdy_headers {
    char **pairs; /* name, value, name, value, NULL; several values of a name are separated by NULs: the first counts */
};
void spdy_headers_finish(struct spdy_headers *h);
/* The value, or NULL; names are compared without case. */
const char *spdy_header(const struct spdy_headers *h, const char *name);

/* Both directions of one connection. */
struct spdy_packer;
struct spdy_packer *spdy_packer_new(void);
void spdy_packer_free(struct spdy_packer *p);
/* Every block must go through here in the order of arrival, also those of frames that are refused. -EPROTO: damaged;
 * -EFBIG: too large. After an error the connection is of no use any more. */
int spdy_unpack(struct spdy_packer *p, const void *block, size_t n, struct spdy_headers *ret,
                struct error *err) _must_check_;
/* Appends the packed block. */
void spdy_pack(struct spdy_packer *p, const struct spdy_headers *h, struct strbuf *out);

#endif
