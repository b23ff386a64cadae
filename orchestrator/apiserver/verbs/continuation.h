/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Continue tokens of paged lists: base64 of {"v":"meta.k8s.io/v1","rv":REVISION,"start":"ns/name"}. Opaque to clients.
 * A revision of -1 means "at whatever state there is", given out with a 410 so that a client may go on inconsistently.
 */
#ifndef PODIUM_APISERVER_CONTINUATION_H
#define PODIUM_APISERVER_CONTINUATION_H

#include <stdint.h>

#include "podium/base/cleanup.h"

struct continuation {
    int64_t revision;
    char *ns, *name; /* the last object given out */
};
void continuation_finish(struct continuation *c);
/* -EINVAL for anything we have not made. */
int continuation_parse(const char *token, struct continuation *ret) _must_check_;
/* The caller frees. */
char *continuation_text(int64_t revision, const char *ns, const char *name);

#endif
