/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSONPath templates as kubectl's "-o jsonpath=" takes them (client-go/util/jsonpath).
 *
 * What it is. Text with expressions in braces: {.a.b}, {['key']}, {.list[0]}, {[-1]}, {[1:3]}, {[*]}, {.*}, {..name},
 * {[0,2]}, {['a','b']}, filters {[?(@.type=="Ready")]} with == != < <= > >=, comparing with strings, numbers, booleans
 * and other paths, {range …}…{end}, {"text\n"}, {@}, {$}.
 *
 * Invariants. A parsed template is immutable. Missing keys give nothing (as `kubectl get` has it), so a template never
 * fails on a document. Nesting is bounded (JSONPATH_DEPTH_MAX).
 *
 * Ownership: results are new references. Errors: -EINVAL with upstream-like text and the position. Threads: pure.
 */
#ifndef PODIUM_CLI_JSONPATH_H
#define PODIUM_CLI_JSONPATH_H

#include "podium/base/error.h"
#include "podium/base/json.h"

#define JSONPATH_DEPTH_MAX 32

struct jsonpath;

int jsonpath_parse(const char *text, struct jsonpath **ret, struct error *err) _must_check_;
/* What people type: braces and leading dot may be missing ("metadata.name", ".status", "{.a}"). One expression. */
int jsonpath_parse_relaxed(const char *text, struct jsonpath **ret, struct error *err) _must_check_;
void jsonpath_free(struct jsonpath *p);
DEFINE_CLEANUP(struct jsonpath *, jsonpath_free)
/* Prints the template filled in from doc: several results are separated by a space; strings bare, others as JSON. */
void jsonpath_print(const struct jsonpath *p, const struct json *doc, struct strbuf *out);
/* The values the template's expressions find, as an array. The caller unrefs. */
struct json *jsonpath_find(const struct jsonpath *p, const struct json *doc);

#endif
