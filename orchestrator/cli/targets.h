/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a command is about: "pods", "pod a b", "pod/a deploy/b", "deploy,rs", "all", or the objects of files.
 *
 * Ownership: targets own their strings and documents; targets_finish().
 */
#ifndef PODIUM_CLI_TARGETS_H
#define PODIUM_CLI_TARGETS_H

#include "orchestrator/cli/session.h"
#include "orchestrator/object/resources.h"

struct target {
    const struct resource *resource;
    char *ns;            /* "" for cluster scope */
    char *name;          /* NULL: every object of the kind (that the selectors choose) */
    struct json *object; /* the live object, or the document of a file; may be NULL */
    char *origin;        /* "file.yaml:12" of a document, else NULL */
};
struct targets {
    struct target *items;
    size_t n, cap;
};
#define TARGETS_INIT                                                                                                   \
    { NULL, 0, 0 }
#define _cleanup_targets_ _cleanup_(targets_finish)

void targets_finish(struct targets *t);
/* All arguments are copied; object is referenced. */
void targets_add(struct targets *t, const struct resource *r, const char *ns, const char *name,
                 const struct json *object, const char *origin);
/* From words. Unknown kinds and mixtures are told on stderr: the exit code, 0 when good. Needs cli_connect() before. */
int targets_from_words(struct cli *c, char *const *words, struct targets *ret) _must_check_;
/* From the files of the flag --filename (with --recursive where the verb has it); documents of kinds the server does
 * not have are told. The same results. */
int targets_from_files(struct cli *c, bool recursive, struct targets *ret) _must_check_;
/* Replaces nameless targets by the objects that exist and match; objects are filled in. Told; 0 or 1. */
int targets_list(struct cli *c, const char *label_selector, const char *field_selector, struct targets *t) _must_check_;
/* "deployment.apps/nginx", "pod/x": how kubectl names an object. The caller frees. */
char *target_title(const struct resource *r, const char *name);
/* A request about the target. */
struct client_request target_request(const struct target *t, enum client_verb verb);
/* The kind a person typed, told when unknown. */
const struct resource *kind_by_typed(const char *typed);

#endif
