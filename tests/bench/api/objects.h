/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The objects that are written and read, as request bodies. */
#ifndef PODIUM_BENCH_OBJECTS_H
#define PODIUM_BENCH_OBJECTS_H

#include <stdint.h>

#include "podium/base/strbuf.h"

/* About 1 kB. */
void object_config_map(const char *name, uint64_t i, struct strbuf *out);
/* A pod as controllers make them, about 1.9 kB of JSON as stored with defaults and managedFields; no scheduler looks at
 * it. */
void object_pod(const char *name, uint64_t i, struct strbuf *out);
/* One with more to say, 2.8 kB as stored, bound to one of a hundred nodes. */
void object_large_pod(const char *name, uint64_t i, struct strbuf *out);
void object_node(uint64_t i, struct strbuf *out);

/* A whole request. body NULL: none. */
void http_request(const char *method, const char *path, const char *headers, const struct strbuf *body,
                  struct strbuf *out);

#endif
