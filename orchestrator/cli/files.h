/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects from files: "-f FILE", "-f DIRECTORY" (*.yaml, *.yml, *.json in the order of their names; with recursive also
 * below it), "-f -" for standard input.
 *
 * Errors name file, line and column. Ownership: documents_finish().
 */
#ifndef PODIUM_CLI_FILES_H
#define PODIUM_CLI_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

struct document {
    struct json *object;
    char *origin; /* "file.yaml:12" */
};
struct documents {
    struct document *items;
    size_t n, cap;
};
#define DOCUMENTS_INIT                                                                                                 \
    { NULL, 0, 0 }
#define _cleanup_documents_ _cleanup_(documents_finish)

/* Appends. -ENOENT when there is nothing, -EINVAL for a broken file, -ENOTSUP for a URL. */
int documents_load(const char *path, bool recursive, struct documents *ret, struct error *err) _must_check_;
void documents_finish(struct documents *d);

#endif
