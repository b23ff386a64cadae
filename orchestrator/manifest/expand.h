/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the documents of a file to objects: lists opened, what is no object refused.
 *
 * Errors: -EINVAL, text "name:line:column: …" as in yaml.h. Threads: pure functions; any thread.
 */
#ifndef PODIUM_MANIFEST_EXPAND_H
#define PODIUM_MANIFEST_EXPAND_H

#include <stddef.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

/* Replaces every list (kind List, or any …List with items) by its items, also lists inside lists. Items of a typed list
 * (PodList) may lack apiVersion and kind and get the list's. Checks that each result is a mapping with apiVersion,
 * kind and metadata.name or generateName. The result is a new vector of new references, released with
 * yaml_documents_free(). */
int manifest_expand(const char *name, struct json *const *docs, size_t n, struct json ***ret_objects, size_t *ret_n,
                    struct error *err) _must_check_;
/* yaml_parse_documents() and manifest_expand() in one. */
int manifest_parse(const char *name, const char *p, size_t n, struct json ***ret_objects, size_t *ret_n,
                   struct error *err) _must_check_;

#endif
