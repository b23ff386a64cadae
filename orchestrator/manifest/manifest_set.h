/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a manifest directory asks for: objects, each with the file and line it comes from, and what is wrong.
 *
 * Invariants. Objects come in the order of their files (by name) and of their places in them; no two have the same id.
 * The second of two that do is a problem of its file, the first stands. A namespaced object without a namespace has
 * been given "default".
 *
 * Ownership: a set owns everything in it. Threads: none of its own.
 */
#ifndef PODIUM_MANIFEST_MANIFEST_SET_H
#define PODIUM_MANIFEST_MANIFEST_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/cleanup.h"
#include "podium/base/json.h"

struct manifest_object {
    struct json *doc;
    char *id;   /* "apps/Deployment/default/web"; group and namespace may be empty: "/Node//n1" */
    char *file; /* relative to the directory */
    unsigned line;
};

struct manifest_problem {
    char *file; /* relative; a folder ends in "/"; "" is the directory itself */
    char *text; /* "file:line:column: …" */
};

struct manifest_set {
    bool missing; /* the directory does not exist: what it asks for is not known */
    struct manifest_object *objects;
    size_t n_objects, cap_objects;
    struct manifest_problem *problems;
    size_t n_problems, cap_problems;
};

#define MANIFEST_SET_INIT                                                                                              \
    { 0 }

void manifest_set_finish(struct manifest_set *set);
#define _cleanup_manifest_set_ _cleanup_(manifest_set_finish)
/* Adds an object of a file; one without a name, or with an id that is taken, becomes a problem. */
void manifest_set_add(struct manifest_set *set, const char *file, const struct json *doc);
void manifest_set_add_problem(struct manifest_set *set, const char *file, const char *text);
/* The object of an id, or NULL. */
const struct manifest_object *manifest_set_find(const struct manifest_set *set, const char *id);
/* The id of a document ("apps/Deployment/default/web"); the caller frees. */
char *manifest_id(const struct json *doc);

#endif
