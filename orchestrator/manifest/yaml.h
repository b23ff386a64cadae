/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * YAML as people write it for Kubernetes, to and from JSON trees.
 *
 * What it is. The reader behaves as sigs.k8s.io/yaml does: YAML 1.1 scalars (yes/no/on/off/y/n are booleans,
 * 0o17, 017 and 0x1f integers, timestamps strings), several documents, anchors, aliases and merge keys ("<<"), keys
 * that are no strings made strings. Stricter than upstream: a key that comes twice is refused (but see
 * yaml_parse_one_noting()), and so are tags other
 * than the core ones. JSON is accepted as YAML is. The writer has kubectl's style: block form, keys sorted, lists not
 * indented, quotes only where needed; what it writes reads back as the same document.
 *
 * Invariants. Every value and key read carries the line and column it came from (json_line, json_column); what an alias
 * brought in carries those of its anchor. Aliased values are shared, not copied, but count towards YAML_NODES_MAX as if
 * copied, so a "billion laughs" document ends in an error.
 *
 * Errors. Every text starts with "name:line:column: ". -EINVAL malformed, -E2BIG too large (YAML_BYTES_MAX,
 * YAML_NODES_MAX), -ELOOP nested deeper than JSON_DEPTH_MAX.
 *
 * Threads: pure functions; any thread.
 */
#ifndef PODIUM_MANIFEST_YAML_H
#define PODIUM_MANIFEST_YAML_H

#include <stddef.h>

#include "podium/base/error.h"
#include "podium/base/json.h"
#include "podium/base/strbuf.h"

/* All documents of a text; empty ones are left out, so *ret_n may be 0. name: for messages, NULL prints "yaml".
 * The caller frees with yaml_documents_free(). */
int yaml_parse_documents(const char *name, const char *p, size_t n, struct json ***ret_docs, size_t *ret_n,
                         struct error *err) _must_check_;
void yaml_documents_free(struct json **docs, size_t n);
/* Exactly one document (a request body, a kubeconfig); -EINVAL when there is none or more than one. */
int yaml_parse_one(const char *name, const char *p, size_t n, struct json **ret, struct error *err) _must_check_;
/* The same, but of a key that comes twice in a mapping the last one counts, and `duplicate` is told, with the line of
 * the value (as upstream's messages have it). */
typedef void (*yaml_duplicate_fn)(void *userdata, unsigned line, const char *key);
int yaml_parse_one_noting(const char *name, const char *p, size_t n, yaml_duplicate_fn duplicate, void *userdata,
                          struct json **ret, struct error *err) _must_check_;

/* Appends the document as YAML, ending in a newline. */
void yaml_write(const struct json *v, struct strbuf *out);

#endif
