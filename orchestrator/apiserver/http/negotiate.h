/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What form of answer a client accepts (wire.md sections 3 and 6). Pure. */
#ifndef PODIUM_APISERVER_NEGOTIATE_H
#define PODIUM_APISERVER_NEGOTIATE_H

#include <stdbool.h>

enum accept_media { ACCEPT_JSON, ACCEPT_YAML, ACCEPT_PROTOBUF };
enum accept_as { AS_ITSELF, AS_TABLE, AS_PARTIAL, AS_PARTIAL_LIST };

struct accepted {
    enum accept_media media;
    enum accept_as as;
    bool table_v1beta1;
    bool pretty;
    bool discovery_v2;             /* as=APIGroupDiscoveryList */
    const char *discovery_version; /* "v2" or "v2beta1" */
};

/* The first acceptable clause of an Accept header (NULL: anything). table_ok: the answer can be shown as a table or
 * as metadata (objects and lists can, Status and discovery cannot). False: nothing fits (406). */
bool accept_parse(const char *accept, bool table_ok, struct accepted *ret);

#endif
