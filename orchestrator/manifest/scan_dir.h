/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading a manifest directory: which files count, what is in them, what is new. Private to this folder (watch_dir.c
 * says when to look). Files are kept with their identity (inode, size, times) and read again only when it differs.
 *
 * A file that cannot be read or parsed keeps what it last held, and so does a folder that cannot be opened: only what
 * is really gone disappears. Symbolic links are followed, to files and to folders.
 */
#ifndef PODIUM_MANIFEST_SCAN_DIR_H
#define PODIUM_MANIFEST_SCAN_DIR_H

#include <stdbool.h>

#include "orchestrator/manifest/manifest_set.h"

struct scan_dir;

struct scan_hooks {
    void *userdata;
    /* A folder is about to be read: watch everything in it. */
    void (*folder)(void *userdata, const char *path);
    /* A link leads to this file: watch it there. */
    void (*target)(void *userdata, const char *folder, const char *name);
    /* True while the file (by its real path) is being written: then what it last held stays. */
    bool (*unsettled)(void *userdata, const char *path);
    /* The file changed while it was read. */
    void (*moving)(void *userdata, const char *path);
};

struct scan_dir *scan_dir_new(const char *path, const struct scan_hooks *hooks);
void scan_dir_free(struct scan_dir *s);
DEFINE_CLEANUP(struct scan_dir *, scan_dir_free)
/* Looks at the whole tree. Returns true when something differs from the last time, or at the first. */
bool scan_dir_run(struct scan_dir *s);
/* What was found by the last run. */
void scan_dir_collect(const struct scan_dir *s, struct manifest_set *ret);
/* Whether a file of this name is a manifest: *.yaml, *.yml, *.json, but no dot files and no editor's leftovers. */
bool scan_name_is_manifest(const char *name);

#endif
