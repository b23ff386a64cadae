/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What form of answer a client accepts (wire.md sections 3 and 6). Pure. */
#ifndef PODIUM_APISERVER_NEGOTIATE_H
#define PODIUM_APISERVER_NEGOTIATE_H

#include <stdbool.h>

enum accept_media { ACCEPT_JSON, ACCEPT_YAML, ACCEPT_PROTOBUF };
enum accept_as { AS_ITSELF, AS_TABLE, AS_PARTIAL, AS_PARTIAL_LIST, AS_DISCOVERY };

/* What can be given. */
enum accept_offer {
    OFFER_VIEWS = 1 << 0,     /* tables and metadata: objects and lists of them; Status and discovery are not */
    OFFER_STREAM = 1 << 1,    /* a watch: no YAML */
    OFFER_DISCOVERY = 1 << 2, /* the aggregated discovery document */
};

struct accepted {
    enum accept_media media;
    enum accept_as as;
    bool v1beta1; /* of meta.k8s.io, for views */
    bool pretty;
    const char *discovery_version; /* AS_DISCOVERY: "v2" or "v2beta1" */
};

/* The clause of an Accept header to follow (NULL or empty: JSON): the greatest q first, wildcards behind what is named,
 * then as written; as upstream does it. offers: enum accept_offer. False: nothing fits (406). */
bool accept_parse(const char *accept, unsigned offers, struct accepted *ret);

/* The first group version of an answer's kind and its media type are the server's choice; these name them. */
const char *accepted_media_type(const struct accepted *a);
/* "meta.k8s.io/v1" or "meta.k8s.io/v1beta1". */
const char *accepted_meta_version(const struct accepted *a);

/* Accept-Encoding has gzip in it. */
bool accept_gzip(const char *accept_encoding);

#endif
