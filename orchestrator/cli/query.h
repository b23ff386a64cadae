/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Query strings of paths the client interface has no request for. */
#ifndef PODIUM_CLI_QUERY_H
#define PODIUM_CLI_QUERY_H

#include "podium/base/strbuf.h"

/* Appends "?name=value" or "&name=value", percent-encoded; nothing when value is NULL. */
void query_add(struct strbuf *target, const char *name, const char *value);

#endif
